//! What all pages share: the service, the addresses of the portal, and how its cookies are.

use std::sync::Arc;

use latchkey_domain::Clock;
use latchkey_notifiers::Mailbox;
use latchkey_service::{Service, ServiceError};
use url::{Host, Url};

use crate::{PATH, PortalParts};

/// How the cookie is sent (SEC-068).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The public address is https.
    Encrypted,
    /// It is http on this machine.
    Loopback,
    /// It is http elsewhere: nobody signs in.
    Open,
}

/// The state of the portal.
pub(crate) struct Site {
    pub(crate) service: Service,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) wire: fn(ServiceError) -> (u16, String),
    /// The path of the portal, with the base path of the public address.
    pub(crate) root: String,
    /// The origins from which its forms come.
    pub(crate) origins: Vec<String>,
    pub(crate) transport: Transport,
}

impl Site {
    pub(crate) fn new(parts: PortalParts) -> Self {
        let PortalParts { service, clock, mailbox, wire } = parts;
        let address = Url::parse(service.public_url()).ok();
        let base = address.as_ref().map(|url| url.path().trim_end_matches('/').to_owned());
        let transport = match &address {
            Some(url) if url.scheme() == "https" => Transport::Encrypted,
            Some(url) if is_loopback(url) => Transport::Loopback,
            _ => Transport::Open,
        };
        let mut origins: Vec<String> = address.iter().map(|url| url.origin().ascii_serialization()).collect();
        if let (Some(url), Transport::Loopback) = (&address, transport) {
            let port = url.port_or_known_default().unwrap_or(80);
            for host in ["localhost", "127.0.0.1", "[::1]"] {
                let other = Url::parse(&format!("http://{host}:{port}"));
                origins.extend(other.map(|url| url.origin().ascii_serialization()));
            }
        }
        let root = format!("{}{PATH}", base.unwrap_or_default());
        Self { service, clock, mailbox, wire, root, origins, transport }
    }

    /// The address of a page, by its path below the portal.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// The name of the cookie.
    pub(crate) fn cookie_name(&self) -> &'static str {
        match self.transport {
            Transport::Encrypted => "__Host-latchkey",
            Transport::Loopback | Transport::Open => "latchkey-dev",
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
