//! What `init` tells a person: how the repository deploys, with the line of each claim, and what is proposed.

use std::fmt::Write as _;
use std::path::PathBuf;

use model::redact::MASK;
use sides::Sides;
use survey::{Deployment, Fact, Job, Known, NotKnown, OwnImage, Survey, Tool, Value};

use crate::additions::{self, Change};
use crate::back::RollbackPlan;
use crate::group::{self, Group};
use crate::health;
use crate::migration;
use crate::proposal::{Gate, Part, Proposal};
use crate::shares::SharesObstacle;
use yaml_edit::patch::PatchError;
use yaml_edit::text::{indented, line};

/// What was seen.
pub fn told(survey: &Survey) -> String {
    let mut text = format!(
        "Looked at {}\n",
        survey
            .root
            .join(&survey.below)
            .components()
            .collect::<PathBuf>()
            .display()
    );
    if !survey.git {
        text.push_str(
            "  no Git repository: GitHub runs the workflow once this is one (`git init`)\n",
        );
    }
    for group in group::groups(survey) {
        deployment(survey, &group, &mut text);
    }
    let besides = besides(survey);
    if !besides.is_empty() {
        let _ = writeln!(text, "  not known, and may deploy, too: {besides}");
    }
    for one in &survey.published {
        let _ = writeln!(
            text,
            "  published, not deployed: {} ({})",
            line(&one.value),
            one.at
        );
    }
    for one in &survey.unused {
        let _ = writeln!(
            text,
            "  there, {}: {} ({})",
            match one.used {
                Known::No => "unused by any workflow",
                Known::Yes(_) | Known::NotSeen(_) => "not seen in use",
            },
            line(&one.path),
            one.what
        );
    }
    for note in &survey.passed_over {
        let _ = writeln!(text, "  passed over: {}", line(note));
    }
    if survey.workflows.is_empty() && unread_workflow(survey).is_none() {
        text.push_str("  no workflow below .github/workflows\n");
    }
    text
}

/// What of the workflows may deploy, for all that is known.
pub fn not_known(survey: &Survey) -> String {
    listed(survey.not_known.iter().filter(|one| one.reaches))
}

/// The same in workflows other than those that deploy, where some do.
fn besides(survey: &Survey) -> String {
    if survey.deployments.is_empty() {
        return String::new();
    }
    let is_apart = |one: &&NotKnown| {
        let own = one.deployment.as_ref().map(|one| one.job.workflow);
        let mut all = survey.deployments.iter();
        own.is_some_and(|own| all.all(|other| other.job.workflow != own))
    };
    listed(survey.not_known.iter().filter(is_apart))
}

/// The first few, with the lines that they are at, and how many more there are.
fn listed<'s>(all: impl Iterator<Item = &'s NotKnown>) -> String {
    const MAX_SHOWN: usize = 3;
    let all: Vec<String> = all
        .map(|one| format!("`{}` ({})", line(&one.what.value), one.what.at))
        .collect();
    let mut text = all[..all.len().min(MAX_SHOWN)].join(", ");
    if all.len() > MAX_SHOWN {
        let _ = write!(text, " and {} more", all.len() - MAX_SHOWN);
    }
    text
}

/// A workflow that is there and cannot be read, and why.
pub fn unread_workflow(survey: &Survey) -> Option<&str> {
    let mut notes = survey.passed_over.iter().map(String::as_str);
    notes.find(|note| note.starts_with(".github/workflows/"))
}

struct Table<'t>(&'t mut String);

impl Table<'_> {
    fn row(&mut self, what: &str, which: &str) {
        let _ = writeln!(self.0, "    {what:<15}{}", line(which));
    }

    fn fact(&mut self, what: &str, fact: Option<&Fact<Value>>) {
        if let Some(fact) = fact {
            self.row(what, &format!("{} ({})", fact.value, fact.at));
        }
    }

    /// What is secret where it is written down, and where it comes from else: an expression, a variable, a file.
    fn secret(&mut self, what: &str, fact: Option<&Fact<Value>>) {
        let is_named = |text: &str| text.contains('$') || text.starts_with(['~', '/']);
        match fact {
            Some(fact) if !is_named(fact.value.text()) => {
                self.row(
                    what,
                    &format!("{MASK} ({}), written there as it is", fact.at),
                );
            }
            fact => self.fact(what, fact),
        }
    }

    fn facts(&mut self, what: &str, facts: &[Fact<String>]) {
        let each = facts
            .iter()
            .map(|fact| format!("{} ({})", fact.value, fact.at));
        let all: Vec<String> = each.collect();
        if !all.is_empty() {
            self.row(what, &all.join(", "));
        }
    }
}

fn deployment(survey: &Survey, group: &Group<'_>, text: &mut String) {
    let lead = group.lead;
    let _ = writeln!(text, "  deploys {}", line(&group::shown(group)));
    let mut table = Table(text);
    for by in &lead.by {
        table.row("called at", &by.to_string());
    }
    let workflow = survey.workflows.get(lead.job.workflow);
    let job = workflow.and_then(|workflow| workflow.jobs.get(lead.job.job));
    if let (Some(workflow), Some(job)) = (workflow, job) {
        let labels: Vec<&str> = job.labels.iter().map(Value::text).collect();
        table.row(
            "job",
            &format!(
                "{} on {} ({}:{})",
                job.id,
                labels.join(", "),
                workflow.path,
                job.line
            ),
        );
    }
    environment(lead, &mut table);
    login(lead, &mut table);
    if let [_, besides @ ..] = &group.addresses()[..]
        && !besides.is_empty()
    {
        let all = besides.join(", ");
        table.row("and", &format!("{all}, in other runs of its job"));
    }
    if let Some(folder) = lead
        .folder
        .as_ref()
        .filter(|it| it.value != survey::UNKNOWN_FOLDER)
    {
        table.row("folder", &format!("{} ({})", folder.value, folder.at));
    }
    let own: Vec<&str> = images(group)
        .iter()
        .map(|own| own.service.as_str())
        .collect();
    tool(&lead.tool, &own, &mut table);
    table.facts("besides", &lead.besides);
    if let Some(script) = &lead.script {
        let arguments: Vec<&str> = script.arguments.iter().map(Value::text).collect();
        let words = format!("{} {}", script.path, arguments.join(" "));
        let release = match &script.takes_release {
            Known::Yes(_) => "takes the release".to_owned(),
            Known::No => "takes no release".to_owned(),
            Known::NotSeen(None) => "whether it takes the release is not seen".to_owned(),
            Known::NotSeen(Some(why)) => {
                format!("whether it takes the release is not seen: {}", why.value)
            }
        };
        table.row(
            "script",
            &format!("{} ({}), {release}", words.trim_end(), script.called_at),
        );
    }
    for file in lead.script.iter().flat_map(|script| &script.files) {
        table.row("its file", &format!("{} ({})", file.value, file.at));
    }
    for own in images(group) {
        let service = if own.service.is_empty() {
            String::new()
        } else {
            format!("{}: ", own.service)
        };
        table.row("releases", &released(own, &service));
    }
    table.fact("release", lead.release.as_ref());
    if let Some(at) = &lead.migration {
        table.row(
            "migration",
            &match migration::hint(&at.value) {
                Some(hint) => format!(
                    "{} ({}): a rollback does not undo it; {hint}",
                    at.value, at.at
                ),
                None => format!("{} ({}): no way back takes it back", at.value, at.at),
            },
        );
    }
    for asked in health::asked(group, None) {
        table.row("health", &format!("{} ({})", asked.url, asked.evidence()));
    }
    if let (Some(workflow), Some(job)) = (workflow, job) {
        let used: Vec<String> = secrets(job, lead.last_step)
            .into_iter()
            .map(|(name, line)| format!("{name} ({}:{line})", workflow.path))
            .collect();
        if !used.is_empty() {
            table.row("secrets", &used.join(", "));
        }
    }
}

fn environment(lead: &Deployment, table: &mut Table<'_>) {
    if let Some(environment) = &lead.environment {
        let name = &environment.name;
        table.row("environment", &format!("{} ({})", name.value, name.at));
    }
    if let Some(choice) = &lead.choice {
        let expression = &choice.expression;
        table.row(
            "chosen by",
            &format!(
                "`{}` ({}): read here as `{}`",
                expression.value, expression.at, choice.value
            ),
        );
    }
}

/// The image that a release changes, and what is known of its tag.
fn released(own: &OwnImage, service: &str) -> String {
    let OwnImage { image, at, .. } = own;
    match (own.overwritten(), &own.fixed_tag) {
        (Some(tag), _) => format!("{service}{image}:{tag}, which each one overwrites ({at})"),
        (None, Some(tag)) => {
            format!("{service}{image}:{tag}, whose tag only its shell knows ({at})")
        }
        (None, None) => format!("{service}{image}:{}RELEASE{} ({at})", own.before, own.after),
    }
}

fn login(lead: &Deployment, table: &mut Table<'_>) {
    let Some(login) = &lead.login else { return };
    let user = login
        .user
        .as_ref()
        .map_or(String::new(), |user| format!("{}@", user.value));
    let at = |fact: &Fact<Value>| fact.at.to_string();
    let mut lines = vec![at(&login.address)];
    lines.extend(login.user.iter().map(at));
    lines.dedup();
    table.row(
        "reaches",
        &format!("{user}{} ({})", login.address.value, lines.join(", ")),
    );
    table.fact("port", login.port.as_ref());
    table.secret("key", login.key.as_ref());
    table.secret("password", login.password.as_ref());
    for jump in std::iter::successors(login.jump.as_deref(), |jump| jump.jump.as_deref()) {
        let user = jump.user.as_ref();
        let user = user.map_or(String::new(), |user| format!("{}@", user.value));
        let port = jump.port.as_ref();
        let port = port.map_or(String::new(), |port| format!(":{}", port.value));
        let key = jump.key.as_ref();
        let key = key.map_or(String::new(), |key| format!(", with {}", key.value));
        table.row(
            "by way of",
            &format!(
                "{user}{}{port}{key} ({})",
                jump.address.value, jump.address.at
            ),
        );
    }
    if let Some(client) = &login.client {
        table.row(
            "by `ssh` alone",
            &format!("for {} ({})", client.need.value, client.need.at),
        );
    }
}

fn images<'g>(group: &'g Group<'_>) -> Vec<&'g OwnImage> {
    let mut all: Vec<&OwnImage> = Vec::new();
    for own in group.rows.iter().flat_map(|row| &row.images) {
        if !all
            .iter()
            .any(|there| there.service == own.service && there.image == own.image)
        {
            all.push(own);
        }
    }
    all
}

fn tool(tool: &Tool, own: &[&str], table: &mut Table<'_>) {
    match tool {
        Tool::Compose(call) => {
            table.facts("files", &call.files);
            table.fact("project", call.project.as_ref());
            table.facts("env files", &call.env_files);
            table.facts("profiles", &call.profiles);
            table.facts("services", &call.services);
            let stay = call
                .standing
                .iter()
                .filter(|name| !own.contains(&name.as_str()));
            let stay: Vec<&str> = stay.map(String::as_str).collect();
            if !stay.is_empty() {
                table.row("stay as are", &stay.join(", "));
            }
            if let Some(at) = &call.builds {
                table.row("builds", &format!("where it runs ({at})"));
            }
            for argument in &call.build_arguments {
                table.fact("build arg", Some(argument));
            }
        }
        Tool::Kamal(call) => {
            table.facts("hosts", &call.hosts);
            let named = call.image.iter().chain(&call.registry).cloned();
            table.facts("image", &named.collect::<Vec<_>>());
        }
        Tool::Kubectl(call) => {
            for (what, value) in [("namespace", &call.namespace), ("context", &call.context)] {
                if let Some(value) = value {
                    table.row(what, value.text());
                }
            }
            for workload in &call.workloads {
                table.fact("workload", Some(workload));
            }
        }
        Tool::Helm(call) => {
            table.row("chart", &format!("{} as {}", call.chart, call.release));
            table.fact("namespace", call.namespace.as_ref());
            for values in &call.values {
                table.row("values", values.text());
            }
        }
        Tool::Ecs(call) => {
            table.fact("cluster", call.cluster.as_ref());
            table.fact("service", call.service.as_ref());
            table.fact("region", call.region.as_ref());
            // What a command prints is no name that tells a reader something.
            let named = |fact: &&survey::Fact<Value>| !fact.value.text().contains("$(");
            table.fact("definition", call.task_definition.as_ref().filter(named));
            table.fact("container", call.container.as_ref());
            for besides in &call.besides {
                table.fact("service", besides.service.as_ref());
                table.fact("container", besides.container.as_ref());
            }
            table.fact("role", call.role.as_ref());
        }
        Tool::CodeDeploy { application, group } => {
            table.row("application", &format!("{application}, group {group}"));
        }
        Tool::Systemd {
            units,
            sudo,
            of_user,
        } => {
            let what = match (of_user, sudo) {
                (true, _) => "units, user's",
                (false, true) => "units, sudo",
                (false, false) => "units",
            };
            table.facts(what, units);
        }
        Tool::Platform(call) => table.fact("app", call.app.as_ref()),
        Tool::Swarm { stack } => table.row("stack", stack.text()),
        Tool::Container { name, image, .. } => match name {
            Some(name) => table.row("container", &format!("{name} of {image}")),
            None => table.row("container", &format!("of {image}")),
        },
        Tool::Pm2 { app } => {
            if let Some(app) = app {
                table.row("process", app.text());
            }
        }
        Tool::Supervisor { program } => table.row("program", program.text()),
        Tool::Deployer { stage, .. } | Tool::Capistrano { stage, .. } => {
            if let Some(stage) = stage {
                table.row("stage", stage.text());
            }
        }
        Tool::Ansible { playbook, .. } => table.row("playbook", playbook.text()),
        Tool::Copy { target, .. } if target.is_empty() => {}
        Tool::Copy { target, .. } => table.row("to", target.text()),
        Tool::Commands
        | Tool::Script { .. }
        | Tool::Site { .. }
        | Tool::Other { .. }
        | Tool::Called { .. } => {}
        Tool::Hook { url } => table.row("calls", &hook(url)),
    }
}

/// A text of the workflows without the addresses that start a deployment.
pub fn without_hooks(survey: &Survey, text: &str) -> String {
    let mut text = text.to_owned();
    for one in &survey.deployments {
        if let Tool::Hook { url } = &one.tool
            && !url.text().is_empty()
        {
            text = text.replace(url.text(), &hook(url));
        }
    }
    text
}

/// Where a request goes that starts a deployment: who knows the rest of such an address can deploy, too.
fn hook(url: &Value) -> String {
    let text = url.text();
    let host = text.split_once("://").map(|(scheme, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        (host.len() < rest.len()).then(|| format!("{scheme}://{host}/***"))
    });
    host.flatten().unwrap_or_else(|| text.to_owned())
}

/// The secrets of the job until its release is live, with the line of each.
fn secrets(job: &Job, last: usize) -> Vec<(String, usize)> {
    let of_job = job.env.iter().chain(&job.with).map(|(_, text)| text);
    let of_steps = job.steps.iter().take(last + 1).flat_map(|step| {
        let named = step.with.iter().chain(&step.env).map(|(_, text)| text);
        named.chain(&step.run)
    });
    let mut all: Vec<(String, usize)> = Vec::new();
    for text in of_job.chain(of_steps) {
        for mut name in text.value.secrets() {
            if text.value.has_default() {
                name.push_str(" or its default");
            }
            if !all.iter().any(|(there, _)| *there == name) {
                all.push((name, text.line(0)));
            }
        }
    }
    all
}

/// What is proposed.
pub fn decided(proposal: &Proposal<'_>, config: &str) -> String {
    let mut text = String::new();
    for part in &proposal.parts {
        let _ = writeln!(
            text,
            "\nProposed for {}: {}",
            proposal.service,
            line(&group::shown(&part.group))
        );
        let mut table = Table(&mut text);
        table.row("gate", &gate(part));
        table.row("way back", &back(part));
        if let Some((sides, shares)) = &part.shares {
            table.row("shares", &shared(sides, shares));
        }
        if part.group.lead.choice.is_some() {
            let of_job = proposal.parts.iter();
            let of_job: Vec<_> = of_job
                .filter(|other| other.group.job() == part.group.job())
                .collect();
            let only = additions::environments(proposal, &of_job);
            table.row(
                "only where",
                &format!("{only}: what else the job deploys is not guarded"),
            );
        }
        if part.is_configured() && part.group.environment().is_none() {
            table.row(
                "environment",
                "the workflow names none, and none is written",
            );
        }
    }
    if proposal.is_configured() {
        Table(&mut text).row("configuration", config);
    }
    for other in &proposal.others {
        let same_job = proposal.parts.iter().any(|part| {
            part.group.job() == other.job() && part.group.environment() == other.environment()
        });
        let how = if same_job {
            "in the same job, and the gate probes the first alone"
        } else {
            "`--environment`, `--workflow` or `--job` chooses it"
        };
        let _ = writeln!(text, "  also deploys {}; {how}", line(&group::shown(other)));
    }
    text
}

fn shared(sides: &Sides, shares: &Result<(), SharesObstacle>) -> String {
    let two = format!("blue {}, green {} ({})", sides.blue, sides.green, sides.at);
    match shares {
        Ok(()) => format!("{two}: `traffic:` of the configuration"),
        Err(why) => format!("{two}: no `traffic:` is written: {why}"),
    }
}

fn gate(part: &Part<'_>) -> String {
    let asked: Vec<String> = part
        .asked
        .iter()
        .map(|asked| {
            let from = if asked.on_host {
                ", probed on the machine"
            } else {
                ""
            };
            format!("{}{from} ({})", asked.url, asked.evidence())
        })
        .collect();
    let is_site = matches!(part.group.lead.tool, Tool::Site { .. });
    let weak = if part.gate.is_weak(&part.asked) && !is_site {
        "; `--url` names a better one"
    } else {
        ""
    };
    match &part.gate {
        Gate::Step(_) => {
            let early = match part.group.lead.waits {
                Known::Yes(_) => "",
                Known::No => {
                    "; nothing waits for the new release, and until it runs the one before answers, too"
                }
                Known::NotSeen(_) => {
                    "; whether the steps above wait for the new release is not known here"
                }
            };
            let each = part.row_of_one_address().map_or_else(String::new, |row| {
                format!(
                    "; each row of the matrix probes this one address: in the workflow, an expression with `{row}` in it gives each its own"
                )
            });
            format!(
                "one step that probes {}{weak}{early}{each}",
                asked.join(", ")
            )
        }
        Gate::Configured => {
            let mut all = asked;
            match &part.group.lead.tool {
                Tool::Compose(_) if part.map.yaml().contains("name: containers") => {
                    all.push("the containers of its services".to_owned());
                }
                Tool::Container { name: Some(_), .. } => all.push("its container".to_owned()),
                Tool::Systemd { of_user: false, .. } => all.push("its units".to_owned()),
                Tool::Ecs(call) if call.besides.is_empty() => {
                    all.push("the service's PRIMARY deployment".to_owned());
                }
                Tool::Ecs(_) => all.push("the PRIMARY deployment of each service".to_owned()),
                _ => {}
            }
            all.join(", and ")
        }
        Gate::Unknown(why) => format!("still without an address: {why}; `--url` names it"),
    }
}

fn back(part: &Part<'_>) -> String {
    match &part.back {
        RollbackPlan::Configured => match &part.group.lead.tool {
            Tool::Kamal(call) => format!(
                "`{0} rollback` to the newest release that passed its gate, and `{0} app version` shows what runs",
                call.program
            ),
            _ => "to the newest release that passed its gate".to_owned(),
        },
        RollbackPlan::Step(own) => format!("where the gate fails: {}", own.act.told()),
        RollbackPlan::None(why) => format!("none is written: {why}"),
    }
}

/// Each workflow's change, or the steps that a person adds where it cannot be made.
pub fn shown(changes: &[Change<'_>]) -> String {
    let mut text = String::new();
    for change in changes {
        match &change.new {
            Ok(new) => {
                text.push('\n');
                text.push_str(&yaml_edit::patch::diff(
                    &change.workflow.path,
                    &change.workflow.text,
                    new,
                ));
            }
            Err(why @ PatchError::Windows(_)) => {
                let _ = writeln!(text, "\n{} is not changed: {why}", change.workflow.path);
            }
            Err(why) => {
                let _ = writeln!(
                    text,
                    "\n{} is not changed: {why}. To add by hand:",
                    change.workflow.path
                );
                for (job, additions) in &change.jobs {
                    let _ = writeln!(text, "  in the job {}:", line(job));
                    for addition in additions {
                        text.push_str(&indented(&as_item(&addition.step), 4));
                    }
                }
            }
        }
    }
    text
}

fn as_item(step: &str) -> String {
    let mut begun = false;
    let mut text = String::new();
    for line in step.lines() {
        let lead = match (begun, line.starts_with('#')) {
            (true, _) => "  ",
            (false, true) => "",
            (false, false) => {
                begun = true;
                "- "
            }
        };
        text.push_str(&format!("{lead}{line}\n"));
    }
    text
}
