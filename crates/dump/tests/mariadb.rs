//! The same of MariaDB.

use database::QueryRows as _;
use dump::{Folder, Format, Scratch, Source, schema};

use crate::setting::{MINUTE, fault, maria_shop, mariadb, programs, read, taken};

#[tokio::test]
async fn a_backup_is_taken_read_and_restored() {
    let server = mariadb();
    let home = tempfile::tempdir().unwrap();
    let database = maria_shop(&server);
    server.sql(
        "USE shop; CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW SET NEW.email = lower(NEW.email);
         CREATE PROCEDURE p() SELECT 1; CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    );
    let backup = taken(&database, &Folder::new(home.path())).await;
    assert_eq!(
        (backup.facts.format, backup.facts.tables),
        (Format::SqlGzip, 2)
    );
    assert!(backup.facts.rows["orders"] > 10_000, "{:?}", backup.facts);
    assert!(
        backup.facts.server.contains("MariaDB"),
        "{:?}",
        backup.facts
    );
    let contents = read(&backup.path).await.unwrap();
    assert_eq!(contents.databases, ["shop"]);
    let source = Source::Backup {
        path: &backup.path,
        contents: &contents,
        owners: false,
    };
    let before = schema(&database, &[], &programs(), MINUTE).await.unwrap();
    for what in [
        "TABLE orders",
        "VIEW recent",
        "TRIGGER t",
        "PROCEDURE p",
        "EVENT e",
    ] {
        assert!(
            before.text().contains(&format!("-- {what}\n")),
            "{}",
            before.text()
        );
    }
    let scratch = Scratch::create(&database, source, MINUTE, &programs(), MINUTE)
        .await
        .unwrap();
    let mut connection = scratch.database().connect().await.unwrap();
    let rows = connection
        .rows("SELECT count(*), hex(min(photo)) FROM orders")
        .await
        .unwrap();
    assert_eq!(
        rows.rows[0],
        [Some("20000".to_owned()), Some("00FF".to_owned())]
    );
    let copy = schema(scratch.database(), &[], &programs(), MINUTE)
        .await
        .unwrap();
    assert_eq!(before.difference(&copy), None);
    connection
        .rows("ALTER TABLE orders DROP photo")
        .await
        .unwrap();
    let copy = schema(
        scratch.database(),
        &["empty".to_owned()],
        &programs(),
        MINUTE,
    )
    .await
    .unwrap();
    let told = before.difference(&copy).unwrap();
    assert!(told.contains("-  `photo` blob DEFAULT NULL"), "{told}");
    assert!(told.contains("-- TABLE empty"), "{told}");
    let name = scratch.name().to_owned();
    scratch.remove().await.unwrap();
    assert!(!server.sql("SHOW DATABASES").contains(&name));
    let none = Scratch::create(&database, Source::Template, MINUTE, &programs(), MINUTE).await;
    let none = none.map(drop).unwrap_err().to_string();
    assert!(none.contains("cannot copy a database"), "{none}");
}

#[tokio::test]
async fn a_spoilt_dump_is_refused_with_its_reason() {
    let server = mariadb();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("shop.sql");
    let dump = |arguments: &[&str]| {
        let ran = server
            .client("mariadb-dump")
            .args(arguments)
            .output()
            .unwrap();
        assert!(ran.status.success());
        std::fs::write(&path, &ran.stdout).unwrap();
        ran.stdout
    };
    let whole = dump(&["shop"]);
    let good = read(&path).await.unwrap();
    assert_eq!((good.tables.len(), good.is_bound), (2, false));
    for part in [99, 60, 20] {
        std::fs::write(&path, &whole[..whole.len() * part / 100]).unwrap();
        assert_eq!(
            fault(&path).await,
            "it is cut off: its last line is not `-- Dump completed`",
            "{part} %"
        );
    }
    dump(&["--no-data", "shop"]);
    assert!(fault(&path).await.contains("the schema and no rows"));
    dump(&["--no-create-info", "shop"]);
    assert!(fault(&path).await.contains("the rows and not the schema"));
    dump(&["mysql"]);
    assert_eq!(fault(&path).await, "it is a dump of `mysql`, not of `shop`");
    dump(&["--databases", "shop"]);
    assert!(read(&path).await.unwrap().is_bound);
    std::fs::write(&path, "").unwrap();
    assert_eq!(fault(&path).await, "it is empty");

    let packed = taken(
        &maria_shop(&server),
        &Folder::new(home.path().join("backups")),
    )
    .await;
    let whole = std::fs::read(&packed.path).unwrap();
    for part in [99, 60, 20] {
        std::fs::write(&path, &whole[..whole.len() * part / 100]).unwrap();
        assert_eq!(
            fault(&path).await,
            "it is cut off: it ends within its gzip",
            "{part} %"
        );
    }
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    std::fs::write(&path, &flipped).unwrap();
    let told = fault(&path).await;
    assert!(told.starts_with("it is "), "{told}");
}
