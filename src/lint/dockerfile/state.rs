//! What an instruction sees: variables, working directory, user, shell.

use std::collections::BTreeMap;

use crate::diagnostic::Span;
use crate::dockerfile::{Body, Command, Instruction, Word, expand, of_platform};
use crate::lint::Subject;
use crate::oci::ImageConfig;

/// What the command line gives ARGs.
pub(super) type Arguments = BTreeMap<String, String>;

/// A stage between two instructions.
#[derive(Clone)]
pub(super) struct State {
    escape: char,
    /// What has a value, and what is declared without one.
    variables: BTreeMap<String, Option<String>>,
    /// The environment of the image below is among the variables.
    pub(super) is_complete: bool,
    /// None if it is the base's, which is not known.
    pub(super) workdir: Option<String>,
    /// A WORKDIR of this Dockerfile said so.
    pub(super) workdir_is_own: bool,
    /// None if it is the base's, which is not known.
    pub(super) user: Option<User>,
    /// What SHELL says, here or in the base.
    pub(super) shell: Option<Vec<String>>,
    /// There is something to run, be it the base's.
    pub(super) has_command: bool,
}

/// As whom an image runs.
#[derive(Clone)]
pub(super) struct User {
    pub(super) name: String,
    /// Where the Dockerfile says so; none if the base does.
    pub(super) span: Option<Span>,
}

/// A word with its variables expanded.
pub(super) struct Expanded {
    /// None if it cannot be expanded, or if a variable in it has no value that could be known.
    pub(super) value: Option<String>,
    /// Variables that are not declared, without those for which the word says what stands in for them.
    pub(super) undefined: Vec<String>,
}

impl State {
    /// Before the first FROM.
    pub(super) fn global(escape: char, args: &Arguments, subject: &Subject) -> Self {
        let platforms = of_platform("TARGET", subject.platform).into_iter();
        let platforms = platforms.chain(of_platform("BUILD", subject.build_platform));
        let stage = ("TARGETSTAGE".to_owned(), subject.target.unwrap_or("default").to_owned());
        let value = |(name, value): (String, String)| (name.clone(), args.get(&name).cloned().or(Some(value)));
        State {
            escape,
            variables: platforms.chain([stage]).map(value).collect(),
            is_complete: true,
            workdir: None,
            workdir_is_own: false,
            user: None,
            shell: None,
            has_command: false,
        }
    }

    /// A stage on an image of a registry, or on nothing.
    pub(super) fn begin(globals: &State, config: Option<&ImageConfig>, is_scratch: bool) -> Self {
        let container = config.map(|config| &config.config);
        let env = container.into_iter().flat_map(|container| &container.env);
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), Some(value.to_owned()))
        };
        let mut variables: BTreeMap<String, Option<String>> = env.map(pair).collect();
        // A builder gives every image one.
        variables.entry("PATH".into()).or_insert(None);
        let workdir = |container: &crate::oci::ContainerConfig| match container.working_dir.as_str() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        let is_command = |container: &crate::oci::ContainerConfig| {
            [&container.cmd, &container.entrypoint].into_iter().flatten().any(|words| !words.is_empty())
        };
        State {
            escape: globals.escape,
            variables,
            is_complete: container.is_some() || is_scratch,
            workdir: if is_scratch { Some("/".into()) } else { container.map(workdir) },
            workdir_is_own: false,
            user: container.map(|container| User { name: container.user.clone(), span: None }),
            shell: container.and_then(|container| container.shell.clone()),
            has_command: container.is_some_and(is_command),
        }
    }

    /// Takes up an instruction; `globals` are the ARGs before the first FROM, if it stands behind that.
    pub(super) fn take(&mut self, instruction: &Instruction, globals: Option<&State>, args: &Arguments) {
        match &instruction.body {
            Body::Arg(arguments) => {
                let before = self.clone();
                for (word, default) in arguments {
                    let Some(name) = before.expand(word).value else { continue };
                    let given = args.get(&name).cloned();
                    let default = given.or_else(|| before.expand(default.as_ref()?).value);
                    let inherited = || globals.and_then(|globals| globals.variables.get(&name).cloned().flatten());
                    let value = default.or_else(inherited).or_else(|| self.variables.get(&name).cloned().flatten());
                    self.variables.insert(name, value);
                }
            }
            Body::Env(pairs) => {
                let before = self.clone();
                for (name, value) in pairs {
                    let Some(name) = before.expand(name).value else { continue };
                    self.variables.insert(name, before.expand(value).value);
                }
            }
            Body::Workdir(word) => {
                self.workdir = self.expand(word).value.and_then(|path| self.absolute(&path));
                self.workdir_is_own = true;
            }
            Body::User(word) => {
                let name = self.expand(word).value.unwrap_or_else(|| word.value.clone());
                self.user = Some(User { name, span: word.span.clone() });
            }
            Body::Shell(words) => self.shell = Some(words.clone()),
            Body::Cmd(command) | Body::Entrypoint(command) => {
                self.has_command = !matches!(command, Command::Exec(words) if words.is_empty());
            }
            _ => {}
        }
    }

    /// The word with its variables expanded.
    pub(super) fn expand(&self, word: &Word) -> Expanded {
        self.expand_text(&word.value)
    }

    /// As [`State::expand`].
    pub(super) fn expand_text(&self, text: &str) -> Expanded {
        let asked = std::cell::RefCell::new(Vec::new());
        let lookup = |name: &str| {
            let mut asked = asked.borrow_mut();
            if !asked.iter().any(|other| other == name) {
                asked.push(name.to_owned());
            }
            self.variables.get(name).cloned().flatten()
        };
        let value = expand(text, self.escape, &lookup);
        let (defined, missing): (Vec<_>, Vec<_>) =
            asked.into_inner().into_iter().partition(|name| self.variables.contains_key(name));
        let undefined: Vec<String> = missing.into_iter().filter(|name| !has_stand_in(text, name)).collect();
        let is_known = |name: &String| self.variables[name].is_some() || has_stand_in(text, name);
        let value = value.ok().filter(|_| undefined.is_empty() && defined.iter().all(is_known));
        Expanded { value, undefined }
    }

    /// What is declared, and what is not, with no value as empty: what a builder makes of the word.
    pub(super) fn expand_as_built(&self, word: &Word) -> Option<String> {
        expand(&word.value, self.escape, &|name| self.variables.get(name).cloned().flatten()).ok()
    }

    pub(super) fn declares(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// A path of the image as an absolute one without `.` and `..`; none if the working directory is not known.
    pub(super) fn absolute(&self, path: &str) -> Option<String> {
        let above = if path.starts_with('/') { "" } else { self.workdir.as_deref()? };
        Some(format!("/{}", crate::lint::context::clean(&format!("{above}/{path}"))))
    }
}

/// True if the text says what stands in for the variable where it has no value, as in `${a:-b}`, or asks whether it has.
fn has_stand_in(text: &str, name: &str) -> bool {
    [":-", "-", ":+", "+", ":?", "?"].iter().any(|form| text.contains(&format!("${{{name}{form}")))
}
