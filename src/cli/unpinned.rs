//! Names that a lock lacks, and their pins.

use crate::diagnostic::{At, Diagnostic, Span, Spanned};
use crate::git::RemoteRef;
use crate::oci::Reference;
use crate::plan::Names;
use crate::source::{ImagePin, Lock};
use crate::target::{Fetch, Git};

use super::resolver::{self, Resolver};

/// The names that the lock does not have.
pub(super) struct Unpinned<'a> {
    images: Vec<(&'a Reference, &'a Option<Span>)>,
    files: Vec<(&'a String, &'a Spanned<Fetch>)>,
    commits: Vec<(&'a RemoteRef, &'a Spanned<Git>)>,
}

impl<'a> Unpinned<'a> {
    pub(super) fn of(names: &'a Names, lock: &Lock) -> Self {
        let images = names.images.iter().filter(|(name, _)| !lock.images.contains_key(*name));
        let files = names.fetches.iter().filter(|(name, _)| !lock.fetches.contains_key(*name));
        let commits = names.commits.iter().filter(|(name, _)| !lock.commits.contains_key(*name));
        Unpinned { images: images.collect(), files: files.collect(), commits: commits.collect() }
    }

    /// A line for each name.
    pub(super) fn lines(&self) -> Vec<String> {
        let images = self.images.iter().map(|(name, _)| format!("+ {name}"));
        let files = self.files.iter().map(|(name, _)| format!("+ {name}"));
        images.chain(files).chain(self.commits.iter().map(|(name, _)| format!("+ {name}"))).collect()
    }

    /// Finds out what the names stand for, and puts that into `lock`. Gives a line for each.
    ///
    /// # Errors
    /// A name cannot be asked for, or stands for nothing, at the place that has it.
    pub(super) fn pin(self, lock: &mut Lock, resolver: &Resolver) -> Result<Vec<String>, Diagnostic> {
        let Unpinned { images, files, commits } = self;
        let pins = resolver::each(&images, |(name, span)| resolver.image(name).at(span.as_ref()))?;
        let digests = resolver::each(&files, |(_, fetch)| resolver.file(&fetch.value).at(fetch.span.as_ref()))?;
        let commit_pins = resolver::each(&commits, |(name, git)| {
            let pin = resolver.commit(name, None).at(git.span.as_ref())?;
            let help = "the ref may have moved; a commit can be named by its ID, in the place of the ref";
            git.value.check(&pin.commit).map_err(|error| Diagnostic::from(error).help(help)).at(git.span.as_ref())?;
            Ok(pin)
        })?;
        let mut lines = Vec::new();
        for ((name, _), pin) in images.into_iter().zip(pins) {
            lines.push(image_line(name, &pin));
            lock.images.insert(name.clone(), pin);
        }
        for ((name, _), digest) in files.into_iter().zip(digests) {
            lines.push(format!("+ {name} {digest}"));
            lock.fetches.insert(name.clone(), digest);
        }
        for ((name, _), pin) in commits.into_iter().zip(commit_pins) {
            lines.push(format!("+ {name} {} {}", pin.commit, pin.sha256));
            lock.commits.insert(name.clone(), pin);
        }
        Ok(lines)
    }
}

/// The line of an image that was pinned.
pub(super) fn image_line(name: &Reference, ImagePin { digest, platforms }: &ImagePin) -> String {
    let platforms: Vec<String> = platforms.keys().map(ToString::to_string).collect();
    format!("+ {name} {digest} {}", platforms.join(","))
}
