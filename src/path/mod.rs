//! Paths as values, checked once where they enter: [`ImagePath`] inside an image, [`WorkspacePath`] inside the
//! user's checkout. Neither can hold `..`, so neither can lead out of its root by itself.

mod image_path;
mod workspace_path;

pub use image_path::{ImagePath, ImagePathError};
pub use workspace_path::{WorkspacePath, WorkspacePathError};
