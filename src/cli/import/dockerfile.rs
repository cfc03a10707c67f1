//! `ocify import` of a Dockerfile: the spec that says the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::action::StepTarget;
use crate::build::{Built, Context, Options, build};
use crate::diagnostic::Diagnostic;
use crate::dockerfile::{self, Lowered, NamedContexts};
use crate::image::sink::OutputFile;
use crate::image::{self, ImageOrIndex};
use crate::import::{self, Imported};
use crate::plan::{Names, Plan, TargetGraph};
use crate::platform::Platform;
use crate::source::{Lock, SourceError, Workspace};
use crate::target::{Label, Pattern};
use crate::tomlspec;

use super::super::dockerfile::{Pinned, ignore, read};
use super::super::lent::Lent;
use super::super::locked::{self, Locked};
use super::super::progress::Reporter;
use super::super::registries::{Supplied, supplied};
use super::super::resolver::Resolver;
use super::super::sandbox::Sandbox;
use super::super::selection::key_value;
use super::super::unpinned::Unpinned;
use super::super::{diff, environment, print, shown};

/// The settings of a workspace that has none yet.
const SETTINGS: &str = "# The root of an ocify workspace, and its settings.\n";
/// The name of an image whose Dockerfile, directory and workspace have none for it.
const NAME: &str = "image";

/// Arguments for a Dockerfile.
#[derive(clap::Args)]
#[group(id = "dockerfile")]
#[command(next_help_heading = "Options for a Dockerfile")]
pub(super) struct Arguments {
    /// Where the spec is written, `-` for stdout [default: BUILD.star in the context]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The build's context, which becomes the package [default: the Dockerfile's directory]
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// Value of an ARG, which becomes its default in the spec
    #[arg(long = "arg", visible_alias = "build-arg", value_name = "KEY=VALUE", value_parser = key_value)]
    args: Vec<(String, String)>,
    /// Merge neighbouring layers of one kind, instead of one layer an instruction
    #[arg(long)]
    tidy: bool,
    /// Build the Dockerfile and the spec, and print where the images differ; a BUILD.star that is there is compared as it is
    #[arg(long)]
    check: bool,
    /// Overwrite the output
    #[arg(long)]
    force: bool,
    /// Fail if ocify.lock would have to change [default: true where the environment has CI=true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    locked: Option<bool>,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    lent: Lent,
}

/// The command line that brings a person into the root of a layer.
type Shell<'a> = &'a (dyn Fn(&StepTarget, usize) -> String + Sync);

impl Arguments {
    /// An option that only a Dockerfile has.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--output", self.output.is_some()),
            ("--context", self.context.is_some()),
            ("--arg", !self.args.is_empty()),
            ("--tidy", self.tidy),
            ("--check", self.check),
            ("--force", self.force),
            ("--locked", self.locked.is_some()),
            ("--offline", self.offline),
            ("--secret or --ssh", self.lent.words().next().is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// Where the spec goes: a file, or stdout.
    fn output(&self, context: &Path) -> Option<PathBuf> {
        match &self.output {
            None => Some(beside(context, Workspace::SPEC)),
            Some(path) if path.to_str() == Some("-") => None,
            Some(path) => Some(path.clone()),
        }
    }
}

pub(super) fn run(
    file: &Path,
    arguments: &Arguments,
    platform: Option<&Platform>,
    environment: &environment::Arguments,
) -> Result<(), Diagnostic> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = arguments.context.as_deref().unwrap_or(parent);
    let context = Workspace::at(directory)?;
    let (workspace, is_new) = match Workspace::find(context.root()) {
        Ok(workspace) => (workspace, false),
        Err(SourceError::NoWorkspace { .. }) => (context.clone(), true),
        Err(error) => return Err(error.into()),
    };
    let package = workspace.package_of(context.root())?;
    let output = arguments.output(directory);
    let kept = match &output {
        Some(path) if path.exists() && !arguments.force => {
            if !arguments.check {
                let error = Diagnostic::spec(format!("`{}` is there already", path.display()));
                return Err(error.help("`--force` overwrites it, `--check` compares it, `-o FILE` writes elsewhere"));
            }
            true
        }
        _ => false,
    };
    let is_in_place = output.as_deref().is_some_and(|path| path == beside(directory, Workspace::SPEC));
    if arguments.check && !is_in_place {
        let error = Diagnostic::spec("`--check` needs the spec in its place, BUILD.star in the context");
        return Err(error.help("leave `--output` away"));
    }

    let (source, _) = read(file, &context)?;
    let (settings, _) = tomlspec::load(&workspace)?;
    let Supplied { registry, store, .. } = supplied(environment, &settings, arguments.offline)?;
    let client = environment::fetcher(arguments.offline);
    let resolver = Resolver { registry: &*registry, client: &client, workspace: &workspace, store: &store };
    let locked = Locked::given(arguments.locked);
    let mut bases = Pinned { resolver, lock: Lock::load(&workspace)?, locked: &locked, added: Vec::new() };
    let mut own = vec![Workspace::SPEC.to_owned()];
    if package.is_root() {
        own.extend([Lock::FILE.to_owned(), Workspace::SETTINGS.to_owned()]);
    }
    let named = [package.file_name(), settings.name.as_deref()].into_iter().flatten();
    let name = named.into_iter().find(|name| Label::parse(&format!(":{name}"), &package).is_ok()).unwrap_or(NAME);
    let mut options = import::Options {
        build: dockerfile::Options {
            args: arguments.args.iter().cloned().collect(),
            target: None,
            build_platform: settings.platform.clone(),
            platforms: vec![platform.unwrap_or(&settings.platform).clone()],
            contexts: NamedContexts::default(),
            labels: Vec::new(),
            tags: Vec::new(),
            ignore: ignore(file, &context)?,
            hosts: Vec::new(),
            hermetic: settings.hermetic,
            whole: false,
        },
        name: name.to_owned(),
        tidy: arguments.tidy,
        own,
    };
    let Imported { text, target, unused } = import::import(&source, &workspace, &package, &options, &mut bases)?;
    unused.iter().for_each(|name| eprintln!("warning: the Dockerfile has no ARG `{name}`"));
    let label = Label::parse(&format!(":{target}"), &package).map_err(|error| Diagnostic::spec(error.to_string()))?;
    match &output {
        None => return print(&text),
        Some(path) if kept => eprintln!("{} is there and stays as it is", path.display()),
        Some(path) => {
            write(path, &text, arguments.force)?;
            let remarks = text.lines().filter(|line| line.trim_start().starts_with("# ocify:")).count();
            let look = if remarks == 0 { String::new() } else { format!("; look at {remarks} lines with `# ocify:`") };
            eprintln!("{} is written{look}", path.display());
        }
    }
    if is_new {
        write(&workspace.root().join(Workspace::SETTINGS), SETTINGS, false)?;
        eprintln!("{} is written: the workspace's root", beside(directory, Workspace::SETTINGS).display());
    }
    if !bases.added.is_empty() {
        locked::write(&bases.lock, &workspace)?;
    }
    if !arguments.check {
        return print(&format!("{label}\n"));
    }

    // What ocify put there is not in the image that Docker would have made before.
    options.build.ignore.extend(options.own.iter().cloned());
    let parsed = dockerfile::parse(&source)?;
    let Lowered { targets, root, .. } = dockerfile::lower(&parsed, &options.build, &mut bases)?;
    let theirs = TargetGraph::of(&context, settings.clone(), targets, &root)?;
    let Pinned { resolver, mut lock, .. } = bases;
    let names = Names::of(&theirs, std::slice::from_ref(&root));
    let unpinned = Unpinned::of(&names, &lock);
    let missing = unpinned.lines();
    locked.allow(&missing, "ocify lock")?;
    if !missing.is_empty() {
        unpinned.pin(&mut lock, &resolver)?;
        locked::write(&lock, &workspace)?;
    }
    let secrets = arguments.lent.secrets()?;
    let make = |workspace: &Workspace, targets: &TargetGraph, label: &Label, shell: Shell| -> Result<_, Diagnostic> {
        let plan = Plan::new(targets, std::slice::from_ref(label), &lock)?;
        let steps = plan.graph.iter().filter(|(_, action)| action.title().is_some()).count();
        let progress = Reporter::new(steps, false);
        let begun = Instant::now();
        let context = Context {
            workspace,
            settings: &targets.settings,
            store: &store,
            registry: &*registry,
            client: &environment::fetcher(arguments.offline),
            progress: &progress,
            secrets: &secrets,
            clock: &|| begun.elapsed(),
            tier: Sandbox::default().tier()?,
            emulators: &environment::emulators(),
            shell,
            visitors: None,
            against: None,
        };
        let Built { targets: built, failure, .. } = build(&plan, &context, Options::default());
        progress.clear();
        match (failure, built.into_iter().next()) {
            (Some(error), _) => Err(error),
            (None, Some((_, ImageOrIndex::Image(image)))) => Ok(image),
            (None, _) => Err(Diagnostic::spec(format!("`{label}` is for several platforms")).help("check it for one")),
        }
    };
    let of_stage = |target: &StepTarget, number| {
        let (file, directory, name) = (file.display(), directory.display(), &target.label.name);
        format!("ocify shell -f {file} --target {name} {directory}@{number}")
    };
    let of_target = |target: &StepTarget, number| format!("ocify shell {}@{number}", target.label);
    let first = make(&context, &theirs, &root, &of_stage)?;
    let pattern = [Pattern::One(label.clone())];
    let (ours, _) = shown(|notes| TargetGraph::load(&workspace, &pattern, &BTreeMap::new(), &[], notes))?;
    let second = make(&workspace, &ours, &label, &of_target)?;
    let found = image::compare(&store, &first, &second, false)
        .map_err(|error| Diagnostic::failure("the images cannot be compared").caused_by(error))?;
    print(&found.to_string())?;
    diff::verdict(&found, "the Dockerfile's image and the spec's differ")
}

/// The path of a file in a directory, as short as a person would write it.
fn beside(directory: &Path, name: &str) -> PathBuf {
    if directory == Path::new(".") { PathBuf::from(name) } else { directory.join(name) }
}

fn write(path: &Path, text: &str, overwrite: bool) -> Result<(), Diagnostic> {
    let unwritable = || Diagnostic::failure(format!("`{}` cannot be written", path.display()));
    if overwrite {
        // A link is replaced, not followed: it may lead out of what belongs to the Dockerfile.
        let mut file = OutputFile::create(path).map_err(|error| unwritable().caused_by(error))?;
        file.writer().write_all(text.as_bytes()).map_err(|error| unwritable().caused_by(error))?;
        return file.finish().map_err(|error| unwritable().caused_by(error));
    }
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let is_there = error.kind() == ErrorKind::AlreadyExists;
        let error = unwritable().caused_by(error);
        if is_there { error.help("somebody else has just made it") } else { error }
    })
}
