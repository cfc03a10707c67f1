//! The text that is evaluated: the file as written, with guards around what can grow out of bounds.
//!
//! The evaluator looks at its limits only now and then, and a single operation can take any amount of memory before
//! that. Binary operators can be replaced in the syntax tree ([`guard::replace`]), nothing else can, so the rest is
//! done on the text: guards are inserted before it is parsed for evaluation, and every place that the evaluator names
//! is taken back to the file as written. What is inserted:
//!
//! - around an expression that a comprehension or a lambda evaluates again and again, a look at the heap;
//! - around the object of a method that builds text or lists from its arguments, a stand-in whose methods look first;
//! - around an f-string, a look at the length of what goes into it;
//! - around the right side of `*=`, `%=` and `<<=`, a look at both sides.
//!
//! [`guard::replace`]: super::guard::replace

use std::ops::Range;
use std::sync::Arc;

use starlark::codemap::Span as AstSpan;
use starlark::syntax::AstModule;
use starlark::syntax::ast::{AssignOp, AssignTarget, AstExpr, AstStmt, Clause, Expr, ForClause, Stmt};

use crate::diagnostic::{Diagnostic, SourceText, Span};

use super::guard;

/// A text with insertions.
pub struct Rewritten {
    pub text: String,
    /// Each insertion: its place in the new text, and where it stands in the old.
    insertions: Vec<(Range<usize>, usize)>,
}

impl Rewritten {
    /// Inserts the guards.
    ///
    /// # Errors
    /// An assignment such as `f()[0] *= 2`, whose target cannot be looked at without evaluating it twice; or a use of
    /// the guards' own names.
    pub fn new(source: &Arc<SourceText>, ast: &AstModule) -> Result<Rewritten, Diagnostic> {
        if let Some(start) = source.text.find(guard::PREFIX) {
            let span = Span { source: source.clone(), start, end: start + guard::PREFIX.len() };
            let error = Diagnostic::spec(format!("names that begin with `{}` are reserved", guard::PREFIX));
            return Err(error.at(span).label("reserved").help("choose another name"));
        }
        let mut writer = Writer { source, before: Vec::new(), after: Vec::new() };
        writer.statement(ast.statement())?;
        // An outer expression is met before those in it, so stable sorting keeps its opening first; the closings were
        // noted when an expression was left, innermost first.
        let Writer { mut before, mut after, .. } = writer;
        before.sort_by_key(|(at, _)| *at);
        after.sort_by_key(|(at, _)| *at);
        Ok(merge(&source.text, before, after))
    }

    /// The place in the file as written.
    pub fn original(&self, place: usize) -> usize {
        match self.insertions.partition_point(|(inserted, _)| inserted.start <= place).checked_sub(1) {
            None => place,
            Some(last) => {
                let (inserted, at) = &self.insertions[last];
                at + place.saturating_sub(inserted.end)
            }
        }
    }
}

fn merge(text: &str, before: Vec<(usize, String)>, after: Vec<(usize, String)>) -> Rewritten {
    let mut rewritten = Rewritten { text: String::with_capacity(text.len() * 2), insertions: Vec::new() };
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut copied = 0;
    loop {
        let opens = before.peek().map(|(at, _)| *at);
        let closes = after.peek().map(|(at, _)| *at);
        let next = match (opens, closes) {
            (Some(opens), Some(closes)) if opens < closes => before.next(),
            (Some(_), None) => before.next(),
            (_, Some(_)) => after.next(),
            (None, None) => None,
        };
        let Some((at, inserted)) = next else { break };
        rewritten.text.push_str(&text[copied..at]);
        copied = at;
        let start = rewritten.text.len();
        rewritten.text.push_str(&inserted);
        rewritten.insertions.push((start..rewritten.text.len(), at));
    }
    rewritten.text.push_str(&text[copied..]);
    rewritten
}

struct Writer<'a> {
    source: &'a Arc<SourceText>,
    before: Vec<(usize, String)>,
    after: Vec<(usize, String)>,
}

impl Writer<'_> {
    fn statement(&mut self, statement: &AstStmt) -> Result<(), Diagnostic> {
        match &statement.node {
            Stmt::AssignModify(target, AssignOp::Multiply, value) => self.assignment("multiply", target, value)?,
            Stmt::AssignModify(target, AssignOp::Percent, value) => self.assignment("percent", target, value)?,
            Stmt::AssignModify(target, AssignOp::LeftShift, value) => self.assignment("left_shift", target, value)?,
            other => {
                let mut result = Ok(());
                let mut statements = false;
                other.visit_stmt(|inner| {
                    statements = true;
                    if result.is_ok() {
                        result = self.statement(inner);
                    }
                });
                result?;
                self.heads(other, statements);
            }
        }
        Ok(())
    }

    /// The expressions of a statement that are not those of the statements in it.
    fn heads(&mut self, statement: &Stmt, has_statements: bool) {
        match statement {
            Stmt::If(condition, _) | Stmt::IfElse(condition, _) => self.expression(condition),
            Stmt::For(each) => self.expression(&each.over),
            Stmt::Def(def) => {
                def.params.iter().for_each(|parameter| parameter.node.visit_expr(|value| self.expression(value)));
            }
            _ if has_statements => {}
            other => other.visit_expr(|expression| self.expression(expression)),
        }
    }

    fn expression(&mut self, expression: &AstExpr) {
        match &expression.node {
            Expr::Dot(object, name) if guard::METHODS.contains(&name.node.as_str()) => {
                self.wrap(object, &format!("{}method(\"{}\", (", guard::PREFIX, name.node), "))");
            }
            Expr::ListComprehension(element, first, clauses) => {
                self.checked(element);
                self.clauses(first, clauses);
            }
            Expr::DictComprehension(pair, first, clauses) => {
                self.checked(&pair.0);
                self.checked(&pair.1);
                self.clauses(first, clauses);
            }
            Expr::Lambda(lambda) => {
                lambda.params.iter().for_each(|parameter| parameter.node.visit_expr(|value| self.expression(value)));
                self.checked(&lambda.body);
            }
            Expr::FString(string) => {
                let values: Vec<&str> = string.expressions.iter().map(|value| self.text(value.span)).collect();
                let check = format!(" if {}texts([{}]) else None)", guard::PREFIX, values.join(", "));
                self.before.push((range(expression.span).start, "(".into()));
                self.after.push((range(expression.span).end, check));
            }
            other => other.visit_expr(|inner| self.expression(inner)),
        }
    }

    fn clauses(&mut self, first: &ForClause, clauses: &[Clause]) {
        self.checked(&first.over);
        for clause in clauses {
            match clause {
                Clause::For(each) => self.checked(&each.over),
                Clause::If(condition) => self.checked(condition),
            }
        }
    }

    /// An expression that is evaluated again and again.
    fn checked(&mut self, expression: &AstExpr) {
        self.wrap(expression, "((", &format!(") if {}heap() else None)", guard::PREFIX));
    }

    fn wrap(&mut self, expression: &AstExpr, before: &str, after: &str) {
        let range = range(expression.span);
        self.before.push((range.start, before.to_owned()));
        self.expression(expression);
        self.after.push((range.end, after.to_owned()));
    }

    fn assignment(&mut self, operator: &str, target: &Target, value: &AstExpr) -> Result<(), Diagnostic> {
        let place = range(target.span);
        let pure = match &target.node {
            AssignTarget::Identifier(_) => true,
            AssignTarget::Index(parts) => pure(&parts.0) && pure(&parts.1),
            AssignTarget::Dot(object, _) => pure(object),
            AssignTarget::Tuple(_) => false,
        };
        if !pure {
            let span = Span { source: self.source.clone(), start: place.start, end: place.end };
            let error = Diagnostic::spec("the target of this assignment is an expression of its own").at(span);
            return Err(error.help("give the list or map a name in a line before this one"));
        }
        let before = format!("{}{operator}({}, (", guard::PREFIX, self.text(target.span));
        self.wrap(value, &before, "))");
        Ok(())
    }

    fn text(&self, span: AstSpan) -> &str {
        &self.source.text[range(span)]
    }
}

type Target = starlark::syntax::ast::AstAssignTargetP<starlark::syntax::ast::AstNoPayload>;

/// True for an expression that can be evaluated twice: nothing is called in it.
fn pure(expression: &AstExpr) -> bool {
    match &expression.node {
        Expr::Call(..) | Expr::ListComprehension(..) | Expr::DictComprehension(..) => false,
        other => {
            let mut all = true;
            other.visit_expr(|inner| all &= pure(inner));
            all
        }
    }
}

fn range(span: AstSpan) -> Range<usize> {
    span.begin().get() as usize..span.end().get() as usize
}

#[cfg(test)]
mod tests {
    use starlark::syntax::Dialect;

    use super::*;

    fn rewritten(text: &str) -> Rewritten {
        let source = Arc::new(SourceText { name: "BUILD.star".into(), text: text.into() });
        let dialect = Dialect { enable_f_strings: true, enable_top_level_stmt: true, ..Dialect::Standard };
        let ast = AstModule::parse("BUILD.star", text.into(), &dialect).unwrap();
        Rewritten::new(&source, &ast).unwrap()
    }

    #[test]
    fn what_cannot_grow_stays_as_written() {
        let text = "x = f(1, [2], a = {'b': 3})\nfor i in x:\n    y = i.name\n";
        assert_eq!(rewritten(text).text, text);
    }

    #[test]
    fn an_expression_is_guarded_inside_its_own_brackets() {
        assert_eq!(rewritten("(a + b).join(c)").text, "(_ocify_method(\"join\", (a + b))).join(c)");
        assert_eq!(rewritten("lambda: (a)").text, "lambda: (((a) if _ocify_heap() else None))");
    }

    /// Each place of the new text leads to the byte it was copied from, or to where something was inserted.
    #[test]
    fn every_place_leads_back() {
        let text = "x = ','.join([f(i).format(f'{i}') for i in [g(j) for j in y] if i])\nx *= lambda: 2\nz = 'é'";
        let rewritten = rewritten(text);
        assert!(rewritten.text.len() > text.len());
        let mut copied = String::new();
        for (place, char) in rewritten.text.char_indices() {
            let inserted = rewritten.insertions.iter().any(|(range, _)| range.contains(&place));
            let original = rewritten.original(place);
            if inserted {
                assert_eq!(original, copied.len());
            } else {
                assert_eq!(text[original..].chars().next(), Some(char));
                copied.push(char);
            }
        }
        assert_eq!(copied, text);
        assert_eq!(rewritten.original(rewritten.text.len()), text.len());
    }
}
