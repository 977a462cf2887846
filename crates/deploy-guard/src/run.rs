//! `deploy-guard run`: preflight → deploy → healthgate → record or roll back. Where `migrate:` is
//! configured, the schema is changed before the deployment; where `traffic:` is, `shares.rs` deploys to the
//! idle side and ramps it up before the gate.

mod rule;
mod run_log;
mod shares;

use std::cell::OnceCell;
use std::io::Write as _;
use std::time::{Duration, Instant};

use cli::force::Force;
use cli::{Failure, Job, Stage as _, hooks};
use config::file::{Deploy, OnUndecided};
use config::value::Side;
use model::outcome::by_weight;
use model::report::Bar;
use model::text::span;
use model::{Id, Outcome, Report, StageName, Verdict};
use remote::local::{Captured, Script};
use sections::incident::Impact;
use tempfile::NamedTempFile;

use rule::Rules;
use run_log::{Ending, RunLog};

/// The stage and its flags.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct Stage {
    #[command(flatten)]
    force: Force<Rules>,
}

const EXAMPLES: &str = "Examples:
  deploy-guard run --release v1.2.4
  deploy-guard run --release v1.2.4 --environment staging --report report.json

With --report, each stage's own report is kept beside it: report.healthgate.json";

impl cli::Stage for Stage {
    const NAME: &'static str = StageName::Run.as_str();
    const ABOUT: &'static str = "Deploy under guard: preflight, deploy, gate, record or roll back";
    const EXAMPLES: &'static str = EXAMPLES;
    const PARTS: &'static [&'static str] = &[
        StageName::Preflight.as_str(),
        StageName::Migrate.as_str(),
        StageName::Traffic.as_str(),
        StageName::Healthgate.as_str(),
        StageName::Rollback.as_str(),
    ];
    // GitHub kills a step 10 s after it asks it to end.
    const GRACE: Duration = Duration::from_secs(9);

    async fn run(self, job: &Job) -> Result<Report, Failure> {
        let config = &job.config;
        let Some(deploy) = config.deploy()? else {
            return Err(Failure::usage("no deployment is configured")
                .hint("add `deploy: { command: ./deploy.sh \"$RELEASE\" }` to the configuration"));
        };
        let Some(release) = &job.release else {
            return Err(Failure::usage("no release is named").hint("pass `--release RELEASE`"));
        };
        // What a later phase uses is asked for before anything is deployed.
        config.preflight()?;
        config.runner_check()?;
        config.runners()?;
        config.github()?;
        config.rollback()?;
        config.traffic()?;
        config.migrate()?;
        if config
            .healthgate()?
            .is_none_or(|gate| probe::kinds::planned(gate).is_empty())
        {
            return Err(Failure::usage(
                "no probe is configured, so whether the deployment works could not be known",
            )
            .hint("add `healthgate: { http: [{ name: ready, url: … }] }` to the configuration"));
        }
        rule::check(&self.force.rules, config)?;
        let started_at = jiff::Timestamp::now();
        let previous = OnceCell::new();
        let book = RunLog::start(job, release, started_at).await;
        // It holds every stage's future.
        let running = Box::pin(
            Run {
                job,
                deploy,
                release,
                started_at,
                clock: Instant::now(),
                phases: Vec::new(),
                force: self.force,
                outcomes: Vec::new(),
                previous: &previous,
                book: &book,
            }
            .run_stages(),
        );
        let running = Box::pin(run_while_notifying(running, &book, job));
        let telling = Box::pin(book.notify_cancelled());
        let ended = job.telling_early(running, telling).await;
        if deploy.after.is_empty() || job.dry_run {
            return ended;
        }
        after(job, deploy, started_at, previous.into_inner(), ended).await
    }
}

/// Runs the deployment while the sinks are told that it started, writes down its end, and tells the sinks of it. A sink
/// that does not answer holds nothing up. What goes wrong with that, and went wrong with the log, changes no verdict.
async fn run_while_notifying(
    running: impl Future<Output = Result<Report, Failure>>,
    book: &RunLog<'_>,
    job: &Job,
) -> Result<Report, Failure> {
    let telling = book.notify_start();
    tokio::pin!(running, telling);
    let mut is_told = false;
    let ended = loop {
        tokio::select! {
            biased;
            ended = &mut running => break ended,
            () = job.interrupt.and(TO_END) => break Err(Failure::error(format!(
                "interrupted, and not done within {}s",
                TO_END.as_secs()
            ))),
            () = &mut telling, if !is_told => is_told = true,
        }
    };
    let telling = async {
        if !is_told && let Some(until) = book.until() {
            // What is being sent is not cut off: whether it arrived would not be known.
            let _ = tokio::time::timeout_at(until.into(), telling).await;
        }
    };
    let ending = async {
        book.write_end(job, &ended).await;
        book.notify_end().await
    };
    let (outcomes, ()) = tokio::join!(ending, telling);
    match ended {
        Ok(mut report) => {
            report.outcomes.extend(outcomes);
            report.unread_lines = book.unread();
            Ok(report)
        }
        Err(mut failure) => {
            failure.beside.extend(outcomes);
            Err(failure)
        }
    }
}

/// How long after a signal the run itself may go on, and how long its hooks: before we are killed.
const TO_END: Duration = Duration::from_secs(7);
const TO_TELL: Duration = Duration::from_millis(8500);

/// Runs the hooks of `deploy.after`, whatever the end was.
async fn after(
    job: &Job,
    deploy: &Deploy,
    started_at: jiff::Timestamp,
    previous: Option<String>,
    ended: Result<Report, Failure>,
) -> Result<Report, Failure> {
    let told = match &ended {
        Ok(report) => report.clone(),
        Err(failure) => failure.report(Stage::NAME, started_at),
    };
    let file = write_temporary(&hooks::document(job, &told));
    let file = file
        .inspect_err(|error| tracing::warn!("hooks get no report: {error}"))
        .ok();
    let env = [
        ("RELEASE", job.release.clone()),
        // Empty rather than inherited.
        ("PREVIOUS_RELEASE", previous),
        ("SERVICE", job.service()),
        ("ENVIRONMENT", job.environment.clone()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.unwrap_or_default()));
    let (env, path) = (env.to_vec(), file.as_ref().map(NamedTempFile::path));
    hooks::after(job, &deploy.after, ended, &told, path, env, TO_TELL).await
}

/// A file that is there as long as the hooks run.
fn write_temporary(text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new()
        .prefix("deploy-guard-")
        .suffix(".json")
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    Ok(file)
}

/// What the lease is held for.
const OPERATION: &str = "deploy";

/// Headline of a rollback that was interrupted.
const STOPPED: &str = "its rollback was interrupted: see `rollback status`";

/// Why the command did not deploy.
enum Undone {
    Failed(String),
    /// The lease was lost while it ran.
    Lost(Failure),
}

/// A phase whose report is not shown, because it stopped the run: why, and what to do.
fn stopped(id: Id, release: &str, report: &Report) -> Outcome {
    let mut outcome = Outcome::new(id, release, report.verdict).reason(report.reason.clone());
    outcome.hint = next_step(report);
    outcome
}

/// What the worst of a report's outcomes tells to do.
fn next_step(report: &Report) -> Option<String> {
    let worst = by_weight(&report.outcomes);
    let mut all = worst.iter().filter(|one| one.weighs() > Verdict::Pass);
    all.find_map(|outcome| outcome.hint.clone())
}

struct Run<'a> {
    job: &'a Job,
    deploy: &'a Deploy,
    release: &'a str,
    started_at: jiff::Timestamp,
    clock: Instant,
    /// What was done when.
    phases: Vec<Bar>,
    force: Force<Rules>,
    outcomes: Vec<Outcome>,
    /// The last good release before this one, once it is known.
    previous: &'a OnceCell<String>,
    /// What is written into the log of events.
    book: &'a RunLog<'a>,
}

impl Run<'_> {
    async fn run_stages(mut self) -> Result<Report, Failure> {
        let preflight = self.preflight().await?;
        if preflight.verdict != Verdict::Pass && !self.job.dry_run {
            let reason = format!("preflight: {}; nothing was deployed", preflight.reason);
            let told = match preflight.verdict {
                Verdict::Fail => "preflight failed",
                Verdict::Refused => "preflight refused it",
                Verdict::Error => "preflight could not check everything",
                _ => "preflight did not decide",
            };
            let headline = format!("{} was not deployed: {told}", self.release);
            let ending = self.not_deployed();
            return Ok(self.end(ending, preflight.verdict, headline, reason));
        }
        if self.job.dry_run {
            if self.job.config.migrate()?.is_some() {
                let would = migrate::apply(self.job, self.force.known_to()).await;
                self.stage(would, StageName::Migrate)?;
            }
            let mut deploy = format!("would run `deploy.command` with RELEASE={}", self.release);
            if self.job.config.traffic()?.is_some() {
                deploy.push_str(&self.would_ramp().await?);
            }
            self.outcomes
                .push(Outcome::skipped(Id::phase("deploy"), self.release, deploy));
            let told = "dry run: nothing was deployed";
            return Ok(self.end(
                Ending::refused(),
                Verdict::Inconclusive,
                told.into(),
                told.into(),
            ));
        }
        let within = match rollback::lease::hold(self.job, OPERATION).await {
            Ok(Some(within)) => within,
            Ok(None) => return Box::pin(self.under_lease()).await,
            Err(failure) => {
                let verdict = failure.code.verdict();
                let reason = self.not_done(Id::phase("lock"), failure, verdict);
                let headline = format!("{} was not deployed: the lock is not free", self.release);
                let reason = format!("{reason}; nothing was deployed");
                let ending = self.not_deployed();
                return Ok(self.end(ending, verdict, headline, reason));
            }
        };
        // Each part runs under this lease: none waits for it.
        let job = Job {
            within: Some(within.clone()),
            ..self.job.clone()
        };
        let ended = Box::pin(Run { job: &job, ..self }.under_lease()).await;
        match rollback::lease::release(&job, &within).await {
            Ok(()) => ended,
            // A lost lease belongs to another operation now; the result is reported anyway.
            Err(failure) => {
                tracing::warn!("the lock was not given back: {}", failure.chain());
                ended
            }
        }
    }

    /// The deployment itself, and what follows from it.
    async fn under_lease(mut self) -> Result<Report, Failure> {
        if self.job.config.migrate()?.is_some() {
            self.book
                .goes_on("the schema may be changed; `migrate status` shows it");
            let migrated = Box::pin(migrate::apply(self.job, self.force.known_to())).await;
            let migrated = self.stage(migrated, StageName::Migrate)?;
            if self.job.interrupt.caught().is_some() {
                let ending = self.book.cancelled();
                return Ok(self.interrupted("while the schema was changed", ending));
            }
            if migrated.verdict != Verdict::Pass {
                let headline = format!(
                    "{} was not deployed: the schema was not changed",
                    self.release
                );
                let reason = format!("migrate: {}; nothing was deployed", migrated.reason);
                let ending = match migrated.verdict {
                    Verdict::Fail | Verdict::Partial => Ending::failed(),
                    _ => Ending::refused(),
                };
                return Ok(self.end(ending, migrated.verdict, headline, reason));
            }
        }
        if self.job.config.traffic()?.is_some() {
            return Box::pin(self.by_shares()).await;
        }
        let previous = match self.pending().await? {
            Ok(previous) => previous,
            Err(refused) => {
                self.job.progress.clear();
                let headline = format!("{} was not deployed: it may not be", self.release);
                let reason = format!("{}; nothing was deployed", refused.reason);
                let stopped = stopped(Id::phase(StageName::Record), self.release, &refused);
                self.outcomes.push(stopped);
                let ending = self.not_deployed();
                return Ok(self.end(ending, refused.verdict, headline, reason));
            }
        };
        match self.deploy(previous.as_deref(), None).await {
            Ok(()) => {}
            Err(Undone::Lost(failure)) => return Ok(self.lost("while deploying", failure)),
            Err(Undone::Failed(reason)) => {
                if self.job.interrupt.caught().is_some() {
                    let ending = self.book.cancelled();
                    return Ok(self.interrupted("while deploying", ending));
                }
                return self
                    .roll_back(
                        "failed to deploy",
                        format!("deploy: {reason}"),
                        Impact::Unknown,
                    )
                    .await;
            }
        }
        let job = self.job;
        Box::pin(self.gated(job)).await
    }

    /// The gate, and what follows from it. `judged` is the job that the gate sees.
    async fn gated(mut self, judged: &Job) -> Result<Report, Failure> {
        let gate = tokio::select! {
            biased;
            gate = healthgate::gate(judged) => gate,
            lost = rollback::lease::keep(self.job) => {
                return Ok(self.lost("while the gate was watching", lost));
            }
        };
        let gate = self.stage(gate, StageName::Healthgate)?;
        if self.job.interrupt.caught().is_some() {
            let is_proved = gate.verdict == Verdict::Pass;
            let serving = is_proved.then(|| self.release.to_owned());
            let ending = Ending::cancelled(serving);
            return Ok(self.interrupted("while the gate was watching", ending));
        }
        let why = format!("healthgate: {}", gate.reason);
        let undecided = match gate.verdict {
            Verdict::Pass => return self.record_good().await,
            Verdict::Inconclusive => self.deploy.on_inconclusive,
            Verdict::Error => self.deploy.on_error,
            _ => OnUndecided::Rollback,
        };
        let told = match gate.verdict {
            Verdict::Inconclusive => "did not pass its gate, which was inconclusive",
            Verdict::Error => "did not pass its gate, which could not measure",
            _ => "failed its gate",
        };
        match undecided {
            OnUndecided::Rollback => self.roll_back(told, why, run_log::impact(&gate)).await,
            OnUndecided::Halt => {
                let reason = format!(
                    "{why}; {} was left where it is, look at it, then `rollback record` or `rollback run`",
                    self.release
                );
                let headline = format!("{} {told}; it was left where it is", self.release);
                self.book
                    .open(
                        &headline,
                        Impact::Unknown,
                        Some("left as it is: a person decides"),
                    )
                    .await;
                Ok(self.end(Ending::undecided(), gate.verdict, headline, reason))
            }
        }
    }

    /// Preflight, if there is anything to ask before a deployment.
    async fn preflight(&mut self) -> Result<Report, Failure> {
        let config = &self.job.config;
        let keeps_state = config.rollback()?.is_some() || config.traffic()?.is_some();
        if config.preflight()?.is_none() && !keeps_state {
            let reason = "no `preflight:` section";
            self.outcomes.push(Outcome::skipped(
                Id::phase(StageName::Preflight),
                "",
                reason,
            ));
            let mut report =
                Report::from_outcomes(StageName::Preflight.as_str(), self.started_at, Vec::new());
            (report.verdict, report.reason) = (Verdict::Pass, reason.to_owned());
            return Ok(report);
        }
        let flags = preflight::Stage {
            force: self.force.known_to(),
            ..preflight::Stage::default()
        };
        let report = flags.run(self.job).await;
        self.stage(report, StageName::Preflight)
    }

    /// Shows a stage's report and keeps its verdict as an outcome.
    fn stage(
        &mut self,
        report: Result<Report, Failure>,
        name: StageName,
    ) -> Result<Report, Failure> {
        self.job.progress.clear();
        let mut report = report?;
        report.service = report.service.or_else(|| self.job.service());
        report.environment = report.environment.or_else(|| self.job.environment.clone());
        report.release = report.release.or_else(|| self.job.release.clone());
        report.context = self.job.actions.report(cli::VERSION);
        // Our arguments are not the stage's; the report contains what it needs of them.
        report.inputs = Some(model::Inputs {
            arguments: Vec::new(),
            ..self.job.inputs.clone()
        });
        let took = jiff::Timestamp::now().duration_since(report.started_at);
        report.duration = Duration::try_from(took).unwrap_or_default();
        self.job.publisher.show_part(name.as_str(), &report);
        self.book.stage(name, &report);
        let what = report.headline.as_ref().unwrap_or(&report.reason);
        self.phase(name.as_str(), what.clone(), report.duration, report.verdict);
        let mut outcome = Outcome::new(Id::phase(name), self.release, report.verdict)
            .reason(report.reason.clone())
            .took(report.duration);
        let step = next_step(&report).filter(|_| report.verdict > Verdict::Pass);
        let file = self.job.publisher.stage_report(&report.stage);
        let file = file.map(|path| format!("its report: {}", path.display()));
        let hints: Vec<String> = step.into_iter().chain(file).collect();
        outcome.hint = Some(hints.join("; ")).filter(|hint| !hint.is_empty());
        self.outcomes.push(outcome);
        Ok(report)
    }

    /// Notes a phase that has ended now.
    fn phase(&mut self, name: &str, what: String, took: Duration, verdict: Verdict) {
        let end = self.clock.elapsed();
        self.phases.push(Bar {
            place: name.to_owned(),
            what,
            start: end.saturating_sub(took),
            end,
            verdict,
        });
    }

    /// The last good release, where a state is kept.
    async fn last_good(&self) -> Result<Option<String>, Failure> {
        let document = self.document().await?;
        let before = document.and_then(|document| document.last_known_good);
        if let Some(before) = &before {
            // Set once: this is asked once.
            let _ = self.previous.set(before.clone());
        }
        Ok(before)
    }

    /// The state, where one is kept.
    async fn document(&self) -> Result<Option<state::Document>, Failure> {
        let Some(address) = self.job.config.state_address()? else {
            return Ok(None);
        };
        let store = self.job.store(address).map_err(Failure::error)?;
        store.read().await.map_err(Failure::error)
    }

    /// Writes down that the release is being deployed, and gives the release before it.
    async fn pending(&mut self) -> Result<Result<Option<String>, Report>, Failure> {
        if self.job.config.rollback()?.is_none() {
            return Ok(Ok(None));
        }
        let before = self.last_good().await?;
        let flags = rollback::record::Flags {
            pending: true,
            force: self.force.known_to(),
            ..Default::default()
        };
        let report = rollback::record::record(self.job, &flags).await?;
        Ok(if report.verdict == Verdict::Pass {
            Ok(before)
        } else {
            Err(report)
        })
    }

    /// Runs the command; `side` is where the release is to go.
    async fn deploy(&mut self, previous: Option<&str>, side: Option<Side>) -> Result<(), Undone> {
        let job = self.job;
        if job.interrupt.caught().is_some() {
            return Err(Undone::Failed("interrupted".to_owned()));
        }
        // What goes to an idle side reaches no user yet.
        if side.is_none() {
            self.book.touch();
        }
        job.progress.show(&format!("deploying {}", self.release));
        let mut env = vec![
            ("RELEASE".to_owned(), self.release.to_owned()),
            (
                "PREVIOUS_RELEASE".to_owned(),
                previous.unwrap_or_default().to_owned(),
            ),
        ];
        env.extend(side.map(|side| ("SIDE".to_owned(), side.to_string())));
        // What the command itself asks of the state is a part of this deployment too.
        let lease = job.within.as_ref();
        let lease = lease.and_then(|within| serde_json::to_string(within).ok());
        env.extend(lease.map(|lease| (cli::LEASE.to_owned(), lease)));
        let script = Script {
            text: &self.deploy.command,
            env,
            timeout: self.deploy.timeout.get(),
        };
        let fence = job.publisher.fence("deploy");
        let started = Instant::now();
        let mut forward = |_, line: &str| job.publisher.forward(line);
        let mut lost = None;
        let ended = tokio::select! {
            ended = remote::local::run(&script, &mut forward) => ended.map_err(|error| error.to_string()),
            _ = job.interrupt.wait() => Err("interrupted".to_owned()),
            failure = rollback::lease::keep(job) => {
                let reason = failure.chain();
                lost = Some(failure);
                Err(reason)
            }
        };
        job.publisher.unfence(fence);
        let result = ended.and_then(|captured: Captured| {
            if captured.success() {
                Ok(())
            } else {
                Err(format!("`deploy.command`: {}", captured.summary()))
            }
        });
        let outcome = match &result {
            Ok(()) => Outcome::pass(Id::phase("deploy"), self.release).actual("exit status 0"),
            Err(reason) => Outcome::fail(Id::phase("deploy"), self.release)
                .expected("exit status 0")
                .actual(reason.clone())
                .reason(reason.clone())
                .hint("run the command of `deploy:` yourself, with RELEASE set"),
        };
        let what = outcome.actual.clone().unwrap_or_default();
        self.phase("deploy", what, started.elapsed(), outcome.verdict);
        self.outcomes.push(outcome.took(started.elapsed()));
        if result.is_err() {
            self.book.failed("deploy");
        }
        match lost {
            Some(failure) => Err(Undone::Lost(failure)),
            None => result.map_err(Undone::Failed),
        }
    }

    async fn record_good(mut self) -> Result<Report, Failure> {
        if self.job.config.rollback()?.is_none() {
            let reason = format!("{} is live and healthy", self.release);
            let ending = Ending::succeeded(self.release);
            return Ok(self.end(ending, Verdict::Pass, reason.clone(), reason));
        }
        let flags = rollback::record::Flags {
            force: self.force.known_to(),
            ..Default::default()
        };
        let report = self.stage(
            rollback::record::record(self.job, &flags).await,
            StageName::Record,
        )?;
        if report.verdict == Verdict::Pass {
            let reason = format!("{} is live, healthy, and last-known-good", self.release);
            let ending = Ending::succeeded(self.release);
            return Ok(self.end(ending, Verdict::Pass, reason.clone(), reason));
        }
        let headline = format!("{} is live and healthy, but was not recorded", self.release);
        let reason = format!("{headline}: {}", report.reason);
        let ending = Ending::succeeded(self.release);
        Ok(self.end(ending, report.verdict, headline, reason))
    }

    /// Rolls back, and reports what is live at the end. `told` is what became of the release, and
    /// `why` is the evidence.
    async fn roll_back(
        mut self,
        told: &str,
        why: String,
        impact: Impact,
    ) -> Result<Report, Failure> {
        let told = format!("{} {told}", self.release);
        let goes_back = self.job.config.rollback()?.is_some();
        let action = if goes_back {
            "automatic rollback in progress"
        } else {
            "no rollback is configured: a person decides"
        };
        self.book
            .open(&format!("{told}: {why}"), impact, Some(action))
            .await;
        if !goes_back {
            let headline = format!("{told}; nothing was put back, for no rollback is configured");
            let mut reason =
                format!("{why}; there is no `rollback:` section, nothing was put back");
            if self.job.config.traffic()?.is_some() {
                reason.push_str(": `traffic switch` gives everything to the other side");
            }
            return Ok(self.end(Ending::failed(), Verdict::Fail, headline, reason));
        }
        self.book.goes_on(
            "its rollback ends the step that it is at, and `rollback resume` goes on with it",
        );
        let result = rollback::act::run(self.job, &rollback::act::Flags::default()).await;
        let report = match result {
            Ok(report) => self.stage(Ok(report), StageName::Rollback)?,
            Err(failure) => {
                let verdict = failure.code.verdict();
                let failure_text =
                    self.not_done(Id::phase(StageName::Rollback), failure, Verdict::Error);
                let headline = match self.job.interrupt.caught() {
                    Some(_) => format!("{told}; {STOPPED}"),
                    None => format!("{told}; it was not rolled back"),
                };
                self.book
                    .went_back(verdict, format!("{headline}: {failure_text}"));
                let reason = format!("{why}; not rolled back: {failure_text}");
                let ending = self.not_back();
                return Ok(self.end(ending, verdict, headline, reason));
            }
        };
        let serving = report.restored.clone();
        let back = match (report.verdict, &serving) {
            (Verdict::Pass, Some(release)) => {
                format!(
                    "{release} is back and verified after {}",
                    span(report.duration)
                )
            }
            (Verdict::Pass, None) => "what ran before is back".to_owned(),
            _ if self.job.interrupt.caught().is_some() => STOPPED.to_owned(),
            (Verdict::Partial, _) => "only a part of it was rolled back".to_owned(),
            (Verdict::Refused, _) => "its rollback was refused".to_owned(),
            (Verdict::Fail, _) => "its rollback failed too".to_owned(),
            (Verdict::Error, _) => "its rollback ended with an error".to_owned(),
            _ => "its rollback could not be verified".to_owned(),
        };
        let headline = format!("{told}; {back}");
        self.book
            .went_back(report.verdict, format!("{headline}: {}", report.reason));
        let mut end = match report.verdict {
            // The deployment failed even if its rollback passed.
            Verdict::Pass => {
                let reason = format!("{why}; {}", report.reason);
                let ending = Ending::rolled_back(serving);
                self.end(ending, Verdict::Fail, headline, reason)
            }
            verdict => {
                let reason = format!("{why}; rollback {verdict}: {}", report.reason);
                let ending = self.not_back();
                self.end(ending, verdict, headline, reason)
            }
        };
        end.outputs = report.outputs;
        end.restored = report.restored;
        Ok(end)
    }

    /// Keeps a part's failure as an outcome, and gives its reason.
    fn not_done(&mut self, id: Id, failure: Failure, verdict: Verdict) -> String {
        let reason = failure.chain();
        let hint = failure.hint;
        let hint = hint.unwrap_or_else(|| "see `rollback status`".to_owned());
        let outcome = Outcome::new(id, self.release, verdict);
        self.outcomes
            .push(outcome.reason(reason.clone()).hint(hint));
        reason
    }

    /// The lock is another's now: nothing more is done.
    fn lost(mut self, when: &str, failure: Failure) -> Report {
        let reason = self.not_done(Id::phase("lock"), failure, Verdict::Refused);
        let reason = format!(
            "{reason}, {when}; {} may be live: see `rollback status`",
            self.release
        );
        let headline = format!("the lock was lost {when}; {} may be live", self.release);
        self.end(Ending::undecided(), Verdict::Refused, headline, reason)
    }

    fn interrupted(self, when: &str, ending: Ending) -> Report {
        let (left, next) = if self.book.is_touched() {
            let next = ": run `healthgate`, then `rollback record` or `rollback run`";
            (format!("{} may be live", self.release), next)
        } else {
            ("nothing was deployed".to_owned(), "")
        };
        let headline = format!("interrupted {when}; {left}");
        let reason = format!("{headline}{next}");
        self.end(ending, Verdict::Inconclusive, headline, reason)
    }

    /// The end of a run that deployed nothing.
    fn not_deployed(&self) -> Ending {
        match self.job.interrupt.caught() {
            Some(_) => self.book.cancelled(),
            None => Ending::refused(),
        }
    }

    /// The end of a run whose way back did not work.
    fn not_back(&self) -> Ending {
        match self.job.interrupt.caught() {
            Some(_) => self.book.cancelled(),
            None => Ending::failed(),
        }
    }

    fn end(self, ending: Ending, verdict: Verdict, headline: String, reason: String) -> Report {
        self.book.conclude(ending);
        let mut report = Report::from_outcomes(Stage::NAME, self.started_at, self.outcomes);
        (report.verdict, report.reason) = (verdict, reason);
        report.headline = Some(headline);
        report.timeline = self.phases;
        report
    }
}
