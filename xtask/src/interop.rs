//! `cargo xtask interop`: a fresh token is verified by `jose` (npm) and `PyJWT` (PyPI), which find the keys by
//! themselves; forged ones are refused by them, and by the server.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use xshell::{Shell, cmd};

use crate::run::{has, install, say};

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

    let server = Server::start(shell)?;
    let _env = [
        shell.push_env("LATCHKEY_URL", &server.url),
        shell.push_env("LATCHKEY_APP", server.app("Interop")?),
        shell.push_env("LATCHKEY_OTHER_APP", server.app("Another")?),
    ];
    cmd!(shell, "node {scripts}/verify.mjs").run()?;
    cmd!(shell, "{python} {scripts}/verify.py").run()?;
    say("interop: jose and PyJWT agree with us");
    Ok(())
}

struct Server {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
    binary: std::path::PathBuf,
}

impl Server {
    fn start(shell: &Shell) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = shell.current_dir().join("target/debug/latchkey");
        let mut child = command(&binary, &folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let output = child.stdout.take().context("standard output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("Latchkey is ready at ").map(str::to_owned));
        let url = url.context("the server did not start")?;
        // What else it prints is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, url, folder, binary })
    }

    /// Makes an application; gives its id and token, separated by a comma.
    fn app(&self, name: &str) -> anyhow::Result<String> {
        let output = command(&self.binary, &self.folder)
            .args(["app", "create", name, "--compatible", "--signup-flow", "none"])
            .output()?;
        let printed = String::from_utf8(output.stdout)?;
        let field = |label: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(label))?;
            Some(line.trim().to_owned())
        };
        let (Some(id), Some(token)) = (field("app id"), field("app token")) else {
            bail!("no application was made: {}", String::from_utf8_lossy(&output.stderr));
        };
        Ok(format!("{id},{token}"))
    }
}

fn command(binary: &std::path::Path, folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(binary);
    command
        .env("LATCHKEY__DATA__FOLDER", folder.path().join("data"))
        .env("LATCHKEY__SERVER__PORT", "0")
        .stdin(Stdio::null());
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
