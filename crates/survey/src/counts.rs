//! Which of what a job does makes a release live: not a way back, upkeep, a preview or a test.

use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, COPY, RecordedEffect, machine, rank};
use tools::CommandEffect;
use tools::Tool;
use tools::compose;
use workflow::{Job, Step, Workflow};

impl Assembly<'_> {
    /// Whether a job can deploy at all.
    pub(crate) fn may_deploy(&self, run: &Run) -> bool {
        let workflow = &self.workflows[run.id.workflow];
        let job = &workflow.jobs[run.id.job];
        let condition = job.condition.as_deref().unwrap_or_default();
        let file = workflow.path.rsplit('/').next().unwrap_or_default();
        let names = [
            Some(file),
            workflow.name.as_deref(),
            Some(&*job.id),
            job.name.as_deref(),
        ];
        !(never_deploys(&self.workflows[run.started], workflow, job)
            || after_failure(Some(condition))
            || names.into_iter().flatten().any(is_way_back))
    }

    /// The deeds that make a release live.
    pub(crate) fn deploying<'d, 'e>(
        &self,
        run: &Run,
        done: &'d [RecordedEffect<'e>],
    ) -> Vec<&'d RecordedEffect<'e>> {
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let own = job.is_on_own_machine();
        let test_cluster = run.events.iter().any(is_test_cluster);
        let counts = |one: &&RecordedEffect<'_>| {
            let CommandEffect::Deploys(tool) = &one.deed else {
                return false;
            };
            if self.is_undone(run, one.event) {
                return false;
            }
            match **tool {
                Tool::Compose(_)
                | Tool::Swarm { .. }
                | Tool::Container { .. }
                | Tool::Systemd { .. }
                | Tool::Pm2 { .. }
                | Tool::Supervisor { .. } => {
                    machine(one.event, run).is_some() || own && !self.is_test(run, one)
                }
                // What it reaches from a runner is not seen: a test of its own machine looks the same.
                Tool::Ansible { .. } => !self.is_test(run, one),
                // On a runner these words are a build's, but for a folder that is not the checkout.
                Tool::Commands => {
                    let folder = one.event.place.folder.as_ref();
                    let elsewhere =
                        folder.is_some_and(|folder| folder.value.starts_with(['/', '~']));
                    one.event.place.login.is_some() || own && elsewhere || is_sent(one.event)
                }
                Tool::Kubectl(_) | Tool::Helm(_) => !test_cluster,
                _ => true,
            }
        };
        let mut found: Vec<&RecordedEffect<'_>> = done.iter().filter(counts).collect();
        // What is known by its name alone tells something where nothing else does.
        let by_name = |one: &&RecordedEffect<'_>| matches!(&one.deed, CommandEffect::Deploys(tool) if matches!(**tool, Tool::Other { .. }));
        if found.iter().any(|one| !by_name(one)) {
            found.retain(|one| !by_name(one));
        }
        // Compose that only builds or pulls starts nothing: something else does.
        let is_compose = |one: &&RecordedEffect<'_>| matches!(&one.deed, CommandEffect::Deploys(tool) if matches!(**tool, Tool::Compose(_)));
        if !found.iter().any(|one| is_compose(one) && starts(one.event)) {
            found.retain(|one| !is_compose(one));
        }
        // Compose that gets nothing new starts what has stopped.
        let is_old = |one: &&RecordedEffect<'_>| {
            rank(&one.deed) > rank_of_compose()
                || is_compose(one) && !found.iter().any(|one| gets_new(one))
        };
        if self.is_upkeep(run) && found.iter().all(is_old) {
            return Vec::new();
        }
        found
    }

    /// A step that runs after a failure, or that goes back.
    pub(crate) fn is_undone(&self, run: &Run, event: &Event) -> bool {
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        job.steps.get(event.step).is_some_and(|step| {
            after_failure(step.condition.as_deref())
                || [&step.name, &step.id]
                    .into_iter()
                    .flatten()
                    .any(|name| is_way_back(name))
        })
    }

    /// A step that runs whatever has happened: it cleans up or tells people.
    pub(crate) fn is_always(&self, run: &Run, event: &Event) -> bool {
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let condition = |step: &Step| {
            step.condition
                .as_deref()
                .is_some_and(|text| text.contains("always()"))
        };
        job.steps.get(event.step).is_some_and(condition)
    }

    /// What a runner starts for a test: it takes it down again, or does the same for every pull request.
    pub(crate) fn is_test(&self, run: &Run, one: &RecordedEffect<'_>) -> bool {
        let down = |event: &&Event| match &event.what {
            EventDetail::Command { words, .. } => {
                matches!(
                    words.first().map(String::as_str),
                    Some("docker" | "docker-compose" | "podman")
                ) && words
                    .iter()
                    .any(|word| matches!(word.as_str(), "down" | "rm" | "kill"))
                    && !words.get(1).is_some_and(|of| {
                        matches!(
                            of.as_str(),
                            "image" | "volume" | "network" | "builder" | "system"
                        )
                    })
            }
            _ => false,
        };
        if is_of_developers(&one.deed) {
            return true;
        }
        let after = run
            .events
            .iter()
            .skip_while(|event| !std::ptr::eq(*event, one.event));
        // What is taken down after a failure alone is no test's.
        if after
            .skip(1)
            .any(|event| down(&event) && !self.is_undone(run, event))
        {
            return true;
        }
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let step = job.steps.get(one.event.step);
        let chosen = job.condition.is_some() || step.is_some_and(|step| step.condition.is_some());
        let started = &self.workflows[run.started];
        let requests = started
            .triggers
            .iter()
            .any(|trigger| trigger.starts_with("pull_request"));
        let names = [Some(&job.id), job.name.as_ref()];
        let says =
            (names.into_iter().flatten()).any(|name| name.to_ascii_lowercase().contains("deploy"));
        requests && !chosen && !says && job.environment.is_none()
    }

    /// A job that a clock starts, or that is called a backup: it changes no release unless its tool says so.
    pub(crate) fn is_upkeep(&self, run: &Run) -> bool {
        const NAMES: [&str; 25] = [
            "backup",
            "backups",
            "prune",
            "cleanup",
            "clean",
            "maintenance",
            "renew",
            "certbot",
            "ssl",
            "dump",
            "restore",
            "seed",
            "logs",
            "monitor",
            "monitoring",
            "cron",
            "nightly",
            "scheduled",
            "uptime",
            "restart",
            "stop",
            "diagnose",
            "migrate",
            "migration",
            "migrations",
        ];
        let started = &self.workflows[run.started];
        let clock = started.triggers.iter().any(|trigger| trigger == "schedule")
            && started
                .triggers
                .iter()
                .all(|trigger| matches!(trigger.as_str(), "schedule" | "workflow_dispatch"));
        let workflow = &self.workflows[run.id.workflow];
        let job = &workflow.jobs[run.id.job];
        let file = workflow.path.rsplit('/').next().unwrap_or_default();
        let file = file.trim_end_matches(".yml").trim_end_matches(".yaml");
        let names = [
            Some(file),
            workflow.name.as_deref(),
            Some(&*job.id),
            job.name.as_deref(),
        ];
        let says = |name: &str, words: &[&str]| {
            let lower = name.to_ascii_lowercase();
            lower
                .split(|c: char| !c.is_ascii_alphanumeric())
                .any(|part| words.contains(&part))
        };
        let called = |words: &[&str]| names.iter().flatten().any(|name| says(name, words));
        let of_job = |words: &[&str]| names[2..].iter().flatten().any(|name| says(name, words));
        let deploys = ["deploy", "deployment", "release", "publish", "cd"];
        clock || of_job(&NAMES) && !of_job(&deploys) || called(&NAMES) && !called(&deploys)
    }
}

/// Compose and what tells more than it can deploy in a job of any name.
fn rank_of_compose() -> usize {
    rank(&CommandEffect::Deploys(Box::new(Tool::Compose(
        tools::ComposeCall::default(),
    ))))
    .min(COPY)
}

/// Whether all files of a Compose call are a developer's: `docker-compose.dev.yml`.
fn is_of_developers(deed: &CommandEffect) -> bool {
    let CommandEffect::Deploys(tool) = deed else {
        return false;
    };
    matches!(&**tool, Tool::Compose(call)
        if !call.files.is_empty() && call.files.iter().all(|file| compose::is_developers(&file.value)))
}

/// Whether a call builds or pulls what it starts, or Git brings it.
fn gets_new(one: &RecordedEffect<'_>) -> bool {
    matches!(&one.event.what, EventDetail::Command { words, .. }
        if words.iter().any(|word| word.contains("pull") || word.contains("build")))
}

/// Whether a call of Compose starts services.
pub(crate) fn starts(event: &Event) -> bool {
    let verbs = ["up", "restart", "start"];
    matches!(&event.what, EventDetail::Command { words, .. }
        if words.iter().any(|word| verbs.contains(&word.as_str())))
}

/// A condition without `${{` and `}}`.
fn inner(condition: &str) -> &str {
    let condition = condition.trim();
    let inside = condition
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"));
    inside.unwrap_or(condition).trim()
}

pub(crate) fn after_failure(condition: Option<&str>) -> bool {
    condition.is_some_and(|text| {
        let fails = text.contains("failure()")
            || text.contains("cancelled()")
            || text.contains("== 'failure'");
        fails
            && !text.contains("success()")
            && !text.contains("!cancelled()")
            && !text.contains("! cancelled()")
            && !text.contains("!failure()")
            && !text.contains("== 'success'")
    })
}

/// A name such as "Rollback production"; "Deploy with rollback" is a deployment.
pub(crate) fn is_way_back(name: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace(['-', '_'], " ");
    let lower = lower.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let back = ["rollback", "roll back", "revert"];
    back.iter().any(|word| lower.starts_with(word))
        || back.iter().any(|word| lower.contains(word))
            && !lower.contains("deploy")
            && !lower.contains("release")
}

/// Whether an argument tells a script to go back: `rollback`, `--undo`.
pub(crate) fn is_for_way_back(argument: &str) -> bool {
    matches!(
        argument.trim_start_matches('-'),
        "rollback" | "revert" | "undo"
    )
}

/// Whether a job never runs, or for a preview alone.
pub(crate) fn never_deploys(started: &Workflow, workflow: &Workflow, job: &Job) -> bool {
    inner(job.condition.as_deref().unwrap_or_default()) == "false"
        || is_of_pull_requests(started, workflow, job)
}

/// Where events of a pull request alone start it, what it deploys is a preview; but not once the request is merged.
fn is_of_pull_requests(started: &Workflow, workflow: &Workflow, job: &Job) -> bool {
    let condition = inner(job.condition.as_deref().unwrap_or_default());
    if condition.starts_with("github.event_name == 'pull_request") && !condition.contains("||") {
        return !condition.contains("merged");
    }
    started.is_of_pull_requests()
        && !(started.is_of_closed_requests() && waits_for_merge(workflow, job, 0))
}

/// Whether the job, or one that it needs, runs for a merged request alone.
fn waits_for_merge(workflow: &Workflow, job: &Job, depth: usize) -> bool {
    const MAX_DEPTH: usize = 8;
    let merged = |condition: &Option<String>| {
        condition
            .as_deref()
            .is_some_and(|text| text.contains("merged"))
    };
    let mut needed = (workflow.jobs.iter()).filter(|other| job.needs.contains(&other.id));
    merged(&job.condition)
        || job.steps.iter().any(|step| merged(&step.condition))
        || depth < MAX_DEPTH && needed.any(|other| waits_for_merge(workflow, other, depth + 1))
}

/// Commands that a cloud hands to a machine.
fn is_sent(event: &Event) -> bool {
    match &event.what {
        EventDetail::Command { words, .. } => words.windows(2).any(|pair| {
            matches!(
                [&*pair[0], &*pair[1]],
                ["ssm", "send-command"] | ["compute", "ssh"] | ["vm", "run-command"]
            )
        }),
        EventDetail::Action { name, .. } => name.contains("ssm"),
        EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
    }
}

/// A cluster that lives as long as the job.
fn is_test_cluster(event: &Event) -> bool {
    match &event.what {
        EventDetail::Action { name, .. } => [
            "kind-action",
            "minikube",
            "k3d",
            "chart-testing",
            "microk8s",
            "k3s-action",
        ]
        .iter()
        .any(|one| name.contains(one)),
        EventDetail::Command { words, .. } => {
            matches!(
                words.first().map(String::as_str),
                Some("kind" | "minikube" | "k3d")
            )
        }
        EventDetail::Script { .. } | EventDetail::Writes { .. } => false,
    }
}
