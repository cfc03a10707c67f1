//! `--locked`: the lock stays as it is.

use crate::diagnostic::Diagnostic;
use crate::image::sink::OutputFile;
use crate::plan::Names;
use crate::source::{Lock, Workspace};

use super::environment;

/// Whether the lock may change.
#[derive(clap::Args)]
pub(super) struct Locked {
    /// Fail if ocify.lock would have to change [default: true where the environment has CI=true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true")]
    locked: Option<bool>,
}

impl Locked {
    /// What a command with an option of its own was given.
    pub(super) fn given(locked: Option<bool>) -> Self {
        Locked { locked }
    }

    /// Of a command that changes nothing.
    pub(super) fn always() -> Self {
        Locked { locked: Some(true) }
    }

    /// True if nothing may change.
    pub(super) fn is_set(&self) -> bool {
        self.locked.unwrap_or_else(environment::is_ci)
    }

    /// Allows a change, or says that this one would have to be made.
    ///
    /// # Errors
    /// `changes`, a line each, if there are any and none may be made.
    pub(super) fn allow(&self, changes: &[String], command: &str) -> Result<(), Diagnostic> {
        if changes.is_empty() || !self.is_set() {
            return Ok(());
        }
        let error = Diagnostic::failure(format!("{} would have to change:\n{}", Lock::FILE, changes.join("\n")));
        Err(error.help(format!(
            "run `{command}` and commit the lock; `--locked=false` lets this command write it even in CI"
        )))
    }
}

/// The pins of `lock` that nothing names, a line each.
pub(super) fn stale(lock: &Lock, names: &Names) -> Vec<String> {
    let images = lock.images.keys().filter(|name| !names.images.contains_key(name)).map(|name| format!("- {name}"));
    let files = lock.fetches.keys().filter(|name| !names.fetches.contains_key(*name)).map(|name| format!("- {name}"));
    let commits = lock.commits.keys().filter(|name| !names.commits.contains_key(name)).map(|name| format!("- {name}"));
    images.chain(files).chain(commits).collect()
}

/// Writes the lock; the old one is there until the new one is whole.
pub(super) fn write(lock: &Lock, workspace: &Workspace) -> Result<(), Diagnostic> {
    use std::io::Write;

    let path = workspace.root().join(Lock::FILE);
    let unwritable = || Diagnostic::failure(format!("{} cannot be written", Lock::FILE));
    let mut file = OutputFile::create(&path).map_err(|error| unwritable().caused_by(error))?;
    file.writer().write_all(lock.text().as_bytes()).map_err(|error| unwritable().caused_by(error))?;
    file.finish().map_err(|error| unwritable().caused_by(error))
}
