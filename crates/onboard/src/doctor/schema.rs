//! The database of `migrate:`: whether its tables and the migration files can be read.

use cli::Job;
use migrator::Session;
use model::{Outcome, Severity, StageName, Verdict};

use super::finding::Finding;

const ID: &str = "database/migrations";

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    if !matches!(job.config.migrate(), Ok(Some(_))) {
        return Vec::new();
    }
    let expected = "the tables and the files of the migrations can be read";
    let unread = |subject: String, reason: String, hint: Option<String>| {
        let hint = hint.unwrap_or_else(|| "`migrate status` shows more".to_owned());
        let outcome = Outcome::fail(ID, subject)
            .expected(expected)
            .reason(reason)
            .hint(hint);
        Finding::new(outcome, &[StageName::Migrate, StageName::Run])
    };
    let session = match Session::open(job) {
        Ok(session) => session,
        Err(failure) => return vec![unread("migrate".to_owned(), failure.chain(), failure.hint)],
    };
    let subject = session.database.address.to_string();
    let truth = match session.truth().await {
        Ok(truth) => truth,
        Err(unknown) => {
            let reason = unknown.reason.unwrap_or_default();
            return vec![unread(subject, reason, unknown.hint)];
        }
    };
    let revision = truth
        .revision()
        .unwrap_or_else(|| "nothing is applied".to_owned());
    let outcome = Outcome::pass(ID, subject)
        .expected(expected)
        .actual(revision);
    let mut findings = vec![Finding::new(outcome, &[])];
    // What is wrong stops a migration and nothing else.
    for wrong in truth.wrong() {
        let outcome = Outcome {
            id: format!("database/{}", wrong.id).into(),
            severity: Severity::Advisory,
            verdict: Verdict::Fail,
            ..wrong
        };
        findings.push(Finding::new(outcome, &[StageName::Migrate]));
    }
    findings
}
