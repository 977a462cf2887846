//! PostgreSQL: what a change does is told as it is.

use std::time::Duration;

use rehearsal::{Again, Compatible, Reversible, Trial, WayBack};
use testkit::Postgres;

use crate::bed::{Change, SMOKE, at, tried};

const TABLES: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    INSERT INTO customers SELECT i, 'Customer ' || i FROM generate_series(1, 50) i;
    CREATE TABLE orders (id int PRIMARY KEY, email text, total int NOT NULL DEFAULT 0, note varchar(20));
    INSERT INTO orders SELECT i, 'User' || i || '@Example.org', i, 'a note ' || i FROM generate_series(1, 2000) i;
    CREATE INDEX orders_total ON orders (total)";

/// A change, and what is known of it: reversible, compatible, destructive, rewrites `orders`.
struct Known {
    name: &'static str,
    up: &'static [&'static str],
    down: Option<&'static [&'static str]>,
    is: [bool; 4],
    /// In what is told.
    reason: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        name: "a column that may be null",
        up: &["ALTER TABLE orders ADD COLUMN coupon text"],
        down: Some(&["ALTER TABLE orders DROP COLUMN coupon"]),
        is: [true, true, false, false],
        reason: "",
    },
    Known {
        name: "a column with a constant default",
        up: &["ALTER TABLE orders ADD COLUMN currency text NOT NULL DEFAULT 'EUR'"],
        down: Some(&["ALTER TABLE orders DROP COLUMN currency"]),
        is: [true, true, false, false],
        reason: "",
    },
    Known {
        name: "a new table",
        up: &["CREATE TABLE refunds (id serial PRIMARY KEY, order_id int REFERENCES orders)"],
        down: Some(&["DROP TABLE refunds"]),
        is: [true, true, false, false],
        reason: "",
    },
    Known {
        name: "an index, built beside the readers",
        up: &["CREATE INDEX CONCURRENTLY orders_email ON orders (email)"],
        down: Some(&["DROP INDEX CONCURRENTLY orders_email"]),
        is: [true, true, false, false],
        reason: "",
    },
    Known {
        name: "a wider type",
        up: &["ALTER TABLE orders ALTER COLUMN total TYPE bigint"],
        down: Some(&["ALTER TABLE orders ALTER COLUMN total TYPE int"]),
        is: [true, true, false, true],
        reason: "",
    },
    Known {
        name: "a column that is dropped",
        up: &["ALTER TABLE orders DROP COLUMN note"],
        down: Some(&["ALTER TABLE orders ADD COLUMN note varchar(20)"]),
        is: [false, true, true, false],
        reason: "the way down does not bring back the values of public.orders.note",
    },
    Known {
        name: "a column that the release before writes is dropped",
        up: &["ALTER TABLE orders DROP COLUMN email"],
        down: Some(&["ALTER TABLE orders ADD COLUMN email text"]),
        is: [false, false, true, false],
        reason: "column \"email\" of relation \"orders\" does not exist",
    },
    Known {
        name: "a table that is dropped",
        up: &["DROP TABLE customers"],
        down: Some(&["CREATE TABLE customers (id int PRIMARY KEY, name text)"]),
        is: [false, true, true, false],
        reason: "50 of 50 rows of public.customers",
    },
    Known {
        name: "a column with another name",
        up: &["ALTER TABLE orders RENAME COLUMN email TO mail"],
        down: Some(&["ALTER TABLE orders RENAME COLUMN mail TO email"]),
        is: [true, false, false, false],
        reason: "the column public.orders.email is gone",
    },
    Known {
        name: "a table with another name",
        up: &["ALTER TABLE orders RENAME TO purchases"],
        down: Some(&["ALTER TABLE purchases RENAME TO orders"]),
        is: [true, false, false, false],
        reason: "the table public.orders is gone",
    },
    Known {
        name: "a column that demands a value",
        up: &[
            "ALTER TABLE orders ADD COLUMN tenant int NOT NULL DEFAULT 1",
            "ALTER TABLE orders ALTER COLUMN tenant DROP DEFAULT",
        ],
        down: Some(&["ALTER TABLE orders DROP COLUMN tenant"]),
        is: [true, false, false, false],
        reason: "demands a value",
    },
    Known {
        name: "a rule that the release before breaks",
        up: &["ALTER TABLE orders ADD CONSTRAINT orders_at CHECK (email LIKE '%@%') NOT VALID"],
        down: Some(&["ALTER TABLE orders DROP CONSTRAINT orders_at"]),
        is: [true, false, false, false],
        reason: "violates check constraint",
    },
    Known {
        name: "values that are changed for good",
        up: &["UPDATE customers SET name = lower(name)"],
        down: Some(&["SELECT 1"]),
        is: [false, true, true, false],
        reason: "the values of public.customers.name",
    },
    Known {
        name: "rows that are deleted",
        up: &["DELETE FROM customers WHERE id > 40"],
        down: Some(&["SELECT 1"]),
        is: [false, true, true, false],
        reason: "10 of 50 rows of public.customers",
    },
    Known {
        name: "a narrower type",
        up: &["ALTER TABLE customers ALTER COLUMN name TYPE varchar(9) USING left(name, 9)"],
        down: Some(&["ALTER TABLE customers ALTER COLUMN name TYPE text"]),
        is: [false, true, true, false],
        reason: "the values of public.customers.name",
    },
    Known {
        name: "no way down",
        up: &["ALTER TABLE orders ADD COLUMN coupon text"],
        down: None,
        is: [false, true, false, false],
        reason: "there is no way down: 2_change.sql has none",
    },
    Known {
        name: "no way down from what is dropped",
        up: &["ALTER TABLE customers DROP COLUMN name"],
        down: None,
        is: [false, true, true, false],
        reason: "there is no way down",
    },
    Known {
        name: "a way down that forgets an index",
        up: &[
            "DROP INDEX orders_total",
            "ALTER TABLE orders ADD COLUMN coupon text",
        ],
        down: Some(&["ALTER TABLE orders DROP COLUMN coupon"]),
        // It cannot be applied again, so there is nothing to test.
        is: [false, false, false, false],
        reason: "-CREATE INDEX orders_total ON public.orders USING btree (total);",
    },
    Known {
        name: "a way down that fails",
        up: &["ALTER TABLE orders ADD COLUMN coupon text"],
        down: Some(&["ALTER TABLE orders DROP COLUMN coupons"]),
        is: [false, true, false, false],
        reason: "the way down failed: column \"coupons\"",
    },
    Known {
        name: "a way down that fails once the new schema was used",
        up: &[
            "ALTER TABLE orders ADD COLUMN coupon text",
            "CREATE TABLE uses (id int)",
            "CREATE FUNCTION use() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO uses VALUES (NEW.id); RETURN NEW; END'",
            "CREATE TRIGGER used AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION use()",
        ],
        down: Some(&[
            "DO 'BEGIN ASSERT (SELECT count(*) FROM uses) = 0, ''it is used''; END'",
            "DROP TRIGGER used ON orders",
            "DROP FUNCTION use",
            "DROP TABLE uses",
            "ALTER TABLE orders DROP COLUMN coupon",
        ]),
        is: [false, true, false, false],
        reason: "once the new schema was used, the way down does not lead back: it is used",
    },
    Known {
        name: "a move to another table that the way down takes back",
        up: &[
            "CREATE TABLE notes AS SELECT id, note FROM orders",
            "ALTER TABLE orders DROP COLUMN note",
        ],
        down: Some(&[
            "ALTER TABLE orders ADD COLUMN note varchar(20)",
            "UPDATE orders SET note = notes.note FROM notes WHERE notes.id = orders.id",
            "DROP TABLE notes",
        ]),
        is: [true, true, false, false],
        reason: "",
    },
];

fn seen(trial: &Trial) -> [bool; 4] {
    [
        trial.reversible() == Reversible::Yes,
        matches!(
            trial.compatible(),
            Compatible::Tested | Compatible::Unchanged
        ),
        !trial.destroyed().is_empty(),
        trial
            .rewrites
            .iter()
            .any(|rewrite| rewrite.table == "public.orders"),
    ]
}

#[tokio::test]
async fn changes_of_known_effects_have_the_right_classification() {
    let server = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    server.sql("CREATE DATABASE shop");
    server.sql_in("shop", TABLES);
    let mut wrong = Vec::new();
    for known in KNOWN {
        server.sql("CREATE DATABASE copy TEMPLATE shop");
        let database = at(&server.url("postgres", "copy"));
        let change = Change {
            database: &database,
            up: known.up,
            down: known.down,
            smoke: Some(SMOKE),
        };
        let trial = tried(change).await.unwrap();
        let told = format!("{:?} {:?}", trial.reversible(), trial.compatible());
        if seen(&trial) != known.is || !told.replace("\\\"", "\"").contains(known.reason) {
            wrong.push(format!(
                "{}: {:?}, {told}, {trial:#?}",
                known.name,
                seen(&trial)
            ));
        }
        server.sql("DROP DATABASE copy WITH (FORCE)");
    }
    assert!(KNOWN.len() >= 15);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        KNOWN.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn locks_are_seen_and_a_change_that_fails_is_told() {
    let server = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    server.sql_in("postgres", TABLES);
    let database = at(&server.url("postgres", "postgres"));
    let slow = Change {
        database: &database,
        up: &["BEGIN; ALTER TABLE orders ADD COLUMN x int; SELECT pg_sleep(0.3); COMMIT"],
        down: Some(&["ALTER TABLE orders DROP COLUMN x"]),
        smoke: None,
    };
    let trial = tried(slow).await.unwrap();
    let lock = trial
        .locks
        .iter()
        .find(|lock| lock.mode == "ACCESS EXCLUSIVE")
        .unwrap();
    assert_eq!(lock.table, "public.orders");
    assert!(lock.held > Duration::from_millis(200), "{lock:?}");
    assert_eq!(trial.compatible(), Compatible::Unchanged);
    assert_eq!(trial.again, Again::Same);
    assert!(matches!(trial.way_back, WayBack::Made { .. }));
    // Ten times the rows take ten times as long; nothing gets quicker.
    let scaled = trial.scaled(&|_| Some(20_000)).unwrap();
    assert_eq!(
        scaled.as_millis() / 10,
        trial.took.as_millis(),
        "{scaled:?}"
    );
    assert_eq!(trial.scaled(&|_| Some(20)), None);
    let broken = Change {
        database: &database,
        up: &["ALTER TABLE nowhere ADD COLUMN x int"],
        down: None,
        smoke: None,
    };
    let said = tried(broken).await.unwrap_err().to_string();
    assert!(
        said.contains("relation \"nowhere\" does not exist"),
        "{said}"
    );
}

#[tokio::test]
async fn a_test_that_fails_before_the_change_says_nothing_of_it() {
    let server = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    server.sql_in("postgres", TABLES);
    let database = at(&server.url("postgres", "postgres"));
    let change = Change {
        database: &database,
        up: &["CREATE TABLE x (id int)"],
        down: Some(&["DROP TABLE x"]),
        smoke: Some(&["SELECT * FROM gone"]),
    };
    let trial = tried(change).await.unwrap();
    let Compatible::Unknown(reason) = trial.compatible() else {
        panic!("{trial:?}")
    };
    assert!(
        reason.contains("fails on the schema of before too"),
        "{reason}"
    );
}
