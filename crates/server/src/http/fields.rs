//! The fields of a request's body: read within limits of size and time, then parsed one by one.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use latchkey_domain::Code;
use latchkey_service::account::{FactorCode, NewPassword};
use latchkey_service::{Refusal, ServiceError};
use serde_json::Value;

use super::field::{FieldName, FieldsOfRoute};
use super::syntax;
use super::wire_error::{ApiError, message_of};

/// How large and slow a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimits {
    pub(crate) bytes: usize,
    /// For `updateEmailTemplate`.
    pub(crate) template_bytes: usize,
    pub(crate) depth: usize,
    pub(crate) fields: usize,
    pub(crate) time: Duration,
}

/// How deep JSON may nest that is sent as text, or stored.
const DEPTH_OF_TEXTS: usize = 16;

/// The fields of a request's body or query.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    values: HashMap<String, Value>,
    /// `None` for the members of an object, whose names the object's field describes.
    route: Option<FieldsOfRoute>,
}

impl FromRequest for Fields {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let limits = request
                .app_data::<Data<BodyLimits>>()
                .map(|limits| ***limits)
                .ok_or_else(|| ApiError::internal("no body limits are configured"))?;
            let is_template = request.path() == "/api/app/updateemailtemplate";
            let most = if is_template { limits.template_bytes } else { limits.bytes };
            let reading = read(&request, payload, most);
            let body = tokio::time::timeout(limits.time, reading).await.map_err(|_| ApiError::TooSlow)??;
            let parsed = match content_type(&request).as_deref() {
                Some("application/json") => syntax::json(&body, limits.depth),
                // curl's default content type.
                Some("application/x-www-form-urlencoded") if is_json_object(&body) => {
                    return Err(ApiError::UnsupportedBody);
                }
                Some("application/x-www-form-urlencoded") => syntax::form(&body, limits.fields),
                _ if body.is_empty() => Ok(HashMap::new()),
                _ => return Err(ApiError::UnsupportedBody),
            };
            let values =
                parsed.map_err(|malformed| ServiceError::invalid(format!("invalid data: {malformed}")))?;
            Ok(Self { values, route: request.extensions().get().copied() })
        })
    }
}

/// The fields of a request's query.
pub(crate) struct Query(pub(crate) Fields);

impl FromRequest for Query {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Fields::of_query(request).map(Self).map_err(ApiError::from))
    }
}

/// Whether a form is JSON whose content type was forgotten. No form of a client begins like that.
fn is_json_object(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.starts_with(b"{") && body.ends_with(b"}")
}

fn content_type(request: &HttpRequest) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

async fn read(request: &HttpRequest, mut payload: Payload, most: usize) -> Result<Bytes, ApiError> {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(ApiError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Refusal::InvalidData)?;
        if body.len() + chunk.len() > most {
            return Err(ApiError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A field that is missing or invalid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongField {
    refusal: Refusal,
    /// The field's name, and the rule that its value breaks.
    text: String,
}

impl WrongField {
    /// An invalid value. `rule` follows the name, as in "must be true or false".
    pub(crate) fn invalid(name: impl FieldName, rule: impl fmt::Display) -> Self {
        Self { refusal: Refusal::InvalidData, text: format!("{} {rule}", name.name()) }
    }

    /// A required field without a value.
    pub(crate) fn missing(name: impl FieldName) -> Self {
        Self { refusal: Refusal::MissingParameter, text: name.name().to_owned() }
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.refusal == Refusal::MissingParameter
    }
}

impl From<WrongField> for ServiceError {
    fn from(WrongField { refusal, text }: WrongField) -> Self {
        Self::Explained(refusal, format!("{}: {text}", message_of(refusal)))
    }
}

impl Fields {
    #[cfg(test)]
    pub(crate) fn of(value: Value) -> Self {
        let Value::Object(fields) = value else { panic!("an object") };
        Self::of_object(fields)
    }

    fn value(&self, name: impl FieldName) -> Option<&Value> {
        let name = name.name();
        debug_assert!(
            self.route.is_none_or(|route| route.lists(name)),
            "the field {name} is read, and its operation does not list it"
        );
        self.values.get(name)
    }

    /// The fields of the query.
    pub(crate) fn of_query(request: &HttpRequest) -> Result<Self, Refusal> {
        const MOST: usize = 100;
        let values = syntax::form(request.query_string().as_bytes(), MOST);
        let values = values.map_err(|_| Refusal::InvalidData)?;
        Ok(Self { values, route: request.extensions().get().copied() })
    }

    /// A text. Absent, null and empty are the same: nothing.
    pub(crate) fn text(&self, name: impl FieldName) -> Result<Option<&str>, WrongField> {
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(WrongField::invalid(name, "must be a string"))
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: impl FieldName) -> Result<&str, WrongField> {
        self.text(name)?.ok_or_else(|| WrongField::missing(name))
    }

    /// A name from a list of choices. An empty text is returned, and then refused as an unknown name: it is not the same
    /// as a missing field.
    pub(crate) fn choice(&self, name: impl FieldName) -> Result<Option<&str>, WrongField> {
        Ok(self.text(name)?.or_else(|| self.is_blank(name).then_some("")))
    }

    /// A JSON string, as SDKs send it, or the JSON itself. It is validated later.
    pub(crate) fn json_text(&self, name: impl FieldName) -> Option<String> {
        match self.value(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// A flag: a JSON boolean, or its text.
    pub(crate) fn flag(&self, name: impl FieldName) -> Result<Option<bool>, WrongField> {
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(WrongField::invalid(name, "must be true or false")),
        }
    }

    /// A flag that must be there.
    pub(crate) fn required_flag(&self, name: impl FieldName) -> Result<bool, WrongField> {
        self.flag(name)?.ok_or_else(|| WrongField::missing(name))
    }

    /// The members of an object.
    pub(crate) fn of_object(members: serde_json::Map<String, Value>) -> Self {
        Self { values: members.into_iter().collect(), route: None }
    }

    /// Whether a field was sent with anything but null or the empty text in it.
    pub(crate) fn has(&self, name: impl FieldName) -> bool {
        !matches!(self.value(name), None | Some(Value::Null)) && self.text(name) != Ok(None)
    }

    /// Whether a field was sent as a text with nothing in it.
    pub(crate) fn is_blank(&self, name: impl FieldName) -> bool {
        self.value(name).and_then(Value::as_str).is_some_and(|text| text.trim().is_empty())
    }

    /// Whether a field was sent, whatever is in it.
    pub(crate) fn is_sent(&self, name: impl FieldName) -> bool {
        self.value(name).is_some()
    }

    /// The names of all fields that were sent, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// A text of one's own.
    pub(crate) fn owned(&self, name: impl FieldName) -> Result<Option<String>, WrongField> {
        self.text(name).map(|text| text.map(str::to_owned))
    }

    /// A whole number: a JSON integer, or its digits as text.
    pub(crate) fn number(&self, name: impl FieldName) -> Result<Option<u32>, WrongField> {
        let invalid = || WrongField::invalid(name, format_args!("must be a whole number up to {}", u32::MAX));
        match self.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => {
                let number = number.as_u64().and_then(|number| u32::try_from(number).ok());
                number.map(Some).ok_or_else(invalid)
            }
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|_| invalid()),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(invalid()),
        }
    }

    /// A whole number that must be there.
    pub(crate) fn required_number(&self, name: impl FieldName) -> Result<u32, WrongField> {
        self.number(name)?.ok_or_else(|| WrongField::missing(name))
    }

    /// A list: a JSON array, or its text.
    pub(crate) fn list(&self, name: impl FieldName) -> Result<Vec<Value>, WrongField> {
        let invalid = || WrongField::invalid(name, "must be a JSON array");
        match self.value(name) {
            None | Some(Value::Null) => Err(WrongField::missing(name)),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(Value::String(text)) => match syntax::value(text, DEPTH_OF_TEXTS) {
                Ok(Value::Array(items)) => Ok(items),
                _ => Err(invalid()),
            },
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Err(invalid()),
        }
    }

    /// An object: JSON, or its text. Neither nests deeply: it is stored within other objects.
    pub(crate) fn object(&self, name: impl FieldName) -> Result<serde_json::Map<String, Value>, WrongField> {
        let text =
            self.json_text(name).filter(|text| !text.is_empty()).ok_or_else(|| WrongField::missing(name))?;
        match syntax::value(&text, DEPTH_OF_TEXTS) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(WrongField::invalid(
                name,
                format_args!("must be a JSON object of at most {DEPTH_OF_TEXTS} levels"),
            )),
        }
    }

    /// A code: digits as text, or a JSON integer.
    pub(crate) fn code(&self, name: impl FieldName) -> Result<Code, WrongField> {
        let invalid = || WrongField::invalid(name, "must be the digits of a code");
        match self.value(name) {
            None | Some(Value::Null) => Err(WrongField::missing(name)),
            Some(Value::String(text)) if text.is_empty() => Err(WrongField::missing(name)),
            Some(Value::String(text)) => Code::parse(text).map_err(|_| invalid()),
            Some(Value::Number(number)) => {
                number.as_u64().and_then(|number| Code::from_number(number).ok()).ok_or_else(invalid)
            }
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => Err(invalid()),
        }
    }

    /// The proof of a second factor: a code or a recovery code. `None` if absent.
    pub(crate) fn factor_code(&self, name: impl FieldName) -> Result<Option<FactorCode>, WrongField> {
        let code = match self.value(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => FactorCode::parse(text),
            Some(Value::Number(number)) => number.as_u64().and_then(FactorCode::from_number),
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        code.map(Some)
            .ok_or_else(|| WrongField::invalid(name, "must be the digits of a code, or a recovery code"))
    }

    /// A code of an authenticator app: as [`Fields::factor_code`], but no recovery code, and it must be there.
    pub(crate) fn authenticator_code(&self, name: impl FieldName) -> Result<Code, WrongField> {
        match self.factor_code(name)? {
            Some(FactorCode::Digits(code)) => Ok(code),
            Some(FactorCode::Recovery(_)) => Err(WrongField::invalid(name, "must be the digits of a code")),
            None => Err(WrongField::missing(name)),
        }
    }

    /// Refuses fields that the route does not take.
    pub(crate) fn refuse_others(&self) -> Result<(), ServiceError> {
        let Some(route) = self.route else { return Ok(()) };
        match self.names().filter(|sent| sent.len() <= 100 && !route.lists(sent)).min() {
            None => Ok(()),
            Some(unknown) => {
                let takes = route.names().join(", ");
                Err(ServiceError::invalid(format!("unknown field {unknown:?}; this endpoint takes {takes}")))
            }
        }
    }

    /// A password in either of its two fields, or both.
    pub(crate) fn password(
        &self,
        client: impl FieldName,
        raw: impl FieldName,
    ) -> Result<NewPassword, ServiceError> {
        let (sent, sent_raw) = (self.text(client)?, self.text(raw)?);
        if sent.is_none() && sent_raw.is_none() {
            return Err(WrongField::missing(format!("{} or {}", client.name(), raw.name()).as_str()).into());
        }
        NewPassword::parse(sent, sent_raw)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::wire_error::Family;
    use super::*;

    fn message_for(wrong: WrongField) -> String {
        ApiError::from(wrong).wire(Family::User).message.into_owned()
    }

    #[test]
    fn sec_033_a_code_is_a_text_or_an_integer_and_nothing_else() {
        let code = |value: Value| Fields::of(json!({ "code": value })).code("code");
        assert_eq!(code(json!("123456")).unwrap().expose(), "123456");
        assert_eq!(code(json!(" 123456 ")).unwrap().expose(), "123456");
        assert_eq!(code(json!(123_456)).unwrap().expose(), "123456");
        for missing in [json!(null), json!("")] {
            assert_eq!(code(missing).unwrap_err(), WrongField::missing("code"));
        }
        for wrong in [
            json!([]),
            json!(true),
            json!(" "),
            json!(1e5),
            json!(1.5),
            json!("Infinity"),
            json!({}),
            json!("٣٣٣٣٣٣"),
            json!(-123_456),
        ] {
            assert_eq!(
                message_for(code(wrong.clone()).unwrap_err()),
                "invalid data: code must be the digits of a code",
                "{wrong}"
            );
        }
    }

    #[test]
    fn texts_are_texts() {
        let fields = Fields::of(
            json!({"a": "x", "b": "", "c": null, "d": 1, "e": ["x"], "f": {"$ne": null}, "g": true}),
        );
        assert_eq!(fields.text("a"), Ok(Some("x")));
        for nothing in ["b", "c", "absent"] {
            assert_eq!(fields.text(nothing), Ok(None));
            assert_eq!(fields.required(nothing), Err(WrongField::missing(nothing)));
        }
        for wrong in ["d", "e", "f", "g"] {
            let expected = format!("invalid data: {wrong} must be a string");
            assert_eq!(message_for(fields.text(wrong).unwrap_err()), expected);
        }
        assert_eq!(message_for(WrongField::missing("handle")), "missing parameter: handle");
    }
}
