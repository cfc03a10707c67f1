//! What ADD fetches: files by their URL, and commits of git repositories.

use crate::diagnostic::{Diagnostic, Spanned};
use crate::digest::Digest;
use crate::git::{NameError, ObjectId, RefName, RepositoryUrl};
use crate::path::{ImagePath, WorkspacePath};
use crate::target::{Fetch, Git, PlaceSource};

use super::config::{truth, value};
use super::instruction::Instruction;
use super::scope::Scope;
use super::word::Word;

/// The source that a word of ADD names, if that is not one of the context.
///
/// # Errors
/// A URL that cannot be fetched; a flag that does not fit.
pub(super) fn source(word: &Word, instruction: &Instruction, scope: &Scope) -> Result<Option<PlaceSource>, Diagnostic> {
    let text = word.value.as_str();
    let expanded = |word: &Word| Ok::<_, Diagnostic>(Word { value: scope.expand(word)?, span: word.span.clone() });
    let checksum = instruction.flag("checksum").map(value).transpose()?.map(expanded).transpose()?;
    if is_git(text) {
        return commit(word, checksum.as_ref(), instruction).map(Some);
    }
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Ok(None);
    }
    if let Some(flag) = instruction.flag("keep-git-dir") {
        let error = Diagnostic::spec("`--keep-git-dir` is for git repositories").at(flag.name.span.clone());
        return Err(error.help("the URL of a repository ends with `.git`"));
    }
    let sha256 = checksum.map(|word| {
        word.value.parse::<Digest>().map_err(|error| {
            let error = Diagnostic::spec(format!("`{}` is no checksum: {error}", word.value)).at(word.span.clone());
            error.help("write `--checksum=sha256:` and 64 hexadecimal digits")
        })
    });
    let unpack = instruction.flag("unpack").map_or(Ok(false), truth)?;
    let (package, urls, sha256) = (WorkspacePath::root(), vec![text.to_owned()], sha256.transpose()?);
    Ok(Some(PlaceSource::Fetch { fetch: Fetch { package, urls, sha256, name: None, executable: false }, unpack }))
}

/// True for a repository: one of a scheme that only git has, or a URL whose path ends with `.git`.
pub fn is_git(text: &str) -> bool {
    let path = text.split(['#', '?']).next().unwrap_or(text);
    let is_of_git = ["git://", "ssh://", "git@"].iter().any(|start| text.starts_with(start));
    is_of_git || (path.starts_with("http://") || path.starts_with("https://")) && path.ends_with(".git")
}

/// The repository, the ref and the directory of `URL#REF:DIRECTORY`.
///
/// # Errors
/// The URL or the ref is none.
pub fn repository(text: &str) -> Result<(RepositoryUrl, RefName, Option<&str>), NameError> {
    let (url, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (name, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
    // As scp takes it, `user@host:path`.
    let url = match url.split_once(':') {
        Some((host, path)) if host.starts_with("git@") => format!("ssh://{host}/{}", path.trim_start_matches('/')),
        _ => url.to_owned(),
    };
    let name = if name.is_empty() { RefName::head() } else { name.parse()? };
    Ok((url.parse()?, name, Some(directory).filter(|directory| !directory.is_empty())))
}

fn commit(word: &Word, checksum: Option<&Word>, instruction: &Instruction) -> Result<PlaceSource, Diagnostic> {
    let commit = checksum.map(|word| {
        word.value.to_ascii_lowercase().parse::<ObjectId>().map_err(|_| {
            let error = Diagnostic::spec(format!("`{}` is not the ID of a commit", word.value)).at(word.span.clone());
            error.help("write all of its 40 or 64 hexadecimal digits: `git rev-parse 'REF^{commit}'` shows them")
        })
    });
    let commit = commit.transpose()?;
    let keep_git_dir = instruction.flag("keep-git-dir").map_or(Ok(false), truth)?;
    let wrong = |error: NameError| {
        let help = error.help();
        Diagnostic::spec(error.to_string()).at(word.span.clone()).help(help)
    };
    let (url, name, directory) = repository(&word.value).map_err(wrong)?;
    let directory = directory.map(ImagePath::parse).transpose();
    let directory = directory.map_err(|error| Diagnostic::spec(error.to_string()).at(word.span.clone()))?;
    // As with BuildKit, of a directory there is no repository.
    let keep_git_dir = keep_git_dir && directory.is_none();
    let git = Git { package: WorkspacePath::root(), url, name, commit, sha256: None, keep_git_dir };
    Ok(PlaceSource::Git { git: Spanned { value: git, span: word.span.clone() }, directory })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files() {
        for text in
            ["https://a.example/x.git", "https://a.example/x.git#v1:sub", "git@a.example:x", "ssh://git@a.example/x"]
        {
            assert!(is_git(text), "{text}");
        }
        for text in ["https://a.example/x.gitx", "https://a.example/x#y.git", "x.git", "git/x"] {
            assert!(!is_git(text), "{text}");
        }
    }

    #[test]
    fn a_repository_has_a_ref_and_a_directory() {
        for (text, url, name, directory) in [
            ("https://a.example/x.git", "https://a.example/x.git", "HEAD", None),
            ("https://a.example/x.git#v1", "https://a.example/x.git", "v1", None),
            ("https://a.example/x.git#:sub/a", "https://a.example/x.git", "HEAD", Some("sub/a")),
            ("git@a.example:me/x.git#v1:sub", "ssh://git@a.example/me/x.git", "v1", Some("sub")),
        ] {
            let found = repository(text).unwrap();
            assert_eq!((found.0.to_string().as_str(), found.1.as_str(), found.2), (url, name, directory), "{text}");
        }
        for text in ["git://a.example/x", "https://a.example/x.git?a=b", "https://a.example/x.git#a..b"] {
            assert!(repository(text).is_err(), "{text}");
        }
    }
}
