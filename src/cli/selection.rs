//! Which targets a command is about.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::path::WorkspacePath;
use crate::plan::TargetGraph;
use crate::platform::Platform;
use crate::source::{Lock, Workspace};
use crate::target::{Label, Pattern};

use super::{environment, shown};

/// Arguments of commands that are about targets.
#[derive(Clone, clap::Args)]
pub(super) struct Selection {
    /// Labels or patterns: //path:name, :name, //path/...
    #[arg(value_name = "TARGET", default_value = ":all")]
    pub(super) targets: Vec<String>,
    /// Value of a build argument that the spec declares with `arg(...)`, or a Dockerfile with ARG
    #[arg(long = "arg", visible_alias = "build-arg", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(super) args: Vec<(String, String)>,
    /// Of an image with several platforms take these only, one as an image of its own; also the platforms of images that
    /// name none
    #[arg(long = "platform", value_name = "PLATFORM", value_delimiter = ',')]
    pub(super) platforms: Vec<Platform>,
}

/// The targets.
pub(super) struct Selected {
    pub(super) workspace: Workspace,
    pub(super) lock: Lock,
    pub(super) targets: TargetGraph,
    /// Those that were selected, in the order of their labels.
    pub(super) roots: Vec<Label>,
    /// These are all of the workspace, as they are without any argument.
    pub(super) is_whole: bool,
}

impl Selection {
    /// Evaluates the specs in which the targets are.
    pub(super) fn load(&self) -> Result<Selected, Diagnostic> {
        let (workspace, here) = environment::workspace()?;
        let lock = Lock::load(&workspace)?;
        let patterns = patterns(&self.targets, &here)?;
        let args: BTreeMap<String, String> = self.args.iter().cloned().collect();
        let platforms = self.distinct_platforms();
        let (targets, roots) = shown(|notes| TargetGraph::load(&workspace, &patterns, &args, &platforms, notes))?;
        let whole = Pattern::Below(WorkspacePath::root());
        let is_whole = self.args.is_empty() && platforms.is_empty() && patterns.contains(&whole);
        Ok(Selected { workspace, lock, targets, roots, is_whole })
    }

    /// The platforms that were asked for, each once.
    pub(super) fn distinct_platforms(&self) -> Vec<Platform> {
        let mut platforms: Vec<Platform> = Vec::new();
        for platform in &self.platforms {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        platforms
    }
}

/// The patterns of a command line.
pub(super) fn patterns(texts: &[String], here: &WorkspacePath) -> Result<Vec<Pattern>, Diagnostic> {
    let parse = |text: &String| Pattern::parse(text, here).map_err(|error| Diagnostic::spec(error.to_string()));
    texts.iter().map(parse).collect()
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it should look like KEY=VALUE".into()),
    }
}
