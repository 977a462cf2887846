//! E-mail, against aiosmtpd: its TLS, its login, and what it receives.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use notify::{Earlier, Notice};
use tempfile::TempDir;
use testkit::{Authority, Certificate, Process, free_port, tool};

use crate::bed::{CANARY, Raw, deliver_in, notice, resolved, told};

/// The server of aiosmtpd; each message becomes a file. `mode` is how the connection is protected, and who may send.
const SERVER: &str = r"
import os, ssl, sys, time
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

port, mode, certificate, key = sys.argv[1:]

class Keep:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith('nobody@'):
            return '550 no such user'
        if address.startswith('later@'):
            return '451 try again later'
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server, session, envelope):
        name = f'{len(os.listdir()):03}.eml'
        with open(name + '.part', 'wb') as file:
            file.write(envelope.content)
        os.rename(name + '.part', name)
        return '250 OK'

def login(server, session, envelope, mechanism, data):
    good = data.login == b'me' and data.password == b'c4n4ry-5ecret'
    return AuthResult(success=good, handled=True) if good else AuthResult(success=False, handled=False)

context = None
if mode != 'plain':
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
more = {'authenticator': login, 'auth_required': mode != 'plain'}
if mode == 'starttls':
    more.update(tls_context=context, require_starttls=True)
elif mode == 'tls':
    more.update(ssl_context=context, auth_require_tls=False)
Controller(Keep(), hostname='127.0.0.1', port=int(port), **more).start()
while True:
    time.sleep(60)
";

struct Mail {
    port: u16,
    box_: PathBuf,
    authority: Authority,
    _process: Process,
    _folder: TempDir,
}

impl Mail {
    fn start(mode: &str) -> Mail {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let Certificate { certificate, key } = authority.certificate("localhost", 30);
        let port = free_port();
        let inbox = folder.path().join("inbox");
        std::fs::create_dir(&inbox).unwrap();
        let log = folder.path().join("log");
        std::fs::create_dir(&log).unwrap();
        let mut command = Command::new(tool("python3"));
        command
            .args(["-c", SERVER, &port.to_string(), mode])
            .arg(certificate)
            .arg(key);
        let process = Process::start(&log, command.current_dir(&inbox));
        process.wait_for_port(port, Duration::from_secs(20));
        Mail {
            port,
            box_: inbox,
            authority,
            _process: process,
            _folder: folder,
        }
    }

    fn sink(&self, tls: &str, to: &str) -> String {
        let login = if tls == "none" {
            ""
        } else {
            "username-env: U, password-env: P, "
        };
        format!(
            "email: [{{ name: mail, server: 'localhost:{}', tls: {tls}, ca-file: {}, {login}from: 'Deploys <deploys@example.com>', to: [{to}] }}]",
            self.port,
            self.authority.file().display(),
        )
    }

    /// The messages without the lines that differ each time.
    fn got(&self) -> Vec<String> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.box_)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap().replace("\r\n", "\n"))
            .collect()
    }
}

const ENV: &[(&str, &str)] = &[("U", "me"), ("P", CANARY)];

async fn send(yaml: &str, env: &[(&str, &str)], notice: &Notice) -> String {
    let time = Duration::from_secs(5);
    told(deliver_in("/".as_ref(), yaml, env, notice, Earlier::default(), time).await)
}

#[tokio::test]
async fn a_message_comes_over_starttls_after_a_login_and_threads() {
    let mail = Mail::start("starttls");
    let yaml = mail.sink("starttls", "on-call@example.com, Second <two@example.com>");
    assert_eq!(send(&yaml, ENV, &notice()).await, "delivered");
    assert_eq!(send(&yaml, ENV, &notice()).await, "delivered");
    assert_eq!(send(&yaml, ENV, &resolved()).await, "delivered");
    let got = mail.got();
    // The same event twice is the same message: a mail program shows it once.
    assert_eq!(got[0], got[1]);
    insta::assert_snapshot!(format!("{}\n----\n{}", got[0], got[2]));
}

#[tokio::test]
async fn tls_from_the_first_byte_and_no_tls_at_all() {
    let mail = Mail::start("tls");
    assert_eq!(
        send(&mail.sink("tls", "a@example.com"), ENV, &notice()).await,
        "delivered"
    );
    let plain = Mail::start("plain");
    assert_eq!(
        send(&plain.sink("none", "a@example.com"), &[], &notice()).await,
        "delivered"
    );
    assert_eq!((mail.got().len(), plain.got().len()), (1, 1));
}

#[tokio::test]
async fn what_keeps_a_message_back_is_told() {
    let mail = Mail::start("starttls");
    let good = mail.sink("starttls", "a@example.com");
    let wrong = [("U", "me"), ("P", "wrong-c4n4ry-5ecret")];
    let mut all = vec![
        send(&good, &wrong, &notice()).await,
        send(&mail.sink("starttls", "nobody@example.com"), ENV, &notice()).await,
        send(&mail.sink("starttls", "later@example.com"), ENV, &notice()).await,
    ];
    // An authority that we do not know.
    let unknown = Authority::new();
    let strange = good.replace(
        &mail.authority.file().display().to_string(),
        &unknown.file().display().to_string(),
    );
    all.push(send(&strange, ENV, &notice()).await);
    let plain = Mail::start("plain");
    all.push(send(&plain.sink("starttls", "a@example.com"), ENV, &notice()).await);
    assert!(mail.got().is_empty() && plain.got().is_empty());
    let shown = all.join("\n");
    let shown = shown
        .replace(&mail.port.to_string(), "PORT")
        .replace(&plain.port.to_string(), "PORT");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_mail_server_that_is_down_or_silent_does_not_hold_us_up() {
    let sink = |port: &str| {
        format!(
            "email: [{{ name: mail, server: '127.0.0.1:{port}', tls: none, from: a@b.c, to: [d@e.f] }}]"
        )
    };
    let down = send(&sink(&free_port().to_string()), &[], &notice()).await;
    assert!(down.starts_with("later: "), "{down}");
    let silent = Raw::silent();
    let port = silent.url.rsplit(':').next().unwrap().to_owned();
    let begun = Instant::now();
    let time = Duration::from_millis(500);
    let sink = sink(&port);
    let late = told(
        deliver_in(
            "/".as_ref(),
            &sink,
            &[],
            &notice(),
            Earlier::default(),
            time,
        )
        .await,
    );
    assert!(late.starts_with("later: "), "{late}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn no_text_becomes_a_header_or_a_recipient() {
    let mail = Mail::start("plain");
    let evil = "x\r\nBcc: evil@example.com\r\n\r\nowned \u{2028}Cc: evil@example.com";
    let hostile = Notice {
        id: evil.into(),
        thread: evil.into(),
        service: evil.into(),
        title: evil.into(),
        body: "first\r\n.\r\nQUIT\r\n".into(),
        ..notice()
    };
    assert_eq!(
        send(&mail.sink("none", "a@example.com"), &[], &hostile).await,
        "delivered"
    );
    let got = mail.got();
    let (head, body) = got[0].split_once("\n\n").unwrap();
    let names: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    let expected = "Message-ID In-Reply-To References Date From To Subject Content-Type Content-Transfer-Encoding";
    assert_eq!(names.join(" "), expected);
    assert!(body.contains("first\n.\nQUIT\n"), "{body}");
}
