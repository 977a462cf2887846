//! Finds the file, reads it within bounds, and turns it into a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use inventory::{HostsFrom, Inventory, InventorySource};

use crate::check::{check, defined};
use crate::committed::{self, SHELL_TEXTS};

use crate::file::{Canary, CanaryMetric, Config, Healthgate, Overlay};

use crate::section::Section;
use crate::source::Source;
use document::{Document, Error, Secrets, Variables, resolve, secrets, unset};
use sections::KeyPosition;
use yaml::{Fault, Kind, Node, did_you_mean, listed, nearest};

/// Where the file is searched by default.
pub const PLACES: &[&str] = &[
    "deploy-guard.yml",
    "deploy-guard.yaml",
    ".github/deploy-guard.yml",
    ".github/deploy-guard.yaml",
];

/// What a key of the file begins with that is the author's own: a place for anchors, as Compose has it.
const EXTENSION: &str = "x-";

/// Far more than a configuration needs.
const MAX_SIZE: u64 = 1 << 20;

/// What to load, and for which command.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Named by the caller; else [`PLACES`] below `folder`.
    pub path: Option<&'a Path>,
    pub folder: &'a Path,
    pub environment: Option<&'a str>,
    pub variables: Variables<'a>,
    /// What reads an inventory that `hosts-from` names; without it, any name may be a host's.
    pub fetch: Option<Fetch<'a>>,
}

/// Reads an inventory: a file, or what a program prints within the time.
pub type Fetch<'a> = &'a dyn Fn(InventorySource<'_>, Duration) -> Result<Vec<u8>, inventory::Error>;

/// A configuration that was checked as a whole.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Where it was read from; `None` if there is no file.
    pub path: Option<PathBuf>,
    /// What is redacted.
    pub secrets: Secrets,
    /// Names of all variables that it contains as `${NAME}`, or that a `*-env` key names.
    pub variables: BTreeSet<String>,
}

/// A configuration that cannot be used, and the secrets that its message may hold.
#[derive(Debug)]
pub struct LoadError {
    pub error: Error,
    /// The variables of [`Loaded::secrets`], as far as the file could be read. The error hides the literals itself.
    pub secrets: Secrets,
}

/// Reads the configuration. No file at all is an empty configuration; a file that was named and
/// is not there is an error.
pub fn load(request: Request<'_>) -> Result<Loaded, LoadError> {
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
        Err(error) => return Err(LoadError { error, secrets }),
    };
    let parsed = Node::parse_untagged(&text);
    // The error of a file that is not YAML shows its line.
    let found = match &parsed {
        Ok(tree) => secrets::of(tree, &text),
        Err(_) => document::in_broken(&text, &committed::value()),
    };
    secrets
        .variables
        .extend(found.secrets.variables.iter().cloned());
    let document = Document {
        path: relative_path(&path, request.folder).to_owned(),
        tree: parsed.as_ref().ok().cloned(),
        text,
        hidden: found,
        schema: committed::value,
    };
    let mut variables = BTreeSet::new();
    let config = match document::foreign(&document.text, document.tree.as_ref()) {
        Some(fault) => Err(InterpretError::Fault(fault)),
        None => parsed.map_err(InterpretError::from).and_then(|mut tree| {
            tree.retain(|key| !key.starts_with(EXTENSION));
            variables = secrets::used(&tree, &secrets);
            interpret(tree, request, &document)
        }),
    };
    match config {
        Ok((mut config, tree, inventory)) => {
            secrets
                .literals
                .extend(document.hidden.secrets.literals.iter().cloned());
            config.source = Some(Arc::new(Source {
                tree,
                inventory,
                env: request.variables.env.clone(),
                document,
            }));
            Ok(Loaded {
                config,
                path: Some(path),
                secrets,
                variables,
            })
        }
        Err(problem) => {
            let error = match problem {
                InterpretError::Fault(fault) => document.error(fault),
                InterpretError::Environment { name, hint } => {
                    Error::UnknownEnvironment { name, hint }
                }
            };
            Err(LoadError { error, secrets })
        }
    }
}

/// The gate for this release, with `${RELEASE}` replaced.
pub fn healthgate_for(config: &Config, release: &str) -> Result<Option<Healthgate>, Error> {
    let Some(source) = &config.source else {
        return config.healthgate().map(Option::<&_>::cloned);
    };
    let variables = Variables {
        env: &source.env,
        release: Some(release),
    };
    let inventory = source.inventory.as_ref();
    let of_release = typed(
        source.tree.clone(),
        &config.environments,
        inventory,
        variables,
        &source.document,
    );
    let of_release = of_release.map_err(|fault| source.document.error(fault))?;
    of_release.healthgate().map(Option::<&_>::cloned)
}

/// The section of the canary as far as recorded data is judged by it: what tells where data comes from
/// is left out, and with it the variables that only a rollout has.
pub fn recorded_canary(config: &Config) -> Result<Option<Canary>, Error> {
    canary_without(config, &Canary::OF_SOURCES, &CanaryMetric::QUERIES)
}

/// The section of the canary before a rollout, when its sides are not there yet.
pub fn planned_canary(config: &Config) -> Result<Option<Canary>, Error> {
    match canary_without(config, &[], &[]) {
        Ok(canary) => Ok(canary),
        // Before a rollout, what the sides are made of may not be set.
        Err(_) => canary_without(config, &Canary::OF_SIDES, &[]),
    }
}

fn canary_without(
    config: &Config,
    keys: &[&str],
    of_metrics: &[&str],
) -> Result<Option<Canary>, Error> {
    let Some(source) = &config.source else {
        return Ok(None);
    };
    let section = source.tree.get("healthgate");
    let Some(mut canary) = section.and_then(|section| section.get("canary")).cloned() else {
        return Ok(None);
    };
    if let Kind::Map(entries) = &mut canary.kind {
        entries.retain(|(key, _)| !keys.contains(&key.name.as_str()));
        for (key, value) in entries {
            if let Kind::List(items) = &mut value.kind
                && key.name == "metrics"
            {
                for item in items {
                    item.retain(|key| !of_metrics.contains(&key));
                }
            }
        }
    }
    let variables = Variables {
        env: &source.env,
        release: None,
    };
    let mut path = ["healthgate", "canary"].map(str::to_owned).to_vec();
    let read = resolve(&mut canary, &mut path, SHELL_TEXTS, variables);
    let read = read.and_then(|()| match unset::first(&canary) {
        Some(fault) => Err(fault),
        None => canary.decode().map(Some),
    });
    let read = read.and_then(|read: Option<Canary>| {
        let defined = defined(config);
        let root = KeyPosition::root(&source.tree, &defined);
        let spot = root.key("healthgate").key("canary");
        match &read {
            Some(canary) => canary.check_without_source(spot).map(|()| read),
            None => Ok(read),
        }
    });
    read.map_err(|fault| source.document.error(fault))
}

/// The path as a person would type it.
fn relative_path<'p>(path: &'p Path, folder: &Path) -> &'p Path {
    path.strip_prefix(folder).unwrap_or(path)
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |reason: String, hint: &str| Error::Unreadable {
        path: path.to_owned(),
        reason,
        hint: hint.to_owned(),
    };
    let missing = "name another with `--config FILE`";
    let bytes = files::read_handed(path, MAX_SIZE).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => unreadable(error.to_string(), "is it the right file?"),
        _ if path.is_dir() => unreadable("it is a folder".into(), missing),
        _ => unreadable(error.to_string(), missing),
    })?;
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count();
        let reason = if is_utf16 {
            "it is UTF-16, not UTF-8".to_owned()
        } else {
            format!("a character on line {line} is not UTF-8")
        };
        unreadable(reason, "save it as UTF-8")
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

enum InterpretError {
    Fault(Fault),
    Environment { name: String, hint: String },
}

impl From<Fault> for InterpretError {
    fn from(fault: Fault) -> Self {
        InterpretError::Fault(fault)
    }
}

fn interpret(
    mut base: Node,
    request: Request<'_>,
    document: &Document,
) -> Result<(Config, Node, Option<Inventory>), InterpretError> {
    document::blank(&base, &document.text, document.schema)?;
    let environments = base.remove("environments");
    if let Some(node) = &environments {
        node.decode::<BTreeMap<String, Overlay>>()?;
    }
    let parts = environments.as_ref().map(Node::entries).unwrap_or_default();
    let names = parts.iter().map(|(key, _)| key.name.as_str());
    if let Some(name) = request.environment
        && let Some(hint) = unknown_environment(name, names)
    {
        let name = name.to_owned();
        return Err(InterpretError::Environment { name, hint });
    }
    let overlays: BTreeMap<String, Overlay> = parts
        .iter()
        .map(|(key, _)| (key.name.clone(), Overlay))
        .collect();
    // The environments that are not selected are checked too: the day on which one is needed is
    // no day to learn of a typo.
    let mut incidents = BTreeMap::new();
    for (key, part) in parts {
        if request.environment != Some(key.name.as_str()) {
            let base = laid(base.clone(), part);
            let other = typed(base, &overlays, None, request.variables, document)?;
            if let Ok(Some(section)) = other.incident() {
                incidents.insert(key.name.clone(), section.clone());
            }
        }
    }
    let selected = parts
        .iter()
        .find(|(key, _)| Some(key.name.as_str()) == request.environment);
    let merged = match selected {
        Some((_, part)) => laid(base, part),
        None => base,
    };
    let inventory = read_inventory(&merged, request)?;
    let config = typed(
        merged.clone(),
        &overlays,
        inventory.as_ref(),
        request.variables,
        document,
    );
    // Each environment was read: what is missing without one, they have.
    let config = config.map_err(|fault| match (request.environment, parts) {
        (None, [(first, _), ..]) => {
            let names: Vec<&str> = parts.iter().map(|(key, _)| key.name.as_str()).collect();
            let missing = None;
            Fault { missing, ..fault }.hint(format!(
                "choose an environment, such as `--environment {}`: the file has {}",
                first.name,
                listed(&names)
            ))
        }
        _ => fault,
    })?;
    Ok((
        Config {
            incidents,
            ..config
        },
        merged,
        inventory,
    ))
}

/// What `hosts-from` names, where all its variables are set.
fn read_inventory(tree: &Node, request: Request<'_>) -> Result<Option<Inventory>, Fault> {
    let (Some(from), Some(fetch)) = (tree.get("hosts-from"), request.fetch) else {
        return Ok(None);
    };
    let mut from = from.clone();
    resolve(
        &mut from,
        &mut vec!["hosts-from".to_owned()],
        SHELL_TEXTS,
        request.variables,
    )?;
    if from.is_null() || unset::has_unset(&from) {
        return Ok(None);
    }
    let from_where: HostsFrom = from.decode()?;
    let home = request.variables.env.non_empty("HOME").map(PathBuf::from);
    let way = from_where.way();
    let text = way.and_then(|way| fetch(way, from_where.timeout.get()));
    let read = text.and_then(|text| Inventory::read(&text, &from_where.defaults, home.as_deref()));
    read.map(Some).map_err(|error| {
        let fault = Fault::new(error.to_string()).hint(error.hint());
        fault.at(from.place)
    })
}

/// The file for an environment, of which a name alone is enough.
fn laid(base: Node, part: &Node) -> Node {
    if part.is_null() {
        base
    } else {
        base.merged(part.clone())
    }
}

/// What is said of an environment that a file does not have. A file that has some has no other: what is meant for one of
/// them must not run with the values of none. Without the section, any name is one.
pub fn unknown_environment<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let known: Vec<&str> = known.collect();
    if known.is_empty() || known.contains(&name) {
        return None;
    }
    Some(match nearest(name, &known) {
        Some(near) => did_you_mean(near),
        None => format!("the file has: {}", listed(&known)),
    })
}

/// Resolves variables, decodes and checks. A section that holds a variable that is not set is refused
/// when it is used; that a key is unknown is found all the same.
fn typed(
    mut tree: Node,
    overlays: &BTreeMap<String, Overlay>,
    inventory: Option<&Inventory>,
    variables: Variables<'_>,
    document: &Document,
) -> Result<Config, Fault> {
    resolve(&mut tree, &mut Vec::new(), SHELL_TEXTS, variables)?;
    let mut config: Config = unset::decode_set(&tree)?;
    config.environments.clone_from(overlays);
    let unset = unset::sections(&tree, |key| Section::of(key).is_some()).into_iter();
    config.unset = unset
        .filter_map(|(key, fault)| Some((Section::of(&key)?, document.error(fault))))
        .collect();
    for section in config.unset.keys() {
        match section {
            Section::Service => config.service = None,
            Section::Hosts => {
                for (name, _) in unset::unusable_hosts(&tree) {
                    config.hosts.remove(name);
                }
            }
            Section::Github => config.github = None,
            Section::Runners => config.runners.clear(),
            Section::Preflight => config.preflight = None,
            Section::RunnerCheck => config.runner_check = None,
            Section::Healthgate => config.healthgate_of_any = config.healthgate.take(),
            Section::Rollback => config.rollback = None,
            Section::Traffic => config.traffic = None,
            Section::Migrate => config.migrate = None,
            Section::Incident => config.incident = None,
            Section::Deploy => config.deploy = None,
        }
    }
    let hosts = tree.get(Section::Hosts.key());
    let own: BTreeSet<String> = hosts
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|(key, _)| key.name.clone())
        .collect();
    if let Some(inventory) = inventory {
        inventory.add_to(&mut config.hosts, &own);
        config.host_names.extend(inventory.hosts.keys().cloned());
    }
    config.has_more_hosts = config.hosts_from.is_some() && inventory.is_none();
    config.host_names.extend(own);
    inventory::link_jumps(&mut config.hosts).map_err(|error| {
        let host = hosts.and_then(|hosts| hosts.get(error.host()));
        let jump = host.and_then(|host| host.get("jump"));
        let jump = jump.or_else(|| tree.get("hosts-from"));
        let fault = Fault::new(error.to_string()).hint(error.hint());
        jump.into_iter()
            .fold(fault, |fault, jump| fault.at(jump.place.clone()))
    })?;
    check(&config, &tree)?;
    Ok(config)
}
