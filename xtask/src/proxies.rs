//! `cargo xtask proxies`: the configurations of docs/proxies.md and docs/consumers.md, in nginx, Caddy, HAProxy and Dovecot.

use std::path::Path;

use xshell::{Shell, cmd};

use crate::run::{has, install, say};

/// Programs, and the Debian packages that hold them.
const PROXIES: [(&str, &str); 4] =
    [("nginx", "nginx-light"), ("caddy", "caddy"), ("haproxy", "haproxy"), ("dovecot", "dovecot-imapd")];

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    for (program, package) in PROXIES {
        // Not in the PATH of every user.
        if !has(program) && !Path::new("/usr/sbin").join(program).exists() {
            install(program, &[package])?;
        }
    }
    cmd!(shell, "cargo build --quiet --locked -p latchkey-server").run()?;
    cmd!(
        shell,
        "cargo test --quiet --locked -p latchkey-tests --features proxies --test proxies --test consumers"
    )
    .run()?;
    say("proxies: nginx, Caddy, HAProxy and Dovecot work as docs/proxies.md and docs/consumers.md say");
    Ok(())
}
