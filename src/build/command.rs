//! Commands that run in the image below.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

use crate::action::key::Preimage;
use crate::action::record::StepResult;
use crate::action::{Action, StepTarget};
use crate::archive::write::EncodedLayer;
use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::entry::Entry;
use crate::format::Compression;
use crate::image::Layer;
use crate::platform::Platform;
use crate::sandbox::{self, Emulators, Ending, Runs, SandboxError, Stage, Step, Tier};
use crate::store::Workplace;
use crate::target::Run;
use crate::tree::Changeset;

use super::account::Account;
use super::cache::unreadable;
use super::encode::layer;
use super::execute::{Context, Executor, step, unwritable};
use super::filesystem::{FileSystem, Layers};
use super::in_tier::Unrun;
use super::layer::write_layer;
use super::mounts::Mounts;
use super::output::{Done, Output};
use super::outputs::kept;
use super::schedule::How;
use super::scrub::{self, scrub};

/// What the environment of a command has unless its spec says otherwise.
const ENVIRONMENT: [(&str, &str); 3] =
    [("LANG", "C.UTF-8"), ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("TZ", "UTC")];

/// How many lines of a failed command's output its error shows.
const SHOWN: usize = 20;
/// A longer line is shown in pieces, in bytes.
const LONGEST_LINE: usize = 8 << 10;

/// The exit code of a shell whose program was ended by SIGSYS.
const SYSTEM_CALL: i32 = 128 + libc::SIGSYS;
/// What ends a program in that way.
const FOREIGN: &str = "a system call of another kind of processor ended it: programs for 32-bit processors, such as those of \
    linux/386, do not run in the sandbox; an emulator can run them in an image for their platform (Debian's package \
    qemu-user-static has it; see `ocify doctor`)";

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
        (run, mounts): (&Spanned<Run>, &Mounts),
        below: &FileSystem,
        platform: &Platform,
        compression: Compression,
    ) -> Result<(Done, How), Diagnostic> {
        let epoch = self.context.settings.epoch;
        let root: Vec<Entry> = below.tree(self.context.store)?.entries().collect();
        let inputs = mounts.inputs(self.context.secrets);
        let preimage = Preimage::run(&root, &run.value, inputs, epoch, platform, sandbox::VERSION);
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
                let (entries, _place) = self.execute(action, (run, mounts), below, platform)?;
                write_layer(entries, &below.layers, compression, self.context.store)
            };
            let (encoded, micros) = self.cache.timed(encode)?;
            self.keep(&preimage, &encoded, compression, micros)?;
            self.ran_before(&preimage, compression)?.ok_or_else(unwritable)
        };
        let old = self.replaced(action, || Ok(find()?.map(|ran| ran.result)))?;
        let (ran, miss) = self.found_or_made(action, &preimage, None, find, make)?;
        let result = ran.result;
        self.compare_with_replaced(action, old, &result);
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
        (run, mounts): (&Spanned<Run>, &Mounts),
        below: &FileSystem,
        platform: &Platform,
    ) -> Result<(Vec<Entry>, Workplace), Diagnostic> {
        let Spanned { value, span } = run;
        let tree = &*below.tree(self.context.store)?;
        can_run(platform).at(span.as_ref())?;
        let epoch = i64::from(self.context.settings.epoch);
        let ran = self.run_in_some_tier(action, (run, mounts), below);
        let (changes, place) = ran.map_err(|unrun| self.told(action, mounts, platform, unrun)).at(span.as_ref())?;
        let changes = kept(tree, changes, &value.outputs).at(span.as_ref())?;
        // The files of the image below are in its layers, and most of them are needed on disk only.
        let store = self.context.store;
        let is_read = changes.entries(epoch).iter().any(|entry| scrub::reads(&entry.path));
        let spooled = is_read.then(|| below.readable(store, scrub::reads)).transpose().at(span.as_ref())?;
        let noisy = |error| Diagnostic::failure("what the step changed cannot be scrubbed").caused_by(error);
        let mut changes =
            scrub(changes, spooled.as_ref().unwrap_or(tree), &value.scrub, epoch).map_err(noisy).at(span.as_ref())?;
        let misfit = |error| Diagnostic::failure("what the step changed cannot be in a layer").caused_by(error);
        changes.add_parents(tree, epoch).map_err(misfit).at(span.as_ref())?;
        Ok((changes.entries(epoch), place))
    }

    /// What a person is told of a step that gave nothing.
    fn told(&self, action: &Action, mounts: &Mounts, platform: &Platform, unrun: Unrun) -> Diagnostic {
        let shown = |text: &str| self.context.secrets.hidden(mounts.secrets(), text);
        match unrun {
            Unrun::Sandbox(error) => {
                failed((action, platform), error.shown(shown), self.context.emulators, Some(self.context.shell))
            }
            Unrun::Build(error) => error,
        }
    }

    /// Puts a command together as the sandbox runs it in the tree, and does something with it; all that it needs is there
    /// meanwhile, some of it in `place`.
    pub(super) fn with_step<T>(
        &self,
        (action, run, mounts): (&Action, &Run, &Mounts),
        (below, tier): (&FileSystem, Tier),
        place: &Path,
        work: impl FnOnce(&Step) -> T,
    ) -> Result<T, Diagnostic> {
        let Context { store, secrets, progress, settings, emulators, .. } = *self.context;
        let emulator = match (tier, action) {
            (Tier::SubordinateIds | Tier::SingleUser, Action::Run { platform, .. }) => match emulators.how(platform) {
                Runs::By(emulator) => Some(emulator),
                Runs::Natively | Runs::Registered | Runs::Not => None,
            },
            _ => None,
        };
        let account = match &run.user {
            None => Account::root(),
            Some(user) => Account::of(&user.value, below, store).at(user.span.as_ref())?,
        };
        let epoch = i64::from(settings.epoch);
        let title = action.title().unwrap_or_default();
        let tree = below.tree(store)?;
        let held = mounts.held((store, secrets), &tree, (place, tier), &|| progress.waiting(&title))?;
        let mut env = environment(run, &account.home, epoch);
        env.extend(held.variables()?);
        Ok(work(&Step {
            below: &tree,
            argv: run.command.argv(),
            env,
            mounts: held.mounts(),
            emulator,
            workdir: run.workdir.to_string(),
            user: account.user,
            network: !run.network.is_hermetic(),
            hosts: run.hosts.clone(),
            cpus: run.cpus.get().into(),
            timeout: Duration::from_secs(run.timeout.into()),
            memory: run.memory.map(NonZeroU64::get),
            epoch,
        }))
    }
}

impl Ran {
    fn output(self) -> Output {
        let layers = Layers::of(self.layer.clone());
        Output::Ran(self.changes.into(), layers, self.layer.into())
    }
}

/// Commands run in images for Linux.
pub(super) fn can_run(platform: &Platform) -> Result<(), Diagnostic> {
    if platform.os == "linux" {
        return Ok(());
    }
    let error = Diagnostic::spec(format!("a command cannot run in an image for {platform}"));
    Err(error.help("only images for linux can have `run`"))
}

fn environment(run: &Run, home: &str, epoch: i64) -> BTreeMap<String, String> {
    let epoch = epoch.to_string();
    let fixed = ENVIRONMENT.into_iter().chain([("HOME", home), ("SOURCE_DATE_EPOCH", epoch.as_str())]);
    let own = run.proxies.iter().chain(&run.env).map(|(name, value)| (name.as_str(), value.as_str()));
    fixed.chain(own).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The command line that leads into a layer's root.
type ShellLine<'a> = &'a (dyn Fn(&StepTarget, usize) -> String + Sync);

/// What a person is told of a step that failed or cannot be run.
pub(super) fn failed(
    (action, platform): (&Action, &Platform),
    error: SandboxError,
    emulators: &Emulators,
    shell: Option<ShellLine>,
) -> Diagnostic {
    let title = action.title().unwrap_or_default();
    match error {
        SandboxError::Failed { ending, output } => ended(action, ending, &output, shell),
        SandboxError::Refused { stage, source } => {
            let is_unknown = stage == Stage::Program && source.raw_os_error() == Some(libc::ENOEXEC);
            let help = if is_unknown { emulators.help(platform) } else { stage.help(&source).to_owned() };
            let error = Diagnostic::failure(format!("`{title}` cannot be run for {platform}: {stage} failed"));
            error.caused_by(source).help(help)
        }
        SandboxError::Target { target, reason } => {
            let error = Diagnostic::spec(format!("nothing can be mounted on `{target}`: {reason}"));
            error.help("choose another `target`, or make what it needs in a layer below")
        }
        error => Diagnostic::failure(format!("`{title}` cannot be run")).caused_by(error),
    }
}

/// What a person is told of a step that failed; with `shell`, also how to look around there.
pub(super) fn ended(action: &Action, ending: Ending, output: &str, shell: Option<ShellLine>) -> Diagnostic {
    let error = Diagnostic::failure(format!("`{}` {ending}", action.title().unwrap_or_default()));
    let lines: Vec<String> = output.lines().map(plain).collect();
    let memory = match (ending, action) {
        (Ending::Killed(libc::SIGKILL), Action::Run { run, .. }) if run.value.memory.is_some() => {
            "it may have used more than its `memory`; "
        }
        _ => "",
    };
    let wrote = match &lines[lines.len().saturating_sub(SHOWN)..] {
        [] => format!("{memory}it wrote nothing"),
        last => format!("{memory}the end of what it wrote:\n{}", last.join("\n")),
    };
    let wrote = match ending {
        Ending::Killed(libc::SIGSYS) | Ending::Exited(SYSTEM_CALL) => format!("{FOREIGN}\n\n{wrote}"),
        _ => wrote,
    };
    match (shell, action) {
        (Some(shell), Action::Run { target, number, .. }) => {
            error.help(format!("{wrote}\n\nto look around where it ran:")).command(shell(target, *number))
        }
        _ => error.help(wrote),
    }
}

/// What a step writes, cut into lines.
pub(super) struct Lines(Vec<u8>);

impl Lines {
    pub(super) fn new() -> Self {
        Lines(Vec::new())
    }

    pub(super) fn take(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
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

    pub(super) fn end(self, mut each: impl FnMut(&str)) {
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
