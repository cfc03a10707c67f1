//! COPY, ADD and WORKDIR: what they have in common, whatever they copy from.

use crate::target::Place;

use super::code::{Call, Code};
use super::known::{Kind, Known, clean, name, parent};
use super::listing::Listing;
use super::variables::Variables;

/// A layer of the spec, below remarks for its reader.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) comments: Vec<String>,
    pub(super) call: Call,
}

impl Layer {
    pub(super) fn new(call: Call) -> Self {
        Layer { comments: Vec::new(), call }
    }

    pub(super) fn remarked(mut self, remark: impl Into<String>) -> Self {
        self.comments.push(format!("# ocify: {}", remark.into()));
        self
    }
}

/// Writes an image of one layer before the stage and returns it: the end of its name, a remark above it, its base and its layer.
pub(super) type Helper<'a> = dyn FnMut(&str, Option<&str>, Option<Code>, Call) -> Code + 'a;

/// One instruction that places files.
pub(super) struct Placing<'a> {
    pub(super) place: &'a Place,
    pub(super) variables: &'a Variables,
    pub(super) listing: &'a Listing<'a>,
    /// The stage's files so far.
    pub(super) known: &'a mut Known,
    /// Paths of the context that are ocify's own.
    pub(super) own: &'a [String],
}

impl Placing<'_> {
    /// The destination with values.
    pub(super) fn dest(&self) -> String {
        self.variables.plain(&self.place.dest)
    }

    /// True if files come to lie in the destination.
    pub(super) fn is_into(&self) -> bool {
        let dest = self.dest();
        self.place.parents || dest.ends_with('/') || self.known.kind(&dest) == Some(Kind::Directory)
    }

    /// Where a file of this name comes to lie, with marks.
    pub(super) fn destination(&self, file: &str) -> String {
        let dest = clean(&self.place.dest);
        match self.is_into() {
            true if dest == "/" => format!("/{}", name(file)),
            true => format!("{dest}/{}", name(file)),
            false => dest,
        }
    }

    /// WORKDIR, if it makes a directory.
    pub(super) fn workdir(&mut self) -> Vec<Layer> {
        let dest = self.dest();
        let (path, owner) = (clean(&self.place.dest), self.owner());
        let is_there = self.known.kind(&dest) == Some(Kind::Directory);
        self.known.directory(&dest);
        match is_there {
            true => Vec::new(),
            false => vec![Layer::new(Call::new("dir").with(self.variables.text(&path)).optional("owner", owner))],
        }
    }

    /// The directories that have to be made for the destination, where they are not as they would be anyway.
    pub(super) fn made(&mut self, is_directory: bool) -> Vec<Layer> {
        let dest = self.dest();
        let directory = if is_directory || self.is_into() { dest.as_str() } else { parent(&dest) };
        let missing = self.known.missing(directory);
        self.known.directory(directory);
        let mode =
            self.place.chmod.as_ref().map(|chmod| chmod.apply(0o755, true) & 0o777).filter(|mode| *mode != 0o755);
        let owner = self.owner();
        if owner.is_none() && mode.is_none() {
            return Vec::new();
        }
        let dir = |path: String| {
            // The mark of an argument, where the whole destination is made.
            let path = if path == clean(&dest) { clean(&self.place.dest) } else { path };
            let call = Call::new("dir").with(self.variables.text(&path));
            Layer::new(call.optional("mode", mode.map(octal)).optional("owner", owner.clone()))
        };
        missing.into_iter().map(dir).collect()
    }

    /// The owner that the instruction gives.
    pub(super) fn owner(&self) -> Option<Code> {
        let owner = self.place.owner.as_ref()?.value.to_string();
        (!matches!(self.variables.plain(&owner).as_str(), "0" | "0:0")).then(|| self.variables.text(&owner))
    }

    /// The modes that the instruction gives to files that nobody executes, to those that somebody does, and to directories.
    pub(super) fn modes(&self) -> [Option<u32>; 3] {
        [(0o644, false), (0o755, false), (0o755, true)].map(|(mode, is_directory)| {
            self.place.chmod.as_ref().map(|chmod| chmod.apply(mode, is_directory)).filter(|new| *new != mode)
        })
    }
}

/// A mode as specs write it.
pub(super) fn octal(mode: u32) -> Code {
    Code::text(format!("{mode:04o}"))
}
