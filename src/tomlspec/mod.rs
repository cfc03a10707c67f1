//! The TOML frontend: `ocify.toml` to settings and targets.
