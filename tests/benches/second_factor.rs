//! What a second factor costs: the CPU time that the server spends on a log-in with one, against a log-in without,
//! measured in turns in one run. `cargo build --release -p latchkey-server && cargo bench -p latchkey-tests`.

use data_encoding::BASE32_NOPAD;
use latchkey_tests::{Place, Server, now};
use serde_json::{Value, json};
use totp_lite::{Sha1, totp_custom};

const ROUNDS: usize = 6;
const USERS: usize = 60;
/// A second factor may cost so much of a log-in, and no more.
const MOST: f64 = 1.10;

#[tokio::main]
async fn main() {
    let place = Place::sqlite().with("LATCHKEY__LIMITS__USER_WRITES_A_MINUTE", "1000000");
    let server = place.start();
    let secret = place.printed(&["token", "server"]);
    let operator = ("server-secret", secret.as_str());
    let (_, app) = server.post("/api/app", operator, json!({"name": "Bench"})).await.expect("an application");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (id, token) = (text(&app["appId"]), text(&app["appToken"]));
    for (setting, value) in [("signupFlow", "none"), ("twoFactorVerification", "google")] {
        let body = json!({"appId": id, "setting": setting, setting: value});
        let (status, answer) =
            server.post("/api/app/updateAppSetting", operator, body).await.expect("a setting");
        assert_eq!(status, 200, "{answer}");
    }
    let (mut plain, mut both) = (0.0, 0.0);
    for round in 0..ROUNDS {
        let mut secrets = Vec::new();
        for user in 0..USERS {
            server.sign_up(&token, &format!("plain{round}.{user}@example.com")).await.expect("a sign-up");
            let handle = format!("both{round}.{user}@example.com");
            let (_, tokens) = server.sign_up(&token, &handle).await.expect("a sign-up");
            let access = text(&tokens["access-token"]);
            let route = "/api/appuser/setTwoFactorGoogleVerification";
            let enrolled = server.post(route, ("access-token", &access), json!({"twoFactor": true})).await;
            secrets.push((handle, text(&enrolled.expect("a secret").1["googleSecretKey"])));
        }
        let began = cpu(&server);
        for user in 0..USERS {
            let (_, body) =
                server.log_in(&token, &format!("plain{round}.{user}@example.com")).await.expect("a log-in");
            assert!(body["jwt"].is_string(), "{body}");
        }
        let between = cpu(&server);
        for (handle, shown) in &secrets {
            let (_, half) = server.log_in(&token, handle).await.expect("a log-in");
            let body = json!({"loginToken": half["login-token"], "code": code(shown)});
            let answer = server.post("/api/appuser/loginComplete", ("app-token", &token), body).await;
            assert!(answer.expect("its end").1["jwt"].is_string());
        }
        plain += between - began;
        both += cpu(&server) - between;
    }
    let each = |ticks: f64| ticks * 10.0 / f64::from(u32::try_from(ROUNDS * USERS).expect("few"));
    let ratio = both / plain;
    println!(
        "a log-in: {:.2} ms of CPU; with a second factor: {:.2} ms; ratio {ratio:.3}",
        each(plain),
        each(both)
    );
    assert!(ratio <= MOST, "a second factor costs more than {MOST} of a log-in without");
}

fn code(shown: &str) -> String {
    let secret = BASE32_NOPAD.decode(shown.replace(' ', "").to_uppercase().as_bytes()).expect("base32");
    totp_custom::<Sha1>(30, 6, &secret, now())
}

/// The CPU time of the server so far, in ticks of 10 ms (proc(5): `utime` and `stime`).
fn cpu(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("Linux");
    let (_, fields) = stat.rsplit_once(") ").expect("its fields");
    let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>().expect("a number"));
    ticks.sum()
}
