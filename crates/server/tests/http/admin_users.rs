//! `/api/app`: the users of an application.

use serde_json::{Value, json};
use time::Duration;

use crate::harness::{GOOD_PASSWORD, Made, OTHER_PASSWORD, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    lists_have_totals_and_pages,
    a_search_takes_its_text_as_text,
    an_added_user_logs_in_at_once,
    what_cannot_be_added_is_told,
    a_removed_user_is_gone_and_told_without_secrets,
    a_password_is_set_or_a_code_is_mailed,
    metadata_are_the_operators_to_set,
    a_locked_user_is_let_in_again,
    a_user_is_signed_out_and_previewed,
    super_user_tokens_are_administrators_alone,
    sec_088_a_users_id_is_good_in_its_application_only,
);

async fn add(app: &TestApp, shop: &Made, handle: &str) -> Value {
    let answer =
        app.admin("addUser", json!({"appId": shop.id, "handle": handle, "password": GOOD_PASSWORD})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn handles(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item["handle"].as_str().unwrap().to_owned()).collect()
}

async fn lists_have_totals_and_pages(app: TestApp) {
    let shop = app.app("Shop").await;
    for number in 0..30 {
        add(&app, &shop, &format!("user{number:02}@example.com")).await;
        app.clock.advance(Duration::seconds(1));
    }
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    let anonymous = app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"})).await;
    assert_eq!(anonymous.status, 200, "{}", anonymous.text());
    app.as_app(&shop, "signup", json!({"handle": "new@example.com", "password": PASSWORD})).await;
    app.admin("createAppInvite", json!({"appId": shop.id, "handle": "friend@example.com"})).await;
    let stat = async |query: &str| app.admin_get(&format!("stat?appId={}{query}", shop.id)).await;

    let all = stat("").await.json();
    let mut members: Vec<_> = all.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    let expected =
        ["invites", "signups", "totalAnonUser", "totalInvite", "totalSignup", "totalUser", "users"];
    assert_eq!(members, expected);
    assert_eq!((&all["totalUser"], &all["totalAnonUser"]), (&json!(31), &json!(1)));
    assert_eq!((&all["totalInvite"], &all["totalSignup"]), (&json!(1), &json!(1)));
    assert_eq!(all["users"].as_array().unwrap().len(), 25);

    let shown = stat("&hideAnonUser=true&limit=30&offset=0").await.json();
    assert_eq!((&shown["totalUser"], &shown["totalAnonUser"]), (&json!(30), &json!(1)));
    assert_eq!((shown["users"].as_array().unwrap().len(), &shown["totalInvite"]), (30, &json!(1)));
    let users = stat("&target=users&hideAnonUser=true&offset=1&limit=3").await;
    assert_eq!(users.headers.get("x-total-count").unwrap(), "30");
    let first_of_second_page = handles(&users.json()["users"]);
    assert_eq!(first_of_second_page.first().unwrap(), "user04@example.com", "25 is the least");
    let first = stat("&target=users&hideAnonUser=true").await;
    let next = first.headers.get("x-next").unwrap().to_str().unwrap();
    let second = stat(&format!("&target=users&hideAnonUser=true&after={next}")).await.json();
    assert_eq!(handles(&second["users"]), first_of_second_page);
    assert_eq!(handles(&stat("&target=signups").await.json()["signups"]), ["new@example.com"]);
    assert_eq!(handles(&stat("&target=invites").await.json()["invites"]), ["friend@example.com"]);

    app.set(&shop, "status", "status", json!("inactive")).await;
    assert_eq!(stat("").await.status, 200, "an operator sees what clients may not");
    for (query, error) in [
        ("&target=keys", (400, 602)),
        ("&after=AAAA", (400, 602)),
        ("&target=users&offset=1000", (400, 602)),
        ("&target=users&after=AAAA", (400, 602)),
    ] {
        assert_eq!(stat(query).await.error(), error, "{query}");
    }
    assert_eq!(app.admin_get("stat").await.error(), (400, 403));
    assert_eq!(app.admin_get("stat?appId=x").await.error(), (404, 401));
}

async fn a_search_takes_its_text_as_text(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    for handle in
        ["ana@example.com", "hannah@example.com", "a+b@example.com", "a.b@example.com", "zoe@example.org"]
    {
        add(&app, &shop, handle).await;
    }
    add(&app, &other, "anatol@example.com").await;
    let find =
        async |value: &str| app.admin_get(&format!("searchUser?appId={}&value={value}", shop.id)).await;
    assert_eq!(handles(&find("ANA").await.json()), ["ana@example.com"]);
    assert_eq!(handles(&find("anna").await.json()), ["hannah@example.com"]);
    assert_eq!(handles(&find("a%2Bb").await.json()), ["a+b@example.com"]);
    assert_eq!(handles(&find("a.b").await.json()), ["a.b@example.com"]);
    assert_eq!(handles(&find("example.org").await.json()), ["zoe@example.org"]);
    for pattern in [".%2B", "%25", "_na", "(a%2B)%2B%24", "%5B"] {
        assert_eq!(handles(&find(pattern).await.json()).len(), 0, "{pattern}");
    }
    let answer = find("@").await;
    assert_eq!(answer.headers.get("x-search-complete").unwrap(), "true");
    let expected =
        ["a+b@example.com", "a.b@example.com", "ana@example.com", "hannah@example.com", "zoe@example.org"];
    assert_eq!(handles(&answer.json()), expected, "by handle");
    assert_eq!(find("").await.error(), (400, 403));
    assert_eq!(app.admin_get("searchUser?appId=x&value=a").await.error(), (404, 401));
    app.as_app(&shop, "signup", json!({"handle": "new@example.com", "password": PASSWORD})).await;
    app.admin("createAppInvite", json!({"appId": shop.id, "handle": "friend@example.com"})).await;
    for (route, value, expected) in
        [("searchSingUp", "EW@", "new@example.com"), ("searchInvite", "iend", "friend@example.com")]
    {
        let found = app.admin_get(&format!("{route}?appId={}&value={value}", shop.id)).await;
        assert_eq!(handles(&found.json()), [expected]);
        assert_eq!(app.admin_get(&format!("{route}?appId={}", shop.id)).await.error(), (400, 403));
        assert_eq!(app.admin_get(&format!("{route}?appId=x&value=a")).await.error(), (404, 401));
    }
}

async fn an_added_user_logs_in_at_once(app: TestApp) {
    let shop = app.app("Shop").await;
    let user = add(&app, &shop, "Ana@Example.com").await;
    assert_eq!((user["handle"].as_str(), &user["administrator"]), (Some("ana@example.com"), &json!(false)));
    assert!(user.get("password").is_none() && user.get("lastLogin").is_none(), "{user}");
    let login = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    assert_eq!(app.as_app(&shop, "login", login).await.status, 200);
    assert!(app.mails().await.is_empty());
    let raw = json!({"appId": shop.id, "handle": "bob@example.com", "rawPassword": "a password of its own",
        "administrator": true, "locale": "EN"});
    assert_eq!(app.admin("addUser", raw).await.json()["administrator"], true);
}

async fn what_cannot_be_added_is_told(app: TestApp) {
    let shop = app.app("Shop").await;
    add(&app, &shop, "ana@example.com").await;
    let good = json!({"appId": shop.id, "handle": "bob@example.com", "password": GOOD_PASSWORD});
    for (field, value, error) in [
        ("appId", json!(null), (400, 403)),
        ("appId", json!("x"), (404, 401)),
        ("handle", json!(null), (400, 403)),
        ("handle", json!("a\u{202e}b@example.com"), (400, 602)),
        ("handle", json!("ANA@example.com"), (409, 601)),
        ("password", json!(null), (400, 403)),
        ("password", json!("short"), (400, 602)),
        ("locale", json!("XX"), (400, 602)),
        ("metaData", json!({"unknown": "x"}), (400, 604)),
        ("metaData", json!("nonsense"), (400, 602)),
        ("administrator", json!("perhaps"), (400, 602)),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        assert_eq!(app.admin("addUser", body).await.error(), error, "{field} {value}");
    }
    app.set(&shop, "maxUsers", "maxUsers", json!(1)).await;
    assert_eq!(app.admin("addUser", good).await.error(), (400, 407), "the application is full");
}

async fn a_removed_user_is_gone_and_told_without_secrets(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let remove =
        async |handle: &str| app.admin("removeUser", json!({"appId": shop.id, "handle": handle})).await;
    let removed = remove("ANA@example.com").await.json();
    assert_eq!(removed["handle"], "ana@example.com");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    assert_eq!(remove("ana@example.com").await.error(), (404, 603));
    assert_eq!(remove("").await.error(), (400, 403));
    assert_eq!(app.admin("removeUser", json!({"appId": "x", "handle": "a"})).await.error(), (404, 401));
    let stat = app.admin_get(&format!("stat?appId={}", shop.id)).await.json();
    assert_eq!((&stat["totalUser"], &stat["totalSignup"]), (&json!(0), &json!(0)));
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_x"})).await;
    assert_eq!(remove("ANON_x").await.status, 200);
}

async fn a_password_is_set_or_a_code_is_mailed(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    let reset = async |more: Value| {
        let mut body = json!({"appId": shop.id, "userId": id});
        body.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        app.admin("resetUserPassword", body).await
    };
    let set = json!({"rawValue": "password", "hashValue": OTHER_PASSWORD});
    assert_eq!(reset(set).await.text(), "true");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
    let login = async |password: &str| {
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password})).await
    };
    assert_eq!(login(PASSWORD).await.error(), (400, 600));
    assert_eq!(login(OTHER_PASSWORD).await.status, 200);
    let mails = app.mails().await;
    assert!(mails.iter().any(|mail| mail.subject.contains("password")), "the owner is told");
    assert!(mails.iter().all(|mail| !mail.text.contains(OTHER_PASSWORD)), "but not what it is");
    for wrong in [json!({"rawValue": "another", "hashValue": OTHER_PASSWORD}), json!({"hashValue": "short"})]
    {
        assert_eq!(reset(wrong.clone()).await.error(), (400, 602), "{wrong}");
    }
    assert_eq!(reset(json!({})).await.text(), "true");
    let code = app.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "code": code});
    assert_eq!(app.as_app(&shop, "resetPassword", body).await.text(), "true");
    assert_eq!(login(PASSWORD).await.status, 200);
    app.set(&shop, "anonLogin", "anonymousLoginEnabled", json!(true)).await;
    app.as_app(&shop, "loginAnonymous", json!({"handle": "ANON_1"})).await;
    let stat = app.admin_get(&format!("searchUser?appId={}&value=ANON_1", shop.id)).await.json();
    let anonymous = json!({"appId": shop.id, "userId": stat[0]["_id"]});
    assert_eq!(app.admin("resetUserPassword", anonymous).await.error(), (400, 602), "no mail can reach them");
    let nobody = json!({"appId": shop.id, "userId": "0".repeat(32), "hashValue": PASSWORD});
    assert_eq!(app.admin("resetUserPassword", nobody).await.error(), (404, 603));
}

async fn metadata_are_the_operators_to_set(app: TestApp) {
    let shop = app.app("Shop").await;
    let fields = json!([{"path": "city", "required": true}, {"path": "age", "type": "number"},
        {"path": "role", "userSettable": false}]);
    assert_eq!(
        app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await.status,
        200
    );
    let invite = json!({"appId": shop.id, "metaDataInvite": [{"path": "team.name"}]});
    assert_eq!(app.admin("updateAppInviteMetaData", invite).await.status, 200);
    let id = add(&app, &shop, "ana@example.com").await["_id"].as_str().unwrap().to_owned();
    let preview = async || app.admin_get(&format!("previewClaims?appId={}&userId={id}", shop.id)).await;
    assert_eq!(preview().await.error(), (400, 604), "a required field has no value: no token");
    let set = async |metadata: Value, added: Value| {
        let body = json!({"appId": shop.id, "handle": "ana@example.com", "metaData": metadata, "addedMetadata": added});
        app.admin("updateAppUserMetaData", body).await
    };
    let metadata = json!({"city": "  Bern ", "age": 7, "role": "admin"});
    assert_eq!(set(metadata, json!([{"path": "team.name", "value": "red"}])).await.text(), "true");
    let claims = preview().await.json()["claims"].clone();
    assert_eq!(
        (&claims["city"], &claims["age"], &claims["role"]),
        (&json!("Bern"), &json!(7), &json!("admin"))
    );
    assert_eq!(claims["team"], json!({"name": "red"}));
    // What is not sent goes: the whole is replaced, and nothing is demanded.
    assert_eq!(set(json!({"age": 8, "city": ""}), json!(null)).await.text(), "true");
    let found = app.admin_get(&format!("searchUser?appId={}&value=ana", shop.id)).await.json();
    assert_eq!(found[0]["metaData"], json!({"age": 8}));
    for (metadata, added, error) in [
        (json!({"sub": "x"}), json!(null), (400, 604)),
        (json!({"age": "x"}), json!(null), (400, 604)),
        (json!({"city": "\u{0}"}), json!(null), (400, 602)),
        (json!("x"), json!(null), (400, 602)),
        (json!(null), json!(null), (400, 403)),
        (json!({}), json!([{"path": "iss", "value": "x"}]), (400, 604)),
        (json!({}), json!(["x"]), (400, 602)),
    ] {
        let answer = set(metadata.clone(), added).await;
        assert_eq!(answer.error(), error, "{metadata}");
    }
    let nobody = json!({"appId": shop.id, "handle": "x@example.com", "metaData": {}});
    assert_eq!(app.admin("updateAppUserMetaData", nobody).await.error(), (404, 603));
}

async fn a_locked_user_is_let_in_again(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "maxLoginAttempts", "maxLoginAttempts", json!(3)).await;
    let id = add(&app, &shop, "ana@example.com").await["_id"].as_str().unwrap().to_owned();
    let login = async |password: &str| {
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password})).await
    };
    for _ in 0..4 {
        assert_eq!(login(PASSWORD).await.error(), (400, 600));
    }
    assert_eq!(login(GOOD_PASSWORD).await.error(), (400, 600), "even the right one waits");
    assert_eq!(app.admin("unlockUser", json!({"appId": shop.id, "userId": id})).await.text(), "true");
    assert_eq!(login(GOOD_PASSWORD).await.status, 200);
}

async fn a_user_is_signed_out_and_previewed(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    let preview = app.admin_get(&format!("previewClaims?appId={}&userId={id}", shop.id)).await.json();
    let login = app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    assert_eq!(preview["claims"], app.claims(&shop, &login.field("jwt")).await);
    assert_eq!(app.admin("signOutUser", json!({"appId": shop.id, "userId": id})).await.text(), "true");
    assert_eq!(app.get("/api/appuser/getUser", ("access-token", &access)).await.error(), (400, 405));
}

async fn super_user_tokens_are_administrators_alone(app: TestApp) {
    let shop = app.app("Shop").await;
    let id = add(&app, &shop, "ana@example.com").await["_id"].as_str().unwrap().to_owned();
    let user = json!({"appId": shop.id, "userId": id});
    assert_eq!(
        app.admin("superUserToken", user.clone()).await.error(),
        (404, 603),
        "not an administrator yet"
    );
    let promote = async |flag: bool| {
        let body = json!({"appId": shop.id, "userId": id, "administrator": flag});
        assert_eq!(app.admin("setAdministrator", body).await.text(), "true");
    };
    promote(true).await;
    let tokens = app.admin("superUserToken", user.clone()).await;
    let (jwt, access) = (tokens.field("jwt"), tokens.field("access-token"));
    let claims = app.claims(&shop, &jwt).await;
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 3_600);
    let set =
        async |token: &str, data: Value| app.as_user(token, "setAppData", json!({"appData": data})).await;
    assert_eq!(set(&access, json!({"theme": "dark", "n": 1})).await.text(), "true");
    let seen = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.json();
    assert_eq!(seen["appData"], json!({"theme": "dark", "n": 1}));
    // It is not an access token, and vice versa.
    assert_ne!(app.get("/api/appuser/getUser", ("access-token", &access)).await.status, 200);
    let login =
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": GOOD_PASSWORD})).await;
    assert_eq!(set(&login.field("access-token"), json!({})).await.error(), (400, 405));
    for (data, error) in [
        (json!("x"), (400, 602)),
        (json!(null), (400, 403)),
        (json!({"big": "x".repeat(20_000)}), (400, 602)),
    ] {
        assert_eq!(set(&access, data).await.error(), error);
    }
    // As a text it is read as strictly: what is too deep to be read again is not stored.
    let deep = format!("{}1{}", "{\"a\":".repeat(127), "}".repeat(127));
    assert_eq!(set(&access, json!(deep)).await.error(), (400, 602));
    assert_eq!(app.admin_get("allApps").await.status, 200);
    assert_eq!(set(&access, json!("{\"theme\":\"light\"}")).await.text(), "true");
    promote(false).await;
    assert_eq!(set(&access, json!({})).await.error(), (400, 405), "her rights end at once");
    promote(true).await;
    assert_eq!(set(&access, json!({})).await.error(), (400, 405), "and do not come back");
    let access = app.admin("superUserToken", user.clone()).await.field("access-token");
    assert_eq!(set(&access, json!({})).await.status, 200);
    assert_eq!(app.admin("signOutUser", user.clone()).await.status, 200);
    assert_eq!(set(&access, json!({})).await.error(), (400, 405));
    let access = app.admin("superUserToken", user.clone()).await.field("access-token");
    app.clock.advance(Duration::minutes(61));
    assert_eq!(set(&access, json!({})).await.error(), (400, 405));
    let suspend = json!({"appId": shop.id, "userId": id, "status": "suspend"});
    assert_eq!(app.admin("user", suspend).await.status, 200);
    assert_eq!(app.admin("superUserToken", user).await.error(), (400, 404));
    assert!(app.audit(&shop).await.iter().any(|entry| entry.action == "setAppData" && entry.result == "ok"));
}

async fn sec_088_a_users_id_is_good_in_its_application_only(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    let id = add(&app, &shop, "ana@example.com").await["_id"].as_str().unwrap().to_owned();
    for name in [
        "user",
        "resetUserPassword",
        "setAdministrator",
        "signOutUser",
        "unlockUser",
        "resetSecondFactor",
        "superUserToken",
    ] {
        let mut answers = Vec::new();
        for user in [id.as_str(), &"0".repeat(32), "nonsense"] {
            let body = json!({"appId": other.id, "userId": user, "status": "suspend", "administrator": true});
            let answer = app.admin(name, body).await;
            assert_eq!(answer.error(), (404, 603), "{name}");
            answers.push(answer.text());
        }
        assert_eq!(answers[0], answers[1], "{name}");
        let missing = app.admin(name, json!({"appId": shop.id})).await;
        assert_eq!(missing.error(), (400, 403), "{name}");
    }
    let preview = app.admin_get(&format!("previewClaims?appId={}&userId={id}", other.id)).await;
    assert_eq!(preview.error(), (404, 603));
}
