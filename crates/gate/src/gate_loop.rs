//! The loop: one heap of what is due, one set of measurements under way, for thousands of
//! endpoints as for one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
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
use probe::Outlook;
use probe::Reading;
use probe::release::Identity;
use tokio::time::{Sleep, sleep_until};

use crate::context::{GateContext, Interrupted};
use crate::gated_probe::GatedProbe;
use crate::group::Group;
use crate::history::{History, NewestByVerdict};
use crate::lateness::Lateness;
use crate::observer::{Measured, Observer, StandingEvent};
use crate::pauses::{Pause, PauseDetector};
use crate::policy::{Assessor, Conclusion, ProbeProgress, Sample};

/// Answers that are under way when the gate fails have this long to be reported as well.
const IN_FLIGHT_GRACE: Duration = Duration::from_millis(20);
/// A probe keeps its timeout by itself; this is for one that has a fault.
const PROBE_OVERRUN: Duration = Duration::from_secs(4);

pub(crate) struct GateLoop<'a> {
    pub(crate) watched: &'a [GatedProbe],
    release: Option<&'a str>,
    /// Whether a success must name the release, where the probe's answers name releases.
    pub(crate) proves: bool,
    pub(crate) observer: &'a dyn Observer,
    forever: bool,
    pub(crate) start: Instant,
    /// One for each of `watched`.
    pub(crate) probes: Vec<ProbeState>,
    /// One for each endpoint of all probes.
    pub(crate) endpoints: Vec<EndpointState>,
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    lateness: Lateness,
    pauses: PauseDetector,
    /// End of our latest pause: measurements that began before it do not count.
    stopped_until: Option<Duration>,
    /// All pauses together, and the measurements that they spoilt.
    stopped: (Duration, u64),
    /// How many probes have a conclusion.
    ended: usize,
    /// The required probe that failed first.
    pub(crate) first_failed: Option<usize>,
    /// The newest answer of a required probe that came from another release.
    pub(crate) other_release: Option<OtherRelease>,
    pub(crate) is_interrupted: bool,
    failed_beside: &'a dyn Fn() -> Option<String>,
}

/// An answer from a release that is not the expected one.
pub(crate) struct OtherRelease {
    pub(crate) name: String,
    /// When its answer was complete.
    pub(crate) seen_at: Duration,
}

/// A probe under watch.
#[derive(Default)]
pub(crate) struct ProbeState {
    pub(crate) history: History,
    pub(crate) tally: Tally,
    pub(crate) end: Option<Conclusion>,
    /// When it came to its end.
    pub(crate) ended_at: Option<Duration>,
    /// Whether one of its answers named a release: then each success has to.
    pub(crate) names: bool,
}

/// One endpoint under watch.
pub(crate) struct EndpointState {
    pub(crate) probe: usize,
    pub(crate) position: usize,
    pub(crate) assessor: Assessor,
    pub(crate) end: Option<Conclusion>,
    /// The slot of the measurement that is being made.
    slot_in_flight: Option<Duration>,
    /// Why the newest measurement of each verdict was no pass, cut; of a group's members only.
    pub(crate) complaints: NewestByVerdict<Box<str>>,
}

/// A measurement that was made.
struct Completed {
    endpoint: usize,
    slot: Duration,
    started: Duration,
    /// The deadline took its time away.
    cut: bool,
    at: Timestamp,
    took: Duration,
    reading: Reading,
}

type InFlight<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Completed> + 'a>>>;

#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and looked at once"
)]
enum Event {
    Interrupted,
    Completed(Completed),
    Due,
}

impl<'a> GateLoop<'a> {
    pub(crate) fn new(
        watched: &'a [GatedProbe],
        release: Option<&'a str>,
        identity: Required,
        context: &'a GateContext<'_>,
    ) -> Self {
        let mut endpoints = Vec::new();
        for (probe, one) in watched.iter().enumerate() {
            for position in 0..one.endpoints.len() {
                let assessor = Assessor::new(&one.policy, one.offset(position));
                endpoints.push(EndpointState {
                    probe,
                    position,
                    assessor: if context.forever {
                        assessor.watching()
                    } else {
                        assessor
                    },
                    end: None,
                    slot_in_flight: None,
                    complaints: NewestByVerdict::default(),
                });
            }
        }
        let state = |one: &GatedProbe| ProbeState {
            tally: Tally {
                total: one.endpoints.len(),
                required: one.group.map_or(1, |group| group.required),
                ..Tally::default()
            },
            history: History::of_one_among(watched.len()),
            ..ProbeState::default()
        };
        GateLoop {
            watched,
            release,
            proves: identity == Required::Required,
            observer: context.observer,
            forever: context.forever,
            start: Instant::now(),
            probes: watched.iter().map(state).collect(),
            endpoints,
            due: BinaryHeap::new(),
            lateness: Lateness::default(),
            pauses: PauseDetector::new(),
            stopped_until: None,
            stopped: (Duration::ZERO, 0),
            ended: 0,
            first_failed: None,
            other_release: None,
            is_interrupted: false,
            failed_beside: context.failed_beside,
        }
    }

    /// Until the gate is decided or interrupted.
    pub(crate) async fn run(mut self, mut interrupted: Interrupted) -> Self {
        let mut in_flight = InFlight::new();
        for endpoint in 0..self.endpoints.len() {
            let EndpointState {
                probe, assessor, ..
            } = &self.endpoints[endpoint];
            match assessor.stands(&self.watched[*probe].policy, Duration::ZERO) {
                Ok(conclusion) => self.conclude(endpoint, conclusion, Duration::ZERO),
                Err(_) => self.schedule_next(endpoint, Duration::ZERO),
            }
            if self.endpoints[endpoint].position == 0 {
                self.report_standing(endpoint, *self.endpoints[endpoint].assessor.standing());
            }
        }
        let mut timer = pin!(sleep_until(self.start.into()));
        loop {
            self.note_pause();
            self.start_due(&mut in_flight);
            if self.is_decided() {
                break;
            }
            match self
                .next(&mut interrupted, &mut in_flight, timer.as_mut())
                .await
            {
                Event::Interrupted => {
                    self.is_interrupted = true;
                    break;
                }
                Event::Completed(completed) => self.complete(completed),
                Event::Due => {}
            }
        }
        if !self.is_interrupted {
            let until = tokio::time::Instant::now() + IN_FLIGHT_GRACE;
            while let Ok(Some(completed)) = tokio::time::timeout_at(until, in_flight.next()).await {
                self.complete(completed);
            }
        }
        drop(in_flight);
        self.lateness.log();
        self.log_pauses();
        self
    }

    /// Whatever happens first.
    async fn next(
        &mut self,
        interrupted: &mut Interrupted,
        in_flight: &mut InFlight<'a>,
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
            self.note_pause();
            self.pauses.wake_regularly(context);
            if interrupted.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Interrupted);
            }
            if let Poll::Ready(Some(completed)) = in_flight.poll_next_unpin(context) {
                return Poll::Ready(Event::Completed(completed));
            }
            if !self.due.is_empty() && timer.as_mut().poll(context).is_ready() {
                return Poll::Ready(Event::Due);
            }
            Poll::Pending
        })
        .await
    }

    /// Starts what is due by now.
    fn start_due(&mut self, in_flight: &mut InFlight<'a>) {
        let now = self.start.elapsed();
        while let Some(Reverse((at, endpoint))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            let EndpointState {
                probe, assessor, ..
            } = &self.endpoints[endpoint];
            if self.probes[*probe].end.is_some() && !self.forever {
                continue;
            }
            // At the deadline no measurement is due, but the end.
            match assessor.stands(&self.watched[*probe].policy, at) {
                Ok(conclusion) => self.conclude(endpoint, conclusion, at),
                Err(standing) => {
                    self.endpoints[endpoint].slot_in_flight = Some(at);
                    in_flight.push(self.measure(endpoint, at, standing));
                }
            }
        }
    }

    fn measure(
        &self,
        endpoint: usize,
        slot: Duration,
        standing: ProbeProgress,
    ) -> Pin<Box<dyn Future<Output = Completed> + 'a>> {
        let EndpointState {
            probe,
            position,
            assessor,
            ..
        } = &self.endpoints[endpoint];
        let one = &self.watched[*probe];
        let probe = &*one.endpoints[*position].probe;
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
            let reading = match tokio::time::timeout(timeout + PROBE_OVERRUN, measuring).await {
                Ok(reading) => reading,
                Err(_) => Reading::unmet(
                    Verdict::Error,
                    "an end within the timeout",
                    "none",
                    "the probe did not keep its timeout",
                ),
            };
            let took = clock.elapsed();
            Completed {
                endpoint,
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
    fn note_pause(&mut self) {
        let Some(Pause { from, to, lasted }) = self.pauses.since_last_turn() else {
            return;
        };
        let since = |instant: Instant| instant.saturating_duration_since(self.start);
        let (from, to) = (since(from), since(to));
        for endpoint in &mut self.endpoints {
            let policy = &self.watched[endpoint.probe].policy;
            // A measurement that was spoilt is made again, where its slot is not over.
            let from = match endpoint.slot_in_flight {
                Some(slot) if slot + policy.interval.get() <= to => slot.min(from),
                _ => from,
            };
            endpoint.assessor.stopped(policy, from, to);
        }
        self.stopped_until = Some(to);
        self.stopped.0 += lasted;
        self.observer.stopped(lasted);
    }

    fn log_pauses(&self) {
        let (lasted, spoilt) = self.stopped;
        if !lasted.is_zero() {
            tracing::warn!(
                "this process was stopped for {}, and {spoilt} measurements of that time are not counted",
                model::text::span(lasted)
            );
        }
    }

    fn complete(&mut self, completed: Completed) {
        // Our own pause may have delayed it.
        self.note_pause();
        let Completed {
            endpoint: place,
            slot,
            started,
            cut,
            at,
            took,
            mut reading,
        } = completed;
        self.require_release(place, &mut reading);
        let endpoint = &mut self.endpoints[place];
        let state = &mut self.probes[endpoint.probe];
        let one = &self.watched[endpoint.probe];
        endpoint.slot_in_flight = None;
        if state.end.is_some() && !self.forever {
            return;
        }
        let spoilt = self.stopped_until.is_some_and(|until| started < until);
        if spoilt {
            self.stopped.1 += 1;
        } else {
            self.lateness.push(started.saturating_sub(slot));
        }
        // The deadline cut this measurement short: that proves nothing about the service,
        // unless there never was another result.
        if !spoilt && (!cut || endpoint.assessor.standing().seen == 0) {
            let member = one.endpoints[endpoint.position].name.as_deref();
            self.observer.measured(&Measured {
                probe: endpoint.probe,
                member,
                scheduled: slot,
                started,
                took,
                at,
                reading: &reading,
            });
            let (verdict, outlook) = (reading.verdict, reading.outlook);
            if let (Some(_), Some(reason)) = (member, &reading.reason) {
                let complaint = || cut_at_word(reason).into();
                endpoint.complaints.push(verdict, complaint);
            }
            state.history.push(member, at, took, reading);
            endpoint
                .assessor
                .push(&one.policy, Sample { at: slot, verdict });
            let other = self.other_release.as_ref();
            if !state.names && other.is_some_and(|other| started < other.seen_at) {
                endpoint.assessor.void_successes();
            }
            if outlook == Outlook::Final {
                endpoint.assessor.give_up();
            }
        }
        let elapsed = self.start.elapsed();
        match endpoint.assessor.stands(&one.policy, elapsed) {
            Ok(conclusion) => self.conclude(place, conclusion, elapsed),
            Err(standing) => {
                if self.forever && standing.passed_at.is_some() {
                    let reason = "passed, and held until interrupted";
                    self.count(place, Verdict::Pass, reason.to_owned());
                }
                self.report_standing(place, standing);
                if spoilt && elapsed < slot + one.policy.interval.get() {
                    self.due.push(Reverse((slot, place)));
                } else {
                    self.schedule_next(place, elapsed);
                }
            }
        }
    }

    /// A success that does not name the release proves nothing about it if others of the same
    /// probe name one: neither one of its own answers nor that of another address or member
    /// confirms it.
    fn require_release(&mut self, place: usize, reading: &mut Reading) {
        let (Some(release), Some(identity), true) = (self.release, &reading.release, self.proves)
        else {
            return;
        };
        let probe = self.endpoints[place].probe;
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
        if let Identity::Differs { actual, .. } = identity {
            self.void_unnamed_successes(place, actual.clone());
        }
    }

    /// While another release still answers, a success that names none may be that release's: for a
    /// moment after a reload, a router's old and new configuration answer side by side. So a probe
    /// that names no release is counted from here on, also where it has passed already. What
    /// another release means to a probe that has passed is for its soak to tell.
    fn void_unnamed_successes(&mut self, seen_by: usize, name: String) {
        let EndpointState {
            probe, assessor, ..
        } = &self.endpoints[seen_by];
        if self.watched[*probe].severity != Severity::Required
            || self.probes[*probe].end.is_some()
            || assessor.standing().passed_at.is_some()
            || self.first_failed.is_some()
        {
            return;
        }
        let seen_at = self.start.elapsed();
        self.other_release = Some(OtherRelease { name, seen_at });
        for endpoint in &mut self.endpoints {
            if !self.probes[endpoint.probe].names {
                endpoint.assessor.void_successes();
            }
        }
        for probe in 0..self.probes.len() {
            let state = &self.probes[probe];
            let has_passed = state.end.as_ref().is_some_and(Conclusion::is_pass);
            if !state.names && has_passed {
                self.reopen(probe, seen_at);
            }
        }
    }

    /// Takes a probe's pass back and measures it again.
    fn reopen(&mut self, probe: usize, elapsed: Duration) {
        let state = &mut self.probes[probe];
        state.end = None;
        state.ended_at = None;
        self.ended -= 1;
        self.observer.reopened(probe);
        let scheduled: HashSet<usize> = self.due.iter().map(|Reverse((_, one))| *one).collect();
        for place in 0..self.endpoints.len() {
            let endpoint = &mut self.endpoints[place];
            if endpoint.probe != probe {
                continue;
            }
            if endpoint.end.take_if(|end| end.is_pass()).is_some() {
                self.probes[probe].tally.remove(Verdict::Pass);
            }
            let is_open = endpoint.end.is_none() && endpoint.slot_in_flight.is_none();
            if is_open && !scheduled.contains(&place) {
                self.schedule_next(place, elapsed);
            }
        }
    }

    /// None of the successes so far named a release.
    fn void_successes(&mut self, probe: usize) {
        for endpoint in 0..self.endpoints.len() {
            let EndpointState {
                probe: of,
                assessor,
                end,
                ..
            } = &mut self.endpoints[endpoint];
            if *of != probe {
                continue;
            }
            assessor.void_successes();
            if end.as_ref().is_some_and(Conclusion::is_pass) {
                let reason = "its answers name no release, and those of others do";
                self.count(endpoint, Verdict::Inconclusive, reason.to_owned());
            }
        }
    }

    /// Puts the next measurement on the heap, or the deadline if that comes first.
    fn schedule_next(&mut self, endpoint: usize, elapsed: Duration) {
        let EndpointState {
            probe, assessor, ..
        } = &self.endpoints[endpoint];
        let policy = &self.watched[*probe].policy;
        let mut at = assessor.next_slot(policy, elapsed);
        if assessor.standing().passed_at.is_none() {
            at = at.min(assessor.deadline(policy));
        }
        self.due.push(Reverse((at, endpoint)));
    }

    fn conclude(&mut self, endpoint: usize, conclusion: Conclusion, elapsed: Duration) {
        self.count(endpoint, conclusion.verdict, conclusion.reason);
        if self.forever {
            self.endpoints[endpoint].assessor.resume_as_passed(elapsed);
            self.report_standing(endpoint, *self.endpoints[endpoint].assessor.standing());
            self.schedule_next(endpoint, elapsed);
        }
    }

    /// Takes an endpoint's conclusion down, unless it has a worse one, and what it means for its
    /// probe.
    fn count(&mut self, endpoint: usize, verdict: Verdict, reason: String) {
        let endpoint = &mut self.endpoints[endpoint];
        let state = &mut self.probes[endpoint.probe];
        match &endpoint.end {
            Some(before) if before.verdict >= verdict => return,
            Some(before) => state.tally.remove(before.verdict),
            None => {}
        }
        state.tally.add(verdict);
        let conclusion = Conclusion { verdict, reason };
        endpoint.end = Some(conclusion.clone());
        let one = &self.watched[endpoint.probe];
        let decided = match one.group {
            None => Some(conclusion),
            Some(group) => group.verdict(&state.tally).map(|verdict| Conclusion {
                verdict,
                reason: group.reason(verdict, &state.tally),
            }),
        };
        if let Some(conclusion) = decided {
            let worse = |before: &Conclusion| before.verdict < conclusion.verdict;
            if state.end.as_ref().is_none_or(worse) {
                self.ended += usize::from(state.end.is_none());
                let whole = |group: Group| group.fails_the_gate(&state.tally);
                if one.severity == Severity::Required
                    && conclusion.verdict == Verdict::Fail
                    && one.group.is_none_or(whole)
                {
                    self.first_failed.get_or_insert(endpoint.probe);
                }
                self.observer.concluded(endpoint.probe, &conclusion);
                state.end = Some(conclusion);
                state.ended_at = Some(self.start.elapsed());
            }
        }
    }

    fn report_standing(&self, endpoint: usize, standing: ProbeProgress) {
        let EndpointState { probe, .. } = self.endpoints[endpoint];
        let one = &self.watched[probe];
        let elapsed = self.start.elapsed();
        self.observer.stands(&StandingEvent {
            probe,
            standing: &standing,
            missing: &standing.missing(&one.policy, elapsed),
            members: one.group.map(|_| &self.probes[probe].tally),
            elapsed,
        });
    }

    /// Nothing that can still be measured changes the gate's verdict.
    /// Why what is open was not decided.
    pub(crate) fn open(&self) -> String {
        let beside = (self.failed_beside)().filter(|_| self.is_interrupted);
        let first = self.first_failed.map(|n| self.watched[n].id.clone());
        match (beside, first) {
            (None, _) if self.is_interrupted => "interrupted".to_owned(),
            (Some(failed), _) | (None, Some(failed)) => {
                format!("not decided when {failed} had failed")
            }
            (None, None) => "not decided".to_owned(),
        }
    }

    fn is_decided(&self) -> bool {
        let decided = self.first_failed.is_some() || self.ended == self.probes.len();
        self.endpoints.is_empty() || (decided && !self.forever)
    }
}
