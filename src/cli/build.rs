//! `ocify build`: targets to images.

use std::collections::BTreeMap;

use crate::build::{Context, build};
use crate::diagnostic::Diagnostic;
use crate::image::ImageOrIndex;
use crate::plan::{Plan, TargetGraph};
use crate::platform::Platform;
use crate::target::{Label, Pattern, Rule, Target};

use super::output::Output;
use super::progress::Reporter;
use super::{environment, print, shown};

/// Build targets into the store, and print the label and digest of each.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocify build //examples/hello
  ocify build //... --jobs 4
  ocify build :web -o oci-archive:web.tar -o dir:rootfs --arg VERSION=1.4")]
pub(super) struct Arguments {
    /// Labels or patterns: //path:name, :name, //path/...
    #[arg(value_name = "TARGET", default_value = ":all")]
    targets: Vec<String>,
    /// Also write the image: oci:DIR, oci-archive:FILE, docker-archive:FILE, dir:DIR or tar:FILE
    #[arg(short, long = "output", value_name = "KIND:PATH")]
    outputs: Vec<Output>,
    /// Value of a build argument that the spec declares with `arg(...)`
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = key_value)]
    args: Vec<(String, String)>,
    /// Platform of images that name none, such as linux/arm64
    #[arg(long)]
    platform: Option<Platform>,
    /// How many steps run at the same time; the output does not depend on it [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Print one JSON object for each target instead of a line
    #[arg(long)]
    json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    let (workspace, here) = environment::workspace()?;
    let patterns = patterns(&arguments.targets, &here)?;
    let args: BTreeMap<String, String> = arguments.args.iter().cloned().collect();
    let (targets, roots) =
        shown(|notes| TargetGraph::load(&workspace, &patterns, &args, arguments.platform.as_ref(), notes))?;
    check_outputs(&arguments.outputs, &targets, &roots)?;
    let store = environment.store()?;
    if let Some(jobs) = arguments.jobs {
        // An error means that the pool exists already, which this is the first to ask for.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(jobs.into()).build_global();
    }

    let plan = Plan::new(&targets, &roots);
    let steps = plan.graph.iter().filter(|(_, action)| action.title().is_some()).count();
    let progress = Reporter::new(steps, arguments.quiet);
    let context = Context { workspace: &workspace, settings: &targets.settings, store: &store, progress: &progress };
    let built = build(&plan, &context);
    progress.clear();
    let built = built?;

    let mut references = Vec::new();
    for (label, built) in &built {
        let names = names(&targets, label);
        for output in &arguments.outputs {
            output.write(built, &names, &store)?;
        }
        let listed = std::iter::once(label.ref_name()).chain(names);
        references.extend(listed.map(|name| (name, built.descriptor())));
    }
    store
        .set_references(&references)
        .map_err(|error| Diagnostic::failure("the store's index cannot be written").caused_by(error))?;
    print(&built.iter().map(|(label, built)| line(label, built, arguments.json)).collect::<String>())
}

/// The patterns of a command line.
pub(super) fn patterns(texts: &[String], here: &crate::path::WorkspacePath) -> Result<Vec<Pattern>, Diagnostic> {
    let parse = |text: &String| Pattern::parse(text, here).map_err(|error| Diagnostic::spec(error.to_string()));
    texts.iter().map(parse).collect()
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
    let tags = match targets.get(label).map(|target| &target.rule) {
        Some(Rule::Image(image)) => image.tags.clone(),
        Some(Rule::Index(index)) => index.tags.clone(),
        None => Vec::new(),
    };
    if tags.is_empty() { vec![label.ref_name()] } else { tags }
}

/// Finds out before anything is built that an output cannot take what it is asked to.
fn check_outputs(outputs: &[Output], targets: &TargetGraph, roots: &[Label]) -> Result<(), Diagnostic> {
    let is_index = |target: &Target| matches!(target.rule, Rule::Index(_));
    for output in outputs {
        if roots.len() > 1 && !output.takes_many() {
            return Err(Diagnostic::spec(format!("`-o {}` takes one target, not {}", output.text(), roots.len()))
                .help("name one target, or use `oci:DIR`, which takes many"));
        }
        if !output.takes_indexes() && roots.iter().filter_map(|label| targets.get(label)).any(is_index) {
            return Err(output.refuse_index());
        }
    }
    Ok(())
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it should look like KEY=VALUE".into()),
    }
}
