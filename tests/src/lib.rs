//! Black-box tests: the real binary, started as its users start it, spoken to as its clients do.
//! This library starts it; the tests are in `tests/`.

pub mod documented;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_domain::{Clock as _, SystemClock};
use latchkey_test_support::{DatabaseLocation, TestDatabase};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The MD5 of `correct horse battery staple`.
pub const PASSWORD: &str = "9cc2ae8a1ba7a93da39b46fc1019c481";

/// The time, in seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    u64::try_from(SystemClock.now().unix_timestamp()).expect("a time after 1970")
}

/// The binary under test: the one that was built with these tests.
#[must_use]
pub fn binary() -> PathBuf {
    let tests = std::env::current_exe().expect("a path of this test");
    let folder = tests.parent().and_then(Path::parent).expect("the build folder");
    let binary = folder.join("latchkey");
    assert!(binary.exists(), "{} is missing: run `cargo xtask test`", binary.display());
    binary
}

/// A place for one server: a folder of its own, and a PostgreSQL database if it is to have one.
pub struct Place {
    folder: TempDir,
    database: Option<TestDatabase>,
    settings: Vec<(String, String)>,
    /// What a shell does before it becomes the server.
    shell: Option<String>,
}

impl Place {
    /// A server on SQLite.
    #[must_use]
    pub fn sqlite() -> Self {
        Self::new(None)
    }

    /// A server on PostgreSQL.
    #[must_use]
    pub fn postgres() -> Self {
        Self::new(Some(TestDatabase::postgres()))
    }

    fn new(database: Option<TestDatabase>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut settings = vec![
            ("LATCHKEY__SERVER__PORT".to_owned(), "0".to_owned()),
            ("LATCHKEY__DATA__FOLDER".to_owned(), folder.path().join("data").display().to_string()),
            ("LATCHKEY__KEYS__RSA_BITS".to_owned(), "2048".to_owned()),
        ];
        if let Some(DatabaseLocation::Server(url)) = database.as_ref().map(TestDatabase::location) {
            settings.push(("LATCHKEY__DATABASE__URL".to_owned(), url.clone()));
        }
        Self { folder, database, settings, shell: None }
    }

    /// The same place, where a process starts with so small a bound of open files, which it may raise.
    #[must_use]
    pub fn with_open_files(mut self, bound: u32) -> Self {
        self.shell = Some(format!("ulimit -Sn {bound}"));
        self
    }

    /// The same place, where a process that writes beyond its largest file gets an error instead of a signal. See
    /// [`Server::limit_files`].
    #[must_use]
    pub fn with_file_errors(mut self) -> Self {
        self.shell = Some("trap '' XFSZ".to_owned());
        self
    }

    /// The same place with one setting more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another server on the same database, with a folder of its own and the same master key.
    #[must_use]
    pub fn second(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = ("LATCHKEY__DATA__FOLDER".to_owned(), folder.path().join("data").display().to_string());
        let key = self.data().join("master.key").display().to_string();
        let mut settings = self.settings.clone();
        settings.extend([data, ("LATCHKEY__KEYS__MASTER_KEY_FILE".to_owned(), key)]);
        Self { folder, database: None, settings, shell: self.shell.clone() }
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new file in the data folder.
    #[must_use]
    pub fn written(&self, name: &str, text: &str) -> PathBuf {
        let path = self.data().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The PostgreSQL database, if there is one.
    #[must_use]
    pub fn database(&self) -> Option<&TestDatabase> {
        self.database.as_ref()
    }

    /// A command line with this place's settings.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.shell {
            None => Command::new(binary()),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{before} && exec \"$0\" \"$@\"")).arg(binary());
                shell
            }
        };
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LATCHKEY")) {
            command.env_remove(name);
        }
        command.envs(self.settings.iter().cloned());
        command
    }

    /// Runs a command to its end.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary runs")
    }

    /// What a command prints, which must succeed.
    #[must_use]
    pub fn printed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// Starts the server and waits until it is ready.
    #[must_use]
    pub fn start(&self) -> Server {
        let mut child = self
            .command(&[])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (mut errors, kept) = (child.stderr.take().expect("standard error"), Arc::clone(&log));
        std::thread::spawn(move || {
            let mut buffer = [0; 8_192];
            while let Ok(length @ 1..) = errors.read(&mut buffer) {
                let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
                kept.lock().expect("the log").push_str(&text);
            }
        });
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Latchkey is ready at ").map(str::to_owned))
            .unwrap_or_else(|| panic!("the server did not start: {}", log.lock().expect("the log")));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut log = kept.lock().expect("the log");
                log.push_str("# ");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let client = Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
        Server { child, url, client, log, mailbox: self.data().join("mailbox") }
    }
}

/// A running server, killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub url: String,
    /// Speaks to it.
    pub client: Client,
    log: Arc<Mutex<String>>,
    mailbox: PathBuf,
}

/// An answer: its status and its JSON.
pub type Answer = (StatusCode, Value);

impl Server {
    /// Posts JSON. `None` when no answer came.
    pub async fn post(&self, path: &str, header: (&str, &str), body: Value) -> Option<Answer> {
        let request = self.client.post(format!("{}{path}", self.url)).header(header.0, header.1).json(&body);
        let response = request.send().await.ok()?;
        let status = response.status();
        Some((status, response.json().await.ok()?))
    }

    /// Gets JSON. `None` when no answer came.
    pub async fn get(&self, path: &str, header: (&str, &str)) -> Option<Answer> {
        let response =
            self.client.get(format!("{}{path}", self.url)).header(header.0, header.1).send().await.ok()?;
        let status = response.status();
        Some((status, response.json().await.ok()?))
    }

    /// Lets no file grow beyond this length in bytes, as a full disk would; `unlimited` lets all grow again.
    pub fn limit_files(&self, length: &str) {
        let arguments = [format!("--pid={}", self.pid()), format!("--fsize={length}:")];
        let status = Command::new("prlimit").args(arguments).status().expect("prlimit runs");
        assert!(status.success());
    }

    /// Signs up.
    pub async fn sign_up(&self, app_token: &str, handle: &str) -> Option<Answer> {
        let body = json!({"handle": handle, "password": PASSWORD});
        self.post("/api/appuser/signup", ("app-token", app_token), body).await
    }

    /// Logs in.
    pub async fn log_in(&self, app_token: &str, handle: &str) -> Option<Answer> {
        let body = json!({"handle": handle, "password": PASSWORD});
        self.post("/api/appuser/login", ("app-token", app_token), body).await
    }

    /// The newest code that was mailed to this handle; waits for one.
    pub async fn code_for(&self, handle: &str) -> String {
        self.code_after(handle, "").await
    }

    /// The newest code that was mailed to this handle; waits for another than `old`.
    pub async fn code_after(&self, handle: &str, old: &str) -> String {
        for _ in 0..600 {
            if let Some(code) = self.newest_code(handle).filter(|code| code != old) {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no mail to {handle}");
    }

    /// The newest code in the mailbox for this handle. Mails are named by when they were written.
    #[must_use]
    pub fn newest_code(&self, handle: &str) -> Option<String> {
        let to = format!("To: {handle}");
        let mails = std::fs::read_dir(&self.mailbox).expect("the mailbox").flatten();
        let mut files: Vec<PathBuf> = mails.map(|mail| mail.path()).collect();
        files.sort();
        let texts = files.iter().rev().filter_map(|file| std::fs::read_to_string(file).ok());
        texts.filter(|text| text.lines().any(|line| line == to)).find_map(|text| {
            let (_, after) =
                text.split_once("Your code is ").or_else(|| text.split_once("Votre code est "))?;
            Some(after.chars().take_while(char::is_ascii_digit).collect())
        })
    }

    /// The newest code that was written for this number; waits for another than `old`.
    pub async fn code_by_sms(&self, phone: &str, old: &str) -> String {
        for _ in 0..600 {
            if let Some(code) = self.newest_sms(phone).filter(|code| code != old) {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no SMS to {phone}");
    }

    /// The newest code in the mailbox for this number.
    #[must_use]
    pub fn newest_sms(&self, phone: &str) -> Option<String> {
        let to = format!("To: {phone}\n");
        let texts = std::fs::read_dir(&self.mailbox).expect("the mailbox").flatten();
        let mut files: Vec<PathBuf> = texts.map(|text| text.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
        files.sort();
        let mut texts = files.iter().rev().filter_map(|file| std::fs::read_to_string(file).ok());
        let newest = texts.find_map(|text| text.strip_prefix(&to).map(|text| text.trim().to_owned()))?;
        Some(newest.chars().take(6).collect())
    }

    /// Everything that it wrote so far; lines of standard output begin with `# `.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("the log").clone()
    }

    /// Waits until it has written this: what reads its log lags behind its answers.
    pub async fn has_logged(&self, text: &str) -> bool {
        for _ in 0..600 {
            if self.log().contains(text) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and gives its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        self.child.wait().ok()?.code()
    }

    /// Its resident memory in KiB: now, and at its highest.
    #[must_use]
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        (field("VmRSS:"), field("VmHWM:"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A mail server of somebody else, aiosmtpd, with STARTTLS and a log-in.
pub struct MailServer {
    folder: TempDir,
    child: Option<Child>,
    /// Where it listens.
    pub port: u16,
}

impl MailServer {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { folder, child: None, port: 0 };
        server.go_on();
        server
    }

    /// Starts it again, on its port and with what it has seen.
    pub fn go_on(&mut self) {
        let python = std::env::var("LATCHKEY_TEST_MAIL_PYTHON").expect("run `cargo xtask test`");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mail/server.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("standard output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        self.port = line.trim().strip_prefix("ready ").and_then(|port| port.parse().ok()).expect("a port");
        self.child = Some(child);
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The same place with mail going here.
    #[must_use]
    pub fn serve(&self, place: Place) -> Place {
        let authority = self.folder.path().join("ca.pem").display().to_string();
        place
            .with("LATCHKEY__MAIL__SENDER", "smtp")
            .with("LATCHKEY__MAIL__FROM", "Latchkey <noreply@example.com>")
            .with("LATCHKEY__MAIL__SMTP_HOST", "localhost")
            .with("LATCHKEY__MAIL__SMTP_PORT", &self.port.to_string())
            .with("LATCHKEY__MAIL__SMTP_USER", "latchkey")
            .with("LATCHKEY__MAIL__SMTP_PASSWORD", "mail-canary")
            .with("LATCHKEY__MAIL__SMTP_CA_FILE", &authority)
            .with("LATCHKEY__MAIL__RELAY_HOST", "localhost")
            .with("LATCHKEY__MAIL__RELAY_PORT", &self.port.to_string())
    }

    /// What it has accepted, oldest first.
    #[must_use]
    pub fn accepted(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("accepted.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The app token that `latchkey app create` printed.
#[must_use]
pub fn app_token_in(printed: &str) -> String {
    labelled("app token", printed)
}

/// The id of the application that it made.
#[must_use]
pub fn app_id_in(printed: &str) -> String {
    labelled("app id", printed)
}

fn labelled(label: &str, printed: &str) -> String {
    let found = printed.lines().find_map(|line| line.strip_prefix(label));
    found.unwrap_or_else(|| panic!("no {label} in {printed}")).trim().to_owned()
}
