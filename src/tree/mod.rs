//! A file tree in memory: merge, whiteouts, difference, and resolution of links inside the root.
