//! Watches all probes of a `healthgate:` section side by side until the gate is decided.
//!
//! Here is the only waiting. The n-th measurement of a probe starts at the stage's start + initial
//! delay + n × interval, whatever the ones before it took; the members of a group start one after
//! another within their interval (see [`GatedProbe::offset`]). A slot that comes while the probe's own
//! answer is still awaited is left out. The gate ends with the first required probe that fails,
//! because nothing can make that good; else with the last.

use config::file::{Healthgate, Identity as Required, Policy};
use model::id::IDENTITY;
use model::{Id, Outcome, Severity, Verdict};
use probe::kinds::{Planned, planned};

use crate::context::GateContext;
use crate::gate_loop::GateLoop;
use crate::gated_probe::GatedProbe;
use crate::history::ReleasesNamed;

/// The probes of a section with what they are judged by, before anything is asked.
pub struct Gate<'c> {
    pub probes: Vec<Planned<'c>>,
    /// Of the whole section; a probe's own settings override it.
    policy: &'c Policy,
    release_identity: Required,
}

impl<'c> Gate<'c> {
    pub fn of(section: &'c Healthgate) -> Gate<'c> {
        Gate {
            probes: planned(section),
            policy: &section.policy,
            release_identity: section.release_identity,
        }
    }

    /// Runs the gate to its end, or until it is interrupted: then what is not decided is
    /// inconclusive. With `release`, what answers must be that release.
    pub async fn run(&self, release: Option<&str>, context: &GateContext<'_>) -> Vec<Outcome> {
        let mut gated = Vec::new();
        // In the configuration's order: what cannot be watched has its outcome already.
        let mut places = Vec::new();
        for planned in self.probes.iter().filter(|one| (context.selects)(&one.id)) {
            match GatedProbe::new(planned, &context.around, context.shard) {
                Ok(one) => {
                    gated.push(one);
                    places.push(None);
                }
                Err(outcome) => places.push(Some(outcome)),
            }
        }
        let asked: Vec<_> = gated.iter().map(GatedProbe::info).collect();
        context.observer.begin(&asked);
        let gate_loop = GateLoop::new(&gated, release, self.release_identity, context);
        let gate_loop = gate_loop.run((context.interrupted)()).await;
        let mut ends = gate_loop.finish(self.policy).into_iter();
        let (mut outcomes, mut names) = (Vec::new(), Vec::new());
        for place in places {
            if let Some(outcome) = place {
                outcomes.push(outcome);
            } else if let Some(end) = ends.next() {
                names.push((end.outcome.severity, end.outcome.verdict, end.named));
                outcomes.push(end.outcome);
                outcomes.extend(end.remarks);
            }
        }
        context.observer.end();
        // What did not pass has said so itself, also where another release answered.
        let settled = |(severity, verdict, named): &(Severity, Verdict, ReleasesNamed)| {
            *severity == Severity::Required
                && (named.expected
                    || (named.partly || named.other.is_some()) && *verdict != Verdict::Pass)
        };
        if let Some(release) = release
            && !names.iter().any(settled)
            && outcomes.iter().any(|one| one.verdict != Verdict::Skipped)
            && (context.selects)(IDENTITY)
        {
            outcomes.push(unproven(release, self.release_identity, &names));
        }
        outcomes
    }
}

/// No probe that must pass has proved which release answered; what was named all the same.
fn unproven(
    release: &str,
    required: Required,
    names: &[(Severity, Verdict, ReleasesNamed)],
) -> Outcome {
    let severity = match required {
        Required::Required => Severity::Required,
        Required::Optional => Severity::Advisory,
    };
    let other = |of: Severity| {
        let mut of = names.iter().filter(|(severity, ..)| *severity == of);
        of.find_map(|(.., named)| named.other.as_deref())
    };
    let advised = names.iter().any(|(.., named)| named.expected);
    let (verdict, actual) = match (other(Severity::Required), other(Severity::Advisory)) {
        (Some(other), _) => (
            Verdict::Fail,
            format!("release {other} answered, then no answer named one"),
        ),
        (None, Some(other)) => (
            Verdict::Inconclusive,
            format!("only an advisory probe names a release, and it is {other}"),
        ),
        (None, None) if advised => (
            Verdict::Inconclusive,
            "only an advisory probe names its release".to_owned(),
        ),
        (None, None) => (
            Verdict::Inconclusive,
            "no answer names its release".to_owned(),
        ),
    };
    let reason = format!("{actual}, expected {release}");
    Outcome::new(Id::identity(), release, verdict)
        .severity(severity)
        .expected(format!("an answer that names release {release}"))
        .actual(actual)
        .reason(reason)
        .hint(
            "name where it is reported: `release: { url: …/version, jq: .version }` on a probe, or \
             `--release-jq`, `--release-header`; or set `release-identity: optional`",
        )
}
