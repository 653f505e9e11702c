//! The web portal of Latchkey.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod answer;
mod assets;
mod form;
mod icons;
mod pages;
mod parts;
mod routes;
mod session;
mod site;
mod token_view;

use std::sync::Arc;

use actix_web::web::{self, Data, ServiceConfig};
use latchkey_domain::Clock;
use latchkey_notifiers::Mailbox;
use latchkey_service::{Service, ServiceError};

pub use routes::{Access, RouteInfo, table};
pub use session::Client;
use site::Site;

/// Where the portal is mounted, below the server's own base path.
pub const PATH: &str = "/portal";
/// The longest form that is read, in bytes.
const LONGEST_FORM: usize = 256 * 1024;

/// What the portal needs of the server.
pub struct PortalParts {
    /// The use cases.
    pub service: Service,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The development mailbox; none when mail is really sent.
    pub mailbox: Option<Mailbox>,
    /// How the REST API answers an error: status and JSON.
    pub wire: fn(ServiceError) -> (u16, String),
}

/// The portal. Cheap to clone.
#[derive(Clone)]
pub struct Portal(Data<Site>);

impl Portal {
    /// Wires the portal.
    #[must_use]
    pub fn new(parts: PortalParts) -> Self {
        Self(Data::new(Site::new(parts)))
    }

    /// Mounts all routes in the scope [`PATH`]. The server puts a [`Client`] into the extensions of each request.
    pub fn configure(&self, config: &mut ServiceConfig) {
        config.app_data(self.0.clone()).app_data(web::FormConfig::default().limit(LONGEST_FORM));
        routes::configure(config);
    }
}
