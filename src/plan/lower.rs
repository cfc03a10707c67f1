//! Targets to actions. Pure: nothing here reads a file.

use std::collections::BTreeMap;

use crate::action::{Action, ActionGraph, ActionId, Step};
use crate::diagnostic::Spanned;
use crate::platform::Platform;
use crate::target::{Base, ImageSpec, Label, LayerSpec, Rule, Settings, Target};

use super::targets::TargetGraph;

/// The actions that make some targets, and which action gives which target.
pub struct Plan {
    pub graph: ActionGraph,
    /// Each root with the action that gives its image or index, in the order asked for.
    pub roots: Vec<(Label, ActionId)>,
}

impl Plan {
    /// The plan for `roots`. The same targets give the same plan.
    pub fn new(targets: &TargetGraph, roots: &[Label]) -> Plan {
        let mut lowering = Lowering {
            settings: &targets.settings,
            graph: ActionGraph::new(),
            targets: BTreeMap::new(),
            imports: Vec::new(),
            trees: BTreeMap::new(),
        };
        for target in targets.in_build_order(roots) {
            lowering.target(target);
        }
        let roots = roots.iter().map(|label| (label.clone(), lowering.targets[label].result)).collect();
        Plan { graph: lowering.graph, roots }
    }
}

struct Lowering<'a> {
    settings: &'a Settings,
    graph: ActionGraph,
    targets: BTreeMap<Label, Lowered>,
    /// Imported images and their trees, so that a base is read once however many images stand on it.
    imports: Vec<(Base, Platform, ActionId)>,
    trees: BTreeMap<ActionId, ActionId>,
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

impl Lowering<'_> {
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
        let wanted = platform.as_ref().unwrap_or(&self.settings.platform).clone();
        let base = spec.base.as_ref().and_then(|base| self.base_image(base, &wanted));
        let compression = spec.compression.unwrap_or(self.settings.compression);
        let mut encoded = Vec::new();
        let mut files = spec.base.clone().map_or(Files::Tree(None), Files::OfBase);
        for (index, layer) in spec.layers.iter().enumerate() {
            let below = self.merged(files, &wanted);
            let composed = self.compose(layer, below, &wanted);
            let step = Step { target: target.label.clone(), number: index + 1, title: layer.value.title() };
            encoded.push(self.graph.add(Action::Encode { step, layer: composed, compression }));
            files = Files::Unmerged { below, layer: composed };
        }
        let (label, span, spec) = (target.label.clone(), target.span.clone(), Box::new(spec.clone()));
        let result = self.graph.add(Action::Image { label, span, spec, base, layers: encoded });
        Lowered { result, platform, files }
    }

    fn compose(&mut self, layer: &Spanned<LayerSpec>, below: Option<ActionId>, platform: &Platform) -> ActionId {
        let fetches = layer.value.fetches();
        let fetched = fetches.into_iter().map(|fetch| self.graph.add(Action::Fetch { fetch })).collect();
        let from = match &layer.value {
            LayerSpec::Copy(copy) => self.base_tree(&copy.image, platform),
            _ => None,
        };
        self.graph.add(Action::Compose { layer: layer.clone(), below, from, fetched })
    }

    fn merged(&mut self, files: Files, platform: &Platform) -> Option<ActionId> {
        match files {
            Files::Tree(tree) => tree,
            Files::Unmerged { below, layer } => Some(self.graph.add(Action::Merge { below, layer })),
            Files::OfBase(base) => self.base_tree(&base, platform),
        }
    }

    /// The action that gives the base as an image; none for `scratch`.
    fn base_image(&mut self, base: &Spanned<Base>, platform: &Platform) -> Option<ActionId> {
        match &base.value {
            Base::Scratch => None,
            Base::Target(label) => Some(self.targets[label].result),
            Base::OciLayout(_) | Base::OciArchive(_) | Base::DockerArchive(_) => {
                let known = self.imports.iter().find(|(other, on, _)| *other == base.value && on == platform);
                if let Some((_, _, import)) = known {
                    return Some(*import);
                }
                let import = self.graph.add(Action::Import { base: base.clone(), platform: platform.clone() });
                self.imports.push((base.value.clone(), platform.clone(), import));
                Some(import)
            }
        }
    }

    /// The action that gives the base's merged tree; none where it is empty.
    fn base_tree(&mut self, base: &Spanned<Base>, platform: &Platform) -> Option<ActionId> {
        let Base::Target(label) = &base.value else {
            let image = self.base_image(base, platform)?;
            let graph = &mut self.graph;
            return Some(*self.trees.entry(image).or_insert_with(|| graph.add(Action::Tree { image })));
        };
        let target = self.targets.get_mut(label)?;
        let platform = target.platform.clone().unwrap_or_else(|| self.settings.platform.clone());
        let files = std::mem::replace(&mut target.files, Files::Tree(None));
        let tree = self.merged(files, &platform);
        self.targets.get_mut(label)?.files = Files::Tree(tree);
        tree
    }
}
