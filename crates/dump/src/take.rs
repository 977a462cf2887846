//! A backup is taken: by the database's own program, through us, so that it ends when we do.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use database::{Connection, Database, QueryRows as _, System, literal, pg_facts};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use crate::child::Job;
use crate::contents::{Contents, Expected};
use crate::credentials::Login;
use crate::error::Error;
use crate::facts::{Facts, SourceFacts};
use crate::folder::{Backup, Folder, new_id, plain_name};
use crate::programs::{Programs, name};
use crate::verify::verify;

/// How many tables have their rows noted.
const MAX_TABLES: u32 = 2000;

/// What is taken, and where it is kept.
#[derive(Clone)]
pub struct Taking<'a> {
    pub database: &'a Database,
    pub folder: &'a Folder,
    pub programs: &'a Programs,
    /// The schema's revision, to be noted.
    pub revision: Option<String>,
    /// For all of it.
    pub within: Duration,
    /// How long it may wait for a table that another session has locked; PostgreSQL alone.
    pub lock_wait: Duration,
}

/// Takes a backup, reads it to its end, and keeps it. `progress` gets the bytes written so far.
///
/// # Errors
/// Returns an error if it cannot be taken or is not good; nothing is kept then.
pub async fn take(taking: &Taking<'_>, progress: &mut dyn FnMut(u64)) -> Result<Backup, Error> {
    let until = Instant::now() + taking.within;
    let address = &taking.database.address;
    let taken = Timestamp::now();
    let told = read_source_facts(taking.database).await?;
    let partial = taking.folder.begin()?;
    let stem = plain_name(address.database_name());
    let file_name = match address.system {
        System::Postgres => format!("{stem}.dump"),
        System::MySql => format!("{stem}.sql.gz"),
    };
    let (path, file) = partial.file(&file_name)?;
    let file = BufWriter::with_capacity(1 << 20, file);
    let (file, tool) = match address.system {
        System::Postgres => by_pg_dump(taking, &told, file, &path, progress).await?,
        System::MySql => by_mysqldump(taking, file, &path, progress).await?,
    };
    file.sync_all().map_err(Error::io(&path))?;
    let expected = Expected {
        database: Some(address.database_name().to_owned()),
        may_be_empty: told.tables == 0,
        ..Expected::default()
    };
    let left = until.saturating_duration_since(Instant::now());
    let contents = verify(&path, &expected, taking.programs, left).await?;
    let facts = Facts {
        database: address.database_name().to_owned(),
        address: address.to_string(),
        tool,
        file: file_name,
        schema: taking.revision.clone(),
        ..Facts::new(new_id(taken), taken, &contents, told)
    };
    partial.finish(facts)
}

impl Folder {
    /// Notes a dump that a command of the user's wrote, and that was [verified](verify): it stays where it is.
    ///
    /// # Errors
    /// Returns an error if the database is not asked, or the note is not written.
    pub async fn adopt(
        &self,
        path: &Path,
        contents: &Contents,
        database: &Database,
        revision: Option<String>,
    ) -> Result<Backup, Error> {
        let path = std::path::absolute(path).map_err(Error::io(path))?;
        let told = read_source_facts(database).await?;
        let modified = std::fs::metadata(&path).and_then(|file| file.modified());
        let taken = modified.map_err(Error::io(&path))?;
        let taken = Timestamp::try_from(taken).unwrap_or_else(|_| Timestamp::now());
        let facts = Facts {
            database: database.address.database_name().to_owned(),
            address: database.address.to_string(),
            tool: "a command of yours".to_owned(),
            file: path.display().to_string(),
            schema: revision,
            ..Facts::new(new_id(taken), taken, contents, told)
        };
        self.begin()?.finish(facts)
    }
}

/// What the database tells of itself.
async fn read_source_facts(database: &Database) -> Result<SourceFacts, Error> {
    let mut connection = database.connect().await?;
    let (version, tables) = match &connection {
        Connection::Postgres(_) => (
            "SHOW server_version",
            "SELECT n.nspname || '.' || c.relname,
                    greatest(c.reltuples::bigint, pg_stat_get_live_tuples(c.oid), 0), count(*) OVER ()
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                               AND d.objid = c.oid AND d.deptype = 'e')
             ORDER BY 2 DESC, 1"
                .to_owned(),
        ),
        Connection::MySql(_) => (
            "SELECT version()",
            format!(
                "SELECT table_name, coalesce(table_rows, 0),
                        (SELECT count(*) FROM information_schema.tables
                         WHERE table_schema = {0} AND table_type = 'BASE TABLE')
                 FROM information_schema.tables WHERE table_schema = {0} AND table_type = 'BASE TABLE'
                 ORDER BY 2 DESC, 1",
                literal(System::MySql, database.address.database_name())
            ),
        ),
    };
    let server = connection.rows(version).await?;
    let server = server.first_cell().unwrap_or_default();
    let server = server.split(' ').next().unwrap_or_default().to_owned();
    let rows = connection
        .rows(&format!("{tables} LIMIT {MAX_TABLES}"))
        .await?;
    let mut told = SourceFacts {
        server,
        ..SourceFacts::default()
    };
    for row in rows.rows {
        let mut cells = row.into_iter();
        let mut cell = || cells.next().flatten().unwrap_or_default();
        let (table, rows, tables) = (cell(), cell(), cell());
        told.rows.insert(table, rows.parse().unwrap_or(0));
        told.tables = tables.parse().unwrap_or(0);
    }
    Ok(told)
}

/// The server's major version: `15.18`, `18beta1`.
pub(crate) async fn major(database: &Database) -> Result<u32, Error> {
    let session = database.postgres().await?;
    Ok(pg_facts::version(&session).await? / 10_000)
}

async fn by_pg_dump(
    taking: &Taking<'_>,
    told: &SourceFacts,
    mut file: BufWriter<std::fs::File>,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(std::fs::File, String), Error> {
    let programs = taking.programs;
    let digits = told.server.split(|c: char| !c.is_ascii_digit()).next();
    let major = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let program = programs.postgres(major).await?.program("pg_dump");
    let tool = programs.version(&program).await?;
    let login = Login::postgres(taking.database, programs).await?;
    let mut command = programs.command(&program);
    login.with_postgres(&mut command);
    command.arg("--format=custom");
    command.arg(format!(
        "--lock-wait-timeout={}",
        taking.lock_wait.as_millis().max(1)
    ));
    let job = Job {
        name: name(&program),
        command,
        within: taking.within,
    };
    pour(job, &mut file, path, progress).await?;
    let file = file
        .into_inner()
        .map_err(|error| Error::io(path)(error.into_error()))?;
    Ok((file, tool))
}

async fn by_mysqldump(
    taking: &Taking<'_>,
    file: BufWriter<std::fs::File>,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(std::fs::File, String), Error> {
    let programs = taking.programs;
    let (program, family) = programs.mysql(true).await?;
    let tool = programs.version(&program).await?;
    let login = Login::mysql(taking.database, programs, family).await?;
    let mut command = programs.command(&program);
    login.with_mysql(&mut command);
    command.args([
        "--single-transaction",
        "--quick",
        "--routines",
        "--triggers",
        "--events",
    ]);
    command.args([
        "--comments",
        "--no-tablespaces",
        "--hex-blob",
        "--default-character-set=utf8mb4",
    ]);
    // Of MySQL's own program: others do not know them.
    command.args(["--loose-set-gtid-purged=OFF", "--loose-column-statistics=0"]);
    command
        .arg("--")
        .arg(taking.database.address.database_name());
    let job = Job {
        name: name(&program),
        command,
        within: taking.within,
    };
    // Its checksum finds what changes later.
    let mut packed = GzEncoder::new(file, Compression::fast());
    pour(job, &mut packed, path, progress).await?;
    let file = packed.finish().map_err(Error::io(path))?;
    let file = file
        .into_inner()
        .map_err(|error| Error::io(path)(error.into_error()))?;
    Ok((file, tool))
}

async fn pour(
    job: Job,
    to: &mut dyn Write,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let mut written = 0;
    job.pour(&mut |piece| {
        to.write_all(piece).map_err(Error::io(path))?;
        written += piece.len() as u64;
        progress(written);
        Ok(())
    })
    .await
}
