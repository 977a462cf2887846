//! Databases with something in them, and what a backup of them takes.

use std::path::Path;
use std::time::Duration;

use database::{Address, Database};
use dump::{Backup, Contents, Error, Expected, Folder, Programs, Taking, take, verify};
use model::Env;
use net::Route;
use testkit::{MariaDb, Postgres};

pub(crate) const HBA: &str =
    "host all app 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust";
pub(crate) const PASSWORD: &str = "hun:ter\\2";
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

const TABLES: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, email text, total numeric NOT NULL DEFAULT 0);
    CREATE TABLE empty (id int);
    CREATE VIEW recent AS SELECT id FROM orders;
    INSERT INTO orders SELECT i, 'user' || i || '@example.org', i * 1.5 FROM generate_series(1, 20000) i;
    ANALYZE;";

pub(crate) fn programs() -> Programs {
    let mut env = Env::default();
    for name in ["PATH", "HOME"] {
        env.set(name, std::env::var(name).unwrap_or_default());
    }
    // What belongs to others must not reach them.
    env.set("PGPASSWORD", "wrong");
    Programs::of(&env)
}

/// A server with the database `shop`, which belongs to `app`, who needs a password.
pub(crate) fn postgres() -> Postgres {
    let server = Postgres::listening(HBA, None);
    server.sql(&format!(
        "CREATE ROLE app LOGIN CREATEDB PASSWORD '{PASSWORD}'"
    ));
    server.sql("CREATE DATABASE shop OWNER app");
    server.sql_in("shop", &format!("SET ROLE app; {TABLES}"));
    server
}

pub(crate) fn shop(server: &Postgres) -> Database {
    let user = "app:hun%3Ater%5C2";
    at(&server.url(user, "shop"))
}

pub(crate) fn at(url: &str) -> Database {
    Database {
        address: Address::parse(url).expect("it is a URL"),
        route: Route::default(),
        name: "deploy-guard test".to_owned(),
        timeout: Duration::from_secs(20),
    }
}

/// The same of MariaDB, where the password may have more letters.
pub(crate) fn mariadb() -> MariaDb {
    let server = MariaDb::start();
    server.sql(
        "CREATE DATABASE shop; CREATE USER app@'127.0.0.1' IDENTIFIED BY 'h\"un\\\\t#er 2'; GRANT ALL ON *.* TO app@'127.0.0.1';
         USE shop;
         CREATE TABLE orders (id int PRIMARY KEY AUTO_INCREMENT, email varchar(100), photo blob);
         CREATE TABLE empty (id int);
         CREATE VIEW recent AS SELECT id FROM orders;
         INSERT INTO orders (email, photo) SELECT concat('user', seq, '@example.org'), x'00ff' FROM seq_1_to_20000;",
    );
    server
}

pub(crate) fn maria_shop(server: &MariaDb) -> Database {
    let url = format!(
        "mysql://app:h%22un%5Ct%23er%202@127.0.0.1:{}/shop",
        server.port()
    );
    at(&url)
}

pub(crate) async fn taken(database: &Database, folder: &Folder) -> Backup {
    try_take(database, folder).await.expect("a backup")
}

pub(crate) async fn try_take(database: &Database, folder: &Folder) -> Result<Backup, Error> {
    let programs = programs();
    let taking = Taking {
        database,
        folder,
        programs: &programs,
        revision: Some("3".to_owned()),
        within: MINUTE,
        lock_wait: Duration::from_millis(500),
    };
    take(&taking, &mut |_| ()).await
}

pub(crate) async fn read(path: &Path) -> Result<Contents, Error> {
    let expected = Expected {
        database: Some("shop".to_owned()),
        ..Expected::default()
    };
    verify(path, &expected, &programs(), MINUTE).await
}

/// What is wrong with it, in words.
pub(crate) async fn fault(path: &Path) -> String {
    let error = read(path).await.expect_err("it is no good");
    let fault = error.as_fault().unwrap_or_else(|| panic!("{error}"));
    fault.to_string()
}
