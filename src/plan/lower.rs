//! Targets to actions. Pure: nothing here reads a file.

use std::collections::BTreeMap;

use crate::action::{Action, ActionGraph, ActionId};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::digest::Digest;
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::source::Lock;
use crate::target::{Archive, Base, Fetch, FileSource, ImageSpec, Label, LayerSpec, Rule, Settings, Target};

use super::names::Names;
use super::pin;
use super::targets::TargetGraph;

/// The actions that make some targets, and which action gives which target.
pub struct Plan {
    pub graph: ActionGraph,
    /// Each root with the action that gives its image or index, in the order asked for.
    pub roots: Vec<(Label, ActionId)>,
}

impl Plan {
    /// The plan for `roots`. The same targets and the same lock give the same plan.
    ///
    /// # Errors
    /// What a spec names is not pinned, or not for the platform; each such name at its place.
    pub fn new(targets: &TargetGraph, roots: &[Label], lock: &Lock) -> Result<Plan, Diagnostic> {
        let lowering = Lowering::of(targets, roots, lock);
        let mut errors = lowering.errors.into_iter();
        if let Some(first) = errors.next() {
            return Err(first.and(errors));
        }
        let roots = roots.iter().map(|label| (label.clone(), lowering.targets[label].result)).collect();
        Ok(Plan { graph: lowering.graph, roots })
    }
}

impl Names {
    /// What `roots` and all that they depend on name without a digest, for the platforms that they are built for.
    pub fn of(targets: &TargetGraph, roots: &[Label]) -> Names {
        Lowering::of(targets, roots, &Lock::default()).unpinned
    }
}

struct Lowering<'a> {
    known: &'a TargetGraph,
    lock: &'a Lock,
    /// What is not pinned; each name once.
    errors: Vec<Diagnostic>,
    unpinned: Names,
    settings: &'a Settings,
    graph: ActionGraph,
    targets: BTreeMap<Label, Lowered>,
    /// Imported images and their trees, so that a base is read once however many images stand on it.
    imports: Vec<(Base, Platform, ActionId)>,
    trees: BTreeMap<ActionId, ActionId>,
    /// Fetches by everything that may decide about them: one of several with the same digest may have a URL that works.
    fetches: BTreeMap<(Digest, WorkspacePath, Vec<String>), ActionId>,
    /// Archives that are read, by path, or by the fetch that brings them.
    listings: BTreeMap<(Option<WorkspacePath>, Option<ActionId>), ActionId>,
}

/// A target that has its actions.
struct Lowered {
    result: ActionId,
    platform: Option<Platform>,
    files: Files,
}

/// Where the merged tree of a target comes from.
enum Files {
    /// From this action; from none if the tree is empty.
    Tree(Option<ActionId>),
    /// From a merge that nothing has asked for yet.
    Unmerged { below: Option<ActionId>, layer: ActionId },
    /// An image without layers of its own has its base's.
    OfBase(Spanned<Base>),
}

impl<'a> Lowering<'a> {
    fn of(targets: &'a TargetGraph, roots: &[Label], lock: &'a Lock) -> Self {
        let mut lowering = Lowering {
            known: targets,
            lock,
            errors: Vec::new(),
            unpinned: Names::default(),
            settings: &targets.settings,
            graph: ActionGraph::new(),
            targets: BTreeMap::new(),
            imports: Vec::new(),
            trees: BTreeMap::new(),
            fetches: BTreeMap::new(),
            listings: BTreeMap::new(),
        };
        for target in targets.in_build_order(roots) {
            lowering.target(target);
        }
        lowering
    }

    fn target(&mut self, target: &Target) {
        let label = target.label.clone();
        let lowered = match &target.rule {
            Rule::Image(spec) => self.image(target, spec),
            Rule::Index(spec) => {
                let images = spec.images.iter().map(|image| self.targets[&image.value].result).collect();
                let result = self.graph.add(Action::Index {
                    label: label.clone(),
                    span: target.span.clone(),
                    spec: spec.clone(),
                    images,
                });
                Lowered { result, platform: None, files: Files::Tree(None) }
            }
        };
        self.targets.insert(label, lowered);
    }

    fn image(&mut self, target: &Target, spec: &ImageSpec) -> Lowered {
        let platform = spec.platform.clone().or_else(|| match spec.base.as_ref().map(|base| &base.value) {
            Some(Base::Target(label)) => self.targets[label].platform.clone(),
            _ => None,
        });
        let label = &target.label;
        let wanted = platform.as_ref().unwrap_or(&self.settings.platform).clone();
        let base = spec.base.as_ref().and_then(|base| self.base_image(base, &wanted, label));
        let compression = spec.compression.unwrap_or(self.settings.compression);
        let mut encoded = Vec::new();
        let mut files = spec.base.clone().map_or(Files::Tree(None), Files::OfBase);
        for (index, layer) in spec.layers.iter().enumerate() {
            let below = self.merged(files, &wanted, label);
            let (target, number, title) = (label.clone(), index + 1, layer.value.title());
            let layer = match &layer.value {
                LayerSpec::Run(run) => {
                    let run = Spanned { value: run.clone(), span: layer.span.clone() };
                    let platform = wanted.clone();
                    let action = Action::Run { target, number, title, run, below, platform, compression };
                    let ran = self.graph.add(action);
                    encoded.push(ran);
                    ran
                }
                _ => {
                    let layer = self.compose(layer, below, &wanted, label);
                    encoded.push(self.graph.add(Action::Encode { target, number, title, layer, compression }));
                    layer
                }
            };
            files = Files::Unmerged { below, layer };
        }
        let (label, span, spec) = (target.label.clone(), target.span.clone(), Box::new(spec.clone()));
        let result = self.graph.add(Action::Image { label, span, spec, base, layers: encoded });
        Lowered { result, platform, files }
    }

    fn compose(
        &mut self,
        layer: &Spanned<LayerSpec>,
        below: Option<ActionId>,
        platform: &Platform,
        target: &Label,
    ) -> ActionId {
        let fetches = layer.value.fetches();
        let fetched: Vec<ActionId> = fetches.into_iter().filter_map(|fetch| self.fetch(fetch, target)).collect();
        let from = match &layer.value {
            LayerSpec::Copy(copy) => self.base_tree(&copy.image, platform, target),
            _ => None,
        };
        let listing = match &layer.value {
            LayerSpec::Archive(archive) => {
                let archive = Spanned { value: archive.clone(), span: layer.span.clone() };
                Some(self.listing(archive, fetched.first().copied(), target))
            }
            _ => None,
        };
        self.graph.add(Action::Compose { layer: layer.clone(), below, from, listing, fetched })
    }

    /// The action that brings a file; none for one that is not pinned.
    fn fetch(&mut self, fetch: Spanned<Fetch>, target: &Label) -> Option<ActionId> {
        let sha256 = match pin::fetch(&fetch.value, self.lock) {
            Ok(sha256) => sha256,
            Err(unpinned) => {
                self.refuse(unpinned.explained(target, self.known).at(fetch.span.clone()));
                if let Some(name) = fetch.value.lock_name() {
                    self.unpinned.fetches.entry(name).or_insert(fetch);
                }
                return None;
            }
        };
        let Fetch { package, urls, .. } = fetch.value.clone();
        let graph = &mut self.graph;
        let action = || graph.add(Action::Fetch { target: target.clone(), fetch, sha256 });
        Some(*self.fetches.entry((sha256, package, urls)).or_insert_with(action))
    }

    fn listing(&mut self, archive: Spanned<Archive>, fetched: Option<ActionId>, target: &Label) -> ActionId {
        let path = match &archive.value.src.value {
            FileSource::Path(path) => Some(archive.value.package.join(path)),
            FileSource::Fetch(_) => None,
        };
        let graph = &mut self.graph;
        let action = || graph.add(Action::List { target: target.clone(), archive, fetched });
        *self.listings.entry((path, fetched)).or_insert_with(action)
    }

    fn merged(&mut self, files: Files, platform: &Platform, target: &Label) -> Option<ActionId> {
        match files {
            Files::Tree(tree) => tree,
            Files::Unmerged { below, layer } => Some(self.graph.add(Action::Merge { below, layer })),
            Files::OfBase(base) => self.base_tree(&base, platform, target),
        }
    }

    /// The action that gives the base as an image; none for `scratch`.
    fn base_image(&mut self, base: &Spanned<Base>, platform: &Platform, target: &Label) -> Option<ActionId> {
        match &base.value {
            Base::Scratch => None,
            Base::Target(label) => Some(self.targets[label].result),
            Base::Oci(oci) => match pin::image(oci, platform, self.lock) {
                Ok(pinned) => {
                    let base = Spanned { value: Base::Oci(pinned), span: base.span.clone() };
                    Some(self.import(&base, platform, target))
                }
                Err(unpinned) => {
                    let span = base.span.clone();
                    self.unpinned.images.entry(oci.reference.clone()).or_insert(span);
                    self.refuse(unpinned.explained(target, self.known).at(base.span.clone()));
                    None
                }
            },
            Base::OciLayout(_) | Base::OciArchive(_) | Base::DockerArchive(_) => {
                Some(self.import(base, platform, target))
            }
        }
    }

    fn import(&mut self, base: &Spanned<Base>, platform: &Platform, target: &Label) -> ActionId {
        let known = self.imports.iter().find(|(other, on, _)| *other == base.value && on == platform);
        if let Some((_, _, import)) = known {
            return *import;
        }
        let known = (base.value.clone(), platform.clone());
        let (target, base, platform) = (target.clone(), base.clone(), platform.clone());
        let import = self.graph.add(Action::Import { target, base, platform });
        self.imports.push((known.0, known.1, import));
        import
    }

    fn refuse(&mut self, error: Diagnostic) {
        if self.errors.iter().all(|other| other.to_string() != error.to_string()) {
            self.errors.push(error);
        }
    }

    /// The action that gives the base's merged tree; none where it is empty.
    fn base_tree(&mut self, base: &Spanned<Base>, platform: &Platform, asking: &Label) -> Option<ActionId> {
        let Base::Target(label) = &base.value else {
            let image = self.base_image(base, platform, asking)?;
            let graph = &mut self.graph;
            return Some(*self.trees.entry(image).or_insert_with(|| graph.add(Action::Tree { image })));
        };
        let target = self.targets.get_mut(label)?;
        let platform = target.platform.clone().unwrap_or_else(|| self.settings.platform.clone());
        let files = std::mem::replace(&mut target.files, Files::Tree(None));
        let tree = self.merged(files, &platform, asking);
        self.targets.get_mut(label)?.files = Files::Tree(tree);
        tree
    }
}
