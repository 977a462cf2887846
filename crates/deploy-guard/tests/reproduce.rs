//! `deploy-guard reproduce`: a report of CI, here again.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use testkit::Shop;

const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

struct Checkout {
    folder: TempDir,
    shop: Shop,
}

impl Checkout {
    fn new() -> Checkout {
        let shop = Shop::start("v1");
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1\nservice: shop\npreflight: {{ secrets: [{{ name: DEPLOY_KEY }}] }}\nhealthgate:\n  policy: {{ interval: 20ms, success-threshold: 2, failure-limit: 1, deadline: 5s }}\n  \
             http:\n    - {{ name: ready, url: '{}', headers: {{ Authorization: '${{TOKEN}}' }} }}\n    - {{ name: page, url: '${{BASE}}/' }}\n\
             rollback: {{ state: state.json, command: {{ run: touch acted, current: echo v2 }} }}\n",
            shop.url("/health/ready")
        );
        fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
        fs::create_dir_all(folder.path().join(".git/refs/heads")).unwrap();
        fs::write(folder.path().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(
            folder.path().join(".git/refs/heads/main"),
            format!("{SHA}\n"),
        )
        .unwrap();
        Checkout { folder, shop }
    }

    /// A stage as CI runs it; its exit code.
    fn ci(&self, args: &[&str]) -> i32 {
        let mut command = testkit::bin("deploy-guard");
        command.current_dir(self.folder.path()).args(args);
        command.args(["--report", "ci.json"]);
        command
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_SHA", SHA)
            .env("GITHUB_RUN_ID", "42")
            .env("DEPLOY_GUARD_RELEASE", "v1");
        command
            .env("TOKEN", "canary-token")
            .env("BASE", self.shop.url(""))
            .env("DEPLOY_KEY", "canary-key");
        command.output().unwrap().status.code().unwrap()
    }

    /// v1 is good, v2 is live.
    fn recorded(&self) {
        for (release, pending) in [("v1", false), ("v2", true)] {
            let mut command = testkit::bin("deploy-guard");
            command.current_dir(self.folder.path()).args([
                "rollback",
                "record",
                "--force=not-running",
                "--reason=test",
                "--release",
                release,
            ]);
            if pending {
                command.arg("--pending");
            }
            command
                .env("TOKEN", "t")
                .env("BASE", self.shop.url(""))
                .assert()
                .code(0);
        }
    }

    fn here(&self, args: &[&str], env: &[(&str, &str)]) -> (i32, Value, String) {
        let mut command = testkit::bin("deploy-guard");
        command
            .current_dir(self.folder.path())
            .args(["reproduce", "ci.json", "--format", "json"])
            .args(args);
        let output = command.envs(env.iter().copied()).output().unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), report, text)
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let path = self.folder.path().join("ci.json");
        let mut report: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut report);
        fs::write(path, report.to_string()).unwrap();
    }
}

#[track_caller]
fn outcome<'r>(report: &'r Value, id: &str) -> &'r Value {
    let mut all = report["outcomes"].as_array().unwrap().iter();
    let found = all.find(|outcome| outcome["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {report:#}"))
}

#[test]
fn a_gate_of_ci_says_the_same_here_until_the_service_changes() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let report = fs::read_to_string(checkout.folder.path().join("ci.json")).unwrap();
    assert!(
        !report.contains("canary"),
        "a report holds names, no value:\n{report}"
    );
    let inputs: Value = serde_json::from_str::<Value>(&report).unwrap()["inputs"].clone();
    assert_eq!(
        inputs["configuration"]["path"], "deploy-guard.yml",
        "{inputs}"
    );
    assert_eq!(
        inputs["variables"]["TOKEN"],
        serde_json::json!({"set": true, "secret": true})
    );
    assert_eq!(
        inputs["variables"]["BASE"],
        serde_json::json!({"set": true, "secret": false})
    );
    assert_eq!(inputs["settings"]["DEPLOY_GUARD_RELEASE"], "v1");

    let base = checkout.shop.url("");
    let env = [
        ("TOKEN", "another-token"),
        ("BASE", base.as_str()),
        ("DEPLOY_KEY", "k"),
    ];
    let (code, report, _) = checkout.here(&[], &env);
    assert_eq!(code, 0, "{report:#}");
    for id in [
        "had/stage",
        "had/commit",
        "had/inputs",
        "had/configuration",
        "had/secret/TOKEN",
        "had/variable/BASE",
        "again",
    ] {
        assert_eq!(outcome(&report, id)["verdict"], "pass", "{report:#}");
    }
    assert!(!report.to_string().contains("another-token"), "{report}");

    checkout.shop.set_health("degraded", 503);
    let (code, report, _) = checkout.here(&[], &env);
    assert_eq!(code, 1, "{report:#}");
    let again = outcome(&report, "again");
    assert_eq!(again["verdict"], "fail");
    assert!(
        again["reason"]
            .as_str()
            .unwrap()
            .contains("pass in CI, fail here; different: http/ready"),
        "{again}"
    );

    let mut command = testkit::bin("deploy-guard");
    let output = command
        .current_dir(checkout.folder.path())
        .args(["reproduce", "ci.json"])
        .envs(env)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("Where the two differ") && text.contains("http/ready"),
        "{text}"
    );
}

#[test]
fn what_is_not_here_is_named_and_nothing_is_run() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let before = checkout.shop.requests();
    let base = checkout.shop.url("");
    let (code, report, _) = checkout.here(&[], &[("BASE", &base)]);
    assert_eq!(code, 3, "{report:#}");
    let token = outcome(&report, "had/secret/TOKEN");
    assert!(
        token["reason"]
            .as_str()
            .unwrap()
            .contains("CI had the secret TOKEN, and it is not set here"),
        "{token}"
    );
    assert!(
        outcome(&report, "again")["reason"]
            .as_str()
            .unwrap()
            .contains("--ignore-missing")
    );
    assert_eq!(checkout.shop.requests(), before, "nothing was checked");
    // `--check` only compares, also where everything exists here.
    let env = [("TOKEN", "t"), ("BASE", base.as_str()), ("DEPLOY_KEY", "k")];
    let (code, _, _) = checkout.here(&["--check"], &env);
    assert_eq!((code, checkout.shop.requests()), (0, before));
    let (code, report, _) = checkout.here(&["--ignore-missing"], &env[..2]);
    assert_eq!(
        (code, outcome(&report, "again")["verdict"].as_str()),
        (3, Some("pass")),
        "{report:#}"
    );
    // Another configuration, another commit.
    let path = checkout.folder.path().join("deploy-guard.yml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "# changed\n").unwrap();
    fs::write(checkout.folder.path().join(".git/HEAD"), "fedc\n").unwrap();
    let (code, report, _) = checkout.here(&[], &env);
    assert_eq!(code, 3);
    assert_eq!(
        outcome(&report, "had/configuration")["verdict"],
        "inconclusive"
    );
    assert_eq!(outcome(&report, "had/commit")["severity"], "advisory");
}

#[test]
fn what_acts_is_run_dry() {
    let checkout = Checkout::new();
    checkout.recorded();
    checkout.ci(&["rollback", "run"]);
    assert!(
        checkout.folder.path().join("acted").exists(),
        "it acted in CI"
    );
    fs::remove_file(checkout.folder.path().join("acted")).unwrap();
    let base = checkout.shop.url("");
    let (code, report, text) =
        checkout.here(&[], &[("TOKEN", "t"), ("BASE", &base), ("DEPLOY_KEY", "k")]);
    let again = outcome(&report, "again");
    assert_eq!(code, 0, "{report:#} {text}");
    assert!(
        again["actual"].as_str().unwrap().starts_with("here, dry: "),
        "{again}"
    );
    assert!(
        !checkout.folder.path().join("acted").exists(),
        "nothing acts here"
    );
}

type Change = fn(&mut Value, &str);

#[test]
fn a_hostile_report_chooses_no_file_beyond_this_folder_and_no_program() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let good = fs::read(checkout.folder.path().join("ci.json")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let evil = outside.path().join("evil.yml");
    let pwned = outside.path().join("pwned");
    fs::write(
        &evil,
        format!(
            "version: 1\nhealthgate: {{ command: [{{ name: x, run: touch {} }}] }}\n",
            pwned.display()
        ),
    )
    .unwrap();
    let evil = evil.display().to_string();
    let base = checkout.shop.url("");
    let env = [("TOKEN", "t"), ("BASE", base.as_str()), ("DEPLOY_KEY", "k")];
    let changes: [Change; 5] = [
        |report, evil| report["inputs"]["configuration"]["path"] = evil.into(),
        |report, evil| report["inputs"]["configuration"]["path"] = format!("..{evil}").into(),
        |report, evil| report["inputs"]["arguments"] = serde_json::json!(["--config", evil]),
        |report, evil| {
            report["inputs"]["arguments"] =
                serde_json::json!([format!("--config={evil}"), "--report", "stolen.json"]);
        },
        |report, evil| report["inputs"]["settings"] = serde_json::json!({"DEPLOY_GUARD_CONFIG": evil, "LD_PRELOAD": evil, "PATH": "/nowhere"}),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
        checkout.edit(|report| change(report, &evil));
        checkout.here(&["--ignore-missing"], &env);
        assert!(!pwned.exists(), "change {at}");
        assert!(
            !checkout.folder.path().join("stolen.json").exists(),
            "change {at}"
        );
    }
    for (what, text) in [
        ("serve", None),
        ("", Some("{")),
        ("", Some("{\"schema\": \"deploy-guard/report/v1\"}")),
        ("", Some("")),
    ] {
        fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
        match text {
            Some(text) => fs::write(checkout.folder.path().join("ci.json"), text).unwrap(),
            None => checkout.edit(|report| report["stage"] = what.into()),
        }
        let (code, _, text) = checkout.here(&[], &env);
        assert!(code == 2 && text.contains("hint:"), "{code} {text}");
    }
    // A report of an older version, and none at all.
    fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
    checkout.edit(|report| drop(report.as_object_mut().unwrap().remove("inputs")));
    let (code, _, text) = checkout.here(&[], &env);
    assert!(code == 2 && text.contains("older version"), "{text}");
    fs::remove_file(checkout.folder.path().join("ci.json")).unwrap();
    assert_eq!(checkout.here(&[], &env).0, 2);
}

#[test]
fn an_input_that_was_a_secret_is_asked_for() {
    let checkout = Checkout::new();
    let url = checkout.shop.url("/health/ready");
    let header = "Authorization: canary-token";
    assert_eq!(
        checkout.ci(&["healthgate", "--http", &url, "--header", header]),
        0
    );
    let report = fs::read_to_string(checkout.folder.path().join("ci.json")).unwrap();
    assert!(!report.contains("canary"), "{report}");
    let base = checkout.shop.url("");
    let (code, report, _) =
        checkout.here(&[], &[("TOKEN", "t"), ("BASE", &base), ("DEPLOY_KEY", "k")]);
    assert_eq!(code, 3, "{report:#}");
    assert!(
        outcome(&report, "had/inputs")["reason"]
            .as_str()
            .unwrap()
            .contains("a secret was among the inputs")
    );
}

/// The command line decides which word is the action: a flag's value may be called like one that
/// only looks.
#[test]
fn a_value_that_is_called_like_an_action_does_not_make_it_act() {
    let checkout = Checkout::new();
    checkout.recorded();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let good = fs::read(checkout.folder.path().join("ci.json")).unwrap();
    let base = checkout.shop.url("");
    let env = [("TOKEN", "t"), ("BASE", base.as_str()), ("DEPLOY_KEY", "k")];
    for words in [
        &["--environment", "status", "run"][..],
        &["--lock-wait", "1s", "--reason", "plan", "run"],
        &["--release", "history", "run", "--to", "v1"],
        &["--only", "decide", "--no-progress", "run"],
        &["run", "--dry-run"],
        &["--dry-run", "run"],
        &["run", "--"],
    ] {
        fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
        checkout.edit(|report| {
            report["stage"] = "rollback".into();
            report["inputs"]["arguments"] = words.into();
            report["inputs"]["settings"] = serde_json::json!({});
        });
        let (_, report, text) = checkout.here(&["--ignore-missing"], &env);
        // Dry, or not understood at all.
        let again = outcome(&report, "again");
        let actual = again["actual"].as_str().unwrap();
        assert!(
            actual.starts_with("here, dry: ") || actual.starts_with("none: "),
            "{words:?}: {again} {text}"
        );
        assert!(
            !checkout.folder.path().join("acted").exists(),
            "{words:?} acted"
        );
    }
}

#[test]
fn no_line_of_a_file_elsewhere_is_sent_to_whom_a_report_names() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let good = fs::read(checkout.folder.path().join("ci.json")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    let lines = outside.path().join("lines");
    fs::write(&lines, "private-line\n").unwrap();
    let lines = lines.display().to_string();
    let http = checkout.shop.url("/{target}");
    let base = checkout.shop.url("");
    let env = [("TOKEN", "t"), ("BASE", base.as_str()), ("DEPLOY_KEY", "k")];
    let before = checkout.shop.requests();
    let asked = serde_json::json!(["--http", http, "--targets-file", lines]);
    let set = serde_json::json!({"DEPLOY_GUARD_HTTP": http, "DEPLOY_GUARD_TARGETS_FILE": lines});
    for (arguments, settings) in [
        (asked, serde_json::json!({})),
        (serde_json::json!([]), set),
        (
            serde_json::json!(["--http", http, format!("--targets-file=../{lines}")]),
            serde_json::json!({}),
        ),
        (serde_json::json!(["merge", lines]), serde_json::json!({})),
    ] {
        fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
        checkout.edit(|report| {
            report["inputs"]["arguments"] = arguments.clone();
            report["inputs"]["settings"] = settings.clone();
        });
        let (code, _, text) = checkout.here(&["--ignore-missing"], &env);
        assert_eq!(code, 2, "{arguments} {settings}: {text}");
        assert!(text.contains("is not below this folder"), "{text}");
    }
    assert_eq!(checkout.shop.requests(), before, "nothing was checked");
}

#[test]
fn what_a_huge_report_makes_us_say_is_short() {
    let checkout = Checkout::new();
    assert_eq!(checkout.ci(&["healthgate"]), 0);
    let good = fs::read(checkout.folder.path().join("ci.json")).unwrap();
    let base = checkout.shop.url("");
    let env = [("TOKEN", "t"), ("BASE", base.as_str()), ("DEPLOY_KEY", "k")];
    for key in ["schema", "stage", "verdict"] {
        fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
        checkout.edit(|report| report[key] = "x".repeat(3_000_000).into());
        let (code, _, text) = checkout.here(&[], &env);
        assert!(code == 2 && text.len() < 1000, "{key}: {}", text.len());
    }
    fs::write(checkout.folder.path().join("ci.json"), &good).unwrap();
    checkout.edit(|report| {
        let one = report["outcomes"][0].clone();
        let many = (0..30_000).map(|n| {
            let mut one = one.clone();
            one["id"] = format!("http/{n}").into();
            one
        });
        report["outcomes"] = many.collect();
    });
    let begun = std::time::Instant::now();
    let (code, report, _) = checkout.here(&["--ignore-missing"], &env);
    assert_eq!(code, 1);
    let reason = outcome(&report, "again")["reason"].as_str().unwrap();
    assert!(reason.len() < 400 && reason.contains(" more"), "{reason}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}
