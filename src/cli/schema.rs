//! `ocify schema`: the JSON Schema of `ocify.toml`.

use crate::diagnostic::Diagnostic;
use crate::target;

use super::print;

/// Print the JSON Schema of ocify.toml, for editors.
#[derive(clap::Args)]
#[command(after_help = "Example: ocify schema > ocify.schema.json")]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<(), Diagnostic> {
    print(&format!("{:#}\n", target::schema()))
}
