//! How many files and connections the process may hold open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than this is never asked for.
const MOST: u64 = 65_536;

/// With fewer, one client address with some hundred connections is felt by the others.
const FEW: u64 = 4_096;

/// Raises the process's bound of open descriptors as far as the system lets it, and returns how many connections the
/// server may hold: three in four, so that the database, the mail server and log files find the rest.
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
