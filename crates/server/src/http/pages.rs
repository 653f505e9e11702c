//! Detects requests from other websites' pages. Such a page acts from its visitor's address, so it counts as a source
//! of its own, unless its origin is this server's or listed.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use latchkey_domain::Source;
use reqwest::Url;

/// Which page sends a request, and its mode (Fetch Metadata Request Headers, 2.3 and 2.1). Pages cannot set them.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// The origins (RFC 6454) whose pages may act for their visitors.
#[derive(Debug, Clone)]
pub(crate) struct TrustedPages(Vec<String>);

impl TrustedPages {
    /// The pages of the server itself, and of these origins.
    pub(crate) fn new(public_url: &str, listed: &[String]) -> Self {
        Self(std::iter::once(public_url).chain(listed.iter().map(String::as_str)).map(origin_of).collect())
    }

    /// The source of a request from an address. Browsers send `Origin` with every request of a page of another origin
    /// that changes something; apps send none. Images and frames of such a page are requested without it. Following a
    /// link, for example in a mail, counts as an action of the visitor.
    pub(crate) fn source(&self, address: Source, headers: &HeaderMap) -> Source {
        let is_trusted =
            |origin: &HeaderValue| self.0.iter().any(|trusted| trusted.as_bytes() == origin.as_bytes());
        let is = |name: &HeaderName, values: &[&str]| {
            headers.get_all(name).any(|value| values.iter().any(|one| one.as_bytes() == value.as_bytes()))
        };
        let is_embedded = !headers.contains_key(ORIGIN)
            && is(&FETCH_SITE, &["cross-site", "same-site"])
            && !is(&FETCH_DEST, &["document"]);
        if !is_embedded && headers.get_all(ORIGIN).all(is_trusted) { address } else { address.of_page() }
    }
}

/// The origin of a URL as browsers send it; a URL without an origin is returned unchanged.
fn origin_of(address: &str) -> String {
    match Url::parse(address).map(|url| url.origin()) {
        Ok(origin) if origin.is_tuple() => origin.ascii_serialization(),
        Ok(_) | Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn sec_139_pages_that_are_not_trusted_are_one_source_of_their_own() {
        let listed = ["https://Shop.example:443", "capacitor://localhost"].map(str::to_owned);
        let pages = TrustedPages::new("https://auth.example:8443/path", &listed);
        let address = Source::at("192.0.2.1".parse().unwrap());
        let source = |origins: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for origin in origins {
                headers.append(ORIGIN, HeaderValue::from_static(origin));
            }
            pages.source(address, &headers)
        };
        for trusted in
            [&[][..], &["https://auth.example:8443"], &["https://shop.example"], &["capacitor://localhost"]]
        {
            assert_eq!(source(trusted), address, "{trusted:?}");
        }
        let others = [
            &["https://evil.example"][..],
            &["null"],
            &[""],
            &["https://auth.example"],
            &["http://shop.example"],
            &["https://shop.example.evil.example"],
            &["https://shop.example", "https://evil.example"],
        ];
        for other in others {
            assert_eq!(source(other), address.of_page(), "{other:?}");
        }
        assert_ne!(address.of_page(), address);
        for (site, destination, is_page) in [
            ("cross-site", "image", true),
            ("same-site", "iframe", true),
            ("cross-site", "empty", true),
            ("cross-site", "document", false),
            ("same-origin", "image", false),
            ("none", "document", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            headers.insert(FETCH_DEST, HeaderValue::from_static(destination));
            assert_eq!(pages.source(address, &headers).is_page(), is_page, "{site} {destination}");
            headers.insert(ORIGIN, HeaderValue::from_static("https://shop.example"));
            assert!(!pages.source(address, &headers).is_page(), "a listed page asks: {site} {destination}");
        }
        assert_eq!(address.of_page().prefix(), address.prefix(), "limits by address hold for all of them");
    }
}
