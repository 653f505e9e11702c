//! Conversations with a mail server that answers by a script.

use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::message::MailAddress;

/// The server's replies that differ from the usual: to `greeting`, a command, or `content`.
type Script = &'static [(&'static str, &'static str)];

/// Starts a server and returns its port and what clients send to it.
async fn serve(script: Script) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, script, Arc::clone(&heard)));
        }
    });
    (port, said)
}

async fn converse(stream: TcpStream, script: Script, heard: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let reply = |to: &str, usual: &str| {
        let scripted = script.iter().find(|(at, _)| to.starts_with(at)).map(|(_, reply)| *reply);
        format!("{}\r\n", scripted.unwrap_or(usual))
    };
    stream.write_all(reply("greeting", "220 mail.example.com").as_bytes()).await.unwrap();
    let (mut line, mut is_content) = (String::new(), false);
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let command = line.trim_end().to_owned();
        line.clear();
        heard.lock().unwrap().push(command.clone());
        let answer = match (is_content, command.get(..4).unwrap_or_default()) {
            (true, _) if command == "." => {
                is_content = false;
                reply("content", "250 2.0.0 taken")
            }
            (true, _) => continue,
            (false, "EHLO") => reply(&command, "250-mail.example.com\r\n250 8BITMIME"),
            (false, "DATA") => {
                let answer = reply(&command, "354 go on");
                is_content = answer.starts_with("354");
                answer
            }
            (false, _) => reply(&command, "250 2.0.0 good"),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn settings(port: u16) -> SmtpSettings {
    let server = SmtpServer { host: "127.0.0.1".to_owned(), port, tls: SmtpTls::None, login: None };
    SmtpSettings {
        relay: server.clone(),
        server,
        extra_roots: None,
        hello: "auth.example.com".to_owned(),
        utf8: false,
        timeout: Duration::from_secs(5),
        connections: 2,
    }
}

fn email(to: &str) -> Email {
    Email {
        id: "0190163d8694739baea5966c26f8ad91".to_owned(),
        host: "auth.example.com".to_owned(),
        from: MailAddress::parse("Shop <noreply@example.com>").unwrap(),
        to: MailAddress::parse_bare(to).unwrap(),
        reply_to: None,
        relay_key: None,
        attachment: None,
        subject: "Welcome".to_owned(),
        text: "Your code is 123456".to_owned(),
        html: "<p>Your code is <b>123456</b></p>".to_owned(),
        date: OffsetDateTime::UNIX_EPOCH,
    }
}

async fn sent(script: Script) -> Result<(), NotifyError> {
    let (port, _) = serve(script).await;
    SmtpSender::new(settings(port)).unwrap().send(&email("ana@example.com")).await
}

#[tokio::test]
async fn only_a_refusal_of_the_recipient_or_the_content_is_final() {
    const FINAL: [(&str, &str); 13] = [
        ("RCPT", "550 5.1.1 no such user here"),
        ("RCPT", "550 no such user"),
        ("RCPT", "550-5.1.1 The account does not exist.\r\n550 5.1.1 See the help."),
        ("RCPT", "550 5.1.1 User unknown in relay recipient table"),
        ("RCPT", "551 user not local"),
        ("RCPT", "553 5.1.3 bad address syntax"),
        ("RCPT", "501 5.1.3 bad address syntax"),
        ("RCPT", "550 5.2.1 mailbox disabled"),
        ("content", "554 5.6.0 malformed message"),
        ("content", "554 5.7.1 looks like spam"),
        ("content", "552 5.3.4 message too big"),
        ("content", "552 message size exceeds the fixed maximum"),
        ("content", "554 transaction failed"),
    ];
    for (at, reply) in FINAL {
        let script: Script = Box::leak(Box::new([(at, reply)]));
        let error = sent(script).await.unwrap_err();
        assert!(matches!(error, NotifyError::Refused(_)), "{at} {reply}: {error}");
        assert!(!error.to_string().contains("user"), "only codes are kept of it: {error}");
    }
    const RETRIED: [(&str, &str); 26] = [
        ("greeting", "554 5.3.2 no service today"),
        ("greeting", "421 4.3.2 shutting down"),
        ("EHLO", "504 5.5.2 need a fully qualified name"),
        ("EHLO", "550 bad client name"),
        ("MAIL", "550 5.7.1 sender rejected"),
        ("MAIL", "553 5.1.8 sender's domain does not exist"),
        ("MAIL", "552 5.2.2 over quota"),
        ("MAIL", "530 5.7.0 authentication required"),
        ("MAIL", "550 5.1.1 no such user"),
        ("RCPT", "554 5.7.1 relay access denied"),
        ("RCPT", "554 relay access denied"),
        ("RCPT", "550 relay not permitted"),
        ("RCPT", "550 5.7.54 unable to relay"),
        ("RCPT", "550 authentication required"),
        ("RCPT", "550 5.4.5 daily sending limit exceeded"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("RCPT", "550 5.7.1 client host is blocked"),
        ("RCPT", "450 4.2.0 greylisted"),
        ("DATA", "554 5.5.1 no valid recipients"),
        ("DATA", "503 5.5.1 bad sequence"),
        ("content", "552 5.2.2 over quota"),
        ("content", "550 5.4.5 daily sending quota exceeded"),
        ("content", "550 5.7.26 the domain of the sender is not authenticated"),
        ("content", "554 5.7.1 too many messages"),
        ("content", "452 4.3.1 out of space"),
        ("content", "554 your reputation is low"),
    ];
    for (at, reply) in RETRIED {
        let script: Script = Box::leak(Box::new([(at, reply)]));
        let error = sent(script).await.unwrap_err();
        let (code, words) = reply.split_once(' ').unwrap();
        let told = format!("the mail server answered {code} {words}");
        let is_of_one = matches!(at, "RCPT" | "content") && (code < "500" || words.starts_with("5.2."));
        let expected = if is_of_one { NotifyError::Deferred(told) } else { NotifyError::Unavailable(told) };
        assert_eq!(error, expected, "{at} {reply}");
    }
}

#[tokio::test]
async fn replies_are_reported_without_addresses() {
    let error =
        sent(&[("RCPT", "554 5.7.1 <Ana@example.com>: relay denied to ana for ana@EXAMPLE.com")]).await;
    let told = "the mail server answered 554 5.7.1 [address] relay denied to [address] for [address]";
    assert_eq!(error, Err(NotifyError::Unavailable(told.to_owned())));
}

#[tokio::test]
async fn a_session_names_its_host_and_is_used_again() {
    let (port, said) = serve(&[]).await;
    let sender = SmtpSender::new(settings(port)).unwrap();
    for _ in 0..3 {
        sender.send(&email("ana@example.com")).await.unwrap();
    }
    let said = said.lock().unwrap().clone();
    let count = |text: &str| said.iter().filter(|line| *line == text).count();
    assert_eq!((count("EHLO auth.example.com"), count("RCPT TO:<ana@example.com>")), (1, 3), "{said:?}");
    assert_eq!(said.iter().filter(|line| *line == "Auto-Submitted: auto-generated").count(), 3);
    for (hello, expected) in [("192.0.2.7", "EHLO [192.0.2.7]"), ("2001:db8::7", "EHLO [IPv6:2001:db8::7]")] {
        let (port, said) = serve(&[]).await;
        let sender = SmtpSender::new(SmtpSettings { hello: hello.to_owned(), ..settings(port) }).unwrap();
        sender.send(&email("ana@example.com")).await.unwrap();
        assert_eq!(said.lock().unwrap()[0], expected);
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_opened_again() {
    let (port, said) = serve(&[("NOOP", "421 4.4.2 idle for too long")]).await;
    let sender = SmtpSender::new(settings(port)).unwrap();
    for _ in 0..2 {
        sender.send(&email("ana@example.com")).await.unwrap();
    }
    assert_eq!(said.lock().unwrap().iter().filter(|line| line.starts_with("EHLO")).count(), 2);
}

#[tokio::test]
async fn non_ascii_addresses_need_a_server_that_takes_them() {
    let (port, said) = serve(&[]).await;
    let error = SmtpSender::new(settings(port)).unwrap().send(&email("änne@example.com")).await;
    assert!(matches!(error, Err(NotifyError::Refused(_))), "{error:?}");
    assert!(said.lock().unwrap().is_empty(), "the server is not asked");
    let with_utf8 = |port| SmtpSettings { utf8: true, ..settings(port) };
    let error = SmtpSender::new(with_utf8(port)).unwrap().send(&email("änne@example.com")).await;
    assert!(matches!(&error, Err(NotifyError::Unavailable(text)) if text.contains("SMTPUTF8")), "{error:?}");
    let (port, said) = serve(&[("EHLO", "250-mail.example.com\r\n250-8BITMIME\r\n250 SMTPUTF8")]).await;
    SmtpSender::new(with_utf8(port)).unwrap().send(&email("änne@example.com")).await.unwrap();
    assert!(said.lock().unwrap().iter().any(|line| line.starts_with("MAIL") && line.contains("SMTPUTF8")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = SmtpSender::new(settings(port)).unwrap().send(&email("ana@example.com")).await;
    assert_eq!(error, Err(NotifyError::Unavailable("no reply of the mail server within 5 s".to_owned())));
}
