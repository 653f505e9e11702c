//! The suite that every implementation of the ports must pass. [`conformance_suite!`](crate::conformance_suite)
//! turns it into tests, so that no implementation can leave one out.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this module is tests: a failure is a panic"
)]

mod data;

pub mod account;
pub mod app;
pub mod code;
pub mod factor;
pub mod listing;
pub mod outbox;
pub mod portal;
pub mod quota;
pub mod server;
pub mod signup;
pub mod transaction;
pub mod upkeep;
pub mod user;

/// Makes one test of each entry of the suite. The argument is a path to a function that gives a fresh
/// database: something with a method `store()`, kept alive while the test runs.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:path) => {
        $crate::conformance_suite!(@modules $fresh,
            app: [comes_back_as_it_was, a_taken_name_adds_nothing, are_listed_newest_first, keys_take_new_times_and_go,
                a_removed_application_takes_its_own_with_it],
            user: [
                is_found_in_every_spelling, one_of_64_racers_gets_the_handle, of_another_app_is_not_found,
                sessions_change_once, a_password_is_replaced_once, are_counted_up_to_a_limit,
                what_is_sealed_and_stored_comes_back,
            ],
            account: [
                an_app_changes_once_per_revision, failures_are_counted_by_one_racer_each,
                a_reset_forgets_failures, a_user_name_is_taken_once, a_removed_handle_can_be_held,
                a_lock_is_told_once_a_day, an_invite_is_verified_once, templates_are_worded_per_locale,
                audit_entries_come_back_newest_first,
            ],
            listing: [
                pages_are_newest_first, a_beginning_finds_handles_and_names, a_scan_looks_at_every_row_once, a_scan_ends_when_it_has_found_enough,
                sign_ups_are_ordered_by_time, the_log_is_filtered_and_counted,
            ],
            factor: [
                change_once_per_revision, a_step_is_accepted_by_one_of_64_racers, a_recovery_code_works_once,
                a_verified_phone_is_one_users, a_subject_is_found_and_set_once,
            ],
            upkeep: [a_job_is_claimed_by_one_worker, what_is_over_goes, unused_anonymous_users_go],
            signup: [a_repeat_replaces_its_attempt, is_verified_once],
            code: [is_consumed_by_one_of_32_racers, are_listed_newest_first, are_removed_unless_consumed],
            quota: [racers_take_no_more_than_the_limit, kinds_subjects_and_periods_are_apart],
            outbox: [sec_136_applications_take_turns, is_claimed_by_one_worker, a_lost_claim_changes_nothing, the_dead_are_not_due, the_dead_can_be_revived, goes_with_its_recipient],
            portal: [
                an_account_is_added_once_and_changed_once_per_revision, log_ins_end, the_newest_set_up_link_counts,
            ],
            server: [
                keys_of_one_generation_are_added_once,
                a_key_is_wrapped_anew_once,
                an_old_servers_key_is_trusted_once,
                what_is_sealed_is_replaced_unless_it_changed,
                an_operator_token_comes_back,
                operator_tokens_are_listed_used_and_revoked,
            ],
            transaction: [
                an_error_keeps_nothing, a_panic_keeps_nothing_and_harms_nobody,
                a_dropped_caller_stops_nothing, an_error_leaves_its_neighbours,
                a_reader_sees_what_was_answered,
            ],
        );
    };
    (@modules $fresh:path, $($module:ident: [$($test:ident),* $(,)?]),* $(,)?) => {$(
        mod $module {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let database = $fresh();
                $crate::conformance::$module::$test(database.store()).await;
            }
        )*}
    )*};
}
