//! Finds the file, reads it within bounds, and turns it into a [`Config`].

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::check::check;
use crate::error::{Error, Fault, nearest};
use crate::file::Config;
use crate::interpolate::{Variables, resolve};
use crate::node::{Kind, Node};
use crate::secrets;

/// Where the file is looked for when nobody names it.
pub const PLACES: &[&str] = &[
    "deploy-guard.yml",
    "deploy-guard.yaml",
    ".github/deploy-guard.yml",
    ".github/deploy-guard.yaml",
];

/// Far more than a configuration needs.
const MAX_SIZE: u64 = 1 << 20;

/// A part of the file that a stage uses: there every `${NAME}` must be set.
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
    fn key(self) -> &'static str {
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
    /// Names of environment variables whose values are redacted.
    pub secrets: BTreeSet<String>,
    /// Names of all variables that stand in it as `${NAME}`, or that a `*-env` key names.
    pub variables: BTreeSet<String>,
}

/// A configuration that cannot be used, and the secrets that its message may hold.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    /// As in [`Loaded::secrets`], as far as the file could be read.
    pub secrets: BTreeSet<String>,
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
    let empty = Node {
        place: 0..0,
        kind: Kind::Map(Vec::new()),
    };
    let mut secrets = secrets::variables(&empty);
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
    let mut variables = BTreeSet::new();
    let config = Node::parse(&text).map_err(Problem::from).and_then(|tree| {
        secrets = secrets::variables(&tree);
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
    let file = File::open(path).map_err(|error| unreadable(error.to_string(), missing))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err(unreadable("it is a folder".into(), missing));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(error.to_string(), missing))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(unreadable(
            "it is larger than 1 MiB".into(),
            "is it the right file?",
        ));
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

/// An environment that the file does not list has nothing of its own, which is fine, unless it
/// looks like a slip of one that it does list.
fn known_environment<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Result<(), Problem> {
    let known: Vec<&str> = known.collect();
    match nearest(name, &known) {
        Some(near) if near != name => Err(Problem::Environment {
            name: name.to_owned(),
            hint: format!("did you mean `{near}`?"),
        }),
        _ => Ok(()),
    }
}

/// Resolves variables, decodes and checks.
fn typed(mut tree: Node, request: Request<'_>) -> Result<Config, Fault> {
    if let Kind::Map(entries) = &mut tree.kind {
        for (key, value) in entries {
            let strict = request
                .sections
                .iter()
                .any(|section| section.key() == key.name)
                || !is_section(&key.name);
            let mut path = vec![key.name.clone()];
            resolve(
                value,
                &mut path,
                request.variables,
                strict && !request.sections.is_empty(),
            )?;
        }
    }
    loop {
        let fault = match tree.decode::<Config>().and_then(|config| {
            check(&config, &tree)?;
            Ok(config)
        }) {
            Ok(config) => return Ok(config),
            Err(fault) => fault,
        };
        // A section that is not used may hold variables that nobody set; what they would have
        // stood for is not known, so a plausible value takes their place and the rest is checked.
        let Some(place) = &fault.place else {
            return Err(fault);
        };
        if !substitute(&mut tree, place) {
            return Err(fault);
        }
    }
}

fn is_section(key: &str) -> bool {
    [
        "hosts",
        "github",
        "preflight",
        "runner-check",
        "healthgate",
        "rollback",
        "deploy",
    ]
    .contains(&key)
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

/// Puts the next plausible value where an unresolved one stands; false if there is none.
fn substitute(node: &mut Node, place: &crate::node::Place) -> bool {
    match &mut node.kind {
        Kind::Scalar(scalar) => {
            if !scalar.unresolved || node.place != *place {
                return false;
            }
            let next = PLAUSIBLE
                .iter()
                .position(|text| *text == scalar.text)
                .map_or(0, |at| at + 1);
            match PLAUSIBLE.get(next) {
                Some(text) => scalar.text = (*text).to_owned(),
                None => return false,
            }
            true
        }
        Kind::List(items) => items.iter_mut().any(|item| substitute(item, place)),
        Kind::Map(entries) => entries
            .iter_mut()
            .any(|(_, value)| substitute(value, place)),
    }
}
