//! How each probe's watch ended, as its outcome.

use config::file::Policy;
use model::{Member, Members, Outcome, Verdict};

use crate::history::Named;
use crate::policy::Conclusion;
use crate::policy_report::reported;
use crate::watched::Watched;
use crate::watching::{Probing, Seat, Watching};

pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) remarks: Vec<Outcome>,
    pub(crate) named: Named,
}

impl Watching<'_> {
    /// `common` is the stage's policy.
    pub(crate) fn finish(mut self, common: &Policy) -> Vec<End> {
        let culprit = self.culprit.map(|n| &self.watched[n].id);
        let mut seats = std::mem::take(&mut self.seats).into_iter().peekable();
        let probes = std::mem::take(&mut self.probes);
        let mut ends = Vec::new();
        for (n, (one, probing)) in self.watched.iter().zip(probes).enumerate() {
            let mut own = Vec::new();
            while let Some(seat) = seats.next_if(|seat| seat.probe == n) {
                own.push(seat);
            }
            let open = match culprit {
                _ if self.is_interrupted => "interrupted".to_owned(),
                Some(culprit) => format!("not decided when {culprit} had failed"),
                None => "not decided".to_owned(),
            };
            let decided = probing.end.is_some();
            let end = self.end(one, probing, own, &open, common);
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
        one: &Watched,
        mut probing: Probing,
        seats: Vec<Seat>,
        open: &str,
        common: &Policy,
    ) -> End {
        let measured = probing.history.seen;
        let conclusion = probing.end.take().unwrap_or_else(|| Conclusion {
            verdict: Verdict::Inconclusive,
            reason: match measured {
                1 => format!("{open} after 1 measurement"),
                many => format!("{open} after {many} measurements"),
            },
        });
        let mut outcome = Outcome::new(&one.id, &one.subject, conclusion.verdict)
            .severity(one.severity)
            .took(probing.ended_at.unwrap_or_else(|| self.start.elapsed()));
        outcome.policy = (one.policy != *common).then(|| reported(&one.policy));
        if measured == 0 {
            let threshold = one.policy.success_threshold;
            outcome.expected = Some(format!("successes in a row ({threshold})"));
            outcome.actual = Some("nothing was measured".to_owned());
        }
        // The one whose hint and limits stand for all.
        let mut spokesman = 0;
        let reason = match one.group {
            None => {
                let telling = probing.history.telling(conclusion.verdict);
                let why = telling.and_then(|reading| {
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
                let (first, members) = not_passed(one, &seats);
                outcome.expected = Some(group.expected());
                outcome.actual = Some(probing.tally.to_string());
                let mut reason = conclusion.reason;
                if let (Some(first), false) = (members.first(), conclusion.verdict == Verdict::Pass)
                {
                    reason = format!("{reason}: {}: {}", first.name, first.reason);
                }
                spokesman = first;
                outcome.members = Some(Members {
                    tally: probing.tally,
                    all: group.all,
                    all_required: group.all_required,
                    names_release: self.proves && probing.names,
                    not_passed: members,
                });
                reason
            }
        };
        let speaker = one.endpoints.get(spokesman).map(|endpoint| &endpoint.probe);
        if let Some(probe) = speaker {
            outcome.limits = probe.limits();
            if conclusion.verdict != Verdict::Pass {
                outcome.hint = Some(probe.hint());
            }
        }
        let remarks = speaker.map(|probe| probe.remarks(&one.id));
        End {
            named: std::mem::take(&mut probing.history.named),
            outcome: outcome.reason(reason).measurements(probing.history.kept()),
            remarks: remarks.unwrap_or_default(),
        }
    }
}

/// The members that did not pass, worst first, and the endpoint of the first of them.
fn not_passed(one: &Watched, seats: &[Seat]) -> (usize, Vec<Member>) {
    let ended = seats
        .iter()
        .filter_map(|seat| Some((seat, seat.end.as_ref()?)));
    let mut bad: Vec<_> = ended
        .filter(|(_, end)| end.verdict != Verdict::Pass)
        .collect();
    bad.sort_by_key(|(_, end)| std::cmp::Reverse(end.verdict));
    let first = bad.first().map_or(0, |(seat, _)| seat.endpoint);
    let member = |(seat, end): (&Seat, &Conclusion)| Member {
        name: one.endpoints[seat.endpoint]
            .name
            .as_deref()
            .unwrap_or_default()
            .to_owned(),
        verdict: end.verdict,
        reason: match seat.complaints.get(end.verdict) {
            Some(complaint) => format!("{}: {complaint}", end.reason),
            None => end.reason.clone(),
        },
    };
    let members = bad.into_iter().take(Members::SHOWN).map(member).collect();
    (first, members)
}
