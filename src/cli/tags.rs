//! `ocify tags`: the tags of a repository.

use crate::diagnostic::Diagnostic;
use crate::oci::{Reference, Repository};

use super::{environment, print, registries};

/// List the tags of a repository in its registry, one a line.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify tags debian
  ocify tags registry.example.com/shop/web --json")]
pub(super) struct Arguments {
    /// The name of an image; its tag does not matter
    #[arg(value_name = "REPOSITORY")]
    repository: Reference,
    /// Print one JSON object with the repository and its tags
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let repository = Repository::of(&arguments.repository);
    let tags = registries::client(environment)?.tags(&repository)?;
    if arguments.json {
        let object = serde_json::json!({ "repository": repository.to_string(), "tags": tags });
        return print(&format!("{object}\n"));
    }
    print(&tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())
}
