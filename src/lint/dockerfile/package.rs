//! Package managers of distributions: apt, apk, dnf, zypper.

use crate::lint::finding::Finding;
use crate::lint::rule::{Origin, Rule, Severity};
use crate::lint::shell::{Call, ShellWord};
use crate::path::ImagePath;

use super::Checked;
use super::script::{Script, is_at_or_below};

pub(in crate::lint) const APT_UPDATE_ALONE: Rule = Rule {
    name: "AptUpdateAlone",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "`apt-get update` stands in the RUN that installs.",
    why: "A RUN of its own is cached: packages that are added later are installed from the lists of the day on which it ran, and \
          fail once their versions are gone from the archive.",
    bad: "FROM debian:12\nRUN apt-get update\nRUN apt-get install -y --no-install-recommends curl\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl \\\n    \
           && rm -rf /var/lib/apt/lists/*\n",
};

pub(in crate::lint) const PACKAGE_LISTS_LEFT: Rule = Rule {
    name: "PackageListsLeft",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "The RUN that installs packages removes the lists and caches that it fetched.",
    why: "Lists of packages are some tens of megabytes, of no use in the image, and differ from day to day. A later RUN cannot \
          take them out of the layer. Stages that are not in the image are not looked at.",
    bad: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl \\\n    \
           && rm -rf /var/lib/apt/lists/*\n",
};

pub(in crate::lint) const APT_INSTALL_WITHOUT_YES: Rule = Rule {
    name: "AptInstallWithoutYes",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "`apt-get install` has `-y`.",
    why: "It asks, and nobody is there to answer: the build fails as soon as more is to be installed than was named.",
    bad: "FROM debian:12\nRUN apt-get update && apt-get install --no-install-recommends curl && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf \
           /var/lib/apt/lists/*\n",
};

pub(in crate::lint) const APT_INSTALL_RECOMMENDS: Rule = Rule {
    name: "AptInstallRecommends",
    origin: Origin::Ocify,
    severity: Severity::Note,
    summary: "`apt-get install` has `--no-install-recommends`.",
    why: "Recommended packages are for people at a desktop. Without them images are smaller, and fewer things can be attacked.",
    bad: "FROM debian:12\nRUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*\n",
    good: "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends curl && rm -rf \
           /var/lib/apt/lists/*\n",
};

/// Options of apt-get that take the next word with them.
const APT_VALUED: [&str; 8] =
    ["-o", "--option", "-c", "--config-file", "-t", "--target-release", "--default-release", "-a"];

/// What is wrong with a script, told apart from where it stands.
#[derive(Debug)]
pub(in crate::lint) struct Fault<'a> {
    pub(in crate::lint) rule: &'static Rule,
    pub(in crate::lint) message: String,
    pub(in crate::lint) help: &'static str,
    call: &'a Call,
    cure: Cure<'a>,
}

/// How a fault goes away.
#[derive(Debug)]
enum Cure<'a> {
    None,
    /// A word behind another; the flag says whether the image stays the same.
    Behind(&'a ShellWord, &'static str, bool),
    /// A command behind all others.
    Append(&'static str),
}

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for (at, stage) in checked.stages.iter().enumerate() {
        for step in &stage.steps {
            let Some(script) = Script::of(step.instruction) else { continue };
            let mut faults = faults(&script.calls);
            if script.is_mounted("/var/lib/apt/lists") {
                faults.retain(|fault| fault.rule.name != APT_UPDATE_ALONE.name);
            }
            let is_mounted = LEFT.iter().any(|left| script.is_mounted(left.place));
            if is_mounted || !checked.shipped.contains(&at) {
                faults.retain(|fault| fault.rule.name != PACKAGE_LISTS_LEFT.name);
            }
            findings.extend(faults.into_iter().map(|fault| placed(fault, &script)));
        }
    }
}

fn placed(fault: Fault, script: &Script) -> Finding {
    let found = Finding::new(fault.rule, script.span_of(fault.call), fault.message).help(fault.help);
    let (edit, title, is_safe) = match fault.cure {
        Cure::None => (None, String::new(), false),
        Cure::Behind(word, text, is_safe) => {
            let edit = script.insert_behind(word, &format!(" {text}"));
            (edit, format!("write `{text}` behind `{}`", word.text), is_safe)
        }
        Cure::Append(text) => (script.append(&format!(" && {text}")), format!("write `&& {text}` behind it"), false),
    };
    match edit {
        Some(edit) if is_safe => found.fixed_by(title, vec![edit]),
        Some(edit) => found.changed_by(title, vec![edit]),
        None => found,
    }
}

/// Faults of the commands of one layer.
pub(in crate::lint) fn faults(calls: &[Call]) -> Vec<Fault<'_>> {
    let mut faults = Vec::new();
    apt(calls, &mut faults);
    // Lists that are for another RUN are not to be removed here: the two belong together first.
    if faults.iter().all(|fault| fault.rule.name != APT_UPDATE_ALONE.name) {
        left(calls, &mut faults);
    }
    faults
}

/// The sub-command of apt, as in `apt-get -q install`.
fn apt_command(call: &Call) -> Option<&ShellWord> {
    matches!(call.program(), "apt-get" | "apt").then(|| call.operands(&APT_VALUED).next()).flatten()
}

fn apt<'a>(calls: &'a [Call], faults: &mut Vec<Fault<'a>>) {
    let commands: Vec<(&Call, &ShellWord)> = calls.iter().filter_map(|call| Some((call, apt_command(call)?))).collect();
    let is_used =
        commands.iter().any(|(_, command)| !matches!(command.text.as_str(), "update" | "clean" | "autoclean"));
    for (at, (call, command)) in commands.into_iter().enumerate() {
        match command.text.as_str() {
            "update" if at == 0 && !is_used => faults.push(Fault {
                rule: &APT_UPDATE_ALONE,
                message: format!("`{} update` is cached apart from what is installed", call.program()),
                help: "join it with the `install` that needs it: `apt-get update && apt-get install ...`",
                call,
                cure: Cure::None,
            }),
            "install" => install(calls, call, command, faults),
            _ => {}
        }
    }
}

fn install<'a>(calls: &'a [Call], call: &'a Call, command: &'a ShellWord, faults: &mut Vec<Fault<'a>>) {
    let says = |setting: &str| call.arguments().iter().any(|word| word.text.to_ascii_lowercase().contains(setting));
    let is_yes = |text: &str| {
        let is_cluster = text.starts_with('-') && !text.starts_with("--");
        matches!(text, "--yes" | "--assume-yes")
            || text.starts_with("-q=")
            || (is_cluster && (text.contains('y') || text.contains("qq")))
    };
    let is_answered = calls.iter().any(|call| call.is_piped && matches!(call.program(), "yes" | "echo" | "printf"));
    let said_yes = call.arguments().iter().any(|word| is_yes(&word.text)) || says("assume-yes");
    let quiet = call.arguments().iter().filter(|word| matches!(word.text.as_str(), "-q" | "--quiet")).count();
    if !said_yes && !is_answered && quiet < 2 {
        faults.push(Fault {
            rule: &APT_INSTALL_WITHOUT_YES,
            message: format!("`{} install` asks, and nobody answers", call.program()),
            help: "write `-y`",
            call,
            cure: Cure::Behind(command, "-y", true),
        });
    }
    if !call.has("--no-install-recommends") && !says("install-recommends") {
        faults.push(Fault {
            rule: &APT_INSTALL_RECOMMENDS,
            message: "packages that are only recommended are installed as well".to_owned(),
            help: "write `--no-install-recommends`, and name what is then missing",
            call,
            cure: Cure::Behind(command, "--no-install-recommends", false),
        });
    }
}

/// What a package manager leaves behind.
struct Left {
    programs: &'static [&'static str],
    commands: &'static [&'static str],
    /// Where it lies.
    place: &'static str,
    /// An option with which nothing is left.
    option: &'static str,
    /// Sub-commands that remove it.
    removed_by: &'static [&'static str],
    help: &'static str,
    /// What to append, where an option does not help.
    cure: &'static str,
}

const LEFT: [Left; 4] = [
    Left {
        programs: &["apt-get", "apt"],
        commands: &["update"],
        place: "/var/lib/apt/lists",
        option: "",
        removed_by: &["distclean"],
        help: "end the RUN with `&& rm -rf /var/lib/apt/lists/*`",
        cure: "rm -rf /var/lib/apt/lists/*",
    },
    Left {
        programs: &["apk"],
        commands: &["add", "update", "upgrade"],
        place: "/var/cache/apk",
        option: "--no-cache",
        removed_by: &[],
        help: "write `apk add --no-cache`, which fetches the lists and keeps none",
        cure: "",
    },
    Left {
        programs: &["dnf", "microdnf", "yum", "tdnf"],
        commands: &["install", "update", "upgrade", "groupinstall", "makecache"],
        place: "/var/cache/dnf",
        option: "",
        removed_by: &["clean"],
        help: "end the RUN with `clean all` of the same program",
        cure: "",
    },
    Left {
        programs: &["zypper"],
        commands: &["install", "in", "update", "up", "refresh", "ref", "dup"],
        place: "/var/cache/zypp",
        option: "",
        removed_by: &["clean", "cc"],
        help: "end the RUN with `&& zypper clean --all`",
        cure: "zypper clean --all",
    },
];

/// True if what is mounted there keeps lists out of the layer.
pub(in crate::lint) fn is_on_lists(target: &ImagePath) -> bool {
    LEFT.iter().any(|left| is_at_or_below(left.place, &target.to_string()))
}

fn left<'a>(calls: &'a [Call], faults: &mut Vec<Fault<'a>>) {
    for left in &LEFT {
        let command = |call: &'a Call| {
            let is_own = left.programs.contains(&call.program());
            is_own.then(|| call.operands(&APT_VALUED).next()).flatten()
        };
        let fetches = calls.iter().enumerate().find_map(|(at, call)| {
            let command = command(call).filter(|word| left.commands.contains(&word.text.as_str()))?;
            (left.option.is_empty() || !call.has(left.option)).then_some((at, call, command))
        });
        let Some((at, call, command)) = fetches else { continue };
        let is_removed = calls[at..].iter().any(|later| removes(later, left.place) || self::removed(later, left));
        if is_removed {
            continue;
        }
        let cure = match (left.cure, left.option) {
            ("", "") => Cure::None,
            ("", option) if command.text == "add" => Cure::Behind(command, option, false),
            ("", _) => Cure::None,
            (text, _) => Cure::Append(text),
        };
        let message =
            format!("what `{} {}` fetches to {} stays in the layer", call.program(), command.text, left.place);
        faults.push(Fault { rule: &PACKAGE_LISTS_LEFT, message, help: left.help, call, cure });
    }
}

fn removed(call: &Call, left: &Left) -> bool {
    let command = call.operands(&[]).next();
    left.programs.contains(&call.program()) && command.is_some_and(|word| left.removed_by.contains(&word.text.as_str()))
}

/// True for an `rm` or `find -delete` of something at or around the place.
fn removes(call: &Call, place: &str) -> bool {
    let parent = place.rsplit_once('/').map_or(place, |(parent, _)| parent);
    let is_near = |word: &ShellWord| {
        let path = word.text.trim_end_matches(['/', '*']);
        path.starts_with(place) || (path == parent) || (path.starts_with(parent) && place.contains("/cache/"))
    };
    match call.program() {
        "rm" => call.arguments().iter().any(is_near),
        "find" => call.has("-delete") && call.arguments().iter().any(is_near),
        _ => false,
    }
}
