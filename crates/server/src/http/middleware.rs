//! What surrounds every request: its plain path, its id, its client's address, its limits of number, time and
//! size, one line in the log, and an answer whatever happens.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};
use latchkey_domain::{Clock, Entropy};
use latchkey_service::ServiceError;
use latchkey_service::protect::{Rate, RateLimits};
use time::OffsetDateTime;
use tracing::Instrument as _;

use super::address::{ClientAddress, TrustedProxies, is_forwarded};
use super::connections::Pace;
use super::identity::family_of;
use super::pages::TrustedPages;
use super::path::BasePath;
use super::wire_error::{ApiError, Family};

/// Where the user API begins: the part that pages of other origins may call.
pub(crate) const USER_API: &str = "/api/appuser";

/// Configuration and shared state of the middleware.
pub(crate) struct EdgeState {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) trusted_pages: TrustedPages,
    pub(crate) base_path: BasePath,
    pub(crate) header_bytes: usize,
    pub(crate) request_time: Duration,
    pub(crate) rates: Arc<RateLimits>,
}

/// Surrounds a request: to be wrapped around the routes that `HttpContext` mounts.
///
/// # Errors
/// The answer itself, when a request panicked or took too long.
pub async fn edge_middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let under_way = request.conn_data::<Rc<Pace>>().map(Pace::begin);
    let response = answer(request, next).await?;
    Ok(match under_way {
        Some(under_way) => response.map_body(|_, body| under_way.until_end_of(body)),
        None => response,
    })
}

async fn answer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(edge) = request.app_data::<Data<EdgeState>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    take_plain_path(&mut request, &edge.base_path);
    let client = request.peer_addr().map(|peer| edge.trusted_proxies.client(peer.ip(), request.headers()));
    let is_trusted = request.peer_addr().is_some_and(|peer| edge.trusted_proxies.contains(peer.ip()));
    if !is_trusted && is_forwarded(request.headers()) && edge.rates.end_loopback_exemption() {
        tracing::warn!(
            "a request came through a proxy that is not declared: add server.trusted_proxies = [\"loopback\"] to the \
             settings; until then all its clients are limited as one address"
        );
    }
    // Health checks usually bypass the proxy.
    if let Some(peer) = request.peer_addr().filter(|_| !request.path().starts_with("/health/")) {
        edge.trusted_proxies.report_silence(peer.ip(), request.headers());
    }
    if let Some(client) = client {
        let source = edge.trusted_pages.source(client, request.headers());
        request.extensions_mut().insert(ClientAddress(source));
    }
    let line = RequestLog {
        began: edge.clock.now(),
        id: request_id(&*edge.entropy),
        method: request.method().to_string(),
        family: family_of(request.path()),
        client: client.map(latchkey_domain::Source::address),
    };
    let family = line.family;
    // The user API is limited further in: see `rate_limit`.
    let is_asked_later = is_of_user_api(request.match_info().unprocessed());
    let refused = too_large(&request, &edge);
    if let Some(error) = refused.or_else(|| if is_asked_later { None } else { too_often(&request, &edge) }) {
        line.write(&edge, "", error.wire(family).status.as_u16(), Some(&error));
        return Ok(request.into_response(error.response(family, Some(&line.id))));
    }
    // An upload takes as long as it does, and has its own bound for pauses (SEC-117).
    let is_upload = request.path() == "/api/app/importdatabase";
    let time = if is_upload { Duration::MAX } else { edge.request_time };
    // A task of its own: a client that disconnects stops nothing halfway. What it logs names the request.
    let span = tracing::info_span!("request", request_id = %line.id);
    let served = actix_web::rt::spawn(next.call(request).instrument(span));
    let error = match tokio::time::timeout(time, served).await {
        Ok(Ok(Ok(response))) => return Ok(line.complete(&edge, response.map_into_boxed_body())),
        Ok(Ok(Err(error))) => return Err(error),
        Ok(Err(_)) => ApiError::Panicked,
        Err(_) => ApiError::Service(ServiceError::Unavailable("request timed out".to_owned())),
    };
    line.write(&edge, "", error.wire(family).status.as_u16(), Some(&error));
    let response = error.response(family, Some(&line.id));
    Err(InternalError::from_response(error, response).into())
}

/// Applies the rate limit of the user API, inside the CORS middleware, so that a page of another origin can read the
/// refusal. Preflight requests are answered before.
pub(crate) async fn rate_limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let refused = request.app_data::<Data<EdgeState>>().and_then(|edge| too_often(&request, edge));
    match refused {
        Some(error) => Ok(ServiceResponse::from_err(error, request.into_parts().0)),
        None => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
    }
}

/// The data of a request's log line.
struct RequestLog {
    began: OffsetDateTime,
    id: String,
    method: String,
    family: Family,
    client: Option<IpAddr>,
}

impl RequestLog {
    /// Renders an error, names the request in its answer, and writes the line.
    fn complete(&self, edge: &EdgeState, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let route = response.request().match_pattern().unwrap_or_default();
        let error = response.response().error().and_then(|error| error.as_error::<ApiError>());
        let rendered = error.map(|error| error.response(self.family, Some(&self.id)));
        let status = rendered.as_ref().map_or(response.status(), HttpResponse::status);
        self.write(edge, &route, status.as_u16(), error);
        if let Some(rendered) = rendered {
            let marks = response.headers().clone();
            response = response.into_response(rendered);
            for (name, value) in marks {
                if !response.headers().contains_key(&name) {
                    response.headers_mut().append(name, value);
                }
            }
        }
        if let Ok(value) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
        }
        response
    }

    /// One line: never the query, a header or a body.
    fn write(&self, edge: &EdgeState, route: &str, status: u16, error: Option<&ApiError>) {
        let duration_ms = (edge.clock.now() - self.began).whole_milliseconds();
        let duration_ms = i64::try_from(duration_ms).unwrap_or(i64::MAX);
        let code = error.map(|error| error.wire(self.family).code);
        if let Some(error) = error.filter(|error| error.wire(self.family).status.is_server_error()) {
            tracing::error!(request_id = %self.id, cause = %error, "request failed");
        }
        let client = self.client.map(|client| client.to_string());
        let (request_id, method) = (self.id.as_str(), self.method.as_str());
        if route.starts_with("/health") {
            tracing::debug!(request_id, method, route, status, code, duration_ms, client, "request");
        } else {
            tracing::info!(request_id, method, route, status, code, duration_ms, client, "request");
        }
    }
}

fn request_id(entropy: &dyn Entropy) -> String {
    let bytes: [u8; 8] = entropy.bytes().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// Routing sees the plain spelling of the path.
fn take_plain_path(request: &mut ServiceRequest, base_path: &BasePath) {
    let path = request.uri().path();
    let plain = base_path.plain(path);
    if plain == path {
        return;
    }
    let path_and_query = match request.uri().query() {
        Some(query) => format!("{plain}?{query}"),
        None => plain,
    };
    let mut parts = request.uri().clone().into_parts();
    let Ok(path_and_query) = path_and_query.parse() else { return };
    parts.path_and_query = Some(path_and_query);
    let Ok(uri) = Uri::from_parts(parts) else { return };
    request.match_info_mut().get_mut().update(&uri);
    request.head_mut().uri = uri;
}

/// Whether the scope of the user API takes a request, by its path as routing sees it.
fn is_of_user_api(path: &str) -> bool {
    path.strip_prefix(USER_API).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Limits that hold for every path.
fn too_large(request: &ServiceRequest, edge: &EdgeState) -> Option<ApiError> {
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if header_bytes + request.uri().to_string().len() > edge.header_bytes {
        return Some(ApiError::TooLarge);
    }
    if request.conn_data::<Rc<Pace>>().is_some_and(|pace| !pace.is_granted) {
        return Some(ApiError::TooManyConnections);
    }
    None
}

/// More requests than one address may send.
fn too_often(request: &ServiceRequest, edge: &EdgeState) -> Option<ApiError> {
    // By what is left out, not by what is in: a path that is written oddly is counted like its plain spelling.
    if ["/health/", "/apps/"].iter().any(|free| request.path().starts_with(free)) {
        return None;
    }
    let client = request.extensions().get::<ClientAddress>().copied();
    let taken = client.map(|ClientAddress(at)| edge.rates.take(Rate::Request, at, edge.clock.now()));
    taken.and_then(Result::err).map(ApiError::Service)
}
