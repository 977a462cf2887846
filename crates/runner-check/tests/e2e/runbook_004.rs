//! Runbook 004, as commands: "Runner Offline" (mode 1) and "Emergency: All Runners Down".

use testkit::Prometheus;
use wiremock::MockServer;

use crate::e2e::world::{Folder, LISTENS, has, honest, host, jobs, unit};

#[tokio::test]
async fn runbook_004_mode_1_runner_offline() {
    let server = MockServer::start().await;
    let host = host(&[("web-01", LISTENS)]);
    honest(
        &server,
        &host,
        &[("web-01", &["self-hosted", "production"])],
    )
    .await;
    jobs(
        &server,
        &[crate::e2e::world::job(
            "queued",
            &["self-hosted", "production"],
            None,
            20,
        )],
    )
    .await;
    let metric = |value: u8| {
        format!(
            "# TYPE runner_status gauge\nrunner_status{{environment=\"production\",runner=\"web-01\"}} {value}\n"
        )
    };
    let prometheus = Prometheus::scraping(&metric(0));
    let config = format!(
        "runners: {{ web-01: {{ host: runner-01 }} }}
runner-check:
  verify-timeout: 30s
  pools:
    - name: primary
      labels: [self-hosted, production]
      runners: [web-01]
      prometheus: {{ server: '{}', query: 'runner_status{{environment=\"production\"}}' }}
",
        prometheus.url()
    );
    let folder = Folder::with_host(&server, &host, &config);

    // Diagnostics, steps 1 to 3: the evidence of every source, in one answer.
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "no pool can take the job",
            "0 online (0 idle, 0 busy), 1 offline, 1 wanted",
            "actions.runner.acme-shop.web-01.service is inactive (dead)",
            "1 job waits with these labels, the oldest (`deploy`) for 20m",
            "`runner-check restart web-01`",
            "prometheus   web-01  offline",
        ],
    );
    has(
        &folder.read("summary"),
        &[
            "| source | runner | state | age | evidence |",
            "| host | web-01 | offline | now |",
        ],
    );

    // Resolution: nothing without consent, nothing in a dry run.
    let (code, text) = folder.run(&["restart", "web-01", "--dry-run"]).await;
    has(
        &text,
        &[
            "will: run `systemctl restart actions.runner.acme-shop.web-01.service` as root on host runner-01",
        ],
    );
    assert_eq!(code, 0, "{text}");
    let (code, text) = folder.run(&["restart", "web-01"]).await;
    assert_eq!(code, 2, "{text}");
    has(&text, &["no terminal for a confirmation", "--yes"]);
    assert!(
        !host
            .exec(&["systemctl", "is-active", &unit("web-01")])
            .status
            .success()
    );

    let (code, text) = folder.run(&["restart", "web-01", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "will: run `systemctl restart",
            "web-01 is online",
            "runner list: online, free",
        ],
    );

    // Post-resolution: the job is taken.
    prometheus.set(&metric(1));
    server.reset().await;
    honest(
        &server,
        &host,
        &[("web-01", &["self-hosted", "production"])],
    )
    .await;
    jobs(&server, &[]).await;
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 0, "{text}");
    assert!(!text.contains("contradiction"), "{text}");
    has(
        &folder.read("output"),
        &["\n[\"self-hosted\",\"production\"]\n", "pool<<"],
    );
}

#[tokio::test]
async fn runbook_004_emergency_all_runners_down() {
    let server = MockServer::start().await;
    let host = host(&[
        ("runner-01", LISTENS),
        ("runner-02", LISTENS),
        ("emergency-03", LISTENS),
    ]);
    let runners: [(&str, &[&str]); 3] = [
        ("runner-01", &["self-hosted", "primary"]),
        ("runner-02", &["self-hosted", "secondary"]),
        ("emergency-03", &["self-hosted", "emergency"]),
    ];
    honest(&server, &host, &runners).await;
    let config = "runners:
  runner-01: { host: runner-01 }
  runner-02: { host: runner-01 }
  emergency-03: { host: runner-01, unit: actions.runner.acme-shop.emergency-03.service }
runner-check:
  verify-timeout: 30s
  emergency: { runner: emergency-03 }
  pools:
    - { name: primary, labels: [self-hosted, primary], runners: [runner-01] }
    - { name: secondary, labels: [self-hosted, secondary], runners: [runner-02] }
    - { name: emergency, labels: [self-hosted, emergency], runners: [emergency-03] }
";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "primary: 0 online",
            "secondary: 0 online",
            "P1",
            "`runner-check start-emergency`",
        ],
    );

    let (code, text) = folder.run(&["start-emergency", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "will: run `systemctl start actions.runner.acme-shop.emergency-03.service`",
            "1 online (1 idle, 0 busy)",
        ],
    );
    has(
        &folder.read("output"),
        &["\n[\"self-hosted\",\"emergency\"]\n", "\nemergency\n"],
    );
    assert!(
        host.exec(&["systemctl", "is-active", &unit("emergency-03")])
            .status
            .success()
    );
    assert!(
        !host
            .exec(&["systemctl", "is-active", &unit("runner-01")])
            .status
            .success()
    );

    // The workflow needs no change: the pool wins while the others are down.
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["pool emergency takes the job"]);
    let (code, text) = folder.run(&["start-emergency", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["there is nothing to start"]);
}
