//! How a step finds hosts by name: /etc/hosts and /etc/resolv.conf of its own, which never get into its layer.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::path::ImagePath;
use crate::tree::Tree;

use super::error::SandboxError;
use super::request::STUBS;

/// What every step finds in /etc/hosts; the third name is its own.
const LOCALHOST: &str = "127.0.0.1\tlocalhost ocify\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// A file that covers one of the image.
#[derive(Serialize, Deserialize)]
pub(super) struct Cover {
    /// Its name in the directory in which the helper starts.
    pub file: String,
    /// Where it is mounted; no link is on the way, and something is there.
    pub path: ImagePath,
}

/// Makes the files in `place`: none for a step that sees neither network nor `hosts`.
///
/// # Errors
/// They cannot be written, or the image has no place for them.
pub(super) fn covers(
    below: &Tree,
    network: bool,
    hosts: &[(String, IpAddr)],
    place: &Path,
) -> Result<Vec<Cover>, SandboxError> {
    let mut covers = Vec::new();
    if network || !hosts.is_empty() {
        let lines = hosts.iter().map(|(name, address)| format!("{address}\t{name}\n"));
        let text: String = std::iter::once(LOCALHOST.to_owned()).chain(lines).collect();
        covers.push(cover("hosts", text.as_bytes(), below, place)?);
    }
    if network {
        // Without one, libraries ask a server on this machine.
        let text = match fs::read("/etc/resolv.conf") {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            text => text.map_err(SandboxError::Place)?,
        };
        covers.push(cover("resolv.conf", &text, below, place)?);
    }
    Ok(covers)
}

fn cover(name: &str, text: &[u8], below: &Tree, place: &Path) -> Result<Cover, SandboxError> {
    let path = ImagePath::parse(format!("etc/{name}")).expect("a plain path");
    let path = below.follow(&path).map_err(SandboxError::Names)?;
    let write = || {
        fs::write(place.join(name), text)?;
        fs::set_permissions(place.join(name), Permissions::from_mode(0o644))?;
        if below.get(&path).is_none() { make_stub(&path, &place.join(STUBS)) } else { Ok(()) }
    };
    write().map_err(SandboxError::Place)?;
    Ok(Cover { file: name.to_owned(), path })
}

/// An empty file on which one can be mounted, with the directories that lead to it.
fn make_stub(path: &ImagePath, stubs: &Path) -> io::Result<()> {
    let mut place = stubs.to_owned();
    let mut names = path.components().map(OsStr::from_bytes).peekable();
    while let Some(name) = names.next() {
        place.push(name);
        // With these modes whatever the umask of whoever builds is.
        if names.peek().is_none() {
            File::create(&place)?.set_permissions(Permissions::from_mode(0o644))?;
        } else if !place.exists() {
            fs::create_dir(&place)?;
            fs::set_permissions(&place, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}
