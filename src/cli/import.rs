//! `ocify import`: a root file system as an image.

use std::fs::File;
use std::path::PathBuf;

use crate::build::import_rootfs;
use crate::diagnostic::Diagnostic;
use crate::platform::Platform;
use crate::target::ImageSpec;

use super::selection::key_value;
use super::{environment, load, name, tag};

/// Make an image with one layer of the files in an archive.
#[derive(clap::Args)]
#[command(after_help = "The archive is a tar, also compressed, or a zip. Paths, modes, owners and times are kept; the
layer is written in ocify's own encoding, so the same files give the same digest.

Examples:
  ocify import rootfs.tar example.com/base:1
  podman export CONTAINER | ocify import - example.com/base:1 --cmd /bin/sh")]
pub(super) struct Arguments {
    /// The archive, or `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The image's name; without one it is found by its digest
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// What the image is for
    #[arg(long, default_value = "linux/amd64")]
    platform: Platform,
    /// The program to start, or one of its fixed arguments; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// A default argument of the program; may be repeated
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// A variable of the environment; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    env: Vec<(String, String)>,
    /// A label; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    label: Vec<(String, String)>,
    /// The user as which the program runs
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The directory in which the program starts
    #[arg(long, value_name = "PATH")]
    workdir: Option<String>,
    /// Time of creation, RFC 3339 [default: 1970-01-01T00:00:00Z]
    #[arg(long, value_name = "TIME")]
    created: Option<String>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let reference = arguments.name.as_deref().map(tag::target).transpose()?;
    let store = environment.store()?;
    let file = match arguments.file.to_str() {
        Some("-") => load::stdin(&store)?,
        _ => File::open(&arguments.file).map_err(|error| {
            Diagnostic::failure(format!("{} cannot be read", arguments.file.display())).caused_by(error)
        })?,
    };
    let (image, warnings) = import_rootfs(file, &arguments.spec(), &store)?;
    warnings.iter().for_each(|text| eprintln!("warning: {text}"));
    name::publish(reference.as_ref(), &image.descriptor(), &store)
}

impl Arguments {
    fn spec(&self) -> ImageSpec {
        let filled = |arguments: &Vec<String>| (!arguments.is_empty()).then(|| arguments.clone());
        ImageSpec {
            platform: Some(self.platform.clone()),
            entrypoint: filled(&self.entrypoint),
            cmd: filled(&self.cmd),
            env: self.env.clone(),
            labels: self.label.iter().cloned().collect(),
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            created: self.created.clone(),
            ..ImageSpec::default()
        }
    }
}
