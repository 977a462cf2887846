//! Where users reach the service.

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::ReleaseSource;
use sections::KeyPosition;

/// An entrypoint of the service, from which `rollback decide` reads the running release.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entrypoint {
    /// The entrypoint's name, such as `proxy` or `new-instance`.
    pub name: String,
    /// The URL, and where the release stands in its answer.
    pub release: ReleaseSource,
    /// Whether users come this way. What another entrypoint answers is shown and decides nothing.
    #[serde(default)]
    pub traffic: bool,
    /// The host under `hosts:` to send the request from, over SSH: `localhost` is that host. Default: from here.
    pub via: Option<String>,
}

impl Entrypoint {
    /// `list` is where they stand.
    pub(crate) fn check(all: &[Entrypoint], list: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, one) in all.iter().enumerate() {
            let spot = list.item(nth);
            if one.release.url.is_none() {
                let fault = spot.fault("it does not name a URL");
                return Err(fault.hint("add `release: { url: … }`"));
            }
            if all[..nth].iter().any(|other| other.name == one.name) {
                return spot.refuse("name", format!("`{}` is named twice", one.name));
            }
            if let Some(host) = &one.via {
                spot.key("via").known_host(host)?;
            }
        }
        if !all.is_empty() && !all.iter().any(|one| one.traffic) {
            let fault = list.fault("no entrypoint has `traffic: true`, so nothing is decided");
            return Err(fault.hint("add `traffic: true` to the entrypoint that users come through"));
        }
        Ok(())
    }
}
