//! The client's address: the socket's, or the one reported by a trusted proxy. Headers are read from right to left, hop
//! by hop: a client may have forged everything left of an untrusted hop.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;
use latchkey_domain::Source;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";
/// The networks behind the words `loopback` and `private`.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
/// Headers that proxies write.
const OF_PROXIES: [&str; 5] = [X_FORWARDED_FOR, FORWARDED, "x-real-ip", "x-forwarded-proto", "via"];

/// Addresses whose word about others is taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    /// Whether it was logged that a header of theirs could not be read.
    has_complained: Arc<AtomicBool>,
    /// Whether a proxy without a forwarding header was logged.
    has_missed_clients: Arc<AtomicBool>,
}

/// One hop of a chain of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hop {
    Address(IpAddr),
    /// A name, a secret or nonsense: nothing to its left can be believed.
    Unreadable,
}

impl TrustedProxies {
    /// Parses addresses, networks such as `10.0.0.0/8`, and the words `loopback` and `private`.
    ///
    /// # Errors
    /// The problem: an invalid entry, or a list of all addresses.
    pub(crate) fn parse(entries: &[String]) -> Result<Self, String> {
        let mut networks = Vec::new();
        for entry in entries {
            match entry.trim() {
                "loopback" => networks.extend(LOOPBACK.into_iter().filter_map(network)),
                "private" => networks.extend(PRIVATE.into_iter().filter_map(network)),
                other => {
                    let invalid =
                        || format!("\"{other}\" is no address or network, and neither loopback nor private");
                    networks.push(network(other).ok_or_else(invalid)?);
                }
            }
        }
        let networks = IpNet::aggregate(&networks);
        if let Some(all) = networks.iter().find(|network| network.prefix_len() == 0) {
            let family = if all.addr().is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(format!(
                "these are all {family} addresses: any client could write its own; list your proxies"
            ));
        }
        Ok(Self { networks, ..Self::default() })
    }

    /// Whether anybody is trusted.
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether this is one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// The client behind a chain of proxies: the rightmost address that is not a trusted proxy's. Without a trusted
    /// proxy at the socket, headers mean nothing. A hop that cannot be read ends the chain. Where both headers are
    /// there and name different clients, one of them was written by the client: the chain ends at the proxy.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Source {
        let peer = peer.to_canonical();
        if !self.contains(peer) {
            return Source::at(peer);
        }
        let named: Vec<Source> = [X_FORWARDED_FOR, FORWARDED]
            .into_iter()
            .filter(|name| headers.contains_key(*name))
            .map(|name| self.client_in(peer, &hops(headers, name)))
            .collect();
        match named.as_slice() {
            [] => Source::behind(peer),
            [client] => *client,
            [one, other, ..] if one == other => *one,
            _ => {
                self.complain("X-Forwarded-For and Forwarded name different clients");
                Source::behind(peer)
            }
        }
    }

    fn client_in(&self, peer: IpAddr, hops: &[Hop]) -> Source {
        let mut client = peer;
        for hop in hops.iter().rev() {
            match hop {
                Hop::Unreadable => {
                    self.complain("a hop is not an address");
                    return Source::behind(client);
                }
                Hop::Address(address) => client = *address,
            }
            if !self.contains(client) {
                return Source::at(client);
            }
        }
        if hops.is_empty() { Source::behind(peer) } else { Source::at(client) }
    }

    /// Logs once that a trusted proxy sends no forwarding header, so that all its clients count as one.
    pub(crate) fn report_silence(&self, proxy: IpAddr, headers: &HeaderMap) {
        let is_silent = [X_FORWARDED_FOR, FORWARDED].iter().all(|name| !headers.contains_key(*name));
        if is_silent && self.contains(proxy) && !self.has_missed_clients.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %proxy,
                "requests of a trusted proxy name no client, so limits count all of them as one; let the proxy set \
                 X-Forwarded-For, nginx with: proxy_set_header X-Forwarded-For $remote_addr;"
            );
        }
    }

    /// Once for the life of the process: clients can write such headers as often as they like.
    fn complain(&self, reason: &'static str) {
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(reason, "a forwarded header of a trusted proxy cannot be used; logged once");
        }
    }
}

/// Whether a request came through some proxy, trusted or not.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    OF_PROXIES.iter().any(|name| headers.contains_key(*name))
}

/// The hops that a header names, from left to right: each line of it, each entry of a line.
fn hops(headers: &HeaderMap, name: &str) -> Vec<Hop> {
    let mut hops = Vec::new();
    for line in headers.get_all(name) {
        // An undecodable header must not hide the others.
        for entry in line.as_bytes().split(|byte| *byte == b',') {
            let entry = String::from_utf8_lossy(entry);
            let entry = entry.trim();
            if entry.is_empty() {
                continue;
            }
            let address = if name == FORWARDED { forwarded_for(entry) } else { address_in(entry) };
            hops.push(address.map_or(Hop::Unreadable, Hop::Address));
        }
    }
    hops
}

/// The parameter `for` of an element of `Forwarded` (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let parameters = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = parameters.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    address_in(value.trim())
}

/// An address as proxies write it: with or without quotation marks, brackets, port and zone.
fn address_in(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).trim();
    let unzoned =
        |text: &str| text.split_once('%').map_or(text, |(address, _)| address).parse::<IpAddr>().ok();
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port = |port: &str| port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
        return is_port(port).then(|| unzoned(address)).flatten().map(|address| address.to_canonical());
    }
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    unzoned(text).or_else(with_port).map(|address| address.to_canonical())
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An address, or a network such as `10.0.0.0/8`.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The client's address, as the middleware found it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientAddress(pub(crate) Source);

/// Where a request comes from.
pub(crate) fn source_of(request: &HttpRequest) -> Source {
    use actix_web::HttpMessage as _;
    let known = request.extensions().get::<ClientAddress>().copied();
    known.map_or(Source::at(IpAddr::from([0, 0, 0, 0])), |ClientAddress(source)| source)
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
            let (name, value) = match value.strip_prefix("forwarded: ") {
                Some(value) => (FORWARDED, value),
                None => (X_FORWARDED_FOR, *value),
            };
            let value: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap());
        }
        let found = TrustedProxies::parse(&entries).unwrap().client(peer.parse().unwrap(), &headers);
        format!("{}{}", if found.is_proxys() { "proxy " } else { "" }, found.address())
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
        assert_eq!(client(&["private"], "10.1.2.3", &["203.0.113.9, nonsense"]), "proxy 10.1.2.3");
        assert_eq!(client(&["private"], "10.1.2.3", &[]), "proxy 10.1.2.3");
        assert_eq!(client(&["private"], "10.1.2.3", &["10.9.9.9, 10.1.1.1"]), "10.9.9.9", "our own network");
        assert_eq!(client(&["loopback"], "::1", &["2001:db8::1"]), "2001:db8::1");
    }

    #[test]
    fn entries_that_are_no_networks_are_named() {
        for wrong in ["", "10.0.0.0/33", "example.com", "10.0.0.0/x", "::/129"] {
            let told = TrustedProxies::parse(&[wrong.to_owned()]).unwrap_err();
            assert!(told.starts_with(&format!("\"{wrong}\" is no address")), "{told}");
        }
    }

    #[test]
    fn sec_120_standard_spellings_of_a_hop_are_understood() {
        for (spelling, expected) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("\"203.0.113.9\"", "203.0.113.9"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:80", "fe80::1"),
            ("::ffff:203.0.113.9", "203.0.113.9"),
            ("1.1.1.1, 203.0.113.9:80 , ", "203.0.113.9"),
            ("203.0.113.9,,", "203.0.113.9"),
            ("forwarded: for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
            ("forwarded: For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("forwarded: for=1.1.1.1, for=203.0.113.9:80", "203.0.113.9"),
            ("forwarded: proto=http; for=203.0.113.9", "203.0.113.9"),
        ] {
            assert_eq!(client(&["private"], "10.1.2.3", &[spelling]), expected, "{spelling}");
        }
        for unreadable in
            ["unknown", "_hidden", "forwarded: for=_secret", "forwarded: proto=https", "[::1", "1.2.3.4:x"]
        {
            assert_eq!(client(&["private"], "10.1.2.3", &[unreadable]), "proxy 10.1.2.3", "{unreadable}");
        }
    }

    #[test]
    fn sec_120_what_a_client_writes_does_not_hide_what_the_proxy_writes() {
        for written in ["\u{ff}", "\u{ff}, 10.0.0.9", "nonsense", "\"", "10.0.0.1:99999", ",", "1.1.1.1"] {
            // As a line of its own, and in one line with the proxy's.
            assert_eq!(
                client(&["private"], "10.1.2.3", &[written, "203.0.113.9"]),
                "203.0.113.9",
                "{written:?}"
            );
            let joined = format!("{written}, 203.0.113.9");
            assert_eq!(client(&["private"], "10.1.2.3", &[&joined]), "203.0.113.9", "{written:?}");
        }
        // Two headers that disagree: one of them is the client's.
        let both = ["203.0.113.9", "forwarded: for=198.51.100.1"];
        assert_eq!(client(&["private"], "10.1.2.3", &both), "proxy 10.1.2.3");
        let both = ["203.0.113.9", "forwarded: for=\"203.0.113.9:1\""];
        assert_eq!(client(&["private"], "10.1.2.3", &both), "203.0.113.9");
    }

    #[test]
    fn sec_120_a_list_of_all_networks_is_refused() {
        let parse = |entries: &[&str]| {
            let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
            TrustedProxies::parse(&entries)
        };
        for all in [
            &["0.0.0.0/0"][..],
            &["10.0.0.0/0"],
            &["::/0"],
            &["0.0.0.0/1", "128.0.0.0/1"],
            &["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"],
            &["loopback", "::/1", "8000::/1"],
        ] {
            assert!(parse(all).unwrap_err().contains("all IPv"), "{all:?}");
        }
        assert!(parse(&["private", "loopback", "0.0.0.0/2", "128.0.0.0/1", "::/1"]).is_ok());
    }

    proptest! {
        #[test]
        fn sec_120_no_header_makes_an_untrusted_peer_another(value in "[ -~]{0,60}") {
            prop_assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &[&value]), "192.0.2.1");
            let _ = client(&["10.0.0.0/8"], "10.0.0.1", &[&value]);
        }
    }
}
