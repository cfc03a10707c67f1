//! Where a source lands in the image: the rule that `files` and `copy` share.

use crate::diagnostic::Diagnostic;
use crate::path::ImagePath;

/// Where things go that come from a list or a map of sources.
pub(super) struct Placement<'a> {
    pub(super) dest: &'a ImagePath,
    pub(super) strip_prefix: &'a ImagePath,
}

impl Placement<'_> {
    /// The place of a listed source: its own path, less the prefix, below `dest`.
    pub(super) fn of_listed(&self, source: &ImagePath) -> Result<ImagePath, Diagnostic> {
        let rest = source.strip_prefix(self.strip_prefix).ok_or_else(|| {
            let (source, prefix) = (relative(source), relative(self.strip_prefix));
            Diagnostic::spec(format!("`{source}` does not lie below the `strip_prefix` `{prefix}`"))
        })?;
        join(self.dest, &rest)
    }

    /// The place of a source that a map sends to `destination`.
    pub(super) fn of_mapped(&self, destination: &str, source: &ImagePath) -> Result<ImagePath, Diagnostic> {
        let path = ImagePath::parse(destination).map_err(|error| Diagnostic::spec(error.to_string()))?;
        let path = if destination.starts_with('/') { path } else { join(self.dest, &path)? };
        match source.file_name() {
            Some(name) if destination.ends_with('/') || destination.is_empty() => {
                path.child(name).map_err(|error| Diagnostic::spec(error.to_string()))
            }
            _ => Ok(path),
        }
    }
}

/// `below` under `directory`.
pub(super) fn join(directory: &ImagePath, below: &ImagePath) -> Result<ImagePath, Diagnostic> {
    directory.join(below).map_err(|error| Diagnostic::spec(error.to_string()))
}

fn relative(path: &ImagePath) -> String {
    path.to_string().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::parse(text).unwrap()
    }

    #[test]
    fn listed_sources_keep_their_path_below_the_destination() {
        let placement = Placement { dest: &path("/app"), strip_prefix: &path("src") };
        assert_eq!(placement.of_listed(&path("src/a/b.py")).unwrap(), path("/app/a/b.py"));
        assert_eq!(placement.of_listed(&path("src")).unwrap(), path("/app"));
        assert!(placement.of_listed(&path("srcs/a")).is_err());
    }

    #[test]
    fn mapped_sources_are_renamed_or_keep_their_name() {
        let placement = Placement { dest: &path("/opt"), strip_prefix: &ImagePath::root() };
        let source = path("a/tool.sh");
        for (destination, place) in [
            ("/usr/bin/tool", "usr/bin/tool"),
            ("/usr/bin/", "usr/bin/tool.sh"),
            ("bin/tool", "opt/bin/tool"),
            ("", "opt/tool.sh"),
        ] {
            assert_eq!(placement.of_mapped(destination, &source).unwrap(), path(place), "{destination}");
        }
        assert!(placement.of_mapped("../x", &source).is_err());
    }
}
