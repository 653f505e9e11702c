//! `cargo xtask security`: runs the tests that are named after a requirement of `docs/security.md`, and prints each
//! requirement with those that passed. One without such a test is open: the page must say why.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use xshell::Shell;

use crate::run::say;
use crate::test::{self, Outcome};

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(shell.current_dir().join("docs/security.md"))?;
    let report = Report::of(&page, &test::named(shell, "sec_")?);
    for (number, words, tests) in &report.proven {
        say(&format!("{number}  {words}"));
        tests.iter().for_each(|test| say(&format!("         {test}")));
    }
    say("\nOpen:");
    report.open.iter().for_each(|(number, why)| say(&format!("{number}  {why}")));
    let all = report.proven.len() + report.open.len();
    say(&format!("\n{} of {all} requirements are proven by tests that passed just now", report.proven.len()));
    if report.mistakes.is_empty() { Ok(()) } else { bail!("{}", report.mistakes.join("\n")) }
}

/// What a run of the tests says about the page.
struct Report {
    /// Number, words and tests.
    proven: Vec<(String, String, Vec<String>)>,
    /// Number and reason.
    open: Vec<(String, String)>,
    mistakes: Vec<String>,
}

impl Report {
    fn of(page: &str, outcome: &Outcome) -> Self {
        let (requirements, reasons) = page.split_once("\n## Open\n").unwrap_or((page, ""));
        let reasons: BTreeMap<_, _> = reasons.lines().filter_map(row).collect();
        let mut tests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in &outcome.passed {
            if let Some(number) = number_of(name) {
                tests.entry(number).or_default().insert(name.clone());
            }
        }
        let failed: BTreeSet<String> = outcome.failed.iter().filter_map(|name| number_of(name)).collect();
        let mut mistakes: Vec<String> = outcome.failed.iter().map(|name| format!("{name} failed")).collect();
        let (mut proven, mut open) = (Vec::new(), Vec::new());
        for (number, words) in requirements.lines().filter_map(row) {
            let why = reasons.get(number);
            match (tests.remove(number).filter(|_| !failed.contains(number)), why) {
                (Some(tests), None) => {
                    proven.push((number.to_owned(), words.to_owned(), tests.into_iter().collect()));
                }
                (None, Some(why)) => open.push((number.to_owned(), (*why).to_owned())),
                (None, None) => {
                    mistakes.push(format!("{number} has no test that passed, and the page does not say why"));
                    open.push((number.to_owned(), "nobody says why".to_owned()));
                }
                (Some(_), Some(_)) => {
                    mistakes.push(format!("{number} is proven, but the page calls it open"));
                    open.push((number.to_owned(), "it is proven".to_owned()));
                }
            }
        }
        let lacking = tests.keys().map(|number| format!("tests prove {number}, which the page lacks"));
        mistakes.extend(lacking);
        Self { proven, open, mistakes }
    }
}

/// The number of the requirement that a test proves, by its name.
fn number_of(test: &str) -> Option<String> {
    let name = test.rsplit("::").next()?.strip_prefix("sec_")?;
    let (digits, rest) = name.split_at_checked(3)?;
    (digits.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('_'))
        .then(|| format!("SEC-{digits}"))
}

/// A row of a table of the page: a number, and what stands beside it.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| SEC-")?.split(" | ");
    cells.next()?;
    let words = cells.next()?.trim_end_matches([' ', '|']);
    Some((line.get(2..9)?, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "| SEC-031 | Codes expire. |\n| SEC-032 | Later. |\n\n## Open\n\n| SEC-032 | Not built. |\n";

    fn report(page: &str, passed: &[&str], failed: &[&str]) -> Report {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Report::of(page, &Outcome { passed: names(passed), failed: names(failed).into_iter().collect() })
    }

    #[test]
    fn proofs_and_requirements_are_recognised() {
        assert_eq!(number_of("login::sqlite::sec_031_a_code"), Some("SEC-031".to_owned()));
        assert_eq!(number_of("sec_1_x"), None);
        assert_eq!(number_of("second_factor::x"), None);
        assert_eq!(row("| SEC-031 | Codes expire. |"), Some(("SEC-031", "Codes expire.")));
        assert_eq!(row("| other | x |"), None);
    }

    #[test]
    fn only_what_passed_proves_and_what_is_open_needs_a_reason() {
        let good = report(PAGE, &["a::sec_031_x", "a::sec_031_y"], &[]);
        assert!(good.mistakes.is_empty(), "{:?}", good.mistakes);
        assert_eq!(
            good.proven.first().map(|(number, _, tests)| (number.as_str(), tests.len())),
            Some(("SEC-031", 2))
        );
        assert_eq!(good.open, [("SEC-032".to_owned(), "Not built.".to_owned())]);
        // A test that exists and did not run, or failed beside one that passed, proves nothing.
        assert_eq!(report(PAGE, &[], &[]).mistakes.len(), 1);
        let failed = report(PAGE, &["a::sec_031_x"], &["b::sec_031_y"]);
        assert!(failed.proven.is_empty() && failed.mistakes.len() == 2, "{:?}", failed.mistakes);
        assert_eq!(report(PAGE, &["a::sec_031_x", "a::sec_032_x"], &[]).mistakes.len(), 1);
        assert_eq!(report(PAGE, &["a::sec_031_x", "a::sec_999_x"], &[]).mistakes.len(), 1);
    }
}
