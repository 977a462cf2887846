//! What people see while the gate runs: on a real terminal, and without a terminal.

use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::Shop;

fn screens(rows: u16, columns: u16, variables: &[(&str, &str)], args: &str) -> Vec<String> {
    let line = format!("{} {args}", testkit::bin_path("healthgate").display());
    testkit::screens(&line, std::path::Path::new("."), (rows, columns), variables)
}

#[test]
fn a_terminal_shows_a_line_for_each_probe_and_keeps_only_the_report() {
    let shop = Shop::start("v1");
    shop.set_health("starting", 503);
    let args = format!(
        "--http {} --http {} --interval 100ms --deadline 4s --failure-limit 100",
        shop.url("/health/ready"),
        shop.url("/")
    );
    let seen = screens(24, 140, &[("NO_COLOR", "1")], &args);
    let live = seen
        .iter()
        .find(|screen| screen.contains(" more in a row"))
        .unwrap();
    let row = |name: &str| {
        live.lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_owned()
    };
    assert!(live.contains("1 open, 1 pass"), "{live}");
    let bad = row("/health/ready");
    assert!(bad.starts_with("✗ ") && bad.contains("✗✗✗✗"), "{live}");
    assert!(
        bad.contains(" status 503 · ") && bad.ends_with(" failures left"),
        "{live}"
    );
    let good = row("#2");
    assert!(
        good.starts_with("✓ ") && good.contains('▁') && good.ends_with("pass"),
        "{live}"
    );
    let last = seen.last().unwrap();
    assert!(
        last.trim_start().starts_with("✗ healthgate: fail"),
        "{last}"
    );
    assert!(
        !last.contains(" open") && !last.contains(" more in a row ·"),
        "{last}"
    );
}

#[test]
fn a_small_terminal_shows_the_worst_and_how_many_more_there_are() {
    let (shop, folder) = (Shop::start("v1"), tempfile::tempdir().unwrap());
    let probe = |n: usize| {
        let path = if n == 33 { "/health/ready" } else { "/" };
        serde_json::json!({"name": format!("a-rather-long-name-of-a-probe-{n}"), "url": shop.url(path)})
    };
    shop.set_health("no database", 503);
    let config = serde_json::json!({"version": 1, "healthgate": {
        "policy": {"interval": "200ms", "deadline": "3s", "soak": "2s"},
        "http": (0..40).map(probe).collect::<Vec<_>>()}});
    let path = folder.path().join("deploy-guard.yml");
    std::fs::write(&path, config.to_string()).unwrap();
    let seen = screens(8, 60, &[], &format!("--config {}", path.display()));
    let live: Vec<_> = seen
        .iter()
        .filter(|screen| screen.lines().any(|line| line.starts_with("… ")))
        .collect();
    assert!(!live.is_empty(), "{seen:#?}");
    for screen in live {
        let lines: Vec<_> = screen.lines().collect();
        assert!(lines.len() <= 7, "{screen}");
        assert!(
            lines[1].starts_with("✗ http/a-ra") && lines[1].contains("-probe-33 "),
            "{screen}"
        );
        assert!(
            lines.iter().all(|line| line.chars().count() < 60),
            "{screen}"
        );
    }
}

#[test]
fn no_live_view_where_it_is_not_wanted() {
    let closed = format!(
        "--http http://127.0.0.1:{}/ --interval 100ms --deadline 2s",
        testkit::free_port()
    );
    for (variables, flag) in [
        (&[][..], "--no-progress"),
        (&[], "--quiet"),
        (&[("TERM", "dumb")], "--color never"),
    ] {
        let seen = screens(24, 80, variables, &format!("{closed} {flag}"));
        assert!(
            seen.iter().all(|screen| !screen.contains("open")),
            "{flag}: {seen:#?}"
        );
        assert!(seen.last().unwrap().contains("healthgate: fail"), "{flag}");
    }
}

#[test]
fn a_log_gets_a_line_for_each_change() {
    let shop = Shop::start("v1");
    let url = shop.url("/health/ready");
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            testkit::wait_until(Duration::from_secs(20), || shop.requests() > 8);
            shop.set_health("no database", 503);
        });
        testkit::bin("healthgate")
            .args([
                "--http",
                &url,
                "--interval",
                "50ms",
                "--soak",
                "60s",
                "--soak-failure-limit",
                "2",
            ])
            .output()
            .unwrap()
    });
    let text = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let id = format!("http/127.0.0.1:{}/health/ready: ", shop.port());
    let expected = [
        format!("· {id}2 more in a row · "),
        format!("· {id}soaking, "),
        format!("✗ {id}status 503 · soaking, "),
        format!("✗ {id}fail: status 503: failed while soaking (3) > soak-failure-limit (2)"),
    ];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(
            line.starts_with('+') && line.contains(&expected),
            "{expected}\n{text}"
        );
    }
    assert!(lines[2].ends_with("s left · 1 failure left"), "{text}");
}

#[test]
fn a_log_gets_a_sign_of_life_each_half_minute() {
    let shop = Shop::start("v1");
    let output = testkit::bin("healthgate")
        .args([
            "--http",
            &shop.url("/"),
            "--interval",
            "500ms",
            "--soak",
            "31s",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("\nhealthgate  30s  1 open\n  · http/127.0.0.1"),
        "{text}"
    );
    assert!(text.contains(": soaking, "), "{text}");
}

#[test]
fn the_log_has_no_colour_either_where_none_is_wanted() {
    let shop = Shop::start("v1");
    let gate = testkit::bin_path("healthgate");
    let seen = |variables: &[(&str, &str)]| {
        let inner = format!(
            "{} -v --http {} --interval 30ms",
            gate.display(),
            shop.url("/")
        );
        let mut command = Command::new(testkit::tool("script"));
        let output = testkit::clear_environment(&mut command)
            .args(["--quiet", "--return", "--command", &inner, "/dev/null"])
            .env("TERM", "xterm-256color")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let coloured = seen(&[]);
    assert!(coloured.contains("\u{1b}[32m INFO"), "{coloured}");
    let plain = seen(&[("NO_COLOR", "1")]);
    assert!(
        plain.contains(" INFO ") && !plain.contains('\u{1b}'),
        "{plain}"
    );
}

#[test]
fn a_watch_says_when_a_service_breaks_and_when_it_is_well_again() {
    use std::io::BufRead as _;
    let shop = Shop::start("v1");
    let mut command = Command::new(testkit::bin_path("healthgate"));
    let mut child = testkit::clear_environment(&mut command)
        .args(["--watch", "--interval", "50ms", "--http"])
        .arg(shop.url("/health/ready"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let mut until = |what: &str| {
        let line = lines.find(|line| line.as_ref().unwrap().contains(what));
        line.unwrap().unwrap()
    };
    assert!(until("✓ ").ends_with(": pass"));
    for _ in 0..2 {
        shop.set_health("no database", 503);
        // One line for it, and none before that takes it back.
        let broken = until("503");
        assert!(
            broken.contains("✗ ") && broken.contains(": fail: "),
            "{broken}"
        );
        shop.set_health("healthy", 200);
        assert!(until(", now pass").contains("failed while soaking (1)"));
    }
    let pid = child.id().to_string();
    Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// A number from one of the kernel's files about a process.
fn number(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

/// The bytes that a process has written, and how often it tried.
fn writes(pid: &str) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    (number(&text, "wchar:"), number(&text, "syscw:"))
}

/// Its memory, in KiB.
fn resident(pid: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    number(&text, "VmRSS:")
}

#[test]
fn the_view_ends_with_its_terminal_and_the_gate_with_its_verdict() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    // Connecting writes nothing, so all written bytes belong to the view.
    let probe =
        |n: usize| serde_json::json!({"name": format!("door-{n}"), "address": shop.address()});
    let config = serde_json::json!({"version": 1, "healthgate": {
        "policy": {"interval": "50ms", "deadline": "60s", "soak": "12s"},
        "tcp": (0..20).map(probe).collect::<Vec<_>>()}});
    std::fs::write(folder.path().join("deploy-guard.yml"), config.to_string()).unwrap();
    let gate = testkit::bin_path("healthgate");
    let line = format!(
        "trap '' HUP; sh -c 'echo $$ >pid; exec {} --report report.json'; echo $? >code",
        gate.display()
    );
    let mut window = testkit::Terminal::open(&line, folder.path(), (24, 80), &[]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("door-7") {
        let bytes = window.read();
        assert!(!bytes.is_empty(), "{}", String::from_utf8_lossy(&seen));
        seen.extend(bytes);
    }
    let pid = read("pid").trim().to_owned();
    let (written, calls) = writes(&pid);
    assert!(
        written > 8 * calls,
        "frames are counted: {written}, {calls}"
    );
    let before = resident(&pid);
    window.close();
    // A loop wakes itself by writing eight bytes; whatever else is tried would be a frame.
    let frames_in = |span: Duration| {
        let before = writes(&pid);
        std::thread::sleep(span);
        let (written, calls) = writes(&pid);
        written - before.0 != 8 * (calls - before.1)
    };
    // One frame may be on its way, and no other after it.
    let ended = || !frames_in(Duration::from_millis(600));
    assert!(testkit::wait_until(Duration::from_secs(10), ended));
    assert!(!frames_in(Duration::from_secs(3)), "it goes on drawing");
    // A frame for each quarter of a second would be a megabyte by then.
    let grown = resident(&pid).saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB more");
    let ended = testkit::wait_until(Duration::from_secs(60), || !read("code").is_empty());
    assert!(ended, "it does not end");
    assert_eq!(read("code"), "0\n");
    let report: serde_json::Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(report["verdict"], "pass", "{report}");
}
