//! What targets and their parts are called in progress lines, in an image's history and in errors.

use crate::diagnostic::Spanned;
use crate::oci::Reference;

use super::base::{Base, OciReference};
use super::git::Git;
use super::layer::{Archive, LayerSpec};
use super::place::PlaceSource;
use super::source::{ArchiveSource, Fetch, FileSource, Sources};

impl Base {
    /// The base in a few words.
    pub fn title(&self) -> String {
        match self {
            Base::Scratch => "scratch".into(),
            // With a tag, a step keeps its title when the digest moves, and is compared with what it was.
            Base::Oci(OciReference { reference }) => match &reference.tag {
                Some(_) => Reference { digest: None, ..reference.clone() }.to_string(),
                None => reference.to_string(),
            },
            Base::OciLayout(layout) => match &layout.directory {
                Some(directory) => directory.name.clone(),
                None => layout.package.join(&layout.path).to_string(),
            },
            Base::OciArchive(archive) => archive.package.join(&archive.path).to_string(),
            Base::DockerArchive(archive) => archive.package.join(&archive.path).to_string(),
            Base::Target(label) => label.to_string(),
        }
    }
}

impl LayerSpec {
    /// The layer in a few words: the builtin and what it mainly concerns. It is part of the image's history, so
    /// another wording gives other digests (docs/encoding-v1.md).
    pub fn title(&self) -> String {
        match self {
            LayerSpec::Files(files) => format!("files {}", files.dest),
            LayerSpec::Write(write) => format!("write {}", write.path),
            LayerSpec::Dir(dir) => format!("dir {}", dir.path),
            LayerSpec::Symlink(link) => format!("symlink {}", link.path),
            LayerSpec::Accounts(accounts) => {
                let users = accounts.users.iter().map(|user| user.name.as_str());
                let names: Vec<&str> = users.chain(accounts.groups.iter().map(|group| group.name.as_str())).collect();
                format!("accounts {}", names.join(" "))
            }
            LayerSpec::Archive(archive) => format!("archive {} {}", archive.src.value.title(), archive.dest),
            LayerSpec::Place(place) => place.instruction.clone(),
            LayerSpec::Copy(copy) => format!("copy {} {}", copy.image.value.title(), copy.dest),
            LayerSpec::Run(run) => run.title(),
        }
    }

    /// The fetches among the layer's sources, in the order of their appearance, each with its place.
    pub fn fetches(&self) -> Vec<Spanned<Fetch>> {
        let fetch = |source: &Spanned<FileSource>| match &source.value {
            FileSource::Path(_) => None,
            FileSource::Fetch(fetch) => Some(Spanned { value: fetch.clone(), span: source.span.clone() }),
        };
        match self {
            LayerSpec::Files(files) => files.srcs.iter().filter_map(fetch).collect(),
            LayerSpec::Archive(Archive { src: Spanned { value: ArchiveSource::Fetch(fetch), span }, .. }) => {
                vec![Spanned { value: fetch.clone(), span: span.clone() }]
            }
            LayerSpec::Place(place) => {
                let fetch = |source: &Spanned<PlaceSource>| match &source.value {
                    PlaceSource::Fetch { fetch, .. } => {
                        Some(Spanned { value: fetch.clone(), span: source.span.clone() })
                    }
                    PlaceSource::Path(_) | PlaceSource::Git { .. } => None,
                };
                place.srcs.iter().filter_map(fetch).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The commits whose files the layer unpacks, in the order of their appearance, each with its place.
    pub fn commits(&self) -> Vec<Spanned<Git>> {
        match self {
            LayerSpec::Archive(Archive { src: Spanned { value: ArchiveSource::Git(git), span }, .. }) => {
                vec![Spanned { value: git.clone(), span: span.clone() }]
            }
            LayerSpec::Place(place) => {
                let commit = |source: &Spanned<PlaceSource>| match &source.value {
                    PlaceSource::Git { git, .. } => Some(git.clone()),
                    PlaceSource::Path(_) | PlaceSource::Fetch { .. } => None,
                };
                place.srcs.iter().filter_map(commit).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl FileSource {
    /// The source in a few words.
    pub fn title(&self) -> String {
        match self {
            FileSource::Path(path) => path.to_string(),
            FileSource::Fetch(fetch) => fetch.title(),
        }
    }
}

impl ArchiveSource {
    /// The source in a few words.
    pub fn title(&self) -> String {
        match self {
            ArchiveSource::Path(path) => path.to_string(),
            ArchiveSource::Fetch(fetch) => fetch.title(),
            ArchiveSource::Git(git) => git.title(),
        }
    }
}

impl Git {
    /// The commit in a few words: its repository's own name, and the ref.
    pub fn title(&self) -> String {
        format!("{}#{}", self.url.title(), self.name)
    }
}

impl Fetch {
    /// The file in a few words: its name, where it has one.
    pub fn title(&self) -> String {
        self.file_name().unwrap_or("a file").to_owned()
    }
}

impl<S> Sources<S> {
    /// The sources without their destinations.
    pub fn iter(&self) -> Box<dyn Iterator<Item = &Spanned<S>> + '_> {
        match self {
            Sources::List(sources) => Box::new(sources.iter()),
            Sources::Map(sources) => Box::new(sources.iter().map(|(_, source)| source)),
        }
    }
}
