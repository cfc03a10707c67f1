//! Where images are: in the store, in registries, in layouts and in archives.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::diagnostic::Diagnostic;
use crate::image::{ImageOrIndex, Listed, Wanted, read_docker_archive, read_layout, read_oci_archive, sink};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::registry::{self, Client, Which};
use crate::store::Store;

use super::{name, pull, push, tag};

/// A place of one image or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `NAME` or `store:NAME`.
    Store(String),
    /// `registry:NAME` or `docker://NAME`, in full.
    Registry(Reference),
    /// `KIND:PATH` or `KIND:PATH:NAME`.
    Disk { kind: Kind, path: PathBuf, name: Option<String> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Layout,
    OciArchive,
    DockerArchive,
}

const KINDS: [(&str, Kind); 3] =
    [("oci", Kind::Layout), ("oci-archive", Kind::OciArchive), ("docker-archive", Kind::DockerArchive)];

impl FromStr for Place {
    type Err = String;

    /// As in skopeo, the path of a place ends at its first colon, and the rest is a name.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the name is empty".into());
        }
        let (prefix, rest) = text.split_once(':').unwrap_or((text, ""));
        if let ("store", false) = (prefix, rest.is_empty()) {
            return Ok(Place::Store(rest.to_owned()));
        }
        if let Some(name) = text.strip_prefix("registry:").or_else(|| text.strip_prefix("docker://")) {
            let name: Reference = name.parse().map_err(|error| format!("{error}"))?;
            return Ok(Place::Registry(name.canonical()));
        }
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == prefix && text.len() > prefix.len()) else {
            return Ok(Place::Store(text.to_owned()));
        };
        let (path, name) = rest.split_once(':').map_or((rest, None), |(path, name)| (path, Some(name.to_owned())));
        match (path, name.as_deref()) {
            ("", _) => Err(format!("the path is missing; it should look like {prefix}:PATH or {prefix}:PATH:NAME")),
            (_, Some("")) => Err(format!("the name after `{prefix}:{path}:` is missing")),
            _ => Ok(Place::Disk { kind: *kind, path: path.into(), name }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Store(name) => f.write_str(name),
            Place::Registry(name) => write!(f, "registry:{name}"),
            Place::Disk { kind, path, name } => {
                let prefix = KINDS.iter().find(|(_, known)| known == kind).map_or("", |(prefix, _)| prefix);
                write!(f, "{prefix}:{}", path.display())?;
                name.iter().try_for_each(|name| write!(f, ":{name}"))
            }
        }
    }
}

impl Place {
    /// What is there, brought into the store if it is elsewhere: a whole index, or of it the image for `platform`.
    /// Layers of a registry are brought when somebody reads them.
    pub(super) fn read(
        &self,
        platform: Option<&Platform>,
        client: &Client,
        store: &Store,
    ) -> Result<Listed, Diagnostic> {
        let Listed { what, names } = match self {
            Place::Store(text) => {
                let (found, what) = name::load(text, store)?;
                Listed { what, names: found.name.into_iter().collect() }
            }
            Place::Registry(name) => {
                let which = platform.map_or(Which::All, Which::Platform);
                let what =
                    registry::pull_documents(client, name, which, store).map_err(|error| pull::failed(name, error))?;
                Listed { what, names: vec![name.to_string()] }
            }
            Place::Disk { kind, path, name } => read_from_disk(*kind, path, name.as_deref(), store)?,
        };
        let what = match platform {
            Some(_) => name::select(&self.to_string(), &what, platform)?.clone().into(),
            None => what,
        };
        Ok(Listed { what, names })
    }

    /// Writes an image or index there, under the place's name if it has one.
    pub(super) fn write(&self, what: &ImageOrIndex, client: &Client, store: &Store) -> Result<(), Diagnostic> {
        let (kind, path, name) = match self {
            Place::Store(name) => {
                let layers = what.images().into_iter().flat_map(|image| &image.manifest().layers);
                store
                    .bring_all(&layers.collect::<Vec<_>>())
                    .map_err(|error| Diagnostic::failure(format!("`{self}` cannot be written")).caused_by(error))?;
                return name::set(&[tag::target(name)?], &what.descriptor(), store);
            }
            Place::Registry(name) => {
                return push::push(what, std::slice::from_ref(name), store, client, false).map(drop);
            }
            Place::Disk { kind, path, name } => (kind, path, name),
        };
        let names: Vec<String> = name.iter().cloned().collect();
        let written = match (kind, what) {
            (Kind::Layout, _) => sink::oci_layout(store, what, &names, path),
            (Kind::OciArchive, _) => sink::oci_archive(store, what, &names, path),
            (Kind::DockerArchive, ImageOrIndex::Image(image)) => sink::docker_archive(store, image, &names, path),
            (Kind::DockerArchive, ImageOrIndex::Index(_)) => return Err(refuse_index(&self.to_string(), what)),
        };
        written.map_err(|error| Diagnostic::failure(format!("`{self}` cannot be written")).caused_by(error))
    }

    /// Finds out before anything is read that the place cannot be written to.
    pub(super) fn check_writable(&self) -> Result<(), Diagnostic> {
        match self {
            Place::Store(name) => tag::target(name).map(drop),
            Place::Registry(_) | Place::Disk { .. } => Ok(()),
        }
    }
}

/// The error that an index cannot be written where only one image can be.
pub(super) fn refuse_index(place: &str, what: &ImageOrIndex) -> Diagnostic {
    let platforms = name::list(name::runnable(what).iter().map(|image| image.platform()));
    Diagnostic::spec(format!("`{place}` takes images, not indexes of several"))
        .help(format!("choose one with `--platform` ({platforms}), or write `oci:` or `oci-archive:`"))
}

fn read_from_disk(kind: Kind, path: &Path, name: Option<&str>, store: &Store) -> Result<Listed, Diagnostic> {
    let unreadable = || Diagnostic::failure(format!("no image can be read from {}", path.display()));
    let wanted = name.map_or(Wanted::Only, Wanted::Named);
    let open = || File::open(path).map_err(|error| unreadable().caused_by(error));
    let listed = match kind {
        Kind::Layout => read_layout(path, wanted, store),
        Kind::OciArchive => read_oci_archive(open()?, path, wanted, store),
        Kind::DockerArchive => read_docker_archive(open()?, path, wanted, store),
    };
    let listed = listed.map_err(|error| unreadable().caused_by(error))?;
    listed.into_iter().next().ok_or_else(|| unreadable().help("it lists none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_kind_a_path_and_a_name() {
        let disk = |kind, path: &str, name: Option<&str>| Place::Disk {
            kind,
            path: path.into(),
            name: name.map(str::to_owned),
        };
        for (text, place) in [
            ("web", Place::Store("web".into())),
            ("store:web:1", Place::Store("web:1".into())),
            ("localhost:5000/web:1", Place::Store("localhost:5000/web:1".into())),
            ("//shop:web", Place::Store("//shop:web".into())),
            ("registry:[::1]:5000/web:1", Place::Registry("[::1]:5000/web:1".parse().unwrap())),
            ("oci:out", disk(Kind::Layout, "out", None)),
            ("oci:/a/out:localhost:5000/web:1", disk(Kind::Layout, "/a/out", Some("localhost:5000/web:1"))),
            ("oci-archive:a.tar:web", disk(Kind::OciArchive, "a.tar", Some("web"))),
            ("docker-archive:a.tar", disk(Kind::DockerArchive, "a.tar", None)),
            ("oci", Place::Store("oci".into())),
        ] {
            assert_eq!(text.parse(), Ok(place.clone()), "{text}");
            assert_eq!(place.to_string().parse(), Ok(place), "{text}");
        }
        let hub = Place::Registry("docker.io/library/web:latest".parse().unwrap());
        assert_eq!(("registry:web".parse(), "docker://web".parse()), (Ok(hub.clone()), Ok(hub)));
        for text in ["", "registry:A", "oci:", "oci::x", "docker-archive:a.tar:"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
