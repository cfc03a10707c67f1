//! The stages, and each instruction with what it sees.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, nearest};
use crate::dockerfile::{Body, Dockerfile, Instruction, Word, parts};
use crate::oci::{ImageConfig, Reference};
use crate::platform::Platform;
use crate::target::OciReference;

use super::state::State;
use crate::lint::Subject;

/// From one FROM to the next.
pub(super) struct Stage<'a> {
    pub(super) from: &'a Instruction,
    pub(super) image: &'a Word,
    pub(super) name: Option<&'a Word>,
    /// The image's name, its variables expanded; none if they cannot be.
    pub(super) image_name: Option<String>,
    /// The stage below.
    pub(super) base: Option<usize>,
    /// The image below, if it is one of a registry.
    pub(super) reference: Option<Reference>,
    /// For which it is built; none if that cannot be known.
    pub(super) platform: Option<Platform>,
    /// The image's config, if it is here.
    pub(super) config: Option<ImageConfig>,
    /// The ARGs before the first FROM.
    pub(super) globals: State,
    pub(super) steps: Vec<Step<'a>>,
    /// Behind the last instruction.
    pub(super) end: State,
}

/// An instruction, and the state before it.
pub(super) struct Step<'a> {
    pub(super) instruction: &'a Instruction,
    pub(super) before: State,
}

impl<'a> Stage<'a> {
    /// FROM, and what follows it.
    pub(super) fn instructions(&self) -> impl Iterator<Item = &'a Instruction> {
        [self.from].into_iter().chain(self.steps.iter().map(|step| step.instruction))
    }
}

/// The stages of a Dockerfile.
///
/// # Errors
/// There is none, or something else than ARG stands before the first.
pub(super) fn stages<'a>(dockerfile: &'a Dockerfile, subject: &Subject) -> Result<Vec<Stage<'a>>, Diagnostic> {
    let (before, parts) = parts(&dockerfile.instructions)?;
    let mut globals = State::global(dockerfile.directives.escape, subject.args, subject);
    before.iter().for_each(|instruction| globals.take(instruction, None, subject.args));
    let mut stages: Vec<Stage<'a>> = Vec::new();
    for (from, instructions) in parts {
        let Body::From { image, name, .. } = &from.body else { continue };
        let stage = stage(from, image, name.as_ref(), instructions, &globals, &stages, subject);
        stages.push(stage);
    }
    Ok(stages)
}

fn stage<'a>(
    from: &'a Instruction,
    image: &'a Word,
    name: Option<&'a Word>,
    instructions: &'a [Instruction],
    globals: &State,
    earlier: &[Stage<'a>],
    subject: &Subject,
) -> Stage<'a> {
    let image_name = globals.expand(image).value;
    let is_other = image_name.as_ref().is_some_and(|name| subject.contexts.contains(name));
    let base = image_name.as_deref().filter(|_| !is_other).and_then(|name| find(earlier, name));
    let flag = from.flag("platform").and_then(|flag| flag.value.as_ref());
    let platform = match (flag, base) {
        (Some(word), _) => globals.expand(word).value.and_then(|text| text.parse().ok()),
        (None, Some(base)) => earlier[base].platform.clone(),
        (None, None) => Some(subject.platform.clone()),
    };
    let of_registry = |name: &&str| base.is_none() && *name != "scratch" && !is_other;
    let reference = image_name.as_deref().filter(of_registry).and_then(|name| OciReference::parse(name).ok());
    let reference = reference.map(|oci| oci.reference);
    let config =
        reference.as_ref().zip(platform.as_ref()).and_then(|(name, platform)| (subject.config)(name, platform));
    let mut state = match base {
        Some(base) => earlier[base].end.clone(),
        None => State::begin(globals, config.as_ref(), image_name.as_deref() == Some("scratch")),
    };
    let mut steps = Vec::new();
    for instruction in instructions {
        let before = state.clone();
        state.take(instruction, Some(globals), subject.args);
        steps.push(Step { instruction, before });
    }
    let globals = globals.clone();
    Stage { from, image, name, image_name, base, reference, platform, config, globals, steps, end: state }
}

/// The last of the stages that has this name, in any case.
pub(super) fn find(stages: &[Stage], name: &str) -> Option<usize> {
    let has = |stage: &Stage| stage.name.is_some_and(|own| own.value.to_lowercase() == name.to_lowercase());
    stages.iter().rposition(has)
}

/// The stages of which the image consists that is built, the lowest first.
///
/// # Errors
/// There is no stage of the name that is asked for.
pub(super) fn shipped(stages: &[Stage], target: Option<&str>) -> Result<Vec<usize>, Diagnostic> {
    let mut at = match target {
        None => Some(stages.len() - 1),
        Some(name) => Some(find(stages, name).ok_or_else(|| {
            let error = Diagnostic::spec(format!("there is no stage `{name}`"));
            match nearest(name, stages.iter().filter_map(|stage| stage.name.map(|name| name.value.as_str()))) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("give a stage a name with FROM image AS name"),
            }
        })?),
    };
    let mut chain = Vec::new();
    while let Some(stage) = at {
        chain.insert(0, stage);
        at = stages[stage].base;
    }
    Ok(chain)
}

/// The ARGs before the first FROM, as if nothing were given on the command line.
pub(super) fn defaults(dockerfile: &Dockerfile, subject: &Subject) -> State {
    let none = BTreeMap::new();
    let mut state = State::global(dockerfile.directives.escape, &none, subject);
    let before = dockerfile.instructions.iter().take_while(|instruction| matches!(instruction.body, Body::Arg(_)));
    before.for_each(|instruction| state.take(instruction, None, &none));
    state
}
