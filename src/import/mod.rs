//! A Dockerfile as a spec that a person goes on with.
//!
//! ```text
//! Dockerfile ─ dockerfile::lower, twice ─► targets whose texts have marks for ARGs     variables
//!            ─ comments, names ─► what stays of the text
//!   + what lies in the context ─► layers: run, place, context, from_image, excluded
//!            ─ stage, tidy, code ─► BUILD.star
//! ```
//!
//! What an instruction means is asked of `dockerfile`, never decided here. The one thing that a builtin does not say is where
//! COPY puts things, which depends on the files below: that is decided once, by what is known of them ([`known`]).
//! `ocify import --check` builds both and compares.

mod code;
mod comments;
mod context;
mod excluded;
mod from_image;
mod known;
mod listing;
mod mount;
mod names;
mod place;
mod remote;
mod run;
mod stage;
mod tidy;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};
use crate::dockerfile::{self, Bases, Body, Dockerfile};
use crate::oci::ImageConfig;
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::target::{Base, ImageSpec, Rule};

use comments::{Comments, one_line};
use listing::Listing;
use names::Names;
use stage::{Stage, Written};
use variables::{Marked, Variables};

/// How a Dockerfile is imported.
#[derive(Clone, Debug)]
pub struct Options {
    /// What it would be built with.
    pub build: dockerfile::Options,
    /// The name of the last stage, if the Dockerfile has none for it.
    pub name: String,
    /// Neighbouring layers of one kind become one.
    pub tidy: bool,
    /// Files of the context that are ocify's own, and never in an image.
    pub own: Vec<String>,
}

/// A spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of `BUILD.star`.
    pub text: String,
    /// The name of the last stage's target.
    pub target: String,
    /// Names of arguments that were given and for which there is no ARG.
    pub unused: Vec<String>,
}

struct Importer<'a> {
    options: &'a Options,
    source: &'a Arc<SourceText>,
    comments: Comments,
    listing: &'a Listing<'a>,
    variables: Variables,
    configs: BTreeMap<String, ImageConfig>,
    names: Names,
    /// By the labels that the Dockerfile's stages have.
    written: BTreeMap<String, Written>,
    /// Variables for the environments of bases, by how FROM writes them.
    environments: BTreeMap<String, String>,
    text: String,
}

/// Writes the spec of a Dockerfile whose context is `package`.
///
/// # Errors
/// What is wrong with the Dockerfile, at its place; a base whose config cannot be had; a context that cannot be read.
pub fn import(
    source: &Arc<SourceText>,
    workspace: &Workspace,
    package: &WorkspacePath,
    options: &Options,
    bases: &mut dyn Bases,
) -> Result<Imported, Diagnostic> {
    let dockerfile = dockerfile::parse(source)?;
    let mut names = Names::default();
    let build = dockerfile::Options { whole: true, ..options.build.clone() };
    let Marked { lowered, variables, configs } = Marked::lower(source, &dockerfile, &build, bases, &mut names)?;
    let own: Vec<&str> = options.own.iter().map(String::as_str).collect();
    let listing = Listing::read(workspace, package, &build.ignore, &own)?;
    let comments = Comments::read(source, &dockerfile);
    let mut importer = Importer {
        options,
        source,
        comments,
        listing: &listing,
        variables,
        configs,
        names,
        written: BTreeMap::new(),
        environments: BTreeMap::new(),
        text: String::new(),
    };
    importer.head(&dockerfile);
    let specs: Vec<&ImageSpec> = lowered
        .targets
        .iter()
        .filter_map(|target| match &target.rule {
            Rule::Image(spec) => Some(&**spec),
            _ => None,
        })
        .collect();
    let used: BTreeSet<String> = specs
        .iter()
        .flat_map(|spec| spec.bases())
        .filter_map(|base| match &base.value {
            Base::Target(label) => Some(label.to_string()),
            _ => None,
        })
        .collect();
    let stages = importer.stages(&dockerfile, &specs);
    let target = stages.last().map(|stage| stage.name.clone()).unwrap_or_default();
    for (stage, lowered) in stages.iter().zip(&lowered.targets) {
        let label = lowered.label.to_string();
        let written = importer.stage(stage, used.contains(&label));
        importer.written.insert(label, written);
    }
    for comment in &importer.comments.tail {
        importer.text.push_str(&format!("{comment}\n"));
    }
    let text = format!("{}\n", importer.text.trim_end());
    Ok(Imported { text, target, unused: lowered.unused })
}

impl Importer<'_> {
    /// What stands above the first stage: comments of the file, and ARGs.
    fn head(&mut self, dockerfile: &Dockerfile) {
        for comment in &self.comments.head {
            self.text.push_str(&format!("{comment}\n"));
        }
        if !self.comments.head.is_empty() {
            self.text.push('\n');
        }
        let mut commented = BTreeSet::new();
        let mut lines = String::new();
        for variable in self.variables.iter() {
            let place = variable.span.as_ref().map(|span| span.start);
            let is_of = |one: &&(usize, &dockerfile::Instruction)| {
                place.is_some_and(|at| (one.1.span.start..one.1.span.end).contains(&at))
            };
            let instructions: Vec<_> = dockerfile.instructions.iter().enumerate().collect();
            if let Some((at, _)) = instructions.iter().find(is_of)
                && commented.insert(*at)
            {
                let comments = std::mem::take(&mut self.comments.of[*at]);
                comments.iter().for_each(|comment| lines.push_str(&format!("{comment}\n")));
            }
            let code = self.variables.definition(variable).write(0, variable.identifier.len() + 3);
            lines.push_str(&format!("{} = {code}\n", variable.identifier));
        }
        for (name, reason) in &self.variables.literal {
            let value = if self.options.build.args.contains_key(name) { "the value given" } else { "its default" };
            let comment = format!("# ocify: the ARG {name} is written out with {value}: {reason}.");
            lines.push_str(&format!("{}\n", one_line(&comment)));
        }
        if !lines.is_empty() {
            self.text.push_str(&format!("{lines}\n"));
        }
    }

    fn stages<'b>(&mut self, dockerfile: &'b Dockerfile, specs: &[&'b ImageSpec]) -> Vec<Stage<'b>> {
        let instructions: Vec<(usize, &dockerfile::Instruction)> = dockerfile.instructions.iter().enumerate().collect();
        let is_from = |(_, one): &(usize, &dockerfile::Instruction)| matches!(one.body, Body::From { .. });
        let parts = instructions.chunk_by(|_, next| !is_from(next)).filter(|part| is_from(&part[0]));
        let count = specs.len();
        let mut stages = Vec::new();
        for (number, (part, spec)) in parts.zip(specs).enumerate() {
            let (at, from) = part[0];
            let comments = self.comments.of[at].clone();
            let Body::From { name, .. } = &from.body else { unreachable!("each part begins with a FROM") };
            let named = name.as_ref().map(|name| name.value.to_lowercase()).or_else(|| names::of_comment(&comments));
            let wanted = named.unwrap_or_else(|| match number + 1 == count {
                true => self.options.name.clone(),
                false => format!("stage-{number}"),
            });
            let name = self.names.target(&wanted);
            let variable = self.names.variable(&name);
            // A spec says what is not the workspace's own.
            let platform = spec.platform.as_ref().filter(|platform| **platform != self.options.build.build_platform);
            let platform = platform.map(|platform| self.variables.plain(&platform.to_string()));
            stages.push(Stage { spec, name, variable, instructions: part[1..].to_vec(), comments, platform });
        }
        stages
    }
}
