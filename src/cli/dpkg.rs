//! The Debian packages of an image, by dpkg's own list: `/var/lib/dpkg/status`, or a file a package in `status.d` where
//! images have no dpkg.

use std::collections::BTreeMap;

use crate::entry::{Content, Entry, Kind};
use crate::image::{self, Image, ImageError};
use crate::store::Store;

/// The largest list that is read, in bytes; that of a full desktop has some 5 MiB.
const MAX_LIST: u64 = 64 << 20;

/// Versions of the packages that are installed, by name; none where dpkg is not used. A name that is installed for several
/// architectures is `name:architecture`.
///
/// # Errors
/// A layer cannot be read.
pub(super) fn packages(store: &Store, image: &Image) -> Result<BTreeMap<String, String>, ImageError> {
    let tree = image::tree(store, image)?;
    let list = |Entry { path, kind, .. }: Entry| match kind {
        Kind::File { content } if is_list(path.as_bytes()) && content.size <= MAX_LIST => Some(content),
        _ => None,
    };
    let mut lists: Vec<Content> = tree.entries().filter_map(list).collect();
    image::spool_contents(store, image.layers(), &mut lists.iter_mut().collect::<Vec<_>>())?;
    let mut packages = Packages::default();
    for list in &lists {
        let bytes =
            list.read_all(MAX_LIST).map_err(|source| ImageError::Io { path: store.root().to_owned(), source })?;
        packages.add(&String::from_utf8_lossy(&bytes));
    }
    Ok(packages.by_name())
}

fn is_list(path: &[u8]) -> bool {
    let Some(name) = path.strip_prefix(b"var/lib/dpkg/status") else { return false };
    name.is_empty() || (name.starts_with(b".d/") && !name.ends_with(b".md5sums"))
}

/// Version by name and architecture.
#[derive(Default)]
struct Packages(BTreeMap<(String, String), String>);

impl Packages {
    /// Adds the stanzas of a list (deb-control(5)).
    fn add(&mut self, list: &str) {
        for stanza in list.split("\n\n") {
            let field = |name: &str| {
                let line = stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.map(|value| value.trim().to_owned())
            };
            let is_installed = field("Status").is_none_or(|status| status.ends_with(" installed"));
            if let (Some(name), Some(version), true) = (field("Package"), field("Version"), is_installed) {
                self.0.insert((name, field("Architecture").unwrap_or_default()), version);
            }
        }
    }

    fn by_name(self) -> BTreeMap<String, String> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        self.0.keys().for_each(|(name, _)| *counts.entry(name.clone()).or_default() += 1);
        let named = self.0.into_iter().map(|((name, architecture), version)| match counts[&name] {
            1 => (name, version),
            _ => (format!("{name}:{architecture}"), version),
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_packages_are_listed_with_their_architecture_where_it_matters() {
        let mut packages = Packages::default();
        packages.add(
            "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nDescription: GNU\n C Library\n\n\
             Package: libc6\nStatus: hold ok installed\nArchitecture: i386\nVersion: 2.36-9\n\n\
             Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n\
             Package: broken\nStatus: install ok installed\n",
        );
        packages.add("Package: base-files\nVersion: 12.4\nArchitecture: all\n");
        let found: Vec<String> = packages.by_name().iter().map(|(name, version)| format!("{name} {version}")).collect();
        assert_eq!(found, ["base-files 12.4", "libc6:amd64 2.36-9", "libc6:i386 2.36-9"]);
    }
}
