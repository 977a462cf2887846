//! HAProxy makes the switch.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{Sockets, TargetConfig, absolute, machines};
use crate::file::{HostList, Match, ReleaseSource};
use crate::value::{ShellText, Span};
use sections::KeyPosition;

/// Blue-green behind HAProxy: two servers of a backend, of which one gets the traffic. Switched
/// over the runtime socket, without a reload; proved by requests through HAProxy.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HaproxyTarget {
    /// The runtime socket (`stats socket … level admin`), such as `/run/haproxy/admin.sock`; a list where
    /// several processes on the machine have one each. All of them are set.
    pub socket: Sockets,
    /// The backend.
    pub backend: String,
    /// The blue server's name in the backend.
    pub blue: String,
    /// The green server's name in the backend.
    pub green: String,
    /// The file of `server-state-file`: it is written after each switch, so that a reload keeps
    /// what was switched. Without it, a reload goes back to what the configuration has.
    pub state_file: Option<PathBuf>,
    /// The configuration of HAProxy, `/etc/haproxy/haproxy.cfg`: the weights of the two `server` lines are
    /// written there after each switch, so that a reload keeps it, and tested. It excludes `state-file`.
    pub config_file: Option<PathBuf>,
    /// Checks `config-file`, such as `sudo -n haproxy -c -f /etc/haproxy/haproxy.cfg`. Default: `haproxy -c
    /// -f` with that file.
    pub test: Option<ShellText>,
    /// Whether the server that traffic leaves finishes the requests it has and keeps the users whose
    /// `cookie` names it. `false` takes it out at once (`maint`), and it is not checked any more.
    /// Default true.
    #[serde(default = "drain")]
    pub drain: bool,
    /// A URL through HAProxy, and where the release stands in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// Machines under `hosts:` where HAProxy runs: `all`, a pattern, or a list; `socat` must be
    /// there. The URL is then requested from there. Default: the machine that runs us.
    pub hosts: Option<HostList>,
    /// How long each question, and the proof through HAProxy, may take. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn drain() -> bool {
    true
}

fn timeout() -> Span {
    Span::from_secs(10)
}

impl TargetConfig for HaproxyTarget {
    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        // They go into commands of the runtime socket, which has no quotes.
        for (key, name) in [
            ("backend", &self.backend),
            ("blue", &self.blue),
            ("green", &self.green),
        ] {
            spot.key(key).plain(name, "_-.:")?;
        }
        if self.blue == self.green {
            return spot.refuse("green", "both colours are the same server");
        }
        self.socket.check(spot.key("socket"))?;
        if let Some(file) = &self.state_file {
            absolute(spot.key("state-file"), file)?;
        }
        if let Some(file) = &self.config_file {
            let at = spot.key("config-file");
            absolute(at, file)?;
            if self.state_file.is_some() {
                let fault = at.fault("`state-file` and `config-file` exclude each other");
                return Err(fault.hint("one of them is enough for a reload to keep what was set"));
            }
        } else if self.test.is_some() {
            let fault = spot.key("test").fault("`config-file` is not given");
            return Err(fault.hint("`test` checks the `config-file` that was written"));
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
