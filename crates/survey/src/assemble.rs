//! From what jobs do to how they deploy.

use std::collections::{BTreeMap, BTreeSet};

use crate::beside;
use crate::calls::kamal_login;
use crate::deployment::{Deployment, Login, Origin};
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::origin::Shipment;
use crate::record::{Assembly, COPY, RecordedEffect, copied_to, machine, rank, same_machine};
use crate::release::{named_in, step_env};
use shell::is_shell;
use tools::CommandEffect;
use tools::Tool;
use workflow::Value;
use workflow::alternatives::{are_apart, leads};
use workflow::release::{named_release, release_variables};
use workflow::{Fact, Known, Line, Step};

/// More than a person reads.
const MAX_DEPLOYMENTS: usize = 64;

/// What one job adds to the survey.
#[derive(Default)]
pub(crate) struct JobFindings {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) published: Vec<Fact<String>>,
}

impl Assembly<'_> {
    pub(crate) fn all(&self) -> JobFindings {
        let mut found = JobFindings::default();
        for run in self.runs {
            if found.deployments.len() >= MAX_DEPLOYMENTS {
                let note = "too many deployments: the rest is not shown";
                self.repository
                    .pass_over(&self.workflows[run.id.workflow].path, note);
                break;
            }
            self.one(run, &mut found);
        }
        if found.deployments.is_empty() {
            let pushed = self.runs.iter().flat_map(|run| {
                self.own_images(run)
                    .iter()
                    .filter(|image| image.pushed)
                    .cloned()
                    .collect::<Vec<_>>()
            });
            for image in pushed {
                let fact = Fact::new("an image".to_owned(), image.at);
                if !found.published.contains(&fact) {
                    found.published.push(fact);
                }
            }
        }
        found
    }

    fn one(&self, run: &Run, found: &mut JobFindings) {
        let workflow = &self.workflows[run.id.workflow];
        let job = &workflow.jobs[run.id.job];
        let done = self.done(run);
        for one in done {
            if let CommandEffect::Publishes { what } = one.deed {
                let fact = Fact::new(what.to_owned(), one.event.at.clone());
                if !found.published.contains(&fact) {
                    found.published.push(fact);
                }
            }
        }
        if !self.may_deploy(run) {
            return;
        }
        let deploying = self.deploying(run, done);
        let mut scripts = self.scripts(run, job.is_on_own_machine());
        if self.is_upkeep(run) {
            scripts.clear();
        }
        if deploying.is_empty() && scripts.is_empty() {
            return;
        }
        // One proposal a machine; a job that goes to several has several.
        let mut machines: Vec<Option<Login>> = Vec::new();
        for one in &deploying {
            let login = machine(one.event, run);
            if rank(&one.deed) < COPY
                && !machines
                    .iter()
                    .any(|known| same_machine(known.as_ref(), login.as_ref()))
            {
                machines.push(login);
            }
        }
        if machines.is_empty() {
            machines.push(deploying.first().map_or_else(
                || scripts[0].place.login.clone(),
                |one| machine(one.event, run),
            ));
        }
        let backs = self.own_backs(run, done);
        for place in machines {
            let here: Vec<&RecordedEffect<'_>> = (deploying.iter().copied())
                .filter(|one| {
                    rank(&one.deed) >= COPY
                        || same_machine(machine(one.event, run).as_ref(), place.as_ref())
                })
                .collect();
            let steps = here.iter().map(|one| one.event.step);
            let steps: Vec<usize> = steps.chain(scripts.iter().map(|one| one.step)).collect();
            for lead in leads(job, &steps) {
                let here: Vec<&RecordedEffect<'_>> = (here.iter().copied())
                    .filter(|one| !are_apart(job, lead, one.event.step))
                    .collect();
                let scripts: Vec<&Event> = (scripts.iter().copied())
                    .filter(|event| !are_apart(job, lead, event.step))
                    .collect();
                let place = place.clone();
                let one = self.deployment(run, done, &here, &scripts, place, &backs);
                found.deployments.extend(one);
            }
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a deployment has many parts, and each is a few lines"
    )]
    fn deployment(
        &self,
        run: &Run,
        done: &[RecordedEffect<'_>],
        deploying: &[&RecordedEffect<'_>],
        scripts: &[&Event],
        login: Option<Login>,
        backs: &[&Event],
    ) -> Option<Deployment> {
        let best = deploying.iter().map(|one| rank(&one.deed)).min();
        let mut calls: Vec<&RecordedEffect<'_>> = (deploying.iter().copied())
            .filter(|one| Some(rank(&one.deed)) == best)
            .collect();
        // A script that is called again, such as for the way back, does the same once more.
        let mut seen: Vec<(&Line, &[Line])> = Vec::new();
        calls.retain(|one| {
            let (at, by) = (&one.event.at, &one.event.by[..]);
            let again = seen.iter().any(|(line, way)| *line == at && *way != by);
            seen.push((at, by));
            !again
        });
        let script = self.script(scripts, &calls, run);
        // A copy and a script on the machine: the script is what makes it live. So it is where what it calls depends on
        // what it finds there.
        let best = best.filter(|_| {
            !calls.iter().all(
                |one| matches!(&one.deed, CommandEffect::Deploys(tool) if matches!(**tool, Tool::Commands)),
            )
        });
        let depends = calls
            .iter()
            .any(|one| matches!(&one.deed, CommandEffect::Deploys(tool) if tool.depends()));
        let scripted = script.is_some() && (depends || best.is_none_or(|best| best >= COPY));
        let (tool, at) = if scripted || calls.is_empty() {
            let (script, event) = script.as_ref()?;
            calls.clear();
            (
                Tool::Script {
                    path: script.path.clone(),
                },
                event.at.clone(),
            )
        } else {
            self.tool(&calls, run, done)?
        };
        let mut steps: Vec<usize> = (deploying.iter().map(|one| one.event.step))
            .chain(script.iter().map(|(_, event)| event.step))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        let main = calls
            .last()
            .map(|one| one.event)
            .or(script.as_ref().map(|(_, event)| *event))?;
        let first = *steps.first()?;
        let last_deploying = *steps.last()?;
        // What is asked before anything is changed tells of the release before.
        let place = |event: &Event| run.events.iter().position(|one| std::ptr::eq(one, event));
        let start = deploying
            .iter()
            .map(|one| one.event)
            .chain(script.iter().map(|(_, event)| *event))
            .filter_map(place)
            .min();
        // Of two calls of a platform the last one makes it live: a swap of slots.
        let is_platform = matches!(tool, Tool::Platform(_));
        let last_call = calls
            .last()
            .filter(|_| is_platform)
            .and_then(|one| place(one.event));
        let start = start.max(last_call);
        // An action may ask by itself what it has deployed.
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let is_after = |one: &&RecordedEffect<'_>| {
            place(one.event) >= start && !are_apart(job, main.step, one.event.step)
        };
        let asks: Vec<&RecordedEffect<'_>> = (done.iter())
            .filter(|one| matches!(one.deed, CommandEffect::Asks { .. }) && one.event.step >= first)
            .filter(|one| {
                is_after(one) && !self.is_undone(run, one.event) && !self.is_always(run, one.event)
            })
            .collect();
        // A call that always runs before one that starts something again where it has changed.
        let always = |step: &usize| job.steps[*step].condition.is_none();
        let mut live = calls.iter().map(|one| one.event.step);
        let live_step = live.find(always).unwrap_or(main.step);
        let there = login.as_ref().or(main.place.login.as_ref());
        let mut last_step = self.last_of_release(run, done, last_deploying, there);
        while asks.iter().any(|one| one.event.step == last_step + 1) {
            last_step += 1;
        }
        let environment = self.environment(run, job);
        let choice = self.choice(run, job, environment.as_ref());
        let login = login
            .or_else(|| main.place.login.clone())
            .or_else(|| match &tool {
                Tool::Kamal(call) => kamal_login(call, run),
                _ => None,
            });
        let copied = || deploying.iter().find_map(|one| copied_to(one, run));
        let folder = main.place.folder.clone().filter(|_| login.is_some());
        let folder = folder.or_else(|| main.place.folder.clone()).or_else(copied);
        // Several processes have a folder each.
        let is_one = |one: &&&RecordedEffect<'_>| one.event.place.folder == main.place.folder;
        let is_apart =
            matches!(tool, Tool::Pm2 { app: None }) && !calls.iter().all(|one| is_one(&one));
        let folder = folder.filter(|_| !is_apart);
        let env = match &main.what {
            EventDetail::Command { env, .. }
            | EventDetail::Action { env, .. }
            | EventDetail::Script { env, .. } => env.clone(),
            EventDetail::Writes { .. } => BTreeMap::new(),
        };
        let own = self.own_images(run);
        let (images, tag) = if tool.starts_images() {
            self.images(run, &tool, &own, &env)
        } else {
            (Vec::new(), None)
        };
        // What the step has for itself, on a machine too, where its commands name it.
        let own_step = step_env(run, job, main.step);
        let named = || named_in(main).or_else(|| named_release(&env, &own_step, &main.at));
        let named = || named().filter(|release| !self.moves(run, release.value.text()));
        let origin = self.origin(
            run,
            &Shipment {
                tool: &tool,
                images: &images,
                steps: &steps,
                main,
                is_named: named().is_some(),
            },
        );
        let of_origin = || match &origin {
            Origin::Carried => self.checked_out(run, first),
            Origin::Named(name) => {
                let whole = name.expression().is_some() && !name.text().contains("vars.");
                whole.then(|| Fact::new(name.clone(), main.at.clone()))
            }
            Origin::FetchedNewest(_) | Origin::NotKnown => None,
        };
        let release = match tool {
            Tool::Kamal(_) => self.kamal_version(run, main, first),
            _ => self.release(run, &tool, tag, &named, &of_origin),
        };
        // A variable has what is known of the release, whatever its name is in this job.
        let known = release.clone();
        let release = release.and_then(|release| self.as_job_writes(run, job, release));
        let known = known.filter(|_| release.is_some());
        let mut variables = release_variables(release.as_ref(), &env, &run.scope.env);
        if variables.is_empty() {
            variables = release_variables(known.as_ref(), &env, &run.scope.env);
        }
        let release_variables = variables;
        // What is built may not be what files that are not here start.
        let unseen = matches!(&tool, Tool::Compose(call) if call.known_files.is_empty() && call.services.is_empty());
        let images = if unseen && release_variables.is_empty() {
            Vec::new()
        } else {
            images
        };
        let health = self.health(
            run,
            &tool,
            &asks,
            environment.as_ref(),
            login.as_ref(),
            &env,
        );
        let script = script.map(|(mut script, event)| {
            let handed = |value: &Value| release.as_ref().is_some_and(|release| {
                !release.value.text().is_empty() && value.text().contains(release.value.text())
            });
            // A variable that the program never reads is handed over in vain.
            let read = self.repository.text(&script.path);
            let text = read.as_deref().unwrap_or_default();
            let reads = |name: &str| text.contains(&format!("${name}")) || text.contains(&format!("${{{name}"));
            // Another argument may be a release, too: a branch, a tag.
            let is_open = ["$1", "${1", "$@", "$*", "getopts"].iter().any(|word| text.contains(word));
            let takes_release = script.arguments.iter().any(handed)
                || matches!(&event.what, EventDetail::Script { env, .. }
                    if env.iter().any(|(name, value)| handed(&Value::new(&**value)) && reads(name)));
            let reason = |why: String| Known::NotSeen(Some(Fact::new(why, script.called_at.clone())));
            script.takes_release = match &script.interpreter {
                _ if takes_release => Known::Yes(script.called_at.clone()),
                _ if read.is_none() && !script.path.contains(' ') => {
                    reason("it is not in this repository".to_owned())
                }
                Some(other) if !is_shell(other) => reason(format!("{other} is not read")),
                _ if is_open => Known::NotSeen(None),
                _ => Known::No,
            };
            script
        });
        let links = linked(run, &steps);
        let migration = migration(done, first, job);
        let besides = beside::besides(&calls, deploying);
        let own_back = beside::own_back(backs, run, first, login.as_ref())
            .or_else(|| self.named_back(run, first));
        // A script that was read does what its commands do.
        let script_at = script.as_ref().map(|script| &script.called_at);
        let in_script: Vec<&RecordedEffect<'_>> = (deploying.iter().copied())
            .filter(|one| script_at.is_some_and(|at| one.event.by.contains(at)))
            .collect();
        let waits = beside::waits(if calls.is_empty() { &in_script } else { &calls }, run);
        let passed_over = self.passed_over(&calls);
        let deploying_steps = steps.iter().filter_map(|step| job.steps.get(*step));
        let mut handed: Vec<(String, Value)> = Vec::new();
        for (name, text) in job
            .env
            .iter()
            .chain(deploying_steps.flat_map(|step| &step.env))
        {
            if !release_variables.contains(name) && !handed.iter().any(|(known, _)| known == name) {
                handed.push((name.clone(), text.value.clone()));
            }
        }
        let mut by = run.by.clone();
        by.extend(
            main.by
                .iter()
                .filter(|line| !run.by.contains(line))
                .cloned(),
        );
        Some(Deployment {
            tool,
            at,
            by,
            job: run.id,
            steps,
            live_step,
            last_step,
            environment,
            choice,
            login,
            folder,
            release,
            images,
            health,
            script,
            links,
            migration,
            release_variables,
            besides,
            own_back,
            copies: kept_copy(run),
            passed_over,
            waits,
            origin,
            env: handed,
        })
    }

    /// The last step from `last` on that belongs to the deployment: it does something on the same machine, such as starting
    /// what was copied there, it migrates, or it waits. Until then the release before answers.
    fn last_of_release(
        &self,
        run: &Run,
        done: &[RecordedEffect<'_>],
        last: usize,
        login: Option<&Login>,
    ) -> usize {
        let is_after = |event: &Event| {
            event.step > last && !self.is_always(run, event) && !self.is_undone(run, event)
        };
        let is_there =
            |event: &Event| login.is_some() && same_machine(machine(event, run).as_ref(), login);
        // What is cleaned away may be what a failed gate goes back to.
        let cleaning = run.events.iter().filter(|event| cleans(event));
        let cleaning: BTreeSet<usize> = cleaning.map(|event| event.step).collect();
        let after =
            (run.events.iter()).filter(|event| is_after(event) && !cleaning.contains(&event.step));
        let acts = after.filter(|event| event.waits() || is_there(event));
        let migrates = (done.iter())
            .filter(|one| matches!(one.deed, CommandEffect::Migrates) && is_after(one.event));
        let steps = acts.chain(migrates.map(|one| one.event));
        let last = steps.map(|event| event.step).max().unwrap_or(last);
        // A step that is called so waits in a way of its own.
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let is_wait = |step: &&Step| {
            let name = step
                .name
                .as_deref()
                .unwrap_or_default()
                .to_ascii_lowercase();
            name.starts_with("wait") && step.run.is_some() && step.condition.is_none()
        };
        last + job.steps.iter().skip(last + 1).take_while(is_wait).count()
    }

    /// How the release is called, by what is known of the tool and of the images that it starts.
    fn release(
        &self,
        run: &Run,
        tool: &Tool,
        tag: Option<Fact<Value>>,
        named: &dyn Fn() -> Option<Fact<Value>>,
        of_origin: &dyn Fn() -> Option<Fact<Value>>,
    ) -> Option<Fact<Value>> {
        let own = !self.own_images(run).is_empty();
        if matches!(tool, Tool::Kubectl(_) | Tool::Helm(_))
            && let Some(image) = self.handed_tags(run).first()
        {
            let known = self.handed_release(run, image);
            let same =
                |tag: &Fact<Value>| known.as_ref().is_some_and(|known| known.value == tag.value);
            return tag.filter(same).or(known);
        }
        match tool {
            // What it starts again is the task that it has.
            Tool::Ecs(call) if call.task_definition.is_none() => None,
            // The tag in the definition is what the service runs, whatever is checked out.
            Tool::Ecs(call) => self.rendered_release(run, call).or(tag),
            _ if tag.is_some() => tag,
            // Images that each release overwrites have no name to go back to.
            Tool::Compose(call) if call.builds.is_none() && own => None,
            Tool::Container { .. } | Tool::Swarm { .. } | Tool::Kubectl(_) | Tool::Helm(_)
                if own =>
            {
                None
            }
            _ => named().or_else(of_origin),
        }
    }
}

/// A migration of the job: one on its machine, one that comes with the deployment, or one of a database that
/// a secret names.
fn migration(
    done: &[RecordedEffect<'_>],
    first: usize,
    job: &workflow::Job,
) -> Option<Fact<String>> {
    let named = |step: usize| {
        let of_step = job.steps.get(step).map(|step| step.env.as_slice());
        let mut env = job.env.iter().chain(of_step.unwrap_or_default());
        env.any(|(name, text)| name.ends_with("DATABASE_URL") && !text.value.secrets().is_empty())
    };
    let one = done.iter().find(|one| {
        let here =
            one.event.place.login.is_some() || job.is_on_own_machine() || named(one.event.step);
        matches!(one.deed, CommandEffect::Migrates) && (one.event.step >= first || here)
    })?;
    let text = match &one.event.what {
        EventDetail::Command { words, .. } => words.join(" "),
        _ => String::new(),
    };
    Some(Fact::new(text, one.event.at.clone()))
}

/// Where a copy is kept of what was there before, by the name that it gets.
fn kept_copy(run: &Run) -> Option<Line> {
    let keeps = |event: &&Event| match &event.what {
        EventDetail::Command { words, .. } => {
            let program = words.first().map_or("", String::as_str);
            let names = words.iter().skip(1);
            let is_kept = |word: &&String| {
                ["backup", ".bak", ".old", "_old", "previous"]
                    .iter()
                    .any(|name| word.contains(name))
            };
            let (kept, copied): (Vec<&String>, Vec<&String>) = names
                .filter(|word| !word.starts_with('-'))
                .partition(is_kept);
            matches!(program, "cp" | "mv" | "tar" | "rsync" | "zip")
                && !kept.is_empty()
                && (copied.is_empty() || !copied.into_iter().all(|word| is_of_no_release(word)))
        }
        _ => false,
    };
    run.events.iter().find(keeps).map(|event| event.at.clone())
}

/// Settings and data, which a copy of does not bring a release back: `.env`, `data.sqlite`, `uploads`.
fn is_of_no_release(path: &str) -> bool {
    let name = path
        .trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or_default();
    let ends = [".env", ".sqlite", ".sqlite3", ".db", ".sql", ".conf"];
    // `tar czf`.
    let is_letters =
        name.len() < 5 && matches!(name.trim_matches(['c', 'z', 'v', 'j', 'J']), "f" | "");
    name.starts_with(".env")
        || ends.iter().any(|end| name.ends_with(end))
        || matches!(name, "uploads" | "data" | "db" | "media" | "storage")
        || is_letters
}

/// Where the deploying steps set a link to the release.
fn linked(run: &Run, steps: &[usize]) -> Option<Line> {
    let linking = |event: &&Event| steps.contains(&event.step) && event.links();
    run.events
        .iter()
        .find(linking)
        .map(|event| event.at.clone())
}

/// Whether a command takes away what no longer runs.
fn cleans(event: &Event) -> bool {
    matches!(&event.what, EventDetail::Command { words, .. } if tools::origin::cleans(words))
}
