//! Second factors: completing a log-in, enrolling, confirming and removing factors, recovery codes, phone numbers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_crypto::AccessToken;
use latchkey_domain::{Factor, Named as _, Phone};
use latchkey_service::Call;
use latchkey_service::account::{ChangeFactor, CompleteLogIn, Enrolled};

use super::{State, tokens_json};
use crate::dto::{FactorSecret, RecoveryCodes};
use crate::http::{Answer, ByAppOrUser, ByUser, Fields, Verified, WrongField, json, ok_true};

pub(crate) async fn login_complete(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let login_token = fields.required("loginToken")?.to_owned();
    let code = fields.factor_code("code")?;
    let code = code.ok_or_else(|| WrongField::missing("code"))?;
    let request = CompleteLogIn { login_token, code };
    let tokens = state.service.complete_log_in(call, request).await?;
    Ok(json(&tokens_json(&tokens)))
}

pub(crate) async fn set_google(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    set_factor(state, call, fields, Factor::Authenticator).await
}

pub(crate) async fn set_phone_factor(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    set_factor(state, call, fields, Factor::Phone).await
}

/// Both endpoints follow the application's mode: SDKs call either.
async fn set_factor(state: State, call: Call<AccessToken>, fields: Fields, endpoint: Factor) -> Answer {
    let factor = fields.text("factor")?.map(|name| {
        Factor::from_name(name).ok_or_else(|| WrongField::invalid("factor", "must be google or phone"))
    });
    let factor = factor.transpose()?;
    let code = fields.factor_code("code")?;
    let change = ChangeFactor { enrol: fields.is_true("twoFactor"), factor, code, endpoint };
    let enrolled = state.service.change_factor(call, change).await?;
    Ok(match enrolled {
        Enrolled::Done => ok_true(),
        Enrolled::Secret(secret, picture) => json(&FactorSecret {
            secret,
            picture: format!("data:image/png;base64,{}", STANDARD.encode(picture)),
        }),
    })
}

pub(crate) async fn confirm_google(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.authenticator_code("code")?;
    state.service.confirm_authenticator(call, code).await?;
    Ok(ok_true())
}

pub(crate) async fn new_recovery_codes(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.factor_code("code")?;
    let codes = state.service.new_recovery_codes(call, code).await?;
    let recovery_codes = codes.iter().map(latchkey_domain::RecoveryCode::to_groups).collect();
    Ok(json(&RecoveryCodes { recovery_codes }))
}

pub(crate) async fn set_phone(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let typed = fields.required("phone")?;
    let phone = phone_of(typed)?;
    let code = fields.factor_code("code")?;
    state.service.set_phone(call, phone, code).await?;
    Ok(ok_true())
}

pub(crate) async fn verify_phone(state: State, Verified(call): ByUser, fields: Fields) -> Answer {
    let code = fields.code("code")?;
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
    Phone::parse(&restored).map_err(|_| WrongField::invalid("phone", rule))
}
