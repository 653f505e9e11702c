//! What belongs to the server itself: its keys and the operator tokens.

use latchkey_domain::{
    AppId, OperatorToken, Scopes, Sealed, ServerKey, ServerKeyId, ServerKeyPurpose, TokenId, TokenName,
};

use super::data::{at, stored_app, user, write};
use crate::{SealedCell, SealedColumn, Store};

/// Of several instances that start at once, one makes the first keys.
pub async fn keys_of_one_generation_are_added_once(store: Store) {
    let key = |number: u8, generation| ServerKey {
        id: ServerKeyId::from_bytes([number; 16]),
        purpose: ServerKeyPurpose::Data,
        generation,
        wrapped: Sealed::from_bytes(vec![number; 93]),
        created_at: at(0),
        used_from: (generation > 1).then(|| at(60)),
        ends_at: None,
    };
    assert!(write(&store, move |repos| repos.server_keys().add(&key(1, 1))).await);
    assert!(!write(&store, move |repos| repos.server_keys().add(&key(2, 1))).await);
    assert!(write(&store, move |repos| repos.server_keys().add(&key(3, 2))).await);
    let found = store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    let ids: Vec<u8> = found.iter().map(|key| key.id.as_bytes()[0]).collect();
    assert_eq!(ids, [1, 3]);
    let times: Vec<_> = found.iter().map(|key| (key.used_from, key.ends_at)).collect();
    assert_eq!(times, [(None, None), (Some(at(60)), None)]);
    // Its end is said once, and it is removed once.
    assert!(write(&store, move |repos| repos.server_keys().end(&key(1, 1), at(90))).await);
    assert!(!write(&store, move |repos| repos.server_keys().end(&key(1, 1), at(95))).await);
    let found = store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    assert_eq!(found.first().unwrap().ends_at, Some(at(90)));
    assert!(write(&store, move |repos| repos.server_keys().remove(&key(1, 1))).await);
    assert!(!write(&store, move |repos| repos.server_keys().remove(&key(1, 1))).await);
    let found = store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    assert_eq!(found.len(), 1);
}

/// Sealed values are listed column by column, and replaced only if they have not changed since.
pub async fn what_is_sealed_is_replaced_unless_it_changed(store: Store) {
    let (app_id, elsewhere) = (stored_app(&store, 1).await.id, stored_app(&store, 2).await.id);
    for number in 1..=5 {
        let mut added = user(app_id, number, &format!("n{number}@example.com"));
        added.password = (number != 3).then(|| Sealed::from_bytes(vec![number; 50]));
        write(&store, move |repos| repos.users().add(&added)).await;
    }
    let list = async |app_id, after: &'static [u8], limit| {
        let read = store
            .read("test", move |readers| readers.sealed().list(SealedColumn::Password, app_id, after, limit));
        read.await.unwrap()
    };
    assert!(list(elsewhere, &[], 9).await.is_empty());
    let cells = list(app_id, &[], 3).await;
    let rows: Vec<u8> = cells.iter().map(|cell| cell.row[0]).collect();
    assert_eq!(rows, [1, 2, 4], "a user without a password is left out");
    assert!(cells.iter().all(|cell| cell.bound_to == cell.row && cell.value.as_bytes()[0] == cell.row[0]));
    assert_eq!(list(app_id, &[4; 16], 3).await.first().unwrap().row, [5; 16]);
    let replace = async |app_id, cell: SealedCell, new: u8| {
        let new = Sealed::from_bytes(vec![new; 50]);
        write(&store, move |repos| repos.sealed().replace(SealedColumn::Password, app_id, &cell, &new)).await
    };
    let first = cells.first().unwrap();
    assert!(!replace(elsewhere, first.clone(), 9).await);
    assert!(replace(app_id, first.clone(), 9).await);
    assert!(!replace(app_id, first.clone(), 8).await, "it is no longer what was read");
    let kept: Vec<u8> = list(app_id, &[], 9).await.iter().map(|cell| cell.value.as_bytes()[0]).collect();
    assert_eq!(kept, [9, 2, 4, 5]);
}

/// Every member survives storage.
pub async fn an_operator_token_comes_back(store: Store) {
    let token = OperatorToken {
        id: TokenId::from_bytes([1; 16]),
        name: TokenName::parse("ci").unwrap(),
        scopes: Scopes::parse("read,users").unwrap(),
        only_app: Some(AppId::from_bytes([7; 16])),
        made_by: Some(TokenId::from_bytes([8; 16])),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: Some(at(50)),
        last_used_at: Some(at(20)),
    };
    let (id, added) = (token.id, token.clone());
    write(&store, move |repos| repos.operator_tokens().add(&added)).await;
    let found = store.read("test", move |readers| readers.operator_tokens().find(id)).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), format!("{token:?}"));
    let absent = TokenId::from_bytes([2; 16]);
    assert!(
        store.read("test", move |readers| readers.operator_tokens().find(absent)).await.unwrap().is_none()
    );
}

/// A revoked token stays revoked at its first time, a use is noted, and lists are newest first.
pub async fn operator_tokens_are_listed_used_and_revoked(store: Store) {
    let token = |number: u8, only_app: Option<AppId>| OperatorToken {
        id: TokenId::from_bytes([number; 16]),
        name: TokenName::parse("ci").unwrap(),
        scopes: Scopes::everything(),
        only_app,
        made_by: number.checked_sub(3).map(|maker| TokenId::from_bytes([maker; 16])),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: None,
        last_used_at: None,
    };
    let shop = AppId::from_bytes([7; 16]);
    write(&store, move |repos| {
        let tokens = repos.operator_tokens();
        tokens.add(&token(1, None))?;
        tokens.add(&token(2, Some(shop)))?;
        tokens.add(&token(3, None))
    })
    .await;
    let first = TokenId::from_bytes([1; 16]);
    let note = async |time| write(&store, move |repos| repos.operator_tokens().note_use(first, time)).await;
    let revoke = async |time| write(&store, move |repos| repos.operator_tokens().revoke(first, time)).await;
    assert!(note(at(4)).await);
    assert_eq!((revoke(at(5)).await, revoke(at(6)).await), (1, 0));
    assert!(!note(at(7)).await, "it opens nothing any more");
    let list = async |only: Option<AppId>, before: Option<u8>, limit| {
        let before = before.map(|number| TokenId::from_bytes([number; 16]));
        let read = store.read("test", move |readers| readers.operator_tokens().list(only, before, limit));
        read.await.unwrap()
    };
    let numbers =
        |tokens: &[OperatorToken]| -> Vec<u8> { tokens.iter().map(|token| token.id.as_bytes()[0]).collect() };
    let all = list(None, None, 10).await;
    assert_eq!(numbers(&all), [3, 2, 1]);
    assert_eq!((all[2].revoked_at, all[2].last_used_at), (Some(at(5)), Some(at(4))));
    assert_eq!(numbers(&list(None, Some(3), 1).await), [2]);
    assert_eq!(numbers(&list(Some(shop), None, 10).await), [2]);
    // The first one made 4, and 4 made 7, before it was revoked; 2 made 5.
    write(&store, move |repos| {
        (4..=7).try_for_each(|number| repos.operator_tokens().add(&token(number, None)))
    })
    .await;
    assert_eq!(revoke(at(8)).await, 2);
    let revoked = |tokens: &[OperatorToken]| -> Vec<u8> {
        numbers(&tokens.iter().filter(|token| token.revoked_at.is_some()).cloned().collect::<Vec<_>>())
    };
    assert_eq!(revoked(&list(None, None, 10).await), [7, 4, 1]);
}

/// A key is rewrapped only by a caller that knows its current wrapping.
pub async fn a_key_is_wrapped_anew_once(store: Store) {
    let key = ServerKey {
        id: ServerKeyId::from_bytes([1; 16]),
        purpose: ServerKeyPurpose::Data,
        generation: 1,
        wrapped: Sealed::from_bytes(vec![1; 40]),
        created_at: at(0),
        used_from: None,
        ends_at: None,
    };
    let added = key.clone();
    assert!(write(&store, move |repos| repos.server_keys().add(&added)).await);
    let (old, new) = (key.wrapped.clone(), ServerKey { wrapped: Sealed::from_bytes(vec![2; 40]), ..key });
    let rewrap = async || {
        let (old, new) = (old.clone(), new.clone());
        write(&store, move |repos| repos.server_keys().rewrap(&new, &old)).await
    };
    assert!(rewrap().await && !rewrap().await);
    let found = store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    assert_eq!(found[0].wrapped.as_bytes(), [2; 40]);
}

/// An old server's key is trusted once.
pub async fn an_old_servers_key_is_trusted_once(store: Store) {
    let trust = async || write(&store, |repos| repos.server_keys().trust_old("kid", "pem", at(0))).await;
    assert!(trust().await && !trust().await);
    let found = store.read("test", |readers| readers.server_keys().old_public_keys()).await.unwrap();
    assert_eq!(found, ["pem"]);
}
