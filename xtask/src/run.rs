//! Running programs: with their output on the screen and in hand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Runs a program, shows what it prints, and gives it back. Both its outputs are one.
pub(crate) fn shown(command: &mut Command) -> anyhow::Result<(bool, String)> {
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer).stdin(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
    // The command holds the pipe's other end: it must go, or the pipe never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut printed = String::new();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        let _ = writeln!(std::io::stdout(), "{line}");
        printed.push_str(&line);
        printed.push('\n');
    }
    Ok((child.wait()?.success(), printed))
}

/// Whether a program is there.
pub(crate) fn has(program: &str) -> bool {
    find(program, &[]).is_some()
}

/// Where a program is: on the path, or in one of these folders.
pub(crate) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).collect::<Vec<_>>();
    folders.iter().chain(&on_path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// Whether this process may install packages.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Installs Debian packages where that is possible, and says so; else stops with what to type.
pub(crate) fn install(what: &str, packages: &[&str]) -> anyhow::Result<()> {
    let command = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !(is_root() && has("apt-get") && Path::new("/etc/debian_version").exists()) {
        bail!("{what} is missing. Install it, on Debian with: sudo {command}");
    }
    say(&format!("{what} is missing: running {command}"));
    for arguments in ["update -qq", command.trim_start_matches("apt-get ")] {
        let status = Command::new("apt-get")
            .args(arguments.split(' '))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("apt-get {arguments} failed");
        }
    }
    Ok(())
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
