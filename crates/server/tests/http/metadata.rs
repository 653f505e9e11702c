//! Required fields, defaults, fixed claims, and the length of tokens.

use latchkey_domain::Preset;
use serde_json::{Value, json};

use crate::harness::{Answer, GOOD_PASSWORD, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    a_required_field_that_users_lack_is_warned_of_and_in_the_recommended_preset_refused,
    a_default_and_fixed_claims_stand_in_the_first_token,
    a_required_value_is_not_dropped_by_an_operator,
    fixed_claims_are_checked,
    nothing_that_an_operator_sends_is_dropped,
    a_long_token_is_warned_of_and_a_longer_one_refused,
    a_locked_user_is_seen_by_operators,
    an_invitation_outlives_its_definitions,
);

async fn declare(app: &TestApp, shop: &Made, fields: Value, force: bool) -> Answer {
    app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields, "force": force})).await
}

async fn jwt(app: &TestApp, shop: &Made) -> Answer {
    app.as_app(shop, "login", json!({"handle": "ana@example.com", "password": PASSWORD})).await
}

async fn a_required_field_that_users_lack_is_warned_of_and_in_the_recommended_preset_refused(app: TestApp) {
    let plan = || json!([{"path": "plan", "required": true, "userSettable": true}]);
    let warning = "1 user has no value for the required field plan and would get no token";
    let shop = app.app_without_code("Shop", Preset::Recommended).await;
    let ana = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
    assert_eq!(app.as_app(&shop, "signup", ana).await.status, 200);
    let log_in = async || {
        let body = json!({"handle": "ana@example.com", "password": GOOD_PASSWORD});
        app.as_app(&shop, "login", body).await
    };
    let refused = declare(&app, &shop, plan(), false).await;
    assert_eq!(refused.error(), (400, 602));
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(warning) && message.contains("force"), "{message}");
    assert_eq!(log_in().await.status, 200, "nothing was changed");
    let body = json!({"appId": shop.id, "metaData": plan()});
    assert_eq!(app.admin("update", body).await.error(), (400, 602));
    // Optional, or with a default, it keeps nobody out.
    let optional = json!([{"path": "plan", "userSettable": true}]);
    assert_eq!(declare(&app, &shop, optional, false).await.status, 200);
    let with_default = json!([{"path": "plan", "required": true, "default": "free"}]);
    assert_eq!(declare(&app, &shop, with_default, false).await.status, 200);
    let forced = declare(&app, &shop, plan(), true).await;
    assert!(forced.json()["warnings"].as_array().unwrap().contains(&json!(warning)), "{}", forced.text());
    assert_eq!(log_in().await.error(), (400, 604));
    // What is required already is not asked again.
    assert_eq!(declare(&app, &shop, plan(), false).await.status, 200);
    let add = |metadata: Value| {
        let body = json!({"appId": shop.id, "handle": "bob@example.com", "password": GOOD_PASSWORD, "metaData": metadata});
        app.admin("addUser", body)
    };
    let refused = add(json!({})).await;
    assert_eq!(refused.error(), (400, 604));
    assert_eq!(refused.json()["message"], "invalid metadata: the field plan is required");
    assert_eq!(add(json!({"plan": "free"})).await.status, 200);

    let old = app.app_without_code("Old", Preset::Compatible).await;
    app.admin("addUser", json!({"appId": old.id, "handle": "ana@example.com", "password": GOOD_PASSWORD}))
        .await;
    let warned = declare(&app, &old, plan(), false).await;
    assert!(warned.json()["warnings"].as_array().unwrap().contains(&json!(warning)), "{}", warned.text());
    let body = json!({"appId": old.id, "handle": "bob@example.com", "password": GOOD_PASSWORD});
    assert_eq!(app.admin("addUser", body).await.status, 200);
}

async fn a_default_and_fixed_claims_stand_in_the_first_token(app: TestApp) {
    let shop = app.app("Shop").await;
    let fields = json!([{"path": "role", "required": true, "userSettable": false, "default": "web_user"}]);
    let declared = declare(&app, &shop, fields, false).await.json();
    assert_eq!(declared["metaData"][0]["default"], "web_user");
    let hasura = r"https://hasura\.io/jwt/claims";
    let claims = json!([
        {"path": format!("{hasura}.x-hasura-default-role"), "source": "text", "value": "user"},
        {"path": format!("{hasura}.x-hasura-allowed-roles"), "source": "texts", "value": ["user", "editor"]},
        {"path": format!("{hasura}.x-hasura-user-id"), "source": "userId"},
        {"path": "language", "source": "locale"},
    ]);
    app.set(&shop, "fixedClaims", "fixedClaims", claims.clone()).await;
    assert_eq!(app.admin_get(&format!("appId/{}", shop.id)).await.json()["fixedClaims"], claims);
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let code = app.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "code": code});
    let tokens = app.as_app(&shop, "completeSignup", body).await;
    let claims = app.claims(&shop, &tokens.field("jwt")).await;
    assert_eq!((&claims["role"], &claims["language"]), (&json!("web_user"), &json!("EN")));
    assert_eq!(
        claims["https://hasura.io/jwt/claims"],
        json!({"x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user", "editor"],
            "x-hasura-user-id": app.user_id(&shop, "ana@example.com").await})
    );
    // The value is the definition's, and an operator's own value wins.
    let body = json!({"appId": shop.id, "handle": "ana@example.com", "metaData": {"role": "editor"}});
    assert_eq!(app.admin("updateAppUserMetaData", body).await.text(), "true");
    let claims = app.claims(&shop, &jwt(&app, &shop).await.field("jwt")).await;
    assert_eq!(claims["role"], "editor");
    let application = app.get("/api/appuser/getApplication", ("app-token", &shop.token)).await.json();
    assert_eq!(application.get("fixedClaims"), None);
}

async fn a_required_value_is_not_dropped_by_an_operator(app: TestApp) {
    let fields = json!([
        {"path": "team", "required": true, "userSettable": false, "canEdit": false},
        {"path": "city", "required": true, "userSettable": false, "canEdit": false},
    ]);
    for (preset, dropped) in [(Preset::Recommended, Some("team")), (Preset::Compatible, None)] {
        let shop = app.app_without_code(&format!("Shop {preset:?}"), preset).await;
        let ana = json!({"appId": shop.id, "handle": "ana@example.com", "password": GOOD_PASSWORD});
        assert_eq!(app.admin("addUser", ana).await.status, 200);
        declare(&app, &shop, fields.clone(), true).await;
        let set = async |metadata: Value| {
            let body = json!({"appId": shop.id, "handle": "ana@example.com", "metaData": metadata});
            app.admin("updateAppUserMetaData", body).await
        };
        // What a user never had is not demanded; what they had is.
        assert_eq!(set(json!({"team": "red"})).await.text(), "true");
        assert_eq!(set(json!({"team": "blue"})).await.text(), "true");
        let answer = set(json!({"city": "Bern"})).await;
        match dropped {
            Some(field) => {
                assert_eq!(answer.error(), (400, 604), "{}", answer.text());
                assert!(answer.text().contains(field), "{}", answer.text());
                assert_eq!(set(json!({"team": "red", "city": "Bern"})).await.text(), "true");
            }
            None => assert_eq!(answer.text(), "true"),
        }
    }
}

async fn fixed_claims_are_checked(app: TestApp) {
    let shop = app.app("Shop").await;
    declare(&app, &shop, json!([{"path": "data.role", "userSettable": false}]), false).await;
    let text = |path: &str| json!([{"path": path, "source": "text", "value": "x"}]);
    for (claims, message) in [
        (text("sub"), "would set a claim that has a meaning of its own"),
        (text("amr"), "would set a claim that has a meaning of its own"),
        (text("data"), "collide"),
        (text("data.role.x"), "collide"),
        (text("https://hasura.io/jwt/claims.x"), r"https://hasura\.io/jwt/claims.x"),
        (json!([{"path": "a", "source": "text"}]), "fixedClaims[0] must have a text as value"),
        (
            json!([{"path": "a", "source": "texts", "value": "x"}]),
            "fixedClaims[0] must have a list of texts as value",
        ),
        (json!([{"path": "a", "source": "handle", "value": "x"}]), "fixedClaims[0] must have no value"),
        (
            json!([{"path": "a", "source": "sub"}]),
            "fixedClaims[0] must have one of the sources text, texts, userId,",
        ),
        (
            json!([{"path": "a", "source": "handle"}, {"path": "b"}]),
            "fixedClaims[1] must be an object with the text source",
        ),
        (json!([{"path": "a..b", "source": "handle"}]), "fixedClaims[0] has no good path"),
        (json!(["a"]), "fixedClaims[0] must be an object with the text path"),
        (json!("x"), "fixedClaims must be a JSON array"),
    ] {
        let body = json!({"appId": shop.id, "setting": "fixedClaims", "fixedClaims": claims});
        let answer = app.admin("updateAppSetting", body).await;
        assert_eq!(answer.error(), (400, 602), "{}", answer.text());
        assert!(answer.json()["message"].as_str().unwrap().contains(message), "{}", answer.text());
    }
    app.set(&shop, "fixedClaims", "fixedClaims", text("role")).await;
    let refused = declare(&app, &shop, json!([{"path": "role"}]), false).await;
    assert_eq!(refused.error(), (400, 602));
    app.set(&shop, "fixedClaims", "fixedClaims", json!([])).await;
    assert_eq!(declare(&app, &shop, json!([{"path": "role"}]), false).await.status, 200);
}

async fn nothing_that_an_operator_sends_is_dropped(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let fields = json!([{"path": "a.b", "userSettable": false}, {"path": "n", "type": "number", "userSettable": false}]);
    declare(&app, &shop, fields, false).await;
    let set = async |metadata: &str| {
        let metadata: Value = serde_json::from_str(metadata).unwrap();
        let body = json!({"appId": shop.id, "handle": "ana@example.com", "metaData": metadata});
        app.admin("updateAppUserMetaData", body).await
    };
    for (metadata, message) in [
        (r#"{"a.b":"x"}"#, r"invalid metadata: no field a\.b is declared; the application declares a.b, n"),
        (
            r#"{"a":{"b":"x","c":"y"}}"#,
            "invalid metadata: no field a.c is declared; the application declares a.b, n",
        ),
        (r#"{"a":"x"}"#, "invalid metadata: no field a is declared; the application declares a.b, n"),
        (
            r#"{"email":"x@example.com"}"#,
            "invalid metadata: no field email is declared; the application declares a.b, n",
        ),
        (r#"{"n":"7"}"#, "invalid metadata: the field n must be a number"),
        (
            r#"{"n":36893488147419103232}"#,
            "invalid metadata: n must not hold a number that would be rounded: send it as a string",
        ),
    ] {
        assert_eq!(set(metadata).await.json()["message"], message, "{metadata}");
    }
    assert_eq!(set(r#"{"a":{"b":"x"},"n":9007199254740993}"#).await.text(), "true");
    let login = jwt(&app, &shop).await;
    let claims = app.claims(&shop, &login.field("jwt")).await;
    assert_eq!(claims["n"].to_string(), "9007199254740993");
}

async fn a_long_token_is_warned_of_and_a_longer_one_refused(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let fields = json!([
        {"path": "note", "userSettable": true, "canEdit": true},
        {"path": "other", "userSettable": true, "canEdit": true},
    ]);
    declare(&app, &shop, fields, false).await;
    let access = jwt(&app, &shop).await.field("access-token");
    let set = async |note: usize, other: usize| {
        let metadata = json!({"note": "n".repeat(note), "other": "o".repeat(other)});
        app.as_user(&access, "setUserMetadata", json!({ "metaData": metadata })).await
    };
    let warned = async || {
        let users = app.admin_get(&format!("searchUser?appId={}&value=ana", shop.id)).await.json();
        users[0]["warnings"].to_string()
    };
    assert_eq!(set(100, 100).await.text(), "true");
    assert_eq!(warned().await, "null");
    assert_eq!(set(100, 4_000).await.text(), "true");
    assert!(warned().await.contains("the token has "), "{}", warned().await);
    let refused = set(2_000, 4_000).await;
    assert_eq!(refused.error(), (400, 604));
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("invalid metadata: with the field note the token has "), "{message}");
    let length = jwt(&app, &shop).await.field("jwt").len();
    assert!((4_096..8_192).contains(&length), "{length}");
    // The length that is told is that of the token.
    assert!(warned().await.contains(&format!("{length} bytes")), "{length}: {}", warned().await);
    // What is longer already goes on, and may become shorter.
    let claims = json!([{"path": "more", "source": "texts", "value": vec!["x".repeat(400); 10]}]);
    app.set(&shop, "fixedClaims", "fixedClaims", claims).await;
    assert!(jwt(&app, &shop).await.field("jwt").len() > 8_192);
    assert_eq!(set(100, 3_000).await.text(), "true");
    assert_eq!(set(100, 3_001).await.error(), (400, 604));
}

async fn a_locked_user_is_seen_by_operators(app: TestApp) {
    let shop = app.app("Shop").await;
    app.set(&shop, "maxLoginAttempts", "maxLoginAttempts", json!(3)).await;
    app.user(&shop, "ana@example.com").await;
    let seen = async || {
        let users = app.admin_get(&format!("searchUser?appId={}&value=ana", shop.id)).await.json();
        (users[0]["status"].clone(), users[0]["locked"].clone(), users[0]["lockedUntil"].clone())
    };
    assert_eq!(seen().await, (json!("active"), json!(false), Value::Null));
    for _ in 0..3 {
        let body = json!({"handle": "ana@example.com", "password": "0".repeat(32)});
        assert_eq!(app.as_app_from("203.0.113.9", &shop, "login", body).await.error(), (400, 600));
    }
    let (status, locked, until) = seen().await;
    assert_eq!((status, locked), (json!("active"), json!(true)));
    assert!(until.as_str().is_some_and(|until| until.ends_with('Z')), "{until}");
    let stat = app.admin_get(&format!("stat?appId={}&target=users", shop.id)).await.json();
    assert_eq!(stat["users"][0]["locked"], true);
    app.clock.advance(time::Duration::hours(1));
    assert_eq!(seen().await, (json!("active"), json!(false), Value::Null));
}

async fn an_invitation_outlives_its_definitions(app: TestApp) {
    let shop = app.app("Shop").await;
    let ana = app.user(&shop, "ana@example.com").await;
    let invite_fields = async |fields: Value| {
        let body = json!({"appId": shop.id, "metaDataInvite": fields});
        assert_eq!(app.admin("updateAppInviteMetaData", body).await.status, 200);
    };
    let both = json!([{"path": "team", "required": true, "userSettable": true}, {"path": "data.desk", "userSettable": true}]);
    for (handle, changed, team, desk) in [
        ("a@example.com", json!([{"path": "team", "userSettable": true}]), json!("red"), Value::Null),
        ("b@example.com", json!([]), Value::Null, Value::Null),
        (
            "c@example.com",
            json!([{"path": "team", "type": "number", "userSettable": true}, {"path": "data.desk", "userSettable": true}]),
            Value::Null,
            json!("7"),
        ),
        ("d@example.com", json!([{"path": "team.name", "userSettable": true}]), Value::Null, Value::Null),
        (
            "e@example.com",
            json!([{"path": "floor", "required": true, "userSettable": true}]),
            Value::Null,
            Value::Null,
        ),
    ] {
        invite_fields(both.clone()).await;
        let body = json!({"handle": handle, "senderUserId": "me", "metaData": {"team": "red", "data": {"desk": "7"}}});
        assert_eq!(app.as_user(&ana, "invite", body).await.text(), "true");
        let code = app.code_for(handle).await;
        invite_fields(changed).await;
        let body = json!({"handle": handle, "password": PASSWORD, "code": code});
        let registered = app.as_app(&shop, "register", body).await;
        assert_eq!(registered.status, 200, "{handle}: {}", registered.text());
        let claims = app.claims(&shop, &registered.field("jwt")).await;
        assert_eq!((&claims["team"], &claims["data"]["desk"]), (&team, &desk), "{handle}");
    }
}
