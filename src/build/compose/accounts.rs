//! `accounts`: users and groups in `/etc/passwd` and `/etc/group`, with home directories.

use crate::diagnostic::Diagnostic;
use crate::entry::{Content, Entry, Kind, Metadata};
use crate::path::ImagePath;
use crate::target::{Accounts, Group, User};
use crate::tree::Changeset;

use super::owner::read_database;
use super::{Composition, insert};

pub(super) fn compose(accounts: &Accounts, composition: &Composition) -> Result<Changeset, Diagnostic> {
    let mut passwd = Database::read("passwd", composition)?;
    let mut group = Database::read("group", composition)?;
    for wanted in &accounts.groups {
        group.add(group_line(wanted)?)?;
    }
    for user in &accounts.users {
        let gid = user.gid.unwrap_or(user.uid);
        if !group.has_number(gid) {
            group.add(group_line(&Group { name: user.name.clone(), gid, members: Vec::new() })?)?;
        }
        passwd.add(user_line(user, gid)?)?;
    }

    let mut changes = Changeset::new();
    passwd.store(&mut changes, composition)?;
    group.store(&mut changes, composition)?;
    for user in accounts.users.iter().filter(|user| user.create_home) {
        let path = ImagePath::parse(home(user)).map_err(|error| Diagnostic::spec(error.to_string()))?;
        // A home that is there already, such as `/` or `/var/lib/app`, stays as it is.
        if path.is_root() || composition.below.tree.get(&path).is_some() {
            continue;
        }
        let mut metadata = Metadata::root_owned(0o700, composition.epoch);
        (metadata.uid, metadata.gid) = (user.uid, user.gid.unwrap_or(user.uid));
        insert(&mut changes, Entry { path, metadata, kind: Kind::Directory })?;
    }
    Ok(changes)
}

/// One of the two files, line by line: `name:x:number:...` (passwd(5), group(5)).
struct Database {
    file: &'static str,
    lines: Vec<String>,
    changed: bool,
}

impl Database {
    fn read(file: &'static str, composition: &Composition) -> Result<Self, Diagnostic> {
        let text = read_database(composition.below, composition.store, file)?;
        Ok(Database { file, lines: text.lines().map(str::to_owned).collect(), changed: false })
    }

    fn has_number(&self, number: u32) -> bool {
        let number = number.to_string();
        self.lines.iter().any(|line| line.split(':').nth(2) == Some(&number))
    }

    fn add(&mut self, line: String) -> Result<(), Diagnostic> {
        let name = line.split(':').next().unwrap_or("");
        match self.lines.iter().find(|other| other.split(':').next() == Some(name)) {
            Some(same) if *same == line => Ok(()),
            Some(other) => Err(Diagnostic::spec(format!("`{name}` is in the image's /etc/{} already", self.file))
                .help(format!("the image has `{other}`, the spec asks for `{line}`"))),
            None => {
                self.lines.push(line);
                self.changed = true;
                Ok(())
            }
        }
    }

    /// Adds the file to the layer if a line is new. Mode and owner stay as they were.
    fn store(&self, changes: &mut Changeset, composition: &Composition) -> Result<(), Diagnostic> {
        if !self.changed {
            return Ok(());
        }
        let path = ImagePath::parse(format!("etc/{}", self.file)).expect("a plain path");
        let below = composition.below.tree.get(&path).filter(|node| matches!(node.kind, Kind::File { .. }));
        let mut metadata =
            below.map_or_else(|| Metadata::root_owned(0o644, composition.epoch), |node| node.metadata.clone());
        metadata.mtime = composition.epoch;
        let text: String = self.lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        insert(changes, Entry { path, metadata, kind: Kind::File { content: Content::inline(text.into_bytes()) } })
    }
}

fn user_line(user: &User, gid: u32) -> Result<String, Diagnostic> {
    check_name(&user.name)?;
    let home = home(user);
    if !home.starts_with('/') {
        return Err(Diagnostic::spec(format!("the home directory of `{}` is not an absolute path", user.name)));
    }
    for field in [&user.gecos, &home, &user.shell] {
        check_field(field)?;
    }
    Ok(format!("{}:x:{}:{gid}:{}:{home}:{}", user.name, user.uid, user.gecos, user.shell))
}

fn group_line(group: &Group) -> Result<String, Diagnostic> {
    check_name(&group.name)?;
    group.members.iter().try_for_each(|member| check_name(member))?;
    Ok(format!("{}:x:{}:{}", group.name, group.gid, group.members.join(",")))
}

fn home(user: &User) -> String {
    user.home.clone().unwrap_or_else(|| format!("/home/{}", user.name))
}

/// What useradd(8) accepts.
fn check_name(name: &str) -> Result<(), Diagnostic> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let stem = name.strip_suffix('$').unwrap_or(name);
    let rest = stem.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if first && rest && name.len() <= 32 {
        return Ok(());
    }
    Err(Diagnostic::spec(format!("`{name}` is not the name of a user or group"))
        .help("a name has up to 32 letters, digits, `.`, `_` and `-`, and begins with a letter or `_`"))
}

fn check_field(field: &str) -> Result<(), Diagnostic> {
    if field.contains([':', '\n', '\0']) {
        return Err(Diagnostic::spec(format!("`{field}` cannot stand in /etc/passwd: it has a colon or a line end")));
    }
    Ok(())
}
