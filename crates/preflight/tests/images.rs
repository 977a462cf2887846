//! Images as a user asks for them: a real registry with and without a password, Docker's own
//! logins, and what a real registry cannot be made to do.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use tempfile::TempDir;
use testkit::{Moto, Registry};
use wiremock::matchers::{header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::one_check::{configured, outcome};

/// Asks for one image.
fn asking(image: &str, more: &str) -> (TempDir, assert_cmd::Command) {
    configured(&format!(
        "version: 1\npreflight:\n  timeout: 4s\n  images:\n    - {{ name: backend, image: '{image}'{more} }}\n"
    ))
}

fn check(image: &str, more: &str, code: i32, key: &str, text: &str) {
    let (_folder, mut command) = asking(image, more);
    let (got, outcome) = outcome(&mut command);
    assert_eq!(got, code, "{image}: {outcome}");
    let told = outcome[key].as_str().unwrap();
    assert!(told.contains(text), "{image}: {key}: {told}");
}

#[test]
fn a_missing_tag_is_told_with_the_nearest_ones_that_are_there() {
    let registry = Registry::start();
    for tag in ["v1.2.3", "v1.2.5", "v2.0.0", "latest"] {
        registry.push("acme/shop", tag, "linux/amd64");
    }
    let shop = format!("{}/acme/shop", registry.address());
    check(
        &format!("{shop}:v1.2.4"),
        "",
        1,
        "hint",
        "`v1.2.3`, `v1.2.5`",
    );
    check(&format!("{shop}:lates"), "", 1, "hint", "`latest`");
    check(
        &format!("{shop}:feature-login"),
        "",
        1,
        "hint",
        "none of its 4 tag(s)",
    );
    let other = format!("{}/acme/shpo:v1", registry.address());
    check(&other, "", 1, "hint", "there is no repository `acme/shpo`");
    let nothing = format!("{shop}@sha256:{}", "0".repeat(64));
    check(&nothing, "", 1, "reason", "is not in");
}

#[test]
fn a_pinned_digest_must_exist_and_a_tag_must_name_the_digest_that_was_built() {
    let registry = Registry::start();
    let old = registry.push_made("acme/shop", "v1", "linux/amd64", "2026-01-01T00:00:00Z");
    let new = registry.push_made("acme/shop", "v1", "linux/amd64", "2026-01-02T00:00:00Z");
    let shop = format!("{}/acme/shop", registry.address());
    check(&format!("{shop}@{old}"), "", 0, "actual", &old);
    check(
        &format!("{shop}:v1@{new}"),
        "",
        0,
        "actual",
        &format!("found, {new}"),
    );
    check(
        &format!("{shop}:v1@{old}"),
        "",
        0,
        "actual",
        &format!("the tag `v1` names {new} by now"),
    );
    let tag = format!("{shop}:v1");
    check(&tag, &format!(", digest: '{new}'"), 0, "actual", &new);
    check(
        &tag,
        &format!(", digest: '{old}'"),
        1,
        "reason",
        &format!("names {new}, not {old}"),
    );
}

#[test]
fn an_image_that_is_too_old_fails_and_one_without_a_true_date_cannot_be_known() {
    let registry = Registry::start();
    let now = jiff::Timestamp::now();
    let ago = |hours: i64| (now - jiff::SignedDuration::from_hours(hours)).to_string();
    let shop = |tag: &str, created: &str| {
        registry.push_made("acme/shop", tag, "linux/amd64", created);
        format!("{}/acme/shop:{tag}", registry.address())
    };
    let most = ", max-age: 30d";
    check(&shop("new", &ago(26)), most, 0, "actual", "1d 2h old");
    // On a slow machine it is a second older by now.
    let old = shop("old", &ago(40 * 24));
    check(&old, most, 1, "reason", "the image is 40d");
    check(&old, most, 1, "reason", " old, 30d is allowed");
    for date in [
        "1970-01-01T00:00:01Z",
        "1980-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
    ] {
        check(
            &shop("fixed", date),
            most,
            3,
            "reason",
            "a reproducible build",
        );
    }
    check(
        &shop("ahead", &ago(-48)),
        most,
        3,
        "reason",
        "in the future",
    );
    registry.push("acme/shop", "none", "linux/amd64");
    let none = format!("{}/acme/shop:none", registry.address());
    check(&none, most, 3, "reason", "has no date");
}

#[test]
fn platforms_of_an_index_count_with_their_variants_and_attestations_do_not() {
    let registry = Registry::start();
    registry.push_index(
        "acme/shop",
        "v1",
        &[
            "linux/amd64",
            "linux/arm64/v8",
            "linux/arm/v7",
            "unknown/unknown",
        ],
    );
    let shop = format!("{}/acme/shop:v1", registry.address());
    let wanted = |platforms: &str| format!(", platforms: [{platforms}]");
    for platforms in [
        "linux/amd64, linux/arm64",
        "linux/arm64/v8",
        "linux/arm/v7",
        "linux/x86_64",
    ] {
        check(&shop, &wanted(platforms), 0, "actual", "found");
    }
    check(
        &shop,
        &wanted("linux/arm/v6"),
        1,
        "reason",
        "the image has no linux/arm/v6",
    );
    check(
        &shop,
        &wanted("linux/amd64, windows/amd64"),
        1,
        "actual",
        "found for linux/amd64, linux/arm/v7, linux/arm64/v8",
    );
    check(
        &shop,
        &wanted("linux/arm/v6"),
        1,
        "hint",
        "docker buildx build --platform",
    );
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn what_docker_login_left_is_used() {
    let registry = Registry::start_private("robot", "pa:ss-w0rd");
    registry.push("acme/shop", "v1", "linux/amd64");
    let image = format!("{}/acme/shop:v1", registry.address());
    let config = |pair: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        serde_json::json!({"auths": {registry.address(): {"auth": pair}}}).to_string()
    };
    // Below the home folder, and in $DOCKER_CONFIG.
    for place in [".docker", "elsewhere"] {
        let (folder, mut command) = asking(&image, "");
        write(
            &folder.path().join(place).join("config.json"),
            &config("robot:pa:ss-w0rd"),
        );
        if place == "elsewhere" {
            command.env("DOCKER_CONFIG", folder.path().join(place));
        }
        assert_eq!(outcome(&mut command).0, 0);
    }
    for (text, why) in [
        (config("robot:wrong-pass"), "as the login in "),
        (
            "{\"auths\": 3".to_owned(),
            "cannot be used: it is not Docker's configuration",
        ),
        (config("no-colon"), "is not base64 of `user:password`"),
        ("{}".to_owned(), "as an anonymous user"),
    ] {
        let (folder, mut command) = asking(&image, "");
        write(&folder.path().join(".docker/config.json"), &text);
        let (code, outcome) = outcome(&mut command);
        assert_eq!(code, 4, "{outcome}");
        assert!(
            outcome["reason"].as_str().unwrap().contains(why),
            "{outcome}"
        );
        assert!(!outcome.to_string().contains("wrong-pass"), "{outcome}");
    }
    let (folder, mut command) = asking(&image, ", login: anonymous");
    write(
        &folder.path().join(".docker/config.json"),
        &config("robot:pa:ss-w0rd"),
    );
    assert_eq!(outcome(&mut command).0, 4, "without a login");
}

/// A credential helper on PATH, as Docker would find it.
fn helper(folder: &Path, script: &str) -> std::ffi::OsString {
    let program = folder.join("bin/docker-credential-test");
    write(&program, &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    write(
        &folder.join(".docker/config.json"),
        r#"{"auths": {}, "credsStore": "test"}"#,
    );
    let mut path = folder.join("bin").into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

#[test]
fn a_credential_helper_is_asked_as_docker_asks_it() {
    let registry = Registry::start_private("robot", "h3lper-pass");
    registry.push("acme/shop", "v1", "linux/amd64");
    let address = registry.address();
    let image = format!("{address}/acme/shop:v1");
    let answer = r#"{"ServerURL":"x","Username":"robot","Secret":"h3lper-pass"}"#;
    let good =
        format!("read -r server\n[ \"$1 $server\" = 'get {address}' ] || exit 3\necho '{answer}'");
    let (folder, mut command) = asking(&image, "");
    command.env("PATH", helper(folder.path(), &good));
    let (code, told) = outcome(&mut command);
    assert_eq!(code, 0, "{told}");

    let begun = Instant::now();
    for (script, why) in [
        (
            "echo 'credentials not found in native keychain'; exit 1",
            "as an anonymous user",
        ),
        (
            "echo h3lper-pass; exit 7",
            "`docker-credential-test` failed: exit status 7",
        ),
        ("echo h3lper-pass", "cannot be understood"),
        ("yes h3lper-pass", "does not answer within 2s"),
        ("sleep 60 & sleep 60", "does not answer within 2s"),
        (
            r#"echo '{"Username":"robot","Secret":"wr0ng-pass"}'"#,
            "as the login from `docker-credential-test`",
        ),
    ] {
        let (folder, mut command) = asking(&image, "");
        command
            .env("PATH", helper(folder.path(), script))
            .arg("-vv");
        let (code, told) = outcome(&mut command);
        assert_eq!(code, 4, "{told}");
        assert!(
            told["reason"].as_str().unwrap().contains(why),
            "{script}: {told}"
        );
        for secret in ["h3lper-pass", "wr0ng-pass"] {
            assert!(!told.to_string().contains(secret), "{told}");
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    let (folder, mut command) = asking(&image, "");
    write(
        &folder.path().join(".docker/config.json"),
        r#"{"credsStore": "nowhere"}"#,
    );
    let (code, told) = outcome(&mut command);
    assert_eq!(code, 4);
    assert!(
        told["reason"]
            .as_str()
            .unwrap()
            .contains("`docker-credential-nowhere` is not on PATH")
    );

    // A public image needs no credentials, so a helper that fails does no harm.
    let public = Registry::start();
    public.push("acme/shop", "v1", "linux/amd64");
    let (folder, mut command) = asking(&format!("{}/acme/shop:v1", public.address()), "");
    command.env("PATH", helper(folder.path(), "exit 7"));
    assert_eq!(outcome(&mut command).0, 0);
}

#[test]
fn a_token_of_ecr_opens_its_registry() {
    let moto = Moto::start();
    // moto's token; the real ECR's is longer and is valid for twelve hours.
    let registry = Registry::start_private("AWS", "123456789012-auth-token");
    registry.push("acme/shop", "v1", "linux/amd64");
    let image = format!("{}/acme/shop:v1", registry.address());
    let (_folder, mut command) = asking(&image, ", login: ecr");
    let (code, told) = outcome(command.envs(moto.variables()));
    assert_eq!(code, 0, "{told}");

    let (_folder, mut command) = asking(&image, ", login: ecr");
    let (code, told) = outcome(&mut command);
    assert_eq!(code, 4, "{told}");
    assert!(
        told["reason"]
            .as_str()
            .unwrap()
            .contains("neither variables"),
        "{told}"
    );
    assert!(
        told["hint"]
            .as_str()
            .unwrap()
            .contains("configure-aws-credentials"),
        "{told}"
    );

    // Without a login, ECR is recognised by its name; the host cannot be reached from here, so
    // the request ends with the look-up of the name.
    let (_folder, mut command) = asking("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a:v1", "");
    let listed = command.envs(moto.variables()).output().unwrap();
    assert_eq!(listed.status.code(), Some(4));
    let asked = moto.process().log();
    let ecr = asked
        .lines()
        .filter(|line| line.contains("\"POST / HTTP"))
        .count();
    assert_eq!(ecr, 2, "one for each image that wants a login: {asked}");
}

#[test]
fn the_secret_of_a_helper_reaches_no_output() {
    let runtime = runtime();
    let server = runtime.block_on(async {
        let server = MockServer::start().await;
        Mock::given(header_exists("authorization"))
            .respond_with(ResponseTemplate::new(403).set_body_json(serde_json::json!(
                {"errors": [{"message": "no rights for s3cret-of-helper, czNjcmV0LW9mLWhlbHBlcg=="}]}
            )))
            .mount(&server)
            .await;
        Mock::given(path("/v2/acme/shop/manifests/v1"))
            .respond_with(
                ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"x\""),
            )
            .with_priority(9)
            .mount(&server)
            .await;
        server
    });
    let image = format!("{}/acme/shop:v1", server.address());
    // A head has no body: the platforms make it a question with one.
    let (folder, mut command) = asking(&image, ", platforms: [linux/amd64]");
    let script = r#"echo '{"Username":"robot","Secret":"s3cret-of-helper"}'"#;
    command
        .env("PATH", helper(folder.path(), script))
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", folder.path().join("summary.md"))
        .arg("-vv");
    let output = command.output().unwrap();
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    let all = [
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        summary,
    ]
    .concat();
    assert!(all.contains("no rights for ***"), "{all}");
    assert!(
        !all.contains("s3cret-of-helper") && !all.contains("czNjcmV0LW9mLWhlbHBlcg"),
        "{all}"
    );
}

/// The servers run on their own threads.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Registries that answer every question in one way.
fn answering(answer: ResponseTemplate) -> (tokio::runtime::Runtime, MockServer) {
    let runtime = runtime();
    let server = runtime.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("HEAD"))
            .respond_with(answer.clone())
            .mount(&server)
            .await;
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        server
    });
    (runtime, server)
}

#[test]
fn each_answer_of_a_registry_has_its_own_outcome() {
    for (answer, code, reason, hint) in [
        (ResponseTemplate::new(401), 4, "status 401", "docker login"),
        (ResponseTemplate::new(403), 4, "status 403", "docker login"),
        (
            ResponseTemplate::new(404),
            1,
            "is not in",
            "was it built and pushed",
        ),
        (
            ResponseTemplate::new(429).insert_header("retry-after", "120"),
            4,
            "rate limit reached, try again in 2m",
            "log in",
        ),
        (ResponseTemplate::new(500), 4, "status 500", "status page"),
        (
            ResponseTemplate::new(302).insert_header("location", "ftp://elsewhere/"),
            4,
            "redirect",
            "final name",
        ),
        (
            ResponseTemplate::new(200).set_body_raw("<html>log in</html>", "text/html"),
            4,
            "read the manifest",
            "curl -i",
        ),
    ] {
        let (_runtime, server) = answering(answer);
        let begun = Instant::now();
        let (_folder, mut command) = asking(&format!("{}/a/b:v1", server.address()), "");
        let (got, told) = outcome(&mut command);
        assert_eq!(got, code, "{told}");
        assert!(told["reason"].as_str().unwrap().contains(reason), "{told}");
        assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(6), "{told}");
    }
}

#[test]
fn pf_registry_odd_images_are_judged_by_what_an_engine_pulls() {
    let registry = Registry::start();
    let shop = format!("{}/acme/shop", registry.address());
    let image = registry.push_entry("acme/shop", "v1", "linux/arm/v6");
    registry.push_entries("acme/shop", "empty", &[]);
    registry.push_index("acme/shop", "attested", &["unknown/unknown"]);
    let mut signed = registry.push_entry("acme/shop", "sbom", "linux/amd64");
    signed["annotations"] =
        serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    signed["platform"] = serde_json::json!({"os": "linux", "architecture": "amd64"});
    registry.push_entries("acme/shop", "annotated", &[signed]);
    registry.push_entries("acme/shop", "untold", std::slice::from_ref(&image));
    let inner = registry.push_entries("acme/shop", "inner", &[image]);
    let nested = registry.push_entries("acme/shop", "nested", &[inner]);
    let mut deep = nested;
    for _ in 0..8 {
        deep = registry.push_entries("acme/shop", "deep", &[deep]);
    }
    let hollow = registry.push_entries("acme/shop", "hollow", &[]);
    registry.push_entries("acme/shop", "nothing", &[hollow]);
    for (tag, more, code, key, text) in [
        ("empty", "", 1, "reason", "its index is empty"),
        ("empty", ", max-age: 30d", 1, "reason", "its index is empty"),
        ("nothing", "", 1, "reason", "its index is empty"),
        ("attested", "", 1, "reason", "only attestations"),
        ("annotated", "", 1, "reason", "only attestations"),
        (
            "attested",
            ", platforms: [linux/amd64]",
            1,
            "reason",
            "only attestations",
        ),
        ("untold", "", 0, "actual", "found"),
        (
            "untold",
            ", platforms: [linux/arm/v7]",
            0,
            "actual",
            "found",
        ),
        (
            "untold",
            ", platforms: [linux/amd64]",
            1,
            "actual",
            "linux/arm/v6",
        ),
        ("nested", "", 0, "actual", "found"),
        ("nested", ", platforms: [linux/arm64]", 0, "actual", "found"),
        (
            "nested",
            ", platforms: [linux/s390x]",
            1,
            "actual",
            "linux/arm/v6",
        ),
        ("deep", "", 4, "reason", "without end"),
    ] {
        check(&format!("{shop}:{tag}"), more, code, key, text);
    }
}

#[test]
fn a_manifest_of_schema_1_is_no_image_any_more() {
    let body = r#"{"schemaVersion": 1, "name": "a/b", "tag": "v1", "fsLayers": []}"#;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let (_runtime, server) = answering(ResponseTemplate::new(200).set_body_raw(body, kind));
    let image = format!("{}/a/b:v1", server.address());
    check(&image, "", 1, "reason", "schema 1");
}

#[test]
fn pf_registry_tls_on_loopback_is_spoken_where_the_registry_speaks_it() {
    let registry = Registry::start();
    registry.push("acme/shop", "v1", "linux/amd64");
    let authority = testkit::Authority::new();
    let certificate = authority.certificate("localhost", 10);
    let tls = registry.with_tls(&certificate);
    let secure = format!("localhost:{}/acme/shop", tls.port());
    let trusting = format!(", ca-file: '{}'", authority.file().display());
    for more in ["", ", plain-http: false"] {
        let more = format!("{trusting}{more}");
        check(&format!("{secure}:v1"), &more, 0, "actual", "found");
        check(&format!("{secure}:v2"), &more, 1, "hint", "`v1`");
    }
    // Its certificate is for another name: the error reports that, not the answer over plain HTTP.
    for more in ["", ", plain-http: false"] {
        check(&format!("{secure}:v1"), more, 4, "hint", "`ca-file`");
    }
    check(
        &format!("{secure}:v1"),
        ", plain-http: true",
        4,
        "reason",
        "status 400",
    );
    let plain = format!("{}/acme/shop:v1", registry.address());
    check(
        &plain,
        ", plain-http: false",
        4,
        "reason",
        "could not be queried",
    );
    for more in ["", ", plain-http: true", trusting.as_str()] {
        check(&plain, more, 0, "actual", "found");
    }
    check(
        &plain,
        ", ca-file: /no/such.pem",
        4,
        "reason",
        "/no/such.pem",
    );
}

/// What `openssl req -x509` made: an authority by its own word, and the server's own certificate.
#[test]
fn hg_self_signed_ca_of_a_registry_is_trusted_for_its_own_name() {
    let registry = Registry::start();
    registry.push("acme/shop", "v1", "linux/amd64");
    let folder = tempfile::tempdir().unwrap();
    let certificate = testkit::Certificate::self_signed(folder.path(), "localhost");
    let tls = registry.with_tls(&certificate);
    let trusting = format!(", ca-file: '{}'", certificate.certificate.display());
    let image = format!("localhost:{}/acme/shop:v1", tls.port());
    check(&image, &trusting, 0, "actual", "found");
    check(&image, "", 4, "hint", "`ca-file`");
    // It is valid for one name, and does not vouch for any other certificate.
    let other = format!("127.0.0.1:{}/acme/shop:v1", tls.port());
    check(&other, &trusting, 4, "reason", "not valid for name");
    let authority = testkit::Authority::new();
    let tls = registry.with_tls(&authority.certificate("localhost", 10));
    let image = format!("localhost:{}/acme/shop:v1", tls.port());
    check(&image, &trusting, 4, "hint", "`ca-file`");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let trusting = format!(", ca-file: '{}'", empty.display());
    check(&image, &trusting, 4, "reason", "no certificate is in it");
}

#[test]
fn an_upper_case_name_is_the_configurations_fault_and_told_with_the_right_one() {
    let (_folder, mut command) = asking("127.0.0.1:9/Acme/Shop:v1", "");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("all lower case: `acme/shop`"), "{text}");
}

/// Forwards requests for `ghcr.io` to a port of this machine.
fn proxy_to(port: u16) -> u16 {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if client.read(&mut byte).unwrap_or(0) == 0 {
                        return;
                    }
                    head.push(byte[0]);
                }
                assert!(head.starts_with(b"CONNECT ghcr.io:443 "));
                let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                let _ = std::io::copy(&mut server, &mut client);
            });
        }
    });
    own
}

#[test]
fn pf_ghcr_private_images_are_asked_for_with_the_workflows_token() {
    let authority = testkit::Authority::new();
    let certificate = authority.certificate("ghcr.io", 10);
    let private = Registry::start_private("octocat", "ghs_job-token");
    private.push("acme/shop", "v1", "linux/amd64");
    let tls = private.with_tls(&certificate);
    let more = format!(", ca-file: '{}'", authority.file().display());
    let ask = |port: u16, token: Option<&str>| {
        let (_folder, mut command) = asking("ghcr.io/acme/shop:v1", &more);
        command
            .env(
                "HTTPS_PROXY",
                format!("http://127.0.0.1:{}", proxy_to(port)),
            )
            .env("GITHUB_ACTOR", "octocat");
        if let Some(token) = token {
            command.env("GITHUB_TOKEN", token);
        }
        outcome(&mut command)
    };
    let (code, told) = ask(tls.port(), Some("ghs_job-token"));
    assert_eq!(code, 0, "{told}");
    let (code, told) = ask(tls.port(), Some("ghs_without-it"));
    assert_eq!(code, 4, "{told}");
    assert!(
        told["hint"].as_str().unwrap().contains("packages: read"),
        "{told}"
    );
    assert!(
        told["actual"].as_str().unwrap().contains("`GITHUB_TOKEN`"),
        "{told}"
    );
    let (code, told) = ask(tls.port(), None);
    assert_eq!(code, 4, "{told}");
    assert!(
        told["hint"].as_str().unwrap().contains("GITHUB_TOKEN"),
        "{told}"
    );
    // A token that it refuses does not hide what everybody may see.
    let public = Registry::start();
    public.push("acme/shop", "v1", "linux/amd64");
    let tls = public.with_tls(&certificate);
    let (code, told) = ask(tls.port(), Some("ghs_job-token"));
    assert_eq!(code, 0, "{told}");
}

#[test]
fn what_can_be_wrong_in_the_file_is_told_with_its_place() {
    for (more, place, why) in [
        (
            ", platforms: [linux]",
            "linux]",
            "`linux` is not a platform",
        ),
        (", digest: 'sha256:12'", "'sha256:12'", "is not a digest"),
        (", max-age: soon", "soon", "is not an age"),
        (", login: aws", "aws", "aws"),
        (
            ", username-env: A",
            "A }",
            "`username-env` needs `password-env`",
        ),
    ] {
        let (folder, mut command) = asking("ghcr.io/acme/shop:v1", more);
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let config = std::fs::read_to_string(folder.path().join("deploy-guard.yml")).unwrap();
        let line = config.lines().nth(4).unwrap();
        let place = format!(":5:{}: ", line.find(place).unwrap() + 1);
        assert!(
            text.contains(why) && text.contains(&place),
            "{place} {text}"
        );
    }
}
