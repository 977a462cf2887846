//! What the rules find in the SQL of files, or of what is pending.

use std::path::PathBuf;

use cli::{Failure, Job};
use config::file::Migrate;
use database::{Address, System};
use ddl::lint::Ignored;
use ddl::rule::UnknownRuleError;
use ddl::{
    Catalog, Finding, Ignore, Level, LintError, Linter, Migration, NoSqlError, Options, Tool,
};
use jiff::Timestamp;
use migrator::readiness::lint_ignores;
use migrator::{MIGRATE, Session};
use model::{Outcome, Report, Severity};

use crate::status::nothing;
use migrator::ServerCatalog;
use migrator::script::{self, Text};

/// No migration is larger.
const MAX_BYTES: u64 = 4 << 20;

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// SQL files; without any, what is pending
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Do not count what this rule finds; repeatable
    #[arg(long, value_name = "RULE", requires = "reason")]
    ignore: Vec<String>,
    /// Why it does not count; it is shown
    #[arg(long, value_name = "TEXT", requires = "ignore")]
    reason: Option<String>,
    /// Write the findings as SARIF 2.1.0 to this file
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
}

/// Looks at files without a database, or at what is pending in one.
pub(crate) async fn lint(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    if flags.files.is_empty() {
        return of_pending(job, flags).await;
    }
    let started_at = Timestamp::now();
    let section = job.config.migrate()?;
    let tool = section.map_or(Tool::CommandTool, |section| Tool::named(&section.tool()));
    let options = options(section, flags)?;
    let other = section.and_then(|section| other_system(job, section));
    let mut lint = Lint::new(options, Catalog::default());
    for file in &flags.files {
        let name = file.display().to_string();
        let text = files::read_text(file, MAX_BYTES);
        let text =
            text.map_err(|error| Failure::usage(format!("{name} cannot be read: {error}")))?;
        match (&other, Migration::read(tool, name.clone(), &text)) {
            (Some(system), _) => lint.not_linted(&name, &LintError::OtherDatabase(system.clone())),
            (None, Ok(migration)) => lint.lint_migration(&Text::of_file(migration)),
            (None, Err(not_sql)) => lint.not_linted(&name, &LintError::NotSql(not_sql)),
        }
    }
    lint.report(job, flags, started_at)
}

async fn of_pending(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let mut options = options(Some(session.section), flags)?;
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => return Ok(session.report(vec![*unknown])),
    };
    if truth.reading.pending.is_empty() {
        return Ok(session.report(vec![nothing("lint", "nothing is pending")]));
    }
    if session.system() != System::Postgres {
        let mut lint = Lint::new(options, Catalog::default());
        let system = session.system().as_str().to_owned();
        lint.not_linted("", &LintError::OtherDatabase(system));
        return lint.report(job, flags, session.started_at);
    }
    let texts = match script::of_pending(&session, &truth.reading).await {
        Ok(texts) => texts,
        Err(unknown) => return Ok(session.report(vec![unavailable(&unknown.to_string())])),
    };
    let known = match ServerCatalog::read(&session).await {
        Ok(known) => known,
        Err(error) => return Err(Failure::error(error.to_string())),
    };
    options.server = known.server;
    let mut lint = Lint::new(options, known.catalog);
    for text in &texts {
        lint.lint_migration(text);
    }
    lint.report(job, flags, session.started_at)
}

/// The SQL of what is pending cannot be had.
pub(crate) fn unavailable(reason: &str) -> Outcome {
    Outcome::inconclusive("migrate/sql", "")
        .expected("the SQL of what is pending")
        .actual("not known")
        .reason(reason.to_owned())
        .hint("`migrate rehearse` shows what a migration does on a copy of the database")
}

/// The name of a database that is not PostgreSQL, where its URL is at hand.
fn other_system(job: &Job, section: &Migrate) -> Option<String> {
    let url = job.env.secret(&section.url_env)?;
    let system = Address::parse(url.expose()).ok()?.system;
    (system != System::Postgres).then(|| system.as_str().to_owned())
}

fn options(section: Option<&Migrate>, flags: &Flags) -> Result<Options, Failure> {
    let unknown = |error: UnknownRuleError, whose: &str| {
        Failure::usage(format!("{whose}: {error}"))
            .hint("the rules are listed in docs/guide/migrate.md")
    };
    let mut ignores = match section {
        Some(section) => lint_ignores(section),
        None => Ok(Vec::new()),
    }
    .map_err(|error| unknown(error, "`migrate.lint.ignore`"))?;
    for name in &flags.ignore {
        ignores.push(Ignore {
            rule: name.parse().map_err(|error| unknown(error, "`--ignore`"))?,
            files: None,
            reason: flags.reason.clone().unwrap_or_default(),
        });
    }
    Ok(Options {
        ignores,
        ..Options::default()
    })
}

/// What was found until now.
struct Lint {
    linter: Linter,
    catalog: Catalog,
    findings: Vec<Finding>,
    outcomes: Vec<Outcome>,
    looked_at: usize,
}

impl Lint {
    fn new(options: Options, catalog: Catalog) -> Lint {
        Lint {
            linter: Linter::new(options),
            catalog,
            findings: Vec::new(),
            outcomes: Vec::new(),
            looked_at: 0,
        }
    }

    fn lint_migration(&mut self, text: &Text) {
        let file = text.migration.file.clone();
        let findings = match self.linter.lint(&text.migration, &mut self.catalog) {
            Ok(findings) => findings,
            Err(not_linted) => return self.not_linted(&file, &not_linted),
        };
        self.looked_at += 1;
        let counts =
            |finding: &&Finding| finding.level == Level::Failure && finding.ignored.is_none();
        if findings.iter().find(counts).is_none() {
            let outcome = Outcome::pass(format!("lint/{file}"), &file);
            self.outcomes.push(
                outcome
                    .expected("no statement that locks, breaks or loses what others use")
                    .actual("none"),
            );
        }
        for mut finding in findings {
            let spot = text.spot(finding.place);
            let mut outcome = outcome(&finding, &spot.told);
            outcome.found_at.clone_from(&spot.found_at);
            self.outcomes.push(outcome);
            if let Some(found_at) = spot.found_at {
                if found_at.line.is_none() {
                    (finding.place, finding.end) = FIRST_LINE;
                }
                finding.file = found_at.file;
            }
            self.findings.push(finding);
        }
    }

    fn not_linted(&mut self, file: &str, why: &LintError) {
        let id = format!("lint/{file}");
        let hint = match why {
            LintError::NotSql(NoSqlError::Undoes) => {
                self.outcomes
                    .push(Outcome::skipped(id, file, why.to_string()));
                return;
            }
            LintError::NotSql(NoSqlError::Program) => {
                "`migrate lint` without files looks at the SQL that the tool prints for what is pending, where it can"
            }
            LintError::OtherDatabase(_) => "read it yourself, and try it with `migrate rehearse`",
            LintError::Unread(_) => "split the file",
        };
        self.outcomes.push(
            Outcome::inconclusive(id, file)
                .expected("SQL that the rules can be held against")
                .actual("not looked at")
                .reason(why.to_string())
                .hint(hint),
        );
    }

    fn report(
        mut self,
        job: &Job,
        flags: &Flags,
        started_at: Timestamp,
    ) -> Result<Report, Failure> {
        for ignore in self.linter.unused() {
            let files = ignore
                .files
                .as_deref()
                .map(|files| format!(" in {files}"))
                .unwrap_or_default();
            self.outcomes.push(
                Outcome::fail(format!("lint/unused-ignore/{}", ignore.rule), "")
                    .severity(Severity::Advisory)
                    .expected(format!(
                        "a finding of {}{files} that is ignored",
                        ignore.rule
                    ))
                    .actual("none")
                    .reason("the ignore fits no finding")
                    .hint("delete it"),
            );
        }
        if let Some(path) = &flags.sarif {
            let told = ddl::sarif::sarif(env!("CARGO_PKG_VERSION"), &self.findings);
            let told = serde_json::to_string_pretty(&told)
                .map_err(|error| Failure::error(error.to_string()))?;
            let told = job.redactor.redact(&told);
            state::atomic::replace(path, told.as_bytes()).map_err(|error| {
                Failure::error(format!("{} cannot be written: {error}", path.display()))
            })?;
        }
        let counted =
            |wanted: fn(&Finding) -> bool| self.findings.iter().filter(|one| wanted(one)).count();
        let failures = counted(|one| one.level == Level::Failure && one.ignored.is_none());
        let advice = counted(|one| one.level == Level::Advice && one.ignored.is_none());
        let headline = format!(
            "migrations looked at: {}; failures: {failures}, advice: {advice}",
            self.looked_at
        );
        let mut report = Report::from_outcomes(MIGRATE, started_at, self.outcomes);
        report.headline = Some(headline);
        Ok(report)
    }
}

/// Where a program's SQL is printed, the file as a whole is meant.
const FIRST_LINE: (ddl::Place, ddl::Place) = {
    let first = ddl::Place { line: 1, column: 1 };
    (first, first)
};

fn outcome(finding: &Finding, subject: &str) -> Outcome {
    let name = finding.file.rsplit('/').next().unwrap_or_default();
    let id = format!("lint/{}/{name}:{}", finding.rule, finding.place.line);
    if let Some(ignored) = &finding.ignored {
        let reason = match ignored {
            Ignored::InFile(Some(reason)) => format!("ignored in the file: {reason}"),
            Ignored::InFile(None) => "ignored in the file".to_owned(),
            Ignored::Configured(reason) => format!("ignored: {reason}"),
        };
        return Outcome::skipped(id, subject, reason);
    }
    let outcome = Outcome::fail(id, subject).reason(finding.message.clone());
    let outcome = match finding.level {
        Level::Failure => outcome,
        Level::Advice | Level::Off => outcome.severity(Severity::Advisory),
    };
    let outcome = match finding.statement.as_str() {
        "" => outcome,
        statement => outcome.actual(statement),
    };
    match &finding.way {
        Some(way) => outcome.hint(way),
        None => outcome,
    }
}
