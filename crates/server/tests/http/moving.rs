//! What moves in and out over HTTP.

use std::io::{Cursor, Read as _, Write as _};

use actix_web::test::TestRequest;
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Answer, GOOD_PASSWORD, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    sec_113_an_export_holds_no_private_key_unless_asked,
    who_waits_goes_on_waiting_where_they_came,
    an_import_names_every_setting_that_the_file_cannot_hold,
    sec_062_an_app_token_that_ended_does_not_begin_again_with_a_zip,
    what_goes_out_as_a_zip_comes_in_again,
    sec_111_an_upload_is_refused_before_it_is_read,
    sec_111_what_is_no_export_makes_no_application,
    users_and_archives_leave_as_files,
);

/// An application with something of every kind, all of it with a secret.
async fn shop(app: &TestApp) -> Made {
    let shop = app.app("Shop").await;
    let fields = json!([{"path": "city", "canEdit": true}, {"path": "role", "userSettable": false},
        {"path": "age", "type": "number"}]);
    assert_eq!(
        app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await.status,
        200
    );
    let mail = json!({"appId": shop.id, "setting": "emailExtensionAPIKey", "emailExtensionAPIKey": "SG.canary",
        "emailExtensionSenderEmail": "shop@example.com"});
    assert_eq!(app.admin("updateAppSetting", mail).await.status, 200);
    let sms = json!({"appId": shop.id, "setting": "twoFactorVerification", "twoFactorVerification": "google",
        "TWILIOAccountSid": "ACcanary0sid", "TWILIOToken": "canary0token", "TWILIOPhoneNumber": "+4915112345678"});
    assert_eq!(app.admin("updateAppSetting", sms).await.status, 200);
    app.set(&shop, "googleAppName", "googleAppName", json!("=SUM(A1)")).await;
    let access = app.user(&shop, "ana@example.com").await;
    app.as_user(&access, "setUserMetadata", json!({"metaData": {"city": "Bern"}})).await;
    app.as_user(&access, "setTwoFactorGoogleVerification", json!({"twoFactor": true})).await;
    app.as_user(&access, "invite", json!({"handle": "cyd@example.com", "senderUserId": "x"})).await;
    app.as_app(&shop, "signup", json!({"handle": "bob@example.com", "password": PASSWORD})).await;
    let words =
        json!({"appId": shop.id, "_id": "signUp-EN", "subject": "Ours", "htmlTemplate": "<p>%CODE%</p>"});
    assert_eq!(app.admin("updateEmailTemplate", words).await.status, 200);
    shop
}

fn unpacked(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut archive = zip::ZipArchive::new(Cursor::new(answer.body.clone())).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().to_string(), text)
        })
        .collect()
}

async fn sec_113_an_export_holds_no_private_key_unless_asked(app: TestApp) {
    let shop = shop(&app).await;
    let answer = app.admin_get(&format!("export?appId={}", shop.id)).await;
    for (name, value) in [
        ("content-type", "application/zip".to_owned()),
        ("cache-control", "no-store".to_owned()),
        ("content-disposition", format!("attachment; filename=\"{}.zip\"", shop.id)),
    ] {
        assert_eq!(answer.headers.get(name).unwrap().to_str().unwrap(), value);
    }
    let files = unpacked(&answer);
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "app-collection.csv",
            "email-template-collection.csv",
            "user-collection.csv",
            "signup-collection.csv",
            "invite-collection.csv",
        ]
    );
    let whole: String = files.iter().map(|(_, text)| text.as_str()).collect();
    for canary in ["PRIVATE KEY", "UFJJVkFURSBLRVk", "SG.canary", "canary0token", "ACcanary0sid"] {
        assert!(!whole.contains(canary), "{canary}");
    }
    let (header, rest) = files[0].1.split_once('\n').unwrap();
    assert!(
        header.starts_with("name,status,jwtEnabled,appPrivateKey,appPublicKey,appToken,appSecret,handle,")
    );
    assert!(rest.contains("'=SUM(A1)"), "a cell is no formula: {rest}");
    assert!(
        files[2].1.contains("ana@example.com,$argon2id$")
            || files[2].1.contains("ana@example.com,\"$argon2id$")
    );
    assert!(files[2].1.contains("GMT+0000 (Coordinated Universal Time)"));

    let secret = app.admin_get(&format!("export?appId={}&secrets=true", shop.id)).await;
    let whole: String = unpacked(&secret).into_iter().map(|(_, text)| text).collect();
    for canary in ["SG.canary", "canary0token", "ACcanary0sid"] {
        assert!(whole.contains(canary), "{canary}");
    }
    let exporter = json!({"name": "backup", "scopes": "export"});
    let token = app.admin("createOperatorToken", exporter).await.field("secret");
    let get = async |query: &str| app.get(&format!("/api/app/{query}"), ("server-secret", &token)).await;
    assert_eq!(get(&format!("export?appId={}", shop.id)).await.status, 200);
    assert_eq!(get(&format!("export?appId={}&secrets=true", shop.id)).await.error(), (403, 400));
    assert_eq!(get("export").await.error(), (400, 403));
    assert_eq!(get("export?appId=x").await.error(), (404, 401));
    assert_eq!(get(&format!("export?appId={}&secrets=perhaps", shop.id)).await.error(), (400, 602));
    let told = app.audit(&shop).await;
    let exports: Vec<_> = told.iter().filter(|entry| entry.action == "exportAppDatabase").collect();
    assert_eq!(exports.len(), 3);
    assert!(exports.iter().any(|entry| entry.detail.as_deref() == Some("with secrets, in clear")));
}

/// A body as browsers upload it.
fn form(name: Option<&str>, zip: Option<&[u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    if let Some(name) = name {
        write!(body, "--XX\r\ncontent-disposition: form-data; name=\"appName\"\r\n\r\n{name}\r\n").unwrap();
    }
    if let Some(zip) = zip {
        body.extend(b"--XX\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\n\r\n");
        body.extend(zip);
        body.extend(b"\r\n");
    }
    body.extend(b"--XX--\r\n");
    body
}

/// A zip with one of its files edited.
pub(crate) fn edited(zip: &[u8], name: &str, edit: impl Fn(String) -> String) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(Cursor::new(zip.to_vec())).unwrap();
    let mut to = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..from.len() {
        let mut file = from.by_index(index).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let known = file.name().unwrap().to_string();
        to.start_file(known.clone(), zip::write::SimpleFileOptions::default()).unwrap();
        let text = if known == name { edit(text) } else { text };
        to.write_all(text.as_bytes()).unwrap();
    }
    to.finish().unwrap().into_inner()
}

/// Uploads a zip as an application of this name.
pub(crate) async fn upload_as(app: &TestApp, name: &str, zip: &[u8]) -> Answer {
    upload(app, &app.server_secret, form(Some(name), Some(zip))).await
}

async fn remove(app: &TestApp, id: &str) {
    let request = TestRequest::delete().uri(&format!("/api/app/{id}"));
    let request = request.insert_header(("server-secret", app.server_secret.as_str()));
    assert_eq!(app.send(request).await.status, 200);
}

async fn upload(app: &TestApp, secret: &str, body: Vec<u8>) -> Answer {
    let request = TestRequest::post()
        .uri("/api/app/importDatabase")
        .insert_header(("server-secret", secret))
        .insert_header(("content-type", "multipart/form-data; boundary=XX"))
        .set_payload(body);
    app.send(request).await
}

async fn what_goes_out_as_a_zip_comes_in_again(app: TestApp) {
    let shop = shop(&app).await;
    let zip = app.admin_get(&format!("export?appId={}&secrets=true", shop.id)).await.body;
    let taken = upload(&app, &app.server_secret, form(Some("Shop"), Some(&zip))).await;
    assert_eq!(taken.error(), (409, 602), "the name is taken");
    let answer = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let copy = Made { id: answer.field("appId"), token: answer.field("appToken") };
    assert_ne!(copy.id, shop.id);
    let again = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
    assert_eq!(
        (again.error(), again.json()["message"].as_str().unwrap()),
        ((409, 602), "App 'Copy' already exists.")
    );
    let (old, new) = (
        app.admin_get(&format!("appId/{}", shop.id)).await.json(),
        app.admin_get(&format!("appId/{}", copy.id)).await.json(),
    );
    assert_eq!(new["name"], "Copy");
    for kept in [
        "metaData",
        "twoFactorVerification",
        "hasSmsAccount",
        "emailExtensionSenderEmail",
        "googleAppName",
        "locales",
        "userJWTExpiration",
        "createdAt",
    ] {
        assert_eq!(old[kept], new[kept], "{kept}");
    }
    let found = app.admin_get(&format!("searchUser?appId={}&value=ana", copy.id)).await.json();
    assert_eq!(
        (&found[0]["metaData"], &found[0]["twoFactorGoogleVerification"]),
        (&json!({"city": "Bern"}), &json!(true))
    );
    let login = app.as_app(&copy, "login", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    assert!(login.json()["login-token"].is_string(), "{}", login.text());
    let stat = app.admin_get(&format!("stat?appId={}", copy.id)).await.json();
    assert_eq!(
        (&stat["totalUser"], &stat["totalSignup"], &stat["totalInvite"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_ne!(old["appPublicKey"], new["appPublicKey"], "no two applications of a server sign with one key");
    let lost = answer.json()["lost"].to_string();
    assert!(lost.contains(&format!("the key pair is the one of the application {}", shop.id)), "{lost}");
    let number_of_keys = async |id: &str| {
        let keys = app.get(&format!("/apps/{id}/.well-known/jwks.json"), ("x", "")).await.json();
        keys["keys"].as_array().unwrap().len()
    };
    assert_eq!(number_of_keys(&copy.id).await, 1, "the consumers of one take no tokens of the other");
    // Where no other application has it, the key pair comes along.
    let bare = app.admin_get(&format!("export?appId={}", shop.id)).await.body;
    remove(&app, &shop.id).await;
    let answer = upload(&app, &app.server_secret, form(Some("Moved"), Some(&zip))).await;
    assert_eq!(answer.field("appPublicKey"), old["appPublicKey"].as_str().unwrap());
    remove(&app, &answer.field("appId")).await;
    // Without secrets it gets a key of its own, and the old public key stays published for a while.
    let zip = bare;
    let answer = upload(&app, &app.server_secret, form(Some("Third"), Some(&zip))).await;
    assert_ne!(answer.field("appPublicKey"), old["appPublicKey"].as_str().unwrap());
    assert_eq!(number_of_keys(&answer.field("appId")).await, 2);
}

async fn who_waits_goes_on_waiting_where_they_came(app: TestApp) {
    let shop = shop(&app).await;
    let zip = app.admin_get(&format!("export?appId={}", shop.id)).await.body;
    app.clock.advance(Duration::days(40));
    let answer = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
    app.service.purge_if_due().await.unwrap();
    for (id, waiting) in [(shop.id, 0), (answer.field("appId"), 1)] {
        let stat = app.admin_get(&format!("stat?appId={id}")).await.json();
        assert_eq!((&stat["totalSignup"], &stat["totalInvite"]), (&json!(waiting), &json!(waiting)));
    }
    // A repeated request does not compete with itself: the code has the usual lifetime.
    let copy = Made { id: answer.field("appId"), token: answer.field("appToken") };
    app.as_app(&copy, "signup", json!({"handle": "bob@example.com", "password": PASSWORD})).await;
    let mail = app.mail("Ours").await;
    let code: String = mail.text.chars().filter(char::is_ascii_digit).collect();
    app.clock.advance(Duration::hours(2));
    let complete = json!({"handle": "bob@example.com", "code": code});
    assert_eq!(app.as_app(&copy, "completeSignup", complete).await.status, 200);
}

async fn an_import_names_every_setting_that_the_file_cannot_hold(app: TestApp) {
    let shop = shop(&app).await;
    for (setting, field, value) in [
        ("anonLogin", "anonymousLoginEnabled", json!(true)),
        ("userNamesEnabled", "userNamesEnabled", json!(true)),
        ("maxUsers", "maxUsers", json!(1_000)),
        ("userIdFormat", "userIdFormat", json!("uid")),
        ("neutralAnswers", "neutralAnswers", json!(true)),
        ("handleHoldDays", "handleHoldDays", json!(7)),
        ("accessTokenDays", "accessTokenDays", json!(3)),
        ("refuseCommonPasswords", "refuseCommonPasswords", json!(true)),
        ("linkAsksPassword", "linkAsksPassword", json!("never")),
        ("anonymousPurgeDays", "anonymousPurgeDays", json!(9)),
        ("twoFactorConfirm", "twoFactorConfirm", json!(true)),
        ("factorChangeNeedsLogin", "factorChangeNeedsLogin", json!(true)),
        ("smsADay", "smsADay", json!(11)),
        ("smsCountries", "smsCountries", json!(["49"])),
        ("googleLogin", "googleLoginEnabled", json!(true)),
        ("googleClientId", "googleClientId", json!("client-1")),
        ("appleLogin", "appleLoginEnabled", json!(true)),
        ("appleBundleId", "appleBundleId", json!("client-1")),
    ] {
        app.set(&shop, setting, field, value).await;
    }
    let zip = app.admin_get(&format!("export?appId={}&secrets=true", shop.id)).await.body;
    let answer = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
    let lost: Vec<String> = serde_json::from_value(answer.json()["lost"].clone()).unwrap();
    let of = async |id: &str| app.admin_get(&format!("appId/{id}")).await.json();
    let (before, after) = (of(&shop.id).await, of(&answer.field("appId")).await);
    let is_own = |name: &str| {
        ["name", "appId", "appToken", "appPublicKey", "issuer", "updatedAt", "warnings"].contains(&name)
    };
    for (name, value) in before.as_object().unwrap() {
        let is_told =
            lost.iter().any(|line| line.starts_with(&format!("the file does not contain {name}; ")));
        let is_kept = after.get(name) == Some(value);
        assert!(
            is_kept || is_told || is_own(name),
            "{name}: {value} became {:?}, and {lost:?}",
            after.get(name)
        );
    }
    let settings: Vec<_> = lost.iter().filter_map(|line| line.split_once("; the setting is now ")).collect();
    assert!(settings.len() >= 16, "{lost:?}");
    for (line, told) in settings {
        let name = line.trim_start_matches("the file does not contain ");
        let value = &after[name];
        assert_eq!(value.as_str().map_or_else(|| value.to_string(), str::to_owned), told, "{name}");
    }
    assert!(lost.contains(&"the file does not contain user names".to_owned()), "{lost:?}");
}

async fn sec_062_an_app_token_that_ended_does_not_begin_again_with_a_zip(app: TestApp) {
    let shop = shop(&app).await;
    let zip = app.admin_get(&format!("export?appId={}", shop.id)).await.body;
    let bring = async || {
        let answer = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
        Made { id: answer.field("appId"), token: answer.field("appToken") }
    };
    let first = bring().await;
    app.admin("regenerateAppToken", json!({"appId": first.id})).await;
    app.clock.advance(Duration::seconds(1));
    remove(&app, &first.id).await;
    let again = bring().await;
    assert_eq!(again.id, first.id);
    let ana = || json!({"handle": "ana@example.com", "password": PASSWORD});
    assert_eq!(app.as_app(&again, "login", ana()).await.status, 200);
    assert_ne!(app.as_app(&first, "login", ana()).await.status, 200);
}

async fn sec_111_an_upload_is_refused_before_it_is_read(app: TestApp) {
    // The body is no multipart, and nobody gets far enough to see that.
    let nonsense = b"no multipart".to_vec();
    assert_eq!(upload(&app, "nonsense", nonsense.clone()).await.error(), (403, 500));
    let reader = json!({"name": "reader", "scopes": "read,users,settings,keys,export"});
    let token = app.admin("createOperatorToken", reader).await.field("secret");
    assert_eq!(upload(&app, &token, nonsense.clone()).await.error(), (403, 400));
    let shop = app.app("Shop").await;
    let bound = json!({"name": "bound", "scopes": "everything", "appId": shop.id});
    let token = app.admin("createOperatorToken", bound).await.field("secret");
    assert_eq!(upload(&app, &token, nonsense.clone()).await.error(), (403, 400));
    assert_eq!(upload(&app, &app.server_secret, nonsense).await.error(), (400, 602));
    let announced = TestRequest::post()
        .uri("/api/app/importDatabase")
        .insert_header(("server-secret", app.server_secret.as_str()))
        .insert_header(("content-type", "multipart/form-data; boundary=XX"))
        .insert_header(("content-length", "70000000"));
    assert_eq!(app.send(announced).await.status, 413);
}

async fn sec_111_what_is_no_export_makes_no_application(app: TestApp) {
    let shop = shop(&app).await;
    let good = app.admin_get(&format!("export?appId={}&secrets=true", shop.id)).await;
    let files = unpacked(&good);
    let packed = |change: &dyn Fn(&str, &str) -> Option<String>| -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in &files {
            if let Some(text) = change(name, text) {
                writer.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
                writer.write_all(text.as_bytes()).unwrap();
            }
        }
        writer.finish().unwrap().into_inner()
    };
    let in_users = |from: &str, to: &str| {
        packed(&|name, text| {
            Some(if name.starts_with("user-") { text.replace(from, to) } else { text.to_owned() })
        })
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"no zip".to_vec(), "no zip file"),
        (good.body[..good.body.len() / 2].to_vec(), "no zip file"),
        (
            packed(&|name, text| (!name.starts_with("invite")).then(|| text.to_owned())),
            "invite-collection.csv is missing",
        ),
        (
            packed(&|name, text| {
                Some(if name.starts_with("app-") { "name\n".to_owned() } else { text.to_owned() })
            }),
            "holds no application",
        ),
        (in_users("ana@example.com", "a\u{202e}na@example.com"), "user-collection.csv, line 2"),
        (in_users("$argon2id$", "$argon2i$"), "user-collection.csv, line 2: the password digest"),
        (in_users("ana@example.com,", ""), "user-collection.csv, line 2"),
    ];
    for (zip, word) in cases {
        let answer = upload(&app, &app.server_secret, form(Some("Copy"), Some(&zip))).await;
        assert_eq!(answer.error(), (400, 602), "{word}: {}", answer.text());
        assert!(answer.text().contains(word), "{word} in {}", answer.text());
    }
    assert_eq!(upload(&app, &app.server_secret, form(None, Some(&good.body))).await.error(), (400, 403));
    assert_eq!(upload(&app, &app.server_secret, form(Some("Copy"), None)).await.error(), (400, 403));
    assert_eq!(
        upload(&app, &app.server_secret, form(Some("a\nb"), Some(&good.body))).await.error(),
        (400, 602)
    );
    assert_eq!(app.admin_get("allApps").await.json().as_array().unwrap().len(), 1, "nothing was made");
}

async fn users_and_archives_leave_as_files(app: TestApp) {
    let shop = shop(&app).await;
    let body = json!({"appId": shop.id, "handle": "zoe@example.com", "password": GOOD_PASSWORD});
    app.admin("addUser", body).await;
    let csv = app.admin_get(&format!("exportUsers?appId={}", shop.id)).await;
    assert_eq!(csv.headers.get("content-disposition").unwrap(), "attachment; filename=\"users.csv\"");
    assert_eq!(csv.text().lines().count(), 3);
    let archive = app.admin_get(&format!("exportArchive?appId={}", shop.id)).await;
    let lines: Vec<Value> = archive.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["archive"]["secrets"], false);
    assert_eq!(lines.last().unwrap()["end"]["records"], lines.len() - 2);
    assert!(!archive.text().contains("SG.canary") && !archive.text().contains("PRIVATE KEY"));
    for name in ["exportUsers", "exportArchive"] {
        assert_eq!(app.admin_get(name).await.error(), (400, 403));
        assert_eq!(app.admin_get(&format!("{name}?appId=x")).await.error(), (404, 401));
    }
}
