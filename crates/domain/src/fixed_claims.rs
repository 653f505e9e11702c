//! Fixed claims: what an application puts into the tokens of all its users, because a consumer needs it there.

use serde_json::{Map, Value};

use crate::metadata::{InvalidFields, MetadataFields, MetadataPath, OWN_CLAIMS};
use crate::text::has_forbidden_characters;
use crate::user::User;

/// The most fixed claims of an application.
const MAX_FIXED_CLAIMS: usize = 20;
/// The most texts in a list.
const MAX_TEXTS: usize = 50;
/// The most bytes of a text.
const MAX_TEXT_BYTES: usize = 500;

/// Maximum length of all fixed claims in bytes, as JSON: metadata need room in a token as well.
const MAX_BYTES: usize = 4 * 1024;

/// Why a list of fixed claims is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFixedClaims {
    /// Too many.
    #[error("an application has at most {MAX_FIXED_CLAIMS} fixed claims")]
    TooMany,
    /// A text that is too long or holds a control character, or a list of too many.
    #[error(
        "the value of {0} must be a text of at most {MAX_TEXT_BYTES} bytes, or a list of at most {MAX_TEXTS}"
    )]
    Value(String),
    /// Together longer than [`MAX_BYTES`].
    #[error("the fixed claims must be at most {MAX_BYTES} bytes of JSON")]
    TooLong,
    /// A path that no claim may have here.
    #[error(transparent)]
    Path(#[from] InvalidFields),
}

/// Where a fixed claim's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSource {
    /// The same text for everybody.
    Text(String),
    /// The same list of texts for everybody.
    Texts(Vec<String>),
    /// The user's id: 32 hexadecimal digits.
    UserId,
    /// The user's handle.
    Handle,
    /// The user's name; users without one have no such claim.
    UserName,
    /// The user's locale: two upper-case letters.
    Locale,
}

impl ClaimSource {
    const NAMES: [(Self, &str); 4] = [
        (Self::UserId, "userId"),
        (Self::Handle, "handle"),
        (Self::UserName, "userName"),
        (Self::Locale, "locale"),
    ];

    /// The name of the source: `text`, `texts`, `userId`, `handle`, `userName` or `locale`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Texts(_) => "texts",
            other => {
                Self::NAMES.iter().find(|(source, _)| source == other).map_or("userId", |(_, name)| name)
            }
        }
    }

    /// The source of this name, with the value that `text` and `texts` have.
    ///
    /// # Errors
    /// The rule that is broken, as in "must have the source userId or …".
    pub fn from_parts(name: &str, value: Option<&Value>) -> Result<Self, String> {
        let texts = |items: &Vec<Value>| items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        match (name, value) {
            ("text", Some(Value::String(text))) => Ok(Self::Text(text.clone())),
            ("text", _) => Err("must have a text as value".to_owned()),
            ("texts", value) => value
                .and_then(Value::as_array)
                .and_then(texts)
                .map(Self::Texts)
                .ok_or_else(|| "must have a list of texts as value".to_owned()),
            (_, value) => match Self::NAMES.iter().find(|(_, known)| *known == name) {
                Some((source, _)) if value.is_none_or(Value::is_null) => Ok(source.clone()),
                Some(_) => Err(format!("must have no value: {name} brings its own")),
                None => {
                    let names = Self::NAMES.map(|(_, name)| name).join(", ");
                    Err(format!("must have one of the sources text, texts, {names}"))
                }
            },
        }
    }

    /// The value that is the same for everybody, if it is.
    #[must_use]
    pub fn fixed_value(&self) -> Option<Value> {
        match self {
            Self::Text(text) => Some(text.as_str().into()),
            Self::Texts(texts) => Some(texts.as_slice().into()),
            Self::UserId | Self::Handle | Self::UserName | Self::Locale => None,
        }
    }

    fn value_for(&self, user: &User) -> Option<Value> {
        match self {
            Self::Text(_) | Self::Texts(_) => self.fixed_value(),
            Self::UserId => Some(user.id.to_string().into()),
            Self::Handle => Some(user.handle.as_str().into()),
            Self::UserName => user.user_name.as_ref().map(|name| name.as_str().into()),
            Self::Locale => Some(user.locale.as_str().into()),
        }
    }
}

/// One fixed claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedClaim {
    /// The path of the value in tokens.
    pub path: MetadataPath,
    /// Where it comes from.
    pub source: ClaimSource,
}

/// The fixed claims of an application: none reaches a claim with a meaning of its own, and none lies within another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FixedClaims(Vec<FixedClaim>);

impl FixedClaims {
    /// Checks a list of fixed claims.
    ///
    /// # Errors
    /// [`InvalidFixedClaims`] names the path.
    pub fn new(claims: Vec<FixedClaim>) -> Result<Self, InvalidFixedClaims> {
        if claims.len() > MAX_FIXED_CLAIMS {
            return Err(InvalidFixedClaims::TooMany);
        }
        let is_text = |text: &String| text.len() <= MAX_TEXT_BYTES && !has_forbidden_characters(text);
        for (at, claim) in claims.iter().enumerate() {
            let path = &claim.path;
            if OWN_CLAIMS.contains(&path.root()) || path.has_a_meaning() {
                return Err(InvalidFields::Reserved(path.to_string()).into());
            }
            if claims.iter().take(at).any(|other| collide(&other.path, path)) {
                return Err(InvalidFields::Collision(path.to_string()).into());
            }
            let is_good = match &claim.source {
                ClaimSource::Text(text) => is_text(text),
                ClaimSource::Texts(texts) => texts.len() <= MAX_TEXTS && texts.iter().all(is_text),
                ClaimSource::UserId | ClaimSource::Handle | ClaimSource::UserName | ClaimSource::Locale => {
                    true
                }
            };
            if !is_good {
                return Err(InvalidFixedClaims::Value(path.to_string()));
            }
        }
        let length = |claim: &FixedClaim| {
            let value = claim.source.fixed_value().map_or(0, |value| value.to_string().len());
            claim.path.to_string().len() + value
        };
        if claims.iter().map(length).sum::<usize>() > MAX_BYTES {
            return Err(InvalidFixedClaims::TooLong);
        }
        Ok(Self(claims))
    }

    /// The claims in the order in which they were declared.
    pub fn iter(&self) -> std::slice::Iter<'_, FixedClaim> {
        self.0.iter()
    }

    /// The path of a claim that a metadata field has too, or that lies within one or around it.
    #[must_use]
    pub fn collision_with(&self, fields: &MetadataFields) -> Option<&MetadataPath> {
        let collides = |claim: &&FixedClaim| fields.iter().any(|field| collide(&claim.path, &field.path));
        self.0.iter().find(collides).map(|claim| &claim.path)
    }

    /// Puts the claims of a user.
    pub(crate) fn put(&self, claims: &mut Map<String, Value>, user: &User) {
        for claim in &self.0 {
            match claim.source.value_for(user) {
                Some(value) => claim.path.put(claims, value),
                // A value that a user stored at the path before the claim was fixed is not the claim.
                None => claim.path.remove(claims),
            }
        }
    }
}

fn collide(one: &MetadataPath, other: &MetadataPath) -> bool {
    one.is_or_contains(other) || other.is_or_contains(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(path: &str, source: ClaimSource) -> FixedClaim {
        FixedClaim { path: MetadataPath::parse(path).unwrap(), source }
    }

    fn text(path: &str) -> FixedClaim {
        claim(path, ClaimSource::Text("x".to_owned()))
    }

    #[test]
    fn sec_059_a_fixed_claim_replaces_nothing_that_latchkey_sets() {
        for path in ["sub", "email", "aud.x", "userName", "amr", "email_verified", "cnf.jkt"] {
            let error = FixedClaims::new(vec![text(path)]).unwrap_err();
            assert_eq!(error, InvalidFixedClaims::Path(InvalidFields::Reserved(path.to_owned())));
        }
        for (one, other) in [("a", "a"), ("a", "a.b"), ("a.b", "a")] {
            let error = FixedClaims::new(vec![text(one), text(other)]).unwrap_err();
            assert_eq!(error, InvalidFixedClaims::Path(InvalidFields::Collision(other.to_owned())));
        }
        assert!(FixedClaims::new(vec![text("a.b"), text("a.c"), text("role")]).is_ok());
    }

    #[test]
    fn fixed_claims_are_bounded() {
        let many = |n: usize| (0..n).map(|i| text(&format!("c{i}"))).collect();
        assert!(FixedClaims::new(many(20)).is_ok_and(|claims| claims.iter().count() == 20));
        assert_eq!(FixedClaims::new(many(21)), Err(InvalidFixedClaims::TooMany));
        let of = |source| FixedClaims::new(vec![claim("a", source)]).is_ok();
        assert!(of(ClaimSource::Text("a".repeat(500))) && !of(ClaimSource::Text("a".repeat(501))));
        assert!(!of(ClaimSource::Text("a\nb".to_owned())));
        let texts = |n: usize| ClaimSource::Texts(vec!["a".to_owned(); n]);
        let long = |n: usize| {
            let list = ClaimSource::Texts(vec!["a".repeat(400); n]);
            FixedClaims::new(vec![claim("a", list)])
        };
        assert!(long(10).is_ok());
        assert_eq!(long(11), Err(InvalidFixedClaims::TooLong));
        assert!(of(texts(50)) && !of(texts(51)) && !of(ClaimSource::Texts(vec!["a\0".to_owned()])));
    }

    #[test]
    fn a_source_has_a_name_and_perhaps_a_value() {
        let (list, one) = (serde_json::json!(["a"]), serde_json::json!("a"));
        for (name, value) in [
            ("text", Some(&one)),
            ("texts", Some(&list)),
            ("userId", None),
            ("handle", None),
            ("userName", None),
            ("locale", None),
        ] {
            let source = ClaimSource::from_parts(name, value).unwrap();
            assert_eq!((source.name(), source.fixed_value().as_ref()), (name, value));
        }
        for (name, value) in [
            ("text", None),
            ("text", Some(&list)),
            ("texts", Some(&one)),
            ("handle", Some(&one)),
            ("x", None),
        ] {
            assert!(ClaimSource::from_parts(name, value).is_err(), "{name} {value:?}");
        }
        let mixed = serde_json::json!(["a", 1]);
        assert!(ClaimSource::from_parts("texts", Some(&mixed)).is_err());
    }

    #[test]
    fn a_fixed_claim_and_a_field_do_not_meet() {
        let field = |path: &str| crate::metadata::MetadataField {
            path: MetadataPath::parse(path).unwrap(),
            field_name: "x".to_owned(),
            required: false,
            can_edit: true,
            user_settable: true,
            kind: crate::metadata::MetadataKind::Text,
            default: None,
        };
        let claims = FixedClaims::new(vec![text("role"), text("a.b")]).unwrap();
        for (path, collides) in
            [("role", true), ("role.x", true), ("a", true), ("a.b.c", true), ("a.c", false), ("b", false)]
        {
            let fields = MetadataFields::new(vec![field(path)]).unwrap();
            assert_eq!(claims.collision_with(&fields).is_some(), collides, "{path}");
        }
    }
}
