//! Owners by name, looked up in the image's own `/etc/passwd` and `/etc/group`.

use std::cell::OnceCell;

use crate::diagnostic::{Diagnostic, nearest};
use crate::path::ImagePath;
use crate::store::Store;
use crate::target::{Id, Owner};

use super::super::filesystem::FileSystem;
use super::Composition;

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// The users and groups of an image; read when the first name is looked up.
pub(in crate::build) struct Owners<'a> {
    below: &'a FileSystem,
    store: &'a Store,
    passwd: OnceCell<String>,
    group: OnceCell<String>,
}

impl<'a> Owners<'a> {
    /// The owners that the image below a layer knows.
    pub(in crate::build) fn new(below: &'a FileSystem, store: &'a Store) -> Self {
        Owners { below, store, passwd: OnceCell::new(), group: OnceCell::new() }
    }

    /// The owners that the layer's own image knows.
    pub(super) fn of(composition: &Composition<'a>) -> Self {
        Owners::new(composition.below, composition.store)
    }

    /// User and group number of `owner`.
    ///
    /// # Errors
    /// A name that the image does not know.
    pub(super) fn resolve(&self, owner: &Owner) -> Result<(u32, u32), Diagnostic> {
        let (uid, own_gid) = match &owner.user {
            Id::Number(uid) => (*uid, *uid),
            Id::Name(name) => {
                let fields = self.lookup("passwd", name)?;
                match (number(&fields, 2), number(&fields, 3)) {
                    (Some(uid), Some(gid)) => (uid, gid),
                    _ => return Err(damaged("passwd", name)),
                }
            }
        };
        let gid = match &owner.group {
            None => own_gid,
            Some(Id::Number(gid)) => *gid,
            Some(Id::Name(name)) => {
                let fields = self.lookup("group", name)?;
                number(&fields, 2).ok_or_else(|| damaged("group", name))?
            }
        };
        Ok((uid, gid))
    }

    /// As [`Owners::resolve`], as BuildKit does it: a user that the image does not know is root, an unknown group that of the
    /// user. What was not found comes with it.
    ///
    /// # Errors
    /// A name where the image has no `/etc/passwd` or `/etc/group` at all; a damaged line.
    pub(super) fn resolve_leniently(&self, owner: &Owner) -> Result<((u32, u32), Vec<Diagnostic>), Diagnostic> {
        let mut unknown = Vec::new();
        let mut known = |file: &str, one: Owner| {
            let path = ImagePath::parse(format!("etc/{file}")).map_err(|error| Diagnostic::spec(error.to_string()))?;
            let has_file = self.below.tree.resolve(&path).is_ok();
            match self.resolve(&one) {
                Ok(found) => Ok(Some(found)),
                Err(error) if has_file => {
                    unknown.push(error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let (uid, own_gid) = known("passwd", Owner { user: owner.user.clone(), group: None })?.unwrap_or((0, 0));
        let gid = match &owner.group {
            None => own_gid,
            Some(group) => {
                let of_group = Owner { user: Id::Number(0), group: Some(group.clone()) };
                known("group", of_group)?.map_or(own_gid, |(_, gid)| gid)
            }
        };
        Ok(((uid, gid), unknown))
    }

    /// The fields of the line of `name` in `/etc/passwd` or `/etc/group`.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::build) fn lookup(&self, file: &str, name: &str) -> Result<Vec<&str>, Diagnostic> {
        let found = self.lines(file)?.find(|fields| fields[0] == name);
        let mut known = self.lines(file)?.map(|fields| fields[0]);
        found.ok_or_else(|| {
            let error = Diagnostic::spec(format!("`{name}` is not in the image's /etc/{file}"));
            error.help(match nearest(name, &mut known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "add it in an earlier layer with `accounts(...)`, or give the number".into(),
            })
        })
    }

    /// The fields of each line of `/etc/passwd` or `/etc/group` (passwd(5), group(5)), at least one.
    pub(in crate::build) fn lines(&self, file: &str) -> Result<impl Iterator<Item = Vec<&str>>, Diagnostic> {
        let cell = if file == "passwd" { &self.passwd } else { &self.group };
        if cell.get().is_none() {
            let _ = cell.set(read_database(self.below, self.store, file)?);
        }
        Ok(cell.get().into_iter().flat_map(|text| text.lines()).map(|line| line.split(':').collect()))
    }
}

/// The text of `/etc/passwd` or `/etc/group` below the layer; empty if there is none.
pub(super) fn read_database(below: &FileSystem, store: &Store, file: &str) -> Result<String, Diagnostic> {
    let path = ImagePath::parse(format!("etc/{file}")).expect("a plain path");
    let bytes = below.read(store, &path, LIMIT)?.unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| Diagnostic::failure(format!("`{path}` of the image is not UTF-8")))
}

/// The number in a field.
pub(in crate::build) fn number(fields: &[&str], index: usize) -> Option<u32> {
    fields.get(index)?.parse().ok()
}

/// A line that has no number where one belongs.
pub(in crate::build) fn damaged(file: &str, name: &str) -> Diagnostic {
    Diagnostic::failure(format!("the line of `{name}` in the image's /etc/{file} has no number where one belongs"))
}
