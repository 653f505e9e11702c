//! Second factors: completing a log-in, enrolling, confirming and removing factors, recovery codes, phone numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_crypto::AccessToken;
use latchkey_domain::{Factor, Named as _, Phone};
use latchkey_service::account::{ChangeFactor, CompleteLogIn, Enrolled};
use latchkey_service::{Call, Refusal};

use super::shared::{CODE, FACTOR_CODE, TOKENS};
use super::{State, tokens_json};
use crate::dto::{FactorSecret, RecoveryCodes};
use crate::http::field::{Field, choice, code, flag, text};
use crate::http::{Answer, ByAppOrUser, ByUser, Fields, Verified, WrongField, json, ok_true};
use crate::openapi::{Answers, DEFAULT, Operation, shape, truth};

const LOGIN_TOKEN: Field =
    text("loginToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "The login token from `login`.").required();
const LOGIN_CODE: Field =
    code("code", "The authenticator's code, the SMS code, or a recovery code.").required();

pub(crate) const LOGIN_COMPLETE: Operation = Operation {
    summary: "Complete a log-in with the second factor",
    fields: &[LOGIN_TOKEN, LOGIN_CODE],
    answers: TOKENS,
    refuses: &[Refusal::CredentialsWrong, Refusal::UserSuspended, Refusal::MetadataInvalid],
    ..DEFAULT
};

pub(crate) async fn login_complete(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let login_token = fields.required(LOGIN_TOKEN)?.to_owned();
    let code = fields.factor_code(LOGIN_CODE)?;
    let code = code.ok_or_else(|| WrongField::missing(LOGIN_CODE))?;
    let request = CompleteLogIn { login_token, code };
    let tokens = state.service.complete_log_in(call, request).await?;
    Ok(json(&tokens_json(&tokens)))
}

const TWO_FACTOR: Field = flag("twoFactor", "Enrol, or remove if false.").required();
const FACTOR: Field =
    choice("factor", &["google", "phone"], "Selects the factor, if it is not the one of the mode.");

pub(crate) const SET_FACTOR: Operation = Operation {
    summary: "Enrol or remove a second factor",
    about: "Follows the application's mode on either path. A new authenticator's secret is shown only once.",
    fields: &[TWO_FACTOR, FACTOR, FACTOR_CODE],
    answers: Answers::Json(&[truth, shape::<FactorSecret>]),
    refuses: &[
        Refusal::NoAuthenticator,
        Refusal::NoPhoneFactor,
        Refusal::PhoneNotVerified,
        Refusal::CredentialsWrong,
    ],
    ..DEFAULT
};

pub(crate) async fn set_google(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    set_factor(state, call, fields, Factor::Authenticator).await
}

pub(crate) async fn set_phone_factor(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    set_factor(state, call, fields, Factor::Phone).await
}

/// Both endpoints follow the application's mode: SDKs call either.
async fn set_factor(state: State, call: Call<AccessToken>, fields: Fields, endpoint: Factor) -> Answer {
    let factor = fields.text(FACTOR)?.map(|name| {
        Factor::from_name(name).ok_or_else(|| WrongField::invalid(FACTOR, "must be google or phone"))
    });
    let factor = factor.transpose()?;
    let code = fields.factor_code(FACTOR_CODE)?;
    // The reference takes whatever is not true as false. A typo must not remove a second factor.
    let enrol = fields.required_flag(TWO_FACTOR)?;
    let change = ChangeFactor { enrol, factor, code, endpoint };
    let enrolled = state.service.change_factor(call, change).await?;
    Ok(match enrolled {
        Enrolled::Done => ok_true(),
        Enrolled::Secret(secret, picture) => json(&FactorSecret {
            secret,
            picture: format!("data:image/png;base64,{}", STANDARD.encode(picture)),
        }),
    })
}

pub(crate) const CONFIRM_GOOGLE: Operation = Operation {
    summary: "Confirm a new authenticator with its first code",
    fields: &[CODE],
    refuses: &[Refusal::NoAuthenticator],
    ..DEFAULT
};

pub(crate) async fn confirm_google(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.authenticator_code(CODE)?;
    state.service.confirm_authenticator(call, code).await?;
    Ok(ok_true())
}

pub(crate) const NEW_RECOVERY_CODES: Operation = Operation {
    summary: "Create new recovery codes",
    about: "Invalidates the old ones. Each replaces a second factor once.",
    fields: &[FACTOR_CODE],
    answers: Answers::Json(&[shape::<RecoveryCodes>]),
    refuses: &[Refusal::CredentialsWrong],
    ..DEFAULT
};

pub(crate) async fn new_recovery_codes(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.factor_code(FACTOR_CODE)?;
    let codes = state.service.new_recovery_codes(call, code).await?;
    let recovery_codes = codes.iter().map(latchkey_domain::RecoveryCode::to_groups).collect();
    Ok(json(&RecoveryCodes { recovery_codes }))
}

const PHONE: Field = text("phone", "+4915112345678", "With `+` and country code.").required();

pub(crate) const SET_PHONE: Operation = Operation {
    summary: "Set the phone number and send a code to it",
    fields: &[PHONE, FACTOR_CODE],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken, Refusal::SmsFailed, Refusal::CredentialsWrong],
    ..DEFAULT
};

pub(crate) async fn set_phone(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let typed = fields.required(PHONE)?;
    let phone = phone_of(typed)?;
    let code = fields.factor_code(FACTOR_CODE)?;
    state.service.set_phone(call, phone, code).await?;
    Ok(ok_true())
}

pub(crate) const VERIFY_PHONE: Operation = Operation {
    summary: "Verify the phone number with the code",
    fields: &[CODE],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken],
    ..DEFAULT
};

pub(crate) async fn verify_phone(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.code(CODE)?;
    state.service.verify_phone(call, code).await?;
    Ok(ok_true())
}

/// A number as typed. The Swift SDK does not escape its `+`, which arrives as a space.
pub(super) fn phone_of(typed: &str) -> Result<Phone, WrongField> {
    let restored = match typed.strip_prefix(' ') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("+{rest}"),
        _ => typed.to_owned(),
    };
    let rule = "must be +, the country code and the number, such as +4915112345678";
    Phone::parse(&restored).map_err(|_| WrongField::invalid(PHONE, rule))
}
