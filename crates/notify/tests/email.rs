//! E-mail, against aiosmtpd: its TLS, its login, and what it receives.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use notify::{Notice, PreviousDelivery};
use serde_json::{Value, json};
use testkit::{Authority, HOSTILE, MailServer, MailTls, free_port, mention, tool};

use crate::bed::{CANARY, Raw, deliver_in, notice, resolved, told};
use crate::hostile::{hostile, is_hidden};

/// The configuration of a sink that sends to this server.
fn sink(mail: &MailServer, tls: &str, to: &str) -> String {
    let login = if tls == "none" {
        ""
    } else {
        "username-env: U, password-env: P, "
    };
    format!(
        "email: [{{ name: mail, server: 'localhost:{}', tls: {tls}, ca-file: {}, {login}from: 'Deploys <deploys@example.com>', to: [{to}] }}]",
        mail.port(),
        mail.ca_file().display(),
    )
}

const HEADERS: &str =
    "Message-ID In-Reply-To References Date From To Subject Content-Type Content-Transfer-Encoding";
const ENV: &[(&str, &str)] = &[("U", "me"), ("P", CANARY)];

async fn send(yaml: &str, env: &[(&str, &str)], notice: &Notice) -> String {
    let time = Duration::from_secs(5);
    told(
        deliver_in(
            "/".as_ref(),
            yaml,
            env,
            notice,
            PreviousDelivery::default(),
            time,
        )
        .await,
    )
}

#[tokio::test]
async fn a_message_comes_over_starttls_after_a_login_and_threads() {
    let mail = MailServer::start(MailTls::Starttls);
    let yaml = sink(
        &mail,
        "starttls",
        "on-call@example.com, Second <two@example.com>",
    );
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
    let mail = MailServer::start(MailTls::Tls);
    assert_eq!(
        send(&sink(&mail, "tls", "a@example.com"), ENV, &notice()).await,
        "delivered"
    );
    let plain = MailServer::start(MailTls::Plain);
    assert_eq!(
        send(&sink(&plain, "none", "a@example.com"), &[], &notice()).await,
        "delivered"
    );
    assert_eq!((mail.got().len(), plain.got().len()), (1, 1));
}

#[tokio::test]
async fn what_keeps_a_message_back_is_told() {
    let mail = MailServer::start(MailTls::Starttls);
    let good = sink(&mail, "starttls", "a@example.com");
    let wrong = [("U", "me"), ("P", "wrong-c4n4ry-5ecret")];
    let mut all = vec![
        send(&good, &wrong, &notice()).await,
        send(
            &sink(&mail, "starttls", "nobody@example.com"),
            ENV,
            &notice(),
        )
        .await,
        send(
            &sink(&mail, "starttls", "later@example.com"),
            ENV,
            &notice(),
        )
        .await,
    ];
    // An authority that we do not know.
    let unknown = Authority::new();
    let strange = good.replace(
        &mail.ca_file().display().to_string(),
        &unknown.file().display().to_string(),
    );
    all.push(send(&strange, ENV, &notice()).await);
    let plain = MailServer::start(MailTls::Plain);
    all.push(send(&sink(&plain, "starttls", "a@example.com"), ENV, &notice()).await);
    assert!(mail.got().is_empty() && plain.got().is_empty());
    let shown = all.join("\n");
    let shown = shown
        .replace(&mail.port().to_string(), "PORT")
        .replace(&plain.port().to_string(), "PORT");
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_mail_server_that_is_down_or_silent_does_not_hold_us_up() {
    let at = |port: &str| {
        format!(
            "email: [{{ name: mail, server: '127.0.0.1:{port}', tls: none, from: a@b.c, to: [d@e.f] }}]"
        )
    };
    let down = send(&at(&free_port().to_string()), &[], &notice()).await;
    assert!(down.starts_with("later: "), "{down}");
    let silent = Raw::silent();
    let port = silent.url.rsplit(':').next().unwrap().to_owned();
    let begun = Instant::now();
    let time = Duration::from_millis(500);
    let sink = at(&port);
    let late = told(
        deliver_in(
            "/".as_ref(),
            &sink,
            &[],
            &notice(),
            PreviousDelivery::default(),
            time,
        )
        .await,
    );
    assert!(late.starts_with("later: "), "{late}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn no_text_becomes_a_header_or_a_recipient() {
    let mail = MailServer::start(MailTls::Plain);
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
        send(&sink(&mail, "none", "a@example.com"), &[], &hostile).await,
        "delivered"
    );
    let got = mail.got();
    let (head, body) = got[0].split_once("\n\n").unwrap();
    let names: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(names.join(" "), HEADERS);
    assert!(body.contains("first\n.\nQUIT\n"), "{body}");
}

/// What a mail program makes of messages: for each its headers, each with its value as it is shown, its recipients, and
/// its text.
const READ: &str = r"
import email, email.policy, json, sys
for raw in json.load(sys.stdin):
    message = email.message_from_bytes(raw.encode(), policy=email.policy.default)
    assert not message.is_multipart() and not message.defects, message.defects
    headers = [[name, str(value), [str(one) for one in value.defects]] for name, value in message.items()]
    to = [str(one) for one in message['To'].addresses]
    text = message.get_content().replace('\r\n', '\n')
    print(json.dumps({'headers': headers, 'to': to, 'type': message.get_content_type(), 'text': text}))
";

fn read(messages: &[String]) -> Vec<Value> {
    let mut python = Command::new(tool("python3"));
    python.args(["-c", READ]);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    let input = serde_json::to_vec(messages).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Each hostile text in every place of a notice.
#[tokio::test]
async fn each_hostile_text_stays_text_in_a_message() {
    let mail = MailServer::start(MailTls::Plain);
    let yaml = sink(&mail, "none", "a@example.com");
    for (what, text) in HOSTILE {
        assert_eq!(
            send(&yaml, &[], &hostile(text)).await,
            "delivered",
            "{what}"
        );
    }
    let got = read(&mail.got());
    assert_eq!(got.len(), HOSTILE.len());
    for ((what, _), message) in HOSTILE.iter().zip(got) {
        let context = format!("{what}: {message:#}");
        assert_eq!(message["to"], json!(["a@example.com"]), "{context}");
        assert_eq!(message["type"], "text/plain", "{context}");
        let headers = message["headers"].as_array().unwrap();
        let names: Vec<&str> = headers.iter().map(|one| one[0].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), HEADERS, "{context}");
        let shown = headers.iter().map(|one| one[1].as_str().unwrap());
        for header in shown {
            assert!(!header.contains(|c| is_hidden(c) || c == '\n'), "{context}");
        }
        assert!(headers.iter().all(|one| one[2] == json!([])), "{context}");
        let subject = headers[6][1].as_str().unwrap();
        let text = message["text"].as_str().unwrap();
        for shown in [subject, text] {
            assert!(!shown.contains(is_hidden), "{context}");
            assert_eq!(mention(shown), None, "{context}");
        }
        let links = text
            .split_whitespace()
            .filter(|word| word.contains("://") || word.to_ascii_lowercase().starts_with("www."));
        let links: Vec<&str> = links.collect();
        assert_eq!(
            links,
            ["https://good.example/a|b%3Ec?d=%3Ce%3E&f=%22g%22"],
            "{context}"
        );
    }
}

/// Neither by STARTTLS nor from the first byte is anything sent to a server that is not the one that was meant.
#[tokio::test]
async fn a_certificate_that_is_not_good_is_told_by_its_fault_and_nothing_is_sent() {
    let mut all = Vec::new();
    for (tls, word) in [(MailTls::Starttls, "starttls"), (MailTls::Tls, "tls")] {
        for (fault, name, days) in [
            ("expired", "localhost", 0),
            ("of another host", "mail.example.com", 30),
        ] {
            let mail = MailServer::with(tls, name, days);
            let sent = send(&sink(&mail, word, "a@example.com"), ENV, &notice()).await;
            assert_eq!(mail.got(), [""; 0], "{sent}");
            all.push(format!("{word}, {fault}: {sent}").replace(&mail.port().to_string(), "PORT"));
        }
        let mail = MailServer::start(tls);
        let unknown = sink(&mail, word, "a@example.com");
        let authority = format!("ca-file: {}, ", mail.ca_file().display());
        let sent = send(&unknown.replace(&authority, ""), ENV, &notice()).await;
        assert_eq!(mail.got(), [""; 0], "{sent}");
        all.push(format!("{word}, unknown: {sent}").replace(&mail.port().to_string(), "PORT"));
        // Each kind of TLS to a server that speaks the other one.
        let other = if word == "tls" { "starttls" } else { "tls" };
        let time = Duration::from_secs(2);
        let yaml = sink(&mail, other, "a@example.com");
        let begun = Instant::now();
        let sent = told(
            deliver_in(
                "/".as_ref(),
                &yaml,
                ENV,
                &notice(),
                PreviousDelivery::default(),
                time,
            )
            .await,
        );
        assert!(begun.elapsed() < Duration::from_secs(4), "{sent}");
        assert_eq!(mail.got(), [""; 0], "{sent}");
        all.push(
            format!("{other} to a server of {word}: {sent}")
                .replace(&mail.port().to_string(), "PORT"),
        );
    }
    // How long ago it expired is of no interest.
    let all = all
        .iter()
        .map(|line| line.split(": verification time").next().unwrap());
    insta::assert_snapshot!(all.collect::<Vec<_>>().join("\n"));
}
