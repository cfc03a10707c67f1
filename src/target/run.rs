//! The builtin that makes a layer by running a command.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU64};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::diagnostic::Spanned;
use crate::path::ImagePath;

use super::decode;
use super::field::Owner;
use super::mount::{self, Mount, MountSource};
use super::network::Network;
use super::scrub::Scrub;

/// A command that runs in the image below, in a sandbox, by default without network; the files that it changes are the layer. It
/// runs as root of that image, sees one processor, and has `PATH`, `HOME`, `LANG=C.UTF-8`, `TZ=UTC` and
/// `SOURCE_DATE_EPOCH` (the workspace's epoch) in its environment; nothing of the machine reaches it. What it makes gets the
/// epoch as its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// A list of the program and its arguments, or a string, which `/bin/sh -c` of the image runs.
    pub command: Command,
    /// Environment variables, as a map; one that is set here replaces the sandbox's own.
    #[serde(default, deserialize_with = "environment")]
    pub env: BTreeMap<String, String>,
    /// The directory in which the command starts; it must exist.
    #[serde(default = "ImagePath::root")]
    #[schemars(with = "String")]
    pub workdir: ImagePath,
    /// As whom the command runs: `user[:group]`, by number or by a name that the image below has in `/etc/passwd` and
    /// `/etc/group`; by default root. The home directory is that of `/etc/passwd`, and so is the group unless one is given
    /// here; a number that is not in there gets `HOME=/` and group 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Owner>")]
    pub user: Option<Spanned<Owner>>,
    /// What the command sees beside the image: `bind(...)`, `cache(...)`, `tmpfs(...)`, `secret(...)` and `ssh(...)`; lists
    /// in it are flattened.
    #[serde(default, deserialize_with = "decode::flat_list", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Mount>")]
    pub mounts: Vec<Spanned<Mount>>,
    /// Files that only the command sees, as a map from the path to a layer or an image: short for read-only binds.
    #[serde(default, deserialize_with = "mount::inputs", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, MountSource>")]
    pub inputs: BTreeMap<ImagePath, Spanned<MountSource>>,
    /// The paths that are kept of what the command changes, with all that is below them; by default everything. That one does
    /// not exist afterwards is an error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub outputs: Vec<ImagePath>,
    /// How many processors the command sees. A command whose output depends on it gives the same on every machine that has
    /// as many.
    #[serde(default = "one")]
    pub cpus: NonZeroU16,
    /// `"none"`, or `"host"`: that of the machine. What a command gets from there nothing pins, so the step is marked as not
    /// hermetic wherever it is shown, and `--hermetic` refuses it.
    #[serde(default)]
    pub network: Network,
    /// The RUN that the command is, of a Dockerfile: its title.
    #[serde(skip)]
    pub instruction: Option<String>,
    /// What the command finds in /etc/hosts. From a Dockerfile's command line only.
    #[serde(skip)]
    pub hosts: Vec<(String, IpAddr)>,
    /// Environment variables that say by which way the network is reached, of a command that has it: no input of it.
    #[serde(skip)]
    pub proxies: BTreeMap<String, String>,
    /// How many bytes of memory the command and all that it starts may use together, where control groups can bound that; else
    /// each process. By default as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<NonZeroU64>,
    /// Seconds after which the command is ended and the build fails.
    #[serde(default = "hour")]
    pub timeout: u32,
    /// Noise that is kept out of the layer, by the names in "Scrubbers" of the page about steps; `[]` keeps all. "default"
    /// stands for those of the default, so `["default", "apt-lists"]` adds one.
    #[serde(default)]
    pub scrub: Scrub,
}

impl Run {
    /// A command with nothing else said about it.
    pub fn new(command: Command) -> Self {
        let (env, workdir, user, scrub) = (BTreeMap::new(), ImagePath::root(), None, Scrub::default());
        let (mounts, inputs, outputs) = (Vec::new(), BTreeMap::new(), Vec::new());
        let (network, instruction, hosts, proxies) = (Network::None, None, Vec::new(), BTreeMap::new());
        let (cpus, memory, timeout) = (one(), None, hour());
        Run {
            command,
            env,
            workdir,
            user,
            mounts,
            inputs,
            outputs,
            cpus,
            network,
            instruction,
            hosts,
            proxies,
            memory,
            timeout,
            scrub,
        }
    }
}

impl Run {
    /// The command in a few words: as its Dockerfile has it, else `run` and its first line.
    pub fn title(&self) -> String {
        self.instruction.as_deref().map_or_else(|| format!("run {}", self.command.title()), shortened)
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Command {
    /// For the shell of the image.
    Shell(String),
    /// The program and its arguments, at least the program.
    Argv(Vec<String>),
}

impl Command {
    /// The program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
            Command::Argv(argv) => argv.clone(),
        }
    }

    /// The command in a few words: its first line, shortened.
    fn title(&self) -> String {
        match self {
            Command::Shell(text) => shortened(text.trim()),
            Command::Argv(argv) => shortened(&argv.join(" ")),
        }
    }
}

/// The first line of a text, or the beginning of it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let first = text.lines().next().unwrap_or_default();
    let mut title: String = first.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if title.len() < text.len() {
        title.push('…');
    }
    title
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CommandVisitor;

        impl<'de> Visitor<'de> for CommandVisitor {
            type Value = Command;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a command: a string for the shell, or a list of the program and its arguments")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Command, E> {
                checked(text).map(Command::Shell)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Command, A::Error> {
                let mut argv = Vec::new();
                while let Some(item) = items.next_element::<String>()? {
                    argv.push(checked(&item)?);
                }
                match argv.first().is_some_and(|program| !program.is_empty()) {
                    true => Ok(Command::Argv(argv)),
                    false => Err(A::Error::custom("a command needs a program")),
                }
            }
        }

        deserializer.deserialize_any(CommandVisitor)
    }
}

fn environment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let variables = BTreeMap::<String, String>::deserialize(deserializer)?;
    let is_bad =
        |(name, value): &(&String, &String)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
    match variables.iter().find(is_bad) {
        None => Ok(variables),
        Some((name, _)) => Err(D::Error::custom(format!("`{name}` cannot be an environment variable"))),
    }
}

fn checked<E: Error>(text: &str) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a command cannot have a NUL character")) } else { Ok(text.to_owned()) }
}

impl JsonSchema for Command {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A string for /bin/sh -c, or a list of the program and its arguments.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" }, "minItems": 1 }],
        })
    }
}

fn one() -> NonZeroU16 {
    NonZeroU16::MIN
}

fn hour() -> u32 {
    3600
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_shortened() {
        let title = |text: &str| Command::Shell(text.to_owned()).title();
        assert_eq!(title("make install"), "make install");
        assert_eq!(title("\n  set -e\n  make\n"), "set -e…");
        assert_eq!(title(&"x".repeat(70)), format!("{}…", "x".repeat(60)));
        assert_eq!(Command::Argv(vec!["a".into(), "b\tc".into()]).title(), "a b c");
    }
}
