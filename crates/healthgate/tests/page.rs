//! The page of a report in a real browser: on a phone and on a desk, light and dark, and by axe.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Nginx, Shop, browser};

fn gate(folder: &Path, http: &Value) -> assert_cmd::assert::Assert {
    let policy = json!({"interval": "30ms", "failure-limit": 20, "success-threshold": 2});
    let config =
        json!({"version": 1, "service": "shop", "healthgate": {"policy": policy, "http": http}});
    std::fs::write(folder.join("deploy-guard.yml"), config.to_string()).unwrap();
    testkit::bin("healthgate")
        .current_dir(folder)
        .args(["--html", "page.html"])
        .assert()
}

#[test]
fn a_phone_and_a_screen_reader_can_read_it_and_the_table_sorts() {
    let (shop, ill) = (
        Shop::start("v1"),
        Nginx::serving(
            "server { listen 127.0.0.1:PORT; return 503 '</pre><img src=x onerror=alert(1)><script>alert(2)</script>'; }",
        ),
    );
    let folder = tempfile::tempdir().unwrap();
    let http = json!([
        {"name": "zebra", "url": shop.url("/"), "max-latency": "800ms"},
        {"name": "<img src=x>", "url": ill.url("/a/long/path/that/no/phone/can/show/in/one/line/of/text?and=more"), "max-latency": "400ms"},
        {"name": "apple", "url": shop.url("/")},
    ]);
    gate(folder.path(), &http).code(1);
    let seen = browser::page(&folder.path().join("page.html"));
    assert_eq!(seen["views"], 4);
    for nothing in ["violations", "wide", "problems"] {
        assert_eq!(seen[nothing], json!([]), "{seen:#}");
    }
    assert_eq!(seen["requests"], 0);
    // Our own script, and axe.
    assert_eq!(seen["elements"], json!({"img": 0, "a": 0, "scripts": 2}));
    let ids = |key: &str| -> Vec<String> {
        let cells = seen[key].as_array().unwrap().iter();
        cells
            .map(|cell| cell.as_str().unwrap()[..8].to_owned())
            .collect()
    };
    // A phone shows the failures, and the rest on demand; the next step in full size.
    assert_eq!(
        (&seen["folded"], &seen["unfolded"]),
        (&json!(1), &json!(3)),
        "{seen:#}"
    );
    assert!(seen["hint"].as_f64().unwrap() >= 16.0, "{seen:#}");
    assert_eq!(ids("sorted"), ["http/<im", "http/app", "http/zeb"]);
    assert_eq!(ids("backwards"), ["http/zeb", "http/app", "http/<im"]);
    let drawings = seen["drawings"].as_array().unwrap();
    assert!(drawings.len() >= 2 && seen["painted"] == true, "{seen:#}");
    assert!(
        drawings[1].as_str().unwrap().starts_with("Latency over "),
        "{seen:#}"
    );
}

#[test]
fn a_page_that_cannot_be_written_is_said_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    testkit::bin("healthgate")
        .current_dir(folder.path())
        .args([
            "--http",
            "http://127.0.0.1:1/",
            "--html",
            "no/such/page.html",
        ])
        .assert()
        .code(2)
        .stderr(predicates::str::contains(
            "cannot write the report to no/such/page.html",
        ));
}

#[test]
fn no_report_takes_another_ones_place() {
    let folder = tempfile::tempdir().unwrap();
    for (files, words) in [
        (&["--html", "-"][..], "`-` is not a file"),
        (&["--report", "-"], "`-` is not a file"),
        (&["--summary", "-"], "`-` is not a file"),
        (
            &["--html", "one", "--report", "one"],
            "`--report` (one) and `--html` (one) are the same file: one would be lost",
        ),
    ] {
        testkit::bin("healthgate")
            .current_dir(folder.path())
            .args([
                "--http",
                "http://127.0.0.1:1/",
                "--interval",
                "100ms",
                "--deadline",
                "1s",
            ])
            .args(files)
            .assert()
            .code(2)
            .stderr(predicates::str::contains(words));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // By whatever name: a link, a detour, a variable of the runner, our own configuration.
    let config = "version: 1\nhealthgate: { http: [{ name: a, url: 'http://127.0.0.1:1/' }] }\n";
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    std::fs::write(folder.path().join("output"), "").unwrap();
    std::os::unix::fs::symlink("one", folder.path().join("link")).unwrap();
    for (files, variables, names) in [
        (
            &["--report", "one", "--html", "./one"][..],
            &[][..],
            ["`--report`", "`--html`"],
        ),
        (
            &["--report", "one", "--html", "link"],
            &[],
            ["`--report`", "`--html`"],
        ),
        (
            &["--report", "one", "--summary", "link"],
            &[],
            ["`--report`", "`--summary`"],
        ),
        (
            &["--html", "one"],
            &[("GITHUB_STEP_SUMMARY", "one")],
            ["`--html`", "`$GITHUB_STEP_SUMMARY`"],
        ),
        (
            &[],
            &[
                ("GITHUB_STEP_SUMMARY", "output"),
                ("GITHUB_OUTPUT", "./output"),
            ],
            ["`$GITHUB_STEP_SUMMARY`", "`$GITHUB_OUTPUT`"],
        ),
        (
            &["--report", "deploy-guard.yml"],
            &[],
            ["the configuration", "`--report`"],
        ),
    ] {
        let assert = testkit::bin("healthgate")
            .current_dir(folder.path())
            .envs(variables.iter().copied())
            .args(files)
            .assert()
            .code(2);
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(
            names.iter().all(|name| text.contains(name)),
            "{files:?}: {text}"
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    // A link to what stdout is: it would be replaced by the report.
    let link = format!(
        "exec {} --http http://127.0.0.1:1/ --interval 100ms --deadline 1s --html /dev/stdout >out",
        testkit::bin_path("healthgate").display()
    );
    let mut shell = std::process::Command::new("sh");
    let output = testkit::clear_environment(&mut shell)
        .current_dir(folder.path())
        .args(["-c", &link])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("is a link to another file"), "{text}");
    assert!(Path::new("/dev/stdout").is_symlink());
}

#[test]
fn a_pipe_that_nobody_reads_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo")
        .args(["page", "report", "summary"])
        .current_dir(folder.path())
        .status();
    assert!(made.unwrap().success());
    let page = folder.path().join("page");
    for file in ["page", "report", "summary"] {
        let flag = if file == "page" { "html" } else { file };
        let begun = std::time::Instant::now();
        testkit::bin("healthgate")
            .current_dir(folder.path())
            .args([
                "--http",
                "http://127.0.0.1:1/",
                "--interval",
                "100ms",
                "--deadline",
                "1s",
            ])
            .arg(format!("--{flag}={file}"))
            .assert()
            .code(1)
            .stderr(predicates::str::contains(format!("to {file}: ")));
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    }
    // One that is read gets it all.
    let reader = std::thread::spawn(move || std::fs::read_to_string(page).unwrap());
    let text = "version: 1\nhealthgate: { http: [{ name: a, url: 'http://127.0.0.1:1/' }], policy: { interval: 100ms, deadline: 1s } }\n";
    testkit::bin("healthgate")
        .current_dir(folder.path())
        .args(["--config", "/dev/stdin", "--html", "page"])
        .write_stdin(text)
        .assert()
        .code(1);
    assert!(reader.join().unwrap().ends_with("</html>"));
}
