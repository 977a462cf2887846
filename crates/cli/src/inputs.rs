//! What this stage was given, for the report.

use std::path::Path;

use model::inputs::{Configuration, Variable};
use model::text::hex;
use model::{Env, Inputs};
use sha2::{Digest as _, Sha256};

/// Variables that name where to write, or the operation around this one: not done again.
const PLACES: [&str; 4] = [
    crate::state::LEASE,
    "DEPLOY_GUARD_REPORT",
    "DEPLOY_GUARD_SUMMARY",
    "DEPLOY_GUARD_HTML",
];

pub(crate) fn of(stage: &str, loaded: &config::Loaded, env: &Env) -> Inputs {
    let mut arguments = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .peekable();
    // The one-file binary gets the name of its stage.
    arguments.next_if(|first| first == stage);
    let settings = env
        .names()
        .filter(|name| name.starts_with("DEPLOY_GUARD_") && !PLACES.contains(name));
    let settings =
        settings.filter_map(|name| Some((name.to_owned(), env.non_empty(name)?.to_owned())));
    let variable = |name: &String| {
        let known = Variable {
            set: env.non_empty(name).is_some(),
            secret: loaded.secrets.variables.contains(name),
        };
        (name.clone(), known)
    };
    let configuration = loaded.path.as_ref().and_then(|path| {
        let here = std::env::current_dir().unwrap_or_default();
        Some(Configuration {
            path: path
                .strip_prefix(here)
                .unwrap_or(path)
                .display()
                .to_string(),
            sha256: sha256(path)?,
        })
    });
    Inputs {
        arguments: arguments.collect(),
        settings: settings.collect(),
        configuration,
        variables: loaded.variables.iter().map(variable).collect(),
    }
}

/// The sum of a file's bytes; none where it cannot be read, or is far too large for a configuration.
pub fn sha256(path: &Path) -> Option<String> {
    const MAX_HASHED_BYTES: u64 = 1 << 20;
    // A pipe has no sum, and is read only once.
    let bytes = files::read(path, MAX_HASHED_BYTES).ok()?;
    Some(hex(Sha256::digest(&bytes)))
}
