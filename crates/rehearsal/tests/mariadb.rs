//! The same of MariaDB, whose changes are not transactions.

use rehearsal::{Compatible, Reversible};
use testkit::MariaDb;

use crate::bed::{Change, SMOKE, at, tried};

const TABLES: &str = "
    DROP DATABASE IF EXISTS shop; CREATE DATABASE shop; USE shop;
    CREATE TABLE orders (id int PRIMARY KEY, email varchar(100), total int NOT NULL DEFAULT 0, note text);
    INSERT INTO orders SELECT seq, concat('user', seq), seq, concat('note ', seq) FROM seq_1_to_500";

#[tokio::test]
async fn what_a_change_does_is_told_as_it_is() {
    let server = MariaDb::start();
    let tries = async |up, down| {
        server.sql(TABLES);
        let database = at(&format!("mysql://root@127.0.0.1:{}/shop", server.port()));
        let change = Change {
            database: &database,
            up,
            down: Some(down),
            smoke: Some(SMOKE),
        };
        tried(change).await.unwrap()
    };
    let adds = tries(
        &["ALTER TABLE orders ADD coupon text"],
        &["ALTER TABLE orders DROP coupon"],
    );
    let adds = adds.await;
    assert_eq!(adds.reversible(), Reversible::Yes, "{adds:?}");
    assert_eq!(adds.compatible(), Compatible::Tested, "{adds:?}");
    let renames = tries(
        &["ALTER TABLE orders RENAME COLUMN email TO mail"],
        &["ALTER TABLE orders RENAME COLUMN mail TO email"],
    );
    let renames = renames.await;
    assert_eq!(renames.reversible(), Reversible::Yes, "{renames:?}");
    assert!(
        matches!(renames.compatible(), Compatible::No(_)),
        "{renames:?}"
    );
    assert!(renames.destroyed().is_empty(), "{renames:?}");
    let drops = tries(
        &["ALTER TABLE orders DROP note"],
        &["ALTER TABLE orders ADD note text"],
    );
    let drops = drops.await;
    let Reversible::No(reason) = drops.reversible() else {
        panic!("{drops:?}")
    };
    assert!(reason.contains("the values of orders.note"), "{reason}");
    assert_eq!(drops.compatible(), Compatible::Tested, "{drops:?}");
}
