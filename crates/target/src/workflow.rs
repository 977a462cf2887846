//! A workflow of GitHub Actions makes the switch: it is dispatched once, and its run is followed.
//!
//! A dispatch answers with the run's id, if at all, only after it was made: a kill between the two
//! leaves a run that must be found again. So what tells ours from others is written down before: a
//! word that its name will show, and the newest run of then.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use config::file::WorkflowTarget;
use github::dispatch::Dispatched;
use github::{Client, Repository};
use model::text::duration;
use serde::{Deserialize, Serialize};

use crate::kinds::Kind;
use crate::target::{Applied, Capabilities, Observe, Proving, Switch, Target, Transition};
use place::{Context, Error, LogLine, Place, Step, StepFuture};

/// How long one question may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long GitHub may take to show a run that was just dispatched.
const APPEARS: Duration = Duration::from_secs(60);
/// The bot that GitHub shows for a workflow's own token and for an app ends so.
const BOT: &str = "[bot]";

pub(crate) struct Workflow<'a> {
    config: &'a WorkflowTarget,
    say: LogLine<'a>,
    repository: Repository,
    client: Client,
    /// The mark that this process made: any other mark may have been used.
    fresh: Mutex<Option<String>>,
}

/// What tells our runs from others.
#[derive(Debug, Deserialize, Serialize)]
struct Mark {
    /// Our runs' names show it, where an input takes it there.
    word: String,
    /// The newest run before.
    newest: u64,
}

impl<'a> Workflow<'a> {
    pub(crate) fn new(config: &'a WorkflowTarget, context: &Context<'a>) -> Result<Self, Error> {
        let named = config.repository.as_deref().or(context.repository);
        let named = named.ok_or_else(|| {
            let what = "the repository is not named: set `rollback.workflow.repository`";
            Error::Unconfigured(what.to_owned())
        })?;
        let repository = Repository::parse(named);
        let repository = repository.map_err(|error| Error::Unconfigured(error.to_string()))?;
        let until = Instant::now() + config.timeout.get();
        let client = (context.github)(config.token_env.as_deref(), QUERY_TIMEOUT, until)?;
        Ok(Workflow {
            config,
            say: Rc::clone(&context.say),
            repository,
            client,
            fresh: Mutex::default(),
        })
    }

    fn name(&self) -> &str {
        &self.config.workflow
    }

    async fn reference(&self) -> Result<String, Error> {
        if let Some(reference) = &self.config.r#ref {
            return Ok(reference.clone());
        }
        Ok(self.client.default_branch(&self.repository).await?)
    }

    /// Whether the workflow can be started with these inputs.
    async fn check(&self) -> Result<(), Error> {
        if !self.client.has_token() {
            return Err(Error::Unconfigured("no token is given to start a workflow with: `GITHUB_TOKEN`, or `rollback.workflow.token-env`".to_owned()));
        }
        let name = self.name();
        let workflow = self.client.workflow(&self.repository, name).await?;
        if workflow.state != "active" {
            let state = workflow.state;
            return Err(Error::Unfit(format!("the workflow {name} is {state}")));
        }
        let reference = self.reference().await?;
        let file = self
            .client
            .file(&self.repository, &workflow.path, &reference);
        let text = match file.await {
            Ok(text) => text,
            // A token that may start workflows need not be one that reads files.
            Err(github::Error::NoPermission { status: 403, .. }) => return Ok(()),
            Err(error) => {
                let what = format!("{} at {reference}", workflow.path);
                return Err(Error::from(error).at(what));
            }
        };
        let wanted = self
            .config
            .inputs
            .keys()
            .chain(&self.config.correlation_input);
        let shown = self.config.correlation_input.as_ref().map(|_| "run-name");
        let missing: Vec<&str> = std::iter::once("workflow_dispatch")
            .chain(wanted.map(String::as_str))
            .chain(shown)
            .filter(|word| !text.contains(word))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.join("`, `");
        Err(Error::Unfit(format!(
            "{} at {reference} has no `{missing}`",
            workflow.path
        )))
    }

    async fn mark(&self) -> Result<String, Error> {
        let runs = self.client.dispatched(&self.repository, self.name()).await;
        let mark = Mark {
            word: format!("deploy-guard-{:012x}", rand::random::<u64>() >> 16),
            newest: runs?.first().map_or(0, |run| run.id),
        };
        let mark = serde_json::to_string(&mark)?;
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(mark.clone());
        Ok(mark)
    }

    fn is_fresh(&self, mark: &str) -> bool {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        // A second attempt is not fresh either.
        fresh.take().is_some_and(|fresh| fresh == mark)
    }

    /// Lets the workflow make the release live; safe to do twice: a run of ours that goes on or has
    /// succeeded is followed instead of starting another.
    async fn switch(&self, transition: Transition<'_>, before: &str) -> Result<String, Error> {
        let mark: Mark = parse(before)?;
        let mut failed = 0;
        if !self.is_fresh(before) {
            // One that was dispatched just before a kill may not be shown yet.
            let patience = self.config.interval.get() * 3;
            let (found, before) = self.find(&mark, patience).await?;
            if let Some(run) = found {
                return self.follow(run.id).await;
            }
            failed = before;
        }
        let word = format!("{}-{}", mark.word, failed + 1);
        let run = self.start(transition, &mark, &word).await?;
        self.follow(run).await
    }

    /// Dispatches the workflow; the run's id.
    async fn start(
        &self,
        transition: Transition<'_>,
        mark: &Mark,
        word: &str,
    ) -> Result<u64, Error> {
        let reference = self.reference().await?;
        let inputs = self.inputs(transition, word);
        let (of, name) = (&self.repository, self.name());
        let sent = self.client.dispatch(of, name, &reference, &inputs).await;
        let unsure = match sent {
            Ok(Some(run)) => return Ok(run),
            Ok(None) => None,
            // It may have arrived: then its run is in the list.
            Err(error @ (github::Error::Unreachable { .. } | github::Error::Server { .. })) => {
                Some(error)
            }
            Err(error) => return Err(error.into()),
        };
        let patience = APPEARS.min(self.config.timeout.get());
        match self.find(mark, patience).await?.0 {
            Some(run) => Ok(run.id),
            None => Err(match unsure {
                Some(error) => error.into(),
                None => Error::Unproved(format!(
                    "GitHub took the dispatch of {name}, and shows no run of it within {}; see `gh run list --workflow {name}`",
                    duration(patience)
                )),
            }),
        }
    }

    fn inputs(&self, transition: Transition<'_>, word: &str) -> BTreeMap<String, String> {
        let fill = |text: &str| {
            // In one pass: a release may be named `{previous}`.
            let mut parts = text
                .split("{release}")
                .map(|part| part.replace("{previous}", transition.from.unwrap_or_default()));
            let first = parts.next().unwrap_or_default();
            parts.fold(first, |all, part| all + transition.to + &part)
        };
        let inputs = self.config.inputs.iter();
        let mut inputs: BTreeMap<_, _> = inputs
            .map(|(name, text)| (name.clone(), fill(text)))
            .collect();
        if let Some(name) = &self.config.correlation_input {
            inputs.insert(name.clone(), word.to_owned());
        }
        inputs
    }

    /// The run of ours that goes on or has succeeded, looked for as long as `patience`, and how many
    /// of ours have failed. Never one that may be another's.
    async fn find(
        &self,
        mark: &Mark,
        patience: Duration,
    ) -> Result<(Option<Dispatched>, usize), Error> {
        let end = Instant::now() + patience;
        let mut seen = None;
        loop {
            let (good, failed) = self.matching_runs(mark).await?;
            match good.as_slice() {
                [] => {}
                [run, ..] if self.config.correlation_input.is_some() => {
                    return Ok((Some(run.clone()), failed));
                }
                // Another's may be shown before ours is: looked at twice.
                [run] if seen == Some(run.id) => return Ok((Some(run.clone()), failed)),
                [run] => seen = Some(run.id),
                several => return Err(self.several(several)),
            }
            if Instant::now() >= end && (seen.is_none() || good.is_empty()) {
                return Ok((None, failed));
            }
            tokio::time::sleep(self.config.interval.get()).await;
        }
    }

    /// The runs since the mark that are ours: those that did not fail, the newest first, and how
    /// many did.
    async fn matching_runs(&self, mark: &Mark) -> Result<(Vec<Dispatched>, usize), Error> {
        let runs = self.client.dispatched(&self.repository, self.name()).await;
        let mut runs = runs?;
        runs.retain(|run| run.id > mark.newest);
        if self.config.correlation_input.is_some() {
            runs.retain(|run| run.display_title.contains(&mark.word));
        } else if !runs.is_empty() {
            let login = self.client.login().await?;
            let reference = self.reference().await?;
            runs.retain(|run| {
                let actor = run.actor.as_ref().map(|actor| actor.login.as_str());
                let mine = match (&login, actor) {
                    (Some(login), Some(actor)) => login.eq_ignore_ascii_case(actor),
                    (None, Some(actor)) => actor.ends_with(BOT),
                    (_, None) => false,
                };
                mine && run.head_branch.as_deref() == Some(reference.as_str())
            });
        }
        let all = runs.len();
        runs.retain(|run| !run.has_ended() || run.has_succeeded());
        let failed = all - runs.len();
        Ok((runs, failed))
    }

    fn several(&self, runs: &[Dispatched]) -> Error {
        let ids: Vec<String> = runs.iter().map(|run| run.id.to_string()).collect();
        Error::Contradicts(format!(
            "runs {} of {} began since, and nothing shows which is ours: none is followed; name a `correlation-input`, or wait until they have ended",
            ids.join(" and "),
            self.name()
        ))
    }

    /// Follows a run to its end.
    async fn follow(&self, id: u64) -> Result<String, Error> {
        let end = Instant::now() + self.config.timeout.get();
        loop {
            let standing = match self.client.dispatched_run(&self.repository, id).await {
                Ok(run) if run.has_succeeded() => {
                    return Ok(format!("run {id} ended with success: {}", run.html_url));
                }
                Ok(run) if run.has_ended() => return Err(self.failure(&run).await),
                Ok(run) => {
                    let status = run.status.unwrap_or_default();
                    let wait = match status.as_str() {
                        "waiting" => " (for an approval)",
                        _ => "",
                    };
                    format!("{status}{wait}: {}", run.html_url)
                }
                // It goes on whether we see it or not.
                Err(
                    error @ (github::Error::Unreachable { .. }
                    | github::Error::Server { .. }
                    | github::Error::RateLimited { .. }),
                ) => format!("not to be seen: {}", Error::from(error)),
                Err(error) => return Err(Error::from(error).at(format!("run {id}"))),
            };
            (self.say)(&format!("run {id}: {standing}"));
            if Instant::now() >= end {
                return Err(Error::Deadline(format!(
                    "run {id} has not ended within {}, it is {standing}; `rollback resume` follows it again",
                    self.config.timeout
                )));
            }
            tokio::time::sleep(self.config.interval.get()).await;
        }
    }

    /// How a run failed, and where.
    async fn failure(&self, run: &Dispatched) -> Error {
        let how = run.conclusion.as_deref().unwrap_or("nothing");
        let mut text = format!("run {} ended with {how}: {}", run.id, run.html_url);
        let attempt = run.run_attempt.unwrap_or(1);
        let jobs = self.client.run_jobs(&self.repository, run.id, attempt);
        let bad =
            |how: Option<&str>| !matches!(how, None | Some("success" | "skipped" | "neutral"));
        for job in jobs.await.unwrap_or_default() {
            let conclusion = job.conclusion.as_deref();
            if bad(conclusion) {
                let how = conclusion.unwrap_or_default();
                text.push_str(&format!("; job `{}`: {how}", job.name));
            }
        }
        Error::RunFailed(text)
    }

    /// Lets the workflow make live what was left. First the way there must have ended: the two would
    /// overtake each other.
    async fn put_back(
        &self,
        transition: Transition<'_>,
        before: Option<&str>,
    ) -> Result<String, Error> {
        let unknown = Error::Unnoted("which release ran before is not known");
        let left = transition.from.ok_or(unknown)?;
        if let Some(before) = before {
            let patience = self.config.interval.get() * 3;
            if let (Some(run), _) = self.find(&parse(before)?, patience).await?
                && !run.has_ended()
            {
                // How it ends no longer matters.
                let _ = self.follow(run.id).await;
            }
        }
        let back = Transition {
            to: left,
            from: Some(transition.to),
        };
        let mark: Mark = parse(&self.mark().await?)?;
        let run = self.start(back, &mark, &mark.word).await?;
        self.follow(run).await
    }
}

fn parse(mark: &str) -> Result<Mark, Error> {
    serde_json::from_str(mark).map_err(|error| Error::from(error).at("what the journal noted"))
}

impl Kind for WorkflowTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(Workflow::new(self, context)?))
    }
}

impl Observe for Workflow<'_> {
    /// A workflow does not report what runs.
    fn current<'a>(&'a self, _step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn proof<'a>(&'a self, _destination: &'a str) -> Proving<'a> {
        Box::pin(async { None })
    }
}

impl Switch for Workflow<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        vec![Step {
            name: "workflow/run".to_owned(),
            does: format!(
                "run the workflow {} of {} for {} and follow it",
                self.name(),
                self.repository,
                transition.to
            ),
            place: Place::Here,
        }]
    }

    fn plan<'a>(&'a self, step: &'a Step, _transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async move {
            self.check().await?;
            Ok(step.does.clone())
        })
    }

    fn snapshot<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async move { self.mark().await.map(Some) })
    }

    fn apply<'a>(
        &'a self,
        _step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move {
            let before =
                before.ok_or(Error::Unnoted("which runs there were before was not noted"))?;
            Ok(self.switch(transition, before).await?.into())
        })
    }

    fn revert<'a>(
        &'a self,
        _step: &'a Step,
        transition: Transition<'a>,
        before: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(self.put_back(transition, before))
    }
}

impl Target for Workflow<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
