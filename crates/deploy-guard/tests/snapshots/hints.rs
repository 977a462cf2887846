//! One of each error that has a hint, with it: as a command prints them. What an error is made of is as plausible as it
//! can be, so that the two are read as one text.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use remote::ssh::{self, Ssh2Target, Target};
use serde_json::json;

use crate::snapshots::source::{error_texts, tokens};

const LIMIT: Duration = Duration::from_secs(10);

/// A snapshot of the samples of a type, which has no variant without one.
fn shows<E: Error>(
    name: &str,
    (file, kind): (&str, &str),
    samples: Vec<E>,
    hint: impl Fn(&E) -> Option<String>,
) {
    let source = tokens(&testkit::workspace().join("crates").join(file));
    let variants = error_texts(source).remove(kind).unwrap();
    let variants: BTreeSet<String> = variants.into_iter().map(|(name, _)| name).collect();
    let (mut shown, mut seen) = (String::new(), BTreeSet::new());
    for sample in samples {
        let written = format!("{sample:?}");
        let variant = written.split(|c: char| !c.is_alphanumeric()).next();
        let variant = variant.unwrap().to_owned();
        let error = sample.to_string();
        let error = error.replace(&remote::resolve::resolver(), "[the resolver]");
        writeln!(shown, "{variant}\n  error: {error}").unwrap();
        if let Some(hint) = hint(&sample) {
            writeln!(shown, "  hint: {hint}").unwrap();
        }
        seen.insert(variant);
    }
    assert_eq!(seen, variants, "one sample or more of each of {file}");
    insta::assert_snapshot!(name, shown);
}

#[test]
fn of_the_state() {
    use state::Error;
    let place = || "/srv/shop/state.json".to_owned();
    let backup = || Some("/srv/shop/state.json.bak".to_owned());
    let lock = json!({
        "holder": {
            "run_id": "7", "run_attempt": 1, "host": "ci-01", "boot_id": "b", "namespace": "n",
            "pid": 41, "started": 1
        },
        "operation": "rollback",
        "acquired": "2026-12-01T12:00:00Z",
        "expires": "2026-12-01T12:30:00Z",
        "token": 3,
    });
    let full = || "No space left on device (os error 28)".to_owned();
    let space = || "free some space".to_owned();
    let samples = vec![
        Error::Read {
            place: place(),
            reason: "Permission denied (os error 13)".into(),
            hint: "check its name, and what you may read there".into(),
        },
        Error::Damaged {
            place: place(),
            reason: "EOF while parsing a value at line 3 column 0".into(),
            backup: backup(),
        },
        Error::Damaged {
            place: place(),
            reason: "EOF while parsing a value at line 3 column 0".into(),
            backup: None,
        },
        Error::Newer {
            place: place(),
            schema: "deploy-guard.state/v9".into(),
            backup: backup(),
        },
        Error::Older { place: place() },
        Error::Write {
            place: place(),
            reason: full(),
            hint: space(),
        },
        Error::Unsure {
            place: place(),
            reason: "the connection broke".into(),
        },
        Error::Busy {
            place: place(),
            reason: "another process is writing".into(),
        },
        Error::Held {
            lock: serde_json::from_value(lock).unwrap(),
        },
        Error::Lost { token: 3 },
        Error::JournalDamaged {
            place: place(),
            reason: "line 2 is cut off".into(),
        },
        Error::JournalNewer {
            place: place(),
            reason: "its schema is `deploy-guard.journal/v9`".into(),
        },
        Error::Gone {
            place: place(),
            left: "/srv/shop/state.json.events".into(),
        },
        Error::Journal {
            place: place(),
            reason: full(),
            hint: space(),
        },
        Error::Log {
            place: place(),
            reason: full(),
            hint: space(),
        },
    ];
    let hint = |error: &Error| Some(error.hint());
    shows("state", ("state/src/error.rs", "Error"), samples, hint);
}

#[test]
fn of_a_key() {
    use remote::key::Error;
    let samples = vec![
        Error::Empty,
        Error::Crlf,
        Error::OneLine,
        Error::LiteralBreaks,
        Error::Quoted,
        Error::Indented,
        Error::Padded,
        Error::BlankLines,
        Error::Bom,
        Error::BlankBefore,
        Error::TextBefore,
        Error::NoFinalBreak,
        Error::Encoded,
        Error::PublicKey,
        Error::Putty,
        Error::SshCom,
        Error::NoBegin,
        Error::NoEnd,
        Error::OtherKind,
        Error::Passphrase,
        Error::NotBase64,
        Error::Damaged,
        Error::Ed25519Pkcs8,
        Error::Algorithm,
        Error::Weak,
    ];
    let hint = |error: &Error| Some(error.hint().to_owned());
    shows("key", ("remote/src/key/error.rs", "Error"), samples, hint);
}

#[test]
fn of_a_name() {
    use remote::resolve::ResolveError;
    let name = || "web-01.example.com".to_owned();
    let samples = vec![
        ResolveError::NoName {
            name: name(),
            what: "there is no such name",
        },
        ResolveError::NotAsked {
            name: name(),
            reason: "is silent".into(),
        },
        ResolveError::Ours {
            name: name(),
            reason: "Too many open files (os error 24)".into(),
        },
    ];
    let source = ("remote/src/resolve.rs", "ResolveError");
    let hint = |error: &ResolveError| Some(web_01().hint(&ssh::Error::Name(error.clone())));
    shows("name", source, samples, hint);
}

/// A host behind another one.
fn web_01() -> Target {
    let target = |address: &str, port, jump| {
        Target::Ssh2(Ssh2Target {
            address: address.to_owned(),
            port,
            user: "deploy".into(),
            key: "a key".to_owned().into(),
            passphrase: None,
            known_hosts: "known_hosts".into(),
            jump,
        })
    };
    let bastion = target("bastion.example.com", 22, None);
    target("web-01.example.com", 2222, Some(bastion.into()))
}

#[test]
fn of_a_login() {
    use ssh::Error;
    let fingerprint = || "SHA256:7NZz".to_owned();
    let refused = || "connection refused".to_owned();
    let host_key = |authority| Error::HostKeyUnknown {
        fingerprint: fingerprint(),
        known_hosts: "known_hosts".into(),
        authority,
    };
    let samples = vec![
        Error::Name(remote::resolve::ResolveError::NoName {
            name: "web-01.example.com".into(),
            what: "there is no such name",
        }),
        Error::NameTimedOut {
            name: "web-01.example.com".into(),
            within: LIMIT,
        },
        Error::Port {
            port: 2222,
            reason: refused(),
        },
        Error::Silent(LIMIT),
        Error::Handshake {
            reason: "it answers `HTTP/1.1 400 Bad Request`".into(),
        },
        host_key(false),
        host_key(true),
        Error::HostKeyChanged {
            fingerprint: fingerprint(),
            known_hosts: "known_hosts".into(),
        },
        Error::HostKeyRevoked {
            fingerprint: fingerprint(),
            known_hosts: "known_hosts".into(),
        },
        Error::HostCertificate {
            reason: "it expired at 2026-11-30T12:00:00Z".into(),
        },
        Error::KnownHosts {
            known_hosts: "known_hosts".into(),
            reason: "there is no such file".into(),
        },
        Error::Key(remote::key::Error::Crlf),
        Error::Passphrase,
        Error::Login {
            user: "deploy".into(),
            reason: "the host accepts `publickey`".into(),
        },
        Error::SecondFactor {
            user: "deploy".into(),
            wants: "keyboard-interactive".into(),
        },
        Error::NothingInCommon(ssh::Apart {
            kind: "key exchange",
            theirs: "diffie-hellman-group1-sha1".into(),
            ours: "curve25519-sha256".into(),
        }),
        Error::LoginTimedOut {
            user: "deploy".into(),
            within: LIMIT,
        },
        Error::Command {
            reason: "exit status 1".into(),
        },
        Error::Lost {
            reason: "connection reset by peer".into(),
        },
        Error::Closed,
        Error::Busy(LIMIT),
        Error::NoWay {
            host: "10.0.0.12".into(),
            port: 8080,
        },
        Error::NoForwarding {
            reason: "administratively prohibited".into(),
        },
        Error::NoAnswer {
            host: "10.0.0.12".into(),
            port: 8080,
            within: LIMIT,
        },
        Error::Ours("Too many open files (os error 24)".into()),
        Error::NoProgram,
        Error::Program {
            reason: "exit status 255: Permission denied (publickey)".into(),
        },
        Error::Jump {
            host: "bastion".into(),
            error: Box::new(Error::Port {
                port: 22,
                reason: refused(),
            }),
        },
        Error::NoPulse(LIMIT),
        Error::TimedOut(LIMIT),
    ];
    let source = ("remote/src/ssh/error.rs", "Error");
    shows("login", source, samples, |error| Some(web_01().hint(error)));
}

#[test]
fn of_nginx() {
    use router::nginx::{division, upstream};
    let target: config::file::NginxTarget = serde_json::from_value(json!({
        "upstream-file": "/etc/nginx/upstream.conf", "blue": "10.0.0.1:8080", "green": "10.0.0.1:8081",
    }))
    .unwrap();
    let (blue, green) = (|| "10.0.0.1:8080".to_owned(), || "10.0.0.1:8081".to_owned());
    let place = || " in `upstream shop`".to_owned();
    let samples = vec![
        upstream::Error::NoLine {
            blue: blue(),
            green: green(),
            place: place(),
        },
        upstream::Error::Elsewhere {
            blue: blue(),
            green: green(),
            place: place(),
        },
        upstream::Error::TooMany {
            count: 3,
            blue: blue(),
            green: green(),
        },
        upstream::Error::Apart {
            one: "shop".into(),
            other: "admin".into(),
            section: "traffic",
        },
    ];
    let source = ("router/src/nginx/upstream.rs", "Error");
    let hint = |error: &upstream::Error| Some(error.hint(&target, "traffic"));
    shows("nginx", source, samples, hint);
    let sticky = config::file::NginxTarget {
        sticky: Some("$cookie_id".into()),
        ..target.clone()
    };
    insta::assert_snapshot!("nginx_sticky", division::hint(&sticky, "traffic"));
}

#[test]
fn of_haproxy() {
    use place::Error;
    use router::haproxy::socket::hint;
    let samples = [
        Error::NoBackend("shop".into()),
        Error::NoServer {
            backend: "shop".into(),
            server: "blue".into(),
            others: vec!["web1".into(), "web2".into()],
        },
        Error::Level {
            socket: "/run/haproxy.sock".into(),
            level: "operator".into(),
        },
        Error::NoSocket("/run/haproxy.sock".into()),
    ];
    let mut shown = String::new();
    for sample in samples {
        let hint = hint(&sample, "traffic").unwrap();
        writeln!(shown, "error: {sample}\n  hint: {hint}").unwrap();
    }
    insta::assert_snapshot!("haproxy", shown);
}

#[test]
fn of_a_registry() {
    use registry::Error;
    let host = || "ghcr.io".to_owned();
    let samples = vec![
        Error::Transport {
            host: host(),
            reason: "connection refused".into(),
            connected: false,
        },
        Error::Untrusted {
            host: host(),
            reason: "it is signed by an unknown authority".into(),
        },
        Error::Timeout {
            host: host(),
            after: LIMIT,
        },
        Error::RateLimited {
            host: host(),
            retry_after: Some(LIMIT),
        },
        Error::Server {
            host: host(),
            status: 503,
            detail: String::new(),
        },
        Error::Unexpected {
            host: host(),
            status: 418,
            detail: "teapot".into(),
        },
        Error::Redirect {
            host: host(),
            reason: "more than 5 redirects".into(),
        },
        Error::Token {
            host: host(),
            reason: "the answer has no `token`".into(),
        },
        Error::TooLarge {
            host: host(),
            what: "manifest",
            limit: 4096,
        },
        Error::Malformed {
            host: host(),
            what: "manifest",
            reason: "it is not JSON".into(),
        },
        Error::Digest {
            host: host(),
            wanted: "sha256:aa".into(),
            got: "sha256:bb".into(),
        },
        Error::Setup {
            reason: "no certificate is installed".into(),
        },
    ];
    let hint = |error: &Error| Some(error.hint().to_owned());
    shows(
        "registry",
        ("registry/src/error.rs", "Error"),
        samples,
        hint,
    );
}

#[test]
fn of_prometheus() {
    use prometheus::Error;
    let server = || "http://prometheus:9090/".parse::<url::Url>().unwrap();
    let status = |status| Error::Status {
        status,
        said: None,
        server: server(),
    };
    let cause = || {
        let client = reqwest::Client::new();
        let error = client.get("nothing:").build().unwrap_err();
        std::sync::Arc::new(error)
    };
    let samples = vec![
        Error::Address("nothing".parse::<url::Url>().unwrap_err()),
        Error::Unset("PROMETHEUS_TOKEN".into()),
        Error::Tenant("a\nb".into()),
        Error::Tls(net::tls::Error::NothingTrusted),
        Error::Client(cause()),
        Error::NoAnswer {
            server: server(),
            cause: cause(),
        },
        Error::Late(LIMIT),
        Error::TooLarge(1 << 20),
        Error::BrokeOff("connection reset by peer".into()),
        status(401),
        status(404),
        status(407),
        status(503),
        Error::Refused("parse error at char 5".into()),
        Error::NotJson,
        Error::NoType,
        Error::Type("matrix".into()),
        Error::NotSamples("vector".into()),
        Error::NoResults,
        Error::TooManySeries { count: 3, limit: 1 },
        Error::NoNumber,
        Error::Histogram,
        Error::Warning("results may be incomplete".into()),
        Error::Answered {
            cause: Box::new(Error::NotJson),
            head: "<html>".into(),
        },
        Error::NotJson.about("the events of the canary"),
    ];
    let source = ("prometheus/src/error.rs", "Error");
    shows("prometheus", source, samples, Error::hint);
}

#[test]
fn of_aws() {
    use aws::Error;
    let samples = vec![
        Error::NoCredentials {
            reason: "no source of credentials is configured".into(),
            hint: "add a step `aws-actions/configure-aws-credentials` before this one".into(),
        },
        Error::Profile {
            path: "~/.aws/config".into(),
            reason: "it has no profile `ci`".into(),
        },
        Error::Transport {
            host: "s3.eu-central-1.amazonaws.com".into(),
            reason: "connection refused".into(),
        },
        Error::Denied {
            service: "ecs",
            code: "AccessDeniedException".into(),
            message: "User is not authorized".into(),
        },
        Error::Absent {
            service: "ecs",
            code: "ClusterNotFoundException".into(),
        },
        Error::Status {
            service: "ecs",
            status: 503,
            code: "ServiceUnavailable".into(),
            message: String::new(),
        },
        Error::Conflict {
            code: "PreconditionFailed".into(),
        },
        Error::Malformed {
            service: "ecs",
            reason: "it is not JSON".into(),
        },
        Error::Setup {
            reason: "the address is not a URL".into(),
        },
    ];
    let hint = |error: &Error| Some(error.hint());
    shows("aws", ("aws/src/error.rs", "Error"), samples, hint);
}

#[test]
fn of_github() {
    use github::{Error, Needs};
    let needs = |workflow| Needs {
        to: "list runners",
        permission: "Administration: read",
        workflow,
    };
    let samples = vec![
        Error::NoPermission {
            status: 403,
            needs: needs(None),
            says: Some("administration=read".into()),
        },
        Error::NoPermission {
            status: 403,
            needs: needs(Some("checks: read")),
            says: None,
        },
        Error::NoToken { needs: needs(None) },
        Error::NoVariable {
            variable: "RUNNER_TOKEN".into(),
        },
        Error::BadToken,
        Error::Proxy { status: 407 },
        Error::App {
            reason: "it is not installed for `acme`".into(),
        },
        Error::RateLimited {
            wait: LIMIT,
            at: jiff::Timestamp::from_second(1_796_126_400).unwrap(),
        },
        Error::Unreachable {
            reason: "connection refused".into(),
        },
        Error::NoGroup {
            owner: "acme".into(),
            group: "production".into(),
        },
        Error::Invalid {
            status: 422,
            message: "Unexpected inputs provided: [\"version\"]".into(),
        },
        Error::Server { status: 502 },
        Error::Malformed {
            reason: "it is not JSON".into(),
        },
        Error::NoRepository {
            name: "shop".into(),
        },
    ];
    let hint = |error: &Error| Some(error.hint());
    shows("github", ("github/src/error.rs", "Error"), samples, hint);
}

#[test]
fn of_a_diagnosis() {
    use diagnosis::Error;
    let samples = vec![
        Error::NoRun {
            run: 7.into(),
            attempt: Some(2),
            repository: "acme/shop".into(),
            source: github::Error::Server { status: 404 },
        },
        Error::GitHub(github::Error::BadToken),
    ];
    let hint = |error: &Error| Some(error.hint());
    shows(
        "diagnosis",
        ("diagnosis/src/gap.rs", "Error"),
        samples,
        hint,
    );
}

#[test]
fn of_a_backup() {
    use dump::{ContentsError, Error};
    let samples = vec![
        Error::Database(database::Error::Late(LIMIT)),
        Error::TooOld {
            program: "pg_dump",
            needs: 17,
            found: vec![15],
        },
        Error::NoProgram {
            program: "pg_dump",
            package: "postgresql-client",
        },
        Error::NotStarted {
            program: "pg_dump".into(),
            cause: io::ErrorKind::PermissionDenied.into(),
        },
        Error::Failed {
            program: "pg_dump".into(),
            told: "permission denied for table orders".into(),
        },
        Error::Failed {
            program: "pg_dump".into(),
            told: "query was: LOCK TABLE public.orders IN ACCESS SHARE MODE".into(),
        },
        Error::Late {
            program: "pg_dump".into(),
            within: LIMIT,
        },
        Error::Fault {
            path: "shop.dump".into(),
            fault: ContentsError::Empty,
        },
        Error::Io {
            path: "shop.dump".into(),
            cause: io::ErrorKind::StorageFull.into(),
        },
        Error::Malformed {
            path: "shop.json".into(),
            reason: "it has no `sha256`".into(),
        },
        Error::Unfit("MariaDB has no schema beside a database".into()),
        Error::NoBackup("20261201T120000Z".into()),
    ];
    shows(
        "backup",
        ("dump/src/error.rs", "Error"),
        samples,
        Error::hint,
    );
    let samples = vec![
        ContentsError::Empty,
        ContentsError::NotADump,
        ContentsError::CutOff("the line `-- Dump completed`".into()),
        ContentsError::Damaged("pg_restore: error: could not read from input file".into()),
        ContentsError::DataOnly,
        ContentsError::SchemaOnly,
        ContentsError::NoTables,
        ContentsError::OtherDatabase {
            has: vec!["blog".into()],
            wanted: "shop".into(),
        },
        ContentsError::MissingTables(vec!["public.orders".into()]),
        ContentsError::Changed {
            has: "aa".into(),
            noted: "bb".into(),
        },
    ];
    let source = ("dump/src/contents.rs", "ContentsError");
    let hint = |error: &ContentsError| Some(error.hint().to_owned());
    shows("backup_contents", source, samples, hint);
}

#[test]
fn of_the_files_and_tables_of_a_migration_tool() {
    use migrations::Error;
    let cause = || database::Error::Server {
        code: "42501".into(),
        message: "permission denied for table alembic_version".into(),
        detail: None,
    };
    let samples = vec![
        Error::Files(place::Error::TooLarge),
        Error::Database(database::Error::Late(LIMIT)),
        Error::Denied {
            table: "alembic_version".into(),
            cause: cause(),
        },
        Error::Foreign {
            table: "schema_migrations".into(),
            tool: "dbmate",
            cause: cause(),
        },
        Error::Elsewhere {
            table: "alembic_version".into(),
            schemas: vec!["app".into()],
        },
        Error::NoUsage {
            table: "alembic_version".into(),
            schema: "app".into(),
        },
        Error::Query {
            key: "applied",
            cause: cause(),
        },
        Error::NoFolder("db/migrations".into()),
        Error::NoConfig("alembic.ini".into()),
        Error::Config {
            file: "alembic.ini".into(),
            reason: "it has no `script_location`".into(),
        },
        Error::TooMany(10_000),
    ];
    let source = ("migrations/src/error.rs", "Error");
    shows("migrations", source, samples, Error::hint);
}

#[test]
fn of_an_interval() {
    use feed::Error;
    let samples = vec![
        Error::NotASelector {
            metric: "errors".into(),
            query: "rate(http_requests_total[1m])".into(),
        },
        Error::Prometheus(prometheus::Error::NotJson),
        Error::Shell(net::ConnectError::refused()),
        Error::Log {
            file: "/var/log/nginx/access.log".into(),
            why: "its lines have no status".into(),
        },
        Error::Command {
            by_hand: "by hand: `./count`".into(),
            why: "exit status 1".into(),
        },
        Error::Late(LIMIT),
    ];
    shows(
        "interval",
        ("feed/src/error.rs", "Error"),
        samples,
        Error::hint,
    );
}

#[test]
fn of_an_inventory() {
    use inventory::{Error, JumpError};
    let host = || "web-01".to_owned();
    let samples = vec![
        Error::NotOneWay,
        Error::Unreadable {
            path: "hosts.yml".into(),
            reason: "there is no such file".into(),
        },
        Error::NotStarted {
            program: "ansible-inventory".into(),
            reason: "it is not installed".into(),
        },
        Error::Ended {
            program: "ansible-inventory".into(),
            exit: "exit status 1".into(),
            tail: "no inventory was parsed".into(),
        },
        Error::Large(16),
        Error::NotJson { line: 3, column: 7 },
        Error::List {
            line: 3,
            message: "a host has no name".into(),
        },
        Error::Empty,
        Error::TooMany {
            most: 10_000,
            what: "hosts",
        },
        Error::Name { what: "group" },
        Error::Twice(host()),
        Error::Value {
            host: host(),
            key: "ansible_port",
            wanted: "a port",
        },
        Error::Template {
            host: host(),
            key: "ansible_host",
        },
        Error::Way {
            host: host(),
            key: "ansible_ssh_common_args",
        },
    ];
    let source = ("inventory/src/error.rs", "Error");
    let hint = |error: &Error| Some(error.hint().to_owned());
    shows("inventory", source, samples, hint);
    let samples = vec![
        JumpError::Unknown {
            host: host(),
            jump: "bastion".into(),
        },
        JumpError::Circle {
            host: host(),
            chain: vec![host(), "bastion".into(), host()],
        },
        JumpError::TooMany { host: host() },
    ];
    let source = ("inventory/src/jump.rs", "JumpError");
    let hint = |error: &JumpError| Some(error.hint());
    shows("jump", source, samples, hint);
}

#[test]
fn of_the_log_and_of_templates() {
    let broken = || serde_json::from_str::<u8>("x").unwrap_err();
    let samples = vec![
        chronicle::Error::State(state::Error::Lost { token: 3 }),
        chronicle::Error::Unwritable(broken()),
    ];
    let source = ("chronicle/src/error.rs", "Error");
    let hint = |error: &chronicle::Error| Some(error.hint());
    shows("log", source, samples, hint);
    let samples = vec![
        notify::TemplateError::File {
            file: "page.j2".into(),
            reason: "there is no such file".into(),
        },
        notify::TemplateError::Template {
            file: Some("page.j2".into()),
            line: Some(3),
            reason: "a variable is used that does not exist".into(),
        },
    ];
    let source = ("notify/src/template.rs", "Error");
    let hint = |error: &notify::TemplateError| Some(error.hint().to_owned());
    shows("template", source, samples, hint);
}
