//! A database to try things in, beside the one that is served.
//!
//! Its name says whose copy it is and until when it is used. One that was left by a killed run is dropped by the next run, when
//! its time is over.

use std::path::Path;
use std::time::{Duration, Instant};

use database::{Database, QueryRows as _, System, identifier, literal, postgres};
use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};

use crate::child::Job;
use crate::contents::Contents;
use crate::credentials::Login;
use crate::error::Error;
use crate::programs::{Programs, name};
use crate::restore::restore;
use crate::take::major;

/// How each name begins.
pub(crate) const PREFIX: &str = "dg_scratch_";
const TIME: &str = "%Y%m%dt%H%M%Sz";
/// How much of the database's name is in it, in bytes: PostgreSQL's names have at most 63.
const OWNER: usize = 20;

/// What it is made from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A dump that was verified; `owners`: who owned what is restored too.
    Backup {
        path: &'a Path,
        contents: &'a Contents,
        owners: bool,
    },
    /// The database itself, copied by PostgreSQL's server; no session may be connected to it meanwhile.
    Template,
}

/// A scratch database. It is dropped by [`remove`](Scratch::remove), else when this is dropped, as far as that can be.
pub struct Scratch {
    database: Database,
    /// Where databases are made and dropped from.
    admin: Database,
    is_gone: bool,
}

impl Scratch {
    /// Makes one beside `beside`, after those of killed runs were dropped. It may be used for as long as `lease`.
    pub async fn create(
        beside: &Database,
        source: Source<'_>,
        lease: Duration,
        programs: &Programs,
        within: Duration,
    ) -> Result<Scratch, Error> {
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        let admin = admin(beside).await?;
        sweep(&admin).await?;
        let name = new_name(beside.address.database_name(), Timestamp::now(), lease);
        make(beside, &admin, &name, source, programs, left()).await?;
        let scratch = Scratch {
            database: beside.with_name(&name),
            admin,
            is_gone: false,
        };
        if let Source::Backup {
            path,
            contents,
            owners,
        } = source
        {
            let filled = restore(path, contents, &scratch.database, owners, programs, left()).await;
            if let Err(error) = filled {
                let _ = scratch.remove().await;
                return Err(error);
            }
        }
        Ok(scratch)
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    pub fn name(&self) -> &str {
        self.database.address.database_name()
    }

    /// Drops it, and ends who is connected to it.
    pub async fn remove(mut self) -> Result<(), Error> {
        self.is_gone = true;
        drop_database(&self.admin, self.database.address.database_name()).await
    }

    pub(crate) fn admin(&self) -> &Database {
        &self.admin
    }

    /// It has become something else, and is not dropped.
    pub(crate) fn keep(mut self) {
        self.is_gone = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_gone {
            return;
        }
        let (admin, name) = (self.admin.clone(), self.name().to_owned());
        // Where there is no time left for it, the next run does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = drop_database(&admin, &name).await;
            });
        }
    }
}

/// A database of the same server that is not `beside`: one that is copied or renamed may have no session.
pub(crate) async fn admin(beside: &Database) -> Result<Database, Error> {
    if beside.address.system == System::MySql {
        let mut server = beside.clone();
        server.address.database = None;
        return Ok(server);
    }
    let maintenance = beside.with_name("postgres");
    match maintenance.connect().await {
        Ok(_) if beside.address.database_name() != "postgres" => Ok(maintenance),
        Err(database::Error::Unreachable { at, reason }) => {
            Err(database::Error::Unreachable { at, reason }.into())
        }
        _ => Ok(beside.with_name("template1")),
    }
}

async fn make(
    beside: &Database,
    admin: &Database,
    name: &str,
    source: Source<'_>,
    programs: &Programs,
    within: Duration,
) -> Result<(), Error> {
    let quoted = identifier(beside.address.system, name);
    let of = beside.address.database_name();
    match (beside.address.system, source) {
        (System::Postgres, Source::Template) => {
            let template = identifier(System::Postgres, of);
            let sql = format!("CREATE DATABASE {quoted} TEMPLATE {template}");
            let session = admin.postgres().await?;
            let made = session.rows_within(&sql, within).await.map(drop);
            made.map_err(|error| copied(error, of, &session_hint(of)))
        }
        (System::Postgres, Source::Backup { .. }) => {
            let statement = like(beside, programs, within).await?;
            let session = admin.postgres().await?;
            let sql = format!("CREATE DATABASE {quoted} {statement}");
            let made = session.rows_within(&sql, within).await.map(drop);
            made.map_err(|error| copied(error, of, ""))
        }
        (System::MySql, Source::Backup { .. }) => {
            let mut connection = admin.connect().await?;
            let asked = format!(
                "SELECT concat('CHARACTER SET ', default_character_set_name, ' COLLATE ', default_collation_name) \
                 FROM information_schema.schemata WHERE schema_name = {}",
                literal(System::MySql, of)
            );
            let like = connection.rows(&asked).await?;
            let sql = format!("CREATE DATABASE {quoted} {}", like.first_cell().unwrap_or_default());
            connection.rows(&sql).await.map_err(|error| copied(error, of, ""))?;
            Ok(())
        }
        (System::MySql, Source::Template) => Err(Error::Unfit(
            "MariaDB and MySQL cannot copy a database: a scratch database is restored from a backup there".to_owned(),
        )),
    }
}

fn session_hint(of: &str) -> String {
    format!("; `{of}` must have no sessions while it is copied: restore a backup instead")
}

/// Why a database is not made, in words that say what to change.
fn copied(error: database::Error, of: &str, in_use: &str) -> Error {
    match error.code() {
        Some("42501" | "1044") => Error::Unfit(format!(
            "the user may not make a scratch database beside `{of}`: allow it (`ALTER ROLE … CREATEDB`; MariaDB: \
             ``GRANT ALL ON `dg\\_scratch\\_%`.* TO …``)"
        )),
        Some("55006") => Error::Unfit(format!("{error}{in_use}")),
        _ => error.into(),
    }
}

/// `WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C.UTF-8'`: as `pg_dump` of the server's version writes it.
async fn like(beside: &Database, programs: &Programs, within: Duration) -> Result<String, Error> {
    let statements = properties(beside, programs, within).await?;
    let begin = format!("CREATE DATABASE {} ", quoted_name(beside).await?);
    let made = statements
        .iter()
        .find_map(|statement| statement.strip_prefix(&begin));
    Ok(made.map_or_else(|| "TEMPLATE template0".to_owned(), str::to_owned))
}

/// The database's name as PostgreSQL itself quotes it.
async fn quoted_name(database: &Database) -> Result<String, Error> {
    let session = database.postgres().await?;
    let answer = session
        .rows("SELECT quote_ident(current_database())")
        .await?;
    Ok(answer.first_cell().unwrap_or_default().to_owned())
}

/// The statements that make the database and what is set for all of it, without anything that is in it.
pub(crate) async fn properties(
    database: &Database,
    programs: &Programs,
    within: Duration,
) -> Result<Vec<String>, Error> {
    let program = programs
        .postgres(major(database).await?)
        .await?
        .program("pg_dump");
    let login = Login::postgres(database, programs).await?;
    let mut command = programs.command(&program);
    login.with_postgres(&mut command);
    command.args(["--create", "--schema-only", "--exclude-schema=*"]);
    let job = Job {
        name: name(&program),
        command,
        within,
    };
    let text = job.output(16 << 20).await?;
    let text = String::from_utf8_lossy(&text);
    let starts = [
        "CREATE DATABASE ",
        "ALTER DATABASE ",
        "ALTER ROLE ",
        "COMMENT ON DATABASE ",
        "GRANT ",
        "REVOKE ",
    ];
    let mut statements: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        if is_open && let Some(last) = statements.last_mut() {
            last.push('\n');
            last.push_str(line);
        } else if starts.iter().any(|start| line.starts_with(start)) {
            statements.push(line.to_owned());
        } else {
            continue;
        }
        is_open = !line.ends_with(';');
    }
    for statement in &mut statements {
        statement.truncate(statement.trim_end_matches(';').len());
    }
    Ok(statements)
}

pub(crate) async fn drop_database(admin: &Database, name: &str) -> Result<(), Error> {
    let quoted = identifier(admin.address.system, name);
    if admin.address.system == System::MySql {
        let mut connection = admin.connect().await?;
        connection
            .rows(&format!("DROP DATABASE IF EXISTS {quoted}"))
            .await?;
        return Ok(());
    }
    let session = admin.postgres().await?;
    end_sessions(&session, name).await?;
    session
        .rows(&format!("DROP DATABASE IF EXISTS {quoted}"))
        .await?;
    Ok(())
}

/// Ends who is connected to this database of PostgreSQL; how many they were.
pub(crate) async fn end_sessions(session: &postgres::Session, name: &str) -> Result<u64, Error> {
    let name = literal(System::Postgres, name);
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = {name} AND pid <> pg_backend_pid()"
    );
    let answer = session.rows(&sql).await?;
    Ok(answer
        .first_cell()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0))
}

/// Drops those whose time is over. Some may be another user's, who does it.
async fn sweep(admin: &Database) -> Result<(), Error> {
    let sql = match admin.address.system {
        System::Postgres => "SELECT datname FROM pg_database WHERE datname LIKE 'dg\\_scratch\\_%'",
        System::MySql => {
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'dg\\_scratch\\_%'"
        }
    };
    let names = admin.connect().await?.rows(sql).await?;
    for name in names.first() {
        if ends(name).is_some_and(|end| end < Timestamp::now())
            && let Err(error) = drop_database(admin, name).await
        {
            tracing::warn!(
                "the scratch database `{name}` of a run that was killed is not dropped: {error}"
            );
        }
    }
    Ok(())
}

fn new_name(of: &str, now: Timestamp, lease: Duration) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let of: String = of.chars().take(OWNER).map(plain).collect();
    let end = now.saturating_add(lease).unwrap_or(now).strftime(TIME);
    let id = rand::random::<u32>() & 0xff_ffff;
    format!("{PREFIX}{of}_{end}_{id:06x}")
}

/// Until when it is used; `None` where the name is not one of ours.
fn ends(name: &str) -> Option<Timestamp> {
    let mut parts = name.strip_prefix(PREFIX)?.rsplitn(3, '_');
    let (_, end) = (parts.next()?, parts.next()?);
    let end = DateTime::strptime(TIME, end).ok()?;
    end.to_zoned(TimeZone::UTC).ok().map(|end| end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_it_is_and_until_when() {
        let now: Timestamp = "2026-11-29T10:20:36Z".parse().unwrap();
        let name = new_name(
            "Shop-of the very long names",
            now,
            Duration::from_secs(3600),
        );
        assert!(
            name.starts_with("dg_scratch_shop_of_the_very_lon_20261129t112036z_"),
            "{name}"
        );
        assert!(name.len() <= 63, "{name}");
        assert_eq!(ends(&name), Some("2026-11-29T11:20:36Z".parse().unwrap()));
        for other in [
            "shop",
            "dg_scratch_",
            "dg_scratch_shop",
            "dg_scratch_a_b_c",
            "dg_scratch_shop_20269999t112036z_1",
        ] {
            assert_eq!(ends(other), None, "{other}");
        }
    }
}
