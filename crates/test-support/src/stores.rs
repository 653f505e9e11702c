//! Stores that misbehave on purpose: one runs everything twice, one is always away.

use std::sync::Arc;

use latchkey_storage::{Readers, Repositories, StorageError, Store};

/// Runs every unit of work, takes it back, and runs it again: what a lost race does to it. A closure that is
/// not a function of what it borrows and reads shows itself here.
#[derive(Clone)]
pub struct TwiceStore<S>(pub S);

enum Never<E> {
    RolledBack,
    Storage(E),
}

impl<E: From<StorageError>> From<StorageError> for Never<E> {
    fn from(error: StorageError) -> Self {
        Self::Storage(error.into())
    }
}

impl<S: Store> Store for TwiceStore<S> {
    async fn transact<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        let first = Arc::clone(&work);
        let rolled_back: Result<(), Never<E>> = self
            .0
            .transact(name, move |repositories| {
                let _ = first(repositories);
                Err(Never::RolledBack)
            })
            .await;
        if let Err(Never::Storage(error)) = rolled_back {
            return Err(error);
        }
        self.0.transact(name, move |repositories| work(repositories)).await
    }

    async fn read<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static,
    {
        self.0
            .read(name, move |readers| {
                let _ = work(readers);
                work(readers)
            })
            .await
    }
}

/// A database that is away.
#[derive(Clone, Default)]
pub struct BrokenStore;

impl Store for BrokenStore {
    async fn transact<T, E, F>(&self, _name: &'static str, _work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Repositories) -> Result<T, E> + Send + Sync + 'static,
    {
        Err(StorageError::Unavailable("canary of the database".to_owned()).into())
    }

    async fn read<T, E, F>(&self, _name: &'static str, _work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: Fn(&mut dyn Readers) -> Result<T, E> + Send + Sync + 'static,
    {
        Err(StorageError::Unavailable("canary of the database".to_owned()).into())
    }
}
