//! One round of deliveries: claim, tell, write down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chronicle::{
    Chronicle, Delivery, Error, Event, EventId, Happening, History, Intent, MAX_CLAIM, Pending,
    ReadScope, SCHEMA, Subject, Undelivered, Writer, claim, pending,
};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use model::Redactor;
use notify::{
    Delivered, DeliveryError, DeliveryFailure, Notice, PreviousDelivery, Recipient, Reference,
    TemplateError, Texts,
};
use state::Holder;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::notice;

/// The most that one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);
/// What is left at least for writing down how the attempts ended.
const TO_WRITE: Duration = Duration::from_millis(300);
/// How long a round may last: its claim must not end while it still tells.
const ROUND: Duration = MAX_CLAIM.saturating_sub(ATTEMPT);
/// The longest back-off between a stage's attempts.
const LONGEST_PAUSE: i64 = 300;
/// The shortest pause that a sink asks for, whatever it says.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// One round at a time for each sink in a process: a second one would treat the claims of the first as stale. A sink that
/// does not answer keeps no other waiting.
#[derive(Clone, Debug, Default)]
pub struct SinkLocks(BTreeMap<String, Arc<Mutex<()>>>);

impl SinkLocks {
    pub fn new<'a>(sinks: impl Iterator<Item = &'a str>) -> SinkLocks {
        SinkLocks(
            sinks
                .map(|name| (name.to_owned(), Arc::default()))
                .collect(),
        )
    }

    fn of(&self, sink: &str) -> Arc<Mutex<()>> {
        self.0.get(sink).cloned().unwrap_or_default()
    }
}

/// What a courier works with.
pub struct Courier<'a> {
    pub chronicle: &'a Chronicle,
    /// The sinks by their names.
    pub recipients: Vec<Recipient<'a>>,
    pub locks: &'a SinkLocks,
    /// The sinks of other environments, each with its own.
    pub elsewhere: Vec<(&'a str, &'a str)>,
    /// A template that cannot be used holds back what needs it, and nothing else.
    pub texts: Result<Texts, TemplateError>,
    pub holder: Holder,
    pub by: Writer,
    /// Whether other machines reach the log, too.
    pub is_shared: bool,
    /// Whether a rollback is configured.
    pub can_go_back: bool,
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

/// The sinks of a round.
type LockedSinks<'a> = BTreeMap<&'a str, OwnedMutexGuard<()>>;

/// A thread at a sink.
struct ThreadState {
    reference: Option<Reference>,
    /// A delivery to it may have arrived.
    is_unsure: bool,
    /// What shows it shows the newest event of it.
    is_shown: bool,
}

/// Which sink is told, what is known by then, and until when it may take.
#[derive(Clone, Copy)]
struct Telling<'t> {
    recipient: &'t Recipient<'t>,
    history: &'t History,
    until: Instant,
}

/// Deliveries of a thread that are told together.
#[derive(Debug, Default)]
struct Batch {
    count: usize,
    /// What tells them, where there is something to tell.
    notices: Vec<Notice>,
    /// One of them may have arrived.
    is_unsure: bool,
    /// The sink was told a later event of the thread.
    is_overtaken: bool,
}

/// What is asked of a sink.
#[derive(Clone, Copy, Debug)]
enum Act<'a> {
    /// To tell these; whether the newest event of the thread is among them.
    Deliver(&'a Batch, bool),
    /// To make what shows a thread show this; whether it shows a later event already.
    Show(&'a Notice, bool),
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
    /// order, and ends by `until`. A sink that another round of this process tells is told when that has ended. Of each
    /// sink with deliveries it tells what became of them.
    ///
    /// # Errors
    /// Returns why the log could not be read or written. No sink is told then.
    pub async fn deliver(
        &self,
        round: DeliveryMode,
        until: Instant,
    ) -> Result<Vec<SinkTally>, Error> {
        let until = until.min(Instant::now() + ROUND);
        let (mut free, mut busy) = (LockedSinks::new(), Vec::new());
        for Recipient { name, .. } in &self.recipients {
            let lock = self.locks.of(name);
            match Arc::clone(&lock).try_lock_owned() {
                Ok(guard) => drop(free.insert(*name, guard)),
                Err(_) => busy.push((*name, lock)),
            }
        }
        let was_busy = !busy.is_empty();
        let later = busy.into_iter().map(async |(name, lock)| {
            let left = until.saturating_duration_since(Instant::now());
            let locked = tokio::time::timeout(left.saturating_sub(TO_WRITE * 2), lock.lock_owned());
            let Ok(guard) = locked.await else {
                return Ok((Vec::new(), History::default()));
            };
            let sinks = LockedSinks::from([(name, guard)]);
            self.tell_sinks(round, sinks, until).await
        });
        let (now, later) = tokio::join!(self.tell_sinks(round, free, until), join_all(later));
        let (mut claimed, history) = now?;
        for one in later {
            claimed.extend(one?.0);
        }
        // Where nothing was claimed, nothing has changed.
        let now = match round {
            _ if claimed.is_empty() && !was_busy => history,
            DeliveryMode::BestEffort => self.chronicle.recent().await?,
            DeliveryMode::Requested => self.chronicle.read().await?,
        };
        Ok(self.tally(&claimed, &now))
    }

    /// One round for these sinks: what was claimed, and what happened before.
    async fn tell_sinks(
        &self,
        round: DeliveryMode,
        mut sinks: LockedSinks<'_>,
        until: Instant,
    ) -> Result<(Vec<Pending>, History), Error> {
        let began = Instant::now();
        let Claimed {
            by,
            deliveries: mut claimed,
            mut history,
        } = self.claim(round, &sinks).await?;
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
        sinks.retain(|sink, _| by_sink.contains_key(sink));
        let telling = by_sink.into_iter().map(|(sink, deliveries)| {
            let guard = sinks.remove(sink);
            let (by, history) = (by.as_ref(), &history);
            async move {
                let told = self.deliver_to(sink, deliveries, by, history, until).await;
                drop(guard);
                told
            }
        });
        for one in join_all(telling).await {
            one?;
        }
        Ok((claimed, history))
    }

    /// Claims what these sinks may be told now. Nothing is written where there is nothing.
    async fn claim(&self, round: DeliveryMode, sinks: &LockedSinks<'_>) -> Result<Claimed, Error> {
        let mut claimed = Vec::new();
        let mut seen = History::default();
        let decide = |history: &History| {
            let now = Timestamp::now();
            let intent = |pending: &Pending| match self.intent(pending, round, now) {
                Intent::Send if !sinks.contains_key(&*pending.delivery.sink) => Intent::Wait,
                intent => intent,
            };
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

    /// Delivers to one sink, until it does not take one. Of several events of a thread people see the newest first: it is what
    /// is true, also where the time ends.
    async fn deliver_to(
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
        let mut threads: BTreeMap<String, ThreadState> = BTreeMap::new();
        let mut rest = &deliveries[..];
        let mut most = usize::MAX;
        while let Some(pending) = rest.first() {
            if Instant::now() >= until {
                return self.release(rest, by).await;
            }
            let thread = pending.event.thread();
            let of_thread = rest.iter().filter(|one| one.event.thread() == thread);
            let known = threads.entry(thread.clone()).or_insert_with(|| {
                let reference = pending.reference.clone();
                ThreadState {
                    reference: reference.and_then(|one| serde_json::from_value(one).ok()),
                    is_unsure: of_thread.clone().any(|one| one.unsure),
                    is_shown: false,
                }
            });
            let telling = Telling {
                recipient,
                history,
                until,
            };
            let (count, ended) = self.tell_next(telling, rest, most, known).await;
            let (told, later) = rest.split_at(count);
            let (happenings, goes_on): (Vec<Happening>, bool) = match ended {
                Ok(reference) => {
                    let delivered = |one: &&Pending| delivered(&one.delivery, reference.as_ref());
                    (told.iter().map(delivered).collect(), true)
                }
                Err(mut error) => {
                    let is_refused = matches!(error.why, DeliveryFailure::Refused { .. });
                    if is_refused && count > 1 {
                        // It may be one of them, or that they are several.
                        most = 1;
                        continue;
                    }
                    // What was shown is there, also where the answer to it is not.
                    error.reference = error.reference.or_else(|| known.reference.clone());
                    let not_delivered = |one: &&Pending| not_delivered(&one.delivery, by, &error);
                    (told.iter().map(not_delivered).collect(), is_refused)
                }
            };
            let events: Vec<Event> = happenings.into_iter().map(|one| self.event(one)).collect();
            self.chronicle.write(&events).await?;
            // What follows must not overtake it.
            if !goes_on {
                return self.release(later, by).await;
            }
            rest = later;
        }
        Ok(())
    }

    /// Tells the deliveries that come next, at most so many: how many they are, and how that ended.
    async fn tell_next(
        &self,
        telling: Telling<'_>,
        rest: &[&Pending],
        most: usize,
        known: &mut ThreadState,
    ) -> (usize, Result<Option<Reference>, DeliveryError>) {
        let Telling {
            recipient,
            history,
            until,
        } = telling;
        let batch = match self.batch(recipient, history, rest, most) {
            Ok(batch) => batch,
            Err(error) => return (1, Err(error)),
        };
        let thread = rest.first().map(|one| one.event.thread());
        let later = rest[batch.count..]
            .iter()
            .rfind(|one| Some(one.event.thread()) == thread);
        if let Some(newest) = later
            && recipient.shows_threads()
            && !known.is_shown
        {
            let shown = match self.notice(history, newest) {
                Ok(Some(notice)) => {
                    let act = Act::Show(&notice, newest.is_overtaken);
                    self.attempt_in_time(recipient, act, known, until).await
                }
                Ok(None) => Ok(None),
                Err(error) => Err(error),
            };
            if shown.is_err() {
                return (1, shown);
            }
        }
        let act = Act::Deliver(&batch, later.is_none());
        let ended = self.attempt_in_time(recipient, act, known, until).await;
        (batch.count, ended)
    }

    /// The deliveries of one thread that come next and that the sink takes together, at most so many.
    fn batch(
        &self,
        recipient: &Recipient<'_>,
        history: &History,
        rest: &[&Pending],
        most: usize,
    ) -> Result<Batch, DeliveryError> {
        let thread = rest.first().map(|one| one.event.thread());
        let same = rest
            .iter()
            .take_while(|one| Some(one.event.thread()) == thread);
        let mut batch = Batch::default();
        for pending in same.take(most) {
            let notice = match self.notice(history, pending) {
                // What is before it is told without it.
                Err(_) if batch.count > 0 => break,
                notice => notice?,
            };
            let before = batch.notices.len();
            batch.notices.extend(notice);
            if !recipient.fits(&batch.notices) {
                batch.notices.truncate(before);
                break;
            }
            batch.count += 1;
            batch.is_unsure |= pending.unsure;
            batch.is_overtaken = pending.is_overtaken;
        }
        Ok(batch)
    }

    fn notice(
        &self,
        history: &History,
        pending: &Pending,
    ) -> Result<Option<Notice>, DeliveryError> {
        let texts = self.texts.as_ref().map_err(unusable)?;
        let notice = notice(history, &pending.event, texts, self.can_go_back);
        notice.map_err(|error| unusable(&error))
    }

    /// Makes one attempt, and another one where the sink asks to wait for it and the time is there.
    async fn attempt_in_time(
        &self,
        recipient: &Recipient<'_>,
        act: Act<'_>,
        known: &mut ThreadState,
        until: Instant,
    ) -> Result<Option<Reference>, DeliveryError> {
        loop {
            let ended = attempt(recipient, act, known, until).await;
            let left = match &ended {
                Ok(reference) => reference,
                Err(error) => &error.reference,
            };
            if left.is_some() {
                known.reference.clone_from(left);
                known.is_shown |= matches!(act, Act::Show(..) | Act::Deliver(_, true));
            }
            let pause = match ended.as_ref().map_err(|error| &error.why) {
                Err(DeliveryFailure::Later { after, .. }) => {
                    after.map(|one| one.max(SHORTEST_WAIT))
                }
                _ => None,
            };
            match pause.filter(|pause| Instant::now() + *pause < until) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return ended,
            }
        }
    }

    async fn release(&self, rest: &[&Pending], by: Option<&EventId>) -> Result<(), Error> {
        let deliveries: Vec<Delivery> = rest
            .iter()
            .map(|pending| pending.delivery.clone())
            .collect();
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
                let environment = pending.event.subject.environment.as_deref();
                let own = environment
                    .filter(|name| self.elsewhere.contains(&(*name, &*pending.delivery.sink)));
                told.reason = Some(own.map_or_else(
                    || "the configuration has no sink of this name".to_owned(),
                    |name| format!("only the environment `{name}` has a sink of this name"),
                ));
                told.hint = own.map(|name| format!("run `incident deliver --environment {name}`"));
            }
        }
        all.into_values().collect()
    }
}

async fn attempt(
    recipient: &Recipient<'_>,
    act: Act<'_>,
    known: &ThreadState,
    until: Instant,
) -> Result<Option<Reference>, DeliveryError> {
    let deadline = until.min(Instant::now() + ATTEMPT);
    let earlier = |unsure, is_overtaken| PreviousDelivery {
        reference: known.reference.as_ref(),
        unsure,
        is_overtaken: is_overtaken || known.is_shown,
    };
    let attempt = async {
        match act {
            Act::Deliver(Batch { notices, .. }, _) if notices.is_empty() => {
                Ok(Delivered::default())
            }
            Act::Deliver(batch, _) => {
                let earlier = earlier(batch.is_unsure, batch.is_overtaken);
                let told = recipient.deliver_together(&batch.notices, earlier, deadline);
                told.await
            }
            Act::Show(notice, is_overtaken) => {
                let earlier = earlier(known.is_unsure, is_overtaken);
                recipient.show(notice, earlier, deadline).await
            }
        }
    };
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
    // What failed in our future was dated by a clock that is ahead.
    *at > now || now.duration_since(*at) >= pause
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
