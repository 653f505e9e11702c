//! Whether an answer is one of those that the API's description tells: every test of this folder asks, for every answer that
//! it gets.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use actix_web::http::StatusCode;
use jsonschema::Validator;
use latchkey_server::routes::description;
use serde_json::{Map, Value, json};

use crate::harness::{TestApp, request};
use crate::on_every_store;

on_every_store!(the_description_needs_no_token_and_no_other_server);

struct Described {
    /// What schemas refer to.
    components: Value,
    /// Method and path, both in lower case, the path by segments.
    routes: Vec<(String, Vec<String>, HashMap<u16, Answer>)>,
}

struct Answer {
    types: Vec<String>,
    schema: Option<Value>,
    /// Made when it is first needed: a test sees few answers of all.
    validator: OnceLock<Validator>,
}

fn described() -> &'static Described {
    static DESCRIBED: OnceLock<Described> = OnceLock::new();
    DESCRIBED.get_or_init(|| {
        let document = description("https://auth.example.com");
        let mut routes = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap().iter().map(|(status, answer)| {
                    let shared = answer["$ref"].as_str().and_then(|to| document.pointer(&to[1..]));
                    let answer = shared.unwrap_or(answer);
                    let content = answer.get("content").and_then(Value::as_object);
                    let types = content.map(|content| content.keys().cloned().collect()).unwrap_or_default();
                    let schema = answer.pointer("/content/application~1json/schema").cloned();
                    (status.parse().unwrap(), Answer { types, schema, validator: OnceLock::new() })
                });
                let segments: Vec<String> = path.to_lowercase().split('/').map(str::to_owned).collect();
                routes.push((method.clone(), segments, answers.collect()));
            }
        }
        // What has no parameter goes first, as in the table of routes.
        routes.sort_by_key(|(_, segments, _)| segments.iter().any(|segment| segment.starts_with('{')));
        Described { components: json!({"schemas": document["components"]["schemas"]}), routes }
    })
}

/// Checks an answer.
pub(crate) fn check(method: &str, path: &str, status: StatusCode, content_type: &str, body: &[u8]) {
    let path: String = path.split('?').next().unwrap().to_lowercase();
    let path: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_it = |segments: &[String]| {
        let segments: Vec<_> = segments.iter().filter(|segment| !segment.is_empty()).collect();
        segments.len() == path.len()
            && segments.iter().zip(&path).all(|(known, sent)| known.starts_with('{') || known == sent)
    };
    let routes = &described().routes;
    let Some((_, of_path, _)) = routes.iter().find(|(_, segments, _)| is_it(segments)) else { return };
    let is_found = |(known, segments, _): &&(String, Vec<String>, _)| {
        *known == method.to_lowercase() && segments == of_path
    };
    let Some((_, _, answers)) = routes.iter().find(is_found) else { return };
    let text = String::from_utf8_lossy(body);
    let what = || format!("{method} /{} answered {status}: {text}", path.join("/"));
    let answer = answers.get(&status.as_u16()).unwrap_or_else(|| panic!("not described: {}", what()));
    if body.is_empty() {
        return;
    }
    let plain = content_type.split(';').next().unwrap();
    assert!(answer.types.iter().any(|known| known == plain), "not of type {plain}: {}", what());
    if plain == "application/json"
        && let Some(schema) = &answer.schema
    {
        let validator = answer.validator.get_or_init(|| {
            let whole = json!({"allOf": [schema], "components": described().components});
            jsonschema::validator_for(&whole).unwrap()
        });
        let value: Value = serde_json::from_slice(body).unwrap_or_else(|_| panic!("no JSON: {}", what()));
        if let Err(error) = validator.validate(&value) {
            panic!("{error} at {}: {}", error.instance_path(), what());
        }
    }
}

fn header(answer: &crate::harness::Answer, name: &str) -> String {
    answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn the_description_needs_no_token_and_no_other_server(app: TestApp) {
    let answer = app.send(request("GET", "/openapi.json")).await;
    assert_eq!(answer.json(), description("https://auth.example.com"));
    let answer = app.send(request("GET", "/docs")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "location")), (303, "/docs/index.html".to_owned()));
    for (file, kind) in [
        ("index.html", "text/html"),
        ("swagger-initializer.js", "text/javascript"),
        ("swagger-ui-bundle.js", "text/javascript"),
        ("swagger-ui.css", "text/css"),
    ] {
        let answer = app.send(request("GET", &format!("/docs/{file}"))).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(header(&answer, "content-type").split(';').next(), Some(kind), "{file}");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
    }
    for path in ["/openapi.json", "/docs/index.html", "/health/live"] {
        assert_eq!(app.send(request("HEAD", path)).await.status, 200, "{path}");
    }
    let page = app.send(request("GET", "/docs/index.html")).await.text();
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("//cdn"), "{page}");
    for missing in ["nothing.js", "swagger-ui.css.map", "..%2fCargo.toml"] {
        assert_eq!(
            app.send(request("GET", &format!("/docs/{missing}"))).await.error(),
            (404, 602),
            "{missing}"
        );
    }
}

#[test]
fn the_description_of_the_api() {
    let printed = |value: &Value| {
        let mut text = String::new();
        print(value, 0, &mut text);
        text
    };
    let mut rest = description("https://auth.example.com");
    let mut by_tag: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (path, operations) in rest["paths"].take().as_object().unwrap() {
        let tag =
            operations.as_object().unwrap().values().find_map(|operation| operation["tags"][0].as_str());
        by_tag.entry(tag.unwrap().replace(' ', "_")).or_default().insert(path.clone(), operations.clone());
    }
    for (tag, paths) in by_tag {
        insta::assert_snapshot!(format!("api_{tag}"), printed(&Value::Object(paths)));
    }
    insta::assert_snapshot!("api_components", printed(&rest));
}

/// What fits on a line is on one, so that people can read it.
fn print(value: &Value, depth: usize, text: &mut String) {
    let whole = value.to_string();
    let (open, close, members): (_, _, Vec<(String, &Value)>) = match value {
        Value::Object(members) if whole.len() > 150 => {
            ('{', '}', members.iter().map(|(name, value)| (format!("{name:?}: "), value)).collect())
        }
        Value::Array(items) if whole.len() > 150 => {
            ('[', ']', items.iter().map(|item| (String::new(), item)).collect())
        }
        _ => return text.push_str(&whole),
    };
    text.push(open);
    for (name, value) in members {
        text.push_str(&format!("\n{}{name}", "  ".repeat(depth + 1)));
        print(value, depth + 1, text);
    }
    text.push_str(&format!("\n{}{close}", "  ".repeat(depth)));
}
