//! `ocify import`: what was made for other tools, a Dockerfile or an archive of a root file system.

mod archive;
mod dockerfile;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::platform::Platform;

use super::environment;

/// How much of a file is looked at to tell a Dockerfile from an archive, in bytes.
const LOOKED_AT: u64 = 4096;

/// Turn a Dockerfile into a spec, or an archive of files into an image
///
/// Which of the two FILE is, its content says: text is a Dockerfile.
#[derive(clap::Args)]
#[command(
    after_help = "Of a Dockerfile, BUILD.star is written into its context, and ocify.toml where there is no workspace
around it. Lines that begin with `# ocify:` say what to look at.

The archive is a tar, also compressed, or a zip. Paths, modes, owners and times are kept; the
layer is written in ocify's own encoding, so the same files give the same digest.

Examples:
  ocify import Dockerfile --check
  ocify import docker/Dockerfile --context . --tidy -o -
  ocify import rootfs.tar example.com/base:1
  podman export CONTAINER | ocify import - example.com/base:1 --cmd /bin/sh"
)]
pub(super) struct Arguments {
    /// A Dockerfile, or an archive; `-` is an archive on stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the image is for [default: the workspace's platform, of an archive linux/amd64]
    #[arg(long)]
    platform: Option<Platform>,
    #[command(flatten)]
    archive: archive::Arguments,
    #[command(flatten)]
    dockerfile: dockerfile::Arguments,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let Arguments { file, platform, archive, dockerfile } = arguments;
    let name = file.display();
    let mixed = |option: &str, kind: &str, other: &str| {
        let error = Diagnostic::spec(format!("`{name}` is {kind}, and {option} is for {other}"));
        Err(error.help("`ocify import --help` lists the options of both"))
    };
    if is_text(file)? {
        return match archive.given() {
            Some(option) => mixed(option, "a Dockerfile", "an archive"),
            None => dockerfile::run(file, dockerfile, platform.as_ref(), environment),
        };
    }
    match dockerfile.given() {
        Some(option) => mixed(option, "an archive", "a Dockerfile"),
        None => archive::run(file, archive, platform.as_ref(), environment),
    }
}

/// True for a file of text: no archive is one.
fn is_text(path: &Path) -> Result<bool, Diagnostic> {
    if path.to_str() == Some("-") {
        return Ok(false);
    }
    let unreadable = |error| Diagnostic::failure(format!("{} cannot be read", path.display())).caused_by(error);
    let mut start = Vec::new();
    File::open(path).map_err(unreadable)?.take(LOOKED_AT).read_to_end(&mut start).map_err(unreadable)?;
    // A character may be cut in two at the end.
    let text = match std::str::from_utf8(&start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && start.len() as u64 == LOOKED_AT,
    };
    Ok(text && !start.is_empty() && !start.contains(&0))
}
