//! Try it: a test user signs up, confirms and logs in, by the use cases of the REST API; at the end stands the decoded
//! and verified token.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use latchkey_crypto::{client_password, verify_user_jwt};
use latchkey_domain::{Code, Handle, RawPassword};
use latchkey_notifiers::CaughtMail;
use latchkey_service::account::{
    CompleteSignUp, LogIn, LoggedIn, LoginName, NewPassword, PressLink, SignUp, SignedUp,
};
use latchkey_service::{AppOrUser, Call, ServiceError, Tokens};
use serde_json::{Value, json};

use crate::answer::{Answer, Failure, ok, page};
use crate::form::Form;
use crate::parts::{Field, Frame};
use crate::session::Owned;
use crate::site::Site;
use crate::token_view::{TokenView, keys_of};

/// The address that is filled in. Its domain belongs to nobody (RFC 2606 section 2).
const FIRST_USER: &str = "first.user@example.test";
/// How often the page looks for the mail of a sign-up: for five seconds.
const MOST_LOOKS: usize = 100;
const LOOKS_EVERY: Duration = Duration::from_millis(50);

/// A call of the REST API, as it would go over the wire.
pub(crate) struct Exchange {
    pub(crate) path: &'static str,
    pub(crate) body: String,
    pub(crate) status: u16,
    pub(crate) answer: String,
}

/// What a step shows of the step before, if it failed.
pub(crate) struct Refused {
    pub(crate) exchange: Exchange,
}

/// The first step.
pub(crate) struct SignUpForm {
    pub(crate) action: String,
    pub(crate) form_token: String,
    pub(crate) handle: Field,
    pub(crate) password: Field,
    pub(crate) refused: Option<Refused>,
}

#[derive(Template)]
#[template(path = "pages/try_sign_up.html")]
struct SignUpPage {
    frame: Frame,
    form: SignUpForm,
}

/// The second step: the mail, and its code.
#[derive(Template)]
#[template(path = "pages/try_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    app_id: String,
    handle: String,
    password: String,
    mail: Option<CaughtMail>,
    code: Field,
    exchange: Exchange,
}

/// The third step: the user exists.
#[derive(Template)]
#[template(path = "pages/try_log_in.html")]
struct LogInPage {
    frame: Frame,
    app_id: String,
    handle: String,
    password: String,
    exchange: Exchange,
}

/// The end: the token.
#[derive(Template)]
#[template(path = "pages/try_token.html")]
struct TokenPage {
    frame: Frame,
    app_id: String,
    exchange: Exchange,
    token: TokenView,
    /// Why it does not verify; none when it does.
    problem: Option<String>,
    jwks: String,
}

/// `GET /apps/{app}/try`.
pub(crate) async fn show(site: Data<Site>, owned: Owned) -> Answer {
    let form = sign_up_form(&site, &owned)?;
    ok(&site, &SignUpPage { frame: frame(&site, &owned)?, form })
}

fn frame(site: &Site, owned: &Owned) -> Result<Frame, Failure> {
    Frame::app(site, owned, "try", "Try it")
}

/// The first step's form, filled in.
pub(crate) fn sign_up_form(site: &Site, owned: &Owned) -> Result<SignUpForm, Failure> {
    // Long enough for every filter, and nobody's.
    let secret = site.service.new_visitor()?.reveal();
    let password = format!("Try-{}!", secret.get(..12).unwrap_or_default());
    form_with(site, owned, FIRST_USER, &password, None)
}

fn form_with(
    site: &Site,
    owned: &Owned,
    handle: &str,
    password: &str,
    refused: Option<Refused>,
) -> Result<SignUpForm, Failure> {
    Ok(SignUpForm {
        action: site.to(&format!("/apps/{}/try/sign-up", owned.app.app.id)),
        form_token: site.service.form_token(&owned.member.cookie)?,
        handle: Field::text("handle", "Address of the test user", handle),
        password: Field::text("password", "Password", password)
            .hint("Shown here because it is a test user's."),
        refused,
    })
}

fn refusal_of(site: &Site, path: &'static str, body: &Value, error: ServiceError) -> Refused {
    let (status, answer) = (site.wire)(error);
    Refused { exchange: Exchange { path, body: pretty(body), status, answer } }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn tokens_of(tokens: &Tokens) -> String {
    pretty(&json!({"jwt": tokens.jwt, "access-token": tokens.access_token}))
}

/// `POST /apps/{app}/try/sign-up`.
pub(crate) async fn sign_up(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    const PATH: &str = "/api/appuser/signup";
    let (handle, password) = (form.text("handle").trim().to_owned(), form.text("password").to_owned());
    let body = json!({"handle": handle, "rawPassword": password});
    let done = try_sign_up(&site, &owned, &handle, &password).await;
    let signed_up = match done {
        Ok(signed_up) => signed_up,
        Err(error) => {
            let refused = refusal_of(&site, PATH, &body, error);
            let form = form_with(&site, &owned, &handle, &password, Some(refused))?;
            let frame = frame(&site, &owned)?.failed();
            return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &SignUpPage { frame, form });
        }
    };
    let (frame, app_id) = (frame(&site, &owned)?, owned.app.app.id.to_string());
    let exchange = |answer| Exchange { path: PATH, body: pretty(&body), status: 200, answer };
    match signed_up {
        SignedUp::User(tokens) => {
            let exchange = exchange(tokens_of(&tokens));
            ok(&site, &LogInPage { frame, app_id, handle, password, exchange })
        }
        SignedUp::CodeSent => {
            let mail = caught(&site, &owned, &handle).await;
            let code = mail.as_ref().and_then(|mail| mail.code.clone()).unwrap_or_default();
            let code = Field::text("code", "Code", &code).autocomplete("one-time-code");
            let exchange = exchange("true".to_owned());
            ok(&site, &ConfirmPage { frame, app_id, handle, password, mail, code, exchange })
        }
    }
}

async fn try_sign_up(
    site: &Site,
    owned: &Owned,
    handle: &str,
    password: &str,
) -> Result<SignedUp, ServiceError> {
    let handle = handle_of(handle)?;
    let password = NewPassword::parse(None, Some(password))?;
    let call = site.service.client(&owned.app.app_token, owned.member.source)?;
    site.service.sign_up(call, SignUp { handle, password, metadata: None, locale: None }).await
}

fn handle_of(typed: &str) -> Result<Handle, ServiceError> {
    Handle::parse(typed).map_err(|error| ServiceError::invalid(format!("invalid data: the handle: {error}")))
}

/// The mail to an address, as soon as it is in the development mailbox. Mails of all applications lie there, so that
/// administrators alone see it (SEC-123).
async fn caught(site: &Site, owned: &Owned, address: &str) -> Option<CaughtMail> {
    let is_theirs = owned.member.signed_in.is_administrator();
    let mailbox = site.mailbox.clone().filter(|_| is_theirs).filter(|mailbox| mailbox.folder().is_dir())?;
    for _ in 0..MOST_LOOKS {
        let (mailbox, address) = (mailbox.clone(), address.to_owned());
        let found = actix_web::web::block(move || mailbox.newest_to(&address)).await.ok().flatten();
        if found.is_some() {
            return found;
        }
        actix_web::rt::time::sleep(LOOKS_EVERY).await;
    }
    None
}

/// `POST /apps/{app}/try/confirm`.
pub(crate) async fn confirm(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    const PATH: &str = "/api/appuser/completeSignup";
    let (handle, password) = (form.text("handle").to_owned(), form.text("password").to_owned());
    let typed = form.text("code");
    let body = json!({"handle": handle, "code": typed});
    let completed = try_confirm(&site, &owned, &handle, &password, typed).await;
    let app_id = owned.app.app.id.to_string();
    match completed {
        Ok(tokens) => {
            let exchange =
                Exchange { path: PATH, body: pretty(&body), status: 200, answer: tokens_of(&tokens) };
            let frame = frame(&site, &owned)?;
            ok(&site, &LogInPage { frame, app_id, handle, password, exchange })
        }
        Err(error) => {
            let Refused { exchange } = refusal_of(&site, PATH, &body, error);
            let mail = caught(&site, &owned, &handle).await;
            let code = Field::text("code", "Code", typed)
                .autocomplete("one-time-code")
                .error(Some("That code was refused. The answer below says why.".to_owned()));
            let frame = frame(&site, &owned)?.failed();
            let again = ConfirmPage { frame, app_id, handle, password, mail, code, exchange };
            page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again)
        }
    }
}

async fn try_confirm(
    site: &Site,
    owned: &Owned,
    handle: &str,
    password: &str,
    code: &str,
) -> Result<Tokens, ServiceError> {
    let code =
        Code::parse(code).map_err(|_| ServiceError::invalid("invalid data: a code is 6 to 8 digits"))?;
    let Call { caller, source } = site.service.client(&owned.app.app_token, owned.member.source)?;
    let call = Call { caller: AppOrUser::App(caller), source };
    let password = NewPassword::parse(None, Some(password))?.into_client();
    let press =
        PressLink { link: CompleteSignUp { handle: handle_of(handle)?, code }, password: Some(password) };
    Ok(site.service.complete_sign_up(call, press).await?.tokens)
}

/// `POST /apps/{app}/try/log-in`.
pub(crate) async fn log_in(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    const PATH: &str = "/api/appuser/login";
    let (handle, password) = (form.text("handle").to_owned(), form.text("password").to_owned());
    let body = json!({"handle": handle, "rawPassword": password});
    let app_id = owned.app.app.id.to_string();
    let logged_in = try_log_in(&site, &owned, &handle, &password).await;
    let tokens = match logged_in {
        Ok(LoggedIn::Tokens(tokens)) => tokens,
        Ok(LoggedIn::SecondFactor(_)) => {
            let text =
                "This user has a second factor. Log in with your own client, or remove the factor first.";
            return Err(Failure::Refused(text.to_owned()));
        }
        Err(error) => {
            let Refused { exchange } = refusal_of(&site, PATH, &body, error);
            let frame = frame(&site, &owned)?.failed();
            let again = LogInPage { frame, app_id, handle, password, exchange };
            return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
        }
    };
    let token =
        TokenView::of(&tokens.jwt).ok_or_else(|| Failure::Internal("a malformed token".to_owned()))?;
    let app = &owned.app.app;
    let keys = keys_of(&site.service.jwks(app.id).await?);
    let audience = app.settings.audience.claim(app.id);
    let verified = verify_user_jwt(&tokens.jwt, &keys, &app.issuer, &audience, site.clock.now());
    let jwks = site.service.discovery(app.id).await?.jwks_uri;
    let exchange = Exchange { path: PATH, body: pretty(&body), status: 200, answer: tokens_of(&tokens) };
    let problem = verified.err().map(|error| error.to_string());
    ok(&site, &TokenPage { frame: frame(&site, &owned)?, app_id, exchange, token, problem, jwks })
}

async fn try_log_in(
    site: &Site,
    owned: &Owned,
    handle: &str,
    password: &str,
) -> Result<LoggedIn, ServiceError> {
    let name = LoginName::parse(handle);
    let name = name.map_err(|error| ServiceError::invalid(format!("invalid data: the handle: {error}")))?;
    let raw = RawPassword::parse(password).ok();
    let password = raw.map(|raw| client_password(&raw)).transpose()?;
    let call = site.service.client(&owned.app.app_token, owned.member.source)?;
    site.service.log_in(call, LogIn { name, password }).await
}
