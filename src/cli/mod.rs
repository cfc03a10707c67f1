//! The command line: arguments, rendering, exit codes; one file a command.
//!
//! stdout is data (labels and digests, JSON, tables), stderr is for people. Exit codes: 0 done, 1 a build or a
//! verification failed, 2 the command line or the spec is wrong.

mod build;
mod comparison;
mod completions;
mod copy;
mod delivery;
mod df;
mod diff;
mod dockerfile;
mod doctor;
mod dpkg;
mod environment;
mod explain;
mod export;
mod filter;
mod graph;
mod guest;
mod history;
mod images;
mod import;
mod index;
mod inspect;
mod interrupt;
mod lent;
mod lint;
mod load;
mod lock;
mod locked;
mod login;
mod logout;
mod metadata;
mod name;
mod offline;
mod output;
mod password;
mod pin_change;
mod place;
mod progress;
mod prune;
mod pull;
mod push;
mod query;
mod rebase;
mod record;
mod referrers;
mod registries;
mod report;
mod resolver;
mod rmi;
mod sandbox;
mod save;
mod schema;
mod selection;
mod shell;
mod size;
mod tag;
mod tags;
mod template;
mod terminal;
mod transfer;
mod unpinned;
mod update;
mod user_config;

use std::fs::File;
use std::io::{self, ErrorKind, Seek, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::diagnostic::{Class, Diagnostic};
use crate::eval::Notes;
use crate::scratch;

/// Turn a spec into an OCI image, bit for bit the same on every machine.
#[derive(Parser)]
#[command(name = "ocify", version, about, long_about = None, max_term_width = 100)]
#[command(after_help = "Example: ocify build //examples/hello")]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    environment: environment::Arguments,
}

#[derive(Subcommand)]
enum Command {
    Build(build::Arguments),
    Lock(lock::Arguments),
    Update(update::Arguments),
    Explain(explain::Arguments),
    Lint(lint::Arguments),
    Graph(graph::Arguments),
    Query(query::Arguments),
    Shell(shell::Arguments),
    Schema(schema::Arguments),
    #[command(alias = "ls")]
    Images(images::Arguments),
    Inspect(inspect::Arguments),
    History(history::Arguments),
    Diff(diff::Arguments),
    Tag(tag::Arguments),
    #[command(alias = "rm")]
    Rmi(rmi::Arguments),
    Pull(pull::Arguments),
    Push(push::Arguments),
    Tags(tags::Arguments),
    Referrers(referrers::Arguments),
    Copy(copy::Arguments),
    Save(save::Arguments),
    Load(load::Arguments),
    Import(import::Arguments),
    Export(export::Arguments),
    Index(index::Arguments),
    Rebase(rebase::Arguments),
    Prune(prune::Arguments),
    Df(df::Arguments),
    Doctor(doctor::Arguments),
    Login(login::Arguments),
    Logout(logout::Arguments),
    Completions(completions::Arguments),
}

/// Runs the command of this process's arguments.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` are errors to clap, with exit code 0; a closed stdout is nobody's fault.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    scratch::helped_by(crate::sandbox::remove);
    interrupt::install();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprint!("{}", report::render(&error));
            ExitCode::from(match error.class() {
                Class::Spec => 2,
                Class::Failure => 1,
            })
        }
    }
}

impl Cli {
    fn run(&self) -> Result<ExitCode, Diagnostic> {
        let environment = &self.environment;
        let done = match &self.command {
            Command::Shell(arguments) => return shell::run(arguments, environment),
            Command::Build(arguments) => build::run(arguments, environment),
            Command::Lock(arguments) => lock::run(arguments, environment),
            Command::Update(arguments) => update::run(arguments, environment),
            Command::Explain(arguments) => explain::run(arguments, environment),
            Command::Lint(arguments) => lint::run(arguments, environment),
            Command::Graph(arguments) => graph::run(arguments, environment),
            Command::Query(arguments) => query::run(arguments),
            Command::Schema(arguments) => schema::run(arguments),
            Command::Images(arguments) => images::run(arguments, environment),
            Command::Inspect(arguments) => inspect::run(arguments, environment),
            Command::History(arguments) => history::run(arguments, environment),
            Command::Diff(arguments) => diff::run(arguments, environment),
            Command::Tag(arguments) => tag::run(arguments, environment),
            Command::Rmi(arguments) => rmi::run(arguments, environment),
            Command::Pull(arguments) => pull::run(arguments, environment),
            Command::Push(arguments) => push::run(arguments, environment),
            Command::Tags(arguments) => tags::run(arguments, environment),
            Command::Referrers(arguments) => referrers::run(arguments, environment),
            Command::Copy(arguments) => copy::run(arguments, environment),
            Command::Save(arguments) => save::run(arguments, environment),
            Command::Load(arguments) => load::run(arguments, environment),
            Command::Import(arguments) => import::run(arguments, environment),
            Command::Export(arguments) => export::run(arguments, environment),
            Command::Index(arguments) => index::run(arguments, environment),
            Command::Rebase(arguments) => rebase::run(arguments, environment),
            Command::Prune(arguments) => prune::run(arguments, environment),
            Command::Df(arguments) => df::run(arguments, environment),
            Command::Doctor(arguments) => doctor::run(arguments, environment),
            Command::Login(arguments) => login::run(arguments, environment),
            Command::Logout(arguments) => logout::run(arguments, environment),
            Command::Completions(arguments) => completions::run(arguments),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Writes to stdout. A reader that has had enough, as in `ocify query //... | head`, ends the command in silence.
fn print(text: &str) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Diagnostic::failure("stdout cannot be written").caused_by(error)),
    }
}

/// Writes a file to stdout, from its beginning.
fn stream(file: &mut File) -> Result<(), Diagnostic> {
    let mut stdout = io::stdout().lock();
    match file.rewind().and_then(|()| io::copy(file, &mut stdout)).and_then(|_| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| Diagnostic::failure("stdout cannot be written").caused_by(error)),
    }
}

/// Evaluates specs and shows on stderr what they printed, also when they failed.
fn shown<T>(evaluate: impl FnOnce(&mut Notes) -> Result<T, Diagnostic>) -> Result<T, Diagnostic> {
    let mut notes = Notes::default();
    let result = evaluate(&mut notes);
    notes.printed.iter().for_each(|line| eprintln!("{line}"));
    result
}
