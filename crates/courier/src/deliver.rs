//! One round of deliveries: claim, tell, write down.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chronicle::{
    Chronicle, Delivery, Error, Event, EventId, Happening, History, Intent, MAX_CLAIM, Pending,
    ReadScope, SCHEMA, Subject, Undelivered, Writer, claim, pending,
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use model::Redactor;
use notify::{
    DeliveryError, DeliveryFailure, PreviousDelivery, Recipient, Reference, TemplateError, Texts,
};
use state::Holder;

use crate::notice;

/// The most that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// What is left at least for writing down how the attempts ended.
const TO_WRITE: Duration = Duration::from_millis(300);
/// How long a round may last: its claim must not end while it still tells.
const ROUND: Duration = MAX_CLAIM.saturating_sub(ATTEMPT);
/// The longest back-off between a stage's attempts.
const LONGEST_PAUSE: i64 = 300;

/// What a courier works with.
pub struct Courier<'a> {
    pub chronicle: &'a Chronicle,
    /// The sinks by their names.
    pub recipients: Vec<Recipient<'a>>,
    /// A template that cannot be used holds back what needs it, and nothing else.
    pub texts: Result<Texts, TemplateError>,
    pub holder: Holder,
    pub by: Writer,
    /// Whether other machines reach the log, too.
    pub is_shared: bool,
    pub redactor: Redactor,
}

/// How eagerly a round tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    /// Within a stage: a sink that did not answer is left alone for a while.
    BestEffort,
    /// Because a person or a schedule asked for it: whatever may be tried is tried.
    Requested,
}

/// What a round may tell.
struct Claimed {
    /// The event that claims it; `None` where there is nothing.
    by: Option<EventId>,
    deliveries: Vec<Pending>,
    /// What happened before.
    history: History,
}

/// What became of the deliveries of one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTally {
    pub sink: String,
    pub delivered: usize,
    /// Not delivered, and to be tried again.
    pub waiting: usize,
    /// Not taken by the sink, and tried again only when a person asks for it.
    pub refused: usize,
    /// Of those that wait, being told by another process.
    pub elsewhere: usize,
    /// The last attempt that failed: why, and what to do.
    pub reason: Option<String>,
    pub hint: Option<String>,
    /// When the sink may be asked again, where it said so.
    pub not_before: Option<Timestamp>,
}

impl Courier<'_> {
    /// Makes one attempt for each delivery that may be made now, all sinks side by side and each sink's in their
    /// order, and ends by `until`. Of each sink with deliveries it tells what became of them.
    ///
    /// # Errors
    /// Returns why the log could not be read or written. No sink is told then.
    pub async fn deliver(
        &self,
        round: DeliveryMode,
        until: Instant,
    ) -> Result<Vec<SinkTally>, Error> {
        let began = Instant::now();
        let until = until.min(began + ROUND);
        let Claimed {
            by,
            deliveries: mut claimed,
            mut history,
        } = self.claim(round).await?;
        // A log that was slow to take the claim is slow to take the end, too.
        let to_write = TO_WRITE.max(began.elapsed() * 2);
        let left = until.saturating_duration_since(Instant::now());
        let until = Instant::now() + left.saturating_sub(to_write.min(left / 2));
        let is_lost = |one: &Pending| !history.has_beginning(&one.event);
        if history.is_cut() && claimed.iter().any(is_lost) {
            // It tells to which message, and to which incident, an event belongs.
            history = self.chronicle.read().await?;
            let known = pending(&history);
            for one in &mut claimed {
                let same = known.iter().find(|same| same.delivery == one.delivery);
                one.reference = same.and_then(|same| same.reference.clone());
                one.is_overtaken = same.is_some_and(|same| same.is_overtaken);
            }
        }
        let mut by_sink: BTreeMap<&str, Vec<&Pending>> = BTreeMap::new();
        for pending in &claimed {
            let sink = pending.delivery.sink.as_str();
            by_sink.entry(sink).or_default().push(pending);
        }
        let telling = by_sink
            .into_iter()
            .map(|(sink, deliveries)| self.tell(sink, deliveries, by.as_ref(), &history, until));
        let failed = join_all(telling).await;
        for one in failed {
            one?;
        }
        // Where nothing was claimed, nothing has changed.
        let now = match round {
            _ if claimed.is_empty() => history,
            DeliveryMode::BestEffort => self.chronicle.recent().await?,
            DeliveryMode::Requested => self.chronicle.read().await?,
        };
        Ok(self.tally(&claimed, &now))
    }

    /// Claims what may be told now. Nothing is written where there is nothing.
    async fn claim(&self, round: DeliveryMode) -> Result<Claimed, Error> {
        let mut claimed = Vec::new();
        let mut seen = History::default();
        let decide = |history: &History| {
            let now = Timestamp::now();
            let intent = |pending: &Pending| self.intent(pending, round, now);
            claimed = claim(history, intent, &self.holder, now, self.is_shared);
            seen = history.clone();
            if claimed.is_empty() {
                return Ok(Vec::new());
            }
            let deliveries = claimed.iter().map(|pending| pending.delivery.clone());
            let happening = Happening::Claimed {
                deliveries: deliveries.collect(),
                holder: self.holder.clone(),
                until: now.checked_add(MAX_CLAIM).unwrap_or(Timestamp::MAX),
            };
            Ok::<_, Error>(vec![self.event(happening)])
        };
        let seeing = match round {
            DeliveryMode::BestEffort => ReadScope::Recent,
            DeliveryMode::Requested => ReadScope::Full,
        };
        let written = self.chronicle.append(seeing, decide).await?;
        Ok(Claimed {
            by: written.into_iter().next().map(|event| event.id),
            deliveries: claimed,
            history: seen,
        })
    }

    fn intent(&self, pending: &Pending, round: DeliveryMode, now: Timestamp) -> Intent {
        let Some(recipient) = self.recipient(&pending.delivery.sink) else {
            return Intent::Skip;
        };
        // Nothing is written down: a laptop without the pager's key does not keep the others from calling it.
        if recipient.unusable().is_some() {
            return Intent::Wait;
        }
        match round {
            DeliveryMode::Requested => Intent::Send,
            DeliveryMode::BestEffort if pending.is_refused() => Intent::Skip,
            DeliveryMode::BestEffort if is_rested(pending, now) => Intent::Send,
            DeliveryMode::BestEffort => Intent::Wait,
        }
    }

    /// Tells one sink, until it does not take one.
    async fn tell(
        &self,
        sink: &str,
        deliveries: Vec<&Pending>,
        by: Option<&EventId>,
        history: &History,
        until: Instant,
    ) -> Result<(), Error> {
        let Some(recipient) = self.recipient(sink) else {
            return Ok(());
        };
        let mut references: BTreeMap<String, Option<Reference>> = BTreeMap::new();
        let mut deliveries = deliveries.into_iter();
        for pending in deliveries.by_ref() {
            if Instant::now() >= until {
                let rest = std::iter::once(pending).chain(deliveries);
                return self.release(rest, by).await;
            }
            let thread = pending.event.thread();
            let known = references.entry(thread).or_insert_with(|| {
                let known = pending.reference.clone()?;
                serde_json::from_value(known).ok()
            });
            let ended = self
                .attempt(recipient, pending, history, known.as_ref(), until)
                .await;
            let (happening, goes_on) = match ended {
                Ok(reference) => {
                    if reference.is_some() {
                        known.clone_from(&reference);
                    }
                    (delivered(&pending.delivery, reference.as_ref()), true)
                }
                Err(error) => {
                    if error.reference.is_some() {
                        known.clone_from(&error.reference);
                    }
                    let refused = matches!(error.why, DeliveryFailure::Refused { .. });
                    (not_delivered(&pending.delivery, by, &error), refused)
                }
            };
            self.chronicle.write(&[self.event(happening)]).await?;
            // What follows must not overtake it.
            if !goes_on {
                break;
            }
        }
        self.release(deliveries, by).await
    }

    async fn attempt(
        &self,
        recipient: &Recipient<'_>,
        pending: &Pending,
        history: &History,
        reference: Option<&Reference>,
        until: Instant,
    ) -> Result<Option<Reference>, DeliveryError> {
        let texts = self.texts.as_ref().map_err(unusable)?;
        let Some(notice) =
            notice(history, &pending.event, texts).map_err(|error| unusable(&error))?
        else {
            return Ok(None);
        };
        let earlier = PreviousDelivery {
            reference,
            unsure: pending.unsure,
            is_overtaken: pending.is_overtaken,
        };
        let deadline = until.min(Instant::now() + ATTEMPT);
        let attempt = recipient.deliver(&notice, earlier, deadline);
        // A sink ends by its deadline itself; this is for one that does not.
        let late = tokio::time::timeout_at((deadline + TO_WRITE / 2).into(), attempt);
        match late.await {
            Ok(ended) => Ok(ended?.reference),
            Err(_) => Err(DeliveryFailure::Unsure {
                reason: "no answer in time".to_owned(),
                after: None,
            }
            .into()),
        }
    }

    async fn release(
        &self,
        rest: impl Iterator<Item = &Pending>,
        by: Option<&EventId>,
    ) -> Result<(), Error> {
        let deliveries: Vec<Delivery> = rest.map(|pending| pending.delivery.clone()).collect();
        if deliveries.is_empty() {
            return Ok(());
        }
        let happening = Happening::Released {
            deliveries,
            claim: by.cloned(),
        };
        self.chronicle.write(&[self.event(happening)]).await
    }

    fn recipient(&self, name: &str) -> Option<&Recipient<'_>> {
        self.recipients.iter().find(|one| one.name == name)
    }

    fn event(&self, what: Happening) -> Event {
        let at = Timestamp::now();
        let event = Event {
            schema: SCHEMA.to_owned(),
            id: EventId::new(at),
            at,
            subject: Subject::default(),
            by: self.by.clone(),
            evidence: Vec::new(),
            sinks: Vec::new(),
            what,
        };
        event.redacted(&self.redactor)
    }

    /// What became of everything, by sink: those that were told now, and those with deliveries left.
    fn tally(&self, claimed: &[Pending], history: &History) -> Vec<SinkTally> {
        let left = pending(history);
        let mut all: BTreeMap<&str, SinkTally> = BTreeMap::new();
        for pending in claimed {
            let is_left = left.iter().any(|one| one.delivery == pending.delivery);
            if !is_left {
                of(&mut all, &pending.delivery.sink).delivered += 1;
            }
        }
        let now = Timestamp::now();
        for pending in &left {
            let told = of(&mut all, &pending.delivery.sink);
            let recipient = self.recipient(&pending.delivery.sink);
            let unusable = recipient.and_then(Recipient::unusable);
            if pending.is_refused() || unusable.is_some() {
                told.refused += 1;
            } else {
                told.waiting += 1;
            }
            if pending.claim.is_some() && !pending.is_free(&self.holder, now, self.is_shared) {
                told.elsewhere += 1;
            }
            if let Some((how, _)) = &pending.failed {
                told.reason = Some(how.reason.clone());
                told.hint.clone_from(&how.hint);
                told.not_before = told.not_before.max(how.not_before);
            }
            if let Some(unusable) = unusable {
                told.reason = Some(unusable.to_string());
                told.hint = unusable.hint().map(str::to_owned);
            }
            if recipient.is_none() {
                told.reason = Some("the configuration has no sink of this name".to_owned());
            }
        }
        all.into_values().collect()
    }
}

/// The tally of a sink.
fn of<'a, 'b>(all: &'b mut BTreeMap<&'a str, SinkTally>, sink: &'a str) -> &'b mut SinkTally {
    all.entry(sink).or_insert_with(|| SinkTally {
        sink: sink.to_owned(),
        ..SinkTally::default()
    })
}

/// Whether a stage may try it again: after a failed attempt it waits two seconds, then twice as long each time.
fn is_rested(pending: &Pending, now: Timestamp) -> bool {
    let Some((_, at)) = &pending.failed else {
        return true;
    };
    let pause = 1_i64 << pending.attempts.min(16);
    let pause = SignedDuration::from_secs(pause.min(LONGEST_PAUSE));
    now.duration_since(*at) >= pause
}

fn delivered(delivery: &Delivery, reference: Option<&Reference>) -> Happening {
    Happening::Delivered {
        delivery: delivery.clone(),
        reference: reference.and_then(|one| serde_json::to_value(one).ok()),
    }
}

fn not_delivered(delivery: &Delivery, by: Option<&EventId>, error: &DeliveryError) -> Happening {
    let after = match &error.why {
        DeliveryFailure::Later { after, .. } | DeliveryFailure::Unsure { after, .. } => *after,
        DeliveryFailure::Refused { .. } => None,
    };
    let reference = error.reference.as_ref();
    Happening::Undelivered {
        delivery: delivery.clone(),
        claim: by.cloned(),
        how: Undelivered {
            reason: error.to_string(),
            hint: error.hint().map(str::to_owned),
            unsure: matches!(error.why, DeliveryFailure::Unsure { .. }),
            refused: matches!(error.why, DeliveryFailure::Refused { .. }),
            not_before: after.and_then(|after| Timestamp::now().checked_add(after).ok()),
            reference: reference.and_then(|one| serde_json::to_value(one).ok()),
        },
    }
}

/// A template that cannot be used is for a person to correct; it is tried again then.
fn unusable(error: &TemplateError) -> DeliveryError {
    let why = DeliveryFailure::Later {
        reason: error.to_string(),
        after: None,
    };
    DeliveryError {
        hint: Some(format!("{}; then `incident deliver`", error.hint())),
        ..why.into()
    }
}
