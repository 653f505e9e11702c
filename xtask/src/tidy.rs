//! `cargo xtask tidy`: checks layers by `cargo tree`, module headers, file sizes, pairs of migrations, reasons for
//! dependencies, wording, commit subjects.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::run::say;

/// What a crate must not know, by the beginning of the names in its tree.
const LAYERS: [(&str, &[&str]); 7] = [
    ("latchkey-domain", &["diesel", "actix", "tokio", "reqwest", "lettre", "ring", "latchkey-"]),
    (
        "latchkey-crypto",
        &["diesel", "actix", "tokio", "reqwest", "lettre", "config", "latchkey-storage", "latchkey-service"],
    ),
    (
        "latchkey-storage",
        &[
            "actix",
            "reqwest",
            "lettre",
            "latchkey-crypto",
            "latchkey-notifiers",
            "latchkey-service",
            "diesel",
        ],
    ),
    ("latchkey-notifiers", &["actix", "diesel", "latchkey-storage", "latchkey-service"]),
    ("latchkey-transfer", &["diesel", "actix", "tokio", "reqwest", "lettre", "ring", "latchkey-"]),
    ("latchkey-service", &["actix", "diesel", "reqwest", "askama", "config"]),
    ("latchkey-portal", &["diesel", "reqwest", "config"]),
];
/// Crates that must be nowhere: the first has an open advisory, the others bring a second TLS.
const BANNED: [&str; 3] = ["rsa", "openssl", "native-tls"];
const MOST_LINES: usize = 500;
/// The rooms of a crate, lowest first: a module imports from its own room and from those below it.
const HOUSES: [(&str, &[&str]); 2] = [
    // Beside them is `service.rs`, which holds the state of all.
    ("crates/service/src/", &["base", "protect", "notify", "account", "operate", "portal", "transfer"]),
    (
        "crates/server/src/",
        &[
            "dto",
            "http",
            "settings",
            "telemetry",
            "descriptors",
            "start",
            "openapi",
            "transfer",
            "zip_export",
            "api",
            "routes",
            "control",
            "server",
            "commands",
        ],
    ),
];
/// Phrases refused in prose. Write anyone, again, is told, valid for, imported, skip, duplicate, temporary, instead
/// of, forever, phone.
const PHRASES: &str = r"\b(whoever|anew|hears?|good for|brought in|leav(e|es|ing) away|left away|stands? twice|throw-away|whence|in the place of|for ever|telephones?)\b";
/// Commits are checked from here on.
const SUBJECTS_SINCE: &str = "2026-11-30T06:00:00Z";
const LONGEST_SUBJECT: usize = 72;

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let root = shell.current_dir();
    let mut found = Vec::new();
    layers(shell, &mut found)?;
    for file in rust_files(&root)? {
        source(&file, &std::fs::read_to_string(&file)?, &mut found);
    }
    migrations(&root, &mut found)?;
    found.extend(unexplained(&std::fs::read_to_string(root.join("Cargo.toml"))?));
    words(shell, &mut found)?;
    look_ups(shell, &mut found)?;
    phrases(shell, &mut found)?;
    subjects(shell, &mut found)?;
    if found.is_empty() {
        say("tidy: nothing to tidy");
        return Ok(());
    }
    bail!("tidy:\n{}", found.join("\n"))
}

fn layers(shell: &Shell, found: &mut Vec<String>) -> anyhow::Result<()> {
    let format = "{p}";
    for (package, forbidden) in LAYERS {
        let tree = cmd!(shell, "cargo tree --locked -e normal --prefix none -f {format} -p {package}")
            .quiet()
            .read()?;
        for name in names(&tree).filter(|name| *name != package) {
            if let Some(why) = forbidden.iter().find(|start| name.starts_with(**start)) {
                found.push(format!("{package} must not know {why}: {name} is in its tree"));
            }
        }
    }
    let tree =
        cmd!(shell, "cargo tree --locked --workspace -e all --prefix none -f {format}").quiet().read()?;
    found.extend(banned(&tree).into_iter().map(|name| format!("{name} is banned and in the tree")));
    Ok(())
}

fn names(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines().filter_map(|line| line.split_whitespace().next())
}

fn banned(tree: &str) -> BTreeSet<&str> {
    names(tree).filter(|name| BANNED.contains(name)).collect()
}

fn source(file: &Path, text: &str, found: &mut Vec<String>) {
    let name = file.display();
    if !text.starts_with("//!") {
        found.push(format!("{name} does not say at its top what it is (//!)"));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push(format!("{name} has {lines} lines: it is probably two things"));
    }
    if text.lines().any(|line| line.ends_with([' ', '\t'])) {
        found.push(format!("{name} has white space at the end of a line"));
    }
    for (house, rooms) in HOUSES {
        if let Some((_, inside)) = name.to_string().split_once(house) {
            let room = inside.split(['/', '.']).next().unwrap_or_default();
            let wrong = imports_from_above(rooms, room, text);
            found.extend(wrong.into_iter().map(|import| format!("{name} {import}")));
        }
    }
    let is_product = name.to_string().contains("/src/") && !file.ends_with("tests.rs");
    for line in text.split("#[cfg(test)]").next().unwrap_or_default().lines() {
        if is_product && takes_tuple(line) {
            found.push(format!("{name} has a function that takes a tuple apart: {}", line.trim()));
        }
    }
    let is_queries = file.components().any(|part| part.as_os_str() == "diesel");
    if is_queries {
        for word in [".like(", ".ilike(", "now()", "random()", ".for_update("] {
            if text.contains(word) {
                found.push(format!("{name} uses {word}, which the two databases do not share"));
            }
        }
        let knows_both =
            ["connection.rs", "migrations.rs", "mod.rs"].iter().any(|known| file.ends_with(known));
        if !knows_both && text.contains("Connection::Postgres") && text.contains("Connection::Sqlite(conn") {
            found.push(format!("{name} asks which database it is"));
        }
    }
    let is_port = file.components().any(|part| part.as_os_str() == "ports");
    let is_of_apps = ["user.rs", "signup.rs", "code.rs"].iter().any(|known| file.ends_with(known));
    if is_port && is_of_apps {
        found.extend(
            methods_without_app(text)
                .into_iter()
                .map(|method| format!("{name}: {method} takes no application")),
        );
    }
}

/// Whether a line of a signature names the parts of a tuple. Two arguments, or a struct, say at the call what each is.
fn takes_tuple(line: &str) -> bool {
    let is_names =
        |text: &str| text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ',' | ' ' | '(' | ')'));
    let is_signature = !line.contains('|') && !line.trim_start().starts_with("let ") && !line.contains("//");
    line.match_indices("): (").any(|(end, _)| {
        let before = line.get(..end).unwrap_or_default();
        let begins = before.rfind("((").map(|at| at + 1).or_else(|| before.rfind(", (").map(|at| at + 2));
        let begins = begins.or_else(|| {
            before.trim_start().starts_with('(').then(|| before.len() - before.trim_start().len())
        });
        is_signature && begins.is_some_and(|begins| before.get(begins..).is_some_and(is_names))
    })
}

/// Imports of a module that its room must not have.
fn imports_from_above(rooms: &[&str], room: &str, text: &str) -> Vec<String> {
    let height = |room: &str| rooms.iter().position(|known| *known == room);
    let Some(own) = height(room) else { return Vec::new() };
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let targets = code.flat_map(|line| line.split("crate::").skip(1));
    targets
        .filter_map(|target| {
            let first = target.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            match height(first) {
                Some(other) if other > own => {
                    Some(format!("is in {room} and imports from {first}, which is above"))
                }
                None if first != "service" => Some(format!("imports crate::{first} through the crate root")),
                _ => None,
            }
        })
        .collect()
}

/// SEC-088: whatever belongs to an application is found within it.
fn methods_without_app(text: &str) -> Vec<String> {
    let carriers = ["AppId", "&User)", "&User,", "&Signup)", "&Signup,", "&StoredCode)"];
    text.split("    fn ")
        .skip(1)
        .filter_map(|rest| rest.split_once("->").map(|(signature, _)| signature))
        .filter(|signature| !carriers.iter().any(|carrier| signature.contains(carrier)))
        .filter_map(|signature| signature.split('(').next().map(str::to_owned))
        .collect()
}

fn migrations(root: &Path, found: &mut Vec<String>) -> anyhow::Result<()> {
    let mut versions = Vec::new();
    for database in ["sqlite", "postgres"] {
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(root.join("migrations").join(database))? {
            let entry = entry?;
            for half in ["up.sql", "down.sql"] {
                if !entry.path().join(half).is_file() {
                    found.push(format!("{} lacks {half}", entry.path().display()));
                }
            }
            names.insert(entry.file_name());
        }
        versions.push(names);
    }
    if versions.first() != versions.last() {
        found.push("migrations/sqlite and migrations/postgres hold different versions".to_owned());
    }
    Ok(())
}

/// Dependencies of the workspace without a line that says why they are there.
fn unexplained(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut inside, mut is_explained) = (false, false);
    for line in manifest.lines() {
        match line {
            "[workspace.dependencies]" => inside = true,
            _ if line.starts_with('[') => inside = false,
            _ if line.starts_with('#') => is_explained = true,
            "" => {}
            _ if inside && line.contains(" = ") => {
                let is_ours = line.starts_with("latchkey-");
                if !is_explained && !is_ours {
                    found.push(format!("Cargo.toml gives no reason for: {line}"));
                }
                is_explained = is_ours;
            }
            _ => {}
        }
    }
    found
}

/// Notes to oneself, and paths that only one machine has.
fn words(shell: &Shell, found: &mut Vec<String>) -> anyhow::Result<()> {
    let notes = ["TO", "FIX", "HA"]
        .iter()
        .zip(["DO", "ME", "CK"])
        .map(|(a, b)| format!("{a}{b}"))
        .collect::<Vec<_>>();
    let pattern = format!(r"\b({}|XXX)\b|todo!\(|unimplemented!\(|#\[ignore", notes.join("|"));
    let files = cmd!(shell, "git ls-files *.rs *.toml *.sql *.md *.sh").quiet().read()?;
    for file in files.lines().filter(|file| !file.ends_with("tidy.rs")) {
        let hits = cmd!(shell, "grep -nE {pattern} {file}").quiet().ignore_status().read()?;
        found.extend(hits.lines().map(|hit| format!("{file}:{hit}")));
    }
    Ok(())
}

/// `first` binds a limit, and SQLite plans a statement anew at each run in which a limit is bound. One row that is
/// looked up by its key is `get_result`.
fn look_ups(shell: &Shell, found: &mut Vec<String>) -> anyhow::Result<()> {
    let hits =
        cmd!(shell, "git grep -nF .first(conn) -- crates/storage/src").quiet().ignore_status().read()?;
    found.extend(hits.lines().map(|hit| format!("{hit}: a look-up by key is get_result")));
    Ok(())
}

/// Phrases in code, documents and templates that have a plainer word.
fn phrases(shell: &Shell, found: &mut Vec<String>) -> anyhow::Result<()> {
    let hits = cmd!(shell, "git grep -nIiE {PHRASES} -- *.rs *.md *.html *.toml :!xtask/src/tidy.rs");
    let hits = hits.quiet().ignore_status().read()?;
    found.extend(hits.lines().map(|hit| format!("{hit}: use a plainer word")));
    Ok(())
}

/// Subjects of commits that are too long for one line.
fn subjects(shell: &Shell, found: &mut Vec<String>) -> anyhow::Result<()> {
    let log = cmd!(shell, "git log --since {SUBJECTS_SINCE} --format=%s").quiet().ignore_status().read()?;
    found.extend(
        too_long(&log).map(|subject| format!("commit subject over {LONGEST_SUBJECT} characters: {subject}")),
    );
    Ok(())
}

fn too_long(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|subject| subject.chars().count() > LONGEST_SUBJECT)
}

/// All of our Rust files.
pub(crate) fn rust_files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "tests", "xtask"].iter().map(|name| root.join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_takes_no_tuple_apart() {
        for wrong in [
            "        (app_id, id): (AppId, UserId),",
            "    fn of(state: State, (reader, id): (Reader, AppId), x: X) -> Self {",
            "fn is_on_time((then, at): (OffsetDateTime, Elapsed), now: OffsetDateTime) -> bool {",
        ] {
            assert!(takes_tuple(wrong), "{wrong}");
        }
        for good in [
            "        let (a, b): (A, B) = c;",
            "    pairs.map(|(a, b): (A, B)| a)",
            "    fn of(user: UserKey) -> (A, B) {",
            "    let (app_id, handle): (_, &Handle) = (user.app_id, &user.handle);",
            "    parts: (A, B),",
        ] {
            assert!(!takes_tuple(good), "{good}");
        }
    }

    #[test]
    fn sec_124_a_banned_crate_in_the_tree_is_found() {
        let fixture = "latchkey-server v0.1.0\nrsa v0.9.6\nring v0.17.14\nopenssl-sys v0.9\nrsa-like v1\n";
        assert_eq!(banned(fixture), ["rsa"].into());
    }

    #[test]
    fn sec_064_the_rsa_crate_is_banned() {
        assert!(BANNED.contains(&"rsa"));
    }

    #[test]
    fn sec_088_a_repository_method_without_an_application_is_found() {
        let port = "    fn find(&mut self, id: UserId) -> Result<X, E>;\n    fn add(&mut self, user: &User) -> Result<X, E>;\n    \
                    fn of(&mut self, app_id: AppId) -> Result<X, E>;\n";
        assert_eq!(methods_without_app(port), ["find"]);
    }

    #[test]
    fn an_import_from_a_room_above_or_through_the_root_is_found() {
        let text = "use crate::base::error::Refusal;\nuse crate::service::Service;\nuse crate::account::login::LogIn;\n\
                    use crate::{Call, Operator};\n/// See [`crate::transfer`].\nlet x = crate::Call;\n";
        let found = imports_from_above(HOUSES[0].1, "notify", text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("account, which is above"));
        assert_eq!(imports_from_above(HOUSES[0].1, "service", text), Vec::<String>::new());
    }

    #[test]
    fn a_dependency_needs_a_reason() {
        let manifest = "[workspace.dependencies]\n# Why.\na = \"1\"\nb = \"1\"\nlatchkey-x = \"1\"\n[other]\nc = \"1\"\n";
        assert_eq!(unexplained(manifest), ["Cargo.toml gives no reason for: b = \"1\""]);
    }

    #[test]
    fn long_commit_subjects_are_found() {
        let (fine, long) = ("x".repeat(72), "ü".repeat(73));
        assert_eq!(too_long(&format!("{fine}\n{long}\n")).collect::<Vec<_>>(), [long.as_str()]);
    }

    #[test]
    fn files_say_what_they_are_and_stay_small() {
        let mut found = Vec::new();
        source(Path::new("a.rs"), &"x \n".repeat(501), &mut found);
        assert_eq!(found.len(), 3);
    }
}
