//! `-o KIND:PATH`: where else a built image goes.

use std::path::PathBuf;
use std::str::FromStr;

use crate::diagnostic::{Diagnostic, nearest};
use crate::image::{ImageOrIndex, sink};
use crate::store::Store;
use crate::tree::Skipped;

/// One `-o` argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    kind: Kind,
    path: PathBuf,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    OciLayout,
    OciArchive,
    DockerArchive,
    Directory,
    Tar,
}

const KINDS: [(&str, Kind); 5] = [
    ("oci", Kind::OciLayout),
    ("oci-archive", Kind::OciArchive),
    ("docker-archive", Kind::DockerArchive),
    ("dir", Kind::Directory),
    ("tar", Kind::Tar),
];

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || KINDS.iter().map(|(name, _)| *name);
        let known = names().collect::<Vec<_>>().join(", ");
        let (name, path) =
            text.split_once(':').ok_or_else(|| format!("it should look like KIND:PATH, with a KIND of {known}"))?;
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == name) else {
            return Err(match nearest(name, names()) {
                Some(near) => format!("there is no output `{name}`; did you mean `{near}`?"),
                None => format!("there is no output `{name}`; known are {known}"),
            });
        };
        if path.is_empty() {
            return Err("the path is missing".into());
        }
        Ok(Output { kind: *kind, path: path.into(), text: text.to_owned() })
    }
}

impl Output {
    /// True if the output can take several images.
    pub(super) fn takes_many(&self) -> bool {
        self.kind == Kind::OciLayout
    }

    /// True if the output can take an index.
    pub(super) fn takes_indexes(&self) -> bool {
        matches!(self.kind, Kind::OciLayout | Kind::OciArchive)
    }

    /// The error for an index that is sent to an output that takes none.
    pub(super) fn refuse_index(&self) -> Diagnostic {
        Diagnostic::spec(format!("`-o {}` takes one image, not an index", self.text))
            .help("choose one platform with `--platform`, name the image of one, or use `oci:` or `oci-archive:`")
    }

    /// As the user wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Writes a built target, listed under `names` where the format has names.
    pub(super) fn write(&self, built: &ImageOrIndex, names: &[String], store: &Store) -> Result<(), Diagnostic> {
        let written = match (self.kind, built) {
            (Kind::OciLayout, _) => sink::oci_layout(store, built, names, &self.path),
            (Kind::OciArchive, _) => sink::oci_archive(store, built, names, &self.path),
            (Kind::DockerArchive, ImageOrIndex::Image(image)) => sink::docker_archive(store, image, names, &self.path),
            (Kind::Tar, ImageOrIndex::Image(image)) => sink::tar(store, image, &self.path),
            (Kind::Directory, ImageOrIndex::Image(image)) => {
                sink::directory(store, image, &self.path).map(|skipped| self.tell_skipped(&skipped))
            }
            (_, ImageOrIndex::Index(_)) => return Err(self.refuse_index()),
        };
        written
            .map_err(|error| Diagnostic::failure(format!("{} cannot be written", self.path.display())).caused_by(error))
    }
}

/// How much of what an extraction left out is listed.
const LISTED: usize = 5;

impl Output {
    /// Tells on stderr what is not as the image says: without root, owners and devices cannot be made.
    fn tell_skipped(&self, skipped: &[Skipped]) {
        if skipped.is_empty() {
            return;
        }
        eprintln!("{} differs from the image:", self.path.display());
        skipped.iter().take(LISTED).for_each(|part| eprintln!("  {part}"));
        if skipped.len() > LISTED {
            eprintln!("  and {} more", skipped.len() - LISTED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_a_kind_and_a_path() {
        assert_eq!("oci-archive:a:b".parse::<Output>().unwrap().path, PathBuf::from("a:b"));
        assert_eq!("tar".parse::<Output>().unwrap_err().split(':').next(), Some("it should look like KIND"));
        assert!("docker-archiv:x".parse::<Output>().unwrap_err().contains("did you mean `docker-archive`?"));
        assert!("tar:".parse::<Output>().is_err());
    }
}
