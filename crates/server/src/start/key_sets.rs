//! Fetches the key sets of identity providers: no redirects, a short timeout, 64 KiB. The service decides which address
//! to fetch and when.

use std::sync::OnceLock;
use std::time::Duration;

use latchkey_service::account::{FetchedKeySet, Fetching, KeySetSource};
use reqwest::redirect::Policy;
use reqwest::{Client, header};

/// No provider's key set is larger than this.
const MAX_KEY_SET: usize = 64 * 1_024;

/// Fetches over HTTP. A proxy that the environment names is used for `https` only: what is fetched in clear is on
/// this machine.
pub(crate) struct HttpKeySets {
    timeout: Duration,
    /// Made when they are first needed, since certificates take memory; none where the system has none to trust.
    usual: OnceLock<Option<Client>>,
    direct: OnceLock<Option<Client>>,
}

impl HttpKeySets {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, usual: OnceLock::new(), direct: OnceLock::new() }
    }

    fn client(&self, is_plain: bool) -> Option<&Client> {
        let builder =
            || Client::builder().timeout(self.timeout).connect_timeout(self.timeout).redirect(Policy::none());
        let made = if is_plain {
            self.direct.get_or_init(|| builder().no_proxy().build().ok())
        } else {
            self.usual.get_or_init(|| builder().build().ok())
        };
        made.as_ref()
    }

    async fn get(&self, url: &str) -> Result<FetchedKeySet, String> {
        let told = |error: reqwest::Error| error.without_url().to_string();
        let is_plain = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let client =
            self.client(is_plain).ok_or("the system trusts no certificates: install ca-certificates")?;
        let mut answer = client.get(url).send().await.map_err(told)?;
        if !answer.status().is_success() {
            return Err(format!("HTTP {}", answer.status().as_u16()));
        }
        let value = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        // A copy that lay somewhere on the way has lived that long already (RFC 9111 section 5.1).
        let age = value(header::AGE).and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or(0);
        let fresh_for = value(header::CACHE_CONTROL).and_then(max_age);
        let fresh_for = fresh_for.map(|life| life - time::Duration::seconds(i64::from(age)));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(told)? {
            if body.len() + chunk.len() > MAX_KEY_SET {
                return Err(format!("more than {MAX_KEY_SET} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(FetchedKeySet { body, fresh_for })
    }
}

impl KeySetSource for HttpKeySets {
    fn fetch<'a>(&'a self, url: &'a str) -> Fetching<'a> {
        Box::pin(self.get(url))
    }
}

/// The directive `max-age` (RFC 9111 section 5.2.2.1); nothing is fresh that must not be stored.
fn max_age(cache_control: &str) -> Option<time::Duration> {
    let mut directives = cache_control.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    let is_uncached = directives.clone().any(|directive| directive == "no-store" || directive == "no-cache");
    if is_uncached {
        return Some(time::Duration::ZERO);
    }
    let seconds = directives.find_map(|directive| directive.strip_prefix("max-age=")?.parse::<u32>().ok())?;
    Some(time::Duration::seconds(i64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::path;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[test]
    fn the_life_of_a_set_is_its_max_age() {
        assert_eq!(max_age("public, max-age=19845, must-revalidate"), Some(time::Duration::seconds(19_845)));
        assert_eq!(max_age("Max-Age=60"), Some(time::Duration::seconds(60)));
        assert_eq!(max_age("no-store, max-age=60"), Some(time::Duration::ZERO));
        for nothing in ["", "public", "max-age=", "max-age=-1", "max-age=9999999999999"] {
            assert_eq!(max_age(nothing), None, "{nothing}");
        }
    }

    #[tokio::test]
    async fn sec_094_nothing_large_slow_or_elsewhere_is_read() {
        let server = MockServer::start().await;
        let answers = [
            (
                "/good",
                ResponseTemplate::new(200).set_body_string("{}").insert_header("cache-control", "max-age=60"),
            ),
            ("/large", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 2_000_000])),
            ("/slow", ResponseTemplate::new(200).set_delay(Duration::from_secs(5))),
            ("/moved", ResponseTemplate::new(302).insert_header("location", "/good")),
            ("/away", ResponseTemplate::new(503)),
        ];
        for (at, answer) in answers {
            Mock::given(path(at)).respond_with(answer).mount(&server).await;
        }
        let client = HttpKeySets::new(Duration::from_millis(500));
        let fetched = client.fetch(&format!("{}/good", server.uri())).await.unwrap();
        assert_eq!(
            (fetched.body.as_slice(), fetched.fresh_for),
            (&b"{}"[..], Some(time::Duration::seconds(60)))
        );
        for at in ["/large", "/slow", "/moved", "/away"] {
            let told = client.fetch(&format!("{}{at}", server.uri())).await.unwrap_err();
            assert!(!told.contains("http://"), "{told}");
        }
        assert!(client.fetch("http://127.0.0.1:1/").await.is_err());
    }
}
