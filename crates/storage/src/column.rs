//! The column of a stored value, for errors about it; and stored names.

use crate::StorageError;

/// The column of a stored value, for errors about it.
#[derive(Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str);

impl Column {
    pub(crate) fn wrong(self) -> StorageError {
        StorageError::Inconsistent { table: self.0, column: self.1 }
    }

    pub(crate) fn bytes<const N: usize>(self, stored: &[u8]) -> Result<[u8; N], StorageError> {
        stored.try_into().map_err(|_| self.wrong())
    }

    pub(crate) fn parsed<T, E>(self, result: Result<T, E>) -> Result<T, StorageError> {
        result.map_err(|_| self.wrong())
    }

    pub(crate) fn named<T: Copy>(self, names: &[(T, &str)], stored: &str) -> Result<T, StorageError> {
        names.iter().find(|(_, name)| *name == stored).map(|(value, _)| *value).ok_or_else(|| self.wrong())
    }
}

/// The stored name of a value.
pub(crate) fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> &'static str {
    names.iter().find(|(candidate, _)| candidate == value).map_or("", |(_, name)| name)
}
