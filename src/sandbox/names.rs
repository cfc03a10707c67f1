//! How a step finds hosts by name: /etc/hosts and /etc/resolv.conf of its own.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;

use crate::path::ImagePath;

/// The files that a step may find in the place of the image's.
pub const NAMES: [&str; 2] = ["etc/hosts", "etc/resolv.conf"];

/// What every step finds in /etc/hosts; the second name is its own.
const LOCALHOST: &str = "127.0.0.1\tlocalhost ocify\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/// The files that cover those of the image, with their contents: none for a step that sees neither the network nor `hosts`.
///
/// # Errors
/// The machine's /etc/resolv.conf cannot be read.
pub(super) fn files(network: bool, hosts: &[(String, IpAddr)]) -> io::Result<Vec<(ImagePath, Vec<u8>)>> {
    let [hosts_file, resolver] = NAMES.map(|name| ImagePath::parse(name).expect("a plain path"));
    let mut files = Vec::new();
    if network || !hosts.is_empty() {
        let lines = hosts.iter().map(|(name, address)| format!("{address}\t{name}\n"));
        let text: String = std::iter::once(LOCALHOST.to_owned()).chain(lines).collect();
        files.push((hosts_file, text.into_bytes()));
    }
    if network {
        // Without one, libraries ask a server on this machine.
        let text = match fs::read("/etc/resolv.conf") {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            text => text?,
        };
        files.push((resolver, text));
    }
    Ok(files)
}
