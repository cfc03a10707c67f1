//! Which module loads which: every file read and parsed once, cycles found before anything runs.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::diagnostic::{Diagnostic, Span};
use crate::source::{SourceError, Workspace};

use super::module::{Module, ModuleId};

/// All files of an evaluation, parsed.
pub struct Graph {
    modules: BTreeMap<ModuleId, Module>,
    levels: Vec<Vec<ModuleId>>,
}

impl Graph {
    /// Reads and parses the files of `roots` and all that they load.
    ///
    /// # Errors
    /// What is wrong with each file, in the order of discovery; or the first cycle.
    pub fn discover(workspace: &Workspace, roots: &[ModuleId]) -> Result<Graph, Vec<Diagnostic>> {
        let mut modules = BTreeMap::new();
        let mut errors = Vec::new();
        let mut seen: BTreeSet<ModuleId> = roots.iter().cloned().collect();
        let mut wanted: Vec<(ModuleId, Option<Span>)> = roots.iter().map(|id| (id.clone(), None)).collect();
        while !wanted.is_empty() {
            let parsed: Vec<_> = wanted.par_iter().map(|(id, span)| read(workspace, id, span.as_ref())).collect();
            let mut next = Vec::new();
            for ((id, _), parsed) in wanted.into_iter().zip(parsed) {
                match parsed {
                    Ok(module) => {
                        let loads = module.loads.iter();
                        let new = loads.filter(|(_, _, loaded)| seen.insert(loaded.clone()));
                        next.extend(new.map(|(_, span, loaded)| (loaded.clone(), Some(span.clone()))));
                        modules.insert(id, module);
                    }
                    Err(error) => errors.push(error),
                }
            }
            wanted = next;
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut depths = BTreeMap::new();
        for root in roots {
            depth(&modules, root, &mut Vec::new(), &mut depths).map_err(|cycle| vec![cycle])?;
        }
        let highest = depths.values().copied().max().unwrap_or(0);
        let mut levels = vec![Vec::new(); highest];
        for (id, depth) in depths.into_iter().filter(|(id, _)| !roots.contains(id)) {
            levels[depth - 1].push(id);
        }
        Ok(Graph { modules, levels })
    }

    /// The loaded modules, those that load none first: each level loads from earlier levels only.
    pub fn levels(&self) -> &[Vec<ModuleId>] {
        &self.levels
    }

    /// A file of this graph.
    pub fn module(&self, id: &ModuleId) -> &Module {
        &self.modules[id]
    }

    /// The file that a source's name stands for.
    pub fn named(&self, name: &str) -> Option<&Module> {
        self.modules.values().find(|module| module.source.name == name)
    }
}

fn read(workspace: &Workspace, id: &ModuleId, span: Option<&Span>) -> Result<Module, Diagnostic> {
    let source = match id {
        ModuleId::Std(_) => id.bundled().ok_or_else(|| Diagnostic::spec(format!("no bundled module {id}")))?,
        ModuleId::File(path) => workspace.read_spec(path).map_err(|error| {
            let what = if span.is_some() { format!("cannot load `{id}`") } else { format!("cannot read `{id}`") };
            let help = match &error {
                SourceError::NotFound { .. } => Some("create the file, or correct the path"),
                error => error.help(),
            };
            let diagnostic = Diagnostic::spec(what).at(span.cloned()).label("loaded here");
            let diagnostic = help.into_iter().fold(diagnostic, Diagnostic::help);
            diagnostic.caused_by(error)
        })?,
    };
    Module::parse(id, source)
}

/// 1 more than the deepest module that `id` loads; 1 if it loads none.
fn depth(
    modules: &BTreeMap<ModuleId, Module>,
    id: &ModuleId,
    path: &mut Vec<ModuleId>,
    depths: &mut BTreeMap<ModuleId, usize>,
) -> Result<usize, Diagnostic> {
    if let Some(depth) = depths.get(id) {
        return Ok(*depth);
    }
    path.push(id.clone());
    let mut deepest = 0;
    for (_, span, loaded) in &modules[id].loads {
        if let Some(start) = path.iter().position(|earlier| earlier == loaded) {
            let chain: Vec<String> = path[start..].iter().chain([loaded]).map(|id| format!("`{id}`")).collect();
            let error = Diagnostic::spec(format!("`{loaded}` is loaded in a cycle")).at(span.clone());
            let help = format!("{}; move what they share into a module that loads none of them", chain.join(" loads "));
            return Err(error.label("this load closes the cycle").help(help));
        }
        deepest = deepest.max(depth(modules, loaded, path, depths)?);
    }
    path.pop();
    depths.insert(id.clone(), deepest + 1);
    Ok(deepest + 1)
}
