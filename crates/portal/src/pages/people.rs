//! Those who are not users yet: sign-ups that wait for their code, and invitations.

use std::collections::HashMap;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use latchkey_domain::{Handle, Invite, InviteState, Signup, SignupState};
use latchkey_service::ServiceError;
use latchkey_service::operate::{Page, Selection};

use crate::answer::{Answer, Failure, ok, page, see_other};
use crate::form::Form;
use crate::parts::{Frame, time_text};
use crate::session::Owned;
use crate::site::Site;

/// Rows on a page.
const ROWS: u32 = 50;

struct Row {
    id: String,
    handle: String,
    is_open: bool,
    started: String,
    repeated: String,
    locale: String,
    /// Who invited.
    sender: String,
}

impl Row {
    fn of_signup(signup: &Signup) -> Self {
        Self {
            id: signup.id.to_string(),
            handle: signup.handle.as_str().to_owned(),
            is_open: signup.state == SignupState::Pending,
            started: time_text(signup.created_at),
            repeated: time_text(signup.updated_at),
            locale: signup.locale.as_str().to_owned(),
            sender: String::new(),
        }
    }

    fn of_invite(invite: &Invite) -> Self {
        Self {
            id: invite.id.to_string(),
            handle: invite.handle.as_str().to_owned(),
            is_open: invite.state == InviteState::Pending,
            started: time_text(invite.created_at),
            repeated: time_text(invite.updated_at),
            locale: invite.locale.as_str().to_owned(),
            sender: invite.sender_handle.as_str().to_owned(),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/signups.html")]
struct SignupsPage {
    frame: Frame,
    app_id: String,
    total: u64,
    rows: Vec<Row>,
    next: Option<String>,
}

/// `GET /apps/{app}/signups`.
pub(crate) async fn signups(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let (id, reader) = (owned.app.app.id, owned.operator.reader());
    let part = Page::new(0, query.get("after").map(String::as_str), ROWS)?;
    let listed = site.service.list::<Signup>(reader, id, part, false).await?;
    let removed = query.get("done").is_some_and(|done| done == "removed");
    let frame = Frame::app(&site, &owned, "signups", "Sign-ups")?
        .with_notice(removed.then_some("The sign-up was removed, and its code with it."));
    let rows = listed.items.iter().map(Row::of_signup).collect();
    ok(&site, &SignupsPage { frame, app_id: id.to_string(), total: listed.total, rows, next: listed.next })
}

/// `POST /apps/{app}/signups/{signup}/remove`.
pub(crate) async fn remove_signup(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String)>,
    form: Form,
) -> Answer {
    let id = owned.app.app.id;
    let selection = selection(&path.1, &form)?;
    site.service.remove_signups(owned.operator.clone(), id, selection).await?;
    Ok(see_other(&site, &format!("/apps/{id}/signups?done=removed")))
}

/// The one row of a form.
fn selection<Id: std::str::FromStr>(id: &str, form: &Form) -> Result<Selection<Id>, Failure> {
    let handle = Handle::from_stored(form.text("handle")).map_err(|_| Failure::NotFound)?;
    let only = id.parse().map_err(|_| Failure::NotFound)?;
    Ok(Selection { handle, only: Some(only) })
}

#[derive(Template)]
#[template(path = "pages/invites.html")]
struct InvitesPage {
    frame: Frame,
    app_id: String,
    total: u64,
    rows: Vec<Row>,
    next: Option<String>,
    /// The addresses that were typed.
    typed: String,
    error: Option<String>,
    locales: Vec<String>,
    /// What became of those who were invited.
    outcome: Vec<String>,
}

async fn invites_page(
    site: &Site,
    owned: &Owned,
    after: Option<&str>,
    typed: &str,
    error: Option<String>,
) -> Result<InvitesPage, Failure> {
    let app = &owned.app.app;
    let part = Page::new(0, after, ROWS)?;
    let listed = site.service.list::<Invite>(owned.operator.reader(), app.id, part, false).await?;
    let frame = Frame::app(site, owned, "invites", "Invitations")?;
    Ok(InvitesPage {
        frame: if error.is_some() { frame.failed() } else { frame },
        app_id: app.id.to_string(),
        total: listed.total,
        rows: listed.items.iter().map(Row::of_invite).collect(),
        next: listed.next,
        typed: typed.to_owned(),
        error,
        locales: app.settings.locales.iter().map(|locale| locale.as_str().to_owned()).collect(),
        outcome: Vec::new(),
    })
}

/// `GET /apps/{app}/invites`.
pub(crate) async fn invites(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let after = query.get("after").map(String::as_str);
    let mut shown = invites_page(&site, &owned, after, "", None).await?;
    shown.frame = shown.frame.with_notice(match query.get("done").map(String::as_str) {
        Some("resent") => Some("The invitation is on its way again."),
        Some("removed") => Some("The invitation was removed."),
        _ => None,
    });
    ok(&site, &shown)
}

/// `POST /apps/{app}/invites`: invites the addresses of a text, one on each line.
pub(crate) async fn invite(site: Data<Site>, owned: Owned, form: Form) -> Answer {
    let typed = form.text("handles");
    let again = async |error: String| {
        let shown = invites_page(&site, &owned, None, typed, Some(error)).await?;
        page(&site, StatusCode::UNPROCESSABLE_ENTITY, &shown)
    };
    let mut handles = Vec::new();
    for line in typed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match Handle::parse(line) {
            Ok(handle) if handle.mailbox().is_some() => handles.push(handle),
            _ => return again(format!("Not an address: {line}")).await,
        }
    }
    if handles.is_empty() {
        return again("Enter at least one address.".to_owned()).await;
    }
    let locale = Some(form.text("locale").to_owned()).filter(|locale| !locale.is_empty());
    let invited =
        site.service.invite_as_operator(owned.operator.clone(), owned.app.app.id, handles, locale).await;
    let invited = match invited {
        Ok(invited) => invited,
        Err(ServiceError::Explained(_, text)) => return again(text).await,
        Err(error) => return Err(error.into()),
    };
    let mut shown = invites_page(&site, &owned, None, "", None).await?;
    let said = |handle: &Handle, what: &str| format!("{}: {what}", handle.as_str());
    shown.outcome.extend(invited.invites.iter().map(|invite| said(&invite.handle, "invited")));
    shown.outcome.extend(invited.exists.iter().map(|handle| said(handle, "a user, or invited already")));
    let throttled = "not invited: too many mails to this address. Try again later";
    shown.outcome.extend(invited.not_sent.iter().map(|handle| said(handle, throttled)));
    ok(&site, &shown)
}

/// `POST /apps/{app}/invites/{invite}/{act}`: `resend` or `remove`.
pub(crate) async fn act(
    site: Data<Site>,
    owned: Owned,
    path: Path<(String, String, String)>,
    form: Form,
) -> Answer {
    let (id, operator) = (owned.app.app.id, owned.operator.clone());
    let selection = selection(&path.1, &form)?;
    let done = match path.2.as_str() {
        "resend" => {
            site.service.resend_invites(operator, id, selection).await?;
            "resent"
        }
        "remove" => {
            site.service.remove_invites(operator, id, selection).await?;
            "removed"
        }
        _ => return Err(Failure::NotFound),
    };
    Ok(see_other(&site, &format!("/apps/{id}/invites?done={done}")))
}
