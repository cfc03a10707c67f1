//! The workspace: its files as evaluation and builds may see them.
//!
//! Every path is resolved relative to a descriptor of the workspace's root and cannot leave it: a symbolic link is
//! followed while it stays inside and is an error where it does not. What a listing returns is sorted bytewise, so it
//! depends neither on the order of the disk nor on threads or locale. A directory named `.git` and a nested workspace
//! (a sub-directory with its own `ocify.toml`) are no part of the workspace's globs and packages.

mod beneath;
mod clock;
mod collect;
mod error;
mod glob;
mod hash;
mod ignore;
mod lock;
mod packages;
mod stat_cache;
mod stat_table;
mod walk;
mod workspace;

pub use collect::{Choice, SourceFile, SourceKind};
pub use error::SourceError;
pub use ignore::{IgnorePatterns, PathPattern, PatternError};
pub use lock::{ImagePin, Lock};
pub use stat_cache::StatCache;
pub use workspace::{PathKind, Workspace};
