//! Stages to targets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostic::{Diagnostic, Span, Spanned};
use crate::oci::ImageConfig;
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::target::{Base, ImageSpec, IndexSpec, Label, LayerSpec, OciReference, Place, Rule, Target};

use super::build::StageBuild;
use super::config::value;
use super::instruction::{Body, Instruction};
use super::scope::{Scope, is_proxy, of_platform};
use super::stage::{Stage, needed, stages, wanted};
use super::{Dockerfile, NamedContext, NamedContexts, Word};

/// What a Dockerfile is built with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Values of ARGs, from the command line.
    pub args: BTreeMap<String, String>,
    /// The stage that is built; by default the last.
    pub target: Option<String>,
    /// The platforms for which it is built, at least one.
    pub platforms: Vec<Platform>,
    /// What `BUILDPLATFORM` is: the platform on which commands are taken to run.
    pub build_platform: Platform,
    /// Labels that win over those of the Dockerfile.
    pub labels: Vec<(String, String)>,
    pub tags: Vec<String>,
    /// What stands in the place of stages and images.
    pub contexts: NamedContexts,
    /// Patterns of what COPY and ADD do not see ([`IgnorePatterns`](crate::source::IgnorePatterns)).
    pub ignore: Vec<String>,
    /// What commands find in /etc/hosts.
    pub hosts: Vec<(String, IpAddr)>,
    /// Commands have no network, also where they say nothing about it.
    pub hermetic: bool,
    /// Every stage is wanted, not only those that `target` needs.
    pub whole: bool,
}

/// Who knows the configs of images on which stages stand.
pub trait Bases {
    /// The config of an image of a registry or of a layout.
    ///
    /// # Errors
    /// It cannot be had.
    fn config(&mut self, image: &Spanned<Base>, platform: &Platform) -> Result<ImageConfig, Diagnostic>;
}

/// What a Dockerfile amounts to.
#[derive(Debug)]
pub struct Lowered {
    /// An image for each stage that is needed, in their order; of several platforms, those of each in a package of its own,
    /// such as `//linux/arm64`, and last their index.
    pub targets: Vec<Target>,
    /// The one that is asked for.
    pub root: Label,
    /// Names of `args` for which there is no ARG.
    pub unused: Vec<String>,
    /// What ARGs say, those of an instruction in its order: first the ones before FROM, then those of each stage.
    pub arguments: Vec<Argument>,
}

/// One name of an ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    /// With its variables expanded.
    pub default: Option<String>,
    /// The name in the Dockerfile.
    pub span: Option<Span>,
}

/// The stages that are needed, as targets of the root package, which is the context.
///
/// # Errors
/// What is wrong with an instruction, at its place; a base whose config cannot be had.
pub fn lower(dockerfile: &Dockerfile, options: &Options, bases: &mut dyn Bases) -> Result<Lowered, Diagnostic> {
    let mut lowering =
        Lowering { dockerfile, options, used: BTreeSet::new(), targets: Vec::new(), arguments: Vec::new() };
    let root = match options.platforms.as_slice() {
        [platform] => lowering.image(platform, WorkspacePath::root(), &options.tags, bases)?.label,
        platforms => lowering.index(platforms, bases)?,
    };
    let Lowering { used, targets, arguments, .. } = lowering;
    let is_known = |name: &String| used.contains(name) || is_proxy(name);
    let unused = options.args.keys().filter(|name| !is_known(name)).cloned().collect();
    Ok(Lowered { targets, root, unused, arguments })
}

struct Lowering<'a> {
    dockerfile: &'a Dockerfile,
    options: &'a Options,
    /// Names of ARGs.
    used: BTreeSet<String>,
    targets: Vec<Target>,
    arguments: Vec<Argument>,
}

/// The stage that is asked for.
struct Root {
    label: Label,
    span: Span,
}

impl Lowering<'_> {
    /// The index of what is asked for, for several platforms.
    fn index(&mut self, platforms: &[Platform], bases: &mut dyn Bases) -> Result<Label, Diagnostic> {
        let mut roots = Vec::new();
        for platform in platforms {
            let package = WorkspacePath::parse(&platform.to_string());
            let package = package.map_err(|error| Diagnostic::spec(error.to_string()))?;
            roots.push(self.image(platform, package, &[], bases)?);
        }
        let Some(Root { label, span }) = roots.first() else { return Err(Diagnostic::spec("there is no platform")) };
        let (label, span) = (Label { package: WorkspacePath::root(), name: label.name.clone() }, Some(span.clone()));
        let images = roots.into_iter().map(|root| Spanned { value: root.label, span: Some(root.span) }).collect();
        let index = IndexSpec { images, tags: self.options.tags.clone(), ..IndexSpec::default() };
        self.targets.push(Target { label: label.clone(), span, rule: Rule::Index(index) });
        Ok(label)
    }

    /// The stages for one platform, as targets of `package`.
    fn image(
        &mut self,
        platform: &Platform,
        package: WorkspacePath,
        tags: &[String],
        bases: &mut dyn Bases,
    ) -> Result<Root, Diagnostic> {
        let options = self.options;
        let (used, arguments) = (&mut self.used, &mut self.arguments);
        let declare = |instructions| declare(self.dockerfile, instructions, options, platform, used, arguments);
        let (global, stages) = stages(&self.dockerfile.instructions, &options.contexts, declare)?;
        let wanted = wanted(&stages, options.target.as_deref())?;
        let needed = match options.whole {
            true => (0..stages.len()).collect(),
            false => needed(&stages, wanted, &options.contexts)?,
        };
        let mut builds: Vec<Option<StageBuild>> = Vec::new();
        for (at, stage) in stages.iter().enumerate() {
            if !needed.contains(&at) {
                builds.push(None);
                continue;
            }
            let label = label(&stages, at, &package)?;
            let mut build = begin((at, label), &stages, &builds, &global, (options, platform), bases)?;
            let triggers = std::mem::take(&mut build.triggers);
            build.run_triggers(&triggers, &builds, &stages, used, bases)?;
            for instruction in stage.instructions {
                build.instruction(instruction, &builds, &stages, used, bases)?;
            }
            builds.push(Some(build));
        }
        self.arguments.extend(builds.iter_mut().flatten().flat_map(|build| std::mem::take(&mut build.arguments)));
        if let Some(build) = builds[wanted].as_mut() {
            build.spec.tags = tags.to_vec();
            build.spec.labels.extend(options.labels.iter().cloned());
        }
        let target = |(at, build): (usize, Option<StageBuild>)| {
            let build = build?;
            let span = Some(stages[at].span.clone());
            Some(Target { label: build.label, span, rule: Rule::Image(Box::new(build.spec)) })
        };
        self.targets.extend(builds.into_iter().enumerate().filter_map(target));
        Ok(Root { label: label(&stages, wanted, &package)?, span: stages[wanted].span.clone() })
    }
}

/// The ARGs before the first FROM, and what has a value without one.
fn declare(
    dockerfile: &Dockerfile,
    instructions: &[Instruction],
    options: &Options,
    platform: &Platform,
    used: &mut BTreeSet<String>,
    declared: &mut Vec<Argument>,
) -> Result<Scope, Diagnostic> {
    let mut scope = Scope::new(dockerfile.directives.escape);
    let platforms = of_platform("TARGET", platform).into_iter().chain(of_platform("BUILD", &options.build_platform));
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
        for (word, default) in arguments {
            let name = before.expand(word)?;
            let default = default.as_ref().map(|word| before.expand(word)).transpose()?;
            used.insert(name.clone());
            declared.push(Argument { name: name.clone(), default: default.clone(), span: word.span.clone() });
            if let Some(value) = options.args.get(&name).cloned().or(default) {
                scope.set(name, value);
            }
        }
    }
    Ok(scope)
}

/// The label of a stage: its name, or its number, counted from 0.
fn label(stages: &[Stage], at: usize, package: &WorkspacePath) -> Result<Label, Diagnostic> {
    let is_taken = |name: &String| stages[..at].iter().any(|earlier| earlier.name.as_ref() == Some(name));
    let name = stages[at].name.clone().filter(|name| !is_taken(name));
    let text = format!(":{}", name.unwrap_or(at.to_string()));
    Label::parse(&text, package).map_err(|error| Diagnostic::spec(error.to_string()))
}

/// A stage as it is before its first instruction.
fn begin<'a>(
    (at, label): (usize, Label),
    stages: &[Stage],
    builds: &[Option<StageBuild<'a>>],
    global: &Scope,
    (options, platform): (&'a Options, &Platform),
    bases: &mut dyn Bases,
) -> Result<StageBuild<'a>, Diagnostic> {
    let stage = &stages[at];
    let platform = match stage.platform {
        None => platform.clone(),
        Some(flag) => {
            let word = value(flag)?;
            let text = global.expand(word)?;
            text.parse().map_err(|error| Diagnostic::spec(format!("{error}")).at(word.span.clone()))?
        }
    };
    let span = stage.image.span.clone();
    if let Some(below) = stage.base.and_then(|base| builds[base].as_ref()) {
        let base = Base::Target(below.label.clone());
        let spec = ImageSpec { base: Some(Spanned { value: base, span }), ..ImageSpec::default() };
        return Ok(below.on_top(at, label, spec, global.clone()));
    }
    let (base, layers) = match (stage.context, stage.image.value.as_str()) {
        (Some(context), _) => of_context(context, &stage.image, stage.span),
        (None, "scratch") => (Base::Scratch, Vec::new()),
        (None, name) => (image(name, &stage.image)?, Vec::new()),
    };
    let base = Spanned { value: base, span };
    let config = match base.value {
        Base::Scratch => None,
        _ => Some(bases.config(&base, &platform)?),
    };
    let spec = ImageSpec { base: Some(base), layers, platform: Some(platform.clone()), ..ImageSpec::default() };
    Ok(StageBuild::new((at, label), spec, platform, config, global.clone(), options))
}

/// An image of a registry by its name.
pub(super) fn image(name: &str, word: &Word) -> Result<Base, Diagnostic> {
    OciReference::parse(name).map(Base::Oci).map_err(|error| error.at(word.span.clone()))
}

/// The image below a stage on a named context, and its first layers.
fn of_context(context: &NamedContext, name: &Word, from: &Span) -> (Base, Vec<Spanned<LayerSpec>>) {
    match context {
        NamedContext::Registry(image) => (Base::Oci(image.clone()), Vec::new()),
        NamedContext::Layout(layout) => (Base::OciLayout(layout.clone()), Vec::new()),
        NamedContext::Directory { directory, ignore } => {
            let srcs = vec![Spanned { value: "/".to_owned(), span: name.span.clone() }];
            let all =
                Place { srcs, directory: Some(directory.clone()), ignore: ignore.clone(), ..Place::at("/".to_owned()) };
            let all = Place { instruction: format!("FROM {}", directory.name), ..all };
            (Base::Scratch, vec![Spanned { value: LayerSpec::Place(Box::new(all)), span: Some(from.clone()) }])
        }
    }
}
