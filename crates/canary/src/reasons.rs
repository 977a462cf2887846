//! Why a metric is not decided, in words, and what a person can do about it.

use config::file::{CanaryKind, CanaryMetric};
use judge::Doubt;
use judge::sequential::{
    Assumption, BLOCK, FEWEST_BLOCKS, Figures, Finding, Idle, MAX_SPELL, Reason, RequestSpread,
    Verdict,
};
use model::Severity;

use crate::number_format::{about, seconds};

const LONGER: &str =
    "set a longer `deadline`, a larger share for the canary, or a larger `tolerance`";

/// Of the canary's list, for every judge.
pub(crate) const INSTANCE_GONE: &str = "an instance of the canary is not scraped any more";
pub(crate) const LOOK_FOR_INSTANCE: &str =
    "look whether the instance crashed or was moved, and compare again";

pub(crate) fn reason(reason: &Reason) -> String {
    match reason {
        Reason::NoData => "no interval has data of both sides".to_owned(),
        Reason::NoRequests(Idle::Canary) => "the canary has had no requests".to_owned(),
        Reason::NoRequests(Idle::Stable) => "stable has had no requests".to_owned(),
        Reason::NoRequests(Idle::Both) => "neither side has had requests".to_owned(),
        Reason::Missing { missing, intervals } => {
            format!("a gap: {missing} of {intervals} intervals have no data")
        }
        Reason::Doubt(doubt) => doubt.to_string(),
        Reason::InstanceGone => INSTANCE_GONE.to_owned(),
        Reason::BoundGone(bound) => format!(
            "the histograms no longer have the bound {} in common",
            seconds(*bound)
        ),
        Reason::HalvesOfStable => {
            "two halves of stable differ as a bad canary would: the comparison cannot be trusted"
                .to_owned()
        }
        Reason::HalvesMayDiffer => {
            "two halves of stable may differ as a bad canary would: a pass waits until that is known"
                .to_owned()
        }
        Reason::RequestsPerInstance { canary, stable } => format!(
            "requests per instance differ more than twofold: {canary:.1} on the canary, {stable:.1} on stable in an interval"
        ),
        Reason::UnequalCanary(spread) => within("the canary", *spread),
        Reason::UnequalStable(spread) => within("stable", *spread),
        Reason::NoCommonBounds => "the histograms have no bound in common".to_owned(),
        Reason::BoundsTellNothing { lowest, highest } => format!(
            "the bounds in common ({lowest} to {highest}) show nothing about stable's latency: nearly all of its requests are in one bucket"
        ),
        Reason::FewBlocks { blocks, scrapes } => format!(
            "{blocks} blocks of {scrapes:.0} scrapes are too few, {FEWEST_BLOCKS} are needed: neighbouring scrapes are alike"
        ),
        Reason::Early => {
            "the evidence for a pass rests on too few errors of stable yet".to_owned()
        }
        Reason::Spell => format!(
            "the evidence rests on spells of up to {MAX_SPELL} intervals, of which each may be one event: a verdict waits for more"
        ),
        Reason::Burst => {
            "most of the canary's errors are those of one interval or two: they do not count until it has them often"
                .to_owned()
        }
        Reason::HeldUp => {
            "the evidence is enough for a pass, and what was not seen holds it up".to_owned()
        }
        Reason::Undecided => "neither limit is reached".to_owned(),
        Reason::Cut {
            missing_requests: Some(requests),
        } => format!(
            "the recording ends before the deadline, and neither limit is reached: about {} more requests are needed",
            about(*requests)
        ),
        Reason::Cut {
            missing_requests: None,
        } => "the recording ends before the deadline, and neither limit is reached".to_owned(),
        Reason::Futile {
            missing_requests: Some(requests),
        } => format!(
            "neither verdict can be reached before the deadline: about {} more requests are needed",
            about(*requests)
        ),
        Reason::Futile {
            missing_requests: None,
        } => "neither verdict can be reached before the deadline".to_owned(),
    }
}

fn within(side: &str, RequestSpread { most, fewest }: RequestSpread) -> String {
    format!(
        "requests per instance differ more than twofold within {side}: {most:.1} and {fewest:.1} in an interval"
    )
}

/// How much more than by chance the errors are taken to vary.
pub(crate) fn assumption(figures: &Figures) -> Option<String> {
    let (Figures::Rates { assumption, .. } | Figures::Latency { assumption, .. }) = figures else {
        return None;
    };
    if let (Figures::Rates { stable, .. }, Assumption::Variance(variance)) = (figures, assumption)
        && stable.0 <= 0.0
    {
        return Some(format!(
            "assumes that errors vary {variance:.1} times as much as by chance: stable has none to estimate it from"
        ));
    }
    Some(match assumption {
        Assumption::Independent => {
            "assumes independent errors: without the instances of stable, clusters cannot be seen"
                .to_owned()
        }
        Assumption::Variance(variance) => format!(
            "errors vary {variance:.1} times as much as by chance, estimated from the instances of stable"
        ),
        Assumption::InSpells {
            within,
            over_blocks,
        } => format!(
            "errors of the instances of stable come in spells: they vary {within:.1} times as much as by chance \
             within an interval, and {over_blocks:.1} times over {BLOCK} intervals"
        ),
    })
}

/// How many more requests would decide it, where it is not decided and that is known.
pub(crate) fn missing_requests(found: &Finding<'_>) -> Option<u64> {
    if found.verdict != Verdict::Inconclusive {
        return None;
    }
    found.reasons.iter().find_map(|reason| match reason {
        Reason::Cut { missing_requests } | Reason::Futile { missing_requests } => *missing_requests,
        Reason::Undecided => found.outlook.and_then(|outlook| outlook.missing_requests),
        _ => None,
    })
}

pub(crate) fn hint(found: &Finding<'_>, metric: &CanaryMetric) -> Option<String> {
    if found.verdict != Verdict::Inconclusive {
        return None;
    }
    if found.reasons.iter().all(is_of_time)
        && let Some(hint) = of_nothing(&found.figures, metric.kind)
    {
        return Some(hint.to_owned());
    }
    let first = found.reasons.first()?;
    if let (Reason::Undecided, Some(missing)) = (first, missing_requests(found)) {
        return Some(format!(
            "about {} more requests are needed: {LONGER}",
            about(missing)
        ));
    }
    let hint = match first {
        Reason::Cut { .. } => "record for longer, with a larger share for the canary",
        Reason::Futile { .. }
        | Reason::Undecided
        | Reason::Early
        | Reason::Spell
        | Reason::Burst
        | Reason::HalvesMayDiffer => LONGER,
        Reason::HalvesOfStable => {
            "stable's instances differ from each other: compare instances of one kind, with the same traffic"
        }
        Reason::RequestsPerInstance { .. }
        | Reason::UnequalCanary(_)
        | Reason::UnequalStable(_) => {
            "compare instances that get as many requests each, such as a fresh baseline beside the canary"
        }
        Reason::Doubt(doubt) => of_doubt(*doubt, metric.kind),
        Reason::InstanceGone => LOOK_FOR_INSTANCE,
        Reason::NoRequests(Idle::Canary) => {
            "send a share of the requests to the canary, or set a longer `deadline`"
        }
        Reason::NoRequests(Idle::Stable | Idle::Both) => {
            "send requests to both sides, or set a longer `deadline`"
        }
        Reason::NoData | Reason::HeldUp | Reason::Missing { .. } => {
            of_doubt(Doubt::Stale, metric.kind)
        }
        Reason::NoCommonBounds | Reason::BoundGone(_) | Reason::BoundsTellNothing { .. } => {
            "give both releases the same buckets, of which some lie where requests do"
        }
        Reason::FewBlocks { .. } if metric.severity == Severity::Advisory => {
            "set a longer `deadline`"
        }
        Reason::FewBlocks { .. } => "set a longer `deadline`, or make the metric `advisory`",
    };
    Some(hint.to_owned())
}

/// Where both sides have nothing to compare, more time shows nothing either.
fn of_nothing(figures: &Figures, kind: CanaryKind) -> Option<&'static str> {
    match figures {
        Figures::Rates {
            canary: (canary, of),
            stable: (stable, _),
            ..
        } if *of > 0.0 && canary + stable <= 0.0 => Some(match kind {
            CanaryKind::Count => {
                "neither side has events, so no ratio is known: make the metric `advisory`, or count the events of requests with `kind: ratio` and `at-most`"
            }
            _ => {
                "neither side has errors, so no ratio is known: set `at-most` to the rate below which errors do not matter"
            }
        }),
        Figures::Gauge { canary, stable, .. } if *canary == 0.0 && *stable == 0.0 => Some(
            "both sides are at 0, of which no percentage is known: make the metric `advisory`, or set an amount as its `tolerance`, such as `10MiB` or `50ms`",
        ),
        _ => None,
    }
}

/// Whether a reason is that too little was seen.
fn is_of_time(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Futile { .. } | Reason::Cut { .. } | Reason::Early | Reason::Undecided
    )
}

/// Where a person looks for what a doubt is about.
pub fn of_doubt(doubt: Doubt, kind: CanaryKind) -> &'static str {
    match doubt {
        Doubt::NotWhole => {
            "count with raw counters: `increase()` and `rate()` extrapolate to fractions"
        }
        Doubt::Unreadable => match kind {
            CanaryKind::Ratio => {
                "look at the numbers of this metric: no count is negative, and no more fail than there are requests"
            }
            CanaryKind::Count => {
                "look at the numbers of this metric: no count is negative, and all of them have a `total`, or none"
            }
            CanaryKind::Histogram => {
                "look at the buckets of this metric: they are cumulative, none is smaller than the one before it, and the last one is `+Inf`"
            }
            CanaryKind::Gauge => "look at the values of this metric: each instance has a number",
        },
        Doubt::Clocks => "set all clocks by one source",
        Doubt::Order => "record each interval once, in the order of their times",
        Doubt::Reset => "look why the instance restarted, and compare again",
        Doubt::Duplicate => "add a label to the matchers that only one of the series has",
        Doubt::ScrapeTimes => "scrape both sides equally often, from one server",
        Doubt::Partial => "look why the source does not give all of its data, and compare again",
        Doubt::LabelSets | Doubt::Gap | Doubt::Stale => {
            "check that both sides are scraped, and that their series have the same labels"
        }
    }
}
