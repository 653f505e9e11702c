//! How long a database server may be silent before its connection counts as lost.

/// The address, with libpq's bounds for a network that swallows everything, where it names none itself.
pub(super) fn with_network_bounds(url: &str) -> String {
    let mut bounded = url.to_owned();
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return bounded;
    }
    for (name, value) in [("connect_timeout", "5"), ("tcp_user_timeout", "10000")] {
        if !bounded.contains(&format!("{name}=")) {
            let sign = if bounded.contains('?') { '&' } else { '?' };
            bounded.push_str(&format!("{sign}{name}={value}"));
        }
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_bounds_unless_it_names_its_own() {
        for (url, bounded) in [
            ("postgres://a@b/c", "postgres://a@b/c?connect_timeout=5&tcp_user_timeout=10000"),
            ("postgres:///?host=/x", "postgres:///?host=/x&connect_timeout=5&tcp_user_timeout=10000"),
            ("postgres://b?connect_timeout=9", "postgres://b?connect_timeout=9&tcp_user_timeout=10000"),
            ("host=b", "host=b"),
        ] {
            assert_eq!(with_network_bounds(url), bounded);
        }
    }
}
