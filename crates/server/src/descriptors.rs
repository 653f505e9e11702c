//! How many files and connections the process may hold open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The maximum that is ever requested.
const MOST: u64 = 65_536;

/// With fewer, one client address with some hundred connections is felt by the others.
const FEW: u64 = 4_096;

/// Raises the process's limit of open files as far as the system allows, and returns the number of connections that the
/// server may hold: three quarters of it, so that the database, mail servers and logs have the rest.
pub(crate) fn most_connections() -> usize {
    let bound = getrlimit(Resource::Nofile);
    let wanted = bound.maximum.unwrap_or(MOST).min(MOST);
    let mut open = bound.current.unwrap_or(MOST);
    if open < wanted {
        match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: bound.maximum }) {
            Ok(()) => open = wanted,
            Err(error) => tracing::warn!(%error, "the bound of open files could not be raised"),
        }
    }
    if open < FEW {
        tracing::warn!(
            files = open,
            "this process may hold few files and connections: allow it {FEW} (LimitNOFILE= in a systemd unit)"
        );
    }
    usize::try_from(open.min(MOST) * 3 / 4).unwrap_or(usize::MAX)
}
