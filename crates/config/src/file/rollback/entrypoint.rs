//! Who is asked before a rollback.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::ReleaseSource;
use sections::KeyPosition;

/// A way in to the service, from which `rollback decide` reads the running release.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct WayIn {
    /// The way's name, such as `proxy` or `new-instance`.
    pub name: String,
    /// The URL, and where the release stands in its answer.
    pub release: ReleaseSource,
    /// Whether users come this way. What another way answers is shown and decides nothing.
    #[serde(default)]
    pub traffic: bool,
    /// The host under `hosts:` to send the request from, over SSH: `localhost` is that host. Default: from here.
    pub via: Option<String>,
}

impl WayIn {
    /// `list` is where the ways stand.
    pub(crate) fn check(ways: &[WayIn], list: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, way) in ways.iter().enumerate() {
            let spot = list.item(nth);
            if way.release.url.is_none() {
                let fault = spot.fault("it does not name a URL");
                return Err(fault.hint("add `release: { url: … }`"));
            }
            if ways[..nth].iter().any(|other| other.name == way.name) {
                return spot.refuse("name", format!("`{}` is named twice", way.name));
            }
            if let Some(host) = &way.via {
                spot.key("via").known_host(host)?;
            }
        }
        if !ways.is_empty() && !ways.iter().any(|way| way.traffic) {
            let fault = list.fault("users come none of these ways, so nothing is decided");
            return Err(fault.hint("add `traffic: true` to the way that users come"));
        }
        Ok(())
    }
}
