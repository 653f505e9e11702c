//! Style, script and favicon: in the binary, under an address that changes with them, so that browsers keep them.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use latchkey_crypto::sha256;

use crate::answer::{Answer, Failure};

/// A file that pages load.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static str,
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "portal.css",
        media_type: "text/css; charset=utf-8",
        content: include_str!("../static/portal.css"),
    },
    Asset {
        name: "portal.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_str!("../static/portal.js"),
    },
    Asset {
        name: "favicon.svg",
        media_type: "image/svg+xml",
        content: include_str!("../static/favicon.svg"),
    },
];

/// Names what all of them are together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all: String = ASSETS.iter().map(|asset| asset.content).collect();
    sha256(all.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The path of a file below the portal.
pub(crate) fn path_of(name: &str) -> String {
    format!("/static/{}/{name}", *VERSION)
}

/// `GET /static/{version}/{file}`.
pub(crate) async fn file(request: HttpRequest) -> Answer {
    let wanted = request.match_info();
    let asset = ASSETS.iter().find(|asset| asset.name == wanted.query("file"));
    let asset = asset.filter(|_| wanted.query("version") == *VERSION).ok_or(Failure::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, asset.media_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"))
        .body(asset.content))
}
