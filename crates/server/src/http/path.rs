//! One spelling per path: repeated slashes, letter case and one slash at the end make no difference, since
//! the Swift SDK sends two slashes. Limits and routing both see the plain path.

use reqwest::Url;

/// The plain spelling of a path.
fn plain(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !plain.ends_with('/') {
            plain.push(c.to_ascii_lowercase());
        }
    }
    if plain.len() > 1 && plain.ends_with('/') {
        plain.pop();
    }
    plain
}

/// The path of `server.public_url`, below which a proxy offers the server: `/auth`, or empty. Some proxies strip it from
/// requests, others do not: the server answers both.
#[derive(Debug, Clone)]
pub(crate) struct BasePath {
    path: String,
    /// The first parts of all routes.
    roots: Vec<&'static str>,
}

impl BasePath {
    /// The base path of an address, for routes with these paths.
    pub(crate) fn of(public_url: &str, routes: impl Iterator<Item = &'static str>) -> Self {
        let path = Url::parse(public_url).map(|url| url.path().trim_end_matches('/').to_owned());
        let mut roots: Vec<_> = routes.map(root_of).collect();
        roots.sort_unstable();
        roots.dedup();
        Self { path: path.unwrap_or_default(), roots }
    }

    /// The path without a slash at its end.
    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }

    /// The plain spelling of a request's path, below the base path.
    pub(crate) fn plain(&self, path: &str) -> String {
        let plain = plain(path);
        // Routes may begin like a base path such as /api, so it is stripped only if a route follows.
        let rest = plain.strip_prefix(&self.path.to_ascii_lowercase());
        rest.filter(|rest| rest.starts_with('/') && self.roots.contains(&root_of(rest)))
            .map(str::to_owned)
            .unwrap_or(plain)
    }
}

/// The first part of a path.
fn root_of(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_stripped_where_a_route_follows() {
        let routes = ["/api/appuser/login", "/apps/{app_id}/.well-known/jwks.json", "/docs", "/openapi.json"];
        let base = |url: &str| BasePath::of(url, routes.into_iter());
        for (url, sent, expected) in [
            ("https://a.example", "/api/appuser/login", "/api/appuser/login"),
            ("https://a.example/auth", "/api/appuser/login", "/api/appuser/login"),
            ("https://a.example/auth", "/auth/api/appuser/login", "/api/appuser/login"),
            ("https://a.example/auth", "//AUTH//api/AppUser/Login/", "/api/appuser/login"),
            ("https://a.example/Auth", "/auth/docs", "/docs"),
            ("https://a.example/auth/v1", "/auth/v1/openapi.json", "/openapi.json"),
            ("https://a.example/auth", "/authapi/appuser", "/authapi/appuser"),
            ("https://a.example/auth", "/auth", "/auth"),
            ("https://a.example/auth", "/auth/else", "/auth/else"),
            ("https://a.example/api", "/api/appuser/login", "/api/appuser/login"),
            ("https://a.example/api", "/api/api/appuser/login", "/api/appuser/login"),
            ("https://a.example/apps", "/apps/x/.well-known/jwks.json", "/apps/x/.well-known/jwks.json"),
        ] {
            assert_eq!(base(url).plain(sent), expected, "{url} {sent}");
        }
    }

    #[test]
    fn all_spellings_of_a_path_are_one() {
        for spelling in
            ["/api/appuser/login", "//api/appuser/login", "/API//AppUser/Login/", "///api/appuser/login//"]
        {
            assert_eq!(plain(spelling), "/api/appuser/login", "{spelling}");
        }
        assert_eq!(plain("/"), "/");
        assert_eq!(plain("//"), "/");
        assert_eq!(plain("/a%2Fb"), "/a%2fb");
    }
}
