//! The binary `latchkey`, and the library behind it.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod api;
pub mod commands;
mod control;
mod descriptors;
mod dto;
mod http;
mod openapi;
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
