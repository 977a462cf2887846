//! How each probe's watch ended, as its outcome.

use config::file::Policy;
use config::value::Span;
use model::{Member, MemberCounts, Outcome, Verdict};

use crate::gate_loop::{EndpointState, GateLoop, ProbeState};
use crate::gated_probe::GatedProbe;
use crate::history::ReleasesNamed;
use crate::policy::Conclusion;

pub(crate) struct ProbeEnd {
    pub(crate) outcome: Outcome,
    pub(crate) remarks: Vec<Outcome>,
    pub(crate) named: ReleasesNamed,
}

impl GateLoop<'_> {
    /// `common` is the stage's policy.
    pub(crate) fn finish(mut self, common: &Policy) -> Vec<ProbeEnd> {
        let open = self.open();
        let mut endpoints = std::mem::take(&mut self.endpoints).into_iter().peekable();
        let probes = std::mem::take(&mut self.probes);
        let mut ends = Vec::new();
        for (n, (one, state)) in self.watched.iter().zip(probes).enumerate() {
            let mut own = Vec::new();
            while let Some(endpoint) = endpoints.next_if(|endpoint| endpoint.probe == n) {
                own.push(endpoint);
            }
            let decided = state.end.is_some();
            let end = self.end(one, state, own, &open, common);
            if !decided {
                let conclusion = Conclusion {
                    verdict: end.outcome.verdict,
                    reason: end.outcome.reason.clone().unwrap_or_default(),
                };
                self.observer.concluded(n, &conclusion);
            }
            ends.push(end);
        }
        ends
    }

    fn end(
        &self,
        one: &GatedProbe,
        mut state: ProbeState,
        endpoints: Vec<EndpointState>,
        open: &str,
        common: &Policy,
    ) -> ProbeEnd {
        let measured = state.history.seen;
        let mut conclusion = state.end.take().unwrap_or_else(|| Conclusion {
            verdict: Verdict::Inconclusive,
            reason: match measured {
                1 => format!("{open} after 1 measurement"),
                many => format!("{open} after {many} measurements"),
            },
        });
        let mut outcome = Outcome::new(&one.id, &one.subject, conclusion.verdict)
            .severity(one.severity)
            .took(state.ended_at.unwrap_or_else(|| self.start.elapsed()));
        outcome.policy = (one.policy != *common).then(|| one.policy.to_report());
        if measured == 0 {
            let threshold = one.policy.success_threshold;
            outcome.expected = Some(format!("successes in a row ({threshold})"));
            outcome.actual = Some("nothing was measured".to_owned());
        }
        if let (Some(other), false) = (&self.other_release, conclusion.is_pass() || state.names) {
            conclusion.reason.push_str(&format!(
                "; what passed before {} is not counted: release {} still answered",
                Span::from(other.seen_at),
                other.name
            ));
        }
        // The one whose hint and limits represent all.
        let mut representative = 0;
        let reason = match one.group {
            None => {
                let deciding = state.history.deciding(conclusion.verdict);
                let why = deciding.and_then(|reading| {
                    outcome.expected = Some(reading.expected);
                    outcome.actual = Some(reading.actual);
                    reading.reason
                });
                match why {
                    Some(why) => format!("{}: {why}", conclusion.reason),
                    None => conclusion.reason,
                }
            }
            Some(group) => {
                let (first, members) = not_passed(one, &endpoints);
                outcome.expected = Some(group.expected());
                outcome.actual = Some(state.tally.to_string());
                let mut reason = conclusion.reason;
                if let (Some(first), false) = (members.first(), conclusion.verdict == Verdict::Pass)
                {
                    reason = format!("{reason}: {}: {}", first.name, first.reason);
                }
                representative = first;
                outcome.members = Some(MemberCounts {
                    tally: state.tally,
                    all: group.all,
                    all_required: group.all_required,
                    names_release: self.proves && state.names,
                    not_passed: members,
                });
                reason
            }
        };
        let chosen = one
            .endpoints
            .get(representative)
            .map(|position| &position.probe);
        if let Some(probe) = chosen {
            outcome.limits = probe.limits();
            if conclusion.verdict != Verdict::Pass {
                outcome.hint = Some(probe.hint());
            }
        }
        let remarks = chosen.map(|probe| probe.remarks(&one.id));
        ProbeEnd {
            named: std::mem::take(&mut state.history.named),
            outcome: outcome
                .reason(reason)
                .measurements(state.history.take_retained()),
            remarks: remarks.unwrap_or_default(),
        }
    }
}

/// The members that did not pass, worst first, and the endpoint of the first of them.
fn not_passed(one: &GatedProbe, endpoints: &[EndpointState]) -> (usize, Vec<Member>) {
    let ended = endpoints
        .iter()
        .filter_map(|endpoint| Some((endpoint, endpoint.end.as_ref()?)));
    let mut bad: Vec<_> = ended
        .filter(|(_, end)| end.verdict != Verdict::Pass)
        .collect();
    bad.sort_by_key(|(_, end)| std::cmp::Reverse(end.verdict));
    let first = bad.first().map_or(0, |(endpoint, _)| endpoint.position);
    let member = |(endpoint, end): (&EndpointState, &Conclusion)| Member {
        name: one.endpoints[endpoint.position]
            .name
            .as_deref()
            .unwrap_or_default()
            .to_owned(),
        verdict: end.verdict,
        reason: match endpoint.complaints.get(end.verdict) {
            Some(complaint) => format!("{}: {complaint}", end.reason),
            None => end.reason.clone(),
        },
    };
    let members = bad
        .into_iter()
        .take(MemberCounts::MAX_SHOWN)
        .map(member)
        .collect();
    (first, members)
}
