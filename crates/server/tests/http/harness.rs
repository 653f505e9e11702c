//! An application under test: the real routes and use cases over a given store.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::dev::{Service as _, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::from_fn;
use actix_web::test::TestRequest;
use actix_web::{App, web};
use latchkey_crypto::{Engine, HashCost, HashPool, KeyRing, MasterKey, PasswordHasher, PublicKey};
use latchkey_domain::{
    AppName, Clock as _, Handle, ManualClock, Preset, Scopes, SeededEntropy, SignupFlow, TokenName,
};
use latchkey_notifiers::{Email, MemorySender, NotifyError, Sms};
use latchkey_server::{HttpContext, Settings, edge_middleware};
use latchkey_service::operate::{NewApp, NewOperatorToken};
use latchkey_service::{ExternalServices, Operator, Service, ServiceParts};

use crate::described;
use crate::provider::FakeProvider;
use latchkey_storage::Store;
use serde_json::{Value, json};

/// The MD5 of `password123`.
pub(crate) const PASSWORD: &str = "482c811da5d5b4bc6d497ffa98491e38";
/// The MD5 of a password that nobody else uses.
pub(crate) const GOOD_PASSWORD: &str = "9cc2ae8a1ba7a93da39b46fc1019c481";
/// The MD5 of another password.
pub(crate) const OTHER_PASSWORD: &str = "5f4dcc3b5aa765d61d8327deb882cf99";

type Answering = Rc<dyn Fn(TestRequest) -> futures_util::future::LocalBoxFuture<'static, Answer>>;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status and the protocol's number.
    pub(crate) fn error(&self) -> (u16, i64) {
        let body = self.json();
        let members: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert!(members == ["code", "message"] || members == ["code", "message", "status"], "{body}");
        (self.status.as_u16(), body["code"].as_i64().unwrap())
    }

    pub(crate) fn field(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text())).to_owned()
    }
}

/// An application that was made for a test.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) token: String,
}

/// The server under test.
pub(crate) struct TestApp {
    pub(crate) store: Store,
    pub(crate) service: Service,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) server_secret: String,
    messages: Arc<MemorySender>,
    pub(crate) provider: Arc<FakeProvider>,
    answering: Answering,
}

impl TestApp {
    pub(crate) async fn over(store: Store) -> Self {
        Self::with(store, |_| {}).await
    }

    pub(crate) async fn with(store: Store, change: impl Fn(&mut Settings)) -> Self {
        Self::with_master(store, 42, change).await
    }

    /// One whose master key is made from a number.
    pub(crate) async fn with_master(store: Store, master: u64, change: impl Fn(&mut Settings)) -> Self {
        let (keys, entropy) = Self::keys_under(&store, master).await;
        Self::wired(store, (keys, master), Arc::new(ManualClock::at(1_700_000_000)), entropy, change).await
    }

    /// The keys of any server under test, and its chance.
    pub(crate) async fn keys_of(store: &Store) -> (KeyRing, Arc<SeededEntropy>) {
        Self::keys_under(store, 42).await
    }

    async fn keys_under(store: &Store, master: u64) -> (KeyRing, Arc<SeededEntropy>) {
        let (clock, entropy) = (ManualClock::at(1_700_000_000), Arc::new(SeededEntropy::new(master)));
        let master = MasterKey::generate(&*entropy).unwrap();
        (Service::open_keys(store, &master, &clock, &*entropy).await.unwrap(), entropy)
    }

    /// The same server, its keys opened from `working`, but with its database away.
    pub(crate) async fn broken(store: Store, working: &Store) -> Self {
        let (keys, entropy) = TestApp::keys_of(working).await;
        Self::wired(store, (keys, 42), Arc::new(ManualClock::at(1_700_000_000)), entropy, |_| {}).await
    }

    async fn wired(
        store: Store,
        (keys, master): (KeyRing, u64),
        clock: Arc<ManualClock>,
        entropy: Arc<SeededEntropy>,
        change: impl Fn(&mut Settings),
    ) -> Self {
        let mut settings = Settings::default();
        settings.server.public_url = "https://auth.example.com".to_owned();
        (settings.server.address, settings.server.insecure_http) = ("0.0.0.0".to_owned(), true);
        settings.keys.rsa_bits = 2_048;
        settings.limits.login_floor_ms = 0;
        settings.limits.requests_a_minute = 1_000_000;
        change(&mut settings);
        let checked = settings.check().unwrap();
        let (messages, provider) = (Arc::new(MemorySender::default()), Arc::new(FakeProvider::default()));
        let service = Service::new(ServiceParts {
            store: store.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            keys,
            master: Arc::new(move || Ok(MasterKey::generate(&SeededEntropy::new(master))?)),
            hasher: PasswordHasher::new(Engine::default(), HashCost::default()).unwrap(),
            pool: HashPool::new(2, 1_000).unwrap(),
            outside: ExternalServices {
                mail: messages.clone(),
                sms: messages.clone(),
                key_sets: provider.clone(),
            },
            settings: checked.service_settings(&settings, settings.server.public_url.clone()),
        });
        let secret = service
            .mint_operator_token(Operator::command_line(), operator_token("test", Scopes::everything()))
            .await
            .map(|minted| minted.secret)
            .unwrap_or_default();
        let context = HttpContext::new(service.clone(), clock.clone(), entropy, &settings, &checked);
        let app = actix_web::test::init_service(
            App::new()
                .wrap(from_fn(edge_middleware))
                .configure(|config| context.configure(config))
                .route("/panics", web::get().to(panics)),
        )
        .await;
        let app = Rc::new(app);
        let answering: Answering = Rc::new(move |request| {
            let app = Rc::clone(&app);
            Box::pin(async move {
                let request = request.to_request();
                let (method, path) = (request.method().to_string(), request.path().to_owned());
                let answer = match app.call(request).await {
                    Ok(response) => read(response).await,
                    Err(error) => {
                        let response = error.error_response();
                        let (status, headers) = (response.status(), response.headers().clone());
                        Answer {
                            status,
                            headers,
                            body: to_bytes(response.into_body()).await.unwrap().to_vec(),
                        }
                    }
                };
                let kind = answer.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap());
                described::check(&method, &path, answer.status, kind, &answer.body);
                answer
            })
        });
        Self { store, service, clock, server_secret: secret, messages, provider, answering }
    }

    pub(crate) fn send(&self, request: TestRequest) -> impl Future<Output = Answer> + use<> {
        let peer: SocketAddr = "192.0.2.1:4000".parse().unwrap();
        (self.answering)(request.peer_addr(peer))
    }

    pub(crate) fn send_from(&self, peer: &str, request: TestRequest) -> impl Future<Output = Answer> + use<> {
        (self.answering)(request.peer_addr(SocketAddr::new(peer.parse().unwrap(), 4_000)))
    }

    pub(crate) async fn get(&self, path: &str, header: (&str, &str)) -> Answer {
        self.send(TestRequest::get().uri(path).insert_header(header)).await
    }

    pub(crate) async fn post(&self, path: &str, header: (&str, &str), body: Value) -> Answer {
        self.send(TestRequest::post().uri(path).insert_header(header).set_json(body)).await
    }

    /// Posts to the user API with an app token.
    pub(crate) async fn as_app(&self, app: &Made, name: &str, body: Value) -> Answer {
        self.post(&format!("/api/appuser/{name}"), ("app-token", &app.token), body).await
    }

    /// The same from another address.
    pub(crate) async fn as_app_from(&self, peer: &str, app: &Made, name: &str, body: Value) -> Answer {
        let request = TestRequest::post()
            .uri(&format!("/api/appuser/{name}"))
            .insert_header(("app-token", app.token.as_str()))
            .set_json(body);
        self.send_from(peer, request).await
    }

    /// Posts to the user API with an access token.
    pub(crate) async fn as_user(&self, access: &str, name: &str, body: Value) -> Answer {
        self.post(&format!("/api/appuser/{name}"), ("access-token", access), body).await
    }

    /// A server secret with these scopes, valid for a year.
    pub(crate) async fn operator_secret(&self, name: &str, scopes: &str) -> String {
        let wanted = NewOperatorToken {
            life: time::Duration::days(365),
            ..operator_token(name, Scopes::parse(scopes).unwrap())
        };
        self.service.mint_operator_token(Operator::command_line(), wanted).await.unwrap().secret
    }

    /// Posts to the administration API.
    pub(crate) async fn admin(&self, name: &str, body: Value) -> Answer {
        self.post(&format!("/api/app/{name}"), ("server-secret", &self.server_secret), body).await
    }

    /// Changes one setting, whose field has the given name.
    pub(crate) async fn set(&self, app: &Made, setting: &str, field: &str, value: Value) {
        let body = json!({"appId": app.id, "setting": setting, field: value});
        let answer = self.admin("updateAppSetting", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// What the audit log says, oldest first: action, result and actor.
    pub(crate) async fn audit(&self, app: &Made) -> Vec<latchkey_domain::AuditEntry> {
        let id = app.id.parse().unwrap();
        let read = self.store.read("test", move |readers| readers.audit().list(id, 1_000));
        let mut entries = read.await.unwrap();
        entries.reverse();
        entries
    }

    /// The id of a user.
    pub(crate) async fn user_id(&self, app: &Made, handle: &str) -> String {
        let (id, handle) = (app.id.parse().unwrap(), Handle::from_stored(handle).unwrap());
        let find = self.store.read("test", move |readers| readers.users().find_by_handle(id, &handle));
        find.await.unwrap().unwrap().id.to_string()
    }

    /// An application with the compatible preset.
    pub(crate) async fn app(&self, name: &str) -> Made {
        let answer =
            self.post("/api/app/", ("server-secret", &self.server_secret), json!({"name": name})).await;
        Made { id: answer.field("appId"), token: answer.field("appToken") }
    }

    /// An application without a code at sign-up.
    pub(crate) async fn app_without_code(&self, name: &str, preset: Preset) -> Made {
        let name = AppName::parse(name).unwrap();
        let new = NewApp { name, preset, jwt_enabled: true, signup_flow: SignupFlow::None };
        let view = self.service.create_app(Operator::command_line(), new).await.unwrap();
        Made { id: view.app.id.to_string(), token: view.app_token }
    }

    /// Writes a user's row again, as an import could have left it.
    pub(crate) async fn replace_user(&self, user: latchkey_domain::User) {
        let written: Result<bool, latchkey_storage::StorageError> = self
            .store
            .transact("test", move |repos| {
                repos.users().remove(user.app_id, user.id)?;
                repos.users().add(&user)
            })
            .await;
        assert!(written.unwrap());
    }

    /// What time it is on the server.
    pub(crate) fn clock_now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    /// Refuses mail from now on, or takes it again.
    pub(crate) fn refuse_mail(&self, refuse: bool) {
        self.messages.fail_mail(refuse.then(|| NotifyError::Refused("refused".to_owned())));
    }

    /// The mail server is not reached from now on.
    pub(crate) fn lose_mail_server(&self) {
        self.messages.fail_mail(Some(NotifyError::Unavailable("connection refused".to_owned())));
    }

    /// Sends what is due and gives all mails so far.
    pub(crate) async fn mails(&self) -> Vec<Email> {
        self.service.send_due().await.unwrap();
        self.messages.sent()
    }

    /// Sends what is due and gives all text messages so far.
    pub(crate) async fn texts(&self) -> Vec<Sms> {
        self.service.send_due().await.unwrap();
        self.messages.sent_texts()
    }

    /// The newest code that was sent to this number.
    pub(crate) async fn code_at(&self, phone: &str) -> String {
        let texts = self.texts().await;
        let newest = texts.iter().rev().find(|text| text.to.as_str() == phone);
        newest.unwrap_or_else(|| panic!("nothing for {phone}")).text.chars().take(6).collect()
    }

    /// The newest mail with this subject.
    pub(crate) async fn mail(&self, subject: &str) -> Email {
        let mails = self.mails().await;
        let subjects: Vec<_> = mails.iter().map(|mail| mail.subject.clone()).collect();
        let found = mails.into_iter().rev().find(|mail| mail.subject == subject);
        found.unwrap_or_else(|| panic!("{subject} is not among {subjects:?}"))
    }

    /// The newest code that was mailed to this handle.
    pub(crate) async fn code_for(&self, handle: &str) -> String {
        let mails = self.mails().await;
        let mailbox = Handle::parse(handle).unwrap().mailbox().unwrap().to_owned();
        let newest = mails.iter().rev().filter(|mail| mail.to.to_string() == mailbox).find_map(|mail| {
            let (_, after) = mail.text.split_once("Your code is ")?;
            Some(after.chars().take_while(char::is_ascii_digit).collect())
        });
        newest.unwrap_or_else(|| panic!("no code for {handle}"))
    }

    /// A user who signed up with a code; gives the access token.
    pub(crate) async fn user(&self, app: &Made, handle: &str) -> String {
        let body = json!({"handle": handle, "password": PASSWORD});
        let answer = self.as_app(app, "signup", body).await;
        assert_eq!(answer.text(), "true");
        let code = self.code_for(handle).await;
        let answer = self.as_app(app, "completeSignup", json!({"handle": handle, "code": code})).await;
        answer.field("access-token")
    }

    /// A super-user token, of an administrator who is made for it.
    pub(crate) async fn super_token(&self, app: &Made, handle: &str) -> String {
        let body = json!({"appId": app.id, "handle": handle, "password": PASSWORD, "administrator": true});
        let id = self.admin("addUser", body).await.field("_id");
        let answer = self.admin("superUserToken", json!({"appId": app.id, "userId": id})).await;
        answer.field("access-token")
    }

    /// A GET of the administration API.
    pub(crate) async fn admin_get(&self, query: &str) -> Answer {
        self.get(&format!("/api/app/{query}"), ("server-secret", &self.server_secret)).await
    }

    /// The claims of a user's JWT, verified with the application's published keys.
    pub(crate) async fn claims(&self, app: &Made, jwt: &str) -> Value {
        self.claims_for(app, jwt, "none").await
    }

    pub(crate) async fn claims_for(&self, app: &Made, jwt: &str, audience: &str) -> Value {
        let discovery =
            self.send(TestRequest::get().uri(&format!("/apps/{}/.well-known/openid-configuration", app.id)));
        let issuer = discovery.await.field("issuer");
        let keys = self
            .send(TestRequest::get().uri(&format!("/apps/{}/.well-known/jwks.json", app.id)))
            .await
            .json();
        let keys: Vec<_> =
            keys["keys"].as_array().unwrap().iter().map(|key| PublicKey::from_jwk(key).unwrap()).collect();
        let claims =
            latchkey_crypto::verify_user_jwt(jwt, &keys, &issuer, audience, self.clock.now()).unwrap();
        Value::Object(claims)
    }
}

fn operator_token(name: &str, scopes: Scopes) -> NewOperatorToken {
    NewOperatorToken {
        name: TokenName::parse(name).unwrap(),
        life: time::Duration::days(90),
        scopes,
        only_app: None,
    }
}

async fn panics() -> actix_web::HttpResponse {
    panic!("canary of a panic");
}

async fn read(response: ServiceResponse) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: to_bytes(response.into_body()).await.unwrap().to_vec() }
}

/// A request of any method.
pub(crate) fn request(method: &str, path: &str) -> TestRequest {
    TestRequest::default().method(method.parse::<Method>().unwrap()).uri(path)
}
