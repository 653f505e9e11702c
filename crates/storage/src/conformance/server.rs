//! What belongs to the server itself: its keys and the operator tokens.

use latchkey_domain::{OperatorToken, Sealed, ServerKey, ServerKeyId, ServerKeyPurpose, TokenId, TokenName};

use super::data::{at, write};
use crate::Store;

/// Of several instances that start at once, one makes the first keys.
pub async fn keys_of_one_generation_are_added_once(store: impl Store) {
    let key = |number: u8, generation| ServerKey {
        id: ServerKeyId::from_bytes([number; 16]),
        purpose: ServerKeyPurpose::Data,
        generation,
        wrapped: Sealed::from_bytes(vec![number; 93]),
        created_at: at(0),
    };
    assert!(write(&store, move |repos| repos.server_keys().add(&key(1, 1))).await);
    assert!(!write(&store, move |repos| repos.server_keys().add(&key(2, 1))).await);
    assert!(write(&store, move |repos| repos.server_keys().add(&key(3, 2))).await);
    let found = store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    let ids: Vec<u8> = found.iter().map(|key| key.id.as_bytes()[0]).collect();
    assert_eq!(ids, [1, 3]);
}

/// Every member survives storage.
pub async fn an_operator_token_comes_back(store: impl Store) {
    let token = OperatorToken {
        id: TokenId::from_bytes([1; 16]),
        name: TokenName::parse("ci").unwrap(),
        created_at: at(0),
        expires_at: at(100),
        revoked_at: Some(at(50)),
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
