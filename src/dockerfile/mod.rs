//! The Dockerfile frontend: the language as BuildKit reads it, to targets.
//!
//! ```text
//! bytes ─ directive, line, heredoc ─► logical lines ─ instruction, word ─► Vec<Instruction>
//!       ─ stage, scope, expand, build ─► Vec<Target>, one for each stage that is needed
//! ```
//!
//! The reference is BuildKit's frontend 1.26; docs/dockerfile.md says what differs, and why.

mod build;
mod config;
mod directive;
mod expand;
mod file;
mod git_source;
mod heredoc;
mod history;
mod instruction;
mod line;
mod lower;
mod mount;
mod named_context;
mod network;
mod remote;
mod run;
mod scope;
mod stage;
mod word;

pub use directive::Directives;
pub use expand::{ExpandError, expand, expand_heredoc};
pub use file::{Dockerfile, parse};
pub use git_source::GitSource;
pub use heredoc::Heredoc;
pub use instruction::{Body, Command, Copy, Flag, Instruction};
pub use lower::{Argument, Bases, Lowered, Options, lower};
pub use named_context::{NamedContext, NamedContexts};
pub use scope::{is_proxy, of_platform};
pub use stage::{Parts, parts};
pub use word::Word;
