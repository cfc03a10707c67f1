//! The values that builtins return: immutable, comparable, printable.

use std::fmt;

use allocative::Allocative;
use starlark::any::ProvidesStaticType;
use starlark::starlark_simple_value;
use starlark::values::{Heap, NoSerialize, StarlarkPagablePanic, StarlarkValue, Value, ValueLike, starlark_value};

use crate::diagnostic::{Span, Spanned};
use crate::platform::Platform;
use crate::target::{self, Node, Sum};

use super::argument;

/// What a builtin returned, and where it was called.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
pub struct NodeValue {
    #[allocative(skip)]
    pub node: Node,
    #[allocative(skip)]
    pub span: Option<Span>,
}

starlark_simple_value!(NodeValue);

#[starlark_value(type = "node")]
impl<'v> StarlarkValue<'v> for NodeValue {
    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<NodeValue>().is_some_and(|other| other.node == self.node))
    }
}

/// The call in short: a target by its label, everything else by the builtin's name.
impl fmt::Display for NodeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Node::Base(crate::target::Base::Target(label)) => write!(f, "<target {label}>"),
            node => write!(f, "<{}>", node.builtin()),
        }
    }
}

/// What `platform()` returns. Its text form is `os/architecture[/variant]`.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
pub struct PlatformValue(#[allocative(skip)] pub Platform);

starlark_simple_value!(PlatformValue);

#[starlark_value(type = "platform")]
impl<'v> StarlarkValue<'v> for PlatformValue {
    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<PlatformValue>().is_some_and(|other| other.0 == self.0))
    }

    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        match attribute {
            "os" => Some(heap.alloc(&self.0.os)),
            "architecture" => Some(heap.alloc(&self.0.architecture)),
            "variant" => Some(self.0.variant.as_ref().map_or(Value::new_none(), |variant| heap.alloc(variant))),
            _ => None,
        }
    }

    fn dir_attr(&self) -> Vec<String> {
        ["architecture", "os", "variant"].map(str::to_owned).into()
    }
}

impl fmt::Display for PlatformValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What `select(...)` returns, and what that is added to: a value that is known when the platform is.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative, StarlarkPagablePanic)]
pub struct SelectValue(#[allocative(skip)] pub Spanned<target::Value>);

starlark_simple_value!(SelectValue);

#[starlark_value(type = "select")]
impl<'v> StarlarkValue<'v> for SelectValue {
    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<SelectValue>().is_some_and(|other| other.0 == self.0))
    }

    fn add(&self, right: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        Some(argument::unplaced(right).and_then(|right| sum(self.0.clone(), right, heap)))
    }

    fn radd(&self, left: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        Some(argument::unplaced(left).and_then(|left| sum(left, self.0.clone(), heap)))
    }
}

fn sum<'v>(left: Spanned<target::Value>, right: Spanned<target::Value>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    let sum = Sum::new(left, right).map_err(starlark::Error::new_native)?;
    Ok(heap.alloc(SelectValue(Spanned { value: sum.into(), span: None })))
}

impl fmt::Display for SelectValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<select>")
    }
}
