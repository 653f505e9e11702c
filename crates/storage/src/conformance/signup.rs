//! Sign-up attempts.

use latchkey_domain::{AppId, Handle, Signup, SignupState};

use super::data::{at, signup, stored_app, write};
use crate::Store;

async fn attempts(store: &impl Store, app_id: AppId) -> Vec<Signup> {
    let handle = Handle::parse("ana@example.com").unwrap();
    store.read("test", move |readers| readers.signups().list(app_id, &handle)).await.unwrap()
}

/// A repeat from one source takes the newer values, another source has its own attempt.
pub async fn one_attempt_per_source(store: impl Store) {
    let app_id = stored_app(&store, 1).await.id;
    let (first, other) = (signup(app_id, 1, "ana@example.com", 1), signup(app_id, 2, "ana@example.com", 2));
    for attempt in [first.clone(), other] {
        assert!(write(&store, move |repos| repos.signups().put(&attempt, None)).await);
    }
    let mut repeat = first.clone();
    (repeat.password, repeat.updated_at) = (signup(app_id, 5, "x@y.z", 1).password, at(50));
    let expected = repeat.password.as_bytes().to_vec();
    assert!(write(&store, move |repos| repos.signups().put(&repeat, None)).await);
    let found = attempts(&store, app_id).await;
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].id, found[0].password.as_bytes()), (first.id, expected.as_slice()));
    // A third attempt takes the place of the first only if it says so.
    let third = signup(app_id, 3, "ana@example.com", 1);
    let (refused, accepted) = (third.clone(), third);
    assert!(!write(&store, move |repos| repos.signups().put(&refused, None)).await);
    assert!(write(&store, move |repos| repos.signups().put(&accepted, Some(first.id))).await);
    assert_eq!(attempts(&store, app_id).await.len(), 2);
}

/// Of two who complete one attempt, one does.
pub async fn is_verified_once(store: impl Store) {
    let app_id = stored_app(&store, 1).await.id;
    let attempt = signup(app_id, 1, "ana@example.com", 1);
    let id = attempt.id;
    write(&store, move |repos| repos.signups().put(&attempt, None)).await;
    assert!(write(&store, move |repos| repos.signups().verify(app_id, id, at(9))).await);
    assert!(!write(&store, move |repos| repos.signups().verify(app_id, id, at(9))).await);
    assert_eq!(attempts(&store, app_id).await[0].state, SignupState::Verified);
    write(&store, move |repos| repos.signups().remove(app_id, id)).await;
    assert!(attempts(&store, app_id).await.is_empty());
}

/// A repeat that comes too late changes nothing.
pub async fn a_verified_attempt_is_not_overwritten(store: impl Store) {
    let app_id = stored_app(&store, 1).await.id;
    let attempt = signup(app_id, 1, "ana@example.com", 1);
    let (late, id) = (attempt.clone(), attempt.id);
    write(&store, move |repos| repos.signups().put(&attempt, None)).await;
    write(&store, move |repos| repos.signups().verify(app_id, id, at(9))).await;
    assert!(!write(&store, move |repos| repos.signups().put(&late, None)).await);
}
