//! The log, its export, statistics, and messages that have not left.

use latchkey_domain::{AuditEntry, AuditId, Preset};
use latchkey_service::{Operator, ServiceError};
use serde_json::{Value, json};
use time::Duration;

use crate::harness::{Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(
    the_log_is_filtered_and_paged,
    the_servers_own_log_is_for_who_reaches_all,
    the_log_leaves_as_csv_and_json_lines,
    days_are_counted_and_stay_when_the_log_goes,
    days_before_a_long_absence_are_counted,
    who_comes_in_is_counted_once,
    a_message_that_was_given_up_is_tried_again,
    mail_waits_for_its_server_until_it_expires,
);

#[actix_web::test]
async fn sec_090_a_long_log_is_not_counted_at_each_page() {
    let database = latchkey_test_support::TestDatabase::sqlite();
    let app = TestApp::over(database.store()).await;
    let shop = app.app("Shop").await;
    let entry = app.audit(&shop).await.remove(0);
    let add = async |numbers: std::ops::Range<u32>| {
        let entry = entry.clone();
        let added = app.store.transact("test", move |repos| {
            for number in numbers.clone() {
                let mut id = *entry.id.as_bytes();
                id[12..].copy_from_slice(&number.to_be_bytes());
                repos.audit().add(&AuditEntry { id: AuditId::from_bytes(id), ..entry.clone() })?;
            }
            Ok::<_, ServiceError>(())
        });
        added.await.unwrap();
    };
    let total = async |query: &str| {
        let page = app.admin_get(&format!("logs?appId={}{query}", shop.id)).await.json();
        page["totalLog"].as_u64().unwrap()
    };
    let first = total("").await;
    add(0..1).await;
    assert_eq!(total("").await, first + 1, "a short one is");
    add(1..10_001).await;
    let many = total("").await;
    assert_eq!(many, first + 10_001);
    add(10_001..10_002).await;
    assert_eq!(total("").await, many);
    assert_eq!(total("&type=user").await, 0, "another filter is another list");
    app.clock.advance(Duration::seconds(61));
    assert_eq!(total("").await, many + 1);
}

#[actix_web::test]
async fn sec_090_a_server_secret_leaves_others_of_its_application_a_turn() {
    let database = latchkey_test_support::TestDatabase::sqlite();
    let interleaving = latchkey_test_support::Interleaving::new(database.store());
    let app = TestApp::over(interleaving.store()).await;
    let shop = app.app("Shop").await;
    let other = app.operator_secret("other", "read").await;
    let search = format!("searchUser?appId={}&value=a", shop.id);
    let mut first = interleaving.pause("listing.beginning", None);
    let searches = async {
        futures_util::future::join(app.admin_get(&search), app.admin_get(&search)).await;
    };
    let others = async {
        assert!(first.reached().await);
        // The second search of the same secret waits although the application has two turns.
        let mut second = interleaving.pause("listing.beginning", None);
        let reached = tokio::time::timeout(std::time::Duration::from_millis(300), second.reached()).await;
        assert!(reached.is_err());
        let path = format!("/api/app/logs?appId={}", shop.id);
        assert_eq!(app.get(&path, ("server-secret", &other)).await.status, 200);
        drop((first, second));
    };
    futures_util::future::join(searches, others).await;
}

async fn the_log_is_filtered_and_paged(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let id = app.user_id(&shop, "ana@example.com").await;
    app.clock.advance(Duration::days(2));
    for number in 0..30 {
        let password = if number % 3 == 0 { "5".repeat(32) } else { PASSWORD.to_owned() };
        app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": password})).await;
        app.clock.advance(Duration::seconds(1));
    }
    let logs = async |query: &str| app.admin_get(&format!("logs?appId={}{query}", shop.id)).await;
    let all = logs("").await.json();
    assert_eq!(all["logs"].as_array().unwrap().len(), 25);
    let total = all["totalLog"].as_u64().unwrap();
    assert!(total > 30, "{total}");
    let first = &all["logs"][0];
    assert_eq!(
        (&first["action"], &first["status"], &first["logType"]),
        (&json!("login"), &json!("success"), &json!("user"))
    );
    assert_eq!(
        (&first["handle"], &first["address"], &first["value"]),
        (&json!("a***@example.com"), &json!("192.0.2.1"), &json!("true"))
    );
    let second = logs("&offset=1").await.json();
    let after = logs(&format!("&after={}", all["next"].as_str().unwrap())).await.json();
    assert_eq!(second["logs"], after["logs"]);
    let number = async |query: &str| logs(query).await.json()["totalLog"].as_u64().unwrap();
    let failed = number("&filterAction=login&status=error").await;
    assert!(failed >= 1);
    assert_eq!(number("&filterAction=login&status=success").await + failed, 30);
    assert_eq!(number("&type=app&filterAction=create").await, 1);
    assert_eq!(number("&type=user&filterAction=create").await, 0);
    assert_eq!(number("&filterAction=signup,completeSignup").await, 2);
    let unknown = app.admin_get(&format!("logs?appId={}&filterAction=login,singup", shop.id)).await;
    assert_eq!(unknown.error(), (400, 602));
    assert!(unknown.text().contains("singup"), "{}", unknown.text());
    assert_eq!(number("&filterAction=all&status=all&type=all").await, total);
    assert_eq!(number("&fromDate=2023-11-16&filterAction=login").await, 30);
    assert_eq!(number("&toDate=2023-11-15&filterAction=login").await, 0);
    assert_eq!(
        number("&fromDate=2023-11-14&toDate=2023-11-14").await + number("&fromDate=2023-11-15").await,
        total
    );
    assert_eq!(number("&fromDate=2023-11-16T22:13:50Z").await, 0, "not the 30 seconds before");
    assert!(number(&format!("&userId={id}")).await > 0);
    for wrong in [
        "&type=x",
        "&status=x",
        "&fromDate=soon",
        "&toDate=2023-13-01",
        "&after=x",
        "&offset=1000",
        "&limit=x",
    ] {
        assert_eq!(logs(wrong).await.error(), (400, 602), "{wrong}");
    }
    assert_eq!(logs("&userId=x").await.error(), (404, 603));
    assert_eq!(app.admin_get("logs").await.error(), (400, 403));
    assert_eq!(app.admin_get("logs?appId=x").await.error(), (404, 401));
}

async fn the_servers_own_log_is_for_who_reaches_all(app: TestApp) {
    let shop = app.app("Shop").await;
    let bound = json!({"name": "bound", "scopes": "everything", "appId": shop.id});
    let bound = app.admin("createOperatorToken", bound).await.field("secret");
    app.admin("createOperatorToken", json!({"name": "free", "scopes": "read"})).await;
    let found = app.admin_get("logs?appId=server").await.json();
    let actions: Vec<_> =
        found["logs"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert!(actions.contains(&json!("createOperatorToken")), "{found}");
    assert!(app.admin_get("exportLogs?appId=server").await.text().contains("createOperatorToken"));
    let refused = app.get("/api/app/logs?appId=server", ("server-secret", &bound)).await;
    assert_eq!(refused.error(), (403, 400));
    let none = format!("logs?appId={}", "0".repeat(32));
    assert_eq!(app.admin_get(&none).await.error(), (404, 401));
}

async fn the_log_leaves_as_csv_and_json_lines(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let before = app.audit(&shop).await.len();
    // Entries of one millisecond come in any order.
    app.clock.advance(Duration::seconds(1));
    let csv = app.admin_get(&format!("exportLogs?appId={}", shop.id)).await;
    assert_eq!(csv.headers.get("content-disposition").unwrap(), "attachment; filename=\"logs.csv\"");
    assert_eq!(csv.headers.get("cache-control").unwrap(), "no-store");
    let text = csv.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "createdAt,action,status,logType,actor,actorName,userId,handle,address,value");
    assert_eq!(lines.len(), before + 2, "and the export itself is told of");
    assert!(lines[1].contains("exportLogs") && lines[1].contains("operator,test"), "{}", lines[1]);
    let query = format!("exportLogs?appId={}&format=jsonl&filterAction=create", shop.id);
    let text = app.admin_get(&query).await.text();
    let parsed: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((parsed.len(), &parsed[0]["action"]), (1, &json!("create")));
    for (query, error) in [
        ("exportLogs".to_owned(), (400, 403)),
        (format!("exportLogs?appId={}&userId=x", shop.id), (404, 603)),
        (format!("exportLogs?appId={}&format=xml", shop.id), (400, 602)),
    ] {
        assert_eq!(app.admin_get(&query).await.error(), error, "{query}");
    }
}

async fn days_are_counted_and_stay_when_the_log_goes(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    let secret = app.operator_secret("long", "read").await;
    let statistics = async |query: &str| {
        app.get(&format!("/api/app/statistics?appId={}{query}", shop.id), ("server-secret", &secret)).await
    };
    let today = statistics("&fromDate=2023-11-14&toDate=2023-11-14").await.json();
    let expected = json!({"day": "2023-11-14", "signups": 1, "completions": 1, "invitations": 0, "logins": 0, "failures": 0});
    assert_eq!(today["days"], json!([expected]));
    app.clock.advance(Duration::days(1));
    app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    app.as_app(&shop, "login", json!({"handle": "ana@example.com", "password": "5".repeat(32)})).await;
    app.clock.advance(Duration::days(1));
    let live = statistics("").await.json();
    assert_eq!(live["days"].as_array().unwrap().len(), 30);
    assert_eq!(
        live["totals"],
        json!({"signups": 1, "completions": 1, "invitations": 0, "logins": 1, "failures": 1})
    );
    app.service.purge_if_due().await.unwrap();
    assert_eq!(statistics("").await.json(), live, "counted or not, they are the same");
    app.clock.advance(Duration::days(200));
    app.service.purge_if_due().await.unwrap();
    assert!(app.audit(&shop).await.iter().all(|entry| entry.action != "signup"), "the log is gone");
    let later = statistics("&fromDate=2023-11-01&toDate=2023-12-01").await.json();
    assert_eq!(later["totals"], live["totals"]);
    for wrong in ["&fromDate=2023-01-02&toDate=2023-01-01", "&fromDate=2020-01-01", "&fromDate=x"] {
        assert_eq!(statistics(wrong).await.error(), (400, 602), "{wrong}");
    }
    assert_eq!(app.get("/api/app/statistics", ("server-secret", &secret)).await.error(), (400, 403));
}

async fn who_comes_in_is_counted_once(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "twoFactorVerification", "twoFactorVerification", json!("google")).await;
    let ana = json!({"handle": "ana@example.com", "password": PASSWORD});
    let access = app.as_app(&shop, "signup", ana).await.field("access-token");
    app.as_user(&access, "setTwoFactorGoogleVerification", json!({"twoFactor": true})).await;
    let login = json!({"handle": "ana@example.com", "password": PASSWORD});
    let asked = app.as_app(&shop, "login", login).await;
    let wrong = json!({"loginToken": asked.field("login-token"), "code": "000000"});
    assert_ne!(app.as_app(&shop, "loginComplete", wrong).await.status, 200);
    let counted = app.admin_get(&format!("statistics?appId={}", shop.id)).await.json();
    assert_eq!(
        counted["totals"],
        json!({"signups": 1, "completions": 1, "invitations": 0, "logins": 0, "failures": 1})
    );
}

async fn days_before_a_long_absence_are_counted(app: TestApp) {
    let shop = app.app("Shop").await;
    app.user(&shop, "ana@example.com").await;
    // The server is off for longer than its log is kept. At its return the clock is right.
    app.clock.advance(Duration::days(120));
    app.service.run_jobs(Operator::command_line()).await.unwrap();
    assert!(app.audit(&shop).await.iter().all(|entry| entry.action != "completeSignup"), "the log went");
    let secret = app.operator_secret("long", "read").await;
    let path = format!("/api/app/statistics?appId={}&fromDate=2023-11-01&toDate=2023-12-01", shop.id);
    let counted = app.get(&path, ("server-secret", &secret)).await.json();
    assert_eq!((&counted["totals"]["signups"], &counted["totals"]["completions"]), (&json!(1), &json!(1)));
}

async fn a_message_that_was_given_up_is_tried_again(app: TestApp) {
    let shop = app.app("Shop").await;
    app.refuse_mail(true);
    app.as_app(&shop, "signup", json!({"handle": "ana@example.com", "password": PASSWORD})).await;
    let outbox =
        async || app.admin_get(&format!("outbox?appId={}", shop.id)).await.json()["messages"].clone();
    let waiting = outbox().await;
    assert_eq!((&waiting[0]["state"], &waiting[0]["to"]), (&json!("due"), &json!("a***@example.com")));
    app.mails().await;
    let dead = outbox().await;
    assert_eq!((&dead[0]["state"], &dead[0]["attempts"]), (&json!("dead"), &json!(1)));
    assert!(dead[0]["lastError"].as_str().unwrap().contains("refused"), "{dead}");
    let retry =
        async |id: &Value| app.admin("retryMessage", json!({"appId": shop.id, "messageId": id})).await;
    app.refuse_mail(false);
    let other = app.app("Other").await;
    let elsewhere = json!({"appId": other.id, "messageId": dead[0]["messageId"]});
    assert_eq!(app.admin("retryMessage", elsewhere).await.error(), (404, 602));
    assert_eq!(retry(&dead[0]["messageId"]).await.text(), "true");
    assert_eq!(retry(&dead[0]["messageId"]).await.error(), (404, 602), "it is due already");
    app.code_for("ana@example.com").await;
    assert_eq!(outbox().await, json!([]));
    assert_eq!(retry(&json!("x")).await.error(), (404, 602));
    assert_eq!(app.admin("retryMessage", json!({"appId": shop.id})).await.error(), (400, 403));
    assert_eq!(app.admin_get("outbox").await.error(), (400, 403));
    assert_eq!(app.admin_get("outbox?appId=x").await.error(), (404, 401));
    assert_eq!(app.admin_get(&format!("outbox?appId={}&after=x", shop.id)).await.error(), (400, 602));
}

async fn mail_waits_for_its_server_until_it_expires(app: TestApp) {
    let (shop, other) = (app.app("Shop").await, app.app_without_code("Other", Preset::Compatible).await);
    let ana = json!({"handle": "ana@example.com", "password": PASSWORD});
    let dead = async |of: &Made| {
        let outbox = app.admin_get(&format!("outbox?appId={}", of.id)).await.json()["messages"].clone();
        outbox.as_array().unwrap().iter().filter(|message| message["state"] == "dead").count()
    };
    let pass = async |hours: i64| {
        for _ in 0..hours * 4 {
            app.clock.advance(Duration::minutes(15));
            app.mails().await;
        }
    };
    app.lose_mail_server();
    app.as_app(&shop, "signup", ana.clone()).await;
    app.as_app(&other, "signup", ana.clone()).await;
    pass(23).await;
    assert_eq!((dead(&shop).await, dead(&other).await), (0, 0));
    app.refuse_mail(false);
    pass(1).await;
    assert_eq!(app.mails().await.len(), 2, "the code of a day, and the welcome");
    // A code that expired is not sent, a message without an end is given up after three days.
    app.lose_mail_server();
    for (at, name) in ["bo@example.com", "cy@example.com"].into_iter().enumerate() {
        let body = json!({"handle": name, "password": PASSWORD});
        app.as_app(&shop, "signup", body.clone()).await;
        app.as_app(&other, "signup", body).await;
        pass(25).await;
        assert_eq!((dead(&shop).await, dead(&other).await), (0, 0), "{at}");
    }
    pass(73).await;
    assert_eq!((dead(&shop).await, dead(&other).await), (0, 2));
    app.refuse_mail(false);
    let retry = async |of: &Made| app.admin("retryMessages", json!({"appId": of.id})).await.text();
    assert_eq!(
        (retry(&shop).await, retry(&other).await),
        (r#"{"retried":0}"#.into(), r#"{"retried":2}"#.into())
    );
    assert_eq!((app.mails().await.len(), dead(&other).await), (4, 0));
}
