//! Containers and Compose projects, on a host with its own Docker engine.

use std::time::Duration;

use testkit::{Compose, SystemdHost, wait_until};

use crate::services::bed::{Bed, QUICK};

/// Long enough that a crash falls into it.
const LONG: &str =
    "{ interval: 200ms, timeout: 30s, success-threshold: 40, failure-limit: 0, deadline: 2m }";
/// Docker's own program takes its time on a machine that does much else.
const PATIENT: &str = "{ interval: 200ms, timeout: 30s, success-threshold: 3, startup: 60s, failure-limit: 0, deadline: 2m }";

const DOCKERD: &str = "[Service]\nPrivateNetwork=yes\nDelegate=yes\nExecStart=/usr/sbin/dockerd --host unix:///run/docker.sock \
    --iptables=false --ip6tables=false --ip-forward=false --bridge=none --storage-driver=overlay2 \
    --exec-opt native.cgroupdriver=cgroupfs\n";

/// A host whose Docker has the image `app:v1`: busybox and nothing else.
pub(crate) fn host() -> SystemdHost {
    let host = SystemdHost::start(&[("docker.service", DOCKERD)]);
    let run = |text: &str| host.must(&["sh", "-c", text]);
    run("mkdir -p /var/lib/docker && mount -t tmpfs tmpfs /var/lib/docker");
    run("systemctl start docker.service");
    let up = wait_until(Duration::from_mins(2), || {
        host.exec(&["docker", "info"]).status.success()
    });
    assert!(up, "{}", run("journalctl -q -u docker -n 40"));
    run(
        "mkdir -p /tmp/image/bin /tmp/image/tmp && cp /bin/busybox /tmp/image/bin/ && \
         for name in sh sleep true false echo cat tail head; do ln -s busybox /tmp/image/bin/$name; done && \
         for lib in $(ldd /bin/busybox | grep -o '/[^ ]*'); do cp -L --parents $lib /tmp/image; done; \
         tar -C /tmp/image -c . | docker import - app:v1",
    );
    host
}

pub(crate) fn run(host: &SystemdHost, name: &str, options: &str, command: &str) {
    let line = format!("docker run -d --network host --name {name} {options} app:v1 {command}");
    host.must(&["sh", "-c", &line]);
}

fn container(name: &str) -> String {
    format!("  docker: [{{ name: it, container: {name}, host: web-01 }}]")
}

#[test]
fn a_container_runs_is_healthy_and_does_not_crash() {
    let host = host();
    let bed = Bed::new().systemd("web-01", &host);
    run(&host, "plain", "", "sleep 1000");
    bed.gate(QUICK, &container("plain"))
        .is(0, &["running, not restarted, image app:v1"]);
    bed.gate(QUICK, &container("nobody"))
        .is(1, &["there is no container `nobody`"]);

    let check = "--health-interval 300ms --health-retries 1 --health-cmd";
    run(&host, "well", &format!("{check} 'true'"), "sleep 1000");
    bed.gate(PATIENT, &container("well"))
        .is(0, &["running, healthy"]);
    run(
        &host,
        "ill",
        &format!("{check} 'echo no database; false'"),
        "sleep 1000",
    );
    let inspect = ["docker", "inspect", "-f", "{{.State.Health.Status}}", "ill"];
    assert!(wait_until(Duration::from_mins(1), || host.must(&inspect)
        == "unhealthy"));
    bed.gate(QUICK, &container("ill"))
        .is(1, &["it is unhealthy: no database"]);
    run(
        &host,
        "young",
        "--health-interval 1h --health-cmd true",
        "sleep 1000",
    );
    bed.gate(QUICK, &container("young"))
        .is(1, &["its health check has not passed yet"]);

    run(&host, "ended", "", "sh -c 'exit 3'");
    bed.gate(QUICK, &container("ended")).is(
        1,
        &["it is exited (exit code 3)", "docker logs --tail 100 ended"],
    );
    // It runs nearly always.
    run(
        &host,
        "crashes",
        "--restart always",
        "sh -c 'sleep 3; exit 5'",
    );
    bed.gate(LONG, &container("crashes"))
        .is(1, &["docker logs --tail 100 crashes"]);

    // So it does just after it was started again.
    let inspect = ["docker", "inspect", "-f", "{{.RestartCount}}", "crashes"];
    assert!(wait_until(Duration::from_mins(1), || host.must(&inspect) != "0"));
    let once =
        "{ interval: 100ms, timeout: 30s, success-threshold: 1, failure-limit: 0, deadline: 2m }";
    bed.gate(once, &container("crashes")).is(1, &[]);

    // Restarted by hand: its counter does not show it.
    let end = std::thread::scope(|scope| {
        // It may be seen between its two lives.
        let policy = "{ interval: 100ms, timeout: 20s, success-threshold: 100, failure-limit: 50, deadline: 2m }";
        let gate = scope.spawn(|| bed.gate(policy, &container("plain")));
        std::thread::sleep(Duration::from_secs(3));
        host.must(&["docker", "restart", "-t", "0", "plain"]);
        gate.join().unwrap()
    });
    end.is(1, &["restarted (1) > max-restarts (0) while we watched"]);

    host.must(&["systemctl", "stop", "docker.service"]);
    let policy = "{ interval: 100ms, timeout: 30s, error-limit: 0, deadline: 60s }";
    bed.gate(policy, &container("plain"))
        .is(4, &["docker: exit status 1: Cannot connect"]);
}

const PROJECT: &str = "version: '2.4'
services:
  api: { image: 'app:v1', network_mode: host, command: sleep 1000 }
  web: { image: 'app:v1', network_mode: host, command: sleep 1000, scale: 2 }
  migrate: { image: 'app:v1', network_mode: host, command: 'true' }
";

fn probe(rest: &str) -> String {
    format!("  compose: [{{ name: shop, folder: /tmp/shop, host: web-01{rest} }}]")
}

fn every_container_of_a_projects_services_is_watched(compose: Compose) {
    let host = host();
    compose.install_on(&host);
    let bed = Bed::new().systemd("web-01", &host);
    let sh = |text: &str| host.must(&["sh", "-c", text]);
    let named = |service: &str, number: u32| {
        let separator = compose.separator();
        format!("shop{separator}{service}{separator}{number}")
    };
    let (web_1, web_2, migrate) = (named("web", 1), named("web", 2), named("migrate", 1));
    sh(&format!(
        "mkdir -p /tmp/shop && cat >/tmp/shop/docker-compose.yml <<'END'\n{PROJECT}END"
    ));
    let up = || {
        sh(&format!(
            "cd /tmp/shop && {} up -d --scale web=2 2>&1",
            compose.name()
        ));
        assert!(wait_until(Duration::from_mins(1), || {
            sh(&format!(
                "docker inspect -f '{{{{.State.Status}}}}' {migrate}"
            )) == "exited"
        }));
    };
    up();
    let both = [format!("{web_2}: running"), format!("{migrate}: exited")];
    bed.gate(
        QUICK,
        &probe(", services: [api, web], completed: [migrate]"),
    )
    .is(0, &[&both[0], &both[1]]);
    // All services, of which one has ended.
    let ended = format!("`{migrate}`: it is exited (exit code 0)");
    bed.gate(QUICK, &probe(""))
        .is(1, &[&ended, "`completed: [migrate]`"]);
    bed.gate(QUICK, &probe(", completed: [migrate]")).is(0, &[]);
    bed.gate(QUICK, &probe(", services: [api, mail]"))
        .is(1, &["service `mail` has no container"]);
    let running = format!("`{web_1}`: it has not ended, it is running");
    bed.gate(QUICK, &probe(", services: [api], completed: [web]"))
        .is(1, &[&running]);
    let policy = "{ interval: 100ms, timeout: 30s, error-limit: 0, deadline: 60s }";
    bed.gate(
        policy,
        "  compose: [{ name: it, folder: /nowhere, host: web-01 }]",
    )
    .is(4, &["/nowhere"]);

    let end = std::thread::scope(|scope| {
        // It may be seen while it goes.
        let policy = "{ interval: 200ms, timeout: 30s, success-threshold: 60, failure-limit: 9, deadline: 2m }";
        let gate = scope.spawn(|| bed.gate(policy, &probe(", services: [api, web]")));
        std::thread::sleep(Duration::from_secs(4));
        sh(&format!("docker rm -f {web_2}"));
        gate.join().unwrap()
    });
    end.is(1, &["container 2 of `web` was there and is gone"]);
    up();
    sh(&format!("docker kill {web_2}"));
    let killed = format!("`{web_2}`: it is exited (exit code 137)");
    bed.gate(QUICK, &probe(", completed: [migrate]"))
        .is(1, &[&killed, "docker compose ps -a"]);
}

testkit::with_both! {
    every_container_of_a_projects_services_is_watched
}
