//! `cargo xtask security`: every requirement of `docs/security.md` with the tests that prove it, found by
//! their names.

use std::collections::BTreeMap;

use anyhow::bail;
use xshell::Shell;

use crate::run::say;
use crate::tidy::rust_files;

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let root = shell.current_dir();
    let text = std::fs::read_to_string(root.join("docs/security.md"))?;
    let mut proofs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in rust_files(&root)? {
        let source = std::fs::read_to_string(&file)?;
        let place = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        for name in source.lines().filter_map(test_name) {
            let Some(number) = name.get(4..7) else { continue };
            proofs.entry(format!("SEC-{number}")).or_default().push(format!("{name}  ({place})"));
        }
    }
    let requirements: Vec<(&str, &str)> = text.lines().filter_map(requirement).collect();
    let (mut proven, mut open) = (0, Vec::new());
    for (number, words) in &requirements {
        let Some(tests) = proofs.remove(*number) else {
            open.push((number, words));
            continue;
        };
        proven += 1;
        say(&format!("{number}  {words}"));
        tests.iter().for_each(|test| say(&format!("         {test}")));
    }
    say("\nWithout a proof yet:");
    for (number, words) in &open {
        say(&format!("{number}  {words}"));
    }
    say(&format!("\n{proven} of {} requirements are proven", requirements.len()));
    if proofs.is_empty() {
        Ok(())
    } else {
        bail!("tests prove requirements that docs/security.md lacks: {proofs:?}")
    }
}

/// The name of a proof: a function whose name begins with the number of a requirement.
fn test_name(line: &str) -> Option<&str> {
    let rest = line.trim_start().trim_start_matches("async ").strip_prefix("fn ")?;
    let name = rest.split(['(', '<']).next()?;
    let digits = name.strip_prefix("sec_")?.get(..3)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(name)
}

/// A row of the table of requirements: its number and words.
fn requirement(line: &str) -> Option<(&str, &str)> {
    let mut cells = line.strip_prefix("| SEC-")?.split(" | ");
    cells.next()?;
    let words = cells.next()?.trim_end_matches([' ', '|']);
    Some((line.get(2..9)?, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_and_requirements_are_recognised() {
        assert_eq!(test_name("    async fn sec_031_a_code<S: Store>(app: A) {"), Some("sec_031_a_code"));
        assert_eq!(test_name("fn sec_1_x() {"), None);
        assert_eq!(requirement("| SEC-031 | Codes expire. |"), Some(("SEC-031", "Codes expire.")));
        assert_eq!(requirement("| other | x |"), None);
    }
}
