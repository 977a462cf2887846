//! A ramp from share to share: each share is set, proved and judged; if it does not pass, back to 0 %.

use std::time::{Duration, Instant};

use cli::force::Lifting;
use cli::{Failure, Job};
use config::file::{OnInconclusiveStage, Traffic};
use config::value::Share;
use model::{Outcome, Report, Verdict};
use operation::shares::work::{ChangeEnd, ShareChange, ShareChanged, WayBackEnd, Work};
use place::ForeignChange;
use router::Router;
use state::{AbortRequest, Document, Forced, Lease, Phase, Rollout, Status};

use crate::abort::UNPROVED;
use crate::finish;
use crate::foreign::{self, Disturbed, Served};
use crate::in_effect::has_all;
use crate::judge::{self, JudgedShare};
use crate::old_side::Keep;
use crate::promotion::{Promotion, insert, left};
use crate::provable::{self, stays};
use crate::refuse;
use crate::rollout_report::RolloutReport;
use crate::session::{Session, is_at_work, rollout};
use crate::side_choice::{self, Goal, OtherSide};

/// How often the state is read for what others want of a rollout.
const POLL: Duration = Duration::from_secs(1);
/// How long a router may take after a signal to tell what it has.
const LOOK_AFTER_SIGNAL: Duration = Duration::from_secs(1);
/// How long a ramp that cannot go on tries to give its share back.
const UNDONE_WITHIN: Duration = Duration::from_secs(30);

#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    /// The shares, one after another. Default: `traffic.stages`
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    pub(crate) stages: Vec<Share>,
    /// End with exit code 3 where a promotion is needed, instead of waiting; `traffic promote` goes on
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// The rules that a person lifts for the whole run that this ramp is a part of.
    #[arg(skip)]
    pub(crate) forced: Vec<Forced>,
}

impl Flags {
    /// The stages, of the command line or of the file; `max-share` is one of them.
    pub(crate) fn stages(&self, session: &Session<'_>) -> Result<Vec<Share>, Failure> {
        let mut stages = self.named(session)?;
        if let Some(most) = session
            .section
            .max_share
            .filter(|_| session.section.auto_promote)
            && stages.last().is_some_and(|last| *last > most)
        {
            insert(&mut stages, most);
        }
        Ok(stages)
    }

    fn named(&self, session: &Session<'_>) -> Result<Vec<Share>, Failure> {
        if self.stages.is_empty() {
            return Ok(session.section.stages.clone());
        }
        let grow = self.stages.windows(2).all(|pair| pair[0] < pair[1]);
        if self.stages[0].is_none() {
            return Err(Failure::usage("a stage of 0% shows nothing")
                .hint("write `--stages 10%,50%,100%`; `traffic abort` goes back to 0%"));
        }
        if !grow {
            return Err(Failure::usage("the shares of `--stages` do not grow")
                .hint("write `--stages 10%,50%,100%`"));
        }
        Ok(self.stages.clone())
    }
}

/// The largest share that a release may have without a promotion.
pub(crate) fn limit(section: &Traffic, stages: &[Share]) -> Share {
    if section.auto_promote {
        section.max_share.unwrap_or(Share::ALL)
    } else {
        stages.first().copied().unwrap_or(Share::ALL)
    }
}

/// The next larger share.
fn above(share: Share) -> Share {
    Share::from_steps(share.steps() + 1)
}

/// Ramps `--release` up.
pub(crate) async fn ramp(job: &Job, flags: &Flags) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let release = session.named()?;
    let stages = flags.stages(&session)?;
    let document = session.read().await?;
    let mut lifting = Lifting::new(flags.forced.clone());
    let refused = refuse::begin_beside(&session, document.as_ref(), release, &mut lifting);
    if let Some(outcome) = refused.await? {
        return Ok(session.report(vec![outcome]));
    }
    let (lease, document) = session.acquire().await?;
    let ended = Box::pin(begin(&session, &lease, &document, release, stages, flags)).await;
    session.or_release(&lease, ended).await
}

async fn begin(
    session: &Session<'_>,
    lease: &Lease,
    document: &Document,
    release: &str,
    stages: Vec<Share>,
    flags: &Flags,
) -> Result<Report, Failure> {
    // What was true before the lease must be true under it.
    let mut lifting = Lifting::new(flags.forced.clone());
    let refused = refuse::begin_beside(session, Some(document), release, &mut lifting);
    if let Some(outcome) = refused.await? {
        return session.give_up(lease, vec![outcome]).await;
    }
    let work = Work {
        forced: lifting.lifted(),
        ..session.work(Some(document))
    };
    let context = work.context();
    let router = work.router(&context)?;
    let release = document.name_of(release);
    let pair = match side_choice::pair(&work, &*router, Goal::Release(&release), OtherSide::Answers)
        .await
    {
        Ok(pair) => pair,
        Err(outcome) => return session.give_up(lease, vec![*outcome]).await,
    };
    let gate = config::healthgate_for(&session.job.config, &pair.release)?;
    if let Some(outcome) = side_choice::unhealthy(&work, &*router, &pair, gate.as_ref()).await {
        return session.give_up(lease, vec![outcome]).await;
    }
    if pair.least.is_all() {
        let outcome = match has_all(
            &*router,
            &pair.sides,
            (&pair.release, pair.stable.as_deref()),
        )
        .await
        {
            Ok(()) => {
                Outcome::pass("share/100%", &pair.release).actual("it has all requests already")
            }
            Err(error) => Outcome::fail("share/100%", &pair.release)
                .expected("it has all requests, as the configuration has it")
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("`traffic status`; `traffic set 100% --release R` sets it and proves it"),
        };
        return session.give_up(lease, vec![outcome]).await;
    }
    let stages = match pair.stages_left(&stages) {
        Ok(stages) => stages,
        Err(outcome) => return session.give_up(lease, vec![*outcome]).await,
    };
    let rollout = Rollout {
        is_ramp: true,
        ..pair.rollout(session.job, pair.share, stages)
    };
    let mut ramp = Ramp::new(session, &work, &*router, lease, rollout, flags.no_wait);
    ramp.is_new = true;
    Box::pin(ramp.up()).await
}

/// A ramp under its lease.
pub(crate) struct Ramp<'a> {
    session: &'a Session<'a>,
    work: &'a Work<'a>,
    router: &'a dyn Router,
    lease: &'a Lease,
    rollout: Rollout,
    no_wait: bool,
    /// No share was changed yet: where the first change is refused, everything is as it was.
    is_new: bool,
    /// Written down when all that it allows can be proved.
    promotion: Option<Promotion>,
    /// Another has changed the share: nothing of it is overwritten.
    is_foreign: bool,
    /// At so many places, as many as may fail, the last share is not in effect.
    failed: usize,
    found: RolloutReport,
}

/// What ended a stage.
enum StageEnd {
    Judged(JudgedShare),
    Disturbed(Disturbed),
    Lost(state::Error),
    Requested(AbortRequest),
    Interrupted,
}

/// What ended a wait for a promotion.
enum WaitEnd {
    Promoted,
    Failed(JudgedShare),
    Disturbed(Disturbed),
    Lost(state::Error),
    Requested(AbortRequest),
    Interrupted,
}

/// Why a ramp goes back.
struct BackReason {
    verdict: Verdict,
    reason: String,
    /// What is recorded of the release.
    finding: Status,
}

impl BackReason {
    /// The ramp cannot go on, and nothing is known against its release.
    fn error(failure: &Failure) -> BackReason {
        BackReason {
            verdict: Verdict::Error,
            reason: failure.chain(),
            finding: Status::RolledBack,
        }
    }
}

/// Why a ramp cannot go on, and the next step.
fn stopped(rollout: &Rollout, failure: &Failure) -> Outcome {
    let next = format!(
        "`traffic status` shows what is in use, and `traffic ramp --release {}` begins anew",
        rollout.release
    );
    Outcome::error("ramp/stopped", &rollout.release)
        .expected("the ramp keeps its lock, its state and its judge")
        .actual(failure.chain())
        .reason(failure.chain())
        .hint(match &failure.hint {
            Some(hint) => format!("{hint}; then {next}"),
            None => format!("repair it; {next}"),
        })
}

impl<'a> Ramp<'a> {
    pub(crate) fn new(
        session: &'a Session<'a>,
        work: &'a Work<'a>,
        router: &'a dyn Router,
        lease: &'a Lease,
        rollout: Rollout,
        no_wait: bool,
    ) -> Self {
        Ramp {
            session,
            work,
            router,
            lease,
            rollout,
            no_wait,
            is_new: false,
            promotion: None,
            is_foreign: false,
            failed: 0,
            found: RolloutReport::new(work.clock),
        }
    }

    /// The same of a rollout that this allows to go on.
    pub(crate) fn promoted_by(self, promotion: Promotion) -> Self {
        Ramp {
            promotion: Some(promotion),
            ..self
        }
    }

    /// From the share that is recorded to the last stage, if each can be proved. Whatever goes wrong, no share stays that
    /// no process watches.
    pub(crate) async fn up(mut self) -> Result<Report, Failure> {
        let shares = left(&self.rollout);
        let refused = provable::refusals(self.work, self.router, &self.rollout, &shares).await;
        if !refused.is_empty() {
            return self.unprovable(refused).await;
        }
        if self.is_new {
            self.session
                .begin_rollout(self.lease, &self.rollout)
                .await?;
        }
        if let Some(promotion) = self.promotion {
            self.work
                .note(self.lease, |noted| promotion.apply(noted))
                .await?;
        }
        match self.stages().await {
            Ok(Some(report)) => return Ok(report),
            Ok(None) => {}
            Err(failure) if self.is_foreign => return Err(failure),
            Err(failure) => return self.undone(failure).await,
        }
        let Ramp {
            session,
            work,
            router,
            lease,
            rollout,
            found,
            failed,
            ..
        } = self;
        let keep = (failed > 0).then_some(Keep::Serves(failed));
        finish::finish(session, work, router, lease, &rollout, found, keep).await
    }

    /// A share to come cannot be proved in time. What a person left as it is stays so; what a process watched that has
    /// ended goes back.
    pub(crate) async fn unprovable(&mut self, refused: Vec<Outcome>) -> Result<Report, Failure> {
        if self.is_new {
            return self.session.give_up(self.lease, refused).await;
        }
        if !is_at_work(self.rollout.phase) {
            return self.session.give_up(self.lease, stays(refused)).await;
        }
        let reason = self.session.report(refused.clone()).reason;
        self.found.mark(self.rollout.share);
        self.found.outcomes.extend(refused);
        let why = BackReason {
            verdict: Verdict::Fail,
            reason,
            finding: Status::RolledBack,
        };
        self.take_back(why).await
    }

    /// Stage by stage; a report where the ramp is over before the release has everything.
    async fn stages(&mut self) -> Result<Option<Report>, Failure> {
        self.found.mark(self.rollout.share);
        let mut next = left(&self.rollout).first().copied();
        while let Some(share) = next {
            let limit = self.limit();
            if share > limit {
                if self.no_wait {
                    return self.waits().await.map(Some);
                }
                if let Some(report) = self.permitted(above(limit)).await? {
                    return Ok(Some(report));
                }
                // The promotion may be a stage of its own, before this one.
                let mut stages = self.rollout.stages.iter().copied();
                let current = self.rollout.share;
                next = stages.find(|stage| *stage > current || *stage == share);
                continue;
            }
            if let Some(report) = Box::pin(self.stage(share)).await? {
                return Ok(Some(report));
            }
            let mut stages = self.rollout.stages.iter().copied();
            next = stages.find(|stage| *stage > share);
        }
        if !self.rollout.share.is_all() {
            // `--stages` ended below.
            return self.hold().await.map(Some);
        }
        Ok(None)
    }

    /// The places that are watched at a share. At as many as may fail, the router may be gone.
    fn served(&self, share: Share) -> Served {
        let places = self.router.places().len();
        let may_fail = self.session.section.max_failed.at_most(places);
        Served::new(self.router, &self.rollout, share, may_fail)
    }

    /// The largest share that it may have without a promotion.
    fn limit(&self) -> Share {
        let own = limit(self.session.section, &self.rollout.stages);
        own.max(self.rollout.promoted.unwrap_or_default())
    }

    /// One stage; a report where the ramp is over with it.
    async fn stage(&mut self, share: Share) -> Result<Option<Report>, Failure> {
        self.session
            .job
            .progress
            .show(&format!("{} to {share}", self.rollout.release));
        let change = ShareChange {
            before: self.rollout.share,
            after: share,
            restores: false,
        };
        let changing = self
            .work
            .change(self.router, self.lease, &self.rollout, change);
        let mut changed = changing.await?;
        let is_new = std::mem::replace(&mut self.is_new, false);
        self.rollout.share = self.rollout.share.max(share);
        self.found.changed(share, &mut changed);
        match changed.end {
            ChangeEnd::Made { failed } => {
                self.failed = failed;
                self.found.mark(share);
            }
            ChangeEnd::Impossible if is_new => {
                self.session.end_rollout(self.lease).await?;
                return self.report(None).await.map(Some);
            }
            ChangeEnd::Impossible
            | ChangeEnd::Failed
            | ChangeEnd::Unproved
            | ChangeEnd::PutBack { .. } => return self.not_in_effect(share).await.map(Some),
            ChangeEnd::Foreign(others) => return self.overtaken(&others).await.map(Some),
            ChangeEnd::Interrupted => return self.interrupted().await.map(Some),
            ChangeEnd::Stopped(error) => return Err(error.into()),
        }
        self.phase(Phase::Judging).await?;
        let judged = match Box::pin(self.judged(share)).await? {
            StageEnd::Judged(judged) => judged,
            StageEnd::Disturbed(disturbed) => return self.disturbed(disturbed).await.map(Some),
            StageEnd::Lost(error) => return Err(error.into()),
            StageEnd::Requested(request) => return self.requested(&request).await.map(Some),
            StageEnd::Interrupted => return self.interrupted().await.map(Some),
        };
        let JudgedShare {
            verdict,
            outcomes,
            curves,
        } = judged;
        self.found.judged(share, verdict, curves);
        let reason = self.session.report(outcomes.clone()).reason;
        self.found.outcomes.extend(outcomes);
        match verdict {
            Verdict::Pass | Verdict::Skipped => Ok(None),
            Verdict::Fail | Verdict::Refused | Verdict::Partial => {
                let why = BackReason {
                    verdict: Verdict::Fail,
                    reason,
                    finding: Status::Bad,
                };
                self.take_back(why).await.map(Some)
            }
            Verdict::Inconclusive | Verdict::Error => self.undecided(verdict, reason).await,
        }
    }

    /// A share that was set, or could not be: what it was before is not left unwatched.
    async fn not_in_effect(&mut self, share: Share) -> Result<Report, Failure> {
        let why = BackReason {
            verdict: Verdict::Fail,
            reason: format!("{share} is not in effect"),
            finding: Status::RolledBack,
        };
        self.take_back(why).await
    }

    /// A change by hand whose process has ended, made again: it is not in effect, and goes back.
    pub(crate) async fn again_in_vain(
        &mut self,
        share: Share,
        mut changed: ShareChanged,
    ) -> Result<Report, Failure> {
        self.found.mark(self.rollout.share);
        self.found.changed(share, &mut changed);
        self.not_in_effect(share).await
    }

    /// It failed while it waited for a promotion.
    async fn worse(&mut self, judged: JudgedShare) -> Result<Report, Failure> {
        let JudgedShare { outcomes, .. } = judged;
        let reason = self.session.report(outcomes.clone()).reason;
        self.found.outcomes.extend(outcomes);
        let why = BackReason {
            verdict: Verdict::Fail,
            reason,
            finding: Status::Bad,
        };
        self.take_back(why).await
    }

    async fn undecided(
        &mut self,
        verdict: Verdict,
        reason: String,
    ) -> Result<Option<Report>, Failure> {
        match self.session.section.on_inconclusive {
            OnInconclusiveStage::Abort => {
                let why = BackReason {
                    verdict,
                    reason,
                    finding: Status::RolledBack,
                };
                self.take_back(why).await.map(Some)
            }
            OnInconclusiveStage::Hold => {
                // What was promoted was so before this was known.
                self.rollout.promoted = Some(self.rollout.share);
                let share = self.rollout.share;
                let promoted = self
                    .work
                    .note(self.lease, |noted| noted.promoted = Some(share));
                promoted.await?;
                if self.no_wait || share.is_all() {
                    return self.waits().await.map(Some);
                }
                self.permitted(above(share)).await
            }
            OnInconclusiveStage::Continue if self.rollout.share.is_all() => {
                let why = BackReason {
                    verdict,
                    reason,
                    finding: Status::RolledBack,
                };
                self.take_back(why).await.map(Some)
            }
            OnInconclusiveStage::Continue => {
                // It is shown, and decides nothing.
                for outcome in &mut self.found.outcomes {
                    if outcome.verdict != Verdict::Pass {
                        outcome.severity = model::Severity::Advisory;
                    }
                }
                Ok(None)
            }
        }
    }

    async fn judged(&self, share: Share) -> Result<StageEnd, Failure> {
        let interval = self.session.section.watch_interval.get();
        let served = self.served(share);
        let judging = async {
            let judged = judge::judge(self.session, self.router, &self.rollout, share);
            let judged = Box::pin(judged).await?;
            if matches!(judged.verdict, Verdict::Pass | Verdict::Skipped) {
                served.everywhere().await;
            }
            Ok::<_, Failure>(judged)
        };
        let end = tokio::select! {
            judged = judging => StageEnd::Judged(judged?),
            foreign = foreign::watch(self.router, &self.rollout, share, interval, &served) => StageEnd::Disturbed(foreign),
            error = self.session.keep(self.lease) => StageEnd::Lost(error),
            request = self.requests() => StageEnd::Requested(request?),
            _ = self.session.job.interrupt.wait() => StageEnd::Interrupted,
        };
        // What was counted while another share was in effect decides nothing.
        if matches!(end, StageEnd::Judged(_) | StageEnd::Interrupted)
            && let Some(foreign) = self.overwritten(share).await
        {
            return Ok(StageEnd::Disturbed(foreign));
        }
        let is_interrupted = self.session.job.interrupt.caught().is_some();
        Ok(match end {
            StageEnd::Judged(_) if is_interrupted => StageEnd::Interrupted,
            end => end,
        })
    }

    /// What another changed since the last look, before anything is set again. After a signal there is little time.
    async fn overwritten(&self, share: Share) -> Option<Disturbed> {
        let mut limit = self.session.section.watch_interval.get();
        if self.session.job.interrupt.caught().is_some() {
            limit = limit.min(LOOK_AFTER_SIGNAL);
        }
        foreign::detect(self.router, &self.rollout, share, limit).await
    }

    /// Ends when another wants the rollout to end.
    async fn requests(&self) -> Result<AbortRequest, Failure> {
        loop {
            tokio::time::sleep(POLL).await;
            // A state that cannot be read now is read again.
            let Ok(Some(document)) = self.session.store.read().await else {
                continue;
            };
            if let Some(request) = document.rollout.and_then(|rollout| rollout.abort) {
                return Ok(request);
            }
        }
    }

    /// Waits until it may have this share; a report where the ramp is over before.
    async fn permitted(&mut self, share: Share) -> Result<Option<Report>, Failure> {
        Ok(match Box::pin(self.wait_until(share)).await? {
            WaitEnd::Promoted => None,
            WaitEnd::Failed(judged) => Some(self.worse(judged).await?),
            WaitEnd::Disturbed(disturbed) => Some(self.disturbed(disturbed).await?),
            WaitEnd::Lost(error) => return Err(error.into()),
            WaitEnd::Requested(request) => Some(self.requested(&request).await?),
            WaitEnd::Interrupted => Some(self.interrupted().await?),
        })
    }

    async fn wait_until(&mut self, share: Share) -> Result<WaitEnd, Failure> {
        self.phase(Phase::Waiting).await?;
        let progress = &self.session.job.progress;
        progress.show(&format!(
            "{} has {}: `traffic promote` lets it go on",
            self.rollout.release, self.rollout.share
        ));
        let interval = self.session.section.watch_interval.get();
        let current = self.rollout.share;
        let served = self.served(current);
        let promotion = async {
            loop {
                if let Ok(Some(document)) = self.session.store.read().await
                    && let Some(rollout) = rollout(Some(&document))
                    && rollout.promoted.is_some_and(|promoted| promoted >= share)
                {
                    return (rollout.promoted, rollout.stages.clone());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let waited = tokio::select! {
            (promoted, stages) = promotion => {
                self.rollout.promoted = promoted;
                self.rollout.stages = stages;
                // What another changed since the last look is not written over.
                self.overwritten(current).await.map_or(WaitEnd::Promoted, WaitEnd::Disturbed)
            }
            foreign = foreign::watch(self.router, &self.rollout, current, interval, &served) => WaitEnd::Disturbed(foreign),
            judged = Box::pin(judge::guard(self.session, self.router, &self.rollout)) => {
                let judged = judged?;
                // It may have failed by what another changed.
                match self.overwritten(current).await {
                    None => WaitEnd::Failed(judged),
                    Some(disturbed) => {
                        self.found.outcomes.extend(judged.outcomes);
                        WaitEnd::Disturbed(disturbed)
                    }
                }
            }
            error = self.session.keep(self.lease) => WaitEnd::Lost(error),
            request = self.requests() => WaitEnd::Requested(request?),
            _ = self.session.job.interrupt.wait() => {
                self.overwritten(current).await.map_or(WaitEnd::Interrupted, WaitEnd::Disturbed)
            }
        };
        Ok(waited)
    }

    async fn phase(&mut self, phase: Phase) -> Result<(), Failure> {
        self.rollout.phase = phase;
        self.work
            .note(self.lease, |noted| noted.phase = phase)
            .await
    }

    /// It needs a promotion, and this process does not wait for it.
    async fn waits(&mut self) -> Result<Report, Failure> {
        self.phase(Phase::Waiting).await?;
        let Rollout { release, share, .. } = &self.rollout;
        let outcome = Outcome::inconclusive("ramp/waiting", release)
            .expected("a promotion")
            .actual(format!("{release} has {share}"))
            .reason(format!("{release} has {share} and waits for a promotion"))
            .hint("`traffic promote` goes on, `traffic abort` gives everything back");
        self.report(Some(outcome)).await
    }

    /// The stages end below 100 %.
    async fn hold(&mut self) -> Result<Report, Failure> {
        self.phase(Phase::Held).await?;
        let Rollout { release, share, .. } = &self.rollout;
        let outcome = Outcome::pass("ramp/held", release).actual(format!(
            "{release} has {share}, the last of `--stages`; `traffic promote` goes on to 100%"
        ));
        self.report(Some(outcome)).await
    }

    /// Another program or person has changed the share: the ramp stops.
    pub(crate) async fn disturbed(&mut self, disturbed: Disturbed) -> Result<Report, Failure> {
        match &disturbed {
            Disturbed::Foreign(changes) => {
                self.work
                    .note_foreign(self.lease, &self.rollout, changes)
                    .await?;
                self.overtaken(changes).await
            }
            Disturbed::NotServed { .. } => {
                let why = BackReason {
                    verdict: Verdict::Fail,
                    reason: disturbed.to_string(),
                    finding: Status::RolledBack,
                };
                self.take_back(why).await
            }
        }
    }

    /// Nothing is overwritten, and both values are told.
    async fn overtaken(&mut self, changes: &[ForeignChange]) -> Result<Report, Failure> {
        self.is_foreign = true;
        self.phase(Phase::Held).await?;
        let of = (&self.rollout, self.rollout.share);
        self.found
            .overtaken("ramp/foreign-change", of, changes, "; the ramp stops");
        self.report(None).await
    }

    async fn requested(&mut self, request: &AbortRequest) -> Result<Report, Failure> {
        let why = BackReason {
            verdict: Verdict::Fail,
            reason: request.to_string(),
            finding: Status::RolledBack,
        };
        self.take_back(why).await
    }

    async fn interrupted(&mut self) -> Result<Report, Failure> {
        let why = BackReason {
            verdict: Verdict::Inconclusive,
            reason: "interrupted".to_owned(),
            finding: Status::RolledBack,
        };
        self.take_back(why).await
    }

    /// The ramp cannot go on: its state cannot be written, its lock is gone, its judge cannot be asked. Where no other
    /// operation has taken over, the share must not stay as it is, and a state that cannot be reached now is tried again.
    async fn undone(&mut self, failure: Failure) -> Result<Report, Failure> {
        let end = Instant::now() + UNDONE_WITHIN;
        self.found.outcomes.push(stopped(&self.rollout, &failure));
        loop {
            let is_over = match self.take_back(BackReason::error(&failure)).await {
                Ok(report) => return Ok(report),
                Err(_) => match self.taken_back(&failure).await {
                    Ok(Some(report)) => return Ok(report),
                    // Another operation has the rollout, or has ended it.
                    Ok(None) => true,
                    Err(_) => Instant::now() > end || self.session.job.interrupt.caught().is_some(),
                },
            };
            if is_over {
                let Rollout { release, share, .. } = &self.rollout;
                return Err(Failure::error(format!(
                    "{}; this ramp gave {release} {share} and leaves it so: another operation has the state",
                    failure.chain()
                ))
                .hint("`traffic status` shows what is in use, `traffic abort` takes a rollout back"));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The same under another lease, because the own one is gone. `None` where the rollout is not ours any more.
    async fn taken_back(&mut self, failure: &Failure) -> Result<Option<Report>, Failure> {
        let (lease, document) = self.session.acquire_now().await?;
        // Tokens grow in one state: with a smaller one than ours, it began anew, and no other operation knows of the share.
        let is_ours = match rollout(Some(&document)) {
            Some(found) => {
                found.release == self.rollout.release && found.started == self.rollout.started
            }
            None => lease.token <= self.lease.token,
        };
        if !is_ours {
            self.session.release(&lease).await?;
            return Ok(None);
        }
        let back = self.back_under(&lease, BackReason::error(failure)).await;
        if back.is_err() {
            self.session.release(&lease).await?;
        }
        back.map(Some)
    }

    async fn take_back(&mut self, why: BackReason) -> Result<Report, Failure> {
        self.back_under(self.lease, why).await
    }

    async fn back_under(&mut self, lease: &Lease, why: BackReason) -> Result<Report, Failure> {
        let progress = &self.session.job.progress;
        progress.show(&format!(
            "back to {}: {}",
            self.rollout.stable_shown(),
            why.reason
        ));
        let back = self.work.take_back(
            self.router,
            lease,
            &self.rollout,
            (Some(why.finding), &why.reason),
        );
        let mut back = back.await?;
        self.found.add_taken_back(&mut back);
        self.session.release(lease).await?;
        Ok(self.taken_back_report(&why, back.end))
    }

    fn taken_back_report(&mut self, why: &BackReason, end: WayBackEnd) -> Report {
        let Rollout { release, share, .. } = &self.rollout;
        let stable = self.rollout.stable_shown();
        let found = std::mem::replace(&mut self.found, RolloutReport::new(self.work.clock));
        let mut report = self.session.report(found.outcomes.clone());
        let (verdict, back) = match end {
            WayBackEnd::Whole => (why.verdict, format!("{stable} has 100% again")),
            WayBackEnd::Unproved => (why.verdict, UNPROVED.to_owned()),
            WayBackEnd::Partial => (
                Verdict::Partial,
                format!(
                    "{stable} does not have 100% everywhere again: `traffic abort` tries again"
                ),
            ),
        };
        report.verdict = verdict;
        report.reason = format!("{}; {back}", why.reason);
        report.headline = Some(format!("{release} taken back from {share}: {back}"));
        found.illustrate(&mut report);
        report
    }

    async fn report(&mut self, last: Option<Outcome>) -> Result<Report, Failure> {
        self.session.release(self.lease).await?;
        let mut found = std::mem::replace(&mut self.found, RolloutReport::new(self.work.clock));
        found.outcomes.extend(last);
        let mut report = self.session.report(found.outcomes.clone());
        found.illustrate(&mut report);
        Ok(report)
    }
}
