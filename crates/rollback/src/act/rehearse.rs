//! The whole way back without a change: everything is read, rendered and checked on every host,
//! each part timed, and the whole estimated against `rollback.slo`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cli::force::Lifting;
use cli::{Failure, Job};
use config::file::Healthgate;
use engine::{Plan, PlannedStep};
use jiff::Timestamp;
use model::report::Bar;
use model::text::span;
use model::{Id, Outcome, Report, Severity, Verdict};
use state::Document;
use state::journal::Event;
use state::journal::ROLLBACK;

use super::ends::Findings;
use super::prove::{ProvedPlan, unready};
use super::{Rollback, Situation};
use crate::refuse;
use crate::session::Session;
use crate::unlock::{self, Drill};
use crate::view;
use operation::standby::{asked_at_once, reads};

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// Rehearse going to this release. Default: last-known-good, or where that is what runs the
    /// newest good release before it
    #[arg(long, value_name = "RELEASE")]
    to: Option<String>,
}

/// How long each part took, or would take.
#[derive(Debug, Default)]
struct Timings {
    asking: Duration,
    checking: Duration,
    /// Bringing images and the like to their places, and backups: nothing of it is done now, so it
    /// is what it took the last time beyond the checks.
    preparing: Duration,
    switching: Duration,
    verifying: Duration,
}

impl Timings {
    fn total(&self) -> Duration {
        let Timings {
            asking,
            checking,
            preparing,
            switching,
            verifying,
        } = self;
        *asking + *checking + *preparing + *switching + *verifying
    }
}

pub(crate) async fn rehearse(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let clock = Instant::now();
    let session = Session::open(job)?;
    let Some(document) = session.read().await? else {
        return Ok(session.report(vec![view::nothing_recorded(session.store.place())]));
    };
    if let Some(outcome) = busy(&session, &document).await? {
        return Ok(session.report(vec![outcome]));
    }
    let to = whereto(&session, &document, flags).await?;
    let mut force = Lifting::new(Vec::new());
    let destination = match refuse::destination(Some(&document), to.as_deref(), &mut force) {
        Ok(destination) => destination,
        Err(outcome) => return Ok(session.report(vec![*outcome])),
    };
    let rollback = Rollback::new(&session, &destination, Some(&document))?;
    let target = rollback.target()?;
    let situation = rollback.situation(&*target, document).await;
    if let Some(outcome) = rollback.already_there(&situation) {
        return Ok(session.report(vec![outcome]));
    }
    let mut parts = Timings {
        asking: clock.elapsed(),
        ..Timings::default()
    };
    let begun = Instant::now();
    let ProvedPlan { plan, bars, .. } = match rollback.prove(&*target, &situation, force).await {
        Ok(proved) => proved,
        Err(refusals) => return Ok(session.report(refusals)),
    };
    parts.checking = begun.elapsed();
    let mut outcomes = vec![
        Outcome::pass("rehearse/destination", &destination)
            .actual(format!(
                "from {} ({}) to {destination}",
                state::release_shown(plan.from()),
                plan.evidence()
            ))
            .took(parts.asking),
    ];
    let past = LastTimings::of(&session).await?;
    let (steps, switching) = switches(&rollback, &plan, &bars, &past.steps);
    outcomes.extend(steps);
    parts.switching = switching;
    parts.preparing = past
        .preparing
        .unwrap_or_default()
        .saturating_sub(parts.checking);
    if let Some(gate) = session.gate() {
        let begun = Instant::now();
        outcomes.extend(rollback.measure_gate_once(gate).await);
        parts.verifying = verifying(gate, begun.elapsed());
    }
    outcomes.push(estimate(&session, &destination, &parts));
    let verdict = Verdict::of(outcomes.iter().map(Outcome::weighs));
    let drill = Drill {
        destination: &destination,
        takes: parts.total(),
    };
    outcomes.push(record(&session, verdict, drill).await?);
    let mut report = session.report(outcomes);
    let found = Findings {
        outcomes: Vec::new(),
        timeline: bars,
        places: Vec::new(),
    };
    found.illustrate(&mut report);
    if report.verdict == Verdict::Pass {
        report.reason = format!(
            "a rollback to {destination} would take about {} of {}; nothing was changed",
            span(parts.total()),
            session.section.slo
        );
    }
    Ok(report)
}

/// Where to: a service that says otherwise knows better than the record what it would leave.
async fn whereto(
    session: &Session<'_>,
    document: &Document,
    flags: &Flags,
) -> Result<Option<String>, Failure> {
    if flags.to.is_some() {
        return Ok(flags.to.clone());
    }
    let Some(likely) = backwards(document, document.current.as_deref()) else {
        return Ok(None);
    };
    let rollback = Rollback::new(session, &likely, Some(document))?;
    let target = rollback.target()?;
    let Situation { current, .. } = rollback.situation(&*target, document.clone()).await;
    if current.release.as_ref() == Some(&likely) {
        return Ok(backwards(document, Some(&likely)));
    }
    Ok(Some(likely.clone()))
}

/// The steps, and how long making all of them would take, batch by batch.
fn switches(
    rollback: &Rollback<'_>,
    plan: &Plan,
    bars: &[Bar],
    past: &BTreeMap<String, Duration>,
) -> (Vec<Outcome>, Duration) {
    let (session, destination) = (rollback.session, rollback.destination);
    let mut outcomes = Vec::new();
    let mut switching = Vec::new();
    for PlannedStep { step, ready } in plan.steps() {
        let took = took(bars, &step.place);
        let known = past.get(&step.name).copied();
        switching.push(known.unwrap_or(took));
        let id = format!("rehearse/{}", step.name);
        let outcome = match ready {
            Ok(does) => {
                let mut actual = format!("would {does}");
                let _ = match known {
                    Some(known) => write!(actual, "; took {} last time", span(known)),
                    None => write!(actual, "; never made yet, estimated by its check's time"),
                };
                Outcome::pass(id, destination).actual(actual)
            }
            Err(error) => unready(id, destination, error.to_string()),
        };
        outcomes.push(outcome.took(took));
    }
    let batch = session.section.batch.at_most(switching.len()).max(1);
    let batches = switching.chunks(batch);
    let slowest = |batch: &[Duration]| batch.iter().max().copied().unwrap_or_default();
    (outcomes, batches.map(slowest).sum())
}

/// The release to go back to from `runs`.
fn backwards(document: &Document, runs: Option<&str>) -> Option<String> {
    let good = document.last_known_good.clone();
    let good = good.filter(|good| Some(good.as_str()) != runs);
    good.or_else(|| Some(document.newest_good(runs)?.release.clone()))
        .or_else(|| document.last_known_good.clone())
}

/// The refusal where a rollback is being made or was interrupted.
async fn busy(session: &Session<'_>, document: &Document) -> Result<Option<Outcome>, Failure> {
    if let Some(lock) = &document.lock
        && let fate = session.job.fate(lock).await
        && fate.is_in_the_way()
    {
        return Ok(Some(
            Outcome::refused(Id::refused("locked"), lock.holder.to_string())
                .reason(format!("locked by {}, {}", lock.holder, fate.reason()))
                .hint("rehearse when it has ended; see `rollback status`"),
        ));
    }
    let unfinished = session.store.unfinished(ROLLBACK).await?;
    Ok(unfinished.map(|journal| journal.refuse_beside()))
}

/// How long it took the last time.
#[derive(Default)]
struct LastTimings {
    /// From the first check to the first step.
    preparing: Option<Duration>,
    steps: BTreeMap<String, Duration>,
}

impl LastTimings {
    async fn of(session: &Session<'_>) -> Result<Self, Failure> {
        let mut past = LastTimings::default();
        let between = |from: Timestamp, to: Timestamp| -> Duration {
            to.duration_since(from).try_into().unwrap_or_default()
        };
        for (_, lines) in session.store.journals().await? {
            // How long a change of traffic took says nothing about a rollback.
            let first = lines.first().map(|line| &line.event);
            if let Some(Event::Begin {
                operation: Some(_), ..
            }) = first
            {
                continue;
            }
            let mut begun = BTreeMap::new();
            for line in lines {
                match line.event {
                    Event::Begin {
                        started: Some(at), ..
                    } => past.preparing = Some(between(at, line.at)),
                    Event::Intent { step, .. } => drop(begun.insert(step, line.at)),
                    Event::Done { step } => {
                        if let Some(at) = begun.remove(&step) {
                            past.steps.insert(step, between(at, line.at));
                        }
                    }
                    _ => (),
                }
            }
        }
        Ok(past)
    }
}

/// How long the gate takes where all is well, if one answer of each probe took `answer`.
fn verifying(gate: &Healthgate, answer: Duration) -> Duration {
    let probes = gate.http.iter().map(|probe| probe.policy.as_ref());
    let policies = probes.chain([None]).map(|own| gate.policy.with(own));
    let longest = policies.map(|policy| {
        let more = policy.success_threshold.max(policy.min_samples).max(1) - 1;
        policy.initial_delay.get() + policy.interval.get() * more + policy.soak.get()
    });
    answer + longest.max().unwrap_or_default()
}

fn estimate(session: &Session<'_>, destination: &str, parts: &Timings) -> Outcome {
    let slo = session.section.slo;
    let actual = format!(
        "about {}: querying {}, checking {}, preparing and backup {}, switching {}, verifying {}",
        span(parts.total()),
        span(parts.asking),
        span(parts.checking),
        span(parts.preparing),
        span(parts.switching),
        span(parts.verifying)
    );
    let id = "rehearse/estimate";
    let (outcome, over) = if parts.total() <= slo.get() {
        (Outcome::pass(id, destination), None)
    } else {
        let over = format!("estimated {} > slo {slo}", span(parts.total()));
        (Outcome::fail(id, destination), Some(over))
    };
    let outcome = outcome.expected(format!("at most {slo}")).actual(actual);
    match over {
        Some(over) => outcome.reason(over).hint(
            "the largest part shows where: `rollback.batch`, the target's `settle`, or `healthgate.policy`",
        ),
        None => outcome,
    }
}

/// Remembers the drill, if it was one that would have worked.
async fn record(
    session: &Session<'_>,
    verdict: Verdict,
    drill: Drill<'_>,
) -> Result<Outcome, Failure> {
    if verdict == Verdict::Pass {
        return unlock::note_drill(session, "rehearse", Some(drill)).await;
    }
    let why = "the rehearsal did not pass: no drill is recorded";
    Ok(Outcome::skipped(
        "drill/recorded",
        session.store.place(),
        why,
    ))
}

impl Rollback<'_> {
    /// The gate's questions, once: that they can be asked is what a rehearsal wants to know.
    async fn measure_gate_once(&self, gate: &Healthgate) -> Vec<Outcome> {
        let http = gate
            .http
            .iter()
            .filter(|probe| reads(probe))
            .cloned()
            .collect();
        let mut outcomes = asked_at_once(
            http,
            gate.policy.clone(),
            &self.session.job.interrupt,
            self.probe_context(),
        )
        .await;
        for outcome in &mut outcomes {
            outcome.id = format!("verify/{}", outcome.id).into();
            outcome.severity = Severity::Advisory;
        }
        outcomes
    }
}

/// How long the place took to be checked.
fn took(bars: &[Bar], place: &target::Place) -> Duration {
    let place = place.to_string();
    let times = bars.iter().filter(|bar| bar.place == place);
    times
        .map(|bar| bar.end.saturating_sub(bar.start))
        .max()
        .unwrap_or_default()
}
