//! The Starlark frontend: `BUILD.star` to targets.
