//! The files of the repository, read within bounds. None of its programs is run, and Git is not asked: a
//! repository's own settings may name programs that it would start.

mod compose;
pub mod makefile;
pub mod package_json;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

pub use compose::is_compose_file;

/// A file that tells how something is deployed is shorter.
const MAX_FILE: u64 = 1 << 20;
/// Deeper, and in larger repositories than this, the rest is not looked at.
const MAX_DEPTH: usize = 6;
const MAX_ENTRIES: usize = 20_000;

/// The repository, and what could not be read of it.
#[derive(Debug)]
pub struct Repository {
    pub root: PathBuf,
    /// The folder that was looked at, from the root.
    pub below: PathBuf,
    pub git: bool,
    /// Files from the root, the nearest to it first.
    pub files: Vec<String>,
    /// Folders, likewise.
    pub folders: Vec<String>,
    /// The same files, to be asked for one.
    known: BTreeSet<String>,
    texts: RefCell<BTreeMap<String, Option<String>>>,
    trees: RefCell<BTreeMap<String, Option<Rc<yaml::Node>>>>,
    pub passed_over: RefCell<Vec<String>>,
}

impl Repository {
    /// Finds the repository that a folder belongs to, and lists its files.
    pub fn of(folder: &Path) -> std::io::Result<Repository> {
        let folder = folder.canonicalize()?;
        let root = (folder.ancestors()).find(|above| above.join(".git").symlink_metadata().is_ok());
        let git = root.is_some();
        let root = root.unwrap_or(&folder).to_owned();
        let below = folder.strip_prefix(&root).unwrap_or(Path::new(""));
        let mut repository = Repository {
            below: below.to_owned(),
            root,
            git,
            files: Vec::new(),
            folders: Vec::new(),
            known: BTreeSet::new(),
            texts: RefCell::default(),
            trees: RefCell::default(),
            passed_over: RefCell::default(),
        };
        repository.list();
        repository.known = repository.files.iter().cloned().collect();
        Ok(repository)
    }

    /// Breadth first: what is nearer to the root is more likely meant.
    fn list(&mut self) {
        let mut folders = VecDeque::from([(String::new(), 0)]);
        let mut entries = 0;
        while let Some((folder, depth)) = folders.pop_front() {
            for name in names(&self.root.join(&folder)) {
                entries += 1;
                if entries > MAX_ENTRIES {
                    let note = format!("more than {MAX_ENTRIES} files: the rest was not looked at");
                    self.passed_over.borrow_mut().push(note);
                    return;
                }
                let path = if folder.is_empty() {
                    name.clone()
                } else {
                    format!("{folder}/{name}")
                };
                // A link may lead out of the repository.
                let Ok(meta) = self.root.join(&path).symlink_metadata() else {
                    continue;
                };
                if meta.is_dir() && depth < MAX_DEPTH && is_of_interest(&name) {
                    self.folders.push(path.clone());
                    folders.push_back((path, depth + 1));
                } else if meta.is_file() {
                    if path.chars().any(char::is_control) {
                        self.pass_over(&path, "its name cannot be written into a file");
                    } else {
                        self.files.push(path);
                    }
                } else if meta.is_symlink() && is_told_of(&name) {
                    self.pass_over(&path, "a link: what it leads to is found where it is");
                }
            }
        }
    }

    pub fn has(&self, path: &str) -> bool {
        self.known.contains(path)
    }

    /// The text of a file, by its path from the root; `None` where it is not there or cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        if !self.has(path) {
            return None;
        }
        if let Some(text) = self.texts.borrow().get(path) {
            return text.clone();
        }
        let text = match files::read_text(&self.root.join(path), MAX_FILE) {
            Ok(text) => Some(text),
            Err(error) => {
                self.pass_over(path, &error.to_string());
                None
            }
        };
        (self.texts.borrow_mut()).insert(path.to_owned(), text.clone());
        text
    }

    /// The tree of a YAML file.
    pub fn tree(&self, path: &str) -> Option<Rc<yaml::Node>> {
        if let Some(tree) = self.trees.borrow().get(path) {
            return tree.clone();
        }
        let text = self.text(path)?;
        let tree = match yaml::Node::parse_foreign(&text) {
            Ok(tree) => Some(Rc::new(tree)),
            Err(fault) => {
                let before = fault.place.and_then(|place| text.get(..place.start));
                let at = before.map_or_else(String::new, |before| {
                    format!("line {}: ", before.matches('\n').count() + 1)
                });
                self.pass_over(path, &format!("{at}{}", fault.message));
                None
            }
        };
        self.trees
            .borrow_mut()
            .insert(path.to_owned(), tree.clone());
        tree
    }

    pub fn pass_over(&self, path: &str, reason: &str) {
        let path: String = path.chars().flat_map(char::escape_default).collect();
        let reason = reason.lines().next().unwrap_or_default();
        let note = format!("{path}: {reason}");
        let mut all = self.passed_over.borrow_mut();
        if !all.contains(&note) {
            all.push(note);
        }
    }

    /// `owner/name` at the end of `origin`'s address.
    pub fn origin(&self) -> Option<String> {
        let text = files::read_text(&self.root.join(".git/config"), MAX_FILE).ok()?;
        let lines = text.lines().map(str::trim);
        let lines = lines.skip_while(|line| *line != r#"[remote "origin"]"#);
        let mut keys = lines.skip(1).take_while(|line| !line.starts_with('['));
        let url = keys.find_map(|line| line.strip_prefix("url")?.trim_start().strip_prefix('='))?;
        let name = url.trim().trim_end_matches('/').trim_end_matches(".git");
        let mut parts = name.rsplit(['/', ':']);
        let (name, owner) = (parts.next()?, parts.next()?);
        let good = |text: &str| {
            !text.is_empty()
                && text.len() <= 100
                && (text.chars()).all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        (good(name) && good(owner)).then(|| format!("{owner}/{name}"))
    }
}

/// Whether a file's name ends so: `yml`.
pub fn ends_in(path: &str, ends: &[&str]) -> bool {
    path.rsplit_once('.')
        .is_some_and(|(_, end)| ends.contains(&end))
}

/// A path with `.` and `..` resolved; `None` where it leads out of the repository.
pub fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    let whole = Path::new(folder).join(path);
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
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
    let hidden = name.starts_with('.')
        && !matches!(
            name,
            ".github" | ".aws" | ".ecs" | ".deploy" | ".docker" | ".kamal" | ".k8s"
        );
    !hidden && !BUILT.contains(&name)
}

/// A link of this name is worth a word.
fn is_told_of(name: &str) -> bool {
    name.contains("compose") || name.contains("deploy") || name == "Dockerfile"
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
