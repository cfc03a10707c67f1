//! The stages of a Dockerfile, and which of them are needed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText, Span, nearest};

use super::instruction::{Body, Flag, Instruction};
use super::mount;
use super::named_context::{NamedContext, NamedContexts};
use super::scope::Scope;
use super::word::Word;

/// From one FROM to the next.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) span: &'a Span,
    /// In small letters.
    pub(super) name: Option<String>,
    /// The image below, expanded.
    pub(super) image: Word,
    /// The stage below.
    pub(super) base: Option<usize>,
    pub(super) platform: Option<&'a Flag>,
    pub(super) instructions: &'a [Instruction],
    /// What stands in the place of the image below.
    pub(super) context: Option<&'a NamedContext>,
    /// A named context has the stage's name: it is that, and what the Dockerfile says of it does not count.
    pub(super) is_replaced: bool,
}

impl<'a> Stage<'a> {
    /// Its ONBUILD instructions.
    pub(super) fn triggers(&self) -> Vec<String> {
        let text = |instruction: &Instruction| match &instruction.body {
            Body::Onbuild(word) => Some(word.value.clone()),
            _ => None,
        };
        self.instructions.iter().filter_map(text).collect()
    }

    /// What an ONBUILD of the image below says.
    pub(super) fn trigger(&self, text: &str) -> Result<Vec<Instruction>, Diagnostic> {
        let name = format!("ONBUILD of {}", self.image.value);
        let source = Arc::new(SourceText { name, text: text.to_owned() });
        Ok(super::parse(&source)?.instructions)
    }

    /// The named context that is in the place of the stage.
    fn replacement(&self) -> Option<&'a NamedContext> {
        self.context.filter(|_| self.is_replaced)
    }
}

/// What stands before the first FROM, and each FROM with what follows it.
pub type Parts<'a> = (&'a [Instruction], Vec<(&'a Instruction, &'a [Instruction])>);

/// A Dockerfile's stages as written.
///
/// # Errors
/// There is no FROM, or something else than ARG stands before it.
pub fn parts(instructions: &[Instruction]) -> Result<Parts<'_>, Diagnostic> {
    let is_from = |instruction: &Instruction| matches!(instruction.body, Body::From { .. });
    let first = instructions.iter().position(is_from);
    let (before, rest) = instructions.split_at(first.unwrap_or(instructions.len()));
    if let Some(early) = before.iter().find(|instruction| !matches!(instruction.body, Body::Arg(_))) {
        let error = Diagnostic::spec(format!("{} before the first FROM", early.keyword.value));
        return Err(error.at(early.span.clone()).help("only ARG and comments may stand before FROM"));
    }
    if rest.is_empty() {
        let error = Diagnostic::spec("there is no FROM in the Dockerfile");
        return Err(error.help("begin with `FROM image`, or with `FROM scratch` for an empty one"));
    }
    Ok((before, rest.chunk_by(|_, next| !is_from(next)).filter_map(<[Instruction]>::split_first).collect()))
}

/// What stands before the first FROM, and the stages.
pub(super) fn stages<'a>(
    instructions: &'a [Instruction],
    contexts: &'a NamedContexts,
    declare: impl FnOnce(&'a [Instruction]) -> Result<Scope, Diagnostic>,
) -> Result<(Scope, Vec<Stage<'a>>), Diagnostic> {
    let (before, parts) = parts(instructions)?;
    let global = declare(before)?;
    let mut stages: Vec<Stage<'a>> = Vec::new();
    for (from, instructions) in parts {
        let Body::From { image, name } = &from.body else { continue };
        let value = global.expand(image)?;
        if value.is_empty() {
            let error = Diagnostic::spec("the name of the image is empty").at(image.span.clone());
            return Err(
                error.help("give the variables in it a value with `--build-arg`, or a default in ARG before FROM")
            );
        }
        let name = name.as_ref().map(stage_name).transpose()?;
        let own = name.as_ref().and_then(|name| contexts.get(name));
        let base = find(&stages, &value);
        let (base, context) = match base.and_then(|base| stages[base].replacement()).or(own) {
            Some(context) => (None, Some(context)),
            None if base.is_none() => (None, contexts.get(&value)),
            None => (base, None),
        };
        let (image, platform) = (Word { value, span: image.span.clone() }, from.flag("platform"));
        let (is_replaced, instructions) = (own.is_some(), if own.is_some() { &[] } else { instructions });
        stages.push(Stage { span: &from.span, name, image, base, platform, instructions, context, is_replaced });
    }
    Ok((global, stages))
}

/// The last of the stages that has this name, in any case.
pub(super) fn find(stages: &[Stage], name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    stages.iter().rposition(|stage| stage.name.as_ref() == Some(&name))
}

/// The stage that is built: the last one, or the one that is asked for, by its name, or by its number where it has none. BuildKit
/// knows names only; but here each stage is a target, and this is the name of that.
///
/// # Errors
/// There is none of that name.
pub(super) fn wanted(stages: &[Stage], target: Option<&str>) -> Result<usize, Diagnostic> {
    let Some(name) = target else { return Ok(stages.len() - 1) };
    let unnamed = || name.parse().ok().filter(|&number: &usize| stages.get(number).is_some_and(|it| it.name.is_none()));
    find(stages, name).or_else(unnamed).ok_or_else(|| {
        let names: Vec<&str> = stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        let error = Diagnostic::spec(format!("there is no stage `{name}`"));
        match (nearest(name, names.iter().copied()), names.as_slice()) {
            (Some(near), _) => error.help(format!("did you mean `{near}`?")),
            (None, []) => error.help("no stage has a name; give it one with FROM image AS name"),
            (None, names) => error.help(format!("the stages are {}", names.join(", "))),
        }
    })
}

/// What a `--from` names.
#[derive(Debug)]
pub(super) enum From<'a> {
    Stage(usize),
    Context(&'a NamedContext),
    Image(&'a Word),
}

/// What the `--from` of an instruction in the stage `at` names.
///
/// # Errors
/// A variable, or a stage that does not come before.
pub(super) fn from<'a>(
    stages: &[Stage<'a>],
    at: usize,
    word: &'a Word,
    contexts: &'a NamedContexts,
) -> Result<From<'a>, Diagnostic> {
    let stage = |index: usize| stages[index].replacement().map_or(From::Stage(index), From::Context);
    let wrong = |message: String, help: &str| Err(Diagnostic::spec(message).at(word.span.clone()).help(help));
    if word.value.contains('$') {
        return wrong(
            "`from` takes no variables".into(),
            "name a stage with FROM $variable AS name, and take the files from that",
        );
    }
    if let Ok(index) = word.value.parse::<usize>() {
        return match index < at {
            true => Ok(stage(index)),
            false => wrong(format!("there is no stage {index} before this one"), "stages are counted from 0"),
        };
    }
    match (find(&stages[..at], &word.value), find(&stages[at..], &word.value)) {
        (Some(index), _) => Ok(stage(index)),
        (None, Some(_)) => wrong(
            format!("the stage `{}` does not come before this one", word.value),
            "move it up: a stage sees only those before it",
        ),
        (None, None) => Ok(contexts.get(&word.value).map_or(From::Image(word), From::Context)),
    }
}

/// The stages that `wanted` needs, itself included. `triggers` are the instructions that the image below a stage wants to be run.
///
/// # Errors
/// As [`from`].
pub(super) fn needed(
    stages: &[Stage],
    wanted: usize,
    contexts: &NamedContexts,
    triggers: &mut dyn FnMut(usize) -> Result<Vec<Instruction>, Diagnostic>,
) -> Result<BTreeSet<usize>, Diagnostic> {
    let (mut needed, mut left) = (BTreeSet::new(), vec![wanted]);
    while let Some(at) = left.pop() {
        if !needed.insert(at) {
            continue;
        }
        left.extend(stages[at].base);
        let triggers = triggers(at)?;
        let all = || triggers.iter().chain(stages[at].instructions);
        for instruction in all().filter(|instruction| matches!(instruction.body, Body::Copy(_))) {
            if let Some(word) = instruction.flag("from").and_then(|flag| flag.value.as_ref())
                && let From::Stage(index) = from(stages, at, word, contexts)?
            {
                left.push(index);
            }
        }
        for word in all().flat_map(mount::sources) {
            if let From::Stage(index) = from(stages, at, &word, contexts)? {
                left.push(index);
            }
        }
    }
    Ok(needed)
}

fn stage_name(word: &Word) -> Result<String, Diagnostic> {
    let name = word.value.to_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) {
        return Ok(name);
    }
    let error = Diagnostic::spec(format!("`{}` is not a name for a stage", word.value)).at(word.span.clone());
    Err(error.help("it begins with a letter, and has letters, digits, `-`, `_` and `.`"))
}
