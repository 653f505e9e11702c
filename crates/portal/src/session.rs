//! Who asks: the cookie, and the extractors that demand a log-in or an application of one's own.

use std::future::Future;
use std::pin::Pin;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse};
use latchkey_domain::{AppId, Source};
use latchkey_service::Operator;
use latchkey_service::operate::AppView;
use latchkey_service::portal::{Browser, PortalToken, SignedIn};

use crate::answer::Failure;
use crate::site::{Site, Transport};

type Extracted<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

/// Where a request comes from, as the server found out.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub Source);

/// Anyone with a browser: what stands in the cookie, or a new value for it.
pub(crate) struct Visitor {
    pub(crate) cookie: PortalToken,
    /// Whether the browser has that cookie already.
    pub(crate) is_known: bool,
    pub(crate) browser: Browser,
}

/// A developer who is signed in.
pub(crate) struct Member {
    pub(crate) signed_in: SignedIn,
    pub(crate) cookie: PortalToken,
    pub(crate) source: Source,
}

/// An administrator.
pub(crate) struct Administrator(pub(crate) Member);

/// A developer, and the application of the path, which is theirs.
pub(crate) struct Owned {
    pub(crate) member: Member,
    pub(crate) app: AppView,
    pub(crate) operator: Operator,
}

impl Visitor {
    fn of(site: &Site, request: &HttpRequest) -> Result<Self, Failure> {
        let known = cookie_of(site, request);
        let is_known = known.is_some();
        let cookie = match known {
            Some(cookie) => cookie,
            None => site.service.new_visitor()?,
        };
        Ok(Self { cookie, is_known, browser: browser_of(request)? })
    }

    /// Gives the browser its cookie with an answer, if it has none.
    pub(crate) fn greet(&self, site: &Site, mut response: HttpResponse) -> Result<HttpResponse, Failure> {
        if !self.is_known {
            set_cookie(site, &mut response, &self.cookie)?;
        }
        Ok(response)
    }
}

/// Gives the browser a cookie with an answer (SEC-068).
pub(crate) fn set_cookie(
    site: &Site,
    response: &mut HttpResponse,
    token: &PortalToken,
) -> Result<(), Failure> {
    let cookie = Cookie::build(site.cookie_name(), token.reveal())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(site.transport == Transport::Encrypted)
        .finish();
    response.add_cookie(&cookie).map_err(|error| Failure::Internal(error.to_string()))
}

fn cookie_of(site: &Site, request: &HttpRequest) -> Option<PortalToken> {
    PortalToken::parse(request.cookie(site.cookie_name())?.value())
}

pub(crate) fn browser_of(request: &HttpRequest) -> Result<Browser, Failure> {
    let client = request.extensions().get::<Client>().copied();
    let Client(source) =
        client.ok_or_else(|| Failure::Internal("a request without an address".to_owned()))?;
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    Ok(Browser { source, agent: agent.unwrap_or_default().to_owned() })
}

pub(crate) fn site_of(request: &HttpRequest) -> Result<Data<Site>, Failure> {
    let site = request.app_data::<Data<Site>>().cloned();
    site.ok_or_else(|| Failure::Internal("the portal is not configured".to_owned()))
}

impl Member {
    async fn of(site: &Site, request: &HttpRequest) -> Result<Self, Failure> {
        let next = request
            .uri()
            .path_and_query()
            .map(actix_web::http::uri::PathAndQuery::as_str)
            .unwrap_or_default();
        // A form that cannot be sent leads to the page that it stood on.
        let next = if request.method() == actix_web::http::Method::GET { next } else { "" };
        let signed_out = || Failure::SignedOut { next: next.to_owned() };
        let cookie = cookie_of(site, request).ok_or_else(signed_out)?;
        let signed_in = site.service.signed_in(&cookie).await?.ok_or_else(signed_out)?;
        let Browser { source, .. } = browser_of(request)?;
        Ok(Self { signed_in, cookie, source })
    }
}

impl Member {
    /// Whether someone is signed in.
    pub(crate) async fn is_there(site: &Site, request: &HttpRequest) -> Result<bool, Failure> {
        match Self::of(site, request).await {
            Ok(_) => Ok(true),
            Err(Failure::SignedOut { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

impl FromRequest for Visitor {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&*site_of(&request)?, &request) })
    }
}

impl FromRequest for Member {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&*site_of(&request)?, &request).await })
    }
}

impl FromRequest for Administrator {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let member = Member::of(&*site_of(&request)?, &request).await?;
            if member.signed_in.is_administrator() { Ok(Self(member)) } else { Err(Failure::NotFound) }
        })
    }
}

impl FromRequest for Owned {
    type Error = Failure;
    type Future = Extracted<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let site = site_of(&request)?;
            let member = Member::of(&site, &request).await?;
            let id: AppId = request.match_info().query("app").parse().map_err(|_| Failure::NotFound)?;
            let (app, operator) = site.service.app_of(&member.signed_in, id, member.source).await?;
            Ok(Self { member, app, operator })
        })
    }
}
