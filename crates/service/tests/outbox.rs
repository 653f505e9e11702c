//! The outbox worker: what is tried again, what is given up, and that many workers send each message once.

#![expect(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use latchkey_crypto::{Engine, HashCost, HashPool, MasterKey, PasswordHasher, RsaSize};
use latchkey_domain::{AppName, Handle, ManualClock, Preset, SeededEntropy, SignupFlow, Source};
use latchkey_notifiers::{Email, EmailSender, MailAddress, MemorySender, NotifyError, Sending};
use latchkey_service::account::{Fetching, KeySetSource, NewPassword, SignUp};
use latchkey_service::notify::MailIdentity;
use latchkey_service::operate::NewApp;
use latchkey_service::{ExternalServices, Service, ServiceParts, ServiceSettings};
use latchkey_test_support::TestDatabase;
use time::Duration;

mockall::mock! {
    /// What a sender answers; `None` never comes.
    Answers {
        fn next(&self) -> Option<Result<(), NotifyError>>;
    }
}

impl EmailSender for MockAnswers {
    fn send<'a>(&'a self, _: &'a Email) -> Sending<'a> {
        match self.next() {
            Some(answer) => Box::pin(async move { answer }),
            None => Box::pin(std::future::pending()),
        }
    }

    fn name(&self) -> &str {
        "mock"
    }
}

/// A sender that is replaced while the server runs.
struct Switch(Mutex<Arc<dyn EmailSender>>);

impl EmailSender for Switch {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        let sender = self.0.lock().unwrap().clone();
        Box::pin(async move { sender.send(email).await })
    }

    fn name(&self) -> &str {
        "switch"
    }
}

/// Nobody signs in with another service here.
struct NoKeySets;

impl KeySetSource for NoKeySets {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        Box::pin(async { Err("there is none".to_owned()) })
    }
}

struct Server {
    service: Service,
    clock: Arc<ManualClock>,
    switch: Arc<Switch>,
    _database: TestDatabase,
}

impl Server {
    /// A server on which `mails` people have just signed up: as many welcomes wait.
    async fn with_mails(mails: usize) -> Self {
        let database = TestDatabase::sqlite();
        let clock = Arc::new(ManualClock::at(1_700_000_000));
        let switch = Arc::new(Switch(Mutex::new(Arc::new(MemorySender::default()))));
        let service = service(&database, &clock, switch.clone()).await;
        let name = AppName::parse("Shop").unwrap();
        let new =
            NewApp { name, preset: Preset::Compatible, jwt_enabled: true, signup_flow: SignupFlow::None };
        let app = service.create_app(latchkey_service::Operator::command_line(), new).await.unwrap();
        for number in 0..mails {
            let source = Source::at("192.0.2.1".parse().unwrap());
            let call = service.client(&app.app_token, source).unwrap();
            let request = SignUp {
                handle: Handle::parse(&format!("u{number}@example.com")).unwrap(),
                password: NewPassword::parse(None, Some("correct horse")).unwrap(),
                metadata: None,
                locale: None,
            };
            service.sign_up(call, request).await.unwrap();
        }
        Self { service, clock, switch, _database: database }
    }

    async fn send_with(&self, sender: MockAnswers) -> usize {
        *self.switch.0.lock().unwrap() = Arc::new(sender);
        self.service.send_due().await.unwrap()
    }
}

async fn service(database: &TestDatabase, clock: &Arc<ManualClock>, mail: Arc<dyn EmailSender>) -> Service {
    let from = MailAddress::parse("a@example.com").unwrap();
    let identity = MailIdentity { from, host: "h".to_owned(), utf8: false };
    let mut settings = ServiceSettings::new("https://auth.example.com".to_owned(), identity);
    settings.outbox.retry_for = Duration::seconds(15);
    settings.outbox.send_timeout = Duration::milliseconds(50);
    settings.key_size = RsaSize::Rsa2048;
    let (store, entropy) = (database.store(), Arc::new(SeededEntropy::new(42)));
    let master = MasterKey::generate(&*entropy).unwrap();
    let keys = Service::open_keys(&store, &master, &**clock, &*entropy).await.unwrap();
    Service::new(ServiceParts {
        store,
        clock: Arc::clone(clock) as _,
        entropy,
        keys,
        master: Arc::new(|| Ok(MasterKey::generate(&SeededEntropy::new(42))?)),
        hasher: PasswordHasher::new(Engine::default(), HashCost::default()).unwrap(),
        pool: HashPool::new(2, 100).unwrap(),
        outside: ExternalServices {
            mail,
            sms: Arc::new(MemorySender::default()),
            key_sets: Arc::new(NoKeySets),
        },
        settings,
    })
}

fn answering(answer: Result<(), NotifyError>, times: usize) -> MockAnswers {
    scripted(Some(answer), times)
}

fn scripted(answer: Option<Result<(), NotifyError>>, times: usize) -> MockAnswers {
    let mut sender = MockAnswers::new();
    sender.expect_next().times(times).returning(move || answer.clone());
    sender
}

fn not_now() -> Result<(), NotifyError> {
    Err(NotifyError::Unavailable("450 busy".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_message_is_tried_again_after_its_wait_and_given_up_after_its_time() {
    let server = Server::with_mails(1).await;
    assert_eq!(server.send_with(answering(not_now(), 1)).await, 0);
    assert_eq!(server.send_with(answering(not_now(), 0)).await, 0, "it waits");
    server.clock.advance(Duration::seconds(5));
    assert_eq!(server.send_with(answering(not_now(), 1)).await, 0);
    server.clock.advance(Duration::seconds(10));
    assert_eq!(server.send_with(answering(not_now(), 1)).await, 0);
    server.clock.advance(Duration::days(1));
    assert_eq!(server.send_with(answering(Ok(()), 0)).await, 0, "it was given up after 15 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_fails_once_arrives() {
    let server = Server::with_mails(1).await;
    assert_eq!(server.send_with(answering(not_now(), 1)).await, 0);
    server.clock.advance(Duration::seconds(5));
    assert_eq!(server.send_with(answering(Ok(()), 1)).await, 1);
    server.clock.advance(Duration::days(1));
    assert_eq!(server.send_with(answering(Ok(()), 0)).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_message_is_given_up_at_once() {
    let server = Server::with_mails(1).await;
    let refused = Err(NotifyError::Refused("550 no such user".to_owned()));
    assert_eq!(server.send_with(answering(refused, 1)).await, 0);
    server.clock.advance(Duration::days(1));
    assert_eq!(server.send_with(answering(Ok(()), 0)).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_that_stalls_is_left_and_the_message_tried_again() {
    let server = Server::with_mails(1).await;
    assert_eq!(server.send_with(scripted(None, 1)).await, 0);
    server.clock.advance(Duration::seconds(5));
    assert_eq!(server.send_with(answering(Ok(()), 1)).await, 1);
}

/// A sender that lets others run between taking a message and answering.
#[derive(Default)]
struct Slow {
    memory: MemorySender,
    at_once: AtomicUsize,
}

impl EmailSender for Slow {
    fn send<'a>(&'a self, email: &'a Email) -> Sending<'a> {
        Box::pin(async move {
            self.at_once.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            self.memory.send(email).await
        })
    }

    fn name(&self) -> &str {
        "slow"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_workers_send_each_message_once() {
    let server = Server::with_mails(40).await;
    let slow = Arc::new(Slow::default());
    *server.switch.0.lock().unwrap() = slow.clone();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let service = server.service.clone();
            tokio::spawn(async move { service.send_due().await.unwrap() })
        })
        .collect();
    let mut sent = 0;
    for worker in workers {
        sent += worker.await.unwrap();
    }
    let mut ids: Vec<String> = slow.memory.sent().into_iter().map(|email| email.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((sent, ids.len(), slow.at_once.load(Ordering::SeqCst)), (40, 40, 40));
}
