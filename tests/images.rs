//! Images assembled, read, validated and written.

mod assemble;
mod fixture;
mod hostile;
mod import;
mod registry;
mod sinks;
mod validate;
