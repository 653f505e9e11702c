//! The parts that pages are made of: the frame around them, and fields of forms.

use askama::Template;
use latchkey_domain::App;
use latchkey_service::portal::PortalToken;
use time::OffsetDateTime;

use crate::answer::Failure;
use crate::assets::path_of;
use crate::session::{Member, Owned, Visitor};
use crate::site::Site;

/// What stands around a page.
pub(crate) struct Frame {
    /// The path of the portal.
    pub(crate) root: String,
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) favicon: String,
    pub(crate) title: String,
    /// The hidden token of its forms; empty where it has none.
    pub(crate) form_token: String,
    /// Who is signed in.
    pub(crate) email: Option<String>,
    /// Whether they see the development mailbox.
    pub(crate) has_mailbox: bool,
    pub(crate) app: Option<AppNav>,
    /// What was just done.
    pub(crate) notice: Option<String>,
}

/// A page of an application in the navigation.
pub(crate) struct NavItem {
    /// Its name for [`Frame::is_current`].
    pub(crate) page: &'static str,
    /// Its path below the application's.
    pub(crate) path: &'static str,
    pub(crate) label: &'static str,
    pub(crate) icon: &'static str,
}

const fn nav(page: &'static str, path: &'static str, label: &'static str, icon: &'static str) -> NavItem {
    NavItem { page, path, label, icon }
}

/// The pages of an application, in groups.
pub(crate) const NAV: &[&[NavItem]] = &[
    &[nav("overview", "", "Overview", "layout-dashboard"), nav("try", "/try", "Try it", "play")],
    &[
        nav("users", "/users", "Users", "users"),
        nav("signups", "/signups", "Sign-ups", "user-plus"),
        nav("invites", "/invites", "Invitations", "mail"),
    ],
    &[nav("jwt", "/jwt", "JWT", "sliders-horizontal"), nav("keys", "/keys", "Keys", "key-round")],
    &[nav("outbox", "/outbox", "Outbox", "send"), nav("logs", "/logs", "Logs", "scroll-text")],
    &[nav("settings", "/settings", "Settings", "settings-2")],
];

/// The application whose pages the navigation lists.
pub(crate) struct AppNav {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    /// The page that is shown.
    pub(crate) current: &'static str,
}

impl Frame {
    /// The frame of a page without forms.
    pub(crate) fn bare(site: &Site, title: &str) -> Self {
        Self {
            root: site.root.clone(),
            style: site.to(&path_of("portal.css")),
            script: site.to(&path_of("portal.js")),
            favicon: site.to(&path_of("favicon.svg")),
            title: title.to_owned(),
            form_token: String::new(),
            email: None,
            has_mailbox: false,
            app: None,
            notice: None,
        }
    }

    fn with_forms(site: &Site, cookie: &PortalToken, title: &str) -> Result<Self, Failure> {
        Ok(Self { form_token: site.service.form_token(cookie)?, ..Self::bare(site, title) })
    }

    /// The frame for someone who is not signed in.
    pub(crate) fn visitor(site: &Site, visitor: &Visitor, title: &str) -> Result<Self, Failure> {
        Self::with_forms(site, &visitor.cookie, title)
    }

    /// The frame for a developer.
    pub(crate) fn member(site: &Site, member: &Member, title: &str) -> Result<Self, Failure> {
        let email = Some(member.signed_in.developer.email.as_str().to_owned());
        let has_mailbox = site.mailbox.is_some() && member.signed_in.is_administrator();
        Ok(Self { email, has_mailbox, ..Self::with_forms(site, &member.cookie, title)? })
    }

    /// The frame of a page of an application.
    pub(crate) fn app(
        site: &Site,
        owned: &Owned,
        current: &'static str,
        title: &str,
    ) -> Result<Self, Failure> {
        let app: &App = &owned.app.app;
        let title = format!("{title} - {}", app.name.as_str());
        let nav = AppNav {
            id: app.id.to_string(),
            name: app.name.as_str().to_owned(),
            is_active: app.status == latchkey_domain::AppStatus::Active,
            current,
        };
        Ok(Self { app: Some(nav), ..Self::member(site, &owned.member, &title)? })
    }

    /// Marks the page as one that shows what is wrong.
    pub(crate) fn failed(self) -> Self {
        Self { title: format!("Error: {}", self.title), ..self }
    }

    /// Says what was just done.
    pub(crate) fn with_notice(self, notice: Option<impl Into<String>>) -> Self {
        Self { notice: notice.map(Into::into), ..self }
    }

    /// As [`Self::with_notice`], for what was saved.
    pub(crate) fn saved(self, notice: Option<String>) -> Self {
        let title = if notice.is_some() { format!("Saved: {}", self.title) } else { self.title.clone() };
        Self { title, notice, ..self }
    }

    /// Whether a page of the application is the one that is shown.
    pub(crate) fn is_current(&self, page: &str) -> bool {
        self.app.as_ref().is_some_and(|app| app.current == page)
    }
}

/// An input with its label, hint and error.
#[derive(Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) autocomplete: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) value: String,
    pub(crate) error: Option<String>,
}

impl Field {
    /// A field for one line of text.
    pub(crate) fn text(name: &'static str, label: &'static str, value: &str) -> Self {
        let value = value.to_owned();
        Self { name, label, kind: "text", autocomplete: "off", hint: "", value, error: None }
    }

    /// A field for an e-mail address.
    pub(crate) fn email(name: &'static str, label: &'static str, value: &str) -> Self {
        Self { kind: "email", autocomplete: "username", ..Self::text(name, label, value) }
    }

    /// A field for a password, which is never filled in again. `autocomplete` tells password managers which it is.
    pub(crate) fn password(name: &'static str, label: &'static str, autocomplete: &'static str) -> Self {
        Self { kind: "password", autocomplete, ..Self::text(name, label, "") }
    }

    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    pub(crate) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    pub(crate) fn error(self, error: Option<String>) -> Self {
        Self { error, ..self }
    }

    /// What describes the input, for assistive technology.
    pub(crate) fn described_by(&self) -> String {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        let error = self.error.is_some().then(|| format!("{}-error", self.name));
        hint.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }
}

/// The errors of a form, each with the field that it is about; shown above the form.
pub(crate) struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// Those of these fields.
    pub(crate) fn of<'f>(fields: impl IntoIterator<Item = &'f Field>) -> Self {
        let wrong = |field: &'f Field| Some((field.name, field.error.clone()?));
        Self(fields.into_iter().filter_map(wrong).collect())
    }

    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn list(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

/// A time as people read it: UTC, to the second.
pub(crate) fn time_text(time: OffsetDateTime) -> String {
    let date = time.date();
    format!("{date} {:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}
