//! Questions about targets: patterns, `deps(...)` and `rdeps(...)`.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::Diagnostic;
use crate::eval::Notes;
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::target::{Label, Pattern, Target};

use super::targets::TargetGraph;

/// Answers `text`, written in the package `here`. The targets come sorted by label.
///
/// ```text
/// expression = pattern
///            | "deps(" expression ")"                  what the targets depend on, and they themselves
///            | "rdeps(" expression ")"                 what depends on the targets, and they themselves
///            | "rdeps(" universe "," expression ")"    the same among the targets of `universe`
/// ```
///
/// Without a universe, `rdeps` looks at `//...`.
pub fn query(
    workspace: &Workspace,
    text: &str,
    here: &WorkspacePath,
    args: &BTreeMap<String, String>,
    notes: &mut Notes,
) -> Result<Vec<Target>, Diagnostic> {
    let expression = Expression::parse(text, here)?;
    let mut patterns = Vec::new();
    expression.patterns(&mut patterns);
    let (graph, _) = TargetGraph::load(workspace, &patterns, args, &[], notes)?;
    let labels = expression.evaluate(&graph);
    Ok(labels.iter().filter_map(|label| graph.get(label)).cloned().collect())
}

enum Expression {
    Pattern(Pattern),
    Deps(Box<Expression>),
    Rdeps { universe: Box<Expression>, of: Box<Expression> },
}

impl Expression {
    fn parse(text: &str, here: &WorkspacePath) -> Result<Self, Diagnostic> {
        let text = text.trim();
        let Some((function, rest)) = text.split_once('(') else {
            let pattern = Pattern::parse(text, here).map_err(|error| Diagnostic::spec(error.to_string()))?;
            return Ok(Expression::Pattern(pattern));
        };
        let arguments = rest
            .strip_suffix(')')
            .ok_or_else(|| Diagnostic::spec(format!("the query `{text}` lacks a closing bracket at its end")))?;
        let arguments: Vec<Expression> = split_arguments(arguments)
            .into_iter()
            .map(|part| Expression::parse(part, here))
            .collect::<Result<_, _>>()?;
        let mut arguments = arguments.into_iter().map(Box::new);
        match (function.trim(), arguments.next(), arguments.next(), arguments.next()) {
            ("deps", Some(of), None, None) => Ok(Expression::Deps(of)),
            ("rdeps", Some(of), None, None) => {
                let universe = Box::new(Expression::Pattern(Pattern::Below(WorkspacePath::root())));
                Ok(Expression::Rdeps { universe, of })
            }
            ("rdeps", Some(universe), Some(of), None) => Ok(Expression::Rdeps { universe, of }),
            ("deps" | "rdeps", ..) => Err(Diagnostic::spec(format!("`{function}` has the wrong number of arguments"))
                .help("write `deps(//path:name)`, `rdeps(//path:name)` or `rdeps(//..., //path:name)`")),
            _ => Err(Diagnostic::spec(format!("there is no query function `{function}`"))
                .help("known are `deps` and `rdeps`")),
        }
    }

    fn patterns(&self, found: &mut Vec<Pattern>) {
        match self {
            Expression::Pattern(pattern) => found.push(pattern.clone()),
            Expression::Deps(of) => of.patterns(found),
            Expression::Rdeps { universe, of } => {
                universe.patterns(found);
                of.patterns(found);
            }
        }
    }

    fn evaluate(&self, graph: &TargetGraph) -> BTreeSet<Label> {
        match self {
            Expression::Pattern(pattern) => {
                graph.iter().map(|target| &target.label).filter(|label| pattern.matches(label)).cloned().collect()
            }
            Expression::Deps(of) => {
                let roots: Vec<Label> = of.evaluate(graph).into_iter().collect();
                graph.in_build_order(&roots).into_iter().map(|target| target.label.clone()).collect()
            }
            Expression::Rdeps { universe, of } => {
                let universe: Vec<Label> = universe.evaluate(graph).into_iter().collect();
                let mut found = of.evaluate(graph);
                // Dependencies come before what depends on them, so one pass finds the indirect ones too.
                for target in graph.in_build_order(&universe) {
                    if graph.dependencies(&target.label).iter().any(|label| found.contains(label)) {
                        found.insert(target.label.clone());
                    }
                }
                found
            }
        }
    }
}

/// Splits at the commas that are not inside brackets.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
