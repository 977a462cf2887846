//! The readiness score: what share of the weight that was asked has passed.

use model::text::number;
use model::{Outcome, Severity, Verdict};

/// An outcome and its weight.
#[derive(Clone, Debug)]
pub(crate) struct Weighed {
    pub(crate) outcome: Outcome,
    /// Relative to the others; not negative.
    pub(crate) weight: f64,
}

/// Score, verdict and the arithmetic in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Readiness {
    /// 0 to 10, one decimal; `None` where nothing was asked.
    pub(crate) score: Option<f64>,
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

/// Required checks decide the verdict whatever the score; a score below `pass_score` fails too.
/// What was skipped counts for nothing, and neither does a rule that a person lifted.
pub(crate) fn judge(checks: &[Weighed], pass_score: f64) -> Readiness {
    let (lifted, kept): (Vec<&Weighed>, Vec<&Weighed>) =
        checks.iter().partition(|check| is_lifted(&check.outcome));
    let mut asked = kept;
    asked.retain(|check| check.outcome.verdict != Verdict::Skipped);
    let verdict = Verdict::of(checks.iter().map(|check| check.outcome.weighs()));
    let total: f64 = asked.iter().map(|check| check.weight).sum();
    if asked.is_empty() {
        let skipped = checks.len() - lifted.len();
        let reason = match lifted.len() {
            0 => format!("nothing was checked ({skipped} skipped)"),
            lifted => format!("nothing else was checked ({lifted} lifted, {skipped} skipped)"),
        };
        return Readiness {
            score: None,
            verdict,
            reason,
        };
    }
    let points = |weight: f64| {
        if total > 0.0 {
            10.0 * weight / total
        } else {
            0.0
        }
    };
    let lost: Vec<&&Weighed> = asked
        .iter()
        .filter(|check| check.outcome.verdict != Verdict::Pass)
        .collect();
    let exact = if total > 0.0 {
        10.0 - lost.iter().map(|check| points(check.weight)).sum::<f64>()
    } else {
        10.0
    };
    let score = (exact.clamp(0.0, 10.0) * 10.0).round() / 10.0;
    let mut reason = format!("{score:.1} of 10");
    if !lost.is_empty() {
        let parts: Vec<_> = lost
            .iter()
            .map(|check| {
                let (points, id) = (points(check.weight), &check.outcome.id);
                format!("{points:.1} for {id}{}", share(check.weight, total))
            })
            .collect();
        reason.push_str(&format!(": lost {}", parts.join(", ")));
    }
    // Judged by the exact value: a rounded one could pass what does not.
    let low = exact + 1e-9 < pass_score;
    // What could not be asked may still be good: only what was answered with no is certain.
    let unknown: f64 = asked
        .iter()
        .filter(|check| {
            matches!(
                check.outcome.verdict,
                Verdict::Error | Verdict::Inconclusive
            )
        })
        .map(|check| points(check.weight))
        .sum();
    let certain = exact + unknown + 1e-9 < pass_score;
    let verdict = match (verdict, low) {
        (Verdict::Refused, _) | (_, false) => verdict,
        (verdict, true) if certain => verdict.max(Verdict::Fail),
        (verdict, true) => verdict.max(Verdict::Inconclusive),
    };
    if low {
        reason.push_str(&format!("; below pass-score ({pass_score:.1})"));
    }
    let worst = asked
        .iter()
        .filter(|check| check.outcome.severity == Severity::Required)
        .filter(|check| check.outcome.verdict == verdict && verdict != Verdict::Pass)
        .map(|check| &check.outcome)
        .next();
    if let Some(worst) = worst {
        let why = worst.reason.as_deref().unwrap_or(worst.verdict.as_str());
        reason = format!("{}: {why} ({reason})", worst.id);
    }
    Readiness {
        score: Some(score),
        verdict,
        reason,
    }
}

/// Whether a person lifted the rule: only then does a refusal not count.
pub(crate) fn is_lifted(outcome: &Outcome) -> bool {
    outcome.verdict == Verdict::Refused && outcome.severity == Severity::Advisory
}

/// Where a weight is not the usual one, its share in words.
fn share(weight: f64, total: f64) -> String {
    if (weight - 1.0).abs() < 1e-9 {
        String::new()
    } else {
        format!(" (weight {} of {})", number(weight), number(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Error as E, Fail as F, Pass as P, Refused as R, Skipped as S};

    fn judged(
        checks: &[(Verdict, Severity, f64)],
        pass_score: f64,
    ) -> (Option<f64>, Verdict, String) {
        let checks: Vec<_> = checks
            .iter()
            .enumerate()
            .map(|(n, (verdict, severity, weight))| Weighed {
                outcome: Outcome::new(format!("c/{n}"), "", *verdict)
                    .severity(*severity)
                    .reason("why"),
                weight: *weight,
            })
            .collect();
        let Readiness {
            score,
            verdict,
            reason,
        } = judge(&checks, pass_score);
        (score, verdict, reason)
    }

    const MUST: Severity = Severity::Required;
    const MAY: Severity = Severity::Advisory;

    #[test]
    fn the_score_is_the_share_of_weight_that_passed() {
        assert_eq!(
            judged(&[(P, MUST, 1.0), (P, MUST, 3.0)], 8.0),
            (Some(10.0), P, "10.0 of 10".into())
        );
        assert_eq!(
            judged(&[(P, MUST, 8.4), (F, MAY, 1.0), (F, MAY, 0.6)], 8.0),
            (
                Some(8.4),
                P,
                "8.4 of 10: lost 1.0 for c/1, 0.6 for c/2 (weight 0.6 of 10)".into()
            )
        );
    }

    #[test]
    fn sums_of_weights_leave_no_noise_in_the_reason() {
        // 8.1 + 0.3 + 0.3 is 8.700000000000001 to a computer, and a third is never whole.
        let noisy = [(P, MUST, 8.1), (F, MAY, 0.3), (F, MAY, 0.1 + 0.2)];
        assert_eq!(
            judged(&noisy, 8.0).2,
            "9.3 of 10: lost 0.3 for c/1 (weight 0.3 of 8.7), 0.3 for c/2 (weight 0.3 of 8.7)"
        );
        let third = [(P, MUST, 2.0), (F, MAY, 1.0 / 3.0)];
        assert_eq!(
            judged(&third, 8.0).2,
            "8.6 of 10: lost 1.4 for c/1 (weight 0.333 of 2.333)"
        );
    }

    #[test]
    fn a_required_check_fails_the_stage_whatever_the_score() {
        let (score, verdict, reason) = judged(&[(P, MUST, 99.0), (F, MUST, 1.0)], 0.0);
        assert_eq!((score, verdict), (Some(9.9), F));
        assert_eq!(reason, "c/1: why (9.9 of 10: lost 0.1 for c/1)");
        assert_eq!(judged(&[(P, MUST, 99.0), (E, MUST, 1.0)], 0.0).1, E);
        assert_eq!(judged(&[(F, MUST, 1.0), (R, MUST, 1.0)], 8.0).1, R);
    }

    #[test]
    fn a_low_score_fails_without_any_required_failure() {
        let (score, verdict, reason) = judged(&[(P, MUST, 1.0), (F, MAY, 1.0)], 8.0);
        assert_eq!((score, verdict), (Some(5.0), F));
        assert_eq!(
            reason,
            "5.0 of 10: lost 5.0 for c/1; below pass-score (8.0)"
        );
        // An answer that is missing might have been a yes.
        assert_eq!(judged(&[(P, MUST, 1.0), (E, MUST, 1.0)], 8.0).1, E);
        assert_eq!(
            judged(&[(P, MUST, 1.0), (E, MAY, 1.0)], 8.0).1,
            Verdict::Inconclusive
        );
        assert_eq!(
            judged(&[(P, MUST, 1.0), (F, MAY, 1.0), (E, MUST, 1.0)], 8.0).1,
            F
        );
        // 7.96 is shown as 8.0 and is still too low.
        assert_eq!(judged(&[(P, MUST, 7.96), (F, MAY, 2.04)], 8.0).1, F);
    }

    #[test]
    fn skips_count_for_nothing_and_nothing_is_no_pass() {
        assert_eq!(judged(&[(P, MUST, 1.0), (S, MUST, 9.0)], 8.0).0, Some(10.0));
        assert_eq!(judged(&[], 8.0).1, Verdict::Inconclusive);
        assert_eq!(judged(&[(S, MUST, 1.0)], 8.0).1, Verdict::Inconclusive);
        assert_eq!(judged(&[(P, MUST, 0.0)], 8.0).1, P);
    }

    #[test]
    fn what_a_person_lifted_counts_for_nothing() {
        let all = [(P, MUST, 1.0), (R, MAY, 1.0)];
        assert_eq!(judged(&all, 8.0), (Some(10.0), P, "10.0 of 10".into()));
        let alone = "nothing else was checked (1 lifted, 1 skipped)";
        let all = [(R, MAY, 1.0), (S, MUST, 1.0)];
        assert_eq!(judged(&all, 8.0), (None, P, alone.into()));
    }
}
