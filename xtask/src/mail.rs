//! The mail server that the tests speak to: aiosmtpd, from PyPI, in a folder of its own.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::run::{has, install};

/// The Python that has it; installs what is missing.
pub(crate) fn python(shell: &Shell) -> anyhow::Result<PathBuf> {
    let venv = shell.current_dir().join("target/mail-venv");
    let python = venv.join("bin/python");
    if !has("python3") {
        install("Python", &["python3", "python3-venv"])?;
    }
    if !python.exists() {
        cmd!(shell, "python3 -m venv {venv}").quiet().run()?;
    }
    let requirements = shell.current_dir().join("tests/mail/requirements.txt");
    if cmd!(shell, "{python} -c 'import aiosmtpd, trustme'").quiet().ignore_stderr().run().is_err() {
        cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check -r {requirements}").run()?;
    }
    Ok(python)
}
