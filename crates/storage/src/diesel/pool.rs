//! A pool of connections: a limit with a waiting time, a list, and a generation number that empties it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::Connection;
use crate::StorageError;

type Connect = Box<dyn Fn() -> Result<Connection, StorageError> + Send + Sync>;

struct Idle {
    generation: u64,
    connections: Vec<Connection>,
}

pub(super) struct Pool {
    permits: Arc<Semaphore>,
    wait: Duration,
    idle: Mutex<Idle>,
    connect: Connect,
}

/// The right to use one connection, and the connection once there is one.
pub(super) struct Lease {
    pool: Arc<Pool>,
    generation: u64,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(size: usize, wait: Duration, connect: Connect) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(size.max(1))),
            wait,
            idle: Mutex::new(Idle { generation: 0, connections: Vec::new() }),
            connect,
        })
    }

    /// Waits for the right to use a connection. Nothing blocks: connecting is left to [`Lease::connection`].
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, StorageError> {
        let waiting = Arc::clone(&self.permits).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(self.wait, waiting).await else {
            return Err(StorageError::Unavailable("all connections are busy".to_owned()));
        };
        let (generation, connection) = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            (idle.generation, idle.connections.pop())
        };
        Ok(Lease { pool: Arc::clone(self), generation, connection, _permit: permit })
    }

    /// Drops the idle connections, and those in use when they come back.
    fn empty(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.generation += 1;
        idle.connections.clear();
    }
}

impl Lease {
    /// The connection, made now if there was none. Blocks.
    pub(super) fn connection(&mut self) -> Result<&mut Connection, StorageError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => (self.pool.connect)()?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Drops this connection, and all others: their server is gone.
    pub(super) fn discard_all(&mut self) {
        self.connection = None;
        self.pool.empty();
        self.generation = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).generation;
    }

    /// Drops this connection only.
    pub(super) fn discard(&mut self) {
        self.connection = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if connection.is_in_transaction() {
            return;
        }
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.generation == self.generation {
            idle.connections.push(connection);
        }
    }
}
