//! What a secret's value must be, kind by kind.

use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use testkit::Authority;

/// The result of `preflight` for one value: its code and both streams.
fn judged(kind: &str, value: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("version: 1\npreflight: {{ secrets: [{{ name: VALUE, {kind} }}] }}\n");
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    let output = testkit::bin("preflight")
        .current_dir(folder.path())
        .env("VALUE", value)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    for line in value.lines().filter(|line| line.len() > 3) {
        assert!(!text.contains(line), "{line} in {text}");
    }
    (output.status.code().unwrap(), text)
}

#[track_caller]
fn passes(kind: &str, value: &str) {
    let (code, text) = judged(kind, value);
    assert_eq!(code, 0, "{text}");
}

#[track_caller]
fn fails(kind: &str, value: &str, why: &str) {
    let (code, text) = judged(kind, value);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(why) && text.contains("hint:"), "{text}");
}

#[test]
fn json_is_parsed_and_not_shown() {
    passes("kind: json", r#"{"type": "service_account"}"#);
    passes("kind: json", "{\n  \"a\": [1, 2]\n}\n");
    fails(
        "kind: json",
        "{\"password\": \"hunter2\"",
        "not JSON, at line 1",
    );
    fails("kind: json", &"[".repeat(100_000), "not JSON");
}

#[test]
fn a_url_has_a_host() {
    passes(
        "kind: url",
        "postgres://shop:pass-word@db.internal:5432/shop",
    );
    fails("kind: url", "db.internal:5432/shop", "a URL without a host");
    fails(
        "kind: url",
        "postgres://shop:pa/ss@db:54x/shop",
        "not a URL",
    );
    fails("kind: url", "https://db.internal/\n", "a line break");
}

/// Several hosts in one string, each with its port.
#[test]
fn pf_url_several_hosts_are_read_as_their_clients_read_them() {
    for good in [
        "mongodb://u:p@h1:27017,h2:27017/shop",
        "postgres://u:p@h1:5432,h2:5432/shop",
        "jdbc:postgresql://h1:5432,h2/shop",
        "amqp://u:p@[::1]:5672,q2/",
        "https://[::1]:2379,https://etcd-1:2379",
    ] {
        passes("kind: url", good);
    }
}

#[test]
fn url_secrets_connection_strings_are_read_as_their_clients_read_them() {
    for good in [
        "postgresql://app:secret-word@pg1:5432,pg2:5432/shop?target_session_attrs=read-write",
        "postgres://app@pg1,pg2:5433/shop",
        "postgresql:///shop?host=/run/postgresql",
        // libpq's own socket.
        "postgresql:///shop",
        "postgres://app@/shop",
        "postgresql+psycopg2:///shop",
        "postgresql:///shop?sslmode=require",
        "jdbc:postgresql:///shop",
        "postgresql://%2Frun%2Fpostgresql/shop",
        "postgresql://app:p%40ss%2Fword@[2001:db8::1]:5432,[::1]/shop",
        "postgresql+psycopg2://app:secret-word@db.internal/shop",
        "mongodb://app:secret-word@m0:27017,m1:27017,m2:27017/shop?replicaSet=rs0",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/shop",
        "mongodb+srv://app:secret-word@cluster0.example.net/shop",
        "mysql://app:secret-word@localhost/shop?socket=/run/mysqld/mysqld.sock",
        "mysql:///shop?unix_socket=/run/mysqld/mysqld.sock",
        "rediss://:secret-word@cache:6380/0",
        "redis+socket:///run/redis/redis.sock",
        "amqps://app:secret-word@q1:5671,q2:5671/%2Fshop",
        "sqlserver://db.internal:1433;databaseName=shop",
        "sqlite:///var/lib/shop/shop.db",
        "https://etcd-0:2379,https://etcd-1:2379",
        "https://[2001:db8::1]:8443/hook",
        "jdbc:postgresql://db.internal:5432/shop",
        "jdbc:postgresql://pg1:5432,[::1]:5433/shop?user=app",
        "jdbc:postgresql:shop",
        "jdbc:mysql:replication://source,replica/shop",
        "jdbc:mysql://address=(host=db)(port=3306)/shop",
        "jdbc:oracle:thin:@//db:1521/shop",
        "jdbc:oracle:thin:@db:1521:shop",
        "jdbc:sqlserver://db:1433;databaseName=shop;encrypt=true",
        "host=db.internal port=5432 dbname=shop user=app password='two words'",
        "dbname=shop host = db.internal",
        "Server=tcp:db.example.net,1433;Database=shop;User ID=app;Password=secret-word;",
        "Data Source=db;Initial Catalog=shop",
        "app:secret-word@tcp(db:3306)/shop?parseTime=true",
        "app:secret-word@unix(/run/mysqld/mysqld.sock)/shop",
    ] {
        passes("kind: url", good);
    }
    for (bad, why) in [
        (
            "postgres://app:secret-word@:5432/shop",
            "a URL without a host",
        ),
        (
            "postgres://app:secret-word@pg1:5432,/shop",
            "a URL without a host",
        ),
        ("postgresql://", "a URL without a host"),
        ("postgresql://app:secret-word@", "a URL without a host"),
        (
            "postgres://app:secret-word@pg1:5432,pg2:54x/shop",
            "invalid port number",
        ),
        (
            "postgres://app:secret-word@pg1:70000/shop",
            "invalid port number",
        ),
        ("postgres://app:50%off@pg1/shop", "two hexadecimal digits"),
        ("postgres://app@[::1/shop", "invalid IPv6 address"),
        ("mongodb+srv://app@m0,m1/shop", "one name and no port"),
        (
            "mongodb+srv://m0.example.net:27017/shop",
            "one name and no port",
        ),
        ("jdbc:", "wants a driver"),
        ("jdbc:mysql:///shop", "a URL without a host"),
        ("jdbc:postgresql://pg1:54x/shop", "invalid port number"),
        ("dbname=shop user=app", "a connection string without a host"),
        (
            "Database=shop;User ID=app",
            "a connection string without a host",
        ),
        ("hunter2-hunter2", "a URL without a host"),
        ("\u{feff}postgres://db/shop", "byte order mark"),
    ] {
        fails("kind: url", bad, why);
    }
}

#[test]
fn json_with_a_byte_order_mark_is_told_with_what_takes_it_away() {
    fails("kind: json", "\u{feff}{\"a\": 1}", "sed '1s/^");
}

#[test]
fn pf_ssh_key_shape_a_key_that_openssh_cannot_read_is_told_by_its_shape() {
    let key = testkit::Sshd::start().private_key();
    let kind = "kind: ssh-private-key";
    passes(kind, &key);
    let indented: String = key.lines().flat_map(|line| ["  ", line, "\n"]).collect();
    for (value, shape) in [
        (key.replace('\n', " "), "it is one line"),
        (format!("\"{key}\""), "it is in quotes"),
        (indented, "its lines are indented"),
        (format!("\u{feff}{key}"), "byte order mark"),
        (format!("\n{key}"), "before its first line"),
        (key.replace('\n', "\\n"), "written as `\\n`"),
        (key.trim_end().to_owned(), "no line break at its end"),
        (
            "PuTTY-User-Key-File-3: ssh-ed25519\n".to_owned(),
            "puttygen",
        ),
    ] {
        fails(kind, &value, shape);
    }
}

#[test]
fn a_self_signed_certificate_is_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cert.pem");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(
        "req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=shop -keyout /dev/null -out"
            .split(' '),
    );
    assert!(openssl.arg(&path).output().unwrap().status.success());
    let text = std::fs::read_to_string(&path).unwrap();
    passes("kind: pem-certificate", &text);
    passes("kind: pem-certificate", &format!("\u{feff}{text}"));
}

#[test]
fn a_certificate_chain_holds_long_enough() {
    let authority = Authority::new();
    let root = std::fs::read_to_string(authority.file()).unwrap();
    let certificate = authority.certificate("shop.test", 10);
    let leaf = certificate.text();
    let kind = "kind: pem-certificate, min-days: 9";
    passes(kind, &leaf);
    passes(kind, &format!("{leaf}{root}"));
    passes(kind, &format!("{leaf}{root}").replace('\n', "\r\n"));
    fails("kind: pem-certificate", &leaf, "days left, fewer than 14");
    fails(kind, &format!("{root}{leaf}"), "out of order or incomplete");
    fails(kind, &leaf[..leaf.len() / 2], "damaged or cut off");
    fails(kind, "hunter2-hunter2", "no `-----BEGIN CERTIFICATE-----`");
    let junk = "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----\n";
    fails(kind, junk, "certificate 1 is damaged");
    let key = std::fs::read_to_string(&certificate.key).unwrap();
    passes(kind, &format!("{key}{leaf}{root}"));
    fails(kind, &key, "no `-----BEGIN CERTIFICATE-----`");
    let old = authority.certificate("shop.test", 0).text();
    fails(kind, &old, "expired at");
}

#[test]
fn days_are_for_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let config = "version: 1\npreflight:\n  secrets:\n    - { name: A, min-days: 3 }\n";
    std::fs::write(folder.path().join("deploy-guard.yml"), config).unwrap();
    testkit::bin("preflight")
        .current_dir(folder.path())
        .assert()
        .code(2)
        .stderr(contains("4:").and(contains("`kind: pem-certificate`")));
}
