//! The set-up of the first account, for the holder of the link that the server prints.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use latchkey_domain::portal_address;
use latchkey_service::portal::{PortalPassword, PortalToken};
use latchkey_service::{Refusal, ServiceError};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Field, Frame, Problems};
use crate::session::{Visitor, set_cookie};
use crate::site::{Site, Transport};

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    frame: Frame,
    problems: Problems,
    email: Field,
    password: Field,
}

/// Where there is no form: what to do instead.
#[derive(Template)]
#[template(path = "pages/no_setup.html")]
struct NoSetupPage {
    frame: Frame,
    reason: &'static str,
}

const NO_LINK: &str =
    "The server prints a link to this page when it starts: open that link. To get another one, run";
const DEAD_LINK: &str = "This link no longer works. To get another one, run";

/// `GET /setup/{token}`: swaps the link for a cookie, so that the token is not in the address bar.
pub(crate) async fn open(site: Data<Site>, token: Path<String>, visitor: Visitor) -> Answer {
    if site.transport == Transport::Open {
        return Err(Failure::Refused(PLAIN_HTTP.to_owned()));
    }
    let opened = match PortalToken::parse(&token) {
        Some(token) => site.service.open_setup(token, visitor.browser.clone()).await?,
        None => None,
    };
    if let Some(cookie) = opened {
        let mut response = see_other(&site, "/setup");
        set_cookie(&site, &mut response, &cookie)?;
        return Ok(response);
    }
    if site.service.has_administrator().await? {
        return Ok(see_other(&site, "/sign-in?done=exists"));
    }
    let frame = Frame::bare(&site, "Set up");
    page(&site, StatusCode::GONE, &NoSetupPage { frame, reason: DEAD_LINK })
}

/// Why nobody signs in where others can read along.
pub(crate) const PLAIN_HTTP: &str = "The public address is http, so that others could read passwords: set server.public_url to the https address.";

/// `GET /setup`.
pub(crate) async fn show(site: Data<Site>, visitor: Visitor) -> Answer {
    if site.service.may_set_up(&visitor.cookie).await? {
        return ok(&site, &setup_page(&site, &visitor, "", [None, None])?);
    }
    if site.service.has_administrator().await? {
        return Ok(see_other(&site, "/sign-in?done=exists"));
    }
    ok(&site, &NoSetupPage { frame: Frame::bare(&site, "Set up"), reason: NO_LINK })
}

fn setup_page(
    site: &Site,
    visitor: &Visitor,
    email: &str,
    errors: [Option<String>; 2],
) -> Result<SetupPage, Failure> {
    let [wrong_email, wrong_password] = errors;
    let email = Field::email("email", "E-mail address", email).error(wrong_email);
    let password = Field::password("password", "Password", "new-password")
        .hint("15 characters or more. A few words are easy to remember.")
        .error(wrong_password);
    let problems = Problems::of([&email, &password]);
    let frame = Frame::visitor(site, visitor, "Set up")?;
    let frame = if problems.are_none() { frame } else { frame.failed() };
    Ok(SetupPage { frame, problems, email, password })
}

/// `POST /setup`: creates the account and signs it in.
pub(crate) async fn create(site: Data<Site>, visitor: Visitor, form: Form) -> Answer {
    let typed = form.text("email");
    let email = portal_address(typed);
    let password = match &email {
        Ok(email) => PortalPassword::parse(form.text("password"), email).map(Some),
        Err(_) => Ok(None),
    };
    let (email, password) = match (email, password) {
        (Ok(email), Ok(Some(password))) => (email, password),
        (email, password) => {
            let errors = [email.err().map(|error| error.to_string()), password.err()];
            let again = setup_page(&site, &visitor, typed, errors)?;
            return page(&site, StatusCode::UNPROCESSABLE_ENTITY, &again);
        }
    };
    let browser = visitor.browser.clone();
    match site.service.set_up(visitor.cookie.clone(), email, password, browser).await {
        Ok(made) => {
            let mut response = see_other(&site, "/apps/new?done=welcome");
            set_cookie(&site, &mut response, &made.token)?;
            Ok(response)
        }
        Err(ServiceError::Explained(Refusal::Conflict, _)) => Ok(see_other(&site, "/sign-in?done=exists")),
        Err(ServiceError::Refused(Refusal::AccessTokenInvalid)) => Ok(see_other(&site, "/setup")),
        Err(error) => Err(error.into()),
    }
}
