//! The headers that come before an entry's own.

use crate::archive::read::Fault;
use crate::archive::read::pax::Pax;

/// What extension headers say about the entry that follows them.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub pax: Option<Pax>,
    /// GNU `L`.
    pub long_name: Option<Vec<u8>>,
    /// GNU `K`.
    pub long_link: Option<Vec<u8>>,
}

impl Extensions {
    /// True for the types of header that this takes in.
    pub fn takes(kind: u8) -> bool {
        matches!(kind, b'x' | b'g' | b'L' | b'K')
    }

    /// True when no header came before the entry.
    pub fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }

    /// Takes in the body of one header.
    ///
    /// # Errors
    /// Readers take the first, the last or a mixture of two headers of one kind, so only one of each is accepted; a
    /// global header stands between entries.
    pub fn take(&mut self, kind: u8, body: &[u8]) -> Result<(), Fault> {
        let again = match kind {
            b'x' => self.pax.replace(Pax::parse(body)?).is_some(),
            b'L' => self.long_name.replace(c_string(body)?).is_some(),
            b'K' => self.long_link.replace(c_string(body)?).is_some(),
            _ if !self.is_empty() => return Err(Fault::Extension("a global header stands before an entry's own")),
            _ => return Pax::check_global(body),
        };
        if again {
            return Err(Fault::Extension("there are two extension headers of the same type"));
        }
        let pax = self.pax.as_ref();
        if self.long_name.is_some() && pax.is_some_and(|pax| pax.path.is_some()) {
            return Err(Fault::Extension("there are both a PAX path and a GNU long name"));
        }
        if self.long_link.is_some() && pax.is_some_and(|pax| pax.link.is_some()) {
            return Err(Fault::Extension("there are both a PAX link path and a GNU long link"));
        }
        Ok(())
    }

    /// The name, if a header gives one.
    pub fn name(&self) -> Option<&Vec<u8>> {
        self.long_name.as_ref().or_else(|| self.pax.as_ref()?.path.as_ref())
    }

    /// The link target, if a header gives one.
    pub fn link(&self) -> Option<&Vec<u8>> {
        self.long_link.as_ref().or_else(|| self.pax.as_ref()?.link.as_ref())
    }
}

/// A GNU long name ends with a NUL byte, which older writers left out or repeated.
fn c_string(body: &[u8]) -> Result<Vec<u8>, Fault> {
    let end = body.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    match &body[..end] {
        [] => Err(Fault::EmptyName),
        name if name.contains(&0) => Err(Fault::Extension("a GNU long name has a NUL byte inside")),
        name => Ok(name.to_vec()),
    }
}
