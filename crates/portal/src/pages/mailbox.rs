//! The development mailbox: mail that was caught in a folder instead of being sent, with its code and link.

use actix_web::web::{Data, Path, block};
use askama::Template;
use latchkey_notifiers::{CaughtMail, Mailbox};
use time::OffsetDateTime;

use crate::answer::{Answer, Failure, framed, ok};
use crate::parts::{Frame, time_text};
use crate::session::Administrator;
use crate::site::Site;

/// How many mails are listed.
const LISTED: usize = 100;

struct MailView {
    id: String,
    time: String,
    to: String,
    subject: String,
    text: String,
    code: String,
    link: String,
    has_html: bool,
}

impl MailView {
    fn of(mail: CaughtMail) -> Self {
        Self {
            time: time_text(OffsetDateTime::from(mail.at)),
            has_html: mail.html.is_some(),
            id: mail.id,
            to: mail.to,
            subject: mail.subject,
            text: mail.text,
            code: mail.code.unwrap_or_default(),
            link: mail.link.unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "pages/mailbox.html")]
struct MailboxPage {
    frame: Frame,
    mails: Vec<MailView>,
}

#[derive(Template)]
#[template(path = "pages/mail.html")]
struct MailPage {
    frame: Frame,
    mail: MailView,
}

/// Reads the mailbox on a thread for blocking work. Fails with [`Failure::NotFound`] when the server really sends its mail.
async fn read<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(Mailbox) -> T + Send + 'static,
) -> Result<T, Failure> {
    let mailbox = site.mailbox.clone().ok_or(Failure::NotFound)?;
    block(move || work(mailbox)).await.map_err(|error| Failure::Internal(error.to_string()))
}

async fn find(site: &Site, id: String) -> Result<CaughtMail, Failure> {
    read(site, move |mailbox| mailbox.find(&id)).await?.ok_or(Failure::NotFound)
}

/// `GET /mailbox`.
pub(crate) async fn list(site: Data<Site>, Administrator(member): Administrator) -> Answer {
    let mails = read(&site, |mailbox| mailbox.newest(LISTED)).await?;
    let frame = Frame::member(&site, &member, "Mailbox")?;
    ok(&site, &MailboxPage { frame, mails: mails.into_iter().map(MailView::of).collect() })
}

/// `GET /mailbox/{mail}`.
pub(crate) async fn show(site: Data<Site>, administrator: Administrator, id: Path<String>) -> Answer {
    let mail = MailView::of(find(&site, id.into_inner()).await?);
    let frame = Frame::member(&site, &administrator.0, &mail.subject)?;
    ok(&site, &MailPage { frame, mail })
}

/// `GET /mailbox/{mail}/html`: what the frame of the page shows.
pub(crate) async fn html(site: Data<Site>, _administrator: Administrator, id: Path<String>) -> Answer {
    let html = find(&site, id.into_inner()).await?.html.ok_or(Failure::NotFound)?;
    Ok(framed(&site, html))
}
