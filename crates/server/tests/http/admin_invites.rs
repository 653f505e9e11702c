//! `/api/app`: sign-up attempts and invitations.

use serde_json::{Value, json};
use time::Duration;

use crate::harness::{PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    an_operator_invites_several_and_hears_who_is_there,
    what_cannot_be_invited_invites_nobody,
    an_invitation_is_sent_again_with_a_new_code,
    sec_110_who_cannot_be_mailed_now_is_not_invited,
    invitations_and_attempts_are_removed_with_their_codes,
    sec_088_nothing_of_another_application_is_found,
);

async fn an_operator_invites_several_and_hears_who_is_there(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    app.set(&shop, "invite", "invitationEnabled", json!(false)).await;
    let body = json!({"appId": shop.id, "handle": "Bob@example.com, ana@example.com ,cyd@example.com,bob@example.com"});
    let answer = app.admin("createAppInvite", body.clone()).await.json();
    let handles: Vec<_> = answer["invites"].as_array().unwrap().iter().map(|i| i["handle"].clone()).collect();
    assert_eq!(handles, [json!("bob@example.com"), json!("cyd@example.com")]);
    assert_eq!(answer["exists"], json!(["ana@example.com"]));
    let invite = &answer["invites"][0];
    for (field, value) in [
        ("senderHandle", "superuser"),
        ("senderUserId", "superuser"),
        ("status", "pending"),
        ("locale", "EN"),
    ] {
        assert_eq!(invite[field], value);
    }
    assert!(invite.get("code").is_none());
    let again = app.admin("createAppInvite", body).await.json();
    assert_eq!(again["invites"], json!([]));
    assert_eq!(again["exists"].as_array().unwrap().len(), 3);
    // Users may not invite here, but who was invited by an operator registers.
    let code = app.code_for("bob@example.com").await;
    let other = if code.starts_with('1') { "200000" } else { "100000" };
    let wrong = json!({"handle": "bob@example.com", "password": PASSWORD, "code": other});
    assert_eq!(app.as_app(&shop, "register", wrong).await.error(), (400, 406));
    let register = json!({"handle": "bob@example.com", "password": PASSWORD, "code": code});
    assert_eq!(app.as_app(&shop, "register", register).await.status, 200);
}

async fn what_cannot_be_invited_invites_nobody(app: TestApp) {
    let shop = app.app("Shop").await;
    let many = (0..101).map(|n| format!("u{n}@example.com")).collect::<Vec<_>>().join(",");
    for (handle, locale, error) in [
        (json!("good@example.com,no address"), json!(null), (400, 602)),
        (json!("good@example.com,plain"), json!(null), (400, 602)),
        (json!("good@example.com"), json!("FR"), (400, 602)),
        (json!(many), json!(null), (400, 602)),
        (json!(" , "), json!(null), (400, 403)),
        (json!(null), json!(null), (400, 403)),
        (json!(["good@example.com"]), json!(null), (400, 602)),
    ] {
        let body = json!({"appId": shop.id, "handle": handle, "locale": locale});
        assert_eq!(app.admin("createAppInvite", body).await.error(), error, "{handle}");
    }
    assert!(app.mails().await.is_empty());
    app.set(&shop, "status", "status", json!("inactive")).await;
    let body = json!({"appId": shop.id, "handle": "good@example.com"});
    assert_eq!(app.admin("createAppInvite", body).await.error(), (400, 402));
    assert_eq!(
        app.admin("createAppInvite", json!({"appId": "x", "handle": "a@b.ch"})).await.error(),
        (404, 401)
    );
}

async fn an_invitation_is_sent_again_with_a_new_code(app: TestApp) {
    let shop = app.app("Shop").await;
    app.admin("createAppInvite", json!({"appId": shop.id, "handle": "bob@example.com"})).await;
    let first = app.code_for("bob@example.com").await;
    app.clock.advance(Duration::minutes(2));
    let resend = async |body: Value| app.admin("resendAppInvite", body).await;
    assert_eq!(resend(json!({"appId": shop.id, "handle": "bob@example.com"})).await.text(), "true");
    let second = app.code_for("bob@example.com").await;
    assert_ne!(first, second);
    let found = app.admin_get(&format!("searchInvite?appId={}&value=bob", shop.id)).await.json();
    assert_ne!(found[0]["createdAt"], found[0]["updatedAt"]);
    let register = json!({"handle": "bob@example.com", "password": PASSWORD, "code": second});
    assert_eq!(app.as_app(&shop, "register", register).await.status, 200);
    for (body, error) in [
        (json!({"appId": shop.id, "handle": "bob@example.com"}), (404, 602)),
        (json!({"appId": shop.id, "handle": "x@example.com"}), (404, 602)),
        (json!({"appId": shop.id}), (400, 403)),
        (json!({"handle": "x@example.com"}), (400, 403)),
        (json!({"appId": "x", "handle": "x@example.com"}), (404, 401)),
    ] {
        assert_eq!(resend(body.clone()).await.error(), error, "{body}");
    }
}

async fn sec_110_who_cannot_be_mailed_now_is_not_invited(app: TestApp) {
    let shop = app.app("Shop").await;
    for n in 0..10 {
        let other = app.app(&format!("App {n}")).await;
        let body = json!({"appId": other.id, "handle": "bob@example.com"});
        assert_eq!(app.admin("createAppInvite", body).await.json()["notSent"], json!([]));
    }
    // What this application has beyond that is used up as well.
    for number in 0..3 {
        let body = json!({"handle": "bob@example.com", "password": PASSWORD});
        app.as_app_from(&format!("198.51.100.{number}"), &shop, "signup", body).await;
    }
    let mails = app.mails().await.len();
    let body = json!({"appId": shop.id, "handle": "bob@example.com,cyd@example.com"});
    let answer = app.admin("createAppInvite", body).await.json();
    assert_eq!(answer["notSent"], json!(["bob@example.com"]), "{answer}");
    assert_eq!((&answer["invites"][0]["handle"], &answer["exists"]), (&json!("cyd@example.com"), &json!([])));
    assert_eq!(app.mails().await.len(), mails + 1);
    let found = app.admin_get(&format!("searchInvite?appId={}&value=bob", shop.id)).await.json();
    assert_eq!(found, json!([]), "nobody is invited without hearing of it");
    let told = app.audit(&shop).await;
    assert_eq!(told.iter().filter(|entry| entry.action == "createAppInvite").count(), 1);
}

async fn invitations_and_attempts_are_removed_with_their_codes(app: TestApp) {
    let shop = app.app("Shop").await;
    let access = app.user(&shop, "ana@example.com").await;
    app.as_user(&access, "invite", json!({"handle": "bob@example.com", "senderUserId": "x"})).await;
    let code = app.code_for("bob@example.com").await;
    let found = app.admin_get(&format!("searchInvite?appId={}&value=bob", shop.id)).await.json();
    let id = found[0]["_id"].clone();
    let wrong = json!({"appId": shop.id, "handle": "bob@example.com", "_id": "0".repeat(32)});
    let missing = app.admin("removeAppInvite", wrong).await;
    assert_eq!((missing.error(), &missing.json()["message"]), ((404, 602), &json!("Invalid Invite")));
    let right = json!({"appId": shop.id, "handle": "bob@example.com", "_id": id});
    let removed = app.admin("removeAppInvite", right.clone()).await.json();
    assert_eq!(
        (&removed["handle"], &removed["senderHandle"]),
        (&json!("bob@example.com"), &json!("ana@example.com"))
    );
    assert_eq!(app.admin("removeAppInvite", right).await.error(), (404, 602));
    let register = json!({"handle": "bob@example.com", "password": PASSWORD, "code": code});
    assert_eq!(app.as_app(&shop, "register", register).await.error(), (400, 602));

    app.as_app(&shop, "signup", json!({"handle": "cyd@example.com", "password": PASSWORD})).await;
    let code = app.code_for("cyd@example.com").await;
    let body = json!({"appId": shop.id, "handle": "cyd@example.com"});
    let removed = app.admin("removeAppSignup", body.clone()).await.json();
    assert_eq!((&removed["handle"], &removed["status"]), (&json!("cyd@example.com"), &json!("pending")));
    assert!(removed.get("password").is_none() && removed.get("code").is_none());
    let complete = json!({"handle": "cyd@example.com", "code": code});
    assert_eq!(app.as_app(&shop, "completeSignup", complete).await.error(), (400, 602));
    let missing = app.admin("removeAppSignup", body).await;
    assert_eq!((missing.error(), &missing.json()["message"]), ((404, 602), &json!("Invalid Signup")));
    assert_eq!(app.admin("removeAppSignup", json!({"appId": shop.id})).await.error(), (400, 403));
    let garbled = json!({"appId": shop.id, "handle": "cyd@example.com", "_id": "x"});
    assert_eq!(app.admin("removeAppSignup", garbled).await.error(), (404, 602));
}

async fn sec_088_nothing_of_another_application_is_found(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app("Other").await);
    app.admin("createAppInvite", json!({"appId": shop.id, "handle": "bob@example.com"})).await;
    app.as_app(&shop, "signup", json!({"handle": "cyd@example.com", "password": PASSWORD})).await;
    for (name, handle) in [
        ("removeAppInvite", "bob@example.com"),
        ("resendAppInvite", "bob@example.com"),
        ("removeAppSignup", "cyd@example.com"),
    ] {
        let body = json!({"appId": other.id, "handle": handle});
        assert_eq!(app.admin(name, body).await.error(), (404, 602), "{name}");
    }
    let stat = app.admin_get(&format!("stat?appId={}", shop.id)).await.json();
    assert_eq!((&stat["totalInvite"], &stat["totalSignup"]), (&json!(1), &json!(1)));
}
