//! `healthgate merge`: the reports of all shards as one verdict.

mod add;
mod part;
mod sort;

use std::path::PathBuf;

use cli::{Failure, Job};
use jiff::Timestamp;
use model::text::cut;
use model::{Id, Outcome, Report, Shard, ShardError};

use self::part::Part;
use crate::explain::read;

/// Larger than any shard's report, small enough to read hundreds of them.
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// Which reports.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Flags {
    /// The reports of all shards, as `--shard N/ALL --report FILE` wrote them, or a folder with them
    #[arg(value_name = "REPORT", required = true)]
    files: Vec<PathBuf>,
}

impl Flags {
    /// One verdict over all. An unreadable or foreign report is shown, and is not a pass.
    ///
    /// Reading may block, from a pipe forever, so it runs in a thread, where a signal ends it.
    pub(crate) async fn merge(&self, job: &Job) -> Result<Report, Failure> {
        let wanted = sort::MergeRequest {
            release: job.release.clone(),
            environment: job.environment.clone(),
        };
        let flags = self.clone();
        let reading = tokio::task::spawn_blocking(move || flags.read(&wanted));
        tokio::select! {
            merged = reading => merged.map_err(Failure::error)?,
            _ = job.interrupt.wait() => {
                Ok(Report::from_outcomes("healthgate", Timestamp::now(), Vec::new()))
            }
        }
    }

    fn read(&self, wanted: &sort::MergeRequest) -> Result<Report, Failure> {
        let mut files = Vec::new();
        for file in &self.files {
            if file.is_dir() {
                files.extend(reports_in(file)?);
            } else {
                files.push(file.clone());
            }
        }
        if files.len() > 2 * Shard::MAX_SHARDS as usize {
            return Err(Failure::usage(format!(
                "{} reports are more than there can be shards",
                files.len()
            )));
        }
        let (mut parts, mut told) = (Vec::new(), Vec::new());
        for file in files {
            let name = file.display().to_string();
            match part(name.clone(), &file) {
                Ok(part) => parts.push(part),
                Err(reason) => told.push(sort::unusable(name, reason.to_string())),
            }
        }
        Ok(merged(parts, told, wanted))
    }
}

/// The `.json` files of a folder.
fn reports_in(folder: &std::path::Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable =
        |error| Failure::usage(format!("failed to read `{}`: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        let what = format!("there is no `.json` file in `{}`", folder.display());
        return Err(Failure::usage(what));
    }
    Ok(found)
}

/// Why a report cannot be counted.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Unread(#[from] read::Error),
    #[error("it is a report of `{}`", cut(.0, 40))]
    OtherStage(String),
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error("it is damaged: the counts of `{}` cannot be true", cut(.0.as_str(), 60))]
    Counts(Id),
}

fn part(name: String, file: &std::path::Path) -> Result<Part, ReportError> {
    let read::TimedReport {
        report, started_at, ..
    } = read::read_bounded(file, MAX_REPORT_BYTES)?;
    if report.stage != "healthgate" {
        return Err(ReportError::OtherStage(report.stage));
    }
    let shard = match &report.shard {
        None => Shard { index: 1, count: 1 },
        Some(text) => text.parse()?,
    };
    if let Some(damaged) = add::damaged(&report) {
        return Err(ReportError::Counts(damaged.id.clone()));
    }
    Ok(Part {
        name,
        shard,
        started_at,
        report,
    })
}

/// Whatever the order in which they come.
fn merged(parts: Vec<Part>, told: Vec<Outcome>, wanted: &sort::MergeRequest) -> Report {
    let (parts, mut outcomes) = sort::sorted(parts, told, wanted);
    let started_at = parts.iter().map(|part| part.started_at).min();
    let started_at = started_at.unwrap_or_else(Timestamp::now);
    let end = |part: &Part| {
        let since = part.started_at.duration_since(started_at);
        let since = std::time::Duration::try_from(since).unwrap_or_default();
        since + std::time::Duration::from_millis(part.report.duration_ms)
    };
    let duration = parts.iter().map(end).max().unwrap_or_default();
    let about = parts.first().map(|part| part.report.clone());
    // If their rules differ, no rule is reported.
    let policy = about.as_ref().and_then(|about| about.policy.clone());
    let policy = policy.filter(|policy| {
        let same = |part: &Part| part.report.policy.as_ref() == Some(policy);
        parts.iter().all(same)
    });
    outcomes.extend(add::added(parts));
    let mut report = Report::from_outcomes("healthgate", started_at, outcomes);
    report
        .tables
        .extend(crate::members::table(&report.outcomes));
    report.pictures = crate::picture::charts(&report.outcomes);
    report
        .tables
        .extend(crate::slowest::slowest(&report.outcomes));
    report.duration = duration;
    report.policy = policy;
    if let Some(about) = about {
        report.service = about.service;
        report.environment = about.environment;
        report.release = about.release;
        report.release_match = about.release_match;
    }
    report
}

#[cfg(test)]
mod tests;
