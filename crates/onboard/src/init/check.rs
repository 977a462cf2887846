//! `init --check`: whether what the configuration says is still what the workflows do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use model::ExitCode;
use survey::{Job, Line, Step, Survey, Tool, Workflow};
use workflow::{Own, default_command};
use yaml::Node;

use super::ask::Prompter;
use super::choose::{Chosen, choose};
use super::output::tell;
use super::problem::InitError;
use super::propose;
use super::wishes::{InitFlags, KindFlag};
use proposal::additions::{self, Change, Means};
use proposal::health::HealthAddress;
use proposal::proposal::{Gate, Part, Proposal};
use yaml_edit::text::line;

/// A configuration is shorter.
const MAX_FILE: u64 = 1 << 20;

pub(super) fn run(
    survey: &Survey,
    chosen: Chosen<'_>,
    wishes: &InitFlags,
) -> Result<(), InitError> {
    match compared(survey, chosen, wishes)? {
        Compared::Same(text) => tell(&text),
        Compared::Differs { shown, what, hint } => {
            tell(&shown)?;
            let before = flags_before(survey, wishes);
            let hint = before.map_or(hint, |flags| {
                format!("with the flags of then there is no difference: `deploy-guard init --check {flags}`")
            });
            Err(InitError {
                code: ExitCode::Fail,
                what,
                hint,
            })
        }
    }
}

enum Compared {
    /// What is told.
    Same(String),
    Differs {
        shown: String,
        what: String,
        hint: String,
    },
}

/// The flags with which `init` would propose what is there, where it is not what these flags propose.
fn flags_before(survey: &Survey, wishes: &InitFlags) -> Option<String> {
    const MAX_VALUES: usize = 4;
    let environments = survey.deployments.iter().filter_map(|one| {
        let environment = one.environment.as_ref()?;
        Some(environment.name.value.clone())
    });
    let steps = survey.workflows.iter().flat_map(|one| &one.jobs);
    let steps = steps.flat_map(|job| &job.steps);
    // One for several environments is chosen by an expression.
    let asked = steps.flat_map(Step::asks).flat_map(|url| {
        let words = url.split(['\'', ' ']).filter(|word| word.contains("://"));
        words.map(str::to_owned).collect::<Vec<_>>()
    });
    // What the workflows ask themselves, no flag has named.
    let chosen = choose(survey, wishes, &mut Prompter::new(false));
    let proposed = chosen
        .ok()
        .flatten()
        .map(|chosen| propose::proposal(survey, chosen, wishes));
    let parts = proposed
        .iter()
        .flatten()
        .flat_map(|(proposal, _)| &proposal.parts);
    let own: Vec<&String> = parts
        .filter_map(|part| match &part.gate {
            Gate::Step(urls) => Some(urls),
            _ => None,
        })
        .flatten()
        .collect();
    let path = configuration(survey, wishes).ok();
    let tree = path.and_then(|(_, text)| Node::parse(&text).ok());
    let probed = tree.iter().flat_map(|tree| of_probes(tree, "http", "url"));
    let asked = asked.chain(probed.map(|(url, _)| url));
    let asked = asked.filter(|url| !own.contains(&url));
    let choices = |given: &Option<String>, found: &mut dyn Iterator<Item = String>| {
        let mut all = vec![given.clone()];
        if given.is_none() {
            let found: BTreeSet<String> = found.collect();
            all.extend(found.into_iter().take(MAX_VALUES).map(Some));
        }
        all
    };
    let kinds = match wishes.kind {
        Some(kind) => vec![Some(kind)],
        None => vec![None, Some(KindFlag::Gate)],
    };
    let environments = choices(&wishes.environment, &mut environments.into_iter());
    let asked = choices(&wishes.url, &mut asked.into_iter());
    // One environment alone is the last thing to suppose: of several, it may be the one that is right.
    for environment in &environments {
        let with_kinds = kinds
            .iter()
            .flat_map(|kind| asked.iter().map(move |url| (kind, url)));
        for (kind, url) in with_kinds {
            let then = InitFlags {
                kind: *kind,
                url: url.clone(),
                environment: environment.clone(),
                ..wishes.clone()
            };
            let chosen = choose(survey, &then, &mut Prompter::new(false))
                .ok()
                .flatten();
            let found = chosen.map(|chosen| compared(survey, chosen, &then));
            if let Some(Ok(Compared::Same(_))) = found {
                let flags = [
                    ("kind", kind.map(KindFlag::name)),
                    ("environment", environment.as_deref()),
                    ("url", url.as_deref()),
                ];
                let flags = flags
                    .iter()
                    .filter_map(|(name, value)| Some(format!("--{name} {}", line((*value)?))));
                return Some(flags.collect::<Vec<_>>().join(" "));
            }
        }
    }
    None
}

fn compared(
    survey: &Survey,
    chosen: Chosen<'_>,
    wishes: &InitFlags,
) -> Result<Compared, InitError> {
    let (proposal, means) = propose::proposal(survey, chosen, wishes)?;
    let (path, text) = match configuration(survey, wishes) {
        Err(none) if none.code == ExitCode::Usage => {
            return step_alone(survey, &proposal, &means).ok_or(none);
        }
        found => found?,
    };
    let unreadable = |why: String| InitError {
        code: ExitCode::Usage,
        what: format!("{} cannot be compared: {why}", path.display()),
        hint: "`deploy-guard doctor` shows what is wrong with it".to_owned(),
    };
    let ours = Node::parse(&text).map_err(|fault| unreadable(fault.message))?;
    let proposed = if proposal.is_configured() {
        let text = propose::configuration(&proposal);
        Node::parse(&text).map_err(|fault| unreadable(fault.message))?
    } else {
        Node::parse("").map_err(|fault| unreadable(fault.message))?
    };
    let mut rows = Vec::new();
    let several = proposal.has_environments();
    for part in &proposal.parts {
        let name = part.group.environment();
        let there = name.and_then(|name| ours.get("environments")?.get(name));
        if let (true, Some(name), None) = (several, name, there) {
            rows.push(Row {
                what: format!("{name}: environment"),
                ours: None,
                theirs: name.to_owned(),
                at: part
                    .group
                    .lead
                    .environment
                    .as_ref()
                    .map(|it| it.name.at.clone()),
            });
            continue;
        }
        let laid = |tree: &Node| {
            let over = name.and_then(|name| tree.get("environments")?.get(name));
            match over {
                Some(over) => tree.clone().merged(over.clone()),
                None => tree.clone(),
            }
        };
        let before = rows.len();
        let jobs = around(survey, part).flat_map(|(_, job)| &job.steps);
        let asked: Vec<String> = jobs.flat_map(Step::asks).cloned().collect();
        compare(&laid(&ours), &laid(&proposed), part, &asked, &mut rows);
        if let (true, Some(name)) = (several, name) {
            for row in &mut rows[before..] {
                row.what = format!("{name}: {}", row.what);
            }
        }
    }
    for change in additions::changes(&proposal, &means) {
        let parts = proposal.parts.iter();
        for part in parts.filter(|part| part.workflow.path == change.workflow.path) {
            unguarded(survey, part, &change, &ours, &mut rows);
        }
    }
    let file = path.display().to_string();
    if rows.is_empty() {
        return Ok(Compared::Same(format!(
            "{file} matches what the workflows do.\n"
        )));
    }
    Ok(Compared::Differs {
        shown: table(&rows, &file, &text),
        what: format!("{file} differs from what the workflows do in {} places", rows.len()),
        hint: "correct the one that is wrong; `deploy-guard init --dry-run` shows what would be written now".to_owned(),
    })
}

/// The gate's step that needs no configuration: whether it asks what the workflow asks. `None` where there is none, and
/// none is proposed.
fn step_alone(survey: &Survey, proposal: &Proposal<'_>, means: &Means) -> Option<Compared> {
    let part = proposal.parts.first()?;
    let open = part.asked.iter().filter(|asked| !asked.on_host);
    let open: Vec<String> = open.map(|asked| asked.url.text().to_owned()).collect();
    let (urls_now, is_proposed) = match &part.gate {
        Gate::Step(urls) => (urls, true),
        Gate::Configured | Gate::Unknown(_) => (&open, false),
    };
    let mut ours = around(survey, part).flat_map(|(workflow, job)| {
        let steps = job
            .steps
            .iter()
            .filter(|_| guards_job(workflow, job, part, "healthgate"));
        steps.map(move |step| {
            let asked: Vec<String> = step.asks().cloned().collect();
            (workflow.line(step.line), asked)
        })
    });
    let Some((at, asked)) = ours.find(|(_, urls)| !urls.is_empty()) else {
        return is_proposed.then(|| Compared::Differs {
            shown: String::new(),
            what: format!(
                "no step of {} checks whether what {} deploys is healthy",
                part.workflow.path, part.group.lead.at
            ),
            hint: if part.workflow.guards {
                "add one below the step that deploys; `deploy-guard init --dry-run` shows it"
                    .to_owned()
            } else {
                "`deploy-guard init --patch` adds it".to_owned()
            },
        });
    };
    if urls_now.is_empty() {
        let asked = line(&asked.join(", "));
        return Some(Compared::Same(format!(
            "{at} probes {asked}, and the workflows name no other public address.\n"
        )));
    }
    // A step for several environments asks what each of them has.
    let changes = additions::changes(proposal, means);
    let steps = changes.iter().flat_map(|change| &change.jobs);
    let steps = steps.flat_map(|(_, additions)| additions);
    let mut proposed = steps.filter_map(|addition| {
        let url = Node::parse(&addition.step)
            .ok()?
            .get("with")?
            .get("url")?
            .text()?
            .to_owned();
        Some(
            url.lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>(),
        )
    });
    let is_asked = |urls: &[String]| urls.iter().all(|url| asked.contains(url));
    if is_asked(urls_now) || proposed.any(|urls| is_asked(&urls)) {
        return Some(Compared::Same(format!(
            "{at} probes what the workflow probes.\n"
        )));
    }
    let evidence: Vec<String> = part.asked.iter().map(HealthAddress::evidence).collect();
    Some(Compared::Differs {
        shown: String::new(),
        what: format!(
            "{at} probes {}, and the workflow probes {} ({})",
            line(&asked.join(", ")),
            line(&urls_now.join(", ")),
            evidence.join(", ")
        ),
        hint: "correct the one that is wrong".to_owned(),
    })
}

fn configuration(survey: &Survey, wishes: &InitFlags) -> Result<(PathBuf, String), InitError> {
    let places = [wishes.config.clone()]
        .into_iter()
        .chain(config::PLACES.iter().map(PathBuf::from));
    let path = places
        .into_iter()
        .find(|path| survey.root.join(path).is_file())
        .ok_or_else(|| {
            InitError::usage(
                "there is no configuration to compare",
                "`deploy-guard init` proposes one; `--config FILE` names another",
            )
        })?;
    let text = files::read_text(&survey.root.join(&path), MAX_FILE).map_err(|error| InitError {
        code: ExitCode::Error,
        what: format!("{} cannot be read: {error}", path.display()),
        hint: "see who owns it: `ls -l .github`".to_owned(),
    })?;
    Ok((path, text))
}

/// The steps that guard a deployment, and that the workflow does not have: a stage, and its command.
fn unguarded(
    survey: &Survey,
    part: &Part<'_>,
    change: &Change<'_>,
    ours: &Node,
    rows: &mut Vec<Row>,
) {
    let proposed = change.jobs.iter().filter(|(job, _)| *job == part.job.id);
    let proposed = proposed.flat_map(|(_, additions)| additions);
    let mut told: Vec<(String, Option<String>)> = Vec::new();
    for addition in proposed {
        let Ok(tree) = Node::parse(&addition.step) else {
            continue;
        };
        let with = tree.get("with");
        let of = |name: &str| Some(with?.get(name)?.text()?.to_owned());
        let Some(stage) = of("stage") else {
            continue;
        };
        let wanted = (stage, of("command"));
        if told.contains(&wanted) || guards(survey, part, &wanted) {
            continue;
        }
        let (stage, command) = &wanted;
        let place = ours.entries().iter().find(|(key, _)| key.name == *stage);
        let name = match command {
            Some(command) => format!("{stage} {command}"),
            None => stage.clone(),
        };
        rows.push(Row {
            what: format!("{name}: step"),
            ours: place.map(|(key, _)| ("a section of its own".to_owned(), key.place.start)),
            theirs: format!("no step of {} runs it", part.workflow.path),
            at: Some(part.group.lead.at.clone()),
        });
        told.push(wanted);
    }
}

/// Whether a step runs a stage where the part is deployed.
fn guards(survey: &Survey, part: &Part<'_>, wanted: &(String, Option<String>)) -> bool {
    around(survey, part).any(|(workflow, job)| {
        guards_job(workflow, job, part, &wanted.0)
            && job.steps.iter().any(|step| runs(step, wanted))
    })
}

/// The jobs of the workflow that deploys a part, of one that calls it or follows it, and of one of ours that deploys the
/// same.
fn around<'s>(
    survey: &'s Survey,
    part: &Part<'s>,
) -> impl Iterator<Item = (&'s Workflow, &'s Job)> {
    let lead = part.group.lead;
    let own_path = &part.workflow.path;
    let deploys = move |path: &str| {
        survey.deployments.iter().any(|one| {
            let own = survey.workflows.get(one.job.workflow);
            let environment = one.environment.as_ref().map(|it| &it.name.value);
            own.is_some_and(|own| own.path == path)
                && environment == lead.environment.as_ref().map(|it| &it.name.value)
        })
    };
    let belongs = move |workflow: &&Workflow| {
        workflow.path == *own_path
            || lead.by.iter().any(|line| line.path == workflow.path)
            || workflow.triggers.iter().any(|on| on == "workflow_run")
            || deploys(&workflow.path)
    };
    let workflows = survey.workflows.iter().filter(belongs);
    workflows.flat_map(|workflow| workflow.jobs.iter().map(move |job| (workflow, job)))
}

/// Whether what a job runs is for the deployment. In the same workflow, that is the job that deploys, and one before or
/// after it that is not for another environment.
fn guards_job(workflow: &Workflow, job: &Job, part: &Part<'_>, stage: &str) -> bool {
    if workflow.path != part.workflow.path || job.id == part.job.id {
        return true;
    }
    let named = |job: &Job| job.environment.as_ref().map(|name| name.value.clone());
    let is_elsewhere = named(job).is_some_and(|name| named(part.job) != Some(name));
    let (first, then) = if stage == "preflight" {
        (job, part.job)
    } else {
        (part.job, job)
    };
    !is_elsewhere && waits_for(&part.workflow.jobs, then, &first.id)
}

/// Whether a job needs another, by itself or by those that it needs.
fn waits_for(jobs: &[Job], job: &Job, id: &str) -> bool {
    let mut open = vec![job];
    let mut seen = BTreeSet::new();
    while let Some(job) = open.pop() {
        if job.needs.iter().any(|need| need == id) {
            return true;
        }
        let needed = jobs.iter().filter(|one| job.needs.contains(&one.id));
        open.extend(needed.filter(|one| seen.insert(&one.id)));
    }
    false
}

/// Whether a step runs the stage with the command; `run` runs all of them.
fn runs(step: &Step, (stage, command): &(String, Option<String>)) -> bool {
    let Some(Own::Runs(calls)) = &step.own else {
        return false;
    };
    let command = command.as_deref().or(default_command(stage));
    calls.iter().any(|call| {
        let is_stage = call.stage.as_ref() == Some(stage) && call.command.as_deref() == command;
        is_stage || call.stage.as_deref() == Some("run")
    })
}

struct Row {
    what: String,
    /// The configuration's value, and its first byte.
    ours: Option<(String, usize)>,
    theirs: String,
    at: Option<Line>,
}

/// `asked` is what steps ask without the configuration.
fn compare(ours: &Node, proposed: &Node, part: &Part<'_>, asked: &[String], rows: &mut Vec<Row>) {
    for what in FACTS {
        let theirs = (what.values)(proposed);
        let mut theirs: Vec<String> = theirs.into_iter().map(|(text, _)| text).collect();
        if what.name == "health"
            && let Gate::Step(urls) = &part.gate
        {
            theirs.clone_from(urls);
            // A step of its own asks them.
            theirs.retain(|url| !asked.contains(url));
        }
        if theirs.is_empty() {
            continue;
        }
        let found = (what.values)(ours);
        let same = |text: &String| {
            found
                .iter()
                // What a variable holds is not known here.
                .any(|(there, _)| there == text || (is_variable(text) && is_variable(there)))
        };
        // More addresses than those of the workflows are no contradiction.
        let alike = theirs.iter().all(same) && (what.may_say_more || found.len() == theirs.len());
        if alike {
            continue;
        }
        let place = found.first().map(|(_, place)| *place);
        let shown: Vec<String> = found.into_iter().map(|(text, _)| text).collect();
        rows.push(Row {
            what: what.name.to_owned(),
            ours: place.map(|place| (shown.join(", "), place)),
            theirs: theirs.join(", "),
            at: evidence(what.name, part),
        });
    }
}

fn is_variable(text: &str) -> bool {
    text.starts_with("${") && text.ends_with('}')
}

struct ComparedFact {
    name: &'static str,
    values: fn(&Node) -> Vec<(String, usize)>,
    may_say_more: bool,
}

/// What a configuration can say that the workflows say, too.
const FACTS: &[ComparedFact] = &[
    exact("machine", |tree| of_hosts(tree, "address")),
    exact("user", |tree| of_hosts(tree, "user")),
    exact("port", |tree| of_hosts(tree, "port")),
    exact("key", |tree| of_hosts(tree, "key-env")),
    exact("folder", |tree| of_project(tree, "folder")),
    exact("files", |tree| of_project(tree, "files")),
    exact("project", |tree| of_project(tree, "project")),
    exact("env files", |tree| of_project(tree, "env-files")),
    exact("services", |tree| of_project(tree, "services")),
    ComparedFact {
        name: "units",
        values: |tree| of_probes(tree, "systemd", "unit"),
        may_say_more: true,
    },
    exact("cluster", |tree| of_probes(tree, "ecs", "cluster")),
    exact("service", |tree| of_probes(tree, "ecs", "service")),
    ComparedFact {
        name: "health",
        values: |tree| of_probes(tree, "http", "url"),
        may_say_more: true,
    },
    exact("way back", |tree| {
        let run = tree
            .get("rollback")
            .and_then(|it| it.get("command")?.get("run"));
        run.into_iter().flat_map(texts).collect()
    }),
];

const fn exact(name: &'static str, values: fn(&Node) -> Vec<(String, usize)>) -> ComparedFact {
    ComparedFact {
        name,
        values,
        may_say_more: false,
    }
}

/// A scalar, the items of a list, the entries of a map as `key: value`.
fn texts(node: &Node) -> Vec<(String, usize)> {
    if let Some(text) = node.text() {
        return vec![(text.to_owned(), node.place.start)];
    }
    let items = node.items().iter().filter_map(|item| {
        let text = item.text()?;
        Some((text.to_owned(), item.place.start))
    });
    let entries = node.entries().iter().filter_map(|(key, value)| {
        Some((format!("{}: {}", key.name, value.text()?), key.place.start))
    });
    items.chain(entries).collect()
}

fn of_hosts(tree: &Node, key: &str) -> Vec<(String, usize)> {
    let hosts = tree.get("hosts").map_or(&[][..], Node::entries);
    let mut all: Vec<(String, usize)> = Vec::new();
    for (_, host) in hosts {
        let found = host.get(key).map(texts).unwrap_or_default();
        for one in found {
            if !all.iter().any(|(text, _)| *text == one.0) {
                all.push(one);
            }
        }
    }
    all
}

/// Of the target, else of the probe.
fn of_project(tree: &Node, key: &str) -> Vec<(String, usize)> {
    let target = tree.get("rollback").and_then(|it| it.get("compose"));
    let probe = || tree.get("healthgate")?.get("compose")?.items().first();
    let project = target.or_else(probe);
    let value = project.and_then(|project| project.get(key));
    value.map(texts).unwrap_or_default()
}

fn of_probes(tree: &Node, kind: &str, key: &str) -> Vec<(String, usize)> {
    let probes = tree.get("healthgate").and_then(|it| it.get(kind));
    let probes = probes.map_or(&[][..], Node::items);
    probes
        .iter()
        .filter_map(|probe| probe.get(key))
        .flat_map(texts)
        .collect()
}

/// The line of the workflow that tells.
fn evidence(what: &str, part: &Part<'_>) -> Option<Line> {
    let lead = part.group.lead;
    let login = lead.login.as_ref();
    match (what, &lead.tool) {
        ("machine", _) => login.map(|login| login.address.at.clone()),
        ("user", _) => login?.user.as_ref().map(|user| user.at.clone()),
        ("port", _) => login?.port.as_ref().map(|port| port.at.clone()),
        ("key", _) => login?.key.as_ref().map(|key| key.at.clone()),
        ("folder", _) => lead.folder.as_ref().map(|folder| folder.at.clone()),
        ("files", Tool::Compose(call)) => call.files.first().map(|file| file.at.clone()),
        ("project", Tool::Compose(call)) => call.project.as_ref().map(|name| name.at.clone()),
        ("env files", Tool::Compose(call)) => call.env_files.first().map(|file| file.at.clone()),
        ("services", Tool::Compose(call)) => call.services.first().map(|one| one.at.clone()),
        ("units", Tool::Systemd { units, .. }) => units.first().map(|unit| unit.at.clone()),
        ("cluster", Tool::Ecs(call)) => call.cluster.as_ref().map(|it| it.at.clone()),
        ("service", Tool::Ecs(call)) => call.service.as_ref().map(|it| it.at.clone()),
        ("health", _) => part.asked.first()?.at.first().cloned(),
        _ => Some(lead.at.clone()),
    }
}

fn table(rows: &[Row], file: &str, text: &str) -> String {
    let mut shown = String::new();
    for row in rows {
        let ours = match &row.ours {
            Some((value, place)) => {
                let number = text
                    .get(..*place)
                    .map_or(1, |before| before.matches('\n').count() + 1);
                format!("{value} ({file}:{number})")
            }
            None => "nothing".to_owned(),
        };
        let at = row
            .at
            .as_ref()
            .map_or(String::new(), |at| format!(" ({at})"));
        let _ = writeln!(
            shown,
            "{}\n  configuration  {}\n  workflows      {}{at}",
            line(&row.what),
            line(&ours),
            line(&row.theirs)
        );
    }
    shown
}
