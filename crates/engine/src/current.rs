//! What runs now. The target's places are asked, and where they cannot tell, the service through
//! the gate's own probes; where neither answers, what was named and what the state recorded have
//! to do.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use target::{Context, Error, ReleaseEndpoint, Target, Transition};

/// How long a place may take to report its running release.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// What the places say that they run.
#[derive(Clone, Debug)]
pub struct PlaceAnswers {
    /// Of all of them: the release to leave, where one runs another than the destination; `None`
    /// where the target cannot tell.
    pub all: Result<Option<String>, Error>,
    /// What each said, by its step's name.
    pub at: BTreeMap<String, String>,
}

/// Asks every step's place, side by side.
pub async fn places(target: &dyn Target, destination: &str) -> PlaceAnswers {
    let steps = target.steps(Transition::to(destination));
    let asking = steps.iter().map(|step| async move {
        let asked = tokio::time::timeout(QUERY_TIMEOUT, target.current(step, destination)).await;
        (step, asked.unwrap_or_else(|_| Err(late(QUERY_TIMEOUT))))
    });
    let mut at = BTreeMap::new();
    let (mut silent, mut unable) = (None, false);
    for (step, asked) in join_all(asking).await {
        match asked {
            Ok(Some(release)) => {
                at.insert(step.name.clone(), release);
            }
            Ok(None) => unable = true,
            Err(error) if steps.len() > 1 => silent = silent.or(Some(error.at(&step.place))),
            Err(error) => silent = silent.or(Some(error)),
        }
    }
    // What most places run that do not run the destination is what there is to leave.
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for release in at.values().filter(|release| *release != destination) {
        *others.entry(release).or_default() += 1;
    }
    let other = others.into_iter().max_by_key(|(_, count)| *count);
    let all = match (other, silent) {
        (Some((other, _)), _) => Ok(Some(other.to_owned())),
        (None, Some(error)) => Err(error),
        (None, None) if unable || at.is_empty() => Ok(None),
        (None, None) => Ok(Some(destination.to_owned())),
    };
    PlaceAnswers { all, at }
}

/// The error for a place that did not answer in time.
pub fn late(within: Duration) -> Error {
    Error::Late {
        what: "no answer",
        within,
    }
}

/// Whether several releases may run side by side: on several places, or behind one front door.
fn several(target: &dyn Target, destination: &str) -> bool {
    let steps = target.steps(Transition::to(destination));
    target.capabilities().splits_traffic || steps.len() > 1
}

/// What was answered just now.
#[derive(Clone, Debug)]
pub enum ReleaseAnswer {
    /// The release, and the source that reports it.
    Given {
        release: String,
        evidence: &'static str,
    },
    /// A source was asked and did not answer.
    Missing(Error),
    /// No source can be asked.
    NoSource,
}

/// Asks the target, then the service; `likely` is the release that is probably there. Also what
/// each place said, by its step's name.
pub async fn current_releases(
    target: Option<&dyn Target>,
    context: &Context<'_>,
    likely: &str,
) -> (ReleaseAnswer, BTreeMap<String, String>) {
    let (all, at) = match target {
        Some(target) => {
            let PlaceAnswers { all, at } = places(target, likely).await;
            (all, at)
        }
        None => (Ok(None), BTreeMap::new()),
    };
    let silent = match all {
        Ok(Some(release)) => {
            let evidence = "the target reports it";
            return (ReleaseAnswer::Given { release, evidence }, at);
        }
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let answer = match (ReleaseEndpoint::query_gate(context, likely).await, silent) {
        (None, None) => ReleaseAnswer::NoSource,
        // One answer through the front door proves nothing about the others.
        (Some(Ok(release)), Some(error))
            if release == likely && target.is_some_and(|target| several(target, likely)) =>
        {
            ReleaseAnswer::Missing(error)
        }
        (Some(Ok(release)), _) => ReleaseAnswer::Given {
            release,
            evidence: "the service reports it",
        },
        // The target's own reason says more.
        (_, Some(error)) | (Some(Err(error)), None) => ReleaseAnswer::Missing(error),
    };
    (answer, at)
}

/// The release that an operation leaves, and how that is known.
#[derive(Clone, Debug)]
pub struct CurrentRelease {
    /// `None` where it is not known.
    pub release: Option<String>,
    /// How it is known, in words.
    pub evidence: String,
    /// What each place said, by its step's name.
    pub at: BTreeMap<String, String>,
    answer: ReleaseAnswer,
}

impl CurrentRelease {
    /// What runs is known, and nothing is asked.
    pub fn known(release: String, evidence: &str) -> CurrentRelease {
        CurrentRelease {
            release: Some(release),
            evidence: evidence.to_owned(),
            at: BTreeMap::new(),
            answer: ReleaseAnswer::NoSource,
        }
    }

    /// The release that runs now: by the target, by the service, `named` by the user, `recorded` in the
    /// state.
    pub async fn find(
        target: &dyn Target,
        context: &Context<'_>,
        destination: &str,
        named: Option<String>,
        recorded: Option<String>,
    ) -> CurrentRelease {
        let (mut answer, at) = current_releases(Some(target), context, destination).await;
        let is_named = named.is_some();
        let believed = named.or(recorded).filter(|release| release != destination);
        let (release, evidence) = match &mut answer {
            ReleaseAnswer::Given { release, evidence } => {
                // It goes into state and journal: whatever the service calls itself, without
                // secrets.
                *release = context.redactor.redact(release);
                (Some(release.clone()), (*evidence).to_owned())
            }
            // What does not answer is not the healthy destination.
            ReleaseAnswer::Missing(error) => (believed, format!("it cannot be queried: {error}")),
            ReleaseAnswer::NoSource if is_named && believed.is_some() => {
                (believed, "`--release`".to_owned())
            }
            ReleaseAnswer::NoSource => (
                believed.or(Some(destination.to_owned())),
                "the state records it".to_owned(),
            ),
        };
        CurrentRelease {
            release,
            evidence,
            at,
            answer,
        }
    }

    /// Whether its place or the service itself reported the release, and not only a record or a person.
    pub fn is_seen(&self) -> bool {
        matches!(self.answer, ReleaseAnswer::Given { .. })
    }

    /// Whether a step that its journal says is done is so still: its place may have been deployed to
    /// since. Recording a deployment ends the journal, so where no source can be queried it still holds.
    pub(crate) fn still(&self, step: &str, destination: &str) -> bool {
        match (self.at.get(step), &self.answer) {
            (Some(release), _) | (None, ReleaseAnswer::Given { release, .. }) => {
                release == destination
            }
            (None, ReleaseAnswer::NoSource) => true,
            (None, ReleaseAnswer::Missing(_)) => false,
        }
    }
}
