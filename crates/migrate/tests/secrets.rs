//! Where the database's password is while a subcommand runs, and where it is not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::MariaDb;

use crate::bed::{Bed, PASSWORD};
use crate::projects::Kind;

/// What the environment of the user's own commands has beside the URL: the tool gets the first, `rehearse.smoke`
/// the second.
const OF_USER: [&str; 2] = ["DEPLOY_GUARD_MIGRATE=", "RELEASE="];

/// The release before, which gets the URL by its environment.
const SMOKE: &str = "import os, psycopg2; psycopg2.connect(os.environ['DATABASE_URL']).cursor().execute('SELECT id FROM orders')";

/// Looks at the arguments and the environments of all processes. `Err` where the password is in one, other
/// than in the environment of ours, which a person gave it, and of the user's own commands.
fn look(program: &Path, password: &str) -> Result<(), String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for id in ids {
        let home = PathBuf::from(format!("/proc/{id}"));
        let read = |name: &str| {
            let bytes = std::fs::read(home.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        // Also of one that is about to become another program: what it is first is asked first.
        let is_ours = std::fs::read_link(home.join("exe")).is_ok_and(|path| path == program);
        let arguments = read("cmdline");
        if arguments.contains(password) {
            return Err(format!("an argument: {arguments}"));
        }
        let environment = read("environ");
        let is_of_user = OF_USER.iter().any(|name| environment.contains(name));
        if environment.contains(password) && !is_ours && !is_of_user {
            return Err(format!("the environment of {id}: {arguments}"));
        }
    }
    Ok(())
}

/// Every file below a folder that has the password.
fn files_with_it(folder: &Path, password: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            files_with_it(&path, password, found);
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(password) {
            found.push(path.display().to_string());
        }
    }
}

/// A project and the URL of its database, with a password that nothing else has.
struct Canary<'p> {
    what: String,
    folder: &'p Path,
    url: String,
    password: String,
}

impl Canary<'_> {
    /// The password of another one, because tests run beside each other.
    fn password(what: &str) -> String {
        format!("canary-{what}-{}", std::process::id())
    }

    fn start(&self, words: &[&str], url: &str) -> std::process::Child {
        let name = words[0];
        let at = |kind: &str| self.folder.join(format!("said/{name}.{kind}"));
        std::fs::create_dir_all(self.folder.join("said")).unwrap();
        std::fs::create_dir_all(self.folder.join("tmp")).unwrap();
        // What a person would have in the environment, and no variable of another test.
        let mut run = Command::new(testkit::bin_path("migrate"));
        run.current_dir(self.folder)
            .env("DATABASE_URL", url)
            .env("TMPDIR", self.folder.join("tmp"))
            .env("GITHUB_STEP_SUMMARY", at("summary"))
            .env("GITHUB_OUTPUT", at("output"))
            .env_remove("RELEASE")
            .args(words)
            .arg("-vv")
            .arg("--report")
            .arg(at("json"))
            .arg("--html")
            .arg(at("html"))
            .stdout(File::create(at("stdout")).unwrap())
            .stderr(File::create(at("stderr")).unwrap());
        run.spawn().unwrap()
    }

    /// Runs a subcommand while all processes are looked at; then no file has the password.
    fn runs(&self, words: &[&str], code: i32) -> String {
        self.runs_with(words, &self.url, code)
    }

    fn runs_with(&self, words: &[&str], url: &str, code: i32) -> String {
        let (ended, said) = self.watched(words, url);
        assert_eq!(ended, Some(code), "{}, {words:?}: {said}", self.what);
        said
    }

    /// How it ended and what it said.
    fn watched(&self, words: &[&str], url: &str) -> (Option<i32>, String) {
        let what = format!("{}, {words:?}", self.what);
        let program = std::fs::canonicalize(testkit::bin_path("migrate")).unwrap();
        let mut run = self.start(words, url);
        let (mut looks, since) = (0, Instant::now());
        let status = loop {
            look(&program, &self.password).unwrap_or_else(|found| panic!("{what}: {found}"));
            looks += 1;
            if let Some(status) = run.try_wait().unwrap() {
                break status;
            }
            assert!(since.elapsed() < Duration::from_secs(120), "{what}");
        };
        let read = |kind: &str| {
            let path = self.folder.join(format!("said/{}.{kind}", words[0]));
            std::fs::read_to_string(path).unwrap()
        };
        let said = read("stdout") + &read("stderr");
        for kind in ["json", "html", "summary", "stdout"] {
            assert!(!read(kind).is_empty(), "{what}: {kind}");
        }
        eprintln!("{what}: {looks} looks");
        let mut found = Vec::new();
        files_with_it(self.folder, &self.password, &mut found);
        assert!(found.is_empty(), "{what}: {found:?}");
        (status.code(), said)
    }

    /// Each subcommand, with migrations of one's own; `plan` and `lint` end with `sql`: 3 where the tool prints none.
    fn every_subcommand(&self, sql: i32, migration: &dyn Fn(u32, &str, &str)) {
        migration(1, "CREATE TABLE orders (id int);", "DROP TABLE orders;");
        self.runs(&["status"], 1);
        self.runs(&["plan"], sql);
        self.runs(&["run", "--release", "v1"], 0);
        migration(
            2,
            "ALTER TABLE orders ADD COLUMN note int;",
            "ALTER TABLE orders DROP COLUMN note;",
        );
        self.runs(&["lint"], sql);
        self.runs(&["backup"], 0);
        self.runs(&["rehearse"], 0);
        self.runs(&["run", "--release", "v2"], 0);
        self.runs(&["undo"], 0);
        self.runs(&["repair"], 0);
        self.runs(&["resume"], 0);
        migration(3, "ALTER TABLE nowhere ADD COLUMN x int;", "SELECT 1;");
        let said = self.runs(&["run", "--release", "v3"], 1);
        assert!(said.contains("nowhere"), "{}: {said}", self.what);
        self.runs(&["decide"], 1);
        let wrong = self
            .url
            .replace(&self.password, &format!("{}-not", self.password));
        self.runs_with(&["status"], &wrong, 4);
    }
}

fn nowhere(kind: Kind, sql: i32) {
    let bed = Bed::new();
    let password = Canary::password(kind.name());
    bed.postgres
        .sql(&format!("ALTER ROLE app CREATEDB PASSWORD '{password}'"));
    let section = json!({
        "deadline": "60s",
        "backup": {"required": true},
        "rehearse": {"smoke": format!("{} -c \"{SMOKE}\"", testkit::tool("python").display())},
    });
    kind.set_up(&bed, section);
    let canary = Canary {
        what: format!("{kind:?}"),
        folder: bed.path(),
        url: bed.url().replace(PASSWORD, &password),
        password,
    };
    canary.every_subcommand(sql, &|nth, up, down| kind.migration(&bed, nth, up, down));
    canary.runs(&["restore", "--backup", "latest", "--confirm", "shop"], 0);
}

#[test]
fn the_password_for_alembic_is_nowhere_else() {
    nowhere(Kind::Alembic, 0);
}

#[test]
fn the_password_for_django_is_nowhere_else() {
    nowhere(Kind::Django, 0);
}

#[test]
fn the_password_for_dbmate_is_nowhere_else() {
    nowhere(Kind::Dbmate, 0);
}

#[test]
fn the_password_for_knex_is_nowhere_else() {
    nowhere(Kind::Knex, 3);
}

#[test]
fn the_password_for_sqitch_is_nowhere_else() {
    nowhere(Kind::Sqitch, 0);
}

#[test]
fn the_password_for_mariadb_is_nowhere_else() {
    let server = MariaDb::start();
    let folder = tempfile::tempdir().unwrap();
    let password = Canary::password("mariadb");
    server.sql(&format!(
        "CREATE DATABASE shop; CREATE USER app@'127.0.0.1' IDENTIFIED BY '{password}';
         GRANT ALL ON *.* TO app@'127.0.0.1'"
    ));
    let config = json!({ "version": 1, "migrate": {
        "dbmate": { "command": testkit::tool("dbmate") },
        "deadline": "60s",
        "retry-pause": "200ms",
    }});
    std::fs::write(folder.path().join("deploy-guard.yml"), config.to_string()).unwrap();
    let migrations = folder.path().join("db/migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    let canary = Canary {
        what: "MariaDB".to_owned(),
        folder: folder.path(),
        url: format!("mysql://app:{password}@127.0.0.1:{}/shop", server.port()),
        password,
    };
    canary.every_subcommand(3, &|nth, up, down| {
        let text = format!("-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n");
        std::fs::write(migrations.join(format!("{nth:04}_m.sql")), text).unwrap();
    });
    // It is PostgreSQL's alone: how far it goes is told elsewhere.
    let restore = ["restore", "--backup", "latest", "--confirm", "shop"];
    let (code, said) = canary.watched(&restore, &canary.url);
    assert!(matches!(code, Some(1 | 5)), "{code:?}: {said}");
}
