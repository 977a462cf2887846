//! What is proposed for a deployment: the gate, the way back, and what the configuration says for them.

use sides::Sides;
use survey::{HealthSource, Job, Survey, Tool, Value, Workflow};

use crate::back::{self, RollbackPlan, RunsAt};
use crate::checkout::{has_checkout, has_other_checkout, reads_repository};
use crate::group::Group;
use crate::handed::StepEnv;
use crate::health::{self, HealthAddress};
use crate::hosts::{self, LoginObstacle};
use crate::machine::Machine;
use crate::migration;
use crate::platform::{self, Extra, Place};
use crate::section;
use crate::shares::SharesObstacle;
use workflow::gets_artifacts;
use yaml_edit::tree::{Map, Tree};

/// What the gate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Addresses that any machine can ask: a step alone.
    Step(Vec<String>),
    /// Probes of the configuration.
    Configured,
    /// What to ask is not known.
    Unknown(String),
}

/// A deployment into one environment, and what guards it.
#[derive(Debug)]
pub struct Part<'s> {
    pub group: Group<'s>,
    pub workflow: &'s Workflow,
    pub job: &'s Job,
    pub asked: Vec<HealthAddress>,
    /// The step that finds the address, where only the platform knows it.
    pub address: Option<Extra>,
    pub reach: RunsAt,
    pub gate: Gate,
    pub back: RollbackPlan,
    /// The configuration, but for what all have alike; empty where none is needed.
    pub map: Map,
    /// The two sides of a router: in the configuration, or why not; `None` where there are none.
    pub shares: Option<(Sides, Result<(), SharesObstacle>)>,
    /// All that the configuration names of the step's environment.
    pub handed: StepEnv,
}

#[derive(Debug)]
pub struct Proposal<'s> {
    pub service: String,
    /// The chosen one first.
    pub parts: Vec<Part<'s>>,
    pub others: Vec<Group<'s>>,
}

/// What flags and answers say of it.
#[derive(Clone, Debug, Default)]
pub struct ProposalInput<'w> {
    pub service: String,
    pub url: Option<&'w str>,
    pub gate_only: bool,
    pub machines: &'w [Machine],
    pub sides: Option<&'w Sides>,
}

impl<'s> Proposal<'s> {
    pub fn make(
        survey: &'s Survey,
        groups: Vec<Group<'s>>,
        others: Vec<Group<'s>>,
        asks: &ProposalInput<'_>,
    ) -> Proposal<'s> {
        let parts = groups.into_iter().enumerate();
        let parts = parts.filter_map(|(nth, group)| {
            // An address that a flag names is that of the chosen one.
            let asks = ProposalInput {
                url: asks.url.filter(|_| nth == 0),
                ..asks.clone()
            };
            part(survey, group, &asks)
        });
        let mut parts: Vec<Part<'s>> = parts.collect();
        // What cannot have one file with the chosen one is guarded by itself.
        let configured = parts.first().is_some_and(Part::is_configured);
        let job = parts.first().map(|part| part.group.job());
        parts.retain(|part| part.is_configured() == configured || Some(part.group.job()) == job);
        Proposal {
            service: asks.service.clone(),
            parts,
            others,
        }
    }

    pub fn is_configured(&self) -> bool {
        self.parts.iter().any(Part::is_configured)
    }

    /// Whether the configuration has a part for each environment.
    pub fn has_environments(&self) -> bool {
        self.is_configured() && self.parts.len() > 1
    }
}

impl Part<'_> {
    pub fn is_configured(&self) -> bool {
        !self.map.is_empty()
    }

    /// Where the one address that a flag names is asked by each row of a matrix: what tells the rows apart.
    pub fn row_of_one_address(&self) -> Option<String> {
        let is_given = self.asked.iter().any(|asked| asked.at.is_empty());
        let environment = self.group.lead.environment.as_ref();
        let is_of_row = environment.is_some_and(|it| it.written.text().contains("matrix."));
        let matrix = self
            .job
            .matrix
            .as_ref()
            .filter(|_| is_given && !is_of_row)?;
        let first = |node: &yaml::Node| Some(node.entries().first()?.0.name.clone());
        let rows = matrix.get("include").and_then(|rows| rows.items().first());
        let name = first(matrix).filter(|name| name != "include");
        let name = name
            .or_else(|| first(rows?))
            .unwrap_or_else(|| "NAME".to_owned());
        Some(format!("matrix.{name}"))
    }
}

/// Whether the job runs on machines of one's own.
pub fn is_own_runner(job: &Job) -> bool {
    job.labels
        .iter()
        .any(|label| label.text().eq_ignore_ascii_case("self-hosted"))
}

/// Whether a label is one that each machine of one's own has by its system.
pub fn is_of_every_own(label: &str) -> bool {
    let all = [
        "self-hosted",
        "linux",
        "windows",
        "macos",
        "x64",
        "arm",
        "arm64",
    ];
    all.iter().any(|one| label.eq_ignore_ascii_case(one))
}

fn part<'s>(survey: &'s Survey, group: Group<'s>, asks: &ProposalInput<'_>) -> Option<Part<'s>> {
    let id = group.job();
    let workflow = survey.workflows.get(id.workflow)?;
    let job = workflow.jobs.get(id.job)?;
    let mut handed = StepEnv::default();
    let mut asked = health::asked(&group, asks.url);
    let mut address = None;
    if asked.is_empty()
        && let Some((url, step)) = given_address(&group, job)
    {
        asked.push(HealthAddress {
            url: Value::new(url),
            at: vec![group.lead.at.clone()],
            from: HealthSource::Platform,
            on_host: false,
        });
        address = step;
    }
    let reach = reach(&group, job, asks.machines, &mut handed);
    let back = if asks.gate_only {
        RollbackPlan::None("only the gate was requested".to_owned())
    } else {
        back::decide(survey, &group, &reach)
    };
    let configurable = can_be_configured(workflow, job, &group, &reach);
    // Where no machine can be asked, what others can ask is.
    if matches!(reach, RunsAt::Nowhere(_)) || configurable.is_err() {
        let open = health::open(&group, asks.url);
        if !open.is_empty() {
            asked = open;
        }
    }
    let first = group.lead.steps.iter().min().copied().unwrap_or_default();
    let back = match (back, &configurable) {
        (RollbackPlan::Configured, Err(why)) => RollbackPlan::None(why.clone()),
        // The check before the deployment needs the configuration there.
        (RollbackPlan::Configured, Ok(())) if !has_checkout(job, first) && gets_artifacts(job) => {
            RollbackPlan::None(
                "the job has no checkout, which our configuration comes by; one above would lie among the files that it sends"
                    .to_owned(),
            )
        }
        (back, _) => back,
    };
    let sides = asks.sides.filter(|_| !asks.gate_only);
    let insists = GateInput {
        gate_only: asks.gate_only,
        has_sides: sides.is_some(),
    };
    let mut gate = gate(&group, job, &asked, &reach, &back, &configurable, insists);
    let mut map = Map::default();
    let mut shares = Some(Err(SharesObstacle::NoConfiguration));
    if gate == Gate::Configured || matches!(back, RollbackPlan::Configured) {
        (map, shares) = section::of(
            &section::Facts {
                service: &asks.service,
                group: &group,
                asked: &asked,
                reach: &reach,
                back: &back,
                job,
                in_matrix: back::has_matrix(workflow, Some(job)),
                sides,
            },
            &mut handed,
        );
        if let Some(migrate) = migration::section(group.lead, job, &mut handed) {
            map.add_noted(
                "Schema: `migrate run` changes it under limits, before the deployment.",
                "migrate",
                Tree::Map(migrate),
            );
        }
        if gate == Gate::Configured && !section::asks_something(&map) {
            gate = Gate::Unknown(
                "nothing is seen that shows whether it is healthy, neither an address nor what runs on the machine".to_owned(),
            );
            // Without a way back there is nothing else to configure.
            if !matches!(back, RollbackPlan::Configured) && map.get("traffic").is_none() {
                map = Map::default();
            }
        }
    }
    if map.is_empty() {
        handed = StepEnv::default();
    }
    let shares = sides.cloned().zip(shares);
    Some(Part {
        group,
        workflow,
        job,
        asked,
        address,
        reach,
        gate,
        back,
        map,
        shares,
        handed,
    })
}

/// The address that a platform gives the app, for which a step may have to ask it.
fn given_address(group: &Group<'_>, job: &Job) -> Option<(String, Option<Extra>)> {
    let Tool::Platform(call) = &group.lead.tool else {
        return None;
    };
    let place = Place {
        job,
        nth: *group.lead.steps.last()?,
    };
    platform::address(call, &place).filter(|_| group.lead.login.is_none())
}

fn reach(group: &Group<'_>, job: &Job, machines: &[Machine], handed: &mut StepEnv) -> RunsAt {
    let addresses = group.addresses();
    if machines.is_empty() && addresses.len() > 1 {
        return RunsAt::Nowhere(Some(LoginObstacle::OneEach(addresses.join(", "))));
    }
    match hosts::reached(group.lead, Some(job), machines, handed) {
        Ok(all) if !all.is_empty() => RunsAt::Hosts(all),
        Ok(_) if is_own_runner(job) => RunsAt::Here,
        Ok(_) => RunsAt::Nowhere(None),
        Err(why) => RunsAt::Nowhere(Some(why)),
    }
}

/// The configuration comes by a checkout; one that is added must clean nothing away.
fn can_be_configured(
    workflow: &Workflow,
    job: &Job,
    group: &Group<'_>,
    reach: &RunsAt,
) -> Result<(), String> {
    let first = group.lead.steps.iter().min().copied().unwrap_or_default();
    if has_checkout(job, first) {
        return Ok(());
    }
    if has_other_checkout(job) {
        return Err(
            "the job checks out something else than the whole of this repository into its folder, and our configuration comes by a \
             checkout"
                .to_owned(),
        );
    }
    if is_own_runner(job) || matches!(reach, RunsAt::Here) {
        return Err(
            "the job has no checkout, which our configuration comes by; one that is added would clean the runner's folder, which may \
             hold data"
                .to_owned(),
        );
    }
    if !reads_repository(workflow, job) {
        return Err(
            "the job has no checkout, which our configuration comes by, and its `permissions` do not let it read the repository: \
             `contents: read` would"
                .to_owned(),
        );
    }
    // Below the deployment it would take away what later steps need.
    if gets_artifacts(job) && group.lead.last_step + 1 < job.steps.len() {
        return Err(
            "the job has no checkout, which our configuration comes by; one that is added would lie among the files that it sends, or take \
             them away"
                .to_owned(),
        );
    }
    Ok(())
}

/// What the choice of the gate has to serve beside.
#[derive(Clone, Copy)]
struct GateInput {
    gate_only: bool,
    /// Two sides of a router are a section of the configuration.
    has_sides: bool,
}

fn gate(
    group: &Group<'_>,
    job: &Job,
    asked: &[HealthAddress],
    reach: &RunsAt,
    back: &RollbackPlan,
    configurable: &Result<(), String>,
    insists: GateInput,
) -> Gate {
    let on_host = asked.iter().any(|asked| asked.on_host);
    let can_reach = !matches!(reach, RunsAt::Nowhere(_));
    let probes = match &group.lead.tool {
        Tool::Ecs(call) => {
            let known = call.cluster.is_some() && call.service.is_some();
            let is_told =
                back::usable(group.lead.release.as_ref()) || back::registered(group, job).is_some();
            known && is_told
        }
        Tool::Systemd { units, of_user, .. } => !of_user && !units.is_empty() && can_reach,
        Tool::Compose(_) | Tool::Container { name: Some(_), .. } => can_reach && asked.is_empty(),
        _ => false,
    };
    let has_shares = insists.has_sides && can_reach && !asked.is_empty();
    let configured = matches!(back, RollbackPlan::Configured) || has_shares;
    if configurable.is_ok() && (configured || (on_host && can_reach)) {
        return Gate::Configured;
    }
    let open: Vec<String> = asked
        .iter()
        .filter(|asked| !asked.on_host)
        .map(|asked| asked.url.text().to_owned())
        .collect();
    if insists.gate_only && !open.is_empty() {
        return Gate::Step(open);
    }
    if configurable.is_ok() && probes {
        return Gate::Configured;
    }
    if !open.is_empty() {
        return Gate::Step(open);
    }
    Gate::Unknown(match (configurable, reach, on_host) {
        (Err(why), ..) if on_host || probes => why.clone(),
        (_, RunsAt::Nowhere(Some(why)), _) => {
            format!(
                "no public address is known, and the machine itself cannot be probed: {why}"
            )
        }
        _ if matches!(group.lead.tool, Tool::Systemd { of_user: true, .. }) => {
            "its units are a user's own (`systemctl --user`), which the gate does not probe".to_owned()
        }
        _ if back::registers(group, job).is_some_and(|step| step.id.is_none()) => {
            "no address is known that shows whether it is healthy; with an `id` at the step that deploys, the gate probes the service \
             for the task definition that it registered"
                .to_owned()
        }
        _ => "no address is seen that shows whether it is healthy".to_owned(),
    })
}

impl Gate {
    /// Whether the address tells only that something answers.
    pub fn is_weak(&self, asked: &[HealthAddress]) -> bool {
        matches!(self, Gate::Step(_))
            && asked.iter().all(|asked| {
                matches!(
                    asked.from,
                    HealthSource::Environment | HealthSource::Platform
                )
            })
    }
}

/// The release as the step is given it.
pub fn release(group: &Group<'_>) -> Option<Value> {
    let release = group.lead.release.as_ref()?;
    Some(release.value.clone())
}
