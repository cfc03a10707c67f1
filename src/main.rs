//! The `ocify` command. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ocify::cli::main()
}
