//! A developer's own account: the password, and where they are signed in.

use std::collections::HashMap;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use latchkey_domain::{KeyedDigest, PortalLogin, RawPassword};
use latchkey_service::portal::PortalPassword;
use latchkey_service::{Refusal, ServiceError};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, Problems, time_text};
use crate::session::{Member, browser_of, set_cookie};
use crate::site::Site;

struct LoginRow {
    /// What names it in a form.
    id: String,
    browser: String,
    address: String,
    since: String,
    used: String,
    is_this: bool,
}

#[derive(Template)]
#[template(path = "pages/account.html")]
struct AccountPage {
    frame: Frame,
    email: String,
    role: &'static str,
    password_since: String,
    problems: Problems,
    current: Field,
    new: Field,
    logins: Vec<LoginRow>,
}

fn id_of(login: &PortalLogin) -> String {
    login.digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn account_page(
    site: &Site,
    member: &Member,
    errors: [Option<String>; 2],
) -> Result<AccountPage, Failure> {
    let developer = &member.signed_in.developer;
    let logins = site.service.portal_logins(&member.signed_in).await?;
    let logins = logins.iter().map(|login| LoginRow {
        id: id_of(login),
        browser: if login.agent.is_empty() { "unknown browser".to_owned() } else { login.agent.clone() },
        address: login.address.to_string(),
        since: time_text(login.created_at),
        used: time_text(login.used_at),
        is_this: login.digest.as_bytes() == member.signed_in.login.digest.as_bytes(),
    });
    let [wrong_current, wrong_new] = errors;
    let current = Field::password("current", "Present password", "current-password").error(wrong_current);
    let new = Field::password("password", "New password", "new-password")
        .hint("15 characters or more. A few words are easy to remember.")
        .error(wrong_new);
    let problems = Problems::of([&current, &new]);
    let frame = Frame::member(site, member, "Account")?;
    Ok(AccountPage {
        frame: if problems.are_none() { frame } else { frame.failed() },
        email: developer.email.as_str().to_owned(),
        role: latchkey_domain::Named::name(developer.role),
        password_since: time_text(developer.password_at),
        problems,
        current,
        new,
        logins: logins.collect(),
    })
}

/// `GET /account`.
pub(crate) async fn show(site: Data<Site>, member: Member, query: Query<HashMap<String, String>>) -> Answer {
    let mut shown = account_page(&site, &member, [None, None]).await?;
    shown.frame = shown.frame.with_notice(match query.get("done").map(String::as_str) {
        Some("password") => Some("The password was changed. All other log-ins have ended."),
        Some("ended") => Some("The log-in has ended."),
        _ => None,
    });
    ok(&site, &shown)
}

/// `POST /account/password`.
pub(crate) async fn change_password(
    site: Data<Site>,
    request: HttpRequest,
    member: Member,
    form: Form,
) -> Answer {
    let again = async |status: StatusCode, errors: [Option<String>; 2]| {
        page(&site, status, &account_page(&site, &member, errors).await?)
    };
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    let new = match PortalPassword::parse(form.text("password"), &member.signed_in.developer.email) {
        Ok(new) => new,
        Err(error) => return again(invalid, [None, Some(error)]).await,
    };
    let wrong = || [Some("That is not your present password.".to_owned()), None];
    let Ok(current) = RawPassword::parse(form.text("current")) else {
        return again(invalid, wrong()).await;
    };
    let browser = browser_of(&request)?;
    match site.service.change_portal_password(&member.signed_in, current, new, browser).await {
        Ok(made) => {
            let mut response = see_other(&site, "/account?done=password");
            set_cookie(&site, &mut response, &made.token)?;
            Ok(response)
        }
        Err(error) if error.refusal() == Some(Refusal::CredentialsWrong) => again(invalid, wrong()).await,
        Err(ServiceError::TooMany { seconds }) => {
            let text = format!("Too many attempts. Try again in {seconds} seconds.");
            again(StatusCode::TOO_MANY_REQUESTS, [Some(text), None]).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /account/logins`: ends one log-in, or all others.
pub(crate) async fn end_logins(site: Data<Site>, member: Member, form: Form) -> Answer {
    let only = match form.text("login") {
        "" => None,
        id => Some(digest_of(id).ok_or(Failure::NotFound)?),
    };
    site.service.end_portal_logins(&member.signed_in, only, member.source).await?;
    Ok(see_other(&site, "/account?done=ended"))
}

fn digest_of(id: &str) -> Option<KeyedDigest> {
    let digit = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = id.as_bytes().chunks(2).map(digit).collect();
    Some(KeyedDigest::from_bytes(bytes?.try_into().ok()?))
}
