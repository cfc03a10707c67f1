//! Canonical tar, chunks and compression (encoding v1), and the careful reader of foreign archives.

pub mod read;
pub mod write;
