//! An image on disk, for steps to run in.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;
use crate::tree::{ExtractError, SkippedPart, Tree, extract_for_step};

/// The root of a step, which the step cannot change: whatever it writes to is copied before.
pub struct Root<'a> {
    /// Where [`extract`] has put the image.
    pub path: &'a Path,
    pub hidden: &'a Hidden,
}

/// Extended attributes of an image that are not on disk, by path and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub(super) BTreeSet<(ImagePath, String)>);

/// Puts an image on disk, in the directory `destination`, which does not exist.
///
/// # Errors
/// The disk refuses, or a content cannot be read or is not what its digest says.
pub fn extract(image: &Tree, destination: &Path) -> Result<Hidden, ExtractError> {
    let skipped = extract_for_step(image, destination)?;
    let attribute = |part| match part {
        SkippedPart::Xattr(name) => Some(name),
        _ => None,
    };
    Ok(Hidden(skipped.into_iter().filter_map(|skipped| Some((skipped.path, attribute(skipped.part)?))).collect()))
}
