//! gRPC probes against grpcio's server.

use testkit::{Authority, GrpcHealth, Nginx};

#[track_caller]
fn ends(expected: i32, probe: &str, why: &str) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {{ interval: 20ms, timeout: 5s, success-threshold: 2, failure-limit: 1, deadline: 20s }}\n  grpc: [{{ name: it, {probe} }}]\n"
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder.path())
        // Which is about the web, and nothing is there.
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(expected), "{probe}: {text}");
    assert!(text.contains(why), "{why}: {text}");
}

#[test]
fn a_service_says_that_it_is_serving() {
    let server = GrpcHealth::start();
    let address = format!("address: '127.0.0.1:{}'", server.port());
    ends(0, &address, "SERVING");
    ends(0, &format!("{address}, service: shop.Good"), "SERVING");
    ends(0, &format!("{address}, service: shop.Newer"), "SERVING");
    ends(
        1,
        &format!("{address}, service: shop.Bad"),
        "failed (2) > failure-limit (1): it reports NOT_SERVING",
    );
    ends(
        1,
        &format!("{address}, service: shop.Ugly"),
        "the server does not know the service `shop.Ugly`",
    );
    ends(1, &format!("{address}, tls: true"), "failed (2)");
}

/// An answer that consists of headers only ("trailers-only").
#[test]
fn an_answer_of_trailers_alone_says_what_a_whole_one_does() {
    let answering = |status: &str| {
        let server = "server { listen 127.0.0.1:PORT http2; access_log off; location / { default_type application/grpc; HEADERS return 200; } }";
        Nginx::serving(&server.replace("HEADERS", status))
    };
    for (headers, why) in [
        (
            "add_header grpc-status 5;",
            "the server does not know the service",
        ),
        (
            "add_header grpc-status 12;",
            "UNIMPLEMENTED: the server does not speak grpc.health.v1",
        ),
        (
            "add_header grpc-status 14; add_header grpc-message 'upstream%20is%20gone';",
            "UNAVAILABLE: upstream is gone",
        ),
        // It reports success without a service status.
        (
            "add_header grpc-status 0;",
            "the answer is not a health status",
        ),
        ("", "the answer ends without a grpc-status"),
    ] {
        let server = answering(headers);
        ends(1, &format!("address: '127.0.0.1:{}'", server.port()), why);
    }
}

#[test]
fn what_is_no_health_service_fails() {
    let without = GrpcHealth::start_without();
    let address = format!("address: '127.0.0.1:{}'", without.port());
    ends(1, &address, "the server does not speak grpc.health.v1");
    let web = Nginx::serving(
        "server { listen 127.0.0.1:PORT http2; access_log off; location / { return 200 fine; } }",
    );
    let address = format!("address: '127.0.0.1:{}'", web.port());
    ends(1, &address, "the answer ends without a grpc-status");
    let missing = Nginx::serving(
        "server { listen 127.0.0.1:PORT http2; access_log off; location / { return 404; } }",
    );
    let address = format!("address: '127.0.0.1:{}'", missing.port());
    ends(1, &address, "status 404");
    ends(1, "address: '127.0.0.1:1'", "connection refused");
    ends(2, "address: 127.0.0.1", "no port is given");
}

#[test]
fn tls_with_certificates_on_both_sides() {
    let authority = Authority::new();
    let ca = authority.file();
    let server = GrpcHealth::start_tls(&authority.certificate("shop.test", 30), &ca);
    let client = authority.certificate("gate", 30);
    let address = format!(
        "address: '127.0.0.1:{}', server-name: shop.test, ca-file: '{}'",
        server.port(),
        ca.display()
    );
    let own = format!(
        "client-certificate: {{ certificate-file: '{}', key-file: '{}' }}",
        client.certificate.display(),
        client.key.display()
    );
    ends(0, &format!("{address}, {own}"), "SERVING");
    ends(1, &address, "failed (2)");
}
