//! Why a layer could not be written.

use std::io;

use crate::path::ImagePath;

/// Why a layer could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("cannot read the content of `{path}`")]
    Read { path: ImagePath, source: io::Error },
    #[error("the content of `{path}` is not {size} bytes long, as it was when it was hashed")]
    Length { path: ImagePath, size: u64 },
    #[error("`{path}` cannot be written to a layer: {reason}")]
    Unwritable { path: ImagePath, reason: String },
    #[error("`{path}` comes after `{previous}`, though entries must be in bytewise order; this is a defect in ocify")]
    Order { path: ImagePath, previous: ImagePath },
    #[error("`{path}` is there twice; this is a defect in ocify")]
    Duplicate { path: ImagePath },
    #[error("hard link `{path}` leads to `{target}`, which is {found}; this is a defect in ocify")]
    HardLink { path: ImagePath, target: ImagePath, found: &'static str },
    #[error("a chunk cannot be copied out of an older layer")]
    Copy(#[source] io::Error),
    #[error("cannot write the layer")]
    Write(#[source] io::Error),
}
