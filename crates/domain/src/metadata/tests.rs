//! Fields, values, limits, and what users may set.

use serde_json::json;

use super::*;
use crate::named::Named as _;

fn field(path: &str, required: bool) -> MetadataField {
    MetadataField {
        path: MetadataPath::parse(path).unwrap(),
        field_name: format!("the {path}"),
        required,
        can_edit: true,
        user_settable: true,
        kind: MetadataKind::Text,
        default: None,
    }
}

fn fields(paths: &[(&str, bool)]) -> MetadataFields {
    MetadataFields::new(paths.iter().map(|(path, required)| field(path, *required)).collect()).unwrap()
}

#[test]
fn declared_values_are_taken_trimmed_and_the_rest_is_dropped() {
    let fields = fields(&[("user_data.name.first", true), ("colour", false)]);
    let sent = r#"{"user_data":{"name":{"first":" Ana ","last":"B"}},"sub":"victim","colour":""}"#;
    let accepted = fields.accept(Some(sent)).unwrap();
    assert_eq!(Value::Object(accepted.0), serde_json::json!({"user_data":{"name":{"first":"Ana"}}}));
}

fn no_object() -> InvalidMetadata {
    InvalidMetadata::Form("metadata must be a JSON object".to_owned())
}

#[test]
fn a_number_is_kept_exactly_or_refused() {
    let list = |kind| MetadataFields::new(vec![MetadataField { kind, ..field("n", false) }]).unwrap();
    for kept in [
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551615",
        "0.1",
        "-1e15",
        "9007199254740991.0",
    ] {
        let accepted = list(MetadataKind::Number).accept(Some(&format!(r#"{{"n":{kept}}}"#))).unwrap();
        let expected: Value = serde_json::from_str(kept).unwrap();
        assert_eq!(accepted.0["n"], expected, "{kept}");
        if !kept.contains(['.', 'e']) {
            assert_eq!(accepted.0["n"].to_string(), kept);
        }
    }
    for refused in ["18446744073709551616", "-9223372036854775809", "9007199254740993.0", "1e300", "-1e16"] {
        let error = Err(InvalidMetadata::number("n"));
        assert_eq!(
            list(MetadataKind::Number).accept(Some(&format!(r#"{{"n":{refused}}}"#))),
            error,
            "{refused}"
        );
        let sent = format!(r#"{{"n":[{refused}]}}"#);
        assert_eq!(list(MetadataKind::Array).accept(Some(&sent)), error, "{refused}");
        let Value::Object(sent) = serde_json::from_str(&sent).unwrap() else { panic!("an object") };
        let none = MetadataFields::default();
        let fields = list(MetadataKind::Array);
        assert_eq!(MetadataFields::set_by_operator(&fields, &none, &Metadata::default(), &sent), error);
    }
}

#[test]
fn required_and_text_are_enforced() {
    let fields = fields(&[("name", true)]);
    assert_eq!(fields.accept(None), Err(InvalidMetadata::Missing("name".to_owned())));
    assert_eq!(fields.accept(Some(r#"{"name":"  "}"#)), Err(InvalidMetadata::Missing("name".to_owned())));
    for wrong in ["1", "true", "[]", "{}"] {
        let sent = format!(r#"{{"name":{wrong}}}"#);
        assert_eq!(
            fields.accept(Some(&sent)),
            Err(InvalidMetadata::WrongKind("name".to_owned(), MetadataKind::Text)),
            "{wrong}"
        );
    }
    for wrong in ["[]", "1", "nonsense", "\"text\""] {
        assert_eq!(fields.accept(Some(wrong)), Err(no_object()), "{wrong}");
    }
    assert_eq!(fields.accept(Some(r#"{"name":"a\u0000b"}"#)), Err(InvalidMetadata::character()));
    assert_eq!(fields.accept(Some(r#"{"a\u0007":"b"}"#)), Err(InvalidMetadata::character()));
}

#[test]
fn sec_078_metadata_is_bounded_in_bytes_keys_and_depth() {
    let fields = fields(&[("name", false)]);
    let with_keys = |n: usize| {
        let pairs: Vec<String> = (0..n).map(|i| format!(r#""k{i}":"v""#)).collect();
        format!("{{{}}}", pairs.join(","))
    };
    assert!(fields.accept(Some(&with_keys(100))).is_ok());
    assert_eq!(
        fields.accept(Some(&with_keys(101))),
        Err(InvalidMetadata::Form("metadata must have at most 100 names".to_owned()))
    );
    let of_size = |n: usize| format!(r#"{{"k":"{}"}}"#, "a".repeat(n - 8));
    assert!(fields.accept(Some(&of_size(MAX_METADATA_BYTES))).is_ok());
    assert_eq!(fields.accept(Some(&of_size(MAX_METADATA_BYTES + 1))), Err(InvalidMetadata::too_long()));
    let deep = |n: usize| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n));
    assert!(fields.accept(Some(&deep(8))).is_ok());
    assert_eq!(
        fields.accept(Some(&deep(9))),
        Err(InvalidMetadata::Form("metadata must be at most 8 levels deep".to_owned()))
    );
}

#[test]
fn sec_059_reserved_claims_can_be_no_field() {
    for path in ["sub", "aud.x", "exp", "iat", "nbf", "iss", "jti", "userName", "email", "email.x"] {
        let error = MetadataFields::new(vec![field(path, false)]).unwrap_err();
        assert_eq!(error, InvalidFields::Reserved(path.to_owned()));
        assert!(MetadataFields::existing(vec![field(path, false)]).is_err());
    }
    let pair = MetadataField { field_name: "email".to_owned(), ..field("email", true) };
    assert!(MetadataFields::new(vec![pair]).is_ok());
    assert!(MetadataFields::new(vec![field("data.sub", false)]).is_ok());
}

#[test]
fn colliding_paths_are_refused() {
    for pair in [["a", "a"], ["a", "a.b"], ["a.b", "a"]] {
        let error = MetadataFields::new(pair.iter().map(|p| field(p, false)).collect()).unwrap_err();
        assert_eq!(error, InvalidFields::Collision(pair[1].to_owned()));
    }
    for wrong in ["", ".", "a.", "a..b", "a\0b", "1.2.3.4.5.6.7.8.9"] {
        assert!(MetadataPath::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_field_takes_its_kind_and_nothing_else() {
    let all = [
        (MetadataKind::Text, serde_json::json!("x")),
        (MetadataKind::Number, serde_json::json!(1.5)),
        (MetadataKind::Boolean, serde_json::json!(false)),
        (MetadataKind::Array, serde_json::json!(["a", 1, true])),
    ];
    for (kind, _) in &all {
        let fields = MetadataFields::new(vec![MetadataField { kind: *kind, ..field("v", false) }]).unwrap();
        for (other, value) in &all {
            let sent = serde_json::json!({ "v": value }).to_string();
            let accepted = fields.accept(Some(&sent));
            assert_eq!(accepted.is_ok(), kind == other, "{kind:?} {value}");
        }
        let nested = fields.accept(Some(r#"{"v":[{"x":1}]}"#));
        assert!(nested.is_err());
    }
}

#[test]
fn sec_060_what_a_user_may_not_set_is_refused_and_not_demanded() {
    let role = MetadataField { user_settable: false, ..field("role", true) };
    let fields = MetadataFields::new(vec![role]).unwrap();
    let refused = Err(InvalidMetadata::NotSettable("role".to_owned()));
    assert_eq!(fields.accept(Some(r#"{"role":"admin"}"#)), refused);
    assert!(fields.accept(None).is_ok());
}

#[test]
fn sec_060_a_path_speaks_of_authority_in_any_segment_and_spelling() {
    let speaks = |path: &str| MetadataPath::parse(path).unwrap().speaks_of_authority();
    for path in [
        "role",
        "Roles",
        "ROLE",
        "scope",
        "scp",
        "groups",
        "permissions",
        "https://hasura",
        "profile.role",
        "app_metadata.role",
        "app_metadata.plan",
        "hasura.x-hasura-default-role",
        "x-hasura-user-id",
        "isAdmin",
        "is_admin",
        "ISADMIN",
        "a.b.c.userRoles",
        "tenant_id",
        "tenantId",
        "email_verified",
        "emailVerified",
        "amr",
        "azp",
        "cnf",
        "org.id",
        "orgId",
        "ACL",
    ] {
        assert!(speaks(path), "{path}");
    }
    for path in [
        "colour",
        "profile.city",
        "organ",
        "action",
        "user_data.name.first",
        "scpiece",
        "rooted",
        "street.no",
    ] {
        assert!(!speaks(path), "{path}");
    }
}

#[test]
fn sec_059_claims_with_a_meaning_can_be_no_new_field_and_stay_where_they_are() {
    for claim in CLAIMS_OF_MEANING {
        for path in [claim.to_owned(), format!("{claim}.x")] {
            let refused = InvalidFields::Reserved(path.clone());
            assert_eq!(MetadataFields::new(vec![field(&path, false)]).unwrap_err(), refused);
            assert!(MetadataFields::new(vec![field(&format!("data.{path}"), false)]).is_ok());
            let imported = MetadataFields::existing(vec![field(&path, false)]).unwrap();
            let with_more = vec![field(&path, true), field("colour", false)];
            assert!(imported.replaced_by(with_more).is_ok());
            assert!(imported.replaced_by(vec![field(&format!("{path}.y"), false)]).is_err());
        }
    }
}

#[test]
fn replacing_drops_editable_fields_and_keeps_all_others() {
    let fixed = MetadataField { can_edit: false, ..field("fixed", true) };
    let fields = MetadataFields::new(vec![fixed, field("a", false), field("b.c", true)]).unwrap();
    let invite = MetadataFields::new(vec![field("team", false)]).unwrap();
    let Value::Object(current) = serde_json::json!({"fixed":"f","a":"1","b":{"c":"2"},"team":"t","old":"o"})
    else {
        panic!("an object")
    };
    let current = Metadata(current);
    let replaced = fields.replace(&current, &invite, r#"{"b":{"c":"3"}}"#).unwrap();
    assert_eq!(Value::Object(replaced.0), serde_json::json!({"fixed":"f","b":{"c":"3"},"team":"t"}));
    let error = |sent| fields.replace(&current, &invite, sent).unwrap_err();
    assert_eq!(error(r#"{"fixed":"x","b":{"c":"3"}}"#), InvalidMetadata::NotEditable("fixed".to_owned()));
    // Fields that users may not set at all differ from fields that they may not change.
    let tier = MetadataField { user_settable: false, ..field("tier", false) };
    let refused = MetadataFields::new(vec![tier]).unwrap().replace(
        &Metadata::default(),
        &MetadataFields::default(),
        r#"{"tier":"x"}"#,
    );
    assert_eq!(refused, Err(InvalidMetadata::NotSettable("tier".to_owned())));
    assert_eq!(error("{}"), InvalidMetadata::Missing("b.c".to_owned()));
    assert_eq!(error("nonsense"), no_object());
}

#[test]
fn an_invitation_wins_and_nothing_else_is_lost() {
    let of = |value: Value| match value {
        Value::Object(map) => Metadata(map),
        _ => panic!("an object"),
    };
    let own = of(serde_json::json!({"a":{"x":1,"y":2},"b":1}));
    let merged = own.merged_with(&of(serde_json::json!({"a":{"y":3},"c":4}))).unwrap();
    assert_eq!(Value::Object(merged.0), serde_json::json!({"a":{"x":1,"y":3},"b":1,"c":4}));
}

#[test]
fn what_is_kept_is_no_longer_than_what_may_be_sent() {
    let half = |name: &str| match serde_json::json!({name: "x".repeat(MAX_METADATA_BYTES / 2)}) {
        Value::Object(map) => Metadata(map),
        _ => panic!("an object"),
    };
    assert_eq!(half("a").merged_with(&half("b")), Err(InvalidMetadata::too_long()));
    // Four bytes each as they are sent, and eighteen as they are kept.
    let mut list = fields(&[("a", false)]);
    list.0[0].kind = MetadataKind::Array;
    let sent = format!("{{\"a\":[{}]}}", vec!["1e15"; 1_000].join(","));
    assert_eq!(list.accept(Some(&sent)), Err(InvalidMetadata::too_long()));
    assert_eq!(list.replace(&Metadata::default(), &fields(&[]), &sent), Err(InvalidMetadata::too_long()));
}

#[test]
fn an_operator_sets_what_is_declared_and_loses_nothing() {
    let fields = fields(&[("profile.city", false), ("plan", false)]);
    let object = |value: Value| match value {
        Value::Object(members) => members,
        other => panic!("{other}"),
    };
    let current = Metadata::from_stored(object(
        json!({"profile": {"city": "Bern", "imported": {"a": 1}}, "other": [1], "plan": "free"}),
    ));
    let set = |sent: Value| {
        MetadataFields::set_by_operator(&fields, &MetadataFields::default(), &current, &object(sent))
            .map(|metadata| Value::Object(metadata.values().clone()))
    };
    assert_eq!(
        set(json!({"profile": {"city": "Basel"}})).unwrap(),
        json!({"profile": {"city": "Basel", "imported": {"a": 1}}, "other": [1]})
    );
    // Values that are read can be sent back.
    let all = Value::Object(current.values().clone());
    assert_eq!(set(all.clone()).unwrap(), all);
    assert_eq!(
        set(json!({"profile": null})).unwrap(),
        json!({"profile": {"imported": {"a": 1}}, "other": [1]})
    );
    for (sent, path) in [
        (json!({"profile": {"town": "x"}}), "profile.town"),
        (json!({"profile": "x"}), "profile"),
        (json!({"profile": {"imported": {"a": 2}}}), "profile.imported"),
        (json!({"other": [2]}), "other"),
        (json!({"role": "admin"}), "role"),
    ] {
        assert!(matches!(set(sent), Err(InvalidMetadata::Unknown(found, _)) if found == path));
    }
}

#[test]
fn a_field_takes_values_of_its_kind() {
    let of = |kind| MetadataFields::new(vec![MetadataField { kind, ..field("x", false) }]).unwrap();
    for (kind, name, wanted, taken, refused) in [
        (MetadataKind::Text, "text", "a string", json!("a"), json!(1)),
        (MetadataKind::Number, "number", "a number", json!(1), json!("1")),
        (MetadataKind::Boolean, "boolean", "true or false", json!(true), json!(1)),
        (MetadataKind::Array, "array", "an array", json!(["a", 1, true]), json!([["a"]])),
    ] {
        assert_eq!((kind.name(), MetadataKind::from_name(name)), (name, Some(kind)));
        let rule = InvalidMetadata::WrongKind("x".to_owned(), kind).to_string();
        assert!(rule.starts_with("the field x must be ") && rule.contains(wanted), "{rule}");
        let accept = |value: &Value| of(kind).accept(Some(&json!({"x": value}).to_string()));
        assert_eq!(accept(&taken).unwrap().0.get("x"), Some(&taken), "{name}");
        assert_eq!(accept(&refused), Err(InvalidMetadata::WrongKind("x".to_owned(), kind)), "{name}");
        // Both count as not sent.
        for nothing in [json!(null), json!(" ")] {
            assert!(accept(&nothing).unwrap().0.is_empty(), "{name} {nothing}");
        }
    }
    assert_eq!(MetadataKind::from_name("Text"), None);
}

#[test]
fn sec_078_fields_are_bounded_in_number_depth_and_name() {
    let of = |n: usize| MetadataFields::existing((0..n).map(|i| field(&format!("f{i}"), false)).collect());
    assert!(of(100).is_ok_and(|fields| !fields.is_empty()));
    assert_eq!(of(101), Err(InvalidFields::TooMany));
    assert!(MetadataFields::default().is_empty());
    let path = |text: &str| MetadataPath::parse(text).is_ok();
    assert!(path(&["a"; 8].join(".")) && !path(&["a"; 9].join(".")));
    assert!(path(&"a".repeat(64)) && !path(&"a".repeat(65)));
    assert!(!path("") && !path("a..b") && !path("a.\n"));
}

#[test]
fn sec_078_what_an_operator_sets_is_bounded() {
    let own = fields(&[("note", false)]);
    let set = |sent: Value| {
        let none = MetadataFields::default();
        MetadataFields::set_by_operator(&own, &none, &Metadata::default(), sent.as_object().unwrap())
    };
    let of_size = |n: usize| json!({"note": "a".repeat(n - r#"{"note":""}"#.len())});
    assert!(set(of_size(MAX_METADATA_BYTES)).is_ok());
    assert_eq!(MAX_METADATA_BYTES, 16_384);
    assert_eq!(set(of_size(MAX_METADATA_BYTES + 1)), Err(InvalidMetadata::too_long()));
    assert_eq!(set(json!({"note": "a\0b"})), Err(InvalidMetadata::character()));
    for undeclared in [json!({}), json!("a")] {
        let refused = set(json!({ "other": undeclared })).unwrap_err().to_string();
        assert!(refused.starts_with("no field other is declared; the application declares "), "{refused}");
    }
}

#[test]
fn an_operator_sets_the_fields_of_invitations_too() {
    let (own, invited) = (fields(&[("note", false)]), fields(&[("team", false), ("note", false)]));
    let sent = json!({"note": "a", "team": "b"});
    let set =
        MetadataFields::set_by_operator(&own, &invited, &Metadata::default(), sent.as_object().unwrap());
    assert_eq!(Value::Object(set.unwrap().0), sent);
}

#[test]
fn values_that_an_invitation_adds_are_bounded_with_the_others() {
    let of = |name: &str, n: usize| Metadata(json!({name: "a".repeat(n)}).as_object().unwrap().clone());
    let merged = |n: usize| of("a", n).merged_with(&of("b", 10_000)).is_ok();
    let longest = MAX_METADATA_BYTES - 10_000 - r#"{"a":"","b":""}"#.len();
    assert!(merged(longest) && !merged(longest + 1));
}

#[test]
fn sec_060_an_operator_takes_away_what_no_field_declares_any_more() {
    let current = json!({"role": "admin", "profile": {"tier": "gold", "name": "Ana"}, "note": "x"});
    let current = Metadata(current.as_object().unwrap().clone());
    let own = fields(&[("note", false), ("profile.name", false)]);
    let set = |sent: Value| {
        let none = MetadataFields::default();
        let set = MetadataFields::set_by_operator(&own, &none, &current, sent.as_object().unwrap());
        Value::Object(set.unwrap().0)
    };
    assert_eq!(set(json!({})), json!({"role": "admin", "profile": {"tier": "gold"}}));
    let without_role = json!({"role": null, "note": "y", "absent": null, "profile": {"name": "Bo"}});
    assert_eq!(set(without_role), json!({"note": "y", "profile": {"tier": "gold", "name": "Bo"}}));
    assert_eq!(set(json!({"role": null, "profile": {"tier": null}})), json!({}));
    assert_eq!(set(json!({"profile": null})), json!({"role": "admin", "profile": {"tier": "gold"}}));
}

#[test]
fn sec_060_values_of_a_sign_up_meet_the_fields_of_its_completion() {
    let fixed = MetadataField { user_settable: false, ..field("tier", false) };
    let now = MetadataFields::new(vec![field("colour", false), fixed]).unwrap();
    let then = json!({"colour": "red", "tier": "gold", "role": "admin"});
    let kept = now.still_settable(&Metadata(then.as_object().unwrap().clone()));
    assert_eq!(Value::Object(kept.0), json!({"colour": "red"}));
}

#[test]
fn a_default_is_a_value_of_the_field_and_satisfies_it() {
    let with = |kind, default: Value| MetadataField { kind, default: Some(default), ..field("x", true) };
    for (kind, good, bad) in [
        (MetadataKind::Text, json!(" a "), json!(1)),
        (MetadataKind::Number, json!(7), json!("7")),
        (MetadataKind::Boolean, json!(false), json!(null)),
        (MetadataKind::Array, json!(["a"]), json!({})),
        (MetadataKind::Text, json!("a".repeat(1_022)), json!("a".repeat(1_023))),
        (MetadataKind::Text, json!("b"), json!("  ")),
        (MetadataKind::Text, json!("b"), json!("a\0")),
    ] {
        let fields = MetadataFields::new(vec![with(kind, good)]).unwrap();
        assert!(fields.accept(None).unwrap().0.is_empty(), "{kind:?}");
        assert_eq!(fields.missing(&Metadata::default()), None);
        let error = MetadataFields::new(vec![with(kind, bad)]).unwrap_err();
        assert_eq!(error, InvalidFields::Default("x".to_owned(), kind));
    }
    let trimmed = MetadataFields::new(vec![with(MetadataKind::Text, json!(" a "))]).unwrap();
    assert_eq!(trimmed.0[0].default, Some(json!("a")));
    let email = MetadataField { field_name: "email".to_owned(), ..with(MetadataKind::Text, json!("a")) };
    assert!(MetadataFields::new(vec![email]).is_err());
}

#[test]
fn what_is_demanded_of_users_and_cannot_be_theirs_is_named() {
    let role = MetadataField { user_settable: false, ..field("role", true) };
    let list = MetadataFields::new(vec![role.clone()]).unwrap();
    let error = InvalidMetadata::Form("the field role is required, and only operators can set it".to_owned());
    assert_eq!(list.accept_at_signup(None), Err(error));
    let list = MetadataFields::new(vec![MetadataField { default: Some(json!("user")), ..role }]).unwrap();
    assert!(list.accept_at_signup(None).unwrap().0.is_empty());
}

#[test]
fn a_name_with_a_dot_is_not_two_names() {
    let own = fields(&[("a.b", false), (r"c\.d.e", false)]);
    let set = |sent: Value| {
        let none = MetadataFields::default();
        MetadataFields::set_by_operator(&own, &none, &Metadata::default(), sent.as_object().unwrap())
    };
    let kept = json!({"a": {"b": "1"}, "c.d": {"e": "2"}});
    assert_eq!(Value::Object(set(kept.clone()).unwrap().0), kept);
    for (sent, path) in [
        (json!({"a.b": "1"}), r"a\.b"),
        (json!({"a": {"b.c": "1"}}), r"a.b\.c"),
        (json!({"c": {"d": {"e": "2"}}}), "c"),
        (json!({"c.d.e": "2"}), r"c\.d\.e"),
    ] {
        assert!(matches!(set(sent), Err(InvalidMetadata::Unknown(found, _)) if found == path), "{path}");
    }
}
