//! Restart, prune and start: nothing without consent, and no success without proof.

use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::e2e::world::{Folder, LISTENS, has, honest, host, job, jobs, list, unit};

const ENDS: &str = "[Service]\nExecStart=/bin/sh -c 'echo cannot start; exit 3'\n";

#[tokio::test]
async fn a_restart_that_does_not_help_is_a_failure_that_says_why() {
    let server = MockServer::start().await;
    let host = host(&[("ends", ENDS), ("works", LISTENS)]);
    honest(
        &server,
        &host,
        &[("ends", &["self-hosted"]), ("works", &["self-hosted"])],
    )
    .await;
    jobs(
        &server,
        &[job("in_progress", &["self-hosted"], Some("works"), 2)],
    )
    .await;
    crate::e2e::world::start(&host, "works");
    let config = "runners: { ends: { host: runner-01 }, works: { host: runner-01 }, ghost: { host: runner-01 } }
runner-check: { verify-timeout: 5s, emergency: { run: 'echo starting; exit 4', pool: e }, pools: [{ name: e, labels: [nowhere] }] }
";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&["restart", "ends", "--yes"]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "ends is offline",
            "is failed (failed)",
            "exit status 3",
            "journalctl",
        ],
    );

    // A busy runner is not restarted without `--force`.
    let pid = || host.must(&["systemctl", "show", "-p", "MainPID", &unit("works")]);
    let before = pid();
    let (code, text) = folder.run(&["restart", "works", "--yes"]).await;
    assert_eq!(code, 5, "{text}");
    has(
        &text,
        &["a restart would lose its job", "--force busy --reason TEXT"],
    );
    assert_eq!(pid(), before);
    let (code, text) = folder
        .run(&["restart", "works", "--yes", "--force=busy", "--reason=test"])
        .await;
    assert_eq!(code, 0, "{text}");
    assert_ne!(pid(), before);

    let (code, text) = folder.run(&["restart", "ghost", "--yes"]).await;
    assert_eq!(code, 4, "{text}");
    has(&text, &["no unit of that name", "nothing was changed"]);
    let (code, text) = folder.run(&["restart", "nobody", "--yes"]).await;
    assert_eq!(code, 2, "{text}");
    has(&text, &["known are: ends, ghost, works"]);

    let (code, text) = folder.run(&["start-emergency", "--yes"]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "will: run `echo starting; exit 4` on this machine",
            "ends with exit status 4",
        ],
    );
}

#[tokio::test]
async fn a_disk_with_room_is_left_alone_and_a_prune_that_fails_is_a_failure() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let host = host(&[("web-01", LISTENS)]);
    crate::e2e::world::start(&host, "web-01");
    // A docker that answers as one does whose daemon is down.
    let config =
        "runners: { web-01: { host: runner-01 } }\nrunner-check: { verify-timeout: 10s }\n";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&["prune", "web-01", "--above", "100"]).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["not above 100%: there is nothing to do"]);
    let (code, text) = folder
        .run(&["prune", "web-01", "--above", "0", "--dry-run"])
        .await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "will: run `docker system prune --all --force` on host runner-01, because disk",
            "nothing was changed",
        ],
    );
    let (code, text) = folder.run(&["prune", "web-01", "--above", "0"]).await;
    assert_eq!(code, 2, "{text}");
    // No docker daemon runs in this host.
    let (code, text) = folder
        .run(&["prune", "web-01", "--above", "0", "--yes"])
        .await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &["`docker system prune --all --force` ends with exit status"],
    );
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked() {
    let server = MockServer::start().await;
    list(
        &server,
        ResponseTemplate::new(200).set_body_json(json!({"total_count": 0, "runners": []})),
    )
    .await;
    let config = "version: 1
runner-check: { verify-timeout: 1s, emergency: { run: 'touch started', pool: e }, pools: [{ name: e, labels: [nowhere] }] }
";
    let folder = Folder::new(&server, config);
    for (answer, code, started) in [("n\n", 5, false), ("y\n", 1, true)] {
        let program = testkit::bin_path("runner-check");
        let mut command = std::process::Command::new(testkit::tool("script"));
        command
            .args(["--quiet", "--return", "--command"])
            .arg(format!(
                "{} start-emergency --color never",
                program.display()
            ))
            .arg("/dev/null");
        testkit::clear_environment(&mut command)
            .current_dir(folder.path())
            .env("GITHUB_API_URL", server.uri())
            .env("GITHUB_TOKEN", "t")
            .env("GITHUB_REPOSITORY", "acme/shop");
        let mut command = assert_cmd::Command::from_std(command);
        command.write_stdin(answer);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{answer}: {text}");
        has(&text, &["Go on? [y/N]", "will: run `touch started`"]);
        assert_eq!(folder.path().join("started").exists(), started, "{text}");
    }
}

#[tokio::test]
async fn a_user_that_is_not_root_needs_sudo_without_a_password() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let host = host(&[("web-01", LISTENS)]);
    host.must(&["useradd", "--create-home", "--password", "*", "deploy"]);
    let config =
        "runners: { web-01: { host: runner-01 } }\nrunner-check: { verify-timeout: 20s }\n";
    let folder = Folder::with_host(&server, &host, config);
    let file = folder.path().join("deploy-guard.yml");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("user: root", "user: deploy");
    std::fs::write(&file, text).unwrap();
    let (code, text) = folder.run(&["restart", "web-01", "--yes"]).await;
    assert_eq!(code, 1, "{text}");
    has(&text, &["a password is required", "NOPASSWD"]);
    let line = "deploy ALL=(root) NOPASSWD: /usr/bin/systemctl start actions.runner.*, /usr/bin/systemctl restart actions.runner.*";
    host.must(&[
        "sh",
        "-c",
        &format!("echo '{line}' >/etc/sudoers.d/deploy && chmod 440 /etc/sudoers.d/deploy"),
    ]);
    let (code, text) = folder.run(&["restart", "web-01", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["web-01 is online"]);
}
