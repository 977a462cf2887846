//! The kinds of probe: each is a file, a line here and a type in `config::file`.

use std::pin::Pin;
use std::time::Duration;

use config::file::{Healthgate, Member, Policy, Template};
use model::{Env, Outcome, Redactor, Severity, Shard};

use crate::Reading;
use crate::command::Command;
use crate::compose::Compose;
use crate::dns::Dns;
use crate::docker::Docker;
use crate::ecs::Ecs;
use crate::group::{self, Group};
use crate::grpc::Grpc;
use crate::hosts::Hosts;
use crate::http::Http;
use crate::observer::Asked;
use crate::postgres::Postgres;
use crate::prometheus::Prometheus;
use crate::redis::Redis;
use crate::slo::{Objective, objectives};
use crate::smoke::Smoke;
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
    /// The part of the endpoints that is asked here.
    pub shard: Option<Shard>,
}

/// A probe with what its watch and its outcome need.
pub(crate) struct Watched {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) severity: Severity,
    pub(crate) policy: Policy,
    /// One, or the members of a group.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) group: Option<Group>,
}

/// One endpoint that is asked.
pub(crate) struct Endpoint {
    /// Of a group's member.
    pub(crate) name: Option<Box<str>>,
    pub(crate) probe: Box<dyn Probe>,
}

impl Watched {
    pub(crate) fn asked(&self) -> Asked<'_> {
        Asked {
            id: &self.id,
            subject: &self.subject,
            severity: self.severity,
            policy: &self.policy,
            members: self.group.map(|_| self.endpoints.len()),
        }
    }

    /// How long after the others of its group an endpoint's slots are: a millisecond each, or less
    /// where they are too many for their interval. Thousands at the same moment would only wait
    /// for each other.
    pub(crate) fn offset(&self, endpoint: usize) -> Duration {
        let nth = u32::try_from(endpoint).unwrap_or(u32::MAX);
        let all = u32::try_from(self.endpoints.len().max(1)).unwrap_or(u32::MAX);
        (self.policy.interval.get() / all).min(Duration::from_millis(1)) * nth
    }
}

/// The probes of a section that are wanted by id and subject, in their order; those that cannot be
/// made as their outcome.
pub(crate) fn all(
    gate: &Healthgate,
    around: &Surroundings,
    wanted: &mut dyn FnMut(&Common) -> bool,
) -> Vec<Result<Watched, Outcome>> {
    let Healthgate {
        policy,
        release_identity: _,
        http,
        tcp,
        tls,
        dns,
        command,
        postgres,
        redis,
        systemd,
        docker,
        compose,
        grpc,
        smoke,
        prometheus,
        slo,
        ecs,
    } = gate;
    let mut made = Vec::new();
    macro_rules! kind {
        ($list:ident, $type:ident, $subject:ident $(, $around:expr)?) => {
            for config in $list {
                let common = Common {
                    id: format!("{}/{}", stringify!($list), config.name),
                    subject: config.$subject.to_string(),
                    severity: config.severity,
                    policy: policy.with(config.policy.as_ref()),
                };
                if wanted(&common) {
                    let make = |config| $type::new(config $(, $around)?);
                    made.push(watched(common, config, around, make));
                }
            }
        };
    }
    kind!(http, Http, url, around);
    kind!(tcp, Tcp, address, around);
    kind!(tls, Tls, address);
    kind!(dns, Dns, host);
    kind!(postgres, Postgres, address, around);
    kind!(redis, Redis, address, around);
    kind!(command, Command, run, around);
    kind!(systemd, Systemd, unit, around);
    kind!(docker, Docker, container, around);
    kind!(compose, Compose, name, around);
    kind!(grpc, Grpc, address, around);
    kind!(smoke, Smoke, name, around);
    kind!(prometheus, Prometheus, query, around);
    kind!(ecs, Ecs, service, around);
    let objectives = slo.iter().flat_map(|slo| objectives(slo, prometheus));
    for objective in objectives {
        let Objective {
            probe,
            subject,
            about,
            counted_in,
        } = objective;
        let common = Common {
            id: format!("slo/{}", probe.name),
            subject,
            severity: probe.severity,
            policy: policy.with(probe.policy.as_ref()),
        };
        if wanted(&common) {
            made.push(watched(common, &probe, around, |probe| {
                Prometheus::about(probe, &about, counted_in.clone(), around)
            }));
        }
    }
    made
}

/// A probe of a section, before anything is asked.
#[derive(Clone, Debug)]
pub struct Planned {
    pub id: String,
    pub subject: String,
    /// The section's, with what the probe does otherwise.
    pub policy: Policy,
}

/// Every probe of a section.
pub fn planned(gate: &Healthgate) -> Vec<Planned> {
    let mut planned = Vec::new();
    all(gate, &Surroundings::default(), &mut |common| {
        planned.push(Planned {
            id: common.id.clone(),
            subject: common.subject.clone(),
            policy: common.policy.clone(),
        });
        false
    });
    planned
}

/// Those that a probe of many endpoints stands for, whatever shard this is.
pub fn members(
    meant: config::file::Group<'_>,
    around: &Surroundings,
) -> Result<Vec<Member>, String> {
    let around = Surroundings {
        shard: None,
        ..around.clone()
    };
    group::expand(meant, &around).map(|(_, members)| members)
}

/// What every kind of probe has.
pub(crate) struct Common {
    pub(crate) id: String,
    subject: String,
    severity: Severity,
    policy: Policy,
}

fn watched<C: Template, P: Probe + 'static>(
    common: Common,
    config: &C,
    around: &Surroundings,
    make: impl Fn(C) -> Result<P, String>,
) -> Result<Watched, Outcome> {
    let Common {
        id,
        subject,
        severity,
        policy,
    } = common;
    let boxed = |probe: P| -> Box<dyn Probe> { Box::new(probe) };
    let asked = match config.group().filter(config::file::Group::is_meant) {
        None if around.shard.is_some_and(|shard| !group::holds(shard, &id)) => {
            return Err(Outcome::skipped(id, subject, "another shard asks it"));
        }
        None => make(config.clone()).map(|probe| {
            let probe = boxed(probe);
            (None, vec![Endpoint { name: None, probe }])
        }),
        Some(meant) => group::expand(meant, around).and_then(|(group, members)| {
            let endpoint = |member: Member| {
                let mut config = config.clone();
                config.fill(&member)?;
                let probe =
                    make(config).map_err(|reason| format!("{}: {reason}", member.target))?;
                Ok(Endpoint {
                    name: Some(member.target.into()),
                    probe: boxed(probe),
                })
            };
            let endpoints: Result<Vec<_>, String> = members.into_iter().map(endpoint).collect();
            Ok((Some(group), endpoints?))
        }),
    };
    match asked {
        Ok((_, endpoints)) if endpoints.is_empty() => Err(Outcome::skipped(
            id,
            subject,
            "other shards ask its endpoints",
        )),
        Ok((group, endpoints)) => Ok(Watched {
            id,
            subject,
            severity,
            policy,
            endpoints,
            group,
        }),
        Err(reason) => Err(Outcome::error(id, subject)
            .severity(severity)
            .expected("a probe that can be made")
            .actual(&reason)
            .reason(reason)
            .hint("mend the probe's configuration")),
    }
}
