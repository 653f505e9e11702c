//! A server for programs that look at it from outside.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use xshell::Shell;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    folder: tempfile::TempDir,
    binary: std::path::PathBuf,
}

impl Server {
    /// Starts it with settings of its own.
    pub(crate) fn start_with(shell: &Shell, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_binary("target/debug/latchkey", shell, settings)
    }

    /// Starts this one of the binaries that were built.
    pub(crate) fn start_binary(path: &str, shell: &Shell, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let binary = shell.current_dir().join(path);
        let mut child = command(&binary, &folder)
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().context("standard output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.strip_prefix("Latchkey is ready at ").map(str::to_owned));
        let url = url.context("the server did not start")?;
        // What else it prints is read and dropped, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { child, url, folder, binary })
    }

    /// Where its mail lies.
    pub(crate) fn mailbox(&self) -> std::path::PathBuf {
        self.folder.path().join("data/mailbox")
    }

    /// A server secret.
    pub(crate) fn secret(&self) -> anyhow::Result<String> {
        let output = command(&self.binary, &self.folder).args(["token", "server"]).output()?;
        if !output.status.success() {
            bail!("no server secret was made: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// A link to the set-up page of the portal.
    pub(crate) fn setup_link(&self) -> anyhow::Result<String> {
        let output = command(&self.binary, &self.folder).arg("setup-link").output()?;
        if !output.status.success() {
            bail!("no set-up link was made: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Makes an application; gives its id and token, separated by a comma.
    pub(crate) fn app(&self, name: &str, flow: &str) -> anyhow::Result<String> {
        let output = command(&self.binary, &self.folder)
            .args(["app", "create", name, "--compatible", "--signup-flow", flow])
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
