//! Unusual answers that the standards allow, and that are not faults: each on a raw socket.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

/// Serves every connection by its request's head; returns `127.0.0.1:PORT`.
fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + Copy + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap_or(0) > 0 {}
                answer(&head, &mut stream);
            });
        }
    });
    address
}

fn reply(stream: &mut TcpStream, status: u16, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

fn gate(kind: &str, probe: &str, args: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let policy = "{ interval: 50ms, timeout: 5s, success-threshold: 2, failure-limit: 1, inconclusive-limit: 1, deadline: 30s }";
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {policy}\n  {kind}: [{{ name: it, {probe} }}]\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

#[track_caller]
fn ends(expected: i32, (code, text): (i32, String), why: &str) {
    assert_eq!(code, expected, "{text}");
    assert!(text.contains(why), "{why}\n in {text}");
}

#[test]
fn hg_latency_redirect_the_whole_way_counts() {
    let server = serve(|head, stream| {
        if head.starts_with("GET /slow") {
            std::thread::sleep(Duration::from_millis(400));
            reply(stream, 302, "Location: /fast\r\n", b"");
        } else {
            reply(stream, 200, "", b"{}");
        }
    });
    let probe = |limit: &str| {
        format!("url: 'http://{server}/slow', max-redirects: 3, max-latency: {limit}")
    };
    ends(
        1,
        gate("http", &probe("200ms"), &[]),
        "> max-latency (200ms)",
    );
    ends(0, gate("http", &probe("4s"), &[]), "pass");
}

/// The answer of a server that packs it once, twice, and in the way that the standard calls wrong.
#[test]
fn gzip_and_condition_and_release_are_read_from_one_unpacked_body() {
    const BODY: &[u8] = br#"{"status":"ok","version":"v1"}"#;
    let server = serve(|head, stream| {
        let gzip = |body: &[u8]| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(body).unwrap();
            packer.finish().unwrap()
        };
        let raw = |body: &[u8]| {
            let mut packer = DeflateEncoder::new(Vec::new(), Compression::default());
            packer.write_all(body).unwrap();
            packer.finish().unwrap()
        };
        let (coding, body) = match head.split(' ').nth(1).unwrap() {
            "/twice" => ("gzip, gzip", gzip(&gzip(BODY))),
            "/raw" => ("deflate", raw(BODY)),
            "/members" => ("x-gzip", [gzip(&BODY[..9]), gzip(&BODY[9..])].concat()),
            _ => ("gzip", gzip(BODY)),
        };
        reply(
            stream,
            200,
            &format!("Content-Encoding: {coding}\r\n"),
            &body,
        );
    });
    for path in ["/", "/twice", "/raw", "/members"] {
        let probe =
            format!("url: 'http://{server}{path}', body-regex: ok, jq: '.status == \"ok\"'");
        let configured = format!("{probe}, release: {{ jq: .version }}");
        for probe in [&probe, &configured] {
            ends(0, gate("http", probe, &["--release", "v1"]), "pass");
            let wrong = gate("http", probe, &["--release", "v2"]);
            ends(1, wrong, "release v1 answers, expected v2");
        }
    }
}

#[test]
fn a_head_of_many_headers_is_no_error() {
    let server = serve(|_, stream| {
        let headers: Vec<String> = (0..400).map(|n| format!("X-Hop-{n}: a\r\n")).collect();
        reply(stream, 200, &headers.concat(), b"");
    });
    let probe = format!("url: 'http://{server}/', expect-headers: {{ x-hop-399: a }}");
    ends(0, gate("http", &probe, &[]), "pass");
}

/// A page that sets a cookie and redirects to itself is not a loop; one that never gets it is.
#[test]
fn a_cookie_that_a_redirect_to_the_same_url_sets_is_sent() {
    let server = serve(|head, stream| {
        if head.contains("cookie: seen=yes") {
            reply(stream, 200, "", b"welcome");
        } else if head.starts_with("GET /elsewhere") {
            reply(
                stream,
                302,
                "Location: /elsewhere\r\nSet-Cookie: seen=yes; Path=/other\r\n",
                b"",
            );
        } else {
            reply(
                stream,
                302,
                "Location: /\r\nSet-Cookie: seen=yes; Path=/\r\n",
                b"",
            );
        }
    });
    let probe = |path: &str| format!("url: 'http://{server}{path}', max-redirects: 3");
    let seen = format!("{}, body-regex: welcome", probe("/"));
    ends(0, gate("http", &seen, &[]), "pass");
    let circle = gate("http", &probe("/elsewhere"), &[]);
    ends(1, circle, "redirects in circles");
    let smoke = format!("requests: [{{ {seen} }}]");
    ends(0, gate("smoke", &smoke, &[]), "pass");
}

#[test]
fn a_tcp_answer_in_parts_means_what_the_whole_means() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                for part in ["220 ma", "il rea", "dy", " soon", "\r\n"] {
                    if stream.write_all(part.as_bytes()).is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(30));
                }
                // Left open, until the other side closes.
                let _ = std::io::Read::read(&mut stream, &mut [0]);
            });
        }
    });
    let probe = |pattern: &str| format!("address: '{address}', expect: '{pattern}'");
    ends(0, gate("tcp", &probe("mail ready"), &[]), "pass");
    ends(0, gate("tcp", &probe("^220 .* soon$"), &[]), "pass");
    let policy = "policy: { timeout: 1s }";
    let early = format!("{}, {policy}", probe("^220 .*ready$"));
    ends(1, gate("tcp", &early, &[]), "it sends 220 mail ready soon");
}

#[test]
fn a_condition_of_several_values_holds_where_each_is_true() {
    let server = serve(|head, stream| {
        let body: &[u8] = match head.split(' ').nth(1).unwrap() {
            "/good" => br#"{"checks":[{"ok":true},{"ok":true}]}"#,
            "/none" => br#"{"checks":[]}"#,
            _ => br#"{"checks":[{"ok":true},{"ok":false}]}"#,
        };
        reply(stream, 200, "", body);
    });
    let probe = |path: &str| format!("url: 'http://{server}{path}', jq: '.checks[] | .ok'");
    ends(0, gate("http", &probe("/good"), &[]), "pass");
    let why = "the jq condition gives false as value 2 of 2";
    ends(1, gate("http", &probe("/bad"), &[]), why);
    let why = "the jq condition gives nothing";
    ends(1, gate("http", &probe("/none"), &[]), why);
}

#[test]
fn a_release_that_is_given_several_times_must_be_the_same() {
    let server = serve(|head, stream| {
        let body: &[u8] = match head.split(' ').nth(1).unwrap() {
            "/same" => br#"{"pods":[{"version":"v1"},{"version":"v1"}]}"#,
            _ => br#"{"pods":[{"version":"v1"},{"version":"v2"}]}"#,
        };
        reply(stream, 200, "", body);
    });
    let asked = |path: &str, release: &str| {
        let probe =
            format!("url: 'http://{server}{path}', release: {{ jq: '.pods[] | .version' }}");
        gate("http", &probe, &["--release", release])
    };
    ends(0, asked("/same", "v1"), "pass");
    let wrong = "release v1 answers, expected v2";
    ends(1, asked("/same", "v2"), wrong);
    let why = "it gives 2 different values where one is expected";
    ends(3, asked("/mixed", "v1"), why);
    ends(3, asked("/mixed", "v2"), why);
}
