//! Keys of one application in another's rows and files: whatever way they come, they sign nothing there.

use latchkey_crypto::PublicKey;
use latchkey_domain::{AppId, AppKey, Preset};
use latchkey_service::transfer::ImportManifest;
use latchkey_service::{Operator, Refusal, ServiceError};
use latchkey_transfer::{KeyRecord, Record};
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, GOOD_PASSWORD, Made, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_127_an_archive_signs_with_no_other_applications_key,
    sec_127_an_import_takes_no_other_applications_issuer,
    sec_111_an_archive_brings_no_key_set_without_end,
    sec_127_a_zip_signs_with_no_other_applications_key,
    sec_096_a_key_row_that_was_moved_signs_nothing,
);

const ANA: &str = "ana@example.com";

/// An application with one user, whose key is in the cache.
async fn shop_of(app: &TestApp, name: &str) -> Made {
    let shop = app.app_without_code(name, Preset::Compatible).await;
    let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", body).await.status, 200);
    assert_eq!(log_in(app, &shop).await.status, 200);
    shop
}

async fn log_in(app: &TestApp, shop: &Made) -> Answer {
    app.as_app(shop, "login", json!({"handle": ANA, "password": GOOD_PASSWORD})).await
}

async fn keys_of(app: &TestApp, shop: &Made) -> Vec<AppKey> {
    let id: AppId = shop.id.parse().unwrap();
    app.store.read("test", move |readers| readers.apps().keys(id)).await.unwrap()
}

/// The key id in a JWT's header.
fn kid_of(jwt: &str) -> String {
    use base64::Engine as _;
    let header = jwt.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

/// Everything of an application, its secrets in clear.
pub(crate) async fn archive_of(app: &TestApp, shop: &Made) -> (ImportManifest, Vec<Record>) {
    let operator = Operator::command_line();
    let mut export = app.service.begin_clear_export(operator, shop.id.parse().unwrap(), true).await.unwrap();
    let (mut found, mut keys, mut members) = (None, Vec::new(), Vec::new());
    while let Some(records) = app.service.next_of_export(&mut export).await.unwrap() {
        for record in records {
            match record {
                Record::App(record) => found = Some(record),
                Record::Key(key) => keys.push(key),
                Record::Template(_) => {}
                other => members.push(other),
            }
        }
    }
    let head = ImportManifest {
        source: [7; 32],
        app: found.unwrap(),
        keys,
        templates: Vec::new(),
        takes_old_app_tokens: false,
    };
    (head, members)
}

pub(crate) async fn import(
    app: &TestApp,
    head: ImportManifest,
    members: Vec<Record>,
) -> Result<Made, ServiceError> {
    let operator = Operator::command_line;
    let (number, source) = (members.len(), head.source);
    app.service.begin_import(operator(), head.clone()).await?;
    app.service.import_batch(operator(), source, 0, members).await?;
    app.service.finish_import(operator(), head.clone(), i64::try_from(number).unwrap()).await?;
    let view = app.service.find_app(head.app.app_id.parse().unwrap()).await?;
    Ok(Made { id: view.app.id.to_string(), token: view.app_token })
}

pub(crate) async fn remove(app: &TestApp, shop: &Made) {
    app.service.remove_app(Operator::command_line(), shop.id.parse().unwrap()).await.unwrap();
}

async fn sec_127_an_archive_signs_with_no_other_applications_key(app: TestApp) {
    let victim = shop_of(&app, "Victim").await;
    let of_victim = keys_of(&app, &victim).await.remove(0);
    for (number, takes_old_app_tokens) in [(1, false), (2, true)] {
        let own = shop_of(&app, &format!("Own {number}")).await;
        let (mut head, members) = archive_of(&app, &own).await;
        (head.source, head.takes_old_app_tokens) = ([number; 32], takes_old_app_tokens);
        remove(&app, &own).await;
        let own_kid = PublicKey::from_pem(&head.keys[0].public_key).unwrap().kid().to_owned();
        let now = app.clock_now();
        for (signs_from, hours) in [(now - Duration::SECOND, 0), (now + Duration::minutes(5), 1)] {
            head.keys.push(KeyRecord {
                public_key: of_victim.public_pem.clone(),
                private_key: None,
                created_at: now,
                signs_from,
                published_until: None,
                tokens_until: None,
            });
            let imported = import(&app, head.clone(), members.clone()).await.unwrap();
            app.clock.advance(Duration::hours(hours));
            let answer = log_in(&app, &imported).await;
            let kid = kid_of(&answer.field("jwt"));
            assert_ne!(kid, of_victim.kid, "signed with another application's key");
            app.claims(&imported, &answer.field("jwt")).await;
            let keys = app.service.list_keys(imported.id.parse().unwrap()).await.unwrap();
            let foreign = keys.iter().find(|key| key.key.kid == of_victim.kid).unwrap();
            assert_eq!(foreign.state, latchkey_domain::KeyState::Retiring);
            assert!(foreign.key.published_until.is_some(), "its publication ends");
            // Where it came before all of its own keys, the own one still signs; where it was to be the present one,
            // a new key does.
            if hours == 1 {
                assert_eq!(kid, own_kid);
            }
            remove(&app, &imported).await;
            head.keys.pop();
        }
    }
    // The victim's own tokens are as they were.
    assert_eq!(kid_of(&log_in(&app, &victim).await.field("jwt")), of_victim.kid);
}

async fn sec_111_an_archive_brings_no_key_set_without_end(app: TestApp) {
    let own = shop_of(&app, "Own").await;
    let (mut head, members) = archive_of(&app, &own).await;
    remove(&app, &own).await;
    let key = head.keys[0].clone();
    head.keys.resize(51, KeyRecord { private_key: None, ..key });
    let error = import(&app, head.clone(), members.clone()).await.unwrap_err();
    assert!(error.to_string().contains("more than 50 keys"), "{error}");
    head.keys.truncate(1);
    import(&app, head, members).await.unwrap();
}

async fn sec_127_an_import_takes_no_other_applications_issuer(app: TestApp) {
    let victim = shop_of(&app, "Victim").await;
    let moved = shop_of(&app, "Moved").await;
    let (mut elsewhere, members) = archive_of(&app, &moved).await;
    remove(&app, &moved).await;
    // An application of another server keeps the issuer that its consumers know.
    elsewhere.app.issuer = "https://old.example.com/apps/1".to_owned();
    import(&app, elsewhere, members).await.unwrap();
    let own = shop_of(&app, "Own").await;
    let (mut head, members) = archive_of(&app, &own).await;
    head.source = [9; 32];
    remove(&app, &own).await;
    for issuer in [
        format!("https://auth.example.com/apps/{}", victim.id),
        "https://auth.example.com/apps/0123456789abcdef0123456789abcdef".to_owned(),
        "https://auth.example.com/apps/".to_owned(),
        "https://old.example.com/apps/1".to_owned(),
    ] {
        head.app.issuer.clone_from(&issuer);
        let checked = app.service.check_import(head.clone()).await.unwrap_err();
        let refused = import(&app, head.clone(), members.clone()).await.unwrap_err();
        for error in [checked, refused] {
            assert_eq!(error.refusal(), Some(Refusal::InvalidData), "{issuer}");
            assert!(error.to_string().contains("belongs to another application"), "{error}");
        }
    }
    head.app.issuer = format!("https://auth.example.com/apps/{}", own.id);
    import(&app, head, members).await.unwrap();
}

async fn sec_127_a_zip_signs_with_no_other_applications_key(app: TestApp) {
    let victim = shop_of(&app, "Victim").await;
    let of_victim = keys_of(&app, &victim).await.remove(0);
    let own = shop_of(&app, "Own").await;
    let zip = app.admin_get(&format!("export?appId={}&secrets=true", own.id)).await.body;
    let one_line = |pem: &str| PublicKey::from_pem(pem).unwrap().to_one_line();
    let own_key = one_line(&keys_of(&app, &own).await.remove(0).public_pem);
    let swapped = crate::moving::edited(&zip, "app-collection.csv", |text| {
        text.replace(&own_key, &one_line(&of_victim.public_pem))
    });
    // The private half of one key does not make another key one's own.
    let answer = crate::moving::upload_as(&app, "Forged", &swapped).await;
    assert_eq!(answer.error(), (400, 602));
    assert!(answer.text().contains("private key belongs to another public key"), "{}", answer.text());
    // Without a private half, the key is there for tokens that are in use, and a new one signs.
    let zip = app.admin_get(&format!("export?appId={}", own.id)).await.body;
    let swapped = crate::moving::edited(&zip, "app-collection.csv", |text| {
        text.replace(&own_key, &one_line(&of_victim.public_pem))
    });
    let answer = crate::moving::upload_as(&app, "Forged", &swapped).await;
    let forged = Made { id: answer.field("appId"), token: answer.field("appToken") };
    let answer = log_in(&app, &forged).await;
    assert_ne!(kid_of(&answer.field("jwt")), of_victim.kid);
    app.claims(&forged, &answer.field("jwt")).await;
}

async fn sec_096_a_key_row_that_was_moved_signs_nothing(app: TestApp) {
    let (victim, own) = (shop_of(&app, "Victim").await, shop_of(&app, "Own").await);
    let of_victim = keys_of(&app, &victim).await.remove(0);
    let of_own = keys_of(&app, &own).await.remove(0);
    let id: AppId = own.id.parse().unwrap();
    let later = of_own.signs_from + Duration::SECOND;
    app.clock.advance(Duration::minutes(1));
    let moved = AppKey { app_id: id, signs_from: later, ..of_victim.clone() };
    for row in [
        // The victim's row, as it stands.
        moved.clone(),
        // Its public half over one's own private half.
        AppKey { private: of_own.private.clone(), ..moved.clone() },
        // One's own key id and private half, the victim's public half.
        AppKey { kid: of_own.kid.clone(), private: of_own.private.clone(), ..moved.clone() },
        // One's own key, its private half replaced.
        AppKey { signs_from: later, private: of_victim.private.clone(), ..of_own.clone() },
    ] {
        let (kept, own_kid, kid) = (of_own.clone(), of_own.kid.clone(), row.kid.clone());
        let placed = app.store.transact("test", move |repos| {
            repos.apps().remove_key(id, &own_kid)?;
            repos.apps().put_key(&row)
        });
        placed.await.unwrap();
        let answer = log_in(&app, &own).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        let restored = app.store.transact("test", move |repos| {
            repos.apps().remove_key(id, &kid)?;
            repos.apps().put_key(&kept)
        });
        restored.await.unwrap();
        assert_eq!(kid_of(&log_in(&app, &own).await.field("jwt")), of_own.kid);
    }
}
