//! What tests of second factors share: applications with one, users who enrolled it, and the codes that a
//! phone would show.

use data_encoding::BASE32_NOPAD;
use latchkey_domain::Clock as _;
use serde_json::{Value, json};
use time::OffsetDateTime;
use totp_lite::{Sha1, totp_custom};

use crate::harness::{Answer, Made, PASSWORD, TestApp};

/// A German mobile number, and the number that messages come from.
pub(crate) const PHONE: &str = "+4915112345678";
pub(crate) const OTHER_PHONE: &str = "+4915112345679";
pub(crate) const SENDER: &str = "+4930123456789";

impl TestApp {
    /// Sets the application's mode.
    pub(crate) async fn set_mode(&self, app: &Made, mode: &str) -> Answer {
        self.admin(
            "updateAppSetting",
            json!({
                "appId": app.id, "setting": "twoFactorVerification", "twoFactorVerification": mode,
                "TWILIOAccountSid": "AC0123456789", "TWILIOToken": "token-canary", "TWILIOPhoneNumber": SENDER,
            }),
        )
        .await
    }

    /// An application with this mode, in the compatible preset.
    pub(crate) async fn app_with_mode(&self, name: &str, mode: &str) -> Made {
        let app = self.app(name).await;
        let answer = self.set_mode(&app, mode).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        app
    }

    /// Logs in with the password.
    pub(crate) async fn log_in(&self, app: &Made, handle: &str) -> Answer {
        self.as_app(app, "login", json!({"handle": handle, "password": PASSWORD})).await
    }

    /// A login token: the first half of a log-in.
    pub(crate) async fn login_token(&self, app: &Made, handle: &str) -> String {
        self.log_in(app, handle).await.field("login-token")
    }

    /// The second half.
    pub(crate) async fn complete(&self, app: &Made, login_token: &str, code: impl Into<Value>) -> Answer {
        self.as_app(app, "loginComplete", json!({"loginToken": login_token, "code": code.into()})).await
    }

    /// Enrols an authenticator and gives its secret.
    pub(crate) async fn enrol(&self, access: &str) -> Vec<u8> {
        let answer = self.as_user(access, "setTwoFactorGoogleVerification", json!({"twoFactor": true})).await;
        secret_of(&answer.field("googleSecretKey"))
    }

    /// Gives a number and verifies it.
    pub(crate) async fn verify(&self, access: &str, phone: &str) {
        let answer = self.as_user(access, "setPhone", json!({ "phone": phone })).await;
        assert_eq!(answer.text(), "true");
        let code = self.code_at(phone).await;
        let answer = self.as_user(access, "verifyPhone", json!({ "code": code })).await;
        assert_eq!(answer.text(), "true");
    }

    /// Enrols a phone.
    pub(crate) async fn enrol_phone(&self, access: &str, phone: &str) {
        self.verify(access, phone).await;
        let answer = self.as_user(access, "setTwoFactorPhoneVerification", json!({"twoFactor": true})).await;
        assert_eq!(answer.text(), "true");
    }

    /// The code that an authenticator with this secret shows now.
    pub(crate) fn code_now(&self, secret: &[u8]) -> String {
        code_at(secret, self.clock.now())
    }

    /// A code that is not right around now.
    pub(crate) fn wrong_code(&self, secret: &[u8]) -> String {
        let near =
            [-30, 0, 30].map(|offset| code_at(secret, self.clock.now() + time::Duration::seconds(offset)));
        (100_000..).map(|n: u32| n.to_string()).find(|code| !near.contains(code)).unwrap()
    }

    pub(crate) async fn flags(&self, access: &str) -> (bool, bool) {
        let user = self.get("/api/appuser/getUser", ("access-token", access)).await.json();
        let flag = |name: &str| user[name].as_bool().unwrap();
        (flag("twoFactorGoogleVerification"), flag("twoFactorPhoneVerification"))
    }
}

/// The secret as an authenticator app takes it.
pub(crate) fn secret_of(shown: &str) -> Vec<u8> {
    BASE32_NOPAD.decode(shown.replace(' ', "").to_uppercase().as_bytes()).unwrap()
}

/// What an authenticator app shows at this time.
pub(crate) fn code_at(secret: &[u8], now: OffsetDateTime) -> String {
    totp_custom::<Sha1>(30, 6, secret, u64::try_from(now.unix_timestamp()).unwrap())
}
