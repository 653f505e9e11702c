//! `cargo xtask fuzz-api`: schemathesis (PyPI) asks a release binary everything that its own description allows, and much that
//! it does not. No answer may be a failure of the server, or one that the description does not tell.

use xshell::{Shell, cmd};

use crate::python::python;
use crate::run::say;
use crate::served::Server;

/// Lets as many requests through as are made: what is looked for are wrong answers, not refused ones.
const SETTINGS: [(&str, &str); 5] = [
    ("LATCHKEY__LIMITS__USER_WRITES_A_MINUTE", "1000000"),
    ("LATCHKEY__LIMITS__NAME_CHECKS_AN_HOUR", "1000000"),
    ("LATCHKEY__LIMITS__ANONYMOUS_AN_HOUR", "1000000"),
    ("LATCHKEY__LIMITS__INVITES_A_DAY", "1000000"),
    ("LATCHKEY__LIMITS__LOGIN_FLOOR_MS", "0"),
];

pub(crate) fn run(shell: &Shell, seconds: Option<u32>) -> anyhow::Result<()> {
    cmd!(shell, "cargo build --quiet --locked --release -p latchkey-server").run()?;
    let scripts = shell.current_dir().join("tests/fuzz");
    let python = python(shell, "fuzz")?;
    let server = Server::start_binary("target/release/latchkey", shell, &SETTINGS)?;
    let _env = [
        shell.push_env("LATCHKEY_URL", &server.url),
        shell.push_env("LATCHKEY_APP", server.app("Fuzzed", "code")?),
        shell.push_env("LATCHKEY_SPARE_APP", server.app("Spare", "none")?),
        shell.push_env("LATCHKEY_SERVER_SECRET", server.secret()?),
        shell.push_env("LATCHKEY_SECONDS", seconds.unwrap_or_default().to_string()),
    ];
    cmd!(shell, "{python} {scripts}/fuzz.py").run()?;
    say("fuzz-api: every answer is one that the description tells");
    Ok(())
}
