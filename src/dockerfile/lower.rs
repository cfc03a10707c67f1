//! Stages to targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostic::{Diagnostic, Spanned};
use crate::oci::ImageConfig;
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::target::{Base, ImageSpec, Label, OciReference, Rule, Target};

use super::build::StageBuild;
use super::config::value;
use super::instruction::{Body, Instruction};
use super::scope::{Scope, is_proxy, of_platform};
use super::stage::{Stage, needed, stages, wanted};
use super::{Dockerfile, Word};

/// What a Dockerfile is built with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values of ARGs, from the command line.
    pub args: BTreeMap<String, String>,
    /// The stage that is built; by default the last.
    pub target: Option<String>,
    pub platform: Platform,
    /// What `BUILDPLATFORM` is: the platform on which commands are taken to run.
    pub build_platform: Platform,
    /// Labels that win over those of the Dockerfile.
    pub labels: Vec<(String, String)>,
    pub tags: Vec<String>,
    /// Patterns of what COPY and ADD do not see ([`IgnorePatterns`](crate::source::IgnorePatterns)).
    pub ignore: Vec<String>,
    /// What commands find in /etc/hosts.
    pub hosts: Vec<(String, IpAddr)>,
    /// Commands have no network, also where they say nothing about it.
    pub hermetic: bool,
}

/// Who knows the configs of images on which stages stand.
pub trait Bases {
    /// The config of an image of a registry.
    ///
    /// # Errors
    /// It cannot be had.
    fn config(&mut self, image: &Spanned<OciReference>, platform: &Platform) -> Result<ImageConfig, Diagnostic>;
}

/// What a Dockerfile amounts to.
#[derive(Debug)]
pub struct Lowered {
    /// An image for each stage that is needed, in their order.
    pub targets: Vec<Target>,
    /// The one that is asked for.
    pub root: Label,
    /// Names of `args` for which there is no ARG.
    pub unused: Vec<String>,
}

/// The stages that are needed, as targets of the root package, which is the context.
///
/// # Errors
/// What is wrong with an instruction, at its place; a base whose config cannot be had.
pub fn lower(dockerfile: &Dockerfile, options: &Options, bases: &mut dyn Bases) -> Result<Lowered, Diagnostic> {
    let mut used = BTreeSet::new();
    let declare = |instructions| declare(dockerfile, instructions, options, &mut used);
    let (global, stages) = stages(&dockerfile.instructions, declare)?;
    let wanted = wanted(&stages, options.target.as_deref())?;
    let needed = needed(&stages, wanted)?;
    let mut builds: Vec<Option<StageBuild>> = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        if !needed.contains(&at) {
            builds.push(None);
            continue;
        }
        let mut build = begin(at, &stages, &builds, &global, options, bases)?;
        let triggers = std::mem::take(&mut build.triggers);
        build.run_triggers(&triggers, &builds, &stages, &mut used, bases)?;
        for instruction in stage.instructions {
            build.instruction(instruction, &builds, &stages, &mut used, bases)?;
        }
        builds.push(Some(build));
    }
    let root = label(&stages, wanted)?;
    if let Some(build) = builds[wanted].as_mut() {
        build.spec.tags.clone_from(&options.tags);
        build.spec.labels.extend(options.labels.iter().cloned());
    }
    let target = |(at, build): (usize, Option<StageBuild>)| {
        let build = build?;
        Some(Target {
            label: build.label,
            span: Some(stages[at].span.clone()),
            rule: Rule::Image(Box::new(build.spec)),
        })
    };
    let targets = builds.into_iter().enumerate().filter_map(target).collect();
    let is_known = |name: &String| used.contains(name) || is_proxy(name);
    let unused = options.args.keys().filter(|name| !is_known(name)).cloned().collect();
    Ok(Lowered { targets, root, unused })
}

/// The ARGs before the first FROM, and what has a value without one.
fn declare(
    dockerfile: &Dockerfile,
    instructions: &[Instruction],
    options: &Options,
    used: &mut BTreeSet<String>,
) -> Result<Scope, Diagnostic> {
    let mut scope = Scope::new(dockerfile.directives.escape);
    let platforms =
        of_platform("TARGET", &options.platform).into_iter().chain(of_platform("BUILD", &options.build_platform));
    for (name, value) in
        platforms.chain([("TARGETSTAGE".to_owned(), options.target.clone().unwrap_or("default".into()))])
    {
        let given = options.args.get(&name).cloned();
        used.insert(name.clone());
        scope.set(name, given.unwrap_or(value));
    }
    for instruction in instructions {
        let Body::Arg(arguments) = &instruction.body else { continue };
        let before = scope.clone();
        for (name, default) in arguments {
            let name = before.expand(name)?;
            let default = default.as_ref().map(|word| before.expand(word)).transpose()?;
            used.insert(name.clone());
            if let Some(value) = options.args.get(&name).cloned().or(default) {
                scope.set(name, value);
            }
        }
    }
    Ok(scope)
}

/// The label of a stage: its name, or its number, counted from 0.
pub(super) fn label(stages: &[Stage], at: usize) -> Result<Label, Diagnostic> {
    let is_taken = |name: &String| stages[..at].iter().any(|earlier| earlier.name.as_ref() == Some(name));
    let name = stages[at].name.clone().filter(|name| !is_taken(name));
    let text = format!(":{}", name.unwrap_or(at.to_string()));
    Label::parse(&text, &WorkspacePath::root()).map_err(|error| Diagnostic::spec(error.to_string()))
}

/// A stage as it is before its first instruction.
fn begin<'a>(
    at: usize,
    stages: &[Stage],
    builds: &[Option<StageBuild<'a>>],
    global: &Scope,
    options: &'a Options,
    bases: &mut dyn Bases,
) -> Result<StageBuild<'a>, Diagnostic> {
    let stage = &stages[at];
    let platform = match stage.platform {
        None => options.platform.clone(),
        Some(flag) => {
            let word = value(flag)?;
            let text = global.expand(word)?;
            text.parse().map_err(|error| Diagnostic::spec(format!("{error}")).at(word.span.clone()))?
        }
    };
    let label = label(stages, at)?;
    let span = stage.image.span.clone();
    if let Some(below) = stage.base.and_then(|base| builds[base].as_ref()) {
        let base = Base::Target(below.label.clone());
        let spec = ImageSpec { base: Some(Spanned { value: base, span }), ..ImageSpec::default() };
        return Ok(below.on_top(at, label, spec, global.clone()));
    }
    let (base, config) = match stage.image.value.as_str() {
        "scratch" => (Base::Scratch, None),
        name => {
            let image = image(name, &stage.image)?;
            let config = bases.config(&image, &platform)?;
            (Base::Oci(image.value), Some(config))
        }
    };
    let platform = Some(platform);
    let spec = ImageSpec { base: Some(Spanned { value: base, span }), platform, ..ImageSpec::default() };
    Ok(StageBuild::new(at, label, spec, config, global.clone(), options))
}

/// An image of a registry by its name.
pub(super) fn image(name: &str, word: &Word) -> Result<Spanned<OciReference>, Diagnostic> {
    let reference = OciReference::parse(name).map_err(|error| error.at(word.span.clone()))?;
    Ok(Spanned { value: reference, span: word.span.clone() })
}
