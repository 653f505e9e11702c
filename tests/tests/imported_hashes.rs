//! Password hashes of other systems: what they may cost, whom that keeps waiting, and whether it shows.

use std::time::Instant;

use latchkey_tests::{PASSWORD, Place, Server, app_id_in, app_token_in};
use serde_json::json;

const WRONG: &str = "f9a8ffd33895d8f1d205c38a55011f3e";

fn bcrypt(cost: u32) -> String {
    format!("$2b${cost:02}${}O{}O", "a".repeat(21), "a".repeat(30))
}

fn argon2id(memory_kib: u32, passes: u32) -> String {
    let salt_and_output = "c29tZXNhbHQxMjM0NTY3OA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    format!("$argon2id$v=19$m={memory_kib},t={passes},p=1${salt_and_output}")
}

/// A list of users, each with a password hash.
fn list(users: &[(&str, String)]) -> String {
    let rows = users.iter().map(|(name, hash)| format!("{name}@example.com,\"{hash}\"\n"));
    format!("handle,password\n{}", rows.collect::<String>())
}

fn shop(place: &Place) -> (String, String) {
    let printed = place.printed(&["app", "create", "Shop", "--compatible"]);
    (app_id_in(&printed), app_token_in(&printed))
}

async fn log_in(server: &Server, token: &str, name: &str) -> u16 {
    let body = json!({"handle": format!("{name}@example.com"), "password": WRONG});
    server.post("/api/appuser/login", ("app-token", token), body).await.unwrap().0.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_003_a_hash_that_costs_too_much_stays_behind_and_its_user_can_reset() {
    let place = Place::sqlite();
    let (app, token) = shop(&place);
    let users = [
        ("usual", bcrypt(10)),
        ("twelve", bcrypt(12)),
        ("thirteen", bcrypt(13)),
        ("heavy", argon2id(262_144, 10)),
        ("fifth", argon2id(97_280, 2)),
    ];
    let file = place.written("users.csv", &list(&users));
    let told = place.printed(&["import", "users", &app, file.to_str().unwrap()]);
    assert!(told.contains("5 users imported"), "{told}");
    for (name, is_lost) in
        [("usual", false), ("twelve", false), ("thirteen", true), ("heavy", true), ("fifth", false)]
    {
        let line = told.lines().find(|line| line.contains(&format!("{name}@example.com")));
        assert_eq!(
            line.is_some_and(|line| line.contains("must reset the password")),
            is_lost,
            "{name}: {told}"
        );
    }
    let exported = place.printed(&["export", "users", &app]);
    assert!(exported.contains("$2b$12$") && !exported.contains("$2b$13$") && !exported.contains("262144"));
    let server = place.start();
    let handle = "heavy@example.com";
    let header = ("app-token", token.as_str());
    assert_eq!(log_in(&server, &token, "heavy").await, 400);
    server.post("/api/appuser/forgotPassword", header, json!({"handle": handle})).await.unwrap();
    let code = server.code_for(handle).await;
    let body = json!({"handle": handle, "password": PASSWORD, "code": code});
    assert_eq!(server.post("/api/appuser/resetPassword", header, body).await.unwrap().0, 200);
    assert_eq!(server.log_in(&token, handle).await.unwrap().0, 200);
}

/// How probable it is that two samples come from one distribution (Mann and Whitney, normal approximation, two-sided).
fn probability_of_one_source(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|x| (*x, true)).collect();
    all.extend(other.iter().map(|x| (*x, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let ranks: f64 =
        (1_u32..).zip(&all).filter(|(_, (_, is_one))| *is_one).map(|(rank, _)| f64::from(rank)).sum();
    let (n, m) = (one.len() as f64, other.len() as f64);
    let u = ranks - n * (n + 1.0) / 2.0;
    let z = (u - n * m / 2.0).abs() / (n * m * (n + m + 1.0) / 12.0).sqrt();
    // The tail of the normal distribution (Abramowitz and Stegun 26.2.17).
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    2.0 * poly * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn the_rank_test_tells_shifted_samples_from_equal_ones() {
    let sample = |shift: f64| (0..40).map(|n| shift + f64::from(n * 7 % 40)).collect::<Vec<_>>();
    assert!(probability_of_one_source(&sample(0.0), &sample(0.5)) > 0.5);
    assert!(probability_of_one_source(&sample(0.0), &sample(20.0)) < 0.001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_021_an_imported_hash_does_not_show_in_the_time_of_a_refusal() {
    // The machine may be busy with other tests: what is measured is that the floor covers all classes alike.
    let place = Place::sqlite().with("LATCHKEY__LIMITS__LOGIN_FLOOR_MS", "1500");
    let (app, token) = shop(&place);
    let users = [("ana", argon2id(19_456, 2)), ("twelve", bcrypt(12)), ("fifth", argon2id(97_280, 2))];
    let file = place.written("users.csv", &list(&users));
    let _ = place.printed(&["import", "users", &app, file.to_str().unwrap()]);
    let server = place.start();
    let names = ["nobody", "ana", "twelve", "fifth"];
    let mut times = vec![Vec::new(); names.len()];
    for round in 0..14 {
        // Side by side, so that what else the machine does meets all of them, and in turning order.
        let asked = (0..names.len()).map(|at| (at + round) % names.len()).map(|at| {
            let (server, token) = (&server, &token);
            async move {
                let began = Instant::now();
                assert_eq!(log_in(server, token, names[at]).await, 400);
                (at, began.elapsed().as_secs_f64())
            }
        });
        for (at, took) in futures_util::future::join_all(asked).await {
            times[at].push(took);
        }
    }
    for (name, sample) in names.iter().zip(&times).skip(1) {
        let probability = probability_of_one_source(&times[0], sample);
        assert!(probability > 0.001, "{name}: {probability}: {sample:?} beside {:?}", times[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_021_a_wrong_code_tells_nobody_whom_it_is_for() {
    for place in [Place::sqlite(), Place::postgres()] {
        let place = place.with("LATCHKEY__LIMITS__LOGIN_FLOOR_MS", "400");
        let token = app_token_in(&place.printed(&["app", "create", "Shop", "--compatible"]));
        let secret = place.printed(&["token", "server"]);
        let server = place.start();
        let (header, operator) = (("app-token", token.as_str()), ("server-secret", secret.as_str()));
        let app = server.get("/api/app/allApps", operator).await.unwrap().1[0]["appId"].clone();
        let neutral = json!({"appId": app, "setting": "neutralAnswers", "neutralAnswers": true});
        assert_eq!(server.post("/api/app/updateAppSetting", operator, neutral).await.unwrap().0, 200);
        for name in ["pending", "ana"] {
            server.sign_up(&token, &format!("{name}@example.com")).await.unwrap();
        }
        let code = server.code_for("ana@example.com").await;
        let body = json!({"handle": "ana@example.com", "code": code});
        assert_eq!(server.post("/api/appuser/completeSignup", header, body).await.unwrap().0, 200);
        let forgot = json!({"handle": "ana@example.com"});
        assert_eq!(server.post("/api/appuser/forgotPassword", header, forgot).await.unwrap().0, 200);
        for (path, known) in [("resetPassword", "ana"), ("completeSignup", "pending")] {
            let mut times = [Vec::new(), Vec::new()];
            for round in 0..14 {
                let asked = [round % 2, (round + 1) % 2].map(|at| {
                    let handle = format!("{}@example.com", [known, "nobody"][at]);
                    let body = json!({"handle": handle, "password": PASSWORD, "code": "000000"});
                    let server = &server;
                    async move {
                        let began = Instant::now();
                        let answer =
                            server.post(&format!("/api/appuser/{path}"), header, body).await.unwrap();
                        assert_eq!((answer.0.as_u16(), &answer.1["code"]), (400, &json!(602)));
                        (at, began.elapsed().as_secs_f64())
                    }
                });
                for (at, took) in futures_util::future::join_all(asked).await {
                    times[at].push(took);
                }
            }
            assert!(
                times.iter().flatten().all(|took| *took >= 0.4),
                "{path}: nothing is told before the floor"
            );
            let probability = probability_of_one_source(&times[0], &times[1]);
            assert!(probability > 0.001, "{path}: {probability}: {times:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_021_the_floor_is_above_the_costliest_hash_that_may_be_stored() {
    let place = Place::sqlite().with("LATCHKEY__LIMITS__LOGIN_FLOOR_MS", "1");
    let (app, token) = shop(&place);
    let file = place.written("users.csv", &list(&[("twelve", bcrypt(12))]));
    let _ = place.printed(&["import", "users", &app, file.to_str().unwrap()]);
    let server = place.start();
    let fastest = async |name: &str| {
        let mut fastest = f64::MAX;
        for _ in 0..8 {
            let began = Instant::now();
            log_in(&server, &token, name).await;
            fastest = fastest.min(began.elapsed().as_secs_f64());
        }
        fastest
    };
    // The first log-ins may come before the floor was measured.
    for _ in 0..200 {
        if fastest("first").await > 0.1 {
            break;
        }
    }
    let (nobody, twelve) = (fastest("nobody").await, fastest("twelve").await);
    assert!(nobody > 0.8 * twelve, "{nobody} s for nobody, {twelve} s for an imported hash");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_090_costly_hashes_of_one_application_keep_no_other_out() {
    let place = Place::sqlite()
        .with("LATCHKEY__HASH__THREADS", "1")
        .with("LATCHKEY__HASH__QUEUE", "12")
        .with("LATCHKEY__LIMITS__LOGIN_FLOOR_MS", "0");
    let (app, token) = shop(&place);
    let other = app_token_in(&place.printed(&["app", "create", "Other", "--signup-flow", "none"]));
    let users: Vec<(String, String)> = (0..80).map(|n| (format!("u{n}"), bcrypt(12))).collect();
    let rows: Vec<(&str, String)> = users.iter().map(|(name, hash)| (name.as_str(), hash.clone())).collect();
    let file = place.written("users.csv", &list(&rows));
    let _ = place.printed(&["import", "users", &app, file.to_str().unwrap()]);
    let server = place.start();
    server.sign_up(&other, "ana@example.com").await.unwrap();
    let flood = futures_util::future::join_all(users.iter().map(|(name, _)| log_in(&server, &token, name)));
    let others = async {
        let mut answers = Vec::new();
        for _ in 0..10 {
            answers.push(server.log_in(&other, "ana@example.com").await.unwrap().0.as_u16());
        }
        answers
    };
    let (flood, others) = futures_util::future::join(flood, others).await;
    assert_eq!(others, [200; 10], "nobody else's log-in is refused");
    assert!(flood.contains(&503), "the flood is: {flood:?}");
}
