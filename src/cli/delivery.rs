//! Where what was built goes beside the store: files and directories, registries, and files for the steps that follow.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
use crate::image::ImageOrIndex;
use crate::oci::Reference;
use crate::plan::TargetGraph;
use crate::registry::Client;
use crate::store::Store;
use crate::target::Label;

use super::metadata::{self, Pushed};
use super::output::Output;
use super::push;

/// Arguments of commands that build.
#[derive(clap::Args)]
pub(super) struct Delivery {
    /// Also write the image: oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR or tar:FILE
    #[arg(short, long = "output", value_name = "KIND:PATH")]
    outputs: Vec<Output>,
    /// Push each target to its tags, when all that was asked for is built
    #[arg(long, conflicts_with = "offline")]
    push: bool,
    /// Write the digest of the one target to FILE
    #[arg(long, value_name = "FILE")]
    digest_file: Option<PathBuf>,
    /// Write the image ID of the one target to FILE: the digest of its config, or that of an index
    #[arg(long, value_name = "FILE")]
    iidfile: Option<PathBuf>,
    /// Write digests, platforms and where they were pushed to FILE, as JSON by label
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

impl Delivery {
    /// Finds out before anything is built that something cannot go where it is asked to.
    pub(super) fn check(&self, targets: &TargetGraph, roots: &[Label]) -> Result<(), Diagnostic> {
        for output in &self.outputs {
            if roots.len() > 1 && !output.takes_many() {
                return Err(Diagnostic::spec(format!("`-o {}` takes one target, not {}", output.text(), roots.len()))
                    .help("name one target, or use `oci:DIR`, which takes many"));
            }
            if !output.takes_indexes() && roots.iter().any(|label| targets.is_index(label)) {
                return Err(output.refuse_index());
            }
        }
        for (file, flag) in [(&self.digest_file, "--digest-file"), (&self.iidfile, "--iidfile")] {
            if file.is_some() && roots.len() > 1 {
                return Err(Diagnostic::spec(format!("`{flag}` takes one target, not {}", roots.len()))
                    .help("name one target, or use `--metadata-file`, which takes many"));
            }
        }
        if self.push {
            roots.iter().try_for_each(|label| destinations(targets, label).map(drop))?;
        }
        Ok(())
    }

    /// Writes the outputs, and sets the names of what was built in the store. A stage of a Dockerfile that was given names has
    /// no other: its own says nothing outside of the file.
    pub(super) fn write(
        &self,
        targets: &TargetGraph,
        built: &[(Label, ImageOrIndex)],
        is_dockerfile: bool,
        store: &Store,
    ) -> Result<(), Diagnostic> {
        let mut references = Vec::new();
        for (label, built) in built {
            let names = names(targets, label);
            for output in &self.outputs {
                output.write(built, &names, store)?;
            }
            let own = (!is_dockerfile || tags(targets, label).is_empty()).then(|| label.ref_name());
            let listed = own.into_iter().chain(names);
            references.extend(listed.map(|name| (name, built.descriptor())));
        }
        store
            .set_references(&references)
            .map_err(|error| Diagnostic::failure("the store's index cannot be written").caused_by(error))
    }

    /// Pushes what was built, where that is asked for, and writes the files that tell of it.
    pub(super) fn publish(
        &self,
        targets: &TargetGraph,
        built: &[(Label, ImageOrIndex)],
        client: Option<&Client>,
        store: &Store,
        quiet: bool,
    ) -> Result<(), Diagnostic> {
        let mut published = Vec::new();
        for (label, what) in built {
            let names = match client.filter(|_| self.push) {
                Some(client) => push::push(what, &destinations(targets, label)?, store, client, quiet)?,
                None => Vec::new(),
            };
            published.push((label.to_string(), Pushed { what: what.clone(), names }));
        }
        if let (Some(file), [(_, what)]) = (&self.digest_file, built) {
            metadata::write_digest(file, &what.digest())?;
        }
        if let (Some(file), [(_, what)]) = (&self.iidfile, built) {
            metadata::write_digest(file, &what.id())?;
        }
        self.metadata_file.as_ref().map_or(Ok(()), |file| metadata::write(file, &published))
    }
}

/// The tags of a target.
fn tags<'a>(targets: &'a TargetGraph, label: &Label) -> &'a [String] {
    targets.get(label).map_or(&[], |target| target.rule.tags())
}

/// The names under which an output lists a target: its tags, else its label's name.
fn names(targets: &TargetGraph, label: &Label) -> Vec<String> {
    match tags(targets, label) {
        [] => vec![label.ref_name()],
        tags => tags.to_vec(),
    }
}

/// Where a target is pushed to.
///
/// # Errors
/// It has no tags, or one that is not a name in a registry.
fn destinations(targets: &TargetGraph, label: &Label) -> Result<Vec<Reference>, Diagnostic> {
    let span = targets.get(label).and_then(|target| target.span.clone());
    let tags = tags(targets, label);
    if tags.is_empty() {
        let error = Diagnostic::spec(format!("`{label}` has no tags, so `--push` has nowhere to push it to"));
        return Err(error.at(span).help("give it some, as in `tags = [\"registry.example.com/shop/web:1.4\"]`"));
    }
    let parse = |tag: &String| {
        let error = |error| Diagnostic::spec(format!("{error}")).at(span.as_ref().map(|span| span.narrowed_to(tag)));
        tag.parse::<Reference>().map_err(error)
    };
    tags.iter().map(parse).collect()
}
