//! Smoke tests: requests that hand values and cookies on, against nginx; and files for hurl.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use testkit::Nginx;

/// A shop where one logs in, orders, and looks at the order.
fn shop() -> Nginx {
    Nginx::serving(
        r#"log_format asked escape=json '$request_method $request_uri [$request_body] $http_authorization $http_cookie';
    access_log access.log asked;
    default_type application/json;
    server {
        listen 127.0.0.1:PORT;
        location = /login { proxy_pass http://127.0.0.1:PORT/in; }
        location = /in {
            access_log off;
            add_header Set-Cookie "session=s3ssion-value; Path=/; HttpOnly";
            add_header Set-Cookie "other=x; Path=/elsewhere";
            return 200 '{"token":"t0ken-of-the-login","user":{"id":7,"name":"a/b c"},"next":"/orders/7?page=1","away":"http://127.0.0.1:1/"}';
        }
        location = /start { return 302 /login; }
        location = /orders { proxy_pass http://127.0.0.1:PORT/made; }
        location = /made { access_log off; return 201 '{"order":{"id":"7"}}'; }
        location /orders/ {
            if ($cookie_session != "s3ssion-value") { return 401; }
            return 200 '{"status":"confirmed","uri":"$request_uri"}';
        }
        location = /me { return 500 '{"session":"$cookie_session"}'; }
        location = /broken { add_header X-Auth-Token t0ken-of-the-login-or-another always; return 500 '{"token":"t0ken-of-the-login"}'; }
        location = /admin { return 200 '{"token":"t0ken-of-the-login","id":null,"role":"user"}'; }
        location = /null { return 200 '{"id":null}'; }
        location = /list { return 200 '[1'; }
        location = /slow { limit_rate 1; return 200 "a long answer that takes its time to come over the line"; }
    }"#,
    )
}

fn gate(folder: &Path, probe: &str, env: &[(&str, &str)]) -> (i32, String) {
    let config = format!(
        "version: 1\nhealthgate:\n  policy: {{ interval: 20ms, timeout: 2s, success-threshold: 2, failure-limit: 0, deadline: 15s }}\n  smoke:\n    - name: it\n{probe}\n"
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

fn asked(requests: &[String]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let requests = requests.join(" }\n        - { ");
    let list = format!("      requests:\n        - {{ {requests} }}\n");
    gate(folder.path(), &list, &[])
}

#[test]
fn runbook_000_smoke_tests_log_in_order_and_look() {
    let shop = shop();
    let url = |path: &str| format!("url: '{}'", shop.url(path));
    let (code, text) = asked(&[
        format!(
            "{}, form: {{ user: smoke }}, capture: {{ token: .token, id: .user.id, name: .user.name, next: .next }}",
            url("/login")
        ),
        format!(
            "{}, headers: {{ Authorization: 'Bearer {{{{token}}}}' }}, json: {{ user: '{{{{id}}}}', note: 'by {{{{name}}}}' }}, status: 201, capture: {{ order: .order.id }}",
            url("/orders")
        ),
        format!(
            "{}, jq: '.status == \"confirmed\"'",
            url("/orders/{{order}}?by={{name}}")
        ),
        "url: '{{next}}', jq: '.uri == \"/orders/7?page=1\"'".to_owned(),
    ]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("4 of 4 answered right"), "{text}");
    let seen = shop.access_log();
    for line in [
        "POST /login [user=smoke]  ",
        r#"POST /orders [{\"note\":\"by a/b c\",\"user\":7}] Bearer t0ken-of-the-login session=s3ssion-value"#,
        "GET /orders/7?by=a%2Fb%20c []  session=s3ssion-value",
        "GET /orders/7?page=1 []  session=s3ssion-value",
    ] {
        assert!(seen.lines().any(|seen| seen == line), "{line}\n{seen}");
    }
    // Two measurements, and each began without a cookie.
    assert_eq!(
        seen.matches("POST /login [user=smoke]  \n").count(),
        2,
        "{seen}"
    );
    for secret in ["t0ken-of-the-login", "s3ssion-value"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_request_that_fails_is_named() {
    let shop = shop();
    let url = |path: &str| format!("url: '{}'", shop.url(path));
    let login = format!(
        "{}, capture: {{ token: .token, away: .away }}",
        url("/login")
    );
    let cases = [
        (
            format!("{}, name: ordering", url("/broken")),
            "request 2 of 2 (ordering): status 500",
        ),
        (url("/me"), "/me): status 500"),
        (url("/404"), "/404): status 404"),
        (
            format!("{}, capture: {{ id: .id }}", url("/null")),
            "`id` is not captured: `.id` finds nothing",
        ),
        (
            // Neither error shows the token beside it.
            format!("{}, capture: {{ id: .id, token: .token }}", url("/admin")),
            "`id` is not captured: `.id` finds nothing",
        ),
        (
            format!("{}, capture: {{ id: .id }}", url("/list")),
            "`id` is not captured: the answer is not JSON",
        ),
        (
            "url: '{{away}}'".to_owned(),
            "`away` leads to another server",
        ),
        (
            "url: 'http://127.0.0.1:1/'".to_owned(),
            "request 2 of 2 (http://127.0.0.1:1/): connection refused",
        ),
        (url("/slow"), "request 2 of 2"),
    ];
    for (second, why) in cases {
        let (code, text) = asked(&[login.clone(), second]);
        assert_eq!(code, 1, "{why}: {text}");
        assert!(text.contains(why), "{why}: {text}");
        for secret in ["t0ken-of-the-login", "or-another", "s3ssion-value"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    let login = format!(
        "{}, jq: .role == \"admin\", capture: {{ token: .token }}",
        url("/admin")
    );
    let (code, text) = asked(&[login]);
    assert_eq!(code, 1, "{text}");
    assert!(!text.contains("t0ken-of-the-login"), "{text}");
    // A cookie that a redirect sets on the way counts too.
    let (code, text) = asked(&[
        format!("{}, max-redirects: 1", url("/start")),
        url("/orders/1"),
    ]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = asked(&[url("/orders/1")]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("status 401"), "{text}");
}

/// One healthy address does not hide a broken one, whichever is probed first.
#[test]
fn every_address_of_the_server_goes_through_all_requests() {
    let nginx = Nginx::serving(
        "access_log off; server { listen 127.0.0.1:PORT; location / { return 200 '{}'; } } \
         server { listen 127.0.0.2:PORT; location / { return 200 '{}'; } location = /order { return 500; } }",
    );
    let folder = tempfile::tempdir().unwrap();
    let ask = |host: &str, more: &str| {
        let url = |path: &str| format!("http://{host}:{}{path}", nginx.port());
        let requests = format!(
            "[{{ url: '{}' }}, {{ url: '{}' }}]",
            url("/"),
            url("/order")
        );
        gate(
            folder.path(),
            &format!("      requests: {requests}\n{more}"),
            &[],
        )
    };
    let both = "      resolve: [127.0.0.1, 127.0.0.2]\n";
    let (code, text) = ask("shop.test", both);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("127.0.0.2: request 2 of 2"), "{text}");
    let (code, text) = ask("shop.test", &format!("{both}      addresses: one\n"));
    assert_eq!(code, 0, "{text}");
    let (code, text) = ask("shop.test", "      resolve: [127.0.0.1, 127.0.0.3]\n");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("127.0.0.3: request 1 of 2"), "{text}");
    // By convention two addresses, of which nginx listens on one.
    let (code, text) = ask("localhost", "");
    assert_eq!(code, 0, "{text}");
}

#[test]
fn what_a_configuration_cannot_mean_is_refused() {
    for (probe, why) in [
        ("      requests: []", "neither `requests` nor `hurl`"),
        (
            "      requests: [{ url: 'http://a/{{id}}' }]",
            "no request before this one captures `id`",
        ),
        (
            "      requests: [{ url: 'http://a/', capture: { order: .a } }, { url: 'http://a/{{oder}}' }]",
            "did you mean `order`?",
        ),
        (
            "      requests: [{ url: 'http://a/{{id' }]",
            "is not closed",
        ),
        ("      requests: [{ url: 'ftp://a/' }]", "is not `http://…`"),
        (
            "      requests: [{ url: 'http://a/' }]\n      hurl: a.hurl",
            "exclude each other",
        ),
        ("      hurl: a.hurl\n      via: web-01", "no host `web-01`"),
    ] {
        let (code, text) = gate(tempfile::tempdir().unwrap().path(), probe, &[]);
        assert_eq!(code, 2, "{probe}: {text}");
        assert!(text.contains(why), "{probe}: {text}");
    }
}

/// Replaces hurl, which no package registry offers as a binary: it prints its arguments and ends
/// as it is told.
const HURL: &str = r#"#!/bin/sh
set -eu
variables='' file=''
while [ $# -gt 0 ]; do
  case $1 in
    --no-color) ;;
    --error-format | --output | --max-time) [ -n "$2" ]; shift ;;
    --variables-file) variables=$2; shift ;;
    --) file=$2; shift ;;
    *) echo "error: unexpected argument '$1'" >&2; exit 1 ;;
  esac
  shift
done
mode=$(stat -c %a "$variables")
[ "$mode" = 600 ] || { echo "error: others may read the variables: $mode" >&2; exit 1; }
tr '\n' ' ' <"$variables" >>seen
cat "$file" >>seen
. "./$file"
"#;

#[test]
fn hurl_is_run_where_it_is_installed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("smoke.hurl");
    let probe = "      hurl: smoke.hurl\n      variables: { host: shop.test, password: '${P}' }";
    std::fs::write(&file, "exit 0").unwrap();
    let env = [("P", "p4ss word"), ("PATH", "/nowhere")];
    let (code, text) = gate(folder.path(), probe, &env);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("the program `hurl` is not installed") && text.contains("install it:"),
        "{text}"
    );
    let program = folder.path().join("hurl");
    std::fs::write(&program, HURL).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let env = [("P", "p4ss word"), ("PATH", path.as_str())];
    for (does, code, why) in [
        ("exit 0", 0, "all is well"),
        (
            "echo 'error: Assert status code' >&2; exit 4",
            1,
            "hurl: Assert status code",
        ),
        (
            "echo 'error: HTTP connection' >&2; exit 3",
            1,
            "hurl: HTTP connection",
        ),
        ("echo 'error: Parsing' >&2; exit 2", 4, "hurl: Parsing"),
        ("exit 9", 4, "hurl ends with exit status 9"),
        ("kill -9 $$", 4, "killed by signal 9"),
        ("sleep 20", 1, "hurl is not done in time"),
        ("exec yes", 1, "hurl is not done in time"),
    ] {
        std::fs::write(&file, does).unwrap();
        let (is, text) = gate(folder.path(), probe, &env);
        assert_eq!(is, code, "{does}: {text}");
        assert!(text.contains(why), "{does}: {text}");
    }
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    assert!(
        seen.starts_with("host=shop.test password=p4ss word exit 0"),
        "{seen}"
    );
    std::fs::remove_file(&file).unwrap();
    let (code, text) = gate(folder.path(), probe, &env);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("there is no file smoke.hurl"), "{text}");
}
