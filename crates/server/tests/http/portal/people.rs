//! Sign-ups, invitations and the development mailbox in the portal.

use latchkey_domain::DeveloperRole;
use latchkey_server::settings::Settings;

use super::{Browser, change, location};
use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(a_sign_up_is_seen_and_removed, people_are_invited_and_told_one_by_one,);

async fn a_sign_up_is_seen_and_removed(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let page = format!("/apps/{id}/signups");
    assert!(dana.get(&page).await.text().contains("Nobody has signed up yet"));
    let user = [("handle", "ana@example.com"), ("password", "correct horse battery")];
    assert_eq!(dana.post(&format!("/apps/{id}/try/sign-up"), &user).await.status, 200);
    let code = app.code_for("ana@example.com").await;
    let html = dana.get(&page).await.text();
    assert!(html.contains("waits for its code") && html.contains("1 sign-up<"), "{html}");
    assert!(!html.contains(&code), "codes are never shown");
    let (_, rest) = html.split_once("/signups/").unwrap();
    let signup = rest.split('/').next().unwrap().to_owned();
    for wrong in ["", "bo@example.com"] {
        let refused = dana.post(&format!("{page}/{signup}/remove"), &[("handle", wrong)]).await;
        assert!(refused.status.is_client_error(), "{wrong}");
    }
    let removed = dana.post(&format!("{page}/{signup}/remove"), &[user[0]]).await;
    assert_eq!(location(&removed), format!("/portal{page}?done=removed"));
    let late = dana.post(&format!("/apps/{id}/try/confirm"), &[user[0], user[1], ("code", &code)]).await;
    assert_eq!(late.status, 422, "the code went with it");
}

async fn people_are_invited_and_told_one_by_one(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    dana.add_user(&id, "cy@example.com").await;
    let page = format!("/apps/{id}/invites");
    assert!(dana.get(&page).await.text().contains("No invitation is open"));
    for (typed, words) in [
        ("", "Enter at least one address."),
        ("bo@example.com\n<b>nobody", "Not an address: &#60;b&#62;nobody"),
    ] {
        let refused = dana.post(&page, &[("handles", typed)]).await;
        assert_eq!(refused.status, 422, "{typed}");
        assert!(refused.text().contains(words), "{}", refused.text());
    }
    assert!(dana.get(&page).await.text().contains("No invitation is open"), "nobody was invited");
    let invited = dana.post(&page, &[("handles", " bo@example.com \n\ncy@example.com")]).await.text();
    assert!(invited.contains("bo@example.com: invited"), "{invited}");
    assert!(invited.contains("cy@example.com: a user, or invited already"), "{invited}");
    let (_, rest) = invited.split_once("/invites/").unwrap();
    let invite = rest.split('/').next().unwrap().to_owned();
    assert_eq!(
        dana.post(&format!("{page}/{invite}/nothing"), &[("handle", "bo@example.com")]).await.status,
        404
    );
    app.clock.advance(time::Duration::minutes(30));
    for (act, done) in [("resend", "resent"), ("remove", "removed")] {
        dana.get(&page).await;
        let answer = dana.post(&format!("{page}/{invite}/{act}"), &[("handle", "bo@example.com")]).await;
        if act == "resend" {
            dana.get(&page).await;
        }
        assert_eq!(location(&answer), format!("/portal{page}?done={done}"), "{act}");
    }
    assert!(dana.get(&page).await.text().contains("No invitation is open"));
}

#[actix_web::test]
async fn sec_076_a_caught_mail_is_shown_in_a_frame_that_can_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let database = latchkey_test_support::TestDatabase::sqlite();
    let app = TestApp::with(database.store(), move |settings: &mut Settings| {
        settings.mail.folder.clone_from(&path);
    })
    .await;
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    assert!(dana.get("/mailbox").await.text().contains("Nothing yet"));
    let mail = "To: ana@example.com\r\nSubject: <i>Verify</i>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; \
         boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nYour code is 123456. javascript:alert(1)\r\n--b\r\n\
         Content-Type: text/html\r\n\r\n<script>alert(1)</script><b>Hello</b>\r\n--b--\r\n";
    std::fs::write(folder.path().join("m1.eml"), mail).unwrap();
    let list = dana.get("/mailbox").await.text();
    assert!(
        list.contains("123456") && !list.contains("<i>") && !list.contains("href=\"javascript"),
        "{list}"
    );
    let shown = dana.get("/mailbox/m1").await.text();
    assert!(
        shown.contains(" sandbox ") && !shown.contains("srcdoc") && !shown.contains("<script>"),
        "{shown}"
    );
    let html = dana.get("/mailbox/m1/html").await;
    let policy = html.headers.get("content-security-policy").unwrap().to_str().unwrap();
    for part in ["default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'self'"] {
        assert!(policy.contains(part), "{part} in {policy}");
    }
    assert!(policy.ends_with("; sandbox") && !policy.contains("script-src"), "{policy}");
    assert!(html.text().contains("<b>Hello</b>"));
    for wrong in ["m2", "..%2Fm1", "m1.eml", "%2Fetc%2Fpasswd"] {
        assert_eq!(dana.get(&format!("/mailbox/{wrong}")).await.status, 404, "{wrong}");
    }
}

#[actix_web::test]
async fn sec_123_try_it_shows_nobody_the_mail_of_another_application() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let database = latchkey_test_support::TestDatabase::sqlite();
    let app = TestApp::with(database.store(), move |settings: &mut Settings| {
        settings.mail.folder.clone_from(&path);
    });
    let app = app.await;
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let mail = "To: vic@example.com\r\nSubject: New password\r\n\r\nYour code is 208430.\r\n";
    std::fs::write(folder.path().join("m1.eml"), mail).unwrap();
    let guess = [("handle", "vic@example.com"), ("password", "x"), ("code", "000000")];
    for (role, is_shown) in [(DeveloperRole::Administrator, true), (DeveloperRole::Developer, false)] {
        change(&app, move |developer| developer.role = role).await;
        let refused = dana.post(&format!("/apps/{id}/try/confirm"), &guess).await;
        assert_eq!(refused.status, 422);
        assert_eq!(refused.text().contains("208430"), is_shown, "{role:?}");
    }
}

#[actix_web::test]
async fn sec_123_the_mailbox_is_the_administrators_and_gone_with_a_real_sender() {
    for (sender, expected) in [("folder", 200), ("smtp", 404)] {
        let database = latchkey_test_support::TestDatabase::sqlite();
        let app = TestApp::with(database.store(), move |settings: &mut Settings| {
            settings.mail.sender = sender.to_owned();
            settings.mail.smtp_host = "mail.example.com".to_owned();
            settings.mail.from = "noreply@example.com".to_owned();
        });
        let (app, paths) = (app.await, ["/mailbox", "/mailbox/m1", "/mailbox/m1/html"]);
        let mut dana = Browser::new(&app);
        dana.set_up().await;
        assert_eq!(dana.get("/mailbox").await.status, expected, "{sender}");
        assert_eq!(dana.get("/apps/new").await.text().contains(">Mailbox<"), expected == 200, "{sender}");
        change(&app, |developer| developer.role = DeveloperRole::Developer).await;
        for path in paths {
            assert_eq!(dana.get(path).await.status, 404, "{path}: other developers' mail lies there, too");
        }
    }
}
