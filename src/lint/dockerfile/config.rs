//! Instructions that say how the image is run.

use std::collections::BTreeMap;

use crate::dockerfile::{Body, Command, Instruction, Word};
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};
use crate::lint::shell;

use super::Checked;
use super::stage::{Stage, Step};

pub(in crate::lint) const JSON_ARGS_RECOMMENDED: Rule = Rule {
    name: "JSONArgsRecommended",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "CMD and ENTRYPOINT have the JSON form, or SHELL says which shell is meant.",
    why: "In the shell form the program is a child of `/bin/sh -c`, which does not pass on the signal with which a container is \
          stopped: it is killed after ten seconds instead of ending by itself.",
    bad: "FROM debian:12\nCMD app --serve\n",
    good: "FROM debian:12\nCMD [\"app\", \"--serve\"]\n",
};

pub(in crate::lint) const MULTIPLE_INSTRUCTIONS_DISALLOWED: Rule = Rule {
    name: "MultipleInstructionsDisallowed",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK.",
    why: "Of several only the last counts.",
    bad: "FROM debian:12\nCMD [\"a\"]\nCMD [\"b\"]\n",
    good: "FROM debian:12\nCMD [\"b\"]\n",
};

pub(in crate::lint) const WORKDIR_RELATIVE_PATH: Rule = Rule {
    name: "WorkdirRelativePath",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "The first WORKDIR of a stage is an absolute path.",
    why: "A relative one begins at the base's working directory, which another version of the base may have elsewhere.",
    bad: "FROM scratch\nWORKDIR app\n",
    good: "FROM scratch\nWORKDIR /app\n",
};

pub(in crate::lint) const EXPOSE_PROTO_CASING: Rule = Rule {
    name: "ExposeProtoCasing",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "The protocol of EXPOSE is in small letters.",
    why: "That is how the image's config has it.",
    bad: "FROM debian:12\nEXPOSE 53/UDP\n",
    good: "FROM debian:12\nEXPOSE 53/udp\n",
};

pub(in crate::lint) const EXPOSE_INVALID_FORMAT: Rule = Rule {
    name: "ExposeInvalidFormat",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "EXPOSE names ports of the container only.",
    why: "An address and a port of the host are for `docker run -p`. EXPOSE drops them, and builders announce that they will be \
          an error.",
    bad: "FROM debian:12\nEXPOSE 127.0.0.1:8080:80\n",
    good: "FROM debian:12\nEXPOSE 80\n",
};

pub(in crate::lint) const ROOT_USER: Rule = Rule {
    name: "RootUser",
    origin: Origin::Ocify,
    severity: Severity::Warning,
    summary: "The image does not run as root.",
    why: "Who breaks out of a program that is root in the container has fewer walls before them. The last USER of the stage \
          that is built decides, else the base's. An image that runs nothing is not looked at.",
    bad: "FROM debian:12\nCMD [\"app\"]\n",
    good: "FROM debian:12\nUSER 1000:1000\nCMD [\"app\"]\n",
};

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for stage in &checked.stages {
        once(stage, findings);
        for step in &stage.steps {
            match &step.instruction.body {
                Body::Cmd(Command::Shell(text)) | Body::Entrypoint(Command::Shell(text)) => {
                    shell_form(step, text, findings);
                }
                Body::Workdir(word) => workdir(stage, step, word, findings),
                Body::Expose(words) => words.iter().for_each(|word| expose(step, word, findings)),
                _ => {}
            }
        }
    }
    root(checked, findings);
}

fn shell_form(step: &Step, text: &Word, findings: &mut Vec<Finding>) {
    if step.before.shell.is_some() {
        return;
    }
    let message = format!("{} in shell form does not pass signals on", step.instruction.name());
    let Some(span) = text.span.clone() else { return };
    let found = Finding::new(&JSON_ARGS_RECOMMENDED, span.clone(), message);
    let calls = shell::calls(&text.value);
    let is_plain =
        !text.value.contains(['$', '*', '?', '~', '`', '\\', '<', '>', '=', '&', '|', ';', '(', '#', '{', '[', '!']);
    let [call] = calls.as_slice() else {
        findings.push(found.help("put the commands into a script, and name it: [\"/script\"]"));
        return;
    };
    let is_whole = call.words[0].range.start == 0 && call.end == text.value.len();
    if !is_plain || !is_whole {
        findings.push(found.help("write [\"program\", \"argument\"], or say with SHELL which shell you mean"));
        return;
    }
    let words: Vec<&str> = call.words.iter().map(|word| word.text.as_str()).collect();
    let json = serde_json::Value::from(words).to_string().replace("\",\"", "\", \"");
    findings.push(found.changed_by(format!("write `{json}`"), vec![Edit::replace(span, &json)]));
}

fn once(stage: &Stage, findings: &mut Vec<Finding>) {
    let mut last: BTreeMap<String, &Instruction> = BTreeMap::new();
    for step in &stage.steps {
        let (Body::Cmd(_) | Body::Entrypoint(_) | Body::Healthcheck(_)) = &step.instruction.body else { continue };
        let name = step.instruction.name();
        let Some(earlier) = last.insert(name.clone(), step.instruction) else { continue };
        // The one that is in vain, with its line end.
        let mut line = earlier.span.clone();
        let behind = &line.source.text[line.end..];
        line.end += behind.find('\n').map_or(behind.len(), |newline| newline + 1);
        let message = format!("the {name} in line {} takes the place of this one", step.instruction.span.line());
        let found = Finding::new(&MULTIPLE_INSTRUCTIONS_DISALLOWED, earlier.span.clone(), message);
        findings.push(found.fixed_by("take it away", vec![Edit::replace(line, "")]));
    }
}

fn workdir(stage: &Stage, step: &Step, word: &Word, findings: &mut Vec<Finding>) {
    let Some(path) = step.before.expand_as_built(word) else { return };
    let (false, false, Some(span)) = (step.before.workdir_is_own, path.starts_with('/'), word.span.clone()) else {
        return;
    };
    let found =
        Finding::new(&WORKDIR_RELATIVE_PATH, span.clone(), format!("where `{}` is depends on the base", word.value));
    let absolute = step.before.absolute(&word.value).filter(|_| path == word.value && span.text() == word.value);
    findings.push(match absolute {
        Some(absolute) => found.fixed_by(format!("write `{absolute}`"), vec![Edit::replace(span, &absolute)]),
        None => found.help(format!("begin it with `/`; the base of this stage is `{}`", stage.image.value)),
    });
}

fn expose(step: &Step, word: &Word, findings: &mut Vec<Finding>) {
    let Some(span) = &word.span else { return };
    let text = step.before.expand_as_built(word).unwrap_or_else(|| word.value.clone());
    // What variables hold cannot be changed here.
    let is_written = text == word.value && span.text() == word.value;
    let fix = |found: Finding, text: &str| match is_written {
        true => found.fixed_by(format!("write `{text}`"), vec![Edit::replace(span.clone(), text)]),
        false => found,
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((&text, ""));
    if protocol.chars().any(|c| c.is_ascii_uppercase()) {
        let found = Finding::new(&EXPOSE_PROTO_CASING, span.clone(), format!("the protocol of `{text}` has capitals"));
        findings.push(fix(found, &format!("{ports}/{}", protocol.to_ascii_lowercase())));
    }
    if let Some((before, port)) = ports.rsplit_once(':') {
        let right =
            if protocol.is_empty() { port.to_owned() } else { format!("{port}/{}", protocol.to_ascii_lowercase()) };
        let message = format!("`{before}` is about the host, which EXPOSE says nothing about");
        findings.push(fix(Finding::new(&EXPOSE_INVALID_FORMAT, span.clone(), message), &right));
    }
}

fn root(checked: &Checked, findings: &mut Vec<Finding>) {
    let Some(stage) = checked.shipped_stages().last() else { return };
    let end = &stage.end;
    if end.is_complete && !end.has_command {
        return;
    }
    let lowest = checked.shipped_stages().next().and_then(|stage| stage.image_name.as_deref()).unwrap_or("");
    let found = match &end.user {
        Some(user) if !is_root(&user.name) => return,
        Some(user) => match &user.span {
            Some(span) => Finding::new(&ROOT_USER, span.clone(), "the image runs as root"),
            None => Finding::new(
                &ROOT_USER,
                stage.from.span.clone(),
                "the image runs as root: there is no USER, nor has the base one",
            ),
        },
        // Names of images that are made to run as somebody else.
        None if ["nonroot", "rootless", "unprivileged"].iter().any(|word| lowest.contains(word)) => return,
        None => Finding::new(
            &ROOT_USER,
            stage.from.span.clone(),
            "no USER says as whom the image runs; most bases mean root",
        ),
    };
    findings.push(found.help("end the stage with USER and the number of a user, such as `USER 1000:1000`"));
}

/// True for the names and numbers of root, with whatever group.
pub(in crate::lint) fn is_root(user: &str) -> bool {
    matches!(user.split(':').next().unwrap_or(""), "" | "0" | "root")
}
