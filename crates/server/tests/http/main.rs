//! The REST API over its real routes, on both databases, and once more on a store that runs every unit of
//! work twice. Time stands still, chance is seeded, mail stays in memory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: a failure is a panic"
)]

mod described;
mod harness;

mod account;
mod admin_apps;
mod admin_invites;
mod admin_users;
mod anonymous;
mod apps;
mod audit;
mod clock;
mod code_limits;
mod confirmation;
mod deletion;
mod edge;
mod enrolment;
mod factor_races;
mod factors;
mod forged_keys;
mod hostile;
mod interleaving;
mod invite;
mod key_rotation;
mod keys;
mod limits;
mod login;
mod logs;
mod messages;
mod metadata;
mod moving;
mod names;
mod operators;
mod owner;
mod pages;
mod phone;
mod portal;
mod provider;
mod rates;
mod reset;
mod second_factor;
mod settings;
mod signup;
mod sms_limits;
mod social;
mod subjects;
mod templates;
mod tokens;
mod verified_email;
mod well_known;

/// Makes one test of a function for each store that must pass it.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {$(
            #[actix_web::test]
            async fn $test() {
                let database = latchkey_test_support::TestDatabase::sqlite();
                super::$test(crate::harness::TestApp::over(database.store()).await).await;
            }
        )+}
        mod postgres {$(
            #[actix_web::test]
            async fn $test() {
                let database = latchkey_test_support::TestDatabase::postgres();
                super::$test(crate::harness::TestApp::over(database.store()).await).await;
            }
        )+}
        mod sqlite_twice {$(
            #[actix_web::test]
            async fn $test() {
                let database = latchkey_test_support::TestDatabase::sqlite();
                let store = latchkey_test_support::twice(database.store());
                super::$test(crate::harness::TestApp::over(store).await).await;
            }
        )+}
        mod postgres_twice {$(
            #[actix_web::test]
            async fn $test() {
                let database = latchkey_test_support::TestDatabase::postgres();
                let store = latchkey_test_support::twice(database.store());
                super::$test(crate::harness::TestApp::over(store).await).await;
            }
        )+}
    };
}
pub(crate) use on_every_store;
