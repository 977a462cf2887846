//! A restored database takes the place of the one that is served.

use database::QueryRows as _;
use dump::{Error, Folder, Scratch, Source, Swap};

use crate::setting::{MINUTE, at, maria_shop, mariadb, postgres, programs, read, shop, taken};

#[tokio::test]
async fn the_restored_database_has_the_name_the_owner_and_the_settings_while_clients_come_back() {
    let server = postgres();
    server.sql("ALTER DATABASE shop SET statement_timeout TO '7s'; REVOKE CONNECT ON DATABASE shop FROM PUBLIC");
    let home = tempfile::tempdir().unwrap();
    let database = at(&server.url("postgres", "shop"));
    let backup = taken(&database, &Folder::new(home.path())).await;
    server.sql_in("shop", "DELETE FROM orders");
    let contents = read(&backup.path).await.unwrap();
    let source = Source::Backup {
        path: &backup.path,
        contents: &contents,
        owners: true,
    };
    let restored = Scratch::create(&database, source, MINUTE, &programs(), MINUTE)
        .await
        .unwrap();
    // A client that is connected, and comes back as often as it is thrown out.
    let client = shop(&server);
    let clients = tokio::spawn(async move {
        loop {
            if let Ok(mut connection) = client.connect().await {
                while connection.rows("SELECT 1").await.is_ok() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let swap = Swap::new(restored, database.clone());
    let swapped = swap.make(&programs(), MINUTE).await.unwrap();
    clients.abort();
    assert!(swapped.ended >= 1, "{swapped:?}");
    let mut connection = shop(&server).connect().await.unwrap();
    let rows = connection
        .rows(
            "SELECT count(*), current_setting('statement_timeout'), pg_get_userbyid(datdba), datacl::text,
                    (SELECT tableowner FROM pg_tables WHERE tablename = 'orders')
             FROM orders, pg_database WHERE datname = current_database() GROUP BY datdba, datacl",
        )
        .await
        .unwrap();
    let row: Vec<&str> = rows.rows[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(row, ["20000", "7s", "app", "{app=CTc/app,=T/app}", "app"]);
    let kept = server.sql_in(&swapped.kept, "SELECT count(*) FROM orders");
    assert_eq!(kept, "0\n");
    let names = server.sql_in(
        "postgres",
        "SELECT datname FROM pg_database WHERE datname LIKE 'dg%'",
    );
    assert_eq!(names, "");
}

#[tokio::test]
async fn mariadb_has_no_such_way() {
    let server = mariadb();
    let home = tempfile::tempdir().unwrap();
    let database = maria_shop(&server);
    let backup = taken(&database, &Folder::new(home.path())).await;
    let contents = read(&backup.path).await.unwrap();
    let source = Source::Backup {
        path: &backup.path,
        contents: &contents,
        owners: true,
    };
    let restored = Scratch::create(&database, source, MINUTE, &programs(), MINUTE)
        .await
        .unwrap();
    let swap = Swap::new(restored, database);
    let error = swap.make(&programs(), MINUTE).await.unwrap_err();
    assert!(matches!(error, Error::Unfit(_)), "{error}");
    let mut left = server.sql("SHOW DATABASES");
    while left.contains("dg_scratch") {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        left = server.sql("SHOW DATABASES");
    }
}
