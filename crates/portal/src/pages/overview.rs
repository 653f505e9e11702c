//! The overview of an application. Until it has a user, it begins with Try it.

use std::collections::HashMap;

use actix_web::web::{Data, Query};
use askama::Template;
use latchkey_domain::{AuditFilter, User};
use latchkey_service::operate::{AppView, AuditStart, Page};

use super::try_it::{SignUpForm, sign_up_form};
use super::watch::LogLine;
use crate::answer::{Answer, ok};
use crate::parts::Frame;
use crate::session::Owned;
use crate::site::Site;

/// Lines of the log that are shown.
const LINES: u32 = 8;

#[derive(Template)]
#[template(path = "pages/overview.html")]
struct OverviewPage {
    frame: Frame,
    app_id: String,
    app_token: String,
    /// Set while there is no user.
    first: Option<SignUpForm>,
    users: u64,
    lines: Vec<LogLine>,
    snippets: Snippets,
}

/// Code that runs as pasted.
pub(crate) struct Snippets {
    pub(crate) public_url: String,
    pub(crate) app_token: String,
}

impl Snippets {
    pub(crate) fn of(site: &Site, app: &AppView) -> Self {
        Self { public_url: site.service.public_url().to_owned(), app_token: app.app_token.clone() }
    }
}

/// `GET /apps/{app}`.
pub(crate) async fn show(site: Data<Site>, owned: Owned, query: Query<HashMap<String, String>>) -> Answer {
    let (id, reader) = (owned.app.app.id, owned.operator.reader());
    let page = Page::new(0, None, 1)?;
    let users = site.service.list::<User>(reader, id, page, false).await?.total;
    let (entries, _) =
        site.service.search_log(reader, id, AuditFilter::default(), AuditStart::Skip(0), LINES).await?;
    let created = query.get("done").is_some_and(|done| done == "created");
    let frame = Frame::app(&site, &owned, "overview", "Overview")?;
    ok(
        &site,
        &OverviewPage {
            frame: frame.with_notice(created.then_some("The application is ready.")),
            app_id: id.to_string(),
            app_token: owned.app.app_token.clone(),
            first: if users == 0 { Some(sign_up_form(&site, &owned)?) } else { None },
            users,
            lines: entries.iter().map(LogLine::of).collect(),
            snippets: Snippets::of(&site, &owned.app),
        },
    )
}
