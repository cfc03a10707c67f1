//! How large values are and would become.

use starlark::eval::Evaluator;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{UnpackValue, Value};

use crate::eval::limit::{self, SIZE};
use crate::eval::session::Session;

/// The largest shift to the left.
const SHIFT: i32 = 4096;

/// How deep a value may be nested to be shown or compared.
const DEPTH: usize = 256;

/// Looks at the limit of the heap: the evaluator does so only every thousand steps.
///
/// # Errors
/// When the limit is reached.
pub fn check_heap(eval: &Evaluator) -> starlark::Result<()> {
    let taken = eval.heap().peak_allocated_bytes() + eval.frozen_heap().allocated_bytes();
    if taken > Session::of(eval).heap { Err(limit::reached("heap")) } else { Ok(()) }
}

/// Looks at the size of a result.
///
/// # Errors
/// When it is larger than a text or list may be.
pub fn check_size(size: usize) -> starlark::Result<()> {
    if size > SIZE { Err(limit::reached("size")) } else { Ok(()) }
}

/// Bytes of a string, items of a list, tuple or map; 0 of everything else.
pub fn length(value: Value) -> usize {
    match value.unpack_str() {
        Some(text) => text.len(),
        None => value.length().ok().and_then(|length| usize::try_from(length).ok()).unwrap_or(0),
    }
}

/// For `left * right`.
pub fn check_product<'v>(left: Value<'v>, right: Value<'v>) -> starlark::Result<()> {
    let (times, sequence) = match (left.get_type(), right.get_type()) {
        ("int", "int") => {
            let small = |value| matches!(i64::unpack_value(value), Ok(Some(_)));
            return if small(left) && small(right) { Ok(()) } else { Err(limit::reached("numbers")) };
        }
        ("int", _) => (left, right),
        (_, "int") => (right, left),
        _ => return Ok(()),
    };
    let times = match i64::unpack_value(times) {
        Ok(Some(times)) => usize::try_from(times).unwrap_or(0),
        _ => usize::MAX,
    };
    check_size(length(sequence).saturating_mul(times))
}

/// For `left % right`, which fills in a text where `left` is one.
pub fn check_interpolation(left: Value, right: Value) -> starlark::Result<()> {
    let Some(text) = left.unpack_str() else { return Ok(()) };
    let longest = match TupleRef::from_value(right) {
        // A value is filled in once, whatever the number of places.
        Some(values) => check_text(values.content())?,
        None => check_text(&[right])?,
    };
    check_size(longest.saturating_add(text.len()))
}

/// For `left << right`.
pub fn check_shift(left: Value, right: Value) -> starlark::Result<()> {
    let small = left.get_type() != "int" || matches!(i64::unpack_value(left), Ok(Some(_)));
    let near = right.get_type() != "int" || right.unpack_i32().is_some_and(|bits| bits <= SHIFT);
    if small && near { Ok(()) } else { Err(limit::reached("numbers")) }
}

/// For a comparison, which looks at shared parts as often as they appear: a list of ten lists of ten lists is cheap to
/// make and takes for ever to compare.
pub fn check_comparison(left: Value, right: Value) -> starlark::Result<()> {
    if !has_parts(left) || !has_parts(right) || left.ptr_eq(right) {
        return Ok(());
    }
    // The comparison ends where the smaller of the two does.
    check_text(&[left]).or_else(|_| check_text(&[right])).map(|_| ())
}

/// For `left in right`.
pub fn check_search(left: Value, right: Value) -> starlark::Result<()> {
    if DictRef::from_value(right).is_some() {
        // Hashed whole, whatever is in the map.
        return check_text(&[left]).map(|_| ());
    }
    if has_parts(left) { check_text(&[left]).or_else(|_| check_text(&[right])).map(|_| ()) } else { Ok(()) }
}

/// Bytes of the values as text, counting a shared part as often as it appears.
///
/// # Errors
/// When they are more than a text may have.
pub fn check_text(values: &[Value]) -> starlark::Result<usize> {
    let mut left = SIZE;
    for value in values {
        take(*value, &mut left, DEPTH).ok_or_else(|| limit::reached("size"))?;
    }
    Ok(SIZE - left)
}

fn take(value: Value, left: &mut usize, depth: usize) -> Option<()> {
    let below = depth.checked_sub(1)?;
    *left = left.checked_sub(2 + value.unpack_str().map_or(0, str::len))?;
    if let Some(list) = ListRef::from_value(value) {
        list.iter().try_for_each(|item| take(item, left, below))
    } else if let Some(tuple) = TupleRef::from_value(value) {
        tuple.iter().try_for_each(|item| take(item, left, below))
    } else if let Some(map) = DictRef::from_value(value) {
        map.iter().try_for_each(|(key, item)| take(key, left, below).and_then(|()| take(item, left, below)))
    } else if let Some(fields) = StructRef::from_value(value) {
        fields.iter().try_for_each(|(_, item)| take(item, left, below))
    } else {
        Some(())
    }
}

fn has_parts(value: Value) -> bool {
    matches!(value.get_type(), "list" | "tuple" | "dict" | "struct")
}
