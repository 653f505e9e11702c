//! `cargo xtask ci`: everything that continuous integration runs, in its order.

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::run::{has, say};
use crate::{interop, test, tidy};

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets --locked -- -D warnings").run()?;
    tidy::run(shell)?;
    test::run(shell, false, &[])?;
    docs(shell)?;
    deny(shell)?;
    interop::run(shell)?;
    package(shell)?;
    say("ci: all of it held");
    Ok(())
}

fn docs(shell: &Shell) -> anyhow::Result<()> {
    let _warnings = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cmd!(shell, "cargo doc --workspace --no-deps --quiet").run()?;
    Ok(())
}

fn deny(shell: &Shell) -> anyhow::Result<()> {
    if has("cargo-deny") {
        cmd!(shell, "cargo deny --offline check bans licenses sources").run()?;
    } else {
        say("cargo-deny is not installed: licences and sources were not checked (bans are, by tidy)");
    }
    Ok(())
}

/// The crate that is published carries its migrations, which lie outside of it.
fn package(shell: &Shell) -> anyhow::Result<()> {
    let files = cmd!(shell, "cargo package -p latchkey-storage --list --allow-dirty").read()?;
    for database in ["sqlite", "postgres"] {
        let carried =
            files.lines().filter(|line| line.starts_with(&format!("migrations/{database}/"))).count();
        let there = std::fs::read_dir(shell.current_dir().join("migrations").join(database))?.count() * 2;
        if carried != there {
            bail!("the package carries {carried} of {there} files of migrations/{database}");
        }
    }
    Ok(())
}
