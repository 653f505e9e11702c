//! Text messages through Twilio's REST API (Programmable Messaging, version 2010-04-01). Of its answers only
//! its number for an error and the status are kept: texts may repeat the message.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use crate::message::{NotifyError, Sending};
use crate::sms::{Sms, SmsOrigin, SmsSender};

/// More than this of an answer is not read.
const MAX_ANSWER: usize = 16 * 1_024;
/// The longest message that the API takes, in characters.
const MAX_TEXT: usize = 1_600;

/// Sends through Twilio, each message with its application's account.
#[derive(Debug)]
pub struct TwilioSender {
    /// Made at the first message, since certificates take memory; none where the system has none to trust.
    client: OnceLock<Option<Client>>,
    url: String,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Problem {
    code: Option<u32>,
}

impl TwilioSender {
    /// A sender to the API at this address, without a slash at its end. A proxy that the environment names is used
    /// for `https` only.
    #[must_use]
    pub fn new(url: &str, timeout: Duration) -> Self {
        Self { client: OnceLock::new(), url: url.to_owned(), timeout }
    }

    fn client(&self) -> Option<&Client> {
        let made = self.client.get_or_init(|| {
            // What takes long to reach must not look as if it had been reached.
            let builder = Client::builder()
                .timeout(self.timeout)
                .connect_timeout(self.timeout / 2)
                .redirect(Policy::none());
            let is_plain = self.url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
            let builder = if is_plain { builder.no_proxy() } else { builder };
            builder.build().ok()
        });
        made.as_ref()
    }

    async fn post(&self, sms: &Sms) -> Result<(), NotifyError> {
        let text: String = sms.text.chars().take(MAX_TEXT).collect();
        let mut form = vec![("To", sms.to.as_str().to_owned()), ("Body", text)];
        form.push(match &sms.account.origin {
            SmsOrigin::Number(phone) => ("From", phone.as_str().to_owned()),
            SmsOrigin::Service(service) => ("MessagingServiceSid", service.clone()),
        });
        if let Some(valid_for) = sms.valid_for {
            form.push(("ValidityPeriod", valid_for.as_secs().clamp(1, 14_400).to_string()));
        }
        let no_client = || NotifyError::Unavailable("the system trusts no certificates".to_owned());
        let client = self.client().ok_or_else(no_client)?;
        let answer = client
            .post(format!("{}/2010-04-01/Accounts/{}/Messages.json", self.url, sms.account.sid))
            .basic_auth(&sms.account.sid, Some(sms.account.token.expose_secret()))
            .form(&form)
            .send()
            .await
            .map_err(|error| unsent(&error))?;
        if answer.status().is_success() { Ok(()) } else { Err(refusal(answer).await) }
    }
}

/// The failure of a request, without addresses. Twilio has no way to ask again whether it accepted a message.
fn unsent(error: &reqwest::Error) -> NotifyError {
    if error.is_connect() {
        NotifyError::Unavailable("Twilio cannot be reached".to_owned())
    } else if error.is_timeout() {
        NotifyError::Unanswered("Twilio did not answer in time".to_owned())
    } else {
        NotifyError::Unanswered("the connection to Twilio broke".to_owned())
    }
}

async fn refusal(mut answer: Response) -> NotifyError {
    let status = answer.status();
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > MAX_ANSWER {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let number = serde_json::from_slice::<Problem>(&body).ok().and_then(|problem| problem.code);
    let number = number.map_or_else(|| "without a number".to_owned(), |number| number.to_string());
    let text = format!("Twilio error {number} (HTTP {})", status.as_u16());
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        NotifyError::Unavailable(text)
    } else {
        NotifyError::Refused(text)
    }
}

impl SmsSender for TwilioSender {
    fn send_sms<'a>(&'a self, sms: &'a Sms) -> Sending<'a> {
        Box::pin(self.post(sms))
    }

    fn name(&self) -> &str {
        "twilio"
    }
}

#[cfg(test)]
mod tests {
    use latchkey_domain::Phone;
    use secrecy::SecretString;
    use wiremock::matchers::{basic_auth, body_string_contains, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::sms::SmsAccount;

    fn sms() -> Sms {
        Sms {
            id: "1".to_owned(),
            to: Phone::parse("+4915112345678").unwrap(),
            text: "123456 is your code for Shop & Co.".to_owned(),
            account: SmsAccount {
                sid: "AC1".to_owned(),
                token: SecretString::from("secret-canary"),
                origin: SmsOrigin::Number(Phone::parse("+12025550123").unwrap()),
            },
            valid_for: Some(Duration::from_secs(300)),
        }
    }

    async fn answered(template: ResponseTemplate) -> Result<(), NotifyError> {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(template).mount(&server).await;
        let sender = TwilioSender::new(&server.uri(), Duration::from_millis(500));
        sender.send_sms(&sms()).await
    }

    #[tokio::test]
    async fn a_message_is_posted_with_the_accounts_name_and_secret() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/2010-04-01/Accounts/AC1/Messages.json"))
            .and(basic_auth("AC1", "secret-canary"))
            .and(body_string_contains("To=%2B4915112345678"))
            .and(body_string_contains("From=%2B12025550123"))
            .and(body_string_contains("Body=123456+is+your+code+for+Shop+%26+Co."))
            .and(body_string_contains("ValidityPeriod=300"))
            .respond_with(ResponseTemplate::new(201))
            .expect(1)
            .mount(&server)
            .await;
        let sender = TwilioSender::new(&server.uri(), Duration::from_secs(5));
        sender.send_sms(&sms()).await.unwrap();
    }

    #[tokio::test]
    async fn a_messaging_service_takes_the_place_of_a_number() {
        let server = MockServer::start().await;
        Mock::given(body_string_contains("MessagingServiceSid=MG1"))
            .respond_with(ResponseTemplate::new(201))
            .expect(1)
            .mount(&server)
            .await;
        let sender = TwilioSender::new(&server.uri(), Duration::from_secs(5));
        let mut sms = sms();
        sms.account.origin = SmsOrigin::Service("MG1".to_owned());
        sender.send_sms(&sms).await.unwrap();
    }

    #[tokio::test]
    async fn sec_051_of_a_refusal_its_number_is_kept_and_nothing_else() {
        let problem = |status, code: u32| {
            let body = serde_json::json!({"code": code, "message": "text-canary to +4915112345678"});
            answered(ResponseTemplate::new(status).set_body_json(body))
        };
        for (status, code, is_final) in [
            (400, 21_211, true),
            (401, 20_003, true),
            (403, 20_403, true),
            (429, 20_429, false),
            (500, 20_500, false),
        ] {
            let error = problem(status, code).await.unwrap_err();
            assert_eq!(matches!(error, NotifyError::Refused(_)), is_final, "{status}");
            let text = error.to_string();
            assert!(text.contains(&code.to_string()) && text.contains(&status.to_string()), "{text}");
            assert!(!text.contains("canary") && !text.contains("49151"), "{text}");
        }
    }

    #[tokio::test]
    async fn whatever_else_comes_is_an_error_and_no_panic() {
        let html = ResponseTemplate::new(400).set_body_string("<html>no</html>");
        assert!(matches!(answered(html).await, Err(NotifyError::Refused(_))));
        let huge = ResponseTemplate::new(503).set_body_bytes(vec![b'x'; 2_000_000]);
        assert!(matches!(answered(huge).await, Err(NotifyError::Unavailable(_))));
        let elsewhere = ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/");
        assert!(matches!(answered(elsewhere).await, Err(NotifyError::Refused(_))));
        let slow = ResponseTemplate::new(201).set_delay(Duration::from_secs(5));
        let error = answered(slow).await.unwrap_err();
        assert_eq!(error, NotifyError::Unanswered("Twilio did not answer in time".to_owned()));
        let sender = TwilioSender::new("http://127.0.0.1:1", Duration::from_secs(5));
        assert!(matches!(sender.send_sms(&sms()).await, Err(NotifyError::Unavailable(_))));
    }
}
