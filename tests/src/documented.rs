//! Runs other programs with the configurations that the documentation gives.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The code blocks in one language of a page below `docs`.
///
/// # Panics
/// Without the page.
#[must_use]
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = root().join("docs").join(page);
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let start = format!("```{language}\n");
    let blocks = page.split(&start).skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.map(str::to_owned).collect()
}

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/")).to_owned()
}

/// A port that nothing listens on.
///
/// # Panics
/// Where no port is free.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Starts a program with a folder as its home.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &str, arguments: &[&str], home: &Path) -> Self {
        // Not in the PATH of every user.
        let path = format!("/usr/sbin:{}", std::env::var("PATH").unwrap_or_default());
        let child = Command::new(program)
            .args(arguments)
            .env("PATH", path)
            .env("HOME", home)
            .env("XDG_DATA_HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}: run `cargo xtask proxies`")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Asked to end, nginx and Dovecot end their workers as well.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}
