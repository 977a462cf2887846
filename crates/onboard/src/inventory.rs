//! What the repository contains. It is only read, within bounds, and none of its programs is run.

mod compose;
mod machine;
mod task;
mod workflow;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) use compose::{Compose, Health, Service, images};
pub(crate) use machine::{Unit, Upstream};
pub(crate) use task::Task;
pub(crate) use workflow::Workflow;

/// A file that says how something is deployed is shorter.
const MAX_FILE: u64 = 1 << 20;
/// Deeper, and in larger repositories than this, the rest is not looked at.
const MAX_DEPTH: usize = 5;
const MAX_ENTRIES: usize = 20_000;

/// What was found, the nearest to the root first.
#[derive(Debug, Default)]
pub(crate) struct Seen {
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
    pub(crate) dockerfiles: Vec<(String, Option<Health>)>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) units: Vec<Unit>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) migrations: Vec<String>,
    /// Programs that deploy, by their names.
    pub(crate) scripts: Vec<String>,
    /// What could not be read, and why.
    pub(crate) passed_over: Vec<String>,
}

/// Looks at a folder, and finds the repository that it belongs to.
pub(crate) fn look(folder: &Path) -> std::io::Result<Seen> {
    let folder = folder.canonicalize()?;
    let root = folder
        .ancestors()
        .find(|above| above.join(".git").symlink_metadata().is_ok());
    let git = root.is_some();
    let root = root.unwrap_or(&folder).to_owned();
    let below = folder.strip_prefix(&root).unwrap_or(Path::new(""));
    let mut seen = Seen {
        origin: origin(&root),
        below: below.to_owned(),
        git,
        ..Seen::default()
    };
    let workflows = root.join(".github/workflows");
    for name in names(&workflows) {
        let path = format!(".github/workflows/{name}");
        if is_yaml(&name)
            && let Some(tree) = seen.yaml(&root, &path)
        {
            seen.workflows.push(workflow::read(path, &tree));
        }
    }
    walk(&root, below, &mut seen);
    seen.root = root;
    Ok(seen)
}

/// Breadth first: what lies nearer to the root is more likely meant.
fn walk(root: &Path, below: &Path, seen: &mut Seen) {
    let mut folders = VecDeque::from([(below.to_owned(), 0)]);
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop_front() {
        for name in names(&root.join(&folder)) {
            entries += 1;
            if entries > MAX_ENTRIES {
                let note = format!("more than {MAX_ENTRIES} files: the rest was not looked at");
                seen.passed_over.push(note);
                return;
            }
            let path = folder.join(&name);
            // A link may lead out of the repository.
            let Ok(meta) = root.join(&path).symlink_metadata() else {
                continue;
            };
            let Some(text) = path.to_str().map(str::to_owned) else {
                continue;
            };
            if meta.is_dir() {
                if is_migrations(&name, &text) {
                    seen.migrations.push(text);
                } else if depth < MAX_DEPTH && is_of_interest(&name) {
                    folders.push_back((path, depth + 1));
                }
            } else if meta.is_symlink() && of_a_kind(&name) {
                seen.pass_over(&text, "a link: what it leads to is found where it is");
            } else if meta.is_file() && of_a_kind(&name) {
                if text.chars().any(char::is_control) {
                    seen.pass_over(&text, "its name cannot be written into a file");
                } else {
                    file(root, text, &name, seen);
                }
            }
        }
    }
}

fn is_of_interest(name: &str) -> bool {
    const BUILT: [&str; 9] = [
        "node_modules",
        "vendor",
        "target",
        "dist",
        "venv",
        "__pycache__",
        "third_party",
        "site-packages",
        "testdata",
    ];
    let hidden = name.starts_with('.') && !matches!(name, ".aws" | ".ecs" | ".deploy");
    !hidden && !BUILT.contains(&name)
}

/// Rails, Alembic, Prisma, Django, Flyway and the many that say `migrations`.
fn is_migrations(name: &str, path: &str) -> bool {
    matches!(name, "migrations" | "alembic" | "flyway" | "liquibase")
        || path.ends_with("db/migrate")
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

fn is_yaml(name: &str) -> bool {
    has_extension(name, "yml") || has_extension(name, "yaml")
}

fn is_dockerfile(name: &str) -> bool {
    name == "Dockerfile" || name == "Containerfile" || name.starts_with("Dockerfile.")
}

fn is_task(name: &str) -> bool {
    has_extension(name, "json") && name.contains("task")
}

fn of_a_kind(name: &str) -> bool {
    compose::is_one(name)
        || compose::is_developers(name)
        || is_dockerfile(name)
        || has_extension(name, "conf")
        || has_extension(name, "service")
        || is_task(name)
        || matches!(name, "deploy.sh" | "deploy" | "Makefile")
}

fn file(root: &Path, path: String, name: &str, seen: &mut Seen) {
    if matches!(name, "deploy.sh" | "deploy") {
        seen.scripts.push(path);
        return;
    }
    if compose::is_developers(name) {
        seen.pass_over(&path, "it is for development, and not used here");
        return;
    }
    if compose::is_one(name) {
        if let Some(tree) = seen.yaml(root, &path) {
            match compose::read(path.clone(), &tree) {
                Ok(compose) => seen.compose.push(compose),
                Err(unused) => seen.pass_over(&path, &unused.to_string()),
            }
        }
        return;
    }
    let Some(text) = seen.text(root, &path) else {
        return;
    };
    if is_dockerfile(name) {
        seen.dockerfiles.push((path, compose::dockerfile(&text)));
    } else if has_extension(name, "conf") {
        seen.upstreams.extend(machine::upstream(path, &text));
    } else if has_extension(name, "service") {
        seen.units.extend(machine::unit(path, name, &text));
    } else if is_task(name) {
        match serde_json::from_str(&text) {
            Ok(json) => seen.tasks.extend(task::read(path, &json)),
            Err(error) => seen.pass_over(&path, &format!("no JSON: {error}")),
        }
    } else if text.lines().any(|line| line.starts_with("deploy:")) && !path.contains('/') {
        seen.scripts.push("make deploy".to_owned());
    }
}

impl Seen {
    fn pass_over(&mut self, path: &str, reason: &str) {
        let path: String = path.chars().flat_map(char::escape_default).collect();
        let reason = reason.lines().next().unwrap_or_default();
        self.passed_over.push(format!("{path}: {reason}"));
    }

    fn text(&mut self, root: &Path, path: &str) -> Option<String> {
        match read(&root.join(path)) {
            Ok(text) => Some(text),
            Err(error) => {
                self.pass_over(path, &error.to_string());
                None
            }
        }
    }

    fn yaml(&mut self, root: &Path, path: &str) -> Option<Value> {
        let text = self.text(root, path)?;
        match yaml::read(&text) {
            Ok(tree) => Some(tree),
            Err(fault) => {
                self.pass_over(path, &fault.message);
                None
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    files::read_text(path, MAX_FILE)
}

/// The names in a folder, in order; those that are not UTF-8 are left out.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .take(MAX_ENTRIES)
        .collect();
    names.sort();
    names
}

/// The repository, as `origin` says. Git is not asked: a repository's own settings may name
/// programs that it would start.
fn origin(root: &Path) -> Option<String> {
    let text = read(&root.join(".git/config")).ok()?;
    let lines = text
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != r#"[remote "origin"]"#);
    let mut keys = lines.skip(1).take_while(|line| !line.starts_with('['));
    let url = keys.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='))?;
    let name = url.trim().trim_end_matches('/').trim_end_matches(".git");
    let mut parts = name.rsplit(['/', ':']);
    let (name, owner) = (parts.next()?, parts.next()?);
    (!name.is_empty()).then(|| format!("{owner}/{name}"))
}

impl Seen {
    pub(super) fn is_empty(&self) -> bool {
        self.workflows.is_empty()
            && self.compose.is_empty()
            && self.dockerfiles.is_empty()
            && self.upstreams.is_empty()
            && self.units.is_empty()
            && self.tasks.is_empty()
            && self.migrations.is_empty()
            && self.scripts.is_empty()
    }
}
