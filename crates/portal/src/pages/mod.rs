//! The pages, a file for each family: handlers and what their templates show.

pub(crate) mod account;
pub(crate) mod app_settings;
pub(crate) mod apps;
pub(crate) mod index;
pub(crate) mod jwt;
pub(crate) mod keys;
pub(crate) mod mailbox;
pub(crate) mod overview;
pub(crate) mod people;
pub(crate) mod setup;
pub(crate) mod sign_in;
pub(crate) mod try_it;
pub(crate) mod users;
pub(crate) mod watch;
