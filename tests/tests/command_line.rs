//! What operators do wrong: one clear sentence each, the right exit code, nothing half written.

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Output;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use latchkey_tests::Place;

fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "\"{word}\" in {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn wrong_flags_and_settings_name_the_right_ones() {
    let place = Place::sqlite();
    fails(&place.run(&["--prot", "1"]), 2, &["--prot", "Usage"]);
    fails(&place.run(&["app", "creat"]), 2, &["creat", "create"]);
    fails(&place.run(&["token", "server", "--days", "366"]), 2, &["366", "365"]);
    fails(&place.run(&["demo", "--url", "http://127.0.0.1:1"]), 2, &["--server-secret-file"]);
    let place = Place::sqlite().with("LATCHKEY__SERVER__PROT", "1").with("LATCHKEY__LOG__LEVEL", "loud");
    fails(&place.run(&["config", "check"]), 78, &["server.prot", "did you mean server.port?"]);
    assert!(!place.data().exists());
    let place =
        Place::sqlite().with("LATCHKEY__LOG__LEVEL", "loud").with("LATCHKEY__HASH__MEMORY_KIB", "8192");
    fails(&place.run(&[]), 78, &["log.level is one of", "19456"]);
    assert!(!place.data().exists());
    fails(&place.run(&["--config", "/nonexistent.toml"]), 78, &["/nonexistent.toml"]);
}

#[test]
fn help_describes_every_command() {
    let place = Place::sqlite();
    let help = place.printed(&["--help"]);
    for command in ["serve", "demo", "app", "token", "migrate", "config", "--config"] {
        assert!(help.contains(command), "{command} in {help}");
    }
    for arguments in [["app", "create"], ["token", "server"], ["config", "show"]] {
        assert!(place.printed(&[arguments[0], arguments[1], "--help"]).contains("Usage: latchkey"));
    }
    assert!(place.printed(&["--version"]).starts_with("latchkey "));
}

#[test]
fn accounts_of_the_portal_are_made_and_helped_from_the_command_line() {
    let place = Place::sqlite();
    fails(&place.run(&["admin", "reset-password", "dana@example.com"]), 66, &["nothing was made"]);
    assert!(!place.data().exists(), "a command about what exists makes no database");
    fails(
        &place.run(&["admin", "create", "dana"]),
        65,
        &["Enter an e-mail address such as ana@example.com."],
    );
    let password = place.printed(&["admin", "create", "dana@example.com"]);
    assert_eq!(password.trim().len(), 24, "{password}");
    fails(&place.run(&["admin", "create", "Dana@example.com"]), 65, &["has an account already"]);
    fails(&place.run(&["setup-link"]), 78, &["an administrator exists: sign in to the portal"]);
    fails(
        &place.run(&["admin", "reset-password", "ana@example.com"]),
        65,
        &["no account", "ana@example.com"],
    );
    let other = place.printed(&["admin", "reset-password", "dana@example.com"]);
    assert!(other.trim().len() == 24 && other != password, "{other}");
    // While a server runs, it does the same.
    let _server = place.start();
    let third = place.printed(&["admin", "reset-password", "dana@example.com"]);
    assert!(third.trim().len() == 24 && third != other, "{third}");
}

#[test]
fn a_mail_server_that_cannot_be_used_stops_the_start() {
    let smtp = || Place::sqlite().with("LATCHKEY__MAIL__SENDER", "smtp");
    fails(&smtp().run(&["config", "check"]), 78, &["mail.smtp_host"]);
    let named = || {
        smtp()
            .with("LATCHKEY__MAIL__SMTP_HOST", "mail.example.com")
            .with("LATCHKEY__MAIL__FROM", "noreply@example.com")
            .with("LATCHKEY__MAIL__SMTP_USER", "shop")
    };
    fails(
        &named().with("LATCHKEY__MAIL__SMTP_TLS", "tls").run(&["config", "check"]),
        78,
        &["implicit, starttls, none"],
    );
    fails(&named().run(&["config", "check"]), 78, &["mail.smtp_user", "mail.smtp_password_file"]);
    let folder = tempfile::tempdir().unwrap();
    let with_file = |mode: u32| {
        let file = folder.path().join("password");
        std::fs::write(&file, "mail-canary\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        named().with("LATCHKEY__MAIL__SMTP_PASSWORD_FILE", &file.display().to_string())
    };
    for arguments in [&["config", "check"][..], &[]] {
        let output = named().with("LATCHKEY__MAIL__SMTP_PASSWORD_FILE", "/nonexistent").run(arguments);
        fails(&output, 78, &["mail.smtp_password_file: cannot read /nonexistent"]);
        assert!(!String::from_utf8_lossy(&output.stdout).contains("is ready"), "nothing was promised");
        let output = with_file(0o600).with("LATCHKEY__MAIL__SMTP_CA_FILE", "/nonexistent").run(arguments);
        fails(&output, 78, &["mail.smtp_ca_file: cannot read /nonexistent"]);
        let output = with_file(0o644).run(arguments);
        fails(&output, 77, &["mail.smtp_password_file", "every user of this machine can read", "chmod o-r"]);
    }
    assert!(with_file(0o640).run(&["config", "check"]).status.success());
}

#[test]
fn an_issuer_moves_with_the_public_url() {
    let first = Place::sqlite().with("LATCHKEY__SERVER__PUBLIC_URL", "http://old.example");
    let id = latchkey_tests::app_id_in(&first.printed(&["app", "create", "Shop"]));
    let place = first.with("LATCHKEY__SERVER__PUBLIC_URL", "http://new.example/auth");
    let server = place.start();
    // It was written before the server was ready, and is read beside.
    while !server.log().contains("latchkey app set-issuer APP_ID --to-public-url") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    fails(&place.run(&["app", "set-issuer", &id]), 2, &["--to-public-url"]);
    let printed = place.printed(&["app", "set-issuer", &id, "--to-public-url"]);
    for line in [
        format!("issuer before  http://old.example/apps/{id}"),
        format!("issuer         http://new.example/auth/apps/{id}"),
        format!("keys           http://new.example/auth/apps/{id}/.well-known/jwks.json"),
    ] {
        assert!(printed.contains(&line), "{printed}");
    }
    drop(server);
    fails(&place.run(&["app", "set-issuer", &"0".repeat(32), "--to-public-url"]), 65, &["app"]);
}

#[test]
fn sec_119_config_check_refuses_plain_http_to_others() {
    let open = |name: &str, value: &str| {
        let place = Place::sqlite().with("LATCHKEY__SERVER__ADDRESS", "0.0.0.0").with(name, value);
        place.run(&["config", "check"])
    };
    fails(&open("LATCHKEY__LOG__LEVEL", "info"), 78, &["0.0.0.0", "server.insecure_http"]);
    assert!(open("LATCHKEY__SERVER__INSECURE_HTTP", "true").status.success());
    assert!(open("LATCHKEY__SERVER__TRUSTED_PROXIES", "10.0.0.1").status.success());
}

#[test]
fn sec_100_config_show_masks_secrets() {
    let place = Place::sqlite()
        .with("LATCHKEY__DATABASE__URL", "postgres://u:canary@h/d")
        .with("LATCHKEY__KEYS__MASTER_KEY", &"ca".repeat(32));
    let shown = place.printed(&["config", "show"]);
    assert!(!shown.contains("canary") && !shown.contains("caca"), "{shown}");
    assert!(shown.contains("(secret)") && shown.contains("# environment") && shown.contains("# default"));
}

#[test]
fn sec_097_files_are_private_and_open_ones_stop_the_start() {
    let place = Place::sqlite();
    // Under the most careless umask there is.
    let script = format!("umask 000; exec {} app create Shop", latchkey_tests::binary().display());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]);
    for (name, value) in place.command(&[]).get_envs() {
        if let Some(value) = value {
            shell.env(name, value);
        }
    }
    assert!(shell.output().unwrap().status.success());
    let server = place.start();
    let data = place.data();
    assert_eq!((mode(&data), mode(&data.join("mailbox"))), (0o700, 0o700));
    for name in
        ["latchkey.db", "latchkey.db-wal", "latchkey.db-shm", "master.key", "latchkey.lock", "control.sock"]
    {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    drop(server);
    for name in ["master.key", "latchkey.db", "latchkey.db-wal", "latchkey.db-shm"] {
        let path = data.join(name);
        std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        fails(&place.run(&[]), 77, &[name, "chmod 600"]);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    fails(&place.run(&[]), 77, &["chmod 700"]);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    // Files that others made for the server are not for everybody to write, and secrets not for everybody to read.
    let settings = place.written("settings.toml", "[server]\n");
    let password = place.written("password", "secret");
    let place = place
        .with("LATCHKEY__MAIL__SENDER", "smtp")
        .with("LATCHKEY__MAIL__SMTP_HOST", "mail.example")
        .with("LATCHKEY__MAIL__FROM", "noreply@example.com")
        .with("LATCHKEY__MAIL__SMTP_USER", "latchkey")
        .with("LATCHKEY__MAIL__SMTP_PASSWORD_FILE", &password.display().to_string());
    let list = ["--config", &settings.display().to_string(), "app", "list"].map(str::to_owned);
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let certificates = place.written("ca.pem", "");
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o440)).unwrap();
    for (path, good) in [(&settings, 0o444), (&password, 0o440)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666)).unwrap();
        fails(&place.run(&list), 77, &[path.file_name().unwrap().to_str().unwrap(), "chmod o-w"]);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(good)).unwrap();
        assert!(place.printed(&list).contains("Shop"));
    }
    let place = place.with("LATCHKEY__MAIL__SMTP_CA_FILE", &certificates.display().to_string());
    std::fs::set_permissions(&certificates, std::fs::Permissions::from_mode(0o666)).unwrap();
    fails(&place.run(&list), 77, &["ca.pem", "chmod o-w"]);
    let shared = tempfile::tempdir().unwrap();
    let others = shared.path().join("latchkey.toml");
    std::fs::copy(&settings, &others).unwrap();
    std::fs::set_permissions(shared.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    fails(&place.run(&["--config", &others.display().to_string(), "app", "list"]), 77, &["chmod o-w"]);
}

#[test]
fn sec_098_a_missing_or_wrong_master_key_stops_the_start() {
    for place in [Place::sqlite(), Place::postgres()] {
        let _ = place.printed(&["app", "create", "Shop"]);
        let (key, aside) = (place.data().join("master.key"), place.data().join("aside"));
        std::fs::rename(&key, &aside).unwrap();
        fails(&place.run(&[]), 78, &["master.key is missing", "nothing was changed"]);
        assert!(!key.exists());
        std::fs::write(&key, "00".repeat(32)).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        fails(&place.run(&[]), 78, &["was sealed with master key", "put the right master key back"]);
        std::fs::write(&key, "no key").unwrap();
        fails(&place.run(&[]), 78, &["64 hexadecimal digits"]);
        std::fs::rename(&aside, &key).unwrap();
        assert!(place.printed(&["app", "list"]).contains("Shop"));
    }
}

#[test]
fn a_busy_port_leaves_no_trace() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let place = Place::sqlite().with("LATCHKEY__SERVER__PORT", &port);
    fails(&place.run(&[]), 69, &["cannot be listened on", "server.port"]);
    assert!(!place.data().exists());
}

#[test]
fn a_folder_has_one_server() {
    let place = Place::sqlite();
    let _server = place.start();
    fails(&place.run(&[]), 69, &["is in use by another latchkey"]);
    fails(&place.run(&["migrate"]), 69, &["is in use by another latchkey"]);
}

#[test]
fn a_database_that_is_away_is_named() {
    let url = "postgres://latchkey:canary@127.0.0.1:1/none?connect_timeout=1";
    let place = Place::sqlite().with("LATCHKEY__DATABASE__URL", url);
    let output = place.run(&[]);
    fails(&output, 69, &["database unavailable"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
    assert!(!place.data().join("master.key").exists());
    let place = Place::sqlite().with("LATCHKEY__DATABASE__URL", "mysql://x");
    fails(&place.run(&[]), 78, &["postgres://"]);
}

#[test]
fn data_of_a_newer_version_is_refused_by_name() {
    let place = Place::sqlite();
    let _ = place.printed(&["migrate"]);
    let path = place.data().join("latchkey.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')")
        .unwrap();
    drop(connection);
    fails(&place.run(&[]), 78, &["newer Latchkey", "29990101000000"]);
    assert!(!place.data().join("master.key").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = Place::sqlite().with("LATCHKEY__DATA__FOLDER", "/proc/latchkey-data");
    fails(&place.run(&[]), 73, &["/proc/latchkey-data"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let inside = file.join("data");
    let place = Place::sqlite().with("LATCHKEY__DATA__FOLDER", inside.to_str().unwrap());
    fails(&place.run(&[]), 73, &["cannot be made"]);
}

#[test]
fn an_old_schema_waits_for_migrate_where_the_operator_says_so() {
    let place = Place::sqlite().with("LATCHKEY__DATABASE__MIGRATE", "check");
    fails(&place.run(&["app", "create", "Shop"]), 69, &["run latchkey migrate"]);
    assert!(place.printed(&["migrate"]).contains("migrations applied"));
    assert!(place.printed(&["migrate"]).contains("up to date"));
    assert!(place.printed(&["app", "list"]).contains("no applications"));
}

#[test]
fn looking_makes_nothing() {
    let place = Place::sqlite();
    assert!(place.printed(&["app", "list"]).contains("no applications"));
    assert!(!place.data().exists());
}

#[test]
fn commands_wait_for_one_another_and_for_a_starting_server() {
    let place = Place::sqlite();
    let commands: Vec<_> = (0..4).map(|_| place.command(&["token", "server"]).spawn().unwrap()).collect();
    let server = place.start();
    let later: Vec<_> = (0..4).map(|_| place.command(&["token", "server"]).spawn().unwrap()).collect();
    for mut command in commands.into_iter().chain(later) {
        assert!(command.wait().unwrap().success());
    }
    drop(server);
    assert!(place.printed(&["app", "list"]).contains("no applications"));
}

#[test]
fn a_folder_with_a_long_path_is_refused_before_anything_is_made() {
    let place = Place::sqlite();
    let long = place.data().join("x".repeat(120));
    let place = place.with("LATCHKEY__DATA__FOLDER", long.to_str().unwrap());
    fails(&place.run(&[]), 73, &["control.sock", "data.folder"]);
    assert!(!long.join("latchkey.db").exists() && !long.join("master.key").exists());
}

#[test]
fn secrets_may_come_from_files() {
    let place = Place::sqlite();
    let key = place.data().with_file_name("key");
    std::fs::write(&key, format!("{}\n", "ab".repeat(32))).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let place = place.with("LATCHKEY__KEYS__MASTER_KEY_FILE", key.to_str().unwrap());
    let _ = place.printed(&["app", "create", "Shop"]);
    assert!(!place.data().join("master.key").exists());
    let place = place.with("LATCHKEY__KEYS__MASTER_KEY", &"ab".repeat(32));
    fails(&place.run(&["app", "list"]), 78, &["remove one"]);
}
