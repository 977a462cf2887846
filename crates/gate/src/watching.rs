//! The loop: one heap of what is due, one set of measurements under way, for thousands of
//! endpoints as for one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use config::file::Identity as Required;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use model::text::cut_at_word;
use model::{Severity, Tally, Verdict};
use probe::Reading;
use probe::release::Identity;
use tokio::time::{Sleep, sleep_until};

use crate::group::Group;
use crate::heart::{Heart, Pause};
use crate::history::{History, Newest};
use crate::lateness::Lateness;
use crate::observer::{Measured, Observer, Stands};
use crate::policy::{Assessor, Conclusion, Sample, Standing};
use crate::watch::{Interrupted, Watch};
use crate::watched::Watched;

/// Answers that are under way when the gate fails get this long to be told as well.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// A probe keeps its timeout by itself; this is for one that has a fault.
const OVERTIME: Duration = Duration::from_secs(4);

pub(crate) struct Watching<'a> {
    pub(crate) watched: &'a [Watched],
    release: Option<&'a str>,
    /// Whether a success must name the release, where the probe's answers name releases.
    pub(crate) proves: bool,
    pub(crate) observer: &'a dyn Observer,
    forever: bool,
    pub(crate) start: Instant,
    /// One for each of `watched`.
    pub(crate) probes: Vec<Probing>,
    /// One for each endpoint of all probes.
    pub(crate) seats: Vec<Seat>,
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    lateness: Lateness,
    heart: Heart,
    /// When the newest pause of our own ended: what was begun before it is not counted.
    stopped_until: Option<Duration>,
    /// All pauses together, and the measurements that they spoilt.
    stopped: (Duration, u64),
    /// How many probes have a conclusion.
    ended: usize,
    /// The required probe that failed first.
    pub(crate) culprit: Option<usize>,
    pub(crate) is_interrupted: bool,
}

/// A probe under watch.
#[derive(Default)]
pub(crate) struct Probing {
    pub(crate) history: History,
    pub(crate) tally: Tally,
    pub(crate) end: Option<Conclusion>,
    /// When it came to its end.
    pub(crate) ended_at: Option<Duration>,
    /// Whether one of its answers named a release: then each success has to.
    pub(crate) names: bool,
}

/// One endpoint under watch.
pub(crate) struct Seat {
    pub(crate) probe: usize,
    pub(crate) endpoint: usize,
    pub(crate) assessor: Assessor,
    pub(crate) end: Option<Conclusion>,
    /// The slot of the measurement that is being made.
    flying: Option<Duration>,
    /// Why the newest measurement of each verdict was no pass, cut; of a group's members only.
    pub(crate) complaints: Newest<Box<str>>,
}

/// A measurement that was made.
struct Landed {
    seat: usize,
    slot: Duration,
    started: Duration,
    /// The deadline took its time away.
    cut: bool,
    at: Timestamp,
    took: Duration,
    reading: Reading,
}

type Flights<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Landed> + 'a>>>;

#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and looked at once"
)]
enum Event {
    Interrupted,
    Landed(Landed),
    Due,
}

impl<'a> Watching<'a> {
    pub(crate) fn new(
        watched: &'a [Watched],
        release: Option<&'a str>,
        identity: Required,
        watch: &'a Watch<'_>,
    ) -> Self {
        let mut seats = Vec::new();
        for (probe, one) in watched.iter().enumerate() {
            for endpoint in 0..one.endpoints.len() {
                let assessor = Assessor::new(&one.policy, one.offset(endpoint));
                seats.push(Seat {
                    probe,
                    endpoint,
                    assessor: if watch.forever {
                        assessor.watching()
                    } else {
                        assessor
                    },
                    end: None,
                    flying: None,
                    complaints: Newest::default(),
                });
            }
        }
        let probing = |one: &Watched| Probing {
            tally: Tally {
                total: one.endpoints.len(),
                required: one.group.map_or(1, |group| group.required),
                ..Tally::default()
            },
            history: History::of_one_among(watched.len()),
            ..Probing::default()
        };
        Watching {
            watched,
            release,
            proves: identity == Required::Required,
            observer: watch.observer,
            forever: watch.forever,
            start: Instant::now(),
            probes: watched.iter().map(probing).collect(),
            seats,
            due: BinaryHeap::new(),
            lateness: Lateness::default(),
            heart: Heart::new(),
            stopped_until: None,
            stopped: (Duration::ZERO, 0),
            ended: 0,
            culprit: None,
            is_interrupted: false,
        }
    }

    /// Until the gate is decided or interrupted.
    pub(crate) async fn run(mut self, mut interrupted: Interrupted) -> Self {
        let mut flights = Flights::new();
        for seat in 0..self.seats.len() {
            let Seat {
                probe, assessor, ..
            } = &self.seats[seat];
            match assessor.stands(&self.watched[*probe].policy, Duration::ZERO) {
                Ok(conclusion) => self.conclude(seat, conclusion, Duration::ZERO),
                Err(_) => self.plan(seat, Duration::ZERO),
            }
            if self.seats[seat].endpoint == 0 {
                self.tell(seat, *self.seats[seat].assessor.standing());
            }
        }
        let mut timer = pin!(sleep_until(self.start.into()));
        loop {
            self.look_at_ourselves();
            self.depart(&mut flights);
            if self.is_decided() {
                break;
            }
            match self
                .next(&mut interrupted, &mut flights, timer.as_mut())
                .await
            {
                Event::Interrupted => {
                    self.is_interrupted = true;
                    break;
                }
                Event::Landed(landed) => self.land(landed),
                Event::Due => {}
            }
        }
        if !self.is_interrupted {
            let until = tokio::time::Instant::now() + LAST_WORDS;
            while let Ok(Some(landed)) = tokio::time::timeout_at(until, flights.next()).await {
                self.land(landed);
            }
        }
        drop(flights);
        self.lateness.tell();
        self.tell_of_pauses();
        self
    }

    /// Whatever happens first.
    async fn next(
        &mut self,
        interrupted: &mut Interrupted,
        flights: &mut Flights<'a>,
        mut timer: Pin<&mut Sleep>,
    ) -> Event {
        if let Some(Reverse((at, _))) = self.due.peek() {
            let at = tokio::time::Instant::from_std(self.start + *at);
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
        }
        poll_fn(|context| {
            // First: what is seen next may be seen late.
            self.look_at_ourselves();
            self.heart.beat(context);
            if interrupted.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Interrupted);
            }
            if let Poll::Ready(Some(landed)) = flights.poll_next_unpin(context) {
                return Poll::Ready(Event::Landed(landed));
            }
            if !self.due.is_empty() && timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Due);
            }
            Poll::Pending
        })
        .await
    }

    /// Starts what is due by now.
    fn depart(&mut self, flights: &mut Flights<'a>) {
        let now = self.start.elapsed();
        while let Some(Reverse((at, seat))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            let Seat {
                probe, assessor, ..
            } = &self.seats[seat];
            if self.probes[*probe].end.is_some() && !self.forever {
                continue;
            }
            // At the deadline no measurement is due, but the end.
            match assessor.stands(&self.watched[*probe].policy, at) {
                Ok(conclusion) => self.conclude(seat, conclusion, at),
                Err(standing) => {
                    self.seats[seat].flying = Some(at);
                    flights.push(self.fly(seat, at, standing));
                }
            }
        }
    }

    fn fly(
        &self,
        seat: usize,
        slot: Duration,
        standing: Standing,
    ) -> Pin<Box<dyn Future<Output = Landed> + 'a>> {
        let Seat {
            probe,
            endpoint,
            assessor,
            ..
        } = &self.seats[seat];
        let one = &self.watched[*probe];
        let probe = &*one.endpoints[*endpoint].probe;
        let (start, release) = (self.start, self.release);
        let deadline = assessor.deadline(&one.policy);
        let timeout = one.policy.timeout.get();
        Box::pin(async move {
            let (at, clock) = (Timestamp::now(), Instant::now());
            let started = clock.duration_since(start);
            let left = deadline.saturating_sub(started);
            let cut = standing.passed_at.is_none() && left < timeout;
            let timeout = if cut { left } else { timeout };
            let measuring = probe.measure(release, timeout);
            let reading = match tokio::time::timeout(timeout + OVERTIME, measuring).await {
                Ok(reading) => reading,
                Err(_) => Reading::not(
                    Verdict::Error,
                    "an end within the timeout",
                    "none",
                    "the probe did not keep its timeout",
                ),
            };
            let took = clock.elapsed();
            Landed {
                seat,
                slot,
                started,
                cut: cut && took >= timeout,
                at,
                took,
                reading,
            }
        })
    }

    /// Takes note of a time in which we were stopped.
    fn look_at_ourselves(&mut self) {
        let Some(Pause { from, to, lasted }) = self.heart.look() else {
            return;
        };
        let since = |instant: Instant| instant.saturating_duration_since(self.start);
        let (from, to) = (since(from), since(to));
        for seat in &mut self.seats {
            let policy = &self.watched[seat.probe].policy;
            // A measurement that was spoilt is made again, where its slot is not over.
            let from = match seat.flying {
                Some(slot) if slot + policy.interval.get() <= to => slot.min(from),
                _ => from,
            };
            seat.assessor.stopped(policy, from, to);
        }
        self.stopped_until = Some(to);
        self.stopped.0 += lasted;
        self.observer.stopped(lasted);
    }

    fn tell_of_pauses(&self) {
        let (lasted, spoilt) = self.stopped;
        if !lasted.is_zero() {
            tracing::warn!(
                "this process was stopped for {} ms, and {spoilt} measurements of that time are not counted",
                lasted.as_millis()
            );
        }
    }

    fn land(&mut self, landed: Landed) {
        // It may have been we who kept it from coming.
        self.look_at_ourselves();
        let Landed {
            seat: place,
            slot,
            started,
            cut,
            at,
            took,
            mut reading,
        } = landed;
        self.prove(place, &mut reading);
        let seat = &mut self.seats[place];
        let probing = &mut self.probes[seat.probe];
        let one = &self.watched[seat.probe];
        seat.flying = None;
        if probing.end.is_some() && !self.forever {
            return;
        }
        let spoilt = self.stopped_until.is_some_and(|until| started < until);
        if spoilt {
            self.stopped.1 += 1;
        } else {
            self.lateness.push(started.saturating_sub(slot));
        }
        // The deadline took this measurement's time away: that says nothing of the service,
        // unless it never said anything else.
        if !spoilt && (!cut || seat.assessor.standing().seen == 0) {
            let member = one.endpoints[seat.endpoint].name.as_deref();
            self.observer.measured(&Measured {
                probe: seat.probe,
                member,
                scheduled: slot,
                started,
                took,
                at,
                reading: &reading,
            });
            let (verdict, is_final) = (reading.verdict, reading.is_final);
            if let (Some(_), Some(reason)) = (member, &reading.reason) {
                let complaint = || cut_at_word(reason).into();
                seat.complaints.push(verdict, complaint);
            }
            probing.history.push(member, at, took, reading);
            seat.assessor
                .push(&one.policy, Sample { at: slot, verdict });
            if is_final {
                seat.assessor.give_up();
            }
        }
        let elapsed = self.start.elapsed();
        match seat.assessor.stands(&one.policy, elapsed) {
            Ok(conclusion) => self.conclude(place, conclusion, elapsed),
            Err(standing) => {
                if self.forever && standing.passed_at.is_some() {
                    let reason = "passed, and held until interrupted";
                    self.count(place, Verdict::Pass, reason.to_owned());
                }
                self.tell(place, standing);
                if spoilt && elapsed < slot + one.policy.interval.get() {
                    self.due.push(Reverse((slot, place)));
                } else {
                    self.plan(place, elapsed);
                }
            }
        }
    }

    /// A success that does not name the release says nothing of it, where others of the same
    /// probe name one: neither one of its own answers nor that of another address or member
    /// vouches for it.
    fn prove(&mut self, place: usize, reading: &mut Reading) {
        let (Some(release), Some(identity), true) = (self.release, &reading.release, self.proves)
        else {
            return;
        };
        let probe = self.seats[place].probe;
        if identity.is_named() && !std::mem::replace(&mut self.probes[probe].names, true) {
            self.void_successes(probe);
        }
        if let Identity::Unknown(why) | Identity::Partly(why) = identity
            && self.probes[probe].names
            && reading.verdict == Verdict::Pass
        {
            reading.reason = Some(format!("expected release {release}, but {why}"));
            reading.verdict = Verdict::Inconclusive;
        }
    }

    /// None of the successes so far named a release.
    fn void_successes(&mut self, probe: usize) {
        for seat in 0..self.seats.len() {
            let Seat {
                probe: of,
                assessor,
                end,
                ..
            } = &mut self.seats[seat];
            if *of != probe {
                continue;
            }
            assessor.void_successes();
            if end.as_ref().is_some_and(|end| end.verdict == Verdict::Pass) {
                let reason = "its answers name no release, and those of others do";
                self.count(seat, Verdict::Inconclusive, reason.to_owned());
            }
        }
    }

    /// Puts the next measurement on the heap, or the deadline if that comes first.
    fn plan(&mut self, seat: usize, elapsed: Duration) {
        let Seat {
            probe, assessor, ..
        } = &self.seats[seat];
        let policy = &self.watched[*probe].policy;
        let mut at = assessor.next_slot(policy, elapsed);
        if assessor.standing().passed_at.is_none() {
            at = at.min(assessor.deadline(policy));
        }
        self.due.push(Reverse((at, seat)));
    }

    fn conclude(&mut self, seat: usize, conclusion: Conclusion, elapsed: Duration) {
        self.count(seat, conclusion.verdict, conclusion.reason);
        if self.forever {
            self.seats[seat].assessor.again(elapsed);
            self.tell(seat, *self.seats[seat].assessor.standing());
            self.plan(seat, elapsed);
        }
    }

    /// Takes an endpoint's conclusion down, unless it has a worse one, and what it means for its
    /// probe.
    fn count(&mut self, seat: usize, verdict: Verdict, reason: String) {
        let seat = &mut self.seats[seat];
        let probing = &mut self.probes[seat.probe];
        match &seat.end {
            Some(before) if before.verdict >= verdict => return,
            Some(before) => probing.tally.remove(before.verdict),
            None => {}
        }
        probing.tally.add(verdict);
        let conclusion = Conclusion { verdict, reason };
        seat.end = Some(conclusion.clone());
        let one = &self.watched[seat.probe];
        let decided = match one.group {
            None => Some(conclusion),
            Some(group) => group.verdict(&probing.tally).map(|verdict| Conclusion {
                verdict,
                reason: group.reason(verdict, &probing.tally),
            }),
        };
        if let Some(conclusion) = decided {
            let worse = |before: &Conclusion| before.verdict < conclusion.verdict;
            if probing.end.as_ref().is_none_or(worse) {
                self.ended += usize::from(probing.end.is_none());
                let whole = |group: Group| group.fails_the_gate(&probing.tally);
                if one.severity == Severity::Required
                    && conclusion.verdict == Verdict::Fail
                    && one.group.is_none_or(whole)
                {
                    self.culprit.get_or_insert(seat.probe);
                }
                self.observer.concluded(seat.probe, &conclusion);
                probing.end = Some(conclusion);
                probing.ended_at = Some(self.start.elapsed());
            }
        }
    }

    fn tell(&self, seat: usize, standing: Standing) {
        let Seat { probe, .. } = self.seats[seat];
        let one = &self.watched[probe];
        let elapsed = self.start.elapsed();
        self.observer.stands(&Stands {
            probe,
            standing: &standing,
            missing: &standing.missing(&one.policy, elapsed),
            members: one.group.map(|_| &self.probes[probe].tally),
            elapsed,
        });
    }

    /// Nothing that can still be measured changes the gate's verdict.
    fn is_decided(&self) -> bool {
        let decided = self.culprit.is_some() || self.ended == self.probes.len();
        self.seats.is_empty() || (decided && !self.forever)
    }
}
