//! Errors name the field and the rule that it breaks.

use serde_json::{Value, json};

use crate::harness::{Made, PASSWORD, TestApp, request};
use crate::on_every_store;

on_every_store!(
    clients_are_told_which_field_is_wrong_and_why,
    a_body_that_cannot_be_read_is_told_why,
    a_misspelt_setting_is_refused_with_the_nearest_name,
);

const LATER: &str = "handle must be an e-mail address, such as ana@example.com";

async fn shop(app: &TestApp) -> Made {
    let shop = app.app("Shop").await;
    let fields = json!([
        {"path": "name", "required": true, "userSettable": true, "canEdit": true},
        {"path": "age", "type": "number", "userSettable": true},
        {"path": "tags", "type": "array", "userSettable": true},
        {"path": "role", "userSettable": false},
    ]);
    let answer = app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    shop
}

async fn clients_are_told_which_field_is_wrong_and_why(app: TestApp) {
    let shop = shop(&app).await;
    let named =
        |metadata: Value| json!({"handle": "ana@example.com", "password": PASSWORD, "metaData": metadata});
    let handle = |handle: Value| json!({"handle": handle, "password": PASSWORD, "metaData": {"name": "Ana"}});
    let deep = format!("{}1{}", r#"{"a":"#.repeat(9), "}".repeat(9));
    for (body, code, message) in [
        (handle(json!("ana")), 602, LATER),
        (handle(json!("ana@localhost")), 602, LATER),
        (handle(json!(5)), 602, "handle must be a string"),
        (
            handle(json!("a\u{202e}na@example.com")),
            602,
            "handle must not contain control, bidirectional or invisible characters",
        ),
        (handle(json!(format!("{}@example.com", "a".repeat(250)))), 602, "handle must be at most 254 bytes"),
        (handle(json!("änna@example.com")), 602, "handle must have only ASCII characters before the @"),
        (json!({"handle": "ana@example.com"}), 403, "password"),
        (
            json!({"handle": "ana@example.com", "password": "secret"}),
            602,
            "the password must be the MD5 of the password as 32 lower-case hexadecimal digits, unless it is sent in clear in rawPassword",
        ),
        (
            json!({"handle": "ana@example.com", "password": PASSWORD, "rawPassword": "other"}),
            602,
            "`password` and `rawPassword` do not match",
        ),
        (json!({"handle": "ana@example.com", "password": PASSWORD}), 604, "the field name is required"),
        (named(json!({"age": 3})), 604, "the field name is required"),
        (named(json!({"name": 3})), 604, "the field name must be a string"),
        (named(json!({"name": "Ana", "age": "3"})), 604, "the field age must be a number"),
        (
            named(json!({"name": "Ana", "tags": ["a", ["b"]]})),
            604,
            "the field tags must be an array of strings, numbers and booleans",
        ),
        (named(json!({"name": "Ana", "role": "admin"})), 604, "the field role cannot be set by users"),
        (
            named(json!({"name": "Ana", "age": 1e30})),
            604,
            "age must not hold a number that would be rounded: send it as a string",
        ),
        (named(json!("no JSON")), 604, "metadata must be a JSON object"),
        (named(json!(deep)), 604, "metadata must be at most 8 levels deep"),
        (named(json!({"name": "a".repeat(20_000)})), 604, "metadata must be at most 16384 bytes of JSON"),
        (named(json!({"name": "a".repeat(6_500)})), 604, "with the field name the token has"),
    ] {
        let answer = app.as_app(&shop, "signup", body).await;
        assert_eq!(answer.error(), (400, code), "{message}: {}", answer.text());
        let told = answer.json()["message"].as_str().unwrap().to_owned();
        let (kind, rule) = told.split_once(": ").unwrap();
        assert!(rule.starts_with(message), "{told}");
        assert_eq!(
            kind,
            ["missing parameter", "invalid data", "invalid metadata"]
                [[403, 602, 604].iter().position(|known| *known == code).unwrap()]
        );
    }
    let body = json!({"handle": "ana@example.com", "password": PASSWORD, "metaData": {"name": "Ana"}});
    assert_eq!(app.as_app(&shop, "signup", body).await.text(), "true");
    let code = app.code_for("ana@example.com").await;
    let body = json!({"handle": "ana@example.com", "code": code});
    let access = app.as_app(&shop, "completeSignup", body).await.field("access-token");
    for (name, body, message) in [
        (
            "setUserName",
            json!({"userName": "1x"}),
            "invalid data: userName must be a letter followed by letters and digits, at most 64 characters",
        ),
        (
            "setPhone",
            json!({"phone": "0151"}),
            "invalid data: phone must be +, the country code and the number, such as +4915112345678",
        ),
        ("verifyPhone", json!({"code": "12"}), "invalid data: code must be the digits of a code"),
        ("setUserMetadata", json!({"metaData": "{}"}), "invalid metadata: the field name is required"),
        ("setUserMetadata", json!({"metaData": "x"}), "invalid data: metadata must be a JSON object"),
        (
            "setUserMetadata",
            json!({"metaData": {"name": "Ana", "age": 7}}),
            "invalid metadata: the field age cannot be changed by users",
        ),
        ("setLocale", json!({"locale": "xx"}), "the app does not offer this locale"),
        (
            "changePassword",
            json!({"password": PASSWORD, "newPassword": "plain"}),
            "invalid data: the password must be the MD5 of the password as 32 lower-case hexadecimal digits, unless it is sent in clear in rawPassword",
        ),
        (
            "changePassword",
            json!({"password": PASSWORD, "newPassword": PASSWORD}),
            "invalid data: the new password must differ from the present one",
        ),
    ] {
        let answer = app.as_user(&access, name, body).await;
        assert_eq!(answer.json()["message"], message, "{name}");
    }
}

async fn a_body_that_cannot_be_read_is_told_why(app: TestApp) {
    let shop = app.app("Shop").await;
    let json_type = Some("application/json");
    let form = Some("application/x-www-form-urlencoded");
    for (kind, body, status, message) in [
        (
            None,
            r#"{"handle":"a@example.com"}"#,
            415,
            "unsupported content type: send JSON as application/json, a form as application/x-www-form-urlencoded",
        ),
        (
            Some("text/plain"),
            r#"{"handle":"a@example.com"}"#,
            415,
            "unsupported content type: send JSON as application/json, a form as application/x-www-form-urlencoded",
        ),
        (
            Some("application/xml"),
            "<handle/>",
            415,
            "unsupported content type: send JSON as application/json, a form as application/x-www-form-urlencoded",
        ),
        (
            json_type,
            r#"{"handle":"a","handle":"b"}"#,
            400,
            "invalid data: the body is not valid JSON: duplicate name at line 1 column 27",
        ),
        (
            json_type,
            r#"{"handle":"#,
            400,
            "invalid data: the body is not valid JSON: EOF while parsing a value at line 1 column 10",
        ),
        (json_type, "\"text\"", 400, "invalid data: the body must be a JSON object"),
        (
            json_type,
            r#"{"handle":"a\u0000"}"#,
            400,
            "invalid data: the body is not valid JSON: texts must not contain NUL at line 1 column 19",
        ),
        (
            form,
            r#" {"handle":"a@example.com"} "#,
            415,
            "unsupported content type: send JSON as application/json, a form as application/x-www-form-urlencoded",
        ),
        (form, "handle=a&handle=b", 400, "invalid data: a form must not have a field twice"),
        (form, "handle=%00", 400, "invalid data: texts must not contain NUL"),
        (None, "", 400, "missing parameter: handle"),
        (Some("text/plain"), "", 400, "missing parameter: handle"),
    ] {
        let mut sent =
            request("POST", "/api/appuser/signup").insert_header(("app-token", shop.token.clone()));
        if let Some(kind) = kind {
            sent = sent.insert_header(("content-type", kind));
        }
        let answer = app.send(sent.set_payload(body)).await;
        assert_eq!(answer.status, status, "{kind:?} {body}: {}", answer.text());
        assert_eq!(answer.json()["message"], message, "{kind:?} {body}");
        assert!(status != 415 || answer.json()["code"] == 602);
    }
}

async fn a_misspelt_setting_is_refused_with_the_nearest_name(app: TestApp) {
    let shop = app.app("Shop").await;
    for (fields, message) in [
        (
            json!({"setting": "passwordSetting", "passwordMinLenght": 12}),
            r#"unknown field "passwordMinLenght"; did you mean passwordMinLength? passwordSetting takes passwordMinLength, passwordMinUpper, passwordMinLower, passwordMinDigit, passwordMinSpecial"#,
        ),
        (
            json!({"setting": "maxUsers", "maxUsers": 5, "maxusers": 6}),
            r#"unknown field "maxusers"; did you mean maxUsers? maxUsers takes maxUsers"#,
        ),
        (
            json!({"setting": "neutralAnswer", "neutralAnswers": true}),
            r#"unknown setting "neutralAnswer"; did you mean neutralAnswers?"#,
        ),
        (json!({"setting": "frobnicate", "x": 1}), r#"unknown setting "frobnicate"; did you mean invite?"#),
        (json!({"setting": "signupFlow", "signupFlow": ""}), "signupFlow is one of none, code, link"),
        (
            json!({"setting": "status", "status": ""}),
            "status is one of active, inactive, suspended, blocked, migrated",
        ),
        (
            json!({"setting": "smsADay", "status": "active", "bar": 1}),
            r#"unknown field "bar"; did you mean smsADay? smsADay takes smsADay"#,
        ),
        (
            json!({"setting": "smsADay", "smsADay": -1}),
            "invalid data: smsADay must be a whole number from 0 to 1000000",
        ),
        (
            json!({"setting": "maxLoginAttempts", "maxLoginAttempts": 101}),
            "maxLoginAttempts is 1 to 100, or 0 for the server's number",
        ),
    ] {
        let mut body = fields;
        body["appId"] = json!(shop.id);
        let answer = app.admin("updateAppSetting", body).await;
        assert_eq!((answer.error(), answer.json()["message"].as_str().unwrap()), ((400, 602), message));
    }
    // Consoles send whole documents to `update`.
    let body = json!({"appId": shop.id, "maxUsers": 7, "somethingElse": 1});
    assert_eq!(app.admin("update", body).await.json()["maxUsers"], 7);
}
