//! `cargo xtask mutants`: changes the code in small ways, one at a time, and sees whether a test notices (cargo-mutants).
//! It takes hours, and resumes where it was stopped, also on another machine: `xtask/mutants.settled` lists the mutants
//! that need no further run (delete a line, or the file, to run them again). The result is `xtask/mutants.txt`; a missed
//! mutant needs a reason in `xtask/survivors.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use xshell::Shell;

use crate::run::{has, say, shown};

/// Of the mutants of a part, so many in a hundred must be noticed.
const BAR: usize = 90;

/// Runs at the same time, each with a build of its own.
const AT_ONCE: usize = 2;

/// What is changed, and which tests look.
struct Part {
    name: &'static str,
    /// What of the code is changed.
    chosen: &'static [&'static str],
    runs: &'static [Run],
    /// The arguments of `cargo test`, in turn, for what the first tests of a run miss.
    then: &'static [&'static [&'static str]],
}

/// A share of a part's mutants.
struct Run {
    /// The only file whose code is changed; empty for all of the part.
    file: &'static str,
    /// The arguments of `cargo test` for the tests that most often notice a change there.
    tests: &'static [&'static str],
}

const WHOLE: [Run; 1] = [Run { file: "", tests: &["--lib", "--tests"] }];

const PARTS: [Part; 3] = [
    Part { name: "domain", chosen: &["-p", "latchkey-domain"], runs: &WHOLE, then: &[] },
    Part { name: "crypto", chosen: &["-p", "latchkey-crypto"], runs: &WHOLE, then: &[] },
    Part {
        name: "service",
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
        ],
        runs: &SERVICE,
        then: &[&LIKELY, &EVERYTHING],
    },
];

/// The files of the [`CRITICAL`] functions, those with the most mutants first. A choice by function alone would take the
/// fields of all structures as well.
const SERVICE: [Run; 11] = [
    Run { file: "crates/service/src/protect/codes.rs", tests: &OF_CODES },
    Run { file: "crates/service/src/notify/mailed_code.rs", tests: &OF_CODES },
    Run {
        file: "crates/service/src/account/signup/completion.rs",
        tests: &["--", "signup::sqlite::", "confirmation::sqlite::"],
    },
    Run {
        file: "crates/service/src/account/social.rs",
        tests: &["--", "social::sqlite::", "verified_email::sqlite::"],
    },
    Run { file: "crates/service/src/account/login.rs", tests: &["--", "login::sqlite::", "owner::sqlite::"] },
    Run {
        file: "crates/service/src/protect/rates/failures.rs",
        tests: &["--", "limits::sqlite::", "owner::sqlite::"],
    },
    Run {
        file: "crates/service/src/account/throttle.rs",
        tests: &["--", "owner::sqlite::", "limits::sqlite::"],
    },
    Run {
        file: "crates/service/src/account/password.rs",
        tests: &["--", "reset::sqlite::", "owner::sqlite::"],
    },
    Run { file: "crates/service/src/account/enrolment.rs", tests: &["--", "enrolment::sqlite::"] },
    Run {
        file: "crates/service/src/account/second_factor/tries.rs",
        tests: &["--", "second_factor::sqlite::"],
    },
    Run { file: "crates/service/src/base/caller.rs", tests: &["--", "tokens::sqlite::", "login::sqlite::"] },
];

/// The tests that notice most changes of codes, and take seconds.
const OF_CODES: [&str; 4] = ["--", "sec_029_codes_are_longer", "sec_029_long_codes", "sec_029_a_new_code"];

/// The tests of the service that most often notice a change: a third of all.
const LIKELY: [&str; 13] = [
    "--",
    "audit::sqlite::",
    "code_limits::",
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

/// All tests of the service over SQLite, each once.
const EVERYTHING: [&str; 9] = [
    "--",
    "--skip",
    "::postgres::",
    "--skip",
    "::on_postgres",
    "--skip",
    "::sqlite_twice::",
    "--skip",
    "::on_sqlite_twice",
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
    "reset_password",
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
        let queue = Mutex::new(part.runs.iter());
        let work = |builder: usize| -> anyhow::Result<()> {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(run) = next else { return Ok(()) };
                test_run(&root, part, run, builder)?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE).map(|builder| scope.spawn(move || work(builder))).collect();
            workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => bail!("a run panicked"),
            })
        })?;
        let mut found = Found::default();
        for run in part.runs {
            let mut list = Command::new("cargo");
            list.current_dir(&root)
                .args(["mutants", "--list", "--colors", "never"])
                .args(selection(part, run));
            let list = String::from_utf8(list.output()?.stdout)?;
            found.add(Found::in_folder(&folder_of(&root, part, run), &list)?);
        }
        write_result(&root, part.name, &found)?;
        if part.name == "service" {
            let settled: String = found.settled.iter().map(|line| format!("{line}\n")).collect();
            std::fs::write(root.join(SETTLED), settled)?;
        }
        say(&format!("{}: {}", part.name, found.told()));
        mistakes.extend(found.mistakes(part.name, &reasons));
    }
    if mistakes.is_empty() { Ok(()) } else { bail!("{}", mistakes.join("\n")) }
}

/// Where cargo-mutants keeps the state of a run.
fn folder_of(root: &Path, part: &Part, run: &Run) -> PathBuf {
    root.join("target/mutants").join(part.name).join(run.file.replace(['/', '.'], "_"))
}

/// Tests the mutants of a run that no earlier one has settled.
fn test_run(root: &Path, part: &Part, run: &Run, builder: usize) -> anyhow::Result<()> {
    let folder = folder_of(root, part, run);
    std::fs::create_dir_all(&folder)?;
    if !folder.join("mutants.out").exists() {
        settle_from(&lines_of(&root.join(SETTLED)), run.file, &folder)?;
    }
    remember_unviable(&folder)?;
    for tests in std::iter::once(&run.tests).chain(part.then) {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(["mutants", "--iterate", "--no-shuffle", "--colors", "never"]);
        // A machine that is busy with something else must not look like a loop without end.
        command
            .args(["--minimum-test-timeout", "60"])
            .arg("--output")
            .arg(&folder)
            .args(selection(part, run));
        // It stops at the first test that fails, where all of them take minutes.
        if part.name == "service" && has("cargo-nextest") {
            command.args(["--test-tool", "nextest"]);
        }
        // Nobody debugs a mutant, and programs without that are linked in half the time.
        command.env("INSTA_UPDATE", "no").env("CARGO_PROFILE_DEV_DEBUG", "0");
        // The next run finds the dependencies built.
        let build = root.join(format!("target/mutants/build-{builder}"));
        command.env("CARGO_TARGET_DIR", build).arg("--").args(*tests);
        shown(&mut command)?;
        remember_unviable(&folder)?;
    }
    Ok(())
}

/// Which mutants a run has.
fn selection(part: &Part, run: &Run) -> Vec<String> {
    let mut chosen: Vec<String> = part.chosen.iter().map(|argument| (*argument).to_owned()).collect();
    if !run.file.is_empty() {
        chosen.extend(["-f".to_owned(), run.file.to_owned()]);
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
    /// Lines of [`SETTLED`].
    settled: BTreeSet<String>,
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
            bail!("{} has no results: see its log", folder.display());
        }
        let caught_lines = caught.iter().map(|name| format!("caught {name}"));
        let settled = caught_lines.chain(unviable.iter().map(|name| format!("unviable {name}"))).collect();
        Ok(Self { caught, missed, unviable: unviable.len(), settled })
    }

    fn add(&mut self, other: Self) {
        self.caught.extend(other.caught);
        self.missed.extend(other.missed);
        self.unviable += other.unviable;
        self.settled.extend(other.settled);
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

/// The mutants of the service that earlier runs settled, with their places: `caught NAME` or `unviable NAME`. Only names
/// that the code still has count.
const SETTLED: &str = "xtask/mutants.settled";

/// Gives cargo-mutants the settled mutants of a file, as if it had run before.
fn settle_from(settled: &BTreeSet<String>, file: &str, folder: &Path) -> anyhow::Result<()> {
    let of = |kind: &str| -> String {
        let names = settled.iter().filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
        names.filter(|name| name.starts_with(&format!("{file}:"))).map(|name| format!("{name}\n")).collect()
    };
    let (caught, unviable) = (of("caught"), of("unviable"));
    if caught.is_empty() && unviable.is_empty() {
        return Ok(());
    }
    let out = folder.join("mutants.out");
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("caught.txt"), caught)?;
    std::fs::write(out.join("unviable.txt"), unviable)?;
    Ok(())
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
    fn settled_mutants_are_not_run_again_on_another_machine() {
        let folder = tempfile::tempdir().unwrap();
        let settled =
            ["caught a.rs:1:2: x", "unviable a.rs:3:4: y", "caught b.rs:1:2: z"].map(str::to_owned).into();
        settle_from(&settled, "a.rs", folder.path()).unwrap();
        remember_unviable(folder.path()).unwrap();
        let found = Found::in_folder(folder.path(), "a.rs:1:2: x\na.rs:3:4: y\nb.rs:1:2: z\n").unwrap();
        assert_eq!(found.told(), "1 of 1 mutants noticed (100 %), 1 do not compile");
        assert_eq!(found.settled, ["caught a.rs:1:2: x", "unviable a.rs:3:4: y"].map(str::to_owned).into());
        // Those of another file only.
        settle_from(&settled, "c.rs", &folder.path().join("c")).unwrap();
        assert!(!folder.path().join("c").exists());
    }

    #[test]
    fn a_survivor_needs_a_reason_that_moves_with_the_code() {
        let name = "crates/domain/src/code.rs:83:5: replace cost_of_guess -> u32 with 1";
        assert_eq!(without_place(name), "crates/domain/src/code.rs: replace cost_of_guess -> u32 with 1");
        let caught = (0..10).map(|number| number.to_string()).collect();
        let found = Found { caught, missed: [name.to_owned()].into(), unviable: 2, ..Found::default() };
        assert_eq!(found.told(), "10 of 11 mutants noticed (90 %), 2 do not compile");
        assert_eq!(found.mistakes("domain", &BTreeMap::new()).len(), 1);
        let why =
            reasons("crates/domain/src/code.rs: replace cost_of_guess -> u32 with 1 => it is a bound\n");
        assert!(found.mistakes("domain", &why).is_empty());
        let few = Found { missed: [name.to_owned()].into(), ..Found::default() };
        assert_eq!(few.mistakes("domain", &why), ["domain: fewer than 90 % are noticed"]);
    }
}
