//! What the rewritten text calls: looks at the heap, methods, and the operators of assignments.

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::list::ListRef;
use starlark::values::structs::AllocStruct;
use starlark::values::tuple::UnpackTuple;

use super::size::{check_heap, check_interpolation, check_product, check_shift, check_size, check_text, length};
use super::{guard, original};

/// The methods that are looked at.
pub const METHODS: &[&str] = &["extend", "format", "join", "replace"];

/// The method `name` of `object` with a look before, if it is one that needs it.
pub fn guarded<'v>(
    name: &str,
    object: Value<'v>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Option<Value<'v>>> {
    let looked_at = match name {
        "extend" => ListRef::from_value(object).is_some(),
        "format" | "join" | "replace" => object.unpack_str().is_some(),
        _ => false,
    };
    if !looked_at {
        return Ok(None);
    }
    eval.eval_function(original("partial"), &[guard(name), object], &[]).map(Some)
}

/// What the rewritten text calls.
#[starlark_module]
pub fn methods(globals: &mut GlobalsBuilder) {
    fn heap<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        check_heap(eval)?;
        Ok(true)
    }

    fn texts<'v>(#[starlark(require = pos)] values: Value<'v>) -> starlark::Result<bool> {
        check_text(&[values])?;
        Ok(true)
    }

    fn method<'v>(
        #[starlark(require = pos)] name: &str,
        #[starlark(require = pos)] object: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        match guarded(name, object, eval)? {
            Some(method) => Ok(eval.heap().alloc(AllocStruct([(name, method)]))),
            None => Ok(object),
        }
    }

    fn extend<'v>(
        #[starlark(require = pos)] object: Value<'v>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        check_heap(eval)?;
        let added = args.items.iter().map(|value| length(*value)).fold(length(object), usize::saturating_add);
        check_size(added)?;
        call_method(object, "extend", &args.items, &[], eval)
    }

    fn join<'v>(
        #[starlark(require = pos)] object: Value<'v>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        // The evaluator makes room for as many texts as there are, each as long as the longest of the first two.
        let (mut count, mut longest) = (0_usize, 0_usize);
        if let [texts] = args.items.as_slice() {
            for text in texts.iterate(eval.heap())? {
                count += 1;
                longest = longest.max(text.unpack_str().map_or(0, str::len));
            }
        }
        check_size(longest.saturating_add(length(object)).saturating_mul(count))?;
        call_method(object, "join", &args.items, &[], eval)
    }

    fn replace<'v>(
        #[starlark(require = pos)] object: Value<'v>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        if let [old, new, ..] = args.items.as_slice() {
            let matches = length(object) / length(*old).max(1) + 1;
            check_size(matches.saturating_mul(length(*new)).saturating_add(length(object)))?;
        }
        call_method(object, "replace", &args.items, &[], eval)
    }

    fn format<'v>(
        #[starlark(require = pos)] object: Value<'v>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(kwargs)] kwargs: SmallMap<String, Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let places = object.unpack_str().map_or(0, |text| text.matches('{').count());
        let values = args.items.iter().chain(kwargs.values());
        let mut longest = 0;
        for value in values {
            longest = longest.max(check_text(&[*value])?);
        }
        check_size(longest.saturating_mul(places).saturating_add(length(object)))?;
        let named: Vec<(&str, Value)> = kwargs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        call_method(object, "format", &args.items, &named, eval)
    }

    fn multiply<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<Value<'v>> {
        check_product(left, right)?;
        Ok(right)
    }

    fn percent<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<Value<'v>> {
        check_interpolation(left, right)?;
        Ok(right)
    }

    fn left_shift<'v>(
        #[starlark(require = pos)] left: Value<'v>,
        #[starlark(require = pos)] right: Value<'v>,
    ) -> starlark::Result<Value<'v>> {
        check_shift(left, right)?;
        Ok(right)
    }
}

fn call_method<'v>(
    object: Value<'v>,
    name: &str,
    args: &[Value<'v>],
    named: &[(&str, Value<'v>)],
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let method = object.get_attr_error(name, eval.heap())?;
    eval.eval_function(method, args, named)
}
