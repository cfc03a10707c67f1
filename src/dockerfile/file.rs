//! A whole Dockerfile: its directives and instructions.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};

use super::directive::Directives;
use super::instruction::Instruction;
use super::line::lines;

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
    let lines = lines(source, directives.escape)?;
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
