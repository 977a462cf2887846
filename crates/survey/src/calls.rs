//! The tool that the calls of a job make together.

use crate::counts::starts;
use crate::deployment::Login;
use crate::event::{Event, EventDetail};
use crate::jobs::Run;
use crate::record::{Assembly, RecordedEffect};
use tools::CommandEffect;
use tools::compose;
use tools::{ComposeCall, EcsCall, KubectlCall, Tool};
use workflow::Value;
use workflow::{Fact, Line};

impl Assembly<'_> {
    /// The tool that calls make together.
    pub(crate) fn tool(
        &self,
        calls: &[&RecordedEffect<'_>],
        run: &Run,
        done: &[RecordedEffect<'_>],
    ) -> Option<(Tool, Line)> {
        let tools: Vec<(&Tool, &Event)> = (calls.iter())
            .filter_map(|one| match &one.deed {
                CommandEffect::Deploys(tool) => Some((&**tool, one.event)),
                _ => None,
            })
            .collect();
        let (first, event) = *tools.first()?;
        let at = event.at.clone();
        Some(match first {
            Tool::Compose(_) => self.compose(&tools, run)?,
            Tool::Systemd { .. } => {
                let (mut units, mut of_user): (Vec<Fact<String>>, bool) = (Vec::new(), false);
                for (tool, _) in &tools {
                    if let Tool::Systemd {
                        units: more,
                        of_user: by,
                        ..
                    } = tool
                    {
                        of_user |= by;
                        for unit in more {
                            let is_known = units.iter().any(|known| known.value == unit.value);
                            if !is_known && !tools::is_oneshot(self.repository, &unit.value) {
                                units.push(unit.clone());
                            }
                        }
                    }
                }
                (
                    Tool::Systemd {
                        units,
                        sudo: false,
                        of_user,
                    },
                    at,
                )
            }
            Tool::Kubectl(_) => {
                let mut call = KubectlCall {
                    restarts: true,
                    ..KubectlCall::default()
                };
                for (tool, _) in &tools {
                    if let Tool::Kubectl(one) = tool {
                        call.restarts &= one.restarts;
                        call.kubeconfig = call.kubeconfig.or_else(|| one.kubeconfig.clone());
                        call.namespace = call.namespace.or_else(|| one.namespace.clone());
                        call.context = call.context.or_else(|| one.context.clone());
                        call.files.extend(one.files.iter().cloned());
                        call.images.extend(one.images.iter().cloned());
                        for workload in &one.workloads {
                            if !call
                                .workloads
                                .iter()
                                .any(|known| known.value == workload.value)
                            {
                                call.workloads.push(workload.clone());
                            }
                        }
                    }
                }
                (
                    Tool::Kubectl(tools::manifests::completed(self.repository, call, &at)),
                    at,
                )
            }
            Tool::Ecs(_) => (self.ecs(&tools, done), at),
            // Several processes have no name together.
            Tool::Pm2 { .. } if tools.iter().any(|(tool, _)| tool != &first) => {
                (Tool::Pm2 { app: None }, at)
            }
            // Nor have several containers.
            Tool::Container { image, sudo, .. } if tools.iter().any(|(tool, _)| tool != &first) => {
                let (image, sudo) = (image.clone(), *sudo);
                let name = None;
                (Tool::Container { name, image, sudo }, at)
            }
            Tool::Kamal(call) => (
                Tool::Kamal(tools::kamal::completed(self.repository, call.clone())),
                at,
            ),
            Tool::Helm(call) => {
                let mut call = call.clone();
                if call.namespace.is_none() {
                    call.namespace = namespace_of_context(run);
                }
                (Tool::Helm(call), at)
            }
            Tool::Platform(call) => {
                let folder = event.place.folder.as_ref();
                let folder = folder.map_or("", |folder| &*folder.value);
                let call = call.clone();
                let call = match call.name {
                    "Fly" => tools::fly::completed(self.repository, call, folder),
                    "App Engine" => tools::app_engine::completed(self.repository, call, folder),
                    _ => call,
                };
                (Tool::Platform(call), at)
            }
            other => (other.clone(), at),
        })
    }

    /// The calls of Compose that make one project: the files of the last `up`, the services of all.
    fn compose(&self, tools: &[(&Tool, &Event)], run: &Run) -> Option<(Tool, Line)> {
        let verb = |event: &Event, verbs: &[&str]| match &event.what {
            EventDetail::Command { words, .. } => {
                words.iter().any(|word| verbs.contains(&word.as_str()))
            }
            _ => false,
        };
        let ups: Vec<_> = tools.iter().filter(|(_, event)| starts(event)).collect();
        let (Tool::Compose(last), event) = **ups.last()? else {
            return None;
        };
        let mut call: ComposeCall = last.clone();
        for (tool, _) in &ups {
            if let Tool::Compose(one) = tool
                && !call.services.is_empty()
            {
                if one.services.is_empty() {
                    call.services.clear();
                }
                for service in &one.services {
                    if !call
                        .services
                        .iter()
                        .any(|known| known.value == service.value)
                    {
                        call.services.push(service.clone());
                    }
                }
            }
        }
        for (tool, build) in tools {
            if let Tool::Compose(one) = tool
                && (verb(build, &["build"]) || one.builds.is_some())
            {
                call.builds = call.builds.or_else(|| Some(build.at.clone()));
                call.build_arguments
                    .extend(one.build_arguments.iter().cloned());
            }
        }
        call.build_arguments.dedup();
        call.known_files = self.compose_files(&call, event, run);
        let project = compose::project(self.repository, &call.known_files);
        // `--build` builds nothing where no service has a `build`.
        let builds =
            project.services.is_empty() || project.services.values().any(|service| service.builds);
        call.builds = call.builds.filter(|_| builds);
        let started: Vec<&str> = call
            .services
            .iter()
            .map(|service| service.value.as_str())
            .collect();
        call.standing = (project.services.iter())
            .filter(|(name, service)| {
                let image = service.image.as_ref().map_or("", |image| &image.value);
                let others = !image.contains('$') && !self.is_own_image(run, image);
                !project.is_built(service)
                    && !started.contains(&name.as_str())
                    && (others || !started.is_empty())
            })
            .map(|(name, _)| name.clone())
            .collect();
        call.lasting = compose::lasting(&project, &call);
        if call.project.is_none() {
            call.project = project
                .name
                .map(|name| Fact::new(Value::new(name.value), name.at));
        }
        Some((Tool::Compose(call), event.at.clone()))
    }

    /// The services that calls deploy, each with the container that gets the release.
    fn ecs(&self, tools: &[(&Tool, &Event)], done: &[RecordedEffect<'_>]) -> Tool {
        let mut services: Vec<EcsCall> = Vec::new();
        for (tool, _) in tools {
            let Tool::Ecs(one) = tool else { continue };
            let same = |there: &&mut EcsCall| {
                let value =
                    |fact: &Option<Fact<Value>>| fact.as_ref().map(|fact| fact.value.clone());
                value(&there.service) == value(&one.service)
                    && value(&there.cluster) == value(&one.cluster)
            };
            match services.iter_mut().find(same) {
                Some(there) => {
                    there.region = there.region.take().or_else(|| one.region.clone());
                    there.task_definition = there
                        .task_definition
                        .take()
                        .or_else(|| one.task_definition.clone());
                }
                None => services.push(one.clone()),
            }
        }
        let several = services.len() > 1;
        for call in &mut services {
            self.complete(call, done, several);
        }
        let besides = services.split_off(1.min(services.len()));
        let first = services.pop().unwrap_or_default();
        Tool::Ecs(EcsCall { besides, ..first })
    }

    /// What the job's other steps say of a service.
    fn complete(&self, call: &mut EcsCall, done: &[RecordedEffect<'_>], several: bool) {
        for one in done {
            match &one.deed {
                CommandEffect::LogsInToAws {
                    role,
                    key_pair,
                    region,
                } => {
                    call.region = call.region.take().or_else(|| region.clone());
                    call.role.clone_from(role);
                    // A role may be taken with a pair of keys; the role is what the job is then.
                    call.key_pair = key_pair.clone().filter(|_| role.is_none());
                }
                CommandEffect::RendersTask {
                    file, container, ..
                } if renders(call, file.as_ref()) || !several => {
                    call.task_definition = file.clone().or(call.task_definition.take());
                    call.container = container.clone().or(call.container.take());
                }
                _ => {}
            }
        }
        if let Some(file) = call
            .task_definition
            .as_ref()
            .and_then(|fact| fact.value.literal())
            && let Some(text) = self.repository.text(file.trim_start_matches("./"))
            && let Ok(json) = serde_json::from_str::<serde_json::Value>(&text)
        {
            call.family = json["family"].as_str().map(str::to_owned);
        }
    }

    /// The release as the tag of the image that is put into the service's task definition.
    pub(crate) fn rendered_release(&self, run: &Run, call: &EcsCall) -> Option<Fact<Value>> {
        let images = self.done(run).iter().filter_map(|one| match &one.deed {
            CommandEffect::RendersTask { file, image, .. } if renders(call, file.as_ref()) => {
                image.as_ref()
            }
            _ => None,
        });
        let mut releases = images.filter_map(|image| self.handed_release(run, image));
        releases.next()
    }
}

/// Whether a step puts an image into the service's own definition.
fn renders(call: &EcsCall, file: Option<&Fact<Value>>) -> bool {
    let name = |fact: &Fact<Value>| fact.value.text().trim_start_matches("./").to_owned();
    let own = call.task_definition.as_ref().map(name);
    own.is_some() && own == file.map(name)
}

/// The first server of Kamal, as whom it logs in, with the key that the job has.
pub(crate) fn kamal_login(call: &tools::KamalCall, run: &Run) -> Option<Login> {
    let fact = |text: &Fact<String>| Fact::new(Value::new(&*text.value), text.at.clone());
    Some(Login {
        address: fact(call.hosts.first()?),
        user: call.user.as_ref().map(fact),
        port: None,
        key: run.scope.key(None),
        known_hosts: run.scope.known_hosts.clone(),
        passphrase: None,
        password: None,
        jump: call
            .proxy
            .as_ref()
            .and_then(|proxy| crate::ssh::proxy(proxy, &run.scope)),
        client: None,
    })
}

/// The namespace that the job's context has.
fn namespace_of_context(run: &Run) -> Option<Fact<Value>> {
    run.events.iter().find_map(|event| {
        let EventDetail::Command { words, .. } = &event.what else {
            return None;
        };
        let sets = words.first().is_some_and(|word| word == "kubectl")
            && words.iter().any(|word| word == "config");
        let value = words
            .iter()
            .find_map(|word| word.strip_prefix("--namespace="))?;
        sets.then(|| Fact::new(Value::new(value), event.at.clone()))
    })
}
