//! `loginAnonymous`.

use latchkey_domain::{
    AppId, Factors, Handle, Phone, Preset, Provider, Sealed, SocialIdentity, User, UserId,
};
use latchkey_test_support::TestDatabase;
use serde_json::json;
use time::Duration;

use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(
    an_anonymous_user_is_made_and_found_again,
    sec_132_only_users_that_were_made_anonymous_log_in_by_their_handle,
    sec_118_unused_anonymous_users_go_in_the_recommended_preset,
);

async fn sec_132_only_users_that_were_made_anonymous_log_in_by_their_handle(app: TestApp) {
    let shop = app.app("Shop").await;
    let id: AppId = shop.id.parse().unwrap();
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let log_in = |handle: String| app.as_app(&shop, "loginAnonymous", json!({ "handle": handle }));
    assert_eq!(log_in("ANON_0".to_owned()).await.status, 200);
    let made = Handle::parse_anonymous("ANON_0").unwrap();
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &made));
    let made = find.await.unwrap().unwrap();
    // Such users come with imports.
    let sealed = || Sealed::from_bytes(vec![7; 40]);
    let social = SocialIdentity { provider: Provider::Google, subject: Some("1".to_owned()) };
    let factors =
        Factors { verified_phone: Some(Phone::parse("+4915112345678").unwrap()), ..Factors::default() };
    let brought = [
        User { password: Some(sealed()), ..made.clone() },
        User { is_administrator: true, ..made.clone() },
        User { social: Some(social), ..made.clone() },
        User { factors, ..made.clone() },
    ];
    for (n, user) in (1_u8..).zip(brought) {
        let handle = format!("ANON_{n}");
        let user = User {
            id: UserId::from_bytes([n; 16]),
            handle: Handle::parse_anonymous(&handle).unwrap(),
            ..user
        };
        let add = app.store.transact("test", move |repos| repos.users().add(&user));
        add.await.unwrap();
        assert_eq!(log_in(handle.clone()).await.error(), (400, 600), "{handle}");
    }
    let body = json!({"appId": shop.id, "userId": made.id.to_string(), "administrator": true});
    let answer = app.admin("setAdministrator", body).await;
    assert_eq!(answer.error(), (400, 602));
    assert_eq!(log_in("ANON_0".to_owned()).await.status, 200);
}

async fn an_anonymous_user_is_made_and_found_again(app: TestApp) {
    let shop = app.app("Shop").await;
    let log_in = |handle: &'static str| app.as_app(&shop, "loginAnonymous", json!({ "handle": handle }));
    let access = app.user(&shop, "ana@example.com").await;
    let wrong_token = app.as_user(&access, "loginAnonymous", json!({"handle": "ANON_1"})).await;
    assert_eq!(wrong_token.error(), (400, 400));
    assert_eq!(app.as_app(&shop, "loginAnonymous", json!({})).await.error(), (400, 600));
    assert_eq!(log_in("ANON_1").await.error(), (400, 414));
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    for wrong in ["x@y.zANON_1", "anon_1", "ANON_", "", " ANON_1", "ana@example.com"] {
        assert_eq!(log_in(wrong).await.error(), (400, 600), "{wrong}");
    }
    let fields = json!([{"path": "a.b", "fieldName": "colour", "required": true}]);
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    // What else stands in the body means nothing.
    let body = json!({
        "handle": "ANON_Xy", "owner": "server", "metaData": {"sub": "victim", "exp": 9_999_999_999_u64},
        "password": "x",
    });
    let tokens = app.as_app(&shop, "loginAnonymous", body).await;
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!((&claims["sub"], &claims["a"]["b"]), (&json!("ANON_Xy"), &json!("ANON_colour")));
    let first = app.user_id(&shop, "ANON_Xy").await;
    assert_eq!(log_in("ANON_Xy").await.status, 200);
    assert_eq!(app.user_id(&shop, "ANON_Xy").await, first);
    let body = json!({"appId": shop.id, "userId": first, "status": "suspend"});
    assert_eq!(app.admin("user", body).await.text(), "true");
    assert_eq!(log_in("ANON_Xy").await.error(), (400, 404));
    app.set(&shop, "maxUsers", "maxUsers", json!(2)).await;
    assert_eq!(log_in("ANON_2").await.error(), (400, 407));
    app.set(&shop, "status", "status", json!("migrated")).await;
    assert_eq!(log_in("ANON_Xy").await.error(), (400, 413));
}

#[actix_web::test]
async fn sec_118_new_anonymous_users_of_an_address_are_limited() {
    let database = TestDatabase::sqlite();
    let app = TestApp::with(database.store(), |settings| settings.limits.anonymous_an_hour = 20).await;
    let shop = app.app("Shop").await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let log_in =
        |number: i32| app.as_app(&shop, "loginAnonymous", json!({ "handle": format!("ANON_{number}") }));
    for number in 0..20 {
        assert_eq!(log_in(number).await.status, 200);
    }
    assert_eq!(log_in(20).await.error(), (429, 500));
    assert_eq!(log_in(3).await.status, 200, "who is known comes in");
    app.clock.advance(Duration::hours(2));
    assert_eq!(log_in(20).await.status, 200);
}

async fn sec_118_unused_anonymous_users_go_in_the_recommended_preset(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let log_in = |handle: &'static str| app.as_app(&shop, "loginAnonymous", json!({ "handle": handle }));
    log_in("ANON_once").await;
    log_in("ANON_twice").await;
    app.clock.advance(Duration::hours(2));
    log_in("ANON_twice").await;
    let (once, twice) = (app.user_id(&shop, "ANON_once").await, app.user_id(&shop, "ANON_twice").await);
    app.clock.advance(Duration::days(30));
    assert!(app.service.purge_if_due().await.unwrap() > 0);
    assert_eq!(app.service.purge_if_due().await.unwrap(), 0, "once an hour is enough");
    log_in("ANON_once").await;
    log_in("ANON_twice").await;
    assert_ne!(app.user_id(&shop, "ANON_once").await, once);
    assert_eq!(app.user_id(&shop, "ANON_twice").await, twice);
}
