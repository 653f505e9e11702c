//! `/portal`: leads to where the visitor can go on.

use actix_web::HttpRequest;
use actix_web::web::Data;

use crate::answer::{Answer, see_other};
use crate::session::{Member, Visitor};
use crate::site::Site;

pub(crate) async fn index(site: Data<Site>, request: HttpRequest, visitor: Visitor) -> Answer {
    if Member::is_there(&site, &request).await? {
        return Ok(see_other(&site, "/apps"));
    }
    let path = if site.service.has_administrator().await? { "/sign-in" } else { "/setup" };
    visitor.greet(&site, see_other(&site, path))
}
