//! Converts domain values to records, with their secrets in the requested form: the reverse of `from_record`.

use latchkey_crypto::{OVER_RAW, SealContext, TotpSecret};
use latchkey_domain::{App, AppKey, EmailTemplate, Invite, Named as _, Signup, User};
use latchkey_storage::settings_to_json;
use latchkey_transfer::{
    AppRecord, DigestOver, InviteRecord, KeyRecord, SignupRecord, TemplateRecord, UserRecord,
};

use super::from_record::place;
use super::secret_form::SecretForm;
use crate::account::second_factor::authenticator_of;
use crate::base::error::ServiceError;
use crate::base::hashing;
use crate::notify::outbox::mail_key_of;
use crate::notify::sms::account_of;
use crate::service::Service;

impl Service {
    /// The record of an application.
    pub(super) fn app_record(&self, app: &App, secrets: &SecretForm) -> Result<AppRecord, ServiceError> {
        let mut settings = app.settings.clone();
        let sealed = (settings.mail_api_key.take(), settings.sms_account.take());
        let (mut accounts, id) = ((None, None), app.id.to_string());
        if let Some(sealed) = sealed.0.filter(|_| secrets.leaves()) {
            let open = self.key_ring().open_sealed(&mail_key_of(app.id), &sealed)?;
            accounts.0 = secrets.of(&place("mail", &id), &open)?;
        }
        if let Some(sealed) = sealed.1.filter(|_| secrets.leaves()) {
            let open = self.key_ring().open_sealed(&account_of(app.id), &sealed)?;
            accounts.1 = secrets.of(&place("sms", &id), &open)?;
        }
        Ok(AppRecord {
            app_id: app.id.to_string(),
            name: app.name.as_str().to_owned(),
            kind: app.kind.name().to_owned(),
            status: app.status.name().to_owned(),
            issuer: app.issuer.clone(),
            settings: settings_to_json(&settings)?,
            mail_account: accounts.0,
            sms_account: accounts.1,
            created_at: app.created_at,
            updated_at: app.updated_at,
        })
    }

    pub(super) fn key_record(&self, key: &AppKey, secrets: &SecretForm) -> Result<KeyRecord, ServiceError> {
        let mut private_key = None;
        if secrets.leaves() && key.private.is_some() {
            let pem = self.signing_key(key.app_id, key)?.to_pem()?;
            private_key = secrets.of(&place("key", &key.kid), pem.as_bytes())?;
        }
        Ok(KeyRecord {
            public_key: key.public_pem.clone(),
            private_key,
            created_at: key.created_at,
            signs_from: key.signs_from,
            published_until: key.published_until,
            tokens_until: key.tokens_until,
        })
    }

    /// The record of a user.
    pub(super) fn user_record(&self, user: &User, secrets: &SecretForm) -> Result<UserRecord, ServiceError> {
        let mut digest = None;
        if let Some(sealed) = &user.password {
            let context =
                SealContext { purpose: hashing::SEALED_AS, app_id: user.app_id, row: user.id.as_bytes() };
            digest = Some(text_of(&self.key_ring().open_sealed(&context, sealed)?)?);
        }
        let (password_over, password) =
            match digest.as_deref().and_then(|digest| digest.strip_prefix(OVER_RAW)) {
                Some(raw) => (DigestOver::Raw, Some(raw.to_owned())),
                None => (DigestOver::Md5, digest),
            };
        let mut authenticator_secret = None;
        if let Some(authenticator) = user.factors.authenticator.as_ref().filter(|_| secrets.leaves()) {
            let context = authenticator_of(user.app_id, &user.id);
            let secret = self.key_ring().open_sealed(&context, &authenticator.secret)?;
            let text = TotpSecret::new(secret.to_vec())?.to_base32();
            authenticator_secret =
                secrets.of(&place("authenticator", &user.id.to_string()), text.as_bytes())?;
        }
        let factors = &user.factors;
        Ok(UserRecord {
            handle: user.handle.as_str().to_owned(),
            id: Some(user.id.to_string()),
            user_name: user.user_name.as_ref().map(|name| name.as_str().to_owned()),
            status: Some(user.status.name().to_owned()),
            password,
            password_over,
            locale: Some(user.locale.as_str().to_owned()),
            meta_data: user.metadata.values().clone(),
            phone: factors.given_phone.as_ref().map(|phone| phone.as_str().to_owned()),
            verified_phone: factors.verified_phone.as_ref().map(|phone| phone.as_str().to_owned()),
            phone_factor: factors.wants_sms,
            authenticator: factors.authenticator.is_some(),
            authenticator_secret,
            provider: user.social.as_ref().map(|social| social.provider.name().to_owned()),
            provider_subject: user.social.as_ref().and_then(|social| social.subject.clone()),
            administrator: user.is_administrator,
            email_verified: user.email_verified,
            created_at: Some(user.created_at),
            updated_at: Some(user.updated_at),
            last_login_at: user.last_login_at,
        })
    }

    pub(super) fn signup_record(&self, signup: &Signup) -> Result<SignupRecord, ServiceError> {
        let context = SealContext {
            purpose: hashing::SEALED_AS,
            app_id: signup.app_id,
            row: signup.user_id.as_bytes(),
        };
        Ok(SignupRecord {
            handle: signup.handle.as_str().to_owned(),
            id: signup.id.to_string(),
            user_id: signup.user_id.to_string(),
            status: signup.state.name().to_owned(),
            password: text_of(&self.key_ring().open_sealed(&context, &signup.password)?)?,
            locale: signup.locale.as_str().to_owned(),
            meta_data: signup.metadata.values().clone(),
            created_at: signup.created_at,
            updated_at: Some(signup.updated_at),
        })
    }
}

pub(super) fn invite_record(invite: &Invite) -> InviteRecord {
    InviteRecord {
        handle: invite.handle.as_str().to_owned(),
        id: invite.id.to_string(),
        sender_id: invite.sender_id.to_string(),
        sender_handle: invite.sender_handle.as_str().to_owned(),
        sender_reference: invite.sender_reference.clone(),
        status: invite.state.name().to_owned(),
        locale: invite.locale.as_str().to_owned(),
        meta_data: invite.metadata.values().clone(),
        created_at: invite.created_at,
        updated_at: Some(invite.updated_at),
    }
}

pub(super) fn template_record(template: &EmailTemplate) -> TemplateRecord {
    TemplateRecord {
        name: template.name.as_str().to_owned(),
        locale: template.locale.as_str().to_owned(),
        subject: template.subject.clone(),
        reply_to: template.reply_to.clone(),
        html: template.html.clone(),
        link_text: template.link_text.clone(),
        created_at: template.created_at,
        updated_at: template.updated_at,
    }
}

fn text_of(bytes: &[u8]) -> Result<String, ServiceError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ServiceError::Internal(error.into()))?;
    Ok(text.to_owned())
}
