//! Targets to actions. Pure: nothing here reads a file.

use std::collections::BTreeMap;

use crate::action::{Action, ActionGraph, ActionId, StepTarget};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::digest::Digest;
use crate::git::{Pin, RemoteRef};
use crate::path::WorkspacePath;
use crate::platform::Platform;
use crate::source::Lock;
use crate::target::{Archive, ArchiveSource, Base, Fetch, Git, ImageSpec, Label, LayerSpec, MountSource};

use super::configured::{ConfiguredLabel, ConfiguredRule, ConfiguredTarget};
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
        let lowering = Lowering::of(targets, roots, lock).checked()?;
        let result = |label: &Label| Some((label.clone(), lowering.lowered.get(targets.root(label)?)?.result));
        let roots = roots.iter().filter_map(result).collect();
        Ok(Plan { graph: lowering.graph, roots })
    }

    /// True if no step on which this root depends has the network.
    pub fn is_hermetic(&self, root: &Label) -> bool {
        self.roots.iter().filter(|(label, _)| label == root).all(|(_, id)| self.graph.is_hermetic(*id))
    }
}

impl Names {
    /// What `roots` and all that they depend on name without a digest, for the platforms that they are built for; of an image
    /// that names no platform, also for those that a `select` in it names: it can be asked for each of them.
    pub fn of(targets: &TargetGraph, roots: &[Label]) -> Names {
        let mut names = Lowering::of(targets, roots, &Lock::default()).unpinned;
        for target in targets.in_build_order(roots) {
            for platform in target.rule.selected_platforms() {
                // What is wrong on another platform is told when the image is made for it.
                if let Ok(Some(spec)) = target.rule.image_on(&platform) {
                    names.add(&spec);
                }
            }
        }
        names
    }
}

/// The actions so far.
pub(super) struct Lowering<'a> {
    targets: &'a TargetGraph,
    lock: &'a Lock,
    /// What is not pinned; each name once.
    errors: Vec<Diagnostic>,
    unpinned: Names,
    pub(super) graph: ActionGraph,
    lowered: BTreeMap<ConfiguredLabel, Lowered>,
    /// Imported images and their trees, so that a base is read once however many images stand on it.
    imports: Vec<(Base, Platform, ActionId)>,
    trees: BTreeMap<ActionId, ActionId>,
    /// Fetches by everything that may decide about them: one of several with the same digest may have a URL that works.
    fetches: BTreeMap<(Digest, WorkspacePath, Vec<String>), ActionId>,
    /// Commits by what decides about them and where they are had.
    commits: BTreeMap<(RemoteRef, Pin), ActionId>,
    /// Archives that are read, by path, or by what brings them.
    listings: BTreeMap<(Option<WorkspacePath>, Option<ActionId>), ActionId>,
}

/// A target that has its actions.
struct Lowered {
    result: ActionId,
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

/// The image whose actions are made.
struct Asking<'a> {
    target: &'a StepTarget,
    platform: &'a Platform,
    configured: &'a ConfiguredTarget,
}

impl<'a> Lowering<'a> {
    /// The actions that make `roots`, with what is wrong about them.
    pub(super) fn of(targets: &'a TargetGraph, roots: &[Label], lock: &'a Lock) -> Self {
        let mut lowering = Lowering {
            targets,
            lock,
            errors: Vec::new(),
            unpinned: Names::default(),
            graph: ActionGraph::new(),
            lowered: BTreeMap::new(),
            imports: Vec::new(),
            trees: BTreeMap::new(),
            fetches: BTreeMap::new(),
            commits: BTreeMap::new(),
            listings: BTreeMap::new(),
        };
        for (id, target) in targets.configured_in_build_order(roots) {
            lowering.target(id, target);
        }
        lowering
    }

    /// This, if nothing is wrong.
    pub(super) fn checked(mut self) -> Result<Self, Diagnostic> {
        let mut errors = std::mem::take(&mut self.errors).into_iter();
        match errors.next() {
            Some(first) => Err(first.and(errors)),
            None => Ok(self),
        }
    }

    /// The action that gives a root's image or index, and the one that gives its merged tree; none for an empty tree.
    pub(super) fn root(&mut self, label: &Label) -> Option<(ActionId, Option<ActionId>)> {
        let id = self.targets.root(label)?;
        let result = self.lowered.get(id)?.result;
        let target = StepTarget { label: id.label.clone(), platform: id.platform.clone() };
        Some((result, self.tree_of(id, &target)))
    }

    fn target(&mut self, id: &ConfiguredLabel, configured: &ConfiguredTarget) {
        let several = id.platform.is_some() && self.targets.is_for_several(&id.label);
        let platform = id.platform.clone().filter(|_| several);
        let target = StepTarget { label: id.label.clone(), platform };
        let lowered = match (&configured.rule, &id.platform) {
            (ConfiguredRule::Image(spec), platform) => {
                let platform = platform.as_ref().unwrap_or(&self.targets.settings.platform);
                self.image(&Asking { target: &target, platform, configured }, spec)
            }
            (ConfiguredRule::Index(spec), _) => {
                let images = configured.dependencies.iter().map(|(_, image)| self.lowered[image].result).collect();
                let (span, spec) = (configured.span.clone(), spec.clone());
                let result = self.graph.add(Action::Index { target, span, spec, images });
                Lowered { result, files: Files::Tree(None) }
            }
        };
        self.lowered.insert(id.clone(), lowered);
    }

    fn image(&mut self, asking: &Asking, spec: &ImageSpec) -> Lowered {
        let base = spec.base.as_ref().and_then(|base| self.base_image(base, asking));
        let compression = spec.compression.unwrap_or(self.targets.settings.compression);
        let mut encoded = Vec::new();
        let mut files = spec.base.clone().map_or(Files::Tree(None), Files::OfBase);
        for (index, layer) in spec.layers.iter().enumerate() {
            let below = self.merged(files, asking);
            let (target, number, title) = (asking.target.clone(), index + 1, layer.value.title());
            let layer = match &layer.value {
                LayerSpec::Run(run) => {
                    if self.targets.settings.hermetic && !run.network.is_hermetic() {
                        self.refuse(not_hermetic(&title).at(layer.span.clone()));
                    }
                    let run = Spanned { value: run.clone(), span: layer.span.clone() };
                    if let Err(error) = run.value.mounted() {
                        self.refuse(error.at(run.span.clone()));
                    }
                    let sources = run.value.sources().map(|source| self.source(source, asking)).collect();
                    let platform = asking.platform.clone();
                    let action = Action::Run { target, number, title, run, below, sources, platform, compression };
                    let ran = self.graph.add(action);
                    encoded.push(ran);
                    ran
                }
                _ => {
                    let span = layer.span.clone();
                    let layer = self.compose(layer, below, asking);
                    encoded.push(self.graph.add(Action::Encode { target, number, title, span, layer, compression }));
                    layer
                }
            };
            files = Files::Unmerged { below, layer };
        }
        let (target, span) = (asking.target.clone(), asking.configured.span.clone());
        let (spec, platform) = (Box::new(spec.clone()), asking.platform.clone());
        let result = self.graph.add(Action::Image { target, span, spec, platform, base, layers: encoded });
        Lowered { result, files }
    }

    fn compose(&mut self, layer: &Spanned<LayerSpec>, below: Option<ActionId>, asking: &Asking) -> ActionId {
        let fetches = layer.value.fetches();
        let fetched: Vec<ActionId> = fetches.into_iter().filter_map(|fetch| self.fetch(fetch, asking.target)).collect();
        let from = match &layer.value {
            LayerSpec::Copy(copy) => self.base_tree(&copy.image, asking),
            LayerSpec::Place(place) => place.from.as_ref().and_then(|from| self.base_tree(from, asking)),
            _ => None,
        };
        let listing = match &layer.value {
            LayerSpec::Archive(archive) => {
                let archive = Spanned { value: archive.clone(), span: layer.span.clone() };
                let commit = layer.value.git().and_then(|git| self.git(git, asking.target));
                Some(self.listing(archive, commit.or(fetched.first().copied()), asking.target))
            }
            _ => None,
        };
        self.graph.add(Action::Compose { layer: layer.clone(), below, from, listing, fetched })
    }

    /// The action that gives the files of a mount; none where there are none.
    fn source(&mut self, source: &Spanned<MountSource>, asking: &Asking) -> Option<ActionId> {
        let span = source.span.clone();
        match &source.value {
            MountSource::Image(base) => self.base_tree(&Spanned { value: base.clone(), span }, asking),
            MountSource::Layer(layer) => {
                let layer = self.compose(&Spanned { value: LayerSpec::clone(layer), span }, None, asking);
                Some(self.graph.add(Action::Merge { below: None, layer }))
            }
        }
    }

    /// The action that brings a file; none for one that is not pinned.
    fn fetch(&mut self, fetch: Spanned<Fetch>, target: &StepTarget) -> Option<ActionId> {
        let sha256 = match pin::fetch(&fetch.value, self.lock) {
            Ok(sha256) => sha256,
            Err(unpinned) => {
                self.refuse(unpinned.explained(&target.label, self.targets).at(fetch.span.clone()));
                self.unpinned.add_fetch(fetch);
                return None;
            }
        };
        let Fetch { package, urls, .. } = fetch.value.clone();
        let graph = &mut self.graph;
        let action = || graph.add(Action::Fetch { target: target.clone(), fetch, sha256 });
        Some(*self.fetches.entry((sha256, package, urls)).or_insert_with(action))
    }

    /// The action that brings the files of a commit; none for one that is not pinned.
    fn git(&mut self, git: Spanned<Git>, target: &StepTarget) -> Option<ActionId> {
        let pin = match pin::git(&git.value, self.lock) {
            Ok(pin) => pin,
            Err(unpinned) => {
                self.refuse(unpinned.explained(&target.label, self.targets).at(git.span.clone()));
                self.unpinned.add_git(git);
                return None;
            }
        };
        let known = (git.value.remote(), pin.clone());
        let graph = &mut self.graph;
        let action = || graph.add(Action::Git { target: target.clone(), git, pin });
        Some(*self.commits.entry(known).or_insert_with(action))
    }

    fn listing(&mut self, archive: Spanned<Archive>, fetched: Option<ActionId>, target: &StepTarget) -> ActionId {
        let path = match &archive.value.src.value {
            ArchiveSource::Path(path) => Some(archive.value.package.join(path)),
            ArchiveSource::Fetch(_) | ArchiveSource::Git(_) => None,
        };
        let graph = &mut self.graph;
        let action = || graph.add(Action::List { target: target.clone(), archive, fetched });
        *self.listings.entry((path, fetched)).or_insert_with(action)
    }

    fn merged(&mut self, files: Files, asking: &Asking) -> Option<ActionId> {
        match files {
            Files::Tree(tree) => tree,
            Files::Unmerged { below, layer } => Some(self.graph.add(Action::Merge { below, layer })),
            Files::OfBase(base) => self.base_tree(&base, asking),
        }
    }

    /// The action that gives the base as an image; none for `scratch`.
    fn base_image(&mut self, base: &Spanned<Base>, asking: &Asking) -> Option<ActionId> {
        match &base.value {
            Base::Scratch => None,
            Base::Target(label) => Some(self.lowered[asking.configured.dependency(label)?].result),
            Base::Oci(oci) => match pin::image(oci, asking.platform, self.lock) {
                Ok(pinned) => {
                    let base = Spanned { value: Base::Oci(pinned), span: base.span.clone() };
                    Some(self.import(&base, asking))
                }
                Err(unpinned) => {
                    self.unpinned.add_image(&base.value, base.span.clone());
                    self.refuse(unpinned.explained(&asking.target.label, self.targets).at(base.span.clone()));
                    None
                }
            },
            Base::OciLayout(_) | Base::OciArchive(_) | Base::DockerArchive(_) => Some(self.import(base, asking)),
        }
    }

    fn import(&mut self, base: &Spanned<Base>, asking: &Asking) -> ActionId {
        let known = self.imports.iter().find(|(other, on, _)| *other == base.value && on == asking.platform);
        if let Some((_, _, import)) = known {
            return *import;
        }
        let (target, base, platform) = (asking.target.clone(), base.clone(), asking.platform.clone());
        let known = (base.value.clone(), platform.clone());
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
    fn base_tree(&mut self, base: &Spanned<Base>, asking: &Asking) -> Option<ActionId> {
        let Base::Target(label) = &base.value else {
            let image = self.base_image(base, asking)?;
            let graph = &mut self.graph;
            return Some(*self.trees.entry(image).or_insert_with(|| graph.add(Action::Tree { image })));
        };
        self.tree_of(asking.configured.dependency(label)?, asking.target)
    }

    /// The action that gives the merged tree of a target; none where it is empty.
    fn tree_of(&mut self, id: &ConfiguredLabel, target: &StepTarget) -> Option<ActionId> {
        let targets = self.targets;
        let configured = targets.configured(id)?;
        let platform = id.platform.as_ref().unwrap_or(&targets.settings.platform);
        let files = std::mem::replace(&mut self.lowered.get_mut(id)?.files, Files::Tree(None));
        let tree = self.merged(files, &Asking { target, platform, configured });
        self.lowered.get_mut(id)?.files = Files::Tree(tree);
        tree
    }
}

/// A command that has the network, in a build that is to be hermetic.
fn not_hermetic(title: &str) -> Diagnostic {
    Diagnostic::spec(format!("`{title}` has the network, and the build is to be hermetic"))
        .help("fetch what it needs with `fetch(...)`, or build without `--hermetic` and `hermetic` in ocify.toml")
}
