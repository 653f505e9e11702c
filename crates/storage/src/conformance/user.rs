//! Users.

use latchkey_domain::{
    Authenticator, Factors, Handle, Phone, Provider, Sealed, SocialIdentity, TokenId, UserId, UserName,
};

use super::data::{at, stored_app, user, write};
use crate::Store;

/// A handle is one handle in all spellings that look alike.
pub async fn is_found_in_every_spelling(store: Store) {
    let app = stored_app(&store, 1).await;
    let mut added = user(app.id, 1, "kiss@example.com");
    added.user_name = Some(UserName::parse("kiss").unwrap());
    assert!(write(&store, move |repos| repos.users().add(&added)).await);
    for spelling in ["kiss@example.com", " KISS@Example.com", "\u{212A}iss@example.com"] {
        let handle = Handle::parse(spelling).unwrap();
        let app_id = app.id;
        let found =
            store.read("test", move |readers| readers.users().find_by_handle(app_id, &handle)).await.unwrap();
        assert_eq!(found.unwrap().handle.as_str(), "kiss@example.com", "{spelling}");
    }
    let name = UserName::parse("KISS").unwrap();
    let found =
        store.read("test", move |readers| readers.users().find_by_user_name(app.id, &name)).await.unwrap();
    assert!(found.is_some());
}

/// 64 sign-ups of one handle make one user.
pub async fn one_of_64_racers_gets_the_handle(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let racers: Vec<_> = (1..=64)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let user = user(app_id, number, "ana@example.com");
                write(&store, move |repos| repos.users().add(&user)).await
            })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        winners += usize::from(racer.await.unwrap());
    }
    assert_eq!(winners, 1);
}

/// Nobody reaches across applications.
pub async fn of_another_app_is_not_found(store: Store) {
    let (app, other) = (stored_app(&store, 1).await, stored_app(&store, 2).await);
    let added = user(app.id, 1, "ana@example.com");
    assert!(write(&store, move |repos| repos.users().add(&added)).await);
    let handle = Handle::parse("ana@example.com").unwrap();
    let by_handle = store.read("test", move |readers| readers.users().find_by_handle(other.id, &handle));
    assert!(by_handle.await.unwrap().is_none());
    let id = UserId::from_bytes([1; 16]);
    assert!(store.read("test", move |readers| readers.users().find(other.id, id)).await.unwrap().is_none());
    let twin = user(other.id, 1, "ana@example.com");
    assert!(write(&store, move |repos| repos.users().add(&twin)).await);
}

/// Of two who read the same epoch, one moves it.
pub async fn sessions_change_once(store: Store) {
    let app = stored_app(&store, 1).await;
    let added = user(app.id, 1, "ana@example.com");
    let (id, from) = (added.id, added.sessions);
    write(&store, move |repos| repos.users().add(&added)).await;
    let to = from.end_all_but(TokenId::from_bytes([7; 16]));
    let change = || write(&store, move |repos| repos.users().change_sessions(app.id, id, from, to, at(9)));
    assert!(change().await);
    assert!(!change().await);
    let found = store.read("test", move |readers| readers.users().find(app.id, id)).await.unwrap().unwrap();
    assert_eq!((found.sessions, found.updated_at), (to, at(9)));
}

/// A digest that is no longer the verified one is not overwritten.
pub async fn a_password_is_replaced_once(store: Store) {
    let app = stored_app(&store, 1).await;
    let added = user(app.id, 1, "ana@example.com");
    let (id, old) = (added.id, added.password.clone().unwrap());
    write(&store, move |repos| repos.users().add(&added)).await;
    for (new, expected) in [(vec![8; 50], true), (vec![9; 50], false)] {
        let (old, new) = (old.clone(), Sealed::from_bytes(new));
        let replaced =
            write(&store, move |repos| repos.users().replace_password(app.id, id, &old, &new)).await;
        assert_eq!(replaced, expected);
    }
}

/// Plan limits ask for no more than they need to know.
pub async fn are_counted_up_to_a_limit(store: Store) {
    let app = stored_app(&store, 1).await;
    for number in 1..=3 {
        let added = user(app.id, number, &format!("u{number}@example.com"));
        write(&store, move |repos| repos.users().add(&added)).await;
    }
    for (number, expected) in [(0, true), (1, true), (3, true), (4, false), (1_000_000, false)] {
        let found =
            store.read("test", move |readers| readers.users().are_at_least(app.id, number)).await.unwrap();
        assert_eq!(found, expected, "{number}");
    }
}

/// Every member survives storage, to the microsecond.
pub async fn what_is_sealed_and_stored_comes_back(store: Store) {
    let app = stored_app(&store, 1).await;
    let mut added = user(app.id, 1, "ana@example.com");
    added.factors = Factors {
        given_phone: Some(Phone::parse("+4915112345679").unwrap()),
        verified_phone: Some(Phone::parse("+4915112345678").unwrap()),
        wants_sms: true,
        authenticator: Some(Authenticator { secret: Sealed::from_bytes(vec![1; 50]), last_step: Some(7) }),
        pending_authenticator: Some(Sealed::from_bytes(vec![2; 50])),
        revision: 3,
    };
    added.social = Some(SocialIdentity { provider: Provider::Apple, subject: Some("001.x".to_owned()) });
    let (id, expected) = (added.id, format!("{added:?}"));
    let (app_id, bytes) = (app.id, added.password.as_ref().unwrap().as_bytes().to_vec());
    write(&store, move |repos| repos.users().add(&added)).await;
    let found = store.read("test", move |readers| readers.users().find(app_id, id)).await.unwrap().unwrap();
    assert_eq!(format!("{found:?}"), expected);
    assert_eq!(found.password.unwrap().as_bytes(), bytes);
    write(&store, move |repos| repos.users().note_login(app_id, id, at(5))).await;
    let found = store.read("test", move |readers| readers.users().find(app_id, id)).await.unwrap().unwrap();
    assert_eq!(found.last_login_at, Some(at(5)));
}
