//! The description of the API (OpenAPI 3.1), made from the routes, from what is said of each, from the types
//! that are answered with and from the table of errors. Not here: answering with it.

mod components;
mod operation;
mod schema;

use std::collections::BTreeMap;

use components::Components;
use latchkey_service::{Refusal, ServiceError};
use schema::{example, schema};
use serde_json::{Map, Value, json};

pub(crate) use operation::{Answers, DEFAULT, Operation, list_of, lists_by_name, shape, truth};

use crate::http::field::{Field, Kind};
use crate::http::{ApiError, Auth, family_of, message_of};

/// A route, as far as it is described.
#[derive(Clone, Copy)]
pub struct Endpoint {
    /// `GET`, `POST` or `DELETE`.
    pub method: &'static str,
    /// The path as clients spell it, with its parameters. Letter case does not matter.
    pub path: &'static str,
    /// Which tokens it takes.
    pub auth: Auth,
    /// What is said of it.
    pub(crate) operation: &'static Operation,
}

/// The description of these routes.
pub(crate) fn document(public_url: &str, endpoints: &[Endpoint]) -> Value {
    let mut components = Components::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut codes: BTreeMap<u16, &str> = BTreeMap::new();
    for entry in endpoints {
        let described = describe(entry, &mut components, &mut codes);
        paths.entry(entry.path).or_default().insert(entry.method.to_ascii_lowercase(), described);
    }
    let table: String = codes.iter().map(|(code, text)| format!("| {code} | {text} |\n")).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Latchkey",
            // The version of the API. The program's version is not published (SEC-122).
            "version": "1",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            "description": format!(
                "A self-hosted JWT authentication server, wire-compatible with Cosync JWT.\n\nBodies are JSON; forms \
                 (`application/x-www-form-urlencoded`) with the same fields are accepted too. Paths are \
                 case-insensitive. Refusals are `{{\"code\",\"message\"}}` with status 400 in \
                 the user API, `{{\"status\":\"Fails\",\"code\",\"message\"}}` with a fitting status in the \
                 administration API. Other statuses concern the transport: 404 and 405 for an unknown path or method, \
                 408, 413, 415, 429, 500, 503. Every answer has an `X-Request-Id`. If a request has several tokens, the first one counts, \
                 in this order: `server-secret`, `app-token`, `access-token`.\n\n\
                 | code | means |\n|---|---|\n{table}"
            ),
        },
        "servers": [{"url": public_url}],
        "tags": [
            {"name": "user API", "description": "For clients."},
            {"name": "administration", "description": "For operators, with a server secret."},
            {"name": "public", "description": "Without a token."},
        ],
        "paths": paths,
        "components": components.into_value(),
    })
}

fn describe(entry: &Endpoint, components: &mut Components, codes: &mut BTreeMap<u16, &'static str>) -> Value {
    let operation = entry.operation;
    let tag = match entry.auth {
        Auth::Operator(_) => "administration",
        _ if entry.path.starts_with("/api/") => "user API",
        _ => "public",
    };
    let mut about = operation.about.to_owned();
    if let Auth::Operator(scope) = entry.auth {
        about = format!("{about}\n\nScope: `{}`.", scope.name()).trim_start().to_owned();
    }
    let mut described = Map::new();
    described.insert("tags".to_owned(), json!([tag]));
    described.insert("summary".to_owned(), operation.summary.into());
    described.insert("operationId".to_owned(), operation_id(entry).into());
    if !about.is_empty() {
        described.insert("description".to_owned(), about.into());
    }
    let security = match entry.auth {
        Auth::Nothing | Auth::Page => json!([]),
        Auth::Operator(_) => json!([{"serverSecret": []}]),
        Auth::AppToken => json!([{"appToken": []}]),
        Auth::AccessToken => json!([{"accessToken": []}]),
        Auth::SuperUser => json!([{"superUserToken": []}]),
        Auth::Either => json!([{"appToken": []}, {"accessToken": []}]),
    };
    described.insert("security".to_owned(), security);
    let mut parameters: Vec<Value> = entry.path.split('/').filter_map(path_parameter).collect();
    if entry.method == "POST" {
        if operation.described_fields().next().is_some() {
            described.insert("requestBody".to_owned(), body_of(operation, &operation_id(entry), components));
        }
    } else {
        parameters.extend(operation.described_fields().map(query_parameter));
    }
    if !parameters.is_empty() {
        described.insert("parameters".to_owned(), parameters.into());
    }
    described.insert("responses".to_owned(), responses(entry, components, codes));
    Value::Object(described)
}

/// The endpoint's name: its path in camel case, without prefix, parameters and file extension.
fn operation_id(entry: &Endpoint) -> String {
    match (entry.method, entry.path) {
        ("POST", "/api/app") => return "createApp".to_owned(),
        ("DELETE", "/api/app/{app_id}") => return "deleteApp".to_owned(),
        ("GET", "/api/appuser/completeSignup") => return "completeSignupPage".to_owned(),
        (_, "/docs/{file}") => return "docsFile".to_owned(),
        _ => {}
    }
    let prefixes = ["/api/appuser/", "/api/app/", "/apps/{app_id}/.well-known/", "/"];
    let name = prefixes.iter().find_map(|prefix| entry.path.strip_prefix(prefix)).unwrap_or(entry.path);
    let name = name.split_once("/{").map_or(name, |(name, _)| name).trim_end_matches(".json");
    let mut words = name.split(['/', '-']);
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capitalized(word))
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}

fn path_parameter(segment: &str) -> Option<Value> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let schema = match name {
        "app_id" => json!({"type": "string", "example": "0123456789abcdef0123456789abcdef"}),
        _ => json!({"type": "string", "example": "index.html"}),
    };
    Some(json!({"name": name, "in": "path", "required": true, "schema": schema}))
}

fn query_parameter(field: &Field) -> Value {
    json!({"name": field.name, "in": "query", "required": field.is_required, "schema": schema(field, true)})
}

/// The body of a request. Its schema is a component, since generators of clients name types after it. Forms are
/// accepted too and not described: clients that are generated from two content types choose the wrong one, or do not
/// compile.
fn body_of(operation: &Operation, id: &str, components: &mut Components) -> Value {
    let fields = operation.described_fields();
    let is_upload = fields.clone().any(|field| matches!(field.kind, Kind::File));
    let properties: Map<String, Value> =
        fields.clone().map(|field| (field.name.to_owned(), schema(field, is_upload))).collect();
    let required: Vec<_> = fields.clone().filter(|field| field.is_required).map(|field| field.name).collect();
    let schema = json!({"type": "object", "properties": properties, "required": required});
    let schema = components.named(capitalized(id) + "Request", schema);
    let content = if is_upload {
        json!({"multipart/form-data": {"schema": schema}})
    } else {
        let example: Map<String, Value> =
            fields.clone().filter_map(example).map(|(name, value)| (name.to_owned(), value)).collect();
        json!({"application/json": {"schema": schema, "example": example}})
    };
    json!({"required": fields.clone().any(Field::is_needed), "content": content})
}

/// Refusals because of token, fields or path, for any route.
fn common_refusals(entry: &Endpoint) -> Vec<Refusal> {
    if matches!(entry.auth, Auth::Nothing | Auth::Page) {
        return Vec::new();
    }
    // A token of another kind is refused by its own number.
    let mut found = vec![Refusal::ServerSecretInvalid, Refusal::AppTokenInvalid, Refusal::AccessTokenInvalid];
    let mut fields = entry.operation.described_fields();
    if !matches!(entry.auth, Auth::Operator(_)) {
        found.extend([Refusal::AppGone, Refusal::AppSuspended, Refusal::AppMigrated]);
        found.extend([Refusal::MissingParameter, Refusal::InvalidData]);
        if entry.auth != Auth::AppToken {
            found.push(Refusal::UserSuspended);
        }
        return found;
    }
    found.push(Refusal::ServerScopeNeeded);
    if fields.clone().next().is_some() {
        found.push(Refusal::InvalidData);
    }
    if fields.clone().any(|field| field.is_required) {
        found.push(Refusal::MissingParameter);
    }
    if fields.any(|field| field.name == "appId") || entry.path.contains("{app_id}") {
        found.push(Refusal::UnknownApp);
    }
    found
}

fn responses(
    entry: &Endpoint,
    components: &mut Components,
    codes: &mut BTreeMap<u16, &'static str>,
) -> Value {
    let operation = entry.operation;
    let family = family_of(entry.path);
    let is_page = matches!(operation.answers, Answers::Page);
    let mut found = Map::new();
    if let Some(content) = content_of(operation.answers, components) {
        let mut answer = json!({"description": "All is well.", "content": content});
        if let Some(members) = answer.as_object_mut()
            && !operation.headers.is_empty()
        {
            let headers = operation.headers.iter().map(|(name, about)| {
                ((*name).to_owned(), json!({"description": about, "schema": {"type": "string"}}))
            });
            members.insert("headers".to_owned(), Value::Object(headers.collect()));
        }
        found.insert("200".to_owned(), answer);
    }
    if matches!(operation.answers, Answers::Redirect) {
        found.insert(
            "303".to_owned(),
            json!({"description": "To the page.", "headers": {"Location": {"schema": {"type": "string"}}}}),
        );
    }
    let mut errors: Vec<ApiError> = Vec::new();
    let mut refusals = common_refusals(entry);
    refusals.extend(operation.refuses);
    errors.extend(refusals.into_iter().map(|refusal| ApiError::Service(refusal.into())));
    if !matches!(entry.path, "/health/live" | "/openapi.json" | "/docs") {
        errors.push(ApiError::Service(ServiceError::Unavailable(String::new())));
    }
    errors.push(ApiError::Service(ServiceError::TooMany { seconds: 1 }));
    errors.push(ApiError::Panicked);
    errors.push(ApiError::TooLarge);
    if entry.method == "POST" {
        errors.extend([ApiError::TooSlow, ApiError::UnsupportedBody]);
    }
    if entry.path.contains('{') && !matches!(entry.auth, Auth::Operator(_)) {
        errors.push(ApiError::UnknownPath);
    }
    let mut by_status: BTreeMap<u16, BTreeMap<u16, String>> = BTreeMap::new();
    for error in errors {
        let wire = error.wire(family);
        if let ApiError::Service(ServiceError::Refused(refusal)) = &error {
            codes.entry(wire.code).or_insert_with(|| meaning(*refusal));
        }
        by_status
            .entry(wire.status.as_u16())
            .or_default()
            .entry(wire.code)
            .or_insert(wire.message.into_owned());
    }
    for (status, by_code) in by_status {
        found.insert(status.to_string(), components.error(family, status, is_page, &by_code));
    }
    if is_page && entry.path.starts_with("/api/") {
        found.insert("400".to_owned(), json!({"description": "A page with the error.", "content": {"text/html": {"schema": {"type": "string"}}}}));
    }
    Value::Object(found)
}

fn meaning(refusal: Refusal) -> &'static str {
    // 400 and 500 mean two things each, as at the reference.
    match refusal {
        Refusal::AppTokenInvalid | Refusal::ServerScopeNeeded => {
            "invalid app token; in the administration API: no server secret, or one without the scope"
        }
        Refusal::ServerSecretInvalid
        | Refusal::ServerSecretExpired
        | Refusal::MailFailed
        | Refusal::SmsFailed
        | Refusal::NotOffered => {
            "invalid server secret; also: a message that cannot be sent, too many requests, internal errors"
        }
        Refusal::InvalidData | Refusal::Unknown | Refusal::Conflict | Refusal::AppNameTaken => {
            "invalid data; in the administration API also: not found, name taken"
        }
        Refusal::AccountUnknown | Refusal::UnknownUser => "account does not exist",
        Refusal::AppGone | Refusal::UnknownApp => "app does not exist",
        other => message_of(other),
    }
}

fn content_of(answers: Answers, components: &mut Components) -> Option<Value> {
    let mut json_of = |shapes: &[operation::Shape]| {
        let mut shapes: Vec<Value> = shapes.iter().map(|shape| shape(components)).collect();
        if shapes.len() == 1 { shapes.remove(0) } else { json!({ "oneOf": shapes }) }
    };
    let text = json!({"schema": {"type": "string"}});
    Some(match answers {
        Answers::Json(shapes) => json!({"application/json": {"schema": json_of(shapes)}}),
        Answers::JsonOrPage(shapes) => {
            json!({"application/json": {"schema": json_of(shapes)}, "text/html": text})
        }
        Answers::Page => json!({ "text/html": text }),
        Answers::File(types) => {
            Value::Object(types.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect())
        }
        Answers::Redirect | Answers::Never => return None,
    })
}
