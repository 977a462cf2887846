//! What to write, decided from what was seen, what was wished and what a person answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::init::answers::{action, environment_name, folder, machines, service_name, url, wished};
use crate::init::ask::Prompter;
use crate::init::names;
use crate::init::problem::InitError;
use crate::init::wishes::{InitFlags, KindFlag};
use crate::inventory::{Compose, RepositoryFacts, Service, Task, Unit, images};
use proposal::machine::Machine;
use proposal::proposal::is_of_every_own;
use survey::compose::Check;

/// What a person fills in; `preflight` fails while it stands in the configuration.
pub(super) const TODO: &str = "TODO";

/// The secret with the key of the machines.
pub(super) const KEY: &str = "DEPLOY_SSH_KEY";

/// The variable with the role that a job takes at AWS.
pub(super) const ROLE: &str = "AWS_DEPLOY_ROLE";

/// The Action of this version. Its releases are immutable, so the tag is as good as a commit.
pub(in crate::init) const ACTION: &str = concat!("org/deploy-guard@v", env!("CARGO_PKG_VERSION"));

/// How a release becomes live.
#[derive(Debug)]
pub(super) enum DeployMethod {
    Compose(Project),
    Nginx,
    /// The folder with the releases, where the unit tells.
    Systemd {
        unit: String,
        releases: Option<String>,
    },
    Ecs(Cluster),
    Command,
}

/// A Compose project.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder of its file, from the root.
    pub(super) folder: String,
    pub(super) file: String,
    pub(super) name: String,
    /// The services that a release changes, with `{release}` in their images.
    pub(super) images: BTreeMap<String, String>,
    /// Those whose image is in a registry that the file names.
    pub(super) pulled: BTreeMap<String, String>,
    pub(super) builds: bool,
    pub(super) ends: Vec<String>,
    /// What answers on which port, by service.
    pub(super) answers: Vec<(String, u16, Option<String>)>,
}

/// A service of ECS; what is empty comes from the workflow's variables.
#[derive(Debug)]
pub(super) struct Cluster {
    /// File, container and image of the task definition.
    pub(super) task: Option<(String, String, String)>,
    /// The cluster.
    pub(super) of: String,
    pub(super) service: String,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) service: String,
    /// As the workflows name it, or a person.
    pub(super) environment: Option<String>,
    pub(super) way: DeployMethod,
    /// What is healthy, if known.
    pub(super) url: Option<String>,
    pub(super) machines: Vec<Machine>,
    /// Secrets of the workflows that are called deployments.
    pub(super) secrets: BTreeSet<String>,
    pub(super) labels: Vec<String>,
    /// A program that could be what deploys, by its name.
    pub(super) script: Option<String>,
    pub(super) migrations: Option<String>,
    pub(super) config: String,
    pub(super) workflow: String,
    pub(super) action: String,
    pub(super) bin_dir: Option<String>,
    /// Why this and nothing else.
    pub(super) notes: Vec<String>,
}

/// A way that the repository speaks for.
enum MethodEvidence<'a> {
    Ecs(&'a Task),
    Compose(&'a Compose),
    Systemd(&'a Unit),
}

impl MethodEvidence<'_> {
    fn kind(&self) -> KindFlag {
        match self {
            MethodEvidence::Ecs(_) => KindFlag::Ecs,
            MethodEvidence::Compose(_) => KindFlag::Compose,
            MethodEvidence::Systemd(_) => KindFlag::Systemd,
        }
    }

    fn path(&self) -> &str {
        match self {
            MethodEvidence::Ecs(task) => &task.path,
            MethodEvidence::Compose(compose) => &compose.path,
            MethodEvidence::Systemd(unit) => &unit.path,
        }
    }
}

/// In the order of preference when there is no prompt: the most specific first.
fn found(seen: &RepositoryFacts) -> Vec<MethodEvidence<'_>> {
    let tasks = seen.tasks.iter().map(MethodEvidence::Ecs);
    let (with, without): (Vec<&Compose>, Vec<&Compose>) = seen
        .compose
        .iter()
        .partition(|compose| !compose.released().is_empty());
    let projects = with.into_iter().chain(without).map(MethodEvidence::Compose);
    let units = seen.units.iter().map(MethodEvidence::Systemd);
    tasks.chain(projects).chain(units).collect()
}

impl Plan {
    pub(super) fn make(
        seen: &RepositoryFacts,
        wishes: &InitFlags,
        workflow: String,
        ask: &mut Prompter,
    ) -> Result<Plan, InitError> {
        let mut all = found(seen);
        if let Some(kind) = wishes.kind {
            all.retain(|one| one.kind() == kind);
        }
        if !wishes.files.is_empty() {
            let files = wishes
                .files
                .iter()
                .map(|file| file.trim_start_matches("./"));
            let files: Vec<&str> = files.collect();
            all.retain(|one| files.iter().any(|file| one.path().ends_with(file)));
        }
        let shown: Vec<String> = all
            .iter()
            .map(|one| format!("{} ({})", one.kind().name(), one.path()))
            .collect();
        let chosen = ask.choose("How is it deployed?", &shown)?;
        let mut notes = Vec::new();
        let others: Vec<String> = shown
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != chosen)
            .map(|(_, one)| one.clone())
            .collect();
        if !others.is_empty() && !ask.is_asking() {
            notes.push(format!(
                "also there: {}; `--kind` chooses, or call it in a folder below",
                others.join(", ")
            ));
        }
        let chosen = (!all.is_empty()).then(|| all.swap_remove(chosen));
        let service = wished(wishes.service.as_ref(), "--service", service_name)?;
        let service = match service {
            Some(service) => service,
            None => ask.text(
                "What is the service called?",
                &names::service(&seen.root, &seen.below, seen.origin.as_deref()),
                service_name,
            )?,
        };
        let environment = match wished(
            wishes.environment.as_ref(),
            "--environment",
            environment_name,
        )? {
            Some(environment) => Some(environment),
            None => ask.text(
                "Which environment?",
                &usual_environment(seen).unwrap_or_default(),
                |name| {
                    (!name.is_empty())
                        .then(|| environment_name(name))
                        .transpose()
                },
            )?,
        };
        let mut machines = machines(wishes, ask)?;
        let way = way(chosen, wishes, seen, &service);
        let is_on_machine = !matches!(way, DeployMethod::Ecs(_) | DeployMethod::Command);
        let is_answered = ask.is_asking() && machines.is_empty() && is_on_machine;
        let labels = labels(seen, is_answered);
        if machines.is_empty() && is_on_machine && !is_own(&labels) {
            machines.push(Machine {
                name: "host-01".to_owned(),
                user: TODO.to_owned(),
                address: TODO.to_owned(),
                port: None,
            });
        }
        let known = way.url();
        let url = match wished(wishes.url.as_ref(), "--url", url)? {
            Some(url) => url,
            None => ask.text(
                "A URL that answers 200 to 299 when it is well?",
                &known.unwrap_or_default(),
                url,
            )?,
        };
        let action = wished(wishes.action.as_ref(), "--action", action)?
            .unwrap_or_else(|| ACTION.to_owned());
        let bin_dir = wished(wishes.bin_dir.as_ref(), "--bin-dir", folder)?;
        notes.extend(own_labels(&labels, seen));
        Ok(Plan {
            labels,
            secrets: secrets(seen),
            script: seen.scripts.first().cloned(),
            migrations: seen.migrations.first().cloned(),
            config: wishes.config.display().to_string(),
            workflow,
            service,
            environment,
            way,
            url,
            machines,
            action,
            bin_dir,
            notes,
        })
    }

    /// Whether the runner is the machine that is deployed to.
    pub(super) fn is_local(&self) -> bool {
        self.machines.is_empty() && is_own(&self.labels)
    }

    /// What the environment is called in a file's name.
    pub(super) fn state_name(&self) -> String {
        let name = self.environment.as_ref().unwrap_or(&self.service);
        name.replace('/', "-")
    }

    /// Variables of the repository that the workflow hands over.
    pub(super) fn variables(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if let DeployMethod::Ecs(cluster) = &self.way {
            if cluster.of.is_empty() {
                names.extend(["ECS_CLUSTER", "ECS_SERVICE"]);
            }
            names.extend(["AWS_REGION", "STATE_BUCKET"]);
        }
        names
    }

    /// The secret that the step is handed.
    pub(super) fn key(&self) -> Option<&'static str> {
        (!self.machines.is_empty()).then_some(KEY)
    }

    /// Whether the deployment is written into the configuration.
    pub(super) fn deploys_itself(&self) -> bool {
        match &self.way {
            DeployMethod::Compose(_) => self.is_local(),
            DeployMethod::Ecs(cluster) => cluster.task.is_some(),
            _ => false,
        }
    }

    /// What a person has to do before the workflow can run.
    pub(super) fn left_to_do(&self) -> Vec<String> {
        let flag = if config::PLACES.contains(&self.config.as_str()) {
            String::new()
        } else {
            format!(" --config {}", self.config)
        };
        let mut steps = vec![format!(
            "replace each TODO in {}: preflight fails until none is left; `deploy-guard doctor{flag}` shows what else is missing",
            self.config
        )];
        for name in self.variables() {
            steps.push(format!("gh variable set {name}"));
        }
        if matches!(self.way, DeployMethod::Ecs(_)) {
            steps.push(format!(
                "gh variable set {ROLE}: the ARN of a role at AWS that trusts GitHub's OIDC provider for this environment"
            ));
        }
        if let Some(key) = self.key().filter(|key| !self.secrets.contains(*key)) {
            let environment = self.environment.as_ref();
            let flag = environment.map_or(String::new(), |name| format!(" --env {name}"));
            steps.push(format!("gh secret set {key}{flag}"));
        }
        let others = self.secrets.iter().filter(|name| *name != KEY);
        let others: Vec<&str> = others.map(String::as_str).collect();
        if !others.is_empty() {
            steps.push(format!(
                "the secrets of the workflows are there: {}; hand over what the deployment needs of them in `env:` of both steps",
                others.join(", ")
            ));
        }
        if !self.machines.is_empty() {
            let addresses = self
                .machines
                .iter()
                .map(|machine| match machine.address.as_str() {
                    TODO => "ADDRESS",
                    address => address,
                });
            let addresses: Vec<&str> = addresses.collect();
            steps.push(format!(
                "ssh-keyscan {} >.github/known_hosts, and compare the keys with the machines' own",
                addresses.join(" ")
            ));
        }
        steps.push(format!(
            "commit both files, then: gh workflow run {} -f release=RELEASE",
            self.workflow.rsplit('/').next().unwrap_or_default()
        ));
        steps
    }
}

impl DeployMethod {
    pub(super) fn describe(&self) -> &'static str {
        match self {
            DeployMethod::Compose(_) => "Compose",
            DeployMethod::Nginx => "nginx with two colours",
            DeployMethod::Systemd { .. } => "systemd",
            DeployMethod::Ecs(_) => "Amazon ECS",
            DeployMethod::Command => "a command of yours",
        }
    }

    fn url(&self) -> Option<String> {
        let DeployMethod::Compose(project) = self else {
            return None;
        };
        let (_, port, path) = project.answers.iter().find(|(_, _, path)| path.is_some())?;
        Some(format!(
            "http://127.0.0.1:{port}{}",
            path.as_deref().unwrap_or("/")
        ))
    }
}

fn way(
    chosen: Option<MethodEvidence<'_>>,
    wishes: &InitFlags,
    seen: &RepositoryFacts,
    service: &str,
) -> DeployMethod {
    match (chosen, wishes.kind) {
        (Some(MethodEvidence::Compose(compose)), _) => {
            DeployMethod::Compose(project(compose, seen, service))
        }
        (Some(MethodEvidence::Systemd(unit)), _) => DeployMethod::Systemd {
            unit: unit.name.clone(),
            releases: unit.home.as_ref().map(|home| format!("{home}/releases")),
        },
        (Some(MethodEvidence::Ecs(task)), _) => cluster(Some(task), seen),
        (None, Some(KindFlag::Ecs)) => cluster(None, seen),
        (None, Some(KindFlag::Nginx)) => DeployMethod::Nginx,
        (None, Some(KindFlag::Systemd)) => DeployMethod::Systemd {
            unit: format!("{TODO}.service"),
            releases: None,
        },
        (None, Some(KindFlag::Compose)) => DeployMethod::Compose(Project {
            folder: String::new(),
            file: format!("{TODO}.yml"),
            name: project_name(service),
            images: unknown_images(),
            pulled: BTreeMap::new(),
            builds: false,
            ends: Vec::new(),
            answers: Vec::new(),
        }),
        (None, Some(KindFlag::Gate | KindFlag::Command) | None) => DeployMethod::Command,
    }
}

fn cluster(task: Option<&Task>, seen: &RepositoryFacts) -> DeployMethod {
    let known = seen
        .workflows
        .iter()
        .find_map(|workflow| workflow.ecs.clone());
    let (of, service) = known.unwrap_or_default();
    let task = task.filter(|task| !task.image.is_empty());
    DeployMethod::Ecs(Cluster {
        task: task.map(|task| {
            (
                task.path.clone(),
                task.container.clone(),
                task.image.clone(),
            )
        }),
        of,
        service,
    })
}

fn project(compose: &Compose, seen: &RepositoryFacts, service: &str) -> Project {
    let released = compose.released();
    let (folder, file) = compose.path.rsplit_once('/').unwrap_or(("", &compose.path));
    let name = compose
        .project
        .clone()
        .unwrap_or_else(|| project_name(service));
    let images = if released.is_empty() {
        unknown_images()
    } else {
        images(&name, &released)
    };
    // Without a registry in its name an image may be one of this machine alone.
    let in_registry = |image: &str| {
        image
            .split_once('/')
            .is_some_and(|(first, _)| first.contains(['.', ':']))
    };
    let pulled =
        |service: &&&Service| !service.builds && service.image.as_deref().is_some_and(in_registry);
    let names: BTreeSet<&String> = released
        .iter()
        .filter(pulled)
        .map(|service| &service.name)
        .collect();
    let of_dockerfile = seen
        .dockerfiles
        .iter()
        .find_map(|(_, health)| health.clone());
    let answers = released
        .iter()
        .filter_map(|service| answers(service, of_dockerfile.as_ref()))
        .collect();
    Project {
        folder: folder.to_owned(),
        file: file.to_owned(),
        pulled: images
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(name, image)| (name.clone(), image.clone()))
            .collect(),
        images,
        builds: released.iter().any(|service| service.builds),
        ends: compose
            .services
            .iter()
            .filter(|service| service.ends)
            .map(|service| service.name.clone())
            .collect(),
        answers,
        name,
    }
}

/// No service of the file is known to be of a release.
fn unknown_images() -> BTreeMap<String, String> {
    BTreeMap::from([(TODO.to_owned(), format!("{TODO}:{{release}}"))])
}

/// Where a service answers, and the path if its health check says one.
fn answers(
    service: &Service,
    of_dockerfile: Option<&Check>,
) -> Option<(String, u16, Option<String>)> {
    if let Some(health) = &service.health {
        return Some((service.name.clone(), health.port, Some(health.path.clone())));
    }
    let port = service.port?;
    let path = of_dockerfile
        .filter(|_| service.builds)
        .map(|health| health.path.clone());
    Some((service.name.clone(), port, path))
}

/// What Compose takes for a project's name.
fn project_name(service: &str) -> String {
    let lower = service.to_ascii_lowercase().replace('.', "-");
    lower.trim_start_matches(['-', '_']).to_owned()
}

fn usual_environment(seen: &RepositoryFacts) -> Option<String> {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    let environments = deploying.filter_map(|workflow| workflow.environment.clone());
    let mut names: Vec<String> = environments.collect();
    names.sort_by_key(|name| !name.starts_with("prod"));
    names.into_iter().next()
}

/// Secrets of the workflows that are called deployments.
fn secrets(seen: &RepositoryFacts) -> BTreeSet<String> {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    deploying
        .flat_map(|workflow| workflow.secrets.iter().cloned())
        .collect()
}

/// Labels that only the runners' owners know; actionlint needs them.
fn own_labels(labels: &[String], seen: &RepositoryFacts) -> Option<String> {
    let told = ["yaml", "yml"].iter().any(|extension| {
        let path = format!(".github/actionlint.{extension}");
        seen.root.join(path).is_file()
    });
    let is_known = |label: &&str| is_of_every_own(label) || label.starts_with("ubuntu-");
    let all = labels.iter().map(String::as_str);
    let own: Vec<&str> = all.filter(|label| !is_known(label)).collect();
    (!told && !own.is_empty()).then(|| {
        format!(
            "for actionlint, .github/actionlint.yaml: self-hosted-runner: {{ labels: [{}] }}",
            own.join(", ")
        )
    })
}

/// As the repository's workflows have them, those that are called deployments first.
fn labels(seen: &RepositoryFacts, is_on_runner: bool) -> Vec<String> {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    let others = seen.workflows.iter().filter(|workflow| !workflow.deploys);
    let deploying = deploying.filter_map(|workflow| workflow.labels.clone());
    // A runner of one's own that tests is no machine that is deployed to.
    let hosted = others.filter_map(|workflow| workflow.labels.clone().filter(|all| !is_own(all)));
    match deploying.chain(hosted).next() {
        Some(labels) if is_own(&labels) || !is_on_runner => labels,
        _ if is_on_runner => vec!["self-hosted".to_owned(), "linux".to_owned()],
        _ => vec!["ubuntu-24.04".to_owned()],
    }
}

fn is_own(labels: &[String]) -> bool {
    labels.iter().any(|label| label == "self-hosted")
}
