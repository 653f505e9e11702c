//! Files that were made to go wrong, moved in with the real binary: each is refused as a whole, with its line, or comes in as
//! it is. What a good file becomes is in `moving.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use latchkey_tests::{Place, app_id_in, app_token_in};
use serde_json::{Value, json};

fn shop() -> (Place, String) {
    let place = Place::sqlite();
    let app = app_id_in(&place.printed(&["app", "create", "Shop"]));
    (place, app)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs what must be refused as bad input.
fn refused(place: &Place, arguments: &[&str], words: &[&str]) {
    let output = place.run(arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(65), "{arguments:?}: {said}");
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
    assert!(!said.contains("panicked"), "{said}");
}

fn users_of(place: &Place, app: &str) -> usize {
    place.printed(&["export", "users", app]).lines().count() - 1
}

#[test]
fn what_is_one_users_alone_stands_once() {
    let (place, app) = shop();
    let id = "0123456789abcdef0123456789abcdef";
    let text = format!(
        "handle,userName,id\nok1@x.com,ann,\nok2@x.com,ann,\nok3@x.com,bob,{id}\nok4@x.com,carl,{id}\nOK1@x.com,,\n"
    );
    let file = place.written("dup.csv", &text);
    let import = ["import", "users", &app, path(&file)];
    let words = [
        "3 records cannot be imported",
        "line 3: ok2@x.com: duplicate user name",
        "line 5: ok4@x.com: duplicate id",
        "line 6: OK1@x.com: duplicate handle",
    ];
    refused(&place, &[&import[..], &["--dry-run"]].concat(), &words);
    refused(&place, &import, &words);
    assert_eq!(users_of(&place, &app), 0);
    assert!(place.printed(&[&import[..], &["--skip-refused"]].concat()).contains("2 users imported"));
    assert_eq!(users_of(&place, &app), 2);
    // And against those who are there.
    let others =
        format!("handle,userName,id\nnew1@x.com,ann,\nnew2@x.com,,{id}\nok1@x.com,,{}\n", "f".repeat(32));
    let file = place.written("others.csv", &others);
    let words =
        ["line 2: new1@x.com: the user name", "line 3: new2@x.com: the id", "line 4: ok1@x.com: the handle"];
    refused(&place, &["import", "users", &app, path(&file), "--dry-run"], &words);
}

#[test]
fn a_wrong_cell_is_told_with_all_the_others_and_can_be_left_away() {
    let (place, app) = shop();
    let text = "handle,administrator,createdAt,metaData\nok@x.com,yes,,\na@x.com,,1969-01-01T00:00:00Z,\n\
        b@x.com,,,[1]\n\u{1b}]0;pwned\u{7}x@x.com,,,\ngood@x.com,true,,\n";
    let file = place.written("cells.csv", text);
    let import = ["import", "users", &app, path(&file)];
    refused(
        &place,
        &import,
        &["4 records cannot be imported", "line 2", "line 3", "line 4", "\\u{1b}]0;pwned"],
    );
    let output = place.run(&[&import[..], &["--skip-refused"]].concat());
    let said = said(&output);
    assert!(output.status.success() && said.contains("1 user imported"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "a terminal is not commanded: {said:?}");
    let lines =
        format!("{{\"handle\":\"c@x.com\"}}\n{{\n{{\"handle\":\"d@x.com\",\"metaData\":{}}}\n", nested(100));
    let file = place.written("lines.jsonl", &lines);
    let import = ["import", "users", &app, path(&file)];
    refused(&place, &import, &["2 records cannot be imported", "line 2", "line 3"]);
    assert!(place.printed(&[&import[..], &["--skip-refused"]].concat()).contains("1 user imported"));
}

#[test]
fn the_report_names_what_is_of_no_use_and_counts_each_line_once() {
    let (place, app) = shop();
    let archive = place.printed(&["export", "archive", &app]);
    let field = r#"[{"path":"profile.age","field_name":"Age","required":true,"can_edit":true,"user_settable":true,"kind":"number"}]"#;
    let declared = archive.replace("\"metadata\":[]", &format!("\"metadata\":{field}"));
    assert_ne!(declared, archive);
    let other = Place::sqlite();
    let _ = other.printed(&["import", "archive", path(&place.written("shop.jsonl", &declared))]);
    let users = [
        r#"{"handle":"a@x.com","phoneFactor":true,"metaData":{"profile":{"age":1}}}"#,
        r#"{"handle":"b@x.com","metaData":{"profile":{"age":1,"rank":2}}}"#,
        r#"{"handle":"c@x.com","metaData":{"profile":{"age":"old"}}}"#,
        r#"{"handle":"d@x.com"}"#,
        r#"{"handle":"f@x.com","userName":"1"}"#,
        r#"{"handle":"e@x.com","metaData":{"profile":{"age":1}},"locale":"nowhere"}"#,
    ];
    let file = other.written("users.jsonl", &users.join("\n"));
    let report = other.data().join("report.jsonl");
    let import = ["import", "users", &app, path(&file), "--report", path(&report)];
    refused(
        &other,
        &import,
        &[
            "4 users: 4 new, 0 existing",
            "4 users without a password",
            "a@x.com: phoneFactor without a verifiedPhone",
            "b@x.com: metaData: no field profile.rank is declared; the application declares profile.age",
            "c@x.com: metaData: the field profile.age must be a number",
            "d@x.com: metaData: the field profile.age is required",
            "2 records cannot be imported, so nothing was imported",
        ],
    );
    let output = other.run(&import);
    assert!(said(&output).contains("report.jsonl exists already"), "{}", said(&output));
    let unreadable = archive.replace("\"signup_flow\":\"code\"", "\"signup_flow\":\"telepathy\"");
    assert_ne!(unreadable, archive);
    let file = other.written("unreadable.jsonl", &unreadable);
    refused(&other, &["import", "archive", path(&file)], &["the setting \"signup_flow\" has a value"]);
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
}

#[test]
fn numbers_in_metadata_leave_as_they_came() {
    let (place, app) = shop();
    let numbers =
        ["10928588.983213553", "5e-324", "1.7976931348623157e308", "-0.1", "18446744073709551615", "0.1"];
    let lines: String = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| format!("{{\"handle\":\"u{n}@x.com\",\"metaData\":{{\"n\":{number}}}}}\n"))
        .collect();
    let file = place.written("numbers.jsonl", &lines);
    let _ = place.printed(&["import", "users", &app, path(&file)]);
    let first = place.printed(&["export", "archive", &app]);
    let other = Place::sqlite();
    let file = place.written("a.jsonl", &first);
    let _ = other.printed(&["import", "archive", path(&file)]);
    let people = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.starts_with("{\"user\"")).map(str::to_owned).collect()
    };
    let again = other.printed(&["export", "archive", &app]);
    assert_eq!(people(&again), people(&first));
    assert!(first.contains("10928588.983213553"));
}

#[test]
fn an_archive_opens_however_its_application_was_typed() {
    let (place, app) = shop();
    let passphrase = place.written("passphrase", "correct horse battery staple\n");
    let to = place.data().join("up.jsonl");
    // Whatever stood under the name of the unfinished file is not written to, and does not say who may read.
    let victim = place.written("victim", "untouched");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::symlink(&victim, place.data().join("up.jsonl.part")).unwrap();
    let upper = app.to_uppercase();
    let export = ["export", "archive", &upper, "--to", path(&to), "--passphrase-file", path(&passphrase)];
    let _ = place.printed(&export);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    let about = fs::symlink_metadata(&to).unwrap();
    assert!(about.is_file() && about.permissions().mode() & 0o777 == 0o600);
    let other = Place::sqlite();
    let told = other.printed(&["import", "archive", path(&to), "--passphrase-file", path(&passphrase)]);
    assert!(told.contains("is imported, with"), "{told}");
    let taken = Place::sqlite();
    let _ = taken.printed(&["app", "create", "Shop"]);
    let import = ["import", "archive", path(&to), "--passphrase-file", path(&passphrase)];
    refused(&taken, &import, &["already exists; nothing was changed"]);
    let told = taken.printed(&[&import[..], &["--name", "Second shop"]].concat());
    assert!(
        told.contains("Second shop") && taken.printed(&["app", "list"]).contains("Second shop"),
        "{told}"
    );
    let short = place.written("short", "x\n");
    refused(&Place::sqlite(), &["import", "archive", path(&to), "--passphrase-file", path(&short)], &[]);
    refused(&place, &["export", "archive", &app, "--passphrase-file", path(&short)], &[]);
}

#[test]
fn an_archive_holds_nothing_that_could_not_be_set_here() {
    let (place, app) = shop();
    let archive = place.printed(&["export", "archive", &app]);
    let other = Place::sqlite();
    let _ = other.printed(&["app", "create", "Another"]);
    let zeros = "0".repeat(32);
    for (n, (from, to, word)) in [
        ("\"user_jwt_hours\":24", "\"user_jwt_hours\":4294967295", "userJWTExpiration"),
        ("\"access_token_days\":30", "\"access_token_days\":3650000", "accessTokenDays"),
        ("\"handle_hold_days\":0", "\"handle_hold_days\":4294967295", "handleHoldDays"),
        ("\"min_length\":8", "\"min_length\":4294967295", "passwordMinLength"),
        ("\"settings\":{", "\"settings\":{\"surprise\":1,", "surprise"),
        ("\"issuer\":\"http", "\"issuer\":\"javascript:alert(1)//http", "issuer"),
        (app.as_str(), zeros.as_str(), "id"),
        ("\"name\":\"Shop\"", "\"name\":\"Another\"", "already exists"),
        ("\"status\":\"active\"", "\"status\":\"none\"", "status"),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(archive.contains(from), "{from} in {archive}");
        let file = other.written(&format!("{n}.jsonl"), &archive.replace(from, to));
        refused(&other, &["import", "archive", path(&file), "--dry-run"], &[word]);
        refused(&other, &["import", "archive", path(&file)], &[word]);
        assert!(other.printed(&["import", "list"]).starts_with("no unfinished imports"));
    }
    let records = archive.lines().count() - 2;
    let end = format!("{{\"end\":{{\"records\":{records}}}}}");
    let template = |subject: &str, html: &str, link: &str| {
        format!(
            "{{\"template\":{{\"name\":\"signUp\",\"locale\":\"EN\",\"subject\":\"{subject}\",\"replyTo\":\"\",\
             \"html\":\"{html}\",\"linkText\":\"{link}\",\"createdAt\":\"2024-01-02T03:04:05Z\",\
             \"updatedAt\":\"2024-01-02T03:04:05Z\"}}}}"
        )
    };
    let google = |subject: &str| {
        format!(
            "{{\"user\":{{\"handle\":\"a@x.com\",\"provider\":\"google\",\"providerSubject\":\"{subject}\"}}}}"
        )
    };
    for (n, (record, word)) in [
        (template("a\\r\\nBcc: x@y.ch", "<p>x</p>", ""), "the subject must be a single non-empty line"),
        (template("a", "<p>\\u0000</p>", ""), "the HTML"),
        (template("a", &"x".repeat(128 * 1024 + 1), ""), "128 KiB"),
        (template("a", "<p>x</p>", "\\u0000"), "linkText"),
        (google("\\u0000"), "1 record cannot be imported"),
        (google(&"9".repeat(256)), "1 record cannot be imported"),
    ]
    .into_iter()
    .enumerate()
    {
        let with = archive.replace(&end, &format!("{record}\n{{\"end\":{{\"records\":{}}}}}", records + 1));
        let file = other.written(&format!("record{n}.jsonl"), &with);
        refused(&other, &["import", "archive", path(&file)], &[word]);
    }
    let user =
        |handle: &str| format!("{{\"user\":{{\"handle\":\"{handle}\",\"id\":\"{}\"}}}}\n", "a".repeat(32));
    let end_of_two =
        format!("{}{}{{\"end\":{{\"records\":{}}}}}", user("a@x.com"), user("b@x.com"), records + 2);
    let file = other.written("twice.jsonl", &archive.replace(&end, &end_of_two));
    refused(&other, &["import", "archive", path(&file)], &["duplicate id"]);
    assert!(other.printed(&["import", "list"]).starts_with("no unfinished imports"));
}

#[test]
fn the_limit_of_users_holds_and_running_again_changes_nothing() {
    let (place, app) = shop();
    let limited = place.printed(&["export", "archive", &app]).replace("\"max_users\":0", "\"max_users\":5");
    let other = Place::sqlite();
    let file = place.written("limited.jsonl", &limited);
    let _ = other.printed(&["import", "archive", path(&file)]);
    let list = |number: usize| {
        let users: String = (0..number).map(|n| format!("user{n}@x.com\n")).collect();
        format!("handle\n{users}")
    };
    let file = other.written("many.csv", &list(900));
    let import = ["import", "users", &app, path(&file)];
    refused(&other, &[&import[..], &["--dry-run"]].concat(), &["it has 0 users and may have 5"]);
    refused(&other, &import, &["it has 0 users and may have 5"]);
    assert_eq!(users_of(&other, &app), 0);
    let file = other.written("few.csv", &list(5));
    assert!(other.printed(&["import", "users", &app, path(&file)]).contains("5 users imported"));
    assert!(other.printed(&["import", "users", &app, path(&file)]).contains("5 existing"));
}

#[test]
fn what_is_no_file_is_refused_at_once_and_a_report_replaces_nothing() {
    let (place, app) = shop();
    let pipe = place.data().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    refused(&place, &["import", "users", &app, path(&pipe)], &["is not a regular file"]);
    refused(&place, &["import", "archive", path(&pipe)], &["is not a regular file"]);
    refused(&place, &["import", "archive", "/dev/stdin"], &["is not a regular file"]);
    let file = place.written("users.csv", "handle\na@x.com\n");
    let output = place.run(&["import", "users", &app, path(&file), "--report", path(&file)]);
    assert_eq!(output.status.code(), Some(73), "{}", said(&output));
    assert_eq!(fs::read_to_string(&file).unwrap(), "handle\na@x.com\n");
    let report = place.data().join("report.jsonl");
    let _ = place.printed(&["import", "users", &app, path(&file), "--report", path(&report)]);
    assert_eq!(fs::metadata(&report).unwrap().permissions().mode() & 0o777, 0o600);
    let endless = format!("handle\n\"{}", "aaaaaaaaa\n".repeat(300_000));
    let file = place.written("endless.csv", &endless);
    refused(&place, &["import", "users", &app, path(&file)], &["a row is longer than"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_062_what_ended_before_an_export_does_not_begin_again_with_an_import() {
    let place = Place::sqlite();
    let printed = place.printed(&["app", "create", "Shop", "--signup-flow", "none"]);
    let (app, old_token) = (app_id_in(&printed), app_token_in(&printed));
    let secret = place.printed(&["token", "server"]);
    let admin = ("server-secret", secret.as_str());
    let mut server = place.start();
    let (_, signed_up) = server.sign_up(&old_token, "ana@example.com").await.unwrap();
    let access = signed_up["access-token"].as_str().unwrap().to_owned();
    let (_, found) = server.get(&format!("/api/app/searchUser?appId={app}&value=ana"), admin).await.unwrap();
    let sign_out = json!({"appId": app, "userId": found[0]["_id"]});
    assert_eq!(server.post("/api/app/signOutUser", admin, sign_out).await.unwrap().0, 200);
    let end = json!({ "appId": app });
    assert_eq!(server.post("/api/app/regenerateAppToken", admin, end).await.unwrap().0, 200);
    let passphrase = place.written("passphrase", "correct horse battery staple\n");
    let passphrase = passphrase.to_str().unwrap();
    let archive = place.printed(&["export", "archive", &app, "--passphrase-file", passphrase]);
    let file = place.written("shop.jsonl", &archive);
    let removed = server.client.delete(format!("{}/api/app/{app}", server.url)).header(admin.0, admin.1);
    assert_eq!(removed.send().await.unwrap().status(), 200);
    let _ = place.printed(&["import", "archive", file.to_str().unwrap(), "--passphrase-file", passphrase]);
    let (_, there) = server.get(&format!("/api/app/appId/{app}"), admin).await.unwrap();
    let new_token = there["appToken"].as_str().unwrap();
    assert_eq!(server.log_in(new_token, "ana@example.com").await.unwrap().0, 200);
    assert_ne!(server.log_in(&old_token, "ana@example.com").await.unwrap().0, 200);
    let (status, _) = server.get("/api/appuser/getUser", ("access-token", &access)).await.unwrap();
    assert_ne!(status, 200, "signed out is signed out");
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zip_says_nothing_that_would_not_be_so() {
    let place = Place::sqlite();
    let app = app_id_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let secret = place.printed(&["token", "server"]);
    let digest = bcrypt::hash("the password itself", 4).unwrap();
    let users = place.written(
        "users.csv",
        &format!(
            "handle,password,passwordOver,phone,verifiedPhone,phoneFactor\n\
             raw@example.com,{digest},raw,,,\n\
             two@example.com,{digest},,+4915112345679,+4915112345678,true\n"
        ),
    );
    let _ = place.printed(&["import", "users", &app, users.to_str().unwrap()]);
    let server = place.start();
    let export = server.client.get(format!("{}/api/app/export?appId={app}", server.url));
    let zip = export.header("server-secret", secret).send().await.unwrap().bytes().await.unwrap();
    let file = place.data().join("shop.zip");
    std::fs::write(&file, zip).unwrap();
    let told = place.printed(&["import", "cosync", file.to_str().unwrap(), "--name", "Copy"]);
    let list = place.printed(&["app", "list"]);
    let copy = list.lines().find(|line| line.contains("Copy")).unwrap_or_else(|| panic!("{told}{list}"));
    let copy = copy.split_whitespace().find(|word| word.len() == 32).unwrap();
    let archive = place.printed(&["export", "archive", copy]);
    // The port was chosen by the server: only it knows its address.
    assert!(archive.contains(&format!("\"issuer\":\"{}/apps/", server.url)), "{archive}");
    let user = |handle: &str| -> Value {
        let line = archive.lines().find(|line| line.contains(handle)).unwrap();
        serde_json::from_str::<Value>(line).unwrap()["user"].clone()
    };
    assert!(user("raw@example.com")["password"].is_null(), "MD5 texts would be compared with it");
    let two = user("two@example.com");
    assert_eq!((&two["verifiedPhone"], &two["phoneFactor"]), (&json!("+4915112345678"), &json!(true)));
    assert_eq!(two["password"], json!(digest));
}

#[test]
fn every_problem_of_a_user_is_named_by_its_field() {
    let (place, app) = shop();
    let two = place.written("two.csv", "handle,locale,provider,verifiedPhone\na@x.com,xx,github,1\n");
    let import = ["import", "users", &app, path(&two)];
    refused(
        &place,
        &import,
        &["the locale \"xx\"", "the provider is one of apple, google", "verifiedPhone:"],
    );
    let typed = place.written("typed.jsonl", "{\"handle\":\"a@x.com\",\"locale\":1}\n");
    refused(&place, &["import", "users", &app, path(&typed)], &["locale: invalid type: integer"]);
    let capitals = place.written("capitals.csv", "handle,emailVerified\na@x.com,TRUE\nb@x.com,no\n");
    let report = place.data().join("capitals.report");
    let arguments = ["import", "users", &app, path(&capitals), "--skip-refused", "--report", path(&report)];
    let printed = place.printed(&arguments);
    assert!(printed.contains("1 user imported, 0 existed already, 1 record left out."), "{printed}");
    assert!(fs::read_to_string(&report).unwrap().contains("\"users\":1"));
}

#[test]
fn commands_about_what_exists_make_no_database() {
    let place = Place::sqlite();
    let id = "0123456789abcdef0123456789abcdef";
    for arguments in [
        &["jobs", "run", "--now"][..],
        &["token", "revoke", id],
        &["keys", "rotate-app", id],
        &["keys", "rotate-server"],
        &["export", "users", id],
        &["import", "discard", id],
    ] {
        let output = place.run(arguments);
        assert!(said(&output).contains("there is no database"), "{arguments:?}: {}", said(&output));
        assert!(!place.data().join("latchkey.db").exists(), "{arguments:?}");
    }
}
