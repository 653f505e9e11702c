//! Accounts of the portal: the set-up of the first one, and signing in. What developers do with applications is in
//! `operate`; here it is decided which of them they reach.

mod accounts;
mod apps;
mod logins;

pub use accounts::PortalPassword;
pub use logins::{Browser, NewLogin, PortalToken, SignedIn};
