//! One side of a comparison, and rounds in which all sides take turns.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::child::{self, Finished};

pub struct Contender {
    pub name: &'static str,
    /// Programs that must be on the search path.
    needs: &'static [&'static str],
    /// A shell script that runs before each measured run and is not part of it.
    before: String,
    command: Command,
}

impl Contender {
    /// The command under test, in a workspace.
    pub fn ocify(workspace: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocify"));
        command.args(arguments).arg("--quiet").current_dir(workspace);
        Contender { name: "ocify", needs: &[], before: ":".into(), command }
    }

    /// A shell script, in a directory.
    pub fn script(name: &'static str, needs: &'static [&'static str], directory: &Path, script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(directory);
        Contender { name, needs, before: ":".into(), command }
    }

    #[must_use]
    pub fn before(self, script: &str) -> Self {
        Contender { before: script.to_owned(), ..self }
    }

    #[must_use]
    pub fn needing(self, programs: &'static [&'static str]) -> Self {
        Contender { needs: programs, ..self }
    }

    fn missing(&self) -> Option<&'static str> {
        self.needs.iter().copied().find(|program| !installed(program))
    }

    fn run(&mut self) -> Option<Finished> {
        let directory = self.command.get_current_dir().unwrap().to_owned();
        if !child::run(quiet(Command::new("sh").args(["-ec", &self.before]).current_dir(directory))).success {
            return None;
        }
        // What others have written lately is theirs to pay for.
        rustix::fs::sync();
        let finished = child::run(quiet(&mut self.command));
        finished.success.then_some(finished)
    }
}

/// What a contender's runs gave, one for each round.
pub enum Outcome {
    Runs(Vec<Finished>),
    /// The name of a program that isn't installed.
    Missing(&'static str),
    Failed,
}

pub struct Measured {
    pub name: &'static str,
    pub outcome: Outcome,
}

impl Measured {
    /// # Panics
    ///
    /// Where there were no runs; for the command under test, whose failure ends the bench.
    pub fn runs(&self) -> &[Finished] {
        match &self.outcome {
            Outcome::Runs(runs) => runs,
            Outcome::Missing(_) | Outcome::Failed => panic!("{} failed", self.name),
        }
    }
}

/// Runs A B C, A B C, and so on, with `change` before each round, so that what else the machine does falls on all alike.
pub fn rounds<const N: usize>(
    count: usize,
    mut contenders: [Contender; N],
    mut change: impl FnMut(usize),
) -> [Measured; N] {
    let mut measured = contenders.each_ref().map(|contender| Measured {
        name: contender.name,
        outcome: contender.missing().map_or(Outcome::Runs(Vec::new()), Outcome::Missing),
    });
    for round in 0..count {
        change(round);
        for (contender, measured) in contenders.iter_mut().zip(&mut measured) {
            let Outcome::Runs(runs) = &mut measured.outcome else { continue };
            match contender.run() {
                Some(finished) => runs.push(finished),
                None => measured.outcome = Outcome::Failed,
            }
        }
    }
    measured
}

/// Waits between an edit and the builds: a person takes longer from one to the other than a tick of the clock that stamps
/// files, and within a tick a build has to read again what was just written.
pub fn let_be() {
    thread::sleep(Duration::from_millis(100));
}

/// Runs a script outside of any measurement, and gives what it prints; nothing where it fails.
pub fn output_of(directory: &Path, script: &str) -> Option<String> {
    let mut command = Command::new("sh");
    let output = command.args(["-ec", script]).current_dir(directory).stdin(Stdio::null()).stderr(Stdio::null());
    let output = output.output().unwrap();
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
