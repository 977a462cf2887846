//! Installing a release: by the Action and by the script alone, from a web server that has its
//! files as a forge has them, and from servers that fail in each way there is.

use crate::release;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::job::Job;
use crate::release::{Release, tools};
use predicates::prelude::*;
use predicates::str::contains;
use testkit::{Authority, Tinyproxy};

/// A job whose Action is the revision of a release.
fn job(release: &Release) -> Job {
    let job = Job::new();
    let checksums = job.path("action/action/checksums.txt");
    fs::write(checksums, release.checksums()).unwrap();
    job
}

/// The step, with the forge at this address.
fn step(job: &Job, server: &str, inputs: &[(&str, &str)]) -> Command {
    let mut command = job.command(&[&[("STAGE", "healthgate"), ("BIN_DIR", "")], inputs].concat());
    command
        .env("RUNNER_TOOL_CACHE", job.path("tools"))
        .env("GITHUB_SERVER_URL", server)
        .env("ACTION_REPOSITORY", "acme/deploy-guard")
        .env("DEPLOY_GUARD_DOWNLOAD_ATTEMPTS", "2")
        .env("DEPLOY_GUARD_DOWNLOAD_TIMEOUT", "5")
        .env("NO_PROXY", "127.0.0.1");
    command
}

fn assert(command: Command) -> assert_cmd::assert::Assert {
    assert_cmd::Command::from_std(command).assert()
}

/// The files below a folder, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let output = Command::new("find")
        .arg(folder)
        .args(["-type", "f"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Nothing was installed, kept or left behind.
fn untouched(job: &Job) {
    assert_eq!(files(&job.path("tools")), [""; 0]);
    let kept = |file: &String| file.ends_with("/deploy-guard") || file.ends_with(&release::name());
    let temp = files(&job.path("temp"));
    assert!(!temp.iter().any(kept), "{temp:?}");
}

#[test]
fn the_action_downloads_its_release_and_keeps_it_in_the_tool_cache() {
    let release = Release::start();
    let job = job(&release);
    assert(step(&job, &release.server(), &[]))
        .code(0)
        .stdout("ran [healthgate]\n");
    let cached = job.path("tools/deploy-guard/0.1.0").join(release::name());
    assert_eq!(fs::read(&cached).unwrap(), release.archive());
    let asked = release.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");

    // The next step of the job has it, and so has the next job.
    assert(step(&job, "http://127.0.0.1:1", &[])).code(0);
    fs::remove_dir_all(job.path("temp")).unwrap();
    assert(step(&job, "http://127.0.0.1:1", &[]))
        .code(0)
        .stdout("ran [healthgate]\n");
    assert_eq!(release.asked(), asked);

    // A cached file that was changed is not used.
    fs::remove_dir_all(job.path("temp")).unwrap();
    fs::write(&cached, &release.archive()[..100]).unwrap();
    assert(step(&job, "http://127.0.0.1:1", &[]))
        .code(4)
        .stdout("")
        .stderr(contains("is not what was released"));
    assert(step(&job, &release.server(), &[])).code(0);
    assert_eq!(fs::read(&cached).unwrap(), release.archive());
}

/// A step of `setup`, with the forge at this address.
fn setup(job: &Job, server: &str, inputs: &[(&str, &str)]) -> Command {
    let mut command = job.setup(&[&[("BIN_DIR", "")], inputs].concat());
    command
        .env("RUNNER_TOOL_CACHE", job.path("tools"))
        .env("GITHUB_SERVER_URL", server)
        .env("ACTION_REPOSITORY", "acme/deploy-guard")
        .env("DEPLOY_GUARD_DOWNLOAD_ATTEMPTS", "2")
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// A later `run:` step of the job, with what earlier ones put on its `PATH`.
fn run(job: &Job, line: &str) -> assert_cmd::assert::Assert {
    let added = fs::read_to_string(job.path("paths")).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("bash");
    testkit::clear_environment(&mut command)
        .args(["-ec", line])
        .env("PATH", format!("{}:{path}", added.trim_end()));
    assert(command)
}

#[test]
fn setup_puts_every_command_of_its_release_on_the_path() {
    let release = Release::start();
    let job = job(&release);
    assert(setup(&job, &release.server(), &[("VERSION", "v0.1.0")]))
        .code(0)
        .stdout("")
        .stderr(contains("deploy-guard 0.1.0 is on the PATH: "));
    let folder = fs::read_to_string(job.path("paths")).unwrap();
    assert_eq!(job.outputs()["version"], "0.1.0");
    assert_eq!(job.outputs()["path"], folder.trim_end());
    for command in [
        "deploy-guard",
        "preflight",
        "runner-check",
        "healthgate",
        "traffic",
        "migrate",
        "incident",
        "rollback",
    ] {
        run(&job, &format!("{command} 'a b'"))
            .code(0)
            .stdout("ran [a b]\n");
    }
    assert_eq!(release.asked().len(), 1);
    // A step of the Action in this job has it already.
    assert(step(&job, "http://127.0.0.1:1", &[]))
        .code(0)
        .stdout("ran [healthgate]\n");
}

#[test]
fn setup_puts_nothing_on_the_path_that_was_not_released() {
    let release = Release::start();
    let job = job(&release);
    let bare = job.path("bare");
    fs::create_dir(&bare).unwrap();
    let bare = bare.display().to_string();
    for (inputs, code, words) in [
        (
            &[("VERSION", "9.9.9")] as &[(&str, &str)],
            2,
            "version 9.9.9 is wanted",
        ),
        (
            &[("BIN_DIR", "/gone")],
            2,
            "bin-dir `/gone` is not a folder",
        ),
        (
            &[("BIN_DIR", &bare)],
            2,
            "there is none of deploy-guard preflight",
        ),
        (&[("INSTALL", "guess")], 2, "install cannot be `guess`"),
    ] {
        assert(setup(&job, &release.server(), inputs))
            .code(code)
            .stdout("")
            .stderr(contains(words));
    }
    release.serve(b"other");
    fs::remove_dir_all(job.path("tools")).unwrap();
    fs::remove_dir_all(job.path("temp")).unwrap();
    assert(setup(&job, &release.server(), &[]))
        .code(5)
        .stderr(contains("the checksum of"));
    assert!(!job.path("paths").exists());
}

/// One file is all stages, by the name of the link.
#[test]
fn a_link_with_the_name_of_a_stage_is_its_binary() {
    let job = Job::new();
    let folder = job.path("one binary");
    fs::create_dir(&folder).unwrap();
    fs::copy(
        testkit::bin_path("deploy-guard"),
        folder.join("deploy-guard"),
    )
    .unwrap();
    let folder = folder.display().to_string();
    assert(setup(&job, "", &[("BIN_DIR", &folder)])).code(0);
    for stage in [
        "preflight",
        "runner-check",
        "healthgate",
        "traffic",
        "migrate",
        "incident",
        "rollback",
    ] {
        run(&job, &format!("{stage} --version"))
            .code(0)
            .stdout(format!("{stage} 0.1.0\n"));
    }
    run(&job, "deploy-guard --version")
        .code(0)
        .stdout("deploy-guard 0.1.0\n");
    let shop = testkit::Shop::start("v1");
    // jq runs in a process of its own, which is this file again.
    let gate = format!(
        "healthgate --http {} --jq '.status == \"healthy\"' --interval 50ms --deadline 10s",
        shop.url("/health/ready")
    );
    run(&job, &gate)
        .code(0)
        .stdout(contains("healthgate: pass"));
    shop.set_health("degraded", 200);
    run(&job, &format!("{gate} --failure-limit 0")).code(1);
}

#[test]
fn jobs_side_by_side_share_one_tool_cache() {
    let release = Release::start();
    let job = job(&release);
    let steps: Vec<_> = (0..6)
        .map(|n| {
            let mut step = step(&job, &release.server(), &[]);
            step.env("RUNNER_TEMP", job.path(&format!("temp-{n}")));
            step.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for step in steps {
        let output = step.wait_with_output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "ran [healthgate]\n"
        );
    }
    let kept = files(&job.path("tools"));
    assert!(
        kept.len() == 1 && kept[0].ends_with(&release::name()),
        "{kept:?}"
    );
}

#[test]
fn a_tool_cache_that_cannot_be_used_is_no_reason_to_stop() {
    let release = Release::start();
    let kept = "tools/deploy-guard/0.1.0";
    for (what, note) in [
        ("a file", "the archive is not kept"),
        ("a folder", "the archive is not kept"),
        ("a link", "is not what was released"),
        ("a half", "is not what was released"),
    ] {
        let job = job(&release);
        let cached = job.path(kept).join(release::name());
        match what {
            "a file" => fs::write(job.path("tools"), "").unwrap(),
            "a folder" => fs::create_dir_all(&cached).unwrap(),
            _ => fs::create_dir_all(job.path(kept)).unwrap(),
        }
        match what {
            "a link" => std::os::unix::fs::symlink("/etc/passwd", &cached).unwrap(),
            "a half" => fs::write(&cached, &release.archive()[..90]).unwrap(),
            _ => {}
        }
        assert(step(&job, &release.server(), &[]))
            .code(0)
            .stdout("ran [healthgate]\n")
            .stderr(contains(note));
        if note.starts_with("is not") {
            assert_eq!(fs::read(&cached).unwrap(), release.archive(), "{what}");
            assert!(!cached.is_symlink(), "{what}");
        }
        let left = files(&job.path("tools"));
        assert!(
            !left.iter().any(|file| file.contains("/.deploy-guard")),
            "{left:?}"
        );
    }
}

/// In a namespace with its own file system, which is too small.
#[test]
fn a_full_disk_is_said_to_be_one() {
    let release = Release::start();
    release.serve(&vec![b'x'; 300_000]);
    let job = job(&release);
    let there = step(&job, &release.server(), &[]);
    let mut full = Command::new(testkit::tool("unshare"));
    testkit::clear_environment(&mut full)
        .args(["--map-root-user", "--mount", "sh", "-ec"])
        .arg(
            "mount -t tmpfs -o size=64k none \"$RUNNER_TEMP\"; exec bash --noprofile --norc \"$0\"",
        )
        .arg(testkit::workspace().join("action/run.sh"));
    for (name, value) in there.get_envs() {
        if let Some(value) = value {
            full.env(name, value);
        }
    }
    assert(full)
        .code(4)
        .stderr(contains("is the disk full? df -h"));
    assert_eq!(job.outputs()["exit-code"], "4");
    assert_eq!(job.outputs()["verdict"], "error");
    untouched(&job);
}

#[test]
fn a_folder_that_cannot_be_written_ends_with_a_code_of_ours() {
    let release = Release::start();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("checksums.txt"), release.checksums()).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (to, temporary, code) in [
        ("bin", "/proc/nowhere", 4),
        ("file/bin", "", 2),
        ("/proc/nowhere", "", 2),
    ] {
        let mut command = Command::new("sh");
        testkit::clear_environment(&mut command)
            .arg(testkit::workspace().join("action/install.sh"))
            .args(["--checksums", "checksums.txt", "--to", to, "--from"])
            .arg(format!(
                "{}/acme/deploy-guard/releases/download",
                release.server()
            ))
            .current_dir(folder.path())
            .env("NO_PROXY", "*");
        if !temporary.is_empty() {
            command.env("TMPDIR", temporary);
        }
        assert(command)
            .code(code)
            .stderr(contains("error: failed to ").and(contains("hint: ")));
    }
    assert_eq!(files(&folder.path().join("bin")), [""; 0]);
}

#[test]
fn checksums_of_another_hand_are_understood_and_damaged_ones_are_no_reason_to_build() {
    let release = Release::start();
    let (sum, name) = (release.sum(), release::name());
    for (text, code) in [
        (format!("{}  {name}\n", sum.to_uppercase()), 0),
        (format!("{sum} *{name}\n"), 0),
        (format!("{sum}  {name}\r\n"), 0),
        (format!("{sum}  {name}"), 0),
        (format!("{}  {name}\n", &sum[1..]), 2),
        (format!("{sum}0  {name}\n"), 2),
        (format!("\u{feff}{sum}  {name}\n"), 2),
        (format!("{}g  {name}\n", &sum[1..]), 2),
        (format!("  {name}\n"), 2),
    ] {
        let job = job(&release);
        fs::write(job.path("action/action/checksums.txt"), &text).unwrap();
        let done = assert(step(&job, &release.server(), &[])).code(code);
        if code == 0 {
            done.stdout("ran [healthgate]\n");
        } else {
            done.stdout("")
                .stderr(contains(format!("have no SHA-256 for {name}")));
            untouched(&job);
        }
    }
}

#[test]
fn a_wrong_checksum_stops_with_both_sums() {
    for (what, advice) in [
        ("changed", "changed or cut off"),
        ("cut", "changed or cut off"),
        ("empty", "not an archive"),
        ("login", "a login page"),
    ] {
        let release = Release::start();
        let good = release.sum();
        let mut archive = release.archive();
        match what {
            "changed" => archive[40] ^= 1,
            "cut" => archive.truncate(archive.len() / 2),
            "empty" => archive.clear(),
            _ => archive = b"<!DOCTYPE html><title>Sign in</title>".to_vec(),
        }
        release.serve(&archive);
        let bad = release.sum();
        let job = job(&release);
        fs::write(
            job.path("action/action/checksums.txt"),
            format!("{good}  {}\n", release::name()),
        )
        .unwrap();
        let sums = format!("is wrong: expected {good}, got {bad}");
        assert(step(&job, &release.server(), &[]))
            .code(5)
            .stdout("")
            .stderr(contains(format!(
                "error: the checksum of {} {sums}",
                release::name()
            )))
            .stderr(contains("\n::error title=deploy-guard::").and(contains(advice)));
        let outputs = job.outputs();
        assert_eq!(outputs["exit-code"], "5", "{what}");
        assert_eq!(outputs["verdict"], "error", "{what}");
        assert!(outputs["reason"].contains(&sums), "{what}: {outputs:?}");
        untouched(&job);
    }
}

#[test]
fn an_archive_that_holds_anything_else_is_refused() {
    let top = release::top();
    let binary = "script('deploy-guard 0.1.0')";
    for (what, members, complaint) in [
        (
            "a path upwards",
            format!("f('{top}/deploy-guard', {binary}); f('../evil', 'x')"),
            "does not belong there: ../evil",
        ),
        (
            "a path upwards within",
            format!("f('{top}/deploy-guard', {binary}); f('{top}/../../evil', 'x')"),
            "does not belong there",
        ),
        (
            "an absolute path",
            format!("f('{top}/deploy-guard', {binary}); f('/tmp/deploy-guard-evil', 'x')"),
            "does not belong there",
        ),
        (
            "a link for a binary",
            format!("l('{top}/deploy-guard', '/bin/true')"),
            "no deploy-guard 0.1.0 that runs here",
        ),
        (
            "a link for its folder",
            format!("l('{top}', '/tmp'); f('{top}/deploy-guard', {binary})"),
            "does not belong there",
        ),
        (
            "two binaries",
            format!("f('{top}/deploy-guard', {binary}); f('{top}/deploy-guard', {binary})"),
            "does not hold one",
        ),
        (
            "no binary",
            format!("f('{top}/README', 'x')"),
            "does not hold one",
        ),
        (
            "another version",
            format!("f('{top}/deploy-guard', script('deploy-guard 9.9.9'))"),
            "no deploy-guard 0.1.0 that runs here: deploy-guard 9.9.9",
        ),
        (
            "another machine's",
            format!("f('{top}/deploy-guard', chr(127) + 'ELF' + chr(0) * 60)"),
            "that runs here",
        ),
        (
            "a command to the runner",
            format!("f('{top}/deploy-guard', {binary}); f('##[error]x', 'x')"),
            "does not belong there: # #[error]x",
        ),
    ] {
        let release = Release::with(&members);
        let job = job(&release);
        assert(step(&job, &release.server(), &[]))
            .code(5)
            .stdout("")
            .stderr(contains(complaint))
            .stderr(contains("##[").not());
        let found = files(job.path("").as_path());
        assert!(
            !found
                .iter()
                .any(|file| file.ends_with("evil") || file.ends_with("bin/deploy-guard")),
            "{what}: {found:?}"
        );
        assert!(
            !Path::new("/tmp/deploy-guard-evil").exists()
                && !Path::new("/tmp/deploy-guard").exists()
        );
    }
    let release = Release::start();
    release.serve(b"\x1f\x8bnot a tar");
    assert(step(&job(&release), &release.server(), &[]))
        .code(5)
        .stderr(contains("cannot be read"));
}

#[test]
fn a_server_that_recovers_is_asked_again_and_one_without_it_is_not() {
    let release = Release::start();
    // What each request gets, in turn; the last one stays.
    for (answers, code, requests, words) in [
        (&["500", "200"][..], 0, 2, "status 500; again in 1s"),
        (
            &["429 Retry-After: 2", "200"],
            0,
            2,
            "status 429; again in 2s",
        ),
        (&["close", "200"], 0, 2, "again in 1s"),
        (&["half", "200"], 0, 2, "again in 1s"),
        (&["hang", "200"], 0, 2, "again in 1s"),
        (&["drip", "200"], 0, 2, "again in 1s"),
        (&["503"], 4, 2, "status 503, 2 times"),
        (&["hang"], 4, 2, ", 2 times"),
        (&["404"], 4, 1, "status 404"),
        (&["410"], 4, 1, "status 410"),
        (&["302 Location: file:///etc/passwd"], 4, 1, "status 302"),
        (&["302 Location: /again"], 4, 1, "status 302"),
        (&["huge"], 5, 1, "is larger than any archive of ours"),
    ] {
        let server = release::flaky(answers, release.archive());
        let job = job(&release);
        let mut step = step(
            &job,
            &server.url(),
            &[("DOWNLOAD_URL", &format!("{}/mirror", server.url()))],
        );
        step.env("DEPLOY_GUARD_DOWNLOAD_TIMEOUT", "5");
        let begun = Instant::now();
        let done = assert(step).code(code).stderr(contains(words));
        assert!(begun.elapsed() < Duration::from_secs(40), "{answers:?}");
        let path = format!("/mirror/v0.1.0/{}", release::name());
        let asked = server
            .asked()
            .iter()
            .filter(|asked| **asked == path)
            .count();
        assert_eq!(
            asked,
            requests,
            "{answers:?}: {:?} {:?}",
            server.asked(),
            done.get_output()
        );
        if code != 0 {
            assert_eq!(job.outputs()["exit-code"], code.to_string());
            assert_eq!(job.outputs()["verdict"], "error");
            untouched(&job);
        }
    }
}

#[test]
fn a_private_repository_of_an_enterprise_server_is_asked_by_its_api() {
    let release = Release::start();
    let api = format!("{}/api/v3", release.server());
    let private = |token: &str| {
        release.hide(false);
        let job = job(&release);
        release.hide(true);
        let mut step = step(&job, &release.server(), &[("GITHUB_TOKEN", token)]);
        step.env("GITHUB_API_URL", &api)
            .env("HTTPS_PROXY", "http://127.0.0.1:1");
        assert(step)
    };
    private("t0ken-value")
        .code(0)
        .stdout("ran [healthgate]\n")
        .stderr(contains("t0ken-value").not());
    // The file comes from a store that must not see the token.
    let asked = release.asked();
    assert_eq!(
        asked,
        [
            "/api/v3/repos/acme/deploy-guard/releases/tags/v0.1.0 Bearer t0ken-value".to_owned(),
            "/api/v3/repos/acme/deploy-guard/releases/assets/42 Bearer t0ken-value".to_owned(),
            format!("/store/{} -", release::name()),
        ]
    );
    // Without the permission to see it, the message shows the request and the answer.
    private("another")
        .code(4)
        .stderr(contains("releases/tags/v0.1.0: status 401; ").and(contains("status 404")))
        .stderr(contains("another").not());
    // A token for another resource does not block a public release.
    release.hide(false);
    let job = job(&release);
    let mut step = step(&job, &release.server(), &[("GITHUB_TOKEN", "another")]);
    step.env("GITHUB_API_URL", &api);
    assert(step).code(0);
}

#[test]
fn an_action_that_an_enterprise_server_has_from_github_comes_from_there_without_its_token() {
    let release = Release::start();
    let job = job(&release);
    release.hide(true);
    // The proxy refuses every request: nothing leaves this machine.
    let proxy = release::flaky(&["403"], Vec::new());
    let mut step = step(&job, &release.server(), &[("GITHUB_TOKEN", "t0ken-value")]);
    step.env("HTTPS_PROXY", proxy.url())
        .env("GITHUB_API_URL", format!("{}/api/v3x", release.server()));
    assert(step).code(4).stderr(contains(
        "https://github.com/acme/deploy-guard/releases/download/v0.1.0/",
    ));
    assert!(
        proxy.asked().iter().all(|asked| asked == "github.com:443") && !proxy.asked().is_empty()
    );
    assert!(!proxy.heads().contains("t0ken"), "{}", proxy.heads());
    // A server that does not answer may have the release: github.com is not queried.
    let proxy = release::flaky(&["403"], Vec::new());
    let broken = release::flaky(&["503"], Vec::new());
    let mut step = self::step(&job, &broken.url(), &[]);
    step.env("HTTPS_PROXY", proxy.url());
    assert(step).code(4);
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn behind_a_proxy_it_goes_through_it() {
    let release = Release::start();
    let proxy = Tinyproxy::start_private("robot", "p4ss.word-of-the-proxy");
    let address = format!("http://robot:p4ss.word-of-the-proxy@{}", proxy.address());
    // The stages read this one in capitals too.
    let open = job(&release);
    let mut plain = step(&open, &release.server(), &[]);
    plain.env("HTTP_PROXY", &address).env_remove("NO_PROXY");
    assert(plain).code(0).stderr(contains("p4ss").not());
    assert!(
        proxy.has_logged(&format!(
            "GET {}/acme/deploy-guard/releases/download/v0.1.0/",
            release.server()
        )),
        "{}",
        proxy.log()
    );

    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let secure = release.secured(&authority.certificate("localhost", 30));
    let tunnelled = job(&release);
    let mut step = step(&tunnelled, &secure, &[]);
    step.env("HTTPS_PROXY", &address).env_remove("NO_PROXY");
    step.env("CURL_CA_BUNDLE", authority.file())
        .env("HOME", folder.path());
    assert(step).code(0).stderr(contains("p4ss").not());
    assert!(
        proxy.has_logged(&format!(
            "CONNECT {}",
            secure.trim_start_matches("https://")
        )),
        "{}",
        proxy.log()
    );

    // The proxy refuses the login: no answer, and its password is not shown.
    let closed = job(&release);
    let mut refused = self::step(&closed, &secure, &[]);
    let wrong = format!("http://robot:wr0ng.word@{}", proxy.address());
    refused.env("HTTPS_PROXY", wrong).env_remove("NO_PROXY");
    refused.env("CURL_CA_BUNDLE", authority.file());
    assert(refused)
        .code(4)
        .stderr(contains("wr0ng").not().and(contains("response 401")));
}

#[test]
fn a_mirror_is_an_address_and_nothing_else() {
    let release = Release::start();
    let good = format!("{}/acme/deploy-guard/releases/download/", release.server());
    assert(step(
        &job(&release),
        "http://127.0.0.1:1",
        &[("DOWNLOAD_URL", &good)],
    ))
    .code(0);
    let touch = job(&release).path("pwned");
    let run = format!(
        "http://127.0.0.1:1/$(touch {0})`touch {0}`;touch {0}",
        touch.display()
    );
    for (address, code) in [
        ("-o/tmp/deploy-guard-evil", 2),
        ("--help", 2),
        ("file:///etc", 2),
        ("ftp://127.0.0.1", 2),
        ("https://a b", 2),
        ("https://a\n::error::x", 2),
        ("https://a\t", 2),
        ("${{ github.token }}", 2),
        ("127.0.0.1", 2),
        ("http://127.0.0.1:1/{a,b}[1-9]", 4),
        ("http://user:s3cret@127.0.0.1:1", 4),
        (run.as_str(), 2),
        (&run.replace(' ', "\u{a0}"), 4),
    ] {
        let job = job(&release);
        assert(step(
            &job,
            "http://127.0.0.1:1",
            &[("DOWNLOAD_URL", address)],
        ))
        .code(code)
        .stdout("")
        .stderr(contains("error: "))
        .stderr(contains("\n::error::x").not().and(contains("s3cret").not()));
        untouched(&job);
        assert!(!touch.exists());
    }
}

#[test]
fn the_way_to_install_can_be_chosen() {
    let release = Release::start();
    let job = job(&release);
    assert(step(&job, &release.server(), &[("INSTALL", "fetch")]))
        .code(2)
        .stderr(contains("install cannot be `fetch`"));
    assert(step(
        &job,
        &release.server(),
        &[("INSTALL", "download"), ("VERSION", "v0.1.0")],
    ))
    .code(0);
    assert(step(&job, &release.server(), &[("VERSION", "0.2.0")]))
        .code(2)
        .stderr(contains("a revision has one version"));
    // A cargo that makes a binary where a real one would.
    let cargo = "#!/bin/bash\nwhile [[ $1 != --target-dir ]]; do shift; done\nmkdir -p \"$2/release\"\n\
                 printf '#!/bin/bash\\necho built \"$@\"\\n' >\"$2/release/deploy-guard\"\nchmod +x \"$2/release/deploy-guard\"\n";
    fs::write(job.path("bin/cargo"), cargo).unwrap();
    let job = job.mode("cargo", 0o755);
    let path = format!(
        "{}:{}",
        job.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let built = |inputs: &[(&str, &str)]| {
        let mut step = step(&job, "http://127.0.0.1:1", inputs);
        step.env("PATH", &path)
            .env("RUNNER_TEMP", job.path("another"));
        assert(step)
    };
    built(&[("INSTALL", "build")])
        .code(0)
        .stdout("built healthgate\n");
    // Where the revision has no archive for this machine, or none at all.
    let checksums = job.path("action/action/checksums.txt");
    fs::write(
        &checksums,
        release
            .checksums()
            .replace(release::machine(), "linux-riscv64"),
    )
    .unwrap();
    built(&[]).code(0).stdout("built healthgate\n");
    built(&[("INSTALL", "download")])
        .code(2)
        .stderr(contains("this release has no archive for"));
    fs::remove_file(&checksums).unwrap();
    built(&[]).code(0).stdout("built healthgate\n");
    built(&[("INSTALL", "download")])
        .code(2)
        .stderr(contains("there is no file"));
    // Contradictory checksums are not a reason to build from source.
    let twice = release.checksums() + &release.checksums().replace("0.1.0", "0.2.0");
    fs::write(&checksums, twice).unwrap();
    built(&[])
        .code(2)
        .stdout("")
        .stderr(contains("two archives"));
}

#[test]
fn a_machine_without_an_archive_is_told_so() {
    let release = Release::start();
    for (name, complaint) in [
        (
            "MINGW64_NT-10.0-20348",
            "has no archive for MINGW64_NT-10.0-20348",
        ),
        ("FreeBSD", "has no archive for FreeBSD"),
        ("Linux riscv64", "no archive for linux-riscv64"),
    ] {
        let job = job(&release);
        let (system, processor) = name.split_once(' ').unwrap_or((name, "x86_64"));
        let uname =
            format!("#!/bin/sh\ncase $1 in -s) echo '{system}' ;; *) echo {processor} ;; esac\n");
        fs::write(job.path("bin/uname"), uname).unwrap();
        let job = job.mode("uname", 0o755);
        let mut step = step(&job, &release.server(), &[("INSTALL", "download")]);
        step.env(
            "PATH",
            format!(
                "{}:{}",
                job.path("bin").display(),
                std::env::var("PATH").unwrap()
            ),
        );
        assert(step).code(2).stderr(contains(complaint));
    }
}

/// The script alone, as a person runs it who has neither curl nor bash.
#[test]
fn the_script_needs_no_more_than_busybox() {
    let release = Release::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let busybox = tools(&path("bin"));
    fs::write(path("checksums.txt"), release.checksums()).unwrap();
    let script = testkit::workspace().join("action/install.sh");
    let run = |server: &str| {
        let mut command = Command::new(&busybox);
        testkit::clear_environment(&mut command)
            .arg("ash")
            .arg(&script);
        command.args([
            "--checksums",
            "checksums.txt",
            "--to",
            "-out",
            "--repository",
        ]);
        command.arg(format!("{server}/acme/deploy-guard"));
        command.env("PATH", path("bin")).current_dir(folder.path());
        command
            .env("DEPLOY_GUARD_DOWNLOAD_ATTEMPTS", "2")
            .env("DEPLOY_GUARD_DOWNLOAD_TIMEOUT", "4");
        assert(command)
    };
    let flaky = release::flaky(&["500", "200"], release.archive());
    run(&flaky.url())
        .code(0)
        .stderr(contains("status 500; again in 1s"));
    assert!(path("-out/deploy-guard").is_file());
    fs::remove_file(path("-out/deploy-guard")).unwrap();
    for (answer, code, words) in [
        ("404", 4, "status 404"),
        ("hang", 4, "2 times"),
        ("half", 4, "2 times"),
        ("huge", 5, "larger"),
    ] {
        let server = release::flaky(&[answer], release.archive());
        run(&server.url()).code(code).stderr(contains(words));
        assert_eq!(files(&path("-out")), [""; 0], "{answer}");
    }
    // The same with GNU's wget, which has other options and other words.
    fs::remove_file(path("bin/wget")).unwrap();
    std::os::unix::fs::symlink(testkit::tool("wget"), path("bin/wget")).unwrap();
    for (answers, code, words) in [
        (&["404"][..], 4, "status 404"),
        (&["hang"], 4, "2 times"),
        (&["half"], 4, "2 times"),
        (&["500", "200"], 0, "status 500; again in 1s"),
    ] {
        let server = release::flaky(answers, release.archive());
        run(&server.url()).code(code).stderr(contains(words));
        assert_eq!(path("-out/deploy-guard").exists(), code == 0, "{answers:?}");
    }
}

/// The real thing, but for the build: this workspace's binary as the tests build it, packed as a
/// release is. `cargo xtask dist` builds a static one, which takes minutes.
#[test]
fn what_dist_packs_is_installed_by_the_action_and_by_its_own_installer() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let binary = path("deploy-guard");
    let strip = Command::new("strip")
        .arg("-o")
        .arg(&binary)
        .arg(testkit::bin_path("deploy-guard"))
        .status();
    assert!(strip.unwrap().success());
    let xtask = testkit::bin_path("xtask");
    let dist = Command::new(&xtask)
        .arg("dist")
        .arg("--binary")
        .arg(&binary)
        .arg("--to")
        .arg(path("dist"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&dist.stdout).into_owned();
    assert!(
        dist.status.success() && said.contains("starts in"),
        "{said}{}",
        String::from_utf8_lossy(&dist.stderr)
    );
    let release = Release::of(&path("dist"));

    let job = job(&release);
    let mut step = step(
        &job,
        &release.server(),
        &[
            (
                "ARGS",
                "--http\nhttp://127.0.0.1:1\n--status\n200\n--interval\n100ms\n--deadline\n1s",
            ),
            ("VERSION", "0.1.0"),
        ],
    );
    step.env("GITHUB_STEP_SUMMARY", job.path("summary"))
        .env("DEPLOY_GUARD_DOWNLOAD_TIMEOUT", "60");
    assert(step).code(1).stdout(contains("healthgate: fail"));
    assert!(job.output().contains("verdict") && job.path("summary").is_file());

    // The installer that a release publishes needs no file beside it.
    let repository = format!("{}/acme/deploy-guard", release.server());
    let sums = Command::new(&xtask)
        .arg("checksums")
        .arg(path("dist"))
        .args(["--repository", &repository])
        .status();
    assert!(sums.unwrap().success());
    let mut command = Command::new("sh");
    testkit::clear_environment(&mut command)
        .args(["-s", "--", "--to"])
        .arg(path("bin"))
        .env("NO_PROXY", "*");
    let script = fs::read(path("dist/install.sh")).unwrap();
    // A partial script does nothing.
    let half = script[..script.len() / 2].to_vec();
    let mut part = Command::new("sh");
    testkit::clear_environment(&mut part)
        .args(["-s", "--", "--to"])
        .arg(path("bin"));
    let _ = assert_cmd::Command::from_std(part)
        .write_stdin(half)
        .assert()
        .stdout("");
    assert!(!path("bin").exists());
    assert_cmd::Command::from_std(command)
        .write_stdin(script)
        .assert()
        .code(0);
    let installed = Command::new(path("bin/deploy-guard"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(installed.stdout, b"deploy-guard 0.1.0\n");
}

/// As in the README, with the profile that the tests have built already.
#[test]
fn cargo_installs_it() {
    let folder = tempfile::tempdir().unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The binary with the same features exists: it only has to be copied.
    testkit::bin_path("deploy-guard");
    let status = Command::new(cargo)
        .args([
            "install",
            "--locked",
            "--path",
            "crates/deploy-guard",
            "--debug",
            "--offline",
            "--quiet",
        ])
        .arg("--root")
        .arg(folder.path())
        .arg("--target-dir")
        .arg(testkit::target_dir())
        .current_dir(testkit::workspace())
        .status()
        .unwrap();
    assert!(status.success());
    let output = Command::new(folder.path().join("bin/deploy-guard"))
        .arg("--version")
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"deploy-guard 0.1.0\n");
}
