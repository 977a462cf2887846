//! Projects of the tools themselves, unmodified, as teams have them.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::bed::Bed;

/// A migration tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Alembic,
    Django,
    Dbmate,
    Knex,
    Sqitch,
}

/// The four that a table with a reader is changed by.
pub(crate) const FOUR: [Kind; 4] = [Kind::Alembic, Kind::Django, Kind::Dbmate, Kind::Knex];

const ALEMBIC_ENV: &str = r#"
import os
from alembic import context
from sqlalchemy import create_engine, pool

url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://")
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"#;

const DJANGO_SETTINGS: &str = r#"
import os
from urllib.parse import urlparse
url = urlparse(os.environ["DATABASE_URL"])
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql",
    "NAME": url.path[1:], "USER": url.username, "PASSWORD": url.password, "HOST": url.hostname, "PORT": url.port,
}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"#;

const DJANGO_MANAGE: &str = r#"
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"#;

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Alembic => "alembic",
            Kind::Django => "django",
            Kind::Dbmate => "dbmate",
            Kind::Knex => "knex",
            Kind::Sqitch => "sqitch",
        }
    }

    /// Its key under `migrate:` and how it is called; that of the bed's own tool is taken out.
    fn section(self) -> Value {
        let call = match self {
            Kind::Django => format!("{} manage.py", testkit::tool("python").display()),
            other => testkit::tool(other.name()).display().to_string(),
        };
        let mut section = json!({ "dbmate": null });
        section[self.name()] = json!({ "command": call });
        section
    }

    /// A project without migrations in the bed, with further keys under `migrate:`.
    pub(crate) fn set_up(self, bed: &Bed, further: Value) {
        self.configure(bed, further);
        match self {
            Kind::Alembic => {
                let ini = "[alembic]\nscript_location = %(here)s/alembic\n";
                bed.write("alembic.ini", ini);
                bed.write("alembic/env.py", ALEMBIC_ENV);
                std::fs::create_dir_all(bed.path().join("alembic/versions")).unwrap();
            }
            Kind::Django => {
                bed.write("manage.py", DJANGO_MANAGE);
                bed.write("settings.py", DJANGO_SETTINGS);
                bed.write("shop/__init__.py", "");
                bed.write("shop/migrations/__init__.py", "");
            }
            Kind::Dbmate => {}
            Kind::Knex => {
                let modules = testkit::testbed().join("node_modules");
                symlink(modules, bed.path().join("node_modules")).unwrap();
                bed.write(
                    "knexfile.js",
                    "module.exports = { client: 'pg', connection: process.env.DATABASE_URL };\n",
                );
                std::fs::create_dir_all(bed.path().join("migrations")).unwrap();
            }
            Kind::Sqitch => {
                bed.write(
                    "sqitch.conf",
                    "[core]\n\tengine = pg\n[user]\n\tname = Ann\n\temail = ann@example.com\n",
                );
                bed.write("sqitch.plan", "%syntax-version=1.0.0\n%project=shop\n\n");
            }
        }
    }

    pub(crate) fn configure(self, bed: &Bed, further: Value) {
        self.configure_all(bed, further, json!({}));
    }

    /// The same, with other sections.
    pub(crate) fn configure_all(self, bed: &Bed, further: Value, sections: Value) {
        let mut section = self.section();
        crate::bed::merge(&mut section, further);
        bed.configure_all(section, sections);
    }

    /// The migration with this number, of one statement or several, as the tool's users write it.
    pub(crate) fn migration(self, bed: &Bed, nth: u32, up: &str, down: &str) {
        let before = nth - 1;
        match self {
            Kind::Alembic => {
                let below = if nth == 1 {
                    "None".to_owned()
                } else {
                    format!("'r{before:04}'")
                };
                let text = format!(
                    "from alembic import op\nrevision = 'r{nth:04}'\ndown_revision = {below}\n\n\
                     def upgrade():\n    op.execute(\"\"\"{up}\"\"\")\n\ndef downgrade():\n    op.execute(\"\"\"{down}\"\"\")\n"
                );
                bed.write(&format!("alembic/versions/r{nth:04}.py"), &text);
            }
            Kind::Django => {
                let needs = if nth == 1 {
                    String::new()
                } else {
                    format!("('shop', '{before:04}_m')")
                };
                let text = format!(
                    "from django.db import migrations\n\nclass Migration(migrations.Migration):\n    dependencies = [{needs}]\n    \
                     operations = [migrations.RunSQL(\"\"\"{up}\"\"\", \"\"\"{down}\"\"\")]\n"
                );
                bed.write(&format!("shop/migrations/{nth:04}_m.py"), &text);
            }
            Kind::Dbmate => bed.migration(&format!("{nth:04}_m.sql"), up, down),
            Kind::Knex => {
                let text = format!(
                    "exports.up = (knex) => knex.raw(`{up}`);\nexports.down = (knex) => knex.raw(`{down}`);\n"
                );
                bed.write(&format!("migrations/{nth:04}_m.js"), &text);
            }
            Kind::Sqitch => {
                let ran = std::process::Command::new(testkit::tool("sqitch"))
                    .args(["add", &format!("m{nth:04}"), "-n", "a note"])
                    .current_dir(bed.path())
                    .output()
                    .unwrap();
                assert!(ran.status.success(), "{ran:?}");
                for (kind, sql) in [("deploy", up), ("revert", down)] {
                    bed.write(
                        &format!("{kind}/m{nth:04}.sql"),
                        &format!("BEGIN;\n{sql}\nCOMMIT;\n"),
                    );
                }
                bed.write(&format!("verify/m{nth:04}.sql"), "SELECT 1;\n");
            }
        }
    }
}
