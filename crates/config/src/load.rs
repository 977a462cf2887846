//! Finds the file, reads it within bounds, and turns it into a [`Config`].

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::check::check;
use crate::error::{Error, Fault, listed, nearest};
use crate::file::Config;
use crate::interpolate::{Variables, resolve};
use crate::node::{Kind, Node};
use crate::secrets::{self, Secrets};

/// Where the file is looked for when nobody names it.
pub const PLACES: &[&str] = &[
    "deploy-guard.yml",
    "deploy-guard.yaml",
    ".github/deploy-guard.yml",
    ".github/deploy-guard.yaml",
];

/// Far more than a configuration needs.
const MAX_SIZE: u64 = 1 << 20;

/// A part of the file that a stage uses: there every `${NAME}` must be set. Of `hosts:` only those
/// that such a part names must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Hosts,
    Github,
    Runners,
    Preflight,
    RunnerCheck,
    Healthgate,
    Rollback,
    Deploy,
}

impl Section {
    /// In the order of the reference.
    pub const ALL: [Section; 8] = [
        Section::Hosts,
        Section::Github,
        Section::Runners,
        Section::Preflight,
        Section::RunnerCheck,
        Section::Healthgate,
        Section::Rollback,
        Section::Deploy,
    ];

    fn of(key: &str) -> Option<Section> {
        Section::ALL
            .into_iter()
            .find(|section| section.key() == key)
    }

    pub(crate) fn key(self) -> &'static str {
        match self {
            Section::Hosts => "hosts",
            Section::Github => "github",
            Section::Runners => "runners",
            Section::Preflight => "preflight",
            Section::RunnerCheck => "runner-check",
            Section::Healthgate => "healthgate",
            Section::Rollback => "rollback",
            Section::Deploy => "deploy",
        }
    }
}

/// What to load, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Named by the caller; else [`PLACES`] below `folder`.
    pub path: Option<&'a Path>,
    pub folder: &'a Path,
    pub environment: Option<&'a str>,
    pub variables: Variables<'a>,
    pub sections: &'a [Section],
}

/// A configuration that was checked as a whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Where it was read from; `None` if there is no file.
    pub path: Option<PathBuf>,
    /// What is redacted.
    pub secrets: Secrets,
    /// Names of all variables that stand in it as `${NAME}`, or that a `*-env` key names.
    pub variables: BTreeSet<String>,
}

/// A configuration that cannot be used, and the secrets that its message may hold.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    /// As in [`Loaded::secrets`], as far as the file could be read.
    pub secrets: Secrets,
}

/// Reads the configuration. No file at all is an empty configuration; a file that was named and
/// is not there is an error.
pub fn load(request: Request<'_>) -> Result<Loaded, Refusal> {
    let found = match request.path {
        Some(path) => Some(path.to_owned()),
        None => PLACES
            .iter()
            .map(|place| request.folder.join(place))
            .find(|path| path.is_file()),
    };
    let mut secrets = secrets::without_file();
    let Some(path) = found else {
        let config = Config {
            version: 1,
            ..Config::default()
        };
        return Ok(Loaded {
            config,
            path: None,
            secrets,
            variables: BTreeSet::new(),
        });
    };
    let text = match read(&path) {
        Ok(text) => text,
        Err(error) => return Err(Refusal { error, secrets }),
    };
    // The error of a file that is no YAML shows its line.
    secrets.literals = secrets::in_words(&text).literals;
    let mut variables = BTreeSet::new();
    let config = Node::parse(&text).map_err(Problem::from).and_then(|tree| {
        secrets = secrets::of(&tree);
        variables = secrets::used(&tree);
        interpret(tree, request)
    });
    match config {
        Ok(config) => Ok(Loaded {
            config,
            path: Some(path),
            secrets,
            variables,
        }),
        Err(problem) => {
            let error = match problem {
                Problem::Fault(fault) => fault.into_error(shown(&path, request.folder), &text),
                Problem::Environment { name, hint } => Error::UnknownEnvironment { name, hint },
            };
            Err(Refusal { error, secrets })
        }
    }
}

/// The path as a person would type it.
fn shown<'p>(path: &'p Path, folder: &Path) -> &'p Path {
    path.strip_prefix(folder).unwrap_or(path)
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: String, hint: &str| Error::Unreadable {
        path: path.to_owned(),
        reason,
        hint: hint.to_owned(),
    };
    let missing = "name another with `--config FILE`";
    // A shell that hands over what it makes, `<(…)`, has opened its pipe already.
    let handed = ["/dev/fd/", "/dev/stdin", "/proc/self/fd/"];
    let read = if handed.iter().any(|start| path.starts_with(start)) {
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
        read.map(|_| bytes)
    } else {
        files::read(path, MAX_SIZE)
    };
    let large = || unreadable("it is larger than 1 MiB".into(), "is it the right file?");
    let bytes = read.map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => large(),
        _ if path.is_dir() => unreadable("it is a folder".into(), missing),
        _ => unreadable(error.to_string(), missing),
    })?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(large());
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| unreadable(format!("not UTF-8: {error}"), "save it as UTF-8"))?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

enum Problem {
    Fault(Fault),
    Environment { name: String, hint: String },
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Problem::Fault(fault)
    }
}

fn interpret(mut base: Node, request: Request<'_>) -> Result<Config, Problem> {
    let environments = base.remove("environments");
    let parts = environments.as_ref().map(Node::entries).unwrap_or_default();
    if let Some(name) = request.environment {
        known_environment(name, parts.iter().map(|(key, _)| key.name.as_str()))?;
    }
    // The environments that are not selected are checked too: the day on which one is needed is
    // no day to learn of a typo.
    for (key, part) in parts {
        if request.environment != Some(key.name.as_str()) {
            typed(
                base.clone().merged(part.clone()),
                Request {
                    sections: &[],
                    ..request
                },
            )?;
        }
    }
    let selected = parts
        .iter()
        .find(|(key, _)| Some(key.name.as_str()) == request.environment);
    let merged = match selected {
        Some((_, part)) => base.merged(part.clone()),
        None => base,
    };
    let mut config = typed(merged, request)?;
    config.environments = parts
        .iter()
        .map(|(key, _)| (key.name.clone(), crate::file::Overlay))
        .collect();
    Ok(config)
}

/// A file that has environments has no other: what is meant for one of them must not run with the
/// values of none.
fn known_environment<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Result<(), Problem> {
    let known: Vec<&str> = known.collect();
    if known.is_empty() || known.contains(&name) {
        return Ok(());
    }
    let hint = match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the file has: {}", listed(&known)),
    };
    let name = name.to_owned();
    Err(Problem::Environment { name, hint })
}

/// Resolves variables, decodes and checks. What holds a variable that is not set, in a part that is
/// not used, is checked with stand-ins and is then left out: [`Config::unresolved`].
fn typed(mut tree: Node, request: Request<'_>) -> Result<Config, Fault> {
    let used = |key: &str| {
        let section = Section::of(key);
        !request.sections.is_empty() && section.is_none_or(|one| request.sections.contains(&one))
    };
    let hosts = hosts_in_use(&tree, |key| used(key) && key != Section::Hosts.key());
    if let Kind::Map(entries) = &mut tree.kind {
        for (key, value) in entries {
            let mut path = vec![key.name.clone()];
            match &mut value.kind {
                Kind::Map(all) if key.name == Section::Hosts.key() => {
                    for (name, host) in all {
                        let strict = hosts.contains(&name.name);
                        resolve(host, &mut path, request.variables, strict)?;
                    }
                }
                _ => resolve(value, &mut path, request.variables, used(&key.name))?,
            }
        }
    }
    loop {
        let Err(fault) = checked(&tree) else { break };
        // What the variable would have stood for is not known, so a plausible value takes its place
        // and the rest is checked.
        let place = fault.place.clone();
        match place.and_then(|place| substitute(&mut tree, &place)) {
            None => return Err(fault),
            Some(Substituted::Next) => {}
            // Nothing plausible is one of a few words; a stage that uses the section checks it.
            Some(Substituted::Exhausted) => break,
        }
    }
    let unresolved = remove_unresolved(&mut tree);
    // Not checked again: what was left out may be named elsewhere.
    let config = tree.decode::<Config>()?;
    Ok(Config {
        unresolved,
        ..config
    })
}

fn checked(tree: &Node) -> Result<Config, Fault> {
    let config = tree.decode::<Config>()?;
    check(&config, tree)?;
    Ok(config)
}

/// The hosts that parts in use name, and those that these are reached through.
fn hosts_in_use(tree: &Node, used: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let hosts = tree.get(Section::Hosts.key()).map(Node::entries);
    let hosts = hosts.unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut texts = Vec::new();
    for (key, value) in tree.entries() {
        if used(&key.name) {
            value.texts(&mut texts);
        }
    }
    while let Some(text) = texts.pop() {
        for (name, host) in hosts {
            let name = name.name.as_str();
            let address = |rest: &str| rest.strip_prefix(name).is_some_and(|r| r.starts_with('/'));
            let selected = text == name || text == "all" || model::glob(text, name);
            let named = selected || text.strip_prefix("ssh://").is_some_and(address);
            if named && found.insert(name.to_owned()) {
                host.texts(&mut texts);
            }
        }
    }
    found
}

/// Takes out what holds a variable that is not set: of lists of kinds and of things with names the
/// one, of other sections the whole. The paths of what was taken out.
fn remove_unresolved(tree: &mut Node) -> BTreeSet<String> {
    const BY_NAME: [Section; 3] = [Section::Hosts, Section::Runners, Section::Preflight];
    let mut removed = BTreeSet::new();
    let Kind::Map(entries) = &mut tree.kind else {
        return removed;
    };
    entries.retain_mut(|(key, value)| {
        if !value.is_unresolved() {
            return true;
        }
        let by_name = Section::of(&key.name).is_some_and(|section| BY_NAME.contains(&section));
        match &mut value.kind {
            Kind::Map(entries) if by_name => {
                entries.retain(|(name, value)| {
                    let keep = !value.is_unresolved();
                    if !keep {
                        removed.insert(format!("{}.{}", key.name, name.name));
                    }
                    keep
                });
                true
            }
            _ => {
                removed.insert(key.name.clone());
                false
            }
        }
    });
    removed
}

/// Values of which one suits every kind of key.
const PLAUSIBLE: &[&str] = &[
    "1",
    "1s",
    "http://localhost/",
    ".",
    "linux/amd64",
    "sha256:0000000000000000000000000000000000000000000000000000000000000000",
];

enum Substituted {
    Next,
    Exhausted,
}

/// Puts the next plausible value at this place; `None` if what is there is resolved.
fn substitute(node: &mut Node, place: &crate::node::Place) -> Option<Substituted> {
    match &mut node.kind {
        Kind::Scalar(scalar) => {
            if !scalar.unresolved || node.place != *place {
                return None;
            }
            let next = PLAUSIBLE
                .iter()
                .position(|text| *text == scalar.text)
                .map_or(0, |at| at + 1);
            let Some(text) = PLAUSIBLE.get(next) else {
                return Some(Substituted::Exhausted);
            };
            scalar.text = (*text).to_owned();
            scalar.expanded = true;
            Some(Substituted::Next)
        }
        Kind::List(items) => items.iter_mut().find_map(|item| substitute(item, place)),
        Kind::Map(entries) => entries
            .iter_mut()
            .find_map(|(_, value)| substitute(value, place)),
    }
}
