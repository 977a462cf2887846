//! Caddy divides the requests.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::rollback::{TargetConfig, absolute, machines};
use crate::file::{HostList, Match, ReleaseSource};
use crate::value::Span;
use sections::KeyPosition;

/// Two upstreams of a `reverse_proxy` of Caddy, divided over its admin API. The policy is
/// `weighted_round_robin`, or `random` or `round_robin`, where each upstream stands in the list as often
/// as its share requires.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaddyRouter {
    /// The admin API. Default `http://127.0.0.1:2019`.
    #[serde(default = "admin")]
    pub admin: String,
    /// The blue upstream's `dial`: `host:port`, as Caddy's configuration has it.
    pub blue: String,
    /// The green upstream's `dial`.
    pub green: String,
    /// The `@id` of the handler. Default: the only `reverse_proxy` that has no other upstreams than the two.
    pub id: Option<String>,
    /// The handler's place in the configuration, such as `apps/http/servers/srv0/routes/0/handle/0`.
    pub path: Option<String>,
    /// The file that Caddy starts with: JSON, or a Caddyfile with one `lb_policy weighted_round_robin`
    /// line for the two. It is written after each change, so that a restart keeps the share.
    pub config_file: Option<PathBuf>,
    /// The `autosave.json` that Caddy writes itself and starts with where it is run with `--resume`, such
    /// as `/var/lib/caddy/.config/caddy/autosave.json`.
    pub autosave: Option<PathBuf>,
    /// A URL through Caddy, and where the release is in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// Machines under `hosts:` where Caddy runs: `all`, a pattern, or a list; the admin API, the files and
    /// the URL are then those of each. Default: the machine that runs us.
    pub hosts: Option<HostList>,
    /// How long each question, and the proof through Caddy, may take. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

fn admin() -> String {
    "http://127.0.0.1:2019".to_owned()
}

fn timeout() -> Span {
    Span::from_secs(10)
}

impl TargetConfig for CaddyRouter {
    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("admin").http_url(&self.admin)?;
        for (key, address) in [("blue", &self.blue), ("green", &self.green)] {
            spot.key(key).plain(address, "_-.:[]")?;
        }
        if self.blue == self.green {
            return spot.refuse("green", "both sides have the same address");
        }
        spot.exclusive(&[("id", self.id.is_some()), ("path", self.path.is_some())])?;
        for (key, text) in [("id", &self.id), ("path", &self.path)] {
            if let Some(text) = text {
                spot.key(key).a_word(text)?;
            }
        }
        let files = [
            ("config-file", &self.config_file),
            ("autosave", &self.autosave),
        ];
        spot.exclusive(&files.map(|(key, file)| (key, file.is_some())))?;
        let given = files
            .into_iter()
            .find_map(|(key, file)| Some((key, file.as_ref()?)));
        let Some((key, file)) = given else {
            let fault = spot.fault("what Caddy reads when it starts again is not given");
            return Err(fault.hint(
                "add `config-file: /etc/caddy/Caddyfile`, or, where Caddy is run with `--resume`, `autosave: /var/lib/caddy/.config/caddy/autosave.json`",
            ));
        };
        spot.key(key).a_file(file, true)?;
        if self.hosts.is_some() {
            absolute(spot.key(key), file)?;
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
