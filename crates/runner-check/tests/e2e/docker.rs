//! A runner's disk that images have filled, and a docker that frees it.

use std::time::Duration;

use wiremock::{MockServer, ResponseTemplate};

use crate::e2e::world::{Folder, LISTENS, has, host, list, unit};

const DOCKERD: &str = "[Service]\nPrivateNetwork=yes\nExecStart=/usr/sbin/dockerd --host unix:///run/docker.sock --iptables=false \
    --ip6tables=false --ip-forward=false --bridge=none --storage-driver=overlay2\n";

#[tokio::test]
async fn a_full_disk_is_seen_named_and_pruned() {
    let server = MockServer::start().await;
    list(&server, ResponseTemplate::new(403)).await;
    let host = host(&[("web-01", LISTENS), ("docker", DOCKERD)]);
    crate::e2e::world::start(&host, "web-01");
    // A separate disk, small enough to fill.
    host.must(&["mkdir", "-p", "/var/lib/docker"]);
    host.must(&[
        "mount",
        "-t",
        "tmpfs",
        "-o",
        "size=64m",
        "tmpfs",
        "/var/lib/docker",
    ]);
    host.must(&["systemctl", "start", &unit("docker")]);
    let up = testkit::wait_until(Duration::from_mins(1), || {
        host.exec(&["docker", "info"]).status.success()
    });
    assert!(
        up,
        "{}",
        host.must(&["journalctl", "-q", "-u", &unit("docker"), "-n", "30"])
    );
    let fill =
        "head -c 65000000 /dev/urandom >/tmp/fill && tar -C /tmp -c fill | docker import - old:v1";
    host.must(&["sh", "-c", fill]);

    let config = "runners: { web-01: { host: runner-01 } }
runner-check: { verify-timeout: 20s, pools: [{ name: primary, labels: [a], runners: [web-01], min-online: 2 }] }
";
    let folder = Folder::with_host(&server, &host, config);
    let (code, text) = folder.run(&[]).await;
    assert_eq!(code, 1, "{text}");
    has(
        &text,
        &["disk /var/lib/docker 9", "`runner-check prune web-01`"],
    );
    let (code, text) = folder.run(&["prune", "web-01", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(
        &text,
        &["freed 65", "disk /var/lib/docker", "web-01 is online"],
    );
    let (code, text) = folder.run(&["prune", "web-01", "--yes"]).await;
    assert_eq!(code, 0, "{text}");
    has(&text, &["there is nothing to do"]);
}
