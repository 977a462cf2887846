//! Where backups are kept, and how one is had that proves to be good.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::{Failure, Job};
use config::value::{ShellText, StateAddress};
use dump::{Backup, Contents, Expected, Folder, Programs, Taking};
use jiff::Timestamp;
use migrator::Session;
use model::text::bytes;
use remote::local::{Script, Stream};
use state::{Document, KeptBackup};

/// Beside the state.
const FOLDER: &str = "backups";

/// The backups of a section.
pub(crate) struct BackupFolder<'s> {
    session: &'s Session<'s>,
    pub(crate) folder: Folder,
    pub(crate) programs: Programs,
}

/// A failure of a backup, with its own next step.
pub(crate) fn failure(error: &dump::Error) -> Failure {
    let failure = Failure::error(error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl<'s> BackupFolder<'s> {
    /// # Errors
    /// Returns a usage error where the state is elsewhere and no folder is named: a backup beside it would be on a machine
    /// that is gone after the job.
    pub(crate) fn of(session: &'s Session<'s>) -> Result<Self, Failure> {
        let job = session.job;
        let folder = match (&session.section.backup.folder, job.config.state_address()?) {
            (Some(folder), _) => folder.clone(),
            (None, None) => PathBuf::from(".deploy-guard").join(FOLDER),
            (None, Some(StateAddress::File(path))) => state::atomic::folder(path).join(FOLDER),
            (None, Some(StateAddress::Host { .. } | StateAddress::Bucket { .. })) => {
                return Err(Failure::usage(format!(
                    "the state is at {}, and no folder is named that keeps backups",
                    session.store.place()
                ))
                .hint("name one that outlasts the job: `migrate: { backup: { folder: /var/backups/shop } }`; or `required: false`"));
            }
        };
        Ok(BackupFolder {
            session,
            folder: Folder::new(folder),
            programs: Programs::of(&job.env),
        })
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.session.section.backup.timeout.get()
    }

    /// How old the newest may be, so that no other is taken.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        self.session
            .section
            .backup
            .max_age
            .map(config::value::Span::get)
    }

    fn database(&self) -> &str {
        self.session.database.address.database_name()
    }

    /// Takes one and reads it to its end; nothing older is removed.
    pub(crate) async fn take(&self, revision: Option<String>) -> Result<Backup, Failure> {
        if let Some(command) = &self.session.section.backup.command {
            return self.by_command(command, revision).await;
        }
        let taking = Taking {
            database: &self.session.database,
            folder: &self.folder,
            programs: &self.programs,
            revision,
            within: self.timeout(),
            lock_wait: self.session.section.lock_timeout.get(),
        };
        let progress = &self.session.job.progress;
        let mut told = 0;
        let mut say = |written: u64| {
            // Each line is a line of a log where there is no terminal.
            if written >= told + (64 << 20) {
                told = written;
                progress.show(&format!("backup: {} written", bytes(written)));
            }
        };
        let taking = dump::take(&taking, &mut say);
        let taken = interrupted(self.session.job, taking).await?;
        taken.map_err(|error| failure(&error))
    }

    async fn by_command(
        &self,
        command: &ShellText,
        revision: Option<String>,
    ) -> Result<Backup, Failure> {
        let session = self.session;
        let mut env = command.variables().to_vec();
        let url = session.url.expose().to_owned();
        env.push((session.section.url_env.clone(), url));
        let script = Script {
            text: command,
            env,
            timeout: self.timeout(),
        };
        let mut last = String::new();
        let redactor = &session.job.redactor;
        let mut log = |stream: Stream, line: &str| {
            tracing::info!("{}", redactor.redact(line));
            if stream == Stream::Stdout && !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        };
        let running = remote::local::run(&script, &mut log);
        let ran = interrupted(session.job, running).await?;
        let ran = ran.map_err(|error| {
            Failure::error(format!("`backup.command` could not be started: {error}"))
        })?;
        if !ran.success() {
            let told = redactor.redact(&ran.summary());
            return Err(Failure::error(format!("`backup.command` failed: {told}")));
        }
        if last.is_empty() {
            return Err(Failure::error("`backup.command` printed no path")
                .hint("its last line must be the path of the dump: `echo \"$file\"`"));
        }
        let path = PathBuf::from(last);
        let expected = Expected {
            database: Some(self.database().to_owned()),
            ..Expected::default()
        };
        let contents = self.verified_as(&path, &expected).await?;
        let adopted = self
            .folder
            .adopt(&path, &contents, &session.database, revision);
        adopted.await.map_err(|error| failure(&error))
    }

    /// Reads a backup to its end, and compares it with what was noted when it was taken.
    pub(crate) async fn verified(&self, backup: &Backup) -> Result<Contents, Failure> {
        let expected = Expected {
            database: Some(backup.facts.database.clone()),
            sha256: Some(backup.facts.sha256.clone()),
            may_be_empty: backup.facts.tables == 0,
            ..Expected::default()
        };
        self.verified_as(&backup.path, &expected).await
    }

    async fn verified_as(&self, path: &Path, expected: &Expected) -> Result<Contents, Failure> {
        let reading = dump::verify(path, expected, &self.programs, self.timeout());
        let read = interrupted(self.session.job, reading).await?;
        read.map_err(|error| failure(&error))
    }

    /// The newest backup of this database that has this revision of the schema.
    pub(crate) fn newest_of(&self, revision: Option<&str>) -> Result<Option<Backup>, Failure> {
        let all = self
            .folder
            .list()
            .map_err(|error| failure(&error))?
            .into_iter();
        let mut all = all.filter(|backup| backup.facts.database == self.database());
        Ok(all.find(|backup| backup.facts.schema.as_deref() == revision))
    }

    /// Notes it in the state, and removes the oldest ones that nothing names.
    pub(crate) async fn note(&self, backup: &Backup) -> Result<usize, Failure> {
        let session = self.session;
        let kept = KeptBackup {
            id: backup.facts.id.clone(),
            path: std::path::absolute(&backup.path)
                .unwrap_or_else(|_| backup.path.clone())
                .display()
                .to_string(),
            taken: backup.facts.taken,
            schema: backup.facts.schema.clone(),
        };
        let named = session.store.update(None, |document: &mut Document| {
            document.backup = Some(kept.clone());
            Ok(document
                .named_backups()
                .map(str::to_owned)
                .collect::<BTreeSet<String>>())
        });
        let named = named.await?;
        let keep = usize::try_from(session.section.backup.keep).unwrap_or(usize::MAX);
        let removed = self.folder.rotate(self.database(), keep, &named);
        Ok(removed.map_err(|error| failure(&error))?.len())
    }
}

/// A signal ends it, with all that it started.
pub(crate) async fn interrupted<T>(
    job: &Job,
    working: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::select! {
        done = working => Ok(done),
        _ = job.interrupt.wait() => Err(Failure::error("interrupted")),
    }
}

/// What restores a dump of MariaDB's into its database, which no command of ours does.
pub(crate) fn by_hand(database: &str, path: &str) -> String {
    let is_compressed = Path::new(path).extension().is_some_and(|end| end == "gz");
    let (database, path) = (remote::quote(database), remote::quote(path));
    if is_compressed {
        format!("gunzip -c {path} | mariadb {database}")
    } else {
        format!("mariadb {database} <{path}")
    }
}

/// How old it is, as a person reads it.
pub(crate) fn describe_backup(backup: &Backup) -> String {
    let facts = &backup.facts;
    let age = Timestamp::now().duration_since(facts.taken);
    let age = config::value::Age::from(Duration::try_from(age).unwrap_or_default());
    format!(
        "{}: {}, {} tables, {age} old, read to its end",
        facts.id,
        bytes(facts.size),
        facts.tables
    )
}
