//! A temporary PostgreSQL: in a temporary folder, on a Unix socket, run by a user without rights even when
//! we are root, gone when we are, however we end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::run::{find, install, is_root, say};

pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    user: Option<&'static str>,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("latchkey-postgres-").tempdir_in("/tmp")?;
        let user = is_root().then(unprivileged_user);
        if let Some(user) = user {
            std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
            run(Command::new("chown").arg(user).arg(folder.path()))?;
        }
        let cluster = Self { folder, programs, user };
        cluster.watch()?;
        run(cluster
            .program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(cluster.data()))?;
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off -c max_connections=400 -c shared_buffers=64MB",
            cluster.folder.path().display()
        );
        run(cluster
            .program("pg_ctl")
            .args(["start", "--wait", "--silent", "-l"])
            .arg(cluster.folder.path().join("log"))
            .arg("-D")
            .arg(cluster.data())
            .args(["-o", &options]))?;
        Ok(cluster)
    }

    /// Where it is, to be completed by `&dbname=NAME`.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///?host={}&user=postgres", self.folder.path().display())
    }

    /// The folder of its programs.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(self.programs.join(name));
                command
            }
            None => Command::new(self.programs.join(name)),
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir("/tmp");
        command
    }

    /// Leaves somebody behind who ends the cluster when this process is gone, even by `kill -9`.
    fn watch(&self) -> anyhow::Result<()> {
        let script = "while kill -0 $1 2>/dev/null; do sleep 1; done
            pid=$(head -n 1 $2/data/postmaster.pid 2>/dev/null) && kill -QUIT $pid; sleep 1; rm -rf $2";
        Command::new("setsid")
            .args(["sh", "-c", script, "sh", &std::process::id().to_string()])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("setsid and sh are needed")?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self
            .program("pg_ctl")
            .args(["stop", "--silent", "-m", "immediate", "-D"])
            .arg(self.data())
            .status();
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn unprivileged_user() -> &'static str {
    let exists = Command::new("id").arg("postgres").output().is_ok_and(|output| output.status.success());
    if exists { "postgres" } else { "nobody" }
}

/// The folder that has PostgreSQL's server programs: the newest one.
fn programs() -> anyhow::Result<PathBuf> {
    if let Some(found) = installed() {
        return Ok(found);
    }
    install("PostgreSQL's server", &["postgresql"])?;
    if let Some(found) = installed() {
        return Ok(found);
    }
    // The packages are there and their programs are not: somebody took them out.
    let query = Command::new("dpkg-query")
        .args([
            "-W",
            "-f",
            "${db:Status-Abbrev}|${Package}\n",
            "postgresql-[0-9]*",
            "postgresql-client-[0-9]*",
        ])
        .output()?;
    let packages = String::from_utf8(query.stdout)?;
    let packages: Vec<&str> = packages.lines().filter_map(|line| line.strip_prefix("ii |")).collect();
    install("PostgreSQL's server is installed, but it", &[&["--reinstall"], packages.as_slice()].concat())?;
    installed().context("PostgreSQL was installed, but its programs were not found")
}

fn installed() -> Option<PathBuf> {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let folders: Vec<PathBuf> = versions.into_iter().rev().map(|(_, folder)| folder).collect();
    let initdb = std::fs::canonicalize(find("initdb", &folders)?).ok()?;
    let folder = initdb.parent()?.to_owned();
    let is_whole = ["postgres", "pg_ctl"].iter().all(|program| folder.join(program).is_file());
    if !is_whole {
        say(&format!("{} lacks postgres or pg_ctl", folder.display()));
    }
    is_whole.then_some(folder)
}
