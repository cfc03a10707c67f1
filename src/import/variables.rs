//! ARGs as variables of the spec.
//!
//! What a Dockerfile means is decided in one place, `dockerfile::lower`, and that gives values. To see where an ARG went, it is
//! lowered a second time with a *mark* in place of each value: a text that stands nowhere else. Where the marks turn up, the
//! variables stand. An ARG is a variable only if the second result with its values put in is the first one; where a mark
//! cannot stand (a `--chmod`, a pattern that is cut off a value) it keeps its default.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostic, SourceText, Span, Spanned};
use crate::dockerfile::{self, Bases, Dockerfile, Lowered, Options, expand};
use crate::oci::ImageConfig;
use crate::platform::Platform;
use crate::target::{Base, OciReference, Rule};

use super::code::{Call, Code, Piece};
use super::names::Names;

/// Platforms that a variable for the target's platform knows, beside the one that is built.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A Dockerfile whose texts have marks where ARGs count.
pub(super) struct Marked {
    pub(super) lowered: Lowered,
    pub(super) variables: Variables,
    /// The configs of bases, by how FROM and `--from` write them.
    pub(super) configs: BTreeMap<String, ImageConfig>,
}

/// The variables of a spec.
pub(super) struct Variables {
    escape: char,
    list: Vec<Variable>,
    /// ARGs that are none, and why.
    pub(super) literal: Vec<(String, &'static str)>,
    /// Values before the first FROM, with marks.
    global: BTreeMap<String, String>,
}

/// An ARG.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) argument: String,
    /// Its name in the spec.
    pub(super) identifier: String,
    mark: String,
    /// By default.
    value: String,
    definition: Definition,
    /// Where it is first declared.
    pub(super) span: Option<Span>,
}

#[derive(Clone, Debug)]
enum Definition {
    /// `arg(...)`; the default may have marks.
    Argument(String),
    /// By platform.
    Select(Vec<(String, String)>),
}

impl Marked {
    /// Lowers the Dockerfile, with every ARG that can be one as a variable.
    ///
    /// # Errors
    /// As [`dockerfile::lower`].
    pub(super) fn lower(
        source: &SourceText,
        dockerfile: &Dockerfile,
        options: &Options,
        bases: &mut dyn Bases,
        names: &mut Names,
    ) -> Result<Self, Diagnostic> {
        let mut recorded = Recorded { bases, configs: BTreeMap::new() };
        let plain = dockerfile::lower(dockerfile, options, &mut recorded)?;
        let (candidates, mut literal) = candidates(&plain, source, options);
        let escape = dockerfile.directives.escape;
        let attempt = |list: &[Variable]| {
            let mut marked = options.clone();
            marked.args.extend(list.iter().map(|variable| (variable.argument.clone(), variable.mark.clone())));
            let lowered = dockerfile::lower(dockerfile, &marked, &mut Known(&recorded.configs)).ok()?;
            let (list, global) = defined(list, &lowered, dockerfile, options)?;
            let variables = Variables { escape, list, literal: Vec::new(), global };
            variables.gives(&lowered, &plain).then_some((lowered, variables))
        };
        let found = attempt(&candidates).or_else(|| {
            let (good, bad): (Vec<_>, Vec<_>) =
                candidates.iter().cloned().partition(|one| attempt(std::slice::from_ref(one)).is_some());
            literal.extend(bad.into_iter().map(|one| (one.argument, "more than its text counts where it stands")));
            attempt(&good)
        });
        let (lowered, mut variables) = match found {
            Some(found) => found,
            None => {
                literal.extend(candidates.iter().map(|one| (one.argument.clone(), "it does not go with the others")));
                literal.sort();
                literal.dedup_by(|a, b| a.0 == b.0);
                (plain, Variables { escape, list: Vec::new(), literal: Vec::new(), global: BTreeMap::new() })
            }
        };
        for variable in &mut variables.list {
            variable.identifier = names.variable(&variable.argument);
        }
        variables.literal = literal;
        Ok(Marked { lowered, variables, configs: recorded.configs })
    }
}

impl Variables {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Variable> {
        self.list.iter()
    }

    /// The text with values in place of marks.
    pub(super) fn plain(&self, text: &str) -> String {
        // A value may hold the marks of earlier ones.
        self.list.iter().rev().fold(text.to_owned(), |text, variable| text.replace(&variable.mark, &variable.value))
    }

    /// The text as a string of the spec.
    pub(super) fn text(&self, text: &str) -> Code {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, variable)) =
            self.list.iter().filter_map(|variable| Some((rest.find(&variable.mark)?, variable))).min_by_key(|f| f.0)
        {
            if at > 0 {
                pieces.push(Piece::Literal(rest[..at].to_owned()));
            }
            pieces.push(Piece::Variable(variable.identifier.clone()));
            rest = &rest[at + variable.mark.len()..];
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Code::Text(pieces)
    }

    /// What the variable is in the spec.
    pub(super) fn definition(&self, variable: &Variable) -> Code {
        Code::Call(match &variable.definition {
            Definition::Argument(default) => {
                Call::new("arg").with(Code::text(&variable.argument)).named("default", self.text(default))
            }
            Definition::Select(branches) => {
                let pair = |(key, value): &(String, String)| (Code::text(key), Code::text(value));
                Call::new("select").with(Code::Dict(branches.iter().map(pair).collect()))
            }
        })
    }

    /// The name of a base as its FROM writes it, with marks.
    pub(super) fn image(&self, written: &str) -> String {
        expand(written, self.escape, &|name| self.global.get(name).cloned()).unwrap_or_else(|_| written.to_owned())
    }

    /// True if `lowered` with the values is `plain`.
    fn gives(&self, lowered: &Lowered, plain: &Lowered) -> bool {
        let json = |lowered: &Lowered, is_marked: bool| -> Option<Vec<Json>> {
            let targets = lowered.targets.iter().map(|target| {
                let Rule::Image(spec) = &target.rule else { return None };
                let mut json = serde_json::to_value(spec).ok()?;
                // Its words name the ARGs that have a value.
                json["history"] = Json::Null;
                json["base"] = match spec.base.as_ref() {
                    Some(Spanned { value: Base::Oci(image), span }) if is_marked => {
                        let written =
                            span.as_ref().map_or_else(|| image.reference.to_string(), |s| s.text().to_owned());
                        let name = self.plain(&self.image(&written));
                        serde_json::to_value(Base::Oci(OciReference::parse(&name).ok()?)).ok()?
                    }
                    base => serde_json::to_value(base).ok()?,
                };
                Some(if is_marked { self.with_values(json, false) } else { json })
            });
            targets.collect()
        };
        let given = json(lowered, true);
        given.is_some() && given == json(plain, false)
    }

    /// The JSON with values in place of marks. Commands see no variable for an ARG without a value.
    fn with_values(&self, json: Json, in_layers: bool) -> Json {
        let is_unset = |value: &Json| self.list.iter().any(|one| value.as_str() == Some(&one.mark) && one.is_unset());
        match json {
            Json::String(text) => Json::String(self.plain(&text)),
            Json::Array(items) => items.into_iter().map(|item| self.with_values(item, in_layers)).collect(),
            Json::Object(map) => {
                let kept = map.into_iter().filter(|(_, value)| !(in_layers && is_unset(value)));
                kept.map(|(key, value)| {
                    let in_layers = in_layers || key == "layers";
                    (self.plain(&key), self.with_values(value, in_layers))
                })
                .collect()
            }
            other => other,
        }
    }
}

impl Variable {
    fn is_unset(&self) -> bool {
        matches!(&self.definition, Definition::Argument(default) if default.is_empty())
    }
}

/// The ARGs that may become variables; those that cannot, with the reason.
fn candidates(plain: &Lowered, source: &SourceText, options: &Options) -> (Vec<Variable>, Vec<(String, &'static str)>) {
    let (mut list, mut literal): (Vec<Variable>, Vec<_>) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for declared in &plain.arguments {
        if !seen.insert(&declared.name) {
            continue;
        }
        let others = plain.arguments.iter().filter(|other| other.name == declared.name);
        // What is given counts in every stage.
        let defaults: BTreeSet<&String> = match options.args.get(&declared.name) {
            Some(given) => [given].into(),
            None => others.filter_map(|other| other.default.as_ref()).collect(),
        };
        let own = &options.platforms[0];
        let platform = of_platform(&declared.name, own);
        let (value, definition) = match (declared.name.as_str(), platform) {
            (_, Some(branches)) => {
                let value = branches.iter().find(|(platform, _)| *platform == own.to_string());
                (value.map(|(_, value)| value.clone()).unwrap_or_default(), Definition::Select(branches))
            }
            (name, None) if name.starts_with("BUILD") && name.len() > 5 && AUTOMATIC.contains(&&name[5..]) => continue,
            ("TARGETOS" | "TARGETVARIANT" | "TARGETSTAGE" | "SOURCE_DATE_EPOCH", None) => continue,
            _ if defaults.len() > 1 => {
                literal.push((declared.name.clone(), "stages give it different defaults"));
                continue;
            }
            _ => {
                let value = defaults.first().map(|text| (*text).clone()).unwrap_or_default();
                (value.clone(), Definition::Argument(value))
            }
        };
        let mark = mark(&value, list.len(), source);
        let (argument, span) = (declared.name.clone(), declared.span.clone());
        list.push(Variable { identifier: argument.clone(), argument, mark, value, definition, span });
    }
    (list, literal)
}

/// The automatic ARGs, without `TARGET` or `BUILD`.
const AUTOMATIC: [&str; 4] = ["PLATFORM", "OS", "ARCH", "VARIANT"];

/// What an automatic ARG is on each platform.
fn of_platform(name: &str, own: &Platform) -> Option<Vec<(String, String)>> {
    let mut platforms: Vec<String> = PLATFORMS.map(str::to_owned).into();
    if !platforms.contains(&own.to_string()) {
        platforms.push(own.to_string());
    }
    let value = |platform: &String| match name {
        "TARGETPLATFORM" => Some(platform.clone()),
        "TARGETARCH" => platform.split('/').nth(1).map(str::to_owned),
        _ => None,
    };
    platforms.iter().map(|platform| Some((platform.clone(), value(platform)?))).collect()
}

/// A text like the value that the Dockerfile does not have: a number for a number, an absolute path for one.
fn mark(value: &str, index: usize, source: &SourceText) -> String {
    let is_number = value.parse::<u16>().is_ok_and(|number| number > 0);
    let marks = (index..).step_by(997).map(|n| match value {
        _ if is_number => format!("{}", 59_999_usize.saturating_sub(n % 40_000)),
        path if path.starts_with('/') => format!("/ocifyarg{n}x"),
        _ => format!("ocifyarg{n}x"),
    });
    marks.take(1000).find(|mark| !source.text.contains(mark.as_str())).unwrap_or_default()
}

/// The variables with their defaults as marks have them, and the values before FROM. `None` if one needs a later one.
fn defined(
    list: &[Variable],
    lowered: &Lowered,
    dockerfile: &Dockerfile,
    options: &Options,
) -> Option<(Vec<Variable>, BTreeMap<String, String>)> {
    let mut found: Vec<Variable> = Vec::new();
    for variable in list {
        let mut variable = variable.clone();
        if let Definition::Argument(default) = &mut variable.definition {
            let declared = lowered.arguments.iter().filter(|declared| declared.name == variable.argument);
            let given = options.args.get(&variable.argument).cloned();
            let written = || declared.filter_map(|declared| declared.default.clone()).next();
            *default = given.or_else(written).unwrap_or_default();
            let needs = |other: &Variable| default.contains(&other.mark);
            if list.iter().any(|other| needs(other) && !found.iter().any(|one| one.mark == other.mark)) {
                return None;
            }
        }
        found.push(variable);
    }
    let first = dockerfile.instructions.iter().find(|one| matches!(one.body, dockerfile::Body::From { .. }));
    let begins = first.map_or(0, |from| from.span.start);
    let is_global = |span: &Option<Span>| span.as_ref().is_some_and(|span| span.start < begins);
    let mut global = BTreeMap::new();
    for declared in lowered.arguments.iter().filter(|declared| is_global(&declared.span)) {
        let own =
            found.iter().find(|variable| variable.argument == declared.name).map(|variable| variable.mark.clone());
        global.extend(own.or(declared.default.clone()).map(|value| (declared.name.clone(), value)));
    }
    for variable in found.iter().filter(|variable| matches!(variable.definition, Definition::Select(_))) {
        global.insert(variable.argument.clone(), variable.mark.clone());
    }
    Some((found, global))
}

/// Remembers what bases said, by how the Dockerfile writes them.
struct Recorded<'a> {
    bases: &'a mut dyn Bases,
    configs: BTreeMap<String, ImageConfig>,
}

impl Bases for Recorded<'_> {
    fn config(&mut self, image: &Spanned<Base>, platform: &Platform) -> Result<ImageConfig, Diagnostic> {
        let config = self.bases.config(image, platform)?;
        self.configs.insert(written(image), config.clone());
        Ok(config)
    }
}

/// Says it again.
struct Known<'a>(&'a BTreeMap<String, ImageConfig>);

impl Bases for Known<'_> {
    fn config(&mut self, image: &Spanned<Base>, _: &Platform) -> Result<ImageConfig, Diagnostic> {
        let unknown = || Diagnostic::spec(format!("`{}` is not known", written(image)));
        self.0.get(&written(image)).cloned().ok_or_else(unknown)
    }
}

/// How the Dockerfile names an image of a registry.
pub(super) fn written(image: &Spanned<Base>) -> String {
    match (&image.span, &image.value) {
        (Some(span), _) => span.text().to_owned(),
        (None, Base::Oci(image)) => image.reference.to_string(),
        (None, _) => String::new(),
    }
}
