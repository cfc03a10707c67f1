//! `--add-host`: a name of a host, and its address.

use std::net::{IpAddr, Ipv4Addr};

/// In place of an address: the machine, whose network commands share.
const GATEWAY: &str = "host-gateway";

/// `NAME:IP` or `NAME=IP`; an IPv6 address may stand in brackets.
pub(super) fn host(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).unwrap_or((text, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || address.is_empty() || !name.chars().all(plain) {
        return Err("it should look like NAME:ADDRESS".into());
    }
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    let address = match bare {
        GATEWAY => IpAddr::V4(Ipv4Addr::LOCALHOST),
        bare => bare.parse().map_err(|_| format!("`{address}` is no address, such as 10.0.0.5 or ::1"))?,
    };
    Ok((name.to_owned(), address))
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn names_and_addresses() {
        for (text, name, address) in [
            ("db:10.0.0.5", "db", "10.0.0.5"),
            ("db=10.0.0.5", "db", "10.0.0.5"),
            ("db.example:::1", "db.example", "::1"),
            ("db:[fe80::2]", "db", "fe80::2"),
            ("db=[::1]", "db", "::1"),
            ("host.docker.internal:host-gateway", "host.docker.internal", "127.0.0.1"),
        ] {
            assert_eq!(host(text).unwrap(), (name.to_owned(), address.parse().unwrap()), "{text}");
        }
        for text in ["", "db", "db:", ":1.2.3.4", "db:1.2.3", "db:1.2.3.4 x", "a b:1.2.3.4", "a\nb=1.2.3.4"] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
