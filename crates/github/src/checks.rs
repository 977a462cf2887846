//! What CI reports about a commit: check runs and commit statuses.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;

use crate::client::List;
use crate::repository::step;
use crate::run_id::RunId;
use crate::{Client, Error, Needs, Repository};

/// What one check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Success,
    /// Skipped or neutral: no objection, and no proof either.
    Neutral,
    Running,
    Failure,
    /// A word that is not known here.
    Unknown,
}

/// What GitHub keeps it as. A check run and a commit status of one name are two things.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A check run, and the slug of the app that made it, such as `github-actions`.
    Run {
        app: Option<String>,
    },
    Status,
}

/// A check run or a commit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub kind: Kind,
    pub state: State,
    /// GitHub's own word for it.
    pub says: String,
    pub url: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct CheckRun {
    #[serde(default)]
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    details_url: Option<String>,
    #[serde(default)]
    started_at: Option<Timestamp>,
    #[serde(default)]
    app: Option<App>,
}

#[derive(Clone, Debug, Deserialize)]
struct App {
    slug: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    context: String,
    state: String,
    target_url: Option<String>,
}

const CHECKS: Needs = Needs::workflow(
    "read checks",
    "checks: read",
    "`checks: read` (classic token: `repo`)",
);
const STATUSES: Needs = Needs::workflow(
    "read commit statuses",
    "statuses: read",
    "`statuses: read` (classic token: `repo:status`)",
);

/// The workflow run that asks. It is not a witness for itself: what is unfinished of it cannot be
/// waited for, and an earlier attempt at the same work must not forbid the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// The run's id; `None` outside of a workflow.
    pub run: Option<RunId>,
    /// When the present attempt at the run began; `None` where it is not known.
    pub attempt_began: Option<Began>,
    /// The other runs of the same workflow for the commit that is asked about; `None` where they
    /// may not be looked up.
    pub siblings: Option<BTreeSet<RunId>>,
}

/// When an attempt at a run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Began {
    /// It is the first: all of the run is of this attempt.
    First,
    At(Timestamp),
}

impl Client {
    /// The newest check run of each app and name, and all statuses, of a commit. A commit that was
    /// named otherwise than by its id is asked for by each of its names: where a tag is moved
    /// meanwhile, neither commit's failure is missed.
    pub async fn checks(
        &self,
        repository: &Repository,
        names: &[&str],
        asker: &Asker,
    ) -> Result<Vec<Check>, Error> {
        let asking = names
            .iter()
            .map(|name| self.checks_of(repository, name, asker));
        let mut checks: Vec<Check> = Vec::new();
        for some in futures_util::future::try_join_all(asking).await? {
            for check in some {
                if !checks.contains(&check) {
                    checks.push(check);
                }
            }
        }
        Ok(checks)
    }

    async fn checks_of(
        &self,
        repository: &Repository,
        commit: &str,
        asker: &Asker,
    ) -> Result<Vec<Check>, Error> {
        let base = format!("{}/commits/{}", repository.path(), step(commit));
        let runs = format!("{base}/check-runs?filter=latest");
        let statuses = format!("{base}/status");
        let (runs, statuses): (Result<List<CheckRun>, _>, Result<List<Status>, _>) = tokio::join!(
            self.list(&runs, Some("check_runs"), CHECKS),
            self.list(&statuses, Some("statuses"), STATUSES)
        );
        let (runs, statuses) = (runs?, statuses?);
        if runs.unlisted + statuses.unlisted > 0 {
            return Err(Error::Malformed {
                reason: format!(
                    "it counts {} more checks than it shows",
                    runs.unlisted + statuses.unlisted
                ),
            });
        }
        let mut checks: Vec<Check> = counted(runs.items, asker)
            .into_iter()
            .map(Check::from)
            .collect();
        checks.extend(statuses.items.into_iter().map(|status| Check {
            name: status.context,
            kind: Kind::Status,
            state: state(&status.state),
            says: status.state,
            url: status.target_url,
        }));
        Ok(checks)
    }
}

impl From<CheckRun> for Check {
    fn from(run: CheckRun) -> Self {
        let says = run.conclusion.unwrap_or(run.status);
        Check {
            name: run.name,
            kind: Kind::Run {
                app: run.app.and_then(|app| app.slug),
            },
            state: state(&says),
            says,
            url: run.html_url.or(run.details_url),
        }
    }
}

impl CheckRun {
    /// The workflow run that it belongs to; other apps have none.
    fn workflow_run(&self) -> Option<RunId> {
        [&self.html_url, &self.details_url]
            .into_iter()
            .flatten()
            .find_map(|url| RunId::of_url(url))
    }

    fn is_completed(&self) -> bool {
        self.status == "completed"
    }

    /// The later, the newer. One that waits for its start is newer than all that have started.
    fn age(&self) -> (bool, Option<Timestamp>, u64) {
        let waits = self.started_at.is_none() && !self.is_completed();
        (waits, self.started_at, self.id)
    }

    /// Whether it says something of the commit, as a part of the very run that asks.
    fn counts_for_itself(&self, asker: &Asker) -> bool {
        let says = self.conclusion.as_deref().unwrap_or(&self.status);
        let of_this_attempt = match asker.attempt_began {
            Some(Began::First) => true,
            Some(Began::At(began)) => self.started_at.is_some_and(|at| at >= began),
            None => false,
        };
        // A job that went well is not done again by the next attempt.
        let stands = matches!(state(says), State::Success | State::Neutral);
        self.is_completed() && (stands || of_this_attempt)
    }
}

/// The newest of each app and name, without what the asker did itself, in the order given.
fn counted(runs: Vec<CheckRun>, asker: &Asker) -> Vec<CheckRun> {
    let is_own = |run: &CheckRun| asker.run.is_some() && run.workflow_run() == asker.run;
    let Some(siblings) = &asker.siblings else {
        // Which runs are of our own workflow is not known: where ours has a check of the same
        // name, the older ones are taken for its predecessors.
        return newest(runs)
            .into_iter()
            .filter(|run| !is_own(run) || run.counts_for_itself(asker))
            .collect();
    };
    let (own, others): (Vec<_>, Vec<_>) = runs.into_iter().partition(is_own);
    let is_sibling = |run: &CheckRun| run.workflow_run().is_some_and(|id| siblings.contains(&id));
    let others = others.into_iter().filter(|run| !is_sibling(run)).collect();
    let own = newest(own).into_iter();
    newest(others)
        .into_iter()
        .chain(own.filter(|run| run.counts_for_itself(asker)))
        .collect()
}

/// The newest of each app and name, as GitHub's own required checks have it. Of two that are
/// equally new the one that is not good counts.
fn newest(runs: Vec<CheckRun>) -> Vec<CheckRun> {
    let mut place: BTreeMap<(Option<String>, String), usize> = BTreeMap::new();
    let mut found: Vec<CheckRun> = Vec::new();
    for run in runs {
        let app = run.app.as_ref().and_then(|app| app.slug.clone());
        match place.get(&(app.clone(), run.name.clone())) {
            None => {
                place.insert((app, run.name.clone()), found.len());
                found.push(run);
            }
            Some(&at) => {
                let good = |run: &CheckRun| run.conclusion.as_deref() == Some("success");
                let rank = |run: &CheckRun| (run.age(), !good(run));
                if rank(&run) > rank(&found[at]) {
                    found[at] = run;
                }
            }
        }
    }
    found
}

/// GitHub's words for the status and the conclusion of a check run, and for a commit's status.
fn state(word: &str) -> State {
    match word {
        "success" => State::Success,
        "neutral" | "skipped" => State::Neutral,
        "queued" | "in_progress" | "pending" | "requested" | "waiting" => State::Running,
        "failure" | "error" | "timed_out" | "cancelled" | "action_required" | "stale"
        | "startup_failure" => State::Failure,
        _ => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// An id, an app, a name, a minute, what it says (`-` while it runs), and its workflow run.
    type Made<'a> = (u64, &'a str, &'a str, &'a str, &'a str, u64);

    fn check_run((id, app, name, minute, says, run): &Made<'_>) -> CheckRun {
        let started_at = format!("2026-11-28T10:{minute}:00Z").parse().ok();
        CheckRun {
            id: *id,
            name: (*name).to_owned(),
            status: if *says == "-" {
                "in_progress"
            } else {
                "completed"
            }
            .to_owned(),
            conclusion: (*says != "-").then(|| (*says).to_owned()),
            html_url: Some(format!(
                "https://github.com/a/b/actions/runs/{run}/job/{id}"
            )),
            details_url: None,
            started_at,
            app: Some(App {
                slug: Some((*app).to_owned()),
            }),
        }
    }

    fn told(made: &[Made<'_>], asker: &Asker) -> Vec<String> {
        let runs = made.iter().map(check_run).collect();
        counted(runs, asker)
            .into_iter()
            .map(Check::from)
            .map(|check| format!("{} {}", check.name, check.says))
            .collect()
    }

    const US: &str = "github-actions";

    #[test]
    fn the_newest_of_each_app_and_name_counts_whatever_the_order() {
        let runs: [Made<'_>; 6] = [
            (1, US, "build", "01", "cancelled", 1),
            (3, US, "build", "05", "success", 2),
            (2, US, "build", "03", "failure", 3),
            (4, "circleci", "build", "01", "failure", 0),
            (6, US, "lint", "09", "success", 2),
            (7, US, "lint", "09", "failure", 3),
        ];
        let mut all = told(&runs, &Asker::default());
        assert_eq!(all, ["build success", "build failure", "lint failure"]);
        let mut reversed = runs;
        reversed.reverse();
        let mut backwards = told(&reversed, &Asker::default());
        all.sort();
        backwards.sort();
        assert_eq!(all, backwards);
        // One that waits for its start is the newest.
        let mut waits = check_run(&(9, US, "lint", "", "-", 4));
        waits.status = "queued".into();
        let runs = [&runs[4], &runs[5]]
            .map(check_run)
            .into_iter()
            .chain([waits]);
        let newest = newest(runs.collect());
        assert_eq!((newest.len(), newest[0].id), (1, 9));
    }

    #[test]
    fn our_own_workflow_is_no_witness_and_another_one_of_its_names_is() {
        let runs: [Made<'_>; 5] = [
            (1, US, "build", "01", "failure", 5),
            (2, US, "deploy", "02", "failure", 7),
            (3, US, "notify", "03", "failure", 7),
            (4, US, "build", "08", "success", 8),
            (5, US, "deploy", "09", "-", 8),
        ];
        let mut asker = Asker {
            run: Some(RunId::from(8)),
            ..Asker::default()
        };
        // By names alone: `notify` is not known to be ours, and `build` seems to be replaced.
        assert_eq!(told(&runs, &asker), ["build success", "notify failure"]);
        asker.siblings = Some(BTreeSet::from([RunId::from(7)]));
        assert_eq!(told(&runs, &asker), ["build failure", "build success"]);
    }

    #[test]
    fn an_earlier_attempt_at_our_run_forbids_nothing_and_this_one_does() {
        let runs: [Made<'_>; 3] = [
            (1, US, "test", "01", "success", 8),
            (2, US, "notify", "02", "failure", 8),
            (3, US, "e2e", "07", "failure", 8),
        ];
        let began = |attempt_began| Asker {
            run: Some(RunId::from(8)),
            attempt_began,
            siblings: None,
        };
        let at = Began::At("2026-11-28T10:05:00Z".parse().unwrap());
        assert_eq!(
            told(&runs, &began(Some(at))),
            ["test success", "e2e failure"]
        );
        assert_eq!(told(&runs, &began(None)), ["test success"]);
        assert_eq!(told(&runs, &began(Some(Began::First))).len(), 3);
    }
}
