//! The portal over its real routes, as a browser uses it.

mod pages;
mod sessions;

use actix_web::http::header;
use actix_web::test::TestRequest;
use latchkey_domain::{Developer, portal_address};
use latchkey_portal::PATH;

use crate::harness::{Answer, TestApp};

const EMAIL: &str = "dana@example.com";
const PASSWORD: &str = "correct horse battery";
const ORIGIN: &str = "https://auth.example.com";
const COOKIE: &str = "__Host-latchkey";

/// A browser: it keeps its cookie, and sends the hidden fields of the last page with a form.
struct Browser<'a> {
    app: &'a TestApp,
    cookie: String,
    token: String,
    origin: Option<&'static str>,
}

impl<'a> Browser<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self { app, cookie: String::new(), token: String::new(), origin: Some(ORIGIN) }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(TestRequest::get().uri(&format!("{PATH}{path}"))).await
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("form_token", &self.token).extend_pairs(fields);
        let request = TestRequest::post()
            .uri(&format!("{PATH}{path}"))
            .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
            .set_payload(body.finish());
        self.send(request).await
    }

    async fn send(&mut self, mut request: TestRequest) -> Answer {
        if !self.cookie.is_empty() {
            request = request.insert_header((header::COOKIE, format!("{COOKIE}={}", self.cookie)));
        }
        if let Some(origin) = self.origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        let answer = self.app.send(request).await;
        if let Some(cookie) = set_cookie(&answer) {
            self.cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
        }
        if let Some((_, rest)) = answer.text().split_once("name=\"form_token\" value=\"") {
            self.token = rest.split('"').next().unwrap().to_owned();
        }
        answer
    }

    /// The set-up, as a newcomer goes through it.
    async fn set_up(&mut self) {
        let link = self.app.service.new_setup_link().await.unwrap().unwrap().reveal();
        assert_eq!(location(&self.get(&format!("/setup/{link}")).await), "/portal/setup");
        assert_eq!(self.get("/setup").await.status, 200);
        let made = self.post("/setup", &[("email", EMAIL), ("password", PASSWORD)]).await;
        assert_eq!(location(&made), "/portal/apps/new?done=welcome", "{}", made.text());
        assert_eq!(self.get("/apps/new").await.status, 200);
    }

    async fn sign_in(&mut self, password: &str) -> Answer {
        self.get("/sign-in").await;
        self.post("/sign-in", &[("email", EMAIL), ("password", password)]).await
    }

    /// The id of a new application.
    async fn make_app(&mut self, name: &str) -> String {
        self.get("/apps/new").await;
        let made = self.post("/apps/new", &[("name", name)]).await;
        let path = location(&made);
        path.split(['/', '?']).nth(3).unwrap().to_owned()
    }
}

fn set_cookie(answer: &Answer) -> Option<String> {
    Some(answer.headers.get(header::SET_COOKIE)?.to_str().unwrap().to_owned())
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.headers.get(header::LOCATION).unwrap().to_str().unwrap().to_owned()
}

/// Changes the one account.
async fn change(app: &TestApp, change: impl Fn(&mut Developer) + Send + 'static) {
    let changed = app.store.transact("test", move |repos| {
        let portal = repos.portal();
        let mut developer = portal.find_by_email(portal_address(EMAIL).unwrap().key())?.unwrap();
        let revision = developer.revision;
        change(&mut developer);
        developer.revision += 1;
        portal.update_developer(&developer, revision)
    });
    assert!(changed.await.unwrap());
}
