//! Ports, certificates and names, against real servers.

use std::io::Write as _;
use std::net::TcpListener;

use testkit::{Authority, Sshd, TlsServer};

/// The gate's exit code and text for one probe.
fn gate(kind: &str, probe: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {{ interval: 20ms, timeout: 800ms, success-threshold: 2, failure-limit: 1, deadline: 3s }}\n  {kind}: [{{ name: it, {probe} }}]\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[track_caller]
fn passes(kind: &str, probe: &str) {
    let (code, text) = gate(kind, probe);
    assert_eq!(code, 0, "{text}");
}

#[track_caller]
fn ends(expected: i32, kind: &str, probe: &str, why: &str) {
    let (code, text) = gate(kind, probe);
    assert_eq!(code, expected, "{text}");
    assert!(text.contains(why), "{text}");
}

#[test]
fn a_port_takes_a_connection_and_says_the_right_thing() {
    let sshd = Sshd::start();
    let address = format!("address: 127.0.0.1:{}", sshd.port());
    passes("tcp", &address);
    passes("tcp", &format!("{address}, expect: '^SSH-2.0-OpenSSH'"));
    passes(
        "tcp",
        &format!(r#"{address}, send: "SSH-2.0-x\r\n", expect: SSH"#),
    );
    ends(
        1,
        "tcp",
        &format!("{address}, expect: '^220 '"),
        "SSH-2.0-OpenSSH",
    );
    ends(1, "tcp", "address: 127.0.0.1:1", "connection refused");
    ends(1, "tcp", "address: nowhere.invalid:80", "does not resolve");
    ends(2, "tcp", "address: 127.0.0.1", "no port is given");
    ends(2, "tcp", "address: 'http://a/'", "is not `host:port`");
}

#[test]
fn a_port_that_says_nothing_or_everything_fails_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("address: '{}'", silent.local_addr().unwrap());
    passes("tcp", &address);
    ends(
        1,
        "tcp",
        &format!("{address}, expect: OK"),
        "it sends (empty) and no more within",
    );

    let endless = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("address: '{}'", endless.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in endless.incoming().flatten() {
            std::thread::spawn(move || while stream.write_all(&[b'x'; 4096]).is_ok() {});
        }
    });
    ends(1, "tcp", &format!("{address}, expect: OK"), "it sends xxxx");
}

#[test]
fn a_certificate_is_trusted_named_and_fresh() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = format!("ca-file: {}", authority.file().display());
    let server =
        |name: &str, days| TlsServer::start(folder.path(), &authority.certificate(name, days));
    let good = server("shop.test", 30);
    let address = format!("address: 127.0.0.1:{}, server-name: shop.test", good.port());
    passes("tls", &format!("{address}, {ca}"));
    ends(
        1,
        "tls",
        &format!("{address}, {ca}, min-days: 60"),
        "29 days left, fewer than 60",
    );
    ends(1, "tls", &address, "UnknownIssuer");
    let other = format!(
        "address: 127.0.0.1:{}, server-name: blog.test, {ca}",
        good.port()
    );
    ends(1, "tls", &other, "not valid for name");
    let by_ip = server("127.0.0.1", 30);
    passes("tls", &format!("address: 127.0.0.1:{}, {ca}", by_ip.port()));

    let expired = server("shop.test", 0);
    std::thread::sleep(std::time::Duration::from_secs(1));
    let address = format!(
        "address: 127.0.0.1:{}, server-name: shop.test, {ca}",
        expired.port()
    );
    ends(1, "tls", &address, "expired");

    let sshd = Sshd::start();
    let address = format!("address: 127.0.0.1:{}, {ca}", sshd.port());
    ends(1, "tls", &address, "corrupt message");
    ends(
        4,
        "tls",
        "address: 127.0.0.1:1, ca-file: /nowhere",
        "cannot be used",
    );
    ends(
        4,
        "tls",
        &format!("address: 127.0.0.1:{}, ca-file: /dev/null", good.port()),
        "/dev/null: no certificate is in it",
    );
}

#[test]
fn a_name_resolves_to_its_addresses() {
    passes("dns", "host: localhost");
    // An address is not looked up.
    ends(4, "dns", "host: 127.0.0.1", "nothing is looked up");
    ends(1, "dns", "host: nowhere.invalid", "does not resolve");
    ends(
        1,
        "dns",
        "host: localhost, addresses: [10.0.0.1]",
        "`localhost` resolves to",
    );
    ends(
        2,
        "dns",
        "host: localhost, addresses: [10.0.0.300]",
        "10.0.0.300",
    );
}

#[test]
fn a_probe_has_its_own_policy() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("address: '{}'", silent.local_addr().unwrap());
    let once = "policy: { success-threshold: 7, interval: 1ms }";
    let (code, text) = gate("tcp", &format!("{address}, {once}"));
    assert_eq!(code, 0, "{text}");
    ends(
        2,
        "tcp",
        &format!("{address}, policy: {{ interval: 0s }}"),
        "must be more than zero",
    );
}
