//! The hosts that probes ask, or go through: one login each for all probes and measurements of a
//! stage, made when the first of them needs it and made again when it broke.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use model::Env;
use remote::ssh::{self, Error, Limits, Output, Shared, Target, Tunnel};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect_error::ConnectError;
use crate::party::{Party, Severed, awaiting};
use crate::place::Place;
use crate::stream::Stream;
use crate::tunnels::{Opening, Tunnels};

/// Abandoned work is cancelled anyway; this is the final bound.
const MAX_LOGIN_TIME: Duration = Duration::from_mins(10);
/// How long a host may take to show that it is alive when the service behind it is silent.
const PULSE: Duration = Duration::from_secs(2);

/// The hosts of the configuration, by name. A clone is the same hosts.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Arc<Inventory>);

#[derive(Debug, Default)]
struct Inventory {
    configured: config::file::Hosts,
    env: Env,
    asked: Mutex<BTreeMap<String, Arc<Shared>>>,
}

impl Hosts {
    pub fn new(configured: &config::file::Hosts, env: &Env) -> Hosts {
        Hosts(Arc::new(Inventory {
            configured: configured.clone(),
            env: env.clone(),
            asked: Mutex::default(),
        }))
    }

    /// As configured.
    pub fn configured(&self) -> &config::file::Hosts {
        &self.0.configured
    }

    /// The host of this name, shared by all callers; no connection is made yet.
    pub fn get(&self, name: &str) -> Result<Host, ConnectError> {
        let host = |shared: &Arc<Shared>| Host {
            name: name.to_owned(),
            shared: Arc::clone(shared),
        };
        let Inventory {
            configured,
            env,
            asked,
        } = &*self.0;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = asked.get(name) {
            return Ok(host(shared));
        }
        let unready =
            |reason: String| ConnectError::of_way("no login", format!("host `{name}`: {reason}"));
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
            let problem = |error| host.problem(&error);
            // Once we are in, it is the place behind the host that lets us wait.
            awaiting(host.party(), host.shared.log_in(MAX_LOGIN_TIME))
                .await
                .map_err(problem)?;
            let opened = host
                .shared
                .open(&place.host, place.port, MAX_LOGIN_TIME)
                .await;
            let tunnel = opened.map_err(problem)?;
            Ok(Box::new(TunnelStream {
                tunnel,
                host: host.party(),
            }) as Stream)
        })
    }

    fn vouches<'a>(&'a self, host: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        Box::pin(async move {
            match self.get(host) {
                Ok(host) => host.is_alive().await,
                Err(_) => false,
            }
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
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, ConnectError> {
        let ran = self.shared.run(command, limits).await;
        ran.map_err(|error| self.problem(&error))
    }

    /// Runs a script in `sh`, likewise.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, ConnectError> {
        let ran = self.shared.script(text, limits).await;
        ran.map_err(|error| self.problem(&error))
    }

    /// The same for a script that only reads: a connection that is cut is made again, once.
    pub async fn read(&self, text: &str, limits: Limits) -> Result<Output, ConnectError> {
        let ran = self.shared.read(text, limits).await;
        ran.map_err(|error| self.problem(&error))
    }

    /// Whether it answers at this moment: for what waits for something that runs there.
    pub async fn is_alive(&self) -> bool {
        self.shared.pulse(PULSE).await.is_ok()
    }

    pub fn party(&self) -> Party {
        Party::Host(self.name.as_str().into())
    }

    /// If the host cannot reach the endpoint, that is the service's failure: its users see the same.
    /// If the host itself cannot be reached, that proves nothing about the service.
    fn problem(&self, error: &Error) -> ConnectError {
        let name = &self.name;
        match error {
            Error::NoWay { .. } => ConnectError::refused(),
            error => {
                let hint = self.shared.target().hint(error);
                let party = if error.is_ours() {
                    Party::Ourselves
                } else {
                    self.party()
                };
                ConnectError::new(party, "no login", format!("host `{name}`: {error}; {hint}"))
            }
        }
    }
}

/// A tunnel through a host, whose end is named where it is the host that broke it.
struct TunnelStream {
    tunnel: Tunnel,
    host: Party,
}

impl TunnelStream {
    fn named(&self, error: io::Error) -> io::Error {
        let severed = matches!(error.get_ref(), Some(it) if it.is::<ssh::Severed>());
        if !severed {
            return error;
        }
        let named = Severed {
            party: self.host.clone(),
            reason: error.to_string(),
        };
        io::Error::new(error.kind(), named)
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tunnel).poll_read(context, buffer);
        polled.map_err(|error| self.named(error))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tunnel).poll_write(context, bytes);
        polled.map_err(|error| self.named(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tunnel).poll_flush(context);
        polled.map_err(|error| self.named(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.tunnel).poll_shutdown(context);
        polled.map_err(|error| self.named(error))
    }
}
