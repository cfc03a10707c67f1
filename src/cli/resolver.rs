//! What names stand for now: registries and servers are asked, several at the same time.

use std::panic::resume_unwind;
use std::thread;

use crate::diagnostic::Diagnostic;
use crate::digest::Digest;
use crate::fetch::Client;
use crate::git::{Pin, RemoteRef};
use crate::image::{self, Registry};
use crate::oci::Reference;
use crate::source::{ImagePin, Workspace};
use crate::store::Store;
use crate::target::Fetch;

/// How many names are asked for at the same time.
const AT_ONCE: usize = 8;

/// Whoever is asked.
pub(super) struct Resolver<'a> {
    pub(super) registry: &'a dyn Registry,
    pub(super) client: &'a Client,
    pub(super) workspace: &'a Workspace,
    pub(super) store: &'a Store,
}

impl Resolver<'_> {
    /// What the name of an image stands for.
    ///
    /// # Errors
    /// The registry cannot be asked, or what it has under this name is no image.
    pub(super) fn image(&self, reference: &Reference) -> Result<ImagePin, Diagnostic> {
        let resolved = image::resolve(self.registry, reference, self.store).map_err(|error| {
            let help = error.help();
            let diagnostic = Diagnostic::failure(format!("`{reference}` cannot be pinned")).caused_by(error);
            help.into_iter().fold(diagnostic, Diagnostic::help)
        })?;
        match resolved {
            Some(resolved) if !resolved.platforms.is_empty() => {
                Ok(ImagePin { digest: resolved.digest, platforms: resolved.platforms })
            }
            Some(resolved) => {
                let message = format!("`{reference}` has no platform with exactly one image ({})", resolved.digest);
                Err(Diagnostic::failure(message).help("name the image that is meant by its digest"))
            }
            None => Err(Diagnostic::failure(format!("the registry has no image `{reference}`"))
                .help("is the name right, and the tag? some registries say so as well to who is not logged in")),
        }
    }

    /// The SHA-256 of a file, which the store has afterwards.
    ///
    /// # Errors
    /// No URL gives it.
    pub(super) fn file(&self, fetch: &Fetch) -> Result<Digest, Diagnostic> {
        Ok(self.client.discover(fetch, self.workspace, self.store)?)
    }

    /// The commit that a ref stands for, and the digest of its files, which the store has afterwards.
    ///
    /// # Errors
    /// The repository cannot be asked, or has no such ref.
    pub(super) fn commit(&self, remote: &RemoteRef) -> Result<Pin, Diagnostic> {
        self.client.discover_commit(remote, self.workspace, self.store).map_err(|error| {
            // The URL is in the lock, so it may be shown.
            let help = error.help();
            let diagnostic = Diagnostic::failure(format!("`{remote}` cannot be pinned")).caused_by(error);
            help.into_iter().fold(diagnostic, Diagnostic::help)
        })
    }
}

/// What `ask` gives for each item, in their order.
///
/// # Errors
/// All that went wrong.
pub(super) fn each<T: Sync, R: Send>(
    items: &[T],
    ask: impl Fn(&T) -> Result<R, Diagnostic> + Sync,
) -> Result<Vec<R>, Diagnostic> {
    let (mut answers, mut errors) = (Vec::new(), Vec::new());
    for some in items.chunks(AT_ONCE) {
        thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|item| scope.spawn(|| ask(item))).collect();
            for thread in threads {
                match thread.join().unwrap_or_else(|panic| resume_unwind(panic)) {
                    Ok(answer) => answers.push(answer),
                    Err(error) => errors.push(error),
                }
            }
        });
    }
    let mut errors = errors.into_iter();
    errors.next().map_or(Ok(answers), |first| Err(first.and(errors)))
}
