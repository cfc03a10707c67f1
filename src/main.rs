//! The `ocify` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: the helper must have one thread.
    ocify::sandbox::helper(std::env::args_os()).unwrap_or_else(ocify::cli::main)
}
