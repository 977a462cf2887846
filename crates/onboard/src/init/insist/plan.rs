//! What to write, decided from what was seen, what was wished and what a person answered.

use std::collections::{BTreeMap, BTreeSet};

use crate::init::answers::{action, environment_name, folder, machines, service_name, url, wished};
use crate::init::ask::Prompter;
use crate::init::names;
use crate::init::problem::InitError;
use crate::init::wishes::InitFlags;
use crate::inventory::{Compose, RepositoryFacts, Service, Task, Unit, Upstream, images};
use proposal::machine::Machine;
use proposal::proposal::is_of_every_own;
use survey::compose::Check;

/// The variable with the role that a job takes at AWS.
pub(super) const ROLE: &str = "AWS_DEPLOY_ROLE";

/// The names of [`DeployMethod`], for `--kind`.
pub(in crate::init) const KINDS: [&str; 5] = ["compose", "nginx", "systemd", "ecs", "command"];

/// The Action of this version. Its releases are immutable, so the tag is as good as a commit.
pub(in crate::init) const ACTION: &str = concat!("org/deploy-guard@v", env!("CARGO_PKG_VERSION"));

/// How a release becomes live.
#[derive(Debug)]
pub(super) enum DeployMethod {
    Compose(Project),
    Nginx(Option<Colours>),
    Systemd { unit: String, home: String },
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

#[derive(Debug)]
pub(super) struct Colours {
    pub(super) file: String,
    pub(super) blue: String,
    pub(super) green: String,
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
    pub(super) environment: String,
    pub(super) way: DeployMethod,
    /// What is healthy, if known.
    pub(super) url: Option<String>,
    pub(super) machines: Vec<Machine>,
    /// Secrets by name, and the workflow that has them.
    pub(super) secrets: BTreeMap<String, String>,
    pub(super) labels: Vec<String>,
    /// The program that deploys.
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
    Nginx(&'a Upstream),
    Compose(&'a Compose),
    Systemd(&'a Unit),
}

impl MethodEvidence<'_> {
    fn kind(&self) -> &'static str {
        match self {
            MethodEvidence::Ecs(_) => "ecs",
            MethodEvidence::Nginx(_) => "nginx",
            MethodEvidence::Compose(_) => "compose",
            MethodEvidence::Systemd(_) => "systemd",
        }
    }

    fn path(&self) -> &str {
        match self {
            MethodEvidence::Ecs(task) => &task.path,
            MethodEvidence::Nginx(upstream) => &upstream.path,
            MethodEvidence::Compose(compose) => &compose.path,
            MethodEvidence::Systemd(unit) => &unit.path,
        }
    }
}

/// In the order of preference when there is no prompt: the most specific first.
fn found(seen: &RepositoryFacts) -> Vec<MethodEvidence<'_>> {
    let tasks = seen.tasks.iter().map(MethodEvidence::Ecs);
    // Names are known inside a Compose project only.
    let outside = |upstream: &&Upstream| {
        let host = |address: &str| {
            address.rsplit_once(':').is_some_and(|(host, _)| {
                host == "localhost"
                    || host
                        .trim_matches(['[', ']'])
                        .parse::<std::net::IpAddr>()
                        .is_ok()
            })
        };
        host(&upstream.blue) && host(&upstream.green)
    };
    let upstreams = seen
        .upstreams
        .iter()
        .filter(outside)
        .map(MethodEvidence::Nginx);
    let projects = seen
        .compose
        .iter()
        .filter(|compose| !compose.released().is_empty())
        .map(MethodEvidence::Compose);
    let units = seen.units.iter().map(MethodEvidence::Systemd);
    tasks
        .chain(upstreams)
        .chain(projects)
        .chain(units)
        .collect()
}

impl Plan {
    pub(super) fn make(
        seen: &RepositoryFacts,
        wishes: &InitFlags,
        workflow: String,
        ask: &mut Prompter,
    ) -> Result<Plan, InitError> {
        let mut all = found(seen);
        if let Some(kind) = &wishes.kind {
            all.retain(|one| one.kind() == kind);
        }
        let shown: Vec<String> = all
            .iter()
            .map(|one| format!("{} ({})", one.kind(), one.path()))
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
            Some(environment) => environment,
            None => ask.text(
                "Which environment?",
                &usual_environment(seen),
                environment_name,
            )?,
        };
        let machines = machines(wishes, ask)?;
        let way = way(chosen, wishes, seen, &service);
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
        let script = seen.scripts.first().cloned();
        if chosen_nothing(&way, wishes) {
            notes.push("nothing shows how it is deployed: a command of yours will, and a variable names what to ask".to_owned());
        }
        if let (DeployMethod::Compose(_), Some(script)) = (&way, &script) {
            notes.push(format!(
                "{script} is there too; name it under `deploy:` if it is what deploys"
            ));
        }
        let labels = labels(seen, &machines, &way);
        notes.extend(own_labels(&labels, seen));
        Ok(Plan {
            labels,
            secrets: secrets(seen),
            script: script.filter(|_| {
                !matches!(way, DeployMethod::Compose(_) | DeployMethod::Ecs(_))
                    || !machines.is_empty()
            }),
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

    /// Whether an address must come from the workflow's variables.
    pub(super) fn asks_for_url(&self) -> bool {
        self.url.is_none() && matches!(self.way, DeployMethod::Nginx(_) | DeployMethod::Command)
    }

    /// Variables of the repository that the workflow hands over.
    pub(super) fn variables(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.asks_for_url() {
            names.push("HEALTH_URL");
        }
        if let DeployMethod::Ecs(cluster) = &self.way {
            if cluster.of.is_empty() {
                names.extend(["ECS_CLUSTER", "ECS_SERVICE"]);
            }
            names.extend(["AWS_REGION", "STATE_BUCKET"]);
        }
        names
    }

    /// The secrets that the step is handed.
    pub(super) fn secret_names(&self) -> BTreeSet<&str> {
        let key = (!self.machines.is_empty()).then_some("DEPLOY_SSH_KEY");
        self.secrets.keys().map(String::as_str).chain(key).collect()
    }

    /// What deploys: a program that is there, or one that is still to be written.
    pub(super) fn deploys(&self) -> (String, bool) {
        match &self.script {
            Some(script) if script == "make deploy" => ("make deploy".to_owned(), true),
            Some(script) => (
                format!("sh {} \"$RELEASE\"", remote::quote(&format!("./{script}"))),
                true,
            ),
            None => ("sh ./deploy.sh \"$RELEASE\"".to_owned(), false),
        }
    }

    /// Whether the deployment is written into the configuration.
    pub(super) fn deploys_itself(&self) -> bool {
        match &self.way {
            DeployMethod::Compose(_) => self.machines.is_empty(),
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
            "read {}, it is yours to change; `deploy-guard doctor{flag}` shows what is missing here",
            self.config
        )];
        if !self.deploys_itself() && !self.deploys().1 {
            steps.push("write deploy.sh, which makes the release that it is given live".to_owned());
        }
        if matches!(self.way, DeployMethod::Command) {
            steps.push("write live.sh, which prints the release that is live".to_owned());
        }
        for name in self.variables() {
            steps.push(format!("gh variable set {name}"));
        }
        if matches!(self.way, DeployMethod::Ecs(_)) {
            steps.push(format!(
                "gh variable set {ROLE}: the ARN of a role at AWS that trusts GitHub's OIDC provider for this environment"
            ));
        }
        for name in self.secret_names() {
            steps.push(format!("gh secret set {name} --env {}", self.environment));
        }
        if !self.machines.is_empty() {
            let addresses: Vec<&str> = self
                .machines
                .iter()
                .map(|machine| machine.address.as_str())
                .collect();
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
    pub(super) fn describe(&self) -> String {
        match self {
            DeployMethod::Compose(project) => format!(
                "Compose: {}",
                project
                    .images
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            DeployMethod::Nginx(_) => "nginx, from one colour to the other".to_owned(),
            DeployMethod::Systemd { unit, home } => {
                format!("systemd: {unit}, its releases in {home}/releases")
            }
            DeployMethod::Ecs(_) => "Amazon ECS".to_owned(),
            DeployMethod::Command => "a command of yours".to_owned(),
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

fn chosen_nothing(way: &DeployMethod, wishes: &InitFlags) -> bool {
    matches!(way, DeployMethod::Command) && wishes.kind.is_none()
}

fn way(
    chosen: Option<MethodEvidence<'_>>,
    wishes: &InitFlags,
    seen: &RepositoryFacts,
    service: &str,
) -> DeployMethod {
    match (chosen, wishes.kind.as_deref()) {
        (Some(MethodEvidence::Compose(compose)), _) => {
            DeployMethod::Compose(project(compose, seen, service))
        }
        (Some(MethodEvidence::Nginx(upstream)), _) => DeployMethod::Nginx(Some(Colours {
            file: upstream
                .path
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            blue: upstream.blue.clone(),
            green: upstream.green.clone(),
        })),
        (Some(MethodEvidence::Systemd(unit)), _) => DeployMethod::Systemd {
            unit: unit.name.clone(),
            home: unit
                .home
                .clone()
                .unwrap_or_else(|| format!("/srv/{service}")),
        },
        (Some(MethodEvidence::Ecs(task)), _) => cluster(Some(task), seen),
        (None, Some("ecs")) => cluster(None, seen),
        (None, Some("nginx")) => DeployMethod::Nginx(None),
        (None, Some("systemd")) => DeployMethod::Systemd {
            unit: format!("{service}.service"),
            home: format!("/srv/{service}"),
        },
        (None, Some("compose")) => DeployMethod::Compose(Project {
            folder: String::new(),
            file: "compose.yml".to_owned(),
            name: project_name(service),
            images: BTreeMap::from([(
                service.to_owned(),
                format!("{}:{{release}}", project_name(service)),
            )]),
            pulled: BTreeMap::new(),
            builds: true,
            ends: Vec::new(),
            answers: Vec::new(),
        }),
        (None, _) => DeployMethod::Command,
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
    let images = images(&name, &released);
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

fn usual_environment(seen: &RepositoryFacts) -> String {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    let environments = deploying.filter_map(|workflow| workflow.environment.clone());
    let mut names: Vec<String> = environments.collect();
    names.sort_by_key(|name| !name.starts_with("prod"));
    names
        .into_iter()
        .next()
        .unwrap_or_else(|| "production".to_owned())
}

/// Secrets of the workflows that deploy: a deployment needs them.
fn secrets(seen: &RepositoryFacts) -> BTreeMap<String, String> {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    deploying
        .flat_map(|workflow| {
            workflow
                .secrets
                .iter()
                .map(|name| (name.clone(), workflow.path.clone()))
        })
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

/// A runner of one's own is on the machine that is deployed to, unless SSH or an API goes there.
fn labels(seen: &RepositoryFacts, machines: &[Machine], way: &DeployMethod) -> Vec<String> {
    let deploying = seen.workflows.iter().filter(|workflow| workflow.deploys);
    let own = deploying
        .chain(&seen.workflows)
        .find_map(|workflow| workflow.labels.clone());
    match own {
        Some(labels) => labels,
        None if machines.is_empty() && !matches!(way, DeployMethod::Ecs(_)) => {
            vec!["self-hosted".to_owned(), "linux".to_owned()]
        }
        None => vec!["ubuntu-24.04".to_owned()],
    }
}
