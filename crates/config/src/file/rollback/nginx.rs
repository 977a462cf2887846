//! nginx makes the switch.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{TargetConfig, absolute, machines};
use crate::file::{HostList, Match, ReleaseSource};
use crate::value::{ShellText, Span};
use sections::KeyPosition;

/// Blue-green behind nginx: one upstream file names the colour that gets the traffic, or both with
/// their weights. The file is replaced whole, nginx tests and reads it, and requests through nginx
/// prove that the destination answers; else the file is put back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NginxTarget {
    /// The file with the `upstream` block. Of one `server` line the address is rewritten; where each
    /// colour has one (a canary with `weight=`), the colour that is left is marked `down`.
    pub upstream_file: PathBuf,
    /// The name of the `upstream` block that is meant, where another one names the colours too.
    /// Default: all of them, which must agree.
    pub upstream: Option<String>,
    /// The key by which users stay on a side, such as `$cookie_id`. The file then has `split_clients
    /// $cookie_id $up { 90% BLUE; * GREEN; }` in the place of weights, with the addresses, or with
    /// upstreams of the file that lead to them. Default: weights.
    pub sticky: Option<String>,
    /// `host:port` of the blue colour.
    pub blue: String,
    /// `host:port` of the green colour.
    pub green: String,
    /// A URL through nginx, and where the release stands in its answer. Default: the first
    /// `healthgate` probe that has a `release`.
    pub release: Option<ReleaseSource>,
    /// Machines under `hosts:` where nginx runs: `all`, a pattern, or a list; the colours and the URL
    /// are then requested from there, and the commands run there. Default: the machine that runs us.
    pub hosts: Option<HostList>,
    /// Runs the words after it where nginx is, if that is a container: `docker exec nginx`, with `sudo -n`
    /// before it where that is needed. `test`, `reload` and the upstream file are then those inside, and
    /// its folder must be mounted, not the file alone. Default: nginx is not in a container.
    pub exec: Option<ShellText>,
    /// Checks nginx's configuration, such as `sudo -n nginx -t`. Default: `nginx -t`.
    #[serde(default = "nginx_test")]
    pub test: ShellText,
    /// Makes nginx read it. Default: `nginx -s reload`.
    #[serde(default = "nginx_reload")]
    pub reload: ShellText,
    /// How long each command, and the proof through nginx, may take. Default 10s.
    #[serde(default = "nginx_timeout")]
    pub timeout: Span,
}

fn nginx_timeout() -> Span {
    Span::from_secs(10)
}

fn nginx_test() -> ShellText {
    "nginx -t".to_owned().into()
}

fn nginx_reload() -> ShellText {
    "nginx -s reload".to_owned().into()
}

impl TargetConfig for NginxTarget {
    fn release_rule(&self) -> Option<Match> {
        self.release.as_ref().map(|source| source.r#match)
    }

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        // They are written into nginx's configuration as they are.
        for (key, address) in [("blue", &self.blue), ("green", &self.green)] {
            spot.key(key).plain(address, "_-.:[]/")?;
            let problem = if address.starts_with("unix:") {
                "is a socket, and each colour needs an address of its own"
            } else if address.contains("//") {
                "is a URL"
            } else if address.bytes().all(|byte| byte.is_ascii_digit()) {
                "is a port without its host"
            } else {
                continue;
            };
            let fault = spot.key(key).fault(format!("`{address}` {problem}"));
            return Err(fault.hint("write `host:port` as in nginx's line `server 127.0.0.1:8001;`"));
        }
        if let Some(url) = self.release.as_ref().and_then(|source| source.url.as_ref()) {
            spot.key("release").key("url").http_url(url)?;
        }
        if self.blue == self.green {
            return spot.refuse("green", "both colours have the same address");
        }
        if let Some(key) = &self.sticky {
            let at = spot.key("sticky");
            if !key.contains('$') {
                let fault = at.fault(format!("`{key}` has no variable, so all users are one"));
                return Err(fault.hint("write a variable of nginx, such as `$cookie_id`"));
            }
            if self.upstream.is_some() {
                let fault = spot
                    .key("upstream")
                    .fault("`sticky` and `upstream` exclude each other");
                return Err(fault
                    .hint("with `sticky`, the file's `split_clients` is what divides the users"));
            }
        }
        if let Some(exec) = &self.exec
            && exec.trim().is_empty()
        {
            return spot.refuse("exec", "`exec` is empty");
        }
        if self.hosts.is_some() || self.exec.is_some() {
            absolute(spot.key("upstream-file"), &self.upstream_file)?;
        }
        machines(spot.key("hosts"), self.hosts.as_ref())
    }
}
