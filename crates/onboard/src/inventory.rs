//! What the repository contains. It is only read, within bounds, and none of its programs is run.

mod compose;
mod task;
mod unit;
mod workflow;

use std::path::{Path, PathBuf};

use repository::{Repository, ends_in, is_compose_file};
use survey::Survey;
use survey::compose::Check;

pub(crate) use compose::{Compose, Service, images};
pub(crate) use task::Task;
pub(crate) use unit::Unit;
pub(crate) use workflow::Workflow;

/// What was found, the nearest to the root first.
#[derive(Debug, Default)]
pub(crate) struct RepositoryFacts {
    /// Where the files will be written: the repository's root.
    pub(crate) root: PathBuf,
    /// The folder that was looked at, from the root; empty for all of it.
    pub(crate) below: PathBuf,
    pub(crate) git: bool,
    /// `owner/name` at the end of `origin`'s address.
    pub(crate) origin: Option<String>,
    pub(crate) workflows: Vec<Workflow>,
    pub(crate) compose: Vec<Compose>,
    /// Dockerfiles, and the health check of each.
    pub(crate) dockerfiles: Vec<(String, Option<Check>)>,
    pub(crate) units: Vec<Unit>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) migrations: Vec<String>,
    /// Programs that deploy, by their names.
    pub(crate) scripts: Vec<String>,
    /// What could not be read, and why.
    pub(crate) passed_over: Vec<String>,
}

/// Looks at the folder that was surveyed, and at those below it.
pub(crate) fn look(survey: &Survey) -> std::io::Result<RepositoryFacts> {
    let repository = Repository::of(&survey.root.join(&survey.below))?;
    let mut seen = RepositoryFacts {
        root: survey.root.clone(),
        below: survey.below.clone(),
        git: survey.git,
        origin: survey.origin.clone(),
        workflows: survey.workflows.iter().map(Workflow::of).collect(),
        ..RepositoryFacts::default()
    };
    let is_below = |path: &&String| Path::new(path).starts_with(&survey.below);
    let folders = repository.folders.iter().filter(is_below);
    seen.migrations = folders
        .filter(|path| migration_tools::is_folder(path))
        .cloned()
        .collect();
    for path in repository.files.iter().filter(is_below) {
        file(&repository, path, &mut seen);
    }
    // What of the workflows cannot be read is the survey's to tell.
    seen.passed_over.clone_from(&survey.passed_over);
    for note in repository.passed_over.take() {
        if !seen.passed_over.contains(&note) {
            seen.passed_over.push(note);
        }
    }
    Ok(seen)
}

fn is_dockerfile(name: &str) -> bool {
    name == "Dockerfile" || name == "Containerfile" || name.starts_with("Dockerfile.")
}

fn file(repository: &Repository, path: &str, seen: &mut RepositoryFacts) {
    let name = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with(".github/") {
        return;
    }
    if matches!(name, "deploy.sh" | "deploy") {
        seen.scripts.push(path.to_owned());
    } else if is_compose_file(name) {
        if survey::compose::is_developers(name) {
            repository.pass_over(path, "it is for development, and not used here");
        } else if !name.contains("deploy-guard") {
            seen.compose.extend(compose::read(repository, path));
        }
    } else if is_dockerfile(name) {
        let check = survey::compose::of_dockerfile(repository, path);
        let check = check.map(|check| check.value);
        seen.dockerfiles.push((path.to_owned(), check));
    } else if ends_in(name, &["service"]) {
        let text = repository.text(path);
        seen.units
            .extend(text.and_then(|text| unit::unit(path.to_owned(), name, &text)));
    } else if ends_in(name, &["json"]) && name.contains("task") {
        let Some(text) = repository.text(path) else {
            return;
        };
        match serde_json::from_str(&text) {
            Ok(json) => seen.tasks.extend(task::read(path.to_owned(), &json)),
            Err(error) => repository.pass_over(path, &format!("no JSON: {error}")),
        }
    } else if path == "Makefile"
        && let Some(text) = repository.text(path)
        && text.lines().any(|line| line.starts_with("deploy:"))
    {
        seen.scripts.push("make deploy".to_owned());
    }
}

impl RepositoryFacts {
    pub(super) fn is_empty(&self) -> bool {
        self.workflows.is_empty()
            && self.compose.is_empty()
            && self.dockerfiles.is_empty()
            && self.units.is_empty()
            && self.tasks.is_empty()
            && self.migrations.is_empty()
            && self.scripts.is_empty()
    }
}
