//! The effects of statements against what PostgreSQL does: which lock it holds on which relation,
//! which files it replaces, which tables it reads.

mod shop;
mod statements;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use ddl::catalog::QUERY;
use ddl::{Catalog, LockMode, Name, Setting, StatementEffect, Transaction, Work, effects};
use testkit::Postgres;

/// What a server was seen to do with one relation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    kind: String,
    lock: Option<LockMode>,
    replaced: bool,
    read: bool,
}

type Sight = BTreeMap<String, Seen>;

/// What psql prints between cells; no name has it.
const CELL: char = '\u{1e}';

#[test]
fn every_statement_locks_writes_and_reads_what_the_effects_say() {
    let postgres = Postgres::start();
    postgres.sql(shop::SHOP);
    let catalog = catalog(&postgres);
    let mut differences = String::new();
    let mut told = String::new();
    for statement in statements::IN_A_TRANSACTION {
        let sight = watched(&postgres, statement);
        let effects = told_of(statement, Transaction::Whole, &catalog);
        compare(statement, &effects, &sight, &mut differences);
        for effect in &effects {
            tell(effect, &mut told);
        }
    }
    assert!(differences.is_empty(), "{differences}");
    insta::assert_snapshot!("effects", told);
}

#[test]
fn statements_that_need_no_transaction_lock_what_the_effects_say() {
    let postgres = Postgres::start();
    postgres.sql(shop::SHOP);
    let mut differences = String::new();
    for (statement, held) in statements::BY_THEMSELVES {
        let catalog = catalog(&postgres);
        let effects = told_of(statement, Transaction::AsWritten, &catalog);
        let sight = waiting(&postgres, statement, held);
        compare_locks(statement, &effects, &sight, &mut differences);
    }
    assert!(differences.is_empty(), "{differences}");
}

fn catalog(postgres: &Postgres) -> Catalog {
    let answer = rows(postgres, QUERY);
    assert!(!answer.is_empty());
    Catalog::from_rows(answer)
}

fn rows(postgres: &Postgres, query: &str) -> Vec<Vec<Option<String>>> {
    let query = query.trim().trim_end_matches(';');
    let text = postgres.sql_in(
        "postgres",
        &format!("SELECT to_jsonb(q) FROM ({query}) AS q(a, b, c, d, e, f, g)"),
    );
    let cells = |line: &str| {
        let row: BTreeMap<String, Option<String>> = serde_json::from_str(line).expect("a row");
        row.into_values().collect()
    };
    text.lines()
        .filter(|line| line.starts_with('{'))
        .map(cells)
        .collect()
}

fn told_of(statements: &str, transaction: Transaction, catalog: &Catalog) -> Vec<StatementEffect> {
    let setting = Setting {
        transaction,
        server: 15,
    };
    let effects =
        effects(statements, setting, &mut catalog.clone()).expect("the statements can be read");
    assert!(!effects.is_empty(), "{statements}");
    effects
}

/// Runs statements in a transaction, looks, and rolls back.
fn watched(postgres: &Postgres, statements: &str) -> Sight {
    let script = format!(
        "BEGIN;
         CREATE TEMP TABLE before ON COMMIT DROP AS SELECT oid, relname, relkind::text AS kind, relfilenode
           FROM pg_class WHERE relnamespace = 'public'::regnamespace;
         {statements};
         SELECT 'seen{CELL}' || b.relname || '{CELL}' || b.kind || '{CELL}' || coalesce(string_agg(l.mode, ' '), '')
             || '{CELL}' || coalesce(bool_or(c.relfilenode <> b.relfilenode), false)
             || '{CELL}' || coalesce(bool_or(s.seq_scan > 0), false)
           FROM before b
           LEFT JOIN pg_class c ON c.oid = b.oid
           LEFT JOIN pg_locks l ON l.relation = b.oid AND l.pid = pg_backend_pid() AND l.locktype = 'relation'
           LEFT JOIN pg_stat_xact_user_tables s ON s.relid = b.oid
           GROUP BY b.relname, b.kind;
         ROLLBACK;"
    );
    sight(&postgres.sql_in("postgres", &script))
}

fn sight(text: &str) -> Sight {
    let mut sight = Sight::new();
    for line in text.lines().filter(|line| line.starts_with("seen")) {
        let cells: Vec<&str> = line.split(CELL).collect();
        let lock = LockMode::ALL
            .into_iter()
            .filter(|lock| cells[3].split(' ').any(|one| one == lock.in_pg_locks()));
        let seen = Seen {
            kind: cells[2].to_owned(),
            lock: lock.max(),
            replaced: cells[4] == "true",
            read: cells[5] == "true",
        };
        sight.insert(cells[1].to_owned(), seen);
    }
    sight
}

/// Runs a statement by itself while another session holds something that it must wait for, and
/// looks at what it has and what it asks for.
fn waiting(postgres: &Postgres, statement: &str, held: &str) -> Sight {
    let session = |name: &str, statement: &str| {
        let mut psql = postgres.psql("postgres");
        psql.env("PGAPPNAME", name).args(["-c", statement]);
        psql.stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("psql can be started")
    };
    let mut holder = session("holder", &format!("BEGIN; {held}; SELECT pg_sleep(60)"));
    until(
        postgres,
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'holder' AND wait_event = 'PgSleep'",
    );
    let mut ours = session("ours", statement);
    until(
        postgres,
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'ours' AND wait_event_type = 'Lock'",
    );
    let look = format!(
        "SELECT 'seen{CELL}' || c.relname || '{CELL}' || c.relkind::text || '{CELL}' || coalesce(string_agg(l.mode, ' '), '')
           || '{CELL}false{CELL}false'
         FROM pg_class c LEFT JOIN pg_locks l ON l.relation = c.oid AND l.locktype = 'relation'
           AND l.pid = (SELECT pid FROM pg_stat_activity WHERE application_name = 'ours')
         WHERE c.relnamespace = 'public'::regnamespace GROUP BY c.relname, c.relkind"
    );
    let seen = sight(&postgres.sql_in("postgres", &look));
    postgres.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'",
    );
    holder.wait().expect("it has ended");
    let done = ours.wait().expect("it has ended");
    assert!(
        done.success(),
        "once nothing holds it up, it is done: {statement}"
    );
    seen
}

fn until(postgres: &Postgres, query: &str) {
    let started = std::time::Instant::now();
    while !postgres.sql_in("postgres", query).contains('1') {
        assert!(started.elapsed() < Duration::from_secs(20), "{query}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn compare(statement: &str, effects: &[StatementEffect], sight: &Sight, differences: &mut String) {
    compare_locks(statement, effects, sight, differences);
    let lower = statement.to_lowercase();
    let queries = [
        "insert",
        "update",
        "delete",
        "select",
        "with",
        "merge",
        "create materialized",
        "refresh",
    ];
    let queries =
        lower.contains(" as select") || queries.iter().any(|word| lower.starts_with(word));
    // Whether the check of a foreign key reads the other table's rows or its index is the planner's choice.
    let foreign_key =
        lower.contains("references") || lower.contains("validate constraint lines_order");
    for (name, seen) in sight.iter().filter(|(_, seen)| !seen.is_beside_a_table()) {
        let (_, work) = ours(effects, name);
        let replaced = matches!(work, Work::Rewrite | Work::Empty);
        if work == Work::Unsure || replaced != seen.replaced {
            let _ = writeln!(
                differences,
                "{statement}\n  {name}: {work:?}; the server replaces: {}",
                seen.replaced
            );
        }
        let other_end = foreign_key && work == Work::None;
        if !queries && !replaced && !other_end && seen.read != (work == Work::Scan) {
            let _ = writeln!(
                differences,
                "{statement}\n  {name}: {work:?}; the server reads: {}",
                seen.read
            );
        }
    }
}

fn compare_locks(
    statement: &str,
    effects: &[StatementEffect],
    sight: &Sight,
    differences: &mut String,
) {
    let lower = statement.to_lowercase();
    let cascades = effects.iter().any(|one| {
        one.unknown
            .as_ref()
            .is_some_and(|why| why.contains("CASCADE"))
    });
    for (name, seen) in sight {
        let (lock, _) = ours(effects, name);
        // An index or a sequence that goes with its table is told with it, and nextval is no change.
        let beside = seen.is_beside_a_table() && lock.is_none();
        let passed_over =
            beside && (!lower.contains(name.as_str()) || seen.lock == Some(LockMode::RowExclusive));
        // Which views CASCADE takes with it is told as unknown.
        let unknown = cascades && lock.is_none() && matches!(seen.kind.as_str(), "v" | "m");
        if lock != seen.lock && !passed_over && !unknown {
            let _ = writeln!(
                differences,
                "{statement}\n  {name}: lock {lock:?}, the server has {:?}",
                seen.lock
            );
        }
    }
    for one in effects.iter().flat_map(|effect| &effect.touched) {
        if !one.fresh && !sight.contains_key(&one.relation.name) {
            let _ = writeln!(differences, "{statement}\n  {}: is not there", one.relation);
        }
    }
}

/// The strongest lock and the heaviest work of all statements.
fn ours(effects: &[StatementEffect], name: &str) -> (Option<LockMode>, Work) {
    let touched = effects.iter().flat_map(|effect| &effect.touched);
    let those = touched.filter(|one| one.relation == Name::new("public", name));
    let both = those.map(|one| (one.lock, one.work));
    both.fold((None, Work::None), |(lock, work), (other, more)| {
        (lock.max(other), work.max(more))
    })
}

impl Seen {
    fn is_beside_a_table(&self) -> bool {
        matches!(self.kind.as_str(), "i" | "I" | "S")
    }
}

fn tell(effect: &StatementEffect, told: &mut String) {
    let _ = writeln!(told, "{}", effect.text);
    for one in &effect.touched {
        let lock = one.lock.map_or("no lock", LockMode::name);
        let work = if one.work == Work::None {
            String::new()
        } else {
            format!(", {}", one.work)
        };
        let fresh = if one.fresh { " (new)" } else { "" };
        let _ = writeln!(told, "    {}{fresh}: {lock}{work}", one.relation);
    }
    let _ = writeln!(
        told,
        "    {:?}, {:?}",
        effect.compatibility, effect.reversible
    );
    if !effect.destroys.is_empty() {
        let _ = writeln!(told, "    destroys {:?}", effect.destroys);
    }
    if let Some(unknown) = &effect.unknown {
        let _ = writeln!(told, "    unknown: {unknown}");
    }
}
