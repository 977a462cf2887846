//! PostgreSQL and Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use testkit::{Authority, Postgres, Redis, Sshd};

use crate::services::bed::{Bed, QUICK};

const STRICT: &str =
    "{ interval: 100ms, timeout: 5s, failure-limit: 0, error-limit: 0, deadline: 60s }";
const PASSWORD: &str = "c4nary-0f-the-database";

fn postgres(port: u16, rest: &str) -> String {
    format!("  postgres: [{{ name: db, address: '127.0.0.1:{port}'{rest} }}]")
}

#[test]
fn a_database_takes_logins_lets_us_in_and_answers() {
    let server = Postgres::listening("host all all 127.0.0.1/32 scram-sha-256", None);
    server.sql(&format!("create role shop login password '{PASSWORD}'"));
    server.sql("create table orders (id int, note text); ");
    server.sql(
        "insert into orders values (1, 'a'), (2, null); grant select, insert on orders to shop",
    );
    let port = server.port();
    let bed = Bed::new()
        .env("DB_PASSWORD", PASSWORD)
        .env("WRONG", "wrong-password");
    let gate = |policy: &str, rest: &str| {
        let end = bed.gate(policy, &postgres(port, rest));
        assert!(!end.text.contains("c4nary"), "{}", end.text);
        end
    };
    // Like pg_isready, without a login.
    gate(QUICK, "").is(0, &["ready"]);
    gate(QUICK, ", database: nowhere").is(0, &[]);
    let login = ", user: shop, database: postgres, password-env: DB_PASSWORD";
    gate(QUICK, login).is(0, &["ready"]);
    let ask = |policy: &str, rest: &str| gate(policy, &format!("{login}, {rest}"));
    ask(QUICK, "query: select count(*) from orders, equals: '2'").is(0, &[]);
    ask(QUICK, "query: select count(*) from orders, min: 1, max: 2").is(0, &[]);
    ask(
        QUICK,
        "query: select note from orders order by id, matches: ^a$",
    )
    .is(0, &[]);
    // A row is enough where no condition judges it.
    ask(QUICK, "query: select note from orders order by id desc").is(0, &["NULL"]);
    for (rest, why) in [
        (
            "query: select 1 from orders where id = 7",
            "the query gives no row",
        ),
        (
            "query: select count(*) from orders, equals: '3'",
            "the query gives 2: it is another value",
        ),
        ("query: select count(*) from orders, min: 3", "2 < min (3)"),
        ("query: select count(*) from orders, max: 1", "2 > max (1)"),
        ("query: select 'x', max: 1", "it is not a number"),
        ("query: select null, equals: x", "the first column is NULL"),
        (
            "query: select 1 from customers",
            "relation \"customers\" does not exist (42P01)",
        ),
        (
            "query: \"select repeat('x', 9000000)\"",
            "it sends more than 4096 KiB",
        ),
    ] {
        ask(STRICT, rest).is(1, &[why]);
    }
    for (rest, why) in [
        (
            "query: 'insert into orders values (3)'",
            "read-only transaction (25006)",
        ),
        (
            "query: 'commit; insert into orders values (3)'",
            "cannot insert multiple commands",
        ),
        ("query: selekt 1", "syntax error"),
        ("query: select * from pg_authid", "permission denied"),
    ] {
        ask(STRICT, rest).is(4, &[why]);
    }
    ask(QUICK, "query: select count(*) from orders, equals: '2'").is(0, &[]);
    let short = STRICT.replace("timeout: 5s", "timeout: 1s");
    let end = ask(&short, "query: select pg_sleep(30)");
    assert_eq!(end.code, 1, "{}", end.text);
    gate(
        STRICT,
        ", user: shop, database: postgres, password-env: WRONG",
    )
    .is(4, &["password authentication failed"]);
    gate(STRICT, ", user: shop").is(4, &["it wants a password"]);
    gate(STRICT, ", user: shop, password-env: UNSET").is(4, &["the variable `UNSET` is not set"]);
    gate(STRICT, ", query: select 1").is(2, &["`query` needs `user`"]);
    gate(STRICT, ", user: a, min: 1").is(2, &["`min` needs `query`"]);
    gate(STRICT, ", tls: require").is(1, &["server does not support TLS"]);

    drop(server);
    gate(STRICT, "").is(1, &["connection refused"]);
}

#[test]
fn a_database_by_tls_is_who_it_says() {
    let authority = Authority::new();
    let certificate = authority.certificate("db.test", 30);
    let hba = "hostssl all all 127.0.0.1/32 trust\nhostnossl all all 127.0.0.1/32 reject";
    let server = Postgres::listening(hba, Some(&certificate));
    let bed = Bed::new();
    let gate = |policy: &str, rest: &str| {
        bed.gate(
            policy,
            &postgres(server.port(), &format!(", user: postgres{rest}")),
        )
    };
    let ca = format!("ca-file: {}", authority.file().display());
    gate(QUICK, "").is(0, &[]);
    gate(QUICK, ", tls: require").is(0, &[]);
    gate(
        QUICK,
        &format!(", tls: verify-full, server-name: db.test, {ca}"),
    )
    .is(0, &[]);
    gate(STRICT, &format!(", tls: verify-full, {ca}")).is(1, &["not valid for name"]);
    gate(STRICT, ", tls: verify-full, server-name: db.test").is(1, &["UnknownIssuer"]);
    // Any name is accepted, but not any issuer.
    gate(QUICK, &format!(", tls: verify-ca, {ca}")).is(0, &[]);
    gate(STRICT, ", tls: verify-ca").is(1, &["UnknownIssuer"]);
    let other = Authority::new();
    let stranger = format!(", tls: verify-ca, ca-file: {}", other.file().display());
    gate(STRICT, &stranger).is(1, &["invalid peer certificate"]);
    // An unused setting is refused.
    gate(STRICT, &format!(", {ca}")).is(2, &["`ca-file` needs `tls: verify-full`"]);
    gate(STRICT, ", tls: require, server-name: db.test")
        .is(2, &["`server-name` needs `tls: verify-full`"]);
    gate(STRICT, ", tls: disable").is(4, &["pg_hba.conf rejects connection"]);
}

fn redis(port: u16, rest: &str) -> String {
    format!("  redis: [{{ name: cache, address: '127.0.0.1:{port}'{rest} }}]")
}

#[test]
fn a_cache_answers_lets_us_in_or_says_why_not() {
    let open = Redis::start("rdbcompression no");
    let bed = Bed::new()
        .env("CACHE_PASSWORD", PASSWORD)
        .env("WRONG", "wrong-password");
    let gate = |policy: &str, port: u16, rest: &str| {
        let end = bed.gate(policy, &redis(port, rest));
        assert!(!end.text.contains("c4nary"), "{}", end.text);
        end
    };
    gate(QUICK, open.port(), "").is(0, &["PONG"]);

    let closed = Redis::start(&format!(
        "requirepass {PASSWORD}\nuser probe on >{PASSWORD} +ping"
    ));
    gate(QUICK, closed.port(), ", password-env: CACHE_PASSWORD").is(0, &[]);
    gate(
        QUICK,
        closed.port(),
        ", user: probe, password-env: CACHE_PASSWORD",
    )
    .is(0, &[]);
    gate(STRICT, closed.port(), "").is(4, &["it wants a password", "NOAUTH"]);
    gate(STRICT, closed.port(), ", password-env: WRONG")
        .is(4, &["it does not let us in", "WRONGPASS"]);
    gate(STRICT, closed.port(), ", user: probe").is(2, &["`user` needs `password-env`"]);

    let orphan = Redis::start("replicaof 127.0.0.1 1\nreplica-serve-stale-data no");
    gate(STRICT, orphan.port(), "").is(1, &["it has lost its master", "MASTERDOWN"]);

    for n in 0..60 {
        open.cli(&["set", &format!("key{n}"), &"x".repeat(2000)]);
    }
    open.cli(&["save"]);
    let loading = open.restart("key-load-delay 200000\nloading-process-events-interval-bytes 1024");
    gate(STRICT, loading.port(), "").is(1, &["it still loads its data", "LOADING"]);
    let port = loading.port();
    loading.process().signal("KILL");
    drop(loading);
    gate(STRICT, port, "").is(1, &["connection refused"]);
}

#[test]
fn a_cache_is_not_asked_in_clear_where_a_certificate_is_meant() {
    let bed = Bed::new();
    for key in ["ca-file", "server-name"] {
        bed.gate(STRICT, &redis(1, &format!(", {key}: x")))
            .is(2, &[&format!("`{key}` needs `tls: true`")]);
    }
}

#[test]
fn a_cache_by_tls_is_who_it_says() {
    let authority = Authority::new();
    let server = Redis::tls(&authority.certificate("cache.test", 30));
    let bed = Bed::new();
    let gate = |policy: &str, rest: &str| bed.gate(policy, &redis(server.port(), rest));
    let ca = format!("ca-file: {}", authority.file().display());
    gate(
        QUICK,
        &format!(", tls: true, server-name: cache.test, {ca}"),
    )
    .is(0, &[]);
    gate(STRICT, &format!(", tls: true, {ca}")).is(1, &["not valid for name"]);
    gate(STRICT, "").is(1, &[]);
}

#[test]
fn a_port_is_reached_through_a_host() {
    let sshd = Sshd::start();
    let bed = Bed::new().ssh("db-01", &sshd).closed("db-02");
    let port = |port: u16, via: &str| {
        format!("  tcp: [{{ name: it, address: '127.0.0.1:{port}', via: {via}, expect: ^SSH- }}]")
    };
    bed.gate(STRICT, &port(sshd.port(), "db-01")).is(0, &[]);
    bed.gate(STRICT, &port(testkit::free_port(), "db-01"))
        .is(1, &["connection refused", "try it at db-01: `nc -v"]);
    bed.gate(STRICT, &port(sshd.port(), "db-02"))
        .is(4, &["host `db-02`"]);
    bed.gate(STRICT, &port(sshd.port(), "db-3"))
        .is(2, &["no host `db-3` under `hosts:`"]);
}

/// Each host's own, on the address that each of them has for itself.
#[test]
fn groups_are_reached_through_each_of_their_hosts() {
    let (sshd, cache) = (Sshd::start(), Redis::start(""));
    let (database, grpc) = (
        Postgres::listening("host all all 127.0.0.1/32 trust", None),
        testkit::GrpcHealth::start(),
    );
    let bed = Bed::new()
        .ssh("db-01", &sshd)
        .ssh("db-02", &sshd)
        .closed("db-03");
    for (kind, port) in [
        ("redis", cache.port()),
        ("postgres", database.port()),
        ("grpc", grpc.port()),
    ] {
        let ask = |hosts: &str| {
            let probe = format!(
                "  {kind}: [{{ name: it, address: '127.0.0.1:{port}', via: '{{host}}', hosts: {hosts} }}]"
            );
            bed.gate(STRICT, &probe)
        };
        ask("[db-01, db-02]").is(0, &[]);
        assert_eq!(bed.report()["outcomes"][0]["members"]["passed"], 2);
        ask("all").is(4, &["db-03"]);
        ask("all, require: 66%").is(0, &[]);
    }
    let ask = |run: &str| {
        let probe = format!("  command: [{{ name: it, run: {run} }}]");
        bed.gate(STRICT, &probe)
    };
    ask("'true', hosts: 'db-0[12]', require: 2").is(2, &[]);
    ask("'true', hosts: 'db-*', require: 2").is(0, &[]);
    ask("'exit 3', hosts: [db-01, db-02], require: 1").is(1, &["failed (2) > allowed (1)"]);
}

#[test]
fn both_are_reached_through_a_host() {
    let (sshd, database, cache) = (
        Sshd::start(),
        Postgres::listening("host all all 127.0.0.1/32 trust", None),
        Redis::start(""),
    );
    let bed = Bed::new().ssh("db-01", &sshd);
    let probes = |port: u16| {
        let via = ", via: db-01";
        format!(
            "{}\n{}",
            postgres(
                port,
                &format!("{via}, user: postgres, query: select 1, equals: '1'")
            ),
            redis(cache.port(), via)
        )
    };
    bed.gate(QUICK, &probes(database.port())).is(0, &[]);
    let log = sshd.process().log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
    bed.gate(STRICT, &probes(testkit::free_port()))
        .is(1, &["connection refused"]);
    bed.gate(STRICT, &redis(cache.port(), ", via: db-02"))
        .is(2, &["no host `db-02`"]);
    sshd.process().signal("TERM");
    assert!(testkit::wait_until(
        std::time::Duration::from_secs(20),
        || !sshd.process().alive()
    ));
    bed.gate(STRICT, &probes(database.port()))
        .is(4, &["host `db-01`: port"]);
}

/// Answers every connection with the same bytes, for ever.
fn says(bytes: &'static [u8], endless: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                while stream.write_all(bytes).is_ok() && endless {}
                let _ = stream.read(&mut [0; 1024]);
            });
        }
    });
    port
}

#[test]
fn servers_that_are_none_or_never_end_fail_in_time() {
    let bed = Bed::new();
    let policy =
        "{ interval: 100ms, timeout: 2s, failure-limit: 0, error-limit: 0, deadline: 60s }";
    let http = says(b"HTTP/1.1 400 Bad Request\r\n\r\n", false);
    bed.gate(policy, &redis(http, ""))
        .is(1, &["it does not speak as Redis does"]);
    bed.gate(policy, &postgres(http, ", user: a")).is(1, &[]);
    let endless = says(&[b'x'; 4096], true);
    bed.gate(policy, &redis(endless, ""))
        .is(1, &["it does not speak as Redis does"]);
    bed.gate(policy, &postgres(endless, ", user: a, tls: disable"))
        .is(1, &[]);
    // A message that claims to be 2 GiB long.
    let huge = says(
        b"R\x7f\xff\xff\xffxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        true,
    );
    bed.gate(policy, &postgres(huge, ", user: a, tls: disable"))
        .is(1, &[]);
    let silent = says(b"", false);
    bed.gate(policy, &redis(silent, ""))
        .is(1, &["no complete answer within"]);
    bed.gate(policy, &postgres(silent, ""))
        .is(1, &["no complete answer within"]);
}
