//! The source of a request for limits and codes: an address prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    address: IpAddr,
    is_proxys: bool,
    is_page: bool,
}

impl Source {
    /// The source at an address. An IPv4 address within an IPv6 one is the IPv4 address.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self { address: plain(address), is_proxys: false, is_page: false }
    }

    /// The source of a request whose proxy named no client: any client of the proxy may have sent it.
    #[must_use]
    pub fn behind(proxy: IpAddr) -> Self {
        Self { is_proxys: true, ..Self::at(proxy) }
    }

    /// Requests from this address that come from untrusted web pages. All such pages count as one source, because a
    /// client that is not a browser can claim any origin.
    #[must_use]
    pub fn of_page(self) -> Self {
        Self { is_page: true, ..self }
    }

    /// The canonical form for digests: the 16 bytes of the address prefix, and one more byte for untrusted web pages.
    /// Codes, sign-ups and known sources are stored under it. Rate limits use [`Source::prefix`] instead.
    #[must_use]
    pub fn to_canonical_bytes(self) -> Vec<u8> {
        let mut bytes = self.prefix().to_canonical_bytes().to_vec();
        bytes.extend(self.is_page.then_some(1));
        bytes
    }

    /// Whether an untrusted web page sent the request.
    #[must_use]
    pub fn is_page(self) -> bool {
        self.is_page
    }

    /// Whether this is the address of a proxy instead of a client.
    #[must_use]
    pub fn is_proxys(self) -> bool {
        self.is_proxys
    }

    /// The address itself, for the audit log.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// What limits and codes know it by.
    #[must_use]
    pub fn prefix(self) -> SourcePrefix {
        SourcePrefix::of(self.address)
    }

    /// The network of one customer: the first 48 bits of an IPv6 address.
    #[must_use]
    pub fn widened(self) -> Self {
        self.site().map_or(self, |SourcePrefix(address)| Self { address, ..self })
    }

    /// The first 48 bits of an IPv6 address, which one customer may hold.
    #[must_use]
    pub fn site(self) -> Option<SourcePrefix> {
        match self.address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => {
                let [a, b, c, ..] = v6.segments();
                Some(SourcePrefix(IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))))
            }
        }
    }
}

/// The IPv4 address within an IPv6 address: mapped (RFC 4291, 2.5.5.2), translated (RFC 6052, the prefix 64:ff9b::/96),
/// or with a network of its own (6to4, RFC 3056). Any other address is returned unchanged.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        _ => address.to_canonical(),
    }
}

/// An IPv4 address, or the first 64 bits of an IPv6 address: what one person can be expected to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourcePrefix(IpAddr);

impl SourcePrefix {
    /// The prefix of an address. An IPv4 address within an IPv6 one is the IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match plain(address) {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    /// One spelling per prefix, fit for digests and map keys.
    #[must_use]
    pub fn to_canonical_bytes(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_source_are_one_prefix() {
        let of = |text: &str| SourcePrefix::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:DB8:1:2::"));
        assert_eq!(of("192.0.2.1"), of("64:ff9b::192.0.2.1"));
        assert_eq!(of("192.0.2.1"), of("2002:c000:201:7::1"));
        assert_ne!(of("64:ff9b::192.0.2.1"), of("64:ff9b::192.0.2.2"));
        assert_ne!(of("64:ff9b:1::192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("2001:db8:1:2::"), of("2001:db8:1:3::"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        let bytes = |text| of(text).to_canonical_bytes();
        assert_eq!(bytes("192.0.2.1"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
        assert_eq!(bytes("2001:db8:1:2:3::"), [0x20, 1, 0xd, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        let here = Source::at("192.0.2.1".parse().unwrap());
        assert_eq!(here.to_canonical_bytes(), bytes("192.0.2.1"));
        let of_page = here.of_page().to_canonical_bytes();
        assert_eq!(of_page, [&bytes("192.0.2.1")[..], &[1]].concat());
        assert!(!here.is_page() && here.of_page().is_page() && !here.of_page().is_proxys());
        let proxys = Source::behind("192.0.2.1".parse().unwrap());
        assert!(!here.is_proxys() && proxys.is_proxys() && proxys.of_page().is_proxys());
        let widened = |text: &str| Source::at(text.parse().unwrap()).widened();
        assert_eq!(widened("2001:db8:1:2::7"), widened("2001:db8:1:ffff::"));
        assert_ne!(widened("2001:db8:1:2::7"), widened("2001:db8:2:2::7"));
        assert_eq!(here.of_page().widened(), here.of_page());
        let site = |text: &str| Source::at(text.parse().unwrap()).site();
        assert_eq!(site("2001:db8:1:2:3::"), Some(of("2001:db8:1::")));
        assert_eq!(site("::ffff:192.0.2.1"), None);
    }
}
