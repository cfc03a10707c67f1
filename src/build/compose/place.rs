//! `COPY`, `ADD` and `WORKDIR` of a Dockerfile: where things go as BuildKit's file operations put them.
//!
//! - A directory that is a source gives what is in it; a file goes into a destination that is a directory, or is one by its
//!   `/`. Missing directories are made, with the call's owner. Of a directory that is there already nothing changes, unless
//!   it is below a source directory: then it takes the source's mode.
//! - A file replaces a file or link, never a directory; a directory never replaces a file.
//! - Of several sources that come to one path, the last is there.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io::BufReader;
use std::sync::Arc;

use crate::archive::read::is_tar;
use crate::diagnostic::{At, Diagnostic};
use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::source::{IgnorePatterns, PatternError, Workspace};
use crate::target::{Fetch, Place, PlaceSource};
use crate::tree::{Below, Changeset, Glimpsed, Tree};

use super::super::listing::Listing;
use super::context::{self, clamped};
use super::owner::Owners;
use super::pattern::SourcePattern;
use super::select::Selection;
use super::{Composition, insert, layer_of};

pub(super) fn compose(place: &Place, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let ignore = IgnorePatterns::new(&place.ignore).map_err(malformed)?;
    let exclude = IgnorePatterns::new(&place.exclude).map_err(malformed)?;
    let mut patterns = Vec::new();
    for source in &place.srcs {
        if let PlaceSource::Path(text) = &source.value {
            patterns.push(SourcePattern::new(text, place.parents).at(source.span.as_ref())?);
        }
    }
    let sources = match place.from {
        Some(_) => composition.from.tree(composition.store)?,
        None => {
            let directory = place.directory.as_ref().map(|directory| Workspace::at(&directory.root)).transpose()?;
            Arc::new(context::tree(
                &patterns,
                &ignore,
                directory.as_ref().unwrap_or(composition.workspace),
                composition,
            )?)
        }
    };
    let mut trees = Trees { list: vec![sources, contents(place, composition)?.into()], archives: BTreeSet::new() };
    let mut placing = Placing::new(place, &exclude, composition)?;
    placing.destination()?;
    let mut patterns = patterns.iter();
    let (mut fetched, mut commits) = (composition.fetched.iter(), composition.commits.iter());
    for source in &place.srcs {
        let placed = match &source.value {
            PlaceSource::Path(text) => match patterns.next() {
                Some(pattern) => placing.source(text, pattern, &ignore, &mut trees, composition),
                None => Ok(()),
            },
            PlaceSource::Fetch { fetch, unpack } => match fetched.next() {
                Some(content) => placing.fetched(fetch, content, *unpack, &mut trees, composition),
                None => Ok(()),
            },
            PlaceSource::Git { directory, .. } => match commits.next() {
                Some(content) => placing.commit(content, directory.as_ref(), &mut trees, composition),
                None => Ok(()),
            },
        };
        placed.at(source.span.as_ref())?;
    }
    for (name, _) in &place.contents {
        let path = ImagePath::parse(name).map_err(|error| Diagnostic::spec(error.to_string()))?;
        placing.file(1, &path, &path, &trees)?;
    }
    placing.layer(&trees, composition)
}

/// Where things are taken from: the context or an image, then the instruction's own contents, then unpacked archives and what
/// was fetched.
struct Trees {
    list: Vec<Arc<Tree>>,
    archives: BTreeSet<usize>,
}

/// The layer as it grows.
struct Placing<'a> {
    place: &'a Place,
    exclude: &'a IgnorePatterns,
    below: &'a Glimpsed<'a>,
    /// The destination, with links followed.
    dest: ImagePath,
    owner: Option<(u32, u32)>,
    placed: BTreeMap<ImagePath, Placed>,
    /// The directory in which something was placed last, and whether the tree below lacks it.
    last: Option<(ImagePath, bool)>,
}

/// What comes to a path.
struct Placed {
    is_directory: bool,
    /// The tree, and the path there; `None` for a directory that is made.
    source: Option<(usize, ImagePath)>,
}

impl<'a> Placing<'a> {
    fn new(place: &'a Place, exclude: &'a IgnorePatterns, composition: &Composition<'a>) -> Result<Self, Diagnostic> {
        let below = composition.below;
        let dest = image_path(&clamped(place.dest.as_bytes()))?;
        let unusable = |error| {
            let error = Diagnostic::spec(format!("`{dest}` cannot be a destination")).caused_by(error);
            error.help("name another destination")
        };
        let found = if place.follow { below.follow(&dest) } else { below.locate(&dest) };
        let dest = found.map_err(unusable)?;
        let owner = place.owner.as_ref().map(|owner| {
            let (found, unknown) = Owners::of(composition).resolve_leniently(&owner.value).at(owner.span.as_ref())?;
            unknown.iter().for_each(|error| composition.progress.warned(&format!("{}: {error}", place.instruction)));
            Ok::<_, Diagnostic>(found)
        });
        Ok(Placing { place, exclude, below, dest, owner: owner.transpose()?, placed: BTreeMap::new(), last: None })
    }

    /// Makes what has to be there before anything is placed.
    fn destination(&mut self) -> Result<(), Diagnostic> {
        let is_directory = self.place.dest.ends_with('/') || self.place.parents;
        // A source that nothing matches leaves no directory behind, WORKDIR has none.
        if is_directory && self.place.srcs.is_empty() { self.make(&self.dest.clone()) } else { Ok(()) }
    }

    fn source(
        &mut self,
        source: &str,
        pattern: &SourcePattern,
        ignore: &IgnorePatterns,
        trees: &mut Trees,
        composition: &Composition,
    ) -> Result<(), Diagnostic> {
        let tree = trees.list[0].clone();
        let mut named: Vec<ImagePath> = match pattern.is_literal() {
            true => vec![image_path(pattern.top().as_bytes())?],
            false => {
                let entries = tree.below(&ImagePath::root(), |path| pattern.is_match(path.as_bytes()));
                entries.map(|entry| entry.path).collect()
            }
        };
        if self.place.parents && !pattern.is_literal() {
            // What lies in a directory that matches comes with it.
            let all = named.clone();
            named.retain(|path| !path.ancestors().any(|above| all.binary_search(&above).is_ok()));
        }
        for path in named {
            if !path.is_root() && tree.locate(&path).ok().is_none_or(|found| tree.get(&found).is_none()) {
                return Err(self.missing(source, &path, ignore));
            }
            match self.place.parents {
                true => self.with_parents(source, &path, pattern.pivot, trees)?,
                false => self.one(source, &path, trees, composition)?,
            }
        }
        Ok(())
    }

    fn missing(&self, source: &str, path: &ImagePath, ignore: &IgnorePatterns) -> Diagnostic {
        match &self.place.from {
            Some(_) => Diagnostic::spec(format!("`{path}` is not in the image that is copied from")),
            None => {
                let named = self.place.directory.as_ref().map(|directory| format!(" `{}`", directory.name));
                let named = named.unwrap_or_default();
                let error = Diagnostic::spec(format!("`{}` is not in the build context{named}", source));
                let ignored = (1..=path.as_bytes().len()).any(|end| ignore.is_ignored(&path.as_bytes()[..end]));
                error.help(match ignored {
                    true => "the .dockerignore leaves it out",
                    false if named.is_empty() => {
                        "sources are relative to the context, the directory behind the options of `ocify build -f`"
                    }
                    false => "sources are relative to the directory that `--build-context` names",
                })
            }
        }
    }

    /// Places what one path of the sources names.
    fn one(
        &mut self,
        source: &str,
        path: &ImagePath,
        trees: &mut Trees,
        composition: &Composition,
    ) -> Result<(), Diagnostic> {
        let tree = trees.list[0].clone();
        let missing = |error| Diagnostic::spec(format!("`{}` leads nowhere", source)).caused_by(error);
        let found = tree.resolve(path).map_err(missing)?;
        let node = tree.get(&found);
        if found.is_root() || node.is_some_and(|node| node.kind.is_directory()) {
            let dest = self.dest.clone();
            return self.directory(0, &found, &dest, trees);
        }
        if let (true, Some(Kind::File { content })) = (self.place.unpack, node.map(|node| &node.kind))
            && is_archive(content)
        {
            trees.list.push(unpacked(content, composition)?.into());
            let index = trees.list.len() - 1;
            trees.archives.insert(index);
            let dest = self.dest.clone();
            return self.directory(index, &ImagePath::root(), &dest, trees);
        }
        self.file(0, path, &found, trees)
    }

    /// Places a file from elsewhere, or what is in it.
    fn fetched(
        &mut self,
        fetch: &Fetch,
        content: &Content,
        unpack: bool,
        trees: &mut Trees,
        composition: &Composition,
    ) -> Result<(), Diagnostic> {
        let index = trees.list.len();
        if unpack {
            trees.list.push(unpacked(content, composition)?.into());
            trees.archives.insert(index);
            return self.directory(index, &ImagePath::root(), &self.dest.clone(), trees);
        }
        let nameless = || {
            let error = Diagnostic::spec("the URL has no name for the file");
            error.help("name the file in the destination, and end that without `/`")
        };
        let into = self.place.dest.ends_with('/') || self.kind(&self.dest) == Some(true);
        let name = match fetch.file_name() {
            Some(name) => name,
            None if into => return Err(nameless()),
            None => "file",
        };
        let path = image_path(name.as_bytes())?;
        let metadata = Metadata::root_owned(0o600, composition.epoch);
        let kind = Kind::File { content: content.clone() };
        trees.list.push(tree_of([Entry { path: path.clone(), metadata, kind }])?.into());
        self.file(index, &path, &path, trees)
    }

    /// Places the files of a commit, or of a directory of it.
    fn commit(
        &mut self,
        tar: &Content,
        directory: Option<&ImagePath>,
        trees: &mut Trees,
        composition: &Composition,
    ) -> Result<(), Diagnostic> {
        let (index, tree) = (trees.list.len(), unpacked(tar, composition)?);
        let from = directory.cloned().unwrap_or(ImagePath::root());
        if !from.is_root() && !tree.get(&from).is_some_and(|node| node.kind.is_directory()) {
            return Err(Diagnostic::spec(format!("`{from}` is no directory of the commit")));
        }
        trees.list.push(tree.into());
        self.directory(index, &from, &self.dest.clone(), trees)
    }

    /// Places a source below the destination with the directories above it.
    fn with_parents(&mut self, source: &str, path: &ImagePath, pivot: usize, trees: &Trees) -> Result<(), Diagnostic> {
        let kept: Vec<&[u8]> = path.components().skip(pivot).collect();
        let relative = image_path(&kept.join(&b'/'))?;
        let tree = &trees.list[0];
        if !relative.is_root() && self.exclude.is_ignored(relative.as_bytes()) {
            let error = Diagnostic::spec(format!("`{}` is excluded and named at the same time", source));
            return Err(error.help("take it out of the sources, or out of `--exclude`"));
        }
        let dest = self.dest.clone();
        self.make(&dest)?;
        for above in relative.ancestors() {
            let from: Vec<&[u8]> = path.components().take(pivot).chain(above.components()).collect();
            let from = image_path(&from.join(&b'/'))?;
            let to = join(&dest, &above)?;
            match tree.get(&from).filter(|node| node.kind.is_directory()) {
                Some(_) => self.put(to, 0, from, true)?,
                None => self.make(&to)?,
            }
        }
        let to = join(&dest, &relative)?;
        match tree.get(path).map(|node| node.kind.is_directory()) {
            Some(false) => self.put(to, 0, path.clone(), false),
            is_directory => {
                if is_directory.is_some() && !relative.is_root() {
                    self.put(to.clone(), 0, path.clone(), true)?;
                }
                self.directory_without(0, path, &to, &relative, trees)
            }
        }
    }

    /// Places what is in a directory.
    fn directory(&mut self, index: usize, from: &ImagePath, to: &ImagePath, trees: &Trees) -> Result<(), Diagnostic> {
        self.directory_without(index, from, to, &ImagePath::root(), trees)
    }

    /// As [`Placing::directory`]; `--exclude` sees the paths below `relative`.
    fn directory_without(
        &mut self,
        index: usize,
        from: &ImagePath,
        to: &ImagePath,
        relative: &ImagePath,
        trees: &Trees,
    ) -> Result<(), Diagnostic> {
        if self.kind(to) == Some(false) {
            let error = Diagnostic::spec(format!("a directory cannot be copied onto the file `{to}`"));
            return Err(error.help("name another destination"));
        }
        self.make(to)?;
        let tree = &trees.list[index];
        for (path, node) in tree.nodes_below(from) {
            let below = path.strip_prefix(from).expect("an entry below a directory has its path as prefix");
            let shown = join(relative, &below)?;
            let is_archive = trees.archives.contains(&index);
            if is_archive || !self.exclude.is_ignored(shown.as_bytes()) {
                self.put(join(to, &below)?, index, path.clone(), node.kind.is_directory())?;
            }
        }
        Ok(())
    }

    /// Places a file or link; `named` is how the source calls it.
    fn file(&mut self, index: usize, named: &ImagePath, found: &ImagePath, trees: &Trees) -> Result<(), Diagnostic> {
        let into = self.place.dest.ends_with('/') || self.kind(&self.dest) == Some(true);
        let to = match named.file_name() {
            Some(name) if into => self.dest.child(name).map_err(|error| Diagnostic::spec(error.to_string()))?,
            _ => self.dest.clone(),
        };
        debug_assert!(trees.list[index].get(found).is_some());
        self.put(to, index, found.clone(), false)
    }

    fn put(&mut self, to: ImagePath, index: usize, from: ImagePath, is_directory: bool) -> Result<(), Diagnostic> {
        let is_new = to.parent().map_or(Ok(false), |parent| self.enter(parent))?;
        // In a directory that is new, nothing lies below: of many files, most are asked about in vain.
        let below = if is_new { None } else { self.kind(&to) };
        let slot = self.placed.entry(to);
        let there = match &slot {
            btree_map::Entry::Occupied(placed) => Some(placed.get().is_directory),
            btree_map::Entry::Vacant(_) => below,
        };
        let to = slot.key();
        match (there, is_directory) {
            (Some(true), false) => {
                let error = Diagnostic::spec(format!("a file cannot be copied onto the directory `{to}`"));
                return Err(error.help("name another destination, or end it with `/`"));
            }
            (Some(false), true) => {
                let error = Diagnostic::spec(format!("a directory cannot be copied onto the file `{to}`"));
                return Err(error.help("name another destination"));
            }
            _ => {}
        }
        slot.insert_entry(Placed { is_directory, source: Some((index, from)) });
        Ok(())
    }

    /// Makes a directory to place something in, as far as it is missing; true if the tree below lacks it.
    fn enter(&mut self, directory: ImagePath) -> Result<bool, Diagnostic> {
        match &self.last {
            Some((last, is_new)) if *last == directory => Ok(*is_new),
            _ => {
                self.make(&directory)?;
                let is_new = self.below.resolve(&directory).is_err();
                self.last = Some((directory, is_new));
                Ok(is_new)
            }
        }
    }

    /// Makes a directory and those above it, as far as they are missing.
    fn make(&mut self, directory: &ImagePath) -> Result<(), Diagnostic> {
        for path in directory.ancestors().chain([directory.clone()]).filter(|path| !path.is_root()) {
            match self.kind(&path) {
                Some(true) => {}
                Some(false) => {
                    return Err(Diagnostic::spec(format!("`{path}` is a file, and something would have to lie in it"))
                        .help("name another destination"));
                }
                None => {
                    self.placed.insert(path, Placed { is_directory: true, source: None });
                }
            }
        }
        Ok(())
    }

    /// Whether a directory lies at a path, once the layer is there; `None` if nothing does.
    fn kind(&self, path: &ImagePath) -> Option<bool> {
        if path.is_root() {
            return Some(true);
        }
        let below = || {
            // A link to a directory stays one.
            let found = self.below.resolve(path).ok()?;
            let linked = self.below.get(path).is_some_and(|node| matches!(node.kind, Kind::Symlink { .. }));
            let is_directory = found.is_root() || self.below.get(&found)?.kind.is_directory();
            (is_directory || !linked).then_some(is_directory)
        };
        self.placed.get(path).map(|placed| placed.is_directory).or_else(below)
    }

    /// The entries with the owner and the mode that the instruction gives them.
    fn layer(self, trees: &Trees, composition: &Composition) -> Result<Changeset, Diagnostic> {
        let mut selections: Vec<Selection> = trees.list.iter().map(|tree| Selection::of(tree)).collect();
        let mut changes = Changeset::new();
        for (path, placed) in self.placed {
            if let Some((index, from)) = placed.source {
                selections[index].take(from, path);
                continue;
            }
            let mut metadata = Metadata::root_owned(0o755, composition.epoch);
            // `--chmod=1777` gives parents 0777.
            metadata.mode = self.place.chmod.as_ref().map_or(0o755, |chmod| chmod.apply(0o755, true) & 0o777);
            (metadata.uid, metadata.gid) = self.owner.unwrap_or((0, 0));
            insert(&mut changes, Entry { path, metadata, kind: Kind::Directory })?;
        }
        for (index, selection) in selections.into_iter().enumerate() {
            for mut entry in selection.entries(None, None, composition)? {
                if let Some((uid, gid)) = self.owner {
                    (entry.metadata.uid, entry.metadata.gid) = (uid, gid);
                }
                let chmod = self.place.chmod.as_ref().filter(|_| !trees.archives.contains(&index));
                if let (Some(chmod), false) = (chmod, matches!(entry.kind, Kind::Symlink { .. })) {
                    entry.metadata.mode = chmod.apply(entry.metadata.mode, entry.kind.is_directory());
                }
                insert(&mut changes, entry)?;
            }
        }
        Ok(changes)
    }
}

/// The files whose content stands in the instruction.
fn contents(place: &Place, composition: &Composition) -> Result<Tree, Diagnostic> {
    let mut entries = Vec::new();
    for (name, text) in &place.contents {
        let path = ImagePath::parse(name).map_err(|error| Diagnostic::spec(error.to_string()))?;
        let metadata = Metadata::root_owned(0o644, composition.epoch);
        entries.push(Entry { path, metadata, kind: Kind::File { content: Content::inline(text.as_bytes()) } });
    }
    tree_of(entries)
}

fn tree_of(entries: impl IntoIterator<Item = Entry>) -> Result<Tree, Diagnostic> {
    let changes = layer_of(entries.into_iter().collect())?;
    Tree::of_layer(changes).map_err(|error| Diagnostic::spec("the contents contradict each other").caused_by(error))
}

fn is_archive(content: &Content) -> bool {
    content.open().is_ok_and(|file| is_tar(BufReader::new(file)))
}

fn unpacked(content: &Content, composition: &Composition) -> Result<Tree, Diagnostic> {
    let listing = Listing::read(content, composition.store)?;
    listing.warnings.iter().for_each(|text| composition.progress.warned(text));
    let unreadable = || Diagnostic::failure("the archive cannot be unpacked");
    let changes = Changeset::from_archive(listing.entries).map_err(|error| unreadable().caused_by(error))?;
    Tree::of_layer(changes).map_err(|error| unreadable().caused_by(error))
}

fn malformed(error: PatternError) -> Diagnostic {
    Diagnostic::spec(error.to_string())
}

fn image_path(bytes: &[u8]) -> Result<ImagePath, Diagnostic> {
    ImagePath::parse(bytes).map_err(|error| Diagnostic::spec(error.to_string()))
}

fn join(directory: &ImagePath, below: &ImagePath) -> Result<ImagePath, Diagnostic> {
    directory.join(below).map_err(|error| Diagnostic::spec(error.to_string()))
}
