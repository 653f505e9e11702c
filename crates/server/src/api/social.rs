//! `POST /api/appuser/socialLogin` and `socialSignup`.

use latchkey_domain::{Handle, Named as _, Provider};
use latchkey_service::account::{ProviderToken, SocialSignUp};

use super::{State, tokens_json};
use crate::http::{Answer, ByApp, ByAppOrUser, Fields, Verified, WrongField, json};

pub(crate) async fn social_login(state: State, Verified(call): ByAppOrUser, fields: Fields) -> Answer {
    let token = token_of(&fields)?;
    let tokens = state.service.log_in_with_provider(call, token).await?;
    Ok(json(&tokens_json(&tokens)))
}

pub(crate) async fn social_signup(state: State, Verified(call): ByApp, fields: Fields) -> Answer {
    let typed = fields.required("handle")?;
    let token = token_of(&fields)?;
    let request = SocialSignUp {
        token,
        handle: handle_of(typed)?,
        metadata: fields.json_text("metaData"),
        locale: fields.owned("locale")?,
    };
    let tokens = state.service.sign_up_with_provider(call, request).await?;
    Ok(json(&tokens_json(&tokens)))
}

fn token_of(fields: &Fields) -> Result<ProviderToken, WrongField> {
    let token = fields.required("token")?.to_owned();
    let provider = Provider::from_name(fields.required("provider")?);
    let provider = provider.ok_or_else(|| WrongField::invalid("provider", "must be apple or google"))?;
    Ok(ProviderToken { provider, token, nonce: fields.owned("nonce")? })
}

/// The Swift SDK does not escape the `+` of an address here: it arrives as a blank.
fn handle_of(typed: &str) -> Result<Handle, WrongField> {
    let restored = match typed.trim().split_once('@') {
        Some((local, domain)) => format!("{}@{domain}", local.replace(' ', "+")),
        None => typed.to_owned(),
    };
    Handle::parse(&restored).map_err(|error| WrongField::invalid("handle", error))
}
