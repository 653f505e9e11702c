//! Sign-up attempts.

use latchkey_domain::{AppId, Handle, Signup, SignupState};

use super::data::{at, signup, stored_app, write};
use crate::Store;

async fn attempts(store: &Store, app_id: AppId) -> Vec<Signup> {
    let handle = Handle::parse("ana@example.com").unwrap();
    store.read("test", move |readers| readers.signups().list(app_id, &handle)).await.unwrap()
}

/// A repeat takes the newer values and the first place.
pub async fn a_repeat_replaces_its_attempt(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let (first, other) = (signup(app_id, 1, "ana@example.com", 1), signup(app_id, 2, "ana@example.com", 2));
    for attempt in [first.clone(), other] {
        write(&store, move |repos| repos.signups().put(&attempt)).await;
    }
    let mut repeat = first.clone();
    (repeat.password, repeat.updated_at) = (signup(app_id, 5, "x@y.z", 1).password, at(50));
    let expected = format!("{repeat:?}");
    repeat.created_at = at(50);
    write(&store, move |repos| repos.signups().put(&repeat)).await;
    let found = attempts(&store, app_id).await;
    assert_eq!(found.len(), 2);
    assert_eq!(format!("{:?}", found[0]), expected);
    assert_eq!(found[0].source.as_bytes(), &[1; 32]);
}

/// Of two who complete one attempt, one does.
pub async fn is_verified_once(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let attempt = signup(app_id, 1, "ana@example.com", 1);
    let id = attempt.id;
    let read = attempt.clone();
    write(&store, move |repos| repos.signups().put(&attempt)).await;
    let mut replaced = read.clone();
    replaced.user_id = latchkey_domain::UserId::from_bytes([99; 16]);
    for (attempt, expected) in [(replaced, false), (read.clone(), true), (read, false)] {
        assert_eq!(write(&store, move |repos| repos.signups().verify(&attempt, at(9))).await, expected);
    }
    assert_eq!(attempts(&store, app_id).await[0].state, SignupState::Verified);
    write(&store, move |repos| repos.signups().remove(app_id, id)).await;
    assert!(attempts(&store, app_id).await.is_empty());
}
