//! Shared parts of the API description: schemas, errors with examples, tokens.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::http::Family;

/// Parts of the description, each by its name.
#[derive(Default)]
pub(crate) struct Components {
    schemas: BTreeMap<String, Value>,
    responses: BTreeMap<String, Value>,
    examples: BTreeMap<String, Value>,
}

impl Components {
    /// Where the schema of this type is.
    pub(super) fn add<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        for (name, schema) in inner {
            self.schemas.entry(name).or_insert_with(|| crate::dto::value(&schema));
        }
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        self.schemas.entry(name).or_insert_with(|| crate::dto::value(&<T as PartialSchema>::schema()));
        reference
    }

    /// Where a schema of this name is.
    pub(super) fn named(&mut self, name: String, schema: Value) -> Value {
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        self.schemas.insert(name, schema);
        reference
    }

    /// The errors of one status, by their codes.
    pub(super) fn error(
        &mut self,
        family: Family,
        status: u16,
        is_page: bool,
        by_code: &BTreeMap<u16, String>,
    ) -> Value {
        let (error, outcome) = match family {
            Family::User | Family::Gateway => ("UserError", None),
            Family::Admin => ("AdministrationError", Some("Fails")),
        };
        let mut examples = Map::new();
        for (code, message) in by_code {
            let mut body = json!({"code": code, "message": message});
            if let (Some(outcome), Some(members)) = (outcome, body.as_object_mut()) {
                members.insert("status".to_owned(), outcome.into());
            }
            let example = json!({"summary": message, "value": body});
            let shared = shared(&mut self.examples, "examples", format!("{error}{code}"), example);
            examples.insert(code.to_string(), shared);
        }
        let codes: Vec<_> = by_code.keys().collect();
        let description: Vec<_> =
            by_code.iter().map(|(code, message)| format!("{code}: {message}")).collect();
        let schema = json!({
            "allOf": [{"$ref": format!("#/components/schemas/{error}")}, {"properties": {"code": {"enum": codes}}}],
        });
        let mut content = json!({"application/json": {"schema": schema, "examples": examples}});
        if let Some(members) = content.as_object_mut()
            && is_page
        {
            members.insert("text/html".to_owned(), json!({"schema": {"type": "string"}}));
        }
        let mut response = json!({"description": description.join("; "), "content": content});
        if let (429 | 503, Some(members)) = (status, response.as_object_mut()) {
            let header = json!({"Retry-After": {"description": "In seconds.", "schema": {"type": "string"}}});
            members.insert("headers".to_owned(), header);
        }
        // What any route may answer. The others each have their own.
        if matches!(status, 408 | 413 | 415 | 429 | 500 | 503) {
            return shared(&mut self.responses, "responses", format!("{error}{status}"), response);
        }
        response
    }

    pub(super) fn into_value(mut self) -> Value {
        self.schemas.values_mut().for_each(illustrate);
        let error = |properties: Value, required: Value| json!({"type": "object", "properties": properties, "required": required});
        self.schemas.insert(
            "UserError".to_owned(),
            error(
                json!({"code": {"type": "integer"}, "message": {"type": "string"}}),
                json!(["code", "message"]),
            ),
        );
        self.schemas.insert(
            "AdministrationError".to_owned(),
            error(
                json!({"status": {"const": "Fails"}, "code": {"type": "integer"}, "message": {"type": "string"}}),
                json!(["status", "code", "message"]),
            ),
        );
        let token = |header: &str, about: &str| json!({"type": "apiKey", "in": "header", "name": header, "description": about});
        json!({
            "securitySchemes": {
                "serverSecret": token("server-secret", "An operator token, of the scope that the route says."),
                "appToken": token("app-token", "The app token, which clients ship with. Where no header can be sent, the query may carry it as `appToken`."),
                "accessToken": token("access-token", "The access token of a signed-in user."),
                "superUserToken": token("access-token", "What `superUserToken` answers as `access-token`: it opens nothing else."),
            },
            "schemas": self.schemas,
            "responses": self.responses,
            "examples": self.examples,
        })
    }
}

/// Where a part is that others have too; itself where its name means another one.
fn shared(parts: &mut BTreeMap<String, Value>, kind: &str, name: String, part: Value) -> Value {
    let reference = json!({"$ref": format!("#/components/{kind}/{name}")});
    if parts.entry(name).or_insert_with(|| part.clone()) == &part { reference } else { part }
}

/// The schema of a field by its name, if its type has not set one.
fn looks(name: &str) -> Option<&'static str> {
    Some(match name {
        "_id" | "userId" | "messageId" | "tokenId" | "senderUserId" => "018bcfe5680074dfbb7eac258b172229",
        "appId" => "0123456789abcdef0123456789abcdef",
        "jwt" => "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "access-token" | "login-token" | "appToken" | "secret" => "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
        "appPublicKey" | "publicKey" => "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0=",
        "userName" => "ana",
        "phone" => "+4915112345678",
        "googleSecretKey" => "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp",
        "QRDataImage" => "data:image/png;base64,iVBORw0KGgo=",
        "locale" => "EN",
        _ if name.ends_with("At") || name == "signsFrom" || name == "publishedUntil" => {
            "2026-11-25T10:00:00.000Z"
        }
        _ => return None,
    })
}

/// Adds examples to the texts of a schema.
fn illustrate(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(illustrate),
        Value::Object(members) => {
            for (name, property) in
                members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
            {
                let is_text = matches!(property.get("type"), Some(kind) if kind == "string" || kind == &json!(["string", "null"]));
                if let (true, Some(example), Some(property)) =
                    (is_text, looks(name), property.as_object_mut())
                {
                    property.entry("example").or_insert_with(|| example.into());
                }
            }
            members.values_mut().for_each(illustrate);
        }
        _ => {}
    }
}
