//! Images assembled, read, validated and written.

mod assemble;
mod fixture;
mod hostile;
mod import;
mod sinks;
mod validate;
