//! The evaluation of one file: what it may see, and what it has said so far.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use starlark::PrintHandler;
use starlark::any::ProvidesStaticType;
use starlark::codemap::{FileSpan, FileSpanRef};
use starlark::environment::{FrozenModule, Module as Environment};
use starlark::eval::{Evaluator, FileLoader};

use crate::diagnostic::{Diagnostic, Span};
use crate::path::WorkspacePath;
use crate::source::Workspace;
use crate::target::{self, Settings, Target};

use super::graph::Graph;
use super::module::{Module, ModuleId};
use super::place::Argument;
use super::{builtin, failure, limit};

/// What builtins find in the evaluator's `extra`.
#[derive(ProvidesStaticType)]
pub struct Session<'a> {
    pub workspace: &'a Workspace,
    pub settings: &'a Settings,
    pub args: &'a BTreeMap<String, String>,
    /// The directory that relative paths are relative to.
    pub package: WorkspacePath,
    /// Bytes of values that this evaluation may have.
    pub heap: usize,
    graph: &'a Graph,
    file: &'a Module,
    /// Whether this is a `BUILD.star`: only these register targets, modules are frozen instead.
    registers: bool,
    targets: RefCell<Vec<Target>>,
    declared: RefCell<BTreeSet<String>>,
    printed: RefCell<Vec<String>>,
    printed_bytes: Cell<usize>,
    /// The statement that is running: errors of the evaluator's own limits have no place.
    statement: RefCell<Option<FileSpan>>,
}

/// What came of it.
pub struct Outcome {
    pub targets: Vec<Target>,
    /// The build arguments that were declared.
    pub declared: BTreeSet<String>,
    pub printed: Vec<String>,
    /// The frozen module, unless it is a `BUILD.star`.
    pub result: Result<Option<FrozenModule>, Diagnostic>,
}

/// The call of a builtin as it stands in a file.
pub struct Site<'a> {
    pub span: Option<Span>,
    pub arguments: &'a [Argument],
}

impl<'a> Session<'a> {
    /// The evaluation of the file `id`, before it begins.
    pub fn new(
        workspace: &'a Workspace,
        graph: &'a Graph,
        settings: &'a Settings,
        args: &'a BTreeMap<String, String>,
        id: &ModuleId,
        registers: bool,
    ) -> Self {
        Session {
            workspace,
            settings,
            args,
            package: id.directory(),
            heap: if registers { limit::HEAP } else { limit::MODULE_HEAP },
            graph,
            file: graph.module(id),
            registers,
            targets: RefCell::default(),
            declared: RefCell::default(),
            printed: RefCell::default(),
            printed_bytes: Cell::new(0),
            statement: RefCell::default(),
        }
    }

    /// Evaluates the file, with the modules that it loads.
    pub fn run(self, modules: &BTreeMap<ModuleId, FrozenModule>) -> Outcome {
        let result = self.evaluate(modules);
        Outcome {
            targets: self.targets.into_inner(),
            declared: self.declared.into_inner(),
            printed: self.printed.into_inner(),
            result,
        }
    }

    fn evaluate(&self, modules: &BTreeMap<ModuleId, FrozenModule>) -> Result<Option<FrozenModule>, Diagnostic> {
        let tree = self.file.tree()?;
        Environment::with_temp_heap(|environment| {
            let loader = Loader { file: self.file, modules };
            {
                let mut evaluator = Evaluator::new(&environment);
                evaluator.set_loader(&loader);
                evaluator.set_print_handler(self);
                evaluator.extra = Some(self);
                limit::apply(&mut evaluator)?;
                let evaluated = evaluator.eval_module(tree, builtin::globals());
                evaluated.map_err(|error| failure::evaluation(error, self))?;
            }
            if self.registers {
                return Ok(None);
            }
            let frozen = environment.freeze();
            frozen.map(Some).map_err(|error| Diagnostic::spec(format!("{}: {error:?}", self.file.source.name)))
        })
    }

    /// The session of a running evaluator.
    pub fn of<'s>(evaluator: &Evaluator<'_, 's, '_>) -> &'s Session<'s> {
        let session = evaluator.extra.and_then(|extra| extra.downcast_ref::<Session>());
        session.expect("every evaluator is given its session before it runs")
    }

    /// A place that the evaluator names, in the file as the user wrote it.
    pub fn span(&self, span: &FileSpan) -> Option<Span> {
        self.graph.named(span.filename()).map(|module| module.span(span))
    }

    /// The call of the builtin that is running.
    pub fn site(&self, evaluator: &Evaluator) -> Site<'a> {
        let Some(location) = evaluator.call_stack_top_location() else { return Site { span: None, arguments: &[] } };
        let Some(module) = self.graph.named(location.filename()) else { return Site { span: None, arguments: &[] } };
        let span = module.span(&location);
        let arguments = module.places.arguments(&span);
        Site { span: Some(span), arguments }
    }

    /// The innermost place in a file of the workspace of the builtin that is running: inside a bundled macro, the
    /// place where the user called it.
    pub fn caller(&self, evaluator: &Evaluator) -> Option<Span> {
        let frames = (0..evaluator.call_stack_count()).filter_map(|n| evaluator.call_stack_nth_location(n));
        let mut spans = frames.filter_map(|location| self.span(&location)).peekable();
        let innermost = spans.peek().cloned();
        spans.find(|span| !span.source.name.starts_with("@std//")).or(innermost)
    }

    /// Notes the statement that is about to run.
    pub fn reached(&self, statement: FileSpanRef) {
        *self.statement.borrow_mut() = Some(statement.to_file_span());
    }

    /// The statement that ran last.
    pub fn statement(&self) -> Option<Span> {
        let span = self.statement.borrow().as_ref().and_then(|statement| self.span(statement))?;
        // A block ends where the next statement begins.
        let end = span.start + span.text().trim_end().len();
        Some(Span { end, ..span })
    }

    /// Registers a target of this package.
    ///
    /// # Errors
    /// If a module is being evaluated, or the package has a target of the name.
    pub fn register(&self, target: Target, builtin: &str) -> Result<(), Diagnostic> {
        if !self.registers {
            let error = Diagnostic::spec(format!("`{builtin}` cannot be called while a module is loaded"));
            return Err(error.label("registers a target").help(
                "targets belong to packages: put the call into a function, and call the function from a BUILD.star",
            ));
        }
        let mut targets = self.targets.borrow_mut();
        if let Some(first) = targets.iter().find(|earlier| earlier.label == target.label) {
            return Err(target::duplicate(first, &target));
        }
        targets.push(target);
        Ok(())
    }

    /// Notes that a build argument is declared.
    pub fn declare(&self, name: &str) {
        self.declared.borrow_mut().insert(name.to_owned());
    }
}

impl PrintHandler for Session<'_> {
    fn println(&self, text: &str) -> starlark::Result<()> {
        self.printed_bytes.set(self.printed_bytes.get() + text.len());
        if self.printed_bytes.get() > limit::PRINTED {
            return Err(limit::reached("print"));
        }
        self.printed.borrow_mut().extend(text.lines().map(str::to_owned));
        Ok(())
    }
}

struct Loader<'a> {
    file: &'a Module,
    modules: &'a BTreeMap<ModuleId, FrozenModule>,
}

impl FileLoader for Loader<'_> {
    fn load(&self, text: &str) -> starlark::Result<FrozenModule> {
        let loaded = self.file.loads.iter().find(|(written, ..)| written == text).map(|(.., id)| id);
        let module = loaded.and_then(|id| self.modules.get(id));
        // Every load statement was followed before anything ran, so this is never reached.
        module.cloned().ok_or_else(|| starlark::Error::new_native(Diagnostic::spec(format!("`{text}` is not loaded"))))
    }
}
