//! `cargo xtask interop`: a fresh token is verified by `jose` (npm) and `PyJWT` (PyPI), which find the keys by
//! themselves; forged ones are refused by them, and by the server. A key is rotated while tokens are made and verified. An authenticator is enrolled by `zxing-cpp` and
//! `pyotp` (PyPI), which read our QR code and compute what it stands for.

use xshell::{Shell, cmd};

use crate::run::{has, install, say};
use crate::served::Server;

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo build --quiet --locked -p latchkey-server").run()?;
    let scripts = shell.current_dir().join("tests/interop");
    let venv = shell.current_dir().join("target/interop-venv");
    if !has("node") || !has("npm") {
        install("Node", &["nodejs", "npm"])?;
    }
    if !has("python3") {
        install("Python", &["python3", "python3-venv"])?;
    }
    cmd!(shell, "npm ci --silent --no-audit --no-fund --prefix {scripts}").run()?;
    if !venv.join("bin/python").exists() {
        cmd!(shell, "python3 -m venv {venv}").quiet().run()?;
    }
    let python = venv.join("bin/python");
    let requirements = scripts.join("requirements.txt");
    cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check -r {requirements}").run()?;

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
    cmd!(shell, "{python} {scripts}/authenticator.py").run()?;
    say("interop: jose, PyJWT, zxing and pyotp agree with us");
    Ok(())
}
