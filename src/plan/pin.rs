//! What the lock says of a name.

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::fetch::FetchError;
use crate::git::{Pin, WrongCommit};
use crate::oci::Reference;
use crate::platform::Platform;
use crate::source::{ImagePin, Lock};
use crate::target::{Fetch, Git, Label, OciReference};

use super::targets::TargetGraph;

/// Why a name has no digest.
#[derive(Debug)]
pub(super) enum Unpinned<'a> {
    Image(&'a Reference),
    Platform {
        reference: &'a Reference,
        wanted: &'a Platform,
        pin: &'a ImagePin,
    },
    Fetch(&'a Fetch),
    Git(&'a Git),
    /// The spec wants another commit than the lock has.
    WrongCommit(&'a Git, WrongCommit),
    /// It has a digest without a commit.
    HalfPinned(&'a Git),
    /// Its digest is in the spec, and what else would have to be pinned is not.
    GitDirPinned(&'a Git),
}

/// The name with the digest of its image for `platform`; one that has a digest is as it was.
pub(super) fn image<'a>(
    OciReference { reference }: &'a OciReference,
    platform: &'a Platform,
    lock: &'a Lock,
) -> Result<OciReference, Unpinned<'a>> {
    if reference.digest.is_some() {
        return Ok(OciReference { reference: reference.clone() });
    }
    let pin = lock.images.get(reference).ok_or(Unpinned::Image(reference))?;
    match pin.platforms.get(platform) {
        Some(digest) => Ok(OciReference { reference: Reference { digest: Some(*digest), ..reference.clone() } }),
        None => Err(Unpinned::Platform { reference, wanted: platform, pin }),
    }
}

/// The digest of a file: the spec's, else the lock's.
pub(super) fn fetch<'a>(fetch: &'a Fetch, lock: &Lock) -> Result<Digest, Unpinned<'a>> {
    let locked = || lock.fetches.get(&fetch.lock_name()?).copied();
    fetch.sha256.or_else(locked).ok_or(Unpinned::Fetch(fetch))
}

/// The commit of a ref and the digest of its files: the spec's, else the lock's.
pub(super) fn git<'a>(git: &'a Git, lock: &Lock) -> Result<Pin, Unpinned<'a>> {
    match (&git.commit, git.sha256) {
        (_, Some(_)) if git.keep_git_dir => Err(Unpinned::GitDirPinned(git)),
        (Some(commit), Some(sha256)) => Ok(Pin { commit: commit.clone(), tag: None, sha256 }),
        (None, Some(_)) => Err(Unpinned::HalfPinned(git)),
        (_, None) => {
            let pin = lock.commits.get(&git.remote()).ok_or(Unpinned::Git(git))?;
            git.check(&pin.commit).map_err(|error| Unpinned::WrongCommit(git, error))?;
            Ok(pin.clone())
        }
    }
}

impl Unpinned<'_> {
    /// The error in a spec that `target` is in.
    pub(super) fn explained(&self, target: &Label, targets: &TargetGraph) -> Diagnostic {
        match self {
            Unpinned::Image(reference) => {
                let error = Diagnostic::spec(format!("the image `{reference}` is not pinned"));
                let sibling = sibling(reference, target, targets);
                let instead =
                    sibling.map_or(String::new(), |label| format!("; for the target, write `:{}`", label.name));
                error.label("has no digest in ocify.lock").help(format!("run `ocify lock`, which pins it{instead}"))
            }
            Unpinned::Fetch(fetch) if fetch.urls.is_empty() => FetchError::NoUrls.into(),
            Unpinned::Fetch(fetch) => {
                let error = Diagnostic::spec(format!("the file `{}` is not pinned", fetch.title()));
                error.label("has no digest in ocify.lock").help("run `ocify lock`, which pins it, or give its `sha256`")
            }
            Unpinned::Git(git) => {
                let error = Diagnostic::spec(format!("the commit `{}` is not pinned", git.title()));
                error
                    .label("has no digest in ocify.lock")
                    .help("run `ocify lock`, which pins it, or give its `commit` and `sha256`")
            }
            Unpinned::WrongCommit(git, error) => Diagnostic::from(error.clone())
                .help(format!("ocify.lock says so; `ocify update {}` pins what the ref stands for now", git.remote())),
            Unpinned::HalfPinned(git) => {
                let error = Diagnostic::spec(format!("the commit `{}` is pinned by half", git.title()));
                error.label("needs `commit`").help(
                    "give both `commit` and `sha256`, or neither and run `ocify lock`, which writes both into ocify.lock",
                )
            }
            Unpinned::GitDirPinned(git) => {
                let error = Diagnostic::spec(format!("the `.git` of `{}` cannot be pinned in the spec", git.title()));
                error.label("has `keep_git_dir` and `sha256`").help(
                    "take `sha256` away and run `ocify lock`: a tag is an object of its own, which ocify.lock has as well",
                )
            }
            Unpinned::Platform { reference, wanted, pin } => {
                let has: Vec<String> = pin.platforms.keys().map(Platform::to_string).collect();
                let error = Diagnostic::spec(format!("the image `{reference}` is not pinned for {wanted}"));
                error.label(format!("is pinned for {}", has.join(", "))).help(format!(
                    "say for which of these the image is built with `platform` or `--platform`; if the registry has it for \
                     {wanted} by now, `ocify update {reference}` pins it anew"
                ))
            }
        }
    }
}

/// The target of the same package that was meant: `web` instead of `:web`.
fn sibling<'a>(reference: &Reference, target: &Label, targets: &'a TargetGraph) -> Option<&'a Label> {
    let is_meant = |name: &str| name.parse::<Reference>().is_ok_and(|name| name.canonical() == *reference);
    let labels = targets.iter().map(|other| &other.label);
    labels.into_iter().find(|label| label.package == target.package && is_meant(&label.name))
}
