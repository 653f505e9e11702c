//! Units of work: all or nothing, whatever happens to whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use latchkey_domain::{AppId, UserId};

use super::data::{stored_app, user, write};
use crate::{StorageError, Store};

#[derive(Debug)]
enum Refused {
    OnPurpose,
    Storage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

async fn exists(store: &Store, app_id: AppId, number: u8) -> bool {
    let id = UserId::from_bytes([number; 16]);
    store.read("test", move |readers| readers.users().find(app_id, id)).await.unwrap().is_some()
}

/// What a unit did before it refused is gone.
pub async fn an_error_keeps_nothing(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let result: Result<(), Refused> = store
        .transact("test", move |repos| {
            repos.users().add(&user(app_id, 1, "ana@example.com"))?;
            Err(Refused::OnPurpose)
        })
        .await;
    match result {
        Err(Refused::OnPurpose) => {}
        Err(Refused::Storage(error)) => panic!("{error}"),
        Ok(()) => panic!("it was kept"),
    }
    assert!(!exists(&store, app_id, 1).await);
}

/// A unit that panics answers with an error, keeps nothing, and the next one works.
pub async fn a_panic_keeps_nothing_and_harms_nobody(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let result: Result<(), StorageError> = store
        .transact("test", move |repos| {
            repos.users().add(&user(app_id, 1, "ana@example.com"))?;
            panic!("on purpose");
        })
        .await;
    assert!(matches!(result, Err(StorageError::Backend(_))), "{result:?}");
    let result: Result<(), StorageError> = store.read("test", |_| panic!("on purpose")).await;
    assert!(matches!(result, Err(StorageError::Backend(_))), "{result:?}");
    assert!(!exists(&store, app_id, 1).await);
    assert!(write(&store, move |repos| repos.users().add(&user(app_id, 2, "bob@example.com"))).await);
    assert!(exists(&store, app_id, 2).await);
}

/// A unit that has begun ends, though its caller went away in the middle.
pub async fn a_dropped_caller_stops_nothing(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let begun = Arc::new(AtomicBool::new(false));
    let (seen, target) = (Arc::clone(&begun), store.clone());
    let caller = tokio::spawn(async move {
        write(&target, move |repos| {
            seen.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(30));
            repos.users().add(&user(app_id, 1, "ana@example.com"))
        })
        .await
    });
    while !begun.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    caller.abort();
    let mut waits = 0;
    while !exists(&store, app_id, 1).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
        waits += 1;
        assert!(waits < 2_000, "the unit did not end");
    }
    assert!(write(&store, move |repos| repos.users().add(&user(app_id, 2, "bob@example.com"))).await);
}

/// Units that are committed together fail apart.
pub async fn an_error_leaves_its_neighbours(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let units: Vec<_> = (1..=60)
        .map(|number: u8| {
            let store = store.clone();
            tokio::spawn(async move {
                let result: Result<(), Refused> = store
                    .transact("test", move |repos| {
                        repos.users().add(&user(app_id, number, &format!("u{number}@example.com")))?;
                        match number % 3 {
                            0 => Err(Refused::OnPurpose),
                            1 if number > 50 => panic!("on purpose"),
                            _ => Ok(()),
                        }
                    })
                    .await;
                (number, result.is_ok())
            })
        })
        .collect();
    for unit in units {
        let (number, answered_ok) = unit.await.unwrap();
        assert_eq!(exists(&store, app_id, number).await, answered_ok, "unit {number}");
        assert_eq!(answered_ok, number % 3 != 0 && !(number % 3 == 1 && number > 50), "unit {number}");
    }
}

/// Whatever was answered before a read began is there.
pub async fn a_reader_sees_what_was_answered(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    for number in 1..=50 {
        let added = user(app_id, number, &format!("u{number}@example.com"));
        write(&store, move |repos| repos.users().add(&added)).await;
        assert!(exists(&store, app_id, number).await, "{number}");
    }
}
