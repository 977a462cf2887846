//! A probe with what its watch and its outcome need, and the endpoints that it asks.

use std::time::Duration;

use config::file::{Member, Policy};
use model::{Outcome, Severity, Shard};
use probe::kinds::Planned;
use probe::{Error, Probe, ProbeContext, members};

use crate::group::{self, Group};
use crate::observer::ProbeInfo;

/// A probe with what its watch and its outcome need.
pub(crate) struct GatedProbe {
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

impl GatedProbe {
    /// What cannot be watched, or is not asked here, is its outcome already.
    pub(crate) fn new(
        planned: &Planned<'_>,
        around: &ProbeContext,
        shard: Option<Shard>,
    ) -> Result<GatedProbe, Outcome> {
        let Planned {
            id,
            subject,
            severity,
            policy,
            group,
            ..
        } = planned;
        let asked = match group {
            None if shard.is_some_and(|shard| !group::holds(shard, id)) => {
                return Err(Outcome::skipped(id, subject, "another shard measures it"));
            }
            None => planned.make(around).map(|probe| {
                let endpoints = vec![Endpoint { name: None, probe }];
                (None, endpoints)
            }),
            Some(meant) => match members::expand(*meant, &around.hosts) {
                Ok(members) => {
                    let (group, list) = Group::of(members, shard);
                    let endpoint = |member: Member| {
                        let made = planned.make_for(&member, around);
                        let probe = made.map_err(|cause| cause.of(&*member.target))?;
                        Ok(Endpoint {
                            name: Some(member.target.into()),
                            probe,
                        })
                    };
                    let endpoints = list
                        .into_iter()
                        .map(endpoint)
                        .collect::<Result<Vec<_>, Error>>();
                    endpoints.map(|endpoints| (Some(group), endpoints))
                }
                Err(error) => Err(error.into()),
            },
        };
        match asked {
            Ok((_, endpoints)) if endpoints.is_empty() => Err(Outcome::skipped(
                id,
                subject,
                "other shards measure its endpoints",
            )),
            Ok((group, endpoints)) => Ok(GatedProbe {
                id: id.clone(),
                subject: subject.clone(),
                severity: *severity,
                policy: policy.clone(),
                endpoints,
                group,
            }),
            Err(error) => Err(Outcome::error(id, subject)
                .severity(*severity)
                .expected("a probe that can be made")
                .actual(error.to_string())
                .reason(error.to_string())
                .hint("fix the probe's configuration")),
        }
    }

    pub(crate) fn info(&self) -> ProbeInfo<'_> {
        ProbeInfo {
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
