//! Servers that misbehave: the right verdict, in time, in little memory.

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

/// Exit code, reason, and peak memory in KiB, of the gate and what it started.
fn judged(url: &str, args: &[&str]) -> (i32, String, u64) {
    let mut all = vec!["--http", url, "--timeout", "400ms"];
    all.extend([
        "--interval",
        "50ms",
        "--failure-limit",
        "1",
        "--deadline",
        "5s",
    ]);
    all.extend(args);
    run(tempfile::tempdir().unwrap().path(), &all)
}

/// The same of a probe as it is configured.
fn configured(probe: &str, args: &[&str]) -> (i32, String, u64) {
    let folder = tempfile::tempdir().unwrap();
    let policy =
        "interval: 50ms, timeout: 800ms, success-threshold: 2, failure-limit: 1, deadline: 8s";
    let config = format!(
        "version: 1\nhealthgate: {{ policy: {{ {policy} }}, http: [{{ name: it, {probe} }}] }}\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    run(folder.path(), args)
}

fn run(folder: &std::path::Path, args: &[&str]) -> (i32, String, u64) {
    run_within(Duration::from_secs(12), folder, args)
}

fn run_within(limit: Duration, folder: &std::path::Path, args: &[&str]) -> (i32, String, u64) {
    let started = Instant::now();
    let out = folder.join("report.json");
    let mut command = std::process::Command::new(testkit::bin_path("healthgate"));
    let mut child = testkit::clear_environment(&mut command)
        .current_dir(folder)
        .args(["-q", "--report"])
        .arg(&out)
        .args(args)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    let code = loop {
        let id = child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let own = id.to_string();
        let all = children.split_whitespace().chain([own.as_str()]);
        peak = peak.max(all.map(peak_of).sum());
        if let Some(status) = child.try_wait().unwrap() {
            break status.code().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    (code, report["reason"].as_str().unwrap().to_owned(), peak)
}

/// The most memory that a process ever had, in KiB.
fn peak_of(pid: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let high = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse()
            .ok()
    });
    high.unwrap_or(0)
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

#[test]
fn a_filter_that_never_ends_or_takes_everything() {
    let url = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}")
    });
    let time = "did not end within";
    for (filter, why) in [
        ("def f: f; f", &[time][..]),
        ("last(repeat(.))", &[time]),
        ("until(false; .)", &[time]),
        ("reduce range(1; infinite) as $n (0; . + $n) == 0", &[time]),
        // Whichever it runs out of first.
        ("[repeat(1)] == []", &[time, "memory"]),
        ("[range(1; infinite)] == []", &[time, "memory"]),
        ("def f: 1 + f; f == 1", &[time, "memory"]),
    ] {
        let probe = format!("url: '{url}', jq: '{filter}'");
        let (code, reason, peak) = configured(&probe, &[]);
        assert_eq!(code, 1, "{filter}: {reason}");
        assert!(
            why.iter().any(|why| reason.contains(why)),
            "{filter}: {reason}"
        );
        assert!(peak > 0 && peak < 200 << 10, "{filter}: {peak} KiB");
    }
    // With all the time that it needs, also on a busy machine.
    let probe = "jq: 'reduce range(60) as $n (\"x\"; . + .) == \"\"', policy: { timeout: 6s }";
    let (code, reason, _) = configured(&format!("url: '{url}', {probe}"), &[]);
    assert_eq!(code, 1, "{reason}");
    assert!(reason.contains("memory"), "{reason}");
    // It is the filter that is at fault: the next one works.
    let (code, reason, _) = configured(&format!("url: '{url}', jq: '.a == 1'"), &[]);
    assert_eq!(code, 0, "{reason}");
    // Also where it should give the release.
    let probe = format!("url: '{url}', release: {{ jq: 'def f: f; f' }}");
    let (code, reason, _) = configured(&probe, &["--release", "v1"]);
    assert_eq!(code, 1, "{reason}");
}

#[test]
fn signals_while_a_filter_runs_are_not_its_end() {
    let url = server(|stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}")
    });
    let folder = tempfile::tempdir().unwrap();
    // While a thread starts a process, a signal reaches another one: that of the filter.
    let kill = "n=0; while [ $n -lt 100000 ]; do kill -CHLD $PPID; n=$((n+1)); done";
    let config = format!(
        "version: 1
healthgate:
  policy: {{ interval: 20ms, timeout: 4s, success-threshold: 20, failure-limit: 0, deadline: 10s }}
  http: [{{ name: it, url: '{url}', jq: '[range(20000)] | length == 20000' }}]
  command:
    - {{ name: kill, policy: {{ success-threshold: 1 }}, run: '{kill}' }}
    - {{ name: a, run: 'true' }}
    - {{ name: b, run: 'true' }}
    - {{ name: c, run: 'true' }}
"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let (code, reason, _) = run(folder.path(), &[]);
    assert_eq!(code, 0, "{reason}");
}

/// A megabyte that is a gigabyte.
fn bomb() -> Vec<u8> {
    let made = std::process::Command::new("sh")
        .args(["-c", "head -c 1000000000 /dev/zero | gzip -9"])
        .output()
        .unwrap();
    assert!(made.status.success());
    made.stdout
}

#[test]
fn a_packed_body_that_grows_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let packed = bomb();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                packed.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &packed].concat());
        }
    });
    // No condition reads the body.
    assert_eq!(configured(&format!("url: '{url}'"), &[]).0, 0);
    for condition in ["body-regex: x", "jq: .a"] {
        let (code, reason, peak) = configured(&format!("url: '{url}', {condition}"), &[]);
        assert_eq!(code, 1, "{reason}");
        assert!(reason.contains("unpacked, the body is larger"), "{reason}");
        assert!(peak < 100 << 10, "{peak} KiB");
    }
    let probe = format!("url: '{url}', body-regex: '^.{{10}}', max-body: 16MiB");
    let (code, reason, _) = configured(&probe, &[]);
    assert_eq!(code, 1, "{reason}");
}

/// Speaks HTTP/2 as far as its settings, then sends these frames until the client goes away.
fn frames(first: &'static [u8], then: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
                let mut sent = stream.write_all(&[&settings[..], first].concat());
                let many = then.repeat(1000);
                while sent.is_ok() && !many.is_empty() {
                    sent = stream.write_all(&many);
                }
                // Those who wait for more get nothing.
                let _ = stream.read(&mut request);
                std::thread::sleep(Duration::from_secs(3));
            });
        }
    });
    url
}

#[test]
fn http_2_that_resets_floods_or_says_nothing() {
    // Length, kind, flags, stream, payload.
    const RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    const OTHER_RESET: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8];
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const SETTINGS: &[u8] = &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
    // `:status: 200`, and more to come.
    const HEADERS: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88];
    const WHOLE_HEADERS: &[u8] = &[0, 0, 1, 1, 4, 0, 0, 0, 1, 0x88];
    // A literal header `a: b`, never the last.
    const MORE: &[u8] = &[0, 0, 5, 9, 0, 0, 0, 0, 1, 0x40, 1, 0x61, 1, 0x62];
    const EMPTY_DATA: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 1];
    const GO_AWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11];
    let cases: [(&[u8], &[u8]); 8] = [
        (RESET, RESET),
        (b"", OTHER_RESET),
        (b"", PING),
        (b"", SETTINGS),
        (HEADERS, MORE),
        (WHOLE_HEADERS, EMPTY_DATA),
        (GO_AWAY, b""),
        (b"", b""),
    ];
    for (nth, (first, then)) in cases.into_iter().enumerate() {
        let url = frames(first, then);
        let (code, reason, peak) = configured(&format!("url: '{url}', http-version: http2"), &[]);
        assert_eq!(code, 1, "{nth}: {reason}");
        assert!(peak > 0 && peak < 100 << 10, "{nth}: {peak} KiB");
    }
}

/// Five hundred answers under way at once, each of a megabyte: half a gigabyte, if each had its
/// limit to itself.
#[test]
fn large_answers_of_many_endpoints_take_little_memory_together() {
    const ENDPOINTS: usize = 500;
    static TAKEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let address = server(|stream| {
        TAKEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let size = 1 << 20;
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let (most, rest) = (vec![b'x'; size - 1000], vec![b'x'; 1000]);
        stream.write_all(&most)?;
        // The end only once all are there.
        testkit::wait_until(Duration::from_secs(20), || {
            TAKEN.load(std::sync::atomic::Ordering::Relaxed) >= ENDPOINTS
        });
        stream.write_all(&rest)
    });
    let port = address.trim_end_matches('/').rsplit(':').next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let targets: Vec<String> = (0..ENDPOINTS)
        .map(|n| format!("127.0.0.1:{port}/{n}"))
        .collect();
    std::fs::write(folder.path().join("fleet"), targets.join("\n")).unwrap();
    let policy = "interval: 1s, timeout: 60s, success-threshold: 1, failure-limit: 0, deadline: 2m";
    let config = format!(
        "version: 1\nhealthgate: {{ policy: {{ {policy} }}, http: [{{ name: it, url: 'http://{{target}}', body-regex: x, targets-file: fleet }}] }}\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let (code, reason, peak) = run_within(Duration::from_mins(2), folder.path(), &[]);
    assert_eq!(code, 0, "{reason}");
    assert!(peak < 180 << 10, "{peak} KiB");
}
