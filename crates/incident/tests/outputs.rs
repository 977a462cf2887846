//! Everything that the stage writes: no secret is in it, and hostile text stays text.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{HOSTILE, Process, free_port, markdown, mention, tool};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::bed::{Bed, Ran};

/// An incident with this text in each place that a person, or someone else, may fill in.
fn told(texts: &[&str]) -> Bed {
    let bed = Bed::new(&json!({}));
    let run = |args: &[&str], actor: &str| {
        let output = bed.command(args).env("USER", actor).output().unwrap();
        Ran::of(&output).code(0);
    };
    // No argument and no variable holds NUL.
    let texts: Vec<String> = texts.iter().map(|text| text.replace('\0', "")).collect();
    let first = &texts[0];
    let is_release =
        first.len() <= 256 && !first.starts_with('-') && !first.contains(char::is_control);
    let release = if is_release { first } else { "v2" };
    run(&["open", "--release", release, "--", first], first);
    for text in &texts {
        run(&["note", "--", text], text);
        run(&["update", "--phase", "identified", "--", text], text);
    }
    run(&["resolve", "--", texts.last().unwrap()], "ann");
    bed
}

/// The report's structure without the line breaks of its texts.
fn structure(report: &str) -> (BTreeMap<String, usize>, String) {
    let (mut found, words) = markdown(report);
    found.remove("html <br>");
    (found, words)
}

#[test]
fn each_hostile_text_stays_text_in_each_document() {
    let plain = told(&["plain words"]);
    let (expected, _) = structure(&plain.run(&["report"]).code(0).stdout);
    for (what, text) in HOSTILE {
        let bed = told(&[text]);
        let report = bed.run(&["report"]).code(0).stdout;
        let (found, words) = structure(&report);
        assert_eq!(found, expected, "{what}: {report}");
        assert_eq!(mention(&words), None, "{what}: {words}");
        let analysis = bed.run(&["report", "--format", "json"]).code(0).stdout;
        let analysis: Value = serde_json::from_str(&analysis).unwrap();
        assert_eq!(analysis["timeline"].as_array().unwrap().len(), 4, "{what}");
        bed.run(&["metrics", "--cdevents", "events.jsonl"]).code(0);
        let events = std::fs::read_to_string(bed.path("events.jsonl")).unwrap();
        for line in events.lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
        for args in [&["list"][..], &["status"], &["metrics"], &["report"]] {
            let ran = bed.run(args).code(0);
            for text in [ran.stdout, ran.stderr] {
                let is_obeyed = |c: char| c.is_control() && c != '\n' || model::text::is_bidi(c);
                assert!(!text.contains(is_obeyed), "{what}, {args:?}: {text:?}");
                let commands = text
                    .lines()
                    .filter(|line| line.trim_start().starts_with("::"));
                assert_eq!(commands.count(), 0, "{what}, {args:?}: {text}");
                assert!(!text.contains("##["), "{what}, {args:?}: {text}");
            }
        }
    }
}

/// How many elements of each kind a browser makes of a page.
fn elements(page: &Path) -> BTreeMap<String, usize> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(tool("chromium"))
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    // As it is written out, a `<` of a text is `&lt;`.
    let dom = String::from_utf8(output.stdout).unwrap();
    assert!(
        dom.contains("</html>"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut found = BTreeMap::new();
    for tag in dom.split('<').skip(1) {
        let end = tag.find(|c: char| c.is_whitespace() || c == '>');
        *found
            .entry(tag[..end.unwrap_or(tag.len())].to_owned())
            .or_default() += 1;
    }
    found
}

#[test]
fn a_browser_finds_no_element_more_in_a_page_of_hostile_texts() {
    let texts: Vec<&str> = HOSTILE.iter().map(|(_, text)| *text).collect();
    let plain = vec!["plain words"; texts.len()];
    let found = [texts, plain].map(|texts| {
        let bed = told(&texts);
        bed.run(&["report", "--html", "page.html"]).code(0);
        elements(&bed.path("page.html"))
    });
    assert_eq!(found[0], found[1]);
    assert!(found[0]["td"] > 100, "{found:?}");
}

/// In every variable that holds a secret.
const SECRETS: [(&str, &str); 7] = [
    ("HOOK_URL", "hook-canary-7c1f9e2a"),
    ("HMAC_KEY", "hmac-canary-51d0b3aa"),
    ("SLACK_URL", "slack-canary-e90a77f1"),
    ("SLACK_TOKEN", "xoxb-canary-44b0a1c2"),
    ("PAGER_KEY", "pager-canary-a0d4e5f6"),
    ("TEAMS_URL", "teams-canary-3b2c1d0e"),
    ("GITHUB_TOKEN", "ghs-canary-99887766"),
];

fn sinks(base: &str, mail: u16) -> Value {
    let events = [
        "incident-opened",
        "incident-updated",
        "incident-resolved",
        "note",
        "severity-changed",
    ];
    json!({
        "webhook": [{"name": "hook", "url-env": "HOOK_URL", "hmac-key-env": "HMAC_KEY"}],
        "slack": [
            {"name": "chat", "url-env": "SLACK_URL", "events": events},
            {"name": "bot", "token-env": "SLACK_TOKEN", "channel": "C1", "api-url": base},
        ],
        "pagerduty": [{"name": "page", "routing-key-env": "PAGER_KEY", "url": base, "events": events}],
        "teams": [{"name": "teams", "url-env": "TEAMS_URL", "events": events}],
        "email": [{
            "name": "mail", "server": format!("localhost:{mail}"), "tls": "none",
            "from": "deploys@example.com", "to": ["team@example.com"], "events": events,
        }],
        "github-issue": [{"name": "issue", "events": events}],
        "github-deployment": [{"name": "deployment", "events": events}],
        "stdout": [{"name": "log", "events": events}],
    })
}

/// A service that takes everything, and lists nothing.
async fn service() -> MockServer {
    let server = MockServer::start().await;
    let answer = |request: &Request| {
        let made = json!({"ok": true, "channel": "C1", "ts": "1.0", "number": 1, "id": 1});
        let answer = if request.method.as_str() == "GET" {
            json!([])
        } else {
            made
        };
        ResponseTemplate::new(200).set_body_json(answer)
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// A mail server that prints what it gets.
fn mail_server(folder: &Path, port: u16) -> Process {
    let mut smtp = Command::new(tool("python3"));
    let listen = format!("127.0.0.1:{port}");
    smtp.args(["-u", "-m", "aiosmtpd", "-n", "-l", &listen]);
    smtp.args(["-c", "aiosmtpd.handlers.Debugging", "stdout"]);
    let smtp = Process::start(folder, &mut smtp);
    smtp.wait_for_port(port, Duration::from_secs(20));
    smtp
}

/// A job of GitHub with every secret.
fn job(server: &MockServer, mail: u16) -> Bed {
    let mut bed = Bed::new(&sinks(&server.uri(), mail));
    for (name, secret) in SECRETS {
        let value = if name.ends_with("_URL") {
            format!("{}/{secret}?key={secret}", server.uri())
        } else {
            secret.to_owned()
        };
        bed.variables.push((name, value));
    }
    let file = |name: &str| bed.path(name).display().to_string();
    let more = [
        ("GITHUB_API_URL", server.uri()),
        ("GITHUB_REPOSITORY", "acme/shop".to_owned()),
        ("GITHUB_SHA", "4f2c1d0".to_owned()),
        ("GITHUB_ACTIONS", "true".to_owned()),
        ("GITHUB_STEP_SUMMARY", file("summary.md")),
        ("GITHUB_OUTPUT", file("output")),
    ];
    bed.variables.extend(more);
    bed
}

/// Every file below a folder, one behind the other.
fn files(folder: &Path) -> String {
    let mut all = String::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all += &String::from_utf8_lossy(&std::fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Texts that hold every secret, to all eight kinds of sinks, and every command that shows something of them.
#[tokio::test]
async fn no_secret_is_in_anything_that_is_written_or_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mail = free_port();
    let smtp = mail_server(folder.path(), mail);
    let server = service().await;
    let bed = job(&server, mail);
    let values: Vec<&str> = bed.variables[..SECRETS.len()]
        .iter()
        .map(|(_, value)| value.as_str())
        .collect();
    let text = format!(
        "posted with {} | {}",
        values.join(" "),
        SECRETS.map(|(_, secret)| secret).join(" ")
    );
    let mut all = String::new();
    for args in [
        &["open", "--release", "v2", text.as_str()][..],
        &["note", &text],
        &["update", "--phase", "identified", &text],
        &[
            "update",
            "--severity",
            "critical",
            "--reason",
            &text,
            "worse",
        ],
        &["status"],
        &["resolve", &text],
        &["list"],
        &["deliver"],
        &["notify", "--test"],
        &["watch"],
        &["report", "--html", "page.html"],
        &["report", "--format", "json"],
        &["report", "--issue", "--repo", "acme/shop"],
        &["metrics"],
        &["metrics", "--format", "json"],
        &["metrics", "--format", "prometheus"],
        &["metrics", "--textfile", "shop.prom"],
        &["metrics", "--cdevents", "events.jsonl"],
        &["dashboard"],
        &["alerts"],
        &["stage", "--run", "42", "--repo", "acme/shop"],
    ] {
        let ran = bed.run(args);
        assert_ne!(ran.code, 2, "{args:?}: {}", ran.stderr);
        all += &format!("{args:?}\n{}\n{}\n", ran.stdout, ran.stderr).replace(&text, "");
    }
    all += &files(&bed.path("."));
    let mut sent = 0;
    for request in server.received_requests().await.unwrap() {
        let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        // The only place of the key is there.
        body.as_object_mut().map(|body| body.remove("routing_key"));
        all += &body.to_string();
        sent += 1;
    }
    assert!(sent > 20, "{sent}");
    let mails = smtp.log();
    assert!(mails.contains("Subject: "), "{mails}");
    all += &mails;
    for (name, secret) in SECRETS {
        let found = all
            .find(secret)
            .map(|at| all[..at + 60].chars().rev().take(300).collect::<String>());
        let found = found.map(|text| text.chars().rev().collect::<String>());
        assert_eq!(found, None, "{name}");
    }
}

/// What a job's page shows of the figures: rows, and neither headings nor one long line.
#[test]
fn the_summary_shows_figures_as_they_are_printed() {
    let mut bed = Bed::new(&json!({}));
    let summary = bed.path("summary.md");
    bed.variables
        .push(("GITHUB_STEP_SUMMARY", summary.display().to_string()));
    for args in [&["metrics"][..], &["metrics", "--format", "prometheus"]] {
        let printed = bed.run(args).code(0).stdout;
        let text = std::fs::read_to_string(&summary).unwrap();
        std::fs::remove_file(&summary).unwrap();
        assert_eq!(text.trim(), format!("```text\n{}\n```", printed.trim()));
        assert_eq!(markdown(&text).0.keys().collect::<Vec<_>>(), ["CodeBlock"]);
    }
}
