//! `archive`: the contents of a tar or zip file.

use std::io::BufReader;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::archive::read::{Limits, Spool, decompress, is_zip, read_tar, read_zip};
use crate::diagnostic::{At, Diagnostic};
use crate::entry::{Content, Entry, Kind};
use crate::path::{ImagePath, WorkspacePath};
use crate::source::SourceFile;
use crate::target::{Archive, FileSource};
use crate::tree::{Changeset, Tree};

use super::placement::join;
use super::select::Selection;
use super::{Composition, layer_of};

pub(super) fn compose(archive: &Archive, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let filter = Filter::new(archive)?;
    let content = match &archive.src.value {
        FileSource::Path(path) => {
            let span = archive.src.span.as_ref().map(|span| span.narrowed_to(path.as_str()));
            let path = archive.package.join(path);
            hash(&path, composition).at(span.as_ref())?
        }
        FileSource::Fetch(_) => {
            Content::clone(composition.fetched.first().expect("the plan fetches what the layer names"))
        }
    };
    let unreadable = || Diagnostic::failure("the archive cannot be extracted");
    let changes = Changeset::from_archive(entries(&content, composition)?).map_err(|e| unreadable().caused_by(e))?;
    let name = archive.src.value.title();
    changes.warnings().iter().for_each(|text| composition.progress.warned(&format!("{name}: {text}")));
    let mut tree = Tree::new();
    tree.apply(&changes).map_err(|error| unreadable().caused_by(error))?;

    let mut selection = Selection::of(&tree);
    for path in tree.below(&ImagePath::root(), |_| true).map(|entry| entry.path) {
        if let Some(rest) = filter.rest(&path) {
            selection.take(path, join(&archive.dest, &rest)?);
        }
    }
    layer_of(selection.entries(archive.owner.as_ref(), None, composition)?)
}

/// The archive as a content whose file can be opened.
fn hash(path: &WorkspacePath, composition: &Composition) -> Result<Content, Diagnostic> {
    let path = ImagePath::parse(path.as_str()).map_err(|error| Diagnostic::spec(error.to_string()))?;
    match composition.workspace.hash_all(&[SourceFile::named(path)], composition.digests)?.pop() {
        Some(Kind::File { content }) => Ok(content),
        _ => unreachable!("a regular file is hashed to one"),
    }
}

/// Everything in the archive, the contents of its files spooled to a temporary file.
fn entries(content: &Content, composition: &Composition) -> Result<Vec<Entry>, Diagnostic> {
    let limits = Limits::default();
    let file = composition.store.spool().map_err(|e| Diagnostic::failure("no temporary file").caused_by(e))?;
    let mut spool = Spool::new(file);
    let unreadable = || Diagnostic::failure("the archive cannot be read");
    let file = content.open().map_err(|error| unreadable().caused_by(error))?;
    if is_zip(&file).map_err(|error| unreadable().caused_by(error))? {
        return read_zip(&file, &limits, &mut spool).map_err(|error| unreadable().caused_by(error));
    }
    let tar = decompress(BufReader::with_capacity(1 << 16, file), &limits)
        .and_then(|stream| read_tar(stream, &limits, Some(&mut spool)))
        .map_err(|error| unreadable().caused_by(error))?;
    tar.warnings.iter().for_each(|text| composition.progress.warned(text));
    Ok(tar.entries)
}

/// `strip_components`, `include` and `exclude`.
struct Filter {
    strip_components: usize,
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    fn new(archive: &Archive) -> Result<Self, Diagnostic> {
        let span = |pattern: &str| archive.src.span.as_ref().map(|span| span.narrowed_to(pattern));
        let globs = |patterns: &[String]| -> Result<GlobSet, Diagnostic> {
            let mut set = GlobSetBuilder::new();
            for pattern in patterns {
                let glob = GlobBuilder::new(pattern.trim_start_matches('/')).literal_separator(true).build();
                set.add(glob.map_err(|error| Diagnostic::spec(error.to_string()).at(span(pattern)))?);
            }
            set.build().map_err(|error| Diagnostic::spec(error.to_string()))
        };
        let include = (!archive.include.is_empty()).then(|| globs(&archive.include)).transpose()?;
        Ok(Filter { strip_components: archive.strip_components as usize, include, exclude: globs(&archive.exclude)? })
    }

    /// The path less the leading components; `None` if the entry is left out.
    fn rest(&self, path: &ImagePath) -> Option<ImagePath> {
        let rest: Vec<&[u8]> = path.components().skip(self.strip_components).collect();
        if rest.is_empty() {
            return None;
        }
        let rest = ImagePath::parse(rest.join(&b'/')).ok()?;
        let wanted = self.include.as_ref().is_none_or(|include| matches_or_is_below(include, &rest));
        (wanted && !matches_or_is_below(&self.exclude, &rest)).then_some(rest)
    }
}

/// A pattern that matches a directory takes all that is in it.
fn matches_or_is_below(globs: &GlobSet, path: &ImagePath) -> bool {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let matches = |path: &ImagePath| globs.is_match(OsStr::from_bytes(path.as_bytes()));
    matches(path) || path.ancestors().any(|above| matches(&above))
}
