//! Repositories as Dockerfiles and contexts name them, in BuildKit's two ways: with a fragment, and with a query.

use std::fmt;
use std::str::FromStr;

use crate::diagnostic::{Diagnostic, nearest};
use crate::git::{NameError, ObjectId, RefName, RepositoryUrl, WrongCommit};

/// `URL#REF:DIRECTORY`, or `URL?ref=REF&subdir=DIRECTORY`; a query also has `tag`, `branch`, `commit` and `keep-git-dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    pub url: RepositoryUrl,
    /// By default `HEAD`.
    pub name: RefName,
    /// What lies below it is meant.
    pub directory: Option<String>,
    /// What the ref has to stand for.
    pub commit: Option<ObjectId>,
    /// Whether there is to be a `.git` beside the files, if it is said.
    pub keep_git_dir: Option<bool>,
}

/// The keys of a query.
const KEYS: [&str; 8] = ["branch", "checksum", "commit", "keep-git-dir", "ref", "subdir", "submodules", "tag"];

impl GitSource {
    /// True for a repository: one of a scheme that only git has, or a URL whose path ends with `.git`.
    pub fn is_one(text: &str) -> bool {
        let path = text.split(['#', '?']).next().unwrap_or(text);
        let is_of_git = ["git://", "ssh://", "git@"].iter().any(|start| text.starts_with(start));
        is_of_git || (path.starts_with("http://") || path.starts_with("https://")) && path.ends_with(".git")
    }
}

impl FromStr for GitSource {
    type Err = Diagnostic;

    fn from_str(text: &str) -> Result<Self, Diagnostic> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (url, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (name, below) = fragment.split_once(':').unwrap_or((fragment, ""));
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (mut reference, mut directory) = (said(name), said(below));
        let (mut commit, mut keep_git_dir) = (None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value)?;
            match key {
                "keep-git-dir" => agree(&mut keep_git_dir, truth(key, &value)?)?,
                // Submodules are never brought, and a commit that has some says so.
                "submodules" if truth(key, &value)? => {}
                "submodules" => {
                    let error = Diagnostic::spec("a commit cannot be taken without its submodules");
                    return Err(error.help("take `submodules` away; a commit that has none is as it is"));
                }
                _ if KEYS.contains(&key) && value.is_empty() => {
                    return Err(Diagnostic::spec(format!("`{key}` of the repository has no value"))
                        .help(format!("write `{key}=VALUE`, or take it away")));
                }
                "ref" => agree(&mut reference, value)?,
                "tag" => agree(&mut reference, whole("refs/tags/", value))?,
                "branch" => agree(&mut reference, whole("refs/heads/", value))?,
                "subdir" => agree(&mut directory, value)?,
                "checksum" | "commit" => agree(&mut commit, commit_id(&value)?)?,
                other => return Err(unknown(other)),
            }
        }
        let name = reference.map_or_else(|| Ok(RefName::head()), |name| name.parse()).map_err(explained)?;
        // As scp takes it, `user@host:path`.
        let url = match url.split_once(':') {
            Some((host, path)) if host.starts_with("git@") => format!("ssh://{host}/{}", path.trim_start_matches('/')),
            _ => url.to_owned(),
        };
        Ok(GitSource { url: url.parse().map_err(explained)?, name, directory, commit, keep_git_dir })
    }
}

impl GitSource {
    /// Nothing, if the ref may stand for the commit `found`.
    ///
    /// # Errors
    /// It has to be another.
    pub fn check(&self, found: &ObjectId) -> Result<(), WrongCommit> {
        WrongCommit::check(&self.url, &self.name, self.commit.as_ref(), found)
    }
}

/// The whole ID of a commit, as `--checksum` has it.
///
/// # Errors
/// It is none.
pub(super) fn commit_id(text: &str) -> Result<ObjectId, Diagnostic> {
    text.to_ascii_lowercase().parse().map_err(|_| {
        let error = Diagnostic::spec(format!("`{text}` is not the ID of a commit"));
        error.help("write all of its 40 or 64 hexadecimal digits: `git rev-parse 'REF^{commit}'` shows them")
    })
}

/// Notes what is said of something.
///
/// # Errors
/// Something else was said of it before.
pub(super) fn agree<T: PartialEq + fmt::Display>(known: &mut Option<T>, said: T) -> Result<(), Diagnostic> {
    match known {
        Some(known) if *known != said => {
            let error = Diagnostic::spec(format!("`{known}` and `{said}` contradict each other"));
            Err(error.help("say it once, in the URL or with a flag"))
        }
        _ => {
            *known = Some(said);
            Ok(())
        }
    }
}

fn whole(start: &str, name: String) -> String {
    if name.starts_with(start) { name } else { format!("{start}{name}") }
}

fn truth(key: &str, value: &str) -> Result<bool, Diagnostic> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        other => Err(Diagnostic::spec(format!("`{other}` is neither `true` nor `false`"))
            .help(format!("write `{key}=true` or `{key}=false`"))),
    }
}

/// The value without the escapes that a query has (WHATWG URL, application/x-www-form-urlencoded).
fn decoded(value: &str) -> Result<String, Diagnostic> {
    let wrong = || {
        let error = Diagnostic::spec(format!("`{value}` in the URL is not escaped as values of a query are"));
        error.help("a `%` stands before two hexadecimal digits; written as itself it is `%25`")
    };
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || (rest.next()? as char).to_digit(16);
                let (high, low) = (digit(), digit());
                high.zip(low).map(|(high, low)| (high << 4 | low) as u8).ok_or_else(wrong)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn unknown(key: &str) -> Diagnostic {
    let error = Diagnostic::spec(format!("`{}` is nothing that the URL of a repository says", key.escape_debug()));
    match nearest(key, KEYS) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("known are: {}", KEYS.join(", "))),
    }
}

fn explained(error: NameError) -> Diagnostic {
    let help = error.help();
    Diagnostic::spec(error.to_string()).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_files() {
        for text in [
            "https://a.example/x.git",
            "https://a.example/x.git#v1:sub",
            "https://a.example/x.git?tag=v1",
            "git@a.example:x",
            "ssh://git@a.example/x",
        ] {
            assert!(GitSource::is_one(text), "{text}");
        }
        for text in ["https://a.example/x.gitx", "https://a.example/x#y.git", "x.git", "git/x"] {
            assert!(!GitSource::is_one(text), "{text}");
        }
    }

    #[test]
    fn a_repository_has_a_ref_and_a_directory() {
        for (text, url, name, directory) in [
            ("https://a.example/x.git", "https://a.example/x.git", "HEAD", None),
            ("https://a.example/x.git#v1", "https://a.example/x.git", "v1", None),
            ("https://a.example/x.git#:sub/a", "https://a.example/x.git", "HEAD", Some("sub/a")),
            ("git@a.example:me/x.git#v1:sub", "ssh://git@a.example/me/x.git", "v1", Some("sub")),
            ("https://a.example/x.git?ref=v1&subdir=sub%2Fa", "https://a.example/x.git", "v1", Some("sub/a")),
            ("https://a.example/x.git?tag=v1", "https://a.example/x.git", "refs/tags/v1", None),
            ("https://a.example/x.git?branch=a/b&submodules", "https://a.example/x.git", "refs/heads/a/b", None),
            ("git@a.example:x.git?branch=refs/heads/a#:b", "ssh://git@a.example/x.git", "refs/heads/a", Some("b")),
            ("https://a.example/x.git?ref=v1#v1", "https://a.example/x.git", "v1", None),
        ] {
            let found: GitSource = text.parse().unwrap();
            assert_eq!((found.url.to_string().as_str(), found.name.as_str()), (url, name), "{text}");
            assert_eq!(found.directory.as_deref(), directory, "{text}");
        }
        let id = "0123456789".repeat(4);
        let found: GitSource = format!("https://a.example/x.git?commit={id}&keep-git-dir").parse().unwrap();
        assert_eq!((found.commit, found.keep_git_dir), (id.parse().ok(), Some(true)));
    }

    #[test]
    fn what_is_no_repository_says_why() {
        for (text, reason) in [
            ("git://a.example/x", "begins with none of"),
            ("https://a.example/x.git#a..b", "`..`"),
            ("https://a.example/x.git?a=b", "`a` is nothing that"),
            ("https://a.example/x.git?ref=v1#v2", "`v2` and `v1` contradict each other"),
            ("https://a.example/x.git?tag=v1&branch=v1", "contradict each other"),
            ("https://a.example/x.git?tag=", "`tag` of the repository has no value"),
            ("https://a.example/x.git?commit=123", "`123` is not the ID of a commit"),
            ("https://a.example/x.git?keep-git-dir=maybe", "`maybe` is neither"),
            ("https://a.example/x.git?submodules=false", "without its submodules"),
            ("https://a.example/x.git?subdir=%2", "is not escaped"),
            ("https://a.example/x.git?subdir=%ff", "is not escaped"),
        ] {
            let error = text.parse::<GitSource>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
