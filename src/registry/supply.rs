//! Layers that are brought when they are needed.

use std::error::Error;

use crate::oci::{Descriptor, Repository};
use crate::store::{Store, Supplier};

use super::Client;

impl Supplier for Client {
    fn bring(
        &self,
        blob: &Descriptor,
        sources: &[Repository],
        store: &Store,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut first = None;
        for source in sources {
            match self.download(source, blob, store, &|_| ()) {
                Ok(()) => return Ok(()),
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.map_or_else(|| "it is not known where it is".into(), Into::into))
    }
}
