//! From a folder to what its repository contains.

use std::collections::BTreeSet;
use std::path::Path;

use crate::called_so;
use crate::deployment::{Deployment, JobId, UNKNOWN_FOLDER};
use crate::event::EventDetail;
use crate::jobs;
use crate::record::Assembly;
use crate::unread;
use crate::{Survey, Unused};
use repository::{Repository, ends_in, is_compose_file};
use tools::Tool;
use tools::compose;
use workflow::rank::{Rank, rank_of_job};
use workflow::{Known, Line, Value, Workflow};

/// Looks at a folder, and at the repository that it belongs to.
pub fn look(folder: &Path) -> std::io::Result<Survey> {
    let repository = Repository::of(folder)?;
    let origin = repository.origin();
    let workflows = workflows(&repository);
    let runs = jobs::read(&repository, &workflows, origin.as_deref(), &BTreeSet::new());
    let mut assembly = Assembly::of(&repository, &workflows, &runs);
    let mut found = assembly.all();
    let differing = differing(&found.deployments);
    let again;
    if !differing.is_empty() {
        again = jobs::read(&repository, &workflows, origin.as_deref(), &differing);
        assembly = Assembly::of(&repository, &workflows, &again);
        found = assembly.all();
    }
    found.deployments = merged(found.deployments);
    let mut unfilled = BTreeSet::new();
    found.deployments.retain(|one| {
        let placeholder = one.tool.placeholder();
        if let Some(fact) = &placeholder {
            unfilled.insert(one.job);
            let why = format!(
                "line {}: `{}` is the starter's own placeholder: nothing is deployed before it is filled in",
                fact.at.number, fact.value
            );
            repository.pass_over(&fact.at.path, &why);
        }
        placeholder.is_none()
    });
    let prepare = preparing(&found.deployments, &workflows);
    found.deployments.retain(|one| !prepare.contains(&one.job));
    found
        .deployments
        .sort_by_key(|one| (weight(one, &workflows), one.job));
    let used = used(&assembly, &found.deployments);
    let mut texts = texts(&assembly);
    // A playbook starts what it names.
    let playbooks = used.iter().filter(|path| ends_in(path, &["yml", "yaml"]));
    texts.extend(playbooks.filter_map(|path| repository.text(path)));
    let not_known = unread::all(&assembly, &unfilled);
    let first = not_known.first().map(|one| one.what.clone());
    let is_used = first.map_or(Known::No, |what| Known::NotSeen(Some(what)));
    Ok(Survey {
        unused: unused(&repository, &used, &texts, &is_used),
        not_known,
        root: repository.root.clone(),
        below: repository.below.clone(),
        git: repository.git,
        origin,
        called_so: if found.deployments.is_empty() {
            called_so::all(&assembly, &unfilled)
        } else {
            Vec::new()
        },
        deployments: found.deployments,
        published: found.published,
        passed_over: repository.passed_over.take(),
        workflows,
    })
}

/// Jobs of which each row of the matrix deploys something of its own by one tool, such as an app of a platform. What one
/// row is told to take back would be another's, so that the job is told in its own words: `${{ matrix.app }}`. Services of
/// one project are told together.
fn differing(all: &[Deployment]) -> BTreeSet<JobId> {
    let mut found = BTreeSet::new();
    for (nth, one) in all.iter().enumerate() {
        let is_other = |other: &&Deployment| {
            (other.job, &other.at) == (one.job, &one.at)
                && is_same_place(one, other)
                && other.tool != one.tool
                && !matches!(one.tool, Tool::Compose(_))
        };
        if all[..nth].iter().any(|other| is_other(&other)) {
            found.insert(one.job);
        }
    }
    found
}

fn is_same_place(one: &Deployment, other: &Deployment) -> bool {
    fn environment(one: &Deployment) -> Option<&str> {
        Some(one.environment.as_ref()?.name.value.as_str())
    }
    fn address(one: &Deployment) -> Option<&Value> {
        Some(&one.login.as_ref()?.address.value)
    }
    environment(one) == environment(other) && address(one) == address(other)
}

/// Jobs whose commands on a machine prepare what a job that needs them makes live there, such as the link to a release that
/// they unpack.
fn preparing(all: &[Deployment], workflows: &[Workflow]) -> BTreeSet<JobId> {
    let is_later = |one: &Deployment, later: &Deployment| {
        let jobs = &workflows[one.job.workflow].jobs;
        one.job.workflow == later.job.workflow
            && jobs[later.job.job].needs.contains(&jobs[one.job.job].id)
            && one.login.is_some()
            && is_same_place(one, later)
    };
    let prepares = |one: &&Deployment| {
        matches!(one.tool, Tool::Commands) && all.iter().any(|later| is_later(one, later))
    };
    all.iter().filter(prepares).map(|one| one.job).collect()
}

/// The rows of a matrix that call one tool at one line of one machine are one deployment.
fn merged(all: Vec<Deployment>) -> Vec<Deployment> {
    let mut merged: Vec<Deployment> = Vec::new();
    for one in all {
        let same = |other: &&mut Deployment| {
            (other.job, &other.at) == (one.job, &one.at) && is_same_place(other, &one)
        };
        let Some(other) = merged.iter_mut().find(same) else {
            merged.push(one);
            continue;
        };
        if let (Tool::Compose(other), Tool::Compose(one)) = (&mut other.tool, &one.tool) {
            for service in &one.services {
                if !other
                    .services
                    .iter()
                    .any(|known| known.value == service.value)
                {
                    other.services.push(service.clone());
                }
            }
            other.standing.retain(|name| one.standing.contains(name));
        }
        // Another workflow may call the same job.
        let more = one.by.into_iter();
        let more: Vec<Line> = more.filter(|line| !other.by.contains(line)).collect();
        other.by.extend(more);
        for image in one.images {
            if !other
                .images
                .iter()
                .any(|known| (&known.service, &known.image) == (&image.service, &image.image))
            {
                other.images.push(image);
            }
        }
        for health in one.health {
            if !other.health.iter().any(|known| known.url == health.url) {
                other.health.push(health);
            }
        }
    }
    merged
}

/// Production first, and what an event starts before what a person does.
fn weight(deployment: &Deployment, workflows: &[Workflow]) -> (Rank, bool, bool) {
    let workflow = &workflows[deployment.job.workflow];
    let job = &workflow.jobs[deployment.job.job];
    let site = matches!(deployment.tool, Tool::Site { .. });
    let mut lines = deployment.by.iter();
    let started = lines.find_map(|line| workflows.iter().find(|one| one.path == line.path));
    let by_hand = started.unwrap_or(workflow).is_started_by_hand();
    if let Some(environment) = &deployment.environment {
        return (environment.rank, site, by_hand);
    }
    let rank = rank_of_job(workflow, job);
    (rank, site, by_hand)
}

fn workflows(repository: &Repository) -> Vec<Workflow> {
    let is_one = |path: &&String| {
        let name = path.strip_prefix(".github/workflows/");
        name.is_some_and(|name| !name.contains('/') && ends_in(name, &["yml", "yaml"]))
    };
    (repository.files.iter().filter(is_one))
        .filter_map(|path| {
            let (text, tree) = (repository.text(path)?, repository.tree(path)?);
            let mut workflow = Workflow::read(path, &text, &tree);
            workflow.mark_actions(&|folder| crate::actions::local(repository, folder));
            Some(workflow)
        })
        .collect()
}

/// The files that workflows and their scripts use, for tests too.
fn used(assembly: &Assembly<'_>, deployments: &[Deployment]) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut ends_of_unsure: BTreeSet<String> = BTreeSet::new();
    let events = assembly
        .runs
        .iter()
        .flat_map(|run| run.events.iter().map(move |event| (run, event)));
    for (run, event) in events {
        match &event.what {
            EventDetail::Command {
                words,
                program,
                env,
            } => {
                // The same call in the same place reads the same files.
                let address = event.place.login.as_ref().map(|login| &login.address.value);
                let folder = event.place.folder.as_ref().map(|folder| &folder.value);
                if !seen.insert((run.started, words, folder, address)) {
                    continue;
                }
                for deed in tools::of_command(words, program, env, &event.at) {
                    if let tools::CommandEffect::Deploys(tool) = deed
                        && let Tool::Compose(call) = *tool
                    {
                        let files = assembly.compose_files(&call, event, run);
                        if files.is_empty() && call.files.is_empty() {
                            let folder = event.place.folder.as_ref();
                            used.extend(usual_in(assembly, folder.map_or("", |it| &it.value)));
                        }
                        used.extend(compose::project(assembly.repository, &files).files);
                    }
                }
                let named = words.iter().filter_map(|word| repository::joined("", word));
                used.extend(named.filter(|path| assembly.repository.has(path)));
                // What a variable leads to may be a file of this name.
                let ends = words
                    .iter()
                    .filter(|word| word.contains('$'))
                    .filter_map(|word| Some(word.rsplit_once('/')?.1));
                ends_of_unsure.extend(ends.filter(|end| end.contains('.')).map(str::to_owned));
            }
            EventDetail::Action { with, .. } => {
                let named = with
                    .values()
                    .filter_map(|fact| repository::joined("", fact.value.literal()?));
                used.extend(named.filter(|path| assembly.repository.has(path)));
            }
            EventDetail::Script { path, .. } => {
                used.insert(path.clone());
            }
            EventDetail::Writes { .. } => {}
        }
    }
    // A call whose files only the machine knows may read any of them.
    let any = deployments.iter().any(|one| {
        let mut paths = one.folder.iter().filter(|it| it.value == UNKNOWN_FOLDER);
        matches!(&one.tool, Tool::Compose(call) if call.known_files.is_empty()
            && (paths.next().is_some() || call.files.iter().any(|file| file.value.contains('$'))))
    });
    if any {
        used.extend(
            assembly
                .repository
                .files
                .iter()
                .filter(|path| is_compose_file(path))
                .cloned(),
        );
    }
    let unsure = assembly.repository.files.iter().filter(|path| {
        path.rsplit('/')
            .next()
            .is_some_and(|name| ends_of_unsure.contains(name))
    });
    used.extend(unsure.cloned());
    for one in deployments {
        used.extend(
            one.script
                .iter()
                .flat_map(|script| &script.files)
                .map(|file| file.value.clone()),
        );
        if let Tool::Compose(call) = &one.tool {
            used.extend(compose::project(assembly.repository, &call.known_files).files);
        }
    }
    used
}

/// The Compose files below the repository's root that a folder of a machine may hold: those of a folder that its path
/// ends in.
fn usual_in<'s>(assembly: &Assembly<'s>, folder: &'s str) -> impl Iterator<Item = String> + 's {
    let files = assembly.repository.files.iter();
    files
        .filter(move |path| {
            path.rsplit_once('/').is_some_and(|(below, name)| {
                let end = format!("/{below}");
                compose::USUAL.contains(&name) && folder.trim_end_matches('/').ends_with(&end)
            })
        })
        .cloned()
}

/// The workflows, and the programs of the repository that they call.
fn texts(assembly: &Assembly<'_>) -> Vec<String> {
    let events = assembly.runs.iter().flat_map(|run| &run.events);
    let mut paths: BTreeSet<&str> = events
        .flat_map(|event| event.by.iter().chain([&event.at]))
        .map(|line| line.path.as_str())
        .collect();
    paths.extend(
        assembly
            .workflows
            .iter()
            .map(|workflow| workflow.path.as_str()),
    );
    let texts = paths
        .into_iter()
        .filter_map(|path| assembly.repository.text(path));
    texts.collect()
}

fn unused(
    repository: &Repository,
    used: &BTreeSet<String>,
    workflows: &[String],
    is_used: &Known,
) -> Vec<Unused> {
    // What a workflow names in a way that is not understood may well be used by it.
    let is_named = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        // A folder that is copied whole: `source: "backend/"`.
        let folders = path.match_indices('/').map(|(at, _)| &path[..=at]);
        let mut named = folders.chain([name]);
        named.any(|name| workflows.iter().any(|text| names(text, name)))
    };
    let kind = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        if is_compose_file(path) && !name.contains("deploy-guard") {
            Some("Compose file")
        } else if ends_in(name, &["json"]) && name.contains("task") && name.contains("def") {
            Some("ECS task definition")
        } else if matches!(name, "deploy.sh" | "deploy") {
            Some("script")
        } else {
            None
        }
    };
    (repository.files.iter())
        .filter(|path| !used.contains(*path) && !path.starts_with(".github/"))
        .filter(|path| !is_named(path))
        .filter_map(|path| {
            Some(Unused {
                path: path.clone(),
                what: kind(path)?,
                used: is_used.clone(),
            })
        })
        .collect()
}

/// Whether a workflow's lines name a file of this name, comments apart.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| {
            line.match_indices(name).any(|(at, _)| {
                !line[..at].ends_with(is_part) && !line[at + name.len()..].starts_with(is_part)
            })
        })
}
