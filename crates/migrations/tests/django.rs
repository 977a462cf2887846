//! Django itself.

use std::time::Duration;

use migrations::{Pending, Settings, Tracking, Undo, UndoError};
use serde_json::json;

use crate::bed::{Bed, kinds};

const SETTINGS: &str = r#"
import os
from urllib.parse import urlparse
url = urlparse(os.environ["DATABASE_URL"])
SECRET_KEY = "x"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop", "users.apps.Users"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql" if url.scheme == "postgres" else "django.db.backends.mysql",
    "NAME": url.path[1:], "USER": url.username, "HOST": url.hostname, "PORT": url.port,
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if url.scheme == "mysql":
    import pymysql
    pymysql.version_info = (2, 2, 1, "final", 0)
    pymysql.install_as_MySQLdb()
"#;

const MANAGE: &str = r#"
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"#;

/// A migration that makes a table, behind others.
fn migration(name: &str, dependencies: &str, more: &str) -> String {
    format!(
        "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n\n    \
         dependencies = [{dependencies}]\n    {more}\n    operations = [\n        \
         migrations.CreateModel(name='{name}', fields=[('id', models.BigAutoField(primary_key=True))]),\n    ]\n"
    )
}

fn with_files(bed: Bed) -> Bed {
    bed.write("manage.py", MANAGE);
    bed.write("settings.py", SETTINGS);
    for app in ["shop", "users"] {
        bed.write(&format!("{app}/__init__.py"), "");
        bed.write(&format!("{app}/migrations/__init__.py"), "");
    }
    bed.write(
        "users/apps.py",
        "from django.apps import AppConfig\n\nclass Users(AppConfig):\n    name = 'users'\n    label = 'accounts'\n",
    );
    bed.write(
        "users/migrations/0001_initial.py",
        &migration("person", "", ""),
    );
    bed.write(
        "shop/migrations/0001_initial.py",
        &migration("item", "('accounts', '0001_initial')", "initial = True"),
    );
    bed.write(
        "shop/migrations/0002_price.py",
        &migration("price", "(\"shop\", \"0001_initial\"),", ""),
    );
    bed
}

fn bed() -> Bed {
    with_files(Bed::new(json!({ "django": {} })))
}

fn migrate(bed: &Bed, words: &[&str]) {
    let mut all = vec!["manage.py", "migrate", "--noinput"];
    all.extend(words);
    bed.run("python", &all);
}

#[test]
fn pending_migrations_are_applied_printed_and_undone() {
    let bed = bed();
    let reading = bed.read();
    assert_eq!(reading.standing, Tracking::Empty);
    assert_eq!(
        reading.pending,
        [
            "accounts.0001_initial",
            "shop.0001_initial",
            "shop.0002_price"
        ]
    );
    let settings = Settings {
        lock_timeout: Some(Duration::from_millis(700)),
        ..Settings::default()
    };
    let seen = "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    dependencies = [('shop', '0002_price')]\n    operations = [migrations.RunSQL(\"create table seen as select current_setting('lock_timeout')\")]\n";
    bed.write("shop/migrations/0003_seen.py", seen);
    let tool = bed.tool();
    let ran = bed.make(&tool.apply(&bed.read()), &settings);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(bed.sql("select * from seen"), "700ms\n");
    let done = bed.read();
    assert!(done.is_at_head(), "{}", bed.told());
    assert_eq!(
        done.revision().as_deref(),
        Some("accounts.0001_initial,contenttypes.0002_remove_content_type_name,shop.0003_seen")
    );
    assert_eq!(done.file("shop.0003_seen").unwrap().undo, Undo::Absent);
    assert_eq!(
        tool.undo(&done, None),
        Err(UndoError::Irreversible("shop.0003_seen".to_owned()))
    );
    let first =
        "accounts.0001_initial,contenttypes.0002_remove_content_type_name,shop.0001_initial";
    for to in ["", first] {
        let refused = Err(UndoError::Irreversible("shop.0003_seen".to_owned()));
        assert_eq!(tool.undo(&done, Some(to)), refused, "{to}");
    }
    bed.write(
        "shop/migrations/0003_seen.py",
        &seen.replace("')\")", "')\", 'drop table seen')"),
    );
    let last = tool.undo(&bed.read(), None).unwrap();
    bed.must(&last[0]);
    assert_eq!(kinds(&bed.read()), ["pending shop.0003_seen"]);
    let Pending::Commands(commands) = tool.pending_sql(&bed.read()) else {
        panic!("Django prints SQL");
    };
    assert!(bed.must(&commands[0].1).contains("create table seen"));
    let before =
        "accounts.0001_initial,contenttypes.0002_remove_content_type_name,shop.0001_initial";
    for command in tool.undo(&bed.read(), Some(before)).unwrap() {
        bed.must(&command);
    }
    assert_eq!(bed.read().revision().as_deref(), Some(before));
}

#[test]
fn an_unapplied_migration_is_pending_and_packages_are_told_as_not_seen() {
    let bed = bed();
    migrate(&bed, &["shop", "0001"]);
    migrate(&bed, &["contenttypes"]);
    assert!(
        !bed.try_run("python", &["manage.py", "migrate", "--check"])
            .status
            .success()
    );
    assert_eq!(kinds(&bed.read()), ["pending shop.0002_price"]);
    insta::assert_snapshot!(bed.told());
}

#[test]
fn an_inconsistent_history_is_told_before_django_refuses() {
    let bed = bed();
    migrate(&bed, &[]);
    bed.sql("delete from django_migrations where app = 'shop' and name = '0001_initial'");
    assert!(
        !bed.try_run("python", &["manage.py", "migrate"])
            .status
            .success()
    );
    assert_eq!(
        kinds(&bed.read()),
        ["pending shop.0001_initial", "inconsistent shop.0002_price"]
    );
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_squashed_migration_counts_as_applied_when_all_that_it_replaces_is() {
    let bed = bed();
    migrate(&bed, &[]);
    let replaces = "replaces = [('shop', '0001_initial'), ('shop', '0002_price')]";
    let squashed = migration("item", "('accounts', '0001_initial')", replaces);
    bed.write("shop/migrations/0001_squashed.py", &squashed);
    bed.write(
        "shop/migrations/0003_more.py",
        &migration("more", "('shop', '0002_price')", ""),
    );
    assert_eq!(kinds(&bed.read()), ["pending shop.0003_more"]);
    let plan = bed.run("python", &["manage.py", "migrate", "--plan"]);
    assert!(
        plan.contains("0003_more") && !plan.contains("squashed"),
        "{plan}"
    );
    migrate(&bed, &[]);
    assert!(bed.read().is_at_head(), "{}", bed.told());
    // The old files may go then.
    bed.remove("shop/migrations/0001_initial.py");
    bed.remove("shop/migrations/0002_price.py");
    bed.write(
        "shop/migrations/0003_more.py",
        &migration("more", "('shop', '0001_squashed')", ""),
    );
    assert!(bed.read().is_at_head(), "{}", bed.told());
}

#[test]
fn a_squashed_migration_is_the_only_one_of_a_new_database_and_none_of_a_half_migrated_one() {
    let bed = bed();
    let replaces = "replaces = [('shop', '0001_initial'), ('shop', '0002_price')]";
    let squashed = migration("item", "('accounts', '0001_initial')", replaces);
    bed.write("shop/migrations/0001_squashed.py", &squashed);
    assert_eq!(
        bed.read().pending,
        ["accounts.0001_initial", "shop.0001_squashed"]
    );
    bed.remove("shop/migrations/0001_squashed.py");
    migrate(&bed, &["shop", "0001"]);
    migrate(&bed, &["contenttypes"]);
    bed.write("shop/migrations/0001_squashed.py", &squashed);
    assert_eq!(bed.read().pending, ["shop.0002_price"]);
    let plan = bed.run("python", &["manage.py", "migrate", "--plan"]);
    assert!(
        plan.contains("0002_price") && !plan.contains("squashed"),
        "{plan}"
    );
    bed.remove("shop/migrations/0002_price.py");
    // Django finds nothing to do, although half of what it replaces was never applied.
    let plan = bed.run("python", &["manage.py", "migrate", "--plan"]);
    assert!(plan.contains("No planned migration operations"), "{plan}");
    assert_eq!(bed.read().findings[0].kind.as_str(), "broken");
    insta::assert_snapshot!(bed.told());
}

#[test]
fn two_leaves_of_an_app_are_several_heads() {
    let bed = bed();
    migrate(&bed, &[]);
    bed.write(
        "shop/migrations/0003_a.py",
        &migration("a", "('shop', '0002_price')", ""),
    );
    bed.write(
        "shop/migrations/0003_b.py",
        &migration("b", "('shop', '0002_price')", ""),
    );
    assert!(
        !bed.try_run("python", &["manage.py", "migrate"])
            .status
            .success()
    );
    assert_eq!(
        kinds(&bed.read()),
        [
            "several-heads",
            "pending shop.0003_a",
            "pending shop.0003_b"
        ]
    );
    insta::assert_snapshot!(bed.told());
}

#[test]
fn a_row_without_a_file_is_ahead_or_unknown_or_of_another_history() {
    let bed = bed();
    migrate(&bed, &[]);
    let insert = "insert into django_migrations (app, name, applied) values ";
    bed.sql(&format!("{insert} ('shop', '0003_newer', now())"));
    assert!(
        bed.try_run("python", &["manage.py", "migrate", "--check"])
            .status
            .success()
    );
    assert_eq!(kinds(&bed.read()), ["ahead shop.0003_newer"]);
    bed.sql(&format!("{insert} ('shop', '0001_gone', now())"));
    assert_eq!(
        kinds(&bed.read()),
        ["ahead shop.0003_newer", "unknown shop.0001_gone"]
    );
    bed.write(
        "shop/migrations/0003_ours.py",
        &migration("ours", "('shop', '0002_price')", ""),
    );
    assert_eq!(kinds(&bed.read())[0], "diverged shop.0003_newer");
    insta::assert_snapshot!(bed.told());
}

#[test]
fn mariadb_is_read_in_the_same_way() {
    let bed = with_files(Bed::mariadb(json!({ "django": {} })));
    migrate(&bed, &["shop", "0001"]);
    migrate(&bed, &["contenttypes"]);
    assert_eq!(kinds(&bed.read()), ["pending shop.0002_price"]);
}
