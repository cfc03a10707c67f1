//! Name resolution that keeps away from addresses that only this machine has.

use std::net::{IpAddr, SocketAddr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Refuses link-local and unspecified addresses, by whatever name: cloud machines serve their credentials on the
/// former, and the latter is this machine. Loopback and private networks are where mirrors live, and stay. Behind a
/// proxy, it is the proxy that resolves.
#[derive(Debug, Default)]
pub(super) struct PublicResolver {
    inner: DefaultResolver,
}

impl Resolver for PublicResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.inner.resolve(uri, config, timeout)?;
        match addresses.iter().find(|address| is_refused(address)) {
            Some(address) => Err(ureq::Error::Other(
                format!("the host has the address {}, which is link-local or unspecified", address.ip()).into(),
            )),
            None => Ok(addresses),
        }
    }
}

fn is_refused(address: &SocketAddr) -> bool {
    is_hidden(address.ip())
}

/// True for addresses that only this machine or its link has a use for.
pub(super) fn is_hidden(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_unspecified_addresses_are_refused() {
        for address in ["169.254.169.254:80", "0.0.0.0:80", "[fe80::1]:80", "[::]:80", "[::ffff:169.254.1.1]:80"] {
            assert!(is_refused(&address.parse().unwrap()), "{address}");
        }
        for address in ["127.0.0.1:80", "10.0.0.1:80", "[::1]:80", "93.184.216.34:443", "[2606:2800::1]:443"] {
            assert!(!is_refused(&address.parse().unwrap()), "{address}");
        }
    }
}
