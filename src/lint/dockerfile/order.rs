//! The order of instructions: what changes rarely before what changes often.

use crate::diagnostic::human_size;
use crate::dockerfile::{Body, Copy};
use crate::lint::context::clean;
use crate::lint::finding::Finding;
use crate::lint::rule::{Origin, Rule, Severity};
use crate::lint::shell::Call;

use super::Checked;
use super::copy::is_remote;
use super::script::Script;
use super::stage::Step;

pub(in crate::lint) const COPY_BEFORE_INSTALL: Rule = Rule {
    name: "CopyBeforeInstall",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "Dependencies are installed before the source is copied.",
    why: "A RUN is done again whenever a file changed that was copied before it. With only the list of dependencies copied \
          before it, an edit of the code installs nothing. The message has what an edit of any of them does again.",
    bad: "FROM python:3.12-slim\nCOPY . /app\nRUN pip install -r /app/requirements.txt\n",
    good: "FROM python:3.12-slim\nCOPY requirements.txt /app/\nRUN pip install -r /app/requirements.txt\nCOPY . /app\n",
};

/// Directories that hold what people edit all day.
const SOURCES: [&str; 5] = ["app", "lib", "source", "sources", "src"];

/// A program that installs what others wrote.
struct Installer {
    programs: &'static [&'static str],
    /// The sub-command with which it does; one of these words, and none of `unless`.
    commands: &'static [&'static str],
    unless: &'static [&'static str],
    /// The files that say what is installed.
    manifests: &'static [&'static str],
}

impl Installer {
    /// True for a file that says what is installed.
    fn says(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.manifests.iter().any(|manifest| match manifest.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => *manifest == name,
        })
    }
}

/// True for what people edit all day, a path relative to the context or package: all of it, or its source.
pub(in crate::lint) fn is_broad(path: &str) -> bool {
    matches!(path, "" | "*") || SOURCES.contains(&path.split('/').next().unwrap_or(""))
}

const INSTALLERS: [Installer; 14] = [
    Installer {
        programs: &["pip", "pip3"],
        commands: &["install"],
        unless: &[".", "./", "-e", "--editable", "/app", "/src"],
        manifests: &["requirements.txt", "constraints.txt"],
    },
    Installer {
        programs: &["npm"],
        commands: &["ci", "install", "i"],
        unless: &["-g", "--global"],
        manifests: &["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"],
    },
    Installer {
        programs: &["yarn", "yarnpkg"],
        commands: &["install", ""],
        unless: &[],
        manifests: &["package.json", "yarn.lock", ".yarnrc.yml"],
    },
    Installer {
        programs: &["pnpm"],
        commands: &["install", "i", "fetch"],
        unless: &[],
        manifests: &["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"],
    },
    Installer {
        programs: &["bun"],
        commands: &["install"],
        unless: &[],
        manifests: &["package.json", "bun.lock", "bun.lockb"],
    },
    Installer {
        programs: &["bundle", "bundler"],
        commands: &["install"],
        unless: &[],
        manifests: &["Gemfile", "Gemfile.lock"],
    },
    Installer {
        programs: &["composer", "composer.phar"],
        commands: &["install"],
        unless: &[],
        manifests: &["composer.json", "composer.lock"],
    },
    Installer { programs: &["go"], commands: &["mod"], unless: &["tidy", "vendor"], manifests: &["go.mod", "go.sum"] },
    Installer { programs: &["cargo"], commands: &["fetch"], unless: &[], manifests: &["Cargo.toml", "Cargo.lock"] },
    Installer {
        programs: &["poetry", "pdm"],
        commands: &["install"],
        unless: &[],
        manifests: &["pyproject.toml", "poetry.lock", "pdm.lock"],
    },
    Installer {
        programs: &["pipenv"],
        commands: &["install", "sync"],
        unless: &[],
        manifests: &["Pipfile", "Pipfile.lock"],
    },
    Installer {
        programs: &["dotnet"],
        commands: &["restore"],
        unless: &[],
        manifests: &["*.csproj", "*.sln", "Directory.Packages.props"],
    },
    Installer { programs: &["mix"], commands: &["deps.get"], unless: &[], manifests: &["mix.exs", "mix.lock"] },
    // These need no file at all.
    Installer {
        programs: &["apt-get", "apt", "apk", "dnf", "microdnf", "yum", "zypper"],
        commands: &["install", "add"],
        unless: &[],
        manifests: &[],
    },
];

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for stage in &checked.stages {
        for (at, step) in stage.steps.iter().enumerate() {
            let Body::Copy(copy) = &step.instruction.body else { continue };
            if step.instruction.flag("from").is_some() {
                continue;
            }
            // Of those that need files of the context and of those that need none, the first says enough.
            for needs_files in [true, false] {
                let install = stage.steps[at + 1..].iter().find_map(|later| {
                    let script = Script::of(later.instruction)?;
                    let mut found = script.calls.iter().filter_map(|call| Some((installer(call)?, call.clone())));
                    let (installer, call) = found.find(|(found, _)| found.manifests.is_empty() != needs_files)?;
                    Some((later, installer, call))
                });
                if let Some((later, installer, call)) = install {
                    report(checked, step, copy, later, installer, &call, findings);
                }
            }
        }
    }
}

/// The first command of a script that installs what others wrote.
pub(in crate::lint) fn installs(calls: &[Call]) -> Option<&Call> {
    calls.iter().find(|call| installer(call).is_some())
}

fn installer(call: &Call) -> Option<&'static Installer> {
    INSTALLERS.iter().find(|installer| {
        // `python -m pip install` is one of pip.
        let (program, rest) = match call.arguments() {
            [flag, module, rest @ ..] if flag.text == "-m" && call.program().starts_with("python") => {
                (module.text.as_str(), rest)
            }
            rest => (call.program(), rest),
        };
        let command = rest.iter().find(|word| !word.text.starts_with('-')).map_or("", |word| word.text.as_str());
        installer.programs.contains(&program)
            && installer.commands.contains(&command)
            && !rest.iter().any(|word| installer.unless.contains(&word.text.as_str()))
    })
}

fn report(
    checked: &Checked,
    step: &Step,
    copy: &Copy,
    later: &Step,
    installer: &Installer,
    call: &Call,
    findings: &mut Vec<Finding>,
) {
    let broad = copy.sources.iter().find_map(|source| {
        let path = step.before.expand(source).value.filter(|path| !is_remote(path))?;
        let cleaned = clean(&path);
        let is_whole = matches!(cleaned.as_str(), "" | "*");
        let is_named = call.words.iter().any(|word| word.text.contains(&format!("{cleaned}/")));
        (is_whole || (SOURCES.contains(&cleaned.as_str()) && !is_named)).then_some(path)
    });
    let Some(path) = broad else { return };
    let taken = checked.context.taken(&path);
    let (manifests, others): (Vec<_>, Vec<_>) = taken.iter().partition(|taken| installer.says(&taken.file.path));
    let bytes: u64 = others.iter().map(|taken| taken.file.size).sum();
    let what: Vec<&str> = call.words.iter().take(2).map(|word| word.text.as_str()).collect();
    let what = format!("`{}` in line {}", what.join(" "), later.instruction.span.line());
    let message = match others.as_slice() {
        [] => format!("any edit of what is copied here does {what} again"),
        files => {
            format!(
                "an edit of any of {} files ({}) copies all of them and does {what} again",
                files.len(),
                human_size(bytes)
            )
        }
    };
    let mut first: Vec<&str> = manifests
        .iter()
        .filter(|taken| !taken.file.path.contains('/') || path != ".")
        .map(|taken| taken.file.path.as_str())
        .collect();
    if first.is_empty() {
        first.extend(installer.manifests.first());
    }
    let help = match installer.manifests {
        [] => "move the RUN up: it needs none of these files".to_owned(),
        _ => format!("copy only {} before it, and the rest behind it", first.join(" ")),
    };
    findings.push(Finding::new(&COPY_BEFORE_INSTALL, step.instruction.span.clone(), message).help(help));
}
