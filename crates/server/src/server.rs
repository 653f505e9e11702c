//! The server: binds first, so that a busy port leaves no trace; then opens its data; then serves until it is stopped.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_web::App;
use actix_web::dev::{AppConfig, ServerHandle, fn_service};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::rt::{System, SystemRunner};
use actix_web::web::{Data, ServiceConfig};
use latchkey_domain::{Clock, Entropy};
use latchkey_notifiers::Mailbox;
use latchkey_portal::{Portal, PortalParts};
use latchkey_service::Service;
use rustix::net::sockopt::set_socket_send_buffer_size;
use tokio::sync::Semaphore;

use crate::api::AppState;
use crate::control::{self, setup_link};
use crate::descriptors::most_connections;
use crate::http::{
    BasePath, BodyLimits, Connections, EdgeState, Paced, TrustedPages, edge_middleware, wire_answer,
};
use crate::routes;
use crate::settings::{Settings, ValidatedSettings};
use crate::start::{Opened, Purpose, StartError, open};

/// How long messages that are being sent may take at shutdown.
const LAST_SENDS: Duration = Duration::from_secs(5);

/// Bytes of an answer that wait in the system's memory; Linux doubles it for what it needs itself.
const SEND_BUFFER: usize = 128 * 1024;
/// Connections of one worker thread; more are left to wait.
const MOST_OF_WORKER: usize = 25_600;

/// A server that is bound and ready to run.
pub struct Server {
    system: SystemRunner,
    http: HttpParts,
    opened: Opened,
    setup_link: Option<String>,
}

struct HttpParts {
    settings: Settings,
    checked: ValidatedSettings,
    listener: TcpListener,
    address: SocketAddr,
}

/// Startup information for the operator.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The address under which clients reach the server.
    pub public_url: String,
    /// Where the data is.
    pub database: String,
    /// A printable fingerprint of the master key.
    pub master_key: String,
    /// Who takes the mail: a folder, or a server.
    pub mail: String,
    /// Whether the data was made just now.
    pub is_new: bool,
    /// The link to the page where the first account of the portal is made; none when there is one.
    pub setup_link: Option<String>,
}

impl Server {
    /// Binds the port and opens the data.
    ///
    /// # Errors
    /// [`StartError`] with the reason. Nothing is left half-written.
    pub fn start(settings: Settings) -> Result<Self, StartError> {
        let checked = settings.check()?;
        let busy = |error: std::io::Error| {
            StartError::Unavailable(format!(
                "{} cannot be listened on: {error}. Stop what uses it, or choose another with server.port",
                checked.listen
            ))
        };
        let listener = TcpListener::bind(checked.listen).map_err(busy)?;
        let address = listener.local_addr().map_err(busy)?;
        listener.set_nonblocking(true).map_err(busy)?;
        let system = System::new();
        let public_url = settings.public_url(address);
        let opened = system.block_on(open(&settings, &checked, public_url, Purpose::Serve))?;
        let other_issuers = system.block_on(opened.service.count_other_issuers())?;
        if other_issuers > 0 {
            tracing::warn!(
                applications = other_issuers,
                "server.public_url has changed: their tokens keep the old issuer until \
                 `latchkey app set-issuer APP_ID --to-public-url` moves it"
            );
        }
        let setup_link = system.block_on(setup_link(&opened.service))?;
        Ok(Self { system, http: HttpParts { settings, checked, listener, address }, opened, setup_link })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address
    }

    /// Startup information for the operator.
    #[must_use]
    pub fn greeting(&self) -> Greeting {
        Greeting {
            public_url: self.http.settings.public_url(self.http.address),
            database: self.opened.database.clone(),
            master_key: self.opened.master_key.clone(),
            mail: match self.http.settings.mail.sender.as_str() {
                "smtp" => self.http.settings.mail.smtp_host.clone(),
                _ => self.opened.mailbox.display().to_string(),
            },
            is_new: self.opened.is_new,
            setup_link: self.setup_link.clone(),
        }
    }

    /// Serves until SIGINT or SIGTERM, then lets requests under way end.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when the listener fails.
    pub fn run(self) -> Result<(), StartError> {
        self.run_with(|_| {})
    }

    /// Serves like [`Server::run`], and first passes the handle that stops it.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when the listener fails.
    pub fn run_with(self, started: impl FnOnce(ServerHandle)) -> Result<(), StartError> {
        let Self { system, http, mut opened, .. } = self;
        let failed = |error: std::io::Error| StartError::Unavailable(format!("the listener failed: {error}"));
        system.block_on(async move {
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let upkeep_stopped = stopped.clone();
            let service = opened.service.clone();
            let outbox = tokio::spawn(async move { service.work_off_outbox(stopped).await });
            let patience = Duration::from_secs(http.settings.server.shutdown_seconds);
            let control = opened.control.take();
            let control = control
                .map(|listener| {
                    let (key_place, entropy) = (opened.key_place.clone(), Arc::clone(&opened.entropy));
                    control::serve(listener, opened.service.clone(), key_place, entropy)
                })
                .transpose()?;
            let server = http_server(http, &opened).map_err(failed)?;
            started(server.handle());
            let (service, handle) = (opened.service.clone(), server.handle());
            let upkeep = tokio::spawn(async move {
                let kept = service.keep_up(upkeep_stopped).await;
                if let Err(error) = &kept {
                    tracing::error!(%error, "the server stops");
                    handle.stop(true).await;
                }
                kept
            });
            let served = server.await.map_err(failed);
            if let Some(control) = control {
                control.stop(true).await;
            }
            // A send that is left now comes due again after its lease.
            let _ = stop.send(true);
            if tokio::time::timeout(patience.min(LAST_SENDS), outbox).await.is_err() {
                tracing::info!("messages that are still being sent are sent again after the next start");
            }
            if let Ok(Ok(kept)) = tokio::time::timeout(patience, upkeep).await {
                kept?;
            }
            tracing::info!("stopped");
            served
        })
    }
}

fn http_server(parts: HttpParts, opened: &Opened) -> std::io::Result<actix_web::dev::Server> {
    let HttpParts { settings, checked, listener, .. } = parts;
    let limits = settings.limits.clone();
    let connections = Connections::new(
        limits.connections_per_address,
        checked.trusted_proxies.clone(),
        Some(opened.service.rate_limits()),
    );
    let context = HttpContext::new(
        opened.service.clone(),
        Arc::clone(&opened.clock),
        Arc::clone(&opened.entropy),
        &settings,
        &checked,
    );
    let builder = actix_server::Server::build()
        .workers(checked.workers)
        .max_concurrent_connections((most_connections() / checked.workers.max(1)).min(MOST_OF_WORKER))
        .shutdown_timeout(settings.server.shutdown_seconds);
    let stopping = builder.graceful_shutdown_signal();
    let (begun, seconds) = (stopping.clone(), settings.server.shutdown_seconds);
    tokio::spawn(async move {
        begun.notified().await;
        tracing::info!(seconds, "stopping: no new connections; requests under way may take so long");
    });
    let idle = Duration::from_secs(limits.idle_seconds);
    let server = builder.listen("latchkey", listener, move || {
        let (context, connections, stopping) = (context.clone(), connections.clone(), stopping.clone());
        let app =
            App::new().wrap(from_fn(edge_middleware)).configure(move |config| context.configure(config));
        let app = app.into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            .client_request_timeout(Duration::from_secs(limits.head_seconds))
            .keep_alive(idle)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|stream: &Paced<TcpStream>, data| {
                data.insert(stream.pace());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            // Counts what the client has read, without what waits in the system's buffers.
            let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER);
            let seated = stream.peer_addr().map_err(DispatchError::Io).and_then(|peer| {
                let seat = connections.take_seat(peer.ip()).ok_or(DispatchError::InternalError)?;
                Ok((Paced::new(stream, idle, seat), Some(peer)))
            });
            async { seated }
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// The shared state of all workers' routes. Tests construct it over their own stores.
pub struct HttpContext {
    state: Data<AppState>,
    service: Data<Service>,
    edge: Data<EdgeState>,
    limits: Data<BodyLimits>,
    origins: Vec<String>,
    portal: Portal,
}

impl Clone for HttpContext {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            service: self.service.clone(),
            edge: self.edge.clone(),
            limits: self.limits.clone(),
            origins: self.origins.clone(),
            portal: self.portal.clone(),
        }
    }
}

impl HttpContext {
    /// Wires the routes to a service.
    #[must_use]
    pub fn new(
        service: Service,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: &Settings,
        checked: &ValidatedSettings,
    ) -> Self {
        let limits = &settings.limits;
        let paths = routes::table().into_iter().map(|entry| entry.path).chain([latchkey_portal::PATH]);
        let base_path = BasePath::of(service.public_url(), paths);
        let portal = Portal::new(PortalParts {
            service: service.clone(),
            clock: Arc::clone(&clock),
            mailbox: settings.mailbox().map(Mailbox::new),
            wire: wire_answer,
        });
        Self {
            service: Data::new(service.clone()),
            edge: Data::new(EdgeState {
                clock,
                entropy,
                trusted_proxies: checked.trusted_proxies.clone(),
                trusted_pages: TrustedPages::new(service.public_url(), &settings.server.cors_origins),
                base_path: base_path.clone(),
                header_bytes: limits.header_bytes,
                request_time: Duration::from_secs(limits.request_seconds),
                rates: service.rate_limits(),
            }),
            limits: Data::new(BodyLimits {
                bytes: limits.body_bytes,
                template_bytes: limits.body_bytes * 2,
                depth: limits.json_depth,
                fields: limits.form_fields,
                time: Duration::from_secs(limits.body_seconds),
            }),
            origins: settings.server.cors_origins.clone(),
            portal,
            state: Data::new(AppState {
                service,
                base_path: base_path.as_str().to_owned(),
                uploads: Arc::new(Semaphore::new(1)),
                describe: routes::description,
                description: OnceLock::new(),
            }),
        }
    }

    /// Mounts all routes.
    pub fn configure(&self, config: &mut ServiceConfig) {
        config
            .app_data(self.state.clone())
            .app_data(self.service.clone())
            .app_data(self.edge.clone())
            .app_data(self.limits.clone());
        routes::configure(config, &self.origins, &self.portal);
    }
}
