//! Judges what ECS reports about a service: the deployment's identity first, then its rollout, then
//! its tasks, then what happened to them since they were healthy.

use std::collections::{BTreeMap, BTreeSet};

use aws::ecs::{Definition, Deployment, Service, TASKS_PER_PAGE, Task};
use config::file::EcsProbe;
use model::Verdict;
use model::text::excerpt;

use crate::reading::Reading;
use crate::release::Identity;

pub(super) const EXPECTED: &str = "our deployment is PRIMARY, rolled out, its tasks healthy";

/// Pages of tasks that are looked at.
pub(super) const PAGES: usize = 10;
/// Reasons of stopped tasks that are distinguished.
const REASONS: usize = 3;

/// What was seen when everything was well for the first time: what stops after that has crashed.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    well: Option<BTreeSet<String>>,
}

/// What was seen in a word or two, and what it means.
fn not(verdict: Verdict, value: &str, means: impl std::fmt::Display) -> Reading {
    let reason = format!("{value}: {means}");
    Reading::unmet(verdict, EXPECTED, &reason, &reason).value(value)
}

pub(super) fn judge(
    probe: &EcsProbe,
    service: Option<&Service>,
    definition: &Definition,
    running: &[Task],
    stopped: &[Task],
    release: Option<&str>,
    watch: &mut Watch,
) -> Reading {
    let Some(service) = service else {
        let means = format!(
            "there is no service `{}` in cluster `{}`",
            probe.service, probe.cluster
        );
        return not(Verdict::Fail, "missing", means).doubtful();
    };
    if service.status != "ACTIVE" {
        return not(Verdict::Fail, &service.status, "the service does not run");
    }
    if service.controller != "ECS" {
        return not(
            Verdict::Error,
            &service.controller,
            "something other than ECS deploys this service, and ECS shows no deployment",
        );
    }
    let Some(primary) = service.primary() else {
        return not(
            Verdict::Inconclusive,
            "nothing",
            "ECS shows no PRIMARY deployment",
        );
    };
    let identity = match identify_deployment(probe, service, primary, definition, stopped, release)
    {
        Ok(identity) => identity,
        Err(reading) => return *reading,
    };
    let reading = rolled_out(service, primary, definition, running, stopped)
        .unwrap_or_else(|| stays_so(primary, stopped, watch));
    Reading {
        release: identity,
        ..reading
    }
}

/// Whether the PRIMARY deployment is ours, by any evidence.
fn identify_deployment(
    probe: &EcsProbe,
    service: &Service,
    primary: &Deployment,
    definition: &Definition,
    stopped: &[Task],
    release: Option<&str>,
) -> Result<Option<Identity>, Box<Reading>> {
    let runs = short(&primary.task_definition);
    let other = |expected: String, ours: &dyn Fn(&Deployment) -> bool| {
        let mut reason = format!("PRIMARY is {} of {runs}, expected {expected}", primary.id);
        // What became of ours, as far as ECS still reports it.
        let found = service.deployments.iter().find(|one| ours(one));
        if let Some(found) = found {
            reason.push_str(&format!("; ours is {}: {}", found.rollout, counts(found)));
        }
        let ours = stopped.iter().filter(|task| {
            task.crashed()
                && ours(&Deployment {
                    id: task.started_by.clone(),
                    task_definition: task.definition.clone(),
                    ..Deployment::default()
                })
        });
        reason.push_str(&reasons(ours));
        // A circuit breaker says here that it went back.
        if !primary.rollout_reason.is_empty() {
            reason.push_str(&format!("; of PRIMARY: {}", primary.rollout_reason));
        }
        let complaints = service.complaints(&Deployment::default()).join("; ");
        if !complaints.is_empty() {
            reason.push_str(&format!("; ECS reports: {complaints}"));
        }
        let reading = not(Verdict::Fail, "another deployment", reason);
        given_up(found, reading.doubtful())
    };
    if let Some(id) = &probe.deployment_id
        && *id != primary.id
    {
        return Err(Box::new(other(id.clone(), &|one| one.id == *id)));
    }
    if let Some(name) = &probe.task_definition
        && !is_definition(name, &primary.task_definition)
    {
        return Err(Box::new(other(short(name).to_owned(), &|one| {
            is_definition(name, &one.task_definition)
        })));
    }
    // A rolled back service has the same family.
    let revision = |name: &String| short(name).contains(':');
    let proven =
        probe.deployment_id.is_some() || probe.task_definition.as_ref().is_some_and(revision);
    let Some(release) = release else {
        if proven {
            return Ok(None);
        }
        return Err(Box::new(not(
            Verdict::Inconclusive,
            "unproven",
            format!(
                "which deployment is ours is not configured (PRIMARY is {} of {runs}); give \
                 `task-definition` with its revision, `deployment-id` or `--release`",
                primary.id
            ),
        )));
    };
    if proven && probe.container.is_none() {
        return Ok(None);
    }
    let image = match image(probe, definition) {
        Ok(image) => image,
        Err(why) => {
            return Err(Box::new(Reading {
                release: Some(Identity::Unknown(why.to_string())),
                ..not(Verdict::Inconclusive, "unproven", why)
            }));
        }
    };
    if let Some(name) = named(probe, image, release) {
        return Ok(Some(Identity::Matches(name.to_owned())));
    }
    let names = names(image);
    let actual = names.first().map_or("an image without a tag", |name| name);
    let differs = Identity::Differs {
        expected: release.to_owned(),
        actual: actual.to_owned(),
    };
    let reason = format!(
        "{actual} runs ({image}, {} of {runs}), expected {release}",
        primary.id
    );
    Err(Box::new(Reading {
        release: Some(differs),
        ..not(Verdict::Fail, "another release", reason)
    }))
}

/// Why it is not known which image names the release.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoImage {
    #[error("the task has no container `{0}`")]
    NotThere(String),
    #[error("the task definition has no container")]
    Empty,
    #[error("several containers ({0}): `container` must name the one whose image is the release")]
    Several(String),
}

/// The image that names the release.
pub(super) fn image<'d>(probe: &EcsProbe, definition: &'d Definition) -> Result<&'d str, NoImage> {
    let images = &definition.images;
    let called = |name: &str| images.get(name).map(String::as_str);
    if let Some(name) = &probe.container {
        return called(name).ok_or_else(|| NoImage::NotThere(name.clone()));
    }
    let mut all = images.values();
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(NoImage::Empty),
        _ => called(short(&probe.service)).ok_or_else(|| {
            let names: Vec<_> = images.keys().map(String::as_str).collect();
            NoImage::Several(names.join(", "))
        }),
    }
}

/// The tag or digest of the image that names this release.
pub(super) fn named<'i>(probe: &EcsProbe, image: &'i str, release: &str) -> Option<&'i str> {
    let mut names = names(image).into_iter();
    names.find(|name| probe.r#match.proves(release, name))
}

/// A tag and a digest, where an image has them: `host:5000/repo:v1@sha256:…`.
fn names(image: &str) -> Vec<&str> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let last = rest.rsplit('/').next().unwrap_or(rest);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    tag.into_iter().chain(digest).collect()
}

/// `family:revision` of an ARN.
fn short(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Whether an ARN is of this ARN, `family:revision` or family.
fn is_definition(name: &str, arn: &str) -> bool {
    let full = short(arn);
    let family = full.split(':').next().unwrap_or(full);
    if name.starts_with("arn:") {
        name == arn
    } else {
        name == full || name == family
    }
}

/// ECS tries no more, once a deployment has failed.
fn given_up(ours: Option<&Deployment>, reading: Reading) -> Reading {
    match ours {
        Some(ours) if ours.rollout == "FAILED" => reading.finally(),
        _ => reading,
    }
}

/// How far it is, beside the state of its rollout.
fn counts(one: &Deployment) -> String {
    let Deployment {
        rollout_reason,
        desired,
        running,
        pending,
        failed,
        ..
    } = one;
    let mut text = format!("{running} of {desired} run, {pending} pending, {failed} failed");
    if !rollout_reason.is_empty() {
        text.push_str(&format!("; {rollout_reason}"));
    }
    text
}

/// Why the rollout is not over, or its tasks are not healthy.
fn rolled_out(
    service: &Service,
    primary: &Deployment,
    definition: &Definition,
    running: &[Task],
    stopped: &[Task],
) -> Option<Reading> {
    let ours = |task: &&Task| task.started_by == primary.id;
    let crashed = || stopped.iter().filter(ours).filter(|task| task.crashed());
    let because = |value: &str, mut reason: String| {
        reason.push_str(&reasons(crashed()));
        let complaints = service.complaints(primary).join("; ");
        if !complaints.is_empty() {
            reason.push_str(&format!("; ECS reports: {complaints}"));
        }
        Some(not(Verdict::Fail, value, reason))
    };
    if primary.rollout != "COMPLETED" || primary.failed > 0 {
        let reading = because(&primary.rollout, counts(primary));
        return reading.map(|reading| given_up(Some(primary), reading));
    }
    if primary.desired == 0 {
        return Some(not(
            Verdict::Inconclusive,
            "nothing",
            "the service is scaled to 0 tasks",
        ));
    }
    if primary.running != primary.desired || primary.pending > 0 {
        return because(&primary.rollout, counts(primary));
    }
    let others = service
        .deployments
        .iter()
        .filter(|one| one.id != primary.id);
    let left: u64 = others.map(|one| one.running).sum();
    if left > 0 {
        return because(
            "DRAINING",
            format!("{left} tasks of older deployments still run"),
        );
    }
    if !definition.checked {
        return None;
    }
    let healthy = |task: &&Task| task.status == "RUNNING" && task.health == "HEALTHY";
    let tasks: Vec<_> = running.iter().filter(ours).collect();
    let healthy = tasks.iter().copied().filter(healthy).count();
    // Of more tasks than are looked at, all that are looked at.
    let wanted = usize::try_from(primary.desired).unwrap_or(usize::MAX);
    let wanted = wanted.min(TASKS_PER_PAGE * PAGES);
    if healthy < wanted {
        let sick = tasks.iter().find(|task| task.health != "HEALTHY");
        let sick = sick.map_or("ECS lists no more".to_owned(), |task| {
            format!("{} is {}", short(&task.arn), task.health)
        });
        return because(
            "UNHEALTHY",
            format!("{healthy} of {wanted} tasks are HEALTHY: {sick}"),
        );
    }
    None
}

/// A pass, unless a task has crashed since everything was well: a crash loop has good moments.
fn stays_so(primary: &Deployment, stopped: &[Task], watch: &mut Watch) -> Reading {
    let crashed = || {
        let ours = |task: &&Task| task.started_by == primary.id && task.crashed();
        stopped.iter().filter(ours)
    };
    let before = watch
        .well
        .get_or_insert_with(|| crashed().map(|task| task.arn.clone()).collect());
    let new: Vec<_> = crashed()
        .filter(|task| !before.contains(&task.arn))
        .collect();
    if !new.is_empty() {
        let reason = format!(
            "{} tasks stopped since the deployment was healthy{}",
            new.len(),
            reasons(new.into_iter())
        );
        return not(Verdict::Fail, "crashed", reason);
    }
    let actual = format!(
        "{} of {} COMPLETED, {} of {} tasks run",
        primary.id,
        short(&primary.task_definition),
        primary.running,
        primary.desired
    );
    Reading::pass(EXPECTED, actual).value(format!("{}/{}", primary.running, primary.desired))
}

/// Why tasks stopped, alike ones together.
fn reasons<'t>(tasks: impl Iterator<Item = &'t Task>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for task in tasks {
        *counts.entry(task.stop_reason()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = String::new();
    for (why, count) in counts.iter().take(REASONS) {
        let why = excerpt(why.as_bytes());
        text.push_str(&format!("; {count} × stopped: {why}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_tag_and_its_digest() {
        assert_eq!(names("repo/api:v1"), ["v1"]);
        assert_eq!(names("host:5000/repo/api"), [""; 0]);
        assert_eq!(names("host:5000/api:v1@sha256:ab"), ["v1", "sha256:ab"]);
        assert_eq!(names("api@sha256:ab"), ["sha256:ab"]);
    }

    #[test]
    fn a_task_definition_is_meant_by_arn_revision_or_family() {
        let arn = "arn:aws:ecs:eu-west-1:1:task-definition/api:42";
        for name in [arn, "api:42", "api"] {
            assert!(is_definition(name, arn), "{name}");
        }
        for name in [
            "api:4",
            "ap",
            "api:421",
            "arn:aws:ecs:eu-west-1:1:task-definition/api:41",
        ] {
            assert!(!is_definition(name, arn), "{name}");
        }
    }
}
