//! `--offline`: what the store lacks is not to be had.

use std::error::Error;

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::oci::{Descriptor, Reference, Repository};
use crate::store::{Store, Supplier};

/// In place of all registries.
pub(super) struct Offline;

impl Registry for Offline {
    fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic> {
        Err(refused(&Repository::of(reference)))
    }

    fn blob(&self, reference: &Reference, _: &Descriptor, _: &Store) -> Result<(), Diagnostic> {
        Err(refused(&Repository::of(reference)))
    }
}

impl Supplier for Offline {
    fn bring(&self, _: &Descriptor, sources: &[Repository], _: &Store) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(sources.first().map_or_else(|| "it is not known where it is".into(), |source| refused(source).into()))
    }
}

fn refused(repository: &Repository) -> Diagnostic {
    let error = Diagnostic::failure(format!("the store lacks it, and without network {repository} cannot be asked"));
    error.help("run once without `--offline`: the store keeps what was brought")
}
