//! The targets that a command needs: those it names and all that they depend on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::eval::{self, Notes};
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::source::{PathKind, Workspace};
use crate::target::{Label, Pattern, Settings, Target, duplicate};
use crate::tomlspec;

use super::configured::{Configuration, ConfiguredLabel, ConfiguredTarget};
use super::order::build_order;

/// Targets by label; every label that one of them names is in it, and none depends on itself.
pub struct TargetGraph {
    pub settings: Settings,
    targets: BTreeMap<Label, Target>,
    evaluated: BTreeSet<WorkspacePath>,
    /// The targets of which everything is there that they depend on, whatever the platform.
    complete: BTreeSet<Label>,
    configured: BTreeMap<ConfiguredLabel, ConfiguredTarget>,
    /// What each target that was asked for is, for the platforms that were asked for.
    roots: BTreeMap<Label, ConfiguredLabel>,
    fixed: RefCell<BTreeMap<Label, Option<Platform>>>,
}

/// What targets are loaded from.
struct Specs<'a> {
    workspace: &'a Workspace,
    args: &'a BTreeMap<String, String>,
    notes: &'a mut Notes,
}

impl TargetGraph {
    /// Evaluates the packages that `patterns` name, then those that their targets depend on, until nothing is
    /// missing. Returns the labels that the patterns select, sorted, beside the graph. What evaluation notices is
    /// added to `notes`.
    ///
    /// Of the selected images with several platforms, `platforms` are taken, and these are the platforms of images that
    /// name none; empty means all, and the workspace's.
    ///
    /// # Errors
    /// Whatever is wrong with a spec; a label that names nothing; a cycle; a pattern that selects nothing; an image that
    /// is not for a platform that it is asked for.
    pub fn load(
        workspace: &Workspace,
        patterns: &[Pattern],
        args: &BTreeMap<String, String>,
        platforms: &[Platform],
        notes: &mut Notes,
    ) -> Result<(TargetGraph, Vec<Label>), Diagnostic> {
        let (mut settings, root_targets) = tomlspec::load(workspace)?;
        if let Some(first) = platforms.first() {
            settings.platform = first.clone();
        }
        let mut graph = TargetGraph::with(settings);
        let mut specs = Specs { workspace, args, notes };
        graph.add(root_targets)?;
        graph.evaluate(packages(workspace, patterns)?, &mut specs)?;
        let selected = graph.select(patterns)?;
        graph.complete(selected.clone(), &mut specs)?;
        graph.configure(&selected, platforms, &mut specs)?;
        notes.check_arguments(args)?;
        graph.check_cycles()?;
        Ok((graph, selected))
    }

    /// The graph of targets that no spec of the workspace says, that name only each other, and whose images say for which
    /// platform they are; `root` is selected.
    ///
    /// # Errors
    /// As [`TargetGraph::load`].
    pub fn of(
        workspace: &Workspace,
        settings: Settings,
        targets: Vec<Target>,
        root: &Label,
    ) -> Result<TargetGraph, Diagnostic> {
        let mut graph = TargetGraph::with(Settings { platforms: Vec::new(), ..settings });
        graph.add(targets)?;
        let (args, notes) = (BTreeMap::new(), &mut Notes::default());
        let mut specs = Specs { workspace, args: &args, notes };
        graph.complete(vec![root.clone()], &mut specs)?;
        graph.configure(std::slice::from_ref(root), &[], &mut specs)?;
        graph.check_cycles()?;
        Ok(graph)
    }

    fn with(settings: Settings) -> Self {
        TargetGraph {
            settings,
            targets: BTreeMap::new(),
            evaluated: BTreeSet::new(),
            complete: BTreeSet::new(),
            configured: BTreeMap::new(),
            roots: BTreeMap::new(),
            fixed: RefCell::default(),
        }
    }

    /// The target of a label that is in the graph.
    pub fn get(&self, label: &Label) -> Option<&Target> {
        self.targets.get(label)
    }

    /// All targets, sorted by label.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }

    /// The targets that the one of this label names directly, on any of the platforms for which it is configured.
    pub fn dependencies(&self, label: &Label) -> Vec<Label> {
        let mut labels = self.get(label).map(Target::dependencies).unwrap_or_default();
        for (id, target) in self.configurations(label) {
            // The images of which an index consists because of its platforms are itself.
            for (named, _) in &target.dependencies {
                let own = id.platform.is_none() && named == label;
                if !own && !labels.contains(named) {
                    labels.push(named.clone());
                }
            }
        }
        labels
    }

    /// `roots` and all that they depend on, each after its own dependencies; the order depends on labels only.
    pub fn in_build_order(&self, roots: &[Label]) -> Vec<&Target> {
        let labels = build_order(roots.iter().cloned(), |label| self.dependencies(label));
        labels.iter().filter_map(|label| self.get(label)).collect()
    }

    /// What a selected target is for the platforms that were asked for.
    pub fn root(&self, label: &Label) -> Option<&ConfiguredLabel> {
        self.roots.get(label)
    }

    /// True if a selected target is an index, written as one or of an image's platforms.
    pub fn is_index(&self, label: &Label) -> bool {
        self.root(label).is_some_and(|root| root.platform.is_none())
    }

    /// A target for its platform.
    pub fn configured(&self, id: &ConfiguredLabel) -> Option<&ConfiguredTarget> {
        self.configured.get(id)
    }

    /// What the target is on each of the platforms that anything asks it for.
    fn configurations<'a>(
        &'a self,
        label: &'a Label,
    ) -> impl Iterator<Item = (&'a ConfiguredLabel, &'a ConfiguredTarget)> {
        self.configured.range(ConfiguredLabel::first_of(label)..).take_while(move |(id, _)| id.label == *label)
    }

    /// True for a target of which there are several images, for different platforms.
    pub fn is_for_several(&self, label: &Label) -> bool {
        let images = self.configurations(label).filter(|(id, _)| id.platform.is_some());
        self.configuration().is_for_several(label) || images.count() > 1
    }

    /// As [`in_build_order`](TargetGraph::in_build_order), each for its platforms.
    pub fn configured_in_build_order(&self, roots: &[Label]) -> Vec<(&ConfiguredLabel, &ConfiguredTarget)> {
        let roots = roots.iter().filter_map(|label| self.root(label)).cloned();
        let dependencies = |id: &ConfiguredLabel| match self.configured(id) {
            Some(target) => target.dependencies.iter().map(|(_, is)| is.clone()).collect(),
            None => Vec::new(),
        };
        let ids = build_order(roots, dependencies);
        ids.iter().filter_map(|id| self.configured.get_key_value(id)).collect()
    }

    fn evaluate(&mut self, packages: BTreeSet<WorkspacePath>, specs: &mut Specs) -> Result<(), Diagnostic> {
        let fresh: Vec<WorkspacePath> = packages.difference(&self.evaluated).cloned().collect();
        let targets = eval::evaluate(specs.workspace, &fresh, &self.settings, specs.args, specs.notes)?;
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

    /// Evaluates the packages of everything that `wanted`, which are there, depend on, whatever the platform.
    fn complete(&mut self, mut wanted: Vec<Label>, specs: &mut Specs) -> Result<(), Diagnostic> {
        while !wanted.is_empty() {
            let mut next = Vec::new();
            wanted.retain(|label| self.complete.insert(label.clone()));
            for label in wanted {
                let target = self.get(&label).expect("a label is looked up before it is wanted");
                let span = |to: &Label| target.span.as_ref().map(|span| span.narrowed_to(&to.to_string()));
                next.extend(target.dependencies().into_iter().map(|to| (span(&to), to)));
            }
            wanted = self.find(next, specs)?;
        }
        Ok(())
    }

    /// Evaluates the packages of these labels, each with the place that names it.
    fn find(&mut self, labels: Vec<(Option<Span>, Label)>, specs: &mut Specs) -> Result<Vec<Label>, Diagnostic> {
        let mut missing = BTreeSet::new();
        for (_, label) in &labels {
            if self.get(label).is_none() && is_package(specs.workspace, &label.package)? {
                missing.insert(label.package.clone());
            }
        }
        self.evaluate(missing, specs)?;
        for (span, label) in &labels {
            if self.get(label).is_none() {
                return Err(self.unknown(label).at(span.clone()));
            }
        }
        Ok(labels.into_iter().map(|(_, label)| label).collect())
    }

    fn configuration(&self) -> Configuration<'_> {
        Configuration { settings: &self.settings, targets: &self.targets, fixed: &self.fixed }
    }

    /// Configures `roots` for `platforms`, and what they depend on for theirs.
    fn configure(&mut self, roots: &[Label], platforms: &[Platform], specs: &mut Specs) -> Result<(), Diagnostic> {
        let mut wanted = Vec::new();
        for label in roots {
            let target = self.get(label).expect("a root is a target");
            let (id, whole) = self.configuration().root(target, platforms)?;
            self.configured.extend(whole.map(|whole| (id.clone(), whole)));
            self.roots.insert(label.clone(), id.clone());
            wanted.push(id);
        }
        // The first root first, so that of several errors the first is told.
        wanted.reverse();
        while let Some(id) = wanted.pop() {
            if !self.configured.contains_key(&id) {
                let target = self.get(&id.label).expect("a label is looked up before it is configured");
                let (rule, span) = (self.configuration().rule(target, &id)?, target.span.clone());
                let found = self.find(rule.named(), specs)?;
                self.complete(found, specs)?;
                let configured = self.configuration().target(rule, span, &id)?;
                self.configured.insert(id.clone(), configured);
            }
            let below = self.configured[&id].dependencies.iter().map(|(_, is)| is);
            let missing: Vec<_> = below.filter(|id| !self.configured.contains_key(id)).cloned().collect();
            wanted.extend(missing.into_iter().rev());
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
            self.targets.keys().map(|label| (label, self.dependencies(label))).collect();
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
