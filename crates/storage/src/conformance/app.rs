//! Applications and their keys.

use super::data::{app, stored_app, write};
use crate::{StorageError, Store};

/// Every member survives storage.
pub async fn comes_back_as_it_was(store: impl Store) {
    let added = stored_app(&store, 1).await;
    let id = added.id;
    let (found, keys) = store
        .read("test", move |readers| {
            Ok::<_, StorageError>((readers.apps().find(id)?, readers.apps().keys(id)?))
        })
        .await
        .unwrap();
    assert_eq!(found, Some(added));
    let (_, key) = app(1);
    assert_eq!(keys.len(), 1);
    assert_eq!((&keys[0].kid, &keys[0].public_pem, keys[0].state), (&key.kid, &key.public_pem, key.state));
    assert_eq!(keys[0].private.as_bytes(), key.private.as_bytes());
    let (absent, _) = app(2);
    let found = store.read("test", move |readers| readers.apps().find(absent.id)).await.unwrap();
    assert_eq!(found, None);
}

/// One developer cannot have two applications of one name, and the same unit run again is no conflict.
pub async fn a_taken_name_adds_nothing(store: impl Store) {
    let first = stored_app(&store, 1).await;
    let (mut second, key) = app(2);
    second.name = first.name.clone();
    let id = second.id;
    assert!(!write(&store, move |repos| repos.apps().add(&second, &key)).await);
    assert_eq!(store.read("test", move |readers| readers.apps().find(id)).await.unwrap(), None);
    let (again, key) = app(1);
    assert!(write(&store, move |repos| repos.apps().add(&again, &key)).await);
}

/// Lists page backwards in time.
pub async fn are_listed_newest_first(store: impl Store) {
    for number in [2, 3, 1] {
        stored_app(&store, number).await;
    }
    let page = |before, limit| store.read("test", move |readers| readers.apps().list(before, limit));
    let first = page(None, 2).await.unwrap();
    assert_eq!(first.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["App 3", "App 2"]);
    let rest = page(Some(first[1].id), 2).await.unwrap();
    assert_eq!(rest.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["App 1"]);
}
