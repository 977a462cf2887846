//! What runs now, as the target and the service tell it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cli::Job;
use config::file::Rollback;
use futures_util::future::join_all;
use state::Entry;
use target::{Context, Parts, Place, Places, Question, ReleaseFacts, Target, Transition, kinds};

/// How long a place may take to say what it runs.
pub(crate) const LOOK: Duration = Duration::from_secs(20);

/// What the places say that they run.
pub(crate) struct Spread {
    /// Of all of them: the release to leave, where one runs another than the destination; `None`
    /// where the target cannot tell.
    pub(crate) all: Result<Option<String>, String>,
    /// What each said, by its step's name.
    pub(crate) at: BTreeMap<String, String>,
}

/// Asks every step's place, side by side.
pub(crate) async fn everywhere(target: &dyn Target, destination: &str) -> Spread {
    let transition = Transition::to(destination);
    let steps = target.steps(transition);
    let asking = steps.iter().map(|step| async move {
        let asked = tokio::time::timeout(LOOK, target.current(step, destination)).await;
        let late = || Err(format!("no answer within {} s", LOOK.as_secs()));
        (step, asked.unwrap_or_else(|_| late()))
    });
    let mut at = BTreeMap::new();
    let (mut silent, mut unable) = (None, false);
    for (step, asked) in join_all(asking).await {
        match asked {
            Ok(Some(release)) => {
                at.insert(step.name.clone(), release);
            }
            Ok(None) => unable = true,
            Err(reason) if steps.len() > 1 => {
                silent = silent.or(Some(format!("{}: {reason}", step.place)));
            }
            Err(reason) => silent = silent.or(Some(reason)),
        }
    }
    // What most places run that do not run the destination is what there is to leave.
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for release in at.values().filter(|release| *release != destination) {
        *others.entry(release).or_default() += 1;
    }
    let other = others.into_iter().max_by_key(|(_, count)| *count);
    let all = match (other, silent) {
        (Some((other, _)), _) => Ok(Some(other.to_owned())),
        (None, Some(reason)) => Err(reason),
        (None, None) if unable || at.is_empty() => Ok(None),
        (None, None) => Ok(Some(destination.to_owned())),
    };
    Spread { all, at }
}

/// Whether several releases may run side by side: on several places, or behind one front door.
pub(crate) fn several(target: &dyn Target, destination: &str) -> bool {
    let transition = Transition::to(destination);
    target.capabilities().splits_traffic || target.steps(transition).len() > 1
}

/// What a target may know of this job.
pub(crate) fn context<'a>(job: &'a Job, places: &'a Places, known: Vec<Entry>) -> Context<'a> {
    Context {
        config: &job.config,
        env: &job.env,
        redactor: &job.redactor,
        places,
        release: job.release.as_deref(),
        repository: job.actions.repository.as_deref(),
        known,
        github: Rc::new(|token_env, timeout, until| job.github(token_env, timeout, until)),
        say: Rc::new(|text| job.progress.say(text)),
    }
}

/// What [`Observe::facts`] says of the configured target.
pub(crate) async fn facts(
    section: &Rollback,
    job: &Job,
    release: &str,
    known: Vec<Entry>,
) -> Result<Option<ReleaseFacts>, String> {
    let places = Places::new(&job.config.hosts, &job.env);
    // Whoever asks what runs says why there is no target.
    let Ok(target) = kinds::of(section, &context(job, &places, known)) else {
        return Ok(None);
    };
    let asked = tokio::time::timeout(LOOK, target.facts(release)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {} s", LOOK.as_secs())))
}

/// What the parts of all places run. What cannot be asked is left out: [`asked`] tells why.
pub(crate) async fn parts(section: &Rollback, job: &Job, likely: &str, known: Vec<Entry>) -> Parts {
    let places = Places::new(&job.config.hosts, &job.env);
    let Ok(target) = kinds::of(section, &context(job, &places, known)) else {
        return Parts::default();
    };
    let steps = target.steps(Transition::to(likely));
    let target = &*target;
    let asking = steps.iter().map(|step| async move {
        let asked = tokio::time::timeout(LOOK, target.parts(step, likely)).await;
        (step, asked.ok().and_then(Result::ok).unwrap_or_default())
    });
    let mut all = Parts::default();
    for (step, parts) in join_all(asking).await {
        let at = |told: String| match &step.place {
            Place::Here => told,
            Place::Host(name) => format!("{name}: {told}"),
        };
        all.runs.extend(parts.runs.into_iter().map(at));
        all.down.extend(parts.down.into_iter().map(at));
    }
    all
}

/// The release that runs and who says so; `None` where nobody is configured to tell.
pub(crate) async fn asked(
    section: &Rollback,
    job: &Job,
    likely: &str,
    known: Vec<Entry>,
) -> Result<Option<(String, &'static str)>, String> {
    let mut missing = None;
    let places = Places::new(&job.config.hosts, &job.env);
    let context = context(job, &places, known);
    if let Ok(target) = kinds::of(section, &context) {
        match everywhere(&*target, likely).await.all {
            // One answer through the front door says nothing of the others.
            Err(reason) if several(&*target, likely) => return Err(reason),
            Ok(Some(release)) => return Ok(Some((release, "the target says so"))),
            Ok(None) => {}
            Err(reason) => missing = Some(reason),
        }
    }
    let Some(answer) = Question::ask_gate(&context, likely).await else {
        return missing.map_or(Ok(None), Err);
    };
    match answer {
        Ok(release) => Ok(Some((release, "the service says so"))),
        // The target's own reason says more; a probe that was never told where the release stands
        // was only guessed at.
        Err(unanswered) => match missing.or((!unanswered.guessed).then_some(unanswered.reason)) {
            Some(reason) => Err(reason),
            None => Ok(None),
        },
    }
}
