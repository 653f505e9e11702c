//! Applications and their keys.

use latchkey_domain::Owner;

use super::data::{app, at, stored_app, user, write};
use crate::{StorageError, Store};

/// Every member survives storage.
pub async fn comes_back_as_it_was(store: Store) {
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
    assert_eq!(
        (&keys[0].kid, &keys[0].public_pem, keys[0].signs_from),
        (&key.kid, &key.public_pem, key.signs_from)
    );
    assert_eq!(keys[0].private, key.private);
    let (absent, _) = app(2);
    let found = store.read("test", move |readers| readers.apps().find(absent.id)).await.unwrap();
    assert_eq!(found, None);
}

/// One developer cannot have two applications of one name, and the same unit run again is no conflict.
pub async fn a_taken_name_adds_nothing(store: Store) {
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
pub async fn are_listed_newest_first(store: Store) {
    for number in [2, 3, 1] {
        stored_app(&store, number).await;
    }
    let page = |before, limit| store.read("test", move |readers| readers.apps().list(None, before, limit));
    let first = page(None, 2).await.unwrap();
    assert_eq!(first.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["App 3", "App 2"]);
    let rest = page(Some(first[1].id), 2).await.unwrap();
    assert_eq!(rest.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["App 1"]);
}

/// A key takes new times, goes by its name, and the application is found by its own.
pub async fn keys_take_new_times_and_go(store: Store) {
    let made = stored_app(&store, 1).await;
    let (mut next, id, name) = (app(1).1, made.id, made.name);
    (next.kid, next.private) = ("next".to_owned(), None);
    next.signs_from = at(50);
    let added = next.clone();
    write(&store, move |repos| repos.apps().put_key(&added)).await;
    next.published_until = Some(at(90));
    let changed = next.clone();
    assert!(write(&store, move |repos| repos.apps().change_key(&changed)).await);
    let keys = store.read("test", move |readers| readers.apps().keys(id)).await.unwrap();
    let found = keys.iter().find(|key| key.kid == "next").unwrap();
    assert_eq!((keys.len(), found.signs_from, found.published_until), (2, at(50), Some(at(90))));
    assert!(found.private.is_none(), "no private half is none after storage too");
    let owners = async |kid: &'static str| {
        store.read("test", move |readers| readers.apps().find_by_key(kid)).await.unwrap()
    };
    assert_eq!((owners("next").await, owners("nobody's").await), (vec![id], Vec::new()));
    write(&store, move |repos| repos.apps().remove_key(id, "next")).await;
    assert!(!write(&store, move |repos| repos.apps().change_key(&next)).await);
    assert_eq!(store.read("test", move |readers| readers.apps().keys(id)).await.unwrap().len(), 1);
    let held = write(&store, move |repos| repos.apps().hold(id)).await.unwrap();
    assert_eq!((held.revision, held.updated_at), (made.revision + 1, made.updated_at));
    let stored = store.read("test", move |readers| readers.apps().find(id)).await.unwrap().unwrap();
    assert_eq!(stored, held);
    let nobody = app(9).0.id;
    assert!(write(&store, move |repos| repos.apps().hold(nobody)).await.is_none());
    let found = store.read("test", move |readers| readers.apps().find_by_name(Owner::Server, &name));
    assert_eq!(found.await.unwrap().unwrap().id, id);
}

/// Everything of one application goes; nothing of another.
pub async fn a_removed_application_takes_its_own_with_it(store: Store) {
    let (shop, other) = (stored_app(&store, 1).await, stored_app(&store, 2).await);
    for app in [shop.id, other.id] {
        write(&store, move |repos| repos.users().add(&user(app, 1, "ana@example.com"))).await;
    }
    let count = async |id| store.read("test", move |readers| readers.users().count(id)).await.unwrap().0;
    let id = shop.id;
    write(&store, move |repos| repos.apps().remove_content(id)).await;
    assert_eq!((count(shop.id).await, count(other.id).await), (0, 1));
    assert!(store.read("test", move |readers| readers.apps().find(id)).await.unwrap().is_some());
    write(&store, move |repos| repos.apps().remove(id)).await;
    write(&store, move |repos| repos.apps().remove(id)).await;
    assert!(store.read("test", move |readers| readers.apps().find(id)).await.unwrap().is_none());
    assert!(store.read("test", move |readers| readers.apps().keys(id)).await.unwrap().is_empty());
    assert_eq!(count(other.id).await, 1);
}
