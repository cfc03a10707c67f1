//! The targets that a command needs: those it names and all that they depend on.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{At, Diagnostic, nearest};
use crate::eval::{self, Notes};
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::source::{PathKind, Workspace};
use crate::target::{Label, Pattern, Settings, Target, duplicate};
use crate::tomlspec;

/// Targets by label; every label that one of them names is in it, and none depends on itself.
pub struct TargetGraph {
    pub settings: Settings,
    targets: BTreeMap<Label, Target>,
    evaluated: BTreeSet<WorkspacePath>,
}

impl TargetGraph {
    /// Evaluates the packages that `patterns` name, then those that their targets depend on, until nothing is
    /// missing. Returns the labels that the patterns select, sorted, beside the graph. What evaluation notices is
    /// added to `notes`.
    ///
    /// # Errors
    /// Whatever is wrong with a spec; a label that names nothing; a cycle; a pattern that selects nothing.
    pub fn load(
        workspace: &Workspace,
        patterns: &[Pattern],
        args: &BTreeMap<String, String>,
        platform: Option<&Platform>,
        notes: &mut Notes,
    ) -> Result<(TargetGraph, Vec<Label>), Diagnostic> {
        let (mut settings, root_targets) = tomlspec::load(workspace)?;
        if let Some(platform) = platform {
            settings.platform = platform.clone();
        }
        let mut graph = TargetGraph { settings, targets: BTreeMap::new(), evaluated: BTreeSet::new() };
        graph.add(root_targets)?;
        graph.evaluate(workspace, packages(workspace, patterns)?, args, notes)?;
        let selected = graph.select(patterns)?;
        graph.complete(workspace, &selected, args, notes)?;
        notes.check_arguments(args)?;
        graph.check_cycles()?;
        Ok((graph, selected))
    }

    /// The target of a label that is in the graph.
    pub fn get(&self, label: &Label) -> Option<&Target> {
        self.targets.get(label)
    }

    /// All targets, sorted by label.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// `roots` and all that they depend on, each after its own dependencies; the order depends on labels only.
    pub fn in_build_order(&self, roots: &[Label]) -> Vec<&Target> {
        let mut done = BTreeSet::new();
        let mut order = Vec::new();
        // Each label is entered twice: first to put its dependencies above it, then, with these done, itself.
        let mut stack: Vec<(&Label, bool)> = roots.iter().rev().map(|label| (label, false)).collect();
        while let Some((label, ready)) = stack.pop() {
            let Some((label, target)) = self.targets.get_key_value(label) else { continue };
            if ready {
                if done.insert(label) {
                    order.push(target);
                }
            } else if !done.contains(label) {
                stack.push((label, true));
                for dependency in target.dependencies().iter().rev() {
                    if let Some((dependency, _)) = self.targets.get_key_value(dependency) {
                        stack.push((dependency, false));
                    }
                }
            }
        }
        order
    }

    fn evaluate(
        &mut self,
        workspace: &Workspace,
        packages: BTreeSet<WorkspacePath>,
        args: &BTreeMap<String, String>,
        notes: &mut Notes,
    ) -> Result<(), Diagnostic> {
        let fresh: Vec<WorkspacePath> = packages.difference(&self.evaluated).cloned().collect();
        let targets = eval::evaluate(workspace, &fresh, &self.settings, args, notes)?;
        self.evaluated.extend(fresh);
        self.add(targets)
    }

    fn add(&mut self, targets: Vec<Target>) -> Result<(), Diagnostic> {
        for target in targets {
            if let Some(first) = self.targets.get(&target.label) {
                return Err(duplicate(first, &target));
            }
            self.targets.insert(target.label.clone(), target);
        }
        Ok(())
    }

    /// Evaluates the packages of everything that `roots` depend on.
    fn complete(
        &mut self,
        workspace: &Workspace,
        roots: &[Label],
        args: &BTreeMap<String, String>,
        notes: &mut Notes,
    ) -> Result<(), Diagnostic> {
        let mut done = BTreeSet::new();
        let mut wanted: Vec<Label> = roots.to_vec();
        while !wanted.is_empty() {
            let mut next = Vec::new();
            for label in wanted.drain(..).filter(|label| done.insert(label.clone())).collect::<Vec<_>>() {
                let target = self.get(&label).expect("a label is looked up before it is wanted");
                let dependencies = target.dependencies().into_iter().map(|to| (to, target.span.clone()));
                next.extend(dependencies);
            }
            let mut missing = BTreeSet::new();
            for (label, _) in &next {
                if self.get(label).is_none() && is_package(workspace, &label.package)? {
                    missing.insert(label.package.clone());
                }
            }
            self.evaluate(workspace, missing, args, notes)?;
            for (label, span) in next {
                if self.get(&label).is_none() {
                    return Err(self.unknown(&label))
                        .at(span.map(|span| span.narrowed_to(&label.to_string())).as_ref());
                }
                wanted.push(label);
            }
        }
        Ok(())
    }

    fn select(&self, patterns: &[Pattern]) -> Result<Vec<Label>, Diagnostic> {
        let mut selected = BTreeSet::new();
        for pattern in patterns {
            let matching: Vec<&Label> = self.targets.keys().filter(|label| pattern.matches(label)).collect();
            if matching.is_empty() {
                return Err(match pattern {
                    Pattern::One(label) => self.unknown(label),
                    Pattern::Package(package) => Diagnostic::spec(format!("package `//{package}` has no targets")),
                    Pattern::Below(directory) => {
                        Diagnostic::spec(format!("there are no targets below `//{directory}`"))
                            .help("a target is made by `image(...)` in a BUILD.star or by `[image.NAME]` in ocify.toml")
                    }
                });
            }
            selected.extend(matching.into_iter().cloned());
        }
        Ok(selected.into_iter().collect())
    }

    fn unknown(&self, label: &Label) -> Diagnostic {
        let error = Diagnostic::spec(format!("there is no target `{label}`"));
        let all: Vec<String> = self.targets.keys().map(Label::to_string).collect();
        let siblings = self.targets.keys().filter(|other| other.package == label.package);
        match nearest(&label.to_string(), all.iter().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => match siblings.map(|other| other.name.as_str()).collect::<Vec<_>>().as_slice() {
                [] => error.help(format!("`//{}` has no BUILD.star with targets", label.package)),
                names => error.help(format!("`//{}` has: {}", label.package, names.join(", "))),
            },
        }
    }

    /// Takes away targets whose dependencies are all gone until none is left; where that stops, there is a cycle.
    fn check_cycles(&self) -> Result<(), Diagnostic> {
        let mut waiting: BTreeMap<&Label, Vec<Label>> =
            self.targets.iter().map(|(label, target)| (label, target.dependencies())).collect();
        loop {
            let free: BTreeSet<Label> =
                waiting.iter().filter(|(_, on)| on.is_empty()).map(|(l, _)| (*l).clone()).collect();
            if free.is_empty() {
                break;
            }
            waiting.retain(|label, _| !free.contains(*label));
            waiting.values_mut().for_each(|on| on.retain(|label| !free.contains(label)));
        }
        let Some(mut label) = waiting.keys().next().copied() else { return Ok(()) };
        let mut chain: Vec<&Label> = Vec::new();
        while !chain.contains(&label) {
            chain.push(label);
            label = waiting[label]
                .first()
                .and_then(|next| waiting.keys().find(|other| **other == next))
                .expect("a target that waits only for targets that are gone would be gone itself");
        }
        let start = chain.iter().position(|seen| *seen == label).unwrap_or(0);
        let names: Vec<String> = chain[start..].iter().chain([&label]).map(|label| label.to_string()).collect();
        Err(Diagnostic::spec(format!("target `{label}` depends on itself"))
            .at(self.targets[label].span.clone())
            .help(format!("the cycle is {}", names.join(" -> "))))
    }
}

/// The packages with a `BUILD.star` that the patterns name.
fn packages(workspace: &Workspace, patterns: &[Pattern]) -> Result<BTreeSet<WorkspacePath>, Diagnostic> {
    let mut packages = BTreeSet::new();
    for pattern in patterns {
        match pattern {
            Pattern::One(Label { package, .. }) | Pattern::Package(package) => {
                // The root's targets may all be in ocify.toml; a label that then names nothing is an error later.
                if is_package(workspace, package)? {
                    packages.insert(package.clone());
                } else if !package.is_root() {
                    return Err(Diagnostic::spec(format!("there is no package `//{package}`")).help(format!(
                        "a package is a directory with a BUILD.star: `{package}/BUILD.star` does not exist"
                    )));
                }
            }
            Pattern::Below(directory) => packages.extend(workspace.packages(directory)?),
        }
    }
    Ok(packages)
}

fn is_package(workspace: &Workspace, package: &WorkspacePath) -> Result<bool, Diagnostic> {
    let spec = WorkspacePath::parse("BUILD.star").map_err(|error| Diagnostic::spec(error.to_string()))?;
    let kind = workspace.kind(&package.join(&spec))?;
    Ok(matches!(kind, Some(PathKind::File | PathKind::Symlink)))
}
