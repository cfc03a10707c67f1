//! What has to be done before somebody can look around in an image.

use crate::action::{Action, ActionGraph, ActionId};
use crate::diagnostic::{Diagnostic, Spanned};
use crate::source::Lock;
use crate::target::{Command, Label, Run};

use super::lower::Lowering;
use super::targets::TargetGraph;

/// The actions that make the root of a visit, and the command in whose place the visitor's comes.
pub struct ShellPlan {
    pub graph: ActionGraph,
    /// An [`Action::Run`] that is not in the graph, but whose inputs are. Where no command makes the layer, or the whole image is
    /// meant, it is one without program.
    pub step: Action,
    /// The image, if all of it is meant.
    pub image: Option<ActionId>,
}

impl ShellPlan {
    /// The plan for the root below a layer of `target`, as its command sees it, or without `layer` for the whole image.
    /// `layer` is its number, counted from 1, or a part of its title.
    ///
    /// # Errors
    /// As [`Plan::new`](super::Plan::new); the target is an index; no layer, or more than one, is meant.
    pub fn new(targets: &TargetGraph, target: &Label, layer: Option<&str>, lock: &Lock) -> Result<Self, Diagnostic> {
        let mut lowering = Lowering::of(targets, std::slice::from_ref(target), lock).checked()?;
        let (image, below) = lowering.root(target).ok_or_else(|| unknown(target))?;
        let Action::Image { target: of, platform, layers, .. } = lowering.graph.get(image).clone() else {
            let error = Diagnostic::spec(format!("`{target}` is an index, not an image"));
            return Err(error.help("choose one of its images, or one of its platforms with `--platform`"));
        };
        // To nothing of a layer but the root below it and its title does the look around refer.
        let bare = |number, title, below| Action::Run {
            target: of.clone(),
            number,
            title,
            run: Spanned { value: Run::new(Command::Argv(Vec::new())), span: None },
            below,
            sources: Vec::new(),
            platform: platform.clone(),
            compression: Default::default(),
        };
        let Some(wanted) = layer else {
            let step = bare(layers.len(), "the image".to_owned(), below);
            return Ok(ShellPlan { graph: lowering.graph, step, image: Some(image) });
        };
        let mut graph = lowering.graph;
        let titled: Vec<(usize, String, ActionId)> = layers.iter().filter_map(|&id| title(&graph, id)).collect();
        let (number, title, id) = chosen(&titled, wanted, target)?;
        let (step, end) = match graph.get(id).clone() {
            Action::Encode { layer, .. } => {
                let below = graph.get(layer).below();
                (bare(number, title, below), layer)
            }
            step => (step, id),
        };
        graph.truncate(end);
        Ok(ShellPlan { graph, step, image: None })
    }
}

fn unknown(target: &Label) -> Diagnostic {
    Diagnostic::spec(format!("there is no target `{target}`"))
}

/// The number and the title of a layer.
fn title(graph: &ActionGraph, id: ActionId) -> Option<(usize, String, ActionId)> {
    match graph.get(id) {
        Action::Encode { number, title, .. } | Action::Run { number, title, .. } => Some((*number, title.clone(), id)),
        _ => None,
    }
}

/// The layer that has `wanted` as its number, or else in its title.
fn chosen(
    layers: &[(usize, String, ActionId)],
    wanted: &str,
    target: &Label,
) -> Result<(usize, String, ActionId), Diagnostic> {
    let list = |layers: &[&(usize, String, ActionId)]| -> String {
        layers.iter().map(|(number, title, _)| format!("\n  {number} {title}")).collect()
    };
    if let Some(layer) = layers.iter().find(|(number, ..)| number.to_string() == wanted) {
        return Ok(layer.clone());
    }
    let is_number = wanted.chars().all(|c| c.is_ascii_digit());
    let found: Vec<_> = layers.iter().filter(|(_, title, _)| !is_number && title.contains(wanted)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] if layers.is_empty() => Err(Diagnostic::spec(format!("`{target}` has no layers of its own"))),
        [] => {
            let error = Diagnostic::spec(format!("no layer of `{target}` is called `{wanted}`"));
            Err(error.help(format!("its layers are:{}", list(&layers.iter().collect::<Vec<_>>()))))
        }
        several => {
            let error = Diagnostic::spec(format!("`{wanted}` is in the titles of several layers of `{target}`"));
            Err(error.help(format!("say more of one, or its number:{}", list(several))))
        }
    }
}
