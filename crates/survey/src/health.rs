//! Where a deployment can be asked whether it is healthy.

use std::collections::BTreeMap;

use crate::deployment::{Environment, Health, HealthSource, Login};
use crate::event::EventDetail;
use crate::jobs::Run;
use crate::record::{Assembly, RecordedEffect, same_machine};
use tools::CommandEffect;
use tools::compose;
use tools::{ComposeCall, Tool};
use workflow::{Fact, Line, Value};

/// Lines of an `if` that are looked at.
const MAX_BRANCHES: usize = 20;

impl Assembly<'_> {
    pub(crate) fn health(
        &self,
        run: &Run,
        tool: &Tool,
        asks: &[&RecordedEffect<'_>],
        environment: Option<&Environment>,
        login: Option<&Login>,
        env: &BTreeMap<String, String>,
    ) -> Vec<Health> {
        let mut all: Vec<Health> = Vec::new();
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        for one in asks {
            let CommandEffect::Asks { url } = &one.deed else {
                continue;
            };
            // Which of two addresses is asked is decided when it runs.
            if asks.iter().any(|other| is_another_choice(other, one)) {
                continue;
            }
            let text = run.scope.fill_shell(url.text());
            let text = if text.contains("://") || text.starts_with("${{") {
                text
            } else {
                format!("http://{text}")
            };
            let there = one.event.place.login.is_some();
            let is_another = there && !same_machine(one.event.place.login.as_ref(), login);
            let local = is_local(&text)
                || there && text.contains("'http://127.0.0.1")
                || there && text.contains("'http://localhost");
            if tools::is_of_others(&text)
                || text.replace("${{", "").contains('$')
                || local && (is_another || !there && !job.is_on_own_machine())
            {
                continue;
            }
            all.push(Health {
                url: Value::new(text),
                at: vec![one.event.at.clone()],
                from: if self.only_warns(&one.event.at) {
                    HealthSource::Warning
                } else {
                    HealthSource::Workflow
                },
                on_host: local && there,
                row: BTreeMap::new(),
            });
        }
        all.extend(self.of_jobs_after(run));
        // A path that is called so tells more than a page.
        let is_check = |health: &Health| {
            let text = health.url.text().to_ascii_lowercase();
            !["health", "ready", "live", "/up", "ping", "status"]
                .iter()
                .any(|word| text.contains(word))
        };
        all.sort_by_key(is_check);
        if let Tool::Compose(call) = tool {
            let there = written(run, call);
            self.compose_health(call, login.is_some(), [env, &there], &mut all);
        }
        all.extend(self.of_tool(tool, environment));
        if let Some(url) = environment.and_then(|environment| environment.url.clone()) {
            // What a step puts out is the address that the platform gives the app; an interface may refuse it without a login.
            let is_given = url.value.text().contains(".outputs.");
            let is_site = matches!(tool, Tool::Site { .. });
            all.push(Health {
                url: url.value,
                at: vec![url.at],
                from: if is_given && !is_site {
                    HealthSource::Platform
                } else {
                    HealthSource::Environment
                },
                on_host: false,
                row: BTreeMap::new(),
            });
        }
        if all.is_empty() {
            let path = asks.iter().find_map(|one| path_asked(one));
            all.extend(crate::nginx::health(self.repository, tool, path.as_ref()));
        }
        all.sort_by_key(|health| health.from == HealthSource::Warning);
        // The same address from two places is one.
        let mut unique: Vec<Health> = Vec::new();
        for mut one in all {
            one.row = run.scope.row();
            if !unique
                .iter()
                .any(|known| known.url == one.url && known.on_host == one.on_host)
            {
                unique.push(one);
            }
        }
        unique
    }

    /// What the tool's own files tell.
    fn of_tool(&self, tool: &Tool, environment: Option<&Environment>) -> Option<Health> {
        match tool {
            Tool::Kamal(call) => tools::kamal::address(self.repository, call)
                .map(|address| of_file(address, HealthSource::Tool)),
            Tool::Platform(call) if call.name == "Fly" => {
                tools::fly::address(self.repository, call)
                    .map(|address| of_file(address, HealthSource::Guess))
            }
            Tool::Kubectl(_) | Tool::Helm(_) => {
                crate::kubernetes::health(self.repository, tool, environment)
            }
            _ => None,
        }
    }

    /// Whether the job goes on where the command of a line fails.
    pub(crate) fn only_warns(&self, at: &Line) -> bool {
        let text = self.repository.text(&at.path).unwrap_or_default();
        let mut lines = text
            .lines()
            .map(str::trim)
            .skip(at.number.saturating_sub(1));
        let mut whole = lines.next().unwrap_or_default().to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            whole = format!("{begun}{}", lines.next().unwrap_or_default());
        }
        let line = &*whole;
        let rest: Vec<&str> = lines
            .take_while(|line| !is_another_step(line))
            .take(MAX_BRANCHES)
            .collect();
        if line.starts_with("if ") {
            let branches = rest.iter().take_while(|line| **line != "fi");
            // What a loop has found out is judged after it.
            let mut edges = rest.iter().filter(|line| {
                ["done", "for ", "while "]
                    .iter()
                    .any(|word| line.starts_with(word))
            });
            if edges.next().is_some_and(|line| line.starts_with("done")) {
                return !fails(line) && !rest.iter().any(|line| fails(line));
            }
            if line.ends_with("fi") {
                return !fails(line) && line.contains("else");
            }
            let otherwise = branches.clone().skip_while(|line| **line != "else");
            return !branches.clone().any(|line| fails(line)) && otherwise.count() > 1;
        }
        let then = line
            .split_once("||")
            .map_or("", |(_, then)| then.trim_start());
        let goes_on = ["echo", "true", ":", "printf"]
            .iter()
            .any(|word| then.starts_with(word));
        // `CODE=$(curl … || echo 000)` is judged by what is done with it.
        let is_value = then.matches(')').count() > then.matches('(').count();
        goes_on && !fails(then) && !(is_value && rest.iter().any(|line| fails(line)))
    }

    /// What a job that waits for this one asks: a smoke test of its own.
    fn of_jobs_after(&self, run: &Run) -> Vec<Health> {
        let job = &self.workflows[run.id.workflow].jobs[run.id.job];
        let mut found = Vec::new();
        for other in self
            .runs
            .iter()
            .filter(|other| other.started == run.started && other.id.workflow == run.id.workflow)
        {
            let after = &self.workflows[other.id.workflow].jobs[other.id.job];
            if !after.needs.contains(&job.id) {
                continue;
            }
            let done = self.done(other);
            for one in done {
                let excluded = done.iter().any(|it| is_another_choice(it, one));
                if let (CommandEffect::Asks { url }, false) = (&one.deed, excluded) {
                    let text = other.scope.fill_shell(url.text());
                    if !is_local(&text)
                        && !tools::is_of_others(&text)
                        && !text.contains("$(")
                        && text.contains("://")
                    {
                        found.push(Health {
                            url: Value::new(text),
                            at: vec![one.event.at.clone()],
                            from: HealthSource::Workflow,
                            on_host: false,
                            row: BTreeMap::new(),
                        });
                    }
                }
            }
        }
        found
    }

    /// What the services' own health checks ask, by the port of the machine.
    fn compose_health(
        &self,
        call: &ComposeCall,
        remote: bool,
        [env, written]: [&BTreeMap<String, String>; 2],
        all: &mut Vec<Health>,
    ) {
        let mut whole = written.clone();
        whole.extend(env.clone());
        let project = compose::project(self.repository, &call.known_files);
        let dockerfile = |name: &str| {
            let near = |path: &&String| {
                path.rsplit('/')
                    .next()
                    .is_some_and(|base| base == "Dockerfile")
            };
            let of_name = self.repository.files.iter().filter(near);
            let in_folder = of_name
                .clone()
                .find(|path| path.contains(&format!("{name}/")));
            in_folder
                .or_else(|| of_name.clone().next())
                .and_then(|path| compose::of_dockerfile(self.repository, path))
        };
        for (name, service) in &project.services {
            let started =
                call.services.is_empty() || call.services.iter().any(|one| one.value == *name);
            let own = service.builds
                || service
                    .image
                    .as_ref()
                    .is_some_and(|image| image.value.contains('$'));
            if !started || !own {
                continue;
            }
            let check = service.health.clone().or_else(|| dockerfile(name));
            let Some(check) = check else {
                continue;
            };
            let port = if service.host_network {
                Some((check.value.port.to_string(), check.at.clone()))
            } else {
                let of = |(published, inside): &(Fact<String>, String)| {
                    let inside = compose::filled(inside, env);
                    let text = compose::filled(&published.value, &whole);
                    let is_known =
                        text.parse::<u16>().is_ok() || Value::new(&*text).expression().is_some();
                    (inside == check.value.port.to_string() && is_known)
                        .then(|| (text, published.at.clone()))
                };
                service.ports.iter().find_map(of)
            };
            let Some((port, at)) = port else {
                continue;
            };
            let port = if port == "80" {
                String::new()
            } else {
                format!(":{port}")
            };
            all.push(Health {
                url: Value::new(format!("http://127.0.0.1{port}{}", check.value.path)),
                at: if at == check.at {
                    vec![at]
                } else {
                    vec![check.at.clone(), at]
                },
                from: HealthSource::Tool,
                on_host: remote,
                row: BTreeMap::new(),
            });
        }
    }
}

/// What a tool's own file tells; without a check of the tool's, nothing says what a good answer is.
fn of_file(address: tools::Address, checked: HealthSource) -> Health {
    Health {
        url: address.url,
        at: address.at,
        from: if address.is_checked {
            checked
        } else {
            HealthSource::Platform
        },
        on_host: false,
        row: BTreeMap::new(),
    }
}

/// The variables of the file that Compose reads, as far as the job writes it; a value that is not known is none.
fn written(run: &Run, call: &ComposeCall) -> BTreeMap<String, String> {
    let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let files: Vec<String> = call
        .env_files
        .iter()
        .map(|file| base(&file.value))
        .collect();
    let texts = run.events.iter().filter_map(|event| match &event.what {
        EventDetail::Writes { file, text } => {
            let file = base(file);
            let is_read = files.contains(&file) || files.is_empty() && file == ".env";
            is_read.then_some(text)
        }
        _ => None,
    });
    let lines = texts.flat_map(|text| text.lines());
    let pairs = lines.filter_map(|line| line.trim().split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
        .collect()
}

/// The path of an address that is asked, where the workflow tells all of it.
fn path_asked(one: &RecordedEffect<'_>) -> Option<Fact<String>> {
    let CommandEffect::Asks { url } = &one.deed else {
        return None;
    };
    let (_, rest) = url.text().split_once("://")?;
    let path = rest.find('/').map(|at| &rest[at..])?;
    (!path.contains('$')).then(|| Fact::new(path.to_owned(), one.event.at.clone()))
}

/// Whether another address is asked where this one is not: which, is decided when the job runs.
fn is_another_choice(other: &RecordedEffect<'_>, one: &RecordedEffect<'_>) -> bool {
    match (&other.deed, &one.deed) {
        (CommandEffect::Asks { url: another }, CommandEffect::Asks { url }) => {
            another != url && other.event.excludes(one.event)
        }
        _ => false,
    }
}

fn is_local(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["localhost", "127.", "0.0.0.0", "[::1]"]
        .iter()
        .any(|local| host.starts_with(local))
}

/// Whether a line of a shell can end a script with a failure: `exit 1`, `false`, a test that stands alone.
fn fails(line: &str) -> bool {
    let ends = ["exit", "return"].iter().any(|word| {
        let mut after = line.split(word).skip(1);
        after.any(|rest| !rest.trim_start().starts_with('0'))
    });
    let is_test = ["[ ", "[[ ", "test "]
        .iter()
        .any(|begin| line.starts_with(begin));
    ends || line.contains("false") || is_test && !line.contains("||")
}

/// Whether a line of a workflow begins something else than a shell's text.
fn is_another_step(line: &str) -> bool {
    [
        "- name:", "- uses:", "- run:", "- id:", "- if:", "name:", "uses:", "run:", "shell:",
        "env:", "with:",
    ]
    .iter()
    .any(|begin| line.starts_with(begin))
}
