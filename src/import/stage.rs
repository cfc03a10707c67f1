//! One stage: a call of `image`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Spanned;
use crate::dockerfile::{Body, Command, Instruction};
use crate::target::{Base, Healthcheck, ImageSpec, LayerSpec, Place, Run};

use super::Importer;
use super::code::{Argument, Call, Code, Item};
use super::from_image::Origin;
use super::known::Known;
use super::place::{Layer, Placing};
use super::run::{self, Environments};
use super::tidy::tidy;
use super::variables::written;

/// A stage that was written.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) variable: String,
    pub(super) known: Known,
    pub(super) environments: Environments,
}

/// A stage to be written.
pub(super) struct Stage<'a> {
    pub(super) spec: &'a ImageSpec,
    /// The target's name, and what variables are named after.
    pub(super) name: String,
    pub(super) variable: String,
    /// Those of the Dockerfile behind FROM, with their place among all.
    pub(super) instructions: Vec<(usize, &'a Instruction)>,
    pub(super) comments: Vec<String>,
    pub(super) platform: Option<String>,
}

impl Importer<'_> {
    /// Writes the stage, and what has to stand before it.
    pub(super) fn stage(&mut self, stage: &Stage, is_used: bool) -> Written {
        let (mut known, mut environments) = self.below(stage);
        let mut layers: Vec<Layer> = Vec::new();
        let mut definitions = String::new();
        let mut of_fields: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let mut waiting: Vec<String> = Vec::new();
        let mut left = stage.spec.layers.iter().peekable();
        // What the base's ONBUILD adds comes first; it stands in no file of ours.
        let own =
            |layer: &Spanned<LayerSpec>| layer.span.as_ref().is_some_and(|span| Arc::ptr_eq(&span.source, self.source));
        let triggered: Vec<_> = std::iter::from_fn(|| left.next_if(|layer| !own(layer))).collect();
        for layer in triggered {
            let mut new = self.layer(&layer.value, None, stage, &mut known, &mut environments, &mut definitions);
            if let Some(first) = new.first_mut() {
                first.comments.insert(0, "# ocify: an ONBUILD of the base.".to_owned());
            }
            layers.extend(new);
        }
        for (at, instruction) in &stage.instructions {
            let comments = self.comments.of[*at].clone();
            if let Some(field) = field(&instruction.body) {
                of_fields.entry(field).or_default().extend(comments);
                continue;
            }
            waiting.extend(comments);
            let is_of = |layer: &&Spanned<LayerSpec>| {
                layer.span.as_ref().is_some_and(|span| span.start == instruction.span.start)
            };
            while let Some(layer) = left.next_if(is_of) {
                let mut new =
                    self.layer(&layer.value, Some(instruction), stage, &mut known, &mut environments, &mut definitions);
                if let Some(first) = new.first_mut() {
                    first.comments.splice(0..0, waiting.drain(..));
                }
                layers.extend(new);
            }
        }
        if self.options.tidy {
            layers = tidy(layers);
        }
        let call = self.image(stage, layers, of_fields, &environments);
        self.text.push_str(&definitions);
        for comment in stage.comments.iter().chain(&waiting) {
            self.text.push_str(&format!("{comment}\n"));
        }
        let assigned = if is_used { format!("{} = ", stage.variable) } else { String::new() };
        self.text.push_str(&format!("{assigned}{}\n\n", Code::Call(call).write(0, assigned.len())));
        Written { variable: stage.variable.clone(), known, environments }
    }

    /// What is known of the files below, and the environments that stand in variables.
    fn below(&mut self, stage: &Stage) -> (Known, Environments) {
        match &stage.spec.base {
            Some(Spanned { value: Base::Target(label), .. }) => {
                let below = self.written.get(&label.to_string());
                below.map_or_else(
                    || (Known::nothing(), Environments::default()),
                    |below| (below.known.clone(), below.environments.clone()),
                )
            }
            Some(base @ Spanned { value: Base::Oci(_), .. }) => {
                let name = written(base);
                let Some(config) = self.configs.get(&name) else {
                    return (Known::nothing(), Environments::default());
                };
                let (known, mut environments) = (Known::base(config), Environments::default());
                let env = config.config.env.iter().filter_map(|variable| variable.split_once('='));
                let env: BTreeMap<String, String> = env.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                let env = run::own(&env);
                let runs = stage.spec.layers.iter().filter_map(|layer| match &layer.value {
                    LayerSpec::Run(run) => Some(run),
                    _ => None,
                });
                let is_kept = |run: &Run| env.iter().all(|(name, value)| run.env.get(name) == Some(value));
                if !env.is_empty() && runs.into_iter().any(is_kept) {
                    let variable = self.base_environment(&name, &env);
                    environments.add(variable, env);
                }
                (known, environments)
            }
            _ => (Known::nothing(), Environments::default()),
        }
    }

    /// The variable for the environment of a base, which is written where it is first needed.
    fn base_environment(&mut self, name: &str, env: &BTreeMap<String, String>) -> String {
        if let Some(variable) = self.environments.get(name) {
            return variable.clone();
        }
        let repository = name.split('@').next().unwrap_or(name);
        let repository = repository.rsplit('/').next().unwrap_or(repository);
        let shown = self.variables.plain(&self.variables.image(name));
        let plain = match repository.contains('$') {
            true => shown.rsplit('/').next().unwrap_or(&shown).to_owned(),
            false => repository.to_owned(),
        };
        let variable = self.names.variable(&format!("{}_env", plain.split(':').next().unwrap_or(&plain)));
        let values = env.iter().map(|(name, value)| (Code::text(name), Code::text(value))).collect();
        let code = Code::Dict(values).write(0, variable.len() + 3);
        self.text.push_str(&format!("# What {shown} sets, for the steps on it.\n{variable} = {code}\n\n"));
        self.environments.insert(name.to_owned(), variable.clone());
        variable
    }

    /// The layers of one instruction.
    fn layer(
        &mut self,
        layer: &LayerSpec,
        instruction: Option<&Instruction>,
        stage: &Stage,
        known: &mut Known,
        environments: &mut Environments,
        definitions: &mut String,
    ) -> Vec<Layer> {
        match layer {
            LayerSpec::Run(run) => {
                if let Some((variable, values)) =
                    run::new_variable(run, environments, &mut self.names, stage.variable.trim_end_matches('_'))
                {
                    // In the order in which the image has them, so that it can be said once.
                    let mut pairs: Vec<(&String, &String)> = values.iter().collect();
                    let place = |name: &String| stage.spec.env.iter().position(|(other, _)| other == name);
                    pairs.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
                    let code = run::map(pairs, &self.variables).write(0, variable.len() + 3);
                    definitions.push_str(&format!("{variable} = {code}\n\n"));
                }
                let written = instruction.and_then(|instruction| match &instruction.body {
                    Body::Run { command: Command::Shell(word), heredocs } if heredocs.is_empty() => word.span.as_ref(),
                    Body::Run { command: Command::Exec(_), .. } => None,
                    _ => None,
                });
                let remark = run::remark(run);
                known.command(&run.command.argv().join(" "), &self.variables.plain(&run.workdir.to_string()));
                let mounts = self.mounts(run, stage);
                let call = run::call(run, mounts, written, environments, &self.variables);
                vec![Layer { comments: remark.into_iter().collect(), call }]
            }
            LayerSpec::Place(place) => self.placed(place, stage, known),
            // A Dockerfile makes no others.
            _ => Vec::new(),
        }
    }

    pub(super) fn placed(&mut self, place: &Place, stage: &Stage, known: &mut Known) -> Vec<Layer> {
        let origin = place.from.as_ref().map(|from| self.origin(&from.value, from.span.as_ref()));
        let mut placing =
            Placing { place, variables: &self.variables, listing: self.listing, known, own: &self.options.own };
        let (text, names) = (&mut self.text, &mut self.names);
        let mut helper = |end: &str, remark: Option<&str>, base: Option<Code>, layer: Call| {
            let target = names.target(&format!("{}-{end}", stage.name));
            let variable = names.variable(&target);
            let call = Call { tall: true, ..Call::new("image") };
            let call =
                call.named("name", Code::text(target)).named("base", base.unwrap_or(Code::Call(Call::new("scratch"))));
            let code = Code::Call(call.named("layers", Code::list([Code::Call(layer)]))).write(0, 0);
            let remark = remark.map(|remark| format!("# ocify: {remark}\n")).unwrap_or_default();
            text.push_str(&format!("{remark}{variable} = {code}\n\n"));
            Code::Raw(variable)
        };
        match &origin {
            Some((image, known)) => placing.of_image(&Origin { image: image.clone(), known }, &mut helper),
            None if place.srcs.is_empty() && place.contents.is_empty() => placing.workdir(),
            None => placing.of_context(&mut helper),
        }
    }

    /// The call of `image`.
    fn image(
        &self,
        stage: &Stage,
        layers: Vec<Layer>,
        mut comments: BTreeMap<&'static str, Vec<String>>,
        environments: &Environments,
    ) -> Call {
        // All fields, so that a new one is not forgotten here.
        let ImageSpec {
            base,
            layers: _,
            platform: _,
            platforms: _,
            os_version: _,
            env,
            entrypoint,
            cmd,
            workdir,
            user,
            ports,
            volumes,
            labels,
            stop_signal,
            healthcheck,
            shell,
            onbuild,
            author,
            created: _,
            annotations: _,
            history: _,
            tags: _,
            media_types: _,
            compression: _,
        } = stage.spec;
        let text = |text: &String| self.variables.text(text);
        let list = |texts: &Vec<String>| Code::list(texts.iter().map(text));
        let some = |texts: &Vec<String>| (!texts.is_empty()).then(|| list(texts));
        let base = match base {
            Some(Spanned { value: Base::Target(label), .. }) => {
                let written = self.written.get(&label.to_string());
                written.map_or_else(|| Code::text(label.to_string()), |written| Code::Raw(written.variable.clone()))
            }
            Some(base @ Spanned { value: Base::Oci(_), .. }) => {
                self.variables.text(&self.variables.image(&written(base)))
            }
            _ => Code::Call(Call::new("scratch")),
        };
        let env = (!env.is_empty()).then(|| {
            let map: BTreeMap<String, String> = env.iter().cloned().collect();
            match environments.variable(&map) {
                Some(variable) => Code::Raw(variable.to_owned()),
                None => run::map(env.iter().map(|(name, value)| (name, value)), &self.variables),
            }
        });
        let items: Vec<Item> =
            layers.into_iter().map(|layer| Item { comments: layer.comments, code: Code::Call(layer.call) }).collect();
        let layers = (!items.is_empty()).then_some(Code::List(items));
        let ports: Vec<String> = {
            let mut seen = BTreeSet::new();
            ports.iter().filter(|port| seen.insert((*port).clone())).cloned().collect()
        };
        let call = Call { tall: true, ..Call::new("image") };
        let mut call = call
            .named("name", Code::text(&stage.name))
            .named("base", base)
            .optional("platform", stage.platform.as_ref().map(Code::text))
            .optional("layers", layers)
            .optional("env", env)
            .optional("entrypoint", entrypoint.as_ref().map(list))
            .optional("cmd", cmd.as_ref().map(list))
            .optional("workdir", workdir.as_ref().map(text))
            .optional("user", user.as_ref().map(text))
            .optional("ports", some(&ports))
            .optional("volumes", some(volumes))
            .optional("labels", (!labels.is_empty()).then(|| run::map(labels, &self.variables)))
            .optional("stop_signal", stop_signal.as_ref().map(text))
            .optional("healthcheck", healthcheck.as_ref().map(check))
            .optional("shell", shell.as_ref().map(list))
            .optional("onbuild", some(onbuild))
            .optional("author", author.as_ref().map(text));
        for Argument { comments: own, name, .. } in &mut call.arguments {
            own.extend(name.and_then(|name| comments.remove(name)).unwrap_or_default());
        }
        call
    }
}

/// The argument of `image` that an instruction decides.
fn field(body: &Body) -> Option<&'static str> {
    Some(match body {
        Body::Env(_) => "env",
        Body::Label(_) => "labels",
        Body::Cmd(_) => "cmd",
        Body::Entrypoint(_) => "entrypoint",
        Body::Shell(_) => "shell",
        Body::Healthcheck(_) => "healthcheck",
        Body::Expose(_) => "ports",
        Body::Volume(_) => "volumes",
        Body::User(_) => "user",
        Body::Stopsignal(_) => "stop_signal",
        Body::Maintainer(_) => "author",
        Body::Onbuild(_) => "onbuild",
        Body::From { .. } | Body::Arg(_) | Body::Run { .. } | Body::Copy(_) | Body::Workdir(_) => return None,
    })
}

fn check(check: &Healthcheck) -> Code {
    let Healthcheck { test, interval_ms, timeout_ms, start_period_ms, start_interval_ms, retries } = check;
    let mut pairs = vec![(Code::text("test"), Code::list(test.iter().map(Code::text)))];
    let numbers = [
        ("interval_ms", *interval_ms),
        ("timeout_ms", *timeout_ms),
        ("start_period_ms", *start_period_ms),
        ("start_interval_ms", *start_interval_ms),
        ("retries", u64::from(*retries)),
    ];
    let given = numbers.into_iter().filter(|(_, number)| *number > 0);
    pairs.extend(given.map(|(name, number)| (Code::text(name), Code::Raw(number.to_string()))));
    Code::Dict(pairs)
}
