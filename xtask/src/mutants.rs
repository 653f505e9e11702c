//! `cargo xtask mutants`: changes the code in small ways, one at a time, and sees whether a test notices (cargo-mutants).
//! It takes hours, and goes on where it was stopped. The result is `xtask/mutants.txt`; what no test notices stands there
//! with the reason in `xtask/survivors.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::bail;
use xshell::Shell;

use crate::run::{has, say, shown};

/// Of the mutants of a part, so many in a hundred must be noticed.
const BAR: usize = 90;

/// What is changed, and which tests look.
struct Part {
    name: &'static str,
    /// What of the code is changed.
    chosen: &'static [&'static str],
    /// What `cargo test` is told, in turn: what the first tests miss is tried with the next ones.
    tests: &'static [&'static [&'static str]],
}

const PARTS: [Part; 3] = [
    Part { name: "domain", chosen: &["-p", "latchkey-domain"], tests: &[&["--lib", "--tests"]] },
    Part { name: "crypto", chosen: &["-p", "latchkey-crypto"], tests: &[&["--lib", "--tests"]] },
    Part {
        name: "service",
        // The files of the functions below: a choice by name alone takes the fields of all structures as well.
        chosen: &[
            "-p",
            "latchkey-service",
            "--test-package",
            "latchkey-server",
            // The other tests of that package are not built. cargo-mutants cannot run another package's tests on code that
            // is not changed, so they are expected to pass there.
            "--cargo-arg=--test=http",
            "--baseline",
            "skip",
            "--timeout",
            "600",
            "--build-timeout",
            "900",
            "-f",
            "crates/service/src/caller.rs",
            "-f",
            "crates/service/src/codes.rs",
            "-f",
            "crates/service/src/enrolment.rs",
            "-f",
            "crates/service/src/limits/failures.rs",
            "-f",
            "crates/service/src/login.rs",
            "-f",
            "crates/service/src/password.rs",
            "-f",
            "crates/service/src/second_factor/tries.rs",
            "-f",
            "crates/service/src/signup/completion.rs",
            "-f",
            "crates/service/src/social.rs",
            "-f",
            "crates/service/src/throttle.rs",
        ],
        tests: &[&LIKELY, &["--", "::sqlite::"]],
    },
];

/// The tests of the service that most often notice a change: a third of all.
const LIKELY: [&str; 13] = [
    "--",
    "audit::sqlite::",
    "code_limits::sqlite::",
    "confirmation::sqlite::",
    "enrolment::sqlite::",
    "limits::sqlite::",
    "login::sqlite::",
    "owner::sqlite::",
    "reset::sqlite::",
    "second_factor::sqlite::",
    "signup::sqlite::",
    "social::sqlite::",
    "verified_email::sqlite::",
];

/// The functions of the service that decide who gets in, as cargo-mutants names them.
const CRITICAL: [&str; 24] = [
    "find_attempt",
    "asks_password",
    "check_attempts_password",
    "try_attempts_password",
    "try_code",
    "asked_by",
    "place_and_send",
    "is_crowded",
    "count_attempt",
    "try_password",
    "settle_right",
    "identify",
    "find_app",
    "gate",
    "log_in_as",
    "settle_login",
    "may_come_back",
    "find_identity",
    "use_up",
    "begin_change",
    "try_factor",
    "reset_password_now",
    "reserve_failure",
    "try_reserve",
];

pub(crate) fn run(shell: &Shell, wanted: Option<&str>) -> anyhow::Result<()> {
    if !has("cargo-mutants") {
        bail!("cargo-mutants is missing. Install it with: cargo install cargo-mutants --locked");
    }
    let root = shell.current_dir();
    let reasons = reasons(&std::fs::read_to_string(root.join("xtask/survivors.txt")).unwrap_or_default());
    let parts: Vec<&Part> = PARTS.iter().filter(|part| wanted.is_none_or(|name| name == part.name)).collect();
    if parts.is_empty() {
        bail!("there is no such part: domain, crypto or service");
    }
    let mut mistakes = Vec::new();
    for part in parts {
        let folder = root.join("target/mutants").join(part.name);
        std::fs::create_dir_all(&folder)?;
        remember_unviable(&folder)?;
        for tests in part.tests {
            let mut command = Command::new("cargo");
            command.current_dir(&root).args(["mutants", "--iterate", "--no-shuffle", "--colors", "never"]);
            // A machine that is busy with something else must not look like a loop without end.
            command.args(["--minimum-test-timeout", "60"]).arg("--output").arg(&folder).args(selection(part));
            // It stops at the first test that fails, where all of them take minutes.
            if part.name == "service" && has("cargo-nextest") {
                command.args(["--test-tool", "nextest"]);
            }
            // Nobody debugs a mutant, and programs without that are linked in half the time.
            command.env("INSTA_UPDATE", "no").env("CARGO_PROFILE_DEV_DEBUG", "0");
            // The next run finds the dependencies built.
            command.env("CARGO_TARGET_DIR", folder.join("build")).arg("--").args(*tests);
            shown(&mut command)?;
            remember_unviable(&folder)?;
        }
        let mut list = Command::new("cargo");
        list.current_dir(&root).args(["mutants", "--list", "--colors", "never"]).args(selection(part));
        let list = String::from_utf8(list.output()?.stdout)?;
        let found = Found::in_folder(&folder, &list)?;
        write_result(&root, part.name, &found)?;
        say(&format!("{}: {}", part.name, found.told()));
        mistakes.extend(found.mistakes(part.name, &reasons));
    }
    if mistakes.is_empty() { Ok(()) } else { bail!("{}", mistakes.join("\n")) }
}

/// Which mutants a part has.
fn selection(part: &Part) -> Vec<String> {
    let mut chosen: Vec<String> = part.chosen.iter().map(|argument| (*argument).to_owned()).collect();
    if part.name == "service" {
        chosen.extend(["--re".to_owned(), format!(r"\b({})\b", CRITICAL.join("|"))]);
    }
    chosen
}

/// What became of the mutants of a part, over all runs.
#[derive(Default)]
struct Found {
    caught: BTreeSet<String>,
    missed: BTreeSet<String>,
    unviable: usize,
}

impl Found {
    /// The results in a folder for the mutants that a list names: those of earlier code are forgotten.
    fn in_folder(folder: &Path, list: &str) -> anyhow::Result<Self> {
        let out = folder.join("mutants.out");
        let present: BTreeSet<&str> = list.lines().collect();
        let lines = |name: &str| -> BTreeSet<String> {
            lines_of(&out.join(name)).into_iter().filter(|name| present.contains(name.as_str())).collect()
        };
        let mut caught = lines("caught.txt");
        // One that never ends is noticed as well.
        caught.extend(lines("timeout.txt"));
        let unviable = lines_of(&folder.join(UNVIABLE));
        let unviable: BTreeSet<String> =
            unviable.into_iter().filter(|name| present.contains(name.as_str())).collect();
        // cargo-mutants lists all that earlier runs settled as caught, also what did not compile.
        caught.extend(lines("previously_caught.txt").difference(&unviable).cloned());
        let missed = lines("missed.txt");
        if caught.is_empty() && missed.is_empty() {
            bail!("{} tells of no mutant: see its log", folder.display());
        }
        Ok(Self { caught, missed, unviable: unviable.len() })
    }

    fn told(&self) -> String {
        let all = self.caught.len() + self.missed.len();
        let percent = 100 * self.caught.len() / all.max(1);
        format!(
            "{} of {all} mutants noticed ({percent} %), {} do not compile",
            self.caught.len(),
            self.unviable
        )
    }

    fn mistakes(&self, part: &str, reasons: &BTreeMap<String, String>) -> Vec<String> {
        let mut mistakes = Vec::new();
        let all = self.caught.len() + self.missed.len();
        if 100 * self.caught.len() < BAR * all {
            mistakes.push(format!("{part}: fewer than {BAR} % are noticed"));
        }
        let silent = self.missed.iter().filter(|name| !reasons.contains_key(&without_place(name)));
        mistakes.extend(silent.map(|name| format!("{part}: no reason in xtask/survivors.txt for {name}")));
        mistakes
    }
}

/// The mutants that did not compile in any run, which cargo-mutants forgets.
const UNVIABLE: &str = "unviable.txt";

/// Adds those of the last run, which may have been stopped.
fn remember_unviable(folder: &Path) -> anyhow::Result<()> {
    let mut all = lines_of(&folder.join(UNVIABLE));
    all.extend(lines_of(&folder.join("mutants.out").join("unviable.txt")));
    let text: String = all.iter().map(|name| format!("{name}\n")).collect();
    Ok(std::fs::write(folder.join(UNVIABLE), text)?)
}

fn lines_of(file: &Path) -> BTreeSet<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// A mutant without its line and column, which move with every change: its file and what was changed.
fn without_place(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(file), Some(_), Some(_), Some(what)) => format!("{file}:{what}"),
        _ => name.to_owned(),
    }
}

/// Lines `file: what was changed => why no test notices`.
fn reasons(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.split_once(" => "));
    lines.map(|(what, why)| (what.trim().to_owned(), why.trim().to_owned())).collect()
}

/// Writes a part's result into the file, beside those of the others.
fn write_result(root: &Path, part: &str, found: &Found) -> anyhow::Result<()> {
    let path = root.join("xtask/mutants.txt");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sections: BTreeMap<String, String> = BTreeMap::new();
    for section in before.split("\n\n").filter(|section| !section.trim().is_empty()) {
        let name = section.split(':').next().unwrap_or_default().trim().to_owned();
        sections.insert(name, section.trim().to_owned());
    }
    let mut text = format!("{part}: {}", found.told());
    for name in &found.missed {
        write!(text, "\n  missed: {}", without_place(name))?;
    }
    sections.insert(part.to_owned(), text);
    let all: Vec<String> = sections.into_values().collect();
    Ok(std::fs::write(path, format!("{}\n", all.join("\n\n")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_compile_in_an_earlier_run_is_not_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("mutants.out");
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join("unviable.txt"), "a\n").unwrap();
        remember_unviable(folder.path()).unwrap();
        // The next run knows it as settled only.
        std::fs::write(out.join("unviable.txt"), "").unwrap();
        std::fs::write(out.join("previously_caught.txt"), "a\nb\n").unwrap();
        std::fs::write(out.join("missed.txt"), "c\n").unwrap();
        remember_unviable(folder.path()).unwrap();
        let found = Found::in_folder(folder.path(), "a\nb\nc\n").unwrap();
        assert_eq!(found.told(), "1 of 2 mutants noticed (50 %), 1 do not compile");
        // The code of this one has changed since.
        let found = Found::in_folder(folder.path(), "a\nc\nd\n").unwrap();
        assert_eq!(found.told(), "0 of 1 mutants noticed (0 %), 1 do not compile");
    }

    #[test]
    fn a_survivor_needs_a_reason_that_moves_with_the_code() {
        let name = "crates/domain/src/code.rs:83:5: replace cost_of_guess -> u32 with 1";
        assert_eq!(without_place(name), "crates/domain/src/code.rs: replace cost_of_guess -> u32 with 1");
        let caught = (0..10).map(|number| number.to_string()).collect();
        let found = Found { caught, missed: [name.to_owned()].into(), unviable: 2 };
        assert_eq!(found.told(), "10 of 11 mutants noticed (90 %), 2 do not compile");
        assert_eq!(found.mistakes("domain", &BTreeMap::new()).len(), 1);
        let why =
            reasons("crates/domain/src/code.rs: replace cost_of_guess -> u32 with 1 => it is a bound\n");
        assert!(found.mistakes("domain", &why).is_empty());
        let few = Found { missed: [name.to_owned()].into(), ..Found::default() };
        assert_eq!(few.mistakes("domain", &why), ["domain: fewer than 90 % are noticed"]);
    }
}
