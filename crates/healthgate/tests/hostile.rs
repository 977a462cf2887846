//! Servers that misbehave: the right verdict, in time, in little memory.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Serves every connection with `answer`, which ends when the client goes away.
fn server(answer: fn(&mut TcpStream) -> std::io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let _ = answer(&mut stream);
            });
        }
    });
    url
}

/// Exit code, report, and peak memory in KiB.
fn judged(url: &str, args: &[&str]) -> (i32, String, u64) {
    let started = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report.json");
    let mut command = std::process::Command::new("/usr/bin/env");
    let mut child = testkit::clean(&mut command)
        .arg(testkit::bin_path("healthgate"))
        .args(["--http", url, "--timeout", "400ms", "--interval", "50ms"])
        .args(["--failure-limit", "1", "--deadline", "5s", "-q", "--report"])
        .arg(&out)
        .args(args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let code = loop {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let high = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse()
                .ok()
        });
        peak = peak.max(high.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    (code, report["reason"].as_str().unwrap().to_owned(), peak)
}

fn fails(answer: fn(&mut TcpStream) -> std::io::Result<()>, why: &str) {
    let (code, reason, peak) = judged(&server(answer), &[]);
    assert_eq!(code, 1, "{reason}");
    assert!(reason.contains(why), "{reason}");
    assert!(peak > 0 && peak < 100 << 10, "{peak} KiB");
}

#[test]
fn a_body_that_never_ends() {
    fails(
        |stream| {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            )?;
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        },
        "no complete answer within",
    );
}

#[test]
fn a_gigabyte() {
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")?;
            let piece = vec![b'x'; 1 << 20];
            (0..1024).try_for_each(|_| stream.write_all(&piece))
        },
        "larger than max-body (1 MiB)",
    );
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            let piece = [&b"100000\r\n"[..], &vec![b'x'; 1 << 20], b"\r\n"].concat();
            (0..1024).try_for_each(|_| stream.write_all(&piece))
        },
        "larger than max-body (1 MiB)",
    );
}

#[test]
fn a_byte_now_and_then() {
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            (0..50).try_for_each(|_| {
                std::thread::sleep(Duration::from_millis(100));
                stream.write_all(b"x")
            })
        },
        "no complete answer within",
    );
}

#[test]
fn headers_that_drip_or_flood() {
    fails(
        |stream| {
            "HTTP/1.1 200 OK\r\n".bytes().try_for_each(|byte| {
                std::thread::sleep(Duration::from_millis(60));
                stream.write_all(&[byte])
            })
        },
        "no complete answer within",
    );
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            let line = format!("X-Filler: {}\r\n", "x".repeat(8000));
            (0..10_000).try_for_each(|_| stream.write_all(line.as_bytes()))
        },
        "failed (2) > failure-limit (1)",
    );
}

#[test]
fn a_connection_that_is_cut() {
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")?;
            stream.shutdown(std::net::Shutdown::Both)
        },
        "broke off",
    );
    fails(
        |stream| stream.shutdown(std::net::Shutdown::Both),
        "failed (2)",
    );
}

#[test]
fn redirects_in_circles_are_an_answer_and_not_followed() {
    fails(
        |stream| {
            stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")
        },
        "status 302",
    );
}

#[test]
fn text_that_is_not_utf8_is_only_a_problem_where_text_is_wanted() {
    let url = server(|stream| {
        stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n\xff\xfe{}",
        )
    });
    assert_eq!(judged(&url, &[]).0, 0);
    let (code, reason, _) = judged(&url, &["--jq", ".ok"]);
    assert_eq!(code, 1);
    assert!(reason.contains("not JSON"), "{reason}");
}

#[test]
fn json_nested_a_hundred_thousand_deep() {
    let url = server(|stream| {
        let body = "[".repeat(100_000);
        stream.write_all(
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
    });
    let (code, reason, _) = judged(&url, &["--jq", ".ok"]);
    assert_eq!(code, 1);
    assert!(reason.contains("nested deeper"), "{reason}");
    assert_eq!(judged(&url, &["--release", "v1"]).0, 3);
}
