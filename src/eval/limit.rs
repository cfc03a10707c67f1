//! How much an evaluation may do and take. The limits count what the program does, not time, so that a spec which
//! passes here passes everywhere.

use starlark::codemap::FileSpanRef;
use starlark::eval::{BeforeStmtFunc, BeforeStmtFuncDyn, Evaluator};

use crate::diagnostic::Diagnostic;

use super::session::Session;
use super::{failure, guard};

/// Bytes of stack of the threads that evaluate.
pub const STACK: usize = 1 << 30;

/// Bytes of a text, or items of a list.
pub const SIZE: usize = 4 << 20;

/// Bytes that one file may print.
pub const PRINTED: usize = 1 << 20;

/// Rounds of loops and calls of functions in one file.
const TICKS: u64 = 1_000_000;

/// Bytes of Starlark's values in one file, those that nothing refers to any more included. Hashing recurses over nested
/// values; what this holds at the most, fits the stack.
pub const HEAP: usize = 64 << 20;

/// The same for a module that is loaded: freezing recurses as well, and needs more of the stack for each level.
pub const MODULE_HEAP: usize = 16 << 20;

/// Calls within calls.
const CALLS: usize = 500;

/// Sets the limits of one file's evaluation.
pub fn apply(evaluator: &mut Evaluator) -> Result<(), Diagnostic> {
    // Meant for debuggers, but the one hook that runs between any two statements.
    evaluator.before_stmt_for_dap(BeforeStmtFunc::from_dyn(Box::new(EachStatement)));
    // Collecting garbage recurses over nested values, however deep, and within the limit there is nothing to gain.
    evaluator.disable_gc();
    let set = evaluator.set_max_callstack_size(CALLS).and_then(|()| evaluator.set_max_tick_count(TICKS));
    set.map_err(|error| Diagnostic::failure(format!("the limits of an evaluation could not be set: {error}")))
}

/// Looks at the heap before each statement: the evaluator does so only every thousand steps.
struct EachStatement;

impl<'e> BeforeStmtFuncDyn<'e> for EachStatement {
    fn call<'v>(
        &mut self,
        place: FileSpanRef,
        _continued: bool,
        eval: &mut Evaluator<'v, '_, 'e>,
    ) -> starlark::Result<()> {
        Session::of(eval).reached(place);
        guard::check_heap(eval)
    }
}

/// An error that says which limit was reached.
pub fn diagnostic(what: &str) -> Diagnostic {
    let (message, help) = match what {
        "ticks" => (
            format!("the evaluation takes more than {TICKS} steps"),
            "a step is one round of a loop or one call; is a loop longer than it should be?",
        ),
        "heap" => (
            "the evaluation's values take more memory than they may".into(),
            "does a list or a string grow in a loop? large content belongs into a file, for `files` or `archive`",
        ),
        "calls" => (format!("calls are nested more than {CALLS} deep"), "does a function call itself without an end?"),
        "size" => (
            format!("a text or list would be larger than {} million bytes or items", SIZE >> 20),
            "large content belongs into a file, for `files` or `archive`",
        ),
        "numbers" => ("the number is too large to compute with".into(), "keep to numbers of up to 64 bits"),
        "print" => (format!("the file prints more than {} MiB", PRINTED >> 20), "print less"),
        other => (format!("{other} hold more than 1000000 values"), "give files as a directory or a pattern"),
    };
    Diagnostic::spec(message).label("the limit was reached here").help(help)
}

/// As [`diagnostic`], for a builtin to return.
pub fn reached(what: &str) -> starlark::Error {
    starlark::Error::new_native(diagnostic(what))
}

/// The evaluator's own words, unless they say that one of its limits was reached.
pub fn explain(text: &str) -> Diagnostic {
    match text {
        _ if text.starts_with("Execution duration limit") => diagnostic("ticks"),
        _ => Diagnostic::spec(failure::lower(text)),
    }
}
