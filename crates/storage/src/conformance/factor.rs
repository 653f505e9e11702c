//! Second factors, recovery codes and social identities.

use latchkey_domain::{
    AppId, Authenticator, Factors, KeyedDigest, Phone, Provider, Sealed, SocialIdentity, User, UserId,
};

use super::data::{at, stored_app, user, write};
use crate::{StorageError, Store};

async fn stored_user(store: &Store, app_id: AppId, number: u8) -> User {
    let added = user(app_id, number, &format!("u{number}@example.com"));
    let stored = added.clone();
    assert!(write(store, move |repos| repos.users().add(&stored)).await);
    added
}

async fn found(store: &Store, app_id: AppId, id: UserId) -> User {
    store.read("test", move |readers| readers.users().find(app_id, id)).await.unwrap().unwrap()
}

async fn factors_of(store: &Store, app_id: AppId, id: UserId) -> Factors {
    found(store, app_id, id).await.factors
}

fn enrolled(from: &Factors, secret: u8) -> Factors {
    let authenticator = Authenticator { secret: Sealed::from_bytes(vec![secret; 50]), last_step: None };
    Factors { authenticator: Some(authenticator), ..from.clone() }
}

/// Of two who read the same factors, one changes them; an accepted step stays.
pub async fn change_once_per_revision(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let id = stored_user(&store, app_id, 1).await.id;
    let from = factors_of(&store, app_id, id).await;
    let to = enrolled(&from, 7);
    let user = found(&store, app_id, id).await;
    // A user who was signed out everywhere meanwhile changes nothing.
    let mut signed_out = user.clone();
    signed_out.sessions = user.sessions.end_all();
    for (user, expected) in [(signed_out, false), (user.clone(), true), (user, false)] {
        let to = to.clone();
        let changed = write(&store, move |repos| repos.factors().change(&user, &to, at(3)));
        assert_eq!(changed.await, expected);
    }
    let secret = Sealed::from_bytes(vec![7; 50]);
    assert!(write(&store, move |repos| repos.factors().accept_step(app_id, id, &secret, 9)).await);
    // Who changes something else has not seen the step, and does not take it back.
    let mut user = found(&store, app_id, id).await;
    user.factors = Factors { revision: from.revision + 1, ..to };
    let to = Factors { given_phone: Phone::parse("+4915112345678").ok(), ..user.factors.clone() };
    assert!(write(&store, move |repos| repos.factors().change(&user, &to, at(4))).await);
    let now = factors_of(&store, app_id, id).await;
    assert_eq!(now.authenticator.as_ref().unwrap().last_step, Some(9));
    assert!(now.given_phone.is_some());
    // Another secret starts from zero.
    let (user, to) = (found(&store, app_id, id).await, enrolled(&now, 8));
    assert!(write(&store, move |repos| repos.factors().change(&user, &to, at(5))).await);
    assert_eq!(factors_of(&store, app_id, id).await.authenticator.unwrap().last_step, None);
}

/// Each step once, however many come at the same time; older ones never.
pub async fn a_step_is_accepted_by_one_of_64_racers(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let id = stored_user(&store, app_id, 1).await.id;
    let user = found(&store, app_id, id).await;
    let to = enrolled(&user.factors, 7);
    write(&store, move |repos| repos.factors().change(&user, &to, at(3))).await;
    let secret = Sealed::from_bytes(vec![7; 50]);
    let racers: Vec<_> = (0..64)
        .map(|_| {
            let (store, secret) = (store.clone(), secret.clone());
            tokio::spawn(async move {
                write(&store, move |repos| repos.factors().accept_step(app_id, id, &secret, 100)).await
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
    for (step, secret, expected) in [(99, 7, false), (100, 7, false), (101, 8, false), (101, 7, true)] {
        let secret = Sealed::from_bytes(vec![secret; 50]);
        let accepted = write(&store, move |repos| repos.factors().accept_step(app_id, id, &secret, step));
        assert_eq!(accepted.await, expected, "{step}");
    }
}

/// Once each, and only their owner's.
pub async fn a_recovery_code_works_once(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let (id, other) = (stored_user(&store, app_id, 1).await.id, stored_user(&store, app_id, 2).await.id);
    for round in [1_u8, 11] {
        let digests: Vec<_> = (round..round + 3).map(|n| KeyedDigest::from_bytes([n; 32])).collect();
        write(&store, move |repos| repos.factors().replace_recovery_codes(app_id, id, &digests)).await;
    }
    for (user, number, expected) in
        [(id, 1, false), (other, 11, false), (id, 11, true), (id, 11, false), (id, 12, true)]
    {
        let digest = KeyedDigest::from_bytes([number; 32]);
        let used = write(&store, move |repos| repos.factors().use_recovery_code(app_id, user, &digest));
        assert_eq!(used.await, expected, "{number}");
    }
}

/// A second user with it is no user.
pub async fn a_verified_phone_is_one_users(store: Store) {
    let (app_id, elsewhere) = (stored_app(&store, 1).await.id, stored_app(&store, 2).await.id);
    let phone = Phone::parse("+4915112345678").unwrap();
    let mut results = Vec::new();
    for (app_id, number) in [(app_id, 1), (app_id, 2), (elsewhere, 3)] {
        let id = stored_user(&store, app_id, number).await.id;
        let user = found(&store, app_id, id).await;
        let to = Factors { verified_phone: Some(phone.clone()), ..user.factors.clone() };
        let changed: Result<bool, StorageError> =
            store.transact("test", move |repos| repos.factors().change(&user, &to, at(3))).await;
        results.push(changed.is_ok());
    }
    assert_eq!(results, [true, false, true]);
    let wanted = phone.clone();
    let found = store.read("test", move |readers| readers.users().find_by_verified_phone(app_id, &wanted));
    assert_eq!(found.await.unwrap().unwrap().id, UserId::from_bytes([1; 16]));
}

/// Provider and subject name one user of an application.
pub async fn a_subject_is_found_and_set_once(store: Store) {
    let (app_id, elsewhere) = (stored_app(&store, 1).await.id, stored_app(&store, 2).await.id);
    let mut added = user(app_id, 1, "ana@example.com");
    added.social = Some(SocialIdentity { provider: Provider::Google, subject: None });
    write(&store, move |repos| repos.users().add(&added)).await;
    let id = UserId::from_bytes([1; 16]);
    for (provider, subject, expected) in
        [(Provider::Apple, "1", false), (Provider::Google, "1", true), (Provider::Google, "2", false)]
    {
        let identity = SocialIdentity { provider, subject: Some(subject.to_owned()) };
        let set = write(&store, move |repos| repos.factors().set_subject(app_id, id, &identity));
        assert_eq!(set.await, expected, "{provider:?} {subject}");
    }
    for (app_id, provider, subject, expected) in [
        (app_id, Provider::Google, "1", true),
        (app_id, Provider::Apple, "1", false),
        (app_id, Provider::Google, "2", false),
        (elsewhere, Provider::Google, "1", false),
    ] {
        let found =
            store.read("test", move |readers| readers.users().find_by_subject(app_id, provider, subject));
        assert_eq!(found.await.unwrap().is_some(), expected, "{provider:?} {subject}");
    }
}
