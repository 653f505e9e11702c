//! The page behind a mailed link.

use actix_web::test::TestRequest;
use latchkey_domain::{AppId, EmailTemplate, Locale, TemplateName};
use serde_json::json;
use time::Duration;

use crate::harness::{Answer, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_134_from_elsewhere_a_link_takes_the_password_of_its_sign_up,
    sec_134_wrong_passwords_close_a_link_for_who_typed_them_alone,
    sec_134_the_post_of_the_protocol_takes_what_the_page_takes,
    sec_134_an_owner_who_signed_up_too_is_asked_before_a_strangers_sign_up,
    sec_134_the_application_says_where_the_password_is_asked_for,
    sec_034_opening_the_link_changes_nothing_and_its_button_completes,
    every_error_is_a_page,
    the_page_speaks_the_users_language_and_escapes_names,
    sec_076_the_applications_own_page_is_harmless,
    sec_129_a_page_that_an_older_version_took_is_shown_as_it_is_built_in,
    the_post_of_the_protocol_answers_with_the_page_in_flow_link,
);

/// The path of the link in the newest mail, and its query's fields.
async fn link(app: &TestApp) -> (String, Vec<(String, String)>) {
    newest_link(app, "").await
}

/// The same of the newest such mail to this handle, as it is written in a link.
async fn newest_link(app: &TestApp, handle: &str) -> (String, Vec<(String, String)>) {
    let mails = app.mails().await;
    let part = format!("&handle={handle}");
    let mail = mails.iter().rev().find(|mail| mail.text.contains(&part)).unwrap();
    let (_, after) =
        mail.text.split_once("https://auth.example.com").unwrap_or_else(|| panic!("{}", mail.text));
    let path: String = after.chars().take_while(|c| !c.is_whitespace()).collect();
    let (_, query) = path.split_once('?').unwrap();
    let decoded = |text: &str| text.replace("%2B", "+").replace("%40", "@");
    let fields = query.split('&').map(|pair| pair.split_once('=').unwrap());
    (path.clone(), fields.map(|(name, value)| (name.to_owned(), decoded(value))).collect())
}

async fn open(app: &TestApp, path: &str) -> Answer {
    app.send(TestRequest::get().uri(path)).await
}

async fn press(app: &TestApp, fields: &[(String, String)]) -> Answer {
    let request = TestRequest::post().uri("/api/appuser/completeSignup/confirm").set_form(fields);
    app.send(request).await
}

async fn open_from(app: &TestApp, peer: &str, path: &str) -> Answer {
    app.send_from(peer, TestRequest::get().uri(path)).await
}

/// Presses the button at another address, with what was typed into the password field.
async fn press_from(app: &TestApp, peer: &str, fields: &[(String, String)], typed: Option<&str>) -> Answer {
    let mut fields = fields.to_vec();
    fields.extend(typed.map(|typed| ("rawPassword".to_owned(), typed.to_owned())));
    let request = TestRequest::post().uri("/api/appuser/completeSignup/confirm").set_form(fields);
    app.send_from(peer, request).await
}

/// The application as its developer sees it.
async fn shown(app: &TestApp, shop: &Made) -> serde_json::Value {
    let secret = ("server-secret", app.server_secret.as_str());
    app.get(&format!("/api/app/appId/{}", shop.id), secret).await.json()
}

const RAW_PASSWORD: &str = "password123";
const FIELD: &str = "type=\"password\"";

async fn linked(app: &TestApp, handle: &str) -> Made {
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD})).await;
    shop
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn sec_034_opening_the_link_changes_nothing_and_its_button_completes(app: TestApp) {
    let shop = linked(&app, "a+b@example.com").await;
    assert_eq!(app.mails().await[0].subject, "Verify your account for Shop");
    let (path, fields) = link(&app).await;
    let mut pages = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let page = open(&app, &path).await;
        assert_eq!(page.status, 200, "{}", page.text());
        pages.insert(page.text());
    }
    assert_eq!(pages.len(), 1);
    let page = open(&app, &path).await;
    assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
    assert_eq!(
        (header(&page, "cache-control"), header(&page, "referrer-policy")),
        ("no-store", "same-origin")
    );
    assert!(header(&page, "content-security-policy").starts_with("default-src 'none'"));
    for kept in ["a+b@example.com", "Shop", "<form method=\"post\"", "name=\"viewport\""] {
        assert!(page.text().contains(kept), "{kept}");
    }
    for foreign in ["<script", "http://", "https://", "src="] {
        assert!(!page.text().contains(foreign), "{foreign}");
    }
    let login = json!({"handle": "a+b@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login.clone()).await.error(), (400, 608));

    let done = press(&app, &fields).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(done.text().contains("Your account at Shop is ready"));
    assert!(header(&done, "content-security-policy").starts_with("sandbox;"));
    assert_eq!(app.as_app(&shop, "login", login).await.status, 200);
    let again = press(&app, &fields).await;
    assert_eq!(again.status, 400);
    assert!(again.text().contains("confirmed already"));
    assert_eq!(open(&app, &path).await.status, 200, "the link still opens");
}

async fn sec_134_from_elsewhere_a_link_takes_the_password_of_its_sign_up(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let (path, fields) = link(&app).await;
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    for _ in 0..50 {
        let page = open_from(&app, "203.0.113.7", &path).await;
        assert!(page.status == 200 && page.text().contains(FIELD), "{}", page.text());
        for typed in [None, Some("")] {
            let asked = press_from(&app, "203.0.113.7", &fields, typed).await;
            assert!(asked.status == 200 && asked.text().contains(FIELD), "{}", asked.text());
            assert!(!asked.text().contains("role=\"alert\""), "nothing was tried");
        }
    }
    assert_eq!(app.as_app(&shop, "login", login.clone()).await.error(), (400, 608), "no user exists");
    // The page at home asks for nothing but the button.
    assert!(!open(&app, &path).await.text().contains(FIELD));
    // The scanner cost the owner nothing, who opens the mail elsewhere as well.
    let wrong = press_from(&app, "198.51.100.3", &fields, Some("Password123")).await;
    assert!(wrong.status == 400 && wrong.text().contains("not the password"), "{}", wrong.text());
    assert!(wrong.text().contains(FIELD) && !wrong.text().contains("Password123"));
    for nonsense in [&"x".repeat(5_000), "   ", "482c811da5d5b4bc6d497ffa98491e38"] {
        let wrong = press_from(&app, "198.51.100.4", &fields, Some(nonsense)).await;
        assert!(wrong.status == 400 && wrong.text().contains(FIELD), "{}", wrong.text());
    }
    // The right password for a wrong code is no news.
    let code = &fields.iter().find(|(name, _)| name == "code").unwrap().1;
    let other = if code == "100000" { "100001" } else { "100000" };
    let mut guessed = fields.clone();
    guessed.iter_mut().filter(|(name, _)| name == "code").for_each(|(_, code)| *code = other.to_owned());
    let refused = press_from(&app, "198.51.100.3", &guessed, Some(RAW_PASSWORD)).await;
    assert!(refused.text().contains("not valid") && !refused.text().contains(FIELD));

    let done = press_from(&app, "198.51.100.3", &fields, Some(RAW_PASSWORD)).await;
    assert!(done.status == 200 && done.text().contains("is ready"), "{}", done.text());
    assert_eq!(app.as_app(&shop, "login", login).await.status, 200);
    let again = press_from(&app, "203.0.113.7", &fields, None).await;
    assert!(again.text().contains("confirmed already"));
}

async fn sec_134_the_post_of_the_protocol_takes_what_the_page_takes(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let (_, fields) = link(&app).await;
    let code = &fields.iter().find(|(name, _)| name == "code").unwrap().1;
    let complete = |body: serde_json::Value| app.as_app_from("203.0.113.7", &shop, "completeSignup", body);
    let with =
        |name: &str, password: &str| json!({"handle": "ana@example.com", "code": code, name: password});
    assert_eq!(complete(json!({"handle": "ana@example.com", "code": code})).await.error(), (400, 403));
    assert_eq!(complete(with("rawPassword", "another")).await.error(), (400, 600));
    let done = complete(with("password", PASSWORD)).await;
    assert!(done.status == 200 && done.text().contains("is ready"), "{}", done.text());
}

async fn sec_134_wrong_passwords_close_a_link_for_who_typed_them_alone(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let (_, fields) = link(&app).await;
    for number in 0..10 {
        press_from(&app, "203.0.113.7", &fields, Some(&format!("wrong {number}"))).await;
    }
    let closed = press_from(&app, "203.0.113.7", &fields, Some(RAW_PASSWORD)).await;
    assert_ne!(closed.status, 200, "{}", closed.text());
    let done = press_from(&app, "198.51.100.3", &fields, Some(RAW_PASSWORD)).await;
    assert_eq!(done.status, 200, "{}", done.text());

    // Signing up again begins again.
    let second = json!({"handle": "bo@example.com", "password": PASSWORD});
    app.as_app(&shop, "signup", second.clone()).await;
    let (_, fields) = newest_link(&app, "bo").await;
    for number in 0..10 {
        press_from(&app, "203.0.113.8", &fields, Some(&format!("wrong {number}"))).await;
    }
    app.clock.advance(Duration::minutes(2));
    let closed = press_from(&app, "203.0.113.8", &fields, Some(RAW_PASSWORD)).await;
    assert!(closed.status == 400 && closed.text().contains(FIELD), "{}", closed.text());
    app.as_app(&shop, "signup", second).await;
    let (_, newer) = newest_link(&app, "bo").await;
    let done = press_from(&app, "203.0.113.8", &newer, Some(RAW_PASSWORD)).await;
    assert_eq!(done.status, 200, "{}", done.text());
}

async fn sec_134_an_owner_who_signed_up_too_is_asked_before_a_strangers_sign_up(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    let strangers = json!({"handle": "ana@example.com", "rawPassword": "what a stranger chose"});
    app.as_app_from("203.0.113.7", &shop, "signup", strangers).await;
    let (path, fields) = link(&app).await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let (_, own) = link(&app).await;
    assert!(open(&app, &path).await.text().contains(FIELD));
    assert!(press_from(&app, "192.0.2.1", &fields, None).await.text().contains(FIELD));
    let wrong = press_from(&app, "192.0.2.1", &fields, Some(RAW_PASSWORD)).await;
    assert!(wrong.status == 400 && wrong.text().contains("not the password"), "{}", wrong.text());
    // What the link says of its sign-up decides nothing but what the page shows.
    let forged: Vec<_> = own.iter().filter(|(name, _)| name == "attempt").cloned().collect();
    let mut mixed: Vec<_> = fields.iter().filter(|(name, _)| name != "attempt").cloned().collect();
    mixed.extend(forged);
    assert!(press(&app, &mixed).await.text().contains(FIELD));
    assert!(press(&app, &own).await.text().contains("is ready"));
}

async fn sec_134_the_application_says_where_the_password_is_asked_for(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    assert_eq!(shown(&app, &shop).await["linkAsksPassword"], "elsewhere");
    let (path, fields) = link(&app).await;
    app.set(&shop, "linkAsksPassword", "linkAsksPassword", json!("always")).await;
    assert!(open(&app, &path).await.text().contains(FIELD));
    assert!(press(&app, &fields).await.text().contains(FIELD));
    assert!(press_from(&app, "192.0.2.1", &fields, Some(RAW_PASSWORD)).await.text().contains("is ready"));

    app.set(&shop, "linkAsksPassword", "linkAsksPassword", json!("never")).await;
    let warned = shown(&app, &shop).await;
    assert!(warned["warnings"].to_string().contains("linkAsksPassword"), "{warned}");
    app.as_app(&shop, "signup", json!({"handle": "bo@example.com", "password": PASSWORD})).await;
    let (path, fields) = newest_link(&app, "bo").await;
    assert!(!open_from(&app, "203.0.113.7", &path).await.text().contains(FIELD));
    assert!(press_from(&app, "203.0.113.7", &fields, None).await.text().contains("is ready"));

    // Everybody may be behind an undeclared proxy on this machine.
    app.set(&shop, "linkAsksPassword", "linkAsksPassword", json!("elsewhere")).await;
    let behind = json!({"handle": "cy@example.com", "password": PASSWORD});
    app.as_app_from("127.0.0.1", &shop, "signup", behind).await;
    let (path, fields) = newest_link(&app, "cy").await;
    assert!(open_from(&app, "127.0.0.1", &path).await.text().contains(FIELD));
    assert!(press_from(&app, "127.0.0.1", &fields, None).await.text().contains(FIELD));

    let unknown = json!({"appId": shop.id, "setting": "linkAsksPassword", "linkAsksPassword": "sometimes"});
    assert_eq!(app.admin("updateAppSetting", unknown).await.status, 400);
}

async fn every_error_is_a_page(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let (path, fields) = link(&app).await;
    let with = |name: &str, value: &str| {
        let changed =
            fields.iter().map(|(n, v)| (n.clone(), if n == name { value.to_owned() } else { v.clone() }));
        changed.collect::<Vec<_>>()
    };
    let is_page = |answer: &Answer, part: &str| {
        assert_eq!(header(answer, "content-type"), "text/html; charset=utf-8", "{}", answer.text());
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(part), "{part}: {}", answer.text());
    };
    let no_code = "/api/appuser/completeSignup?appToken=x";
    for wrong in
        ["/api/appuser/completeSignup", no_code, "/api/appuser/completesignup/?handle=a&code=b&appToken=c"]
    {
        is_page(&open(&app, wrong).await, "not valid");
    }
    let right = &fields.iter().find(|(name, _)| name == "code").unwrap().1;
    let wrong = if right == "100000" { "100001" } else { "100000" };
    is_page(&press(&app, &with("code", wrong)).await, "not valid");
    is_page(&press(&app, &with("code", "x")).await, "not valid");
    is_page(&press(&app, &with("appToken", "x")).await, "not valid");
    is_page(&press(&app, &[]).await, "not valid");
    app.clock.advance(Duration::hours(24));
    is_page(&press(&app, &fields).await, "has expired");
    app.set(&shop, "signup", "signupEnabled", json!(false)).await;
    is_page(&open(&app, &path).await, "takes no sign-ups");
    is_page(&press(&app, &fields).await, "takes no sign-ups");
    app.set(&shop, "status", "status", json!("inactive")).await;
    is_page(&open(&app, &path).await, "takes no sign-ups");
    let german = open(&app, "/api/appuser/completeSignup?locale=DE").await;
    is_page(&german, "nicht geklappt");
}

async fn the_page_speaks_the_users_language_and_escapes_names(app: TestApp) {
    let shop = app.app("<b>Shop</b> %HANDLE%").await;
    app.set(&shop, "signupFlow", "signupFlow", json!("link")).await;
    app.admin("addRemoveAppLocale", json!({"appId": shop.id, "locales": ["FR"]})).await;
    let body = json!({"handle": "\"<i>@example.com", "password": PASSWORD, "locale": "fr"});
    // Such a handle is no mail address, so the page is opened by hand.
    assert_eq!(app.as_app(&shop, "signup", body).await.error(), (400, 602));
    let path = format!(
        "/api/appuser/completeSignup?appToken={}&handle=%22%3Ci%3E@example.com&code=123456&locale=FR",
        shop.token
    );
    let page = open(&app, &path).await.text();
    assert!(page.contains("<html lang=\"fr\">") && page.contains("Confirmez votre compte"), "{page}");
    assert!(
        page.contains("&lt;b&gt;Shop&lt;/b&gt; %HANDLE%") && !page.contains("<b>") && !page.contains("<i>"),
        "{page}"
    );
}

async fn sec_076_the_applications_own_page_is_harmless(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let html = "<h1 onclick=\"x()\">Done %HANDLE%</h1><script>alert(1)</script><form action=\"https://evil.example\">\
                <input></form><img src=\"https://evil.example/p.png\"><a href=\"javascript:x()\">a</a>";
    let body = json!({"appId": shop.id, "_id": "clickThrough-EN", "subject": "x", "htmlTemplate": html});
    assert_eq!(app.admin("updateEmailTemplate", body).await.status, 200);
    let (_, fields) = link(&app).await;
    let done = press(&app, &fields).await.text();
    assert!(done.contains("<h1>Done ana@example.com</h1>"), "{done}");
    for gone in ["script", "onclick", "form", "evil", "javascript"] {
        assert!(!done.contains(gone), "{gone}: {done}");
    }
}

async fn sec_129_a_page_that_an_older_version_took_is_shown_as_it_is_built_in(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let body =
        json!({"appId": shop.id, "_id": "clickThrough-EN", "subject": "x", "htmlTemplate": "<p>mine</p>"});
    assert_eq!(app.admin("updateEmailTemplate", body).await.status, 200);
    let id: AppId = shop.id.parse().unwrap();
    app.store
        .transact("test", move |repos| {
            let words = repos.email_templates().find(id, TemplateName::ClickThrough, Locale::EN)?.unwrap();
            repos.email_templates().put(&EmailTemplate { html: "& ".repeat(60_000), ..words })
        })
        .await
        .unwrap();
    let (_, fields) = link(&app).await;
    let done = press(&app, &fields).await.text();
    assert!(done.contains("is ready") && !done.contains("&amp; &amp;"), "{done:.500}");
}

async fn the_post_of_the_protocol_answers_with_the_page_in_flow_link(app: TestApp) {
    let shop = linked(&app, "ana@example.com").await;
    let (_, fields) = link(&app).await;
    let code = &fields.iter().find(|(name, _)| name == "code").unwrap().1;
    let done = app.as_app(&shop, "completeSignup", json!({"handle": "ana@example.com", "code": code})).await;
    assert_eq!(header(&done, "content-type"), "text/html; charset=utf-8");
    assert!(done.text().contains("is ready") && !done.text().contains("eyJ"), "no token is in it");
}
