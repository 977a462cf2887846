//! The way back: by our configuration, by the tool's own command, or a true sentence why there is none.

use survey::{
    ByHand, ComposeCall, Fetched, HealthSource, Job, Known, Live, Origin, OwnImage, Step, Survey,
    Tool, Value, Workflow,
};

use crate::again::{again, started};
use crate::dispatch;
use crate::group::Group;
use crate::handed::StepEnv;
use crate::hosts::{LoginObstacle, Reached};
use crate::platform::{self, OwnStep, Place};
use crate::steps::Act;

/// Where our programs can act.
#[derive(Clone, Debug)]
pub enum RunsAt {
    /// The job's runner is the machine.
    Here,
    Hosts(Vec<Reached>),
    /// GitHub's runner, which is gone after the job.
    Nowhere(Option<LoginObstacle>),
}

#[derive(Clone, Debug)]
pub enum RollbackPlan {
    /// `rollback:` of the configuration.
    Configured,
    /// The tool's own command, in a step after a gate that failed.
    Step(Box<OwnStep>),
    None(String),
}

/// Why nothing is written where a deployment replaces what was there.
fn overwritten(group: &Group<'_>, again: &str) -> String {
    match &group.lead.copies {
        Some(at) => format!(
            "whether the copy that is made before ({at}) can be put back is not known here; the way back is {again}"
        ),
        None => format!("{OVERWRITTEN}; the way back is {again}"),
    }
}

pub fn decide(survey: &Survey, group: &Group<'_>, reach: &RunsAt) -> RollbackPlan {
    let by_tool = by_tool(survey, group, reach);
    let by_tool = match (by_tool, moving_input(survey, group)) {
        (RollbackPlan::Configured, Some(told)) => RollbackPlan::None(told),
        (by_tool, _) => by_tool,
    };
    if let Some(at) = &group.lead.own_back {
        return RollbackPlan::None(format!(
            "the workflow has one of its own ({at}), and a second one would act on the same release"
        ));
    }
    let warned = group.lead.health.first();
    if let Some(asked) = warned.filter(|asked| asked.from == HealthSource::Warning) {
        return RollbackPlan::None(format!(
            "the workflow itself only warns where {} does not answer, so nothing is taken back for that",
            asked.url
        ));
    }
    let by_tool = match by_tool {
        RollbackPlan::Configured | RollbackPlan::Step(_) if !group.lead.besides.is_empty() => {
            RollbackPlan::None(half_way(survey, group))
        }
        by_tool => by_tool,
    };
    let by_tool = match (by_tool, &group.lead.passed_over) {
        (RollbackPlan::Step(_), Some(at)) => RollbackPlan::None(format!(
            "the job goes on where a call that deploys fails or is not made ({at}), and an undo would then take a good release back: a \
             person undoes what has changed"
        )),
        (by_tool, _) => by_tool,
    };
    let RollbackPlan::None(why) = by_tool else {
        return by_tool;
    };
    // A workflow that is called, and a machine that takes the branch by itself, are given no release by a dispatch.
    let job = (survey.workflows.get(group.lead.job.workflow))
        .and_then(|workflow| Some((workflow, workflow.jobs.get(group.lead.job.job)?)))
        .filter(|(workflow, _)| {
            std::ptr::eq(started(survey, workflow, group), *workflow) && !takes_branch(group)
        });
    match job.map(|(workflow, job)| dispatch::step(workflow, job, group)) {
        Some(Ok(own)) => RollbackPlan::Step(Box::new(own)),
        Some(Err(bound)) => RollbackPlan::None(match dispatch::told(&bound) {
            Some(more) => format!("{why}; {more}"),
            None => why,
        }),
        None => RollbackPlan::None(why),
    }
}

/// Whether a branch is taken as it is then, whichever commit the run is for.
fn takes_branch(group: &Group<'_>) -> bool {
    group.lead.origin == Origin::FetchedNewest(Fetched::Branch)
}

/// Why nothing is taken back where more goes live than what can be.
fn half_way(survey: &Survey, group: &Group<'_>) -> String {
    let at: Vec<String> = (group.lead.besides.iter())
        .map(|one| one.at.to_string())
        .collect();
    let workflow = survey.workflows.get(group.lead.job.workflow);
    let again = workflow.map(|own| again(survey, started(survey, own, group), group));
    let again = again.map_or(String::new(), |again| format!("; the way back is {again}"));
    format!(
        "more goes live in the job ({}), and a step that takes one back would leave the other on the new release{again}",
        at.join(", ")
    )
}

/// Where a person names the release, and where none does it is a tag that moves: nothing leads back to that.
fn moving_input(survey: &Survey, group: &Group<'_>) -> Option<String> {
    const MOVING: [&str; 8] = [
        "latest", "main", "master", "stable", "edge", "develop", "dev", "nightly",
    ];
    let release = group.lead.release.as_ref()?.value.expression()?;
    let name = release.strip_prefix("github.event.").unwrap_or(release);
    let name = name.strip_prefix("inputs.")?;
    let workflow = survey.workflows.get(group.lead.job.workflow)?;
    let inputs = workflow
        .on
        .as_ref()?
        .get("workflow_dispatch")?
        .get("inputs")?;
    let default = inputs
        .get(name)?
        .get("default")
        .and_then(yaml::Node::text)?;
    MOVING.contains(&default).then(|| {
        format!(
            "the release is the input `{name}`, and `{default}` by default: a tag that moves has nothing to go back to"
        )
    })
}

/// By what the tool itself can do.
fn by_tool(survey: &Survey, group: &Group<'_>, reach: &RunsAt) -> RollbackPlan {
    let lead = group.lead;
    let Some(workflow) = survey.workflows.get(lead.job.workflow) else {
        return RollbackPlan::None("the workflow is not known".to_owned());
    };
    let job = workflow.jobs.get(lead.job.job);
    let again = again(survey, started(survey, workflow, group), group).to_string();
    let overwrites = matches!(
        lead.tool,
        Tool::Systemd { .. } | Tool::Copy { .. } | Tool::Commands
    );
    if let Some(at) = lead.links.as_ref().filter(|_| overwrites)
        && script_on_hosts(group, reach).is_none()
    {
        return RollbackPlan::None(format!(
            "a link chooses the release that runs ({at}); the way back is {again}, or the link set to the folder before. \
             `rollback: systemd:` could switch it: that is a proposal"
        ));
    }
    match &lead.tool {
        Tool::Compose(call) => compose(group, call, reach, has_matrix(workflow, job), &again),
        Tool::Ecs(call) => ecs(call, lead.release.as_ref(), &again),
        Tool::Kamal(call) => {
            let known = matches!(reach, RunsAt::Hosts(all) if !all.is_empty());
            if usable(lead.release.as_ref()) && known {
                RollbackPlan::Configured
            } else {
                RollbackPlan::None(format!(
                    "`{0} rollback VERSION` goes back by hand, and `{0} app version` shows what runs; it is not written \
                     because {1}",
                    call.program,
                    if known {
                        "the version that the workflow gives to Kamal is only known to its shell"
                    } else if call.hosts.is_empty() {
                        "its configuration names no host as it stands, and on a host the last good version would be kept"
                    } else {
                        "no key for its hosts is seen, where the last good version would be kept"
                    }
                ))
            }
        }
        Tool::Kubectl(call) => kubectl(call, job, group, &again),
        Tool::Helm(call) => helm(call, job, group, &again),
        Tool::Deployer { program, stage } => deployer(program, stage.as_ref(), job, group),
        Tool::Capistrano { program, stage } => capistrano(program, stage.as_ref(), job, group),
        Tool::CodeDeploy { .. } => RollbackPlan::None(format!(
            "`aws deploy create-deployment` with the bundle of the release before goes back, or {again}; whether CodeDeploy goes back by \
             itself is a setting of the deployment group, and not in the repository"
        )),
        Tool::Swarm { .. } => RollbackPlan::None(format!(
            "`docker service rollback SERVICE` goes back by hand, or {again}"
        )),
        Tool::Container { .. } => RollbackPlan::None(format!(
            "no container of the release before is seen that stays; the way back is {again}"
        )),
        Tool::Commands => RollbackPlan::None(overwritten(group, &again)),
        Tool::Systemd { .. } if script_on_hosts(group, reach).is_some() => RollbackPlan::Configured,
        Tool::Systemd { .. } | Tool::Copy { .. } if lead.script.is_none() => {
            RollbackPlan::None(overwritten(group, &again))
        }
        Tool::Systemd { .. } | Tool::Copy { .. } => RollbackPlan::None(format!(
            "{}. With a folder for each release and a link to the one that runs, `rollback: systemd:` could \
             switch: that is a proposal",
            overwritten(group, &again)
        )),
        Tool::Script { path } => script(group, reach, path, &again),
        Tool::Pm2 { .. } | Tool::Supervisor { .. } => match &lead.script {
            Some(_) if script_on_hosts(group, reach).is_some() => RollbackPlan::Configured,
            Some(script) => script_of(group, &script.takes_release, &script.path, &again),
            None => RollbackPlan::None(overwritten(group, &again)),
        },
        Tool::Ansible { .. } => RollbackPlan::None(format!(
            "the playbook goes back with the release before; the way back is {again}"
        )),
        Tool::Platform(call) => platform(call, job, group, &again),
        Tool::Site { host } => RollbackPlan::None(format!(
            "{host} is a static site: the gate is all there is to guard, and the way back is {again}"
        )),
        Tool::Called { .. } => RollbackPlan::None(format!(
            "what it does is not known here; perhaps it goes back by {again}"
        )),
        Tool::Other { name } => RollbackPlan::None(format!(
            "how {name} goes back is not known here; perhaps by {again}"
        )),
        Tool::Hook { .. } => RollbackPlan::None(format!(
            "what the request starts is not in this repository; the way back is {again}"
        )),
    }
}

/// Whether the deploying step is an action that calls `kubectl` itself, with a login that other steps do not have.
fn has_own_kubectl(place: &Place<'_>) -> bool {
    const ACTIONS: [&str; 4] = [
        "kodermax/kubectl-aws-eks@",
        "actions-hub/kubectl@",
        "steebchen/kubectl@",
        "docker://",
    ];
    let uses = place.step().and_then(|step| step.uses.as_ref());
    uses.is_some_and(|uses| {
        let name = uses.value.text().to_ascii_lowercase();
        ACTIONS.iter().any(|action| name.starts_with(action))
    })
}

fn ecs(call: &survey::EcsCall, release: Option<&survey::Fact<Value>>, again: &str) -> RollbackPlan {
    if !call.besides.is_empty() {
        RollbackPlan::None(format!(
            "several services go live: where one fails, others are on the new release already, and a way back for all would \
             have to know it; the way back is {again}"
        ))
    } else if call.cluster.is_some() && call.service.is_some() && usable(release) {
        RollbackPlan::Configured
    } else {
        let is_placed = call.cluster.is_some() && call.service.is_some();
        RollbackPlan::None(
            if is_placed && release.is_none() && call.task_definition.is_some() {
                format!(
                    "the image that the task definition gets has no tag that a step of ours could name, such as the commit; the way back is \
                 {again}"
                )
            } else if is_placed && release.is_none() {
                "the call names no release: the service starts what its task definition names, and whether an earlier release \
             has another image there is not seen"
                .to_owned()
            } else {
                format!(
                    "cluster, service or release are only known to the workflow's shell; the way back is {again}"
                )
            },
        )
    }
}

const OVERWRITTEN: &str = "no copy of the release before is seen that stays there";

/// The step of the job that deploys.
fn place<'p>(job: Option<&'p Job>, group: &Group<'_>) -> Option<Place<'p>> {
    Some(Place {
        job: job?,
        nth: *group.lead.steps.last()?,
    })
}

/// By the platform's own command, where this job can call it and it needs nothing more.
fn platform(
    call: &survey::PlatformCall,
    job: Option<&Job>,
    group: &Group<'_>,
    again: &str,
) -> RollbackPlan {
    let by_hand = || {
        RollbackPlan::None(match call.back {
            ByHand::Command(command) => {
                let app = call.app.as_ref().map_or("APP", |app| app.value.text());
                format!(
                    "{} goes back by hand, with what the job logs in with; or {again}",
                    quoted(&command.replace("APP", app))
                )
            }
            ByHand::Console => format!("{} goes back in its own console; or {again}", call.name),
            ByHand::Again => format!(
                "no command of {}'s that goes back is known here; the way back is {again}",
                call.name
            ),
        })
    };
    let overwritten = group
        .lead
        .images
        .iter()
        .find_map(|own| Some((own, own.overwritten()?)));
    if let (Some((own, tag)), ByHand::Command(_)) = (overwritten, call.back) {
        return RollbackPlan::None(format!(
            "each release has the tag {tag} of {}, so an earlier revision may start the same image again; the way back is {again}",
            own.image
        ));
    }
    match call.live {
        Live::New => {}
        Live::HeldBack => {
            return RollbackPlan::None(format!(
                "this call sends the release no requests: what does goes back, too, or {again}"
            ));
        }
        Live::Overwrites => {
            return RollbackPlan::None(format!(
                "each deployment replaces the version of the same name; the way back is {again}"
            ));
        }
    }
    // On a machine it would need the login, too.
    let place = place(job, group).filter(|_| group.lead.login.is_none());
    if let Some(own) = place.as_ref().and_then(|place| platform::back(call, place)) {
        return RollbackPlan::Step(Box::new(own));
    }
    // Within an action the program has a login of its own.
    let is_action = place.is_some_and(|place| place.step().is_some_and(|step| step.uses.is_some()));
    let undo = call.undo.as_ref();
    let Some(undo) = undo.filter(|_| group.lead.login.is_none() && !is_action) else {
        return by_hand();
    };
    let mut handed = StepEnv::default();
    let mut run = undo.command.clone();
    for (option, value) in &undo.options {
        let Some(word) = handed.shell_word(value, "APP") else {
            return by_hand();
        };
        run.push_str(&format!(" {option} {word}"));
    }
    run.push('\n');
    own_step("Go back to the release before", run, handed, job, group)
}

/// In backquotes, unless it has its own.
fn quoted(command: &str) -> String {
    if command.contains('`') {
        command.to_owned()
    } else {
        format!("`{command}`")
    }
}

/// A release that a step can be given.
pub fn usable(release: Option<&survey::Fact<Value>>) -> bool {
    release.is_some_and(|release| {
        StepEnv::default()
            .filled(&release.value, "RELEASE")
            .is_some()
    })
}

/// The step that registers a task definition and deploys it, where no release tells which deployment is ours.
pub fn registers<'j>(group: &Group<'_>, job: &'j Job) -> Option<&'j Step> {
    let Tool::Ecs(call) = &group.lead.tool else {
        return None;
    };
    let is_placed = call.cluster.is_some() && call.service.is_some() && call.besides.is_empty();
    let step = job.steps.get(*group.lead.steps.last()?)?;
    let uses = step.uses.as_ref()?.value.text().to_ascii_lowercase();
    let is_action = uses.starts_with("aws-actions/amazon-ecs-deploy-task-definition@");
    (is_action && is_placed && !usable(group.lead.release.as_ref())).then_some(step)
}

/// The task definition that it registered, by the output of the step.
pub fn registered(group: &Group<'_>, job: &Job) -> Option<Value> {
    let id = registers(group, job)?.id.as_ref()?;
    let output = format!("${{{{ steps.{id}.outputs.task-definition-arn }}}}");
    Some(Value::new(output))
}

/// The services of the project that a release changes, with its image.
pub fn released<'s>(group: &Group<'s>, call: &ComposeCall) -> Vec<(String, &'s OwnImage)> {
    let started: Vec<&str> = call
        .services
        .iter()
        .map(|service| service.value.as_str())
        .collect();
    let mut all: Vec<(String, &OwnImage)> = Vec::new();
    let images = group.rows.iter().flat_map(|row| &row.images);
    for own in images.filter(|own| own.fixed_tag.is_none()) {
        let service = match (own.service.as_str(), started.as_slice()) {
            ("", [only]) => *only,
            ("", _) => continue,
            (service, _) => service,
        };
        let goes_live = started.is_empty() || group.rows.len() > 1 || started.contains(&service);
        if goes_live && !all.iter().any(|(there, _)| there == service) {
            all.push((service.to_owned(), own));
        }
    }
    all
}

/// Whether the job is made once for each row of a matrix.
pub fn has_matrix(workflow: &Workflow, job: Option<&Job>) -> bool {
    let tree = yaml::Node::parse_foreign(&workflow.text).ok();
    let matrix = tree.as_ref().and_then(|tree| {
        let job = tree.get("jobs")?.get(&job?.id)?;
        job.get("strategy")?.get("matrix")
    });
    matrix.is_some()
}

fn compose(
    group: &Group<'_>,
    call: &ComposeCall,
    reach: &RunsAt,
    in_matrix: bool,
    again: &str,
) -> RollbackPlan {
    let lead = group.lead;
    let none = |why: String| RollbackPlan::None(format!("{why}; the way back is {again}"));
    let released = released(group, call);
    if group.rows.len() > 1 || (in_matrix && released.len() > 1) {
        return none(
            "the services go live one after the other, each in a job of its own: where a later one fails, the ones before it \
             are on the new release already, and a way back for all would have to know it"
                .to_owned(),
        );
    }
    if released.is_empty() && call.builds.is_some() {
        return none("no image is seen that has the name of a release".to_owned());
    }
    let fixed = group
        .rows
        .iter()
        .flat_map(|row| &row.images)
        .find_map(|own| own.fixed_tag.as_ref().map(|tag| (own, tag)));
    // A service that stays on `latest` while the others go back is neither release.
    if let Some((own, tag)) = fixed {
        return none(match own.overwritten() {
            Some(tag) => format!(
                "the machine starts {}:{tag}, a tag that each release overwrites; a tag by the commit would make a way back",
                own.image
            ),
            None => format!(
                "the machine starts {}:{tag}, and only the workflow's shell knows that tag",
                own.image
            ),
        });
    }
    if released.is_empty() && call.known_files.is_empty() {
        return none(
            "the Compose files of the machine are not seen here, and neither is which images they start".to_owned(),
        );
    }
    if released.is_empty() {
        return none(
            "it is not seen which image of this repository's the machine starts".to_owned(),
        );
    }
    // What is started by another tag than the release's could never be recorded as the release.
    if lead.release_variables.is_empty() {
        return none(
            "no variable that Compose gets is seen to have the name of the release, so which tag the machine starts is not known".to_owned(),
        );
    }
    if !usable(lead.release.as_ref()) {
        return none(
            "what the machine starts has no name of a release that the job could give, such as a tag by the commit".to_owned(),
        );
    }
    let known = |value: &Value| StepEnv::default().filled(value, "X").is_some();
    if released.iter().any(|(_, own)| !known(&own.image)) {
        return none("only the workflow's shell knows the image's name".to_owned());
    }
    if call
        .project
        .as_ref()
        .is_some_and(|project| !known(&project.value))
    {
        return none("only the workflow's shell knows the project's name".to_owned());
    }
    match reach {
        RunsAt::Nowhere(Some(why)) => none(why.to_string()),
        RunsAt::Nowhere(None) => none(
            "Compose is called on a runner of GitHub's and reaches its engine in a way of its own"
                .to_owned(),
        ),
        RunsAt::Hosts(_) if !folder_is_known(group) => {
            none("the folder of the project on the machine is not seen".to_owned())
        }
        RunsAt::Hosts(_) | RunsAt::Here => RollbackPlan::Configured,
    }
}

fn folder_is_known(group: &Group<'_>) -> bool {
    let folder = group.lead.folder.as_ref();
    folder.is_some_and(|folder| folder_on_host(&folder.value).is_some())
}

/// A folder on a machine: from the root, or from the user's home.
pub fn folder_on_host(folder: &str) -> Option<String> {
    let folder = folder.trim_end_matches('/');
    let folder = folder
        .strip_prefix("$HOME")
        .or_else(|| folder.strip_prefix("${HOME}"))
        .map_or_else(|| folder.to_owned(), |rest| format!("~{rest}"));
    let plain = !folder.is_empty() && !folder.contains(['$', '`', '*', '?', '"', '\'', '\n']);
    let expressions = folder.contains("${{");
    if expressions {
        let known = StepEnv::default().filled(&Value::new(&*folder), "DEPLOY_FOLDER");
        return known.map(|_| folder);
    }
    if !plain || (folder.starts_with('~') && folder != "~" && !folder.starts_with("~/")) {
        return None;
    }
    if folder.starts_with(['/', '~']) {
        Some(folder)
    } else {
        // A login begins in the user's home.
        Some(format!("~/{}", folder.trim_start_matches("./")))
    }
}

/// Why what a cluster goes back to would not be the release before, or cannot be told to go back by a step of its own.
fn no_undo(
    command: &str,
    kubeconfig: Option<&Value>,
    job: Option<&Job>,
    group: &Group<'_>,
) -> Option<String> {
    let lead = group.lead;
    if lead.login.is_some() {
        return Some(format!(
            "`{command}` goes back by hand on the machine: the runner does not reach the cluster"
        ));
    }
    let fixed = lead
        .images
        .iter()
        .find_map(|own| own.overwritten().map(|tag| (own, tag)));
    if let (Some((own, tag)), None) = (fixed, lead.release.as_ref()) {
        return Some(format!(
            "each release has the tag {tag} of {}, so `{command}` would start the same image again; a tag by the commit would make \
             a way back",
            own.image
        ));
    }
    let runs = lead
        .steps
        .iter()
        .filter_map(|nth| job?.steps.get(*nth)?.run.as_ref());
    let own_login = |text: &str| {
        text.lines().any(|line| {
            let sets = line.contains("KUBECONFIG=") && !line.contains("GITHUB_ENV");
            let removes =
                line.trim_start().starts_with("rm ") && line.to_ascii_lowercase().contains("kube");
            sets || removes
        })
    };
    let gone = runs.into_iter().any(|run| own_login(run.value.text()))
        || kubeconfig.is_some_and(|file| {
            // Each step of the job has the workspace.
            let known = ["${{", "$GITHUB_WORKSPACE/", "${GITHUB_WORKSPACE}/"];
            let text = (known.iter()).fold(file.text().to_owned(), |text, it| text.replace(it, ""));
            text.contains('$')
        });
    gone.then(|| {
        format!(
            "`{command}` goes back by hand; only the step that deploys has the login of the cluster"
        )
    })
}

fn kubectl(
    call: &survey::KubectlCall,
    job: Option<&Job>,
    group: &Group<'_>,
    again: &str,
) -> RollbackPlan {
    if call.restarts {
        return RollbackPlan::None(format!(
            "the workloads are only started again, with the image that they have, so `kubectl rollout undo` goes to no earlier release; \
             the way back is {again}"
        ));
    }
    if let Some(why) = no_undo("kubectl rollout undo", call.kubeconfig.as_ref(), job, group) {
        return RollbackPlan::None(format!("{why}; the way back is {again}"));
    }
    let steps = job.map_or(&[][..], |job| &job.steps);
    let has = |verb: &str| {
        let runs = steps.iter().filter_map(|step| step.run.as_ref());
        let mut calls = runs.flat_map(|run| run.value.text().split(['\n', '|', '&', ';']));
        calls.any(|call| {
            let arguments = call.split_once("kubectl ").map_or("", |(_, rest)| rest);
            arguments.split_whitespace().any(|word| word == verb)
        })
    };
    let changes = survey::KUBECTL_CHANGES.into_iter();
    let several: Vec<&str> = changes.filter(|verb| has(verb)).collect();
    if several.len() > 1 {
        return RollbackPlan::None(format!(
            "the workflow changes the workload by `kubectl {}`, which may be several revisions, so `kubectl rollout undo` may go \
             back to one in between; the way back is {again}",
            several.join("` and `kubectl ")
        ));
    }
    if call.workloads.is_empty() {
        return RollbackPlan::None(format!(
            "`kubectl rollout undo deployment/NAME` goes back by hand; which workloads change is not seen; or {again}"
        ));
    }
    let mut handed = StepEnv::default();
    let mut options = String::new();
    for (flag, value, usual) in [
        ("--kubeconfig", call.kubeconfig.as_ref(), "KUBECONFIG_FILE"),
        ("--context", call.context.as_ref(), "KUBE_CONTEXT"),
        ("--namespace", call.namespace.as_ref(), "NAMESPACE"),
    ] {
        let Some(value) = value else { continue };
        let Some(word) = handed.shell_word(value, usual) else {
            return RollbackPlan::None(format!(
                "`kubectl rollout undo` goes back by hand; only the workflow's shell knows the {usual}; or {again}"
            ));
        };
        options.push_str(&format!(" {flag} {word}"));
    }
    let action = place(job, group).filter(|place| has_own_kubectl(place));
    if let Some(place) = action {
        let literal = |workload: &survey::Fact<Value>| workload.value.literal().map(str::to_owned);
        let own = match &call.workloads[..] {
            [only] if handed.is_empty() => literal(only),
            _ => None,
        };
        let own = own
            .and_then(|name| platform::kubectl(&format!("rollout undo{options} {name}"), &place));
        return own.map_or_else(
            || RollbackPlan::None(format!("`kubectl rollout undo` goes back by hand: the action has a login of its own; or {again}")),
            |own| RollbackPlan::Step(Box::new(own)),
        );
    }
    let mut run = String::new();
    for verb in ["undo", "status --timeout=5m"] {
        for workload in &call.workloads {
            let Some(word) = handed.shell_word(&workload.value, "WORKLOAD") else {
                return RollbackPlan::None(format!(
                    "`kubectl rollout undo` goes back by hand; only the workflow's shell knows the workload; or {again}"
                ));
            };
            run.push_str(&format!("kubectl rollout {verb}{options} {word}\n"));
        }
    }
    own_step("Undo the rollout", run, handed, job, group)
}

fn helm(
    call: &survey::HelmCall,
    job: Option<&Job>,
    group: &Group<'_>,
    again: &str,
) -> RollbackPlan {
    if let Some(why) = no_undo("helm rollback", call.kubeconfig.as_ref(), job, group) {
        return RollbackPlan::None(format!("{why}; the way back is {again}"));
    }
    // An action has its program and its login in itself.
    let by_action =
        place(job, group).is_some_and(|place| place.step().is_some_and(|step| step.uses.is_some()));
    if by_action {
        return RollbackPlan::None(format!(
            "`helm rollback {}` goes back by hand: the action has a login of its own; or {again}",
            call.release
        ));
    }
    let mut handed = StepEnv::default();
    let release = handed.shell_word(&call.release, "HELM_RELEASE");
    let namespace = call.namespace.as_ref().map(|fact| &fact.value);
    let mut options = Some(String::new());
    for (flag, value, usual) in [
        ("--namespace", namespace, "NAMESPACE"),
        ("--kube-context", call.context.as_ref(), "KUBE_CONTEXT"),
        ("--kubeconfig", call.kubeconfig.as_ref(), "KUBECONFIG_FILE"),
    ] {
        let Some(value) = value else { continue };
        let word = handed.shell_word(value, usual);
        options = options
            .zip(word)
            .map(|(options, word)| format!("{options} {flag} {word}"));
    }
    match (release, options) {
        (Some(release), Some(options)) => {
            let run = format!("helm rollback {release}{options} --wait --timeout 5m\n");
            own_step("Roll the chart back", run, handed, job, group)
        }
        _ => RollbackPlan::None(format!(
            "`helm rollback {}` goes back by hand, and `helm history` shows what runs; it is not written because only the workflow's \
             shell knows its release or namespace",
            call.release
        )),
    }
}

fn deployer(
    program: &str,
    stage: Option<&Value>,
    job: Option<&Job>,
    group: &Group<'_>,
) -> RollbackPlan {
    if let Some(own) = place(job, group).and_then(|place| platform::deployer(&place)) {
        return RollbackPlan::Step(Box::new(own));
    }
    let mut handed = StepEnv::default();
    let word = match stage {
        Some(stage) => handed.shell_word(stage, "STAGE"),
        None => Some(String::new()),
    };
    // As the workflow calls it, where a step of ours can: `php "$HOME/.deployer/dep.phar"` is found there, too.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._- ~".contains(c);
    let is_known = !program.is_empty() && program.replace("$HOME/", "").chars().all(plain);
    if let Some(word) = word.filter(|_| is_known && group.lead.login.is_none()) {
        let run = format!("{program} rollback {word}").trim_end().to_owned() + "\n";
        return own_step("Go back to the release before", run, handed, job, group);
    }
    let program = if is_known { program } else { "dep" };
    let stage = stage.map_or("", Value::text);
    RollbackPlan::None(format!(
        "`{}` goes back by hand, where the workflow calls it",
        format!("{program} rollback {stage}").trim_end()
    ))
}

fn capistrano(
    program: &str,
    stage: Option<&Value>,
    job: Option<&Job>,
    group: &Group<'_>,
) -> RollbackPlan {
    let mut handed = StepEnv::default();
    let Some(stage) = stage.and_then(|stage| handed.shell_word(stage, "STAGE")) else {
        return RollbackPlan::None(format!(
            "`{program} STAGE deploy:rollback` goes back by hand; only the workflow's shell knows the stage"
        ));
    };
    let run = format!("{program} {stage} deploy:rollback\n");
    own_step("Go back to the release before", run, handed, job, group)
}

/// A step of the tool itself, with what its own step has.
fn own_step(
    name: &str,
    run: String,
    mut handed: StepEnv,
    job: Option<&Job>,
    group: &Group<'_>,
) -> RollbackPlan {
    let step: Option<&Step> = job.and_then(|job| job.steps.get(*group.lead.steps.last()?));
    for (name, text) in step.iter().flat_map(|step| &step.env) {
        handed.set(name, text.value.text());
    }
    RollbackPlan::Step(Box::new(OwnStep {
        name: name.to_owned(),
        act: Act::Run(run),
        folder: step.and_then(|step| step.folder.clone()),
        handed,
        before: None,
        after: None,
        condition: None,
    }))
}

/// The command that makes `$RELEASE` live on the machine: the script that is there, called as the workflow calls
/// it, with the release in its place. `None` where only the workflow knows how.
pub(crate) fn script_on_hosts(group: &Group<'_>, reach: &RunsAt) -> Option<String> {
    let lead = group.lead;
    let script = lead.script.as_ref();
    let script = script.filter(|script| matches!(script.takes_release, Known::Yes(_)))?;
    let folder = folder_on_host(&lead.folder.as_ref()?.value)?;
    let there = matches!(reach, RunsAt::Hosts(all) if !all.is_empty()) && lead.login.is_some();
    let known = !folder.contains("${{") && !script.path.contains(' ');
    if !there || !known || !usable(lead.release.as_ref()) {
        return None;
    }
    let release = lead.release.as_ref()?;
    let mut command = format!("cd {} && ", remote::quote_path(&folder));
    for name in &lead.release_variables {
        command.push_str(&format!("{name}=\"$RELEASE\" "));
    }
    command.push_str(&format!("./{}", script.path));
    for argument in &script.arguments {
        let word = if argument == &release.value {
            "\"$RELEASE\"".to_owned()
        } else {
            remote::quote(argument.literal()?)
        };
        command.push_str(&format!(" {word}"));
    }
    Some(command)
}

fn script(group: &Group<'_>, reach: &RunsAt, path: &str, again: &str) -> RollbackPlan {
    if script_on_hosts(group, reach).is_some() {
        return RollbackPlan::Configured;
    }
    match &group.lead.script {
        Some(script) => script_of(group, &script.takes_release, &script.path, again),
        None => RollbackPlan::None(format!(
            "{path} is not in this repository, so whether it can go to an earlier release is not seen; the way back is {again}"
        )),
    }
}

fn script_of(group: &Group<'_>, takes_release: &Known, path: &str, again: &str) -> RollbackPlan {
    RollbackPlan::None(match takes_release {
        Known::Yes(_) => {
            format!("{path} takes the release, so it goes back with the earlier one: {again}")
        }
        // What lies on the machine is brought there by something else.
        Known::No if !takes_branch(group) && group.lead.release.is_none() => format!(
            "{path} takes no release, so it cannot go to an earlier one, and what it deploys is not seen to be fetched here"
        ),
        Known::No => format!(
            "{path} takes no release as an argument, so it cannot go to an earlier one. A revert on its branch, which the same workflow \
             deploys, goes back; with the commit as an argument, the script could: that is a proposal"
        ),
        Known::NotSeen(_) => format!(
            "whether {path} can go to an earlier release is not seen; the way back is {again}"
        ),
    })
}
