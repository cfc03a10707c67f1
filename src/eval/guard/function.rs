//! Functions in the place of Starlark's own.

use std::cmp::Ordering;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::none::NoneOr;
use starlark::values::tuple::UnpackTuple;

use crate::eval::limit::{self, SIZE};

use super::method::guarded;
use super::original;
use super::size::{check_heap, check_size, check_text, length};

/// Digits of a number that is written as text.
const DIGITS: usize = 1000;

type Named<'v> = SmallMap<String, Value<'v>>;

#[starlark_module]
pub fn functions(globals: &mut GlobalsBuilder) {
    fn str<'v>(
        #[starlark(require = pos)] value: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        as_text("str", &[value], eval)
    }

    fn repr<'v>(
        #[starlark(require = pos)] value: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        as_text("repr", &[value], eval)
    }

    fn print<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        as_text("print", &values.items, eval)
    }

    fn pprint<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        as_text("pprint", &values.items, eval)
    }

    fn fail<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        as_text("fail", &values.items, eval)
    }

    fn list<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        sequence("list", &values.items, eval)
    }

    fn tuple<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        sequence("tuple", &values.items, eval)
    }

    fn reversed<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        sequence("reversed", &values.items, eval)
    }

    fn enumerate<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        sequence("enumerate", &values.items, eval)
    }

    fn zip<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        sequence("zip", &values.items, eval)
    }

    fn range<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let huge = |value: &Value| value.get_type() == "int" && value.unpack_i32().is_none();
        if values.items.iter().any(huge) {
            return Err(limit::reached("size"));
        }
        let range = eval.eval_function(original("range"), &values.items, &[])?;
        // A range knows its length without having its numbers; one too long for a number has none.
        check_size(range.length().map_or(usize::MAX, |_| length(range)))?;
        Ok(range)
    }

    fn int<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] named: Named<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        if values.items.first().is_some_and(|value| length(*value) > DIGITS) {
            return Err(limit::reached("numbers"));
        }
        call("int", &values.items, &named, eval)
    }

    fn getattr<'v>(
        #[starlark(require = pos)] object: Value<'v>,
        #[starlark(require = pos)] name: &str,
        #[starlark(require = pos)] default: Option<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        if let Some(method) = guarded(name, object, eval)? {
            return Ok(method);
        }
        match (object.get_attr(name, eval.heap())?, default) {
            (Some(value), _) | (None, Some(value)) => Ok(value),
            (None, None) => object.get_attr_error(name, eval.heap()),
        }
    }

    fn map<'v>(
        #[starlark(require = pos)] function: Value<'v>,
        #[starlark(require = pos)] values: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<Value<'v>>> {
        each(function, values, eval)
    }

    fn filter<'v>(
        #[starlark(require = pos)] function: NoneOr<Value<'v>>,
        #[starlark(require = pos)] values: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<Value<'v>>> {
        check_size(length(values))?;
        let items: Vec<Value> = values.iterate(eval.heap())?.collect();
        match function {
            NoneOr::None => Ok(items.into_iter().filter(|item| !item.is_none()).collect()),
            NoneOr::Other(function) => {
                let kept = each(function, values, eval)?;
                Ok(items.into_iter().zip(kept).filter(|(_, kept)| kept.to_bool()).map(|(item, _)| item).collect())
            }
        }
    }

    fn sorted<'v>(
        #[starlark(require = pos)] values: Value<'v>,
        #[starlark(require = named)] key: Option<NoneOr<Value<'v>>>,
        #[starlark(require = named, default = false)] reverse: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Vec<Value<'v>>> {
        let mut keyed = keyed(values, key, eval)?;
        let mut error = None;
        keyed.sort_by(|(left, _), (right, _)| {
            let order = if reverse { right.compare(*left) } else { left.compare(*right) };
            order.unwrap_or_else(|reason| {
                error = Some(reason);
                Ordering::Equal
            })
        });
        match error {
            Some(error) => Err(error),
            None => Ok(keyed.into_iter().map(|(_, value)| value).collect()),
        }
    }

    fn min<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        #[starlark(require = named)] key: Option<NoneOr<Value<'v>>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        first("min", &values.items, key, Ordering::Less, eval)
    }

    fn max<'v>(
        #[starlark(args)] values: UnpackTuple<Value<'v>>,
        #[starlark(require = named)] key: Option<NoneOr<Value<'v>>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        first("max", &values.items, key, Ordering::Greater, eval)
    }
}

/// The functions of `json`.
#[starlark_module]
pub fn json(globals: &mut GlobalsBuilder) {
    fn encode<'v>(#[starlark(require = pos)] value: Value<'v>) -> starlark::Result<String> {
        check_text(&[value])?;
        value.to_json().map_err(starlark::Error::new_native)
    }

    fn decode<'v>(
        #[starlark(require = pos)] text: &str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_size(text.len())?;
        check_heap(eval)?;
        let value: serde_json::Value = serde_json::from_str(text).map_err(starlark::Error::new_native)?;
        Ok(eval.heap().alloc(value))
    }
}

fn as_text<'v>(name: &str, values: &[Value<'v>], eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    check_text(values)?;
    check_heap(eval)?;
    eval.eval_function(original(name), values, &[])
}

fn sequence<'v>(name: &str, values: &[Value<'v>], eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    check_size(values.iter().map(|value| length(*value)).fold(0, usize::saturating_add))?;
    check_heap(eval)?;
    eval.eval_function(original(name), values, &[])
}

fn call<'v>(
    name: &str,
    values: &[Value<'v>],
    named: &Named<'v>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let named: Vec<(&str, Value)> = named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    eval.eval_function(original(name), values, &named)
}

/// What a function returns for each value.
fn each<'v>(
    function: Value<'v>,
    values: Value<'v>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Vec<Value<'v>>> {
    check_size(length(values))?;
    let mut results = Vec::new();
    for value in values.iterate(eval.heap())? {
        check_heap(eval)?;
        results.push(eval.eval_function(function, &[value], &[])?);
    }
    Ok(results)
}

/// Each value with what it is compared by.
fn keyed<'v>(
    values: Value<'v>,
    key: Option<NoneOr<Value<'v>>>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Vec<(Value<'v>, Value<'v>)>> {
    check_size(length(values))?;
    let items: Vec<Value> = values.iterate(eval.heap())?.collect();
    let keys = match key.and_then(NoneOr::into_option) {
        Some(key) => each(key, values, eval)?,
        None => items.clone(),
    };
    check_text(&keys)?;
    Ok(keys.into_iter().zip(items).collect())
}

/// The first of the values that come before all others.
fn first<'v>(
    name: &str,
    values: &[Value<'v>],
    key: Option<NoneOr<Value<'v>>>,
    before: Ordering,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let values = match values {
        [values] => *values,
        values => eval.heap().alloc(AllocList(values.iter().copied())),
    };
    let mut keyed = keyed(values, key, eval)?.into_iter();
    let Some(mut best) = keyed.next() else {
        return eval.eval_function(original(name), &[values], &[]);
    };
    for candidate in keyed {
        if candidate.0.compare(best.0)? == before {
            best = candidate;
        }
    }
    Ok(best.1)
}

const _: () = assert!(SIZE <= i32::MAX as usize, "Starlark counts with 32 bits");
