//! Tools that the test bed does not have: tables as they document them, in a real database.

use migrations::{Error, Pending, Tracking, Undo, UndoError};
use serde_json::json;

use crate::bed::{Bed, kinds};

mod flyway {
    use super::*;

    const TABLE: &str = "create table flyway_schema_history (installed_rank int not null primary key, \
        version varchar(50), description varchar(200) not null, type varchar(20) not null, \
        script varchar(1000) not null, checksum int, installed_by varchar(100) not null, \
        installed_on timestamp not null default now(), execution_time int not null, success boolean not null);";

    /// CRC-32 of `123456789` is the check value of the standard.
    const SQL: &str = "12345\n6789\n";
    const SUM: i32 = -873_187_034;

    fn bed() -> Bed {
        with(Bed::new(json!({ "flyway": { "folder": "m" } })))
    }

    fn with(bed: Bed) -> Bed {
        for name in [
            "V1__first.sql",
            "V1_10__tenth.sql",
            "V1.9__ninth.sql",
            "R__view.sql",
        ] {
            bed.write(&format!("m/{name}"), SQL);
        }
        bed
    }

    fn row(bed: &Bed, rank: u32, version: &str, name: &str, kind: &str, sum: &str, success: bool) {
        bed.sql(&format!(
            "insert into flyway_schema_history values ({rank}, {version}, '{name}', '{kind}', 'x', {sum}, 'app', now(), 1, {success})"
        ));
    }

    fn applied(bed: &Bed) {
        bed.sql(TABLE);
        let sum = SUM.to_string();
        row(bed, 1, "'1'", "first", "SQL", &sum, true);
        row(bed, 2, "'1.9'", "ninth", "SQL", &sum, true);
        row(bed, 3, "'1.10'", "tenth", "SQL", &sum, true);
        row(bed, 4, "null", "view", "SQL", &sum, true);
    }

    #[test]
    fn versions_are_in_the_order_of_their_numbers_and_repeatable_ones_come_last() {
        let bed = bed();
        let reading = bed.read();
        assert_eq!(
            (reading.standing, reading.pending.join(" ")),
            (Tracking::Empty, "1 1.9 1.10 view".to_owned())
        );
        let Pending::Scripts(scripts) = bed.tool().pending_sql(&reading) else {
            panic!("the files are SQL");
        };
        assert_eq!(scripts.len(), 4);
        applied(&bed);
        assert!(bed.read().is_at_head(), "{}", bed.told());
        assert_eq!(
            bed.tool().undo(&bed.read(), None),
            Err(UndoError::Paid("Flyway"))
        );
    }

    #[test]
    fn a_changed_file_is_told_and_a_changed_repeatable_one_is_pending() {
        let bed = bed();
        applied(&bed);
        bed.write("m/V1.9__ninth.sql", "12345\n6789\n0");
        bed.write("m/R__view.sql", "another");
        assert_eq!(kinds(&bed.read()), ["changed 1.9", "pending view"]);
        insta::assert_snapshot!(bed.told());
    }

    #[test]
    fn a_failed_row_and_what_repair_leaves() {
        let bed = bed();
        applied(&bed);
        bed.write("m/V2__second.sql", "another one");
        row(&bed, 5, "'2'", "second", "SQL", &SUM.to_string(), false);
        assert_eq!(kinds(&bed.read()), ["failed 2"]);
        insta::assert_snapshot!(bed.told());
        bed.sql("delete from flyway_schema_history where version = '2'");
        assert_eq!(kinds(&bed.read()), ["pending 2"]);
        // Repair marks one whose file is gone.
        bed.remove("m/V1.9__ninth.sql");
        assert_eq!(kinds(&bed.read()), ["unknown 1.9", "pending 2"]);
        row(&bed, 6, "'1.9'", "ninth", "DELETE", "null", true);
        assert_eq!(kinds(&bed.read()), ["pending 2"]);
    }

    #[test]
    fn what_comes_before_is_ignored_and_another_description_is_another_file() {
        let bed = bed();
        applied(&bed);
        bed.write("m/V1.2__late.sql", SQL);
        bed.rename("m/V1__first.sql", "m/V1__once.sql");
        assert_eq!(kinds(&bed.read()), ["renamed 1", "out-of-order 1.2"]);
        insta::assert_snapshot!(bed.told());
    }

    #[test]
    fn a_baseline_includes_what_is_before_it() {
        let bed = bed();
        bed.sql(TABLE);
        row(
            &bed,
            1,
            "'1.9'",
            "<< Flyway Baseline >>",
            "BASELINE",
            "null",
            true,
        );
        let reading = bed.read();
        assert_eq!(kinds(&reading), ["pending 1.10", "pending view"]);
        assert_eq!(reading.revision().as_deref(), Some("1.9"));
    }

    #[test]
    fn mariadb_is_read_in_the_same_way() {
        let bed = with(Bed::mariadb(json!({ "flyway": { "folder": "m" } })));
        assert_eq!(bed.read().standing, Tracking::Empty);
        applied(&bed);
        assert!(bed.read().is_at_head(), "{}", bed.told());
        row(&bed, 5, "'2'", "second", "SQL", "1", false);
        assert_eq!(kinds(&bed.read()), ["ahead 2", "failed 2"]);
    }
}

mod prisma {
    use super::*;

    const TABLE: &str = "create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null, \
        finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz, \
        started_at timestamptz not null default now(), applied_steps_count int not null default 0);";

    const SQL: &str = "create table a (x int);\n";

    fn bed() -> Bed {
        let bed = Bed::new(json!({ "prisma": {} }));
        bed.write("prisma/schema.prisma", "");
        for name in ["20240101_a", "20240102_b"] {
            bed.write(&format!("prisma/migrations/{name}/migration.sql"), SQL);
        }
        bed
    }

    /// As `sha256sum` prints it.
    fn sum() -> String {
        let mut sum = std::process::Command::new("sha256sum");
        let mut child = sum
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), SQL.as_bytes()).unwrap();
        let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        printed.split(' ').next().unwrap().to_owned()
    }

    fn row(bed: &Bed, id: &str, name: &str, sum: &str, finished: &str, rolled_back: &str) {
        bed.sql(&format!(
            "insert into _prisma_migrations values ('{id}', '{sum}', {finished}, '{name}', 'ERROR: no', {rolled_back}, clock_timestamp(), 1)"
        ));
    }

    #[test]
    fn pending_and_at_head() {
        let bed = bed();
        assert_eq!(bed.read().pending, ["20240101_a", "20240102_b"]);
        bed.sql(TABLE);
        row(&bed, "1", "20240101_a", &sum(), "now()", "null");
        assert_eq!(kinds(&bed.read()), ["pending 20240102_b"]);
        row(&bed, "2", "20240102_b", &sum(), "now()", "null");
        assert!(bed.read().is_at_head(), "{}", bed.told());
        assert_eq!(
            bed.tool().undo(&bed.read(), None),
            Err(UndoError::Tool("prisma"))
        );
        // A checkout with other line ends is the same file.
        bed.write(
            "prisma/migrations/20240102_b/migration.sql",
            &SQL.replace('\n', "\r\n"),
        );
        assert!(bed.read().is_at_head(), "{}", bed.told());
        bed.write("prisma/migrations/20240102_b/migration.sql", "select 1;\n");
        assert_eq!(kinds(&bed.read()), ["changed 20240102_b"]);
    }

    #[test]
    fn a_failed_one_is_told_from_a_rolled_back_one() {
        let bed = bed();
        bed.sql(TABLE);
        row(&bed, "1", "20240101_a", &sum(), "now()", "null");
        row(&bed, "2", "20240102_b", &sum(), "null", "null");
        assert_eq!(kinds(&bed.read()), ["failed 20240102_b"]);
        insta::assert_snapshot!(bed.told());
        bed.sql("update _prisma_migrations set rolled_back_at = now() where id = '2'");
        assert_eq!(kinds(&bed.read()), ["pending 20240102_b"]);
        row(&bed, "3", "20240102_b", &sum(), "now()", "null");
        assert!(bed.read().is_at_head(), "{}", bed.told());
    }

    #[test]
    fn two_histories_are_diverged_and_a_table_of_push_is_none() {
        let bed = bed();
        bed.sql("create table made_by_db_push (a int)");
        assert_eq!(bed.read().standing, Tracking::Untracked);
        insta::assert_snapshot!(bed.told());
        bed.sql(TABLE);
        row(&bed, "1", "20240101_a", &sum(), "now()", "null");
        row(&bed, "2", "20240103_x", "1", "now()", "null");
        row(&bed, "3", "20240104_y", "2", "now()", "null");
        assert_eq!(
            kinds(&bed.read()),
            [
                "diverged 20240103_x",
                "diverged 20240104_y",
                "pending 20240102_b"
            ]
        );
    }
}

mod rails {
    use super::*;

    fn bed() -> Bed {
        let bed = Bed::new(json!({ "rails": {} }));
        let text = "class CreateItems < ActiveRecord::Migration[7.1]\n  def change\n    create_table :items\n  end\nend\n";
        bed.write("db/migrate/20240101000000_create_items.rb", text);
        let text = "class Drop < ActiveRecord::Migration[7.1]\n  disable_ddl_transaction!\n  def up; end\n  def down\n    raise ActiveRecord::IrreversibleMigration\n  end\nend\n";
        bed.write("db/migrate/20240102000000_drop.shop.rb", text);
        bed
    }

    #[test]
    fn versions_are_compared_and_the_way_back_is_read() {
        let bed = bed();
        let reading = bed.read();
        assert_eq!(reading.standing, Tracking::Empty);
        let undo: Vec<Undo> = reading.files.iter().map(|file| file.undo).collect();
        assert_eq!(undo, [Undo::Present, Undo::Absent]);
        assert!(reading.files[1].without_transaction);
        bed.sql("create table ar_internal_metadata (key varchar, value varchar)");
        assert_eq!(bed.read().standing, Tracking::Empty);
        bed.sql("create table schema_migrations (version varchar not null primary key); insert into schema_migrations values ('20240101000000')");
        assert_eq!(kinds(&bed.read()), ["pending 20240102000000"]);
        bed.sql("insert into schema_migrations values ('20240102000000')");
        assert!(bed.read().is_at_head());
        let refused = bed.tool().undo(&bed.read(), None);
        assert_eq!(
            refused,
            Err(UndoError::Irreversible("20240102000000".to_owned()))
        );
        bed.sql("insert into schema_migrations values ('20240103000000')");
        assert_eq!(kinds(&bed.read()), ["ahead 20240103000000"]);
        insta::assert_snapshot!(bed.told());
    }
}

mod golang_migrate {
    use super::*;

    fn with(bed: Bed) -> Bed {
        for name in ["000001_a", "000002_b"] {
            bed.write(&format!("m/{name}.up.sql"), "create table x (a int);\n");
        }
        bed.write("m/000001_a.down.sql", "drop table x;\n");
        bed
    }

    fn section() -> serde_json::Value {
        json!({ "golang-migrate": { "folder": "m" } })
    }

    fn version(bed: &Bed, version: i64, dirty: bool) {
        bed.sql(&format!("delete from schema_migrations; insert into schema_migrations values ({version}, {dirty})"));
    }

    #[test]
    fn a_dirty_version_is_told_although_the_tool_ends_with_0() {
        for bed in [with(Bed::new(section())), with(Bed::mariadb(section()))] {
            assert_eq!(bed.read().standing, Tracking::Empty);
            bed.sql("create table schema_migrations (version bigint not null primary key, dirty boolean not null)");
            version(&bed, 1, false);
            assert_eq!(kinds(&bed.read()), ["pending 2"]);
            version(&bed, 2, true);
            assert_eq!(kinds(&bed.read()), ["failed 2"]);
            insta::assert_snapshot!("dirty", bed.told());
            version(&bed, 2, false);
            let reading = bed.read();
            assert!(reading.is_at_head());
            assert_eq!(
                bed.tool().undo(&reading, None),
                Err(UndoError::Irreversible("2".to_owned()))
            );
            version(&bed, 3, false);
            assert_eq!(kinds(&bed.read()), ["ahead 3"]);
            version(&bed, -1, true);
            assert_eq!(kinds(&bed.read()).last().unwrap(), "failed");
        }
    }
}

mod command {
    use super::*;

    fn section(more: serde_json::Value) -> serde_json::Value {
        let mut tool = json!({
            "apply": "psql -q \"$DATABASE_URL\" -f apply.sql",
            "current": "select version, name from versions order by version",
        });
        tool.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({ "command": tool })
    }

    #[test]
    fn files_and_a_query_tell_everything() {
        let bed = Bed::new(section(
            json!({ "folder": "m", "undo": "echo \"$REVISION\"" }),
        ));
        bed.write("m/1_a.sql", "");
        bed.write("m/2_b.sql", "");
        let error = bed.try_read_as("app").unwrap_err();
        assert!(matches!(error, Error::Query { .. }), "{error}");
        insta::assert_snapshot!(error.to_string());
        bed.sql("create table versions (version int, name text)");
        assert_eq!(bed.read().pending, ["1", "2"]);
        bed.write(
            "apply.sql",
            "insert into versions values (1, null), (2, null)",
        );
        bed.must(&bed.tool().apply(&bed.read()));
        let reading = bed.read();
        assert!(reading.is_at_head(), "{}", bed.told());
        assert_eq!(
            bed.must(&bed.tool().undo(&reading, None).unwrap()[0]),
            "1\n"
        );
        bed.sql("insert into versions values (3, 'more')");
        assert_eq!(kinds(&bed.read()), ["ahead 3"]);
    }

    #[test]
    fn a_command_tells_what_is_pending() {
        let bed = Bed::new(section(json!({ "pending": "printf '3\\n4\\n'" })));
        bed.sql(
            "create table versions (version int, name text); insert into versions values (2, 'b')",
        );
        assert_eq!(kinds(&bed.read()), ["pending 3", "pending 4"]);
        assert_eq!(
            bed.tool().undo(&bed.read(), None),
            Err(UndoError::Unconfigured)
        );
        insta::assert_snapshot!(bed.told());
    }
}
