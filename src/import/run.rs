//! RUN: the command, and the environment that it sees.

use std::collections::BTreeMap;

use crate::diagnostic::Span;
use crate::target::{Command, Run};

use super::code::{Call, Code};
use super::names::Names;
use super::variables::Variables;

/// What a command has in its environment without being told.
const OF_EVERY_STEP: [(&str, &str); 4] = [
    ("HOME", "/root"),
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("TZ", "UTC"),
];

/// Commands that install packages, and of what.
const INSTALLERS: [(&str, &str); 17] = [
    ("apt-get install", "apt"),
    ("apt install", "apt"),
    ("apk add", "apk"),
    ("dnf install", "rpm"),
    ("microdnf install", "rpm"),
    ("yum install", "rpm"),
    ("pip install", "pip"),
    ("pip3 install", "pip"),
    ("uv sync", "pip"),
    ("poetry install", "pip"),
    ("npm ci", "npm"),
    ("npm install", "npm"),
    ("yarn install", "npm"),
    ("pnpm install", "npm"),
    ("bundle install", "gem"),
    ("composer install", "composer"),
    ("gem install", "gem"),
];

/// Commands that build with what they fetch.
const BUILDERS: [(&str, &str); 7] = [
    ("go build", "Go modules"),
    ("go mod download", "Go modules"),
    ("cargo build", "crates"),
    ("mvn ", "Maven artifacts"),
    ("gradle", "Maven artifacts"),
    ("dotnet restore", "NuGet packages"),
    ("cmake", "a build"),
];

/// Variables of the spec that hold environments, those of the stages below included.
#[derive(Clone, Debug, Default)]
pub(super) struct Environments {
    list: Vec<(String, BTreeMap<String, String>)>,
}

impl Environments {
    /// A map that stands in a variable from now on.
    pub(super) fn add(&mut self, variable: String, values: BTreeMap<String, String>) {
        self.list.push((variable, values));
    }

    /// The variable that holds exactly this.
    pub(super) fn variable(&self, values: &BTreeMap<String, String>) -> Option<&str> {
        self.list.iter().find(|(_, known)| known == values).map(|(variable, _)| variable.as_str())
    }

    /// The environment of a command, made of what stands in variables, and what is left.
    fn parts(&self, mut values: BTreeMap<String, String>) -> (Vec<Code>, BTreeMap<String, String>) {
        let mut parts = Vec::new();
        let mut sorted: Vec<_> = self.list.iter().filter(|(_, known)| !known.is_empty()).collect();
        sorted.sort_by_key(|(_, known)| std::cmp::Reverse(known.len()));
        for (variable, known) in sorted {
            if known.iter().all(|(name, value)| values.get(name) == Some(value)) {
                parts.push(Code::Raw(variable.clone()));
                values.retain(|name, _| !known.contains_key(name));
            }
        }
        (parts, values)
    }
}

/// Without what every step has.
pub(super) fn own(env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_usual = |(name, value): &(&String, &String)| OF_EVERY_STEP.contains(&(name.as_str(), value.as_str()));
    env.iter().filter(|pair| !is_usual(pair)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// What a command's environment needs a variable for: several values that are in none yet.
pub(super) fn new_variable(
    run: &Run,
    environments: &mut Environments,
    names: &mut Names,
    stage: &str,
) -> Option<(String, BTreeMap<String, String>)> {
    let (_, left) = environments.parts(own(&run.env));
    if left.len() < 2 {
        return None;
    }
    let variable = names.variable(&format!("{stage}_env"));
    environments.add(variable.clone(), left.clone());
    Some((variable, left))
}

/// The call.
pub(super) fn call(run: &Run, written: Option<&Span>, environments: &Environments, variables: &Variables) -> Call {
    let Run { command, env, workdir, user, .. } = run;
    // Most commands of a Dockerfile need no network, though all have it: those that do not say by what they are that they do.
    let network = (!run.network.is_hermetic() && remark(run).is_some()).then(|| Code::text("host"));
    let command = match command {
        Command::Argv(argv) => match argv.as_slice() {
            [shell, option, script] if shell == "/bin/sh" && option == "-c" => self::script(script, written),
            [before @ .., script] if written.is_some() => {
                let before = before.iter().map(|word| variables.text(word));
                Code::list(before.chain([self::script(script, written)]))
            }
            argv => Code::list(argv.iter().map(|word| variables.text(word))),
        },
        Command::Shell(text) => script(text, written),
    };
    let (mut parts, left) = environments.parts(own(env));
    if !left.is_empty() {
        parts.push(map(&left, variables));
    }
    let env = match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Code::Joined("|", parts)),
    };
    let path = workdir.to_string();
    let workdir = (!workdir.is_root()).then(|| variables.text(&path));
    let user = user.as_ref().map(|user| variables.text(&user.value.to_string()));
    Call::new("run")
        .with(command)
        .optional("env", env)
        .optional("workdir", workdir)
        .optional("user", user)
        .optional("network", network)
}

/// A map of names to strings.
pub(super) fn map<'a>(values: impl IntoIterator<Item = (&'a String, &'a String)>, variables: &Variables) -> Code {
    Code::Dict(values.into_iter().map(|(name, value)| (variables.text(name), variables.text(value))).collect())
}

/// The text for the shell, in the lines in which the Dockerfile has it.
fn script(text: &str, written: Option<&Span>) -> Code {
    let Some(span) = written else { return Code::text(text) };
    let mut parts: Vec<String> = Vec::new();
    for line in span.text().lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        let trimmed = line.trim_end_matches([' ', '\t']);
        let continued = trimmed.strip_suffix(['\\', '`']);
        parts.push(continued.unwrap_or(line).to_owned());
        if continued.is_none() {
            break;
        }
    }
    match parts.len() > 1 && parts.concat() == text {
        true => Code::Continued(parts),
        false => Code::text(text),
    }
}

/// What a reader should know of a command: that what it brings is pinned by nothing, and what could take its place.
pub(super) fn remark(run: &Run) -> Option<String> {
    if !run.mounts.is_empty() {
        return Some("# ocify: mounts: those of the Dockerfile are missing here; see `mounts` of `run`.".to_owned());
    }
    let argv = run.command.argv();
    let text = argv.join(" ");
    if let Some((_, packages)) = INSTALLERS.iter().find(|(command, _)| text.contains(command)) {
        return Some(format!("# ocify: packages({packages}): nothing pins what this installs."));
    }
    if let Some((_, inputs)) = BUILDERS.iter().find(|(command, _)| text.contains(command)) {
        return Some(format!("# ocify: build({inputs}): nothing pins what this fetches."));
    }
    let fetches = ["curl ", "wget ", "git clone"].iter().any(|command| text.contains(command));
    fetches.then(|| "# ocify: fetch: `fetch(...)` or `git(...)` would pin what this brings.".to_owned())
}
