//! HTTP probes against real servers: requests, accepted answers, trusted certificates.

use std::path::Path;

use testkit::{Authority, Certificate, Nginx, Shop, Sshd, SshdSetup, Tinyproxy};

/// The gate's exit code and everything it wrote, for one http probe.
fn gate_in(folder: &Path, probe: &str, env: &[(&str, &str)]) -> (i32, String) {
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {{ interval: 20ms, timeout: 3s, success-threshold: 2, failure-limit: 1, deadline: 15s }}\n  http: [{{ name: it, {probe} }}]\n"
    );
    std::fs::write(folder.join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("healthgate")
        .current_dir(folder)
        .args(["--report", "report.json"])
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let mut text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    text.push_str(&std::fs::read_to_string(folder.join("report.json")).unwrap_or_default());
    (output.status.code().unwrap(), text)
}

fn gate(probe: &str) -> (i32, String) {
    gate_in(tempfile::tempdir().unwrap().path(), probe, &[])
}

#[track_caller]
fn passes(probe: &str) {
    let (code, text) = gate(probe);
    assert_eq!(code, 0, "{text}");
}

#[track_caller]
fn ends(expected: i32, probe: &str, why: &str) {
    let (code, text) = gate(probe);
    assert_eq!(code, expected, "{text}");
    assert!(text.contains(why), "{why}: {text}");
}

/// Logs the requested path, and describes the request in its answer.
fn echo() -> Nginx {
    Nginx::serving(
        r#"log_format asked escape=json '$request_method $uri $content_type [$request_body] $http_x_key';
    server {
        listen 127.0.0.1:PORT;
        access_log off;
        location /status/ { rewrite ^/status/(.*)$ /$1; }
        location = /204 { return 204; }
        location = /404 { return 404 "nothing here"; }
        location = /echo {
            access_log access.log asked;
            proxy_pass http://127.0.0.1:PORT/inner;
            proxy_set_header Host $http_host;
        }
        location = /inner {
            default_type application/json;
            add_header X-Seen "$http_user_agent";
            return 200 '{"method":"$request_method","host":"$http_host"}';
        }
    }"#,
    )
}

#[test]
fn methods_headers_and_bodies_reach_the_server() {
    let nginx = echo();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.xml"), "<ping/>").unwrap();
    let url = nginx.url("/echo");
    for (probe, asked) in [
        ("method: GET, jq: .method == \"GET\"", "GET /echo  [] "),
        ("method: OPTIONS", "OPTIONS /echo  [] "),
        (
            r#"json: { a: 1, b: [true, null, "1", 1.5], c: "${N}" }, jq: .method == "POST""#,
            r#"POST /echo application/json [{\"a\":1,\"b\":[true,null,\"1\",1.5],\"c\":\"42\"}] "#,
        ),
        (
            "form: { user: 'a b', pass: 'x&y=z' }, method: PUT",
            "PUT /echo application/x-www-form-urlencoded [pass=x%26y%3Dz&user=a+b] ",
        ),
        (
            "body: 'plain', headers: { X-Key: '${KEY}', Content-Type: text/plain }",
            "POST /echo text/plain [plain] k3y-of-the-shop",
        ),
        ("body-file: body.xml", "POST /echo  [<ping/>] "),
    ] {
        let probe = format!("url: '{url}', {probe}");
        let env = [("KEY", "k3y-of-the-shop"), ("N", "42")];
        let (code, text) = gate_in(folder.path(), &probe, &env);
        assert_eq!(code, 0, "{probe}: {text}");
        let seen = nginx.access_log();
        assert!(seen.lines().any(|line| line == asked), "{asked}\n{seen}");
        assert!(!text.contains("k3y-of-the-shop"), "{text}");
    }
}

#[test]
fn what_a_configuration_cannot_mean_is_refused() {
    for (probe, why) in [
        ("body: a, json: { }", "`body` and `json` exclude each other"),
        ("method: get", "is not a method"),
        ("method: CONNECT", "is for proxies"),
        ("status: 99", "is not an HTTP status"),
        ("status: [200, 299-200]", "ends before it begins"),
        ("server-name: a", "is for an `https://` URL"),
        ("min-days: 3", "is for an `https://` URL"),
        ("proxy: 'ftp://a'", "the proxy is neither"),
        (
            "resolve: [127.0.0.1], proxy: 'http://a:1'",
            "exclude each other",
        ),
        ("http-version: http3", "http3"),
    ] {
        ends(2, &format!("url: 'http://127.0.0.1:1/', {probe}"), why);
    }
}

#[test]
fn statuses_are_one_a_range_or_a_list() {
    let nginx = echo();
    let (missing, empty) = (nginx.url("/404"), nginx.url("/204"));
    for status in ["404", "400-499", "4xx", "[200, 404]", "['2xx', 400-404]"] {
        passes(&format!("url: '{missing}', status: {status}"));
        if !status.contains("2xx") {
            let probe = format!("url: '{empty}', status: {status}");
            ends(1, &probe, "status 204");
        }
    }
    passes(&format!("url: '{empty}'"));
    ends(
        1,
        &format!("url: '{missing}'"),
        "expected: status 200 to 299",
    );
}

fn tls_block(certificate: &Certificate, more: &str) -> String {
    format!(
        r#"server {{
        listen 127.0.0.1:PORT ssl {more};
        access_log off;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{ return 200 "$server_protocol $ssl_server_name $host $ssl_client_s_dn"; }}
    }}"#,
        certificate = certificate.certificate.display(),
        key = certificate.key.display(),
    )
}

#[test]
fn http_2_is_spoken_where_it_is_offered_or_demanded() {
    let authority = Authority::new();
    let ca = format!("ca-file: '{}'", authority.file().display());
    let certificate = authority.certificate("127.0.0.1", 30);
    let new = Nginx::serving(&tls_block(&certificate, "http2"));
    let url = format!("url: 'https://127.0.0.1:{}/', {ca}", new.port());
    passes(&format!("{url}, body-regex: '^HTTP/2'"));
    passes(&format!(
        "{url}, body-regex: '^HTTP/1.1', http-version: http1"
    ));
    passes(&format!(
        "{url}, body-regex: '^HTTP/2', http-version: http2, method: POST, body: x"
    ));
    let old = Nginx::serving(&tls_block(&certificate, ""));
    let url = format!("url: 'https://127.0.0.1:{}/', {ca}", old.port());
    passes(&format!("{url}, body-regex: '^HTTP/1.1'"));
    ends(1, &format!("{url}, http-version: http2"), "fail");

    let plain = Nginx::serving(
        r#"server { listen 127.0.0.1:PORT http2; access_log off; location / { return 200 "$server_protocol $host"; } }"#,
    );
    let url = plain.url("/");
    passes(&format!(
        "url: '{url}', http-version: http2, body-regex: '^HTTP/2.0 127.0.0.1'"
    ));
    passes(&format!(
        "url: '{url}', http-version: http2, headers: {{ Host: shop.test }}, body-regex: 'shop.test$'"
    ));
    ends(
        1,
        &format!("url: '{url}', http-version: http1"),
        "failed (2)",
    );
}

/// A user meets the certificate of each server on the way, and turns back at the first that ended.
#[test]
fn the_certificate_of_every_hop_counts() {
    let authority = Authority::new();
    let ca = format!(
        "ca-file: '{}', max-redirects: 3",
        authority.file().display()
    );
    let there = Nginx::serving(&tls_block(&authority.certificate("127.0.0.1", 90), ""));
    let near = authority.certificate("localhost", 5);
    let here = Nginx::serving(&format!(
        "server {{ listen 127.0.0.1:PORT ssl; access_log off; ssl_certificate {}; ssl_certificate_key {}; location / {{ return 302 https://127.0.0.1:{}/; }} }}",
        near.certificate.display(),
        near.key.display(),
        there.port()
    ));
    let url = format!(
        "url: 'https://localhost:{}/', resolve: [127.0.0.1], {ca}",
        here.port()
    );
    passes(&format!("{url}, min-days: 3"));
    let why = format!("the certificate of localhost:{}: ", here.port());
    ends(1, &format!("{url}, min-days: 30"), &why);
    let direct = format!("url: 'https://127.0.0.1:{}/', {ca}", there.port());
    passes(&format!("{direct}, min-days: 30"));
}

#[test]
fn whom_we_trust_and_who_we_are() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = format!("ca-file: '{}'", authority.file().display());
    let server = authority.certificate("shop.test", 30);
    let client = authority.certificate("gate", 30);
    let nginx = Nginx::serving(&tls_block(&server, "http2"));
    let by_ip = format!("url: 'https://127.0.0.1:{}/'", nginx.port());
    passes(&format!(
        "{by_ip}, {ca}, server-name: shop.test, body-regex: ' shop.test 127.0.0.1 '"
    ));
    ends(1, &format!("{by_ip}, {ca}"), "not valid for name");
    ends(
        1,
        &format!("{by_ip}, server-name: shop.test"),
        "UnknownIssuer",
    );
    ends(4, &format!("{by_ip}, ca-file: /nowhere"), "cannot be used");
    let by_name = format!(
        "url: 'https://shop.test:{}/', {ca}, resolve: [127.0.0.1]",
        nginx.port()
    );
    passes(&format!("{by_name}, body-regex: ' shop.test shop.test '"));
    passes(&format!("{by_name}, min-days: 20"));
    ends(
        1,
        &format!("{by_name}, min-days: 60"),
        "29 days left, fewer than 60",
    );

    let strict = format!(
        "{}\n",
        tls_block(&server, "").replace(
            "access_log off;",
            &format!(
                "access_log off; ssl_verify_client on; ssl_client_certificate {};",
                authority.file().display()
            )
        )
    );
    let nginx = Nginx::serving(&strict);
    let by_name = format!(
        "url: 'https://shop.test:{}/', {ca}, resolve: [127.0.0.1]",
        nginx.port()
    );
    ends(1, &by_name, "status 400");
    let shown = |key: &Path| {
        format!(
            "{by_name}, body-regex: 'CN=gate', client-certificate: {{ certificate-file: '{}', key-file: '{}' }}",
            client.certificate.display(),
            key.display()
        )
    };
    passes(&shown(&client.key));
    ends(4, &shown(&server.key), "cannot be used");
    ends(4, &shown(&folder.path().join("none")), "cannot be used");

    let expired = Nginx::serving(&tls_block(&authority.certificate("shop.test", 0), ""));
    let url = format!(
        "url: 'https://shop.test:{}/', {ca}, resolve: [127.0.0.1]",
        expired.port()
    );
    ends(1, &url, "expired");
}

/// A site that redirects, and another one that would like to know our secrets.
fn redirects(other: &str) -> Nginx {
    Nginx::serving(
        &r#"log_format asked '$request_method $uri auth=$http_authorization key=$http_x_key';
    access_log access.log asked;
    server {
        listen 127.0.0.1:PORT;
        location = /start { return 302 /middle; }
        location = /middle { return 301 http://127.0.0.1:PORT/end; }
        location = /end { return 200 "$request_method here"; }
        location = /circle { return 302 /elcric; }
        location = /elcric { return 302 /circle; }
        location = /away { return 302 OTHER/end; }
        location = /away-with-body { return 307 OTHER/end; }
        location = /back-with-body { return 307 /end; }
        location = /see { return 303 /end; }
        location = /nowhere { return 302 ftp://127.0.0.1/; }
    }"#
        .replace("OTHER", other),
    )
}

#[test]
fn redirects_are_followed_where_asked_for_and_take_no_secret_along() {
    let other = redirects("http://127.0.0.1:1");
    let site = redirects(&format!("http://localhost:{}", other.port()));
    let url = |path: &str| format!("url: '{}'", site.url(path));
    ends(1, &url("/start"), "status 302");
    passes(&format!("{}, status: 302", url("/start")));
    passes(&format!(
        "{}, max-redirects: 2, body-regex: here",
        url("/start")
    ));
    ends(
        1,
        &format!("{}, max-redirects: 1", url("/start")),
        "more redirects than max-redirects (1)",
    );
    ends(
        1,
        &format!("{}, max-redirects: 20", url("/circle")),
        "redirects in circles",
    );
    ends(
        1,
        &format!("{}, max-redirects: 5", url("/nowhere")),
        "which is not an http URL",
    );
    // Another path of the same server may know who asks, another server may not.
    let secret = "max-redirects: 3, headers: { Authorization: 'Bearer ${T}', X-Key: '${T}' }";
    let folder = tempfile::tempdir().unwrap();
    for path in ["/start", "/away"] {
        let probe = format!("{}, {secret}", url(path));
        let (code, text) = gate_in(folder.path(), &probe, &[("T", "t0ken-value")]);
        assert_eq!(code, 0, "{text}");
    }
    let user = site.url("/away").replace("//", "//robot:t0ken-value@");
    passes(&format!("url: '{user}', max-redirects: 3"));
    let seen = site.access_log();
    assert!(
        seen.contains("GET /end auth=Bearer t0ken-value key=t0ken-value"),
        "{seen}"
    );
    assert!(seen.contains("GET /away auth=Basic "), "{seen}");
    let seen = other.access_log();
    assert!(seen.contains("GET /end auth=- key=-"), "{seen}");
    assert!(!seen.contains("t0ken") && !seen.contains("Basic"), "{seen}");
    // A body goes where the first server redirects it, and nowhere else.
    let form = "form: { password: secret }, max-redirects: 3";
    passes(&format!(
        "{}, {form}, body-regex: '^POST'",
        url("/back-with-body")
    ));
    passes(&format!("{}, {form}, body-regex: '^GET'", url("/see")));
    ends(
        1,
        &format!("{}, {form}", url("/away-with-body")),
        "the body is not for another server",
    );
    assert!(
        !other.access_log().contains("POST"),
        "{}",
        other.access_log()
    );
}

#[test]
fn a_proxy_of_its_own_or_none() {
    let nginx = echo();
    let proxy = Tinyproxy::start_private("robot", "p4ss-of-the-proxy");
    let address = format!("http://robot:${{PASS}}@{}", proxy.address());
    let folder = tempfile::tempdir().unwrap();
    let url = nginx.url("/204");
    let dead = format!("http://127.0.0.1:{}", testkit::free_port());
    let env = [("PASS", "p4ss-of-the-proxy"), ("HTTP_PROXY", dead.as_str())];
    let probe = format!("url: '{url}', proxy: '{address}'");
    let (code, text) = gate_in(folder.path(), &probe, &env);
    assert_eq!(code, 0, "{text}");
    assert!(proxy.has_logged(&format!("GET {url}")), "{}", proxy.log());
    assert!(!text.contains("p4ss-of-the-proxy"), "{text}");
    for direct in ["proxy: none", "resolve: [127.0.0.1]"] {
        let (code, text) = gate_in(folder.path(), &format!("url: '{url}', {direct}"), &env);
        assert_eq!(code, 0, "{text}");
    }
    let (code, text) = gate_in(folder.path(), &format!("url: '{url}'"), &env);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains(&format!("through proxy {dead}: connection refused")),
        "{text}"
    );
}

/// A cut must not leave half a secret: redaction would not find it.
#[test]
fn a_secret_that_an_answer_repeats_is_not_shown_in_part() {
    let nginx = Nginx::serving(
        "access_log off; server { listen 127.0.0.1:PORT; location / { return 200 '{\"pad\":\"$arg_pad\",\"said\":\"$http_x_key\",\"more\":\"$arg_pad\"}'; } }",
    );
    let folder = tempfile::tempdir().unwrap();
    let secret = "c4nary-0123456789-abcdefghijklmnopqrst";
    for before in (120..200).step_by(8) {
        let url = nginx.url(&format!("/?pad={}", "x".repeat(before)));
        let probe = format!("url: '{url}', headers: {{ X-Key: '${{HELD}}' }}, jq: .nothing");
        let (code, text) = gate_in(folder.path(), &probe, &[("HELD", secret)]);
        assert_eq!(code, 1, "{text}");
        assert!(!text.contains("c4n"), "{before}: {text}");
    }
}

/// Two servers of one name: the second one is broken, or does not listen.
fn pair(broken: bool) -> Nginx {
    let second = if broken {
        "server { listen 127.0.0.2:PORT; location / { return 500; } }"
    } else {
        ""
    };
    Nginx::serving(&format!(
        "access_log off; server {{ listen 127.0.0.1:PORT; location / {{ return 200 fine; }} }} {second}"
    ))
}

#[test]
fn one_broken_address_fails_and_is_named() {
    for (broken, why) in [
        (true, "127.0.0.2: status 500"),
        (false, "127.0.0.2: connection refused"),
    ] {
        let nginx = pair(broken);
        let probe = format!(
            "url: 'http://shop.test:{}/', resolve: [127.0.0.1, 127.0.0.2]",
            nginx.port()
        );
        ends(1, &probe, why);
        passes(&format!("{probe}, addresses: one"));
        // A given setting applies, whatever the name.
        ends(1, &probe.replace("shop.test", "localhost"), why);
    }
}

/// The same through the system's resolver, in a mount namespace with its own hosts file.
#[test]
fn dns_that_gives_one_healthy_and_one_broken_address_fails_and_names_it() {
    let nginx = pair(true);
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 shop.test\n127.0.0.2 shop.test\n").unwrap();
    let url = format!("http://shop.test:{}/", nginx.port());
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(testkit::tool("unshare"));
        testkit::clear_environment(&mut command)
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"")
            .arg("sh")
            .arg(&hosts)
            .arg(testkit::bin_path("healthgate"))
            .args(["--http", &url, "--interval", "20ms", "--failure-limit", "1"])
            .args(more)
            .current_dir(folder.path());
        let output = command.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    let (code, text) = run(&[]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("127.0.0.2: status 500"), "{text}");
    std::fs::write(&hosts, "127.0.0.1 shop.test\n").unwrap();
    let (code, text) = run(&[]);
    assert_eq!(code, 0, "{text}");
}

/// Only the host can resolve this name, so no connection from this machine could succeed.
#[test]
fn via_a_host_its_own_network_is_asked_on_one_login() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hosts"), "127.0.0.1 inside.test\n").unwrap();
    let sshd = SshdSetup {
        before: Some(format!(
            "mount --bind '{}' /etc/hosts",
            folder.path().join("hosts").display()
        )),
        ..SshdSetup::default()
    }
    .start();
    std::fs::write(folder.path().join("known_hosts"), sshd.known_hosts()).unwrap();
    let authority = Authority::new();
    let tls = Nginx::serving(&tls_block(
        &authority.certificate("inside.test", 30),
        "http2",
    ));
    let plain = echo();
    let config = format!(
        "version: 1
hosts: {{ web-01: {{ address: 127.0.0.1, port: {ssh}, user: {user}, key-env: KEY, known-hosts: known_hosts }} }}
healthgate:
  policy: {{ interval: 50ms, timeout: 10s, success-threshold: 3, failure-limit: 1, deadline: 60s }}
  http:
    - {{ name: plain, url: 'http://inside.test:{plain}/204', via: web-01 }}
    - {{ name: tls, url: 'https://inside.test:{tls}/', via: web-01, ca-file: '{ca}', body-regex: '^HTTP/2' }}
    - {{ name: closed, url: 'http://inside.test:1/', via: web-01 }}
",
        ssh = sshd.port(),
        user = sshd.user(),
        plain = plain.port(),
        tls = tls.port(),
        ca = authority.file().display(),
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let run = |key: &str, only: &[&str]| {
        let output = testkit::bin("healthgate")
            .current_dir(folder.path())
            .args(only.iter().flat_map(|id| ["--only", id]))
            .env("KEY", key)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), text)
    };
    let key = sshd.private_key();
    let (code, text) = run(&key, &["http/plain", "http/tls"]);
    assert_eq!(code, 0, "{text}");
    let logins = sshd.process().log().matches("Accepted publickey").count();
    assert_eq!(logins, 1, "{}", sshd.process().log());
    let (code, text) = run(&key, &["http/closed"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("connection refused"), "{text}");
    // Who cannot log in cannot say anything of the service.
    drop(sshd);
    let (code, text) = run(&key, &["http/plain"]);
    assert_eq!(code, 4, "{text}");
}

/// The runbook's health check in both environments: on staging from the host's own loopback, in
/// production from outside. Answers as the runbook's symptoms say: 500, or none in time.
fn runbook_001(environment: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::start();
    std::fs::write(folder.path().join("known_hosts"), sshd.known_hosts()).unwrap();
    let shop = Shop::start("v1.2.4");
    let config = format!(
        "version: 1
service: api
hosts: {{ staging-host: {{ address: 127.0.0.1, port: {ssh}, user: {user}, key-env: KEY, known-hosts: known_hosts }} }}
healthgate:
  policy: {{ interval: 50ms, timeout: 2s, success-threshold: 2, failure-limit: 1, deadline: 30s }}
  http: [{{ name: api, url: '{url}', jq: '.status == \"healthy\"' }}]
environments:
  production: {{}}
  staging:
    healthgate:
      http: [{{ name: api, url: '{url}', via: staging-host, jq: '.status == \"healthy\"' }}]
",
        ssh = sshd.port(),
        user = sshd.user(),
        url = shop.url("/health/ready"),
    );
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let gate = || {
        let output = testkit::bin("healthgate")
            .current_dir(folder.path())
            .args(["--environment", environment, "--report", "report.json"])
            .env("KEY", sshd.private_key())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        let report = std::fs::read_to_string(folder.path().join("report.json")).unwrap();
        (output.status.code().unwrap(), text, report)
    };
    let (code, text, _) = gate();
    assert_eq!(code, 0, "{text}");
    shop.set_health("database unreachable", 500);
    let (code, text, report) = gate();
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("status 500") && text.contains("curl -sv"),
        "{text}"
    );
    // The details that a person would have looked up.
    assert!(report.contains("database unreachable"), "{report}");
    shop.set_health("healthy", 200);
    shop.set_delay(std::time::Duration::from_secs(4));
    let (code, text, _) = gate();
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("no complete answer within 2s"), "{text}");
}

#[test]
fn runbook_001_health_check_failed_on_staging() {
    runbook_001("staging");
}

#[test]
fn runbook_001_health_check_failed_in_production() {
    runbook_001("production");
}
