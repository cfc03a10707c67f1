//! `ocify shell`: a look around in the root of a step.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::action::StepTarget;
use crate::build::{Context, shell};
use crate::diagnostic::Diagnostic;
use crate::dockerfile::is_proxy;
use crate::plan::ShellPlan;
use crate::sandbox::{Ending, SandboxError};

use super::dockerfile::{Dockerfile, Reading};
use super::environment;
use super::guest::Guest;
use super::lent::Lent;
use super::locked::Locked;
use super::progress::Reporter;
use super::registries::{Supplied, supplied};
use super::sandbox::Sandbox;
use super::selection::{Selected, Selection};

/// Run a shell, or COMMAND, in an image as a `run` of it would, and throw away what it changes
///
/// TARGET is the whole image, with the environment and the directory of its containers. TARGET@STEP is the root in which a
/// layer is made, with the environment and directory of its command; STEP is the layer's number, as `ocify explain` shows
/// it, or a part of its title. What lies below is built first. Without a terminal, commands are read from stdin. The exit code is
/// that of the command.
#[derive(clap::Args)]
#[command(override_usage = "ocify shell [OPTIONS] [TARGET[@STEP]] [-- COMMAND...]")]
#[command(after_help = "Examples:
  ocify shell //shop:web
  ocify shell //shop:web@3
  ocify shell //shop:web@compileall -- ls -l /app
  ocify shell -f Dockerfile --target build .@2
  echo 'cat /etc/os-release' | ocify shell //shop:web")]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    dockerfile: Dockerfile,
    #[command(flatten)]
    lent: Lent,
    #[command(flatten)]
    locked: Locked,
    #[command(flatten)]
    sandbox: Sandbox,
    /// Do not use the network: what the store lacks is not to be had
    #[arg(long)]
    offline: bool,
    /// As of a build with `--hermetic`
    #[arg(long)]
    hermetic: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long)]
    quiet: bool,
    /// The program and its arguments [default: /bin/sh]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, environment: &environment::Arguments) -> Result<ExitCode, Diagnostic> {
    let Arguments { selection, dockerfile, lent, locked, sandbox, offline, hermetic, quiet, command } = arguments;
    let guest = Guest::new(command).map_err(|error| Diagnostic::failure("stdin cannot be read").caused_by(error))?;
    let Some(mut guest) = guest else {
        let error = Diagnostic::spec("there is no terminal, and nothing to read on stdin");
        return Err(error.help("name a command behind `--`, or pipe commands for the shell to stdin"));
    };
    let (place, step) = match selection.targets.as_slice() {
        [one] if dockerfile.is_given() => of_context(one),
        [one] => of_label(one),
        _ => return Err(Diagnostic::spec("a shell runs in one image").help("name one target")),
    };
    let selection = Selection { targets: vec![place.to_owned()], ..selection.clone() };
    let (offline, hermetic) = (*offline, *hermetic);
    let reading = Reading { selection: &selection, locked, environment, offline, hermetic, tags: &[] };
    let Selected { workspace, lock, targets, roots, unpacked: _unpacked, .. } = dockerfile.or_specs(&reading)?;
    let [root] = roots.as_slice() else {
        let names: Vec<String> = roots.iter().map(ToString::to_string).collect();
        let error = Diagnostic::spec(format!("a shell runs in one image, not in {}", names.len()));
        return Err(error.help(format!("name one of {}", names.join(", "))));
    };
    let Supplied { registry, store, .. } = supplied(environment, &targets.settings, offline)?;

    let plan = ShellPlan::new(&targets, root, step, &lock)?;
    if !quiet {
        let title = plan.step.title().unwrap_or_default();
        let below = if step.is_some() { format!("where `{title}` runs in {root}") } else { format!("in {root}") };
        guest = guest.greeted(format!("{below}; what is changed here is thrown away"));
    }
    let steps = plan.graph.iter().filter(|(_, action)| action.title().is_some()).count();
    let begun = Instant::now();
    let context = Context {
        workspace: &workspace,
        settings: &targets.settings,
        store: &store,
        registry: &*registry,
        client: &environment::fetcher(offline),
        progress: &Reporter::new(steps, *quiet),
        secrets: &lent.secrets()?,
        clock: &|| begun.elapsed(),
        tier: sandbox.tier()?,
        emulators: &environment::emulators(),
        shell: &|target, number| line((dockerfile, &selection, lent, hermetic), target, number),
        visitors: None,
        against: None,
    };
    shell(&plan, &context, &mut guest)?;
    let program = guest.program().to_owned();
    match guest.into_ending() {
        Some(Ok(ending)) => Ok(ExitCode::from(code(ending))),
        Some(Err(error)) => Err(refused(&program, error)),
        None => Err(Diagnostic::failure(format!("`{program}` was not run"))),
    }
}

/// The command line that leads into the root of a layer, with the same arguments, but for proxies: these may hold passwords.
pub(super) fn line(
    (dockerfile, selection, lent, hermetic): (&Dockerfile, &Selection, &Lent, bool),
    target: &StepTarget,
    number: usize,
) -> String {
    let mut words = vec!["ocify".to_owned(), "shell".to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), quoted(&value)]);
    let args = selection.args.iter().filter(|(key, _)| !is_proxy(key));
    args.for_each(|(key, value)| option("--arg", format!("{key}={value}")));
    lent.words().for_each(|(name, value)| option(name, value.to_owned()));
    let platforms: Vec<String> = match &target.platform {
        Some(platform) => vec![platform.to_string()],
        None => selection.platforms.iter().map(ToString::to_string).collect(),
    };
    platforms.into_iter().for_each(|platform| option("--platform", platform));
    if hermetic {
        words.push("--hermetic".to_owned());
    }
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), quoted(&value)]);
    match dockerfile.file() {
        None => words.push(format!("{}@{number}", target.label)),
        Some(file) => {
            dockerfile.contexts().for_each(|context| option("--build-context", context));
            dockerfile.hosts().for_each(|host| option("--add-host", host));
            option("-f", file.display().to_string());
            option("--target", target.label.name.clone());
            let context = selection.targets.first().filter(|context| *context != ":all").map_or(".", String::as_str);
            words.push(quoted(&format!("{context}@{number}")));
        }
    }
    words.join(" ")
}

/// What a person is told whose program cannot be run in a step's root.
pub(super) fn refused(program: &str, error: SandboxError) -> Diagnostic {
    let message = format!("`{program}` cannot be run there");
    match error {
        SandboxError::Refused { stage, source } => {
            let help = stage.help(&source);
            let error = Diagnostic::failure(format!("{message}: {stage} failed")).caused_by(source);
            error.help(format!("{help}; `ocify shell TARGET -- COMMAND` runs another program"))
        }
        error => Diagnostic::failure(message).caused_by(error),
    }
}

/// As a shell says it.
fn code(ending: Ending) -> u8 {
    match ending {
        Ending::Exited(code) => u8::try_from(code).unwrap_or(1),
        Ending::Killed(signal) => u8::try_from(128 + signal).unwrap_or(1),
        Ending::TimedOut | Ending::DiskFull => 1,
    }
}

/// `LABEL@STEP`. A package may have an `@` in its name, a title a colon.
fn of_label(text: &str) -> (&str, Option<&str>) {
    let name = text.find(':').unwrap_or(0);
    let at = text[name..].find('@').map(|at| name + at).or(text.find('@'));
    at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

/// `CONTEXT@STEP`, or only `@STEP`.
fn of_context(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some(("", step)) => (".", Some(step)),
        Some((context, step)) if !Path::new(text).exists() => (context, Some(step)),
        _ => (text, None),
    }
}

/// A word as a shell reads it again.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/.,:@=+_-".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_named_behind_its_target() {
        assert_eq!(of_label("//a:b"), ("//a:b", None));
        assert_eq!(of_label("//a:b@3"), ("//a:b", Some("3")));
        assert_eq!(of_label("//a@RUN echo a:b"), ("//a", Some("RUN echo a:b")));
        assert_eq!(of_label("//a@20:b@c@d"), ("//a@20:b", Some("c@d")));
        assert_eq!(of_context("@3"), (".", Some("3")));
        assert_eq!(of_context("some/where@run x"), ("some/where", Some("run x")));
        assert_eq!(of_context("."), (".", None));
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_read_them_otherwise() {
        assert_eq!(quoted("//a:b@3"), "//a:b@3");
        assert_eq!(quoted("A=it's"), "'A=it'\\''s'");
    }
}
