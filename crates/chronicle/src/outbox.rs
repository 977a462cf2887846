//! What sinks have not heard yet, and which process tells them.
//!
//! A delivery is claimed in the log before anything is sent, and its end is written down after it: of several
//! processes one sends, and a process that is killed leaves a claim that shows what may have been sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use model::incident::SinkDeliveries;
use state::Holder;

use crate::clocks::TOLERANCE;
use crate::{Delivery, Event, EventId, Happening, History, IncidentId, Record, Undelivered};

/// How long a claim keeps other processes away, where it is not known that its process has ended.
pub const MAX_CLAIM: Duration = Duration::from_secs(120);

/// A delivery that has not been made.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub delivery: Delivery,
    pub event: Event,
    /// It was sent before, perhaps: whether it arrived is not known.
    pub unsure: bool,
    /// The last attempt that failed, and when it did.
    pub failed: Option<(Undelivered, Timestamp)>,
    pub attempts: u32,
    pub claim: Option<DeliveryClaim>,
    /// What the sink made of the newest earlier event of the same thread.
    pub reference: Option<serde_json::Value>,
    /// The sink was told a later event of the same thread, in the order of the log: the clocks of the writers may differ.
    pub is_overtaken: bool,
}

/// The process that is telling a sink.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryClaim {
    /// The event that has it.
    pub event: EventId,
    pub holder: Holder,
    /// Until then no other process may.
    pub until: Timestamp,
}

/// Which events belong together for a sink: those of an incident, or of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub sink: String,
    pub thread: String,
}

impl Event {
    /// The same for all events that a sink shows together: those of a deployment with the incident that its run opened,
    /// or those of another incident. `shop/production/v1.2.4#123/1`, `shop/production/inc-1f2e3d4c`. What belongs to
    /// neither stands alone: a note of today has nothing to do with one of last week.
    pub fn thread(&self) -> String {
        let or = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
        let subject = &self.subject;
        let incident = subject.incident.as_ref().map(|id| id.as_str().to_owned());
        let deployment = subject.deployment.clone().filter(|_| !subject.apart);
        let is_note = matches!(self.what, Happening::Note { .. });
        let release = subject.release.clone().filter(|_| !is_note);
        let what = deployment.or(incident).or(release);
        format!(
            "{}/{}/{}",
            or(&subject.service),
            or(&subject.environment),
            what.as_deref().unwrap_or(self.id.as_str())
        )
    }
}

/// Every delivery that was not made, in the order of the log. One that the sink refused for good is among them
/// with what it said.
pub fn pending(history: &History) -> Vec<Pending> {
    let mut ledger = Ledger::default();
    for (at, record) in history.records().iter().enumerate() {
        ledger.add(at, record);
        ledger.learn(&record.event);
    }
    ledger.left()
}

/// What became of telling the sinks the events of each incident, by sink.
pub fn deliveries(history: &History) -> BTreeMap<IncidentId, Vec<SinkDeliveries>> {
    let waiting = pending(history).into_iter();
    let waiting: BTreeMap<Delivery, Pending> =
        waiting.map(|one| (one.delivery.clone(), one)).collect();
    let given_up = history.events().filter_map(|event| match &event.what {
        Happening::GivenUp { deliveries } => Some(deliveries),
        _ => None,
    });
    let given_up: BTreeSet<&Delivery> = given_up.flatten().collect();
    let mut by_incident: BTreeMap<&IncidentId, BTreeMap<&str, SinkDeliveries>> = BTreeMap::new();
    for event in history.events() {
        let Some(incident) = &event.subject.incident else {
            continue;
        };
        let by_sink = by_incident.entry(incident).or_default();
        for sink in &event.sinks {
            let delivery = Delivery {
                event: event.id.clone(),
                sink: sink.clone(),
            };
            let one = by_sink.entry(sink).or_default();
            let count = match waiting.get(&delivery) {
                Some(pending) => {
                    let failed = pending.failed.as_ref();
                    one.reason = failed
                        .map(|(how, _)| how.reason.clone())
                        .or(one.reason.take());
                    if pending.is_refused() {
                        &mut one.refused
                    } else {
                        &mut one.waiting
                    }
                }
                None if given_up.contains(&delivery) => &mut one.given_up,
                None => &mut one.delivered,
            };
            *count += 1;
        }
    }
    let named = |(sink, one): (&str, SinkDeliveries)| SinkDeliveries {
        sink: sink.to_owned(),
        ..one
    };
    let told = by_incident.into_iter();
    told.map(|(incident, sinks)| (incident.clone(), sinks.into_iter().map(named).collect()))
        .collect()
}

/// What is known of deliveries while the log is read.
#[derive(Default)]
struct Ledger {
    /// With the place of the event in the log.
    waiting: BTreeMap<Delivery, (usize, Pending)>,
    references: BTreeMap<Address, serde_json::Value>,
    /// Of each event that a sink must hear: its place in the log, and its thread.
    threads: BTreeMap<String, (usize, String)>,
    /// The place of the latest event that a sink was told.
    latest: BTreeMap<Address, usize>,
}

impl Ledger {
    /// The deliveries of an event. One that an unread line may tell of was made, perhaps.
    fn add(&mut self, at: usize, record: &Record) {
        let event = &record.event;
        for sink in &event.sinks {
            let delivery = Delivery {
                event: event.id.clone(),
                sink: sink.clone(),
            };
            let thread = event.thread();
            self.threads.insert(event.id.to_string(), (at, thread));
            let pending = Pending {
                delivery: delivery.clone(),
                event: event.clone(),
                unsure: record.is_before_unread,
                failed: None,
                attempts: 0,
                claim: None,
                reference: None,
                is_overtaken: false,
            };
            self.waiting.insert(delivery, (at, pending));
        }
    }

    /// What an event tells of deliveries.
    fn learn(&mut self, event: &Event) {
        match &event.what {
            Happening::Claimed {
                deliveries,
                holder,
                until,
            } => {
                let claim = DeliveryClaim {
                    event: event.id.clone(),
                    holder: holder.clone(),
                    until: *until,
                };
                for delivery in deliveries {
                    if let Some((_, pending)) = self.waiting.get_mut(delivery) {
                        // A claim that was left open: its process may have sent before it ended.
                        pending.unsure |= pending.claim.is_some();
                        pending.claim = Some(claim.clone());
                        pending.attempts += 1;
                    }
                }
            }
            Happening::GivenUp { deliveries } => {
                for delivery in deliveries {
                    self.waiting.remove(delivery);
                }
            }
            Happening::Released { deliveries, claim } => {
                for delivery in deliveries {
                    if let Some((_, pending)) = self.waiting.get_mut(delivery)
                        && pending.is_claimed_by(claim.as_ref())
                    {
                        pending.claim = None;
                        pending.attempts = pending.attempts.saturating_sub(1);
                    }
                }
            }
            Happening::Delivered {
                delivery,
                reference,
            } => {
                self.waiting.remove(delivery);
                self.refer(delivery, reference.as_ref());
                if let Some((at, address)) = self.place_of(delivery) {
                    let latest = self.latest.entry(address).or_insert(at);
                    *latest = at.max(*latest);
                }
            }
            Happening::Undelivered {
                delivery,
                claim,
                how,
            } => {
                self.refer(delivery, how.reference.as_ref());
                if let Some((_, pending)) = self.waiting.get_mut(delivery)
                    && pending.is_claimed_by(claim.as_ref())
                {
                    pending.claim = None;
                    // It speaks of this attempt alone: one before it may have arrived all the same.
                    pending.unsure |= how.unsure;
                    pending.failed = Some((how.clone(), event.at));
                }
            }
            _ => {}
        }
    }

    /// Keeps what a sink made of an event, for those that follow in its thread.
    fn refer(&mut self, delivery: &Delivery, reference: Option<&serde_json::Value>) {
        if let (Some((_, address)), Some(reference)) = (self.place_of(delivery), reference) {
            self.references.insert(address, reference.clone());
        }
    }

    /// Where the event of a delivery is in the log, and where it belongs at its sink.
    fn place_of(&self, delivery: &Delivery) -> Option<(usize, Address)> {
        let (at, thread) = self.threads.get(delivery.event.as_str())?;
        let address = Address {
            sink: delivery.sink.clone(),
            thread: thread.clone(),
        };
        Some((*at, address))
    }

    fn left(self) -> Vec<Pending> {
        let (references, latest) = (self.references, self.latest);
        let mut waiting: Vec<(usize, Pending)> = self.waiting.into_values().collect();
        waiting.sort_by_key(|(at, _)| *at);
        let known = |(at, mut pending): (usize, Pending)| {
            let address = Address {
                sink: pending.delivery.sink.clone(),
                thread: pending.event.thread(),
            };
            pending.reference = references.get(&address).cloned();
            pending.is_overtaken = latest.get(&address).is_some_and(|latest| *latest > at);
            pending
        };
        waiting.into_iter().map(known).collect()
    }
}

impl Pending {
    /// Whether what this claim led to is the newest that is known.
    fn is_claimed_by(&self, event: Option<&EventId>) -> bool {
        let newest = self.claim.as_ref().map(|claim| &claim.event);
        event.is_none() || newest == event
    }

    /// Whether the sink said at the last attempt that it will not take it.
    pub fn is_refused(&self) -> bool {
        self.failed.as_ref().is_some_and(|(how, _)| how.refused)
    }

    /// Whether this process may send it now: the sink's own time has come, and no other process that may be alive
    /// has claimed it. `shared`: other machines reach the log, too.
    pub fn is_free(&self, own: &Holder, now: Timestamp, shared: bool) -> bool {
        // What failed in our future was dated by a clock that is ahead: so is the time that it names.
        let failed = self.failed.as_ref();
        let failed = failed.filter(|(_, at)| at.duration_since(now) <= TOLERANCE);
        let earliest = failed.and_then(|(how, _)| how.not_before);
        let is_claimed = self.claim.as_ref().is_some_and(|claim| {
            claim.holder != *own && claim.until > now && !claim.holder.is_gone(shared)
        });
        earliest.is_none_or(|earliest| earliest <= now) && !is_claimed
    }
}

/// What a process means to do with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Send,
    /// Not now; what follows at the same sink waits with it.
    Wait,
    /// Not at all; what follows does not wait.
    Skip,
}

/// Those of the deliveries that a process may make now. Of a sink's deliveries all that follow one which may not
/// be made yet wait with it, so that a sink hears everything in order.
pub fn claim(
    history: &History,
    intent: impl Fn(&Pending) -> Intent,
    own: &Holder,
    now: Timestamp,
    shared: bool,
) -> Vec<Pending> {
    let mut blocked: Vec<String> = Vec::new();
    let mut claimed = Vec::new();
    for pending in pending(history) {
        if blocked.contains(&pending.delivery.sink) {
            continue;
        }
        match intent(&pending) {
            Intent::Skip => {}
            Intent::Send if pending.is_free(own, now, shared) => {
                // What was claimed and not ended may have been sent.
                let unsure = pending.unsure || pending.claim.is_some();
                claimed.push(Pending { unsure, ..pending });
            }
            Intent::Send | Intent::Wait => blocked.push(pending.delivery.sink),
        }
    }
    claimed
}

#[cfg(test)]
mod tests {
    use sections::incident::Severity;

    use super::*;
    use crate::sample::{SampleHistory, claimed, note, second, to, undelivered};

    fn own() -> Holder {
        Holder::this_process(Some("1".to_owned()), Some(1))
    }

    /// A process that is certainly gone.
    fn gone() -> Holder {
        Holder {
            pid: 4_194_305,
            ..Holder::this_process(Some("2".to_owned()), Some(1))
        }
    }

    /// One of another machine, which may be alive.
    fn elsewhere() -> Holder {
        Holder {
            host: "another".to_owned(),
            ..own()
        }
    }

    fn send(_: &Pending) -> Intent {
        Intent::Send
    }

    fn claims(past: &SampleHistory, now: i64) -> Vec<Delivery> {
        let all = claim(&past.history(), send, &own(), second(now), false);
        all.into_iter().map(|one| one.delivery).collect()
    }

    #[test]
    fn what_is_addressed_waits_until_it_is_delivered_or_given_up() {
        let mut past = SampleHistory::new();
        let first = past.record(note("one"), &["a", "b"]);
        let second = past.record(note("two"), &["a"]);
        past.record(note("nobody"), &[]);
        let waiting = |past: &SampleHistory| -> Vec<Delivery> {
            let all = pending(&past.history());
            all.into_iter().map(|one| one.delivery).collect()
        };
        assert_eq!(
            waiting(&past),
            [to(&first, "a"), to(&first, "b"), to(&second, "a")]
        );
        past.add(Happening::Delivered {
            delivery: to(&first, "a"),
            reference: None,
        });
        assert_eq!(waiting(&past), [to(&first, "b"), to(&second, "a")]);
        past.add(Happening::GivenUp {
            deliveries: vec![to(&first, "b")],
        });
        assert_eq!(waiting(&past), [to(&second, "a")]);
    }

    #[test]
    fn what_follows_at_a_sink_waits_with_what_may_not_be_told_yet() {
        let mut past = SampleHistory::new();
        let first = past.record(note("one"), &["a", "b"]);
        let later = past.record(note("two"), &["a", "b"]);
        past.add(Happening::Undelivered {
            delivery: to(&first, "a"),
            claim: None,
            how: Undelivered {
                not_before: Some(second(60)),
                ..undelivered()
            },
        });
        // `Retry-After` holds back its sink and no other.
        assert_eq!(claims(&past, 59), [to(&first, "b"), to(&later, "b")]);
        assert_eq!(claims(&past, 60).len(), 4);
        let history = past.history();
        let by = |intent: Intent| {
            let of_first = |one: &Pending| {
                if one.delivery.event == first {
                    intent
                } else {
                    Intent::Send
                }
            };
            let all = claim(&history, of_first, &own(), second(60), false);
            all.into_iter().map(|one| one.delivery).collect::<Vec<_>>()
        };
        assert_eq!(by(Intent::Wait), []);
        assert_eq!(by(Intent::Skip), [to(&later, "a"), to(&later, "b")]);
    }

    #[test]
    fn a_clock_that_is_ahead_holds_back_no_other_machine() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        past.add(Happening::Undelivered {
            delivery: to(&event, "a"),
            claim: None,
            how: Undelivered {
                not_before: Some(second(700)),
                ..undelivered()
            },
        });
        let pending = &pending(&past.history())[0];
        let failed_at = pending.failed.as_ref().unwrap().1;
        let before = |seconds: i64| failed_at - jiff::SignedDuration::from_secs(seconds);
        assert!(pending.is_free(&own(), before(600), false));
        assert!(
            !pending.is_free(&own(), before(30), false),
            "clocks may differ by so much"
        );
    }

    #[test]
    fn a_claim_keeps_others_away_while_its_process_may_be_alive() {
        for (holder, free_at_once) in [(own(), true), (gone(), true), (elsewhere(), false)] {
            let mut past = SampleHistory::new();
            let event = past.record(note("one"), &["a"]);
            past.add(claimed(&[to(&event, "a")], &holder, second(120)));
            assert_eq!(
                claims(&past, 119).len(),
                usize::from(free_at_once),
                "{holder}"
            );
            let later = claim(&past.history(), send, &own(), second(120), false);
            // What was claimed and not ended may have been sent.
            assert!(later.len() == 1 && later[0].unsure, "{holder}");
        }
    }

    #[test]
    fn a_claim_that_another_took_over_leaves_it_unsure() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        past.add(claimed(&[to(&event, "a")], &gone(), second(120)));
        past.add(claimed(&[to(&event, "a")], &elsewhere(), second(120)));
        let all = pending(&past.history());
        assert_eq!((all[0].unsure, all[0].attempts), (true, 2));
        let holder = all[0].claim.as_ref().map(|claim| claim.holder.clone());
        assert_eq!(holder, Some(elsewhere()));
    }

    #[test]
    fn one_whose_claim_was_taken_over_ends_only_its_own() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        let delivery = to(&event, "a");
        let deliveries = std::slice::from_ref(&delivery);
        let late = past.add(claimed(deliveries, &elsewhere(), second(3)));
        let newer = past.add(claimed(deliveries, &own(), second(120)));
        let ends = |claim: &EventId| {
            [
                Happening::Released {
                    deliveries: vec![delivery.clone()],
                    claim: Some(claim.clone()),
                },
                Happening::Undelivered {
                    delivery: delivery.clone(),
                    claim: Some(claim.clone()),
                    how: undelivered(),
                },
            ]
        };
        for (claim, ended) in [(&late, false), (&newer, true)] {
            for end in ends(claim) {
                let mut past = past.clone();
                past.add(end);
                let all = pending(&past.history());
                assert_eq!(all[0].claim.is_none(), ended, "{claim:?}");
            }
        }
    }

    #[test]
    fn what_is_released_was_not_attempted() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        let delivery = to(&event, "a");
        past.add(claimed(
            std::slice::from_ref(&delivery),
            &elsewhere(),
            second(120),
        ));
        past.add(Happening::Released {
            deliveries: vec![delivery.clone()],
            claim: None,
        });
        let all = pending(&past.history());
        assert_eq!(
            (all[0].attempts, all[0].claim.clone(), all[0].unsure),
            (0, None, false)
        );
        assert_eq!(claims(&past, 9), [delivery]);
    }

    #[test]
    fn what_may_have_arrived_may_have_however_a_later_attempt_ends() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        let mut unsure = |how: Undelivered| {
            past.add(Happening::Undelivered {
                delivery: to(&event, "a"),
                claim: None,
                how,
            });
            pending(&past.history())[0].unsure
        };
        let lost = Undelivered {
            unsure: true,
            ..undelivered()
        };
        let refused = Undelivered {
            refused: true,
            ..undelivered()
        };
        assert!(!unsure(undelivered()));
        assert!(unsure(lost) && unsure(undelivered()) && unsure(refused));
    }

    /// A process was killed while the sink held its answer, and the next one was told to come later.
    #[test]
    fn what_a_killed_process_may_have_sent_may_have_arrived_however_a_later_attempt_ends() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        let deliveries = [to(&event, "a")];
        past.add(claimed(&deliveries, &gone(), second(120)));
        let claim = past.add(claimed(&deliveries, &own(), second(120)));
        past.add(Happening::Undelivered {
            delivery: to(&event, "a"),
            claim: Some(claim),
            how: undelivered(),
        });
        assert!(pending(&past.history())[0].unsure);
    }

    #[test]
    fn a_refusal_stays_until_a_person_decides() {
        let mut past = SampleHistory::new();
        let event = past.record(note("one"), &["a"]);
        past.add(claimed(&[to(&event, "a")], &own(), second(120)));
        past.add(Happening::Undelivered {
            delivery: to(&event, "a"),
            claim: None,
            how: Undelivered {
                refused: true,
                ..undelivered()
            },
        });
        let all = pending(&past.history());
        assert!(all[0].is_refused() && all[0].is_free(&own(), second(9), false));
        assert_eq!((all[0].attempts, all[0].claim.clone()), (1, None));
        assert_eq!(all[0].failed.as_ref().map(|(_, at)| *at), Some(second(2)));
    }

    /// The machine that wrote the second one has a clock that is behind.
    #[test]
    fn an_event_is_overtaken_by_what_comes_after_it_in_the_log_whatever_the_clocks_say() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        let first = past.record(note("one"), &["a", "b"]);
        let later = past.record(note("two"), &["a", "b"]);
        past.events[1].at = second(-300);
        let delivered = |past: &mut SampleHistory, event: &EventId, sink: &str| {
            past.add(Happening::Delivered {
                delivery: to(event, sink),
                reference: None,
            })
        };
        delivered(&mut past, &first, "a");
        delivered(&mut past, &later, "b");
        let all = pending(&past.history());
        let overtaken: Vec<(&str, bool)> = all
            .iter()
            .map(|one| (one.delivery.sink.as_str(), one.is_overtaken))
            .collect();
        assert_eq!(overtaken, [("b", true), ("a", false)]);
    }

    #[test]
    fn an_incident_of_a_deployment_is_in_its_thread_and_one_that_stands_apart_is_not() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        past.open(Severity::High);
        past.about(Some("d1"), None);
        past.apart();
        let id = past.open(Severity::High);
        let threads: Vec<String> = past.events.iter().map(Event::thread).collect();
        assert_eq!(threads, ["shop/-/d1".to_owned(), format!("shop/-/{id}")]);
    }

    #[test]
    fn what_belongs_to_no_incident_and_no_deployment_stands_alone() {
        let mut past = SampleHistory::new();
        past.about(None, None);
        past.add(note("the disk is full"));
        past.add(note("no deployments on Friday"));
        let id = past.open(Severity::High);
        past.add(note("the pool is empty"));
        let threads: Vec<String> = past.events.iter().map(Event::thread).collect();
        let alone = |nth: usize| format!("shop/-/{}", past.events[nth].id);
        let of_incident = format!("shop/-/{id}");
        let expected = [alone(0), alone(1), of_incident.clone(), of_incident];
        assert_eq!(threads, expected);
    }

    #[test]
    fn a_reference_is_carried_on_within_its_thread_and_sink_also_from_a_failure() {
        let mut past = SampleHistory::new();
        past.about(Some("d1"), None);
        let first = past.record(note("one"), &["a", "b"]);
        past.record(note("two"), &["a", "b"]);
        past.about(Some("d2"), None);
        past.record(note("other"), &["a"]);
        past.about(Some("d1"), None);
        past.add(Happening::Delivered {
            delivery: to(&first, "a"),
            reference: Some("message 1".into()),
        });
        past.add(Happening::Undelivered {
            delivery: to(&first, "b"),
            claim: None,
            how: Undelivered {
                reference: Some("half of it".into()),
                ..undelivered()
            },
        });
        let all = pending(&past.history());
        let references: Vec<_> = all
            .iter()
            .map(|one| (one.delivery.sink.as_str(), one.reference.clone()))
            .collect();
        assert_eq!(
            references,
            [
                ("b", Some("half of it".into())),
                ("a", Some("message 1".into())),
                ("b", Some("half of it".into())),
                ("a", None),
            ]
        );
    }
}
