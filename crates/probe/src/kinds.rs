//! The probes of a section, before they are made. The kinds are the rows of `config::probe_kinds`.

use config::file::{Group, Healthgate, Member, Policy};
use model::Severity;
use prometheus::slo::{Objective, objectives};

use crate::error::Error;
use crate::probe::{Kind, Probe, ProbeContext};
use crate::prometheus::Prometheus;

/// A probe of a section, before it is made.
pub struct Planned<'c> {
    pub id: String,
    pub subject: String,
    pub severity: Severity,
    /// The section's, with what the probe does otherwise.
    pub policy: Policy,
    /// Its endpoints, if it has many.
    pub group: Option<Group<'c>>,
    make: Make<'c>,
}

/// Makes a probe: for one endpoint, if the probe has many.
type Make<'c> = Box<dyn Fn(Option<&Member>, &ProbeContext) -> Result<Box<dyn Probe>, Error> + 'c>;

impl Planned<'_> {
    pub fn make(&self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        (self.make)(None, around)
    }

    /// The same for one endpoint of its group.
    pub fn make_for(
        &self,
        member: &Member,
        around: &ProbeContext,
    ) -> Result<Box<dyn Probe>, Error> {
        (self.make)(Some(member), around)
    }
}

/// Every probe of a section, in the order of the kinds.
pub fn planned(gate: &Healthgate) -> Vec<Planned<'_>> {
    let mut planned = Vec::new();
    macro_rules! plan {
        ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {$(
            for probe in &gate.$kind {
                planned.push(plan(stringify!($kind), probe, &gate.policy));
            }
        )*};
    }
    config::probe_kinds!(plan);
    if let Some(slo) = &gate.slo {
        for objective in objectives(slo, &gate.prometheus) {
            planned.push(plan_objective(objective, &gate.policy));
        }
    }
    planned
}

fn plan<'c>(kind: &str, probe: &'c impl Kind, stage: &Policy) -> Planned<'c> {
    Planned {
        id: format!("{kind}/{}", probe.name()),
        subject: probe.subject(),
        severity: probe.severity(),
        policy: stage.with(probe.policy()),
        group: probe.group().filter(Group::is_meant),
        make: Box::new(move |member, around| {
            let mut probe = probe.clone();
            if let Some(member) = member {
                probe.fill(member)?;
            }
            probe.make(around)
        }),
    }
}

fn plan_objective<'c>(objective: Objective, stage: &Policy) -> Planned<'c> {
    let Objective {
        probe,
        subject,
        about,
        counted_in,
    } = objective;
    Planned {
        id: format!("slo/{}", probe.name),
        subject,
        severity: probe.severity,
        policy: stage.with(probe.policy.as_ref()),
        group: None,
        make: Box::new(move |_, around| {
            let counted_in = counted_in.clone();
            let made = Prometheus::about(probe.clone(), &about, counted_in, around)?;
            Ok(Box::new(made))
        }),
    }
}
