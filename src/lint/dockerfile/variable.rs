//! Variables: those that nobody declares, and those that hold secrets.

use crate::diagnostic::nearest;
use crate::dockerfile::{Body, Instruction, Word};
use crate::lint::finding::{Edit, Finding};
use crate::lint::rule::{Origin, Rule, Severity};

use super::Checked;
use super::stage::{Stage, Step};

pub(in crate::lint) const UNDEFINED_VAR: Rule = Rule {
    name: "UndefinedVar",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "Instructions use only variables that ARG, ENV or the base declare.",
    why: "A variable that is not declared expands to nothing. An ARG before the first FROM is declared in a stage only by \
          `ARG name` there. Commands of RUN, CMD and ENTRYPOINT are left to the shell and not looked at. As long as the base's \
          environment is not in the store, only names are reported that are near to a declared one, or that an ARG before the \
          first FROM has.",
    bad: "FROM scratch\nARG VERSION=1\nCOPY app-$VERSOIN /app\n",
    good: "FROM scratch\nARG VERSION=1\nCOPY app-$VERSION /app\n",
};

pub(in crate::lint) const SECRETS_USED_IN_ARG_OR_ENV: Rule = Rule {
    name: "SecretsUsedInArgOrEnv",
    origin: Origin::BuildKit,
    severity: Severity::Warning,
    summary: "No ARG or ENV holds a secret.",
    why: "Whoever has the image reads them with `inspect` and `history`. A secret is mounted for the one command that needs it.",
    bad: "FROM debian:12\nARG GITHUB_TOKEN\nRUN ./fetch --token $GITHUB_TOKEN\n",
    good: "FROM debian:12\nRUN --mount=type=secret,id=github,env=GITHUB_TOKEN ./fetch --token $GITHUB_TOKEN\n",
};

/// Words between `_` that a secret has in its name, and those with which it is none.
const SECRET: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "passwd", "password", "pword", "secret", "token"];
const NO_SECRET: [&str; 3] = ["file", "public", "version"];

pub(super) fn check(checked: &Checked, findings: &mut Vec<Finding>) {
    for stage in &checked.stages {
        for step in &stage.steps {
            undefined(stage, step, findings);
            secrets(step.instruction, findings);
        }
    }
    let before = checked.dockerfile.instructions.iter();
    before.take_while(|found| matches!(found.body, Body::Arg(_))).for_each(|found| secrets(found, findings));
}

fn secrets(instruction: &Instruction, findings: &mut Vec<Finding>) {
    let names: Vec<&Word> = match &instruction.body {
        Body::Arg(arguments) => arguments.iter().map(|(name, _)| name).collect(),
        Body::Env(pairs) => pairs.iter().map(|(name, _)| name).collect(),
        _ => return,
    };
    for name in names.into_iter().filter(|name| is_secret(&name.value)) {
        let Some(span) = name.span.clone() else { continue };
        let message = format!("whoever has the image can read the value of `{}`", name.value);
        let found = Finding::new(&SECRETS_USED_IN_ARG_OR_ENV, span, message);
        findings.push(found.help("give it to the one RUN that needs it with --mount=type=secret, or to the container"));
    }
}

/// True for names of variables that look like those of secrets.
pub(in crate::lint) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| name.split('_').any(|part| words.contains(&part));
    has(&SECRET) && !has(&NO_SECRET)
}

fn undefined(stage: &Stage, step: &Step, findings: &mut Vec<Finding>) {
    for word in expanded(step.instruction) {
        let Some(span) = &word.span else { continue };
        for name in step.before.expand(word).undefined {
            let own: Vec<&str> = step.before.names().collect();
            // One that the same instruction declares, as in `ENV a=1 b=$a`, is a matter of its own.
            let near = nearest(&name, own.iter().copied()).filter(|_| name.len() > 2);
            let is_global = stage.globals.declares(&name);
            if !step.before.is_complete && near.is_none() && !is_global {
                continue;
            }
            let found = Finding::new(&UNDEFINED_VAR, span.clone(), format!("`${name}` is not declared"));
            findings.push(match (is_global, near) {
                (true, _) => found.help(format!("write `ARG {name}` in this stage, behind its FROM")),
                (false, Some(near)) => suggested(found, word, &name, near),
                (false, None) => {
                    found.help(format!("declare it with `ARG {name}` or `ENV {name}=...` before this line"))
                }
            });
        }
    }
}

fn suggested(found: Finding, word: &Word, name: &str, near: &str) -> Finding {
    let help = format!("did you mean `${near}`?");
    let span = found.span.clone();
    let forms = [format!("${{{name}"), format!("${name}")];
    let place = forms.iter().find_map(|form| Some((word.value.find(form.as_str())?, form)));
    match place {
        Some((at, form)) if span.text() == word.value => {
            let mut place = span;
            place.end = place.start + at + form.len();
            place.start = place.end - name.len();
            found.help(help).changed_by(format!("write `{near}`"), vec![Edit::replace(place, near)])
        }
        _ => found.help(help),
    }
}

/// The words of an instruction in which the builder expands variables.
fn expanded(instruction: &Instruction) -> Vec<&Word> {
    let mut words: Vec<&Word> = match &instruction.body {
        Body::Arg(arguments) => {
            arguments.iter().flat_map(|(name, value)| [Some(name), value.as_ref()]).flatten().collect()
        }
        Body::Env(pairs) | Body::Label(pairs) => pairs.iter().flat_map(|(name, value)| [name, value]).collect(),
        Body::Copy(copy) => copy.sources.iter().chain([&copy.dest]).collect(),
        Body::Expose(words) | Body::Volume(words) => words.iter().collect(),
        Body::User(word) | Body::Workdir(word) | Body::Stopsignal(word) => vec![word],
        _ => Vec::new(),
    };
    if let Body::Copy(_) = &instruction.body {
        let flags = instruction.flags.iter().filter(|flag| matches!(flag.name.value.as_str(), "chown" | "chmod"));
        words.extend(flags.filter_map(|flag| flag.value.as_ref()));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_the_words_in_their_names() {
        for name in ["AUTH", "api_key", "GITHUB_TOKEN", "secret_MESSAGE", "APIKEY", "DB_PASSWORD"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["MONKEY", "PUBLIC_KEY", "TOKEN_FILE", "KEY_VERSION", "PASSWORDS", "AUTHOR", "LANG"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
