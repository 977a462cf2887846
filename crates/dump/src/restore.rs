//! A dump is restored into a database that is there and empty.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use database::{Database, System};
use flate2::read::MultiGzDecoder;

use crate::child::Job;
use crate::contents::{Contents, Format};
use crate::credentials::Login;
use crate::error::Error;
use crate::programs::{Programs, name};
use crate::take::major;

/// Restores a dump, which was [verified](crate::verify), into this database. `owners` says whether who owned what is restored
/// too, which takes the rights to it.
///
/// # Errors
/// Returns an error at the first statement that fails; what is in the database then is of no use.
pub async fn restore(
    path: &Path,
    contents: &Contents,
    into: &Database,
    owners: bool,
    programs: &Programs,
    within: Duration,
) -> Result<(), Error> {
    if contents.is_bound {
        return Err(Error::Unfit(format!(
            "{}: it chooses its database itself (`USE`, `\\connect`), and would be restored over that one",
            path.display()
        )));
    }
    if contents.system != into.address.system {
        return Err(Error::Unfit(format!(
            "{}: it is of {}, and the database is {}",
            path.display(),
            contents.system.as_str(),
            into.address.system.as_str()
        )));
    }
    match (contents.system, contents.format.is_archive()) {
        (System::Postgres, true) => by_pg_restore(path, into, owners, programs, within).await,
        (System::Postgres, false) => by_psql(path, contents.format, into, programs, within).await,
        (System::MySql, _) => by_mysql(path, contents.format, into, programs, within).await,
    }
}

async fn by_pg_restore(
    path: &Path,
    into: &Database,
    owners: bool,
    programs: &Programs,
    within: Duration,
) -> Result<(), Error> {
    let postgres = programs.postgres(major(into).await?).await?;
    let program = postgres.program("pg_restore");
    let login = Login::postgres(into, programs).await?;
    let mut command = programs.command(&program);
    login.with_postgres(&mut command);
    command.args(["--exit-on-error", "--jobs=2"]);
    if !owners {
        command.arg("--no-owner");
    }
    // It must be an argument; in this form a name is nothing else.
    let name_of = into.address.database_name();
    let quoted = name_of.replace('\\', "\\\\").replace('\'', "\\'");
    command.arg(format!("--dbname=dbname='{quoted}'"));
    command.arg("--").arg(path);
    let job = Job {
        name: name(&program),
        command,
        within,
    };
    job.pour(&mut |_| Ok(())).await
}

async fn by_psql(
    path: &Path,
    format: Format,
    into: &Database,
    programs: &Programs,
    within: Duration,
) -> Result<(), Error> {
    let postgres = programs.postgres(major(into).await?).await?;
    let program = postgres.program("psql");
    let login = Login::postgres(into, programs).await?;
    let mut command = programs.command(&program);
    login.with_postgres(&mut command);
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    let job = Job {
        name: name(&program),
        command,
        within,
    };
    job.feed(opened(path, format)?).await
}

async fn by_mysql(
    path: &Path,
    format: Format,
    into: &Database,
    programs: &Programs,
    within: Duration,
) -> Result<(), Error> {
    let (program, family) = programs.mysql(false).await?;
    let login = Login::mysql(into, programs, family).await?;
    let mut command = programs.command(&program);
    login.with_mysql(&mut command);
    command.args(["--batch", "--default-character-set=utf8mb4", "--"]);
    command.arg(into.address.database_name());
    let job = Job {
        name: name(&program),
        command,
        within,
    };
    job.feed(opened(path, format)?).await
}

fn opened(path: &Path, format: Format) -> Result<Box<dyn std::io::Read + Send>, Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    Ok(if format == Format::SqlGzip {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}
