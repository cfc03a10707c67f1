//! Which noise of a command does not get into its layer.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::diagnostic::nearest;

/// Stands for all scrubbers of [`Scrub::default`].
const DEFAULT: &str = "default";

/// One kind of noise: what differs between two runs of a command though nothing that anybody reads does, or what only takes
/// room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scrubber {
    ApkLog,
    AptCache,
    AptLists,
    DpkgLogs,
    Fontconfig,
    Ldconfig,
    MachineId,
    ManDb,
    NpmLogs,
    PackageCaches,
    Pyc,
    RpmLogs,
    ShadowLastchange,
}

impl Scrubber {
    /// All, in the order of their names.
    pub const ALL: [Scrubber; 13] = [
        Scrubber::ApkLog,
        Scrubber::AptCache,
        Scrubber::AptLists,
        Scrubber::DpkgLogs,
        Scrubber::Fontconfig,
        Scrubber::Ldconfig,
        Scrubber::MachineId,
        Scrubber::ManDb,
        Scrubber::NpmLogs,
        Scrubber::PackageCaches,
        Scrubber::Pyc,
        Scrubber::RpmLogs,
        Scrubber::ShadowLastchange,
    ];

    /// Its name in a spec.
    pub fn name(self) -> &'static str {
        match self {
            Scrubber::ApkLog => "apk-log",
            Scrubber::AptCache => "apt-cache",
            Scrubber::AptLists => "apt-lists",
            Scrubber::DpkgLogs => "dpkg-logs",
            Scrubber::Fontconfig => "fontconfig",
            Scrubber::Ldconfig => "ldconfig",
            Scrubber::MachineId => "machine-id",
            Scrubber::ManDb => "man-db",
            Scrubber::NpmLogs => "npm-logs",
            Scrubber::PackageCaches => "package-caches",
            Scrubber::Pyc => "pyc",
            Scrubber::RpmLogs => "rpm-logs",
            Scrubber::ShadowLastchange => "shadow-lastchange",
        }
    }

    /// False for what a later command may rely on, such as the lists that `apt-get update` brings.
    fn is_default(self) -> bool {
        !matches!(self, Scrubber::AptLists | Scrubber::Fontconfig | Scrubber::PackageCaches)
    }
}

impl fmt::Display for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scrubbers of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrub(BTreeSet<Scrubber>);

impl Scrub {
    /// The version of what the scrubbers do. Another version is another key.
    pub const VERSION: u32 = 1;

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Scrubber> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Scrub {
    fn default() -> Self {
        Scrub(Scrubber::ALL.into_iter().filter(|scrubber| scrubber.is_default()).collect())
    }
}

impl Serialize for Scrub {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Scrubber::name))
    }
}

impl<'de> Deserialize<'de> for Scrub {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut scrubbers = BTreeSet::new();
        for name in Vec::<String>::deserialize(deserializer)? {
            match Scrubber::ALL.into_iter().find(|scrubber| scrubber.name() == name) {
                Some(scrubber) => drop(scrubbers.insert(scrubber)),
                None if name == DEFAULT => scrubbers.extend(Scrub::default().0),
                None => return Err(D::Error::custom(unknown(&name))),
            }
        }
        Ok(Scrub(scrubbers))
    }
}

impl JsonSchema for Scrub {
    fn schema_name() -> Cow<'static, str> {
        "Scrub".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = names().collect();
        json_schema!({
            "description": "Names of scrubbers; \"default\" stands for those of the default.",
            "type": "array",
            "items": { "type": "string", "enum": names },
        })
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    [DEFAULT].into_iter().chain(Scrubber::ALL.map(Scrubber::name))
}

fn unknown(name: &str) -> String {
    match nearest(name, names()) {
        Some(near) => format!("no scrubber is called `{name}`; did you mean `{near}`?"),
        None => format!("no scrubber is called `{name}`; there are {}", names().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_listed_once_in_the_order_of_their_names() {
        let names = Scrubber::ALL.map(Scrubber::name);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        assert!(Scrubber::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_list_adds_to_the_default_only_if_it_says_so() {
        let read = |json: &str| serde_json::from_str::<Scrub>(json).unwrap().iter().collect::<Vec<_>>();
        assert_eq!(read("[]"), []);
        assert_eq!(read(r#"["pyc", "apt-lists", "pyc"]"#), [Scrubber::AptLists, Scrubber::Pyc]);
        assert_eq!(read(r#"["default"]"#), Scrub::default().iter().collect::<Vec<_>>());
        assert_eq!(read(r#"["apt-lists", "default"]"#).len(), Scrub::default().iter().count() + 1);
    }
}
