//! The hosts that probes ask, or go through: one login each for all probes and measurements of a
//! stage, made when the first of them needs it and made again when it broke.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Env;
use remote::ssh::{Error, Limits, Output, Shared, Target};

use crate::addresses::{Place, REFUSED};
use crate::connect::{Opening, Problem, Stream, Tunnels};

/// What nobody waits for any more is given up anyway; this is the end of the very last.
const LONGEST: Duration = Duration::from_mins(10);

/// The hosts of the configuration, by name. A clone is the same hosts.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    configured: BTreeMap<String, config::file::Host>,
    env: Env,
    asked: Mutex<BTreeMap<String, Arc<Shared>>>,
}

impl Hosts {
    pub fn new(configured: &BTreeMap<String, config::file::Host>, env: &Env) -> Hosts {
        Hosts(Arc::new(Known {
            configured: configured.clone(),
            env: env.clone(),
            asked: Mutex::default(),
        }))
    }

    /// As they stand in the configuration.
    pub fn configured(&self) -> &BTreeMap<String, config::file::Host> {
        &self.0.configured
    }

    /// The host of this name, the same for everybody; nothing is asked of it yet.
    pub fn get(&self, name: &str) -> Result<Host, Problem> {
        let host = |shared: &Arc<Shared>| Host {
            name: name.to_owned(),
            shared: Arc::clone(shared),
        };
        let Known {
            configured,
            env,
            asked,
        } = &*self.0;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = asked.get(name) {
            return Ok(host(shared));
        }
        let unready =
            |reason: String| Problem::of_way("no login", format!("host `{name}`: {reason}"));
        let configured = configured
            .get(name)
            .ok_or_else(|| unready("it is not under `hosts:`".to_owned()))?;
        let target = Target::of(configured, None, env)
            .map_err(|cause| unready(format!("{}; {}", cause.reason, cause.hint)))?;
        let shared = Arc::new(Shared::new(target));
        asked.insert(name.to_owned(), Arc::clone(&shared));
        Ok(host(&shared))
    }
}

impl Tunnels for Hosts {
    fn open<'a>(&'a self, host: &'a str, place: &'a Place) -> Opening<'a> {
        Box::pin(async move {
            let host = self.get(host)?;
            let opened = host.shared.open(&place.host, place.port, LONGEST).await;
            let tunnel = opened.map_err(|error| host.problem(&error))?;
            Ok(Box::new(tunnel) as Stream)
        })
    }
}

/// A host with its one connection.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    shared: Arc<Shared>,
}

impl Host {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command in the user's login shell, beside whatever else runs there.
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, Problem> {
        let ran = self.shared.run(command, limits).await;
        ran.map_err(|error| self.problem(&error))
    }

    /// Runs a script in `sh`, likewise.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, Problem> {
        let ran = self.shared.script(text, limits).await;
        ran.map_err(|error| self.problem(&error))
    }

    /// A place that the host cannot reach is the service's failure, its users see the same; a
    /// host that cannot be asked says nothing of the service.
    fn problem(&self, error: &Error) -> Problem {
        let name = &self.name;
        match error {
            Error::NoWay { .. } => Problem::of_service(REFUSED),
            error => {
                let hint = self.shared.target().hint(error);
                Problem::of_way("no login", format!("host `{name}`: {error}; {hint}"))
            }
        }
    }
}
