//! The plain settings of an application, as members of answers. Which they are, the table of the domain says.

use std::borrow::Cow;

use latchkey_domain::{AppSettings, PLAIN_SETTINGS, PlainKind, PlainSetting, PlainValue};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The plain settings that clients see.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct PublicSettings(Map<String, Value>);

/// The plain settings that operators alone see.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct PrivateSettings(Map<String, Value>);

impl PublicSettings {
    pub(super) fn of(settings: &AppSettings) -> Self {
        Self(members(settings, true))
    }
}

impl PrivateSettings {
    pub(super) fn of(settings: &AppSettings) -> Self {
        Self(members(settings, false))
    }
}

fn shown(is_public: bool) -> impl Iterator<Item = &'static PlainSetting> {
    PLAIN_SETTINGS.iter().filter(move |setting| setting.is_public == is_public)
}

fn members(settings: &AppSettings, is_public: bool) -> Map<String, Value> {
    let value = |setting: &PlainSetting| match setting.value(settings) {
        PlainValue::Flag(on) => on.into(),
        PlainValue::Number(number) => number.into(),
        PlainValue::Choice(name) => name.into(),
    };
    shown(is_public).map(|setting| (setting.field.to_owned(), value(setting))).collect()
}

fn schema(is_public: bool) -> RefOr<Schema> {
    shown(is_public)
        .fold(ObjectBuilder::new(), |object, setting| {
            let member = ObjectBuilder::new();
            let member = match &setting.kind {
                PlainKind::Flag { .. } => member.schema_type(Type::Boolean),
                // What an import brought may be above the bound of the API.
                PlainKind::Number { least, .. } => member.schema_type(Type::Integer).minimum(Some(*least)),
                PlainKind::Choice { names, .. } => member
                    .schema_type(Type::String)
                    .pattern(Some(format!("^({})$", names.join("|"))))
                    .examples(names.first().copied()),
            };
            let about = Some(setting.about).filter(|about| !about.is_empty());
            object.property(setting.field, member.description(about)).required(setting.field)
        })
        .into()
}

impl PartialSchema for PublicSettings {
    fn schema() -> RefOr<Schema> {
        schema(true)
    }
}

impl ToSchema for PublicSettings {
    fn name() -> Cow<'static, str> {
        "PublicSettings".into()
    }
}

impl PartialSchema for PrivateSettings {
    fn schema() -> RefOr<Schema> {
        schema(false)
    }
}

impl ToSchema for PrivateSettings {
    fn name() -> Cow<'static, str> {
        "PrivateSettings".into()
    }
}
