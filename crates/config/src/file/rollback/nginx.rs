//! nginx makes the switch.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::file::ReleaseSource;
use crate::value::Span;

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

fn nginx_timeout() -> Span {
    Span::from_secs(10)
}

fn nginx_test() -> String {
    "nginx -t".to_owned()
}

fn nginx_reload() -> String {
    "nginx -s reload".to_owned()
}
