//! The workspace: its files as evaluation and builds may see them.
