//! What the workflows that use us ask of the runners, of GitHub and of the folder that they run in.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli::Job;
use model::Outcome;
use proposal::guarded::{GuardedJob, jobs, runs};
use proposal::proposal::{is_of_every_own, is_own_runner};
use repository::joined;
use survey::{Deployment, Line, Step, Survey, Tool};
use yaml::Node;

use super::finding::{ALL, Finding};
use super::repository::Repository;

const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// A Compose file is shorter.
const MAX_FILE: u64 = 1 << 20;

pub(super) async fn look(job: &Job, repository: &Repository) -> Vec<Finding> {
    let Some(survey) = repository.survey() else {
        return Vec::new();
    };
    let guarded = jobs(survey);
    let mut findings = labels(survey, &guarded);
    findings.extend(environments(job, repository, &runs(survey)).await);
    findings.extend(unused_compose_files(job, survey));
    findings.extend(cleaned_away(survey, &guarded));
    findings
}

/// A job waits for a runner that has all of its labels. One that no other job asks for may be a runner that is not
/// there. A job that deploys besides our steps has the runner that it has always had.
fn labels(survey: &Survey, guarded: &[GuardedJob<'_>]) -> Vec<Finding> {
    let deploys = |path: &str, id: &str| {
        survey.deployments.iter().any(|one| {
            let workflow = survey.workflows.get(one.job.workflow);
            workflow.is_some_and(|workflow| {
                let job = workflow.jobs.get(one.job.job).filter(|job| job.id == id);
                let mut steps = job
                    .into_iter()
                    .flat_map(|job| one.steps.iter().filter_map(|nth| job.steps.get(*nth)));
                // An action of the repository may deploy and use us.
                let is_other = |step: &Step| step.own.is_none() || !step.actions.is_empty();
                workflow.path == path && steps.any(is_other)
            })
        })
    };
    let is_guarded = |path: &str, id: &str| {
        let ours = (guarded.iter()).any(|one| one.workflow.path == path && one.job.id == id);
        ours && !deploys(path, id)
    };
    let others = survey.workflows.iter().flat_map(|workflow| {
        let jobs = workflow.jobs.iter();
        jobs.filter(move |job| !is_guarded(&workflow.path, &job.id))
    });
    let others: Vec<&survey::Job> = others.collect();
    let known: BTreeSet<&str> = (others.iter().flat_map(|job| &job.labels))
        .filter_map(survey::Value::literal)
        .collect();
    let has_own = others.iter().any(|job| is_own_runner(job));
    let hosted = Hosted::new();
    let mut findings = Vec::new();
    // Which labels the runners of a group have, no workflow tells.
    for one in guarded.iter().filter(|one| !one.job.has_runner_group) {
        let at = one.line();
        if is_own_runner(one.job) {
            let is_unknown = |label: &&str| !known.contains(label) && !is_of_every_own(label);
            // Without another job for machines of one's own there is nothing to compare with.
            for label in one.labels().filter(is_unknown).filter(|_| has_own) {
                let outcome = Outcome::fail(format!("repository/label-{label}"), at.to_string())
                    .expected("labels that another job of this repository has, too")
                    .actual(format!("`{label}` is in no other job"))
                    .reason(format!("{at} waits for a runner with the label `{label}`, which no other workflow uses"))
                    .hint("use the labels of the job that deploys today; `gh api repos/{owner}/{repo}/actions/runners` lists the runners");
                findings.push(Finding::new(outcome, &ALL));
            }
            continue;
        }
        for label in one
            .labels()
            .filter(|label| !known.contains(label) && !hosted.has(label) && !is_of_a_service(label))
        {
            let outcome = Outcome::fail(format!("repository/label-{label}"), at.to_string())
                .expected("a runner of GitHub, or a label that another job has, too")
                .actual(format!("`{label}` is neither"))
                .reason(format!("{at} waits for `{label}`: a larger runner or a scale set that is called so, or one that does not exist"))
                .hint("if none is called so, use the labels of the job that deploys today; the organization's settings list larger runners and scale sets");
            findings.push(Finding::new(outcome, &[]));
        }
    }
    findings
}

/// Whether a service that rents runners out forms such labels. Its runners are no list of the repository.
fn is_of_a_service(label: &str) -> bool {
    let all = [
        "blacksmith-",
        "buildjet-",
        "depot-",
        "namespace-",
        "nscloud-",
        "ubicloud-",
        "warp-",
    ];
    let label = label.to_ascii_lowercase();
    all.iter().any(|one| label.starts_with(one))
}

/// The labels of GitHub's own runners, as its documentation forms them:
/// <https://docs.github.com/actions/reference/runners/github-hosted-runners>.
struct Hosted(Option<regex::Regex>);

impl Hosted {
    fn new() -> Hosted {
        let systems =
            r"ubuntu-(latest|slim|\d\d\.\d\d)|windows-(latest|20\d\d|\d\d)|macos-(latest|\d\d)";
        let sizes = r"-arm|-intel|-large|-xlarge|-\d+-?cores?";
        let form = format!("(?i)^({systems})({sizes})?$");
        Hosted(regex::Regex::new(&form).ok())
    }

    fn has(&self, label: &str) -> bool {
        self.0.as_ref().is_some_and(|form| form.is_match(label))
    }
}

/// GitHub makes an environment that a job names and that is not there: without secrets and without protection.
async fn environments(
    job: &Job,
    repository: &Repository,
    guarded: &[GuardedJob<'_>],
) -> Vec<Finding> {
    let written: Vec<(Line, String)> = guarded.iter().filter_map(|one| one.environment()).collect();
    let parsed = repository
        .name(job)
        .and_then(|name| github::Repository::parse(&name).ok());
    let (Some(parsed), false) = (parsed, written.is_empty()) else {
        return Vec::new();
    };
    let client = match job.github(None, QUERY_TIMEOUT, Instant::now() + QUERY_TIMEOUT) {
        Ok(client) if client.has_token() => client,
        _ => return Vec::new(),
    };
    let mut findings = Vec::new();
    let there = client.environments(&parsed).await;
    let mut told = BTreeSet::new();
    for (at, name) in written {
        if !told.insert(name.clone()) {
            continue;
        }
        let outcome = |outcome: fn(String, String) -> Outcome| {
            outcome(format!("repository/environment-{name}"), at.to_string())
                .expected("an environment of this repository")
        };
        let outcome = match &there {
            // Names of environments know no case.
            Ok(names) if names.iter().any(|one| one.eq_ignore_ascii_case(&name)) => {
                outcome(Outcome::pass).actual("one")
            }
            Ok(names) => outcome(Outcome::fail)
                .actual(format!("`{name}` is not one of: {}", names.join(", ")))
                .reason(format!(
                    "{at} names the environment `{name}`, which does not exist: GitHub would make it, without secrets and without protection"
                ))
                .hint("write the name of one that exists, or make it under Settings, Environments"),
            Err(error) => outcome(Outcome::error)
                .actual("not known")
                .reason(format!("the environments could not be listed: {error}"))
                .hint(error.hint()),
        };
        // Where the list cannot be read, nothing is known to be wrong.
        let stops: &[_] = if there.is_ok() { &ALL } else { &[] };
        findings.push(Finding::new(outcome, stops));
    }
    findings
}

/// A Compose file that the configuration names, while the workflows deploy with others.
fn unused_compose_files(job: &Job, survey: &Survey) -> Vec<Finding> {
    let back = job
        .config
        .rollback()
        .ok()
        .flatten()
        .and_then(|back| back.compose.as_ref());
    let files: Vec<String> = (back.into_iter().flat_map(|target| &target.files))
        .map(|file| file.display().to_string())
        .collect();
    let used: Vec<String> = (survey.deployments.iter())
        .filter_map(|one| match &one.tool {
            Tool::Compose(call) => Some((one, call)),
            _ => None,
        })
        .flat_map(|(one, call)| {
            call.known_files
                .iter()
                .map(move |file| format!("{file} ({})", one.at))
        })
        .collect();
    let mut findings = Vec::new();
    for file in files {
        let unused = survey
            .unused
            .iter()
            .find(|one| one.path == file || one.path.ends_with(&format!("/{file}")));
        let Some(unused) = unused else {
            continue;
        };
        let instead = if used.is_empty() {
            String::new()
        } else {
            format!(": they deploy with {}", used.join(", "))
        };
        let outcome = Outcome::fail(format!("repository/compose-{file}"), &unused.path)
            .expected("a Compose file that a workflow deploys with")
            .actual("no workflow uses it")
            .reason(format!(
                "`rollback.compose.files` names {file}, which no workflow uses{instead}"
            ))
            .hint("name the files that the deployment names with `-f`, in the same order");
        findings.push(Finding::new(outcome, &[model::StageName::Rollback]));
    }
    findings
}

/// Files that the project needs, that Git does not have, and that a checkout deletes before each run.
fn cleaned_away(survey: &Survey, guarded: &[GuardedJob<'_>]) -> Vec<Finding> {
    let mut own = guarded.iter().filter(|one| one.is_on_own_runner());
    let Some((one, at)) = own.find_map(|one| Some((one, one.cleans()?))) else {
        return Vec::new();
    };
    let here = survey
        .deployments
        .iter()
        .filter(|deployment| deployment.login.is_none() && is_in_checkout(deployment));
    let mut findings = Vec::new();
    for deployment in here {
        let Tool::Compose(call) = &deployment.tool else {
            continue;
        };
        // Compose reads paths from the folder of the first file.
        let first = call.known_files.first();
        let folder = first.and_then(|file| Some(file.rsplit_once('/')?.0));
        // `--env-file` is from where it is called, and then no other is read for variables.
        let called_in = deployment.folder.as_ref().map_or("", |it| &it.value);
        let named = call.env_files.iter();
        let mut env_files: Vec<String> = named
            .filter_map(|file| joined(called_in, file.value.trim_start_matches("./")))
            .collect();
        if call.env_files.is_empty() {
            env_files.extend(joined(folder.unwrap_or_default(), ".env"));
        }
        for file in &call.known_files {
            for (path, line) in
                local_paths(&survey.root, file, folder.unwrap_or_default(), &env_files)
            {
                if is_tracked(&survey.root, &path) != Some(false) || one.writes(&path) {
                    continue;
                }
                let outcome = Outcome::fail(format!("repository/checkout-{path}"), at.to_string())
                    .expected("a checkout that deletes nothing that the project needs")
                    .actual(format!("{path} is not in Git ({file}:{line})"))
                    .reason(format!(
                        "the checkout of {at} deletes {path} before each run: Git does not have it, and {file}:{line} uses it"
                    ))
                    .hint("add `clean: false` to the checkout's `with:`, or keep it outside the checkout");
                findings.push(Finding::new(outcome, &ALL));
            }
        }
    }
    findings
}

/// Whether the runner calls the tool within what it has checked out.
fn is_in_checkout(deployment: &Deployment) -> bool {
    let folder = deployment.folder.as_ref();
    folder.is_none_or(|folder| !folder.value.starts_with(['/', '~', '$']))
}

/// The relative paths that a Compose file mounts or reads, from the root, with their lines. `folder` is what they are
/// relative to; `env_files` are from the root.
fn local_paths(
    root: &Path,
    file: &str,
    folder: &str,
    env_files: &[String],
) -> Vec<(String, usize)> {
    let Ok(whole) = files::read_text(&root.join(file), MAX_FILE) else {
        return Vec::new();
    };
    let Ok(tree) = Node::parse_foreign(&whole) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let in_line = |node: &Node| whole[..node.place.start].matches('\n').count() + 1;
    // Compose reads them for the variables of the file.
    if let Some(at) = whole.find("${") {
        let there = env_files.iter().filter(|path| root.join(path).is_file());
        let line = whole[..at].matches('\n').count() + 1;
        found.extend(there.map(|path| (path.clone(), line)));
    }
    for section in ["secrets", "configs"] {
        for (_, one) in tree.get(section).map_or(&[][..], Node::entries) {
            let file = one.get("file");
            let text = file.and_then(Node::text).unwrap_or_default();
            let path = joined(folder, text.trim_start_matches("./"));
            let is_plain = !text.is_empty() && !text.starts_with(['/', '~', '$']);
            if let (Some(file), Some(path), true) = (file, path, is_plain) {
                found.push((path, in_line(file)));
            }
        }
    }
    for (_, service) in tree.get("services").map_or(&[][..], Node::entries) {
        let mounts = service.get("volumes").map_or(&[][..], Node::items);
        let mounts = mounts
            .iter()
            .map(|mount| mount.get("source").unwrap_or(mount));
        let mounts = mounts.filter(|mount| mount.text().is_some_and(|text| text.starts_with("./")));
        let env = service.get("env_file").into_iter().flat_map(|env| {
            let items = env
                .items()
                .iter()
                .map(|item| item.get("path").unwrap_or(item));
            items.chain([env])
        });
        for node in mounts.chain(env) {
            let Some(text) = node.text() else {
                continue;
            };
            let path = text.split(':').next().unwrap_or_default();
            let path = path.trim_start_matches("./").trim_end_matches('/');
            let plain = !path.is_empty() && !path.starts_with(['/', '~', '.', '$'])
                || path.starts_with(".env");
            let number = in_line(node);
            let path = joined(folder, path).filter(|_| plain);
            if let Some(path) = path.filter(|path| !found.iter().any(|(known, _)| known == path)) {
                found.push((path, number));
            }
        }
    }
    found
}

/// Whether Git has the file or something below the folder. Its index alone is asked: no hook and no monitor runs.
fn is_tracked(root: &Path, path: &str) -> Option<bool> {
    let git = which::which("git").ok()?;
    let output = Command::new(git)
        .arg("-C")
        .arg(root)
        .args(["-c", "core.fsmonitor=false", "ls-files", "-z", "--"])
        .arg(format!(":(top,literal){path}"))
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(!output.stdout.is_empty())
}
