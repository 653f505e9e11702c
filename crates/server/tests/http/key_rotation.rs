//! New keys of the server, while it serves: for when the database and the master key have leaked.

use latchkey_crypto::MasterKey;
use latchkey_domain::{AppId, ImportProgress, Sealed, SeededEntropy, ServerKeyPurpose};
use latchkey_service::operate::KeyRotation;
use latchkey_service::{Operator, ServiceError};
use latchkey_storage::SealedColumn;
use serde_json::json;
use time::Duration;

use crate::harness::{Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_135_after_new_server_keys_everything_goes_on_and_old_tokens_end,
    sec_135_app_tokens_end_where_the_operator_says_so,
    sec_135_another_instance_goes_on_where_one_stopped,
    sec_135_what_lives_briefly_ends_with_the_old_digests,
    sec_135_known_addresses_and_counters_stay,
    sec_135_an_import_that_is_not_whole_keeps_the_old_keys,
    sec_135_a_clock_that_jumped_keeps_the_old_keys,
    sec_135_both_changes_at_once_leave_one_master_key,
    sec_135_an_instance_without_the_new_keys_stops,
    sec_135_old_keys_do_not_come_back_while_a_server_runs,
    sec_135_next_keys_that_are_gone_are_no_rotation_that_is_done,
    sec_135_keys_that_open_nothing_are_known_at_the_start,
    sec_135_an_instance_that_knew_the_new_keys_goes_on_without_the_master_key,
);

const ANA: &str = "ana@example.com";

async fn begin(app: &TestApp, app_tokens: bool) {
    app.service.rotate_server_keys(Operator::command_line(), app_tokens).await.unwrap();
}

/// Goes on until there is something to wait for, or nothing left to do.
pub(crate) async fn settled(app: &TestApp) -> KeyRotation {
    loop {
        match app.service.go_on_with_keys().await.unwrap() {
            KeyRotation::Resealing(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            settled => return settled,
        }
    }
}

/// Lets a change of keys come to its end.
async fn finished(app: &TestApp) {
    assert!(matches!(settled(app).await, KeyRotation::Waiting(_)));
    app.clock.advance(Duration::seconds(61));
    assert!(matches!(settled(app).await, KeyRotation::Waiting(_)), "old keys are still in use elsewhere");
    app.clock.advance(Duration::seconds(61));
    assert_eq!(settled(app).await, KeyRotation::Done);
}

/// The ids of the keys under which the application's values are sealed, by column.
async fn sealed_with(app: &TestApp, shop: &Made) -> Vec<(usize, Vec<u8>)> {
    let id: AppId = shop.id.parse().unwrap();
    let mut found = Vec::new();
    for (number, column) in SealedColumn::OF_APPS.into_iter().enumerate() {
        let cells = app
            .store
            .read("test", move |readers| readers.sealed().list(column, id, &[], 1_000))
            .await
            .unwrap();
        found.extend(cells.iter().map(|cell| (number, cell.value.as_bytes()[1..17].to_vec())));
    }
    let settings =
        app.store.read("test", move |readers| readers.apps().find(id)).await.unwrap().unwrap().settings;
    let accounts = [settings.sms_account, settings.mail_api_key];
    found.extend(accounts.iter().flatten().map(|value| (99, value.as_bytes()[1..17].to_vec())));
    found
}

async fn generations(app: &TestApp, purpose: ServerKeyPurpose) -> Vec<i64> {
    let keys = app.store.read("test", |readers| readers.server_keys().list()).await.unwrap();
    keys.iter().filter(|key| key.purpose == purpose).map(|key| key.generation).collect()
}

async fn works(app: &TestApp, access: &str) -> bool {
    app.get("/api/appuser/getUser", ("access-token", access)).await.status == 200
}

async fn sec_135_after_new_server_keys_everything_goes_on_and_old_tokens_end(app: TestApp) {
    // Something in every column.
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let recovery = app.as_user(&access, "newRecoveryCodes", json!({})).await;
    let bo = app.user(&shop, "bo@example.com").await;
    app.set(&shop, "twoFactorConfirm", "twoFactorConfirm", json!(true)).await;
    app.enrol(&bo).await;
    app.as_app(&shop, "signup", json!({"handle": "cy@example.com", "password": PASSWORD})).await;
    let login_token = app.login_token(&shop, ANA).await;
    let before = sealed_with(&app, &shop).await;
    let columns: std::collections::BTreeSet<usize> = before.iter().map(|(column, _)| *column).collect();
    assert_eq!(columns, [0, 1, 2, 3, 4, 5, 99].into(), "a value in every column");
    let jwks = app.get(&format!("/apps/{}/.well-known/jwks.json", shop.id), ("x", "")).await.text();

    begin(&app, false).await;
    begin(&app, false).await;
    assert_eq!(generations(&app, ServerKeyPurpose::Data).await, [1, 2], "one that was begun goes on");
    assert!(works(&app, &access).await, "nothing ends before every instance knows the new keys");
    app.user(&shop, "early@example.com").await;
    finished(&app).await;

    assert_eq!(generations(&app, ServerKeyPurpose::Data).await, [2]);
    assert_eq!(generations(&app, ServerKeyPurpose::Digest).await, [1, 2]);
    assert_eq!(generations(&app, ServerKeyPurpose::Token).await, [1, 2]);
    let after = sealed_with(&app, &shop).await;
    assert!(after.len() >= before.len(), "nothing is lost");
    let old = &before.first().unwrap().1;
    assert!(after.iter().all(|(_, key)| key != old), "everything is under the new key");

    // What the old token key signed has ended, but for app tokens.
    assert!(!works(&app, &access).await);
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 400);
    assert_eq!(app.admin_get(&format!("appKeys?appId={}", shop.id)).await.status, 403);
    let tokens = app.service.list_operator_tokens(Operator::command_line(), None, 10).await.unwrap();
    assert!(tokens.iter().all(|token| token.revoked_at.is_some()));
    // Passwords, authenticators, recovery codes and keys are what they were.
    let login_token = app.login_token(&shop, ANA).await;
    let done = app.complete(&shop, &login_token, app.code_now(&secret)).await;
    assert!(works(&app, &done.field("access-token")).await);
    let code = recovery.json()["recoveryCodes"][0].as_str().unwrap().to_owned();
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
    assert!(app.log_in(&shop, "early@example.com").await.json().get("jwt").is_some());
    assert_eq!(app.get(&format!("/apps/{}/.well-known/jwks.json", shop.id), ("x", "")).await.text(), jwks);
    app.user(&shop, "late@example.com").await;

    // And once more.
    begin(&app, false).await;
    finished(&app).await;
    assert_eq!(generations(&app, ServerKeyPurpose::Data).await, [3]);
    assert_eq!(generations(&app, ServerKeyPurpose::Digest).await, [1, 3]);
    assert!(app.log_in(&shop, "late@example.com").await.json().get("jwt").is_some());
}

async fn sec_135_known_addresses_and_counters_stay(app: TestApp) {
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let wrong = |code: String| (code.parse::<u32>().unwrap() + 1) % 1_000_000;
    // The wrong codes of a day are spent.
    for _ in 0..10 {
        let login_token = app.login_token(&shop, ANA).await;
        for _ in 0..2 {
            let code = format!("{:06}", wrong(app.code_now(&secret)));
            assert_eq!(app.complete(&shop, &login_token, code).await.status, 400);
        }
    }
    begin(&app, false).await;
    finished(&app).await;
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 400, "still spent");
    // Strangers' guesses keep the owner out at home no more than before.
    for _ in 0..12 {
        let guess = json!({"handle": ANA, "password": "e10adc3949ba59abbe56e057f20f883e"});
        app.as_app_from("198.51.100.7", &shop, "login", guess).await;
    }
    app.login_token(&shop, ANA).await;
}

async fn sec_135_app_tokens_end_where_the_operator_says_so(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, ANA).await;
    // It may be said when the change is under way.
    begin(&app, false).await;
    begin(&app, true).await;
    assert_eq!(app.log_in(&shop, ANA).await.status, 200);
    app.clock.advance(Duration::seconds(61));
    app.service.look_for_keys().await.unwrap();
    assert_eq!(app.log_in(&shop, ANA).await.status, 400);
    settled(&app).await;
    app.clock.advance(Duration::seconds(61));
    assert_eq!(settled(&app).await, KeyRotation::Done);
    assert_eq!(generations(&app, ServerKeyPurpose::Token).await, [2]);
    assert_eq!(app.log_in(&shop, ANA).await.status, 400);
    let view = app.service.find_app(shop.id.parse().unwrap()).await.unwrap();
    let new = Made { token: view.app_token, ..shop };
    assert_eq!(app.log_in(&new, ANA).await.status, 200);
}

async fn sec_135_another_instance_goes_on_where_one_stopped(app: TestApp) {
    let shop = app.app("Shop").await;
    for number in 0..3 {
        app.user(&shop, &format!("n{number}@example.com")).await;
    }
    let other = TestApp::with(app.store.clone(), |_| {}).await;
    begin(&app, false).await;
    other.service.look_for_keys().await.unwrap();
    // Time comes to the first one earlier: the other takes what it seals and signs.
    app.clock.advance(Duration::seconds(61));
    app.service.look_for_keys().await.unwrap();
    let access = app.user(&shop, ANA).await;
    assert!(works(&other, &access).await);
    assert_eq!(other.log_in(&shop, ANA).await.status, 200);
    // The first one is gone from here on.
    other.clock.advance(Duration::seconds(61));
    assert!(matches!(settled(&other).await, KeyRotation::Waiting(_)));
    other.clock.advance(Duration::seconds(61));
    assert_eq!(settled(&other).await, KeyRotation::Done);
    assert_eq!(generations(&other, ServerKeyPurpose::Data).await, [2]);
    for handle in [ANA, "n0@example.com", "n2@example.com"] {
        assert_eq!(other.log_in(&shop, handle).await.status, 200, "{handle}");
    }
    // Its keys come back to the first one, which would not open anything else.
    app.service.look_for_keys().await.unwrap();
    assert_eq!(app.log_in(&shop, "n1@example.com").await.status, 200);
}

async fn sec_135_what_lives_briefly_ends_with_the_old_digests(app: TestApp) {
    let shop = app.app("Shop").await;
    let sign_up = json!({"handle": ANA, "password": PASSWORD});
    app.as_app(&shop, "signup", sign_up.clone()).await;
    let code = app.code_for(ANA).await;
    begin(&app, false).await;
    finished(&app).await;
    // With the old root, a six-digit code can be found from its digest by trying all of them.
    let complete = json!({"handle": ANA, "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.error(), (400, 602));
    app.as_app(&shop, "signup", sign_up).await;
    let code = app.code_for(ANA).await;
    let complete = json!({"handle": ANA, "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.status, 200);
}

async fn sec_135_an_import_that_is_not_whole_keeps_the_old_keys(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, ANA).await;
    let mut arriving = app.service.find_app(shop.id.parse().unwrap()).await.unwrap().app;
    let id = AppId::from_bytes([9; 16]);
    (arriving.id, arriving.issuer) = (id, "https://elsewhere.example".to_owned());
    arriving.name = latchkey_domain::AppName::parse("Arriving").unwrap();
    let mark = ImportProgress {
        app_id: id,
        source: [7; 32],
        done: 0,
        began_at: app.clock_now(),
        updated_at: app.clock_now(),
    };
    let (began, begun) = (arriving.clone(), mark.clone());
    assert!(app.store.transact("test", move |repos| repos.imports().begin(&began, &begun)).await.unwrap());
    // This user was imported before the change, so the old key sealed the password hash.
    let shop_id: AppId = shop.id.parse().unwrap();
    let handle = latchkey_domain::Handle::parse(ANA).unwrap();
    let user = app.store.read("test", move |readers| readers.users().find_by_handle(shop_id, &handle)).await;
    let mut user = user.unwrap().unwrap();
    user.app_id = id;
    app.store.transact("test", move |repos| repos.imports().add_user(&user)).await.unwrap();

    begin(&app, false).await;
    app.clock.advance(Duration::seconds(61));
    settled(&app).await;
    app.clock.advance(Duration::seconds(61));
    assert_eq!(settled(&app).await, KeyRotation::HeldByImport);
    assert_eq!(generations(&app, ServerKeyPurpose::Data).await, [1, 2]);
    assert!(app.store.transact("test", move |repos| repos.imports().reveal(&arriving)).await.unwrap());
    assert_eq!(settled(&app).await, KeyRotation::Done);
}

async fn sec_135_a_clock_that_jumped_keeps_the_old_keys(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, ANA).await;
    begin(&app, false).await;
    app.service.purge_if_due().await.unwrap();
    app.clock.jump(Duration::days(2));
    assert_eq!(settled(&app).await, KeyRotation::HeldByClock);
    assert_eq!(generations(&app, ServerKeyPurpose::Data).await, [1, 2]);
    app.service.run_jobs(Operator::command_line()).await.unwrap();
    assert_eq!(settled(&app).await, KeyRotation::Done);
    assert_eq!(app.log_in(&shop, ANA).await.status, 200);
}

async fn sec_135_both_changes_at_once_leave_one_master_key(app: TestApp) {
    let [old, new] = [42, 43].map(|seed| MasterKey::generate(&SeededEntropy::new(seed)).unwrap());
    let operator = Operator::command_line();
    let (master, server) = tokio::join!(
        app.service.rotate_master(operator.clone(), &old, &new),
        app.service.rotate_server_keys(operator, false),
    );
    assert!(master.is_ok() || server.is_ok());
    let opens = [app.service.opens_with(&old).await.unwrap(), app.service.opens_with(&new).await.unwrap()];
    assert_eq!(opens, [master.is_err(), master.is_ok()], "{master:?} {server:?}");
}

/// Two instances over one database: the second one has the present master key, the first one only that before.
async fn after_a_new_master_key(app: &TestApp) -> TestApp {
    let [old, new] = [42, 43].map(|seed| MasterKey::generate(&SeededEntropy::new(seed)).unwrap());
    app.service.rotate_master(Operator::command_line(), &old, &new).await.unwrap();
    app.service.look_for_keys().await.unwrap();
    TestApp::with_master(app.store.clone(), 43, |_| {}).await
}

async fn sec_135_an_instance_without_the_new_keys_stops(app: TestApp) {
    let other = after_a_new_master_key(&app).await;
    begin(&other, false).await;
    let early = app.service.look_for_keys().await.unwrap_err();
    assert!(matches!(early, ServiceError::Internal(_)), "the old keys are still good: {early}");
    app.clock.advance(Duration::seconds(61));
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let error = app.service.keep_up(stopped).await.unwrap_err();
    assert!(matches!(error, ServiceError::KeysReplaced(_)), "{error}");
    finished(&other).await;
}

async fn sec_135_an_instance_that_knew_the_new_keys_goes_on_without_the_master_key(app: TestApp) {
    let shop = app.app("Shop").await;
    begin(&app, false).await;
    let other = after_a_new_master_key(&app).await;
    finished(&app).await;
    app.user(&shop, ANA).await;
    other.clock.advance(Duration::seconds(122));
    assert_eq!(settled(&other).await, KeyRotation::Done);
    assert_eq!(other.log_in(&shop, ANA).await.status, 200);
}

async fn sec_135_next_keys_that_are_gone_are_no_rotation_that_is_done(app: TestApp) {
    begin(&app, false).await;
    let removed = app.store.transact("test", |repos| {
        let keys = repos.server_keys();
        let stored = keys.list()?;
        stored.iter().filter(|key| key.generation == 2).try_for_each(|key| keys.remove(key).map(drop))
    });
    removed.await.unwrap();
    let error = app.service.go_on_with_keys().await.unwrap_err();
    assert!(error.to_string().contains("gone from the database"), "{error}");
}

async fn sec_135_keys_that_open_nothing_are_known_at_the_start(app: TestApp) {
    assert!(app.service.opens_what_is_stored().await.unwrap(), "nothing is stored");
    let shop = app.app("Shop").await;
    assert!(app.service.opens_what_is_stored().await.unwrap());
    let id: AppId = shop.id.parse().unwrap();
    let changed = app.store.transact("test", move |repos| {
        for cell in repos.sealed().list(SealedColumn::AppKey, id, &[], 10)? {
            let mut bytes = cell.value.as_bytes().to_vec();
            bytes[1] ^= 1;
            repos.sealed().replace(SealedColumn::AppKey, id, &cell, &Sealed::from_bytes(bytes))?;
        }
        Ok::<_, ServiceError>(())
    });
    changed.await.unwrap();
    assert!(!app.service.opens_what_is_stored().await.unwrap());
}

async fn sec_135_old_keys_do_not_come_back_while_a_server_runs(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, ANA).await;
    begin(&app, false).await;
    finished(&app).await;
    assert!(!works(&app, &access).await);
    // Neither a clock that is set back, nor somebody who writes to the database, makes the old ones serve again.
    app.clock.jump(-Duration::hours(3));
    assert!(app.service.look_for_keys().await.is_err());
    assert!(!works(&app, &access).await);
    app.clock.jump(Duration::hours(3));
    app.service.look_for_keys().await.unwrap();
    app.store
        .transact("test", |repos| {
            let keys = repos.server_keys();
            let newest = keys
                .list()?
                .into_iter()
                .find(|key| key.purpose == ServerKeyPurpose::Token && key.generation == 2);
            keys.remove(&newest.unwrap())
        })
        .await
        .unwrap();
    assert!(app.service.look_for_keys().await.is_err());
    assert!(!works(&app, &access).await);
}
