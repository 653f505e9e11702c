//! Latchkey: a self-hosted JWT authentication server. This crate speaks HTTP, reads settings and wires the
//! layers below; the binary `latchkey` is a thin shell around it.
//!
//! To embed the server in a program of your own, see [`Server`]:
//!
//! ```no_run
//! use latchkey_server::{Server, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut settings = Settings::default();
//! settings.server.port = 0;
//! let server = Server::start(settings)?;
//! println!("listening on {}", server.address());
//! server.run()?;
//! # Ok(())
//! # }
//! ```

mod api;
pub mod commands;
mod control;
mod descriptors;
mod dto;
mod http;
pub mod openapi;
pub mod routes;
mod server;
pub mod settings;
mod start;
mod telemetry;
mod transfer;
mod zip_export;

pub use http::edge_middleware;
pub use server::{Greeting, HttpContext, Server};
pub use settings::Settings;
pub use start::StartError;
