//! The client's address: the socket's, or what a proxy says that the operator has listed.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use latchkey_domain::Source;

/// Addresses whose word about others is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl TrustedProxies {
    /// Parses addresses, networks such as `10.0.0.0/8`, and the words `loopback` and `private`.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, String> {
        let mut networks = Vec::new();
        for entry in entries {
            match entry.trim() {
                "loopback" => networks.extend(parsed(&["127.0.0.0/8", "::1/128"])),
                "private" => {
                    networks.extend(parsed(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"]));
                }
                other => networks.push(Network::parse(other).ok_or_else(|| other.to_owned())?),
            }
        }
        Ok(Self(networks))
    }

    /// Whether anybody is trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address.to_canonical()))
    }

    /// The client behind a chain of proxies: the rightmost address that is not a trusted proxy's. Without a
    /// trusted proxy at the socket, headers mean nothing. A malformed entry ends the chain.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        let mut hops: Vec<&str> = Vec::new();
        for value in headers.get_all("x-forwarded-for") {
            let Ok(value) = value.to_str() else { return client };
            hops.extend(value.split(','));
        }
        for hop in hops.into_iter().rev() {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { return client };
            client = address.to_canonical();
            if !self.contains(client) {
                return client;
            }
        }
        client
    }
}

fn parsed(networks: &[&str]) -> impl Iterator<Item = Network> {
    networks.iter().filter_map(|text| Network::parse(text))
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse::<u8>().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most).then_some(Self { address, bits })
    }

    fn contains(self, address: IpAddr) -> bool {
        let shared = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        shared >= u32::from(self.bits)
    }
}

/// The client's address, as the middleware found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

/// Where a request comes from.
pub(crate) fn source_of(request: &HttpRequest) -> Source {
    use actix_web::HttpMessage as _;
    let known = request.extensions().get::<ClientAddress>().copied();
    Source::at(known.map_or(IpAddr::from([0, 0, 0, 0]), |ClientAddress(address)| address))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let entries: Vec<String> = trusted.iter().map(|entry| (*entry).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_str(value).unwrap());
        }
        TrustedProxies::parse(&entries).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn sec_120_forwarded_headers_count_from_listed_proxies_only() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["private"], "10.1.2.3", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["private"], "::ffff:10.1.2.3", &["203.0.113.9"]), "203.0.113.9");
        // The rightmost hop that is not ours: what the client wrote himself stands to its left.
        assert_eq!(client(&["private"], "10.1.2.3", &["1.1.1.1, 203.0.113.9, 10.9.9.9"]), "203.0.113.9");
        assert_eq!(client(&["private"], "10.1.2.3", &["1.1.1.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["private"], "10.1.2.3", &["203.0.113.9, nonsense"]), "10.1.2.3");
        assert_eq!(client(&["private"], "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client(&["loopback"], "::1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn entries_that_are_no_networks_are_named() {
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0.0/x", "::/129"] {
            assert_eq!(TrustedProxies::parse(&[wrong.to_owned()]).unwrap_err(), wrong);
        }
    }

    proptest! {
        #[test]
        fn sec_120_no_header_makes_an_untrusted_peer_another(value in "[ -~]{0,60}") {
            prop_assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &[&value]), "192.0.2.1");
            let _ = client(&["10.0.0.0/8"], "10.0.0.1", &[&value]);
        }
    }
}
