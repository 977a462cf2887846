//! Several pieces of evidence about one runner become one state, and its reason.
//!
//! Pure. Unknown or outdated evidence decides nothing. Of the rest, the most trusted decides; if
//! equals contradict each other, the state is unknown. Every contradiction is reported.

use std::time::Duration;

use crate::{Evidence, Source, State, age};

/// What the evidence about one runner comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    pub state: State,
    pub reason: String,
    /// Equals contradict each other: there is data, and it does not decide.
    pub contested: bool,
    /// Which sources contradict each other; empty if all agree.
    pub contradictions: Vec<String>,
}

/// Merges the evidence about one runner. What is older than `max_evidence_age` counts as unknown.
pub fn merge(evidence: &[Evidence], max_evidence_age: Duration) -> Merged {
    let usable: Vec<&Evidence> = evidence
        .iter()
        .filter(|e| e.counts(max_evidence_age))
        .collect();
    let contradictions = contradictions(&usable);
    let Some(best) = usable.iter().map(|e| e.trust).max() else {
        return Merged {
            state: State::Unknown,
            reason: silence(evidence),
            contested: false,
            contradictions,
        };
    };
    let (up, down): (Vec<&Evidence>, Vec<&Evidence>) = usable
        .iter()
        .filter(|e| e.trust == best)
        .partition(|e| e.state.is_up());
    let contested = !up.is_empty() && !down.is_empty();
    let state = match (up.is_empty(), down.is_empty()) {
        (false, false) => State::Unknown,
        (true, _) => State::Offline,
        // A source that saw it run a job knows more than one that only saw it online.
        (false, true) if usable.iter().any(|e| e.state == State::Busy) => State::Busy,
        (false, true) => State::Online,
    };
    let decisive = if contested {
        usable.clone()
    } else if up.is_empty() {
        down
    } else {
        up
    };
    Merged {
        state,
        reason: quote(&decisive),
        contested,
        contradictions,
    }
}

fn quote(evidence: &[&Evidence]) -> String {
    let quotes: Vec<String> = evidence.iter().map(|e| describe_evidence(e)).collect();
    quotes.join("; ")
}

fn describe_evidence(evidence: &Evidence) -> String {
    match evidence.age {
        Some(age) if age < Duration::from_secs(1) => {
            format!("{}: {}", evidence.source, evidence.says)
        }
        aged => format!("{}, {}: {}", evidence.source, age(aged), evidence.says),
    }
}

/// Why there is no evidence.
fn silence(evidence: &[Evidence]) -> String {
    if evidence.is_empty() {
        return "nothing is known of it".to_owned();
    }
    quote(&evidence.iter().collect::<Vec<_>>())
}

fn contradictions(usable: &[&Evidence]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, one) in usable.iter().enumerate() {
        for other in &usable[at + 1..] {
            let updown = one.state.is_up() != other.state.is_up();
            // Only GitHub's list tells free from busy of itself; the others see one side.
            let idle = |a: &Evidence, b: &Evidence| {
                a.source == Source::List && a.state == State::Online && b.state == State::Busy
            };
            if updown || idle(one, other) || idle(other, one) {
                found.push(format!(
                    "{} reports {} ({}), {} reports {} ({})",
                    one.source, one.state, one.says, other.source, other.state, other.says
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Trust;
    use proptest::prelude::*;

    const FRESH: Duration = Duration::from_secs(900);

    fn list(state: State) -> Evidence {
        Evidence::new(Source::List, state, Trust::Report, state.as_str())
    }

    fn host(state: State) -> Evidence {
        let trust = if state == State::Offline {
            Trust::Proof
        } else {
            Trust::Report
        };
        Evidence::new(Source::Host, state, trust, "unit")
    }

    fn running() -> Evidence {
        Evidence::new(
            Source::Jobs,
            State::Busy,
            Trust::Work,
            "job `build` in progress",
        )
    }

    fn metric(state: State) -> Evidence {
        Evidence::new(Source::Prometheus, state, Trust::Hearsay, "metric")
    }

    fn finished(ago: u64) -> Evidence {
        Evidence::new(
            Source::Jobs,
            State::Online,
            Trust::Hearsay,
            "finished a job",
        )
        .aged(Some(Duration::from_secs(ago)))
    }

    #[test]
    fn the_most_trusted_decides_and_contradictions_are_said() {
        use State::{Busy, Offline, Online, Unknown};
        let silent = Evidence::silent(Source::List, "no permission");
        let cases: Vec<(&str, Vec<Evidence>, State, usize)> = vec![
            ("nothing", vec![], Unknown, 0),
            ("no source could be asked", vec![silent.clone()], Unknown, 0),
            ("listed online", vec![list(Online)], Online, 0),
            ("listed offline", vec![list(Offline), silent], Offline, 0),
            (
                "all agree",
                vec![list(Online), host(Online), metric(Online)],
                Online,
                0,
            ),
            (
                "listed offline, yet working",
                vec![list(Offline), running()],
                Busy,
                1,
            ),
            (
                "listed free, yet working",
                vec![list(Online), running()],
                Busy,
                1,
            ),
            (
                "listed online, its service stopped",
                vec![list(Online), host(Offline)],
                Offline,
                1,
            ),
            (
                "listed offline, its service runs",
                vec![list(Offline), host(Online)],
                Unknown,
                1,
            ),
            (
                "a job of before it stopped",
                vec![running(), host(Offline)],
                Offline,
                1,
            ),
            (
                "the metric is wrong",
                vec![list(Online), metric(Offline)],
                Online,
                1,
            ),
            ("only the metric", vec![metric(Offline)], Offline, 0),
            ("a job just now", vec![finished(60)], Online, 0),
            ("a job yesterday", vec![finished(86_400)], Unknown, 0),
            (
                "worked, then went",
                vec![finished(60), list(Offline)],
                Offline,
                1,
            ),
        ];
        for (name, evidence, state, contradictions) in cases {
            let merged = merge(&evidence, FRESH);
            assert_eq!(merged.state, state, "{name}: {merged:?}");
            assert_eq!(
                merged.contradictions.len(),
                contradictions,
                "{name}: {merged:?}"
            );
            assert!(!merged.reason.is_empty(), "{name}");
        }
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        let state = prop::sample::select(vec![
            State::Online,
            State::Busy,
            State::Offline,
            State::Unknown,
        ]);
        let trust = prop::sample::select(vec![
            Trust::Hearsay,
            Trust::Report,
            Trust::Work,
            Trust::Proof,
        ]);
        let source = prop::sample::select(vec![
            Source::List,
            Source::Jobs,
            Source::Prometheus,
            Source::Host,
        ]);
        (source, state, trust, prop::option::of(0_u64..2_000)).prop_map(
            |(source, state, trust, age)| {
                Evidence::new(source, state, trust, "x").aged(age.map(Duration::from_secs))
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_unknown_or_old_changes_nothing(
            mut evidence in prop::collection::vec(any_evidence(), 0..6),
            mut more in any_evidence(),
            old in any::<bool>(),
        ) {
            let before = merge(&evidence, FRESH).state;
            if old { more.age = Some(FRESH + Duration::from_secs(1)); } else { more.state = State::Unknown; }
            evidence.push(more);
            prop_assert_eq!(merge(&evidence, FRESH).state, before);
        }

        #[test]
        fn without_an_opinion_nothing_is_online_or_offline(evidence in prop::collection::vec(any_evidence(), 0..6)) {
            let silent: Vec<Evidence> = evidence.into_iter().map(|e| Evidence { state: State::Unknown, ..e }).collect();
            prop_assert_eq!(merge(&silent, FRESH).state, State::Unknown);
        }

        #[test]
        fn the_order_does_not_matter(evidence in prop::collection::vec(any_evidence(), 0..6)) {
            let mut reversed = evidence.clone();
            reversed.reverse();
            prop_assert_eq!(merge(&evidence, FRESH).state, merge(&reversed, FRESH).state);
        }

        #[test]
        fn a_voice_moves_the_state_its_own_way_or_not_at_all(
            mut evidence in prop::collection::vec(any_evidence(), 0..6),
            more in any_evidence(),
        ) {
            let before = merge(&evidence, FRESH).state;
            evidence.push(more.clone());
            let after = merge(&evidence, FRESH).state;
            if more.state == State::Offline {
                prop_assert!(!after.is_up() || before.is_up());
            }
            if more.state.is_up() {
                prop_assert!(after != State::Offline || before == State::Offline);
            }
        }
    }
}
