//! The time in which users had a bad release, as the log and the state tell it.

use chronicle::{
    Conclusion, CountBound, Deployment, Event, Exposure, Happening, History, Incident, deployments,
};
use jiff::{SignedDuration, Timestamp};
use state::{Document, Entry, Status};

/// How long the steps of one deployment may be apart where no run names it.
const ONE_DEPLOYMENT: SignedDuration = SignedDuration::from_hours(24);
/// How long before its first step a release may have been deployed.
const DEPLOYS_WITHIN: SignedDuration = SignedDuration::from_mins(30);
/// After that another question brings nothing new: every scrape has come.
const SETTLES: SignedDuration = SignedDuration::from_mins(5);
/// Where nothing told it by then, it is not asked any more.
const ASKED_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// When users had a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposureWindow {
    pub release: String,
    /// The deployment that brought it, where one is known.
    pub deployment: Option<String>,
    pub from: Timestamp,
    pub until: Timestamp,
    /// It served nothing before.
    pub fresh: bool,
    /// It serves nothing after.
    pub gone: bool,
}

/// What the release of an incident served; until now, where users still have it. `None` where the incident names no
/// release.
pub fn of_incident(
    history: &History,
    incident: &Incident,
    document: Option<&Document>,
    now: Timestamp,
) -> Option<ExposureWindow> {
    let release = incident.subject.release.as_deref()?;
    let began = began(history, document, release, now).unwrap_or(Began {
        from: incident.opened,
        fresh: false,
        deployment: incident.subject.deployment.clone(),
    });
    let Began {
        from,
        fresh,
        deployment,
    } = began;
    let left = exposure_end(history, document, release, from);
    Some(ExposureWindow {
        release: release.to_owned(),
        deployment,
        from,
        until: left.unwrap_or(now).max(from),
        fresh,
        gone: left.is_some(),
    })
}

/// What the release served that was left at this time or later.
pub fn of_left(history: &History, document: &Document, since: Timestamp) -> Option<ExposureWindow> {
    let left = |entry: &&Entry| is_left(entry) && entry.changed_at.is_some_and(|at| at >= since);
    let entry = document.history.iter().find(left)?;
    let until = entry.changed_at?;
    let release = entry.release.as_str();
    let Began {
        from,
        fresh,
        deployment,
    } = began(history, Some(document), release, until)?;
    Some(ExposureWindow {
        release: release.to_owned(),
        deployment,
        from,
        until,
        fresh,
        gone: true,
    })
}

/// Whether it is known what it served, as well as it can be.
pub fn is_settled(history: &History, stay: &ExposureWindow, now: Timestamp) -> bool {
    if stay.gone && now.duration_since(stay.until) >= ASKED_WITHIN {
        return true;
    }
    let is_good_enough = |(at, measured): (Timestamp, &Exposure)| {
        let is_late = at.duration_since(stay.until) >= SETTLES;
        let is_whole = measured.until.is_none_or(|until| until >= stay.until);
        is_whole && (measured.bound == CountBound::Exact || is_late)
    };
    stay.gone
        && recorded_exposures(history, stay)
            .next()
            .is_some_and(is_good_enough)
}

/// What an answer is beside what the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// People should hear it.
    New,
    /// The log has the same, from before every scrape had come: it is written once more, and nothing more will come.
    Settled,
    Known,
}

/// What an answer is beside what the log has; `None` where it is not known. That it is not known is news once, and
/// never after a count.
pub fn news(
    history: &History,
    stay: &ExposureWindow,
    answer: Option<&Exposure>,
    now: Timestamp,
) -> News {
    let known = merged_exposure(history, stay);
    let is_unknown = |event: &Event| {
        let what = &event.what;
        matches!(what, Happening::ExposureMeasured { exposure: None, .. })
    };
    let counts = |one: &Exposure| (one.counts(), one.bound, one.source);
    match (answer, known) {
        (Some(answer), Some(known)) if counts(answer) == counts(&known) => {
            let is_last = stay.gone && now.duration_since(stay.until) >= SETTLES;
            if is_last { News::Settled } else { News::Known }
        }
        (None, Some(_)) => News::Known,
        (None, None) if since(history, stay).any(is_unknown) => News::Known,
        (Some(_), _) | (None, None) => News::New,
    }
}

/// What is known with this answer and what the log has.
pub fn with_known(history: &History, stay: &ExposureWindow, answer: &Exposure) -> Exposure {
    let known = merged_exposure(history, stay);
    known.map_or_else(|| answer.clone(), |known| known.or_later(answer))
}

/// What all that the log tells of it comes to.
fn merged_exposure(history: &History, stay: &ExposureWindow) -> Option<Exposure> {
    let all: Vec<&Exposure> = recorded_exposures(history, stay)
        .map(|(_, exposure)| exposure)
        .collect();
    let (oldest, later) = all.split_last()?;
    let later = later.iter().rev();
    Some(later.fold((*oldest).clone(), |known, one| known.or_later(one)))
}

/// What the log tells of it, the newest first, and when it was told.
fn recorded_exposures<'a>(
    history: &'a History,
    stay: &ExposureWindow,
) -> impl Iterator<Item = (Timestamp, &'a Exposure)> {
    since(history, stay).filter_map(|event| match &event.what {
        Happening::DeploymentEnded { exposure, .. }
        | Happening::ExposureMeasured { exposure, .. } => Some((event.at, exposure.as_ref()?)),
        _ => None,
    })
}

/// The events of the release since it came, the newest first.
fn since<'a>(history: &'a History, stay: &ExposureWindow) -> impl Iterator<Item = &'a Event> {
    let is_of = |event: &&Event| event.subject.release.as_deref() == Some(&stay.release);
    // The log of several machines is not in the order of their clocks.
    let events = history.events().rev();
    events.filter(|event| event.at >= stay.from).filter(is_of)
}

struct Began {
    from: Timestamp,
    fresh: bool,
    deployment: Option<String>,
}

/// When a release was deployed last before a time: as the log has it, else the state.
fn began(
    history: &History,
    document: Option<&Document>,
    release: &str,
    until: Timestamp,
) -> Option<Began> {
    let all = deployments(history);
    let before = all
        .iter()
        .rposition(|one| is_of(one, release) && one.started <= until);
    if let Some(nth) = before {
        let deployment = &all[nth];
        // What was deployed before it, and may serve still, is another one.
        let last = all[..nth].iter().rev().find(|one| {
            let is_gone = [Some(Conclusion::RolledBack), Some(Conclusion::Refused)];
            !is_gone.contains(&one.conclusion)
        });
        let other = deployment
            .previous
            .as_ref()
            .is_some_and(|one| one != release);
        return Some(Began {
            from: deployment.started,
            fresh: other && last.is_none_or(|one| !is_of(one, release)),
            deployment: Some(deployment.id.clone()),
        });
    }
    let good = document.and_then(|document| document.last_known_good.as_deref());
    let fresh = good.is_some_and(|good| good != release);
    let steps = history.events().filter_map(|event| {
        let is_of = event.subject.release.as_deref() == Some(release) && event.at <= until;
        match event.what {
            Happening::StageEnded { started_at, .. } if is_of => {
                Some((event.subject.deployment.clone(), started_at))
            }
            _ => None,
        }
    });
    let steps: Vec<_> = steps.collect();
    if let Some((deployment, _)) = steps.last() {
        let same = steps
            .iter()
            .filter(|(id, at)| id == deployment && until.duration_since(*at) <= ONE_DEPLOYMENT);
        if let Some(first) = same.map(|(_, at)| *at).min() {
            let deployment = deployment.clone();
            return Some(Began {
                from: before_steps(history, release, first),
                fresh,
                deployment,
            });
        }
    }
    // The state has it from when it was recorded: users had it before.
    let entry = document?.entry(release)?;
    Some(Began {
        from: entry.deployed_at.min(until),
        fresh: false,
        deployment: None,
    })
}

/// Users had the release at the earliest after this: its first step may be one that came after the deployment.
fn before_steps(history: &History, release: &str, first: Timestamp) -> Timestamp {
    let other = history.events().rev().find(|event| {
        let is_other = event
            .subject
            .release
            .as_deref()
            .is_some_and(|it| it != release);
        is_other && event.at < first
    });
    let earliest = first.checked_sub(DEPLOYS_WITHIN).unwrap_or(first);
    other.map_or(earliest, |event| event.at.max(earliest))
}

fn is_of(deployment: &Deployment, release: &str) -> bool {
    deployment.subject.release.as_deref() == Some(release)
}

fn is_left(entry: &Entry) -> bool {
    matches!(entry.status, Status::Bad | Status::RolledBack)
}

/// When users had it no more, since it was deployed at `from`, as far as that was proved.
fn exposure_end(
    history: &History,
    document: Option<&Document>,
    release: &str,
    from: Timestamp,
) -> Option<Timestamp> {
    let all = deployments(history);
    let own = all
        .iter()
        .rev()
        .find(|one| is_of(one, release) && one.started >= from);
    if let Some(deployment) = own
        && deployment.conclusion == Some(Conclusion::RolledBack)
    {
        return deployment.ended;
    }
    let document = document?;
    let current = document.current.as_deref().filter(|one| *one != release)?;
    if let Some(entry) = document.entry(release).filter(|entry| is_left(entry))
        && let Some(at) = entry.changed_at.filter(|at| *at >= from)
    {
        return Some(at);
    }
    // Another one took its place.
    let next = document.entry(current)?;
    let at = next.changed_at.into_iter().chain([next.deployed_at]);
    at.filter(|at| *at >= from).min()
}
