//! One-time codes.

use latchkey_domain::{AppId, CodePurpose, StoredCode};

use super::data::{at, code, stored_app, write};
use crate::Store;

async fn codes(store: &Store, app_id: AppId) -> Vec<StoredCode> {
    store
        .read("test", move |readers| readers.codes().list(app_id, CodePurpose::SignUp, &[9; 16]))
        .await
        .unwrap()
}

/// A code is used by one of many concurrent callers.
pub async fn is_consumed_by_one_of_32_racers(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let added = code(app_id, 1);
    let id = added.id;
    write(&store, move |repos| repos.codes().add(&added)).await;
    let racers: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(
                async move { write(&store, move |repos| repos.codes().consume(app_id, id, at(5))).await },
            )
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(codes(&store, app_id).await[0].consumed_at, Some(at(5)));
}

/// The newest code comes first, with its digest.
pub async fn are_listed_newest_first(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    for number in [2, 3, 1] {
        let added = code(app_id, number);
        write(&store, move |repos| repos.codes().add(&added)).await;
    }
    let found = codes(&store, app_id).await;
    assert_eq!(found.iter().map(|code| code.id.as_bytes()[0]).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(found[0].digest.as_bytes(), &[3; 32]);
    let id = found[0].id;
    write(&store, move |repos| repos.codes().remove(app_id, id)).await;
    assert_eq!(codes(&store, app_id).await.len(), 2);
}

/// At success the other codes of a subject die.
pub async fn are_removed_unless_consumed(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    for number in 1..=3 {
        let added = code(app_id, number);
        write(&store, move |repos| repos.codes().add(&added)).await;
    }
    let used = code(app_id, 2).id;
    write(&store, move |repos| repos.codes().consume(app_id, used, at(5))).await;
    write(&store, move |repos| repos.codes().remove_unconsumed(app_id, &[9; 16])).await;
    let found = codes(&store, app_id).await;
    assert_eq!(found.iter().map(|code| code.id).collect::<Vec<_>>(), [used]);
}
