//! The portal over its real routes, as a browser uses it.

mod apps;
mod pages;
mod people;
mod sessions;

use actix_web::http::header;
use actix_web::test::TestRequest;
use latchkey_domain::{Developer, portal_address};
use latchkey_portal::{PATH, RouteInfo};

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

    /// The id of a new user.
    async fn add_user(&mut self, app: &str, handle: &str) -> String {
        self.get(&format!("/apps/{app}/users/new")).await;
        let added =
            self.post(&format!("/apps/{app}/users/new"), &[("handle", handle), ("password", PASSWORD)]).await;
        assert_eq!(location(&added), format!("/portal/apps/{app}/users?done=added"), "{}", added.text());
        let list = self.get(&format!("/apps/{app}/users?q={handle}")).await.text();
        let (_, rest) = list.split_once(&format!("/apps/{app}/users/new")).unwrap();
        let (_, rest) = rest.split_once(&format!("href=\"/portal/apps/{app}/users/")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    /// A form as it stands in the last page of a path, with these fields changed.
    async fn fill(&mut self, page: &str, card: &str, changed: &[(&str, &str)]) -> Vec<(String, String)> {
        let html = self.get(page).await.text();
        let form = html.split("<form ").find(|form| form.contains(&format!("{card}\""))).unwrap();
        let mut fields: Vec<(String, String)> = Vec::new();
        for control in form.split('<').filter(|tag| tag.starts_with("input ") || tag.starts_with("option ")) {
            let of = |name: &str| {
                let (_, rest) = control.split_once(&format!(" {name}=\""))?;
                Some(rest.split('"').next().unwrap().to_owned())
            };
            let is_off = control.contains("checkbox") && !control.contains(" checked");
            if let (Some(name), Some(value), false) = (of("name"), of("value"), is_off) {
                fields.push((name, value));
            }
        }
        for select in form.split("<select ").skip(1) {
            let name = select.split("name=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
            let chosen = select.split("<option ").find(|option| option.contains(" selected")).unwrap();
            fields.push((name, chosen.split('"').nth(1).unwrap().to_owned()));
        }
        for (name, value) in changed {
            fields.retain(|(field, _)| field != name);
            if !value.is_empty() {
                fields.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        fields.retain(|(field, _)| field != "form_token");
        fields
    }

    async fn submit(&mut self, path: &str, fields: &[(String, String)]) -> Answer {
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(path, &fields).await
    }
}

/// The path of a route, for one application and one of its users.
fn path_of(route: &RouteInfo, app: &str, user: &str) -> String {
    let act = if route.path.contains("/keys/") { "rotate" } else { "sign-out" };
    let named = [("{app}", app), ("{user}", user), ("{act}", act), ("{card}", "signup")];
    let path = named.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value));
    let path = path.replace("{token}", &"0".repeat(64));
    ["{message}", "{signup}", "{invite}", "{mail}"]
        .iter()
        .fold(path, |path, id| path.replace(id, &"0".repeat(32)))
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
