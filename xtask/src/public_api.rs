//! `cargo xtask public-api`: what each crate offers to others, as `cargo public-api` lists it, is what
//! `xtask/public-api` says. With `--update` those files are written. It needs a nightly toolchain, and is skipped without.

use anyhow::{Context as _, bail};
use xshell::{Shell, cmd};

use crate::run::{has, say};

/// The crates that others may embed.
const CRATES: [&str; 6] = [
    "latchkey-domain",
    "latchkey-crypto",
    "latchkey-storage",
    "latchkey-notifiers",
    "latchkey-transfer",
    "latchkey-service",
];

pub(crate) fn run(shell: &Shell, updates: bool) -> anyhow::Result<()> {
    if cmd!(shell, "rustc +nightly --version").quiet().ignore_stderr().read().is_err() {
        say("public-api: skipped, there is no nightly toolchain (rustup toolchain install nightly)");
        return Ok(());
    }
    if !has("cargo-public-api") {
        bail!("cargo-public-api is missing. Install it with: cargo install cargo-public-api --locked");
    }
    let mut changed = Vec::new();
    for package in CRATES {
        let listed = cmd!(shell, "cargo +nightly public-api --package {package} -sss").quiet().read()?;
        let path = shell.current_dir().join(format!("xtask/public-api/{package}.txt"));
        if updates {
            shell.write_file(&path, format!("{listed}\n"))?;
            continue;
        }
        let known = shell.read_file(&path).with_context(|| format!("{} is missing", path.display()))?;
        changed.extend(difference(known.trim_end(), &listed).map(|line| format!("{package}: {line}")));
    }
    if changed.is_empty() {
        say("public-api: as listed");
        return Ok(());
    }
    bail!("what crates offer has changed; see it with git after --update:\n{}", changed.join("\n"))
}

/// Lines that only one of two lists has, with `-` for the first and `+` for the second.
fn difference<'t>(known: &'t str, listed: &'t str) -> impl Iterator<Item = String> + 't {
    let only = |one: &'t str, other: &'t str, sign: char| {
        let other: std::collections::HashSet<&str> = other.lines().collect();
        one.lines().filter(move |line| !other.contains(line)).map(move |line| format!("{sign} {line}"))
    };
    only(known, listed, '-').chain(only(listed, known, '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_both_sides() {
        let found: Vec<_> = difference("a\nb\nc", "a\nc\nd").collect();
        assert_eq!(found, ["- b", "+ d"]);
        assert_eq!(difference("a", "a").count(), 0);
    }
}
