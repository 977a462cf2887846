//! The kinds of probe: each is a file, a line here and a type in `config::file`.

use std::pin::Pin;
use std::time::Duration;

use config::file::{Healthgate, Policy, PolicyOverlay};
use model::{Env, Outcome, Redactor, Severity};

use crate::Reading;
use crate::command::Command;
use crate::compose::Compose;
use crate::dns::Dns;
use crate::docker::Docker;
use crate::hosts::Hosts;
use crate::http::Http;
use crate::observer::Asked;
use crate::prometheus::Prometheus;
use crate::systemd::Systemd;
use crate::tcp::Tcp;
use crate::tls::Tls;

/// The reading that is being made.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = Reading> + 'a>>;

/// One question about the thing under test.
pub trait Probe {
    /// One measurement, within its time. With `release`, what answers must also be that release.
    fn measure<'a>(&'a self, release: Option<&'a str>, timeout: Duration) -> Measuring<'a>;

    /// The next step for a person when it does not pass: a command or a place to look.
    fn hint(&self) -> String;

    /// What a person should know besides the verdict: outcomes of their own, whose ids begin with
    /// the probe's. Asked when the watch is over.
    fn remarks(&self, _id: &str) -> Vec<Outcome> {
        Vec::new()
    }

    /// Bounds on what a measurement may find, for whoever draws it.
    fn limits(&self) -> model::Limits {
        model::Limits::default()
    }
}

/// What probes find around them: variables that hold their secrets, machines to ask from.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub env: Env,
    pub hosts: Hosts,
    /// For secrets that come into being while asking.
    pub redactor: Redactor,
}

/// A probe with what its watch and its outcome need.
pub(crate) struct Watched {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) severity: Severity,
    pub(crate) policy: Policy,
    pub(crate) probe: Box<dyn Probe>,
}

impl Watched {
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            id: &self.id,
            subject: &self.subject,
            severity: self.severity,
            policy: &self.policy,
            members: None,
        }
    }
}

/// What every kind of probe has in its configuration.
struct Common<'a> {
    kind: &'static str,
    name: &'a str,
    subject: String,
    severity: Severity,
    policy: Option<&'a PolicyOverlay>,
}

/// Every probe of a section, in its order; those that cannot be made as their outcome.
pub(crate) fn all(gate: &Healthgate, around: &Surroundings) -> Vec<Result<Watched, Outcome>> {
    let Healthgate {
        policy,
        release_identity: _,
        http,
        tcp,
        tls,
        dns,
        command,
        systemd,
        docker,
        compose,
        prometheus,
    } = gate;
    let mut made = Vec::new();
    macro_rules! kind {
        ($list:ident, $type:ident, $subject:ident $(, $around:expr)?) => {
            made.extend($list.iter().map(|config| {
                let common = Common {
                    kind: stringify!($list),
                    name: &config.name,
                    subject: config.$subject.to_string(),
                    severity: config.severity,
                    policy: config.policy.as_ref(),
                };
                watched(common, policy, $type::new(config.clone() $(, $around)?))
            }));
        };
    }
    kind!(http, Http, url, around);
    kind!(tcp, Tcp, address);
    kind!(tls, Tls, address);
    kind!(dns, Dns, host);
    kind!(command, Command, run, around);
    kind!(systemd, Systemd, unit, around);
    kind!(docker, Docker, container, around);
    kind!(compose, Compose, name, around);
    kind!(prometheus, Prometheus, query, around);
    made
}

/// The id and the subject of every probe of a section.
pub fn planned(gate: &Healthgate) -> Vec<(String, String)> {
    let named = |made: Result<Watched, Outcome>| match made {
        Ok(one) => (one.id, one.subject),
        Err(outcome) => (outcome.id, outcome.subject),
    };
    all(gate, &Surroundings::default())
        .into_iter()
        .map(named)
        .collect()
}

fn watched<P: Probe + 'static>(
    common: Common<'_>,
    policy: &Policy,
    made: Result<P, String>,
) -> Result<Watched, Outcome> {
    let id = format!("{}/{}", common.kind, common.name);
    match made {
        Ok(probe) => Ok(Watched {
            id,
            subject: common.subject,
            severity: common.severity,
            policy: policy.with(common.policy),
            probe: Box::new(probe),
        }),
        Err(reason) => Err(Outcome::error(id, common.subject)
            .expected("a probe that can be made")
            .actual(&reason)
            .reason(reason)
            .hint("mend the probe's configuration")),
    }
}
