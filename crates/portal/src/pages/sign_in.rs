//! Signing in and out.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use askama::Template;
use latchkey_domain::{RawPassword, portal_address};
use latchkey_service::{Refusal, ServiceError};
use url::Url;

use super::setup::PLAIN_HTTP;
use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame};
use crate::session::{Member, Visitor, set_cookie};
use crate::site::{Site, Transport};

#[derive(Template)]
#[template(path = "pages/sign_in.html")]
struct SignInPage {
    frame: Frame,
    problem: Option<String>,
    email: Field,
    password: Field,
    next: String,
}

fn sign_in_page(
    site: &Site,
    visitor: &Visitor,
    email: &str,
    next: &str,
    problem: Option<String>,
) -> Result<SignInPage, Failure> {
    let frame = Frame::visitor(site, visitor, "Sign in")?;
    Ok(SignInPage {
        frame: if problem.is_some() { frame.failed() } else { frame },
        problem,
        email: Field::email("email", "E-mail address", email),
        password: Field::password("password", "Password", "current-password"),
        next: next.to_owned(),
    })
}

/// `GET /sign-in`.
pub(crate) async fn show(
    site: Data<Site>,
    visitor: Visitor,
    query: Query<HashMap<String, String>>,
) -> Answer {
    if site.transport == Transport::Open {
        return Err(Failure::Refused(PLAIN_HTTP.to_owned()));
    }
    let next = query.get("next").map(String::as_str).unwrap_or_default();
    let mut shown = sign_in_page(&site, &visitor, "", next, None)?;
    shown.frame = shown.frame.with_notice(match query.get("done").map(String::as_str) {
        Some("exists") => Some("An administrator exists. Sign in."),
        Some("signed-out") => Some("You are signed out."),
        _ => None,
    });
    visitor.greet(&site, ok(&site, &shown)?)
}

/// `POST /sign-in`.
pub(crate) async fn sign_in(site: Data<Site>, visitor: Visitor, form: Form) -> Answer {
    if site.transport == Transport::Open {
        return Err(Failure::Refused(PLAIN_HTTP.to_owned()));
    }
    let (typed, next) = (form.text("email"), form.text("next"));
    let again = |status: StatusCode, problem: String| {
        page(&site, status, &sign_in_page(&site, &visitor, typed, next, Some(problem))?)
    };
    let wrong = || again(StatusCode::UNPROCESSABLE_ENTITY, "E-mail address or password is wrong.".to_owned());
    let (Ok(email), Ok(password)) = (portal_address(typed), RawPassword::parse(form.text("password"))) else {
        return wrong();
    };
    let signed_in =
        site.service.portal_sign_in(email, password, &visitor.cookie, visitor.browser.clone()).await;
    match signed_in {
        Ok(made) => {
            let mut response = see_other(&site, &path_below(&site, next));
            set_cookie(&site, &mut response, &made.token)?;
            Ok(response)
        }
        Err(error) if error.refusal() == Some(Refusal::CredentialsWrong) => wrong(),
        Err(error) if error.refusal() == Some(Refusal::UserSuspended) => {
            again(StatusCode::FORBIDDEN, "This account is blocked. Ask an administrator.".to_owned())
        }
        Err(ServiceError::TooMany { seconds }) => again(
            StatusCode::TOO_MANY_REQUESTS,
            format!("Too many attempts. Try again in {seconds} seconds."),
        ),
        Err(error) => Err(error.into()),
    }
}

/// Where to go on: a page of ours, whatever the address says. It is read as a browser reads it (WHATWG URL), so that
/// neither `..` nor a tab nor a backslash leads elsewhere.
fn path_below(site: &Site, next: &str) -> String {
    const START: &str = "/apps";
    let base = site.origins.first().and_then(|origin| Url::parse(origin).ok());
    let target = base.as_ref().and_then(|base| base.join(next).ok());
    let ours = base.zip(target).filter(|(base, target)| base.origin() == target.origin());
    let Some((_, target)) = ours else { return START.to_owned() };
    let path = target.path().strip_prefix(site.root.as_str()).filter(|path| path.starts_with('/'));
    let is_plain = |path: &&str| !path.contains("//");
    match (path.filter(is_plain), target.query()) {
        (Some(path), Some(query)) => format!("{path}?{query}"),
        (Some(path), None) => path.to_owned(),
        (None, _) => START.to_owned(),
    }
}

/// `POST /sign-out`.
pub(crate) async fn sign_out(site: Data<Site>, member: Member, _form: Form) -> Answer {
    site.service.portal_sign_out(&member.signed_in, member.source).await?;
    let mut response = see_other(&site, "/sign-in?done=signed-out");
    set_cookie(&site, &mut response, &site.service.new_visitor()?)?;
    Ok(response)
}
