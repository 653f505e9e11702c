//! Logs: text on a terminal, otherwise one JSON object per line. Values are encoded, so that no input can forge a line.
//! Log statements never contain secrets.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::settings::LogSettings;

/// Begins to log to standard error. A second call changes nothing.
pub(crate) fn begin(settings: &LogSettings) {
    // The dispatcher logs malformed requests as errors. They are answered with 400 and need no action.
    let quiet = "actix_server=warn,actix_http=warn,actix_http::h1::dispatcher=off";
    let filter = EnvFilter::new(format!("{},{quiet}", settings.level));
    let is_terminal = std::io::stderr().is_terminal();
    let as_text = match settings.format.as_str() {
        "text" => true,
        "json" => false,
        _ => is_terminal,
    };
    // Colour codes are for terminals only (https://no-color.org).
    let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(has_colours)
        .with_target(false);
    // An error means that a subscriber is already set, which is used then.
    let _ = if as_text {
        subscriber.try_init()
    } else {
        subscriber.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    };
}
