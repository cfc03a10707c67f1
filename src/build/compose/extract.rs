//! `archive`: the contents of a tar or zip file.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::diagnostic::Diagnostic;
use crate::entry::Entry;
use crate::path::ImagePath;
use crate::target::Archive;
use crate::tree::{Below, Changeset, Tree};

use super::placement::join;
use super::select::Selection;
use super::{Composition, layer_of};

pub(super) fn compose(archive: &Archive, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let filter = Filter::new(archive)?;
    let listing = composition.listing.expect("the plan lists the archive of an `archive`");
    let unreadable = || Diagnostic::failure("the archive cannot be extracted");
    let changes = Changeset::from_archive(listing.entries.clone()).map_err(|e| unreadable().caused_by(e))?;
    let name = archive.src.value.title();
    changes.warnings().iter().for_each(|text| composition.progress.warned(&format!("{name}: {text}")));
    let mut tree = Tree::new();
    tree.apply(&changes).map_err(|error| unreadable().caused_by(error))?;

    // A commit has no directories at all, and many an archive leaves some out.
    let listed = listing.entries.iter().filter(|entry| entry.kind.is_directory()).map(|entry| &entry.path);
    let listed: BTreeSet<&ImagePath> = listed.collect();
    let is_below = |place: &ImagePath| composition.below.get(place).is_some_and(|node| node.kind.is_directory());

    let mut selection = Selection::of(&tree);
    for Entry { path, kind, .. } in tree.below(&ImagePath::root(), |_| true) {
        let Some(rest) = filter.rest(&path) else { continue };
        let place = join(&archive.dest, &rest)?;
        // One that is only on the way to others says nothing about how a directory of the image below looks.
        if !(kind.is_directory() && !listed.contains(&path) && is_below(&place)) {
            selection.take(path, place);
        }
    }
    layer_of(selection.entries(archive.owner.as_ref(), None, composition)?)
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
