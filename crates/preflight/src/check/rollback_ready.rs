//! Whether there is a way back: asked before we leave.

use std::rc::Rc;
use std::time::Duration;

use cli::Job;
use cli::rollout::in_progress;
use config::file::{ImageCheck, Rollback, RollbackReady};
use config::value::{Age, StateAddress};
use jiff::Timestamp;
use model::{Outcome, Verdict};
use state::journal::ROLLBACK;
use state::{Document, Error, Store};
use target::fit::{FitReport, Switchability};
use target::{Place, PlaceAccess, kinds};

use super::{Check, Context, Planned, images};

type Judge = for<'j> fn(&'j Question<'j>, &'j Document) -> Outcome;
/// The one store that all parts query, or why it could not be opened.
type Opened = Rc<Result<Store, Error>>;

struct Question<'a> {
    id: String,
    section: &'a Rollback,
    check: &'a RollbackReady,
    job: &'a Job,
    store: Opened,
}

impl Check for RollbackReady {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// One outcome for each thing that must hold.
fn plan<'a>(check: &'a RollbackReady, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let Some(section) = scene.job.config.rollback().ok().flatten() else {
        return Vec::new();
    };
    let store: Opened = Rc::new(scene.job.store(&section.state));
    let mut judges: Vec<(&str, Judge)> =
        vec![("last-known-good", last_known_good), ("window", window)];
    if check.max_drill_age.is_some() {
        judges.push(("drill", drill));
    }
    let target = kinds::subject(section);
    let parts =
        1 + judges.len() + usize::from(check.image.is_some()) + usize::from(target.is_some());
    let planned = |part: &str, asks: String, needs, ask| Planned {
        id: format!("rollback-ready/{part}"),
        subject: section.state.to_string(),
        severity: check.severity,
        weight: check.weight.split(parts),
        asks,
        needs,
        timeout: scene.timeout,
        wait: Duration::ZERO,
        ask,
    };
    let question = |part: &str| Question {
        id: format!("rollback-ready/{part}"),
        section,
        check,
        job: scene.job,
        store: Rc::clone(&store),
    };
    let reads = format!("read the state {}", section.state);
    let free = question("state");
    let ask = Box::pin(async move { free.is_free().await });
    let mut all: Vec<Planned<'a>> = vec![planned("state", reads.clone(), None, ask)];
    for (part, judge) in judges {
        let question = question(part);
        let ask = Box::pin(async move {
            match question.read().await {
                Ok(document) => judge(&question, &document),
                Err(outcome) => *outcome,
            }
        });
        all.push(planned(part, reads.clone(), None, ask));
    }
    if let Some(subject) = target {
        let question = question("target");
        let asks = format!("look whether a rollback could ever switch {subject}");
        let ask = Box::pin(async move { question.target().await });
        all.push(Planned {
            subject,
            ..planned("target", asks, None, ask)
        });
    }
    if let Some(image) = &check.image {
        let question = question("image");
        let asks = format!("get the manifest of {image}");
        let needs = check.password_env.as_ref();
        let needs = needs.map(|name| format!("`{name}`, a password or token that may pull"));
        let ask = Box::pin(async move { question.image(image, scene).await });
        all.push(planned("image", asks, needs, ask));
    }
    all
}

impl Question<'_> {
    fn outcome(&self, verdict: Verdict) -> Outcome {
        Outcome::new(&self.id, self.section.state.to_string(), verdict)
    }

    async fn read(&self) -> Result<Document, Box<Outcome>> {
        let expected = "a state file that can be read";
        let read = match &*self.store {
            Ok(store) => store.read().await,
            Err(error) => return Err(Box::new(self.unusable(error))),
        };
        match read {
            Ok(Some(document)) => Ok(document),
            Ok(None) => Err(Box::new(
                self.outcome(Verdict::Fail)
                    .expected(expected)
                    .actual("no state file")
                    .reason("nothing is recorded, so there is nothing to go back to")
                    .hint("record what runs and is good: `rollback record --release RELEASE`"),
            )),
            Err(error) => Err(Box::new(self.unusable(&error))),
        }
    }

    fn unusable(&self, error: &Error) -> Outcome {
        self.outcome(Verdict::Fail)
            .expected("a state file that can be read")
            .actual(error.to_string())
            .reason(format!("the state cannot be used: {error}"))
            .hint(error.hint())
    }

    /// Why no rollback could write the state. A bucket is not written to for a question.
    async fn unwritable(&self) -> Option<Outcome> {
        let Ok(store) = &*self.store else { return None };
        if matches!(self.section.state, StateAddress::Bucket { .. }) {
            return None;
        }
        let error = store.prove_writable().await.err()?;
        Some(
            self.outcome(Verdict::Fail)
                .expected("a state that can be written")
                .actual(error.to_string())
                .reason(error.to_string())
                .hint(error.hint()),
        )
    }

    async fn is_free(&self) -> Outcome {
        if let Some(outcome) = self.unwritable().await {
            return outcome;
        }
        let document = match self.read().await {
            Ok(document) => document,
            Err(outcome) => return *outcome,
        };
        let unfinished = match &*self.store {
            Ok(store) => store.unfinished(ROLLBACK).await,
            Err(error) => return self.unusable(error),
        };
        let expected = "a state that is neither frozen nor locked, and no unfinished rollback";
        let bad = |actual: String, reason: String, hint: &str| {
            let outcome = self.outcome(Verdict::Fail).expected(expected);
            outcome.actual(actual).reason(reason).hint(hint)
        };
        let as_failure = |refusal: Outcome| Outcome {
            id: self.id.as_str().into(),
            subject: self.section.state.to_string(),
            verdict: Verdict::Fail,
            ..refusal
        };
        if let Some(refusal) = document.refuse_frozen("") {
            return as_failure(refusal);
        }
        if let Some(rollout) = &document.rollout {
            let outcome = in_progress(self.id.as_str().into(), rollout);
            return as_failure(outcome.expected("a state without a rollout in progress"));
        }
        if let Some(lock) = &document.lock
            && let fate = self.job.fate(lock).await
            && fate.is_in_the_way()
        {
            return bad(
                format!(
                    "locked by {}, {}, until {:.0}",
                    lock.holder,
                    fate.reason(),
                    lock.expires
                ),
                format!("locked by {} for `{}`", lock.holder, lock.operation),
                "wait for it; see `rollback status`, and if it is gone `rollback unlock`",
            );
        }
        match unfinished {
            Ok(None) => self
                .outcome(Verdict::Pass)
                .expected(expected)
                .actual(format!(
                    "readable and free, generation {}",
                    document.generation
                )),
            Ok(Some(journal)) => as_failure(journal.refuse_beside()),
            Err(error) => bad(
                error.to_string(),
                format!("the journal beside the state cannot be read: {error}"),
                "see `rollback status`, and the permissions of the folder",
            ),
        }
    }

    /// The last-known-good release, or the outcome that it is missing.
    fn last_known_good<'d>(&self, document: &'d Document) -> Result<&'d str, Box<Outcome>> {
        document.last_known_good.as_deref().ok_or_else(|| {
            Box::new(
                self.outcome(Verdict::Fail)
                    .expected("a release that was recorded good")
                    .actual("none")
                    .reason("no last-known-good release is recorded")
                    .hint("after a gate that passed: `rollback record --release RELEASE`"),
            )
        })
    }

    /// Whether the target could be switched on each of its machines.
    async fn target(&self) -> Outcome {
        let job = self.job;
        let places = PlaceAccess::new(&job.config.hosts, &job.env);
        let found = kinds::check_fit(self.section, &job.config, &places).await;
        let subject = kinds::subject(self.section).unwrap_or_default();
        let outcome = |verdict| {
            Outcome::new(&self.id, &subject, verdict).expected("a rollback could switch it")
        };
        // Of a machine that keeps neither the state nor the target nothing is said.
        let elsewhere = |found: &&FitReport| {
            found.place == Place::Here
                && matches!(found.fit, Switchability::Missing(_))
                && !matches!(self.section.state, StateAddress::File(_))
        };
        let (skipped, found): (Vec<_>, Vec<_>) = found.iter().partition(elsewhere);
        for one in &found {
            if let Some(misfit) = one.fit.misfit() {
                return outcome(Verdict::Fail)
                    .actual(misfit.reason.clone())
                    .reason(format!(
                        "no rollback could ever switch {}: {}",
                        one.full_subject(),
                        misfit.reason
                    ))
                    .hint(misfit.hint.clone());
            }
        }
        for one in &found {
            if let Switchability::Unknown(error) = &one.fit {
                let whole = one.full_subject();
                return outcome(Verdict::Error)
                    .actual(error.to_string())
                    .reason(format!("{whole} could not be looked at: {error}"))
                    .hint("see that the same user may read it there: `rollback plan`");
            }
        }
        if let Some(misfit) = skipped.first().and_then(|one| one.fit.misfit()) {
            let reason = format!("{}; the target may be on another machine", misfit.reason);
            return Outcome::skipped(&self.id, &subject, reason);
        }
        let said = found.iter().filter_map(|one| match &one.fit {
            Switchability::Fits(said) if one.place == Place::Here => Some(said.clone()),
            Switchability::Fits(said) => Some(format!("{}: {said}", one.place)),
            _ => None,
        });
        outcome(Verdict::Pass).actual(said.collect::<Vec<_>>().join("; "))
    }

    async fn image(&self, template: &str, scene: &Context<'_>) -> Outcome {
        let found = self.read().await.and_then(|document| {
            let good = self.last_known_good(&document)?.to_owned();
            let digest = document.entry(&good).and_then(|entry| entry.digest.clone());
            Ok((good, digest))
        });
        let (good, digest) = match found {
            Ok(found) => found,
            Err(outcome) => return *outcome,
        };
        let check = ImageCheck {
            name: "image".to_owned(),
            image: template.replace("${LAST_KNOWN_GOOD}", &good),
            platforms: Vec::new(),
            digest: digest.filter(|digest| digest.starts_with("sha256:")),
            max_age: None,
            login: self.check.login,
            username_env: self.check.username_env.clone(),
            password_env: self.check.password_env.clone(),
            plain_http: self.check.plain_http,
            ca_file: self.check.ca_file.clone(),
            severity: self.check.severity,
            weight: self.check.weight,
        };
        let mut outcome = images::check_image(self.id.clone(), &check, scene).await;
        if outcome.verdict == Verdict::Fail {
            let reason = outcome.reason.take().unwrap_or_default();
            outcome = outcome.reason(format!("{good} cannot be gone back to: {reason}"));
        }
        outcome
    }
}

fn last_known_good(question: &Question<'_>, document: &Document) -> Outcome {
    match question.last_known_good(document) {
        Ok(good) => question
            .outcome(Verdict::Pass)
            .expected("a release that was recorded good")
            .actual(good),
        Err(outcome) => *outcome,
    }
}

/// What a release needs is kept for the window after the deployment that replaced it.
fn window(question: &Question<'_>, document: &Document) -> Outcome {
    let good = match question.last_known_good(document) {
        Ok(good) => good,
        Err(outcome) => return *outcome,
    };
    let expected = format!("{good} is kept until we may need it");
    let outcome = |verdict| question.outcome(verdict).expected(expected.clone());
    let pass = |actual: String| outcome(Verdict::Pass).actual(actual);
    let Some(window) = question.section.window else {
        return pass("no `rollback.window`: it is kept for ever".to_owned());
    };
    let Some(current) = document
        .current
        .as_deref()
        .filter(|current| *current != good)
    else {
        return pass(format!(
            "it runs now, and is kept for {window} after the next deployment"
        ));
    };
    let Some(entry) = document.entry(current) else {
        return outcome(Verdict::Inconclusive)
            .actual(format!("{current} runs, and since when was not recorded"))
            .reason("whether the window is open cannot be known")
            .hint("see `rollback history`, and record what runs: `rollback record`");
    };
    let since = since(entry.deployed_at);
    let (since, most) = (Age::from(since), Age::from(window.get()));
    if since <= most {
        return pass(format!(
            "{current} replaced it {since} ago, {most} are allowed"
        ));
    }
    outcome(Verdict::Fail)
        .actual(format!("{current} replaced it {since} ago"))
        .reason(format!(
            "the window of {most} has passed: what {good} needs may be gone"
        ))
        .hint(format!(
            "see `rollback plan`; deploy {good} again, or record what runs as good: \
             `rollback record --release {current}`"
        ))
}

fn drill(question: &Question<'_>, document: &Document) -> Outcome {
    let most = question
        .check
        .max_drill_age
        .unwrap_or(Age::from(Duration::MAX));
    let outcome = |verdict| {
        question
            .outcome(verdict)
            .expected(format!("a rollback was rehearsed within {most}"))
    };
    let hint = "`rollback rehearse` changes nothing and records it; or rehearse it in another environment \
                (`rollback run --environment staging`), then `rollback record-drill`";
    let Some(drilled) = document.last_drill else {
        return outcome(Verdict::Fail)
            .actual("never")
            .reason("no rehearsal of a rollback is recorded")
            .hint(hint);
    };
    let age = Age::from(since(drilled));
    if age <= most {
        return outcome(Verdict::Pass).actual(format!("{age} ago"));
    }
    outcome(Verdict::Fail)
        .actual(format!("{age} ago"))
        .reason(format!(
            "a rollback was rehearsed {age} ago, {most} are allowed"
        ))
        .hint(hint)
}

fn since(then: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(then)).unwrap_or_default()
}
