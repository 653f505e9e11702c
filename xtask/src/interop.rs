//! `cargo xtask interop`: a fresh token is verified by `jose` (npm) and `PyJWT` (PyPI), which find the keys by
//! themselves; forged ones are refused by them, and by the server. Tokens made with the recipes of docs/consumers.md are what the
//! consumers' documentation demands. Clients in Rust, TypeScript and Python are generated from the API description and log in. A key is rotated while tokens are made and verified. An authenticator is enrolled by `zxing-cpp` and
//! `pyotp` (PyPI), which read our QR code and compute what it stands for.

use xshell::{Shell, cmd};

use crate::python::python;
use crate::run::{has, install, say};
use crate::served::Server;

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo build --quiet --locked -p latchkey-server").run()?;
    let scripts = shell.current_dir().join("tests/interop");
    if !has("node") || !has("npm") {
        install("Node", &["nodejs", "npm"])?;
    }
    cmd!(shell, "npm ci --silent --no-audit --no-fund --prefix {scripts}").run()?;
    let python = python(shell, "interop")?;

    // Consumers may keep key sets for ten seconds here, so that a new key signs after forty.
    let server = Server::start_with(shell, &[("LATCHKEY__KEYS__KEY_SET_SECONDS", "10")])?;
    let _env = [
        shell.push_env("LATCHKEY_URL", &server.url),
        shell.push_env("LATCHKEY_APP", server.app("Interop", "none")?),
        shell.push_env("LATCHKEY_OTHER_APP", server.app("Another", "none")?),
        shell.push_env("LATCHKEY_SERVER_SECRET", server.secret()?),
    ];
    cmd!(shell, "node {scripts}/verify.mjs").run()?;
    cmd!(shell, "node {scripts}/rotate.mjs").run()?;
    cmd!(shell, "{python} {scripts}/verify.py").run()?;
    cmd!(shell, "{python} {scripts}/consumers.py").run()?;
    cmd!(shell, "{python} {scripts}/authenticator.py").run()?;
    let clients = shell.current_dir().join("tests/clients");
    if !has("java") {
        install("Java", &["openjdk-17-jre-headless"])?;
    }
    cmd!(shell, "npm ci --silent --no-audit --no-fund --ignore-scripts --prefix {clients}").run()?;
    let python = crate::python::python(shell, "clients")?;
    let work = shell.current_dir().join("target/clients");
    cmd!(shell, "{python} {clients}/clients.py {work}").run()?;
    say("interop: jose, PyJWT, zxing, pyotp and generated clients agree with us");
    Ok(())
}
