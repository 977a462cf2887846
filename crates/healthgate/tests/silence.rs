//! Whose fault a silence is: only the service under test can fail by not answering.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::gating::{gate, gate_with};
use testkit::{Shop, Sshd};

/// Few and short measurements of what does not answer.
const SHORT: &str = "{ interval: 100ms, timeout: 1s, success-threshold: 2, failure-limit: 0, \
     error-limit: 0, inconclusive-limit: 0, deadline: 60s }";

/// A server that takes connections and does this with each of them.
fn server(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(stream));
        }
    });
    port
}

/// Reads what it is sent and never answers.
fn silent() -> u16 {
    server(|mut stream| {
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).is_ok_and(|length| length > 0) {}
    })
}

/// Sends this answer to any request, and closes.
fn saying(answer: &'static [u8]) -> u16 {
    server(|mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        let _ = stream.write_all(answer);
    })
}

#[test]
fn hg_proxy_silent_a_proxy_of_the_environment_that_is_silent_or_broken_is_an_error_and_named() {
    for (port, why) in [
        (silent(), "no answer of or through proxy"),
        (saying(b""), "through proxy"),
        (saying(b"hello\r\n\r\n"), "through proxy"),
        (testkit::free_port(), "connection refused"),
        (
            saying(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n"),
            "wants other credentials (status 407)",
        ),
        (
            saying(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n"),
            "answers status 502",
        ),
        (
            saying(b"HTTP/1.1 503 No\r\nserver: squid\r\ncontent-length: 0\r\n\r\n"),
            "status 503",
        ),
    ] {
        for url in ["http://www.shop.test/", "https://www.shop.test/"] {
            let proxy = format!("http://robot:p4ss-0f-proxy@127.0.0.1:{port}");
            let ran = gate_with(SHORT, &format!("  http: [{{ name: x, url: '{url}' }}]\n"))
                .env("http_proxy", &proxy)
                .env("https_proxy", &proxy)
                .run()
                .code(4);
            let outcome = ran.ends("http/x", "error", why);
            let told = outcome["reason"].as_str().unwrap();
            assert!(told.contains(&format!("http://127.0.0.1:{port}")), "{told}");
            assert!(!ran.text.contains("p4ss-0f-proxy"), "{}", ran.text);
        }
    }
}

#[test]
fn no_proxy_star_alone_is_heeded_for_addresses() {
    let shop = Shop::start("v1");
    let url = shop.url("/");
    let proxy = format!("http://127.0.0.1:{}", testkit::free_port());
    let asked = |no_proxy: &str| {
        gate_with(SHORT, &format!("  http: [{{ name: x, url: '{url}' }}]\n"))
            .env("HTTP_PROXY", &proxy)
            .env("NO_PROXY", no_proxy)
            .run()
    };
    asked("*").code(0);
    asked("10.0.0.0/8, 127.0.0.0/8").code(0);
    asked("10.0.0.0/8").code(4);
}

/// A network whose only resolver does `$MODE`, and the gate in it.
const RESOLVER: &str = r#"
ip link set lo up
printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >resolv.conf
mount --bind resolv.conf /etc/resolv.conf
if [ "$MODE" != refused ]; then
    python3 -c "$DNS" "$MODE" &
    dns=$!
    while [ ! -e bound ]; do sleep 0.05; done
fi
"$GATE" --report report.json
code=$?
[ -z "${dns-}" ] || kill "$dns"
exit "$code"
"#;
const DNS: &str = "import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('127.0.0.1', 53))
open('bound', 'w').close()
code = {'servfail': 0x82, 'nxdomain': 0x83}.get(sys.argv[1])
while True:
    question, client = server.recvfrom(512)
    if code:
        server.sendto(question[:2] + bytes([0x81, code]) + question[4:6] + bytes(6) + question[12:], client)
";

/// Only "no such name" is an answer.
#[test]
fn hg_resolver_down_says_nothing_of_the_service() {
    for (mode, code, verdict) in [
        ("refused", 4, "error"),
        ("silent", 4, "error"),
        ("servfail", 4, "error"),
        ("nxdomain", 1, "fail"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1\nhealthgate:\n  policy: {}\n  http: [{{ name: x, url: 'http://www.shop.test:8111/' }}]\n",
            SHORT.replace("timeout: 1s", "timeout: 10s")
        );
        std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        let mut command = Command::new(testkit::tool("unshare"));
        let output = testkit::clear_environment(&mut command)
            .args(["--mount", "--net", "sh", "-c", RESOLVER])
            .current_dir(folder.path())
            .env("MODE", mode)
            .env("DNS", DNS)
            .env("GATE", testkit::bin_path("healthgate"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mode}: {text}");
        let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["verdict"], verdict, "{mode}: {report}");
        let reason = report["outcomes"][0]["reason"].as_str().unwrap();
        assert_eq!(reason.contains("resolver"), code == 4, "{mode}: {reason}");
    }
}

/// Between us and a host: whether bytes still go through.
fn relay(to: u16, open: &Arc<AtomicBool>) -> u16 {
    let open = Arc::clone(open);
    server(move |stream| {
        let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
            return;
        };
        let carry = |mut from: TcpStream, mut to: TcpStream| {
            let open = Arc::clone(&open);
            std::thread::spawn(move || {
                let mut bytes = [0; 16 << 10];
                while let Ok(length) = from.read(&mut bytes) {
                    while !open.load(Ordering::Acquire) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    if length == 0 || to.write_all(&bytes[..length]).is_err() {
                        return;
                    }
                }
            })
        };
        let there = carry(stream.try_clone().unwrap(), far.try_clone().unwrap());
        let back = carry(far, stream);
        let _ = (there.join(), back.join());
    })
}

fn hosts(sshd: &Sshd, port: u16, folder: &std::path::Path) -> String {
    let known_hosts = folder.join("known_hosts");
    let known = sshd
        .known_hosts()
        .replace(&sshd.port().to_string(), &port.to_string());
    std::fs::write(&known_hosts, known).unwrap();
    format!(
        "hosts:\n  jump: {{ address: 127.0.0.1, port: {port}, user: {}, key-file: {}, known-hosts: {} }}\n",
        sshd.user(),
        sshd.key().display(),
        known_hosts.display()
    )
}

/// Every kind of probe that can go through a host, at this port.
fn every_kind(port: u16) -> String {
    let mut section = format!(
        "  http: [{{ name: x, url: 'http://127.0.0.1:{port}/', via: jump }}]\n  smoke: [{{ name: x, via: jump, requests: [{{ url: 'http://127.0.0.1:{port}/' }}] }}]\n"
    );
    for kind in ["tcp", "redis", "postgres", "grpc"] {
        let more = if kind == "tcp" { ", expect: hello" } else { "" };
        section.push_str(&format!(
            "  {kind}: [{{ name: x, address: '127.0.0.1:{port}', via: jump{more} }}]\n"
        ));
    }
    section
}

const KINDS: [&str; 6] = ["http", "smoke", "tcp", "redis", "postgres", "grpc"];

#[test]
fn behind_a_host_that_answers_a_silent_service_fails() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let hosts = hosts(&sshd, sshd.port(), folder.path());
    let section = every_kind(silent());
    for kind in KINDS {
        let id = format!("{kind}/x");
        let ran = gate_with(SHORT, &format!("{section}{hosts}"))
            .args(&["--only", &id])
            .run()
            .code(1);
        ran.ends(&id, "fail", "within");
    }
}

#[test]
fn hg_via_silent_a_jump_host_that_says_nothing_from_the_start_is_an_error_and_named() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let shop = Shop::start("v1");
    let hosts = hosts(&sshd, silent(), folder.path());
    let section = every_kind(shop.port());
    for kind in KINDS {
        let id = format!("{kind}/x");
        let ran = gate_with(SHORT, &format!("{section}{hosts}"))
            .args(&["--only", &id])
            .run()
            .code(4);
        ran.ends(&id, "error", "host `jump`");
    }
}

#[test]
fn hg_via_silent_a_jump_host_that_falls_silent_under_an_open_tunnel_is_an_error_and_named() {
    let (sshd, folder) = (Sshd::start(), tempfile::tempdir().unwrap());
    let open = Arc::new(AtomicBool::new(true));
    let port = relay(sshd.port(), &open);
    let hosts = hosts(&sshd, port, folder.path());
    // The way closes when the first request has come through it.
    let service = server({
        let open = Arc::clone(&open);
        move |mut stream| {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            open.store(false, Ordering::Release);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let probe = format!("  http: [{{ name: x, url: 'http://127.0.0.1:{service}/', via: jump }}]\n");
    let ran = gate_with(SHORT, &format!("{probe}{hosts}")).run().code(4);
    ran.ends("http/x", "error", "host `jump` has not answered");
}

/// The report of `healthgate` when it is stopped for a while, so long after its start.
fn stopped(
    args: &[&str],
    after: Duration,
    pause: Duration,
    meanwhile: impl Fn(bool),
) -> (i32, String) {
    let mut command = Command::new(testkit::bin_path("healthgate"));
    let child = command
        .args(["--no-progress"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let signal = |name: &str| {
        let id = child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success());
    };
    std::thread::sleep(after);
    signal("-STOP");
    meanwhile(true);
    std::thread::sleep(pause);
    meanwhile(false);
    signal("-CONT");
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn hg_own_pause_while_we_are_stopped_ourselves_nothing_fails() {
    let slow = server(|mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        std::thread::sleep(Duration::from_millis(200));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    });
    let url = format!("http://127.0.0.1:{slow}/");
    let policy = "--interval 1s --timeout 900ms --failure-limit 0 --deadline 60s";
    let mut args = vec!["--http", &url];
    args.extend(policy.split(' '));
    let pause = Duration::from_millis(2500);
    let (code, text) = stopped(&args, Duration::from_millis(1100), pause, |_| ());
    assert_eq!(code, 0, "{text}");
}

#[test]
fn hg_soak_hole_that_we_made_ourselves_does_not_pass() {
    let down = Arc::new(AtomicBool::new(false));
    let service = server({
        let down = Arc::clone(&down);
        move |mut stream| {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let status = if down.load(Ordering::Acquire) {
                503
            } else {
                200
            };
            let _ = stream
                .write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes());
        }
    });
    let url = format!("http://127.0.0.1:{service}/");
    let policy = "--interval 200ms --timeout 5s --success-threshold 1 --soak 8s";
    let mut args = vec!["--http", &url];
    args.extend(policy.split(' '));
    let (code, text) = stopped(
        &args,
        Duration::from_secs(2),
        Duration::from_secs(4),
        |now| down.store(now, Ordering::Release),
    );
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("this process was paused"), "{text}");
}

/// Runs the gate with a soft limit of so many open files.
#[test]
fn hg_fd_limit_is_raised_to_what_we_may_have() {
    let shop = Shop::start("v1");
    let targets = (0..100)
        .map(|n| format!("{}?{n}\n", shop.url("/")))
        .collect::<Vec<_>>()
        .concat();
    let run = |limit: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("targets"), &targets).unwrap();
        let healthgate = testkit::bin_path("healthgate");
        let text = format!(
            "ulimit {limit} && exec '{}' --no-progress --http '{{target}}' --targets-file targets --interval 1s --timeout 20s --success-threshold 1 --failure-limit 0 --error-limit 0 --deadline 60s",
            healthgate.display()
        );
        let output = Command::new("bash")
            .args(["-c", &text])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, text) = run("-Sn 48");
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn hg_wrong_reason_an_error_is_told_with_its_own_and_not_with_that_of_a_failure_before_it() {
    let count = std::sync::atomic::AtomicU32::new(0);
    // A failure that the startup excuses, and then no server to probe.
    let prometheus = server(move |mut stream| {
        let mut bytes = [0; 4096];
        let _ = stream.read(&mut bytes);
        let body = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#;
        let answer = match count.fetch_add(1, Ordering::SeqCst) {
            0 => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            ),
            _ => "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    let policy = "{ interval: 50ms, timeout: 10s, startup: 60s, error-limit: 2, deadline: 90s }";
    let section = format!(
        "  prometheus: [{{ name: p, server: 'http://127.0.0.1:{prometheus}', query: 'scalar(x)', max: 1 }}]\n"
    );
    let ran = gate_with(policy, &section).run().code(4);
    let outcome = ran.ends(
        "prometheus/p",
        "error",
        "errors in a row (3) > error-limit (2)",
    );
    let told = format!("{} {}", outcome["reason"], outcome["actual"]);
    assert!(!told.contains("7 > max") && told.contains("500"), "{told}");
}

#[test]
fn hg_self_signed_ca_of_openssl_req_x509_is_trusted_where_it_is_the_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=shop -addext subjectAltName=IP:127.0.0.1".split(' '))
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success());
    let port = testkit::free_port();
    let mut server = Command::new("openssl")
        .args([
            "s_server", "-www", "-quiet", "-cert", "cert.pem", "-key", "key.pem",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ca = folder.path().join("cert.pem");
    let ca = ca.display();
    let up = format!(
        "  tls: [{{ name: x, address: '127.0.0.1:{port}', ca-file: {ca} }}]\n  http: [{{ name: x, url: 'https://127.0.0.1:{port}/', ca-file: {ca} }}]\n"
    );
    let trusted = gate_with(
        "{ interval: 200ms, timeout: 10s, success-threshold: 1, deadline: 60s }",
        &up,
    )
    .run();
    // For another name it is trusted no more than any other.
    let other = format!(
        "  tls: [{{ name: x, address: '127.0.0.1:{port}', server-name: other.test, ca-file: {ca} }}]\n"
    );
    let misnamed = gate(&other).run();
    let strange = format!("  http: [{{ name: x, url: 'https://127.0.0.1:{port}/' }}]\n");
    let untrusted = gate(&strange).run();
    // The suggested command trusts it too.
    let teapot = format!(
        "  http: [{{ name: x, url: 'https://127.0.0.1:{port}/', status: [418], ca-file: {ca} }}]\n"
    );
    let teapot = gate(&teapot).run();
    server.kill().unwrap();
    server.wait().unwrap();
    trusted.code(0);
    let teapot = teapot.code(1);
    let hint = teapot.outcome("http/x")["hint"].as_str().unwrap();
    assert!(hint.contains("--cacert "), "{hint}");
    misnamed.code(1).ends("tls/x", "fail", "not valid for name");
    let untrusted = untrusted.code(1);
    let reason = untrusted.outcome("http/x")["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(!reason.contains("OtherError"), "{reason}");
}
