//! `cargo xtask test`: all tests on both databases, doc tests, and one closing line that says how many ran.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::bail;
use xshell::Shell;

use crate::cluster::Cluster;
use crate::run::{has, say, shown};

const DATABASES: [&str; 2] = ["sqlite", "postgres"];

pub(crate) fn run(shell: &Shell, sqlite_only: bool, arguments: &[String]) -> anyhow::Result<()> {
    let cluster = if sqlite_only { None } else { Some(Cluster::start()?) };
    if sqlite_only {
        say("PostgreSQL IS LEFT OUT: every test whose name says postgres. This is no whole run.");
    }
    let selected = if arguments.is_empty() { vec!["--workspace".to_owned()] } else { arguments.to_vec() };
    if !arguments.is_empty() {
        // The black-box tests run the binary that is there: it must be today's.
        xshell::cmd!(shell, "cargo build --quiet -p latchkey-server").run()?;
    }
    let mut tests = tests(shell, cluster.as_ref())?;
    if has("cargo-nextest") {
        tests.args(["nextest", "run", "--no-fail-fast", "--status-level", "pass"]).args(&selected);
        if sqlite_only {
            tests.args(["-E", "not test(postgres)"]);
        }
    } else {
        tests.args(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]).args(&selected);
        if sqlite_only {
            tests.args(["--", "--skip", "postgres"]);
        }
    }
    let (tests_held, printed) = shown(&mut tests)?;
    let outcome = Outcome::of(&printed);

    let (docs_held, docs) = if arguments.is_empty() {
        shown(cargo(shell, cluster.as_ref()).args(["test", "--doc", "--workspace", "--quiet"]))?
    } else {
        (true, String::new())
    };
    let embeds = ["run", "--quiet", "-p", "latchkey-service", "--example", "embed"];
    let example_held = !arguments.is_empty() || shown(cargo(shell, cluster.as_ref()).args(embeds))?.0;
    let doc_tests: usize = docs.lines().filter_map(passed_in_summary).sum();
    if arguments.is_empty() && !sqlite_only {
        compare_suites(&outcome)?;
    }
    for database in DATABASES {
        let (left_out, count) = (sqlite_only && database == "postgres", outcome.on(database));
        say(&format!(
            "{database}: {}",
            if left_out { "LEFT OUT".to_owned() } else { format!("{count} tests") }
        ));
    }
    if sqlite_only {
        say("PostgreSQL WAS LEFT OUT.");
    }
    say(&format!("{} passed, {} failed", outcome.passed.len() + doc_tests, outcome.failed.len()));
    if tests_held && docs_held && example_held { Ok(()) } else { bail!("there are failures above") }
}

/// Runs the tests whose names hold this text, on both databases.
pub(crate) fn named(shell: &Shell, text: &str) -> anyhow::Result<Outcome> {
    let cluster = Cluster::start()?;
    let mut tests = tests(shell, Some(&cluster))?;
    if has("cargo-nextest") {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "pass", text]);
    } else {
        tests.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests", "--", text]);
    }
    let (held, printed) = shown(&mut tests)?;
    let outcome = Outcome::of(&printed);
    // What does not compile has run nothing.
    if !held && outcome.failed.is_empty() { bail!("the tests did not run") } else { Ok(outcome) }
}

/// The command that runs tests, with what they need.
fn tests(shell: &Shell, cluster: Option<&Cluster>) -> anyhow::Result<Command> {
    let mail_python = crate::python::python(shell, "mail")?;
    let mut tests = cargo(shell, cluster);
    tests.env("LATCHKEY_TEST_MAIL_PYTHON", mail_python);
    Ok(tests)
}

fn cargo(shell: &Shell, cluster: Option<&Cluster>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(shell.current_dir());
    // Snapshots are compared, never written, by this command.
    command.env("INSTA_UPDATE", "no");
    if let Some(cluster) = cluster {
        command.env("LATCHKEY_TEST_POSTGRES", cluster.url());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(cluster.programs().to_owned()).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
    }
    command
}

/// What a run of tests printed, counted.
pub(crate) struct Outcome {
    pub(crate) passed: Vec<String>,
    pub(crate) failed: BTreeSet<String>,
}

impl Outcome {
    fn of(printed: &str) -> Self {
        let (mut passed, mut failed) = (Vec::new(), BTreeSet::new());
        for line in printed.lines() {
            let line = line.trim_start();
            // nextest: "PASS [   0.012s] (  1/205) crate::binary module::name"; cargo: "test module::name ... ok".
            if let Some(rest) = line.strip_prefix("PASS ") {
                passed.extend(rest.split_whitespace().last().map(str::to_owned));
            } else if let Some(rest) = line.strip_prefix("FAIL ") {
                failed.extend(rest.split_whitespace().last().map(str::to_owned));
            } else if let Some(name) =
                line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... ok"))
            {
                passed.push(name.to_owned());
            } else if let Some(name) =
                line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
            {
                failed.insert(name.to_owned());
            }
        }
        Self { passed, failed }
    }

    fn on(&self, database: &str) -> usize {
        self.passed.iter().filter(|name| name.contains(database)).count()
    }
}

fn passed_in_summary(line: &str) -> Option<usize> {
    let (_, after) = line.split_once("test result: ok. ")?;
    after.split_once(" passed")?.0.parse().ok()
}

/// Whatever runs on one database must run on the other: modules that carry their names hold the same tests.
fn compare_suites(outcome: &Outcome) -> anyhow::Result<()> {
    let mut suites: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for name in &outcome.passed {
        let mut parts: Vec<&str> = name.split("::").collect();
        let at = parts
            .iter()
            .position(|part| DATABASES.iter().any(|database| part.split('_').any(|p| p == *database)));
        // A module named after a database, not a test that is about one.
        let Some(at) = at.filter(|at| at + 1 < parts.len()) else { continue };
        let variant = parts.remove(at);
        suites.entry(variant).or_default().insert(parts.join("::"));
    }
    let of = |variant: &str| suites.get(variant).cloned().unwrap_or_default();
    let conformance = |names: BTreeSet<String>| -> BTreeSet<String> {
        names
            .into_iter()
            .filter(|name| name.starts_with("transaction::") || name.starts_with("user::"))
            .collect()
    };
    let (sqlite, postgres) = (of("sqlite"), of("postgres"));
    if sqlite != postgres {
        let differing: Vec<_> = sqlite.symmetric_difference(&postgres).collect();
        bail!("these tests do not run on both databases: {differing:?}");
    }
    for variant in ["postgres_faulty", "postgres_partitioned"] {
        if conformance(of(variant)) != conformance(sqlite.clone()) {
            bail!("{variant} does not run the whole conformance suite");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let printed = "    PASS [   0.012s] (  1/3) latchkey-storage::conformance sqlite::user::x\n\
                       test postgres::user::x ... ok\n    FAIL [   0.1s] (  2/3) a b::c\ntest d ... FAILED\n    FAIL [   0.1s] (  2/3) a b::c\n";
        let outcome = Outcome::of(printed);
        assert_eq!((outcome.passed.len(), outcome.failed.len()), (2, 2));
        assert_eq!((outcome.on("sqlite"), outcome.on("postgres")), (1, 1));
        assert_eq!(passed_in_summary("test result: ok. 4 passed; 0 failed; 0 ignored"), Some(4));
    }

    #[test]
    fn a_test_that_runs_on_one_database_only_is_found() {
        let names = |names: &[&str]| Outcome {
            passed: names.iter().map(|n| (*n).to_owned()).collect(),
            failed: BTreeSet::new(),
        };
        assert!(
            compare_suites(&names(&["login::sqlite::a", "login::postgres::a", "sqlite_has_files"])).is_ok()
        );
        assert!(
            compare_suites(&names(&["login::sqlite::a", "login::sqlite::b", "login::postgres::a"])).is_err()
        );
    }
}
