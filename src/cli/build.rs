//! `ocify build`: targets to images.

use std::path::PathBuf;
use std::time::Instant;

use crate::build::{Built, Context, Options, build};
use crate::diagnostic::Diagnostic;
use crate::image::ImageOrIndex;
use crate::plan::{Names, Plan};
use crate::target::Label;

use super::delivery::Delivery;
use super::dockerfile::{Dockerfile, Reading};
use super::locked::{self, Locked};
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::sandbox::Sandbox;
use super::selection::{Selected, Selection};
use super::{environment, print, record};

/// Build targets into the store, and print the label and digest of each.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify build //examples/hello
  ocify build //... --jobs 4
  ocify build :web -o oci-archive:web.tar -o dir:rootfs --arg VERSION=1.4
  ocify build //shop:web --push --metadata-file web.json
  ocify build -f Dockerfile -t shop/web:1.4 --build-arg VERSION=1.4 .")]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    dockerfile: Dockerfile,
    /// Name of the image of a Dockerfile
    #[arg(short, long = "tag", value_name = "NAME", requires = "file")]
    tags: Vec<String>,
    #[command(flatten)]
    delivery: Delivery,
    /// How many steps run at the same time; the output does not depend on it [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    locked: Locked,
    #[command(flatten)]
    sandbox: Sandbox,
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
    let print_lines = |built: &[(Label, ImageOrIndex)]| {
        print(&built.iter().map(|(label, built)| line(label, built, arguments.json)).collect::<String>())
    };
    let Arguments { selection, locked, offline, tags, .. } = arguments;
    let reading = Reading { selection, locked, environment, offline: *offline, tags };
    let Selected { workspace, lock, targets, roots, is_whole } = arguments.dockerfile.or_specs(&reading)?;
    arguments.delivery.check(&targets, &roots)?;
    let Supplied { registry, client, store } = supplied(environment, &targets.settings, arguments.offline)?;

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
        client: &environment::fetcher(arguments.offline),
        progress: &progress,
        clock: &|| begun.elapsed(),
        tier: arguments.sandbox.tier()?,
        against: None,
    };
    let options = Options { keep_going: arguments.keep_going, records: arguments.record.is_some() };
    let Built { targets: built, records, failure } = build(&plan, &context, options);
    progress.clear();
    if let Some(error) = failure {
        // What was asked for is there or not; with `--keep-going` what is there is wanted all the same.
        if arguments.keep_going {
            arguments.delivery.write(&targets, &built, &store)?;
            print_lines(&built)?;
        }
        return Err(error);
    }
    if let Some(file) = &arguments.record {
        record::write(file, records, &store)?;
    }
    arguments.delivery.write(&targets, &built, &store)?;
    arguments.delivery.publish(&targets, &built, client.as_deref(), &store, arguments.quiet)?;
    print_lines(&built)
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
