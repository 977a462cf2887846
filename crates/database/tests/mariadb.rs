//! MariaDB by TLS, as its URL asks for it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use database::{Address, Database, Error, QueryRows as _};
use net::Route;
use testkit::{Authority, MariaDb};

/// A server whose certificate an authority of ours made for this name.
fn server(authority: &Authority, name: &str) -> MariaDb {
    let certificate = authority.certificate(name, 30);
    let at = |path: &std::path::Path| path.display().to_string();
    // The server reads them as a user of its own.
    for path in [&certificate.certificate, &certificate.key] {
        open_to_all(path);
    }
    open_to_all(certificate.key.parent().unwrap());
    let server = MariaDb::with(&[
        &format!("--ssl-cert={}", at(&certificate.certificate)),
        &format!("--ssl-key={}", at(&certificate.key)),
    ]);
    server.sql(
        "CREATE DATABASE shop; CREATE USER app@127.0.0.1; GRANT ALL ON shop.* TO app@127.0.0.1",
    );
    server
}

fn open_to_all(path: &std::path::Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The cipher that the session is encrypted by; empty where it is not.
async fn cipher(server: &MariaDb, parameters: &str) -> Result<String, Error> {
    let url = format!("mysql://app@127.0.0.1:{}/shop?{parameters}", server.port());
    let database = Database {
        address: Address::parse(&url).unwrap(),
        route: Route::default(),
        name: "deploy-guard test".to_owned(),
        timeout: Duration::from_secs(20),
    };
    let mut connection = database.connect().await?;
    let rows = connection.rows("SHOW STATUS LIKE 'Ssl_cipher'").await?;
    Ok(rows.rows[0][1].clone().unwrap_or_default())
}

#[tokio::test]
async fn the_mode_and_the_authority_of_the_url_count() {
    let authority = Authority::new();
    let server = server(&authority, "127.0.0.1");
    let ours = format!("ssl-ca={}", authority.file().display());
    assert_eq!(cipher(&server, "ssl-mode=DISABLED").await.unwrap(), "");
    for encrypted in ["", "sslmode=require", "tls=skip-verify"] {
        let cipher = cipher(&server, encrypted).await.unwrap();
        assert!(!cipher.is_empty(), "{encrypted}");
    }
    for mode in ["verify-ca", "VERIFY_IDENTITY"] {
        let cipher = cipher(&server, &format!("ssl-mode={mode}&{ours}")).await;
        assert!(!cipher.unwrap().is_empty(), "{mode}");
    }
    // The system does not know the authority, and neither does another.
    let unknown = cipher(&server, "ssl-mode=VERIFY_CA").await.unwrap_err();
    assert!(matches!(unknown, Error::Unreachable { .. }), "{unknown}");
    let other = Authority::new();
    let other = format!("tls=true&ssl-ca={}", other.file().display());
    let unknown = cipher(&server, &other).await.unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    let gone = cipher(&server, "sslmode=verify-full&ssl-ca=/gone.pem").await;
    let gone = gone.unwrap_err();
    assert!(matches!(gone, Error::Tls(_)), "{gone}");
    assert!(gone.to_string().contains("/gone.pem"), "{gone}");
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_have_is_refused() {
    let authority = Authority::new();
    let server = server(&authority, "db.example");
    let ours = format!("ssl-ca={}", authority.file().display());
    let any = cipher(&server, &format!("sslmode=require&{ours}")).await;
    assert!(!any.unwrap().is_empty());
    // The library compares the name whenever it compares anything.
    for mode in ["verify-ca", "verify-full"] {
        let refused = cipher(&server, &format!("sslmode={mode}&{ours}")).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("not valid for name"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_taken_as_it_is_unless_tls_is_required() {
    let server = MariaDb::start();
    server.sql(
        "CREATE DATABASE shop; CREATE USER app@127.0.0.1; GRANT ALL ON shop.* TO app@127.0.0.1",
    );
    assert_eq!(cipher(&server, "").await.unwrap(), "");
    let refused = cipher(&server, "sslmode=require").await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
}
