//! The programs of PostgreSQL and of MariaDB or MySQL that are installed here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Env;
use tokio::process::Command;

use crate::child::Job;
use crate::error::Error;

/// Debian and Red Hat keep a folder per version in these: `15/bin` and `pgsql-15/bin`.
const FOLDERS: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];
/// Timeout of `PROGRAM --version`.
const WITHIN: Duration = Duration::from_secs(20);

/// Where programs are looked for, and what they get of our environment: it may hold passwords that are not theirs.
#[derive(Clone, Debug)]
pub struct Programs {
    path: String,
    environment: Vec<(&'static str, String)>,
    /// The system's certificates in one file.
    pub(crate) ca_file: Option<PathBuf>,
}

/// PostgreSQL's programs of one version.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    folder: PathBuf,
    /// `15`
    pub(crate) major: u32,
}

/// Whose programs they are: their options differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    MariaDb,
    MySql,
}

impl Programs {
    pub fn of(env: &Env) -> Programs {
        let kept = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];
        let mut environment: Vec<(&str, String)> = kept
            .into_iter()
            .filter_map(|name| Some((name, env.non_empty(name)?.to_owned())))
            .collect();
        // We read their words.
        environment.push(("LC_ALL", "C".to_owned()));
        let bundles = [
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/tls/certs/ca-bundle.crt",
            "/etc/ssl/ca-bundle.pem",
            "/etc/ssl/cert.pem",
        ];
        let bundles = env.non_empty("SSL_CERT_FILE").into_iter().chain(bundles);
        Programs {
            path: env.get("PATH").unwrap_or_default().to_owned(),
            environment,
            ca_file: bundles.map(PathBuf::from).find(|path| path.is_file()),
        }
    }

    /// A command with nothing of our environment that it does not need.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The oldest that can read a server of this version: a dump is restored by its own version or a newer one.
    pub(crate) async fn postgres(&self, server: u32) -> Result<Postgres, Error> {
        let all = self.all_postgres().await;
        let fit = all.iter().filter(|one| one.major >= server);
        let Some(found) = fit.min_by_key(|one| one.major) else {
            let mut found: Vec<u32> = all.iter().map(|one| one.major).collect();
            found.sort_unstable();
            found.dedup();
            return Err(Error::TooOld {
                program: "pg_dump",
                needs: server,
                found,
            });
        };
        Ok(found.clone())
    }

    /// The newest: it reads what any of them wrote.
    pub(crate) async fn newest_postgres(&self) -> Result<Postgres, Error> {
        let all = self.all_postgres().await;
        let newest = all.into_iter().max_by_key(|one| one.major);
        newest.ok_or(Error::NoProgram {
            program: "pg_restore",
            package: "postgresql-client",
        })
    }

    async fn all_postgres(&self) -> Vec<Postgres> {
        let mut found = Vec::new();
        for (folder, start) in FOLDERS {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries {
                let name = entry.file_name();
                let major = name
                    .to_str()
                    .and_then(|name| name.strip_prefix(start)?.parse().ok());
                let folder = entry.path().join("bin");
                if let Some(major) = major
                    && has(&folder)
                {
                    found.push(Postgres { folder, major });
                }
            }
        }
        // On the path there may be Debian's wrapper, which chooses a version by itself: only where there is no other.
        for folder in std::env::split_paths(&self.path) {
            let program = folder.join("pg_dump");
            if found.is_empty() && has(&folder) {
                let major = self
                    .version(&program)
                    .await
                    .ok()
                    .and_then(|text| major(&text));
                found.extend(major.map(|major| Postgres { folder, major }));
            }
        }
        found
    }

    /// `mariadb-dump` or `mysqldump`, or the client `mariadb` or `mysql`.
    pub(crate) async fn mysql(&self, is_dump: bool) -> Result<(PathBuf, Family), Error> {
        let names = if is_dump {
            ["mariadb-dump", "mysqldump"]
        } else {
            ["mariadb", "mysql"]
        };
        let found = names
            .iter()
            .find_map(|name| which::which_in(name, Some(&self.path), "/").ok());
        let Some(program) = found else {
            return Err(Error::NoProgram {
                program: names[0],
                package: "mariadb-client",
            });
        };
        let family = if self.version(&program).await?.contains("MariaDB") {
            Family::MariaDb
        } else {
            Family::MySql
        };
        Ok((program, family))
    }

    /// What a program says of its version.
    pub(crate) async fn version(&self, program: &Path) -> Result<String, Error> {
        let mut command = self.command(program);
        command.arg("--version");
        let job = Job {
            name: name(program),
            command,
            within: WITHIN,
        };
        let text = job.output(64 << 10).await?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }
}

impl Postgres {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn has(folder: &Path) -> bool {
    ["pg_dump", "pg_restore"]
        .iter()
        .all(|name| folder.join(name).is_file())
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15.
fn major(text: &str) -> Option<u32> {
    let version = text.split(") ").nth(1)?;
    let end = version.find(|c: char| !c.is_ascii_digit());
    version[..end.unwrap_or(version.len())].parse().ok()
}

/// What people call a program.
pub(crate) fn name(program: &Path) -> String {
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(
            major("pg_dump (PostgreSQL) 15.18 (Debian 15.18-0)"),
            Some(15)
        );
        assert_eq!(major("pg_dump (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("pg_dump"), None);
    }
}
