//! Python with packages from PyPI, in a folder of its own for each part of `tests` that needs some.

use std::path::PathBuf;

use xshell::{Shell, cmd};

use crate::run::{has, install};

/// The Python of `tests/<part>`; what its `requirements.txt` names and is missing is installed.
pub(crate) fn python(shell: &Shell, part: &str) -> anyhow::Result<PathBuf> {
    let venv = shell.current_dir().join(format!("target/{part}-venv"));
    let python = venv.join("bin/python");
    let requirements = shell.current_dir().join(format!("tests/{part}/requirements.txt"));
    if !has("python3") {
        install("Python", &["python3", "python3-venv"])?;
    }
    if !python.exists() {
        cmd!(shell, "python3 -m venv {venv}").quiet().run()?;
    }
    // What was installed last, so that without a change no registry is asked.
    let installed = venv.join("requirements.txt");
    let wanted = shell.read_file(&requirements)?;
    if shell.read_file(&installed).ok().as_ref() != Some(&wanted) {
        cmd!(shell, "{python} -m pip install --quiet --disable-pip-version-check -r {requirements}").run()?;
        shell.write_file(&installed, wanted)?;
    }
    Ok(python)
}
