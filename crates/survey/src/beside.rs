//! What a job does beside the calls that its deployment is told by: what else goes live, a way back of its own, and
//! whether anything waits for the release.

use crate::counts::{after_failure, is_way_back};
use crate::deployment::Login;
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, RecordedEffect, machine, same_machine};
use tools::{CommandEffect, Ends, Tool};
use workflow::{Fact, Known, Line};

/// A longer command is cut.
const MAX_SHOWN: usize = 80;
/// More than a person writes for one release.
const MAX_CALLS: usize = 32;
/// More than a person reads.
const MAX_BESIDES: usize = 8;

/// What else goes live in the job: by another tool, or by the same for another app.
pub(crate) fn besides(
    calls: &[&RecordedEffect<'_>],
    deploying: &[&RecordedEffect<'_>],
) -> Vec<Fact<String>> {
    let Some(CommandEffect::Deploys(lead)) = calls.first().map(|one| &one.deed) else {
        return Vec::new();
    };
    let mut found: Vec<Fact<String>> = Vec::new();
    for one in deploying {
        if found.len() >= MAX_BESIDES {
            break;
        }
        let CommandEffect::Deploys(tool) = &one.deed else {
            continue;
        };
        let fact = Fact::new(shown(one.event), one.event.at.clone());
        if is_of_its_own(tool) && !is_of(lead, tool) && !found.contains(&fact) {
            found.push(fact);
        }
    }
    found
}

/// Whether a tool makes something live that is told apart from the rest of the job.
fn is_of_its_own(tool: &Tool) -> bool {
    matches!(
        tool,
        Tool::Helm(_)
            | Tool::Kubectl(_)
            | Tool::Platform(_)
            | Tool::Ecs(_)
            | Tool::CodeDeploy { .. }
            | Tool::Capistrano { .. }
            | Tool::Deployer { .. }
    )
}

/// Whether a call is one of those that are told together, or the same once more.
fn is_of(lead: &Tool, tool: &Tool) -> bool {
    match (lead, tool) {
        // After a chart: what comes with it, or is set for what it has made.
        (Tool::Kubectl(_) | Tool::Helm(_), Tool::Kubectl(_)) | (Tool::Ecs(_), Tool::Ecs(_)) => true,
        (Tool::Helm(one), Tool::Helm(other)) => {
            let namespace =
                |call: &tools::HelmCall| call.namespace.as_ref().map(|it| it.value.clone());
            (&one.release, &one.context) == (&other.release, &other.context)
                && namespace(one) == namespace(other)
        }
        (Tool::Platform(one), Tool::Platform(other)) => {
            let app = |call: &tools::PlatformCall| call.app.as_ref().map(|it| it.value.clone());
            (one.name, &one.config, &one.place) == (other.name, &other.config, &other.place)
                && app(one) == app(other)
                && one.undo == other.undo
        }
        _ => lead == tool,
    }
}

fn shown(event: &Event) -> String {
    let text = match &event.what {
        EventDetail::Command { words, .. } => words.join(" "),
        EventDetail::Action { name, .. } => name.clone(),
        EventDetail::Script { path, .. } => path.clone(),
        EventDetail::Writes { .. } => String::new(),
    };
    text.chars().take(MAX_SHOWN).collect()
}

/// Whether the calls, or what comes after them in the job, wait until the release runs.
pub(crate) fn waits(calls: &[&RecordedEffect<'_>], run: &Run) -> Known {
    let place = |event: &Event| run.events.iter().position(|one| std::ptr::eq(one, event));
    let Some(first) = calls.iter().filter_map(|one| place(one.event)).min() else {
        return Known::NotSeen(None);
    };
    let after = run.events.get(first..).unwrap_or_default();
    if let Some(wait) = after.iter().find(|event| event.waits()) {
        return Known::Yes(wait.at.clone());
    }
    let ends = |wanted: Ends| calls.iter().find(|one| one.event.ends() == wanted);
    match (ends(Ends::Unknown), ends(Ends::Early), ends(Ends::Running)) {
        (None, None, Some(one)) => Known::Yes(one.event.at.clone()),
        (None, Some(_), None) => Known::No,
        _ => Known::NotSeen(None),
    }
}

impl Assembly<'_> {
    /// What a job does to go back by itself, where a step has failed.
    pub(crate) fn own_backs<'r>(
        &self,
        run: &'r Run,
        done: &[RecordedEffect<'r>],
    ) -> Vec<&'r Event> {
        let deploys = done.iter().filter(|one| match &one.deed {
            // A request that tells people looks like one that deploys.
            CommandEffect::Deploys(tool) => !matches!(
                **tool,
                Tool::Hook { .. } | Tool::Site { .. } | Tool::Copy { .. } | Tool::Other { .. }
            ),
            _ => false,
        });
        let deploys = deploys.map(|one| one.event);
        let says = |event: &&Event| match &event.what {
            EventDetail::Command { words, .. } => words
                .iter()
                .any(|word| matches!(word.as_str(), "rollback" | "undo" | "deploy:rollback")),
            _ => false,
        };
        deploys
            .chain(run.events.iter().filter(says))
            .filter(|event| self.is_undone(run, event))
            .collect()
    }

    /// Where the job goes on though a call was not made or failed: `kubectl set image … || true`, or one in an `if` of
    /// its own.
    pub(crate) fn passed_over(&self, calls: &[&RecordedEffect<'_>]) -> Option<Line> {
        let calls = calls.get(..MAX_CALLS).unwrap_or(calls);
        let first = calls.first()?;
        let is_apart = |one: &&&RecordedEffect<'_>| {
            // `if ! kubectl rollout status …` is how a job waits.
            !one.event.waits()
                && (one.event.arms != first.event.arms || self.only_warns(&one.event.at))
        };
        let found = calls.iter().find(is_apart)?;
        Some(found.event.at.clone())
    }

    /// What the workflow calls a way back and runs after a failure: a later step of the job, or a job that waits for it.
    pub(crate) fn named_back(&self, run: &Run, first: usize) -> Option<Line> {
        let workflow = &self.workflows[run.id.workflow];
        let job = &workflow.jobs[run.id.job];
        let is_one = |condition: &Option<String>, names: [Option<&String>; 2]| {
            after_failure(condition.as_deref())
                && names.into_iter().flatten().any(|name| is_way_back(name))
        };
        let mut steps = job.steps.iter().skip(first + 1);
        let step =
            steps.find(|step| is_one(&step.condition, [step.name.as_ref(), step.id.as_ref()]));
        let mut jobs = workflow
            .jobs
            .iter()
            .filter(|other| other.needs.contains(&job.id));
        let mut other =
            || jobs.find(|other| is_one(&other.condition, [other.name.as_ref(), Some(&other.id)]));
        let line = step.map(|step| step.line).or_else(|| Some(other()?.line))?;
        Some(workflow.line(line))
    }
}

/// The first of them after a step, on this machine.
pub(crate) fn own_back(
    backs: &[&Event],
    run: &Run,
    first: usize,
    login: Option<&Login>,
) -> Option<Line> {
    let is_here =
        |event: &&&Event| event.step > first && same_machine(machine(event, run).as_ref(), login);
    backs.iter().find(is_here).map(|event| event.at.clone())
}
