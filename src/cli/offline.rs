//! `--offline`: what the store has not is not to be had.

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::oci::{Descriptor, Reference};
use crate::store::Store;

/// In place of all registries.
pub(super) struct Offline;

impl Registry for Offline {
    fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic> {
        Err(refused(format!("the image `{reference}`")))
    }

    fn blob(&self, reference: &Reference, blob: &Descriptor, _: &Store) -> Result<(), Diagnostic> {
        Err(refused(format!("{} of the image `{reference}`", blob.digest)))
    }
}

fn refused(what: String) -> Diagnostic {
    let error = Diagnostic::failure(format!("{what} is not in the store, and without network it cannot be asked for"));
    error.help("run once without `--offline`: the store keeps what was brought")
}
