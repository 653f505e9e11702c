//! Whether a request comes from a web page of others. A page acts from its visitor's address, so for what is known by an
//! address, pages that are not the server's or listed ones are a source of their own.

use actix_web::http::header::{HeaderMap, HeaderValue, ORIGIN};
use latchkey_domain::Source;
use reqwest::Url;

/// The origins (RFC 6454) of pages that speak for their visitors.
#[derive(Debug, Clone)]
pub(crate) struct TrustedPages(Vec<String>);

impl TrustedPages {
    /// The pages of the server itself, and of these origins.
    pub(crate) fn new(public_url: &str, listed: &[String]) -> Self {
        Self(std::iter::once(public_url).chain(listed.iter().map(String::as_str)).map(origin_of).collect())
    }

    /// The source of a request from an address. Browsers send `Origin` with all that a page of another origin asks for
    /// and that changes something; apps send none.
    pub(crate) fn source(&self, address: Source, headers: &HeaderMap) -> Source {
        let is_trusted =
            |origin: &HeaderValue| self.0.iter().any(|trusted| trusted.as_bytes() == origin.as_bytes());
        if headers.get_all(ORIGIN).all(is_trusted) { address } else { address.of_page() }
    }
}

/// The origin of an address as browsers write it; that of another kind of address, which has none, as it is.
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
        assert_eq!(address.of_page().prefix(), address.prefix(), "limits by address hold for all of them");
    }
}
