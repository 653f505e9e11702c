//! What the pages of the portal show, and to whom.

use actix_web::http::header;
use actix_web::test::TestRequest;
use latchkey_domain::{AppId, DeveloperRole};
use latchkey_portal::Access;

use super::{Browser, PASSWORD, change, location, path_of};
use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(
    sec_010_passwords_can_be_pasted_managed_and_shown,
    sec_074_every_page_has_the_policy,
    sec_076_what_developers_type_is_shown_as_text,
    who_reaches_what_is_as_the_table_says,
    a_developer_sees_their_own_applications_only,
    a_newcomer_needs_five_submissions,
);

async fn sec_074_every_page_has_the_policy(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("Shop").await;
    let mut nobody = Browser::new(&app);
    let mut answers = vec![dana.get("/nowhere").await, dana.get("/apps/nowhere").await];
    for route in latchkey_portal::table() {
        if route.path.starts_with("/static") {
            continue;
        }
        let path = path_of(&route, &id, &"0".repeat(32));
        for browser in [&mut dana, &mut nobody] {
            let (method, wrong) = (route.method, [("email", "x")]);
            answers.push(if method == "GET" {
                browser.get(&path).await
            } else {
                browser.post(&path, &wrong).await
            });
        }
        dana.sign_in(PASSWORD).await;
    }
    for answer in answers {
        let of = |name: &str| {
            answer.headers.get(name).unwrap_or_else(|| panic!("{name}: {}", answer.text())).to_str().unwrap()
        };
        let policy = of("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{part} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!((of("x-content-type-options"), of("referrer-policy")), ("nosniff", "same-origin"));
        assert_eq!(
            (of("cross-origin-opener-policy"), of("cross-origin-resource-policy")),
            ("same-origin", "same-origin")
        );
        assert_eq!((of("cache-control"), of("strict-transport-security")), ("no-store", "max-age=31536000"));
        let html = answer.text();
        assert!(
            !html.contains(" style=") && !html.contains("<style") && !html.contains(" onclick"),
            "{html}"
        );
    }
}

async fn sec_010_passwords_can_be_pasted_managed_and_shown(app: TestApp) {
    let mut dana = Browser::new(&app);
    let link = app.service.new_setup_link().await.unwrap().unwrap().reveal();
    dana.get(&format!("/setup/{link}")).await;
    for (path, autocomplete) in [("/setup", "new-password"), ("/sign-in", "current-password")] {
        let html = dana.get(path).await.text();
        let input = html.split("<input ").find(|input| input.contains("type=\"password\"")).unwrap();
        let (input, _) = input.split_once('>').unwrap();
        assert!(input.contains(&format!("autocomplete=\"{autocomplete}\"")), "{path}: {input}");
        assert!(!input.contains("maxlength") && !html.contains("onpaste"), "{path}: {input}");
        assert!(html.contains("data-show=\"password\""), "{path} shows it on demand");
    }
}

async fn sec_076_what_developers_type_is_shown_as_text(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    for typed in [
        "<script>alert(1)</script>".to_owned(),
        "\"><img src=x onerror=alert(1)>".to_owned(),
        "\u{202e}gnp.exe".to_owned(),
        "a\0b".to_owned(),
        "x".repeat(10_000),
    ] {
        dana.get("/apps/new").await;
        let answer = dana.post("/apps/new", &[("name", &typed)]).await;
        let html = match answer.status.as_u16() {
            303 => dana.get("/apps").await.text(),
            422 => answer.text(),
            other => panic!("{other} for {typed:?}"),
        };
        assert!(!html.contains("<script>") && !html.contains("<img"), "{html}");
    }
}

async fn who_reaches_what_is_as_the_table_says(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let own = dana.make_app("Shop").await;
    // Made over the REST API, so that administrators alone manage it.
    let others = app.app("Theirs").await.id;
    let (own_user, others_user) = (dana.add_user(&own, "ana").await, dana.add_user(&others, "bob").await);
    let mut seen = Vec::new();
    for who in ["nobody", "other developer", "owner", "administrator"] {
        let (role, id, user) = match who {
            "other developer" => (DeveloperRole::Developer, &others, &others_user),
            "owner" => (DeveloperRole::Developer, &own, &own_user),
            _ => (DeveloperRole::Administrator, &others, &others_user),
        };
        change(&app, move |developer| developer.role = role).await;
        for route in latchkey_portal::table().into_iter().filter(|route| route.access != Access::Anyone) {
            let mut browser = Browser::new(&app);
            if who == "nobody" {
                browser.get("/sign-in").await;
            } else {
                browser.sign_in(PASSWORD).await;
                browser.get("/apps/new").await;
            }
            let path = path_of(&route, id, user);
            let answer = match route.method {
                "GET" => browser.get(&path).await,
                _ => browser.post(&path, &[("name", "")]).await,
            };
            let expected: &[u16] = match (who, route.access) {
                ("nobody", _) => &[303],
                ("other developer", Access::Owner) => &[404],
                // There is no such message, so that it cannot be tried again.
                _ if route.path.contains("{message}") => &[422],
                ("administrator", _)
                    if ["{signup}", "{invite}", "{mail}"].iter().any(|id| route.path.contains(id)) =>
                {
                    &[404]
                }
                ("owner", _) if ["{signup}", "{invite}"].iter().any(|id| route.path.contains(id)) => &[404],
                ("other developer" | "owner", Access::Administrator) => &[404],
                // A form without what stood in it is out of date.
                _ if route.path.contains("{card}") => &[409],
                _ => &[200, 303, 422],
            };
            assert!(expected.contains(&answer.status.as_u16()), "{who} {path}: {}", answer.status);
            let is_sent_away = answer
                .headers
                .get(header::LOCATION)
                .is_some_and(|to| to.to_str().unwrap().starts_with("/portal/sign-in?next"));
            assert_eq!(is_sent_away, who == "nobody", "{who} {path}");
            seen.push(route.path);
        }
    }
    assert!(seen.len() > 20);
}

async fn a_developer_sees_their_own_applications_only(app: TestApp) {
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let own = dana.make_app("Shop").await;
    let others = app.app("Theirs").await.id;
    let list = dana.get("/apps").await.text();
    assert!(list.contains(&own) && list.contains(&others), "an administrator sees all");
    change(&app, |developer| developer.role = DeveloperRole::Developer).await;
    let list = dana.get("/apps").await.text();
    assert!(list.contains(&own) && !list.contains(&others));
    dana.get("/apps/new").await;
    let taken = dana.post("/apps/new", &[("name", "Shop")]).await;
    assert!(taken.text().contains("You already have an application called Shop."));
    assert_eq!(dana.post("/apps/new", &[("name", "Theirs")]).await.status, 303, "names are the owner's");
    let owned: AppId = own.parse().unwrap();
    let found = app.store.read("test", move |readers| readers.apps().find(owned)).await.unwrap().unwrap();
    assert!(matches!(found.owner, latchkey_domain::Owner::Developer(_)));
}

async fn a_newcomer_needs_five_submissions(app: TestApp) {
    let start = app.send(TestRequest::get().uri("/").insert_header((header::ACCEPT, "text/html"))).await;
    assert_eq!(location(&start), "/portal");
    let mut dana = Browser::new(&app);
    dana.set_up().await;
    let id = dana.make_app("My application").await;
    let overview = dana.get(&format!("/apps/{id}")).await.text();
    assert!(overview.contains("Create your first user") && overview.contains("first.user@example.test"));
    let user = [("handle", "first.user@example.test"), ("password", "Try-0123456789ab!")];
    let mailed = dana.post(&format!("/apps/{id}/try/sign-up"), &user).await;
    assert_eq!(mailed.status, 200, "{}", mailed.text());
    let code = app.code_for("first.user@example.test").await;
    let with = |code: &'static str| [user[0], user[1], ("code", code)];
    let wrong = dana.post(&format!("/apps/{id}/try/confirm"), &with("000000")).await;
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.text().contains("&quot;code&quot;:602") || wrong.text().contains("&#34;code&#34;:602"),
        "{}",
        wrong.text()
    );
    let fields = [user[0], user[1], ("code", code.as_str())];
    let confirmed = dana.post(&format!("/apps/{id}/try/confirm"), &fields).await;
    assert!(confirmed.text().contains("The account exists"), "{}", confirmed.text());
    let done = dana.post(&format!("/apps/{id}/try/log-in"), &user).await;
    let html = done.text();
    assert!(html.contains("Signature verified with key") && html.contains("the subject: the user"), "{html}");
    let overview = dana.get(&format!("/apps/{id}")).await.text();
    assert!(overview.contains("Latest calls") && !overview.contains("Create your first user"));
}
