//! A control group that bounds the memory of a step, where this machine lets whoever builds make one (cgroups(7)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

/// The group of one step. It is removed with the value, when its processes are gone.
pub(super) struct Cgroup(PathBuf);

/// How often it is tried to remove a group whose last process is about to end.
const ATTEMPTS: usize = 10_000;

impl Cgroup {
    /// A new group for at most so many bytes; none if there can be none.
    pub(super) fn new(memory: u64, name: &str) -> Option<Cgroup> {
        parents().into_iter().find_map(|(parent, version)| {
            let group = Cgroup(parent.join(format!("ocify-{name}")));
            fs::create_dir(&group.0).ok()?;
            let limited = match version {
                Version::One => fs::write(group.0.join("memory.limit_in_bytes"), memory.to_string()).map(|()| {
                    // Where swap is not counted, this is missing.
                    let _ = fs::write(group.0.join("memory.memsw.limit_in_bytes"), memory.to_string());
                }),
                Version::Two => fs::write(group.0.join("memory.max"), memory.to_string()).map(|()| {
                    let _ = fs::write(group.0.join("memory.swap.max"), "0");
                }),
            };
            limited.ok().map(|()| group)
        })
    }

    /// Puts a process into the group, with all that it starts from now on.
    pub(super) fn add(&self, process: u32) -> io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), process.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            match fs::remove_dir(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::yield_now(),
                _ => return,
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Version {
    One,
    Two,
}

/// Groups in which one may be made, if whoever builds may write there. In version 2 a group with processes has no children with
/// limits, so it is the parent of this process's own.
fn parents() -> Vec<(PathBuf, Version)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (own, mounts) = (read("/proc/self/cgroup"), read("/proc/self/mountinfo"));
    let mut parents = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        if controllers.split(',').any(|one| one == "memory") {
            parents.extend(directory(&mounts, "cgroup", "memory", path).map(|own| (own, Version::One)));
        }
        if let Some(own) = directory(&mounts, "cgroup2", "", path).filter(|_| controllers.is_empty()) {
            let above = own.parent().map(Path::to_owned);
            parents
                .extend(above.into_iter().chain([own]).filter(|path| gives_memory(path)).map(|it| (it, Version::Two)));
        }
    }
    parents
}

fn gives_memory(group: &Path) -> bool {
    let controllers = fs::read_to_string(group.join("cgroup.subtree_control")).unwrap_or_default();
    controllers.split_whitespace().any(|one| one == "memory")
}

/// Where the group `path` lies, by the mounts of this process (proc_pid_mountinfo(5)).
fn directory(mounts: &str, kind: &str, option: &str, path: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let is_kind = system.next() == Some(kind);
        let has_option = option.is_empty() || system.nth(1)?.split(',').any(|one| one == option);
        let mut mount = mount.split(' ').skip(3);
        let (root, place) = (mount.next()?, mount.next()?);
        let below = Path::new(path).strip_prefix(root).ok().filter(|_| is_kind && has_option)?;
        Some(Path::new(place).join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_mounts() {
        let mounts = "30 22 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
            31 22 0:27 /box /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        let found = |kind, option, path| directory(mounts, kind, option, path);
        assert_eq!(found("cgroup", "memory", "/a/b"), Some("/sys/fs/cgroup/memory/a/b".into()));
        assert_eq!(found("cgroup2", "", "/box/c"), Some("/sys/fs/cgroup/unified/c".into()));
        assert_eq!(found("cgroup2", "", "/elsewhere"), None);
        assert_eq!(found("cgroup", "pids", "/a"), None);
    }
}
