//! Inputs made to hurt: one fixture for each row, and what must happen.

mod bounds;
mod metadata;
mod parsing;
mod paths;
mod tarball;
mod unpacking;
mod zipped;
