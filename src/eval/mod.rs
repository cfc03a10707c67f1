//! The Starlark frontend: `BUILD.star` to targets.
//!
//! Evaluation is a pure function of the files it names: it sees no clock, environment or network, and of the file
//! tree only what `load` and `glob` show. It runs in three passes:
//!
//! 1. **Parse** ([`graph`]): each `BUILD.star` and, from its `load` statements, each module, once. A missing file, a
//!    syntax error or a cycle ends here.
//! 2. **Modules** in the order of their loads, each once; frozen, so that any number of packages can share them.
//! 3. **Packages**, in parallel. Targets come out in the order of the packages and of the calls.
//!
//! A builtin turns its arguments, each with its place in the file ([`place`]), into a [`target::Value`] and decodes
//! the struct of its name with [`target::decode`], exactly as the TOML frontend does. It returns a node, which is
//! given to other builtins; `image` and `index` register a target as well.
//!
//! [`target::Value`]: crate::target::Value
//! [`target::decode`]: crate::target::decode

mod argument;
mod builtin;
mod failure;
mod graph;
mod guard;
mod limit;
mod module;
mod nesting;
mod node;
mod place;
mod rewrite;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use starlark::environment::FrozenModule;

use crate::diagnostic::{Diagnostic, nearest};
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::target::{Settings, Target};

use graph::Graph;
use module::ModuleId;
use session::{Outcome, Session};

/// What evaluation notices beside its targets.
#[derive(Debug, Default)]
pub struct Notes {
    /// What specs said with `print`, line by line.
    pub printed: Vec<String>,
    /// The build arguments that specs declared.
    declared: BTreeSet<String>,
}

impl Notes {
    /// Checks, once everything is evaluated, that each of `args` was declared by something.
    ///
    /// # Errors
    /// The first that was not, with the nearest that was.
    pub fn check_arguments(&self, args: &BTreeMap<String, String>) -> Result<(), Diagnostic> {
        let declared = &self.declared;
        let Some(name) = args.keys().find(|name| !declared.contains(*name)) else { return Ok(()) };
        let error = Diagnostic::spec(format!("no evaluated package declares the build argument `{name}`"));
        Err(match nearest(name, declared.iter().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None if declared.is_empty() => error.help(format!("a package declares one with `arg(\"{name}\")`")),
            None => error.help(format!("declared are: {}", declared.iter().cloned().collect::<Vec<_>>().join(", "))),
        })
    }
}

/// Evaluates the `BUILD.star` of each package. The targets come in the order of `packages`, and in each package in the
/// order of the calls.
///
/// `args` are the build arguments that `arg(...)` reads. What evaluation notices beside its targets is added to
/// `notes`, in the order of modules and packages, also when evaluation fails.
///
/// # Errors
/// Everything that is wrong in the first pass that fails, as one diagnostic with others.
pub fn evaluate(
    workspace: &Workspace,
    packages: &[WorkspacePath],
    settings: &Settings,
    args: &BTreeMap<String, String>,
    notes: &mut Notes,
) -> Result<Vec<Target>, Diagnostic> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    // The parser and the compiler recurse over the syntax tree, so they run where the stack is known to be deep enough
    // for the deepest tree that `nesting` lets through.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(packages.len().min(rayon::current_num_threads()))
        .stack_size(limit::STACK)
        .build()
        .map_err(|error| Diagnostic::failure("threads for the evaluation could not be started").caused_by(error))?;
    pool.install(|| {
        let roots = packages.iter().map(ModuleId::package).collect::<Result<Vec<_>, _>>()?;
        let graph = Graph::discover(workspace, &roots).map_err(all)?;
        let mut frozen = BTreeMap::new();
        for level in graph.levels() {
            let session = |id: &ModuleId| Session::new(workspace, &graph, settings, args, id, false);
            let outcomes: Vec<_> = level.par_iter().map(|id| (id.clone(), session(id).run(&frozen))).collect();
            frozen.extend(gather(outcomes, notes)?.modules);
        }
        let session = |id: &ModuleId| Session::new(workspace, &graph, settings, args, id, true);
        let outcomes: Vec<_> = roots.par_iter().map(|id| (id.clone(), session(id).run(&frozen))).collect();
        Ok(gather(outcomes, notes)?.targets)
    })
}

/// The outcomes of one pass, whose order is fixed by now: results if all went well, else every error.
fn gather(outcomes: Vec<(ModuleId, Outcome)>, notes: &mut Notes) -> Result<Pass, Diagnostic> {
    let (mut targets, mut modules, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        notes.printed.extend(outcome.printed);
        notes.declared.extend(outcome.declared);
        targets.extend(outcome.targets);
        match outcome.result {
            Ok(frozen) => modules.extend(frozen.map(|frozen| (id, frozen))),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(Pass { targets, modules }) } else { Err(all(errors)) }
}

/// What one pass gives.
struct Pass {
    targets: Vec<Target>,
    modules: Vec<(ModuleId, FrozenModule)>,
}

fn all(errors: Vec<Diagnostic>) -> Diagnostic {
    let mut errors = errors.into_iter();
    match errors.next() {
        Some(first) => first.and(errors),
        None => Diagnostic::failure("evaluation failed without an error"),
    }
}
