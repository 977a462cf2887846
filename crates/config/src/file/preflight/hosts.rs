//! Hosts that must take a login and be fit for a deployment.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::disk::{absolute, has_unit};
use super::{CheckConfig, RoomCheck};
use crate::value::{Room, Span, Weight};
use sections::{KeyPosition, is_word};

/// A host that must be reachable, take a login, and have what a deployment needs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostCheck {
    /// A name under `hosts:`, a pattern such as `web-*`, or `all`.
    pub host: String,
    /// `sudo -n true` must work: the user may act as root without a password. Default false.
    #[serde(default)]
    pub sudo: bool,
    /// Programs that must be on the user's `PATH`, such as `docker`.
    #[serde(default)]
    pub commands: Vec<String>,
    /// File systems that must have space and inodes left.
    #[serde(default)]
    pub disk: Vec<RoomCheck>,
    /// The least memory that new processes could have: a share (`10%`) or a size (`512MiB`).
    pub min_memory: Option<Room>,
    /// The highest load average of the last minute for each core: 1.0 is busy, 2.0 is twice that.
    pub max_load: Option<f64>,
    /// How far the host's clock may be from ours.
    pub max_clock_skew: Option<Span>,
    /// URLs that the host itself must reach, with `curl`, `wget` or `bash`: a status below 400,
    /// or a 401, with which a registry requires a login.
    #[serde(default)]
    pub egress: Vec<String>,
    /// How long one host may take, from the look-up of its name. Default: `preflight.timeout`.
    pub timeout: Option<Span>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others; the facts of a host share it.
    /// Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl CheckConfig for HostCheck {
    const KEYS: &[&str] = &["host"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        named_hosts(spot.key("host"), &self.host)?;
        for (nth, rule) in self.disk.iter().enumerate() {
            has_unit(spot.key("disk").item(nth).key("min-free"), rule.min_free)?;
            let spot = spot.key("disk").item(nth).key("path");
            absolute(spot, &rule.path)?;
            let same = |other: &&RoomCheck| other.path == rule.path;
            if self.disk.iter().filter(same).count() > 1 {
                return Err(spot.fault(format!("duplicate path `{}`", rule.path.display())));
            }
        }
        if let Some(memory) = self.min_memory {
            has_unit(spot.key("min-memory"), memory)?;
        }
        for (nth, command) in self.commands.iter().enumerate() {
            if !is_word(command) {
                let spot = spot.key("commands").item(nth);
                return Err(spot.fault("not the name of a program"));
            }
        }
        for (nth, url) in self.egress.iter().enumerate() {
            let spot = spot.key("egress").item(nth);
            spot.http_url(url)?;
            let parsed = url::Url::parse(url).ok();
            if parsed.is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
                return Err(spot
                    .fault("a user or password would be seen on the host")
                    .hint("name a URL that answers without credentials"));
            }
            if self.egress.iter().filter(|other| *other == url).count() > 1 {
                return Err(spot.fault(format!("duplicate URL `{url}`")));
            }
        }
        let odd = |load: f64| !load.is_finite() || load <= 0.0;
        if self.max_load.is_some_and(odd) {
            return spot.refuse("max-load", "must be a number above zero");
        }
        spot.key("timeout").some_time(self.timeout)
    }
}

/// The hosts that a selector names; a name or a pattern that fits none is a mistake.
pub(crate) fn named_hosts<'n>(
    spot: KeyPosition<'n>,
    selector: &str,
) -> Result<Vec<&'n str>, Fault> {
    let names = spot.hosts_named(selector);
    if !spot.fits_none(selector) {
        return Ok(names);
    }
    if selector == "all" || selector.contains(['*', '?']) {
        let fault = spot.fault(format!("`{selector}` fits no host under `hosts:`"));
        return Err(fault.hint("add the hosts, or correct the pattern"));
    }
    spot.known_host(selector).map(|()| names)
}
