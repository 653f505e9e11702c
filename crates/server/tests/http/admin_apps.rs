//! `/api/app`: applications as a whole, and what it is about them that never leaves.

use latchkey_test_support::{Interleaving, TestDatabase};
use serde_json::{Value, json};

use crate::harness::{GOOD_PASSWORD, PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    applications_are_listed_in_pages_and_searched_as_text,
    several_things_are_changed_at_once_or_none,
    a_name_is_free_to_its_own_application_only,
    fields_are_added_and_taken_away,
    sec_091_a_removed_application_is_gone_with_all_that_is_its,
    a_reset_empties_and_keeps_settings_and_words,
    what_is_not_offered_says_what_to_do,
    consoles_find_what_they_ask_for,
    sec_087_nothing_secret_leaves,
    test_mails_go_to_the_own_sender_five_an_hour,
);

async fn applications_are_listed_in_pages_and_searched_as_text(app: TestApp) {
    for name in ["Shop", "Shop (test)", "100% Bakery"] {
        app.app(name).await;
        app.clock.advance(time::Duration::seconds(1));
    }
    let names = async |query: &str| {
        let answer = app.admin_get(query).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let names: Vec<_> = answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|app| app["name"].as_str().unwrap().to_owned())
            .collect();
        (names, answer.headers.get("x-total-count").unwrap().to_str().unwrap().to_owned())
    };
    assert_eq!(
        names("allApps").await,
        (vec!["100% Bakery".into(), "Shop (test)".into(), "Shop".into()], "3".into())
    );
    assert_eq!(names("allApps?limit=2&offset=1").await, (vec!["Shop".into()], "3".into()));
    assert_eq!(names("search?name=SHOP").await, (vec!["Shop (test)".into(), "Shop".into()], "2".into()));
    assert_eq!(names("search?name=Shop&case=true").await, (vec!["Shop".into()], "1".into()));
    assert_eq!(names("search?name=shop&case=true").await, (vec![], "0".into()));
    assert_eq!(names("search?name=0%25").await, (vec!["100% Bakery".into()], "1".into()));
    for pattern in [".*", "%25", "S.op", "%5B"] {
        let found = names(&format!("search?name={pattern}")).await.0;
        assert!(found.len() <= usize::from(pattern == "%25"), "{pattern}: {found:?}");
    }
    for wrong in ["allApps?limit=x", "allApps?offset=-1", "search?limit=2&offset=5001", "allApps?after=x"] {
        assert_eq!(app.admin_get(wrong).await.error(), (400, 602), "{wrong}");
    }
}

async fn several_things_are_changed_at_once_or_none(app: TestApp) {
    let shop = app.app("Shop").await;
    let body = json!({"appId": shop.id, "name": "Store", "type": "commercial", "signupEnabled": false,
        "passwordMinLength": 0, "userJWTExpiration": 12, "googleAppName": "Our store", "realmAppId": "realm-1",
        "appToken": "mine", "appPrivateKey": "mine", "revision": 9, "issuer": "https://evil.example.com"});
    let answer = app.admin("update", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = app.admin_get(&format!("appId/{}", shop.id)).await.json();
    assert_eq!(answer.json(), seen);
    for (field, value) in [
        ("name", json!("Store")),
        ("type", json!("commercial")),
        ("signupEnabled", json!(false)),
        ("passwordMinLength", json!(0)),
        ("userJWTExpiration", json!(12)),
        ("googleAppName", json!("Our store")),
        ("realmAppId", json!("realm-1")),
        ("appToken", json!(shop.token)),
        ("issuer", json!(format!("https://auth.example.com/apps/{}", shop.id))),
    ] {
        assert_eq!(seen[field], value, "{field}");
    }
    let broken =
        json!({"appId": shop.id, "name": "Third", "signupEnabled": true, "userJWTExpiration": 9_999});
    assert_eq!(app.admin("update", broken).await.error(), (400, 602));
    assert_eq!(app.admin_get(&format!("appId/{}", shop.id)).await.json(), seen, "all or nothing");
    assert_eq!(app.admin("update", json!({"name": "x"})).await.error(), (400, 403));
    assert_eq!(app.admin("update", json!({"appId": "0".repeat(32), "name": "x"})).await.error(), (404, 401));
    assert_eq!(app.admin("update", json!({"appId": shop.id, "type": "toy"})).await.error(), (400, 602));
    let detail = app
        .audit(&shop)
        .await
        .into_iter()
        .find(|entry| entry.action == "update" && entry.result == "ok")
        .unwrap()
        .detail
        .unwrap();
    assert!(detail.contains("userJWTExpiration") && detail.contains("type"), "{detail}");
}

async fn a_name_is_free_to_its_own_application_only(app: TestApp) {
    let (shop, _) = (app.app("Shop").await, app.app("Other").await);
    let rename = async |name: &str| app.admin("update", json!({"appId": shop.id, "name": name})).await;
    assert_eq!(rename("Shop").await.status, 200);
    let taken = rename("Other").await;
    assert_eq!(taken.error(), (409, 602));
    assert_eq!(taken.json()["message"], "App 'Other' already exists.");
    assert_eq!(rename("a\nb").await.error(), (400, 602));
    assert_eq!(rename("Third").await.status, 200);
    assert_eq!(app.admin("", json!({"name": "Shop"})).await.status, 200, "the old name is free again");
}

async fn fields_are_added_and_taken_away(app: TestApp) {
    let shop = app.app("Shop").await;
    let field = |path: &str| json!([{"path": path, "fieldName": path, "required": false, "canEdit": true}]);
    // As the reference has it, the list may be a text.
    let add = json!({"appId": shop.id, "metaData": field("city").to_string()});
    assert_eq!(app.admin("update", add.clone()).await.status, 200);
    let twice = app.admin("update", add).await;
    assert_eq!(twice.json()["message"], "Duplicate metadata path 'city'.");
    assert_eq!(twice.error(), (400, 602));
    let more = json!({"appId": shop.id, "metaData": field("zip"), "metaDataInvite": field("team")});
    let seen = app.admin("update", more).await.json();
    let paths = |seen: &Value, list: &str| -> Vec<String> {
        let fields = seen[list].as_array().unwrap();
        fields.iter().map(|field| field["path"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (paths(&seen, "metaData"), paths(&seen, "metaDataInvite")),
        (vec!["city".into(), "zip".into()], vec!["team".into()])
    );
    let delete = async |index: Value, list: &str| {
        app.admin("deleteMetadata", json!({"appId": shop.id, "index": index, "type": list})).await
    };
    assert_eq!(delete(json!(2), "metaData").await.error(), (404, 602), "the index is one too many");
    assert_eq!(delete(json!(0), "appToken").await.error(), (400, 602));
    assert_eq!(delete(json!(null), "metaData").await.error(), (400, 403));
    let seen = delete(json!(0), "metaData").await.json();
    assert_eq!(paths(&seen, "metaData"), ["zip"]);
    let seen = delete(json!("0"), "metaDataInvite").await.json();
    assert!(paths(&seen, "metaDataInvite").is_empty());
}

#[actix_web::test]
async fn a_sign_up_during_the_removal_of_its_application_is_401() {
    let databases = [TestDatabase::sqlite(), TestDatabase::postgres()];
    for (database, (flow, unit)) in databases.iter().flat_map(|database| {
        [("code", "signup.send_code"), ("none", "signup.add_user")].map(|flow| (database, flow))
    }) {
        let interleaving = Interleaving::new(database.store());
        let app = TestApp::over(interleaving.store()).await;
        let shop = app.app("Shop").await;
        app.set(&shop, "signupFlow", "signupFlow", json!(flow)).await;
        let mut paused = interleaving.pause(unit, None);
        let remove = async {
            assert!(paused.reached().await, "{unit}");
            let secret = ("server-secret", app.server_secret.as_str());
            let removed =
                app.send(request("DELETE", &format!("/api/app/{}", shop.id)).insert_header(secret)).await;
            assert_eq!(removed.status, 200, "{}", removed.text());
            drop(paused);
        };
        let body = json!({"handle": "ana@example.com", "password": PASSWORD});
        let (answer, ()) = futures_util::future::join(app.as_app(&shop, "signup", body), remove).await;
        assert_eq!(answer.error(), (400, 401), "{flow} {}", answer.text());
    }
}

async fn sec_091_a_removed_application_is_gone_with_all_that_is_its(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let access = app.user(&shop, "ana@example.com").await;
    app.user(&other, "ana@example.com").await;
    let own = json!({"name": "ci", "scopes": "everything", "appId": shop.id});
    let secret = app.admin("createOperatorToken", own).await.field("secret");
    app.as_app(&shop, "signup", json!({"handle": "b@example.com", "password": PASSWORD})).await;
    let delete = async |id: &str| {
        app.send(
            request("DELETE", &format!("/api/app/{id}"))
                .insert_header(("server-secret", app.server_secret.as_str())),
        )
        .await
    };
    let mails = app.mails().await.len();
    app.as_app(&shop, "signup", json!({"handle": "c@example.com", "password": PASSWORD})).await;
    assert_eq!(delete(&shop.id).await.text(), "true");
    assert_eq!(app.mails().await.len(), mails, "its mail stays unsent");
    assert_eq!(delete(&shop.id).await.error(), (404, 401));
    assert_eq!(delete("nonsense").await.error(), (404, 401));
    assert_eq!(app.admin_get(&format!("appId/{}", shop.id)).await.error(), (404, 401));
    assert_eq!(app.get(&format!("/apps/{}/.well-known/jwks.json", shop.id), ("x", "")).await.status, 404);
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login.clone()).await.error(), (400, 401));
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 401));
    assert_eq!(app.get("/api/app/allApps", ("server-secret", &secret)).await.error(), (403, 500));
    assert_eq!(app.as_app(&other, "login", login).await.status, 200);
    // Who did it is told where the server's own entries are.
    let read = app
        .store
        .read("test", |readers| readers.audit().list(latchkey_domain::AppId::NONE, 10))
        .await
        .unwrap();
    let entry = read.iter().find(|entry| entry.action == "delete").unwrap();
    assert_eq!(entry.detail.as_deref(), Some(format!("{} Shop", shop.id).as_str()));
    assert!(app.audit(&shop).await.is_empty());
}

async fn a_reset_empties_and_keeps_settings_and_words(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "invite", "invitationEnabled", json!(false)).await;
    let words = json!({"appId": shop.id, "_id": "signUp-EN", "subject": "Ours", "htmlTemplate": "<p>Your code is %CODE%</p>"});
    assert_eq!(app.admin("updateEmailTemplate", words).await.status, 200);
    let before = app.admin_get(&format!("appId/{}", shop.id)).await.json();
    assert_eq!(app.admin("reset", json!({"appId": shop.id})).await.text(), "true");
    assert_eq!(app.admin_get(&format!("appId/{}", shop.id)).await.json(), before);
    let stat = app.admin_get(&format!("stat?appId={}", shop.id)).await.json();
    assert_eq!((&stat["totalUser"], &stat["totalSignup"]), (&json!(0), &json!(0)));
    let templates = app.admin_get(&format!("emailTemplates?appId={}", shop.id)).await.text();
    assert!(templates.contains("\"Ours\""));
    let log = app.audit(&shop).await;
    assert!(log.iter().any(|entry| entry.action == "resetApp"), "{log:?}");
    assert!(log.iter().any(|entry| entry.action == "updateEmailTemplate"), "the log stays");
    assert_eq!(app.admin("reset", json!({})).await.error(), (400, 403));
    assert_eq!(app.admin("reset", json!({"appId": "x"})).await.error(), (404, 401));
    app.clock.advance(time::Duration::minutes(2));
    app.user(&shop, "ana@example.com").await;
}

async fn what_is_not_offered_says_what_to_do(app: TestApp) {
    for name in [
        "initCosyncJWT",
        "reinitCosyncJWT",
        "removeCosyncJWT",
        "initCosyncEngine",
        "reinitCosyncEngine",
        "removeCosyncEngine",
        "saveUserSchema",
        "remoteNotification",
    ] {
        let answer = app.admin(name, json!({"appId": "x"})).await;
        assert_eq!(answer.error(), (501, 500), "{name}");
        let text = answer.text();
        assert!(text.contains("jwks.json") || text.contains("your own backend"), "{text}");
    }
}

async fn consoles_find_what_they_ask_for(app: TestApp) {
    assert_eq!(app.admin_get("connection").await.text(), "true");
    let versions = app.admin_get("getCosyncVersions").await.json();
    assert_eq!((&versions[0]["name"], &versions[0]["status"]), (&json!("CosyncJWT"), &json!("active")));
    assert_eq!(app.admin("patchAppLocales", json!({})).await.text(), "true");
}

/// One answer of every route of the administration API, with an application that has a secret of every kind.
async fn sec_087_nothing_secret_leaves(app: TestApp) {
    let shop = app.app("Shop").await;
    let canaries =
        ["SG.canary-of-mail", "canary0of0twilio", PASSWORD, GOOD_PASSWORD, "argon2id", "PRIVATE KEY"];
    let mail = json!({"appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": canaries[0],
        "emailExtensionSenderEmail": "shop@example.com"});
    assert_eq!(app.admin("updateAppSetting", mail).await.status, 200);
    let sms = json!({"appId": shop.id, "setting": "twoFactorVerification", "twoFactorVerification": "google",
        "TWILIOAccountSid": "ACcanary0sid", "TWILIOToken": canaries[1], "TWILIOPhoneNumber": "+4915112345678"});
    assert_eq!(app.admin("updateAppSetting", sms).await.status, 200);
    let access = app.user(&shop, "ana@example.com").await;
    let enrolled =
        app.as_user(&access, "setTwoFactorGoogleVerification", json!({"twoFactor": true})).await.json();
    let secret = enrolled["googleSecretKey"].as_str().unwrap().to_owned();
    app.as_app(&shop, "signup", json!({"handle": "bob@example.com", "password": PASSWORD})).await;
    app.as_user(&access, "invite", json!({"handle": "cyd@example.com", "senderUserId": "x"})).await;
    app.as_app(&shop, "forgotPassword", json!({"handle": "ana@example.com"})).await;
    let (id, user) = (shop.id.clone(), app.user_id(&shop, "ana@example.com").await);
    let mut codes = Vec::new();
    for handle in ["bob@example.com", "cyd@example.com", "ana@example.com"] {
        codes.push(app.code_for(handle).await);
    }
    let gets = [
        "allApps".to_owned(),
        "search?name=Shop".to_owned(),
        format!("appId/{id}"),
        "getCosyncVersions".to_owned(),
        format!("emailTemplates?appId={id}"),
        format!("stat?appId={id}"),
        format!("searchUser?appId={id}&value=a"),
        format!("searchSingUp?appId={id}&value=bob"),
        format!("searchInvite?appId={id}&value=cyd"),
        format!("previewClaims?appId={id}&userId={user}"),
        format!("appKeys?appId={id}"),
        format!("logs?appId={id}"),
        format!("exportLogs?appId={id}"),
        format!("statistics?appId={id}"),
        format!("outbox?appId={id}"),
        "operatorTokens".to_owned(),
    ];
    let posts = [
        ("update", json!({"appId": id})),
        ("updateAppSetting", json!({"appId": id, "setting": "invite", "invitationEnabled": true})),
        ("updateAppMetaData", json!({"appId": id, "metaData": []})),
        ("updateAppInviteMetaData", json!({"appId": id, "metaDataInvite": []})),
        ("addUser", json!({"appId": id, "handle": "dan@example.com", "password": GOOD_PASSWORD})),
        ("createAppInvite", json!({"appId": id, "handle": "eve@example.com"})),
        ("removeAppInvite", json!({"appId": id, "handle": "eve@example.com"})),
        ("removeAppSignup", json!({"appId": id, "handle": "bob@example.com"})),
        ("rotateAppKey", json!({"appId": id})),
        ("regenerateAppToken", json!({"appId": id})),
        ("removeUser", json!({"appId": id, "handle": "ana@example.com"})),
    ];
    let mut shapes = Vec::new();
    let mut look = |name: &str, answer: crate::harness::Answer| {
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let text = answer.text();
        for canary in
            canaries.iter().copied().chain(codes.iter().map(String::as_str)).chain([secret.as_str()])
        {
            assert!(!text.contains(canary), "{name} tells {canary}: {text}");
        }
        let path = name.split('?').next().unwrap().replace(&id, "ID");
        if let Ok(body) = serde_json::from_slice(&answer.body) {
            let mut members = std::collections::BTreeSet::new();
            collect(&body, "", &mut members);
            shapes.push(format!("{path}: {}", members.into_iter().collect::<Vec<_>>().join(" ")));
        }
    };
    for query in &gets {
        look(query, app.admin_get(query).await);
    }
    for (name, body) in posts {
        look(name, app.admin(name, body).await);
    }
    insta::assert_snapshot!("everything_that_leaves", shapes.join("\n"));
}

/// The names of all members of an answer, down to what lies in lists.
fn collect(value: &Value, above: &str, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, above, into)),
        Value::Object(members) => {
            for (name, value) in members {
                let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
                collect(value, &path, into);
                into.insert(path);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

async fn test_mails_go_to_the_own_sender_five_an_hour(app: TestApp) {
    let shop = app.app("Shop").await;
    let test = async || app.admin("testEmailExtension", json!({"appId": shop.id})).await;
    assert_eq!(test().await.error(), (400, 602), "there is no sender of its own");
    let account = json!({"appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": "SG.key",
        "emailExtensionSenderEmail": "shop@example.com"});
    assert_eq!(app.admin("updateAppSetting", account).await.status, 200);
    app.set(&shop, "emailExtension", "emailExtension", json!(true)).await;
    for _ in 0..5 {
        assert_eq!(test().await.text(), "true");
    }
    assert_eq!(test().await.status, 429);
    let sent = app.mail("A test of Shop's mail").await;
    assert_eq!(
        (sent.to.to_string(), sent.from.to_string()),
        ("shop@example.com".into(), "Shop <shop@example.com>".into())
    );
    app.clock.advance(time::Duration::hours(1));
    assert_eq!(test().await.text(), "true");
    app.refuse_mail(true);
    assert_eq!(test().await.error(), (400, 500), "what the provider says is told");
    app.refuse_mail(false);
    assert_eq!(app.admin("testEmailExtension", json!({})).await.error(), (400, 403));
    assert_eq!(app.admin("testEmailExtension", json!({"appId": "x"})).await.error(), (404, 401));
}
