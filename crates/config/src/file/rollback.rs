//! `rollback:` — how to put the last-known-good release back.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::ReleaseSource;
use crate::value::{Portion, Span, StateAddress};

/// How to put the last-known-good release back. Exactly one target: `command` or `nginx`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Rollback {
    /// Where the state is kept: a path; `ssh://host/path`, with a name under `hosts:`; or
    /// `s3://bucket/key`, with the AWS credentials of the environment or the profile. Its backup,
    /// lock and journals are kept beside it.
    pub state: StateAddress,
    /// How long after a deployment the release before it is kept and can be gone back to.
    /// Unset: for ever.
    pub window: Option<Span>,
    /// How long an operation may hold the lock before another may take it over. Default 30m.
    #[serde(default = "lock_ttl")]
    pub lock_ttl: Span,
    /// How long to wait for a lock that another holds, such as `10m`. Default: not at all.
    #[serde(default)]
    pub lock_wait: Span,
    /// How many hosts are switched side by side, a count or a share: `1`, `25%`. Every host is
    /// checked and prepared before the first batch. Default: all at once.
    #[serde(default = "all")]
    pub batch: Portion,
    /// How many hosts may fail, a count or a share. Where more cannot be prepared, the rollback is
    /// refused before anything changes; where more fail on the way, see `on-breach`. Default 0.
    #[serde(default = "none")]
    pub max_failed: Portion,
    /// What to do when more hosts than `max-failed` fail on the way. Default `complete`.
    #[serde(default)]
    pub on_breach: OnBreach,
    /// How long checking, preparing and switching all hosts may take, without the verification; half
    /// of it is for checking and preparing. Putting back has as much again. Default 10m.
    #[serde(default = "deadline")]
    pub deadline: Span,
    /// A command of yours makes the switch.
    pub command: Option<CommandTarget>,
    /// nginx sends the traffic to one of two colours.
    pub nginx: Option<NginxTarget>,
}

/// What to do when too many hosts fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnBreach {
    /// Go on with the others: as many hosts as possible leave the bad release. `rollback resume`
    /// tries those that failed again.
    #[default]
    Complete,
    /// Begin no other host, and put back what ran before, in reverse order.
    Restore,
}

/// A command that makes a given release live. It is run by `sh -c` with `RELEASE`,
/// `PREVIOUS_RELEASE` and `HOST` in its environment, and must be safe to run twice.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CommandTarget {
    /// Makes `$RELEASE` live.
    pub run: String,
    /// Prints the release that is live, for a rollback that must know what it leaves.
    pub current: Option<String>,
    /// Proves that `$RELEASE` can be made live, without changing anything; run before the first change.
    pub check: Option<String>,
    /// Names under `hosts:`; the command runs here once for each, with `HOST` set to its address.
    /// Default: once, with `HOST=localhost`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How long one run may take. Default 5m.
    #[serde(default = "command_timeout")]
    pub timeout: Span,
}

/// Blue-green behind nginx: one upstream file names the colour that gets the traffic.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NginxTarget {
    /// The file with the `upstream` block. Only the address in its `server` line is rewritten.
    pub upstream_file: PathBuf,
    /// `host:port` of the blue colour.
    pub blue: String,
    /// `host:port` of the green colour.
    pub green: String,
    /// A URL through nginx, and where the release stands in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// Checks nginx's configuration. Default: `nginx -t`.
    #[serde(default = "nginx_test")]
    pub test: String,
    /// Makes nginx read it. Default: `nginx -s reload`.
    #[serde(default = "nginx_reload")]
    pub reload: String,
    /// How long each command, and the proof through nginx, may take. Default 10s.
    #[serde(default = "nginx_timeout")]
    pub timeout: Span,
}

fn all() -> Portion {
    Portion::ALL
}

fn none() -> Portion {
    Portion::Count(0)
}

fn deadline() -> Span {
    Span::from_secs(10 * 60)
}

fn lock_ttl() -> Span {
    Span::from_secs(30 * 60)
}

fn command_timeout() -> Span {
    Span::from_secs(5 * 60)
}

fn nginx_timeout() -> Span {
    Span::from_secs(10)
}

fn nginx_test() -> String {
    "nginx -t".to_owned()
}

fn nginx_reload() -> String {
    "nginx -s reload".to_owned()
}
