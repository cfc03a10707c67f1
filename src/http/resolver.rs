//! Name resolution that keeps away from addresses that only this machine has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::is_loopback;

/// Refuses link-local and unspecified addresses, by whatever name: cloud machines serve their credentials on the
/// former, and the latter is this machine. Loopback and private networks are where mirrors live, and stay. Names of this
/// machine are believed to be of it, so they have to be, whatever a name server says. Behind a proxy, it is the proxy that
/// resolves.
#[derive(Debug, Default)]
pub(super) struct PublicResolver {
    inner: DefaultResolver,
}

impl Resolver for PublicResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.inner.resolve(uri, config, timeout)?;
        let of_this_machine = is_loopback(uri);
        match addresses.iter().find_map(|address| refusal(address, of_this_machine)) {
            Some(reason) => Err(ureq::Error::Other(reason.into())),
            None => Ok(addresses),
        }
    }
}

/// Why nobody is to be asked at an address that a host has.
fn refusal(address: &SocketAddr, of_this_machine: bool) -> Option<String> {
    let ip = address.ip();
    let reason = match () {
        () if is_hidden(ip) => "link-local or unspecified",
        () if of_this_machine && !ip.to_canonical().is_loopback() => "not one of this machine",
        () => return None,
    };
    Some(format!("the host has the address {ip}, which is {reason}"))
}

/// True for addresses that only this machine or its link has a use for.
pub(super) fn is_hidden(address: IpAddr) -> bool {
    let of_version_4 = |ip: Ipv4Addr| ip.is_link_local() || ip.is_unspecified();
    match address.to_canonical() {
        IpAddr::V4(ip) => of_version_4(ip),
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local() || ip.is_unspecified() || translated(ip).is_some_and(of_version_4) || ip == EC2
        }
    }
}

/// What is link-local by purpose, if not by range: EC2's instance metadata service.
const EC2: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The address that a gateway makes of another: NAT64 (RFC 6052, 2.1), IPv4-compatible (RFC 4291, 2.5.5.1) and 6to4
/// (RFC 3056, 2).
fn translated(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_unspecified_addresses_are_refused() {
        for address in [
            "169.254.169.254:80",
            "0.0.0.0:80",
            "[fe80::1]:80",
            "[::]:80",
            "[::ffff:169.254.1.1]:80",
            "[::169.254.1.1]:80",
            "[64:ff9b::a9fe:a9fe]:80",
            "[2002:a9fe:a9fe::1]:80",
            "[fd00:ec2::254]:80",
        ] {
            let reason = refusal(&address.parse().unwrap(), false).unwrap();
            assert!(reason.contains("link-local"), "{reason}");
        }
        for address in
            ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "93.184.216.34:443", "[64:ff9b::1]:443", "[fd00::1]:1"]
        {
            assert_eq!(refusal(&address.parse().unwrap(), false), None, "{address}");
        }
        for (address, expected) in [("127.0.0.1:80", true), ("[::1]:80", true), ("10.0.0.1:80", false)] {
            assert_eq!(refusal(&address.parse().unwrap(), true).is_none(), expected, "{address}");
        }
    }
}
