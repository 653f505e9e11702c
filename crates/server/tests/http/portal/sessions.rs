//! Who signs in to the portal, and which forms are taken from them.

use actix_web::http::header;
use actix_web::test::TestRequest;
use latchkey_domain::{DeveloperStatus, portal_address};
use latchkey_portal::RouteInfo;
use latchkey_server::settings::Settings;
use latchkey_service::Operator;
use latchkey_service::portal::PortalToken;
use time::Duration;

use super::{Browser, COOKIE, EMAIL, ORIGIN, PASSWORD, change, location, path_of, set_cookie};
use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(
    sec_121_a_set_up_link_makes_one_account_and_is_dead_then,
    sec_121_of_two_who_set_up_at_once_one_gets_the_account,
    sec_068_the_cookie_is_secure_opaque_and_of_this_host,
    sec_069_a_log_in_has_a_new_id_and_ends_by_itself,
    sec_070_signing_out_ends_the_log_in,
    sec_070_a_new_password_ends_all_log_ins,
    log_ins_are_listed_and_ended_from_another,
    sec_073_no_form_is_taken_from_elsewhere,
    sec_077_portal_and_api_ignore_each_others_credentials,
    a_wrong_password_and_an_unknown_address_look_the_same_and_are_counted,
);

async fn sec_121_a_set_up_link_makes_one_account_and_is_dead_then(app: TestApp) {
    let mut dana = Browser::new(&app);
    assert_eq!(location(&dana.get("").await), "/portal/setup");
    let shown = dana.get("/setup").await;
    assert!(
        shown.text().contains("latchkey setup-link") && !shown.text().contains("<form"),
        "no link, no form"
    );
    let never = "0".repeat(64);
    assert_eq!(dana.get(&format!("/setup/{never}")).await.status, 410);
    let old = app.service.new_setup_link().await.unwrap().unwrap().reveal();
    let link = app.service.new_setup_link().await.unwrap().unwrap().reveal();
    assert_eq!(dana.get(&format!("/setup/{old}")).await.status, 410, "a new link ends those before");
    app.clock.advance(Duration::hours(1));
    assert_eq!(dana.get(&format!("/setup/{link}")).await.status, 410, "after an hour");
    let link = app.service.new_setup_link().await.unwrap().unwrap().reveal();
    dana.get(&format!("/setup/{link}")).await;
    dana.get("/setup").await;
    for (email, password, message) in [
        ("dana", PASSWORD, "Enter an e-mail address such as ana@example.com."),
        (EMAIL, "fourteen chars", "Enter at least 15 characters."),
        (EMAIL, EMAIL, "Choose a password that is not your address."),
        (EMAIL, "123456789123456789", "on lists of common passwords"),
    ] {
        let refused = dana.post("/setup", &[("email", email), ("password", password)]).await;
        assert_eq!(refused.status, 422, "{password}");
        let text = refused.text();
        assert!(text.contains(message), "{message} in {text}");
        assert!(text.contains("There is a problem") && text.contains("<title>Error: "), "{text}");
        assert!(text.contains(&format!("value=\"{email}\"")), "what was typed is kept");
        assert!(!text.contains(password) || password == email, "but no password");
    }
    let made = dana.post("/setup", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(location(&made), "/portal/apps/new?done=welcome");
    assert!(app.service.new_setup_link().await.unwrap().is_none());
    let mut late = Browser::new(&app);
    assert_eq!(location(&late.get(&format!("/setup/{link}")).await), "/portal/sign-in?done=exists");
    assert!(late.get("/sign-in?done=exists").await.text().contains("An administrator exists. Sign in."));
    let log = app.admin_get("logs?appId=server&filterAction=portal.setup").await.text();
    assert!(log.contains(EMAIL) && !log.contains(PASSWORD), "{log}");
}

async fn sec_121_of_two_who_set_up_at_once_one_gets_the_account(app: TestApp) {
    let link = app.service.new_setup_link().await.unwrap().unwrap().reveal();
    let (mut dana, mut omar) = (Browser::new(&app), Browser::new(&app));
    for browser in [&mut dana, &mut omar] {
        browser.get(&format!("/setup/{link}")).await;
        assert_eq!(browser.get("/setup").await.status, 200);
    }
    let of_omar = [("email", "omar@example.com"), ("password", PASSWORD)];
    let of_dana = [("email", EMAIL), ("password", PASSWORD)];
    let (one, other) = futures_util::join!(dana.post("/setup", &of_dana), omar.post("/setup", &of_omar));
    let mut outcomes = [location(&one), location(&other)];
    outcomes.sort();
    assert_eq!(outcomes, ["/portal/apps/new?done=welcome", "/portal/sign-in?done=exists"]);
}

async fn sec_068_the_cookie_is_secure_opaque_and_of_this_host(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let signed_in = dana.sign_in(PASSWORD).await;
    let cookie = set_cookie(&signed_in).unwrap();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/");
    let value = value.strip_prefix("__Host-latchkey=").unwrap();
    assert!(value.len() == 64 && PortalToken::parse(value).is_some(), "256 bits: {value}");
    let stored = app.store.read("test", |readers| {
        let owner = readers.portal().find_by_email(portal_address(EMAIL).unwrap().key())?.unwrap();
        readers.portal().logins(owner.id)
    });
    let stored = format!(
        "{:?}",
        stored.await.unwrap().iter().map(|login| *login.digest.as_bytes()).collect::<Vec<_>>()
    );
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&value[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert!(!stored.contains(format!("{bytes:?}").trim_matches(['[', ']'])), "only a digest is stored");
}

#[actix_web::test]
async fn sec_068_over_plain_http_nobody_signs_in_but_on_this_machine() {
    let database = latchkey_test_support::TestDatabase::sqlite();
    let at = |url: &'static str| move |settings: &mut Settings| settings.server.public_url = url.to_owned();
    let open = TestApp::with(database.store(), at("http://auth.example.com")).await;
    let mut dana = Browser::new(&open);
    dana.origin = Some("http://auth.example.com");
    let link = open.service.new_setup_link().await.unwrap().unwrap().reveal();
    for path in [format!("/setup/{link}"), "/sign-in".to_owned()] {
        let refused = dana.get(&path).await;
        assert_eq!((refused.status.as_u16(), set_cookie(&refused)), (422, None), "{path}");
        assert!(refused.text().contains("others could read passwords"), "{}", refused.text());
    }
    let database = latchkey_test_support::TestDatabase::sqlite();
    let local = TestApp::with(database.store(), at("http://127.0.0.1:8080")).await;
    let answer = local.send(TestRequest::get().uri("/portal/sign-in")).await;
    let cookie = set_cookie(&answer).unwrap();
    assert!(cookie.starts_with("latchkey-dev=") && !cookie.contains("Secure"), "{cookie}");
    assert_eq!(answer.headers.get(header::STRICT_TRANSPORT_SECURITY), None);
}

async fn sec_069_a_log_in_has_a_new_id_and_ends_by_itself(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    dana.get("/sign-in").await;
    let before = dana.cookie.clone();
    // A value that was planted before is not the one of the log-in.
    dana.sign_in(PASSWORD).await;
    assert_ne!(dana.cookie, before);
    let after = dana.cookie.clone();
    dana.sign_in(PASSWORD).await;
    let latest = std::mem::replace(&mut dana.cookie, after);
    assert_eq!(dana.get("/apps").await.status, 303, "signing in again ends the log-in before");
    let after = latest;
    let mut planted = Browser::new(&app);
    planted.cookie = PortalToken::parse(&"ab".repeat(32)).unwrap().reveal();
    assert_eq!(location(&planted.get("/apps").await), "/portal/sign-in?next=%2Fportal%2Fapps");
    planted.sign_in(PASSWORD).await;
    assert_ne!(planted.cookie, "ab".repeat(32));
    dana.cookie = after;
    // Idle for an hour, or twelve hours in all.
    for _ in 0..12 {
        app.clock.advance(Duration::minutes(59));
        assert_eq!(dana.get("/apps").await.status, 200);
    }
    app.clock.advance(Duration::minutes(13));
    assert_eq!(dana.get("/apps").await.status, 303, "twelve hours");
    dana.sign_in(PASSWORD).await;
    app.clock.advance(Duration::hours(1));
    assert_eq!(dana.get("/apps").await.status, 303, "idle");
}

async fn sec_070_signing_out_ends_the_log_in(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let cookie = dana.cookie.clone();
    assert_eq!(location(&dana.post("/sign-out", &[]).await), "/portal/sign-in?done=signed-out");
    dana.cookie = cookie;
    assert_eq!(dana.get("/apps").await.status, 303, "the cookie is worth nothing any more");
    // Blocking ends all of them, and no other begins.
    dana.sign_in(PASSWORD).await;
    assert_eq!(dana.get("/apps").await.status, 200);
    change(&app, |developer| developer.status = DeveloperStatus::Blocked).await;
    assert_eq!(dana.get("/apps").await.status, 303);
    assert!(dana.sign_in("a wrong password").await.text().contains("E-mail address or password is wrong."));
    let blocked = dana.sign_in(PASSWORD).await;
    assert_eq!(blocked.status, 403);
    assert!(blocked.text().contains("This account is blocked."));
}

fn posts() -> impl Iterator<Item = RouteInfo> {
    latchkey_portal::table().into_iter().filter(|route| route.method == "POST")
}

async fn sec_070_a_new_password_ends_all_log_ins(app: TestApp) {
    let (mut dana, mut other) = (Browser::new(&app), Browser::new(&app));
    dana.set_up().await;
    other.sign_in(PASSWORD).await;
    dana.get("/account").await;
    let new = "another horse battery";
    for (current, password, words) in [
        ("wrong horse battery", new, "That is not your present password."),
        ("", new, "That is not your present password."),
        (PASSWORD, "short", "Enter at least 15 characters."),
    ] {
        let refused = dana.post("/account/password", &[("current", current), ("password", password)]).await;
        assert_eq!(refused.status, 422, "{current}");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    let before = dana.cookie.clone();
    let changed = dana.post("/account/password", &[("current", PASSWORD), ("password", new)]).await;
    assert_eq!(location(&changed), "/portal/account?done=password");
    assert!(
        dana.cookie != before && dana.get("/account").await.status == 200,
        "this one goes on under a new id"
    );
    assert_eq!(other.get("/apps").await.status, 303, "the others have ended");
    let mut old = Browser::new(&app);
    old.cookie = before;
    assert_eq!(old.get("/apps").await.status, 303);
    assert_eq!(other.sign_in(PASSWORD).await.status, 422);
    assert_eq!(other.sign_in(new).await.status, 303);
    // Operators help those who forgot theirs.
    let email = portal_address(EMAIL).unwrap();
    let given = app.service.reset_portal_password(Operator::command_line(), email).await.unwrap();
    assert_eq!(
        (dana.get("/apps").await.status.as_u16(), other.sign_in(new).await.status.as_u16()),
        (303, 422)
    );
    assert_eq!(other.sign_in(&given).await.status, 303);
    // Guesses at the present password are counted with those at the sign-in.
    other.get("/account").await;
    for _ in 0..20 {
        let guess = [("current", "wrong horse battery"), ("password", "third horse battery")];
        if other.post("/account/password", &guess).await.status == 429 {
            return;
        }
    }
    panic!("nobody counted");
}

async fn log_ins_are_listed_and_ended_from_another(app: TestApp) {
    let (mut dana, mut phone, mut laptop) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    dana.set_up().await;
    phone.sign_in(PASSWORD).await;
    laptop.sign_in(PASSWORD).await;
    let html = dana.get("/account").await.text();
    assert!(html.contains("this one") && html.matches("name=\"login\"").count() == 2, "{html}");
    let (_, id) = html.split_once("name=\"login\" value=\"").unwrap();
    let id = id.split('"').next().unwrap().to_owned();
    assert_eq!(dana.post("/account/logins", &[("login", &id)]).await.status, 303);
    let left = [phone.get("/apps").await.status.as_u16(), laptop.get("/apps").await.status.as_u16()];
    assert!(left.contains(&200) && left.contains(&303), "one of them: {left:?}");
    assert_eq!(dana.post("/account/logins", &[]).await.status, 303);
    assert_eq!(
        (phone.get("/apps").await.status.as_u16(), laptop.get("/apps").await.status.as_u16()),
        (303, 303)
    );
    assert_eq!(dana.get("/account").await.status, 200);
    assert_eq!(dana.post("/account/logins", &[("login", "x")]).await.status, 404);
}

async fn sec_073_no_form_is_taken_from_elsewhere(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let (mut other, token) = (Browser::new(&app), dana.token.clone());
    other.get("/sign-in").await;
    let foreign = other.token.clone();
    assert_ne!(foreign, token);
    for route in posts() {
        let path = path_of(&route, &id, &"0".repeat(32));
        for (wrong_token, origin) in [
            ("", Some(ORIGIN)),
            (foreign.as_str(), Some(ORIGIN)),
            (token.as_str(), Some("https://evil.example")),
            (token.as_str(), Some("https://auth.example.com.evil.example")),
            (token.as_str(), Some("http://auth.example.com")),
            (token.as_str(), Some("null")),
            (token.as_str(), None),
        ] {
            (dana.token, dana.origin) = (wrong_token.to_owned(), origin);
            let answer = dana.post(&path, &[("name", "Other"), ("email", EMAIL)]).await;
            assert_eq!(answer.status, 403, "{path} with {wrong_token} from {origin:?}");
            assert!(answer.text().contains("Nothing was changed"));
        }
    }
    (dana.token, dana.origin) = (token.clone(), Some(ORIGIN));
    let cross_site = TestRequest::post()
        .uri("/portal/apps/new")
        .insert_header(("sec-fetch-site", "cross-site"))
        .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
        .set_payload(format!("form_token={token}&name=Other"));
    assert_eq!(dana.send(cross_site).await.status, 403);
    assert_eq!(dana.get("/apps").await.text().matches("scope=\"row\"").count(), 1, "nothing was made");
    assert_eq!(dana.post("/apps/new", &[("name", "Other")]).await.status, 303);
}

async fn sec_077_portal_and_api_ignore_each_others_credentials(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    for (name, value) in [("server-secret", app.server_secret.as_str()), ("access-token", "x")] {
        let answer = app.send(TestRequest::get().uri("/portal/apps").insert_header((name, value))).await;
        assert_eq!(answer.status, 303, "{name}");
    }
    let cookie = (header::COOKIE, format!("{COOKIE}={}", dana.cookie));
    let answer = app.send(TestRequest::get().uri("/api/app/operatorTokens").insert_header(cookie)).await;
    assert_eq!(answer.error().0, 403);
}

async fn a_wrong_password_and_an_unknown_address_look_the_same_and_are_counted(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    for email in [EMAIL, "nobody@example.com"] {
        let mut browser = Browser::new(&app);
        browser.get("/sign-in").await;
        for _ in 0..10 {
            let refused = browser.post("/sign-in", &[("email", email), ("password", "wrong")]).await;
            assert_eq!(refused.status, 422, "{email}");
            assert!(refused.text().contains("E-mail address or password is wrong."));
        }
        let late = browser.post("/sign-in", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!(late.status, 429, "{email}");
        assert!(late.text().contains("Too many attempts. Try again in "));
    }
    app.clock.advance(Duration::minutes(15));
    assert_eq!(dana.sign_in(PASSWORD).await.status, 303);
    // The way back leads to pages of ours only.
    for (next, expected) in [
        ("/portal/apps/new", "/portal/apps/new"),
        ("https://evil.example", "/portal/apps"),
        ("//evil.example", "/portal/apps"),
        ("/portal//evil.example", "/portal/apps"),
        ("/portal/\\evil.example", "/portal/apps"),
        ("/portal/../docs", "/portal/apps"),
        ("/portal/%2e%2e/docs", "/portal/apps"),
        ("/portal/.\t./docs", "/portal/apps"),
        ("/portal/\0x", "/portal/%00x"),
        ("/portal/account\r\nx: y", "/portal/accountx:%20y"),
        ("/portalx/apps", "/portal/apps"),
        ("/portal/apps?before=1", "/portal/apps?before=1"),
    ] {
        dana.get("/sign-in").await;
        let fields = [("email", EMAIL), ("password", PASSWORD), ("next", next)];
        assert_eq!(location(&dana.post("/sign-in", &fields).await), expected, "{next}");
    }
}
