//! The user's own settings: `ocify/config.toml` in the user's configuration directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::diagnostic::{Diagnostic, SourceText, Span};
use crate::target::RegistrySettings;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// What a user says for all workspaces.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UserConfig {
    /// As in `ocify.toml`.
    pub registry: BTreeMap<String, RegistrySettings>,
}

/// Reads the file; without one, nothing is set.
pub(super) fn read(path: &Path) -> Result<UserConfig, Diagnostic> {
    let fail = |error| Diagnostic::failure(format!("{} cannot be read", path.display())).caused_by(error);
    let mut text = String::new();
    match File::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(UserConfig::default());
        }
        // A home directory that this user may not look into, as after `su` without a login, is somebody else's.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && fs::symlink_metadata(path).is_err() => {
            return Ok(UserConfig::default());
        }
        file => file.map_err(fail)?.take(LARGEST + 1).read_to_string(&mut text).map_err(fail)?,
    };
    if text.len() as u64 > LARGEST {
        return Err(Diagnostic::spec(format!("{} is larger than {LARGEST} bytes", path.display())));
    }
    toml::from_str(&text).map_err(|error| {
        let span = error.span();
        let source = Arc::new(SourceText { name: path.display().to_string(), text: text.clone() });
        let span = span.map(|range| Span { source, start: range.start, end: range.end });
        Diagnostic::spec(error.message().trim().replace('\n', "; ")).at(span)
    })
}
