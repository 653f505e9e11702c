//! What a developer does with an application in the portal.

use latchkey_domain::{PLAIN_SETTINGS, PlainValue};
use latchkey_service::operate::{AppUpdate, SettingChange};
use latchkey_service::{Operator, Refusal};

use super::{Browser, PASSWORD, location};
use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(
    a_card_saves_what_was_changed_and_says_so,
    of_two_who_change_one_setting_the_later_is_told,
    users_are_added_found_suspended_and_deleted,
    keys_are_rotated_at_once_and_replaced_by_name,
    an_application_is_renamed_paused_and_deleted,
    the_log_is_filtered,
    the_outbox_shows_what_was_given_up_and_tries_it_again,
);

async fn a_card_saves_what_was_changed_and_says_so(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let page = format!("/apps/{id}/jwt");
    let card = format!("{page}/token");
    for wrong in ["0", "721", "1.5", "many", ""] {
        let mut fields = dana.fill(&page, "/jwt/token", &[]).await;
        fields.iter_mut().find(|(name, _)| name == "userJWTExpiration").unwrap().1 = wrong.to_owned();
        let refused = dana.submit(&card, &fields).await;
        assert_eq!(refused.status, 422, "{wrong}");
        let html = refused.text();
        assert!(html.contains("Enter a whole number from 1 to 720.") && html.contains("<title>Error: "));
        assert!(
            html.contains(&format!("name=\"userJWTExpiration\" value=\"{wrong}\"")),
            "what was typed stays"
        );
    }
    let changes = [("userJWTExpiration", "12"), ("metaDataEmail", ""), ("userIdFormat", "handle")];
    let fields = dana.fill(&page, "/jwt/token", &changes).await;
    let saved = location(&dana.submit(&card, &fields).await);
    let html = dana.get(saved.strip_prefix("/portal").unwrap()).await.text();
    for words in [
        "Life of JWTs (hours) is now 12.",
        "User id is now handle.",
        "E-mail claim is now off.",
        "<title>Saved: ",
    ] {
        assert!(html.contains(words), "{words} in {html}");
    }
    let log = app.admin_get(&format!("logs?appId={id}&filterAction=update")).await.text();
    assert!(
        log.contains("userJWTExpiration 24 -> 12") && log.contains("metaDataEmail true -> false"),
        "{log}"
    );
    // What is sent again, or not changed, saves nothing.
    let fields = dana.fill(&page, "/jwt/token", &[]).await;
    assert_eq!(location(&dana.submit(&card, &fields).await), format!("/portal{page}"));
    assert_eq!(dana.post(&format!("{page}/nothing"), &[]).await.status, 404);
}

async fn of_two_who_change_one_setting_the_later_is_told(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let (page, mut omar) = (format!("/apps/{id}/jwt"), Browser::new(&app));
    omar.sign_in(PASSWORD).await;
    let mine = dana.fill(&page, "/jwt/token", &[("userJWTExpiration", "12")]).await;
    let theirs = omar.fill(&page, "/jwt/token", &[("userJWTExpiration", "6")]).await;
    let other_card = omar.fill(&page, "/jwt/signup", &[("maxUsers", "50")]).await;
    assert_eq!(omar.submit(&format!("{page}/token"), &theirs).await.status, 303);
    assert_eq!(omar.submit(&format!("{page}/signup"), &other_card).await.status, 303);
    let late = dana.submit(&format!("{page}/token"), &mine).await;
    assert_eq!(late.status, 409);
    let html = late.text();
    assert!(html.contains("was changed from 24 to 6 meanwhile. Save again to set 12."), "{html}");
    assert!(html.contains("name=\"userJWTExpiration\" value=\"12\""), "what was typed stays");
    assert!(html.contains("name=\"was.userJWTExpiration\" value=\"6\""), "the second time it is meant");
    // Between the look and the write as well: nothing is lost.
    let setting = PLAIN_SETTINGS.iter().find(|setting| setting.field == "userJWTExpiration").unwrap();
    let change = |value| ("x".to_owned(), SettingChange::Plain(vec![(setting, PlainValue::Number(value))]));
    let update = AppUpdate {
        expected: vec![(setting, PlainValue::Number(24))],
        settings: vec![change(12)],
        ..AppUpdate::default()
    };
    let refused = app.service.update_app_at_once(Operator::command_line(), id.parse().unwrap(), update).await;
    assert_eq!(refused.unwrap_err().refusal(), Some(Refusal::Conflict));
    let settings = app.admin_get(&format!("appId/{id}")).await.json();
    assert_eq!((&settings["userJWTExpiration"], &settings["maxUsers"]), (&6.into(), &50.into()));
}

async fn users_are_added_found_suspended_and_deleted(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let list = format!("/apps/{id}/users");
    assert!(dana.get(&list).await.text().contains("Create your first user"));
    dana.get(&format!("{list}/new")).await;
    for (handle, password, words) in [
        ("", PASSWORD, "The handle"),
        ("ana@example.com", "short", "password"),
        ("<b>@example.com", "", "password"),
    ] {
        let refused = dana.post(&format!("{list}/new"), &[("handle", handle), ("password", password)]).await;
        assert_eq!(refused.status, 422, "{handle}");
        assert!(refused.text().contains(words) && !refused.text().contains("<b>"), "{}", refused.text());
    }
    let uid = dana.add_user(&id, "ana").await;
    let again = dana.post(&format!("{list}/new"), &[("handle", "ANA"), ("password", PASSWORD)]).await;
    assert!(again.text().contains("ANA is already registered."));
    assert!(dana.get(&format!("{list}?q=nobody")).await.text().contains("Nothing matches this search."));
    let page = format!("{list}/{uid}");
    let html = dana.get(&page).await.text();
    assert!(html.contains(&uid) && html.contains("&#34;sub&#34;"), "{html}");
    for (act, words) in [
        ("suspend", "can no longer sign in"),
        ("activate", "can sign in again"),
        ("sign-out", "have ended"),
        ("unlock", "unlocked"),
    ] {
        let done = location(&dana.post(&format!("{page}/{act}"), &[]).await);
        let html = dana.get(done.strip_prefix("/portal").unwrap()).await.text();
        assert!(html.contains(words), "{words} in {html}");
    }
    assert_eq!(dana.post(&format!("{page}/nothing"), &[]).await.status, 404);
    let wrong = dana.post(&format!("{page}/delete"), &[("confirm", "bob")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text().contains("That is not the handle of this user."));
    let done = location(&dana.post(&format!("{page}/delete"), &[("confirm", "ana")]).await);
    assert_eq!(done, format!("/portal{list}?done=deleted"));
    assert_eq!(dana.get(&page).await.status, 404, "the way back leads nowhere");
    assert_eq!(
        dana.post(&format!("{page}/delete"), &[("confirm", "ana")]).await.status,
        404,
        "twice is once"
    );
    // Pages of fifty.
    for number in 0..51 {
        dana.post(&format!("{list}/new"), &[("handle", &format!("u{number:02}")), ("password", PASSWORD)])
            .await;
    }
    let first = dana.get(&list).await.text();
    let rows = |html: &str| html.matches("scope=\"row\"").count();
    assert!(first.contains("51 users") && rows(&first) == 50, "{first}");
    let (_, next) = first.split_once("users?after=").unwrap();
    let second = dana.get(&format!("{list}?after={}", next.split('"').next().unwrap())).await.text();
    assert_eq!(rows(&second), 1);
    let last = second.split("<bdi>").find(|text| text.starts_with('u')).unwrap().split('<').next().unwrap();
    assert!(!first.contains(&format!(">{last}<")), "nobody twice");
}

async fn keys_are_rotated_at_once_and_replaced_by_name(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let page = format!("/apps/{id}/keys");
    let html = dana.get(&page).await.text();
    assert!(html.contains("-----BEGIN PUBLIC KEY-----") && html.contains("/.well-known/jwks.json"), "{html}");
    assert!(!html.contains("PRIVATE"));
    assert_eq!(dana.post(&format!("{page}/rotate"), &[]).await.status, 303);
    let html = dana.get(&page).await.text();
    assert!(html.contains("> next<") && html.contains("A rotation is running"), "{html}");
    let twice = dana.post(&format!("{page}/rotate"), &[]).await;
    assert_eq!(twice.status, 409, "{}", twice.text());
    for act in ["regenerate", "app-token"] {
        let wrong = dana.post(&format!("{page}/{act}"), &[(act, "Shops")]).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.text().contains("That is not the name of this application."));
        let done = dana.post(&format!("{page}/{act}"), &[(act, "Shop")]).await;
        assert_eq!(location(&done), format!("/portal{page}?done={act}"));
    }
    let keys = app.get(&format!("/apps/{id}/.well-known/jwks.json"), ("accept", "*/*")).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "the old ones are gone");
}

async fn an_application_is_renamed_paused_and_deleted(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    dana.make_app("Other").await;
    let id = dana.make_app("Shop").await;
    let page = format!("/apps/{id}/settings");
    let taken = dana.post(&page, &[("name", "Other"), ("status", "active")]).await;
    assert_eq!(taken.status, 422);
    assert!(taken.text().contains("You already have an application called Other."));
    assert_eq!(dana.post(&page, &[("name", "Store"), ("status", "inactive")]).await.status, 303);
    let html = dana.get(&format!("{page}?done=saved")).await.text();
    assert!(html.contains("The application is called Store, and is inactive."), "{html}");
    assert!(html.contains("This application is inactive: every call answers code 402."));
    let delete = format!("{page}/delete");
    assert_eq!(dana.post(&delete, &[("confirm", "Shop")]).await.status, 422);
    assert_eq!(location(&dana.post(&delete, &[("confirm", "Store")]).await), "/portal/apps?done=deleted");
    assert_eq!(dana.get(&page).await.status, 404);
    assert_eq!(dana.post(&delete, &[("confirm", "Store")]).await.status, 404, "twice is once");
}

async fn the_log_is_filtered(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    dana.add_user(&id, "ana").await;
    let page = format!("/apps/{id}/logs");
    let all = dana.get(&page).await.text();
    assert!(all.contains(">addUser<") && all.contains(">create<") && all.contains("2 lines"), "{all}");
    let one = dana.get(&format!("{page}?action=addUser&result=ok&source=administration")).await.text();
    assert!(one.contains(">addUser<") && !one.contains(">create<"));
    assert!(
        dana.get(&format!("{page}?result=refused")).await.text().contains("Nothing matches these filters.")
    );
    let unknown = dana.get(&format!("{page}?action=%3Cb%3E")).await.text();
    assert!(unknown.contains("There is no action called") && !unknown.contains("<b>"));
    assert_eq!(dana.get(&format!("{page}?after=x")).await.status, 404);
}

async fn the_outbox_shows_what_was_given_up_and_tries_it_again(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let page = format!("/apps/{id}/outbox");
    assert!(dana.get(&page).await.text().contains("Nothing waits"));
    app.refuse_mail(true);
    let user = [("handle", "first.user@example.test"), ("password", "Try-0123456789ab!")];
    assert_eq!(dana.post(&format!("/apps/{id}/try/sign-up"), &user).await.status, 200);
    app.mails().await;
    let html = dana.get(&page).await.text();
    assert!(
        html.contains("given up") && html.contains("refused") && html.contains("f***@example.test"),
        "{html}"
    );
    app.refuse_mail(false);
    let (_, rest) = html.split_once("/outbox/").unwrap();
    let message = rest.split('/').next().unwrap();
    let retried = dana.post(&format!("{page}/{message}/retry"), &[]).await;
    assert_eq!(location(&retried), format!("/portal{page}?done=retry"));
    app.code_for("first.user@example.test").await;
    assert!(dana.get(&page).await.text().contains("Nothing waits"));
    let twice = dana.post(&format!("{page}/{message}/retry"), &[]).await;
    assert!(twice.status.is_client_error() && twice.text().contains("<h1>"), "{}", twice.status);
}
