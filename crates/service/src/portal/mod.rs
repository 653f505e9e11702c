//! Accounts of the portal: the set-up of the first one, signing in, and passwords. What developers do with applications is in
//! `operate`; here it is decided which of them they reach.

mod accounts;
mod apps;
mod logins;
mod passwords;

pub use accounts::PortalPassword;
pub use logins::{Browser, NewLogin, PortalToken, SignedIn};
