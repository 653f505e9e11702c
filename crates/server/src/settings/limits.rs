//! Limits: `[limits]`.

use serde::{Deserialize, Serialize};

/// `[limits]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitSettings {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of all headers and the path.
    pub header_bytes: usize,
    /// Depth of a JSON body.
    pub json_depth: usize,
    /// Fields of a form.
    pub form_fields: usize,
    /// Seconds for the head of a request.
    pub head_seconds: u64,
    /// Seconds for the body of a request.
    pub body_seconds: u64,
    /// Seconds for a whole request.
    pub request_seconds: u64,
    /// Seconds that an idle connection stays open.
    pub idle_seconds: u64,
    /// Connections from one address (IPv6: one /64; ten times as many from one /48).
    pub connections_per_address: usize,
    /// Hours that a sign-up code is good.
    pub signup_code_hours: u32,
    /// Seconds within which a repeated request sends no new code.
    pub code_resend_seconds: u32,
    /// Wrong codes for one handle from the address that requested the code, and from all others together.
    pub wrong_codes: u32,
    /// Minutes that a code for a new password is good.
    pub reset_code_minutes: u32,
    /// Days that an invitation's code is good.
    pub invite_code_days: u32,
    /// Minutes that a sign-up code is good where another address has an open attempt.
    pub rival_code_minutes: u32,
    /// Codes of one address for one handle that are good at once.
    pub live_codes: usize,
    /// Wrong codes for one handle in a day, from anywhere.
    pub wrong_codes_a_day: u32,
    /// Wrong codes in a day that known addresses have beyond that.
    pub wrong_codes_a_day_known: u32,
    /// Codes that one address may request for one handle per hour.
    pub handle_codes_an_hour: u32,
    /// Codes that one address may request for one handle per day.
    pub handle_codes_a_day: u32,
    /// Codes that all addresses together may request for one handle per day.
    pub handle_codes_a_day_all: u32,
    /// Codes that a known address may request per day, whatever others requested.
    pub handle_codes_a_day_known: u32,
    /// Wrong passwords before waiting begins; an application may set its own number.
    pub login_attempts: u32,
    /// The first wait; each further one is twice as long.
    pub login_first_wait_seconds: u32,
    /// The longest wait.
    pub login_longest_wait_seconds: u32,
    /// Wrong passwords after which unknown addresses need a reset by mail.
    pub login_stop_after: u32,
    /// Milliseconds before which no refused log-in is answered.
    pub login_floor_ms: u64,
    /// API requests of one address in a minute.
    pub requests_a_minute: u32,
    /// Failed log-ins of one address in a minute.
    pub failed_logins_a_minute: u32,
    /// Failed log-ins of one address in an hour.
    pub failed_logins_an_hour: u32,
    /// Handles failing from one address within an hour that stop log-ins from it.
    pub sprayed_handles: usize,
    /// For how many minutes.
    pub spray_pause_minutes: u32,
    /// Open sign-ups of one IPv6 /64 in an hour.
    pub sign_ups_an_hour: u32,
    /// Unused code requests of one IPv6 /64 in an hour.
    pub code_requests_an_hour: u32,
    /// How many times as many of these two an IPv4 address has.
    pub ipv4_share: u32,
    /// How many times as much an IPv6 /48 may do as one of its /64.
    pub site_share: u32,
    /// New anonymous users of one address in an hour.
    pub anonymous_an_hour: u32,
    /// Changes that one user may make in a minute.
    pub user_writes_a_minute: u32,
    /// User names that one user may check per hour.
    pub name_checks_an_hour: u32,
    /// Whether loopback is counted too where no proxy is declared.
    pub count_loopback: bool,
    /// Mails to one address in an hour, from all applications.
    pub mails_an_hour: u32,
    /// Mails to one address in a day, from all applications.
    pub mails_a_day: u32,
    /// Notices to the owner of an account in a day, which others cannot use up.
    pub notices_a_day: u32,
    /// Invitations of one user in a day.
    pub invites_a_day: u32,
    /// Minutes that a log-in waits for its second factor.
    pub login_token_minutes: u32,
    /// Minutes that a code by SMS is good, 10 at most.
    pub sms_code_minutes: u32,
    /// Wrong second factors of one log-in.
    pub wrong_factors_a_login: u32,
    /// Wrong second factors of one user in a day.
    pub wrong_factors_a_day: u32,
    /// Wrong second factors in a row after which a user needs a recovery code.
    pub wrong_factors_in_a_row: u32,
    /// Steps of 30 seconds that an authenticator may be ahead of the server: 1 or 0.
    pub authenticator_steps_ahead: u32,
    /// Minutes after a log-in in which second factors may be removed or replaced without a code.
    pub recent_login_minutes: u32,
    /// SMS to one number in an hour, from all applications.
    pub sms_number_an_hour: u32,
    /// SMS to one number in a day, from all applications.
    pub sms_number_a_day: u32,
    /// SMS to numbers with the same first seven digits in an hour.
    pub sms_range_an_hour: u32,
    /// SMS for one user in a day.
    pub sms_user_a_day: u32,
    /// SMS of the whole server in a day.
    pub sms_a_day: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1_024,
            header_bytes: 16 * 1_024,
            json_depth: 32,
            form_fields: 1_000,
            head_seconds: 5,
            body_seconds: 10,
            request_seconds: 30,
            idle_seconds: 5,
            connections_per_address: 100,
            signup_code_hours: 24,
            code_resend_seconds: 60,
            wrong_codes: 5,
            reset_code_minutes: 30,
            invite_code_days: 7,
            rival_code_minutes: 60,
            live_codes: 3,
            wrong_codes_a_day: 60,
            wrong_codes_a_day_known: 15,
            handle_codes_an_hour: 3,
            handle_codes_a_day: 5,
            handle_codes_a_day_all: 10,
            handle_codes_a_day_known: 3,
            login_attempts: 10,
            login_first_wait_seconds: 30,
            login_longest_wait_seconds: 3_600,
            login_stop_after: 100,
            login_floor_ms: 250,
            requests_a_minute: 600,
            failed_logins_a_minute: 20,
            failed_logins_an_hour: 100,
            sprayed_handles: 30,
            spray_pause_minutes: 15,
            sign_ups_an_hour: 10,
            code_requests_an_hour: 10,
            ipv4_share: 10,
            site_share: 10,
            anonymous_an_hour: 300,
            user_writes_a_minute: 60,
            name_checks_an_hour: 120,
            count_loopback: false,
            mails_an_hour: 10,
            mails_a_day: 30,
            notices_a_day: 10,
            invites_a_day: 20,
            login_token_minutes: 10,
            sms_code_minutes: 5,
            wrong_factors_a_login: 5,
            wrong_factors_a_day: 20,
            wrong_factors_in_a_row: 100,
            authenticator_steps_ahead: 1,
            recent_login_minutes: 15,
            sms_number_an_hour: 6,
            sms_number_a_day: 12,
            sms_range_an_hour: 20,
            sms_user_a_day: 6,
            sms_a_day: 2_000,
        }
    }
}
