//! The page behind a mailed link. Opening it changes nothing, however often a mail scanner does; its one button
//! completes the sign-up, elsewhere than the sign-up came from with its password. It needs no script, and loads
//! nothing.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use latchkey_domain::{Code, Handle, Locale};
use latchkey_notifiers::{Language, PageTexts, Values, escaped, render_html};
use latchkey_service::account::{CompleteSignUp, LinkPressed, NewPassword, PressLink, SignUpCompleted};
use latchkey_service::{AppOrUser, Call, Refusal};

use super::shared::{CODE, HANDLE, LOCALE, RAW_PASSWORD};
use super::{AppState, State};
use crate::http::field::{Field, text};
use crate::http::{ApiError, Family, Fields, WrongField, page, source_of};
use crate::openapi::{Answers, DEFAULT, Operation};

/// Of the question: its form goes back to us.
const OWN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Of the developer's page: it runs, submits and loads nothing, and is of no origin.
const TENANT_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The page that asks, with its form.
#[derive(Template)]
#[template(path = "confirmation.html")]
struct Question<'p> {
    language: &'p str,
    title: String,
    texts: &'p PageTexts,
    /// HTML: the name of the application is escaped.
    question: String,
    is_wrong: bool,
    asks_password: bool,
    base_path: &'p str,
    hidden: [(Field, &'p str); 5],
}

/// The application's own page after a completed sign-up.
#[derive(Template)]
#[template(path = "completed.html")]
struct Completed<'p> {
    language: &'p str,
    title: &'p str,
    /// HTML of the developer's template, its placeholders filled with escaped texts.
    body: String,
}

/// An error.
#[derive(Template)]
#[template(path = "failed.html")]
struct Failed<'p> {
    language: &'p str,
    title: &'p str,
    reason: &'p str,
}

/// The parameters of the link.
struct LinkFields {
    app_token: String,
    handle: String,
    code: String,
    attempt: String,
}

impl LinkFields {
    fn of(fields: &Fields) -> Result<Self, WrongField> {
        Ok(Self {
            app_token: fields.required(APP_TOKEN)?.to_owned(),
            handle: fields.required(HANDLE)?.to_owned(),
            code: fields.required(CODE)?.to_owned(),
            attempt: fields.owned(ATTEMPT)?.unwrap_or_default(),
        })
    }
}

/// Why the page requires the password.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// It does where the link is not opened from where the sign-up came from.
    Elsewhere,
    /// It was needed and not there.
    Password,
    /// It was wrong.
    PasswordAgain,
}

const APP_TOKEN: Field = text("appToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "").required();
const ATTEMPT: Field =
    text("attempt", "0123456789abcdef0123456789abcdef", "The link's reference to its sign-up.");

pub(crate) const CONFIRMATION: Operation = Operation {
    summary: "Show the page behind a mailed link",
    about: "Opening it does not complete the sign-up, since mail scanners open links too. Errors are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT],
    answers: Answers::Page,
    ..DEFAULT
};

/// `GET /api/appuser/completeSignup`: shows the page.
pub(crate) async fn ask(state: State, request: HttpRequest) -> HttpResponse {
    let fields = Fields::of_query(&request).unwrap_or_default();
    let locale = locale_of(&fields);
    match question(&state, &request, &fields, locale, Asks::Elsewhere).await {
        Ok(html) => page(StatusCode::OK, OWN_POLICY, html),
        Err(error) => failed(&error, locale),
    }
}

async fn question(
    state: &AppState,
    request: &HttpRequest,
    fields: &Fields,
    locale: Locale,
    asks: Asks,
) -> Result<String, ApiError> {
    let link = LinkFields::of(fields)?;
    let handle = Handle::parse(&link.handle).map_err(|_| Refusal::InvalidData)?;
    Code::parse(&link.code).map_err(|_| Refusal::InvalidData)?;
    let call = call_of(state, request, &link)?;
    let source = call.source;
    let app = state.service.application_of(call).await?;
    if !app.settings.signup_enabled {
        return Err(Refusal::SignupOff.into());
    }
    let asks_password =
        asks != Asks::Elsewhere || state.service.link_asks_password(&app, &handle, &link.attempt, source)?;
    let texts = texts(locale)?;
    let values = Values { app_name: app.name.as_str(), handle: handle.as_str(), ..Values::default() };
    let question = Question {
        language: &language_of(locale),
        title: format!("{} - {}", texts.title, app.name.as_str()),
        texts,
        question: render_html(&escaped(&texts.question), &values),
        is_wrong: asks == Asks::PasswordAgain,
        asks_password,
        base_path: &state.base_path,
        hidden: [
            (APP_TOKEN, &link.app_token),
            (HANDLE, handle.as_str()),
            (CODE, &link.code),
            (LOCALE, locale.as_str()),
            (ATTEMPT, &link.attempt),
        ],
    };
    rendered(&question)
}

/// A page. Rendering fails only where a template of ours is wrong.
fn rendered(template: &impl Template) -> Result<String, ApiError> {
    template.render().map_err(|_| ApiError::internal("a page could not be rendered"))
}

pub(crate) const CONFIRM: Operation = Operation {
    summary: "Complete a sign-up with that page's button",
    about: "Requires the password unless called from where the sign-up was made: setting `linkAsksPassword`. Answers are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT, RAW_PASSWORD],
    ..CONFIRMATION
};

/// `POST /api/appuser/completeSignup/confirm`: the button. Its answers are pages.
pub(crate) async fn confirm(
    state: State,
    request: HttpRequest,
    fields: Result<Fields, ApiError>,
) -> HttpResponse {
    let fields = match fields {
        Ok(fields) => fields,
        Err(error) => return failed(&error, Locale::EN),
    };
    let locale = locale_of(&fields);
    let (status, asks) = match press(&state, &request, &fields).await {
        Ok((LinkPressed::Completed(completed), handle)) => return done_page(&completed, &handle),
        Ok((LinkPressed::AsksPassword, _)) => (StatusCode::OK, Asks::Password),
        Err(error) if is_wrong_password(&error) => (error.wire(Family::User).status, Asks::PasswordAgain),
        Err(error) => return failed(&error, locale),
    };
    match question(&state, &request, &fields, locale, asks).await {
        Ok(html) => page(status, OWN_POLICY, html),
        Err(error) => failed(&error, locale),
    }
}

async fn press(
    state: &AppState,
    request: &HttpRequest,
    fields: &Fields,
) -> Result<(LinkPressed, String), ApiError> {
    let link = LinkFields::of(fields)?;
    let handle = Handle::parse(&link.handle).map_err(|_| Refusal::InvalidData)?;
    let code = Code::parse(&link.code).map_err(|_| Refusal::InvalidData)?;
    // An empty field is not an attempt. An impossible password is a wrong one.
    let typed = fields.text(RAW_PASSWORD)?;
    let password = typed.map(|typed| NewPassword::parse(None, Some(typed)).map(NewPassword::into_client));
    let password = password.transpose().map_err(|_| Refusal::CredentialsWrong)?;
    let call = call_of(state, request, &link)?;
    let shown = handle.as_str().to_owned();
    let press = PressLink { link: CompleteSignUp { handle, code }, password };
    let pressed = state.service.press_link(call, press).await?;
    Ok((pressed, shown))
}

fn is_wrong_password(error: &ApiError) -> bool {
    matches!(error, ApiError::Service(error) if error.refusal() == Some(Refusal::CredentialsWrong))
}

fn call_of(state: &AppState, request: &HttpRequest, link: &LinkFields) -> Result<Call<AppOrUser>, ApiError> {
    let Call { caller, source } = state.service.client(&link.app_token, source_of(request))?;
    Ok(Call { caller: AppOrUser::App(caller), source })
}

/// The application's page after a completed sign-up.
pub(super) fn done_page(completed: &SignUpCompleted, handle: &str) -> HttpResponse {
    let name = completed.app.name.as_str();
    let values = Values { app_name: name, handle, ..Values::default() };
    let body = render_html(&completed.click_through, &values);
    match rendered(&Completed { language: &language_of(completed.locale), title: name, body }) {
        Ok(html) => page(StatusCode::OK, TENANT_POLICY, html),
        Err(error) => failed(&error, completed.locale),
    }
}

/// An error as a page, in words that help.
fn failed(error: &ApiError, locale: Locale) -> HttpResponse {
    let status = error.wire(Family::User).status;
    let Ok(texts) = texts(locale) else { return error.response(Family::User, None) };
    let reason = match error {
        ApiError::Service(error) => match error.refusal() {
            Some(Refusal::CodeExpired) => &texts.expired,
            Some(Refusal::HandleTaken) => &texts.used,
            Some(Refusal::SignupOff | Refusal::AppGone | Refusal::AppSuspended | Refusal::AppMigrated) => {
                &texts.unavailable
            }
            Some(_) => &texts.wrong,
            None => &texts.busy,
        },
        ApiError::TooSlow | ApiError::TooManyConnections | ApiError::Panicked => &texts.busy,
        ApiError::UnknownPath | ApiError::WrongMethod | ApiError::TooLarge | ApiError::UnsupportedBody => {
            &texts.wrong
        }
    };
    let title = if reason == &texts.used { &texts.used_title } else { &texts.failed_title };
    let Ok(html) = rendered(&Failed { language: &language_of(locale), title, reason }) else {
        return error.response(Family::User, None);
    };
    let mut response = page(status, OWN_POLICY, html);
    if let Some(seconds) = error.retry_after(Family::User) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn locale_of(fields: &Fields) -> Locale {
    fields.text(LOCALE).ok().flatten().and_then(|text| Locale::parse(text).ok()).unwrap_or(Locale::EN)
}

fn texts(locale: Locale) -> Result<&'static PageTexts, ApiError> {
    let language = Language::or_english(locale);
    language.map(|language| &language.page).ok_or_else(|| ApiError::internal("no English"))
}

/// The language of the texts for this locale (RFC 5646).
fn language_of(locale: Locale) -> String {
    Language::or_english(locale).map_or("EN", Language::locale).to_ascii_lowercase()
}
