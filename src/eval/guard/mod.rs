//! Operations whose result can be far larger than the program that asks for it, with a look at the result's size
//! before it is made. They behave as Starlark's own otherwise.

mod function;
mod method;
mod operator;
mod size;

use std::sync::LazyLock;

use starlark::environment::{Globals, GlobalsBuilder, LibraryExtension};
use starlark::syntax::AstModule;
use starlark::values::{FrozenValue, Value};

pub use method::METHODS;
pub use size::check_heap;

/// What the names begin with by which [`rewrite`](super::rewrite) calls the guards.
pub const PREFIX: &str = "_ocify_";

/// Replaces the binary operators of a module by calls of their guards.
pub fn replace(ast: &mut AstModule) {
    #[expect(clippy::disallowed_types, reason = "the parser wants one, and only looks names up in it")]
    static REPLACEMENTS: LazyLock<std::collections::HashMap<String, String>> = LazyLock::new(|| {
        let named = |(operator, guard): &(&str, &str)| ((*operator).to_owned(), format!("{PREFIX}{guard}"));
        operator::OPERATORS.iter().map(named).collect()
    });
    ast.replace_binary_operators(&REPLACEMENTS);
}

/// Adds the guards, and puts them in the place of Starlark's own functions.
pub fn register(globals: &mut GlobalsBuilder) {
    for (own, prefix) in [(&*ORIGINALS, ""), (&*GUARDS, PREFIX)] {
        globals.frozen_heap().add_reference(own.heap());
        for (name, value) in own.iter() {
            globals.set(&format!("{prefix}{name}"), value);
        }
    }
    function::functions(globals);
    globals.namespace("json", function::json);
}

/// Starlark's own functions, and the extensions that are on.
static ORIGINALS: LazyLock<Globals> = LazyLock::new(|| {
    use LibraryExtension::{Filter, Json, Map, Partial, Pprint, Print, StructType};
    Globals::extended_by(&[StructType, Map, Filter, Partial, Print, Pprint, Json])
});

static GUARDS: LazyLock<Globals> =
    LazyLock::new(|| GlobalsBuilder::new().with(operator::operators).with(method::methods).build());

/// Starlark's own function of this name.
fn original<'v>(name: &str) -> Value<'v> {
    find(&ORIGINALS, name).to_value()
}

/// The guard of this name.
fn guard<'v>(name: &str) -> Value<'v> {
    find(&GUARDS, name).to_value()
}

fn find(globals: &'static Globals, name: &str) -> FrozenValue {
    let found = globals.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| value).expect("guards call only what this module registers")
}
