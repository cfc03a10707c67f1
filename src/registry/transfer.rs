//! Blobs that are copied at the same time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::oci::Descriptor;

use super::RegistryError;

/// How many blobs are copied at the same time: registries serve one connection slower than the line, and limit how many
/// they take from one client.
const STREAMS: usize = 4;

/// Is told what is copied, from any thread.
pub trait Progress: Sync {
    /// A blob is begun.
    fn begun(&self, _blob: &Descriptor) {}

    /// So many more bytes of it have arrived; fewer than its size if it is begun anew.
    fn advanced(&self, _blob: &Descriptor, _bytes: u64) {}

    /// It is where it should be.
    fn ended(&self, _blob: &Descriptor, _how: Transferred) {}
}

/// Nobody is told.
impl Progress for () {}

/// How a blob came to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// Its bytes went over the line.
    Copied,
    /// It was there.
    Present,
    /// The registry took it from another repository of its own.
    Mounted,
}

/// Copies each of `blobs` with `copy`, which tells by the function that it is given how many bytes have arrived. After a
/// failure none is begun.
///
/// # Errors
/// The failure of the first blob in their order that failed.
pub(super) fn each<'a>(
    blobs: impl IntoIterator<Item = &'a Descriptor>,
    progress: &dyn Progress,
    copy: impl Fn(&Descriptor, &(dyn Fn(u64) + Sync)) -> Result<Transferred, RegistryError> + Sync,
) -> Result<(), RegistryError> {
    let blobs: Vec<&Descriptor> = blobs.into_iter().collect();
    let (failed, failures) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let queue = Mutex::new(blobs.iter().enumerate());
    let work = || {
        while !failed.load(Ordering::Relaxed) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, blob)) = next else { return };
            progress.begun(blob);
            match copy(blob, &|bytes| progress.advanced(blob, bytes)) {
                Ok(how) => progress.ended(blob, how),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    failures.lock().unwrap_or_else(PoisonError::into_inner).push((at, error));
                }
            }
        }
    };
    thread::scope(|scope| {
        // This thread works, too: for one blob no other is needed.
        for _ in 1..STREAMS.min(blobs.len()) {
            scope.spawn(work);
        }
        work();
    });
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.into_iter().min_by_key(|(at, _)| *at).map_or(Ok(()), |(_, error)| Err(error))
}
