//! Sources that disagree, that are silent, and that see more than a bit.

use testkit::Prometheus;
use wiremock::{MockServer, ResponseTemplate};

use crate::e2e::world::{Folder, LISTENS, has, host, list, listed, runner, start, unit};

const LOOPS: &str = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=always\nRestartSec=2\nExecStart=/bin/sh -c 'echo oops; exit 3'\n";
const LOST: &str = "[Service]\nExecStart=/bin/sh -c 'echo \"Listening for Jobs\"; \
    echo \"Runner connect error: The HTTP request timed out. Retrying until reconnected.\"; exec sleep 1000000'\n";

#[tokio::test]
async fn the_machine_tells_what_the_list_does_not() {
    let server = MockServer::start().await;
    let names = ["stopped", "runs", "loops", "lost"];
    let host = host(&[
        ("stopped", LISTENS),
        ("runs", LISTENS),
        ("loops", LOOPS),
        ("lost", LOST),
    ]);
    start(&host, "runs");
    for name in ["loops", "lost"] {
        host.must(&["systemctl", "start", &unit(name)]);
    }
    let status = ["online", "offline", "online", "online"];
    let runners: Vec<_> = (0..4)
        .map(|n| runner(n, names[n], status[n], false, &["self-hosted", names[n]]))
        .collect();
    list(&server, listed(&runners)).await;
    let mut config = "runners:\n".to_owned();
    for name in names {
        config.push_str(&format!("  {name}: {{ host: runner-01 }}\n"));
    }
    let folder = Folder::with_host(&server, &host, &config);
    let cases: [(usize, i32, &[&str]); 4] = [
        (
            0,
            1,
            &[
                "contradiction: stopped: runner list reports online (online, free), host reports offline",
                "inactive (dead)",
            ],
        ),
        (
            1,
            3,
            &[
                "1 of unknown status",
                "contradiction: runs: runner list reports offline",
            ],
        ),
        (
            2,
            1,
            &[
                "it ends again and again, with exit status 3",
                "why does it crash? `journalctl -u actions.runner.acme-shop.loops.service -n 100`",
            ],
        ),
        (
            3,
            3,
            &[
                "it is not connected: Runner connect error",
                "contradiction: lost: runner list reports online",
            ],
        ),
    ];
    for (n, code, parts) in cases {
        if names[n] == "loops" {
            let state = || {
                host.exec(&["systemctl", "show", "-p", "SubState", &unit("loops")])
                    .stdout
            };
            assert!(testkit::wait_until(
                std::time::Duration::from_secs(20),
                || state() == b"SubState=auto-restart\n"
            ));
        }
        let (seen, text) = folder.run(&["--labels", names[n]]).await;
        assert_eq!(seen, code, "{}: {text}", names[n]);
        has(&text, parts);
    }
    let (code, text) = folder.run(&["list"]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "4 runners: 0 online, 0 busy, 2 offline, 2 unknown",
            "self-hosted, stopped",
        ],
    );
}

#[tokio::test]
async fn without_the_list_the_machine_is_enough_and_silence_is_not() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let host = host(&[("web-01", LISTENS)]);
    let config = "runners: { web-01: { host: runner-01 } }
runner-check: { pools: [{ name: primary, labels: [self-hosted], runners: [web-01] }] }
";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &[
            "0 online (0 idle, 0 busy), 1 offline",
            "inactive (dead)",
            "administration: read",
        ],
    );
    start(&host, "web-01");
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &[
            "1 online (1 idle, 0 busy)",
            "MiB memory available",
            "disk / ",
            "Listening for Jobs",
        ],
    );
    // A machine that cannot be asked is not one that is off.
    std::fs::write(folder.path().join("known_hosts"), "").unwrap();
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 4, "{text}");
    has(
        &text,
        &[
            "1 of unknown status",
            "cannot be queried: host `runner-01`: the host's key",
        ],
    );
    // GitHub's list is enough, but it may be behind, and the machine is not asked in silence.
    server.reset().await;
    let runner = runner(1, "web-01", "online", false, &["self-hosted"]);
    list(&server, listed(&[runner])).await;
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 0, "{text}");
    let told = "the machine of web-01 could not be queried: host `runner-01`: the host's key";
    has(&text, &["1 online (1 idle, 0 busy)", told]);
}

#[tokio::test]
async fn a_metric_counts_where_the_list_is_closed_and_no_data_is_unknown() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let line = |runner: &str, value: u8| {
        format!("runner_status{{environment=\"production\",runner=\"{runner}\"}} {value}\n")
    };
    let prometheus = Prometheus::scraping(&(line("web-01", 1) + &line("web-02", 0)));
    let pool = |query: &str, more: &str| {
        format!(
            "version: 1\nrunner-check: {{ pools: [{{ name: p, labels: [self-hosted], prometheus: {{ server: '{}', query: '{query}' }}{more} }}] }}\n",
            prometheus.url()
        )
    };
    let status = r#"runner_status{environment="production"}"#;
    let cases: [(String, &str, i32, &[&str]); 8] = [
        (
            status.into(),
            "",
            0,
            &[
                "1 online (1 idle, 0 busy), 1 offline",
                "prometheus   web-02  offline  ",
            ],
        ),
        (status.into(), ", min-online: 2", 1, &["2 wanted"]),
        (
            format!("sum({status})"),
            "",
            0,
            &["1 online as Prometheus counts"],
        ),
        (
            "sum(runner_status) * 0".into(),
            "",
            1,
            &["none online as Prometheus counts"],
        ),
        (
            "runner_status{environment=\"staging\"}".into(),
            "",
            3,
            &["gives no data", "its runners are not known"],
        ),
        // A wrong sum is not a number of runners.
        ("sum(runner_status) * 0 / 0".into(), "", 3, &["prometheus"]),
        ("sum(runner_status) / 0".into(), "", 3, &["prometheus"]),
        ("sum(".into(), "", 4, &["Prometheus refuses the query"]),
    ];
    for (query, more, code, parts) in cases {
        let folder = Folder::new(&server, &pool(&query, more));
        let (seen, text) = folder.run(&[]).await;
        assert_eq!(seen, code, "{query}: {text}");
        has(&text, parts);
    }
    // A source that fell silent: Prometheus shows its last value for minutes, and we say its age.
    let gone = pool(status, "").replace("runner-check: {", "runner-check: { max-evidence-age: 1s,");
    prometheus.set("other 1\n");
    let folder = Folder::new(&server, &gone);
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 3, "{text}");
}

#[tokio::test]
async fn another_runners_service_is_not_taken_for_its_own() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let host = host(&[("prod-web-01", LISTENS)]);
    start(&host, "prod-web-01");
    let config = "runners: { web-01: { host: runner-01 } }
runner-check: { pools: [{ name: primary, labels: [self-hosted], runners: [web-01] }] }
";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 3, "{text}");
    has(
        &text,
        &[
            "no unit of that name",
            "`systemctl list-units --all 'actions.runner.*'`",
        ],
    );
    // Where neither the list nor the machine can be queried, a list of names is not an answer.
    std::fs::write(folder.path().join("known_hosts"), "").unwrap();
    let (code, text) = folder.run(&["list"]).await;
    assert_eq!(code, 4, "{text}");
}
