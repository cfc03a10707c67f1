//! What ADD fetches: files by their URL, and commits of git repositories.

use crate::diagnostic::{At, Diagnostic, Spanned};
use crate::digest::Digest;
use crate::path::{ImagePath, WorkspacePath};
use crate::target::{Fetch, Git, PlaceSource};

use super::config::{truth, value};
use super::git_source::{GitSource, agree, commit_id};
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
    if GitSource::is_one(text) {
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

fn commit(word: &Word, checksum: Option<&Word>, instruction: &Instruction) -> Result<PlaceSource, Diagnostic> {
    let GitSource { url, name, directory, mut commit, mut keep_git_dir } =
        word.value.parse().map_err(|error: Diagnostic| error.at(word.span.clone()))?;
    if let Some(checksum) = checksum {
        let said = commit_id(&checksum.value).and_then(|id| agree(&mut commit, id));
        said.at(checksum.span.as_ref())?;
    }
    if let Some(flag) = instruction.flag("keep-git-dir") {
        agree(&mut keep_git_dir, truth(flag)?).at(flag.name.span.as_ref())?;
    }
    let directory = directory.map(ImagePath::parse).transpose();
    let directory = directory.map_err(|error| Diagnostic::spec(error.to_string()).at(word.span.clone()))?;
    // As with BuildKit, of a directory there is no repository.
    let keep_git_dir = keep_git_dir == Some(true) && directory.is_none();
    let git = Git { package: WorkspacePath::root(), url, name, commit, sha256: None, keep_git_dir };
    Ok(PlaceSource::Git { git: Spanned { value: git, span: word.span.clone() }, directory })
}
