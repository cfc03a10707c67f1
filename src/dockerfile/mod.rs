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
mod heredoc;
mod instruction;
mod line;
mod lower;
mod mount;
mod named_context;
mod network;
mod scope;
mod stage;
mod word;

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};

pub use directive::Directives;
pub use expand::{ExpandError, expand, expand_heredoc};
pub use heredoc::Heredoc;
pub use instruction::{Body, Command, Copy, Flag, Instruction};
pub use lower::{Argument, Bases, Lowered, Options, lower};
pub use named_context::{NamedContext, NamedContexts};
pub use word::Word;

/// A Dockerfile as written.
#[derive(Clone, Debug)]
pub struct Dockerfile {
    pub directives: Directives,
    pub instructions: Vec<Instruction>,
}

/// Reads a Dockerfile.
///
/// # Errors
/// All that is wrong with its form, each at its place.
pub fn parse(source: &Arc<SourceText>) -> Result<Dockerfile, Diagnostic> {
    let directives = Directives::read(source)?;
    let lines = line::lines(source, directives.escape)?;
    let (mut instructions, mut errors) = (Vec::new(), Vec::new());
    for line in &lines {
        match Instruction::parse(line, directives.escape) {
            Ok(instruction) => instructions.push(instruction),
            Err(error) => errors.push(error),
        }
    }
    let mut errors = errors.into_iter();
    match errors.next() {
        Some(first) => Err(first.and(errors)),
        None => Ok(Dockerfile { directives, instructions }),
    }
}
