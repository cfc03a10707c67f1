//! `ocify referrers`: what refers to an image of a registry.

use crate::diagnostic::Diagnostic;
use crate::oci::{Reference, Repository};
use crate::registry::{ManifestName, RegistryError};

use super::{environment, print, registries};

/// List what refers to an image in its registry: signatures, lists of parts and the like.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify referrers registry.example.com/shop/web:1.4
  ocify referrers registry.example.com/shop/web@sha256:... --artifact-type application/spdx+json --json")]
pub(super) struct Arguments {
    /// The name of the image
    #[arg(value_name = "IMAGE")]
    image: Reference,
    /// Only those of this type
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// Print the descriptor of each as one line of JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let client = registries::client(environment)?;
    let repository = Repository::of(&arguments.image);
    let name = ManifestName::of(&arguments.image);
    let subject = match name {
        ManifestName::Digest(digest) => digest,
        ManifestName::Tag(_) => {
            let found = client.manifest(&repository, &name)?;
            found.ok_or_else(|| RegistryError::not_found(&repository, &name))?.0.digest
        }
    };
    let referrers = client.referrers(&repository, &subject, arguments.artifact_type.as_deref())?;
    let mut text = String::new();
    for referrer in &referrers {
        text.push_str(&match arguments.json {
            true => serde_json::json!(referrer).to_string(),
            false => format!("{} {} {}", referrer.digest, referrer.media_type, referrer.size),
        });
        text.push('\n');
    }
    print(&text)
}
