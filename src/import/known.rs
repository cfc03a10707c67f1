//! What can be known of an image's files without building it: as far as COPY and WORKDIR ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::ImageConfig;

/// Directories of every image that is more than a program (hier(7)), and of well-known ones.
const USUAL: [&str; 37] = [
    "/bin",
    "/boot",
    "/dev",
    "/docker-entrypoint-initdb.d",
    "/etc",
    "/etc/nginx/conf.d",
    "/etc/ssl/certs",
    "/home",
    "/home/node",
    "/lib",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/sbin",
    "/usr/share",
    "/usr/share/nginx/html",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/tmp",
    "/var/www",
    "/var/www/html",
];

/// Names that directories have and programs do not.
const OF_DIRECTORIES: [&str; 26] = [
    ".next",
    ".output",
    ".venv",
    "assets",
    "bin",
    "build",
    "client",
    "config",
    "deps",
    "dist",
    "html",
    "include",
    "lib",
    "node_modules",
    "out",
    "public",
    "publish",
    "release",
    "share",
    "site",
    "site-packages",
    "src",
    "standalone",
    "static",
    "vendor",
    "venv",
];

/// The files of a stage so far.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// True for a directory.
    paths: BTreeMap<String, bool>,
    /// What is not in `paths` is not there.
    is_whole: bool,
}

impl Known {
    /// An image without files.
    pub(super) fn nothing() -> Self {
        Known { paths: BTreeMap::new(), is_whole: true }
    }

    /// An image of a registry.
    pub(super) fn base(config: &ImageConfig) -> Self {
        let mut known = Known { paths: BTreeMap::new(), is_whole: false };
        USUAL.iter().for_each(|path| known.directory(path));
        known.directory(&config.config.working_dir);
        config.config.volumes.keys().for_each(|path| known.directory(path));
        known
    }

    /// A directory is made, with those above it.
    pub(super) fn directory(&mut self, path: &str) {
        for path in with_ancestors(path) {
            self.paths.insert(path, true);
        }
    }

    /// A file is made.
    pub(super) fn file(&mut self, path: &str) {
        self.directory(parent(path));
        self.paths.insert(clean(path), false);
    }

    /// A command is run in a directory.
    pub(super) fn command(&mut self, script: &str, workdir: &str) {
        self.is_whole = false;
        for command in script.split(['&', ';', '|', '\n']) {
            let mut words = command.split_whitespace();
            if words.next() == Some("mkdir") {
                let is_plain = |word: &&str| !word.starts_with('-') && !word.contains(['$', '{', '*', '"', '\'']);
                for path in words.filter(is_plain) {
                    let above = if path.starts_with('/') { "" } else { workdir };
                    self.directory(&format!("{above}/{path}"));
                }
            }
        }
    }

    /// Whether a directory lies at a path; `None` if that cannot be known.
    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        match self.paths.get(&clean(path)) {
            _ if clean(path) == "/" => Some(Kind::Directory),
            Some(true) => Some(Kind::Directory),
            Some(false) => Some(Kind::File),
            None if self.is_whole => Some(Kind::Nothing),
            None => None,
        }
    }

    /// Of a path in another stage, whether it is a directory; `None` if that cannot be known.
    pub(super) fn source(&self, path: &str) -> Option<bool> {
        if path.ends_with('/') || path.ends_with("/.") {
            return Some(true);
        }
        match self.kind(path)? {
            Kind::Directory => Some(true),
            Kind::File => Some(false),
            Kind::Nothing => None,
        }
    }

    /// Whether a path has a name that directories mostly have.
    pub(super) fn looks_like_directory(path: &str) -> bool {
        let path = clean(path);
        let name = self::name(&path);
        // A release of Erlang's tools.
        let is_release = self::name(parent(&path)) == "rel";
        is_release || OF_DIRECTORIES.contains(&name) || path == "/app"
    }

    /// The directories that have to be made for this one, topmost first.
    pub(super) fn missing(&self, directory: &str) -> Vec<String> {
        let missing: BTreeSet<String> =
            with_ancestors(directory).filter(|path| self.kind(path) != Some(Kind::Directory)).collect();
        missing.into_iter().collect()
    }
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Nothing,
}

/// The path with one slash before each name and none at its end.
pub(super) fn clean(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    format!("/{}", names.join("/"))
}

/// What is above a path.
pub(super) fn parent(path: &str) -> &str {
    path.trim_end_matches('/').rsplit_once('/').map_or("", |(above, _)| above)
}

/// The last name of a path.
pub(super) fn name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

fn with_ancestors(path: &str) -> impl Iterator<Item = String> {
    let clean = clean(path);
    let ends: Vec<usize> = clean.match_indices('/').map(|(at, _)| at).skip(1).chain([clean.len()]).collect();
    ends.into_iter().map(move |end| clean[..end].to_owned()).filter(|path| path.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_known() {
        let mut known = Known::nothing();
        known.file("/srv/a/f");
        assert_eq!(known.kind("/srv/a/"), Some(Kind::Directory));
        assert_eq!(known.kind("/srv/a/f"), Some(Kind::File));
        assert_eq!(known.kind("/x"), Some(Kind::Nothing));
        assert_eq!(known.missing("/srv/b/c"), ["/srv/b", "/srv/b/c"]);
        known.command("apt-get update && mkdir -p /data/x \"$y\" z && true", "/w");
        assert_eq!((known.kind("/data/x"), known.kind("/y")), (Some(Kind::Directory), None));
        assert_eq!(known.kind("/w/z"), Some(Kind::Directory));
    }
}
