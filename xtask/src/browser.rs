//! `cargo xtask browser`: the pages that people see, in headless Chromium. Pictures are left in `target/browser`.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::run::{has, install, say};
use crate::served::Server;

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    cmd!(shell, "cargo build --quiet --locked -p latchkey-server").run()?;
    let scripts = shell.current_dir().join("tests/browser");
    if !has("node") || !has("npm") {
        install("Node", &["nodejs", "npm"])?;
    }
    if !Path::new("/usr/bin/chromium").exists() {
        install("Chromium", &["chromium"])?;
    }
    cmd!(shell, "npm ci --silent --no-audit --no-fund --prefix {scripts}").run()?;
    // The pages are opened from several addresses, as a proxy would tell of them.
    let server = Server::start_with(shell, &[("LATCHKEY__SERVER__TRUSTED_PROXIES", "127.0.0.1")])?;
    let _env = [
        shell.push_env("LATCHKEY_URL", &server.url),
        shell.push_env("LATCHKEY_APP", server.app("Shop", "link")?),
        shell.push_env("LATCHKEY_MAILBOX", server.mailbox()),
        shell.push_env("LATCHKEY_SHOTS", shell.current_dir().join("target/browser")),
    ];
    cmd!(shell, "node {scripts}/confirmation.mjs").run()?;
    cmd!(shell, "node {scripts}/docs.mjs").run()?;
    drop(server);
    portal(shell, &scripts)?;
    say("browser: the pages hold");
    Ok(())
}

/// The portal, on a new server each time, since only the first account has a set-up link.
fn portal(shell: &Shell, scripts: &Path) -> anyhow::Result<()> {
    for (width, scheme) in [("360", "dark"), ("1280", "light"), ("360", "light"), ("1280", "dark")] {
        for script in ["on", "off"] {
            let server = Server::start_with(shell, &[])?;
            let _env = [
                shell.push_env("LATCHKEY_SETUP", server.setup_link()?),
                shell.push_env("LATCHKEY_WIDTH", width),
                shell.push_env("LATCHKEY_SCHEME", scheme),
                shell.push_env("LATCHKEY_SCRIPT", script),
                shell.push_env("LATCHKEY_SHOTS", shell.current_dir().join("target/browser")),
            ];
            cmd!(shell, "node {scripts}/portal.mjs").run()?;
        }
    }
    Ok(())
}
