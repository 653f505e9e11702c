//! Web pages of others, which act from their visitors' addresses.

use actix_web::test::TestRequest;
use latchkey_domain::Handle;
use serde_json::{Value, json};

use crate::harness::{Answer, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_139_a_page_puts_no_password_into_its_visitors_sign_up,
    sec_139_a_link_asks_for_the_password_of_a_sign_up_by_a_page,
    sec_126_who_types_a_strangers_code_gets_no_account_of_his,
    sec_139_wrong_tries_of_a_page_are_not_its_visitors,
    sec_137_many_origins_are_not_many_addresses,
    sec_137_one_connection_with_ipv6_is_not_many_addresses,
);

const OTHER_PASSWORD: &str = "e10adc3949ba59abbe56e057f20f883e";
const PAGE: &str = "https://evil.example";
const ANA: &str = "ana@example.com";

/// Posts as a page of this origin does in a browser at the test's default address.
async fn by_page(app: &TestApp, origin: &str, shop: &Made, name: &str, body: Value) -> Answer {
    let request = TestRequest::post().uri(&format!("/api/appuser/{name}")).set_json(body);
    app.send(request.insert_header(("app-token", shop.token.as_str())).insert_header(("origin", origin)))
        .await
}

async fn sec_139_a_page_puts_no_password_into_its_visitors_sign_up(app: TestApp) {
    let shop = app.app("Shop").await;
    app.as_app(&shop, "signup", json!({"handle": ANA, "password": PASSWORD})).await;
    let code = app.code_for(ANA).await;
    let others = json!({"handle": ANA, "password": OTHER_PASSWORD});
    assert_eq!(by_page(&app, PAGE, &shop, "signup", others.clone()).await.text(), "true");
    // Nor does it spend the tries of the visitor's code.
    for _ in 0..10 {
        let wrong = json!({"handle": ANA, "code": "100000"});
        by_page(&app, PAGE, &shop, "completeSignup", wrong).await;
    }
    let done = app.as_app(&shop, "completeSignup", json!({"handle": ANA, "code": code})).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(app.as_app(&shop, "login", others).await.error(), (400, 600));
    let own = json!({"handle": ANA, "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", own).await.status, 200);
}

async fn sec_139_a_link_asks_for_the_password_of_a_sign_up_by_a_page(app: TestApp) {
    let app = TestApp::with(app.store.clone(), |settings| {
        settings.server.cors_origins = vec!["https://shop.example".to_owned()];
    })
    .await;
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    let asked = |origin: Option<&'static str>, handle: &'static str| {
        let (app, shop) = (&app, &shop);
        async move {
            let body = json!({"handle": handle, "password": PASSWORD});
            match origin {
                Some(origin) => by_page(app, origin, shop, "signup", body).await,
                None => app.as_app(shop, "signup", body).await,
            };
            let mails = app.mails().await;
            let (_, after) = mails.last().unwrap().text.split_once("https://auth.example.com").unwrap();
            let path: String = after.chars().take_while(|c| !c.is_whitespace()).collect();
            app.send(TestRequest::get().uri(&path)).await.text().contains("type=\"password\"")
        }
    };
    assert!(!asked(None, "app@example.com").await);
    assert!(!asked(Some("https://auth.example.com"), "own@example.com").await);
    assert!(!asked(Some("https://shop.example"), "listed@example.com").await);
    assert!(asked(Some(PAGE), "page@example.com").await);
    assert!(asked(Some("null"), "null@example.com").await);
}

async fn sec_126_who_types_a_strangers_code_gets_no_account_of_his(app: TestApp) {
    let shop = app.app("Shop").await;
    let sign_up = async |peer: &str, handle: &str, password: &str| {
        let body = json!({"handle": handle, "password": password});
        assert_eq!(app.as_app_from(peer, &shop, "signup", body).await.text(), "true");
        app.clock.advance(time::Duration::minutes(2));
        app.code_for(handle).await
    };
    let complete = async |peer: &str, handle: &str, code: &str, password: Option<&str>| {
        let mut body = json!({"handle": handle, "code": code});
        if let Some(password) = password {
            body["password"] = json!(password);
        }
        app.as_app_from(peer, &shop, "completeSignup", body).await
    };
    let (stranger, home, way) = ("203.0.113.5", "192.0.2.1", "198.51.100.9");
    let his = sign_up(stranger, ANA, OTHER_PASSWORD).await;
    let hers = sign_up(home, ANA, PASSWORD).await;
    assert_eq!(complete(home, ANA, &his, None).await.error(), (400, 602), "it is not of her sign-up");
    assert_eq!(complete(home, ANA, &hers, None).await.status, 200);
    // On the way, where nobody knows whose code it is, the password tells.
    let bob = "bob@example.com";
    let his = sign_up(stranger, bob, OTHER_PASSWORD).await;
    let own = sign_up(home, bob, PASSWORD).await;
    for code in [&his, &own] {
        assert_eq!(complete(way, bob, code, None).await.error(), (400, 403));
    }
    assert_eq!(complete(way, bob, &his, Some(PASSWORD)).await.error(), (400, 600));
    assert_eq!(complete(way, bob, &own, Some(PASSWORD)).await.status, 200);
    // Who is alone completes from anywhere.
    let code = sign_up(home, "cyd@example.com", PASSWORD).await;
    assert_eq!(complete(way, "cyd@example.com", &code, None).await.status, 200);
}

async fn sec_139_wrong_tries_of_a_page_are_not_its_visitors(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, ANA).await;
    let wrong = json!({"handle": ANA, "password": OTHER_PASSWORD});
    for _ in 0..15 {
        by_page(&app, PAGE, &shop, "login", wrong.clone()).await;
        app.clock.advance(time::Duration::seconds(10));
    }
    let (id, handle) = (shop.id.parse().unwrap(), Handle::parse(ANA).unwrap());
    let find = app.store.read("test", move |readers| readers.users().find_by_handle(id, &handle)).await;
    assert_eq!(find.unwrap().unwrap().login.known.count, 0);
    let own = json!({"handle": ANA, "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", own.clone()).await.status, 200);
    let right = by_page(&app, "https://shop.example", &shop, "login", own.clone()).await;
    assert_eq!(right.error(), (400, 600), "an unlisted page waits with all who are not known");
    app.clock.advance(time::Duration::days(1));
    assert_eq!(by_page(&app, "https://shop.example", &shop, "login", own.clone()).await.status, 200);
}

/// After all that one address has asked for, the owner's own sign-up is still mailed.
async fn leaves_the_owner_a_code(app: &TestApp, shop: &Made) {
    let mailed = app.mails().await.len();
    assert!(mailed <= 10, "{mailed}");
    let own = json!({"handle": ANA, "password": PASSWORD});
    app.as_app_from("198.51.100.7", shop, "signup", own).await;
    assert_eq!(app.mails().await.len(), mailed + 1, "the owner's code is mailed");
}

async fn sec_137_one_connection_with_ipv6_is_not_many_addresses(app: TestApp) {
    let shop = app.app("Shop").await;
    let body = json!({"handle": ANA, "password": OTHER_PASSWORD});
    for number in 0..40 {
        let peer = format!("2001:db8:1:{number:x}::7");
        assert_eq!(app.as_app_from(&peer, &shop, "signup", body.clone()).await.text(), "true");
        app.clock.advance(time::Duration::seconds(10));
    }
    leaves_the_owner_a_code(&app, &shop).await;
    // Nor has it many times five tries at a code that comes from anywhere.
    let inviter = app.user(&shop, "bob@example.com").await;
    let invite = json!({"handle": "cyd@example.com", "senderUserId": "me"});
    assert_eq!(app.as_user(&inviter, "invite", invite).await.text(), "true");
    let code = app.code_for("cyd@example.com").await;
    let register = |code: &str| json!({"handle": "cyd@example.com", "password": PASSWORD, "code": code});
    for number in 0..70 {
        let peer = format!("2001:db8:2:{number:x}::7");
        app.as_app_from(&peer, &shop, "register", register("12345678")).await;
    }
    assert_eq!(app.as_app_from("198.51.100.8", &shop, "register", register(&code)).await.status, 200);
}

async fn sec_137_many_origins_are_not_many_addresses(app: TestApp) {
    // A page has half of the rate of its address: here that is enough for all of these.
    let app = TestApp::with(app.store.clone(), |settings| settings.limits.sign_ups_an_hour = 100).await;
    let shop = app.app("Shop").await;
    let body = json!({"handle": ANA, "password": OTHER_PASSWORD});
    for number in 0..40 {
        let page = format!("https://o{number}.example");
        assert_eq!(by_page(&app, &page, &shop, "signup", body.clone()).await.text(), "true");
        assert_eq!(by_page(&app, &page, &shop, "signup", body.clone()).await.text(), "true");
        app.clock.advance(time::Duration::seconds(10));
    }
    leaves_the_owner_a_code(&app, &shop).await;
}
