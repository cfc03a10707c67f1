//! One stage as it grows, instruction by instruction.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::oci::ImageConfig;
use crate::platform::Platform;
use crate::target::{Base, Chmod, HistoryEntry, ImageSpec, Label, LayerSpec, Owner, Place, PlaceSource};

use super::config::{healthcheck, ports, truth, value};
use super::instruction::{Body, Command, Copy, Instruction};
use super::lower::{Argument, Bases, Options, image, on_build};
use super::named_context::NamedContext;
use super::remote;
use super::scope::Scope;
use super::stage::{From, Stage, from};
use super::word::Word;

/// What an image's `PATH` is where it says none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A stage so far: what its image will be, and what the next instruction sees.
pub(super) struct StageBuild<'a> {
    pub(super) label: Label,
    pub(super) spec: ImageSpec,
    /// Instructions that the image below wants to be run.
    pub(super) triggers: Vec<String>,
    /// What its own ARGs say.
    pub(super) arguments: Vec<Argument>,
    pub(super) at: usize,
    platform: Platform,
    pub(super) options: &'a Options,
    global: Scope,
    pub(super) scope: Scope,
    /// The whole environment, also the base's.
    pub(super) env: BTreeMap<String, String>,
    /// Declared ARGs with a value, for commands.
    pub(super) args: BTreeMap<String, String>,
    pub(super) workdir: String,
    pub(super) user: Word,
    pub(super) shell: Vec<String>,
}

/// The stages before this one.
pub(super) type Builds<'a> = [Option<StageBuild<'a>>];

impl<'a> StageBuild<'a> {
    /// A stage on an image of a registry, or on nothing.
    pub(super) fn new(
        (at, label): (usize, Label),
        mut spec: ImageSpec,
        platform: Platform,
        config: Option<ImageConfig>,
        global: Scope,
        options: &'a Options,
    ) -> Self {
        let mut scope = global.without_values();
        let mut env = BTreeMap::new();
        let triggers = config.as_ref().map(on_build).unwrap_or_default();
        let is_scratch = config.is_none();
        // Entries belong to layers by their order: none can follow a history that does not account for its own.
        let of_layers = |config: &ImageConfig| config.history.iter().filter(|entry| !entry.empty_layer).count();
        if config.as_ref().is_none_or(|config| of_layers(config) == config.rootfs.diff_ids.len()) {
            let layers = spec.layers.iter().map(|layer| layer.value.title());
            let entry = |title| HistoryEntry { created_by: Some(title), ..HistoryEntry::default() };
            spec.history = Some(layers.map(entry).collect());
        }
        let container = config.map(|config| config.config).unwrap_or_default();
        for variable in &container.env {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            env.insert(name.to_owned(), value.to_owned());
        }
        if !env.contains_key("PATH") {
            env.insert("PATH".into(), PATH.into());
            spec.env.push(("PATH".into(), PATH.into()));
        }
        if is_scratch {
            spec.workdir = Some("/".into());
        }
        env.iter().for_each(|(name, value)| scope.set(name.clone(), value.clone()));
        let workdir = if container.working_dir.is_empty() { "/".to_owned() } else { container.working_dir };
        let shell = container.shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        let user = Word { value: container.user, span: None };
        let (args, arguments) = (BTreeMap::new(), Vec::new());
        StageBuild {
            label,
            spec,
            triggers,
            arguments,
            at,
            platform,
            options,
            global,
            scope,
            env,
            args,
            workdir,
            user,
            shell,
        }
    }

    /// A stage on this one.
    pub(super) fn on_top(&self, at: usize, label: Label, spec: ImageSpec, global: Scope) -> StageBuild<'a> {
        let history = self.spec.history.as_ref().map(|_| Vec::new());
        StageBuild {
            label,
            spec: ImageSpec { history, ..spec },
            triggers: self.spec.onbuild.clone(),
            arguments: Vec::new(),
            at,
            platform: self.platform.clone(),
            options: self.options,
            global,
            scope: self.scope.clone(),
            env: self.env.clone(),
            args: self.args.clone(),
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            shell: self.shell.clone(),
        }
    }

    /// Runs what the image below wants to be run first.
    pub(super) fn run_triggers(
        &mut self,
        triggers: &[String],
        builds: &Builds<'a>,
        stages: &[Stage],
        used: &mut BTreeSet<String>,
        bases: &mut dyn Bases,
    ) -> Result<(), Diagnostic> {
        for trigger in triggers {
            for instruction in stages[self.at].trigger(trigger)? {
                self.instruction(&instruction, builds, stages, used, bases)?;
            }
        }
        Ok(())
    }

    /// Takes up one instruction.
    pub(super) fn instruction(
        &mut self,
        instruction: &Instruction,
        builds: &Builds<'a>,
        stages: &[Stage],
        used: &mut BTreeSet<String>,
        bases: &mut dyn Bases,
    ) -> Result<(), Diagnostic> {
        let (created_by, layers) = (self.created_by(instruction)?, self.spec.layers.len());
        match &instruction.body {
            Body::From { .. } => {}
            Body::Arg(arguments) => self.arg(arguments, used)?,
            Body::Env(pairs) => {
                for (name, value) in self.pairs(pairs)? {
                    set(&mut self.spec.env, &name, &value);
                    self.env.insert(name.clone(), value.clone());
                    self.args.remove(&name);
                    self.scope.set(name, value);
                }
            }
            Body::Label(pairs) => self.spec.labels.extend(self.pairs(pairs)?),
            Body::Run { command, heredocs } => {
                let (command, script) = self.run_command(instruction, command, heredocs)?;
                let mut mounts = Vec::new();
                for flag in instruction.flags.iter().filter(|flag| flag.name.value == "mount") {
                    mounts.push(self.mount(flag, builds, stages, bases)?);
                }
                mounts.extend(script);
                self.run(instruction, command, mounts)?;
            }
            Body::Copy(copy) => self.copy(instruction, copy, builds, stages, bases)?,
            Body::Cmd(command) => self.spec.cmd = Some(self.argv(command)),
            // It clears the base's CMD, but not one of this stage: `ImageSpec` has the same rule.
            Body::Entrypoint(command) => self.spec.entrypoint = Some(self.argv(command)),
            Body::Shell(words) => {
                self.shell.clone_from(words);
                self.spec.shell = Some(words.clone());
            }
            Body::Healthcheck(command) => self.spec.healthcheck = Some(healthcheck(instruction, command.as_ref())?),
            Body::Expose(words) => {
                for word in words {
                    for text in self.scope.expand(word)?.split_whitespace() {
                        self.spec.ports.extend(ports(text, word)?);
                    }
                }
            }
            Body::Volume(words) => {
                for word in words {
                    let volume = self.scope.expand(word)?;
                    if !volume.starts_with('/') {
                        let error = Diagnostic::spec(format!("the volume `{volume}` is no absolute path"));
                        return Err(error
                            .at(word.span.clone())
                            .help("engines take it as one from the root: begin it with `/`"));
                    }
                    self.spec.volumes.push(volume);
                }
            }
            Body::User(word) => {
                self.user = Word { value: self.scope.expand(word)?, span: word.span.clone() };
                self.spec.user = Some(self.user.value.clone());
            }
            Body::Workdir(word) => self.enter(instruction, word)?,
            Body::Stopsignal(word) => self.spec.stop_signal = Some(self.scope.expand(word)?),
            Body::Maintainer(word) => self.spec.author = Some(word.value.clone()),
            Body::Onbuild(word) => self.spec.onbuild.push(word.value.clone()),
        }
        let empty_layer = self.spec.layers.len() == layers;
        if let (Some(history), Some(_)) = (&mut self.spec.history, &created_by) {
            history.push(HistoryEntry { created_by, empty_layer, ..HistoryEntry::default() });
        }
        Ok(())
    }

    fn arg(&mut self, arguments: &[(Word, Option<Word>)], used: &mut BTreeSet<String>) -> Result<(), Diagnostic> {
        let before = self.scope.clone();
        for (word, default) in arguments {
            let name = before.expand(word)?;
            let default = default.as_ref().map(|word| before.expand(word)).transpose()?;
            used.insert(name.clone());
            let argument = Argument { name: name.clone(), default: default.clone(), span: word.span.clone() };
            self.arguments.push(argument);
            if let Some(value) = self.argument_value(&name, default) {
                self.args.insert(name.clone(), value.clone());
                self.scope.set(name, value);
            }
        }
        Ok(())
    }

    /// What an argument is: as the command line says, else its own default, else that before the first FROM.
    pub(super) fn argument_value(&self, name: &str, default: Option<String>) -> Option<String> {
        let given = self.options.args.get(name).cloned();
        given.or(default).or_else(|| self.global.get(name).map(str::to_owned))
    }

    /// Names and values; all of an instruction's see the environment before it.
    pub(super) fn pairs(&self, pairs: &[(Word, Word)]) -> Result<Vec<(String, String)>, Diagnostic> {
        let pair = |(name, value): &(Word, Word)| {
            let expanded = self.scope.expand(name)?;
            match expanded.is_empty() {
                true => Err(Diagnostic::spec("the name is empty").at(name.span.clone()).help("write NAME=value")),
                false => Ok((expanded, self.scope.expand(value)?)),
            }
        };
        pairs.iter().map(pair).collect()
    }

    pub(super) fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(text) => self.shell.iter().cloned().chain([text.value.clone()]).collect(),
        }
    }

    /// The working directory behind WORKDIR with this path.
    pub(super) fn entered(&self, path: &str) -> String {
        match path.starts_with('/') && !path.split('/').any(|name| matches!(name, "." | "..")) {
            true => path.to_owned(),
            false => absolute(&self.workdir, path),
        }
    }

    fn enter(&mut self, instruction: &Instruction, word: &Word) -> Result<(), Diagnostic> {
        let path = self.scope.expand(word)?;
        if path.is_empty() {
            return Err(Diagnostic::spec("the path is empty").at(word.span.clone()).help("write an absolute path"));
        }
        self.workdir = self.entered(&path);
        self.spec.workdir = Some(self.workdir.clone());
        if absolute("/", &self.workdir) == "/" {
            return Ok(());
        }
        let owner = match self.user.value.as_str() {
            "" => None,
            user => Some(Spanned { value: owner(user).at(word.span.as_ref())?, span: word.span.clone() }),
        };
        let dest = format!("{}/", absolute("/", &self.workdir));
        self.place(instruction, Place { owner, ..place(instruction, dest) });
        Ok(())
    }

    fn copy(
        &mut self,
        instruction: &Instruction,
        copy: &Copy,
        builds: &Builds<'a>,
        stages: &[Stage],
        bases: &mut dyn Bases,
    ) -> Result<(), Diagnostic> {
        let mut new = place(instruction, self.destination(&copy.dest)?);
        (new.unpack, new.ignore) = (copy.add, self.options.ignore.clone());
        for word in &copy.sources {
            let word = Word { value: self.scope.expand(word)?, span: word.span.clone() };
            let remote = if copy.add { remote::source(&word, instruction, &self.scope)? } else { None };
            let value = remote.unwrap_or(PlaceSource::Path(word.value));
            new.srcs.push(Spanned { value, span: word.span });
        }
        for heredoc in &copy.heredocs {
            let content = match heredoc.expand {
                true => self.scope.expand_heredoc(&heredoc.content, &copy.dest)?,
                false => heredoc.content.clone(),
            };
            new.contents.push((heredoc.name.clone(), content));
        }
        for flag in &instruction.flags {
            match flag.name.value.as_str() {
                "from" => {
                    let word = value(flag)?;
                    match from(stages, self.at, word, &self.options.contexts)? {
                        From::Context(NamedContext::Directory { directory, ignore }) => {
                            (new.directory, new.ignore) = (Some(directory.clone()), ignore.clone());
                        }
                        found => new.from = Some(self.base_of(found, word, builds, bases)?),
                    }
                }
                "chown" => {
                    let word = value(flag)?;
                    let owner = owner(&self.scope.expand(word)?).at(word.span.as_ref())?;
                    new.owner = Some(Spanned { value: owner, span: word.span.clone() });
                }
                "chmod" => {
                    let word = value(flag)?;
                    let mode = self.scope.expand(word)?.parse::<Chmod>();
                    new.chmod = Some(mode.map_err(|error| {
                        let error = Diagnostic::spec(error.to_string()).at(word.span.clone());
                        error.help("write it in octal, such as 0644, or as chmod takes it: u=rwX,go=rX")
                    })?);
                }
                "link" => new.follow = !truth(flag)?,
                "parents" => new.parents = truth(flag)?,
                "exclude" => new.exclude.push(value(flag)?.value.clone()),
                "unpack" => new.unpack = truth(flag)?,
                // `--checksum` and `--keep-git-dir`, which the one source that they are for has taken up.
                _ if new.srcs.len() == 1 && !matches!(new.srcs[0].value, PlaceSource::Path(_)) => {}
                other => {
                    let error = Diagnostic::spec(format!("`--{other}` is for one source that ADD fetches"));
                    return Err(error
                        .at(flag.name.span.clone())
                        .help("take it away, or give the source an ADD of its own"));
                }
            }
        }
        // As with BuildKit, where a layer with a mode is not made apart from what lies below.
        new.follow |= new.chmod.is_some();
        self.place(instruction, new);
        Ok(())
    }

    /// Where files are copied to: an absolute path, with a `/` at its end where it has to be a directory.
    fn destination(&self, word: &Word) -> Result<String, Diagnostic> {
        let written = self.scope.expand(word)?;
        let path = absolute(&self.workdir, &written);
        let is_directory = written.ends_with('/') || written == "." || written.ends_with("/.") || path == "/";
        Ok(if is_directory && path != "/" { format!("{path}/") } else { path })
    }

    /// What a `--from` that is no directory names.
    pub(super) fn base_of(
        &self,
        found: From,
        word: &Word,
        builds: &Builds<'a>,
        bases: &mut dyn Bases,
    ) -> Result<Spanned<Base>, Diagnostic> {
        let span = word.span.clone();
        let value = match found {
            From::Stage(index) => {
                let build = builds.get(index).and_then(Option::as_ref);
                Base::Target(build.map(|build| build.label.clone()).ok_or_else(|| {
                    let error = Diagnostic::spec(format!("the stage `{}` is not built", word.value));
                    error.at(span.clone()).help("name a stage that comes before")
                })?)
            }
            From::Image(word) if word.value == "scratch" => Base::Scratch,
            From::Image(word) => image(&word.value, word)?,
            From::Context(NamedContext::Registry(image)) => Base::Oci(image.clone()),
            From::Context(NamedContext::Layout(layout)) => Base::OciLayout(layout.clone()),
            From::Context(NamedContext::Directory { .. }) => unreachable!("a directory is no image"),
        };
        let base = Spanned { value, span };
        if !matches!(base.value, Base::Scratch | Base::Target(_)) {
            // Asked for now, so that it is pinned.
            bases.config(&base, &self.platform)?;
        }
        Ok(base)
    }

    fn place(&mut self, instruction: &Instruction, place: Place) {
        let value = LayerSpec::Place(Box::new(place));
        self.spec.layers.push(Spanned { value, span: Some(instruction.span.clone()) });
    }
}

/// A layer that makes a directory.
fn place(instruction: &Instruction, dest: String) -> Place {
    Place { instruction: instruction.text.clone(), ..Place::at(dest) }
}

/// Sets a variable; one that is there keeps its place.
fn set(env: &mut Vec<(String, String)>, name: &str, value: &str) {
    match env.iter_mut().find(|(other, _)| other == name) {
        Some((_, old)) => value.clone_into(old),
        None => env.push((name.to_owned(), value.to_owned())),
    }
}

/// `path` from the directory `from`: absolute, without `.` and `..`.
pub(super) fn absolute(from: &str, path: &str) -> String {
    let above = if path.starts_with('/') { "" } else { from };
    let mut names: Vec<&str> = Vec::new();
    for name in above.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

pub(super) fn owner(text: &str) -> Result<Owner, Diagnostic> {
    text.parse().map_err(|error| {
        let error = Diagnostic::spec(format!("{error}"));
        error.help("write `user` or `user:group`, by name or by number")
    })
}
