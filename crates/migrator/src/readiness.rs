//! Whether a database is ready for what is pending: each question gives one outcome.

use std::time::Duration;

use cli::{Failure, Job};
use config::file::Migrate;
use database::{System, literal, pg_facts};
use ddl::lint::Ignored;
use ddl::rule::UnknownRuleError;
use ddl::{Level, Linter, Options, Work};
use model::text::bytes;
use model::{Outcome, Verdict};
use state::Document;
use tokio::sync::OnceCell;

use crate::effect;
use crate::readiness_error::ReadinessError;
use crate::rehearsed;
use crate::script::{self, Text};
use crate::server_catalog::ServerCatalog;
use crate::session::Session;
use crate::truth::SchemaState;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadinessCheck {
    /// Tables and files tell the same history.
    History,
    /// The SQL of what is pending passes the rules.
    Lint,
    /// What is pending was tried on a copy, where the section wants it.
    Rehearsed,
    /// No transaction is open for long.
    Transactions,
    /// The replicas follow.
    Replicas,
    /// Which tables would be written again, and how large they are.
    Rewrites,
}

impl ReadinessCheck {
    pub const ALL: [ReadinessCheck; 6] = [
        ReadinessCheck::History,
        ReadinessCheck::Lint,
        ReadinessCheck::Rehearsed,
        ReadinessCheck::Transactions,
        ReadinessCheck::Replicas,
        ReadinessCheck::Rewrites,
    ];

    /// Its part of an outcome's id.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadinessCheck::History => "history",
            ReadinessCheck::Lint => "lint",
            ReadinessCheck::Rehearsed => "rehearsed",
            ReadinessCheck::Transactions => "transactions",
            ReadinessCheck::Replicas => "replicas",
            ReadinessCheck::Rewrites => "rewrites",
        }
    }
}

impl ReadinessCheck {
    /// What must be so.
    fn expected(self) -> &'static str {
        match self {
            ReadinessCheck::History => {
                "the tables and the files of the migrations have the same history"
            }
            ReadinessCheck::Lint => "no pending statement locks, breaks or loses what others use",
            ReadinessCheck::Rehearsed => {
                "what is pending was rehearsed, where `rehearse.required` wants it"
            }
            ReadinessCheck::Transactions => {
                "no transaction is open for longer than `max-transaction`"
            }
            ReadinessCheck::Replicas => "no replica is further behind than `max-lag`",
            ReadinessCheck::Rewrites => "it is known which tables are written again",
        }
    }

    /// Where to look.
    fn hint(self) -> &'static str {
        match self {
            ReadinessCheck::History => "`migrate status` shows each revision",
            ReadinessCheck::Lint => "`migrate lint` shows each finding with the safe way",
            ReadinessCheck::Rehearsed => "`migrate rehearse` tries it on a copy",
            ReadinessCheck::Transactions => {
                "let it end, or end it: `SELECT pg_terminate_backend(PROCESS)`; a change of the schema waits for it"
            }
            ReadinessCheck::Replicas => {
                "wait until the replicas follow: `SELECT * FROM pg_stat_replication`"
            }
            ReadinessCheck::Rewrites => "`migrate plan` shows each statement",
        }
    }
}

/// Bounds of what is let through.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub max_transaction: Duration,
    pub max_lag: Duration,
}

/// The questions of one job. What several of them need is looked at once.
pub struct Readiness<'a> {
    job: &'a Job,
    bounds: Bounds,
    looked: OnceCell<Result<DatabaseView<'a>, Outcome>>,
    texts: OnceCell<Result<Vec<Text>, ReadinessError>>,
    known: OnceCell<Result<ServerCatalog, ReadinessError>>,
}

/// The database as it was found.
struct DatabaseView<'a> {
    session: Session<'a>,
    document: Option<Document>,
    truth: SchemaState,
}

impl<'a> Readiness<'a> {
    pub fn new(job: &'a Job, bounds: Bounds) -> Self {
        Readiness {
            job,
            bounds,
            looked: OnceCell::new(),
            texts: OnceCell::new(),
            known: OnceCell::new(),
        }
    }

    /// The outcome of one question; `id` is its own.
    pub async fn evaluate(&self, question: ReadinessCheck, id: String) -> Outcome {
        let outcome = match self.looked.get_or_init(|| read_database(self.job)).await {
            Ok(looked) => self.check(looked, question).await,
            Err(unknown) => unknown.clone(),
        };
        Outcome {
            id: id.into(),
            expected: outcome
                .expected
                .or_else(|| Some(question.expected().to_owned())),
            actual: outcome.actual.or_else(|| Some("not known".to_owned())),
            hint: outcome.hint.or_else(|| Some(question.hint().to_owned())),
            ..outcome
        }
    }

    async fn check(&self, looked: &DatabaseView<'a>, question: ReadinessCheck) -> Outcome {
        let DatabaseView {
            session,
            document,
            truth,
        } = looked;
        let subject = session.database.address.to_string();
        let outcome = |verdict: Verdict| Outcome::new("", subject.clone(), verdict);
        let found = match question {
            ReadinessCheck::History => return history(truth),
            ReadinessCheck::Rehearsed => {
                return match rehearsed::required(session, document.as_ref(), truth).await {
                    Ok(None) => {
                        outcome(Verdict::Pass).actual("nothing that is required is missing")
                    }
                    Ok(Some(refusal)) => Outcome {
                        verdict: Verdict::Fail,
                        ..refusal
                    },
                    Err(failure) => outcome(Verdict::Error).reason(failure.chain()),
                };
            }
            ReadinessCheck::Lint | ReadinessCheck::Rewrites if truth.reading.pending.is_empty() => {
                return outcome(Verdict::Pass).actual("nothing is pending");
            }
            _ if session.system() != System::Postgres => {
                let reason = format!("{} is not queried for it", session.system().as_str());
                return Outcome::skipped("", subject, reason);
            }
            ReadinessCheck::Lint => self.lint(looked).await,
            ReadinessCheck::Rewrites => self.rewrites(looked).await,
            ReadinessCheck::Transactions => transactions(session, self.bounds).await,
            ReadinessCheck::Replicas => replicas(session, self.bounds).await,
        };
        match found {
            Ok(CheckResult {
                verdict,
                actual,
                reason,
            }) => {
                let outcome = outcome(verdict).actual(actual);
                match reason {
                    Some(reason) => outcome.reason(reason),
                    None => outcome,
                }
            }
            Err(unknown) => outcome(Verdict::Error).reason(unknown.to_string()),
        }
    }

    /// The SQL of what is pending.
    async fn texts(&self, looked: &DatabaseView<'a>) -> Result<&[Text], ReadinessError> {
        let DatabaseView { session, truth, .. } = looked;
        let reading = || script::of_pending(session, &truth.reading);
        let texts = self.texts.get_or_init(reading).await.as_ref();
        texts.map(Vec::as_slice).map_err(Clone::clone)
    }

    async fn server_catalog(
        &self,
        looked: &DatabaseView<'a>,
    ) -> Result<&ServerCatalog, ReadinessError> {
        let reading = || async {
            ServerCatalog::read(&looked.session)
                .await
                .map_err(ReadinessError::from)
        };
        let known = self.known.get_or_init(reading).await.as_ref();
        known.map_err(Clone::clone)
    }

    async fn lint(&self, looked: &DatabaseView<'a>) -> Result<CheckResult, ReadinessError> {
        let texts = match self.texts(looked).await {
            Ok(texts) => texts,
            Err(unknown) => {
                return Ok(CheckResult {
                    verdict: Verdict::Inconclusive,
                    actual: "not known".to_owned(),
                    reason: Some(unknown.to_string()),
                });
            }
        };
        let known = self.server_catalog(looked).await?;
        let ignores = lint_ignores(looked.session.section)?;
        let server = known.server;
        let mut catalog = known.catalog.clone();
        let linter = Linter::new(Options {
            ignores,
            server,
            ..Options::default()
        });
        let mut failures = Vec::new();
        for Text { migration, .. } in texts {
            let found = linter.lint(migration, &mut catalog)?;
            let counts = found.into_iter().filter(|one| {
                one.level == Level::Failure
                    && !matches!(
                        one.ignored,
                        Some(Ignored::InFile(_) | Ignored::Configured(_))
                    )
            });
            failures.extend(
                counts.map(|one| format!("{}:{} {}", migration.file, one.place.line, one.rule)),
            );
        }
        Ok(match &failures[..] {
            [] => CheckResult::pass("no statement that locks, breaks or loses what others use"),
            failures => CheckResult::fail(
                format!("findings: {}", failures.len()),
                failures
                    .iter()
                    .take(3)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        })
    }

    async fn rewrites(&self, looked: &DatabaseView<'a>) -> Result<CheckResult, ReadinessError> {
        let texts = self.texts(looked).await?;
        let known = self.server_catalog(looked).await?;
        let effects = effect::of_texts(texts, known)?;
        let mut tables: Vec<String> = Vec::new();
        for statement in effects
            .iter()
            .flatten()
            .filter(|one| one.work() == Work::Rewrite)
        {
            for touched in &statement.touched {
                let name = touched.relation.to_string();
                if !tables.contains(&name) {
                    tables.push(name);
                }
            }
        }
        let postgres = looked.session.database.postgres().await?;
        let (mut total, mut named) = (0, Vec::new());
        for table in tables {
            let sql = format!(
                "SELECT pg_total_relation_size(to_regclass({}))",
                literal(System::Postgres, &table)
            );
            let size = postgres.rows(&sql).await?;
            let size = size
                .first_cell()
                .and_then(|size| size.parse().ok())
                .unwrap_or(0_u64);
            total += size;
            named.push(format!("{table} ({})", bytes(size)));
        }
        Ok(match &named[..] {
            [] => CheckResult::pass("no table is written again"),
            named => CheckResult::pass(format!(
                "{} is written again: the server needs {} more for as long",
                named.join(", "),
                bytes(total)
            )),
        })
    }
}

async fn read_database(job: &Job) -> Result<DatabaseView<'_>, Outcome> {
    let unknown = |failure: Failure| Outcome {
        hint: failure.hint.clone(),
        ..Outcome::error("", "migrate").reason(failure.chain())
    };
    let session = Session::open(job).map_err(unknown)?;
    let document = session.read().await.map_err(unknown)?;
    let truth = session.truth().await.map_err(|unknown| *unknown)?;
    Ok(DatabaseView {
        session,
        document,
        truth,
    })
}

/// The first thing that is wrong, apart from what is only to be applied.
fn history(truth: &SchemaState) -> Outcome {
    let mut wrong = truth.wrong().into_iter();
    match wrong.next() {
        None => Outcome::pass("history", truth.revision().unwrap_or_default())
            .actual(format!("pending: {}", truth.reading.pending.len())),
        Some(first) => {
            let more = wrong.count();
            let reason = first.reason.clone().unwrap_or_default();
            let reason = if more == 0 {
                reason
            } else {
                format!("{reason}; and {more} more")
            };
            first.reason(reason)
        }
    }
}

/// What was found.
struct CheckResult {
    verdict: Verdict,
    actual: String,
    reason: Option<String>,
}

impl CheckResult {
    fn pass(actual: impl Into<String>) -> CheckResult {
        CheckResult {
            verdict: Verdict::Pass,
            actual: actual.into(),
            reason: None,
        }
    }

    fn fail(actual: impl Into<String>, reason: String) -> CheckResult {
        CheckResult {
            verdict: Verdict::Fail,
            actual: actual.into(),
            reason: Some(reason),
        }
    }
}

/// The findings that do not count, as the section has them.
///
/// # Errors
/// Returns the first name that is not a rule's.
pub fn lint_ignores(section: &Migrate) -> Result<Vec<ddl::Ignore>, UnknownRuleError> {
    let ignores = section.lint.ignore.iter().map(|ignore| {
        Ok(ddl::Ignore {
            rule: ignore.rule.parse()?,
            files: ignore.file.clone(),
            reason: ignore.reason.clone(),
        })
    });
    ignores.collect()
}

async fn transactions(
    session: &Session<'_>,
    bounds: Bounds,
) -> Result<CheckResult, ReadinessError> {
    let postgres = session.database.postgres().await?;
    let open = pg_facts::long_transactions(&postgres, bounds.max_transaction.as_secs());
    let open = open.await?;
    Ok(match open.first() {
        None => CheckResult::pass("none is open for long"),
        Some(first) => CheckResult::fail(
            format!("open: {}", open.len()),
            format!(
                "process {} of {} ({}) has a transaction open for {}s: {}",
                first.process, first.user, first.application, first.open, first.statement
            ),
        ),
    })
}

async fn replicas(session: &Session<'_>, bounds: Bounds) -> Result<CheckResult, ReadinessError> {
    let postgres = session.database.postgres().await?;
    let lag = pg_facts::replication_lag(&postgres).await?;
    Ok(match lag {
        None => CheckResult::pass("no replica is behind"),
        Some(lag) if lag <= bounds.max_lag.as_secs_f64() => {
            CheckResult::pass(format!("{lag:.1}s behind"))
        }
        Some(lag) => CheckResult::fail(
            format!("{lag:.1}s behind"),
            format!("{lag:.1}s > max-lag ({}s)", bounds.max_lag.as_secs()),
        ),
    })
}
