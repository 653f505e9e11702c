//! Limits: `[limits]`.

use super::section::{NO_BOUND, section};

section! {
    /// `[limits]`
    LimitSettings, "limits" {
        /// The most bytes of a request's body.
        body_bytes: usize = 64 * 1_024, 1..=NO_BOUND;
        /// The most bytes of a request's headers and path together.
        header_bytes: usize = 16 * 1_024, 1..=NO_BOUND;
        /// How deep a JSON body may nest.
        json_depth: usize = 32, 1..=NO_BOUND;
        /// The most fields of a form.
        form_fields: usize = 1_000, 1..=NO_BOUND;
        /// Seconds within which the head of a request must arrive.
        head_seconds: u64 = 5, 1..=NO_BOUND;
        /// Seconds within which the body of a request must arrive.
        body_seconds: u64 = 10, 1..=NO_BOUND;
        /// Seconds that a whole request may take.
        request_seconds: u64 = 30, 1..=NO_BOUND;
        /// Seconds that an idle connection stays open.
        idle_seconds: u64 = 5, 0..=NO_BOUND;
        /// Connections from one address (IPv6: one /64; ten times as many from one /48).
        connections_per_address: usize = 100, 1..=NO_BOUND;
        /// Hours that a sign-up code is valid.
        signup_code_hours: u32 = 24, 1..=720;
        /// Seconds within which a repeated request sends no new code.
        code_resend_seconds: u32 = 60, 0..=NO_BOUND;
        /// Wrong codes for one handle from the address that requested the code, and from all others together.
        wrong_codes: u32 = 5, 1..=NO_BOUND;
        /// Minutes that a code for a new password is valid.
        reset_code_minutes: u32 = 30, 1..=1_440;
        /// Days that an invitation's code is valid.
        invite_code_days: u32 = 7, 1..=365;
        /// Minutes that a sign-up code is valid where another address has an open attempt.
        rival_code_minutes: u32 = 60, 1..=1_440;
        /// Codes of one address for one handle that are good at once.
        live_codes: usize = 3, 1..=NO_BOUND;
        /// Wrong codes for one handle in a day, from anywhere.
        wrong_codes_a_day: u32 = 60, 1..=NO_BOUND;
        /// Wrong codes in a day that known addresses have beyond `wrong_codes_a_day`.
        wrong_codes_a_day_known: u32 = 15, 0..=NO_BOUND;
        /// Codes that one address may request for one handle per hour.
        handle_codes_an_hour: u32 = 3, 0..=NO_BOUND;
        /// Codes that one address may request for one handle per day.
        handle_codes_a_day: u32 = 5, 0..=NO_BOUND;
        /// Codes that all addresses together may request for one handle per day.
        handle_codes_a_day_all: u32 = 10, 0..=NO_BOUND;
        /// Codes that a known address may request per day, whatever others requested.
        handle_codes_a_day_known: u32 = 3, 0..=NO_BOUND;
        /// Wrong passwords before waiting begins; an application may set its own number.
        login_attempts: u32 = 10, 1..=NO_BOUND;
        /// Seconds of the first wait after wrong passwords; each further one is twice as long.
        login_first_wait_seconds: u32 = 30, 0..=NO_BOUND;
        /// Seconds of the longest wait after wrong passwords.
        login_longest_wait_seconds: u32 = 3_600, 0..=NO_BOUND;
        /// Wrong passwords after which unknown addresses need a reset by mail.
        login_stop_after: u32 = 100, 1..=NO_BOUND;
        /// Milliseconds before which no refused log-in is answered.
        login_floor_ms: u64 = 250, 0..=NO_BOUND;
        /// API requests of one address in a minute.
        requests_a_minute: u32 = 600, 1..=NO_BOUND;
        /// Failed log-ins of one address in a minute.
        failed_logins_a_minute: u32 = 20, 1..=NO_BOUND;
        /// Failed log-ins of one address in an hour.
        failed_logins_an_hour: u32 = 100, 1..=NO_BOUND;
        /// Handles failing from one address within an hour that stop log-ins from it.
        sprayed_handles: usize = 30, 1..=NO_BOUND;
        /// Minutes for which log-ins are stopped then: after too many `sprayed_handles`.
        spray_pause_minutes: u32 = 15, 0..=NO_BOUND;
        /// Open sign-ups of one IPv6 /64 in an hour.
        sign_ups_an_hour: u32 = 10, 0..=NO_BOUND;
        /// Unused code requests of one IPv6 /64 in an hour.
        code_requests_an_hour: u32 = 10, 0..=NO_BOUND;
        /// How many times as many open sign-ups and unused code requests an IPv4 address has.
        ipv4_share: u32 = 10, 1..=NO_BOUND;
        /// How many times as much an IPv6 /48 may do as one of its /64.
        site_share: u32 = 10, 1..=NO_BOUND;
        /// New anonymous users of one address in an hour.
        anonymous_an_hour: u32 = 300, 0..=NO_BOUND;
        /// Changes that one user may make in a minute.
        user_writes_a_minute: u32 = 60, 1..=NO_BOUND;
        /// User names that one user may check per hour.
        name_checks_an_hour: u32 = 120, 0..=NO_BOUND;
        /// Whether requests from loopback count against the limits of an address too where no proxy is declared.
        count_loopback: bool = false;
        /// Mails to one address in an hour, from all applications.
        mails_an_hour: u32 = 10, 0..=NO_BOUND;
        /// Mails to one address in a day, from all applications.
        mails_a_day: u32 = 30, 0..=NO_BOUND;
        /// Notices to the owner of an account in a day, which others cannot use up.
        notices_a_day: u32 = 10, 0..=NO_BOUND;
        /// Invitations of one user in a day.
        invites_a_day: u32 = 20, 0..=NO_BOUND;
        /// Minutes that a log-in waits for its second factor.
        login_token_minutes: u32 = 10, 1..=60;
        /// Minutes that a code by SMS is valid.
        sms_code_minutes: u32 = 5, 1..=10;
        /// Wrong second factors of one log-in.
        wrong_factors_a_login: u32 = 5, 1..=NO_BOUND;
        /// Wrong second factors of one user in a day.
        wrong_factors_a_day: u32 = 20, 1..=NO_BOUND;
        /// Wrong second factors in a row after which a user needs a recovery code.
        wrong_factors_in_a_row: u32 = 100, 1..=NO_BOUND;
        /// Steps of 30 seconds that an authenticator may be ahead of the server: 1 or 0.
        authenticator_steps_ahead: u32 = 1, 0..=1;
        /// Minutes after a log-in in which second factors may be removed or replaced without a code.
        recent_login_minutes: u32 = 15, 0..=1_440;
        /// SMS to one number in an hour, from all applications.
        sms_number_an_hour: u32 = 6, 1..=NO_BOUND;
        /// SMS to one number in a day, from all applications.
        sms_number_a_day: u32 = 12, 1..=NO_BOUND;
        /// SMS to numbers with the same first seven digits in an hour.
        sms_range_an_hour: u32 = 20, 1..=NO_BOUND;
        /// SMS for one user in a day.
        sms_user_a_day: u32 = 6, 1..=NO_BOUND;
        /// SMS of the whole server in a day.
        sms_a_day: u32 = 2_000, 0..=NO_BOUND;
    }
}
