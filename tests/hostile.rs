//! Inputs made to hurt: one fixture for each row, and what must happen.

mod bounds;
mod parsing;
mod tarball;
mod unpacking;
mod zipped;
