//! `ocify build`: targets to images.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::build::{Anew, Built, Context, Options, build};
use crate::diagnostic::{Diagnostic, nearest};
use crate::image::ImageOrIndex;
use crate::plan::{Names, Plan, TargetGraph};
use crate::sandbox::LetIn;
use crate::target::Label;

use super::delivery::Delivery;
use super::dockerfile::{Dockerfile, Reading};
use super::guest::Guest;
use super::lent::Lent;
use super::locked::{self, Locked};
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::sandbox::Sandbox;
use super::selection::{Selected, Selection};
use super::{environment, lint, print, record, report, shell};

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
    #[command(flatten)]
    lent: Lent,
    /// How many steps run at the same time; the output does not depend on it [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    #[command(flatten)]
    locked: Locked,
    #[command(flatten)]
    sandbox: Sandbox,
    /// Check the Dockerfile as `ocify lint` does, and build nothing
    #[arg(long, requires = "file")]
    check: bool,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
    /// Refuse steps that have the network; RUN of a Dockerfile has none then
    #[arg(long)]
    hermetic: bool,
    /// Run commands and write layers again, also those that the store has; one that gives something else than before is warned of
    #[arg(long)]
    no_cache: bool,
    /// The same for these stages of a Dockerfile only
    #[arg(long, value_name = "STAGE", value_delimiter = ',', requires = "file")]
    no_cache_filter: Vec<String>,
    /// After a failure, go on with what does not depend on it
    #[arg(short, long)]
    keep_going: bool,
    /// After a command failed, run a shell in the root as it left it
    #[arg(long)]
    shell_on_failure: bool,
    /// Write what was built of what to FILE, for `ocify explain --against FILE` here or on another machine
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object for each target instead of a line
    #[arg(long)]
    json: bool,
    /// Say nothing on stderr but errors and warnings; of a Dockerfile print the digest only
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<(), Diagnostic> {
    if arguments.check {
        return lint::check(&arguments.dockerfile, &arguments.selection, environment);
    }
    if let Some(jobs) = arguments.jobs {
        // First of all, as whoever uses the pool earlier makes it.
        let made = rayon::ThreadPoolBuilder::new().num_threads(jobs.into()).build_global();
        made.map_err(|error| Diagnostic::failure("the threads cannot be started").caused_by(error))?;
    }
    let secrets = arguments.lent.secrets()?;
    let Arguments { selection, locked, offline, hermetic, tags, .. } = arguments;
    let reading = Reading { selection, locked, environment, offline: *offline, hermetic: *hermetic, tags };
    let Selected { workspace, lock, targets, roots, is_whole, unpacked: _unpacked } =
        arguments.dockerfile.or_specs(&reading)?;
    arguments.delivery.check(&targets, &roots)?;
    let Supplied { registry, client, store } = supplied(environment, &targets.settings, arguments.offline)?;

    let plan = Plan::new(&targets, &roots, &lock)?;
    if is_whole {
        arguments.locked.allow(&locked::stale(&lock, &Names::of(&targets, &roots)), "ocify lock")?;
    }
    let print_lines = |built: &[(Label, ImageOrIndex)]| {
        print(&built.iter().map(|(label, built)| arguments.line(label, built, &plan)).collect::<String>())
    };
    let steps = plan.graph.iter().filter(|(_, action)| action.title().is_some()).count();
    let progress = Reporter::new(steps, arguments.quiet);
    let begun = Instant::now();
    let visited = AtomicBool::new(false);
    let visitors = |error: &Diagnostic, let_in: LetIn| {
        // Of several commands that fail at the same time, the first one is enough.
        if !visited.swap(true, Ordering::Relaxed) {
            progress.pause(|| visit(error, let_in));
        }
    };
    let context = Context {
        workspace: &workspace,
        settings: &targets.settings,
        store: &store,
        registry: &*registry,
        client: &environment::fetcher(arguments.offline),
        progress: &progress,
        secrets: &secrets,
        clock: &|| begun.elapsed(),
        tier: arguments.sandbox.tier()?,
        emulators: &environment::emulators(),
        shell: &|target, number| {
            shell::line((&arguments.dockerfile, selection, &arguments.lent, *hermetic), target, number)
        },
        visitors: if arguments.shell_on_failure { Some(&visitors) } else { None },
        against: None,
    };
    let records = arguments.record.is_some();
    let options = Options { keep_going: arguments.keep_going, records, anew: arguments.anew(&targets)? };
    let Built { targets: built, records, failure } = build(&plan, &context, options);
    progress.clear();
    if let Some(error) = failure {
        // What was asked for is there or not; with `--keep-going` what is there is wanted all the same.
        if arguments.keep_going {
            arguments.delivery.write(&targets, &built, arguments.dockerfile.is_given(), &store)?;
            print_lines(&built)?;
        }
        return Err(error);
    }
    if let Some(file) = &arguments.record {
        record::write(file, records, &store)?;
    }
    arguments.delivery.write(&targets, &built, arguments.dockerfile.is_given(), &store)?;
    arguments.delivery.publish(&targets, &built, client.as_deref(), &store, arguments.quiet)?;
    print_lines(&built)
}

/// Shows the error, and lets the person look around.
fn visit(error: &Diagnostic, let_in: LetIn) {
    eprint!("{}", report::render(error));
    let guest = match Guest::new(&[]) {
        Ok(Some(guest)) => guest,
        Ok(None) => return eprintln!("warning: no shell, as there is no terminal, and nothing to read on stdin"),
        Err(error) => return eprintln!("warning: no shell, as stdin cannot be read: {error}"),
    };
    let mut guest = guest.greeted("where the command failed; what is changed here is thrown away".into());
    let_in(&mut guest);
    let program = guest.program().to_owned();
    if let Some(Err(error)) = guest.into_ending() {
        eprint!("{}", report::render(&shell::refused(&program, error)));
    }
}

impl Arguments {
    /// Which steps are made although the store has their results.
    ///
    /// # Errors
    /// There is no such stage.
    fn anew(&self, targets: &TargetGraph) -> Result<Anew, Diagnostic> {
        if self.no_cache {
            return Ok(Anew::All);
        }
        let mut anew = BTreeSet::new();
        for name in &self.no_cache_filter {
            let is_meant = |label: &&Label| label.name.eq_ignore_ascii_case(name);
            let found: Vec<Label> = targets.iter().map(|target| &target.label).filter(is_meant).cloned().collect();
            if found.is_empty() {
                let error = Diagnostic::spec(format!("no stage `{name}` is built"));
                let names: BTreeSet<&str> = targets.iter().map(|target| target.label.name.as_str()).collect();
                return Err(match nearest(name, names.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("the stages are {}", Vec::from_iter(names).join(", "))),
                });
            }
            anew.extend(found);
        }
        Ok(if anew.is_empty() { Anew::Nothing } else { Anew::Targets(anew) })
    }

    fn line(&self, label: &Label, built: &ImageOrIndex, plan: &Plan) -> String {
        if !self.json {
            return match self.quiet && self.dockerfile.is_given() {
                true => format!("{}\n", built.digest()),
                false => format!("{label} {}\n", built.digest()),
            };
        }
        let descriptor = built.descriptor();
        let object = serde_json::json!({
            "label": label,
            "digest": descriptor.digest,
            "mediaType": descriptor.media_type,
            "size": descriptor.size,
            "hermetic": plan.is_hermetic(label),
        });
        format!("{object}\n")
    }
}
