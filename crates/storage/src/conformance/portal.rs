//! Accounts of the portal, their log-ins, and set-up links.

use latchkey_domain::{
    Developer, DeveloperId, DeveloperRole, DeveloperStatus, Handle, KeyedDigest, LoginStage, PortalLogin,
    Sealed, SetupLink,
};
use time::Duration;

use super::data::{at, write};
use crate::{Expired, Store};

fn developer(number: u8, email: &str) -> Developer {
    Developer {
        id: DeveloperId::from_bytes([number; 16]),
        email: Handle::parse(email).unwrap(),
        role: DeveloperRole::Administrator,
        status: DeveloperStatus::Active,
        password: Sealed::from_bytes(vec![number; 50]),
        password_at: at(0),
        created_at: at(1),
        updated_at: at(2),
        last_sign_in_at: None,
        revision: 1,
    }
}

fn ana_id() -> DeveloperId {
    DeveloperId::from_bytes([1; 16])
}

fn login(number: u8, stage: LoginStage) -> PortalLogin {
    PortalLogin {
        digest: KeyedDigest::from_bytes([number; 32]),
        stage,
        address: "2001:db8::1".parse().unwrap(),
        agent: "Firefox".to_owned(),
        created_at: at(0),
        used_at: at(i64::from(number)),
        confirmed_at: at(3),
    }
}

/// An account comes back as it was; its address has one, in every spelling; a change is conditional on its revision.
pub async fn an_account_is_added_once_and_changed_once_per_revision(store: Store) {
    let ana = developer(1, "Ana@example.com");
    assert!(!store.read("test", |readers| readers.portal().has_administrator()).await.unwrap());
    let add = async |added: Developer| write(&store, move |repos| repos.portal().add_developer(&added)).await;
    assert!(add(ana.clone()).await);
    assert!(add(ana.clone()).await, "a unit that runs again finds its own row");
    assert!(!add(developer(2, "ana@EXAMPLE.com")).await);
    let key = ana.email.key().to_owned();
    let find = async || {
        let key = key.clone();
        store.read("test", move |readers| readers.portal().find_by_email(&key)).await.unwrap().unwrap()
    };
    let found = find().await;
    assert_eq!((found.id, found.email.as_str(), found.created_at), (ana.id, "ana@example.com", at(1)));
    assert_eq!((found.password, found.revision), (ana.password.clone(), 1));
    assert!(store.read("test", |readers| readers.portal().has_administrator()).await.unwrap());
    let note = async |password_at| {
        write(&store, move |repos| repos.portal().note_sign_in(ana_id(), password_at, at(8))).await
    };
    assert!(note(at(0)).await && !note(at(1)).await, "the password was changed meanwhile");
    assert_eq!(find().await.last_sign_in_at, Some(at(8)));
    let changed = Developer {
        status: DeveloperStatus::Blocked,
        last_sign_in_at: Some(at(9)),
        revision: 2,
        ..ana.clone()
    };
    for expected in [true, false] {
        let changed = changed.clone();
        assert_eq!(write(&store, move |repos| repos.portal().update_developer(&changed, 1)).await, expected);
    }
    let found = find().await;
    assert_eq!((found.status, found.last_sign_in_at), (DeveloperStatus::Blocked, Some(at(9))));
    assert!(!note(at(0)).await, "blocked");
    assert!(!store.read("test", |readers| readers.portal().has_administrator()).await.unwrap());
}

/// Log-ins come back, are noted, end one by one, by account, or by age.
pub async fn log_ins_end(store: Store) {
    let ana = developer(1, "ana@example.com");
    let id = ana.id;
    write(&store, move |repos| repos.portal().add_developer(&ana)).await;
    for (number, stage) in [
        (1, LoginStage::Full(id)),
        (2, LoginStage::Code(id)),
        (3, LoginStage::Full(id)),
        (4, LoginStage::Setup),
    ] {
        write(&store, move |repos| repos.portal().add_login(&login(number, stage))).await;
    }
    let digest = |number: u8| KeyedDigest::from_bytes([number; 32]);
    let find = async |number: u8| {
        store.read("test", move |readers| readers.portal().find_login(&digest(number))).await.unwrap()
    };
    let found = find(2).await.unwrap();
    assert_eq!((found.stage, found.agent.as_str()), (LoginStage::Code(id), "Firefox"));
    assert_eq!((found.address, found.used_at), ("2001:db8::1".parse().unwrap(), at(2)));
    assert_eq!(find(4).await.unwrap().stage, LoginStage::Setup);
    assert!(write(&store, move |repos| repos.portal().note_use(&digest(1), at(50))).await);
    assert!(!write(&store, move |repos| repos.portal().note_use(&digest(9), at(50))).await);
    let logins = store.read("test", move |readers| readers.portal().logins(id)).await.unwrap();
    let order: Vec<u8> = logins.iter().map(|login| login.digest.as_bytes()[0]).collect();
    assert_eq!(order, [1, 3, 2]);
    assert!(write(&store, move |repos| repos.portal().remove_login(&digest(3))).await);
    assert!(!write(&store, move |repos| repos.portal().remove_login(&digest(3))).await);
    assert_eq!(write(&store, move |repos| repos.portal().remove_logins_of(id, Some(&digest(1)))).await, 1);
    assert!(find(1).await.is_some() && find(2).await.is_none() && find(4).await.is_some());
    let over = |seconds| {
        move |repos: &mut dyn crate::Repositories| {
            repos.upkeep().remove_expired(Expired::PortalLogins, at(0) + Duration::seconds(seconds), 9)
        }
    };
    assert_eq!(write(&store, over(0)).await, 0);
    assert_eq!(write(&store, over(1)).await, 2);
}

/// A new set-up link takes the place of the one before.
pub async fn the_newest_set_up_link_counts(store: Store) {
    let link = |number: u8| SetupLink { digest: KeyedDigest::from_bytes([number; 32]), created_at: at(0) };
    for number in [1, 2] {
        write(&store, move |repos| repos.portal().replace_setup_links(Some(&link(number)))).await;
    }
    let find = async |number: u8| {
        let found =
            store.read("test", move |readers| readers.portal().find_setup_link(&link(number).digest)).await;
        found.unwrap().map(|link| link.created_at)
    };
    assert_eq!((find(1).await, find(2).await), (None, Some(at(0))));
    write(&store, move |repos| repos.portal().replace_setup_links(None)).await;
    assert_eq!(find(2).await, None);
}
