//! The kinds of probe: each is a file, a line here and a type in `config::file`.

use config::file::{Group, Healthgate, Member, Policy, Template};
use model::Severity;
use prometheus::slo::{Objective, objectives};

use crate::command::Command;
use crate::compose::Compose;
use crate::dns::Dns;
use crate::docker::Docker;
use crate::ecs::Ecs;
use crate::grpc::Grpc;
use crate::http::Http;
use crate::postgres::Postgres;
use crate::probe::{Probe, ProbeContext};
use crate::prometheus::Prometheus;
use crate::redis::Redis;
use crate::smoke::Smoke;
use crate::systemd::Systemd;
use crate::tcp::Tcp;
use crate::tls::Tls;

/// A probe of a section, before it is made.
pub struct Planned<'c> {
    pub id: String,
    pub subject: String,
    pub severity: Severity,
    /// The section's, with what the probe does otherwise.
    pub policy: Policy,
    /// The endpoints that it stands for, if it is one of many.
    pub group: Option<Group<'c>>,
    make: Make<'c>,
}

/// Makes a probe, for one of the endpoints where it stands for many.
type Make<'c> = Box<dyn Fn(Option<&Member>, &ProbeContext) -> Result<Box<dyn Probe>, String> + 'c>;

impl Planned<'_> {
    pub fn make(&self, around: &ProbeContext) -> Result<Box<dyn Probe>, String> {
        (self.make)(None, around)
    }

    /// The same for one endpoint of its group.
    pub fn make_for(
        &self,
        member: &Member,
        around: &ProbeContext,
    ) -> Result<Box<dyn Probe>, String> {
        (self.make)(Some(member), around)
    }
}

/// Every probe of a section, in their order.
pub fn planned(gate: &Healthgate) -> Vec<Planned<'_>> {
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
    let mut planned = Vec::new();
    macro_rules! kind {
        ($list:ident, $type:ident, $subject:ident $(, $around:ident)?) => {
            for config in $list {
                planned.push(Planned {
                    id: format!("{}/{}", stringify!($list), config.name),
                    subject: config.$subject.to_string(),
                    severity: config.severity,
                    policy: policy.with(config.policy.as_ref()),
                    group: config.group().filter(Group::is_meant),
                    make: Box::new(move |member, _around| {
                        let config = filled(config, member)?;
                        kind!(@new $type config, _around $(, $around)?)
                    }),
                });
            }
        };
        (@new $type:ident $config:ident, $given:ident, around) => {
            Ok(Box::new($type::new($config, $given)?))
        };
        (@new $type:ident $config:ident, $given:ident) => {
            Ok(Box::new($type::new($config)?))
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
        planned.push(Planned {
            id: format!("slo/{}", probe.name),
            subject,
            severity: probe.severity,
            policy: policy.with(probe.policy.as_ref()),
            group: None,
            make: Box::new(move |_, around| {
                let counted_in = counted_in.clone();
                let made = Prometheus::about(probe.clone(), &about, counted_in, around)?;
                Ok(Box::new(made))
            }),
        });
    }
    planned
}

/// The configuration of one endpoint.
fn filled<C: Template>(config: &C, member: Option<&Member>) -> Result<C, String> {
    let mut config = config.clone();
    if let Some(member) = member {
        config.fill(member)?;
    }
    Ok(config)
}
