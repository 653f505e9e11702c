//! `login`.

use latchkey_domain::Preset;
use serde_json::json;

use crate::harness::{OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_005_a_password_is_the_same_however_its_accents_are_typed,
    the_right_password_gives_both_tokens,
    checks_are_made_in_order,
    sec_005_the_plain_field_logs_in_too,
    sec_022_a_pending_account_is_told_to_who_knows_its_password,
    sec_084_what_is_typed_is_text_never_a_pattern,
);

async fn the_right_password_gives_both_tokens(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let answer =
        app.as_app(&shop, "login", json!({"handle": " ANA@example.com ", "password": PASSWORD})).await;
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["access-token", "jwt"]);
    let claims = app.claims(&shop, &answer.field("jwt")).await;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 24 * 3_600);
    let user = app.get("/api/appuser/getUser", ("access-token", &answer.field("access-token"))).await;
    assert_eq!(user.field("handle"), "ana@example.com");
}

async fn checks_are_made_in_order(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let with_access = app.post("/api/appuser/login", ("access-token", &access), json!({})).await;
    assert_eq!(with_access.error(), (400, 400));
    for (body, code) in [
        (json!({}), 403),
        (json!({"handle": "ana@example.com", "password": ""}), 403),
        (json!({"password": PASSWORD}), 403),
        (json!({"handle": {"$ne": null}, "password": PASSWORD}), 602),
        (json!({"handle": "ana", "password": PASSWORD}), 606),
        (json!({"handle": "ana", "password": "short"}), 606),
        (json!({"handle": "ana@example.com", "password": OTHER_PASSWORD}), 600),
        (json!({"handle": "ana@example.com", "password": 1}), 600),
        (json!({"handle": "ana@example.com", "password": "short"}), 600),
        (json!({"handle": "nobody@example.com", "password": PASSWORD}), 600),
    ] {
        assert_eq!(app.as_app(&shop, "login", body.clone()).await.error(), (400, code), "{body}");
    }
    // Who is unknown and who is wrong get the same bytes.
    let wrong =
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": OTHER_PASSWORD})).await;
    let unknown =
        app.as_app(&shop, "login", json!({"handle": "nobody@example.com", "password": PASSWORD})).await;
    assert_eq!(wrong.body, unknown.body);
}

async fn sec_005_the_plain_field_logs_in_too(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let login = |body| app.as_app(&shop, "login", body);
    assert_eq!(login(json!({"handle": "ana@example.com", "rawPassword": "password123"})).await.status, 200);
    for wrong in ["password124", " password123", "PASSWORD123"] {
        let answer = login(json!({"handle": "ana@example.com", "rawPassword": wrong})).await;
        assert_eq!(answer.error(), (400, 600), "{wrong}");
    }
}

async fn sec_022_a_pending_account_is_told_to_who_knows_its_password(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password}));
    assert_eq!(login(OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(login(PASSWORD).await.error(), (400, 608));
}

async fn sec_084_what_is_typed_is_text_never_a_pattern(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let hostile = [
        "%@example.com",
        "_na@example.com",
        ".*@example.com",
        "ana@example.com' OR '1'='1",
        "ana@example.com\"; DROP TABLE users; --",
        "ana@example.com\\",
        "{\"$ne\":null}@x",
        "$1@example.com",
    ];
    let ana = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", ana.clone()).await.status, 200);
    for handle in hostile {
        let body = json!({"handle": handle, "password": PASSWORD});
        assert_eq!(app.as_app(&shop, "login", body.clone()).await.error(), (400, 600), "{handle}");
        let named = app.app(handle).await;
        let found =
            app.get(&format!("/api/app/appId/{}", named.id), ("server-secret", &app.server_secret)).await;
        assert_eq!(found.field("name"), handle);
        // Each is a handle of its own, found by nothing but itself.
        assert_eq!(app.as_app(&shop, "signup", body.clone()).await.status, 200, "{handle}");
        assert_eq!(app.as_app(&shop, "login", body).await.status, 200, "{handle}");
    }
    let long = json!({"handle": format!("{}@example.com", "a%".repeat(5_000)), "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", long).await.error(), (400, 602));
    assert_eq!(app.as_app(&shop, "login", ana).await.status, 200);
}

#[actix_web::test]
async fn sec_004_a_right_login_replaces_an_imported_hash() {
    use latchkey_crypto::SealContext;
    use latchkey_domain::{Handle, Locale, Metadata, Sessions, User, UserId, UserStatus};
    use time::OffsetDateTime;

    let database = latchkey_test_support::TestDatabase::sqlite();
    let store = database.store();
    let app = TestApp::over(store.clone()).await;
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let (keys, entropy) = TestApp::keys_of(&store).await;
    let (app_id, id) = (shop.id.parse().unwrap(), UserId::from_bytes([7; 16]));
    let context = SealContext { purpose: "password", app_id, row: id.as_bytes() };
    // The MD5 of `password123` under bcrypt at cost 4, as the reference keeps it.
    let imported = bcrypt::hash(PASSWORD, 4).unwrap();
    let user = User {
        app_id,
        id,
        handle: Handle::parse("old@example.com").unwrap(),
        user_name: None,
        status: UserStatus::Active,
        password: Some(keys.seal(&context, imported.as_bytes(), &*entropy).unwrap()),
        locale: Locale::EN,
        metadata: Metadata::default(),
        sessions: Sessions::FIRST,
        created_at: OffsetDateTime::UNIX_EPOCH,
        updated_at: OffsetDateTime::UNIX_EPOCH,
        last_login_at: None,
        login: latchkey_domain::LoginRecord::default(),
        factors: latchkey_domain::Factors::default(),
        is_administrator: false,
        email_verified: false,
        social: None,
        revision: 0,
    };
    store.transact("test", move |repos| repos.users().add(&user)).await.unwrap();

    let login =
        |password| app.as_app(&shop, "login", json!({"handle": "old@example.com", "password": password}));
    let stored = async || {
        let find = store.read("test", move |readers| readers.users().find(app_id, id));
        let sealed = find.await.unwrap().unwrap().password.unwrap();
        String::from_utf8(keys.open_sealed(&context, &sealed).unwrap().to_vec()).unwrap()
    };
    assert_eq!(login(OTHER_PASSWORD).await.error(), (400, 600));
    assert_eq!(stored().await, imported);
    assert_eq!(login(PASSWORD).await.status, 200);
    assert!(stored().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert_eq!(login(PASSWORD).await.status, 200);
}

async fn sec_005_a_password_is_the_same_however_its_accents_are_typed(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("none")).await;
    let (composed, decomposed) = ("P\u{e4}sse-partout 7", "Pa\u{308}sse-partout 7");
    let sign_up = async |handle: &str, fields: serde_json::Value| {
        let mut body = fields;
        body["handle"] = json!(handle);
        assert_eq!(app.as_app(&shop, "signup", body).await.status, 200, "{handle}");
    };
    let log_in = async |handle: &str, field: &str, password: &str| {
        app.as_app(&shop, "login", json!({"handle": handle, field: password})).await.status
    };
    sign_up("composed@example.com", json!({ "rawPassword": composed })).await;
    sign_up("decomposed@example.com", json!({ "rawPassword": decomposed })).await;
    for handle in ["composed@example.com", "decomposed@example.com"] {
        for typed in [composed, decomposed] {
            assert_eq!(log_in(handle, "rawPassword", typed).await, 200, "{handle} {typed:?}");
        }
        assert_eq!(log_in(handle, "rawPassword", "Passe-partout 7").await, 400);
    }
    // What an SDK hashed as it was typed is verified as typed only, and stays so.
    let typed =
        latchkey_crypto::client_password(&latchkey_domain::RawPassword::parse(decomposed).unwrap()).unwrap();
    let digits = typed.as_typed().unwrap().expose();
    sign_up("sdk@example.com", json!({ "password": digits })).await;
    for _ in 0..2 {
        assert_eq!(log_in("sdk@example.com", "rawPassword", decomposed).await, 200);
        assert_eq!(log_in("sdk@example.com", "password", digits).await, 200);
    }
    assert_eq!(log_in("sdk@example.com", "rawPassword", composed).await, 400);
    let access = app.as_app(&shop, "login", json!({"handle": "sdk@example.com", "rawPassword": decomposed}));
    let access = access.await.field("access-token");
    let body = json!({"rawPassword": decomposed, "newRawPassword": "Cr\u{e8}me br\u{fb}l\u{e9}e"});
    assert_eq!(app.as_user(&access, "changePassword", body).await.text(), "true");
    assert_eq!(log_in("sdk@example.com", "rawPassword", "Cre\u{300}me bru\u{302}le\u{301}e").await, 200);
}
