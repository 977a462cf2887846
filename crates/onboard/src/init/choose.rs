//! Which deployment is guarded: the one of the best rank, else the one that a flag or a person names.

use std::collections::BTreeSet;
use std::path::Path;

use proposal::group::{Group, groups, shown};
use proposal::tools;
use repository::{Repository, joined};
use survey::{Rank, Survey, Tool};
use yaml_edit::text::line;

use super::ask::Prompter;
use super::problem::InitError;
use super::wishes::{InitFlags, KindFlag};

/// What is guarded.
#[derive(Debug)]
pub(super) struct Chosen<'s> {
    /// The chosen one first; then the same service's other environments.
    pub(super) groups: Vec<Group<'s>>,
    /// What else deploys, and is not guarded now.
    pub(super) others: Vec<Group<'s>>,
}

/// `None` where nothing is deployed that the wishes speak of.
pub(super) fn choose<'s>(
    survey: &'s Survey,
    wishes: &InitFlags,
    ask: &mut Prompter,
) -> Result<Option<Chosen<'s>>, InitError> {
    let all = groups(survey);
    let mut fit: Vec<Group<'s>> = all.clone();
    if let Some(path) = &wishes.workflow {
        let path = path.to_string_lossy();
        let known = survey
            .workflows
            .iter()
            .any(|workflow| workflow.path == path);
        if known {
            fit.retain(|group| leads_through(survey, group, &path));
            if fit.is_empty() {
                return Err(InitError::usage(
                    format!("nothing in {path} deploys, as far as it can be read"),
                    "name another with `--workflow`, or choose with `--kind`",
                ));
            }
        }
    }
    if let Some(wanted) = &wishes.job {
        retain_job(survey, &mut fit, wanted)?;
    }
    let is_gate = wishes.kind.is_none_or(|kind| kind == KindFlag::Gate);
    if !is_gate {
        fit.retain(|group| KindFlag::of(&group.lead.tool) == wishes.kind);
    }
    if !wishes.files.is_empty() {
        let files = named_files(survey, &all, &wishes.files)?;
        fit.retain(|group| uses(&group.lead.tool, &files));
        if fit.is_empty() && is_gate {
            return Err(not_deployed_with(&all, &files));
        }
    }
    if let Some(wanted) = wishes.environment.as_ref().filter(|_| !fit.is_empty()) {
        let names: Vec<String> = fit
            .iter()
            .filter_map(|group| group.environment().map(str::to_owned))
            .collect();
        let unnamed = fit.clone();
        fit.retain(|group| {
            group
                .environment()
                .is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        });
        // What a person or a branch chooses may be the wanted one.
        let mut chosen = all.iter().filter_map(|group| group.lead.choice.as_ref());
        if let Some(choice) = chosen.next().filter(|_| fit.is_empty()) {
            return Err(InitError::usage(
                format!(
                    "no deployment to the environment `{wanted}` is read: `{}` ({}) chooses, and only `{}` is guarded",
                    choice.expression.value, choice.expression.at, choice.value
                ),
                format!("`--environment {}` guards that one", choice.value),
            ));
        }
        if fit.is_empty() {
            let hint = if names.is_empty() {
                let ids = job_ids(survey, &unnamed).join(", ");
                format!("the jobs that deploy name no environment; `--job` chooses one of {ids}")
            } else {
                format!("the workflows name {}", names.join(", "))
            };
            return Err(InitError::usage(
                format!("no workflow deploys to the environment `{wanted}`"),
                line(&hint),
            ));
        }
    }
    // A site for readers is guarded where nothing else is.
    fit.sort_by_key(|group| {
        let tool = &group.lead.tool;
        (
            matches!(tool, Tool::Site { .. }),
            group.rank(),
            tools::weight(tool),
        )
    });
    if fit.is_empty() {
        return Ok(None);
    }
    // A person chooses among what could be meant; elsewhere it is the first.
    let shown: Vec<String> = fit.iter().map(shown).collect();
    let at = ask.choose("Which deployment is guarded?", &shown)?;
    let first = fit.remove(at);
    let mut groups = vec![first];
    let mut others = Vec::new();
    for group in all {
        if group.lead.at == groups[0].lead.at && group.environment() == groups[0].environment() {
            continue;
        }
        let one_is_named =
            wishes.environment.is_some() || wishes.workflow.is_some() || wishes.job.is_some();
        if !one_is_named && is_sibling(&groups, &group) {
            groups.push(group);
        } else {
            others.push(group);
        }
    }
    Ok(Some(Chosen { groups, others }))
}

fn job_id<'s>(survey: &'s Survey, group: &Group<'_>) -> Option<&'s String> {
    let job = group.job();
    let jobs = &survey.workflows.get(job.workflow)?.jobs;
    jobs.get(job.job).map(|job| &job.id)
}

fn retain_job(survey: &Survey, fit: &mut Vec<Group<'_>>, wanted: &str) -> Result<(), InitError> {
    let ids = job_ids(survey, fit);
    fit.retain(|group| job_id(survey, group).is_some_and(|id| id == wanted));
    if !fit.is_empty() {
        return Ok(());
    }
    Err(InitError::usage(
        format!("no job `{}` deploys", line(wanted)),
        match ids[..] {
            [] => "see `deploy-guard init --help`".to_owned(),
            _ => format!("the jobs that deploy: {}", line(&ids.join(", "))),
        },
    ))
}

/// Those of the jobs that deploy, each once.
fn job_ids(survey: &Survey, groups: &[Group<'_>]) -> Vec<String> {
    let ids = groups.iter().filter_map(|group| job_id(survey, group));
    let ids: BTreeSet<&String> = ids.collect();
    ids.into_iter().cloned().collect()
}

fn leads_through(survey: &Survey, group: &Group<'_>, path: &str) -> bool {
    let own = survey
        .workflows
        .get(group.job().workflow)
        .is_some_and(|workflow| workflow.path == path);
    own || group.lead.by.iter().any(|line| line.path == path)
}

/// The files that are meant by `--file`: as a workflow names them, as they are in the repository, or by their names alone.
fn named_files(
    survey: &Survey,
    all: &[Group<'_>],
    wanted: &[String],
) -> Result<Vec<String>, InitError> {
    let root = &survey.root;
    let repository = Repository::of(root).map_err(|error| {
        let what = format!("this folder cannot be read: {error}");
        InitError::usage(
            what,
            "call it in the repository: `cd REPOSITORY && deploy-guard init`",
        )
    })?;
    let mut found = Vec::new();
    for name in wanted {
        let name = from_root(root, name);
        let is_used = all
            .iter()
            .any(|group| uses(&group.lead.tool, std::slice::from_ref(&name)));
        if is_used || repository.files.contains(&name) {
            found.push(name);
            continue;
        }
        let below = format!("/{name}");
        let paths = repository
            .files
            .iter()
            .filter(|path| path.ends_with(&below));
        let paths: Vec<&String> = paths.collect();
        match paths[..] {
            [path] => found.push(path.clone()),
            [] => {
                let is_one = |path: &&String| {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    name.contains("compose") && name.ends_with("ml")
                };
                let known: Vec<&String> = repository.files.iter().filter(is_one).collect();
                return Err(InitError::usage(
                    format!("there is no file {}", line(&name)),
                    match known[..] {
                        [] => "this repository has no Compose file; `--workflow FILE` chooses a workflow".to_owned(),
                        _ => format!("the Compose files here: {}", names(&known)),
                    },
                ));
            }
            _ => {
                return Err(InitError::usage(
                    format!("{} files are called {}", paths.len(), line(&name)),
                    format!("name one of them with its folder: {}", names(&paths)),
                ));
            }
        }
    }
    Ok(found)
}

/// A path from the root, without `.` and `..`; as it was given where it leads elsewhere.
fn from_root(root: &Path, given: &str) -> String {
    let real = |path: &Path| path.canonicalize().ok();
    let below = Path::new(given);
    let below = match (real(below), real(root)) {
        (Some(file), Some(root)) if below.is_absolute() => {
            file.strip_prefix(root).ok().map(Path::to_owned)
        }
        _ => Some(below.to_owned()),
    };
    let below = below.and_then(|below| joined("", &below.to_string_lossy()));
    below.unwrap_or_else(|| given.to_owned())
}

fn names(paths: &[&String]) -> String {
    const MAX_SHOWN: usize = 8;
    let shown: Vec<String> = paths
        .iter()
        .take(MAX_SHOWN)
        .map(|path| line(path))
        .collect();
    let more = paths.len().saturating_sub(MAX_SHOWN);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join(", "))
}

/// A file that is there, and that no workflow deploys with.
fn not_deployed_with(all: &[Group<'_>], files: &[String]) -> InitError {
    let with = all.iter().filter_map(|group| match &group.lead.tool {
        Tool::Compose(call) if !call.known_files.is_empty() => Some(format!(
            "with {} ({})",
            call.known_files.join(" "),
            group.lead.at
        )),
        _ => None,
    });
    let mut others: Vec<String> = with.collect();
    if others.is_empty() {
        others = all.iter().map(shown).collect();
    }
    others.dedup();
    let own = format!(
        "`--kind compose {}` writes a deployment of its own",
        files
            .iter()
            .map(|file| format!("--file {}", line(file)))
            .collect::<Vec<_>>()
            .join(" ")
    );
    InitError::usage(
        format!(
            "no workflow deploys with {}",
            files
                .iter()
                .map(|file| line(file))
                .collect::<Vec<_>>()
                .join(" and ")
        ),
        match others[..] {
            [] => own,
            _ => format!("they deploy {}; {own}", line(&others.join("; "))),
        },
    )
}

fn uses(tool: &Tool, files: &[String]) -> bool {
    let Tool::Compose(call) = tool else {
        return false;
    };
    let named = |wanted: &String| {
        let wanted = wanted.trim_start_matches("./");
        call.known_files.iter().any(|file| file == wanted)
            || call.files.iter().any(|file| file.value == wanted)
    };
    files.iter().all(named)
}

/// The same service in another environment: one file of ours holds both.
fn is_sibling(groups: &[Group<'_>], other: &Group<'_>) -> bool {
    let first = &groups[0];
    let (Some(_), Some(name)) = (first.environment(), other.environment()) else {
        return false;
    };
    let is_new = groups.iter().all(|group| group.environment() != Some(name));
    let same_tool = tools::by(&first.lead.tool) == tools::by(&other.lead.tool);
    if !is_new || !same_tool {
        return false;
    }
    // A reusable workflow is one job for all of them, whatever they are for.
    if first.job() == other.job() {
        return first.lead.at == other.lead.at;
    }
    let images = |group: &Group<'_>| {
        let images = group.rows.iter().flat_map(|row| &row.images);
        images
            .map(|own| own.image.text().to_owned())
            .collect::<Vec<_>>()
    };
    let (one, two) = (images(first), images(other));
    let same_images = one.iter().all(|image| two.contains(image));
    other.rank() != Rank::Preview && !one.is_empty() && same_images
}
