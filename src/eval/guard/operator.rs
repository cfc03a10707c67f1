//! Binary operators, each with the same operands as written.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;

use super::size::{
    check_comparison, check_heap, check_interpolation, check_product, check_search, check_shift, check_size, length,
};

/// The operators that are looked at, and the guards' names.
pub const OPERATORS: &[(&str, &str)] = &[
    ("+", "add"),
    ("*", "mul"),
    ("%", "modulo"),
    ("<<", "shift"),
    ("==", "equal"),
    ("!=", "unequal"),
    ("<", "less"),
    ("<=", "less_or_equal"),
    (">", "greater"),
    (">=", "greater_or_equal"),
    ("in", "contained"),
    ("not in", "not_contained"),
];

#[starlark_module]
pub fn operators(globals: &mut GlobalsBuilder) {
    fn add<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_heap(eval)?;
        check_size(length(left).saturating_add(length(right)))?;
        left.add(right, eval.heap())
    }

    fn mul<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_product(left, right)?;
        left.mul(right, eval.heap())
    }

    fn modulo<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_interpolation(left, right)?;
        left.percent(right, eval.heap())
    }

    fn shift<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_shift(left, right)?;
        left.left_shift(right, eval.heap())
    }

    fn equal<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        left.equals(right)
    }

    fn unequal<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        Ok(!left.equals(right)?)
    }

    fn less<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        Ok(left.compare(right)?.is_lt())
    }

    fn less_or_equal<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        Ok(left.compare(right)?.is_le())
    }

    fn greater<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        Ok(left.compare(right)?.is_gt())
    }

    fn greater_or_equal<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_comparison(left, right)?;
        Ok(left.compare(right)?.is_ge())
    }

    fn contained<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_search(left, right)?;
        right.is_in(left)
    }

    fn not_contained<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<bool> {
        check_search(left, right)?;
        Ok(!right.is_in(left)?)
    }
}
