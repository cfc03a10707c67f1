//! A client as the registry from which images are imported.

use crate::diagnostic::Diagnostic;
use crate::image::Registry;
use crate::oci::{Descriptor, Reference, Repository};
use crate::store::Store;

use super::{Client, ManifestName};

impl Registry for Client {
    fn manifest(&self, reference: &Reference) -> Result<Option<(Descriptor, Vec<u8>)>, Diagnostic> {
        Ok(Client::manifest(self, &Repository::of(reference), &ManifestName::of(reference))?)
    }

    fn blob(&self, reference: &Reference, blob: &Descriptor, store: &Store) -> Result<(), Diagnostic> {
        Ok(self.download(&Repository::of(reference), blob, store, &|_| ())?)
    }
}
