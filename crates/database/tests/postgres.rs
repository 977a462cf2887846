//! PostgreSQL on a port, with a password.

use std::time::{Duration, Instant};

use database::lock::{Lock, LockAttempt};
use database::{Address, Connection, Database, Error, Forward, QueryRows as _, pg_facts};
use net::Route;
use testkit::Postgres;

const HBA: &str = "host all app 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 trust";

struct Server(Postgres);

impl Server {
    fn start() -> Server {
        let server = Postgres::listening(HBA, None);
        server.sql("CREATE ROLE app LOGIN PASSWORD 'hunter2'");
        Server(server)
    }

    fn database(&self, user: &str, name: &str) -> Database {
        Database {
            address: Address::parse(&self.0.url(user, name)).unwrap(),
            route: Route::default(),
            name: "deploy-guard test".to_owned(),
            timeout: Duration::from_secs(20),
        }
    }

    async fn connect(&self) -> Connection {
        self.database("postgres", "postgres")
            .connect()
            .await
            .unwrap()
    }

    async fn session(&self, name: &str) -> database::postgres::Session {
        let mut database = self.database("postgres", "postgres");
        name.clone_into(&mut database.name);
        database.postgres().await.unwrap()
    }
}

fn texts(row: &[Option<String>]) -> Vec<&str> {
    row.iter()
        .map(|cell| cell.as_deref().unwrap_or("NULL"))
        .collect()
}

#[tokio::test]
async fn rows_are_text_and_what_is_refused_has_its_code() {
    let server = Server::start();
    let mut connection = server
        .database("app:hunter2", "postgres")
        .connect()
        .await
        .unwrap();
    let rows = connection
        .rows("SELECT 1 AS one, NULL AS none, 'x y' AS text")
        .await
        .unwrap();
    assert_eq!(rows.columns, ["one", "none", "text"]);
    assert_eq!(texts(&rows.rows[0]), ["1", "NULL", "x y"]);
    let missing = connection.rows("SELECT * FROM nowhere").await.unwrap_err();
    assert!(missing.is_missing(), "{missing}");
    let denied = connection
        .rows("SELECT * FROM pg_authid")
        .await
        .unwrap_err();
    assert!(denied.is_denied(), "{denied}");
    let large = connection
        .rows("SELECT repeat('x', 40000000)")
        .await
        .unwrap_err();
    assert!(matches!(large, Error::TooLarge(_)), "{large:?}");
}

#[tokio::test]
async fn why_there_is_no_connection_is_told_without_the_password() {
    let server = Server::start();
    let refused = |user: &str, name: &str| {
        let database = server.database(user, name);
        async move { database.connect().await.map(drop).unwrap_err() }
    };
    let wrong = refused("app:hunter3", "postgres").await;
    assert!(matches!(wrong, Error::Login { .. }), "{wrong:?}");
    assert!(!wrong.to_string().contains("hunter3"), "{wrong}");
    let none = refused("app", "postgres").await;
    assert!(
        none.to_string().contains("the URL has no password"),
        "{none}"
    );
    let nowhere = refused("postgres", "nowhere").await;
    assert!(matches!(nowhere, Error::NoDatabase(_)), "{nowhere:?}");
    let mut away = server.database("postgres", "postgres");
    away.address.port = testkit::free_port();
    let away = away.connect().await.map(drop).unwrap_err();
    assert!(matches!(away, Error::Unreachable { .. }), "{away:?}");
}

#[tokio::test]
async fn one_session_holds_the_lock_until_it_ends_even_by_force() {
    let server = Server::start();
    let database = server.database("postgres", "postgres");
    let LockAttempt::Held(mut lock) = Lock::take(&database, Duration::ZERO).await.unwrap() else {
        panic!("it is free")
    };
    assert!(lock.is_held().await);
    let LockAttempt::ByOther(holder) = Lock::take(&database, Duration::ZERO).await.unwrap() else {
        panic!("it is taken")
    };
    assert!(holder.contains("deploy-guard test"), "{holder}");
    server
        .0
        .sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'");
    let second = Lock::take(&database, Duration::from_secs(10))
        .await
        .unwrap();
    assert!(matches!(second, LockAttempt::Held(_)));
    assert!(!lock.is_held().await);
}

#[tokio::test]
async fn who_waits_for_us_is_seen_and_our_statement_can_be_cancelled() {
    let server = Server::start();
    server.0.sql("CREATE TABLE t (id int)");
    let reader = server.session("reader").await;
    reader.rows("BEGIN; SELECT * FROM t").await.unwrap();
    let watch = server.session("watch").await;
    let version = pg_facts::version(&watch).await.unwrap();
    let (tool, bystander) = (
        server.session("tool").await,
        server.session("bystander").await,
    );
    let altering = tokio::spawn(async move { tool.rows("ALTER TABLE t ADD COLUMN x int").await });
    let reading = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let since = Instant::now();
        bystander.rows("SELECT * FROM t").await.unwrap();
        since.elapsed()
    };
    let ours = pg_facts::OwnSessions {
        name: "tool".to_owned(),
        ends: Vec::new(),
    };
    let watching = async {
        loop {
            let activity = pg_facts::activity(&watch, &ours, version).await.unwrap();
            if activity.blocked.sessions > 0 && activity.blocked.longest >= 300 {
                let [worker] = &activity.workers[..] else {
                    panic!("{activity:?}")
                };
                assert!(
                    worker.waits && worker.statement.contains("ALTER TABLE"),
                    "{worker:?}"
                );
                assert!(pg_facts::cancel(&watch, worker.process).await.unwrap());
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let (waited, ()) = tokio::join!(reading, watching);
    assert!(waited >= Duration::from_millis(300), "{waited:?}");
    let cancelled = altering.await.unwrap().unwrap_err();
    assert_eq!(cancelled.code(), Some("57014"));
    let long = pg_facts::long_transactions(&watch, 0).await.unwrap();
    assert_eq!(
        long.first().map(|open| open.application.as_str()),
        Some("reader")
    );
}

#[tokio::test]
async fn an_index_that_failed_is_found() {
    let server = Server::start();
    server
        .0
        .sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)");
    let mut connection = server.connect().await;
    let failed = connection
        .rows("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
        .await;
    assert_eq!(failed.unwrap_err().code(), Some("23505"));
    // The error is told before the build is over.
    connection.rows("SELECT 1").await.unwrap();
    let session = server.session("look").await;
    let found = pg_facts::invalid_indexes(&session).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].name.as_str(), found[0].table.as_str()),
        ("public.t_id", "t")
    );
}

#[tokio::test]
async fn a_port_of_this_machine_leads_to_it() {
    let server = Server::start();
    let mut database = server.database("postgres", "postgres");
    let forward = Forward::open(&database.address, &database.route)
        .await
        .unwrap();
    database.address.port = forward.port();
    let mut connection = database.connect().await.unwrap();
    assert_eq!(
        connection.rows("SELECT 7").await.unwrap().first_cell(),
        Some("7")
    );
}
