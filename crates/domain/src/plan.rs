//! Plan limits: how many users an application may have.

use crate::app::{App, AppType};

/// How the server is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerMode {
    /// By a team for itself: no limits but those it sets.
    #[default]
    SelfHosted,
    /// For many developers, who pay for commercial applications.
    Hosted,
}

/// The most users of a development application on a hosted server.
pub const DEVELOPMENT_USERS: u32 = 50;

/// The most users that the application may have, if there is a limit.
#[must_use]
pub fn max_users(app: &App, mode: ServerMode) -> Option<u32> {
    let own = (app.settings.max_users > 0).then_some(app.settings.max_users);
    let plan = (mode == ServerMode::Hosted && app.kind == AppType::Development).then_some(DEVELOPMENT_USERS);
    match (own, plan) {
        (Some(own), Some(plan)) => Some(own.min(plan)),
        (own, plan) => own.or(plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::app;

    #[test]
    fn the_smaller_limit_counts() {
        let mut app = app();
        assert_eq!(max_users(&app, ServerMode::SelfHosted), None);
        assert_eq!(max_users(&app, ServerMode::Hosted), Some(50));
        app.settings.max_users = 10;
        assert_eq!(max_users(&app, ServerMode::Hosted), Some(10));
        assert_eq!(max_users(&app, ServerMode::SelfHosted), Some(10));
        app.settings.max_users = 100;
        assert_eq!(max_users(&app, ServerMode::Hosted), Some(50));
        app.kind = AppType::Commercial;
        assert_eq!(max_users(&app, ServerMode::Hosted), Some(100));
    }
}
