//! What sinks have not heard yet, and which process tells them.
//!
//! A delivery is claimed in the log before anything is sent, and its end is written down after it: of several
//! processes one sends, and a process that is killed leaves a claim that shows what may have been sent.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use state::Holder;

use crate::{Delivery, Event, Happening, History, Subject, Undelivered};

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
    /// The process that is telling the sink, and until when it alone may.
    pub claim: Option<(Holder, Timestamp)>,
    /// What the sink made of the newest earlier event of the same thread.
    pub reference: Option<serde_json::Value>,
}

/// Which events belong together for a sink: those of an incident, or of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub sink: String,
    pub thread: String,
}

impl Subject {
    /// The same for all events that a sink shows together: `shop/production/v1.2.4#123/1`.
    pub fn thread(&self) -> String {
        let or = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
        let incident = self.incident.as_ref().map(|id| id.as_str().to_owned());
        let what = self.deployment.clone().or(incident);
        let what = what.or(self.release.clone());
        format!(
            "{}/{}/{}",
            or(&self.service),
            or(&self.environment),
            or(&what)
        )
    }
}

/// Every delivery that was not made, in the order of the log. One that the sink refused for good is among them
/// with what it said.
pub fn pending(history: &History) -> Vec<Pending> {
    let mut waiting: BTreeMap<Delivery, (usize, Pending)> = BTreeMap::new();
    let mut references: BTreeMap<Address, serde_json::Value> = BTreeMap::new();
    let mut threads: BTreeMap<String, String> = BTreeMap::new();
    for (at, event) in history.events().enumerate() {
        for sink in &event.sinks {
            let delivery = Delivery {
                event: event.id.clone(),
                sink: sink.clone(),
            };
            let thread = event.subject.thread();
            threads.insert(event.id.to_string(), thread);
            let pending = Pending {
                delivery: delivery.clone(),
                event: event.clone(),
                unsure: false,
                failed: None,
                attempts: 0,
                claim: None,
                reference: None,
            };
            waiting.insert(delivery, (at, pending));
        }
        match &event.what {
            Happening::Claimed {
                deliveries,
                holder,
                until,
            } => {
                for delivery in deliveries {
                    if let Some((_, pending)) = waiting.get_mut(delivery) {
                        // A claim that was left open: its process may have sent before it ended.
                        pending.unsure |= pending.claim.is_some();
                        pending.claim = Some((holder.clone(), *until));
                        pending.attempts += 1;
                    }
                }
            }
            Happening::GivenUp { deliveries } => {
                for delivery in deliveries {
                    waiting.remove(delivery);
                }
            }
            Happening::Released { deliveries } => {
                for delivery in deliveries {
                    if let Some((_, pending)) = waiting.get_mut(delivery) {
                        pending.claim = None;
                        pending.attempts = pending.attempts.saturating_sub(1);
                    }
                }
            }
            Happening::Delivered {
                delivery,
                reference,
            } => {
                waiting.remove(delivery);
                let thread = threads.get(delivery.event.as_str());
                if let (Some(thread), Some(reference)) = (thread, reference) {
                    let address = Address {
                        sink: delivery.sink.clone(),
                        thread: thread.clone(),
                    };
                    references.insert(address, reference.clone());
                }
            }
            Happening::Undelivered { delivery, how } => {
                let thread = threads.get(delivery.event.as_str());
                if let (Some(thread), Some(reference)) = (thread, &how.reference) {
                    let address = Address {
                        sink: delivery.sink.clone(),
                        thread: thread.clone(),
                    };
                    references.insert(address, reference.clone());
                }
                if let Some((_, pending)) = waiting.get_mut(delivery) {
                    pending.claim = None;
                    pending.unsure = how.unsure;
                    pending.failed = Some((how.clone(), event.at));
                }
            }
            _ => {}
        }
    }
    let mut waiting: Vec<(usize, Pending)> = waiting.into_values().collect();
    waiting.sort_by_key(|(at, _)| *at);
    let known = |(_, mut pending): (usize, Pending)| {
        let address = Address {
            sink: pending.delivery.sink.clone(),
            thread: pending.event.subject.thread(),
        };
        pending.reference = references.get(&address).cloned();
        pending
    };
    waiting.into_iter().map(known).collect()
}

impl Pending {
    /// Whether the sink said at the last attempt that it will not take it.
    pub fn is_refused(&self) -> bool {
        self.failed.as_ref().is_some_and(|(how, _)| how.refused)
    }

    /// Whether this process may send it now: the sink's own time has come, and no other process that may be alive
    /// has claimed it. `shared`: other machines reach the log, too.
    pub fn is_free(&self, own: &Holder, now: Timestamp, shared: bool) -> bool {
        let failed = self.failed.as_ref();
        let earliest = failed.and_then(|(how, _)| how.not_before);
        let is_claimed = self.claim.as_ref().is_some_and(|(holder, until)| {
            holder != own && *until > now && !holder.is_gone(shared)
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
