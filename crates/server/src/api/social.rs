//! `POST /api/appuser/socialLogin` and `socialSignup`.

use latchkey_domain::{Handle, Named as _, Provider};
use latchkey_service::Refusal;
use latchkey_service::account::{ProviderToken, SocialSignUp};

use super::shared::{HANDLE, LOCALE, META_DATA, NONCE, PROVIDER, TOKEN, TOKENS};
use super::{State, tokens_json};
use crate::http::{Answer, ByApp, ByAppOrUser, Fields, Verified, WrongField, json};
use crate::openapi::{DEFAULT, Operation};

pub(crate) const SOCIAL_LOGIN: Operation = Operation {
    summary: "Log in with Apple or Google",
    fields: &[TOKEN, PROVIDER, NONCE],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
        Refusal::AccountUnknown,
        Refusal::HandleAccountExists,
        Refusal::AppleAccountExists,
        Refusal::GoogleAccountExists,
        Refusal::UserSuspended,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn social_login(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let token = token_of(&fields)?;
    let tokens = state.service.log_in_with_provider(call, token).await?;
    Ok(json(&tokens_json(&tokens)))
}

pub(crate) const SOCIAL_SIGNUP: Operation = Operation {
    summary: "Sign up with Apple or Google",
    fields: &[HANDLE, TOKEN, PROVIDER, NONCE, META_DATA, LOCALE],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
        Refusal::SignupOff,
        Refusal::HandleAccountExists,
        Refusal::AppleAccountExists,
        Refusal::GoogleAccountExists,
        Refusal::MetadataInvalid,
    ],
    ..DEFAULT
};

pub(crate) async fn social_signup(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    let typed = fields.required(HANDLE)?;
    let token = token_of(&fields)?;
    let request = SocialSignUp {
        token,
        handle: handle_of(typed)?,
        metadata: fields.json_text(META_DATA),
        locale: fields.owned(LOCALE)?,
    };
    let tokens = state.service.sign_up_with_provider(call, request).await?;
    Ok(json(&tokens_json(&tokens)))
}

fn token_of(fields: &Fields) -> Result<ProviderToken, WrongField> {
    let token = fields.required(TOKEN)?.to_owned();
    let provider = Provider::from_name(fields.required(PROVIDER)?);
    let provider = provider.ok_or_else(|| WrongField::invalid(PROVIDER, "must be apple or google"))?;
    Ok(ProviderToken { provider, token, nonce: fields.owned(NONCE)? })
}

/// The Swift SDK does not escape the `+` of an address here: it arrives as a blank.
fn handle_of(typed: &str) -> Result<Handle, WrongField> {
    let restored = match typed.trim().split_once('@') {
        Some((local, domain)) => format!("{}@{domain}", local.replace(' ', "+")),
        None => typed.to_owned(),
    };
    Handle::parse(&restored).map_err(|error| WrongField::invalid(HANDLE, error))
}
