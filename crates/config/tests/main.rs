//! The crate from outside: what is read, and what is refused.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod canary;
mod freeze;
mod hidden;
mod incident;
mod load;
mod migrate;
mod runners;
mod shell_texts;

use config::{Config, LoadError, Request, Variables, load as load_from};
use model::Env;

/// The configuration of a folder that has this text.
fn read(text: &str) -> Result<Config, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("deploy-guard.yml"), text).unwrap();
    let loaded = load_from(Request {
        fetch: None,
        path: None,
        folder: folder.path(),
        environment: None,
        variables: Variables {
            env: &Env::default(),
            release: None,
        },
    });
    loaded.map(|loaded| loaded.config)
}

/// The message, with the hint where there is one.
fn told(refused: &LoadError) -> String {
    match refused.error.hint() {
        Some(hint) => format!("{}\nhint: {hint}", refused.error),
        None => refused.error.to_string(),
    }
}
