//! Examples of the keys beside a target: hooks, evidence, and the routes that `decide` probes.

use std::fs;
use std::process::Command;

use serde_json::Value;
use testkit::{Nginx, Shop};

use crate::targets::bed::Bed;

/// A folder with the example, its paths and addresses replaced; each must be there.
fn bed(example: &str, pairs: &[(&str, &str)]) -> Bed {
    let bed = Bed::new();
    let path = format!("examples/rollback/{example}.yml");
    let mut text = fs::read_to_string(testkit::workspace().join(path)).unwrap();
    let here = bed.path("").display().to_string();
    let ours = [
        ("/var/lib/shop/", &*here),
        ("./switch.sh", "sh ./switch.sh"),
        ("./live.sh", "sh ./live.sh"),
    ];
    for (from, to) in ours.iter().chain(pairs) {
        assert!(text.contains(from), "the example has no `{from}` any more");
        text = text.replace(from, to);
    }
    bed.write("deploy-guard.yml", &text);
    bed.write("switch.sh", "printf %s \"$1\" >live\n");
    bed.write("live.sh", "cat live\n");
    bed
}

fn recorded(bed: &Bed) {
    bed.write("live", "v1");
    bed.rollback(&["record", "--release", "v1"]).is(0, &[]);
    bed.rollback(&["record", "--pending", "--release", "v2"])
        .is(0, &[]);
    bed.write("live", "v2");
}

#[test]
fn the_example_of_hooks_keeps_saves_and_tells() {
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("uploads")).unwrap();
    fs::write(files.path().join("uploads/a-picture"), "").unwrap();
    let shop = files.path().display().to_string();
    let bed = bed(
        "hooks",
        &[("/srv/shop", &shop), ("./notify.sh", "sh ./notify.sh")],
    );
    bed.write("notify.sh", "printf '%s\\n' \"$1\" >>told\n");
    recorded(&bed);
    bed.rollback(&["run"]).is(
        0,
        &["rolled back from v2 to v1", "backup/uploads", "after/chat"],
    );
    assert_eq!(bed.read("live"), "v1");
    let told = bed.read("told");
    assert!(
        told.starts_with("shop: pass, from v2 to v1: rolled back"),
        "{told}"
    );
    let sent: Value = serde_json::from_str(&bed.read("last-rollback.json")).unwrap();
    assert_eq!(sent["verdict"], "pass");
    let mut kept = fs::read_dir(bed.path("evidence")).unwrap();
    let kept = kept.next().unwrap().unwrap().path();
    for (name, text) in [
        ("localhost.sockets.txt", "TCP"),
        ("localhost.disk.txt", "Filesystem"),
    ] {
        let found = fs::read_to_string(kept.join(name)).unwrap();
        assert!(found.contains(text), "{name}: {found}");
    }
    let mut tar = Command::new("tar");
    let listed = tar.arg("-tzf").arg(kept.join("uploads.tar.gz")).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(listed.contains("uploads/a-picture"), "{listed}");
}

#[test]
fn the_example_of_a_decision_goes_by_what_users_get() {
    let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
    let nginx = Nginx::start(&blue.address());
    let bed = bed(
        "decide",
        &[
            ("https://shop.example.com", &nginx.url("")),
            ("http://127.0.0.1:8002", &green.url("")),
        ],
    );
    recorded(&bed);
    // The new instance runs beside it, and nothing has been switched yet.
    bed.write("live", "v1");
    bed.rollback(&["decide"])
        .is(0, &["SAFE", "decide/users", "decide/new-instance"]);
    // Switched by the target's own data, before a user's request shows it.
    bed.write("live", "v2");
    bed.rollback(&["decide"])
        .is(1, &["CRITICAL", "decide/target: the new release runs: v2"]);
    bed.write("live", "v1");
    blue.set_release("v2");
    bed.rollback(&["decide"])
        .is(1, &["CRITICAL", "users get the new release: v2"]);
}

#[test]
fn the_example_of_a_run_deploys_goes_back_and_tells() {
    // The example's own policy waits for minutes.
    let quick = "policy: { interval: 50ms, success-threshold: 2, failure-limit: 1 }";
    let quick = format!("healthgate:\n  {quick}\n");
    let bed = bed(
        "run",
        &[("./notify.sh", "sh ./notify.sh"), ("healthgate:\n", &quick)],
    );
    bed.write("notify.sh", "printf '%s\\n' \"$1\" >>told\n");
    bed.write(
        "switch.sh",
        "[ \"$1\" = v3 ] && set -- broken\nprintf %s \"$1\" >live\n",
    );
    bed.write("live", "v1");
    bed.rollback(&["record", "--release", "v1"]).is(0, &[]);
    let run = |release: &str| {
        let mut command = Command::new(testkit::bin_path("deploy-guard"));
        let output = testkit::clear_environment(&mut command)
            .current_dir(bed.path(""))
            .args(["run", "--release", release])
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = run("v2");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("after/chat"), "{text}");
    let told = bed.read("told");
    assert_eq!(
        told,
        "shop: pass, v2 after v1: v2 is live, healthy, and last-known-good\n"
    );
    let (code, text) = run("v3");
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(bed.read("live"), "v2");
    let told = bed.read("told");
    let last = told.lines().last().unwrap();
    assert!(
        last.starts_with("shop: fail, v3 after v2: healthgate: command/live: "),
        "{told}"
    );
    // The gate's `${RELEASE}` is the release that is verified, not the one that was taken back.
    assert!(last.contains("rolled back from"), "{told}");
    assert!(text.contains("verify/command/live"), "{text}");
    let status = bed.rollback(&["status", "--format", "json"]);
    assert!(!status.text.contains("\"frozen\": {"), "{}", status.text);
    let sent: Value = serde_json::from_str(&bed.read("last-deployment.json")).unwrap();
    assert_eq!(
        (&sent["stage"], &sent["verdict"]),
        (&"run".into(), &"fail".into())
    );
}
