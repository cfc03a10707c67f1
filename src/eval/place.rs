//! Where the arguments of each call stand. The evaluator hands a builtin values without places; what it does know is
//! the place of the call, and from that this module finds each argument as written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use starlark::codemap::Span as AstSpan;
use starlark::syntax::AstModule;
use starlark::syntax::ast::{ArgumentP, AstExpr, Expr};

use crate::diagnostic::{SourceText, Span};

/// The calls of a file, by the bytes that they cover.
#[derive(Default)]
pub struct Places {
    calls: BTreeMap<(usize, usize), Vec<Argument>>,
}

/// An argument as written.
pub struct Argument {
    /// The keyword and its place; `None` for a positional argument.
    pub keyword: Option<(String, Range<usize>)>,
    pub value: Written,
}

/// An expression as written: its place and, for a list or a map, those of its parts.
pub struct Written {
    pub place: Range<usize>,
    pub parts: Parts,
}

/// The parts of a list or a map that is written out.
pub enum Parts {
    None,
    List(Vec<Written>),
    Map(Vec<(Written, Written)>),
}

impl Places {
    /// The calls of a module.
    pub fn of(ast: &AstModule) -> Places {
        let mut places = Places::default();
        ast.statement().node.visit_expr(|expression| places.expression(expression));
        places
    }

    /// The arguments of the call that covers exactly these bytes. Arguments behind `*` and `**` are not among them.
    pub fn arguments(&self, call: &Span) -> &[Argument] {
        self.calls.get(&(call.start, call.end)).map_or(&[], Vec::as_slice)
    }

    fn expression(&mut self, expression: &AstExpr) {
        if let Expr::Call(_, arguments) = &expression.node {
            let arguments = arguments.args.iter().filter_map(|argument| match &argument.node {
                ArgumentP::Positional(value) => Some(Argument { keyword: None, value: Written::of(value) }),
                ArgumentP::Named(name, value) => {
                    Some(Argument { keyword: Some((name.node.clone(), range(name.span))), value: Written::of(value) })
                }
                ArgumentP::Args(_) | ArgumentP::KwArgs(_) => None,
            });
            let Range { start, end } = range(expression.span);
            self.calls.insert((start, end), arguments.collect());
        }
        expression.node.visit_expr(|inner| self.expression(inner));
    }
}

impl Written {
    fn of(expression: &AstExpr) -> Written {
        let parts = match &expression.node {
            Expr::List(items) | Expr::Tuple(items) => Parts::List(items.iter().map(Written::of).collect()),
            Expr::Dict(pairs) => {
                Parts::Map(pairs.iter().map(|(key, value)| (Written::of(key), Written::of(value))).collect())
            }
            _ => Parts::None,
        };
        Written { place: range(expression.span), parts }
    }

    /// The place as a span of `source`.
    pub fn span(&self, source: &Arc<SourceText>) -> Span {
        Span { source: source.clone(), start: self.place.start, end: self.place.end }
    }
}

fn range(span: AstSpan) -> Range<usize> {
    span.begin().get() as usize..span.end().get() as usize
}
