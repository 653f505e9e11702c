//! One spelling per path: repeated slashes, letter case and one slash at the end make no difference, since
//! the Swift SDK sends two slashes. Limits and routing both see the plain path.

/// The plain spelling of a path.
pub(crate) fn plain(path: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
