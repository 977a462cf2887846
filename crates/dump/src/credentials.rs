//! How the database's programs log in. A password reaches them by a file that is in no folder: it has no name, so nothing of
//! it is left when we are killed.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::file::PostgresTls;
use database::{Address, Database, Forward, Host, System};
use model::Secret;
use tokio::process::Command;

use crate::error::Error;
use crate::programs::{Family, Programs};

/// A way in, open for as long as this lives.
pub(crate) struct Login {
    address: Address,
    forward: Option<Forward>,
    file: Hidden,
    ca_file: Option<PathBuf>,
}

/// A file without a name, or, where the system has no other way to it, with one.
struct Hidden {
    path: PathBuf,
    _file: File,
    _named: Option<tempfile::TempPath>,
}

impl Hidden {
    fn new(text: &str) -> std::io::Result<Hidden> {
        let (mut file, named) = tempfile::NamedTempFile::new()?.into_parts();
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        let ours = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        let ours = PathBuf::from(ours);
        let (path, named) = if ours.exists() {
            named.close()?;
            (ours, None)
        } else {
            (named.to_path_buf(), Some(named))
        };
        // Not before it has no name.
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(Hidden {
            path,
            _file: file,
            _named: named,
        })
    }
}

impl Login {
    /// For `pg_dump`, `pg_restore` and `psql`.
    pub(crate) async fn postgres(database: &Database, programs: &Programs) -> Result<Login, Error> {
        let password = database.address.password.as_ref();
        let text = password.map_or_else(String::new, |password| {
            let escaped = password.expose().replace('\\', "\\\\").replace(':', "\\:");
            format!("*:*:*:*:{escaped}\n")
        });
        Login::open(database, programs, &text).await
    }

    /// For `mariadb-dump` and its like: the file has everything but the database.
    pub(crate) async fn mysql(
        database: &Database,
        programs: &Programs,
        family: Family,
    ) -> Result<Login, Error> {
        let address = &database.address;
        let verifies = matches!(address.tls, PostgresTls::VerifyCa | PostgresTls::VerifyFull);
        let forward = forward(database).await?;
        if forward.is_some() && verifies && address.system == System::MySql {
            return Err(Error::Unfit(
                "MariaDB's programs cannot verify a certificate through a host: take the backup where the database is \
                 reached directly"
                    .to_owned(),
            ));
        }
        let mut text = "[client]\n".to_owned();
        let mut line =
            |name: &str, value: &str| text.push_str(&format!("{name}={}\n", quoted(value)));
        line("user", address.user.as_deref().unwrap_or("root"));
        line(
            "password",
            address.password.as_ref().map_or("", Secret::expose),
        );
        match (&address.host, &forward) {
            (Host::Socket(path), _) => line("socket", &path.display().to_string()),
            (Host::Name(name), None) => {
                line("host", name);
                line("port", &address.port.to_string());
                line("protocol", "tcp");
            }
            (Host::Name(_), Some(forward)) => {
                line("host", "127.0.0.1");
                line("port", &forward.port().to_string());
                line("protocol", "tcp");
            }
        }
        let ca_file = address.ca_file.clone().or_else(|| programs.ca_file.clone());
        text.push_str(&tls_lines(address.tls, family, ca_file.as_deref()));
        let file = Hidden::new(&text).map_err(Error::io(Path::new("a temporary file")))?;
        Ok(Login {
            address: address.clone(),
            forward,
            file,
            ca_file,
        })
    }

    async fn open(database: &Database, programs: &Programs, text: &str) -> Result<Login, Error> {
        let file = Hidden::new(text).map_err(Error::io(Path::new("a temporary file")))?;
        let address = database.address.clone();
        let ca_file = address.ca_file.clone().or_else(|| programs.ca_file.clone());
        Ok(Login {
            forward: forward(database).await?,
            address,
            file,
            ca_file,
        })
    }

    /// The options of libpq, in the environment: none of them is a secret, and a name cannot be taken for an option there.
    pub(crate) fn with_postgres(&self, command: &mut Command) {
        let address = &self.address;
        match (&address.host, &self.forward) {
            (Host::Socket(folder), _) => {
                command.env("PGHOST", folder);
            }
            (Host::Name(name), forward) => {
                command.env("PGHOST", name);
                // The name stays: the certificate is for it.
                if forward.is_some() {
                    command.env("PGHOSTADDR", "127.0.0.1");
                }
            }
        }
        let port = self.forward.as_ref().map_or(address.port, Forward::port);
        command.env("PGPORT", port.to_string());
        command.env("PGUSER", address.user.as_deref().unwrap_or("postgres"));
        command.env("PGDATABASE", address.database_name());
        command.env("PGPASSFILE", &self.file.path);
        command.env("PGAPPNAME", "deploy-guard");
        command.env("PGCONNECT_TIMEOUT", "30");
        command.env("PGSSLMODE", ssl_mode(address.tls));
        if matches!(address.tls, PostgresTls::VerifyCa | PostgresTls::VerifyFull)
            && let Some(ca_file) = &self.ca_file
        {
            command.env("PGSSLROOTCERT", ca_file);
        }
        command.arg("--no-password");
    }

    /// Must be the first argument; no other file is read.
    pub(crate) fn with_mysql(&self, command: &mut Command) {
        command.arg(format!("--defaults-file={}", self.file.path.display()));
    }
}

async fn forward(database: &Database) -> Result<Option<Forward>, Error> {
    let is_socket = matches!(database.address.host, Host::Socket(_));
    if database.route.is_plain() || is_socket {
        return Ok(None);
    }
    Ok(Some(
        Forward::open(&database.address, &database.route).await?,
    ))
}

fn ssl_mode(mode: PostgresTls) -> &'static str {
    match mode {
        PostgresTls::Disable => "disable",
        PostgresTls::Prefer => "prefer",
        PostgresTls::Require => "require",
        PostgresTls::VerifyCa => "verify-ca",
        PostgresTls::VerifyFull => "verify-full",
    }
}

/// MariaDB's programs know no more than whether the certificate is verified, MySQL's have modes.
fn tls_lines(mode: PostgresTls, family: Family, ca_file: Option<&Path>) -> String {
    let verifies = matches!(mode, PostgresTls::VerifyCa | PostgresTls::VerifyFull);
    let mut text = match (family, mode) {
        (Family::MariaDb, PostgresTls::Disable) => "ssl=0\n".to_owned(),
        (Family::MariaDb, PostgresTls::Prefer) => "ssl-verify-server-cert=0\n".to_owned(),
        (Family::MariaDb, PostgresTls::Require) => "ssl=1\nssl-verify-server-cert=0\n".to_owned(),
        (Family::MariaDb, _) => "ssl=1\nssl-verify-server-cert=1\n".to_owned(),
        (Family::MySql, PostgresTls::Disable) => "ssl-mode=DISABLED\n".to_owned(),
        (Family::MySql, PostgresTls::Prefer) => "ssl-mode=PREFERRED\n".to_owned(),
        (Family::MySql, PostgresTls::Require) => "ssl-mode=REQUIRED\n".to_owned(),
        (Family::MySql, PostgresTls::VerifyCa) => "ssl-mode=VERIFY_CA\n".to_owned(),
        (Family::MySql, PostgresTls::VerifyFull) => "ssl-mode=VERIFY_IDENTITY\n".to_owned(),
    };
    if let Some(ca_file) = ca_file.filter(|_| verifies) {
        text.push_str(&format!(
            "ssl-ca={}\n",
            quoted(&ca_file.display().to_string())
        ));
    }
    text
}

/// A value in an option file.
fn quoted(value: &str) -> String {
    let mut text = "\"".to_owned();
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            // It would end the text, and a `#` behind it would begin a comment.
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text + "\""
}
