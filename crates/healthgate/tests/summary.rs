//! The summary as GitHub shows it, in a real browser, with mermaid itself.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Nginx, Shop, browser};

/// An nginx that answers every request with this text.
fn answering(status: u16, text: &str) -> Nginx {
    Nginx::serving(&format!(
        "server {{
            listen 127.0.0.1:PORT;
            add_header X-Evil '<b>`|' always;
            return {status} '{text}';
        }}"
    ))
}

/// Runs the gate over probes of these names and URLs.
fn gate(folder: &Path, probes: &[(&str, &str)]) -> assert_cmd::assert::Assert {
    within("5s", folder, probes)
}

/// The same, with answers that may take so long.
fn within(latency: &str, folder: &Path, probes: &[(&str, &str)]) -> assert_cmd::assert::Assert {
    let probes: Vec<_> = probes
        .iter()
        .map(|(name, url)| json!({"name": name, "url": url, "max-latency": latency}))
        .collect();
    let policy = json!({"interval": "30ms", "failure-limit": 3});
    let config = json!({"version": 1, "healthgate": {"policy": policy, "http": probes}});
    let path = folder.join("deploy-guard.yml");
    std::fs::write(&path, config.to_string()).unwrap();
    testkit::bin("healthgate")
        .arg("--config")
        .arg(path)
        .arg("--summary")
        .arg(folder.join("summary.md"))
        .assert()
}

#[test]
fn an_answer_that_was_too_slow_is_drawn_whatever_its_probe_is_called() {
    let slow = Shop::start("v1");
    slow.set_delay(std::time::Duration::from_millis(500));
    let folder = tempfile::tempdir().unwrap();
    let name = "\"]%%{init: {}}%%;<img src=x>|`x`[y](http://evil)";
    within("20ms", folder.path(), &[(name, &slow.url("/"))]).code(1);
    let page = browser::summary(&folder.path().join("summary.md"));
    assert_eq!(page["charts"], json!(["xychart"]), "{page:#}");
    for forbidden in ["img", "a", "script", "h1"] {
        assert_eq!(page["elements"][forbidden], Value::Null, "{page:#}");
    }
}

#[test]
fn hostile_answers_and_names_stay_text_and_stand_beside_the_marks() {
    let evil = "```\n</pre></details><img src=x onerror=y>\n\n[x](http://evil)\n| a |\n````\n\
                %%{init: {}}%%\n# h\n~~~\n<script>z</script>\u{1b}[2J\u{202e}";
    let nginx = answering(503, evil);
    let folder = tempfile::tempdir().unwrap();
    let name = "\"]%%{init: {}}%%;<img src=x>|`x`[y](http://evil)";
    gate(folder.path(), &[(name, &nginx.url("/"))]).code(1);
    let page = browser::summary(&folder.path().join("summary.md"));
    // A status has decided: the summary does not draw latencies.
    assert_eq!(page["charts"], json!([]), "{page:#}");
    for forbidden in ["img", "a", "script", "h1"] {
        assert_eq!(page["elements"][forbidden], Value::Null, "{page:#}");
    }
    assert_eq!(page["elements"]["details"], 2, "{page:#}");
    assert_eq!(page["folded"], json!(["Slowest probes"]), "{page:#}");
    let open = page["open"][0].as_str().unwrap();
    assert!(open.ends_with(": fail ✗✗✗✗"), "{page:#}");
    let answers = page["answers"].as_array().unwrap();
    assert_eq!(answers.len(), 2, "the first and the last failure: {page:#}");
    let answer = answers[0].as_str().unwrap();
    let shown = evil
        .replace('\u{1b}', "\\u{1b}")
        .replace('\u{202e}', "\\u{202e}");
    assert!(answer.lines().next().unwrap().contains("503"), "{answer}");
    assert!(answer.contains(&shown), "{answer}");
    let tables = page["tables"].as_array().unwrap();
    assert_eq!(tables.len(), 2, "outcomes and the slowest: {page:#}");
    assert_eq!(tables[0].as_array().unwrap().len(), 2);
    assert_eq!(
        tables[1][0],
        json!(["probe", "slowest", "median", "measured"])
    );
    assert_eq!(tables[1][1][3], "4");
}

#[test]
fn what_passed_is_not_drawn_and_the_slowest_stand_first() {
    let (slow, fast) = (Shop::start("v1"), Shop::start("v1"));
    slow.set_delay(std::time::Duration::from_millis(500));
    let folder = tempfile::tempdir().unwrap();
    gate(
        folder.path(),
        &[("fast", &fast.url("/")), ("slow", &slow.url("/"))],
    )
    .code(0);
    let page = browser::summary(&folder.path().join("summary.md"));
    assert_eq!(
        (&page["charts"], &page["answers"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(page["tables"][1][1][0], "http/slow");
}
