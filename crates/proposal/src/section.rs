//! What the configuration says for one deployment.

use sides::Sides;
use survey::{ComposeCall, EcsCall, HealthSource, Job, Tool, Value};

use crate::back::{RollbackPlan, RunsAt, folder_on_host, registered, released, script_on_hosts};
use crate::group::Group;
use crate::handed::StepEnv;
use crate::health::HealthAddress;
use crate::hosts::Reached;
use crate::shares::{self, SharesObstacle};
use yaml_edit::tree::{Map, Tree};

pub struct Facts<'f, 's> {
    pub service: &'f str,
    pub group: &'f Group<'s>,
    pub asked: &'f [HealthAddress],
    pub reach: &'f RunsAt,
    pub back: &'f RollbackPlan,
    pub job: &'f Job,
    pub in_matrix: bool,
    /// Two sides of a router, where the repository has them.
    pub sides: Option<&'f Sides>,
}

/// All sections; `handed` gets what they name of the step's environment. Also whether the two sides
/// are among them.
pub fn of(
    facts: &Facts<'_, '_>,
    handed: &mut StepEnv,
) -> (Map, Option<Result<(), SharesObstacle>>) {
    let mut map = Map::default();
    let gate = healthgate(facts, handed);
    let asks = gate.get("http").is_some();
    let sides = facts.sides;
    let folder = facts.group.lead.folder.as_ref();
    let folder = folder
        .and_then(|folder| folder_on_host(&folder.value))
        .filter(|folder| !folder.contains("${{"));
    let traffic = sides.map(|sides| shares::section(sides, facts.reach, asks, folder.as_deref()));
    if let RunsAt::Hosts(all) = facts.reach
        && (needs_hosts(facts) || matches!(traffic, Some(Ok(_))))
    {
        let mut hosts = Map::default();
        for one in all.iter().flat_map(|one| one.between.iter().chain([one])) {
            if hosts.get(&one.name).is_none() {
                hosts.add(&one.name, Tree::Map(one.entry.clone()));
            }
        }
        map.add_noted(
            "The login of the workflow that deploys.",
            "hosts",
            Tree::Map(hosts),
        );
    }
    if matches!(facts.back, RollbackPlan::Configured) {
        map.add_noted(
            "Before: where this does not pass, nothing is touched.",
            "preflight",
            Tree::Map(preflight(facts)),
        );
    }
    map.add_noted(
        "After: whether it is healthy.",
        "healthgate",
        Tree::Map(gate),
    );
    if matches!(facts.back, RollbackPlan::Configured) {
        map.add_noted(
            "Back: to the newest release that passed its gate.",
            "rollback",
            Tree::Map(rollback(facts, handed)),
        );
    }
    let shares = traffic.map(|traffic| {
        traffic.map(|router| {
            let mut section = Map::default();
            if !matches!(facts.back, RollbackPlan::Configured) {
                let (note, state) = state(facts, handed);
                section.add_noted(&note, "state", Tree::filled(&state));
            }
            section.append(router);
            map.add_noted(
                "Shares: `traffic switch` gives the other side all requests, `traffic ramp` a share after another.",
                "traffic",
                Tree::Map(section),
            );
        })
    });
    (map, shares)
}

/// Whether the gate of a configuration has a probe: without one, it fails whatever it is asked.
pub fn asks_something(map: &Map) -> bool {
    match map.get("healthgate") {
        Some(Tree::Map(gate)) => ["http", "compose", "docker", "systemd", "ecs"]
            .iter()
            .any(|kind| gate.get(kind).is_some()),
        _ => false,
    }
}

/// An environment that is not asked for anything on a machine does not need its login.
fn needs_hosts(facts: &Facts<'_, '_>) -> bool {
    let tool = &facts.group.lead.tool;
    matches!(facts.back, RollbackPlan::Configured)
        || facts.asked.iter().any(|asked| asked.on_host)
        || matches!(
            tool,
            Tool::Compose(_)
                | Tool::Container { name: Some(_), .. }
                | Tool::Systemd { of_user: false, .. }
        )
}

fn hosts<'f>(facts: &'f Facts<'_, '_>) -> &'f [Reached] {
    match facts.reach {
        RunsAt::Hosts(all) => all,
        RunsAt::Here | RunsAt::Nowhere(_) => &[],
    }
}

fn preflight(facts: &Facts<'_, '_>) -> Map {
    let mut map = Map::default();
    let hosts = hosts(facts);
    if !hosts.is_empty() {
        let keys = keys(hosts);
        if !keys.is_empty() {
            map.add("secrets", Tree::List(keys));
        }
        let docker = matches!(
            facts.group.lead.tool,
            Tool::Compose(_) | Tool::Container { .. } | Tool::Kamal(_)
        );
        let each = hosts.iter().map(|one| {
            let mut check = Map::default().with("host", Tree::text(&one.name));
            if docker {
                check.add("commands", Tree::texts(["docker"]));
            }
            Tree::Map(check)
        });
        map.add("hosts", Tree::List(each.collect()));
    }
    if matches!(facts.group.lead.tool, Tool::Ecs(_)) {
        let bucket = Map::default().with("name", Tree::plain("STATE_BUCKET"));
        map.add("variables", Tree::List(vec![Tree::Map(bucket)]));
    }
    if matches!(facts.reach, RunsAt::Here) {
        let disk = Map::default()
            .with("path", Tree::text("/"))
            .with("min-free", Tree::plain("1GiB"));
        map.add("disk", Tree::List(vec![Tree::Map(disk)]));
    }
    map
}

/// Each key with the machines that it opens.
fn keys(hosts: &[Reached]) -> Vec<Tree> {
    let mut keys: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in hosts.iter().flat_map(|one| one.between.iter().chain([one])) {
        let Some(key) = &one.key_env else { continue };
        match keys.iter_mut().find(|(there, _)| there == key) {
            Some((_, names)) if names.contains(&one.name.as_str()) => {}
            Some((_, names)) => names.push(&one.name),
            None => keys.push((key, vec![&one.name])),
        }
    }
    let each = keys.into_iter().map(|(key, names)| {
        Tree::Map(
            Map::default()
                .with("name", Tree::text(key))
                .with("kind", Tree::plain("ssh-private-key"))
                .with("hosts", Tree::texts(names)),
        )
    });
    each.collect()
}

fn healthgate(facts: &Facts<'_, '_>, handed: &mut StepEnv) -> Map {
    let ecs = matches!(facts.group.lead.tool, Tool::Ecs(_));
    let policy = if ecs {
        [
            ("interval", "5s"),
            ("success-threshold", "3"),
            ("deadline", "15m"),
        ]
        .as_slice()
    } else {
        [
            ("interval", "2s"),
            ("timeout", "5s"),
            ("success-threshold", "3"),
            ("failure-limit", "3"),
            ("startup", "30s"),
            ("deadline", "3m"),
        ]
        .as_slice()
    };
    let mut keys = Map::default();
    for (key, value) in policy {
        keys.add(key, Tree::plain(value));
    }
    let mut map = Map::default().with("policy", Tree::Map(keys));
    if !ecs {
        map.add_noted(
            "A release is compared where an answer names one, in X-Version or {\"version\": …}; `required` makes it mandatory.",
            "release-identity",
            Tree::plain("optional"),
        );
    }
    let http = http(facts, handed);
    if !http.is_empty() {
        map.add("http", Tree::List(http));
    }
    match &facts.group.lead.tool {
        Tool::Compose(call) if !one_of_several(facts) || facts.asked.is_empty() => {
            if let Some(probe) = compose_probe(facts, call, handed) {
                map.add_noted(
                    "Each container runs, is healthy where it has a health check, and is not started again.",
                    "compose",
                    Tree::List(vec![Tree::Map(probe)]),
                );
            }
        }
        Tool::Container {
            name: Some(container),
            sudo,
            ..
        } if !matches!(facts.reach, RunsAt::Nowhere(_)) => {
            if let Some(probe) = container_probe(facts, container, *sudo, handed) {
                map.add_noted(
                    "It runs, is healthy where it has a health check, and is not started again.",
                    "docker",
                    Tree::List(vec![Tree::Map(probe)]),
                );
            }
        }
        Tool::Systemd {
            units,
            of_user: false,
            ..
        } if !matches!(facts.reach, RunsAt::Nowhere(_)) => {
            let each = unit_probes(facts, units, handed);
            if !each.is_empty() {
                map.add_noted("The units stay up.", "systemd", Tree::List(each));
            }
        }
        Tool::Ecs(call) => {
            let each = service_probes(facts, call, handed);
            if !each.is_empty() {
                let note = match registered(facts.group, facts.job) {
                    Some(_) => {
                        "Its PRIMARY deployment runs what the deploying step registered, and is rolled out."
                    }
                    None => {
                        "Its PRIMARY deployment is ours, because the image's tag is the release, and is rolled out."
                    }
                };
                map.add_noted(note, "ecs", Tree::List(each));
            }
        }
        _ => {}
    }
    map
}

/// A probe for each service of ECS, by the task definition that was registered, else by its container.
fn service_probes(
    facts: &Facts<'_, '_>,
    call: &survey::EcsCall,
    handed: &mut StepEnv,
) -> Vec<Tree> {
    let registered = registered(facts.group, facts.job);
    let calls = [call].into_iter().chain(&call.besides).enumerate();
    let each = calls.filter_map(|(nth, one)| {
        let mut named = Map::default();
        if call.besides.is_empty() {
            named.add("name", Tree::plain("service"));
        } else {
            named.add("name", Tree::text(&format!("service-{}", nth + 1)));
        }
        named.append(service(one, handed)?);
        if let Some(value) = &registered {
            let text = handed.filled(value, "TASK_DEFINITION")?;
            named.add("task-definition", Tree::filled(&text));
        } else if let Some(container) = &one.container
            && let Some(text) = handed.filled(&container.value, "CONTAINER_NAME")
        {
            named.add("container", Tree::filled(&text));
        }
        Some(Tree::Map(named))
    });
    each.collect()
}

fn container_probe(
    facts: &Facts<'_, '_>,
    container: &Value,
    sudo: bool,
    handed: &mut StepEnv,
) -> Option<Map> {
    let container = handed.filled(container, "CONTAINER")?;
    let mut probe = Map::default()
        .with("name", Tree::plain("container"))
        .with("container", Tree::filled(&container));
    on_hosts(facts, &mut probe);
    if sudo {
        probe.add("sudo", Tree::plain("true"));
    }
    Some(probe)
}

/// A probe for each unit, but for one that only a shell knows.
fn unit_probes(
    facts: &Facts<'_, '_>,
    units: &[survey::Fact<String>],
    handed: &mut StepEnv,
) -> Vec<Tree> {
    let mut all = Vec::new();
    for (nth, unit) in units.iter().enumerate() {
        let Some(text) = handed.filled(&Value::new(&*unit.value), "UNIT") else {
            continue;
        };
        let name = if text == unit.value {
            text.trim_end_matches(".service").to_owned()
        } else {
            format!("unit-{}", nth + 1)
        };
        let mut probe = Map::default()
            .with("name", Tree::text(&name))
            .with("unit", Tree::filled(&text));
        on_hosts(facts, &mut probe);
        all.push(Tree::Map(probe));
    }
    all
}

/// Whether each run of the job starts one of several services: the containers of the others come and go meanwhile.
fn one_of_several(facts: &Facts<'_, '_>) -> bool {
    facts.in_matrix || facts.group.rows.len() > 1
}

fn http(facts: &Facts<'_, '_>, handed: &mut StepEnv) -> Vec<Tree> {
    let mut all = Vec::new();
    let ecs = matches!(facts.group.lead.tool, Tool::Ecs(_));
    let asked: Vec<&HealthAddress> = facts
        .asked
        .iter()
        // Until the rollout is over the tasks of before answer too, and name no release.
        .filter(|asked| !ecs || asked.from != HealthSource::Environment)
        .collect();
    let count = asked.len();
    for (nth, asked) in asked.iter().enumerate() {
        let Some(url) = handed.filled(&asked.url, "HEALTH_URL") else {
            continue;
        };
        let name = if count == 1 {
            "ready".to_owned()
        } else {
            format!("ready-{}", nth + 1)
        };
        let mut probe = Map::default()
            .with("name", Tree::text(&name))
            .with("url", Tree::filled(&url));
        if asked.shows_an_answer_alone(&facts.group.lead.tool) {
            probe.add("status", Tree::plain("200-499"));
        }
        if asked.on_host
            && let Some(first) = hosts(facts).first()
        {
            probe.add("via", Tree::text(&first.name));
        }
        if ecs {
            probe.add("severity", Tree::plain("advisory"));
        }
        all.push(Tree::Map(probe));
    }
    all
}

fn compose_probe(facts: &Facts<'_, '_>, call: &ComposeCall, handed: &mut StepEnv) -> Option<Map> {
    let mut probe = Map::default().with("name", Tree::plain("containers"));
    // Compose takes its time on a busy machine.
    probe.add(
        "policy",
        Tree::Map(Map::default().with("timeout", Tree::plain("30s"))),
    );
    project(facts, call, handed, &mut probe)?;
    let mut services: Vec<String> = call
        .services
        .iter()
        .map(|service| service.value.clone())
        .filter(|name| !ends(call, name))
        .collect();
    if services.is_empty() {
        services = released(facts.group, call)
            .into_iter()
            .map(|(service, _)| service)
            .collect();
    }
    if services.is_empty() {
        services.clone_from(&call.lasting);
    }
    add_services(call, services, &mut probe);
    on_hosts(facts, &mut probe);
    if call.sudo {
        probe.add("sudo", Tree::plain("true"));
    }
    Some(probe)
}

/// The services that must run, and those that must have ended.
fn add_services(call: &ComposeCall, services: Vec<String>, probe: &mut Map) {
    let (ended, running): (Vec<String>, Vec<String>) =
        (services.into_iter()).partition(|name| ends(call, name));
    for (key, names) in [("services", running), ("completed", ended)] {
        if !names.is_empty() {
            probe.add(key, Tree::texts(names.iter().map(String::as_str)));
        }
    }
}

/// Whether a service does one thing and ends.
fn ends(call: &ComposeCall, service: &String) -> bool {
    !call.lasting.is_empty() && !call.lasting.contains(service)
}

/// Folder, files, name and environment files, as the workflow calls Compose.
fn project(
    facts: &Facts<'_, '_>,
    call: &ComposeCall,
    handed: &mut StepEnv,
    map: &mut Map,
) -> Option<()> {
    let folder = facts.group.lead.folder.as_ref();
    match facts.reach {
        RunsAt::Hosts(_) => {
            let folder = folder_on_host(&folder?.value)?;
            let text = handed.filled(&Value::new(folder), "DEPLOY_FOLDER")?;
            map.add("folder", Tree::filled(&text));
        }
        RunsAt::Here => {
            if let Some(folder) = folder.filter(|folder| !matches!(folder.value.as_str(), "" | "."))
            {
                let text = handed.filled(&Value::new(&*folder.value), "DEPLOY_FOLDER")?;
                map.add("folder", Tree::filled(&text));
            }
        }
        RunsAt::Nowhere(_) => return None,
    }
    if !call.files.is_empty() {
        map.add("files", paths(&call.files, "DEPLOY_FILE", handed)?);
    }
    if let Some(name) = &call.project {
        let text = handed.filled(&name.value, "COMPOSE_PROJECT_NAME")?;
        map.add("project", Tree::filled(&text));
    }
    if !call.env_files.is_empty() {
        map.add(
            "env-files",
            paths(&call.env_files, "DEPLOY_ENV_FILE", handed)?,
        );
    }
    Some(())
}

/// `None` where only a shell knows one of them.
fn paths(files: &[survey::Fact<String>], usual: &str, handed: &mut StepEnv) -> Option<Tree> {
    let texts = files.iter().map(|file| {
        Some(Tree::filled(
            &handed.filled(&Value::new(&*file.value), usual)?,
        ))
    });
    Some(Tree::List(texts.collect::<Option<_>>()?))
}

fn on_hosts(facts: &Facts<'_, '_>, map: &mut Map) {
    match hosts(facts) {
        [] => {}
        [one] => map.add("host", Tree::text(&one.name)),
        _ => map.add("hosts", Tree::plain("all")),
    }
}

fn service(call: &EcsCall, handed: &mut StepEnv) -> Option<Map> {
    let mut map = Map::default();
    for (key, fact, usual) in [
        ("cluster", call.cluster.as_ref(), "ECS_CLUSTER"),
        ("service", call.service.as_ref(), "ECS_SERVICE"),
        ("region", call.region.as_ref(), "AWS_REGION"),
    ] {
        if let Some(fact) = fact {
            map.add(key, Tree::filled(&handed.filled(&fact.value, usual)?));
        }
    }
    Some(map)
}

fn rollback(facts: &Facts<'_, '_>, handed: &mut StepEnv) -> Map {
    let mut map = Map::default();
    let (note, state) = state(facts, handed);
    map.add_noted(&note, "state", Tree::filled(&state));
    match &facts.group.lead.tool {
        Tool::Compose(call) => {
            let target = compose_target(facts, call, handed);
            map.add_noted(
                "Only these services are made again; all others stay as they are.",
                "compose",
                Tree::Map(target.unwrap_or_default()),
            );
        }
        Tool::Ecs(call) => {
            map.add("deadline", Tree::plain("20m"));
            map.add("ecs", Tree::Map(service(call, handed).unwrap_or_default()));
        }
        Tool::Kamal(call) => {
            let deploying = facts.group.lead.steps.last();
            let step = deploying.and_then(|nth| facts.job.steps.get(*nth));
            for (name, text) in step.iter().flat_map(|step| &step.env) {
                handed.set(name, text.value.text());
            }
            let destination = call
                .destination
                .as_ref()
                .and_then(Value::literal)
                .map_or(String::new(), |name| format!(" -d {}", remote::quote(name)));
            let program = &call.program;
            // Shell text: the shell fills in its variables.
            let command = Map::default()
                .with(
                    "run",
                    Tree::shell(&format!("{program} rollback \"$RELEASE\"{destination}")),
                )
                .with(
                    "current",
                    // Its last word: the lines before say which host was asked.
                    Tree::shell(&format!(
                        "{program} app version --primary{destination} | awk 'NF {{ last = $NF }} END {{ print last }}'"
                    )),
                );
            map.add("command", Tree::Map(command));
        }
        _ => {
            if let Some(run) = script_on_hosts(facts.group, facts.reach) {
                let names = hosts(facts).iter().map(|one| one.name.as_str());
                let command = Map::default()
                    .with("hosts", Tree::texts(names))
                    .with("on-hosts", Tree::plain("true"))
                    .with("run", Tree::shell(&run));
                map.add_noted(
                    "The script that is on the machine, with the release to go back to.",
                    "command",
                    Tree::Map(command),
                );
            }
        }
    }
    map
}

fn compose_target(facts: &Facts<'_, '_>, call: &ComposeCall, handed: &mut StepEnv) -> Option<Map> {
    let mut target = Map::default();
    if !hosts(facts).is_empty() {
        let names = hosts(facts).iter().map(|one| one.name.as_str());
        target.add("hosts", Tree::texts(names));
    }
    project(facts, call, handed, &mut target)?;
    if call.sudo {
        target.add("sudo", Tree::plain("true"));
    }
    let mut env = Map::default();
    for name in &facts.group.lead.release_variables {
        env.add(name, Tree::text("{release}"));
    }
    let profiles: Vec<&str> = call
        .profiles
        .iter()
        .map(|profile| profile.value.as_str())
        .collect();
    if !profiles.is_empty() {
        env.add("COMPOSE_PROFILES", Tree::text(&profiles.join(",")));
    }
    if !env.is_empty() {
        target.add("env", Tree::Map(env));
    }
    let mut services = Map::default();
    let mut ended = Vec::new();
    for (service, own) in released(facts.group, call) {
        let image = handed.filled(&own.image, "IMAGE")?;
        let text = format!("{image}:{}{{release}}{}", own.before, own.after);
        services.add(&service, Tree::filled(&text));
        if ends(call, &service) {
            ended.push(service);
        }
    }
    target.add("services", Tree::Map(services));
    if !ended.is_empty() {
        target.add("completed", Tree::texts(ended.iter().map(String::as_str)));
    }
    Some(target)
}

/// Whether the job empties the folder there of files that the repository does not have.
fn clears_folder(job: &Job) -> bool {
    let clears = |text: &str| text.contains("--delete") || text.contains("git clean");
    job.steps.iter().any(|step| {
        let inputs = step.with.iter().map(|(_, text)| text);
        inputs
            .chain(&step.run)
            .any(|text| clears(text.value.text()))
    })
}

/// Where the state is kept, and why there.
fn state(facts: &Facts<'_, '_>, handed: &mut StepEnv) -> (String, String) {
    let service = facts.service;
    let name = facts
        .group
        .environment()
        .map_or_else(|| service.to_owned(), |name| name.replace('/', "-"));
    let home = format!("~/.deploy-guard/{service}-{name}.json");
    match (&facts.group.lead.tool, hosts(facts).first()) {
        (Tool::Ecs(_), _) => (
            "The repository names no bucket for the state: set the variable STATE_BUCKET."
                .to_owned(),
            format!("s3://${{STATE_BUCKET}}/{service}/{name}.json"),
        ),
        (_, Some(host)) => {
            let folder = facts.group.lead.folder.as_ref();
            let folder = folder
                .filter(|_| !clears_folder(facts.job))
                .filter(|_| matches!(facts.group.lead.tool, Tool::Compose(_)))
                .and_then(|folder| folder_on_host(&folder.value))
                .and_then(|folder| handed.filled(&Value::new(folder), "DEPLOY_FOLDER"));
            let path = folder.map_or(home, |folder| format!("{folder}/.deploy-guard/{name}.json"));
            let path = if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            };
            (
                "A proposal: on the machine, where each runner finds it.".to_owned(),
                format!("ssh://{}{path}", host.name),
            )
        }
        (_, None) => (
            "A proposal: on the runner, outside the checkout.".to_owned(),
            format!("${{HOME}}/.local/state/deploy-guard/{service}/{name}.json"),
        ),
    }
}
