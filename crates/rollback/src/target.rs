//! What a release runs on, and how another one is made live there.
//!
//! One file per kind. A kind knows its places and what to do at each; the order, the journal and
//! what becomes of failures are the engine's.

mod answers;
mod command;
mod compose;
#[cfg(feature = "ecs")]
mod ecs;
mod haproxy;
mod machines;
mod nginx;
mod systemd;
mod workflow;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::{Duration, Instant};

use cli::Job;
use config::file::{EcsTarget, Group, HttpProbe, Member, ReleaseSource, Rollback, Template as _};
use futures_util::future::join_all;
use model::release::Releases;

use compose::Compose;
use haproxy::Haproxy;
use state::Entry;
use systemd::Systemd;
use workflow::Workflow;

pub(crate) use ::target::{Place, Places};
pub(crate) use command::Command;
pub(crate) use nginx::Nginx;
use probe::connect::Route;

/// What a place answers, once it has; the error is a reason in words.
pub(crate) type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + 'a>>;

/// What proved that a release answers, if anything did.
pub(crate) type Proving<'a> = Pin<Box<dyn Future<Output = Option<String>> + 'a>>;

/// What is switched as a whole at one place: a release on a host, or the colour behind a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// `command/web-01`, `nginx/localhost`: stable, the journal knows it by this.
    pub(crate) name: String,
    /// In words, for a plan.
    pub(crate) does: String,
    pub(crate) place: Place,
}

/// From where to where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move<'a> {
    pub(crate) destination: &'a str,
    pub(crate) left: Option<&'a str>,
}

/// A way in to the service.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) name: String,
    pub(crate) question: Question,
    /// The server (`host:port`) that is asked instead of the URL's own.
    pub(crate) at: Option<String>,
    pub(crate) place: Place,
    /// Whether users come this way.
    pub(crate) traffic: bool,
    /// Why nobody can say who else answers here: then good answers prove nothing.
    pub(crate) unsure: Option<String>,
}

impl Door {
    /// The front door of a proxy and the colours behind it (name, address), at one of its machines.
    /// Where several are `active`, each has traffic of its own: one user in twenty is not seen
    /// through the front door.
    fn of_proxy(
        kind: &str,
        place: &Place,
        question: &Question,
        colours: &[(&str, &str)],
        active: Result<Vec<&str>, String>,
    ) -> Vec<Door> {
        let (active, unsure) = match active {
            Ok(active) => (active, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let shared = |at: &str| active.len() > 1 && active.contains(&at);
        let door = |name: &str, at: Option<&str>| Door {
            name: match place {
                Place::Here => name.to_owned(),
                Place::Host(host) => format!("{name}/{host}"),
            },
            question: question.clone(),
            at: at.map(str::to_owned),
            place: place.clone(),
            traffic: at.is_none_or(shared),
            unsure: unsure.clone().filter(|_| at.is_none()),
        };
        let mut doors = vec![door(kind, None)];
        doors.extend(colours.iter().map(|(name, at)| door(name, Some(at))));
        doors
    }
}

/// A destination that runs and has no traffic yet.
#[derive(Clone, Debug)]
pub(crate) struct Idle {
    /// `host:port`.
    pub(crate) at: String,
    /// The front door's URL.
    pub(crate) front: String,
}

/// What is needed to go back to the release that runs, beside its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Learned {
    /// Its ARN.
    pub(crate) task_definition: String,
    /// Whether it says by itself that it is the release that was asked for.
    pub(crate) named: bool,
}

/// The parts of a place, such as the services of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// What each of them runs, in words.
    pub(crate) runs: Vec<String>,
    /// What of them was looked at and does not run, in words.
    pub(crate) down: Vec<String>,
}

/// How the switch is made.
///
/// Only `prepare`, `act` and `undo` change anything. Steps at different places run side by side.
pub(crate) trait Target {
    /// One step a place, without asking anybody.
    fn steps(&self, moving: Move<'_>) -> Vec<Step>;

    /// The release that runs at the step's place; `None` where the target cannot tell. `likely` is
    /// the release that it probably is.
    fn current<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Option<String>>;

    /// What the parts of the step's place run, where the target sees parts; `likely` is the release that
    /// is expected of them.
    fn parts<'a>(&'a self, step: &'a Step, likely: &'a str) -> Asking<'a, Parts> {
        let _ = (step, likely);
        Box::pin(async { Ok(Parts::default()) })
    }

    /// What the state must know of what runs so that it can be gone back to, if `release` is what
    /// runs; `None` where the release's name is enough.
    fn learned<'a>(&'a self, release: &'a str) -> Asking<'a, Option<Learned>> {
        let _ = release;
        Box::pin(async { Ok(None) })
    }

    /// Proves that the step can be made, and changes nothing, not even files that are not live;
    /// what it would do, in words.
    fn plan<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, String>;

    /// Brings what the step needs to its place, such as images; nothing that is live changes.
    /// `None` where everything is there.
    fn prepare<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Option<Asking<'a, ()>> {
        let _ = (step, moving);
        None
    }

    /// Whether [`Target::plan`] proves that what the destination needs is still there.
    fn proves(&self) -> bool {
        true
    }

    /// Where the destination answers at the step's place before it gets the traffic, and the URL
    /// of the front door that it will be asked through; `None` where it cannot be asked before.
    fn idle<'a>(&'a self, step: &'a Step, destination: &'a str) -> Asking<'a, Option<Idle>> {
        let _ = (step, destination);
        Box::pin(async { Ok(None) })
    }

    /// The ways in that the target knows by itself.
    fn doors(&self) -> Asking<'_, Vec<Door>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What is worth keeping of the step's place before it is wiped away: names, and texts such as
    /// logs. They change nothing.
    fn looks<'a>(&'a self, step: &'a Step) -> Vec<(&'static str, Asking<'a, String>)> {
        let _ = step;
        Vec::new()
    }

    /// What is needed to undo the step. Written down before it is made.
    fn before<'a>(&'a self, step: &'a Step, moving: Move<'a>) -> Asking<'a, Option<String>>;

    /// Makes the step; safe to do twice, also after a kill in the middle of the first time.
    fn act<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String>;

    /// Puts `before` back; safe to do twice, and where the step was only begun or never made.
    fn undo<'a>(
        &'a self,
        step: &'a Step,
        moving: Move<'a>,
        before: Option<&'a str>,
    ) -> Asking<'a, String>;

    /// Whether a step that failed has put back what was before. Such a step is also made again
    /// when it is resumed, whatever the journal says: that costs nothing and proves it.
    fn undoes(&self) -> bool {
        false
    }

    /// Whether two releases may share the traffic: then one answer through the front door says
    /// nothing of the other.
    fn shares(&self) -> bool {
        false
    }

    /// When the destination was seen to answer at the last place, where a step goes on after that.
    fn answered(&self) -> Option<Instant> {
        None
    }

    /// What proved that the destination answers, once every step was made; `None` where nothing
    /// but the steps' own success says so.
    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a>;
}

/// The configured target; the configuration has exactly one. `known` is what the state knows of each
/// release.
pub(crate) fn of<'a>(
    section: &'a Rollback,
    job: &'a Job,
    places: &'a Places,
    known: Vec<Entry>,
) -> Result<Box<dyn Target + 'a>, String> {
    let names = releases(job, &known);
    Ok(if let Some(command) = &section.command {
        Box::new(Command::new(command, job, names))
    } else if let Some(nginx) = &section.nginx {
        Box::new(Nginx::new(nginx, job, places, names)?)
    } else if let Some(haproxy) = &section.haproxy {
        Box::new(Haproxy::new(haproxy, job, places, names)?)
    } else if let Some(compose) = &section.compose {
        Box::new(Compose::new(compose, job, places, known, names))
    } else if let Some(systemd) = &section.systemd {
        Box::new(Systemd::new(systemd, job, places))
    } else if let Some(workflow) = &section.workflow {
        Box::new(Workflow::new(workflow, job)?)
    } else if let Some(target) = &section.ecs {
        return ecs(target, job, places, known);
    } else {
        return Err("no target is configured under `rollback:`".to_owned());
    })
}

#[cfg(feature = "ecs")]
#[expect(clippy::unnecessary_wraps, reason = "other builds cannot")]
fn ecs<'a>(
    target: &'a EcsTarget,
    job: &'a Job,
    places: &'a Places,
    known: Vec<Entry>,
) -> Result<Box<dyn Target + 'a>, String> {
    Ok(Box::new(ecs::Ecs::new(target, job, places, known)))
}

#[cfg(not(feature = "ecs"))]
fn ecs<'a>(
    _target: &'a EcsTarget,
    _job: &'a Job,
    _places: &'a Places,
    _known: Vec<Entry>,
) -> Result<Box<dyn Target + 'a>, String> {
    Err(
        "this build knows no `ecs`: build with `--features ecs`, or take a release's binary"
            .to_owned(),
    )
}

/// The releases that we have names for: what others tell is called by these.
pub(crate) fn releases(job: &Job, known: &[Entry]) -> Releases {
    let names = known.iter().map(|entry| entry.release.clone());
    let releases = Releases::new(job.config.release_rule(), names);
    releases.with(job.release.as_deref().unwrap_or_default())
}

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
    let moving = Move {
        destination,
        left: None,
    };
    let steps = target.steps(moving);
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
    let moving = Move {
        destination,
        left: None,
    };
    target.shares() || target.steps(moving).len() > 1
}

/// What [`Target::learned`] says of the configured target.
pub(crate) async fn learned(
    section: &Rollback,
    job: &Job,
    release: &str,
    known: Vec<Entry>,
) -> Result<Option<Learned>, String> {
    let places = Places::new(&job.config.hosts, &job.env);
    // Whoever asks what runs says why there is no target.
    let Ok(target) = of(section, job, &places, known) else {
        return Ok(None);
    };
    let asked = tokio::time::timeout(LOOK, target.learned(release)).await;
    asked.unwrap_or_else(|_| Err(format!("no answer within {} s", LOOK.as_secs())))
}

/// What the parts of all places run. What cannot be asked is left out: [`asked`] tells why.
pub(crate) async fn parts(section: &Rollback, job: &Job, likely: &str, known: Vec<Entry>) -> Parts {
    let places = Places::new(&job.config.hosts, &job.env);
    let Ok(target) = of(section, job, &places, known) else {
        return Parts::default();
    };
    let steps = target.steps(Move {
        destination: likely,
        left: None,
    });
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
    let names = releases(job, &known);
    if let Ok(target) = of(section, job, &places, known) {
        match everywhere(&*target, likely).await.all {
            // One answer through the front door says nothing of the others.
            Err(reason) if several(&*target, likely) => return Err(reason),
            Ok(Some(release)) => return Ok(Some((release, "the target says so"))),
            Ok(None) => {}
            Err(reason) => missing = Some(reason),
        }
    }
    let Some(answer) = Question::ask_gate(job, &places, names, likely).await else {
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

/// How long one question to the running service may take.
pub(crate) const ASK: Duration = Duration::from_secs(3);
/// How long a place may take to say what it runs.
pub(crate) const LOOK: Duration = Duration::from_secs(20);

/// Why the service did not name its release.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) reason: String,
    /// Where the release stands was never told, only guessed at.
    pub(crate) guessed: bool,
}

/// Where the running release can be asked for, through the front door.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) url: String,
    pub(crate) source: Option<ReleaseSource>,
    /// What the answer is called by.
    pub(crate) names: Releases,
}

impl Question {
    /// The first probe of the gate that names where its release is read.
    fn probe(job: &Job) -> Option<&HttpProbe> {
        let probes = &job.config.healthgate.as_ref()?.http;
        let told = probes.iter().find(|probe| probe.release.is_some());
        told.or(probes.first())
    }

    fn of_probe(probe: &HttpProbe, names: Releases) -> Question {
        let source = probe.release.clone();
        let url = source
            .as_ref()
            .and_then(|source| source.url.clone())
            .unwrap_or(probe.url.clone());
        Question { url, source, names }
    }

    /// What the gate asks; of a probe of many endpoints there is not one such question.
    pub(crate) fn of_gate(job: &Job, names: Releases) -> Option<Question> {
        let probe = Question::probe(job)?;
        let group = probe.group().filter(Group::is_meant);
        group.is_none().then(|| Question::of_probe(probe, names))
    }

    /// The same of each endpoint that the probe stands for, with the endpoint's name where there
    /// are several; empty where the gate asks none.
    pub(crate) fn all_of_gate(
        job: &Job,
        places: &Places,
        names: Releases,
    ) -> Result<Vec<(Option<String>, Question)>, String> {
        let Some(probe) = Question::probe(job) else {
            return Ok(Vec::new());
        };
        let Some(group) = probe.group().filter(Group::is_meant) else {
            return Ok(vec![(None, Question::of_probe(probe, names))]);
        };
        let around = probe::Surroundings {
            env: job.env.clone(),
            hosts: places.hosts(),
            redactor: job.redactor.clone(),
        };
        let fill = |member: Member| {
            let mut probe = probe.clone();
            probe.fill(&member)?;
            let question = Question::of_probe(&probe, names.clone());
            Ok((Some(member.target), question))
        };
        let members = probe::members::expand(group, &around.hosts)?.list;
        members.into_iter().map(fill).collect()
    }

    /// What the service itself answers where the gate asks for it: another release than the
    /// `likely` one if any endpoint names one. `None` where the gate asks for none, and where it
    /// was never told where the release stands and nothing was recognised (`guessed`).
    pub(crate) async fn ask_gate(
        job: &Job,
        places: &Places,
        names: Releases,
        likely: &str,
    ) -> Option<Result<String, Unanswered>> {
        let questions = match Question::all_of_gate(job, places, names) {
            Ok(questions) if questions.is_empty() => return None,
            Ok(questions) => questions,
            Err(reason) => {
                return Some(Err(Unanswered {
                    reason,
                    guessed: false,
                }));
            }
        };
        let guessed = questions.iter().all(|(_, asks)| asks.source.is_none());
        let asking = questions.iter().map(|(name, question)| async move {
            let answer = question.ask(None, likely, ASK).await;
            answer.map_err(|reason| match name {
                Some(name) => format!("{name}: {reason}"),
                None => reason,
            })
        });
        let (mut same, mut silent) = (None, None);
        for answer in join_all(asking).await {
            match answer {
                Ok(release) if release != likely => return Some(Ok(release)),
                Ok(release) => same = Some(release),
                Err(reason) => silent = silent.or(Some(reason)),
            }
        }
        Some(match (silent, same) {
            (Some(reason), _) => Err(Unanswered { reason, guessed }),
            (None, Some(release)) => Ok(release),
            (None, None) => return None,
        })
    }

    /// What the section itself names, else what the gate asks.
    pub(crate) fn of(
        own: Option<&ReleaseSource>,
        job: &Job,
        kind: &str,
        names: Releases,
    ) -> Result<Self, String> {
        let own = own.and_then(|source| Some((source.url.clone()?, source)));
        if let Some((url, source)) = own {
            let source = Some(source.clone());
            return Ok(Question { url, source, names });
        }
        Question::of_gate(job, names).ok_or_else(|| {
            format!("where the release can be read through {kind} is not configured: set `rollback.{kind}.release.url`")
        })
    }

    /// The same out of a place's own network.
    pub(crate) async fn ask_from(
        &self,
        place: &Place,
        around: &probe::Surroundings,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, String> {
        let route = match place {
            Place::Here => Route::default(),
            Place::Host(host) => Route::out_of(host, around),
        };
        self.ask_by(route, at, likely, timeout).await
    }

    pub(crate) async fn ask(
        &self,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, String> {
        self.ask_by(Route::default(), at, likely, timeout).await
    }

    /// The release that answers, by the name that we have for it.
    async fn ask_by(
        &self,
        route: Route,
        at: Option<&str>,
        likely: &str,
        timeout: Duration,
    ) -> Result<String, String> {
        let (source, wanted) = (self.source.as_ref(), (self.names.rule(), likely));
        let told = probe::http::ask_release(route, &self.url, at, source, wanted, timeout).await?;
        Ok(self.names.named(&told, likely).to_owned())
    }
}
