//! `ocify import` of an archive: a root file system as an image.

use std::fs::File;
use std::path::Path;

use crate::build::import_rootfs;
use crate::diagnostic::Diagnostic;
use crate::platform::Platform;
use crate::target::ImageSpec;

use super::super::report::harmless;
use super::super::selection::key_value;
use super::super::{environment, load, name, tag};

/// Arguments for an archive.
#[derive(clap::Args)]
#[group(id = "archive")]
#[command(next_help_heading = "Options for an archive")]
pub(super) struct Arguments {
    /// The name of an archive's image; without one it is found by its digest
    #[arg(value_name = "NAME")]
    name: Option<String>,
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

pub(super) fn run(
    path: &Path,
    arguments: &Arguments,
    platform: Option<&Platform>,
    environment: &environment::Arguments,
) -> Result<(), Diagnostic> {
    let reference = arguments.name.as_deref().map(tag::target).transpose()?;
    let store = environment.store()?;
    let file = match path.to_str() {
        Some("-") => load::stdin(&store)?,
        _ => File::open(path)
            .map_err(|error| Diagnostic::failure(format!("{} cannot be read", path.display())).caused_by(error))?,
    };
    let (image, warnings) = import_rootfs(file, &arguments.spec(platform), &store)?;
    warnings.iter().for_each(|text| eprint!("{}", harmless(&format!("warning: {text}\n"), false)));
    name::publish(reference.as_ref(), &image.descriptor(), &store)
}

impl Arguments {
    /// An option that only an archive has.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("NAME", self.name.is_some()),
            ("--entrypoint", !self.entrypoint.is_empty()),
            ("--cmd", !self.cmd.is_empty()),
            ("--env", !self.env.is_empty()),
            ("--label", !self.label.is_empty()),
            ("--user", self.user.is_some()),
            ("--workdir", self.workdir.is_some()),
            ("--created", self.created.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    fn spec(&self, platform: Option<&Platform>) -> ImageSpec {
        let filled = |arguments: &Vec<String>| (!arguments.is_empty()).then(|| arguments.clone());
        ImageSpec {
            platform: Some(platform.cloned().unwrap_or_else(|| Platform::new("linux", "amd64", None))),
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
