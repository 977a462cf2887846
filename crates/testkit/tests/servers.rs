//! Each server starts, does its one thing, and is gone afterwards.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used)]

use std::net::TcpStream;
use std::process::Command;

use testkit::{MariaDb, Nginx, Postgres, Prism, Registry, Shop, Sshd, get, request, tool};

#[test]
fn nginx_serves_the_colour_it_was_switched_to() {
    let blue = Shop::start("v1");
    let green = Shop::start("v2");
    let nginx = Nginx::start(&blue.address());
    let version = || {
        get(&nginx.url("/api/v1/version"))
            .unwrap()
            .header("x-version")
            .unwrap()
            .to_owned()
    };
    assert_eq!(version(), "v1");
    nginx.switch_to(&green.address());
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(5),
        || version() == "v2"
    ));
    let port = nginx.port();
    drop(nginx);
    assert!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "nginx outlived its value"
    );
}

#[test]
fn a_shop_can_turn_bad_while_it_runs() {
    let shop = Shop::start("v1");
    assert_eq!(get(&shop.url("/health/ready")).unwrap().status, 200);
    shop.set_health("degraded", 503);
    let ready = get(&shop.url("/health/ready")).unwrap();
    assert_eq!(
        (ready.status, ready.text().contains("degraded")),
        (503, true)
    );
    shop.fail_one_in(Some(1));
    assert_eq!(get(&shop.url("/")).unwrap().status, 500);
    assert_eq!((shop.requests(), shop.failures()), (3, 1));
}

#[test]
fn sshd_lets_its_key_in_and_is_known_by_its_own() {
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let known = folder.path().join("known_hosts");
    let login = |known_hosts: String| {
        std::fs::write(&known, known_hosts).unwrap();
        Command::new(tool("ssh"))
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=yes",
            ])
            .args([
                "-o",
                "GlobalKnownHostsFile=none",
                "-o",
                "IdentitiesOnly=yes",
            ])
            .args(["-o", &format!("UserKnownHostsFile={}", known.display())])
            .args([
                "-i",
                sshd.key().to_str().unwrap(),
                "-p",
                &sshd.port().to_string(),
            ])
            .args([&format!("{}@127.0.0.1", sshd.user()), "echo hello"])
            .output()
            .unwrap()
    };
    let output = login(sshd.known_hosts());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "hello\n",
        "{}",
        sshd.process().log()
    );
    assert!(!login(sshd.wrong_known_hosts()).status.success());
}

#[test]
fn a_registry_keeps_what_is_pushed_and_a_private_one_asks_who_wants_it() {
    let open = Registry::start();
    let digest = open.push_index("acme/shop", "v1", &["linux/amd64", "linux/arm64"]);
    open.push("acme/shop", "v2", "linux/amd64");
    let accept = [("Accept", "application/vnd.oci.image.index.v1+json")];
    let url = format!("http://{}/v2/acme/shop/manifests/v1", open.address());
    let answer = request("GET", &url, &accept, b"").unwrap();
    assert_eq!(
        answer.header("docker-content-digest"),
        Some(digest.as_str())
    );

    let private = Registry::start_private("reader", "pa:ss word");
    private.push("acme/shop", "v1", "linux/amd64");
    let url = format!("http://{}/v2/acme/shop/manifests/v1", private.address());
    assert_eq!(get(&url).unwrap().status, 401);
}

#[test]
fn databases_answer_and_are_gone_afterwards() {
    let postgres = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    postgres.sql("create database shop");
    let told = postgres.sql_in(
        "shop",
        "create table t (a int, b text); select 1, current_database()",
    );
    assert_eq!(told, "1|shop\n");
    let mariadb = MariaDb::start();
    let told = mariadb.sql("create database shop; use shop; select 1, database()");
    assert_eq!(told, "1\tshop\n");
    let ports = [postgres.port(), mariadb.port()];
    drop((postgres, mariadb));
    for port in ports {
        let refused = TcpStream::connect(("127.0.0.1", port)).is_err();
        assert!(refused, "a database outlived its value");
    }
}

#[test]
fn prism_answers_as_github_describes_itself() {
    let github = Prism::github();
    let runners = get(&format!("{}/repos/acme/shop/actions/runners", github.url())).unwrap();
    assert_eq!(runners.status, 200, "{}", runners.text());
    assert!(runners.text().contains("\"runners\""));
}

#[test]
fn a_host_with_systemd_runs_services_of_its_own() {
    let unit = "[Service]\nExecStart=/bin/sh -c 'echo \"I run\"; exec sleep 1000'\n";
    let host = testkit::SystemdHost::start(&[("app.service", unit)]);
    assert!(
        !host
            .exec(&["systemctl", "is-active", "app.service"])
            .status
            .success()
    );
    host.must(&["systemctl", "start", "app.service"]);
    assert_eq!(
        host.must(&["systemctl", "is-active", "app.service"]),
        "active"
    );
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(10),
        || {
            host.must(&["journalctl", "-q", "-u", "app.service", "-o", "cat"])
                .contains("I run")
        }
    ));
    // It is its own machine: the unit is not there outside.
    assert!(!std::path::Path::new("/etc/systemd/system/app.service").exists());
    let pid = host.process().pid();
    drop(host);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
