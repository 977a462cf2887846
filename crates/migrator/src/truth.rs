//! What is true of the database: what the tool's tables and files say, and what a failed migration left
//! behind.

use std::time::{Duration, Instant};

use cli::Failure;
use database::pg_facts::{self, InvalidIndex};
use database::{Connection, Error, System};
use migrations::{FileRequest, Finding, FindingKind, Migration, Reading, Table, Transactions};
use model::text::hex;
use model::{Outcome, Severity};
use sha2::{Digest as _, Sha256};
use state::RehearsedMigration;

use crate::session::Session;

/// Before a server that did not answer is asked again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// What the tool's own tables, its files and the database tell together.
#[derive(Clone, Debug)]
pub struct SchemaState {
    pub reading: Reading,
    /// What a failed concurrent build left behind. PostgreSQL's alone.
    pub invalid: Vec<InvalidIndex>,
}

/// Why nothing is known.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum SchemaStateError {
    #[error(transparent)]
    Tool(#[from] migrations::Error),
    #[error(transparent)]
    Database(#[from] Error),
}

impl SchemaStateError {
    /// A server that crashed, or starts again, answers soon.
    fn may_pass(&self) -> bool {
        let error = match self {
            SchemaStateError::Database(error)
            | SchemaStateError::Tool(migrations::Error::Database(error)) => error,
            SchemaStateError::Tool(_) => return false,
        };
        matches!(error, Error::Unreachable { .. } | Error::Lost(_))
    }
}

impl Session<'_> {
    /// Reads everything. Nothing is changed.
    ///
    /// # Errors
    /// Returns an error outcome where the database or the files cannot be read.
    pub async fn truth(&self) -> Result<SchemaState, Box<Outcome>> {
        let read = self.read_schema_state().await;
        read.map_err(|unknown| Box::new(self.unknown(&unknown)))
    }

    /// The same of a server that may be coming back: it is asked again for so long.
    pub(crate) async fn truth_within(&self, within: Duration) -> Result<SchemaState, Box<Outcome>> {
        let until = Instant::now() + within;
        loop {
            match self.read_schema_state().await {
                Err(unknown) if unknown.may_pass() && Instant::now() + RETRY_DELAY < until => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                read => return read.map_err(|unknown| Box::new(self.unknown(&unknown))),
            }
        }
    }

    async fn read_schema_state(&self) -> Result<SchemaState, SchemaStateError> {
        let mut connection = self.database.connect().await?;
        let inside = self.inside();
        let (tool, system) = (&*self.tool, self.system());
        let reading = migrations::read(tool, &self.at(&inside), &mut connection, system).await?;
        let invalid = match &connection {
            Connection::Postgres(session) => pg_facts::invalid_indexes(session).await?,
            Connection::MySql(_) => Vec::new(),
        };
        Ok(SchemaState { reading, invalid })
    }

    /// The tables that the tool keeps for itself.
    ///
    /// # Errors
    /// Returns an error if its files cannot be read.
    pub async fn own_tables(&self) -> Result<Vec<Table>, Failure> {
        let inside = self.inside();
        let found = migrations::own_tables(&*self.tool, &self.at(&inside), self.system()).await;
        found.map_err(|error| Failure::error(error.to_string()))
    }

    /// What the files of these migrations hold, byte for byte. The place where they are is asked once.
    ///
    /// # Errors
    /// Returns an error if one cannot be read.
    pub async fn fingerprints(
        &self,
        migrations: impl Iterator<Item = &Migration>,
    ) -> Result<Vec<RehearsedMigration>, Failure> {
        let migrations: Vec<&Migration> = migrations.collect();
        let files = migrations
            .iter()
            .map(|one| FileRequest::File(one.path.clone()));
        let files: Vec<FileRequest> = files.collect();
        let inside = self.inside();
        let tree = migrations::fetch(&self.at(&inside), &files).await;
        let tree = tree.map_err(|error| Failure::error(error.to_string()))?;
        let print = |one: &&Migration| {
            let bytes = tree
                .bytes(&one.path)
                .ok_or_else(|| Failure::error(format!("{}: there is no such file", one.path)))?;
            Ok(RehearsedMigration {
                id: one.id.clone(),
                sha256: hex(Sha256::digest(bytes)),
            })
        };
        migrations.iter().map(print).collect()
    }

    /// Whether a failed attempt of what is pending leaves nothing behind: the tool makes a transaction of it, the
    /// database undoes changes of the schema with it, and the file does not ask to be run outside of one.
    pub fn leaves_nothing(&self, reading: &Reading) -> bool {
        let system = self.system();
        let next = reading.pending_files().next();
        system == System::Postgres
            && self.tool.transactions(system) != Transactions::None
            && next.is_none_or(|file| !file.without_transaction)
    }

    fn unknown(&self, unknown: &SchemaStateError) -> Outcome {
        let hint = match unknown {
            SchemaStateError::Tool(error) => error.hint(),
            SchemaStateError::Database(error) => Some(match error {
                Error::Unreachable { .. } => format!(
                    "is {} right, and the server up? From another network: `migrate.via: HOST`",
                    self.section.url_env
                ),
                Error::Login { .. } => format!(
                    "correct the user or the password in {}",
                    self.section.url_env
                ),
                Error::NoDatabase(name) => format!(
                    "create it (`createdb {name}`), or correct {}",
                    self.section.url_env
                ),
                _ => "see the server's log".to_owned(),
            }),
        };
        let outcome = Outcome::error("migrate/database", self.database.address.to_string())
            .expected("the tables and the files of the migrations can be read")
            .actual("not known")
            .reason(unknown.to_string());
        match hint {
            Some(hint) => outcome.hint(hint),
            None => outcome,
        }
    }
}

impl SchemaState {
    /// The tool's own lock is held.
    pub(crate) fn is_locked(&self) -> bool {
        let mut findings = self.reading.findings.iter();
        findings.any(|finding| matches!(finding.kind, FindingKind::Locked { .. }))
    }

    /// The revision of the schema; `None` where nothing is applied.
    pub fn revision(&self) -> Option<String> {
        self.reading.revision()
    }

    /// Everything is applied and nothing is wrong.
    pub fn is_at_head(&self) -> bool {
        self.reading.is_at_head() && self.invalid.is_empty()
    }

    /// Nothing is wrong, but something may be pending.
    pub fn is_clean(&self) -> bool {
        self.reading.is_clean() && self.invalid.is_empty()
    }

    /// What is wrong, apart from what is only to be applied.
    pub fn wrong(&self) -> Vec<Outcome> {
        let findings = self.reading.findings.iter();
        let findings = findings.filter(|finding| !finding.kind.is_work());
        let indexes = self.invalid.iter().map(of_index);
        let findings = findings.map(|finding| of_finding(finding, false));
        findings.chain(indexes).collect()
    }

    /// One outcome for each revision or index that is not as it should be; one that passes where nothing is.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let is_clean = self.reading.is_clean();
        let findings = self.reading.findings.iter();
        let findings = findings.map(|finding| of_finding(finding, is_clean));
        let indexes = self.invalid.iter().map(of_index);
        let mut outcomes: Vec<Outcome> = findings.chain(indexes).collect();
        if outcomes.is_empty() {
            let revision = self.revision();
            outcomes.push(
                Outcome::pass("migrate/head", revision.as_deref().unwrap_or_default())
                    .expected("every migration is applied")
                    .actual(match &revision {
                        Some(revision) => format!("at {revision}, the head"),
                        None => "there is no migration".to_owned(),
                    }),
            );
        }
        let unseen = self.reading.unseen.iter().enumerate();
        outcomes.extend(unseen.map(|(nth, sentence)| {
            Outcome::inconclusive(format!("migrate/unseen/{nth}"), "")
                .severity(Severity::Advisory)
                .reason(sentence.clone())
        }));
        outcomes
    }
}

/// `is_clean`: what is left is only to be applied.
fn of_finding(finding: &Finding, is_clean: bool) -> Outcome {
    let revision = finding.revision.as_deref();
    let subject = finding.file.as_deref().or(revision);
    let fault = finding.kind.as_str();
    let expected = match &finding.kind {
        FindingKind::Pending | FindingKind::NotMigrated { .. } => "every migration is applied",
        FindingKind::Locked { .. } => "the tool's lock is free",
        FindingKind::Heads { .. } => "one head",
        _ => "the tables and the files have the same history",
    };
    let next = &finding.next;
    let hint = match &finding.kind {
        // Whether its tables are those of a migration is a person's to say.
        FindingKind::NotMigrated { is_empty: false } => next.clone(),
        fault if fault.is_work() && is_clean => {
            format!("`migrate run --release RELEASE` applies it; the tool alone: {next}")
        }
        fault if fault.is_work() => {
            "correct what is wrong first: `migrate run` is refused until then".to_owned()
        }
        _ => next.clone(),
    };
    Outcome::fail(id(fault, revision), subject.unwrap_or_default())
        .expected(expected)
        .actual(fault.replace('-', " "))
        .reason(finding.to_string())
        .hint(hint)
}

fn of_index(index: &InvalidIndex) -> Outcome {
    let InvalidIndex { name, table } = index;
    Outcome::fail(id("invalid-index", Some(name)), table)
        .expected("every index is valid")
        .actual("invalid")
        .reason(format!(
            "the index {name} is invalid: a concurrent build of it failed, it costs every write and is never used"
        ))
        .hint(format!(
            "`migrate repair` drops it; by hand: `DROP INDEX CONCURRENTLY {name}`"
        ))
}

fn id(fault: &str, revision: Option<&str>) -> String {
    match revision {
        Some(revision) => format!("{fault}/{revision}"),
        None => fault.to_owned(),
    }
}
