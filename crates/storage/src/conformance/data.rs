//! Values for the suite.

use latchkey_domain::{
    App, AppId, AppKey, AppName, AppSettings, AppStatus, AppType, Channel, CodeId, CodeLength, CodePurpose,
    Factors, Handle, KeyedDigest, Locale, LoginRecord, MessageId, MessageState, Metadata, OutboxMessage,
    Owner, Preset, Sealed, Sessions, Signup, SignupId, SignupState, StoredCode, User, UserId, UserStatus,
};
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::{Repositories, StorageError, Store};

/// A time with microseconds, which both databases must keep.
pub(super) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 + seconds).unwrap() + Duration::microseconds(120_300)
}

pub(super) fn app(number: u8) -> (App, AppKey) {
    let id = AppId::from_bytes([number; 16]);
    let app = App {
        id,
        owner: Owner::Server,
        name: AppName::parse(&format!("App {number}")).unwrap(),
        kind: AppType::Development,
        status: AppStatus::Active,
        issuer: format!("https://auth.example.com/apps/{id}"),
        token_generation: 1,
        token_issued_at: at(0),
        revision: 1,
        settings: AppSettings::preset(Preset::Recommended),
        created_at: at(0),
        updated_at: at(1),
    };
    let key = AppKey {
        app_id: id,
        kid: format!("kid-{number}"),
        public_pem: "-----BEGIN PUBLIC KEY-----".to_owned(),
        private: Some(Sealed::from_bytes(vec![number; 40])),
        created_at: at(0),
        signs_from: at(0),
        published_until: None,
        tokens_until: None,
    };
    (app, key)
}

/// An application that is in the store.
pub(super) async fn stored_app(store: &Store, number: u8) -> App {
    let (app, key) = app(number);
    let added = app.clone();
    assert!(write(store, move |repos| repos.apps().add(&added, &key)).await);
    app
}

pub(super) fn user(app_id: AppId, number: u8, handle: &str) -> User {
    User {
        app_id,
        id: UserId::from_bytes([number; 16]),
        handle: Handle::parse(handle).unwrap(),
        user_name: None,
        status: UserStatus::Active,
        password: Some(Sealed::from_bytes(vec![number; 60])),
        locale: Locale::EN,
        metadata: Metadata::from_stored(json!({"a": {"b": "ü\n"}}).as_object().unwrap().clone()),
        sessions: Sessions::FIRST,
        created_at: at(0),
        updated_at: at(0),
        last_login_at: None,
        login: LoginRecord::default(),
        email_verified: false,
        factors: Factors::default(),
        is_administrator: false,
        social: None,
        revision: 0,
    }
}

pub(super) fn signup(app_id: AppId, number: u8, handle: &str, source: u8) -> Signup {
    Signup {
        app_id,
        id: SignupId::from_bytes([number; 16]),
        handle: Handle::parse(handle).unwrap(),
        source: KeyedDigest::from_bytes([source; 32]),
        user_id: UserId::from_bytes([number; 16]),
        state: SignupState::Pending,
        password: Sealed::from_bytes(vec![number; 60]),
        locale: Locale::EN,
        metadata: Metadata::default(),
        created_at: at(i64::from(number)),
        updated_at: at(i64::from(number)),
    }
}

pub(super) fn code(app_id: AppId, number: u8) -> StoredCode {
    StoredCode {
        id: CodeId::from_bytes([number; 16]),
        app_id,
        purpose: CodePurpose::SignUp,
        subject: [9; 16],
        digest: KeyedDigest::from_bytes([number; 32]),
        created_at: at(i64::from(number)),
        expires_at: at(3_600),
        consumed_at: None,
        source: Some(KeyedDigest::from_bytes([number; 32])),
        length: if number.is_multiple_of(2) { CodeLength::Eight } else { CodeLength::Six },
    }
}

pub(super) fn message(app_id: AppId, number: u8) -> OutboxMessage {
    OutboxMessage {
        app_id,
        id: MessageId::from_bytes([number; 16]),
        channel: Channel::Mail,
        recipient: Some(KeyedDigest::from_bytes([number; 32])),
        payload: Sealed::from_bytes(vec![number; 80]),
        attempts: 0,
        due_at: at(i64::from(number)),
        expires_at: Some(at(3_600)),
        state: MessageState::Due,
        last_error: None,
        created_at: at(0),
    }
}

/// Runs a unit of work that must succeed. On a machine that is busy, one may lose its races to the end: nothing was done
/// then, and it is asked for again, as a client would.
pub(super) async fn write<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&mut dyn Repositories) -> Result<T, StorageError> + Send + Sync + 'static,
) -> T {
    let work = std::sync::Arc::new(work);
    for _ in 0..20 {
        let again = std::sync::Arc::clone(&work);
        match store.transact("conformance", move |repos| again(repos)).await {
            Err(StorageError::Unavailable(reason)) if reason.contains("race") => {}
            done => return done.unwrap(),
        }
    }
    panic!("a unit of work lost all its races")
}
