//! `userNameAvailable`, `setUserName`, `setLocale`, `setUserMetadata`.

use latchkey_domain::Preset;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    a_user_name_is_set_once_and_signs_in,
    sec_082_a_user_name_is_never_somebodys_address,
    sec_082_a_handle_that_looks_like_a_user_name_is_taken,
    a_locale_is_set_if_it_is_offered,
    the_locale_of_a_device_is_its_language_or_english,
    non_ascii_addresses_sign_up_where_mail_can_go_to_them,
    metadata_are_replaced_and_what_is_fixed_stays,
    sec_059_claims_with_a_meaning_are_no_field,
    sec_060_a_compatible_application_is_warned_of_authority,
    sec_060_a_required_field_says_who_sets_it,
    sec_060_a_role_is_not_the_users_to_set,
    sec_024_names_are_asked_for_with_an_access_token_and_not_often,
    writes_of_one_user_are_limited,
    one_of_eight_takes_a_user_name,
);

async fn a_user_name_is_set_once_and_signs_in(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    let bob = app.user(&shop, "bob@example.com").await;
    let free = |name: &'static str| app.get(name, ("access-token", &ana));
    let set = |access: &str, name: &str| {
        let (access, body) = (access.to_owned(), json!({"userName": name}));
        let app = &app;
        async move { app.as_user(&access, "setUserName", body).await }
    };
    // Checks in the protocol's order.
    assert_eq!(app.as_app(&shop, "setUserName", json!({"userName": "ana"})).await.error(), (400, 403));
    assert_eq!(app.as_user(&ana, "setUserName", json!({})).await.error(), (400, 403));
    assert_eq!(set(&ana, "ana").await.error(), (400, 606));
    assert_eq!(free("/api/appuser/userNameAvailable?userName=ana").await.error(), (400, 606));
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    assert_eq!(free("/api/appuser/userNameAvailable").await.error(), (400, 403));
    assert_eq!(free("/api/appuser/userNameAvailable?userName=Ana").await.json(), json!({"available": true}));
    assert_eq!(set(&ana, " Ana ").await.text(), "true");
    assert_eq!(free("/api/appuser/userNameAvailable?userName=ANA").await.json(), json!({"available": false}));
    assert_eq!(set(&ana, "other").await.error(), (400, 602), "once only");
    assert_eq!(set(&bob, "ana").await.error(), (400, 605));
    assert_eq!(set(&bob, "bob").await.text(), "true");
    let tokens = app.as_app(&shop, "login", json!({"handle": "ANA", "password": PASSWORD})).await;
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!((&claims["sub"], &claims["userName"]), (&json!("ana@example.com"), &json!("ana")));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &ana)).await.field("userName"), "ana");
    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(set(&bob, "x").await.error(), (400, 402));
}

async fn sec_082_a_user_name_is_never_somebodys_address(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let ana = app.user(&shop, "ana@example.com").await;
    for wrong in ["bob@example.com", "1ana", "a-b", "\u{e4}nn", "a b", "ana\u{0}"] {
        let answer = app.as_user(&ana, "setUserName", json!({"userName": wrong})).await;
        assert_eq!(answer.error(), (400, 602), "{wrong:?}");
    }
}

async fn one_of_eight_takes_a_user_name(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let mut racers = Vec::new();
    for number in 0..8 {
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD});
        racers.push(app.as_app(&shop, "signup", body).await.field("access-token"));
    }
    let asks: Vec<_> =
        racers.iter().map(|access| app.as_user(access, "setUserName", json!({"userName": "king"}))).collect();
    let answers = futures_util::future::join_all(asks).await;
    let winners = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(winners, 1);
    assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == (400, 605)));
}

async fn sec_082_a_handle_that_looks_like_a_user_name_is_taken(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let sign_up = async |handle: &str| {
        app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD})).await
    };
    let ana = sign_up("ana@example.com").await.field("access-token");
    assert_eq!(app.as_user(&ana, "setUserName", json!({"userName": "fish"})).await.text(), "true");
    // A ligature, full-width letters, and the name itself: all of them would be found by it.
    for like in ["\u{fb01}sh", "\u{ff46}\u{ff49}\u{ff53}\u{ff48}", "FISH"] {
        assert_eq!(sign_up(like).await.error(), (400, 601), "{like}");
    }
    assert_eq!(app.as_app(&shop, "login", json!({"handle": "fish", "password": PASSWORD})).await.status, 200);
}

async fn a_locale_is_set_if_it_is_offered(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    assert_eq!(app.as_app(&shop, "setLocale", json!({"locale": "FR"})).await.error(), (400, 403));
    assert_eq!(app.as_user(&ana, "setLocale", json!({})).await.error(), (400, 403));
    assert_eq!(app.as_user(&ana, "setLocale", json!({"locale": "FR"})).await.error(), (400, 602));
    app.admin("addRemoveAppLocale", json!({"appId": shop.id, "locales": ["FR"]})).await;
    for wrong in ["fr", "XX", "F", "FRA"] {
        assert_eq!(app.as_user(&ana, "setLocale", json!({"locale": wrong})).await.error(), (400, 602));
    }
    for right in ["FR", "EN", "FR"] {
        assert_eq!(app.as_user(&ana, "setLocale", json!({"locale": right})).await.text(), "true");
    }
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &ana)).await.field("locale"), "FR");
}

async fn the_locale_of_a_device_is_its_language_or_english(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    app.admin("addRemoveAppLocale", json!({"appId": shop.id, "locales": ["FR", "ZH", "PT"]})).await;
    for (number, (sent, expected)) in [
        ("FR", "FR"),
        ("fr-CA", "FR"),
        ("fr_CA.UTF-8", "FR"),
        (" fr ", "FR"),
        ("zh-Hans-CN", "ZH"),
        ("pt_BR", "PT"),
        ("en-US", "EN"),
        ("de-DE", "EN"),
        ("fil-PH", "EN"),
        ("XX", "EN"),
        ("C", "EN"),
        ("\u{e9}", "EN"),
        ("", "EN"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD, "locale": sent});
        let access = app.as_app(&shop, "signup", body).await.field("access-token");
        let user = app.get("/api/appuser/getUser", ("access-token", &access)).await;
        assert_eq!(user.field("locale"), expected, "{sent:?}");
        let body = json!({"handle": format!("ANON_{number:032}"), "locale": sent});
        let access = app.as_app(&shop, "loginAnonymous", body).await.field("access-token");
        let user = app.get("/api/appuser/getUser", ("access-token", &access)).await;
        assert_eq!(user.field("locale"), expected, "{sent:?}");
    }
}

async fn non_ascii_addresses_sign_up_where_mail_can_go_to_them(app: TestApp) {
    let taking = TestApp::with(app.store.clone(), |settings| settings.mail.smtp_utf8 = true).await;
    let shop = app.app("Shop").await;
    let sign_up = async |app: &TestApp, handle: &str| {
        app.as_app(&shop, "signup", json!({"handle": handle, "password": PASSWORD})).await
    };
    assert_eq!(sign_up(&app, "ana@b\u{fc}cher.example").await.text(), "true");
    assert_eq!(app.mails().await[0].to.to_string(), "ana@xn--bcher-kva.example");
    for flow in ["code", "link", "none"] {
        app.set(&shop, "signupFlow", "signupFlow", json!(flow)).await;
        assert_eq!(sign_up(&app, "\u{e4}nne@example.com").await.error(), (400, 602), "{flow}");
    }
    app.set(&shop, "signupFlow", "signupFlow", json!("code")).await;
    assert_eq!(sign_up(&taking, "\u{e4}nne@example.com").await.text(), "true");
    assert_eq!(taking.mails().await.last().unwrap().to.to_string(), "\u{e4}nne@example.com");
}

async fn metadata_are_replaced_and_what_is_fixed_stays(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let ana = json!({"handle": "none@example.com", "password": PASSWORD});
    let access = app.as_app(&shop, "signup", ana).await.field("access-token");
    let set = |access: &str, sent: Value| {
        let access = access.to_owned();
        let app = &app;
        async move { app.as_user(&access, "setUserMetadata", json!({"metaData": sent})).await }
    };
    assert_eq!(app.as_app(&shop, "setUserMetadata", json!({"metaData": "{}"})).await.error(), (400, 403));
    assert_eq!(set(&access, json!("{}")).await.error(), (400, 602), "no field is defined");
    let fields = json!([
        {"path": "user_data.name.first", "fieldName": "first", "required": true, "canEdit": true},
        {"path": "user_data.born", "fieldName": "born", "required": true, "canEdit": false, "type": "number"},
        {"path": "tags", "fieldName": "tags", "canEdit": true, "type": "array"},
        {"path": "news", "fieldName": "news", "canEdit": true, "type": "boolean"},
        {"path": "email", "fieldName": "email", "required": true, "canEdit": false},
    ]);
    let answer = app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent =
        r#"{"user_data":{"name":{"first":" Ana "},"born":1990},"news":false,"email":"eve@x.y","sub":"eve"}"#;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "metaData": sent});
    let tokens = app.as_app(&shop, "signup", body).await;
    let access = tokens.field("access-token");
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!(claims["user_data"], json!({"name": {"first": "Ana"}, "born": 1990}));
    assert_eq!(
        (&claims["news"], &claims["email"], &claims["sub"]),
        (&json!(false), &json!("ana@example.com"), &json!("ana@example.com"))
    );

    for (sent, code) in [
        (json!(null), 602),
        (json!("nonsense"), 602),
        (json!("[]"), 602),
        (json!(1), 602),
        (json!("{}"), 604),
        (json!(r#"{"user_data":{"name":{"first":"  "}}}"#), 604),
        (json!(r#"{"user_data":{"name":{"first":1}}}"#), 604),
        (json!(r#"{"user_data":{"name":{"first":"B"},"born":1991}}"#), 604),
        (json!(r#"{"user_data":{"name":{"first":"B"}},"tags":[{}]}"#), 604),
    ] {
        assert_eq!(set(&access, sent.clone()).await.error(), (400, code), "{sent}");
    }
    // An object instead of its text is accepted too.
    let sent = json!({"user_data": {"name": {"first": "B"}}, "tags": ["a", 1]});
    assert_eq!(set(&access, sent).await.text(), "true");
    let user = app.get("/api/appuser/getUser", ("access-token", &access)).await.json();
    let expected = json!({"user_data": {"name": {"first": "B"}, "born": 1990}, "tags": ["a", 1]});
    assert_eq!(user["metaData"], expected, "what was not sent is gone, what is fixed stays");
}

async fn sec_060_a_role_is_not_the_users_to_set(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    let fields = json!([
        {"path": "role", "canEdit": true}, {"path": "colour", "canEdit": true, "userSettable": true},
        {"path": "tenant_id"}, {"path": "profile.role"}, {"path": "city"},
    ]);
    let answer = app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await.json();
    let settable = answer["metaData"].as_array().unwrap().iter().map(|field| field["userSettable"] == true);
    assert_eq!(settable.collect::<Vec<_>>(), [false, true, false, false, false]);
    assert_eq!(answer.get("warnings"), None::<&Value>);
    for data in [r#"{"tenant_id":"x"}"#, r#"{"profile":{"role":"x"}}"#, r#"{"city":"x"}"#] {
        let body =
            json!({"handle": "bob@example.com", "password": crate::harness::GOOD_PASSWORD, "metaData": data});
        assert_eq!(app.as_app(&shop, "signup", body).await.error(), (400, 604), "{data}");
    }
    let body = |data: &str| json!({"handle": "ana@example.com", "password": crate::harness::GOOD_PASSWORD, "metaData": data});
    assert_eq!(app.as_app(&shop, "signup", body(r#"{"role":"admin"}"#)).await.error(), (400, 604));
    let tokens = app.as_app(&shop, "signup", body(r#"{"colour":"red"}"#)).await;
    let access = tokens.field("access-token");
    let answer = app.as_user(&access, "setUserMetadata", json!({"metaData": r#"{"role":"admin"}"#})).await;
    assert_eq!(answer.error(), (400, 604));
    let claims = app.claims_for(&shop, &tokens.field("jwt"), &shop.id).await;
    assert_eq!((claims.get("role"), &claims["colour"]), (None, &json!("red")));
}

async fn sec_060_a_required_field_says_who_sets_it(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    let old = app.app_without_code("Old", Preset::Compatible).await;
    for (path, list) in [("updateAppMetaData", "metaData"), ("updateAppInviteMetaData", "metaDataInvite")] {
        let sent = |id: &str, field: Value| json!({"appId": id, list: [field]});
        let answer = app.admin(path, sent(&shop.id, json!({"path": "city", "required": true}))).await;
        assert_eq!(answer.error(), (400, 602));
        assert_eq!(answer.json()["message"], "the field city is required, so it must say userSettable");
        for said in [true, false] {
            let field = json!({"path": "city", "required": true, "userSettable": said});
            let answer = app.admin(path, sent(&shop.id, field)).await.json();
            assert_eq!(answer[list][0]["userSettable"], said);
        }
        let answer = app.admin(path, sent(&old.id, json!({"path": "city", "required": true}))).await.json();
        assert_eq!(answer[list][0]["userSettable"], true, "the reference's default");
        let more = json!({"appId": shop.id, list: [{"path": "zip", "required": true}]});
        assert_eq!(app.admin("update", more).await.error(), (400, 602));
    }
}

async fn sec_060_a_compatible_application_is_warned_of_authority(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    let fields = json!([{"path": "colour"}, {"path": "hasura.x-hasura-default-role"}, {"path": "isAdmin"},
        {"path": "role", "userSettable": false}]);
    let answer = app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await.json();
    let warnings: Vec<_> =
        answer["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("hasura.x-hasura-default-role of metaData"), "{warnings:?}");
    assert!(warnings[1].contains("isAdmin of metaData"), "{warnings:?}");
}

async fn sec_059_claims_with_a_meaning_are_no_field(app: TestApp) {
    for preset in [Preset::Recommended, Preset::Compatible] {
        let shop = app.app_without_code(&format!("{preset:?}"), preset).await;
        for claim in latchkey_domain::CLAIMS_OF_MEANING.into_iter().chain(["sub", "aud", "userName"]) {
            for (path, list) in [
                ("updateAppMetaData", "metaData"),
                ("updateAppInviteMetaData", "metaDataInvite"),
                ("update", "metaData"),
            ] {
                let fields = json!([{"path": claim, "userSettable": true}]);
                let answer = app.admin(path, json!({"appId": shop.id, list: fields})).await;
                assert_eq!(answer.error(), (400, 602), "{path} {claim}");
            }
        }
    }
}

async fn sec_024_names_are_asked_for_with_an_access_token_and_not_often(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
    let ana = app.user(&shop, "ana@example.com").await;
    let path = "/api/appuser/userNameAvailable?userName=bob";
    assert_eq!(app.get(path, ("app-token", &shop.token)).await.error(), (400, 403));
    for _ in 0..120 {
        assert_eq!(app.get(path, ("access-token", &ana)).await.status, 200);
    }
    let refused = app.get(path, ("access-token", &ana)).await;
    assert_eq!(refused.error(), (429, 500));
    assert!(refused.headers.contains_key("retry-after"));
    app.clock.advance(time::Duration::hours(2));
    assert_eq!(app.get(path, ("access-token", &ana)).await.status, 200);
}

async fn writes_of_one_user_are_limited(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    for _ in 0..60 {
        assert_eq!(app.as_user(&ana, "setLocale", json!({"locale": "EN"})).await.status, 200);
    }
    assert_eq!(app.as_user(&ana, "setLocale", json!({"locale": "EN"})).await.error(), (429, 500));
    let bob = app.user(&shop, "bob@example.com").await;
    assert_eq!(app.as_user(&bob, "setLocale", json!({"locale": "EN"})).await.status, 200);
}
