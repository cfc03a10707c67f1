//! As whom a command runs: looked up in the image's own `/etc/passwd` and `/etc/group`, as container engines do it.

use crate::diagnostic::Diagnostic;
use crate::sandbox::User;
use crate::store::Store;
use crate::target::{Id, Owner};

use super::compose::owner::{Owners, damaged, number};
use super::filesystem::FileSystem;

/// A user as a command finds itself.
pub(super) struct Account {
    pub(super) user: User,
    /// The home directory.
    pub(super) home: String,
}

/// Home of a user whom the image does not know.
const NO_HOME: &str = "/";

impl Account {
    /// The account of `owner` in the image `below`. A number need not be in `/etc/passwd`; without a group it is then in group
    /// 0. An explicit group leaves the user no other; else there are those of `/etc/group` that list the user's name.
    ///
    /// # Errors
    /// A name that the image does not know, but for `root`, who is 0 everywhere.
    pub(super) fn of(owner: &Owner, below: &FileSystem, store: &Store) -> Result<Account, Diagnostic> {
        let owners = Owners::new(below, store);
        let line = match &owner.user {
            Id::Number(uid) => owners.lines("passwd")?.find(|fields| number(fields, 2) == Some(*uid)),
            Id::Name(name) => match owners.lookup("passwd", name) {
                Err(_) if name == "root" => None,
                line => Some(line?),
            },
        };
        let name = line.as_ref().map_or("", |fields| fields[0]);
        let of_line = |index| match &line {
            Some(fields) => number(fields, index).ok_or_else(|| damaged("passwd", name)),
            None => Ok(0),
        };
        let uid = match &owner.user {
            Id::Number(uid) => *uid,
            Id::Name(_) => of_line(2)?,
        };
        let (gid, groups) = match &owner.group {
            Some(Id::Number(gid)) => (*gid, Vec::new()),
            Some(Id::Name(group)) => {
                let fields = owners.lookup("group", group)?;
                (number(&fields, 2).ok_or_else(|| damaged("group", group))?, Vec::new())
            }
            None => {
                let lists = |fields: &Vec<&str>| {
                    !name.is_empty() && fields.get(3).is_some_and(|members| members.split(',').any(|one| one == name))
                };
                let groups = owners.lines("group")?.filter(lists).filter_map(|fields| number(&fields, 2));
                (of_line(3)?, groups.collect())
            }
        };
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Diagnostic::spec(format!("a command cannot run as `{owner}`: {} means nobody", u32::MAX))
                .help("choose a smaller number"));
        }
        let home = line.as_ref().and_then(|fields| fields.get(5)).filter(|home| !home.is_empty());
        Ok(Account { user: User { uid, gid, groups }, home: home.map_or(NO_HOME, |home| home).to_owned() })
    }

    /// Who runs where nothing else is said.
    pub(super) fn root() -> Account {
        Account { user: User::default(), home: "/root".to_owned() }
    }
}
