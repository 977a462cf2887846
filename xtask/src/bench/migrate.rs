//! How long others wait for a change of a table that a session reads: 20 clients that ask for a row of it all
//! the time, while one session has read it and stays. The tools as they are, beside the same tools through us.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Figure, failed, milliseconds};
use crate::command::{Failure, program, run, succeeds, target};

/// How long the reader stays by default, in seconds.
pub(super) const SECONDS: u64 = 30;
const PORT: u16 = 18_094;
const CLIENTS: &str = "20";
/// Questions a second, of all clients together: a wait counts for everyone who comes while it lasts.
const RATE: &str = "400";
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
/// After the reader has ended, for the change itself.
const AFTER: u64 = 12;

struct Tool {
    what: &'static str,
    /// The key under `migrate:`.
    key: &'static str,
    /// From the test bed.
    program: &'static str,
    /// Behind the program.
    words: &'static str,
    /// What makes the tool do its work alone.
    apply: &'static str,
    files: &'static [(&'static str, &'static str)],
}

const TOOLS: [Tool; 4] = [
    Tool {
        what: "alembic, others wait (99th of 100)",
        key: "alembic",
        program: "venv/bin/alembic",
        words: "",
        apply: "upgrade head",
        files: &[
            (
                "alembic.ini",
                "[alembic]\nscript_location = %(here)s/alembic\n",
            ),
            (
                "alembic/env.py",
                "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine, pool\n\
                 url = os.environ['DATABASE_URL'].replace('postgresql://', 'postgresql+psycopg2://')\n\
                 with create_engine(url, poolclass=pool.NullPool).connect() as connection:\n    \
                 context.configure(connection=connection)\n    \
                 with context.begin_transaction():\n        context.run_migrations()\n",
            ),
            (
                "alembic/versions/x.py",
                "from alembic import op\nrevision = 'x'\ndown_revision = None\n\
                 def upgrade():\n    op.execute('ALTER TABLE orders ADD COLUMN x int')\n",
            ),
        ],
    },
    Tool {
        what: "Django, others wait (99th of 100)",
        key: "django",
        program: "venv/bin/python",
        words: "manage.py",
        apply: "migrate --noinput",
        files: &[
            (
                "manage.py",
                "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n\
                 from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
            ),
            (
                "settings.py",
                "import os\nfrom urllib.parse import urlparse\nurl = urlparse(os.environ['DATABASE_URL'])\n\
                 SECRET_KEY = 'x'\nINSTALLED_APPS = ['shop']\nDATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql',\n    \
                 'NAME': url.path[1:], 'USER': url.username, 'HOST': url.hostname, 'PORT': url.port}}\n",
            ),
            ("shop/__init__.py", ""),
            ("shop/migrations/__init__.py", ""),
            (
                "shop/migrations/0001_x.py",
                "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = []\n    \
                 operations = [migrations.RunSQL('ALTER TABLE orders ADD COLUMN x int')]\n",
            ),
        ],
    },
    Tool {
        what: "dbmate, others wait (99th of 100)",
        key: "dbmate",
        program: "venv/bin/dbmate",
        words: "",
        apply: "migrate",
        files: &[(
            "db/migrations/1_x.sql",
            "-- migrate:up\nALTER TABLE orders ADD COLUMN x int;\n-- migrate:down\n",
        )],
    },
    Tool {
        what: "knex, others wait (99th of 100)",
        key: "knex",
        program: "node_modules/.bin/knex",
        words: "",
        apply: "migrate:latest",
        files: &[
            (
                "knexfile.js",
                "module.exports = { client: 'pg', connection: process.env.DATABASE_URL };\n",
            ),
            (
                "migrations/1_x.js",
                "exports.up = (knex) => knex.raw('ALTER TABLE orders ADD COLUMN x int');\nexports.down = () => {};\n",
            ),
        ],
    },
];

pub(super) fn figures(migrate: &Path, seconds: u64) -> Result<Vec<Figure>, Failure> {
    let migrate = fs::canonicalize(migrate).map_err(failed)?;
    let _server = Server::start()?;
    let mut figures = Vec::new();
    for tool in &TOOLS {
        let ours = measure(tool, Some(&migrate), seconds)?;
        let theirs = measure(tool, None, seconds)?;
        figures.push(Figure {
            what: tool.what,
            ours: milliseconds(ours),
            peer: format!("alone {}", milliseconds(theirs)),
            ratio: Some(ours.as_secs_f64() / theirs.as_secs_f64()),
        });
    }
    Ok(figures)
}

/// The 99th percentile of what the clients wait while the reader stays and the table is changed.
fn measure(tool: &Tool, migrate: Option<&Path>, seconds: u64) -> Result<Duration, Failure> {
    let project = Project::new(tool)?;
    Server::sql("postgres", "DROP DATABASE IF EXISTS shop WITH (FORCE)")?;
    Server::sql("postgres", "CREATE DATABASE shop")?;
    Server::sql(
        "shop",
        "CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)",
    )?;
    let reading = format!("BEGIN; SELECT FROM orders; SELECT pg_sleep({seconds}); COMMIT");
    let mut reader = quiet(Server::client("psql", "shop").args(["-c", &reading]))?;
    let mut clients = quiet(
        Server::client("pgbench", "shop")
            .args(["-n", "-c", CLIENTS, "-R", RATE, "-l", "--log-prefix=waits"])
            .args(["-T", &(seconds + AFTER).to_string(), "-f"])
            .arg(project.path("read.sql"))
            .current_dir(project.path("log")),
    )?;
    thread::sleep(Duration::from_secs(1));
    let mut changing = project.changing(tool, migrate);
    let changed = succeeds(&mut changing);
    let ended = reader.wait().and_then(|_| clients.wait());
    let clients = ended.map_err(failed)?;
    let asked = Server::ask(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'x'",
    )?;
    if !changed || !clients.success() || asked != "1" {
        let told = format!("{} did not change the table", tool.key);
        return Err(Failure::new(told));
    }
    percentile(&project.path("log"))
}

/// Of pgbench's log: the third word of a line is the time since it was due, in microseconds.
fn percentile(folder: &Path) -> Result<Duration, Failure> {
    let mut waits: Vec<u64> = Vec::new();
    for file in fs::read_dir(folder).map_err(failed)?.flatten() {
        let text = fs::read_to_string(file.path()).map_err(failed)?;
        let third = |line: &str| line.split(' ').nth(2)?.parse::<u64>().ok();
        waits.extend(text.lines().filter_map(third));
    }
    waits.sort_unstable();
    let at = (waits.len() * 99).div_ceil(100);
    let wait = at.checked_sub(1).and_then(|at| waits.get(at));
    let wait = wait.ok_or_else(|| Failure::new("the clients asked nothing"))?;
    Ok(Duration::from_micros(*wait))
}

fn quiet(command: &mut Command) -> Result<Child, Failure> {
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    silent.spawn().map_err(failed)
}

/// A project of a tool, with one migration that is not applied.
struct Project(tempfile::TempDir);

impl Project {
    fn new(tool: &Tool) -> Result<Project, Failure> {
        let project = Project(tempfile::tempdir().map_err(failed)?);
        let modules = testbed().join("node_modules");
        std::os::unix::fs::symlink(modules, project.path("node_modules")).map_err(failed)?;
        fs::create_dir(project.path("log")).map_err(failed)?;
        let lock = LOCK_TIMEOUT.as_millis();
        let config = format!(
            "version: 1\nmigrate:\n  {}: {{ command: \"{}\" }}\n  lock-timeout: {lock}ms\n  deadline: 5m\n  \
             backup: {{ required: false }}\n",
            tool.key,
            call(tool)
        );
        project.write("deploy-guard.yml", &config)?;
        project.write("read.sql", "SELECT id FROM orders LIMIT 1;\n")?;
        for (name, text) in tool.files {
            project.write(name, text)?;
        }
        Ok(project)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(self.0.path());
        fs::create_dir_all(folder).map_err(failed)?;
        fs::write(path, text).map_err(failed)
    }

    /// What changes the table: we, or the tool alone.
    fn changing(&self, tool: &Tool, migrate: Option<&Path>) -> Command {
        let mut command = if let Some(migrate) = migrate {
            let mut command = program(migrate);
            command.args(["run", "--release", "v2", "-q"]);
            command
        } else {
            let mut command = program("sh");
            command.args(["-c", &format!("{} {}", call(tool), tool.apply)]);
            command
        };
        let url = format!("postgresql://postgres@127.0.0.1:{PORT}/shop?sslmode=disable");
        command.env("DATABASE_URL", url).current_dir(self.0.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

fn testbed() -> PathBuf {
    target().join("testbed")
}

fn call(tool: &Tool) -> String {
    let program = testbed().join(tool.program);
    format!("{} {}", program.display(), tool.words)
        .trim()
        .to_owned()
}

/// PostgreSQL on a port of this machine, with its data in a folder of its own.
struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Result<Server, Failure> {
        let server = Server {
            folder: tempfile::tempdir().map_err(failed)?,
        };
        // It does not run as root.
        let own = program("chown")
            .arg("postgres")
            .arg(server.folder.path())
            .status();
        own.map_err(failed)?;
        let data = server.folder.path().join("data");
        let mut make = server.program("initdb");
        make.args(["--auth=trust", "--username=postgres", "--no-sync", "-D"]);
        run(make.arg(&data).stdout(Stdio::null()))?;
        let options = format!(
            "-c fsync=off -p {PORT} -k {} -c listen_addresses=127.0.0.1",
            server.folder.path().display()
        );
        let mut start = server.program("pg_ctl");
        start
            .args(["-w", "-D"])
            .arg(&data)
            .args(["-l", "/dev/null", "-o", &options, "start"]);
        run(start.stdout(Stdio::null()))?;
        Ok(server)
    }

    /// Debian keeps the server's programs by version.
    fn program(&self, name: &str) -> Command {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
        let programs =
            versions.filter_map(|version| Some(version.ok()?.path().join("bin").join(name)));
        let path = programs.filter(|path| path.is_file()).max();
        let mut command = program("runuser");
        command
            .args(["-u", "postgres", "--"])
            .arg(path.unwrap_or_else(|| name.into()));
        command.current_dir(self.folder.path());
        command
    }

    fn client(name: &str, database: &str) -> Command {
        let mut command = program(name);
        let port = PORT.to_string();
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "postgres",
            "-d",
            database,
        ]);
        command
    }

    fn sql(database: &str, statements: &str) -> Result<(), Failure> {
        let mut psql = Server::client("psql", database);
        run(psql.args(["-q", "-c", statements]).stderr(Stdio::null()))
    }

    fn ask(sql: &str) -> Result<String, Failure> {
        let asked = Server::client("psql", "shop")
            .args(["-At", "-c", sql])
            .output();
        let printed = asked.map_err(failed)?.stdout;
        Ok(String::from_utf8_lossy(&printed).trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.arg("-D").arg(self.folder.path().join("data"));
        let _ = stop
            .args(["-m", "immediate", "stop"])
            .stdout(Stdio::null())
            .status();
    }
}
