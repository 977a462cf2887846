//! docs/guide/runners.md: two runners that are services of a machine, and one for emergencies.

use std::process::Command;
use std::time::Duration;

use testkit::{Nginx, Prometheus, SystemdHost};

use crate::docs::walk::{Walk, World, lines, replaced, yaml};

const PAGE: &str = "docs/guide/runners.md";

/// What a runner's service prints when it is connected.
const LISTENS: &str = "[Service]\nExecStart=/bin/sh -c 'echo \"√ Connected to GitHub\"; sleep 0.2; \
                       echo \"Listening for Jobs\"; exec sleep 1000000'\n";
const UNITS: [&str; 3] = [
    "actions.runner.acme-shop.prod-01.service",
    "actions.runner.acme-shop.prod-02.service",
    "actions.runner.acme-emergency.service",
];

pub(crate) fn page() {
    let mut walk = Walk::of(PAGE);
    let host = SystemdHost::start(&UNITS.map(|unit| (unit, LISTENS)));
    let world = world(&host);
    let running = |unit: &str| {
        host.exec(&["systemctl", "is-active", unit])
            .status
            .success()
    };

    let remedies = lines(&walk.next("runner-check restart prod-01 --dry-run"));
    let [dry, restart, prune, emergency] = remedies.as_slice() else {
        panic!("{remedies:?}");
    };
    world.sh(dry).code(0).says("nothing was changed");
    assert!(!running(UNITS[0]));
    world.sh(restart).code(0).says("prod-01 is online");
    assert!(running(UNITS[0]));
    // How full this machine's disk is, is its own affair.
    let prune = replaced(prune, PAGE, &[("--yes", "--yes --above 100")]);
    world.sh(&prune).code(0).says("there is nothing to do");
    world.sh("runner-check list").code(0).says("prod-01");
    host.must(&["systemctl", "stop", UNITS[0]]);
    world.sh(emergency).code(0).says("1 online");
    assert!(running(UNITS[2]));

    let sudoers = walk.next("deploy ALL=(root) NOPASSWD:");
    world.write("sudoers", &sudoers.text);
    let visudo = Command::new(testkit::tool("visudo"))
        .arg("-cf")
        .arg(world.path("sudoers"))
        .output()
        .unwrap();
    assert!(visudo.status.success(), "{visudo:?}");
    by_sudo(&host, &world, &sudoers.text);
    walk.end();
}

/// A user with only the permissions of that line.
fn by_sudo(host: &SystemdHost, world: &World, line: &str) {
    host.must(&["useradd", "--create-home", "--password", "*", "deploy"]);
    let install = format!("printf '%s' '{line}' >/etc/sudoers.d/deploy");
    host.must(&["sh", "-c", &install]);
    let config = world.read("deploy-guard.yml");
    let config = replaced(&config, PAGE, &[("user: root", "user: deploy")]);
    world.write("deploy-guard.yml", &config);
    world
        .sh("runner-check restart prod-01 --yes")
        .code(0)
        .says("prod-01 is online");
}

/// The page's configuration, and a GitHub that refuses to list runners.
fn world(host: &SystemdHost) -> World {
    let mut world = World::new();
    let github = Nginx::serving(
        "access_log off; server { listen 127.0.0.1:PORT; location / { default_type application/json; \
         return 403 '{\"message\": \"Resource not accessible by integration\"}'; } }",
    );
    let metric =
        |runner| format!("runner_status{{environment=\"production\",runner=\"{runner}\"}} 0\n");
    let prometheus = Prometheus::scraping(&metric("prod-01"));
    let mut config = replaced(
        &yaml(PAGE, "runners:"),
        PAGE,
        &[
            ("http://10.0.0.9:9090", &prometheus.url()),
            ("wait: 2m", "wait: 5s"),
        ],
    );
    config.push_str("hosts:\n");
    for name in ["runner-01", "runner-02", "runner-03"] {
        config.push_str(&format!(
            "  {name}: {{ address: 127.0.0.1, port: {}, user: root, key-file: {}, known-hosts: known_hosts }}\n",
            host.port(),
            host.key().display()
        ));
    }
    world.write("deploy-guard.yml", &format!("version: 1\n{config}"));
    world.write("known_hosts", &host.known_hosts_for("127.0.0.1"));
    world.set("GITHUB_API_URL", &github.url(""));
    world.set("GITHUB_REPOSITORY", "acme/shop");
    world.set("RUNNER_TOKEN", "t0ken-value");
    let up = testkit::wait_until(Duration::from_secs(30), || {
        host.exec(&["systemctl", "is-system-running"])
            .status
            .code()
            .is_some()
    });
    assert!(up);
    world.servers.push(Box::new((github, prometheus)));
    world
}
