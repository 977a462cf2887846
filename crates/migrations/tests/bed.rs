//! A database and a folder with migrations.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use config::file::Hosts;
use database::{Address, Database};
use migrations::{Error, Reading, Tool, ToolSite};
use model::Env;
use net::Route;
use place::{Place, PlaceAccess};
use sections::migrate::Migrate;
use serde_json::Value;
use tempfile::TempDir;
use testkit::{MariaDb, Postgres, testbed, tool};

pub(crate) enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
}

pub(crate) struct Bed {
    server: Server,
    folder: TempDir,
    section: Value,
}

/// A section of the configuration.
pub(crate) fn section(section: &Value) -> Migrate {
    serde_json::from_value(section.clone()).unwrap()
}

/// The tools of the test bed before others.
fn path() -> String {
    let bin = |folder: &str| testbed().join(folder).display().to_string();
    let own = std::env::var("PATH").unwrap();
    [bin("venv/bin"), bin("node_modules/.bin"), own].join(":")
}

impl Bed {
    /// PostgreSQL with the roles `app`, who may do everything in the database `shop`, and `reader`.
    pub(crate) fn new(section: Value) -> Bed {
        let server = Postgres::listening("host all all 127.0.0.1/32 trust", None);
        for statement in [
            "create role app login",
            "create role reader login",
            "create database shop owner app",
        ] {
            server.sql(statement);
        }
        Bed {
            server: Server::Postgres(server),
            folder: tempfile::tempdir().unwrap(),
            section,
        }
    }

    pub(crate) fn mariadb(section: Value) -> Bed {
        let server = MariaDb::start();
        server.sql(
            "create database shop; create user app@127.0.0.1; grant all on shop.* to app@127.0.0.1",
        );
        Bed {
            server: Server::MariaDb(server),
            folder: tempfile::tempdir().unwrap(),
            section,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("app")
    }

    fn url_of(&self, user: &str) -> String {
        match &self.server {
            Server::Postgres(server) => format!(
                "postgres://{user}@127.0.0.1:{}/shop?sslmode=disable",
                server.port()
            ),
            Server::MariaDb(server) => format!("mysql://{user}@127.0.0.1:{}/shop", server.port()),
        }
    }

    /// The packages of the test bed, as if they were installed in the folder.
    pub(crate) fn with_node_modules(self) -> Bed {
        let packages = testbed().join("node_modules");
        std::os::unix::fs::symlink(packages, self.folder.path().join("node_modules")).unwrap();
        self
    }

    /// As the user who migrates.
    pub(crate) fn sql(&self, statements: &str) -> String {
        match &self.server {
            Server::Postgres(server) => {
                server.sql_in("shop", &format!("set role app; {statements}"))
            }
            Server::MariaDb(server) => server.sql(&format!("use shop; {statements}")),
        }
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.folder.path().join(path)).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        let path = |name: &str| self.folder.path().join(name);
        fs::rename(path(from), path(to)).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A tool in the folder, with the database's URL in its environment.
    pub(crate) fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(tool(name));
        command.args(words).current_dir(self.folder.path());
        command.env("DATABASE_URL", self.url()).env("PATH", path());
        // A tool that would ask or open an editor fails instead.
        command.env("EDITOR", "false").stdin(Stdio::null());
        command
    }

    pub(crate) fn try_run(&self, name: &str, words: &[&str]) -> Output {
        self.command(name, words).output().unwrap()
    }

    pub(crate) fn run(&self, name: &str, words: &[&str]) -> String {
        let ran = self.try_run(name, words);
        let said = String::from_utf8_lossy(&ran.stdout).into_owned()
            + &String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{name} {words:?}: {said}");
        said
    }

    /// One of our commands, as the stage runs it: by `sh`, with the way of the settings and the URL.
    pub(crate) fn make(
        &self,
        command: &migrations::Command,
        settings: &migrations::Settings,
    ) -> Output {
        let database = self.database("app");
        let system = database.address.system;
        let tool = self.tool();
        let reach = tool.limit_transport(system).reach(settings, system, None);
        let given = tool.handover().hand_over(&self.url(), &reach.url).unwrap();
        let mut all = command.clone();
        all.words.splice(0..0, given.words);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &all.text()])
            .current_dir(self.folder.path());
        shell
            .env("PATH", path())
            .envs(all.env)
            .envs(given.env)
            .envs(reach.env);
        shell.output().unwrap()
    }

    pub(crate) fn must(&self, command: &migrations::Command) -> String {
        let ran = self.make(command, &migrations::Settings::default());
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{}: {said}{errors}", command.text());
        said
    }

    pub(crate) fn tool(&self) -> Box<dyn Tool> {
        migrations::tool(&section(&self.section)).unwrap()
    }

    fn database(&self, user: &str) -> Database {
        Database {
            address: Address::parse(&self.url_of(user)).unwrap(),
            route: Route::default(),
            name: "deploy-guard test".to_owned(),
            timeout: Duration::from_secs(20),
        }
    }

    pub(crate) fn try_read_as(&self, user: &str) -> Result<Reading, Error> {
        let places = PlaceAccess::new(&Hosts::default(), &Env::default());
        self.read_all(user, &places, &Place::Here, self.folder.path())
    }

    /// Where the files are at another place.
    pub(crate) fn read_at(
        &self,
        places: &PlaceAccess,
        place: &Place,
        folder: &Path,
    ) -> Result<Reading, Error> {
        self.read_all("app", places, place, folder)
    }

    fn read_all(
        &self,
        user: &str,
        places: &PlaceAccess,
        place: &Place,
        folder: &Path,
    ) -> Result<Reading, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let database = self.database(user);
        runtime.unwrap().block_on(async {
            let at = ToolSite {
                places,
                place,
                folder: Some(folder),
                timeout: Duration::from_secs(20),
            };
            let mut connection = database.connect().await.unwrap();
            let system = connection.system();
            migrations::read(&*self.tool(), &at, &mut connection, system).await
        })
    }

    pub(crate) fn read(&self) -> Reading {
        self.try_read_as("app").unwrap()
    }

    /// The reading as a person would be told.
    pub(crate) fn told(&self) -> String {
        told(&self.read())
    }
}

pub(crate) fn told(reading: &Reading) -> String {
    let mut lines = vec![
        format!(
            "{:?}, at {}",
            reading.standing,
            reading.revision().unwrap_or_else(|| "nothing".to_owned())
        ),
        format!(
            "applied {}, pending {}",
            reading.applied.len(),
            reading.pending.join(" ")
        ),
    ];
    for finding in &reading.findings {
        let file = finding.file.as_deref().map(|file| format!(" [{file}]"));
        lines.push(format!(
            "{}: {finding}{}",
            finding.kind.as_str(),
            file.unwrap_or_default()
        ));
        lines.push(format!("  {}", finding.next));
    }
    lines.extend(
        reading
            .unseen
            .iter()
            .map(|sentence| format!("unseen: {sentence}")),
    );
    lines.join("\n")
}

/// The kinds of findings with what they are about, in their order.
pub(crate) fn kinds(reading: &Reading) -> Vec<String> {
    let of = |finding: &migrations::Finding| match &finding.revision {
        Some(revision) => format!("{} {revision}", finding.kind.as_str()),
        None => finding.kind.as_str().to_owned(),
    };
    reading.findings.iter().map(of).collect()
}
