//! Commands that run in the image below.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::action::Action;
use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::archive::write::EncodedLayer;
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::entry::Entry;
use crate::format::Compression;
use crate::image::Layer;
use crate::platform::Platform;
use crate::sandbox::{self, Root, SandboxError, Step, Tier};
use crate::store::{StoredRoot, Workplace};
use crate::target::Run;
use crate::tree::Changeset;

use super::account::Account;
use super::cache::unreadable;
use super::encode::layer;
use super::execute::{Executor, step, unwritable};
use super::filesystem::{FileSystem, Layers};
use super::layer::write_layer;
use super::output::{Done, Output};
use super::schedule::How;

/// What the environment of a command has unless its spec says otherwise.
const ENVIRONMENT: [(&str, &str); 3] =
    [("LANG", "C.UTF-8"), ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("TZ", "UTC")];

/// How many lines of a failed command's output its error shows.
const SHOWN: usize = 20;
/// A longer line is shown in pieces, in bytes.
const LONGEST_LINE: usize = 8 << 10;

/// Why a step gave nothing.
enum Unrun {
    Sandbox(SandboxError),
    Build(Diagnostic),
}

impl From<SandboxError> for Unrun {
    fn from(error: SandboxError) -> Self {
        Unrun::Sandbox(error)
    }
}

impl From<Diagnostic> for Unrun {
    fn from(error: Diagnostic) -> Self {
        Unrun::Build(error)
    }
}

/// What a command changed.
struct Ran {
    result: StepResult,
    layer: Layer,
    changes: Changeset,
}

impl Executor<'_> {
    /// `Run`. What it changed is kept as the layer, from which its contents are read when they are needed.
    pub(super) fn run_command(
        &self,
        action: &Action,
        run: &Spanned<Run>,
        below: &FileSystem,
        platform: &Platform,
        compression: Compression,
    ) -> Result<(Done, How), Diagnostic> {
        let epoch = self.context.settings.epoch;
        let root: Vec<Entry> = below.tree.entries().collect();
        let preimage = Preimage::run(&root, &run.value, epoch, platform, sandbox::VERSION);
        let find = || self.ran_before(&preimage, compression);
        if self.explaining {
            return Ok(match find()? {
                Some(ran) => {
                    let result = ran.result;
                    self.done(action, ran.output(), preimage, Some(result), None)
                }
                None => {
                    let miss = self.cache.miss(&step(action), &preimage, None)?;
                    self.done(action, Output::Unmade(vec![step(action)]), preimage, None, Some(miss))
                }
            });
        }
        let make = || {
            let encode = || {
                let ran = self.execute(action, &run.value, below, platform);
                let (entries, _place) = ran.at(run.span.as_ref())?;
                write_layer(entries, &below.layers, compression, self.context.store)
            };
            let (encoded, micros) = self.cache.timed(encode)?;
            self.keep(&preimage, &encoded, compression, micros)?;
            self.ran_before(&preimage, compression)?.ok_or_else(unwritable)
        };
        let (ran, miss) = self.found_or_made(action, &preimage, None, find, make)?;
        let result = ran.result;
        Ok(self.done(action, ran.output(), preimage, Some(result), miss))
    }

    /// What the command changed when it last ran in the same root. If its layer was compressed in another way then, it is
    /// written anew.
    fn ran_before(&self, preimage: &Preimage, compression: Compression) -> Result<Option<Ran>, Diagnostic> {
        let store = self.context.store;
        let Some((result, packed)) = self.cache.find::<(StepResult, Compression)>(preimage)? else { return Ok(None) };
        let (Some(layer), Some(diff_id)) = (layer(&result, packed, store), result.diff_id) else { return Ok(None) };
        let Some(entries) = store.layer_index(&diff_id).map_err(unreadable)? else { return Ok(None) };
        if packed != compression && !self.explaining {
            let encoded = write_layer(entries, &Layers::of(layer), compression, store)?;
            self.keep(preimage, &encoded, compression, result.micros)?;
            return self.ran_before(preimage, compression);
        }
        let unreadable = |error| Diagnostic::failure("a layer in the store contradicts itself").caused_by(error);
        let changes = Changeset::from_layer(entries).map_err(unreadable)?;
        Ok(Some(Ran { result, layer, changes }))
    }

    fn keep(
        &self,
        preimage: &Preimage,
        encoded: &EncodedLayer,
        compression: Compression,
        micros: u64,
    ) -> Result<(), Diagnostic> {
        let EncodedLayer { digest, size, diff_id, .. } = *encoded;
        let result = StepResult { digest, size, diff_id: Some(diff_id), micros };
        self.cache.put(preimage, (result, compression), vec![digest])
    }

    /// Runs the command; gives the entries of its layer, and the directory in which their contents lie.
    fn execute(
        &self,
        action: &Action,
        run: &Run,
        below: &FileSystem,
        platform: &Platform,
    ) -> Result<(Vec<Entry>, Workplace), Diagnostic> {
        let store = self.context.store;
        if platform.os != "linux" {
            let error = Diagnostic::spec(format!("a command cannot run in an image for {platform}"));
            return Err(error.help("only images for linux can have `run`"));
        }
        let account = match &run.user {
            None => Account::root(),
            Some(user) => Account::of(&user.value, below, store).at(user.span.as_ref())?,
        };
        let epoch = i64::from(self.context.settings.epoch);
        let sandboxed = Step {
            below: &below.tree,
            argv: run.command.argv(),
            env: environment(run, &account.home, epoch),
            workdir: run.workdir.to_string(),
            user: account.user,
            cpus: run.cpus.get().into(),
            timeout: Duration::from_secs(run.timeout.into()),
            epoch,
        };
        let title = action.title().unwrap_or_default();
        let tier = self.context.tier.unwrap_or_else(Tier::of_process).for_step(&below.tree, &sandboxed.user);
        let in_tier = |tier| self.run_in_tier(&sandboxed, &title, below, tier);
        let ran = in_tier(tier).or_else(|error| match error {
            Unrun::Sandbox(error) if self.needs_another(tier, &error) => {
                self.context.progress.wrote(&title, &format!("ocify: begun anew in the tier {}", Tier::SingleUser));
                in_tier(Tier::SingleUser)
            }
            error => Err(error),
        });
        let (mut changes, place) = ran.map_err(|error| match error {
            Unrun::Sandbox(error) => failed(&title, platform, error),
            Unrun::Build(error) => error,
        })?;
        let misfit = |error| Diagnostic::failure("what the step changed cannot be in a layer").caused_by(error);
        changes.add_parents(&below.tree, epoch).map_err(misfit)?;
        Ok((changes.entries(epoch), place))
    }

    /// Runs a step in a tier.
    fn run_in_tier(
        &self,
        step: &Step,
        title: &str,
        below: &FileSystem,
        tier: Tier,
    ) -> Result<(Changeset, Workplace), Unrun> {
        let store = self.context.store;
        let StoredRoot { path, note: hidden, .. } = &below.on_disk(store, tier)??;
        let place = store.workplace().map_err(|error| unwritable().caused_by(error))?;
        let mut lines = Lines(Vec::new());
        let mut wrote = |bytes: &[u8]| lines.take(bytes, |line| self.context.progress.wrote(title, line));
        let ran = sandbox::run(step, &Root { tier, path, hidden }, place.path(), &mut wrote);
        lines.end(|line| self.context.progress.wrote(title, line));
        Ok((ran?, place))
    }

    /// True if a step cannot be done with subordinate ids, or they cannot be used here and nobody asked for them.
    fn needs_another(&self, tier: Tier, error: &SandboxError) -> bool {
        let is_refused = error.refuses_ids() && self.context.tier.is_none();
        tier == Tier::SubordinateIds && (error.needs_recorder() || is_refused)
    }
}

impl Ran {
    fn output(self) -> Output {
        let layers = Layers::of(self.layer.clone());
        Output::Ran(self.changes.into(), layers, self.layer.into())
    }
}

fn environment(run: &Run, home: &str, epoch: i64) -> BTreeMap<String, String> {
    let epoch = epoch.to_string();
    let fixed = ENVIRONMENT.into_iter().chain([("HOME", home), ("SOURCE_DATE_EPOCH", epoch.as_str())]);
    let own = run.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    fixed.chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a person is told of a step that failed.
fn failed(title: &str, platform: &Platform, error: SandboxError) -> Diagnostic {
    match error {
        SandboxError::Failed { ending, output } => {
            let error = Diagnostic::failure(format!("`{title}` {ending}"));
            let lines: Vec<String> = output.lines().map(plain).collect();
            let last = &lines[lines.len().saturating_sub(SHOWN)..];
            error.help(match last {
                [] => "it wrote nothing".to_owned(),
                last => format!("the end of what it wrote:\n{}", last.join("\n")),
            })
        }
        SandboxError::Refused { stage, source } => {
            let help = stage.help(&source);
            let error = Diagnostic::failure(format!("`{title}` cannot be run for {platform}: {stage} failed"));
            error.caused_by(source).help(help)
        }
        error => Diagnostic::failure(format!("`{title}` cannot be run")).caused_by(error),
    }
}

/// What a step writes, cut into lines.
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        self.0.extend_from_slice(bytes);
        while let Some(len) = self.next() {
            let mut rest = self.0.split_off(len);
            each(&plain(&String::from_utf8_lossy(&self.0)));
            if rest.first() == Some(&b'\n') {
                rest.remove(0);
            }
            self.0 = rest;
        }
    }

    /// The length of the next line, if all of it is there.
    fn next(&self) -> Option<usize> {
        let end = self.0.iter().take(LONGEST_LINE).position(|&b| b == b'\n');
        end.or_else(|| (self.0.len() > LONGEST_LINE).then_some(LONGEST_LINE))
    }

    fn end(self, mut each: impl FnMut(&str)) {
        if !self.0.is_empty() {
            each(&plain(&String::from_utf8_lossy(&self.0)));
        }
    }
}

/// A line without what would steer a terminal.
fn plain(line: &str) -> String {
    line.trim_end_matches('\r').chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_comes_in_lines_that_steer_no_terminal() {
        let mut seen = Vec::new();
        let mut lines = Lines(Vec::new());
        for piece in [&b"on"[..], b"e\r\ntwo\n\n", b"\x1b[2Jthree"] {
            lines.take(piece, |line| seen.push(line.to_owned()));
        }
        lines.take(&[b'x'; LONGEST_LINE + 1], |line| seen.push(line.to_owned()));
        lines.end(|line| seen.push(line.to_owned()));
        assert_eq!(seen[..3], ["one", "two", ""]);
        assert!(seen[3].starts_with("\u{fffd}[2Jthreex") && seen[3].len() <= LONGEST_LINE + 2, "{}", seen[3].len());
        assert_eq!(seen.len(), 5);
    }
}
