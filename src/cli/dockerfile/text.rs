//! The Dockerfile's text, and what it is said to ignore.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, SourceText};
use crate::path::WorkspacePath;
use crate::source::{IgnorePatterns, SourceError, Workspace};

/// The Dockerfile's text, and the directory in which its lock lies: its own, or the context's.
pub(in crate::cli) fn read(file: &Path, context: &Workspace) -> Result<(Arc<SourceText>, Workspace), Diagnostic> {
    let unreadable = |error: io::Error| {
        let missing = error.kind() == io::ErrorKind::NotFound;
        let diagnostic = Diagnostic::spec(format!("`{}` cannot be read", file.display())).caused_by(error);
        if missing {
            diagnostic.help("name the Dockerfile with `-f`, relative to the working directory")
        } else {
            diagnostic
        }
    };
    let mut bytes = Vec::new();
    let from: Box<dyn Read> = match is_stdin(file) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(file).map_err(unreadable)?),
    };
    from.take(Workspace::SPEC_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > Workspace::SPEC_LIMIT {
        let error = Diagnostic::spec(format!("`{}` is larger than {} bytes", file.display(), Workspace::SPEC_LIMIT));
        return Err(error.help("is this the right file?"));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Diagnostic::spec(format!("`{}` is not UTF-8 text", file.display())).help("save the file as UTF-8")
    })?;
    let name = file.file_name().map_or("Dockerfile".into(), |name| name.to_string_lossy().into_owned());
    Ok((Arc::new(SourceText { name, text }), home(file, context.root())?))
}

/// The directory in which the lock lies: the Dockerfile's own; of one on stdin, the context.
pub(in crate::cli) fn home(file: &Path, context: &Path) -> Result<Workspace, Diagnostic> {
    let directory = match is_stdin(file) {
        true => context,
        false => file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    };
    Ok(Workspace::at(directory)?)
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// The patterns of `<Dockerfile>.dockerignore`, else of `.dockerignore` in the context.
pub(in crate::cli) fn ignore(file: &Path, context: &Workspace) -> Result<Vec<String>, Diagnostic> {
    let mut own = file.as_os_str().to_owned();
    own.push(".dockerignore");
    match std::fs::read_to_string(&own) {
        Ok(text) => patterns(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => ignore_of(context),
        Err(error) => Err(Diagnostic::spec(format!("`{}` cannot be read", own.display())).caused_by(error)),
    }
}

/// The patterns of `.dockerignore` in a context.
pub(super) fn ignore_of(context: &Workspace) -> Result<Vec<String>, Diagnostic> {
    let path = WorkspacePath::parse(".dockerignore").map_err(|error| Diagnostic::spec(error.to_string()))?;
    match context.read_spec(&path) {
        Ok(source) => patterns(&source.text),
        Err(SourceError::NotFound { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn patterns(text: &str) -> Result<Vec<String>, Diagnostic> {
    let patterns = IgnorePatterns::lines(text);
    IgnorePatterns::new(&patterns).map_err(|error| {
        Diagnostic::spec(format!("in the .dockerignore, {error}")).help("`!` needs a pattern behind it, `[` a `]`")
    })?;
    Ok(patterns)
}
