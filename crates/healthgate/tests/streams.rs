//! Where report and summary may be written to, and where reports may be read from: also what is
//! no file.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use predicates::str::contains;
use testkit::Shop;

fn gate(shop: &Shop) -> assert_cmd::Command {
    let mut command = testkit::bin("healthgate");
    command
        .args(["--http", &shop.url("/"), "--interval", "30ms"])
        .timeout(Duration::from_secs(60));
    command
}

#[test]
fn a_summary_can_be_looked_at_on_stdout() {
    let shop = Shop::start("v1");
    // The summary must not read stdout first: a pipe that we hold open ourselves never ends.
    gate(&shop)
        .args(["--summary", "/dev/stdout"])
        .assert()
        .code(0)
        .stdout(contains("## ✅ healthgate: pass"));
}

#[test]
fn a_report_goes_into_a_device_or_pipe_and_takes_no_place_of_it() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    symlink("/proc/self/fd/1", &path).unwrap();
    gate(&shop)
        .arg("--report")
        .arg(&path)
        .assert()
        .code(0)
        .stdout(contains("\"schema\": \"deploy-guard/report/v1\""));
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[test]
fn a_folder_in_the_place_of_the_report_is_refused_before_anything_is_asked() {
    let shop = Shop::start("v1");
    let folder = tempfile::tempdir().unwrap();
    gate(&shop)
        .arg("--report")
        .arg(folder.path())
        .assert()
        .code(2)
        .stderr(contains("it is a folder"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let shop = Shop::start("v1");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut command = Command::new(testkit::bin_path("healthgate"));
    let output = testkit::clear_environment(&mut command)
        .args(["--http", &shop.url("/"), "--interval", "30ms"])
        .args(["--format", "json"])
        .stdout(full)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("failed to write to stdout: No space"),
        "{told}"
    );
}

/// Whether a process catches SIGINT by now.
fn listens(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & 0b10 != 0)
}

#[test]
fn a_merge_that_waits_for_a_report_ends_with_a_signal() {
    let mut command = Command::new(testkit::bin_path("healthgate"));
    let mut child = testkit::clear_environment(&mut command)
        .args(["merge", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !listens(child.id()) {
        thread::sleep(Duration::from_millis(10));
    }
    let pid = child.id().to_string();
    Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .unwrap();
    let started = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if started.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("it still waits");
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(code, Some(130));
}
