//! The claims of a user's JWT.

use serde_json::{Map, Value};
use time::{Duration, OffsetDateTime};

use crate::app::App;
use crate::metadata::{CLAIMS_OF_MEANING, MetadataPath, OWN_CLAIMS};
use crate::settings::{AppSettings, UserIdFormat};
use crate::user::User;

/// Length in bytes from which a JWT is reported: some servers refuse longer headers.
pub const WARN_JWT_BYTES: usize = 4 * 1024;
/// Maximum length in bytes that a change of metadata may give a JWT.
pub const MAX_JWT_BYTES: usize = 8 * 1024;

/// Returns the length in bytes of a JWT with these claims (RFC 7515 section 7.1), for a signature of so many bytes.
#[must_use]
pub fn jwt_bytes(claims: &Map<String, Value>, signature_bytes: usize) -> usize {
    // Algorithm, type and a key id of 43 characters, in base64url.
    const HEADER: usize = 106;
    let base64 = |bytes: usize| (bytes * 4).div_ceil(3);
    let claims = serde_json::to_string(claims).map_or(0, |text| text.len());
    HEADER + 1 + base64(claims) + 1 + base64(signature_bytes)
}

/// A required field has no value, so there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the required field {0} has no value")]
pub struct MissingField(pub String);

/// The claims of a user's JWT (RFC 7519 section 4): `iss sub aud iat exp`, then the e-mail address (with
/// `email_verified` if it is at the top level) and user name if the application has them, then fixed claims and
/// metadata at their paths, or the defaults of fields without a value. Latchkey's own claims always win.
///
/// # Errors
/// [`MissingField`] when a required metadata field has no value.
pub fn user_claims(app: &App, user: &User, now: OffsetDateTime) -> Result<Map<String, Value>, MissingField> {
    let settings = &app.settings;
    let fields = &settings.metadata;
    let mut claims = metadata_claims(settings, user)?;
    settings.fixed_claims.put(&mut claims, user);

    let handle = user.handle.as_str();
    let top_level = MetadataPath::email();
    let email_path = match fields.email_field() {
        Some(field) => Some(&field.path),
        None => settings.metadata_email.then_some(&top_level),
    };
    if let Some(path) = email_path.filter(|_| user.handle.mailbox().is_some()) {
        path.put(&mut claims, handle.into());
        // OpenID Connect Core 1.0 section 5.1.
        if *path == top_level {
            claims.insert("email_verified".to_owned(), user.email_verified.into());
        }
    }
    if let Some(name) = user.user_name.as_ref().filter(|_| settings.user_names) {
        claims.insert("userName".to_owned(), name.as_str().into());
    }

    let subject = match settings.user_id_format {
        UserIdFormat::Handle => handle.to_owned(),
        UserIdFormat::HandleUnderscore => user.handle.underscored(),
        UserIdFormat::Uid => user.id.to_string(),
    };
    let expiry = now + Duration::hours(i64::from(settings.user_jwt_hours.max(1)));
    claims.insert("iss".to_owned(), app.issuer.clone().into());
    claims.insert("sub".to_owned(), subject.into());
    claims.insert("aud".to_owned(), settings.audience.claim(app.id).into());
    claims.insert("iat".to_owned(), now.unix_timestamp().into());
    claims.insert("exp".to_owned(), expiry.unix_timestamp().into());
    Ok(claims)
}

/// Metadata as claims. If users may set only what a definition allows, only defined values are claims: values of a
/// removed field disappear. Otherwise all values are, except registered claims that no field sets. Latchkey's own
/// claims are always left out, since imported values were never checked against a definition.
fn metadata_claims(settings: &AppSettings, user: &User) -> Result<Map<String, Value>, MissingField> {
    let fields = &settings.metadata;
    let mut claims = Map::new();
    if user.handle.is_anonymous() {
        for field in fields.iter().filter(|field| !field.is_email() && field.default.is_none()) {
            field.path.put(&mut claims, format!("ANON_{}", field.field_name).into());
        }
    } else if let Some(field) = fields.missing(&user.metadata) {
        return Err(MissingField(field.path.to_string()));
    }
    let declared = || fields.iter().chain(settings.invite_metadata.iter()).map(|field| &field.path);
    if settings.fields_user_settable {
        let is_declared = |name: &str| declared().any(|path| path.root() == name);
        let values = user.metadata.values().iter();
        let taken =
            values.filter(|(name, _)| !CLAIMS_OF_MEANING.contains(&name.as_str()) || is_declared(name));
        claims.extend(taken.map(|(name, value)| (name.clone(), value.clone())));
    } else {
        for path in declared() {
            if let Some(value) = path.find(user.metadata.values()) {
                path.put(&mut claims, value.clone());
            }
        }
    }
    for field in fields.iter().chain(settings.invite_metadata.iter()) {
        if let Some(value) = field.default.as_ref().filter(|_| field.path.find(&claims).is_none()) {
            field.path.put(&mut claims, value.clone());
        }
    }
    claims.retain(|name, _| !OWN_CLAIMS.contains(&name.as_str()));
    Ok(claims)
}

/// What a claim of a user's JWT means, for people who read one.
#[must_use]
pub fn meaning_of_claim(name: &str) -> &'static str {
    match name {
        "iss" => "the issuer: this application",
        "sub" => "the subject: the user",
        "aud" => "the audience: who accepts it",
        "iat" => "when it was issued, in seconds since 1970",
        "exp" => "when it expires, in seconds since 1970",
        "email" => "the user's e-mail address",
        "email_verified" => "whether the user proved to own it",
        "userName" => "the user's own name",
        _ => "a metadata field or fixed claim of the application",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::app::tests::app;
    use crate::handle::{Handle, UserName};
    use crate::id::UserId;
    use crate::locale::Locale;
    use crate::metadata::{Metadata, MetadataField, MetadataFields};
    use crate::settings::Audience;
    use crate::user::{Sessions, UserStatus};

    fn user(metadata: Value) -> User {
        let Value::Object(values) = metadata else { panic!("an object") };
        User {
            app_id: app().id,
            id: UserId::from_bytes([0xab; 16]),
            handle: Handle::parse("ana@example.com").unwrap(),
            user_name: Some(UserName::parse("ana").unwrap()),
            status: UserStatus::Active,
            password: None,
            locale: Locale::EN,
            metadata: Metadata::from_stored(values),
            sessions: Sessions::FIRST,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
            last_login_at: None,
            login: crate::login::LoginRecord::default(),
            email_verified: false,
            factors: crate::two_factor::Factors::default(),
            is_administrator: false,
            social: None,
            revision: 0,
        }
    }

    fn field(path: &str, name: &str, required: bool) -> MetadataField {
        let path = MetadataPath::parse(path).unwrap();
        MetadataField {
            path,
            field_name: name.to_owned(),
            required,
            can_edit: true,
            user_settable: true,
            kind: crate::metadata::MetadataKind::Text,
            default: None,
        }
    }

    fn claims(app: &App, user: &User) -> Value {
        Value::Object(user_claims(app, user, OffsetDateTime::UNIX_EPOCH + Duration::hours(1)).unwrap())
    }

    #[test]
    fn the_recommended_claims() {
        let expected = serde_json::json!({
            "iss": "https://auth.example.com/apps/1", "sub": "ab".repeat(16), "aud": "01".repeat(16),
            "iat": 3600, "exp": 25 * 3600, "email": "ana@example.com", "email_verified": false, "colour": "red",
        });
        let mut app = app();
        app.settings.metadata = MetadataFields::new(vec![field("colour", "colour", false)]).unwrap();
        assert_eq!(claims(&app, &user(serde_json::json!({"colour": "red"}))), expected);
    }

    #[test]
    fn sec_060_a_value_is_no_claim_any_more_when_its_field_is_gone() {
        let mut app = app();
        let ana = user(
            serde_json::json!({"role": "admin", "data": {"team": "a", "role": "admin"}, "b": {"c": {"d": 1}}}),
        );
        let fields = ["role", "data.team", "data.role", "b.c"].map(|path| field(path, "f", false));
        let of = |app: &App| {
            let Value::Object(mut claims) = claims(app, &ana) else { panic!("an object") };
            for name in ["iss", "sub", "aud", "iat", "exp", "email", "email_verified"] {
                claims.remove(name);
            }
            Value::Object(claims)
        };
        app.settings.metadata = MetadataFields::new(fields.to_vec()).unwrap();
        let all = Value::Object(ana.metadata.values().clone());
        assert_eq!(of(&app), all);
        app.settings.metadata = MetadataFields::new(fields[1..2].to_vec()).unwrap();
        assert_eq!(of(&app), serde_json::json!({"data": {"team": "a"}}));
        app.settings.invite_metadata = MetadataFields::new(fields[3..].to_vec()).unwrap();
        assert_eq!(of(&app), serde_json::json!({"data": {"team": "a"}, "b": {"c": {"d": 1}}}));
        // In the compatible preset tokens are what they were elsewhere.
        app.settings.fields_user_settable = true;
        assert_eq!(of(&app), all);
    }

    #[test]
    fn the_user_id_format_decides_the_subject_and_the_audience_is_a_setting() {
        let mut app = app();
        for (format, subject) in [
            (UserIdFormat::Handle, "ana@example.com"),
            (UserIdFormat::HandleUnderscore, "ana_example.com"),
            (UserIdFormat::Uid, "abababababababababababababababab"),
        ] {
            app.settings.user_id_format = format;
            assert_eq!(claims(&app, &user(serde_json::json!({})))["sub"], subject);
        }
        for (audience, text) in [(Audience::None, "none"), (Audience::Fixed("realm-1".to_owned()), "realm-1")]
        {
            app.settings.audience = audience;
            assert_eq!(claims(&app, &user(serde_json::json!({})))["aud"], text);
        }
    }

    #[test]
    fn sec_059_a_claim_with_a_meaning_stands_in_a_token_only_where_a_field_sets_it() {
        let mut app = app();
        app.settings.fields_user_settable = true;
        let ana = user(serde_json::json!({"amr": ["mfa"], "cnf": {"jkt": "x"}, "colour": "red"}));
        let of = |app: &App| ["amr", "cnf", "colour"].map(|name| claims(app, &ana).get(name).is_some());
        assert_eq!(of(&app), [false, false, true]);
        app.settings.metadata = MetadataFields::existing(vec![field("cnf.jkt", "key", false)]).unwrap();
        assert_eq!(of(&app), [false, true, true]);
        app.settings.invite_metadata = MetadataFields::existing(vec![field("amr", "amr", false)]).unwrap();
        assert_eq!(of(&app), [true, true, true]);
    }

    #[test]
    fn a_field_named_email_holds_the_handle_at_its_path() {
        let mut app = app();
        app.settings.metadata = MetadataFields::new(vec![field("user_data.mail", "email", true)]).unwrap();
        let claims = claims(&app, &user(serde_json::json!({})));
        assert_eq!(claims["user_data"]["mail"], "ana@example.com");
        assert_eq!(claims.get("email"), None);
    }

    #[test]
    fn sec_140_an_email_claim_at_the_top_level_says_whether_it_was_verified() {
        let mut app = app();
        let with =
            |handle: Handle, email_verified| User { handle, email_verified, ..user(serde_json::json!({})) };
        let ana = |verified| with(Handle::parse("ana@example.com").unwrap(), verified);
        let of = |app: &App, user: &User| {
            let claims = claims(app, user);
            ["email", "email_verified"].map(|name| claims.get(name).cloned().unwrap_or_default())
        };
        let email = || Value::from("ana@example.com");
        assert_eq!(of(&app, &ana(true)), [email(), true.into()]);
        assert_eq!(of(&app, &ana(false)), [email(), false.into()]);
        // Metadata that an import brought does not decide it.
        let metadata =
            Metadata::from_stored(serde_json::json!({"email_verified": true}).as_object().unwrap().clone());
        let claimed = User { metadata, ..ana(false) };
        app.settings.metadata = MetadataFields::existing(vec![field("email_verified", "v", false)]).unwrap();
        assert_eq!(of(&app, &claimed), [email(), false.into()]);
        // Only addresses are claimed as `email`.
        let others =
            ["ana", "ana@", "ana@localhost", "@example.com"].map(|text| Handle::parse(text).unwrap());
        app.settings.metadata = MetadataFields::default();
        for handle in others.into_iter().chain([Handle::parse_anonymous("ANON_1").unwrap()]) {
            let user = with(handle, false);
            assert_eq!(of(&app, &user), [Value::Null, Value::Null], "{:?}", user.handle);
        }
        app.settings.metadata_email = false;
        assert_eq!(of(&app, &ana(true)), [Value::Null, Value::Null]);
        for (path, expected) in
            [("email", [email(), true.into()]), ("user_data.mail", [Value::Null, Value::Null])]
        {
            app.settings.metadata = MetadataFields::new(vec![field(path, "email", true)]).unwrap();
            assert_eq!(of(&app, &ana(true)), expected, "{path}");
            let anonymous = with(Handle::parse_anonymous("ANON_1").unwrap(), false);
            assert_eq!(of(&app, &anonymous), [Value::Null, Value::Null], "{path}");
        }
    }

    #[test]
    fn a_default_stands_for_a_value_that_a_user_does_not_have() {
        let mut app = app();
        let role = MetadataField {
            default: Some("web_user".into()),
            user_settable: false,
            ..field("role", "role", true)
        };
        let level = MetadataField {
            default: Some(3.into()),
            kind: crate::metadata::MetadataKind::Number,
            ..field("data.level", "level", false)
        };
        app.settings.metadata = MetadataFields::new(vec![role, level]).unwrap();
        let of = |app: &App, metadata| {
            let claims = claims(app, &user(metadata));
            (claims["role"].clone(), claims["data"]["level"].clone())
        };
        let json = |value: Value| value;
        assert_eq!(of(&app, json(serde_json::json!({}))), ("web_user".into(), 3.into()));
        let own = serde_json::json!({"role": "admin", "data": {"level": 0}});
        assert_eq!(of(&app, own), ("admin".into(), 0.into()));
        let mut anonymous = user(serde_json::json!({}));
        anonymous.handle = Handle::parse_anonymous("ANON_1").unwrap();
        assert_eq!(claims(&app, &anonymous)["role"], "web_user");
    }

    #[test]
    fn fixed_claims_stand_at_their_paths_whatever_users_have_there() {
        use crate::fixed_claims::{ClaimSource, FixedClaim, FixedClaims};
        let mut app = app();
        app.settings.fields_user_settable = true;
        let list = [
            ("role", ClaimSource::Text("web_user".to_owned())),
            (r"https://hasura\.io/jwt/claims.x-hasura-default-role", ClaimSource::Text("user".to_owned())),
            (
                r"https://hasura\.io/jwt/claims.x-hasura-allowed-roles",
                ClaimSource::Texts(vec!["user".to_owned()]),
            ),
            (r"https://hasura\.io/jwt/claims.x-hasura-user-id", ClaimSource::UserId),
            ("who.handle", ClaimSource::Handle),
            ("who.name", ClaimSource::UserName),
            ("who.locale", ClaimSource::Locale),
        ];
        let claim = |(path, source): (&str, ClaimSource)| FixedClaim {
            path: MetadataPath::parse(path).unwrap(),
            source,
        };
        app.settings.fixed_claims = FixedClaims::new(list.into_iter().map(claim).collect()).unwrap();
        let claimed = serde_json::json!({"role": "admin", "who": "root", "https://hasura.io/jwt/claims": {"x-hasura-role": "a"}});
        let found = claims(&app, &user(claimed));
        assert_eq!(found["role"], "web_user");
        let id = "ab".repeat(16);
        assert_eq!(
            found["https://hasura.io/jwt/claims"],
            serde_json::json!({
                "x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"], "x-hasura-user-id": id, "x-hasura-role": "a",
            })
        );
        assert_eq!(
            found["who"],
            serde_json::json!({"handle": "ana@example.com", "name": "ana", "locale": "EN"})
        );
        // A value that a user without a user name stored at that path is not the claim.
        let stored = serde_json::json!({"who": {"name": "root", "x": 1}});
        let nameless = User { user_name: None, ..user(stored) };
        let who = serde_json::json!({"handle": "ana@example.com", "locale": "EN", "x": 1});
        assert_eq!(claims(&app, &nameless)["who"], who);
    }

    #[test]
    fn the_length_of_a_token_is_that_of_its_parts() {
        assert_eq!((WARN_JWT_BYTES, MAX_JWT_BYTES), (4_096, 8_192));
        let Value::Object(claims) = serde_json::json!({"sub": "x"}) else { panic!("an object") };
        // Eleven bytes are fifteen characters, and 256 or 384 are 342 or 512 (RFC 4648 section 5, without padding).
        assert_eq!(jwt_bytes(&claims, 256), 106 + 1 + 15 + 1 + 342);
        assert_eq!(jwt_bytes(&claims, 384), 106 + 1 + 15 + 1 + 512);
        assert_eq!(jwt_bytes(&Map::new(), 256), 106 + 1 + 3 + 1 + 342);
    }

    #[test]
    fn user_name_and_anonymous_fillers() {
        let mut app = app();
        app.settings.user_names = true;
        app.settings.metadata = MetadataFields::new(vec![field("data.first", "first", true)]).unwrap();
        assert_eq!(
            user_claims(&app, &user(serde_json::json!({})), OffsetDateTime::UNIX_EPOCH),
            Err(MissingField("data.first".to_owned()))
        );
        let mut anonymous = user(serde_json::json!({}));
        anonymous.handle = Handle::parse_anonymous("ANON_1").unwrap();
        let claims = claims(&app, &anonymous);
        assert_eq!(claims["data"]["first"], "ANON_first");
        assert_eq!(claims["userName"], "ana");
    }

    proptest! {
        #[test]
        fn sec_059_metadata_never_changes_a_claim_that_latchkey_sets(
            values in proptest::collection::hash_map(
                prop_oneof![
                    proptest::sample::select(OWN_CLAIMS.to_vec()).prop_map(str::to_owned),
                    "[a-z]{1,6}",
                ],
                prop_oneof![
                    ".{0,8}".prop_map(Value::from),
                    any::<i64>().prop_map(Value::from),
                    Just(serde_json::json!({"sub": "victim"})),
                ],
                0..12,
            ),
            names in any::<bool>(),
            email in any::<bool>(),
        ) {
            let mut app = app();
            app.settings.user_names = names;
            app.settings.metadata_email = email;
            let plain = claims(&app, &user(serde_json::json!({})));
            let loaded = claims(&app, &user(Value::Object(values.into_iter().collect())));
            for claim in OWN_CLAIMS {
                prop_assert_eq!(plain.get(claim), loaded.get(claim), "{}", claim);
            }
        }
    }
}
