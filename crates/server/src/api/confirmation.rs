//! The page behind a mailed link. Opening it changes nothing, however often a mail scanner does; its one button
//! completes the sign-up, elsewhere than the sign-up came from with its password. It needs no script, and loads
//! nothing.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use latchkey_domain::{Code, Handle, Locale};
use latchkey_notifiers::{Language, PageTexts, Values, escaped, render_html};
use latchkey_service::account::{CompleteSignUp, LinkPressed, NewPassword, PressLink, SignUpCompleted};
use latchkey_service::{AppOrUser, Call, Refusal};

use super::shared::{CODE, HANDLE, LOCALE, RAW_PASSWORD};
use super::{AppState, State};
use crate::http::field::{Field, text};
use crate::http::{ApiError, Family, Fields, WrongField, page, source_of};
use crate::openapi::{Answers, OPERATION, Operation};

/// Of the question: its form goes back to us.
const OWN_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Of the developer's page: it runs, submits and loads nothing, and is of no origin.
const TENANT_POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
     base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "body{font:1.125rem/1.5 system-ui,sans-serif;max-width:32rem;margin:0 auto;padding:2rem 1rem;\
     color:#1c1c1e;background:#fff;overflow-wrap:anywhere}h1{font-size:1.5rem}label{display:block;font-weight:600}\
     input{font:inherit;box-sizing:border-box;width:100%;padding:.75rem;margin:.25rem 0 1.25rem;border:1px solid #6b7280;\
     border-radius:.5rem;color:inherit;background:transparent}input:focus-visible{outline:3px solid #93b4ff}\
     [role=alert]{border-left:4px solid #c81e1e;padding-left:.75rem}\
     button{font:inherit;padding:.75rem 1.25rem;border:0;border-radius:.5rem;background:#1a56db;color:#fff;\
     width:100%;cursor:pointer}button:focus-visible{outline:3px solid #93b4ff;outline-offset:2px}\
     @media(prefers-color-scheme:dark){body{color:#f2f2f7;background:#1c1c1e}}";

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
    ..OPERATION
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
    let hidden = |field: Field, value: &str| {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", field.name, escaped(value))
    };
    let warning = match asks {
        Asks::PasswordAgain => format!("<p role=\"alert\">{}</p>\n", escaped(&texts.password_wrong)),
        Asks::Elsewhere | Asks::Password => String::new(),
    };
    let password = if asks_password { password_field(texts) } else { String::new() };
    let body = format!(
        "<h1>{}</h1>\n{warning}<p>{}</p>\n<form method=\"post\" action=\"{}/api/appuser/completeSignup/confirm\">\
         {}{}{}{}{}{password}<button type=\"submit\">{}</button></form>",
        escaped(&texts.title),
        render_html(&escaped(&texts.question), &values),
        escaped(&state.base_path),
        hidden(APP_TOKEN, &link.app_token),
        hidden(HANDLE, handle.as_str()),
        hidden(CODE, &link.code),
        hidden(LOCALE, locale.as_str()),
        hidden(ATTEMPT, &link.attempt),
        escaped(&texts.button),
    );
    Ok(document(locale, &format!("{} - {}", texts.title, app.name.as_str()), &body))
}

fn password_field(texts: &PageTexts) -> String {
    format!(
        "<p>{}</p>\n<label for=\"password\">{}</label><input type=\"password\" id=\"password\" name=\"rawPassword\" \
         autocomplete=\"current-password\" required>",
        escaped(&texts.password_question),
        escaped(&texts.password),
    )
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
    page(StatusCode::OK, TENANT_POLICY, document(completed.locale, name, &body))
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
    let body = format!("<h1>{}</h1>\n<p>{}</p>", escaped(title), escaped(reason));
    let mut response = page(status, OWN_POLICY, document(locale, title, &body));
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

fn document(locale: Locale, title: &str, body: &str) -> String {
    let shown = Language::or_english(locale).map_or("EN", Language::locale).to_ascii_lowercase();
    format!(
        "<!DOCTYPE html>\n<html lang=\"{shown}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n",
        escaped(title),
    )
}
