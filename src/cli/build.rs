//! `ocify build`: targets to images.

use std::path::PathBuf;
use std::time::Instant;

use crate::build::{Built, Context, Options, build};
use crate::diagnostic::Diagnostic;
use crate::image::ImageOrIndex;
use crate::plan::{Names, Plan, TargetGraph};
use crate::store::Store;
use crate::target::Label;

use super::locked::{self, Locked};
use super::output::Output;
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::selection::{Selected, Selection};
use super::{environment, print, record};

/// Build targets into the store, and print the label and digest of each.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify build //examples/hello
  ocify build //... --jobs 4
  ocify build :web -o oci-archive:web.tar -o dir:rootfs --arg VERSION=1.4")]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Also write the image: oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR or tar:FILE
    #[arg(short, long = "output", value_name = "KIND:PATH")]
    outputs: Vec<Output>,
    /// How many steps run at the same time; the output does not depend on it [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    locked: Locked,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// Write what was built of what to FILE, for `ocify explain --against FILE` here or on another machine
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object for each target instead of a line
    #[arg(long)]
    json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    if let Some(jobs) = arguments.jobs {
        // First of all, as whoever uses the pool earlier makes it.
        let made = rayon::ThreadPoolBuilder::new().num_threads(jobs.into()).build_global();
        made.map_err(|error| Diagnostic::failure("the threads cannot be started").caused_by(error))?;
    }
    let Selected { workspace, lock, targets, roots, is_whole } = arguments.selection.load()?;
    check_outputs(&arguments.outputs, &targets, &roots)?;
    let Supplied { registry, store } = supplied(environment, &targets.settings, arguments.offline)?;

    let plan = Plan::new(&targets, &roots, &lock)?;
    if is_whole {
        arguments.locked.allow(&locked::stale(&lock, &Names::of(&targets, &roots)), "ocify lock")?;
    }
    let steps = plan.graph.iter().filter(|(_, action)| action.title().is_some()).count();
    let progress = Reporter::new(steps, arguments.quiet);
    let begun = Instant::now();
    let context = Context {
        workspace: &workspace,
        settings: &targets.settings,
        store: &store,
        registry: &*registry,
        progress: &progress,
        clock: &|| begun.elapsed(),
        against: None,
    };
    let options = Options { keep_going: arguments.keep_going, records: arguments.record.is_some() };
    let Built { targets: built, records, failure } = build(&plan, &context, options);
    progress.clear();
    if let Some(error) = failure {
        // What was asked for is there or not; with `--keep-going` what is there is wanted all the same.
        if arguments.keep_going {
            finish(arguments, &targets, &built, &store)?;
        }
        return Err(error);
    }
    if let Some(file) = &arguments.record {
        record::write(file, records, &store)?;
    }
    finish(arguments, &targets, &built, &store)
}

/// Writes the outputs, names what was built, and prints it.
fn finish(
    arguments: &Arguments,
    targets: &TargetGraph,
    built: &[(Label, ImageOrIndex)],
    store: &Store,
) -> Result<(), Diagnostic> {
    let mut references = Vec::new();
    for (label, built) in built {
        let names = names(targets, label);
        for output in &arguments.outputs {
            output.write(built, &names, store)?;
        }
        let listed = std::iter::once(label.ref_name()).chain(names);
        references.extend(listed.map(|name| (name, built.descriptor())));
    }
    store
        .set_references(&references)
        .map_err(|error| Diagnostic::failure("the store's index cannot be written").caused_by(error))?;
    print(&built.iter().map(|(label, built)| line(label, built, arguments.json)).collect::<String>())
}

fn line(label: &Label, built: &ImageOrIndex, json: bool) -> String {
    if !json {
        return format!("{label} {}\n", built.digest());
    }
    let descriptor = built.descriptor();
    let object = serde_json::json!({
        "label": label,
        "digest": descriptor.digest,
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
    });
    format!("{object}\n")
}

/// The names under which an output lists a target: its tags, else its label's name.
fn names(targets: &TargetGraph, label: &Label) -> Vec<String> {
    let tags = targets.get(label).map(|target| target.rule.tags().to_vec()).unwrap_or_default();
    if tags.is_empty() { vec![label.ref_name()] } else { tags }
}

/// Finds out before anything is built that an output cannot take what it is asked to.
fn check_outputs(outputs: &[Output], targets: &TargetGraph, roots: &[Label]) -> Result<(), Diagnostic> {
    for output in outputs {
        if roots.len() > 1 && !output.takes_many() {
            return Err(Diagnostic::spec(format!("`-o {}` takes one target, not {}", output.text(), roots.len()))
                .help("name one target, or use `oci:DIR`, which takes many"));
        }
        if !output.takes_indexes() && roots.iter().any(|label| targets.is_index(label)) {
            return Err(output.refuse_index());
        }
    }
    Ok(())
}
