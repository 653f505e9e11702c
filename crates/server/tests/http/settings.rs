//! `/api/app`: settings, metadata fields, locales, messages, and users' status.

use latchkey_domain::Preset;
use serde_json::{Value, json};

use crate::harness::{GOOD_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    every_setting_is_told_afterwards,
    what_cannot_be_is_refused_and_changes_nothing,
    metadata_definitions_that_cannot_work_are_refused,
    messages_can_be_worded_per_locale,
    locales_come_and_go_with_their_messages,
    sec_006_common_passwords_are_refused_where_the_application_says_so,
    sec_007_a_new_application_asks_for_eight_characters_and_no_classes,
    a_user_is_suspended_and_comes_back,
    one_can_be_signed_out_everywhere,
    the_applications_limit_of_users_holds,
    answers_never_tell_the_mail_key,
);

async fn every_setting_is_told_afterwards(app: TestApp) {
    let shop = app.app("Shop").await;
    for (setting, field, value) in [
        ("status", "status", json!("inactive")),
        ("invite", "invitationEnabled", json!(false)),
        ("signup", "signupEnabled", json!(false)),
        ("signupFlow", "signupFlow", json!("link")),
        ("signupFlow", "signupFlow", json!("none")),
        ("jwtEnabled", "jwtEnabled", json!(true)),
        ("userNamesEnabled", "userNamesEnabled", json!(true)),
        ("anonLogin", "anonymousLoginEnabled", json!(true)),
        ("maxUsers", "maxUsers", json!(1_000)),
        ("maxLoginAttempts", "maxLoginAttempts", json!("5")),
        ("realmAppId", "realmAppId", json!("realm-abcde")),
        ("userJWTExpiration", "userJWTExpiration", json!(48)),
        ("accessTokenDays", "accessTokenDays", json!(7)),
        ("passwordFilter", "passwordFilter", json!(true)),
        ("metaDataEmail", "metaDataEmail", json!(false)),
        ("emailExtension", "emailExtension", json!(true)),
        ("linkAsksPassword", "linkAsksPassword", json!("always")),
        ("userIdFormat", "userIdFormat", json!("handle_underscore")),
        ("refuseCommonPasswords", "refuseCommonPasswords", json!(true)),
        ("handleHoldDays", "handleHoldDays", json!(30)),
        ("neutralAnswers", "neutralAnswers", json!(true)),
        ("anonymousPurgeDays", "anonymousPurgeDays", json!(10)),
    ] {
        let body = json!({"appId": shop.id, "setting": setting, field: value});
        for _ in 0..2 {
            // Setting what is set already is no error.
            let answer = app.admin("updateAppSetting", body.clone()).await;
            assert_eq!(answer.status, 200, "{setting}: {}", answer.text());
            assert_eq!(answer.json()[field], value, "{setting}");
        }
    }
    let minima = json!({"appId": shop.id, "setting": "passwordSetting", "passwordMinLength": 9, "passwordMinDigit": 2});
    let answer = app.admin("updateAppSetting", minima).await.json();
    assert_eq!((&answer["passwordMinLength"], &answer["passwordMinUpper"]), (&json!(9), &json!(0)));
    let one = app.get(&format!("/api/app/appId/{}", shop.id), ("server-secret", &app.server_secret)).await;
    assert_eq!(one.json(), answer);
}

async fn what_cannot_be_is_refused_and_changes_nothing(app: TestApp) {
    let shop = app.app("Shop").await;
    let path = format!("/api/app/appId/{}", shop.id);
    let before = app.get(&path, ("server-secret", &app.server_secret)).await.text();
    for (body, expected) in [
        (json!({}), (400, 403)),
        (json!({"appId": shop.id}), (400, 403)),
        (json!({"appId": "x", "setting": "status", "status": "active"}), (404, 401)),
        (json!({"appId": "0".repeat(32), "setting": "status", "status": "active"}), (404, 401)),
        (json!({"appId": shop.id, "setting": "nothing"}), (400, 602)),
        (
            json!({"appId": shop.id, "setting": "twoFactorVerification", "twoFactorVerification": "often"}),
            (400, 602),
        ),
        (json!({"appId": shop.id, "setting": "status", "status": "asleep"}), (400, 602)),
        (json!({"appId": shop.id, "setting": "invite"}), (400, 403)),
        (json!({"appId": shop.id, "setting": "invite", "invitationEnabled": "yes"}), (400, 602)),
        (json!({"appId": shop.id, "setting": "maxUsers", "maxUsers": -1}), (400, 602)),
        (json!({"appId": shop.id, "setting": "maxUsers", "maxUsers": 1.5}), (400, 602)),
        (json!({"appId": shop.id, "setting": "maxLoginAttempts", "maxLoginAttempts": 101}), (400, 602)),
        (json!({"appId": shop.id, "setting": "userJWTExpiration", "userJWTExpiration": 0}), (400, 602)),
        (json!({"appId": shop.id, "setting": "userJWTExpiration", "userJWTExpiration": 721}), (400, 602)),
        (json!({"appId": shop.id, "setting": "passwordSetting", "passwordMinLength": 129}), (400, 602)),
        (
            json!({"appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": "k"}),
            (400, 403),
        ),
        (
            json!({"appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": "k",
                "emailExtensionSenderEmail": "no address"}),
            (400, 602),
        ),
        (
            json!({"appId": shop.id, "setting": "twoFactorVerification", "twoFactorVerification": "google",
                "googleAppName": "a\u{202e}b"}),
            (400, 602),
        ),
        (json!({"appId": shop.id, "setting": "googleClientId"}), (400, 403)),
        (json!({"appId": shop.id, "setting": "googleClientId", "googleClientId": "a b"}), (400, 602)),
        (json!({"appId": shop.id, "setting": "googleClientId", "googleClientId": "*"}), (400, 602)),
        (json!({"appId": shop.id, "setting": "appleAudiences", "appleAudiences": [{}]}), (400, 602)),
        (json!({"appId": shop.id, "setting": "appleLogin", "appleLoginEnabled": 1}), (400, 602)),
        (json!({"appId": shop.id, "setting": "smsADay", "smsADay": 1_000_001}), (400, 602)),
    ] {
        assert_eq!(app.admin("updateAppSetting", body.clone()).await.error(), expected, "{body}");
    }
    let text =
        app.admin("updateAppSetting", json!({"appId": shop.id, "setting": "status", "status": "x"})).await;
    assert!(text.text().contains("status is one of active, inactive"), "{}", text.text());
    assert_eq!(app.get(&path, ("server-secret", &app.server_secret)).await.text(), before);
}

async fn metadata_definitions_that_cannot_work_are_refused(app: TestApp) {
    let shop = app.app("Shop").await;
    let define = async |fields: Value| {
        app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await
    };
    for (fields, named) in [
        (json!([{"path": "sub"}]), "sub"),
        (json!([{"path": "exp.x"}]), "exp.x"),
        (json!([{"path": "userName"}]), "userName"),
        (json!([{"path": "email", "fieldName": "mail"}]), "email"),
        (json!([{"path": "a"}, {"path": "a"}]), "a"),
        (json!([{"path": "a.b"}, {"path": "a"}]), "a"),
        (json!([{"path": "a..b"}]), "a..b"),
        (json!([{"path": ""}]), "path"),
        (json!([{"fieldName": "x"}]), "path"),
        (json!(["a"]), "object"),
        (json!([{"path": "a", "type": "date"}]), "text, number, boolean, array"),
        (json!([{"path": "a", "requird": true}]), "did you mean required?"),
    ] {
        let answer = define(fields.clone()).await;
        assert_eq!(answer.error(), (400, 602), "{fields}");
        assert!(answer.text().contains(named), "{fields}: {}", answer.text());
    }
    assert_eq!(app.admin("updateAppMetaData", json!({"appId": shop.id})).await.error(), (400, 403));
    let fields = json!([
        {"id": 1, "path": "email", "fieldName": "email", "required": true},
        {"path": "user_data.name", "fieldName": "name", "canEdit": "true", "owner": "x"},
    ]);
    let stored = define(fields).await.json()["metaData"].clone();
    insta::assert_json_snapshot!("metadata_fields", stored);
    // Those of invitations end in the same object.
    let below = json!({"appId": shop.id, "metaDataInvite": [{"path": "user_data.name.first"}]});
    assert_eq!(app.admin("updateAppInviteMetaData", below).await.error(), (400, 602));
    let beside = json!({"appId": shop.id, "metaDataInvite": [{"path": "team"}, {"path": "user_data.name"}]});
    assert_eq!(app.admin("updateAppInviteMetaData", beside).await.status, 200);
}

async fn messages_can_be_worded_per_locale(app: TestApp) {
    let shop = app.app("Shop").await;
    app.admin("addRemoveAppLocale", json!({"appId": shop.id, "locales": ["DE", "PT"]})).await;
    let word = async |id: &str, subject: &str, html: &str, reply_to: &str| {
        let body = json!({"appId": shop.id, "_id": id, "subject": subject, "htmlTemplate": html, "replyTo": reply_to});
        app.admin("updateEmailTemplate", body).await
    };
    for (id, subject, html, reply_to) in [
        ("signUp-FR", "s", "%CODE%", ""),
        ("nothing-EN", "s", "%CODE%", ""),
        ("signUpEN", "s", "%CODE%", ""),
        ("signUp-EN", "a\nBcc: x@y.z", "%CODE%", ""),
        ("signUp-EN", "s", "%CODE%", "no address"),
        ("signUp-EN", "s", " ", ""),
        ("signUp-EN", "s", "Your code is %KODE%", ""),
        ("sms-EN", "%CODE%", "<p title='%CODE%'>Hello</p>", ""),
        ("resetPassword-EN", "s", "%LINK%", ""),
        ("signUp-EN", &"s".repeat(201), "%CODE%", ""),
    ] {
        assert_eq!(word(id, subject, html, reply_to).await.error(), (400, 602), "{id} {subject} {html}");
    }
    let html = "<h1>Hi %HANDLE%</h1><p>%CODE% for %APP_NAME% &amp; co</p>";
    let answer = word("signUp-EN", "Code of %APP_NAME%", html, "help@example.com").await;
    assert_eq!(answer.json()["htmlTemplate"], html);
    let sign_up = async |handle: &str, locale: &str| {
        let body = json!({"handle": handle, "password": PASSWORD, "locale": locale});
        assert_eq!(app.as_app(&shop, "signup", body).await.text(), "true");
        app.mails().await.last().unwrap().clone()
    };
    let mail = sign_up("a@example.com", "EN").await;
    assert_eq!(
        (mail.subject.as_str(), mail.reply_to.unwrap().to_string().as_str()),
        ("Code of Shop", "help@example.com")
    );
    assert!(mail.html.starts_with("<h1>Hi a@example.com</h1><p>"), "{}", mail.html);
    assert!(mail.text.starts_with("Hi a@example.com\n"), "{}", mail.text);
    assert!(mail.text.contains("for Shop & co"));
    // Ours in a language that we have; the application's English in one that nobody has worded.
    assert!(sign_up("b@example.com", "de").await.subject.starts_with("Best"), "German");
    assert_eq!(sign_up("c@example.com", "PT").await.subject, "Code of Shop");
    // A template may be larger than other bodies.
    let large = format!("<p>%CODE%{}</p>", "a".repeat(100_000));
    assert_eq!(word("signUp-DE", "s", &large, "").await.status, 200);
}

async fn locales_come_and_go_with_their_messages(app: TestApp) {
    let shop = app.app("Shop").await;
    let set = async |locales: Value| {
        app.admin("addRemoveAppLocale", json!({"appId": shop.id, "locales": locales})).await
    };
    let answer = set(json!(["fr", "DE", "FR"])).await.json();
    assert_eq!((&answer["locales"], &answer["appId"]), (&json!(["EN", "FR", "DE"]), &json!(shop.id)));
    let by_locale: Vec<_> = answer["localesTemplate"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(by_locale, ["DE", "EN", "FR"]);
    for templates in answer["localesTemplate"].as_object().unwrap().values() {
        assert_eq!(templates.as_array().unwrap().len(), 8);
    }
    let body =
        json!({"appId": shop.id, "_id": "invite-FR", "subject": "Venez", "htmlTemplate": "<p>%CODE%</p>"});
    assert_eq!(app.admin("updateEmailTemplate", body).await.status, 200);
    let listed = async || {
        let path = format!("/api/app/emailTemplates?appId={}", shop.id);
        app.get(&path, ("server-secret", &app.server_secret)).await.json()
    };
    let invite = |templates: &Value| {
        let french = templates["FR"].as_array().unwrap().clone();
        french.into_iter().find(|template| template["templateName"] == "invite").unwrap()["subject"].clone()
    };
    assert_eq!(invite(&listed().await), "Venez");
    set(json!([])).await;
    assert_eq!(listed().await.as_object().unwrap().len(), 1);
    set(json!(["FR"])).await;
    assert_eq!(invite(&listed().await), "Invitation à %APP_NAME%", "ours again");
    for wrong in [json!(["XX"]), json!([1]), json!("nonsense"), json!({"a": 1})] {
        assert_eq!(set(wrong).await.error(), (400, 602));
    }
    assert_eq!(set(json!(null)).await.error(), (400, 403));
    let all: Vec<String> = latchkey_domain::Locale::all().map(|locale| locale.as_str().to_owned()).collect();
    assert_eq!(set(json!(all)).await.json()["localesTemplate"].as_object().unwrap().len(), 183);
}

async fn sec_006_common_passwords_are_refused_where_the_application_says_so(app: TestApp) {
    let strict = app.app_without_code("Shop", Preset::Recommended).await;
    let lax = app.app_without_code("Lax", Preset::Compatible).await;
    let sign_up = |shop: &crate::harness::Made, body: Value| {
        let (shop, app) = (shop.clone(), &app);
        async move { app.as_app(&shop, "signup", body).await }
    };
    let common = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(sign_up(&strict, common.clone()).await.error(), (400, 602));
    assert_eq!(sign_up(&lax, common).await.status, 200);
    for raw in ["Shop", "ana@example.com", "password123"] {
        let body = json!({"handle": "ana@example.com", "rawPassword": raw});
        assert_eq!(sign_up(&strict, body).await.error(), (400, 602), "{raw}");
    }
    let good = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    let access = sign_up(&strict, good).await.field("access-token");
    let change = json!({"password": GOOD_PASSWORD, "newPassword": PASSWORD});
    assert_eq!(app.as_user(&access, "changePassword", change).await.error(), (400, 602));
}

async fn sec_007_a_new_application_asks_for_eight_characters_and_no_classes(app: TestApp) {
    for (shop, length) in [
        (app.app_without_code("New", Preset::Recommended).await, 8),
        (app.app_without_code("Old", Preset::Compatible).await, 5),
    ] {
        let told = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.json();
        assert_eq!(told["passwordMinLength"], length);
        for zero in ["Upper", "Lower", "Digit", "Special"] {
            assert_eq!(told[format!("passwordMin{zero}")], 0);
        }
    }
}

async fn a_user_is_suspended_and_comes_back(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let access = app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    for (body, expected) in [
        (json!({"appId": shop.id, "status": "suspend"}), (400, 403)),
        (json!({"appId": shop.id, "userId": "x", "status": "suspend"}), (404, 603)),
        (json!({"appId": other.id, "userId": id, "status": "suspend"}), (404, 603)),
        (json!({"appId": shop.id, "userId": id, "status": "asleep"}), (400, 602)),
    ] {
        assert_eq!(app.admin("user", body.clone()).await.error(), expected, "{body}");
    }
    let set =
        |status: &'static str| app.admin("user", json!({"appId": shop.id, "userId": id, "status": status}));
    assert_eq!(set("suspend").await.text(), "true");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login.clone()).await.error(), (400, 404));
    assert_eq!(set("active").await.text(), "true");
    assert_eq!(app.as_app(&shop, "login", login).await.status, 200);
}

async fn one_can_be_signed_out_everywhere(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let (app_id, id) =
        (shop.id.parse().unwrap(), app.user_id(&shop, "ana@example.com").await.parse().unwrap());
    app.service
        .sign_out_everywhere(
            latchkey_service::Operator::command_line(),
            latchkey_domain::UserKey { app_id, id },
        )
        .await
        .unwrap();
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
}

async fn the_applications_limit_of_users_holds(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "maxUsers", "maxUsers", json!(3)).await;
    let sign_ups: Vec<_> = (0..8)
        .map(|number| {
            let body = json!({"handle": format!("u{number}@example.com"), "password": PASSWORD});
            app.as_app(&shop, "signup", body)
        })
        .collect();
    let answers = futures_util::future::join_all(sign_ups).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 3);
    assert!(answers.iter().filter(|a| a.status != 200).all(|answer| answer.error() == (400, 407)));
}

async fn answers_never_tell_the_mail_key(app: TestApp) {
    let shop = app.app("Shop").await;
    let body = json!({
        "appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": "SG.canary",
        "emailExtensionSenderEmail": "shop@example.com",
    });
    let answer = app.admin("updateAppSetting", body).await;
    assert_eq!(answer.json()["emailExtensionSenderEmail"], "shop@example.com");
    assert!(!answer.text().contains("canary"));
    app.set(&shop, "emailExtension", "emailExtension", json!(true)).await;
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let mail = app.mails().await[0].clone();
    assert_eq!(mail.from.to_string(), "Shop <shop@example.com>");
    use secrecy::ExposeSecret as _;
    assert_eq!(mail.relay_key.unwrap().expose_secret(), "SG.canary");
    let told = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.text();
    assert!(!told.contains("canary") && !told.contains("shop@example.com"), "{told}");
}
