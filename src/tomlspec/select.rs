//! `{ select = { "linux/amd64" = ..., default = ... } }` in place of a value.

use crate::diagnostic::{Diagnostic, Spanned};
use crate::target::{Select, Value};

/// Replaces each such table in a value. A table with the one key `select` whose value is no table is left: it may be a map
/// to texts.
///
/// # Errors
/// As [`Select::new`].
pub fn read(value: &mut Spanned<Value>) -> Result<(), Diagnostic> {
    match &mut value.value {
        Value::List(items) => items.iter_mut().try_for_each(read),
        Value::Map(pairs) => {
            pairs.iter_mut().try_for_each(|(_, value)| read(value))?;
            if let [(key, Spanned { value: Value::Map(branches), .. })] = pairs.as_mut_slice()
                && key.value == "select"
            {
                value.value = Select::new(std::mem::take(branches), value.span.as_ref())?.into();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
