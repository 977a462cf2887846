//! Which release answers at each entrypoint, and so whether users see the new one: SAFE or CRITICAL.

use std::time::Duration;

use cli::{Failure, Job};
use config::file;
use futures_util::future::join_all;
use model::release::Releases;
use model::{Decision, Outcome, Report, Severity, Verdict};
use state::{Document, Entry, Status};

use crate::act;
use crate::session::Session;
use target::{Entrypoint, Error, Place, PlaceAccess, QUERY_TIMEOUT, ReleaseEndpoint, kinds};

/// Answers of an entrypoint with traffic: behind one address there may be several servers, and a proxy
/// that was just reloaded has workers of before.
const ANSWERS: u32 = 5;
/// Between two of them.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a release that answers means for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Old,
    New,
    Unknown,
}

/// Asks every entrypoint, side by side, and what each place runs.
pub(crate) async fn decide(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let places = PlaceAccess::new(&job.config.hosts, &job.env);
    let Entrypoints { all, of_target } = entrypoints(&session, &places, document.as_ref()).await?;
    let asking = all.iter().map(|entrypoint| async {
        let clock = std::time::Instant::now();
        let seen = query_entrypoint(&session, &places, entrypoint, document.as_ref()).await;
        EntrypointResult {
            outcome: seen.outcome.took(clock.elapsed()),
            ..seen
        }
    });
    let behind = async {
        // The target's own entrypoints are where its traffic is looked for.
        if of_target {
            return None;
        }
        by_target(&session, &places, document.as_ref()).await
    };
    let (mut seen, behind) = tokio::join!(join_all(asking), behind);
    seen.extend(behind);
    let new: Vec<String> = seen.iter().flat_map(|seen| seen.new.clone()).collect();
    let mut report = session.report(seen.into_iter().map(|seen| seen.outcome).collect());
    let decision = match report.verdict {
        Verdict::Pass => Decision::Safe,
        Verdict::Fail => Decision::Critical,
        _ => Decision::Unknown,
    };
    let says = match decision {
        Decision::Safe => {
            "SAFE: traffic is on a good release; investigate, nothing has to be put back".to_owned()
        }
        Decision::Critical => {
            let (outcome, command, says) = plan_way_back(job, document.as_ref(), &new).await;
            report.outcomes.push(outcome);
            report
                .outputs
                .extend(command.map(|command| ("command".to_owned(), command)));
            format!("CRITICAL: traffic is on the new release; {says}")
        }
        Decision::Unknown => {
            "UNKNOWN: which release has the traffic is not known; this is not SAFE".to_owned()
        }
    };
    report.reason = format!("{says} ({})", report.reason);
    report
        .outputs
        .push(("decision".to_owned(), decision.word().to_owned()));
    report.decision = Some(decision);
    Ok(report)
}

/// What takes users back, as `plan` finds it, and so as `run` would do it: the command, or why each
/// is refused.
async fn plan_way_back(
    job: &Job,
    document: Option<&Document>,
    new: &[String],
) -> (Outcome, Option<String>, String) {
    let good = document.and_then(|document| document.last_known_good.as_ref());
    // What users must get away from may itself be the newest that was recorded good.
    let to = good
        .filter(|good| new.contains(good))
        .and_then(|good| document?.newest_good(Some(good)))
        .map(|earlier| earlier.release.clone());
    let command = match &to {
        Some(to) => format!("rollback run --to {}", remote::quote(to)),
        None => "rollback run".to_owned(),
    };
    let flags = act::Flags {
        to,
        ..act::Flags::default()
    };
    let outcome =
        |verdict| Outcome::new("decide/way-back", "", verdict).severity(Severity::Advisory);
    let expected = format!("`{command}` is not refused");
    let (reason, hint) = match Box::pin(act::plan(job, &flags)).await {
        Ok(plan) if plan.verdict == Verdict::Pass => {
            let outcome = outcome(Verdict::Pass)
                .expected(expected)
                .actual(plan.reason);
            let says = format!("`{command}` now");
            return (outcome, Some(command), says);
        }
        Ok(plan) => {
            let hint = plan.outcomes.into_iter().find_map(|outcome| outcome.hint);
            (plan.reason, hint)
        }
        Err(failure) => (failure.chain(), failure.hint),
    };
    let hint = hint.unwrap_or_else(|| "see `rollback plan`".to_owned());
    let says = format!("`{command}` is refused as it is: {reason}; {hint}");
    let outcome = outcome(Verdict::Inconclusive)
        .expected(expected)
        .actual("it is refused")
        .reason(reason)
        .hint(hint);
    (outcome, None, says)
}

/// What the target itself reports about each of its places, if it can: a single entry point does
/// not show a service that is half deployed.
async fn by_target(
    session: &Session<'_>,
    places: &PlaceAccess,
    document: Option<&Document>,
) -> Option<EntrypointResult> {
    let target = kinds::of(
        session.section,
        &session.context(places, recorded_releases(document)),
    )
    .ok()?;
    let likely = document?.last_known_good.clone()?;
    let outcome = |verdict| Outcome::new("decide/target", "", verdict).expected("a good release");
    let release = match engine::current::places(&*target, &likely).await.all {
        Ok(release) => session.redact(&release?),
        Err(error) => {
            return Some(EntrypointResult {
                outcome: outcome(Verdict::Inconclusive)
                    .actual(error.to_string())
                    .reason(format!("what the target runs is not known: {error}"))
                    .hint("see what runs there, and `rollback plan`"),
                new: Vec::new(),
            });
        }
    };
    let (meaning, known) = interpret_release(document, session.job.release.as_deref(), &release);
    let told = format!("{release} runs ({known})");
    Some(match meaning {
        Meaning::Old => EntrypointResult {
            outcome: outcome(Verdict::Pass).actual(told),
            new: Vec::new(),
        },
        Meaning::New => EntrypointResult {
            outcome: outcome(Verdict::Fail)
                .actual(told.clone())
                .reason(format!("the new release runs: {told}")),
            new: vec![release],
        },
        Meaning::Unknown => EntrypointResult {
            outcome: outcome(Verdict::Inconclusive)
                .actual(told.clone())
                .reason(format!("whether it is good is not known: {told}"))
                .hint("see `rollback history`"),
            new: Vec::new(),
        },
    })
}

/// What the state contains about each release.
fn recorded_releases(document: Option<&Document>) -> Vec<Entry> {
    document.map_or_else(Vec::new, |document| document.history.clone())
}

/// What was seen at one entrypoint: its outcome, and the new releases that users get there.
struct EntrypointResult {
    outcome: Outcome,
    new: Vec<String>,
}

/// All entrypoints, and whether the target named them.
struct Entrypoints {
    all: Vec<Entrypoint>,
    of_target: bool,
}

/// Those that are configured, otherwise those of the target, otherwise the gate's.
async fn entrypoints(
    session: &Session<'_>,
    places: &PlaceAccess,
    document: Option<&Document>,
) -> Result<Entrypoints, Failure> {
    let section = session.section;
    let context = session.context(places, recorded_releases(document));
    if !section.entrypoints.is_empty() {
        let entrypoints = section.entrypoints.iter();
        let names = || context.releases();
        return Ok(Entrypoints {
            all: entrypoints
                .filter_map(|one| configured(one, names()))
                .collect(),
            of_target: false,
        });
    }
    let target = kinds::of(section, &context).map_err(Failure::usage)?;
    let known = match target.router() {
        Some(router) => router.entrypoints().await,
        None => Ok(Vec::new()),
    };
    let known = known.map_err(|reason| {
        Failure::error(reason).hint("name the entrypoints: `rollback.entrypoints`")
    })?;
    if !known.is_empty() {
        return Ok(Entrypoints {
            all: known,
            of_target: true,
        });
    }
    let questions = ReleaseEndpoint::all_of_gate(&context);
    let questions = questions.map_err(Failure::error)?;
    if questions.is_empty() {
        return Err(Failure::usage("no source of the running release is configured")
            .hint("name the entrypoints: `rollback.entrypoints: [{ name: proxy, traffic: true, release: { url: … } }]`"));
    }
    let of_gate = |(endpoint, question): (Option<String>, ReleaseEndpoint)| Entrypoint {
        name: match endpoint {
            Some(endpoint) => format!("gate/{endpoint}"),
            None => "gate".to_owned(),
        },
        question,
        at: None,
        place: Place::Here,
        traffic: true,
        unsure: None,
    };
    Ok(Entrypoints {
        all: questions.into_iter().map(of_gate).collect(),
        of_target: false,
    })
}

fn configured(entrypoint: &file::Entrypoint, names: Releases) -> Option<Entrypoint> {
    let file::Entrypoint {
        name,
        release,
        traffic,
        via,
    } = entrypoint;
    Some(Entrypoint {
        name: name.clone(),
        question: ReleaseEndpoint {
            url: release.url.clone()?,
            headers: Vec::new(),
            source: Some(release.clone()),
            names,
        },
        at: None,
        place: via.clone().map_or(Place::Here, Place::Host),
        traffic: *traffic,
        unsure: None,
    })
}

async fn query_entrypoint(
    session: &Session<'_>,
    places: &PlaceAccess,
    entrypoint: &Entrypoint,
    document: Option<&Document>,
) -> EntrypointResult {
    let id = format!("decide/{}", entrypoint.name);
    let subject = match &entrypoint.at {
        Some(at) => format!("{} at {at}", entrypoint.question.url),
        None => entrypoint.question.url.clone(),
    };
    let good = document.and_then(|document| document.last_known_good.clone());
    let expected = match &good {
        Some(good) => format!("{good}, or another release that was recorded good"),
        None => "a release that was recorded good".to_owned(),
    };
    let (mut releases, mut silent) = (Vec::new(), None);
    for nth in 0..if entrypoint.traffic { ANSWERS } else { 1 } {
        if nth > 0 {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        match served_releases(session, places, entrypoint, document).await {
            Ok(answered) => {
                for release in answered {
                    if !releases.contains(&release) {
                        releases.push(release);
                    }
                }
            }
            Err(error) => {
                silent = Some(error);
                break;
            }
        }
    }
    let named = session.job.release.as_deref();
    let named = named.map(|release| entrypoint.question.names.named(release, ""));
    let mut worst = (Meaning::Old, String::new());
    let (mut told, mut new) = (Vec::new(), Vec::new());
    for answer in releases.into_iter().map(Ok).chain(silent.map(Err)) {
        let (meaning, words) = match answer {
            Ok(release) => {
                let release = session.redact(&release);
                let (meaning, known) = interpret_release(document, named, &release);
                if meaning == Meaning::New && entrypoint.traffic {
                    new.push(release.clone());
                }
                (meaning, format!("{release} answers ({known})"))
            }
            Err(error) => (Meaning::Unknown, error.to_string()),
        };
        // The new release in one of the answers is one user too many.
        let rank = |meaning| match meaning {
            Meaning::Old => 0,
            Meaning::Unknown => 1,
            Meaning::New => 2,
        };
        if worst.1.is_empty() || rank(meaning) > rank(worst.0) {
            worst = (meaning, words.clone());
        }
        told.push(words);
    }
    if let (Meaning::Old, Some(reason)) = (worst.0, &entrypoint.unsure) {
        let words = format!("whether others answer too is not known: {reason}");
        told.push(words.clone());
        worst = (Meaning::Unknown, words);
    }
    let told = told.join("; ");
    if !entrypoint.traffic {
        let outcome = match worst.0 {
            Meaning::Unknown => Outcome::inconclusive(id, subject)
                .severity(Severity::Advisory)
                .expected("a release")
                .actual(told)
                .reason(worst.1)
                .hint("users do not come this way; see the log of what should answer there"),
            _ => Outcome::pass(id, subject).actual(told),
        };
        return EntrypointResult { outcome, new };
    }
    let outcome = match worst.0 {
        Meaning::Old => Outcome::pass(id, subject).expected(expected).actual(told),
        Meaning::New => Outcome::fail(id, subject)
            .expected(expected)
            .actual(told)
            .reason(format!("users get the new release: {}", worst.1)),
        Meaning::Unknown => Outcome::inconclusive(id, subject)
            .expected(expected)
            .actual(told)
            .reason(format!("which release users get is not known: {}", worst.1))
            .hint("try it with `curl -i`; if users are hurt: `rollback plan`, `rollback run`"),
    };
    EntrypointResult { outcome, new }
}

/// What one answer can mean: where several of its words could be the release, each of those that
/// we know; at least one.
async fn served_releases(
    session: &Session<'_>,
    places: &PlaceAccess,
    entrypoint: &Entrypoint,
    document: Option<&Document>,
) -> Result<Vec<String>, Error> {
    let around = probe::ProbeContext {
        env: session.job.env.clone(),
        hosts: places.hosts(),
        redactor: session.job.redactor.clone(),
    };
    let named = session.job.release.clone();
    let new = named.or_else(|| document?.current.clone());
    let good = document.and_then(|document| document.last_known_good.clone());
    let source = entrypoint.question.source.as_ref();
    let exact = source.is_some_and(|source| source.jq.is_some() || source.header.is_some());
    let (mut releases, mut silent) = (Vec::new(), None);
    for likely in [good.unwrap_or_default(), new.unwrap_or_default()] {
        if exact && !releases.is_empty() {
            break;
        }
        let asked = entrypoint.question.query_from(
            &entrypoint.place,
            &around,
            entrypoint.at.as_deref(),
            &likely,
            QUERY_TIMEOUT,
        );
        match asked.await {
            Ok(release) => releases.push(release),
            Err(error) => silent = Some(error),
        }
    }
    match silent {
        Some(error) if releases.is_empty() => Err(error),
        _ => Ok(releases),
    }
}

/// What it means that users get this release; `named` is the one under suspicion.
fn interpret_release(
    document: Option<&Document>,
    named: Option<&str>,
    release: &str,
) -> (Meaning, &'static str) {
    if named == Some(release) {
        return (Meaning::New, "the release that was named");
    }
    let Some(document) = document.filter(|document| !document.history.is_empty()) else {
        return (Meaning::Unknown, "no good release was recorded");
    };
    match document.status(release) {
        Some(Status::Good) => (Meaning::Old, "recorded good"),
        Some(Status::Bad) => (Meaning::New, "recorded bad"),
        Some(Status::Pending) => (Meaning::New, "deployed and not recorded good"),
        Some(Status::RolledBack) => (Meaning::New, "left, and never recorded good"),
        // Some good release is known, and it is not this one.
        None if document.last_known_good.is_some() => (Meaning::New, "never recorded"),
        None => (Meaning::Unknown, "no good release was recorded"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn only_a_release_that_was_recorded_good_is_safe() {
        let mut document = Document::new(None, None);
        let none = interpret_release(Some(&document), None, "v1").0;
        assert_eq!(none, Meaning::Unknown);
        assert_eq!(interpret_release(None, None, "v1").0, Meaning::Unknown);
        assert_eq!(interpret_release(None, Some("v1"), "v1").0, Meaning::New);
        document.deployed("v0", Status::Bad, Timestamp::UNIX_EPOCH, None);
        assert_eq!(
            interpret_release(Some(&document), None, "v9").0,
            Meaning::Unknown
        );
        document.deployed("v1", Status::Good, Timestamp::UNIX_EPOCH, None);
        document.deployed("v2", Status::Pending, Timestamp::UNIX_EPOCH, None);
        for (release, named, meaning) in [
            ("v1", None, Meaning::Old),
            ("v1", Some("v1"), Meaning::New),
            ("v2", None, Meaning::New),
            ("v0", None, Meaning::New),
            ("v9", None, Meaning::New),
        ] {
            assert_eq!(
                interpret_release(Some(&document), named, release).0,
                meaning,
                "{release}"
            );
        }
    }
}
