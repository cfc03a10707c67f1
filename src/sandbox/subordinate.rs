//! Ids that belong to an ordinary user: the ranges of /etc/subuid and /etc/subgid (subuid(5)), and the programs that put
//! them into a user namespace (newuidmap(1)).

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};
use serde::{Deserialize, Serialize};

/// How many users and groups there are in the namespace, on every machine: 0, which is whoever builds, and further ones from
/// the ranges.
pub(super) const IDS: u32 = 1 << 16;

/// Where the programs are.
const PROGRAMS: [&str; 5] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin"];

/// Why an ordinary user has no subordinate ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoIds {
    #[error("there is no program `{0}`; install the package `uidmap` (`shadow-utils` on some systems)")]
    Program(&'static str),
    #[error(
        "{file} gives `{user}` {found} ids, and {IDS} are needed; as root: \
         usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
    )]
    Range { file: &'static str, user: String, found: u64 },
}

/// How the ids of a user namespace are ids outside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Mapping {
    pub users: Map,
    pub groups: Map,
}

/// A program that writes a map, and the map.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Map {
    pub program: PathBuf,
    /// First id inside, first id outside, number of ids.
    pub ranges: Vec<(u32, u32, u32)>,
}

impl Mapping {
    /// That of this process's user.
    ///
    /// # Errors
    /// There are no programs, or too few ids.
    pub fn of_user() -> Result<Self, NoIds> {
        let programs = (program("newuidmap")?, program("newgidmap")?);
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let name = fs::read_to_string("/etc/passwd").ok().and_then(|text| name_of(&text, uid));
        let names = [name.clone().unwrap_or_default(), uid.to_string()];
        let map = |file: &'static str, own, program| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let ranges = ranges(&text, &names, own).map_err(|found| {
                let user = name.clone().unwrap_or_else(|| uid.to_string());
                NoIds::Range { file, user, found }
            })?;
            Ok(Map { program, ranges })
        };
        Ok(Mapping { users: map("/etc/subuid", uid, programs.0)?, groups: map("/etc/subgid", gid, programs.1)? })
    }
}

fn program(name: &'static str) -> Result<PathBuf, NoIds> {
    let mut paths = PROGRAMS.iter().map(|directory| Path::new(directory).join(name));
    paths.find(|path| path.is_file()).ok_or(NoIds::Program(name))
}

/// The name of a user in the text of /etc/passwd.
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.get(2).is_some_and(|field| field.parse() == Ok(uid)))?;
    Some(fields[0].to_owned())
}

/// Maps 0 to `own`, and the others to what the text of /etc/subuid or /etc/subgid gives to one of these names; else how many ids
/// it gives.
fn ranges(text: &str, names: &[String], own: u32) -> Result<Vec<(u32, u32, u32)>, u64> {
    let mut ranges = vec![(0, own, 1)];
    let (mut mapped, mut found) = (1, 0);
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [name, start, count] = fields.as_slice() else { continue };
        let (Ok(start), Ok(count)) = (start.parse::<u32>(), count.parse::<u32>()) else { continue };
        if name.is_empty() || !names.iter().any(|own| own == name) {
            continue;
        }
        found += u64::from(count);
        let count = count.min(IDS - mapped);
        if count > 0 {
            ranges.push((mapped, start, count));
            mapped += count;
        }
    }
    if found >= u64::from(IDS) { Ok(ranges) } else { Err(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number_and_add_up() {
        let names = ["ann".to_owned(), "1000".to_owned()];
        let of = |text: &str| ranges(text, &names, 1000);
        assert_eq!(of("bob:1:65536\nann:100000:65536\n"), Ok(vec![(0, 1000, 1), (1, 100_000, 65_535)]));
        assert_eq!(
            of("1000:5:40000\nann:100000:40000"),
            Ok(vec![(0, 1000, 1), (1, 5, 40_000), (40_001, 100_000, 25_535)])
        );
        assert_eq!(of("ann:5:70000\nann:100000:40000"), Ok(vec![(0, 1000, 1), (1, 5, 65_535)]));
        assert_eq!(of("ann:100000:65535"), Err(65_535));
        assert_eq!(of("# ann\nann:x:65536\nann:1\n:1:65536\n"), Err(0));
    }

    #[test]
    fn a_user_without_a_name_has_none() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(name_of(passwd, 7), None);
    }
}
