//! Of what a command changed, the paths that are kept.

use crate::diagnostic::Diagnostic;
use crate::path::ImagePath;
use crate::tree::{Changeset, Tree, TreeError, diff};

/// The part of `changes` that is at or below one of `outputs`. With none, it is all of it.
///
/// # Errors
/// One of them does not exist after the changes.
pub(super) fn kept(below: &Tree, changes: Changeset, outputs: &[ImagePath]) -> Result<Changeset, Diagnostic> {
    if outputs.is_empty() {
        return Ok(changes);
    }
    let misfit = |error: TreeError| Diagnostic::failure("what the step changed cannot be in a layer").caused_by(error);
    let mut above = below.clone();
    above.apply(&changes).map_err(misfit)?;
    let mut found = Vec::new();
    for output in outputs {
        let path = above.locate(output).ok().filter(|path| path.is_root() || above.get(path).is_some());
        let missing = || {
            let error = Diagnostic::failure(format!("the output `{output}` does not exist after the command"));
            error.help("see that the command makes it, or take it out of `outputs`")
        };
        found.push(path.ok_or_else(missing)?);
    }
    if found.iter().any(ImagePath::is_root) {
        return Ok(changes);
    }
    let is_kept = |path: &ImagePath| found.iter().any(|output| path.starts_with(output));
    let mut chosen = Changeset::new();
    for output in &found {
        chosen.whiteout(output.clone()).map_err(misfit)?;
    }
    for entry in above.below(&ImagePath::root(), is_kept) {
        chosen.insert(entry).map_err(misfit)?;
    }
    let mut kept = below.clone();
    kept.apply(&chosen).map_err(misfit)?;
    diff(below, &kept).map_err(misfit)
}
