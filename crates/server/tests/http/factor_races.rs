//! Many second factors at once: of 64 right ones one works, and wrong ones are counted before they are looked at.

use latchkey_test_support::TestDatabase;
use serde_json::json;
use time::Duration;

use crate::factors::{PHONE, secret_of};
use crate::harness::{Made, TestApp};

const ANA: &str = "ana@example.com";

async fn race(app: &TestApp, shop: &Made, tokens: &[String], code: &str) -> usize {
    let racers = (0..64).map(|number| {
        let body = json!({"loginToken": tokens[number % tokens.len()], "code": code});
        let source = format!("198.51.100.{}", number + 1);
        async move { app.as_app_from(&source, shop, "loginComplete", body).await }
    });
    let answers = futures_util::future::join_all(racers).await;
    for answer in &answers {
        assert!(answer.status == 200 || answer.error() == (400, 600), "{}", answer.text());
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

async fn one_of_64_right_codes_works(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let access = app.user(&shop, ANA).await;
    app.enrol_phone(&access, PHONE).await;
    let codes = app.as_user(&access, "newRecoveryCodes", json!({})).await.json();
    let recovery = codes["recoveryCodes"][3].as_str().unwrap().to_owned();
    for number_of_tokens in [1, 8] {
        app.clock.advance(Duration::minutes(2));
        let tokens = {
            let mut tokens = Vec::new();
            for _ in 0..number_of_tokens {
                tokens.push(app.login_token(&shop, ANA).await);
            }
            tokens
        };
        let code = app.code_at(PHONE).await;
        assert_eq!(race(&app, &shop, &tokens, &code).await, 1, "SMS, {number_of_tokens} log-ins");
    }
    let tokens = [app.login_token(&shop, ANA).await, app.login_token(&shop, ANA).await];
    assert_eq!(race(&app, &shop, &tokens, &recovery).await, 1, "a recovery code");
    let body = json!({"twoFactor": true, "factor": "google"});
    let answer = app.as_user(&access, "setTwoFactorGoogleVerification", body).await;
    let secret = secret_of(&answer.field("googleSecretKey"));
    for number_of_tokens in [1, 8] {
        app.clock.advance(Duration::minutes(2));
        let mut tokens = Vec::new();
        for _ in 0..number_of_tokens {
            tokens.push(app.login_token(&shop, ANA).await);
        }
        let code = app.code_now(&secret);
        assert_eq!(
            race(&app, &shop, &tokens, &code).await,
            1,
            "an authenticator, {number_of_tokens} log-ins"
        );
    }
}

#[actix_web::test]
async fn sec_040_sec_046_one_of_64_right_codes_works_on_sqlite() {
    let database = TestDatabase::sqlite();
    one_of_64_right_codes_works(TestApp::over(database.store()).await).await;
}

#[actix_web::test]
async fn sec_040_sec_046_one_of_64_right_codes_works_on_postgres() {
    let database = TestDatabase::postgres();
    one_of_64_right_codes_works(TestApp::over(database.store()).await).await;
}

/// An account of which 200 wrong codes are sent at once: no more than five are looked at.
#[actix_web::test]
async fn sec_011_wrong_codes_at_once_are_counted_before_they_are_looked_at() {
    let database = TestDatabase::postgres();
    let app = TestApp::over(database.store()).await;
    let shop = app.app_with_mode("Shop", "google").await;
    let access = app.user(&shop, ANA).await;
    let secret = app.enrol(&access).await;
    let login_token = app.login_token(&shop, ANA).await;
    let wrong = app.wrong_code(&secret);
    let guesses = (0..200).map(|number| {
        let body = json!({"loginToken": login_token, "code": wrong});
        let source = format!("198.51.100.{}", number % 250 + 1);
        let (app, shop) = (&app, &shop);
        async move { app.as_app_from(&source, shop, "loginComplete", body).await.error() }
    });
    let answers = futures_util::future::join_all(guesses).await;
    assert!(answers.iter().all(|answer| *answer == (400, 600)));
    let answer = app.complete(&shop, &login_token, app.code_now(&secret)).await;
    assert_eq!(answer.error(), (400, 600), "this log-in is over");
    // The day's twenty are not: five were counted.
    for _ in 0..3 {
        let login_token = app.login_token(&shop, ANA).await;
        for _ in 0..4 {
            app.complete(&shop, &login_token, wrong.clone()).await;
        }
    }
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.complete(&shop, &login_token, app.code_now(&secret)).await.status, 200);
}
