//! `ocify completions`: scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::diagnostic::Diagnostic;

use super::{Cli, print};

/// Print a completion script for a shell.
#[derive(clap::Args)]
#[command(after_help = "Example: ocify completions bash > /etc/bash_completion.d/ocify")]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Diagnostic> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "ocify", &mut script);
    print(&String::from_utf8_lossy(&script))
}
