//! Conditional writes that are repeated when they lose a race.

use crate::base::error::ServiceError;

/// How often a write may lose its race before it is given up.
pub(crate) const MOST_RACES: usize = 32;

/// Repeats an attempt, which reads and then writes conditionally, until it has written; `None` is a lost race.
///
/// # Errors
/// The attempt's own; [`ServiceError::Unavailable`] after [`MOST_RACES`] lost races.
pub(crate) fn retry<T>(
    mut attempt: impl FnMut() -> Result<Option<T>, ServiceError>,
) -> Result<T, ServiceError> {
    for _ in 0..MOST_RACES {
        if let Some(done) = attempt()? {
            return Ok(done);
        }
    }
    Err(too_many_races())
}

/// The error of a write that has lost [`MOST_RACES`] races.
pub(crate) fn too_many_races() -> ServiceError {
    ServiceError::Unavailable("too many concurrent changes of the same row".to_owned())
}
