//! Users of an application: the list, adding one, and the page of one.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use latchkey_domain::{Handle, Lock, User, UserId, UserKey, UserStatus};
use latchkey_service::account::NewPassword;
use latchkey_service::operate::{AddUser, Page, UserDetails};
use latchkey_service::{Refusal, ServiceError};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, Problems, time_text};
use crate::session::Owned;
use crate::site::Site;

/// Rows on a page.
const ROWS: u32 = 50;

struct UserRow {
    id: String,
    handle: String,
    user_name: String,
    is_active: bool,
    factor: &'static str,
    joined: String,
    last_login: String,
}

impl UserRow {
    fn of(user: &User) -> Self {
        Self {
            id: user.id.to_string(),
            handle: user.handle.as_str().to_owned(),
            user_name: user.user_name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
            is_active: user.status == UserStatus::Active,
            factor: factor_of(user),
            joined: time_text(user.created_at),
            last_login: user.last_login_at.map(time_text).unwrap_or_default(),
        }
    }
}

fn factor_of(user: &User) -> &'static str {
    if user.factors.authenticator.is_some() {
        "authenticator"
    } else if user.factors.wants_sms && user.factors.verified_phone.is_some() {
        "phone"
    } else {
        "none"
    }
}

#[derive(Template)]
#[template(path = "pages/users.html")]
struct UsersPage {
    frame: Frame,
    app_id: String,
    search: String,
    /// How many there are: of the application, or that were found.
    total: String,
    users: Vec<UserRow>,
    next: Option<String>,
}

/// `GET /apps/{app}/users`.
pub(crate) async fn list(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let (id, reader) = (owned.app.app.id, owned.operator.reader());
    let text = |name: &str| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    let search = text("q");
    let (users, total, next) = if search.is_empty() {
        let after = query.get("after").map(String::as_str);
        let page = Page::new(0, after, ROWS)?;
        let listed = site.service.list::<User>(reader, id, page, false).await?;
        (listed.items, counted(listed.total, "user"), listed.next)
    } else {
        let found = site.service.search::<User>(reader, id, &search, false).await?;
        let number = u64::try_from(found.items.len()).unwrap_or(u64::MAX);
        let beginning = if found.is_complete { "" } else { "At least " };
        (found.items, format!("{beginning}{} found", counted(number, "user")), None)
    };
    let done = match query.get("done").map(String::as_str) {
        Some("added") => Some("The user was added."),
        Some("deleted") => Some("The user was deleted. Tokens already issued stay valid until they expire."),
        _ => None,
    };
    let frame = Frame::app(&site, &owned, "users", "Users")?.with_notice(done);
    let users = users.iter().map(UserRow::of).collect();
    ok(&site, &UsersPage { frame, app_id: id.to_string(), search, total, users, next })
}

fn counted(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[derive(Template)]
#[template(path = "pages/new_user.html")]
struct NewUserPage {
    frame: Frame,
    app_id: String,
    problems: Problems,
    handle: Field,
    password: Field,
}

fn new_page(
    site: &Site,
    owned: &Owned,
    handle: &str,
    errors: [Option<String>; 2],
) -> Result<NewUserPage, Failure> {
    let [wrong_handle, wrong_password] = errors;
    let handle = Field::text("handle", "Handle", handle)
        .hint("What the user signs in with, in most cases an e-mail address.")
        .error(wrong_handle);
    let password = Field::password("password", "Password", "new-password").error(wrong_password);
    let problems = Problems::of([&handle, &password]);
    let frame = Frame::app(site, owned, "users", "Add user")?;
    let frame = if problems.are_none() { frame } else { frame.failed() };
    Ok(NewUserPage { frame, app_id: owned.app.app.id.to_string(), problems, handle, password })
}

/// `GET /apps/{app}/users/new`.
pub(crate) async fn show_new(site: Data<Site>, owned: Owned) -> Answer {
    ok(&site, &new_page(&site, &owned, "", [None, None])?)
}

/// `POST /apps/{app}/users/new`.
pub(crate) async fn add(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    let typed = form.text("handle");
    let again = |errors: [Option<String>; 2]| {
        page(&site, StatusCode::UNPROCESSABLE_ENTITY, &new_page(&site, &owned, typed, errors)?)
    };
    let handle = match Handle::parse(typed) {
        Ok(handle) => handle,
        Err(error) => return again([Some(format!("The handle: {error}.")), None]),
    };
    let password = match NewPassword::parse(None, Some(form.text("password"))) {
        Ok(password) => password,
        Err(error) => return again([None, Some(words_of(error)?)]),
    };
    let new =
        AddUser { handle, password, locale: None, metadata: serde_json::Map::new(), is_administrator: false };
    let id = owned.app.app.id;
    match site.service.add_user_of(owned.operator.clone(), id, new).await {
        Ok(_) => Ok(see_other(&site, &format!("/apps/{id}/users?done=added"))),
        Err(error) if error.refusal() == Some(Refusal::HandleTaken) => {
            again([Some(format!("{typed} is already registered.")), None])
        }
        Err(error) => again([None, Some(words_of(error)?)]),
    }
}

/// What a use case explains to the one who typed.
fn words_of(error: ServiceError) -> Result<String, Failure> {
    match error {
        ServiceError::Explained(_, text) => Ok(text),
        other => Err(other.into()),
    }
}

#[derive(Template)]
#[template(path = "pages/user.html")]
struct UserPage {
    frame: Frame,
    /// The address of this page, under which its acts are.
    here: String,
    user: UserRow,
    locale: String,
    email_verified: bool,
    lock: Option<String>,
    warnings: Vec<String>,
    metadata: String,
    /// The claims of the next token, or why there would be none.
    claims: Result<String, String>,
    confirm: Field,
}

fn key_of(owned: &Owned, id: &str) -> Result<UserKey, Failure> {
    let id: UserId = id.parse().map_err(|_| Failure::NotFound)?;
    Ok(UserKey { app_id: owned.app.app.id, id })
}

fn json_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

async fn user_page(
    site: &Site,
    owned: &Owned,
    key: UserKey,
    error: Option<String>,
) -> Result<UserPage, Failure> {
    let UserDetails { user, lock, warnings } = site.service.details_of_user(key).await?;
    let claims = match site.service.preview_claims(key).await {
        Ok(claims) => Ok(json_text(&claims)),
        Err(ServiceError::Explained(_, text)) => Err(text),
        Err(error) => return Err(error.into()),
    };
    let frame = Frame::app(site, owned, "users", user.handle.as_str())?;
    let frame = if error.is_some() { frame.failed() } else { frame };
    let lock = lock.map(|lock| match lock {
        Lock::Until(time) => format!("Log-ins from new places are refused until {} UTC.", time_text(time)),
        Lock::UntilReset => "Log-ins from new places are refused until the password is reset.".to_owned(),
    });
    Ok(UserPage {
        frame,
        here: site.to(&format!("/apps/{}/users/{}", key.app_id, key.id)),
        locale: user.locale.as_str().to_owned(),
        email_verified: user.email_verified,
        lock,
        warnings,
        metadata: json_text(user.metadata.values()),
        claims,
        user: UserRow::of(&user),
        confirm: Field::text("confirm", "Type the handle to confirm", "").error(error),
    })
}

/// `GET /apps/{app}/users/{user}`.
pub(crate) async fn show(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String)>,
    query: Query<HashMap<String, String>>,
) -> Answer {
    let mut shown = user_page(&site, &owned, key_of(&owned, &path.1)?, None).await?;
    shown.frame = shown.frame.with_notice(match query.get("done").map(String::as_str) {
        Some("suspend") => Some("The user is suspended, and can no longer sign in."),
        Some("activate") => Some("The user can sign in again."),
        Some("sign-out") => Some("All access tokens of the user have ended."),
        Some("unlock") => Some("The user is unlocked."),
        Some("send-reset") => Some("A mail to reset the password is on its way."),
        _ => None,
    });
    ok(&site, &shown)
}

/// `POST /apps/{app}/users/{user}/{act}`: what can be undone, at once.
pub(crate) async fn act(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String, String)>,
    _form: Form,
) -> Answer {
    let (key, operator, service) = (key_of(&owned, &path.1)?, owned.operator.clone(), &site.service);
    match path.2.as_str() {
        "suspend" => service.set_user_status(operator, key, UserStatus::Suspended).await?,
        "activate" => service.set_user_status(operator, key, UserStatus::Active).await?,
        "sign-out" => service.sign_out_everywhere(operator, key).await?,
        "unlock" => service.unlock_user(operator, key).await?,
        "send-reset" => service.send_user_reset(operator, key).await?,
        _ => return Err(Failure::NotFound),
    }
    Ok(see_other(&site, &format!("/apps/{}/users/{}?done={}", key.app_id, key.id, path.2)))
}

/// `POST /apps/{app}/users/{user}/delete`: once the handle was typed.
pub(crate) async fn delete(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String)>,
    form: Form,
) -> Answer {
    let key = key_of(&owned, &path.1)?;
    let user = site.service.details_of_user(key).await?.user;
    if Handle::parse(form.text("confirm")).ok().as_ref() != Some(&user.handle)
        && form.text("confirm").trim() != user.handle.as_str()
    {
        let error = Some("That is not the handle of this user.".to_owned());
        let again = user_page(&site, &owned, key, error).await?;
        return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
    }
    site.service.remove_user_of(owned.operator.clone(), key.app_id, user.handle).await?;
    Ok(see_other(&site, &format!("/apps/{}/users?done=deleted", key.app_id)))
}
