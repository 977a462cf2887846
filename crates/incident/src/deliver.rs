//! `incident deliver` and `incident notify`: telling the sinks, and proving that they can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chronicle::{Happening, Subject, pending};
use clap::Args;
use cli::scribe::{Audience, Delivery, outcome};
use cli::{Failure, Job};
use config::value::Span;
use courier::{DeliveryMode, SinkTally};
use jiff::Timestamp;
use model::{Outcome, Report};

use crate::session::Session;

/// How long `deliver` tries by default.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The first pause between two rounds, which doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The least that is left for another round.
const LEAST_ROUND: Duration = Duration::from_secs(1);

#[derive(Args, Clone, Debug)]
pub(crate) struct Flags {
    /// How long to try [default: 15s]
    #[arg(long, value_name = "DURATION")]
    max_time: Option<Span>,
    /// Drop what this sink has not received, such as one that is no longer configured
    #[arg(long, value_name = "SINK")]
    give_up: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Notify {
    /// Send every sink a test message that belongs to no incident
    #[arg(long, required = true)]
    test: bool,
}

/// Tells the sinks what they have not heard, again and again until the time is over.
pub(crate) async fn deliver(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    if job.dry_run {
        return dry(&session).await;
    }
    let given_up = give_up(&session, &flags.give_up).await?;
    if session.scribe.is_timed() {
        let due = session.append(|history| Ok(session.scribe.due(history, &[])));
        due.await?;
    }
    let timeout = flags.max_time.map_or(TIMEOUT, Span::get);
    let until = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    // By sink: all that was delivered, and what the last round left.
    let mut all: BTreeMap<String, SinkTally> = BTreeMap::new();
    loop {
        let Delivery { told, trouble } =
            session.scribe.deliver(DeliveryMode::Requested, until).await;
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        for (sink, one) in &mut all {
            *one = SinkTally {
                sink: sink.clone(),
                delivered: one.delivered,
                ..SinkTally::default()
            };
        }
        for mut one in told {
            one.delivered += all.get(&one.sink).map_or(0, |before| before.delivered);
            all.insert(one.sink.clone(), one);
        }
        let waits = all.values().any(|one| one.waiting > 0);
        // A sink that wants to be left alone for long holds up no other one.
        let waiting = all.values().filter(|one| one.waiting > 0);
        let asked = waiting.map(|one| {
            let left = one.not_before.map(|at| at.duration_since(Timestamp::now()));
            left.and_then(|left| Duration::try_from(left).ok())
                .unwrap_or_default()
        });
        let wait = asked.min().unwrap_or_default().max(pause);
        if !waits || Instant::now() + wait + LEAST_ROUND > until {
            break;
        }
        job.progress
            .show(&format!("the next attempt in {}", model::text::span(wait)));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = job.interrupt.wait() => break,
        }
        pause *= 2;
    }
    let told = all
        .values()
        .filter(|one| one.delivered + one.waiting + one.refused > 0);
    let mut outcomes: Vec<Outcome> = told.map(outcome).collect();
    outcomes.extend(given_up);
    if outcomes.is_empty() {
        let place = session.scribe.chronicle.place();
        outcomes.push(Outcome::pass("incident/delivery", place).actual("nothing waits"));
    }
    Ok(session.report_of_whole(outcomes))
}

/// What would be told.
async fn dry(session: &Session<'_>) -> Result<Report, Failure> {
    let waiting = pending(&session.scribe.history().await?);
    let told = format!("would make {} deliveries", waiting.len());
    let place = session.scribe.chronicle.place();
    let mut report = session.report(vec![Outcome::skipped("incident/delivery", place, told)]);
    report.headline = Some("dry run: nothing was sent".to_owned());
    Ok(report)
}

/// Ends the deliveries of sinks that a person gives up.
async fn give_up(session: &Session<'_>, sinks: &[String]) -> Result<Vec<Outcome>, Failure> {
    if sinks.is_empty() {
        return Ok(Vec::new());
    }
    let mut counts = Vec::new();
    let mut others = BTreeSet::new();
    session
        .append(|history| {
            let waiting = pending(history);
            others = waiting
                .iter()
                .map(|one| one.delivery.sink.clone())
                .collect();
            let of = |sink: &String| {
                let own = waiting.iter().filter(|one| one.delivery.sink == *sink);
                own.map(|one| one.delivery.clone()).collect::<Vec<_>>()
            };
            counts = sinks
                .iter()
                .map(|sink| (sink.clone(), of(sink).len()))
                .collect();
            let deliveries: Vec<chronicle::Delivery> = sinks.iter().flat_map(of).collect();
            if deliveries.is_empty() {
                return Ok(Vec::new());
            }
            let happening = Happening::GivenUp { deliveries };
            let scribe = &session.scribe;
            Ok(vec![scribe.event_by_hand(
                Subject::default(),
                happening,
                Audience::None,
            )])
        })
        .await?;
    let names: Vec<String> = others.iter().map(|name| format!("`{name}`")).collect();
    let outcome = |(sink, count): (String, usize)| {
        let id = format!("sink/{sink}/given-up");
        if count > 0 {
            return Outcome::pass(id, sink).actual(format!("{count} given up"));
        }
        // A name that is mistyped gives up nothing.
        Outcome::fail(id, sink.clone())
            .expected("something waits for it")
            .actual("nothing does")
            .reason(format!("nothing waits for a sink `{sink}`"))
            .hint(match names.len() {
                0 => "nothing waits for any sink".to_owned(),
                _ => format!("something waits for {}", names.join(", ")),
            })
    };
    Ok(counts.into_iter().map(outcome).collect())
}

/// Tells every sink a test message, which is in no log.
pub(crate) async fn notify(job: &Job, flags: &Notify) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    debug_assert!(flags.test, "clap requires it");
    if job.dry_run {
        let told = "would send a test message to every sink";
        let outcome = Outcome::skipped("sink", session.scribe.chronicle.place(), told);
        return Ok(session.report(vec![outcome]));
    }
    let outcomes = session.scribe.prove_sinks().await?;
    if outcomes.is_empty() {
        return Err(Failure::usage("no sink is configured").hint(
            "add one to `incident:`, such as `slack: [{ name: chat, url-env: SLACK_WEBHOOK }]`",
        ));
    }
    Ok(session.report(outcomes))
}
