//! Whom an incident is passed on to, by the clock.

use jiff::Timestamp;
use sections::incident::{Escalate, Unless};

use crate::{AppliedRule, Incident};

/// A rule whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct DueEscalation {
    /// Its place under `escalate:`, from 0.
    pub rule: usize,
    /// With the sinks to be told.
    pub applied: AppliedRule,
    pub text: String,
}

/// A rule that is the next one to be applied, as far as is known now.
#[derive(Clone, Debug, PartialEq)]
pub struct Next<'a> {
    pub at: Timestamp,
    pub rule: &'a Escalate,
}

/// The rules that an incident is passed on by if it goes on as it is: their places, and when.
fn ahead<'a>(
    incident: &Incident,
    rules: &'a [Escalate],
) -> impl Iterator<Item = (usize, Timestamp, &'a Escalate)> {
    let applies = |(nth, rule): &(usize, &Escalate)| {
        let is_bad_enough = rule.severity.is_none_or(|least| incident.severity >= least);
        let is_answered = match rule.unless {
            Unless::Resolved => false,
            Unless::Acknowledged => incident.acknowledged.is_some(),
        };
        let is_applied = incident.escalated.iter().any(|(place, known)| match known {
            Some(known) => *known == applied(rule),
            // An older program wrote down its place alone.
            None => place == nth,
        });
        incident.is_open() && is_bad_enough && !is_answered && !is_applied
    };
    let rules = rules.iter().enumerate().filter(applies);
    rules.filter_map(|(nth, rule)| {
        let at = incident.opened.checked_add(rule.after.get()).ok()?;
        Some((nth, at, rule))
    })
}

/// What a rule is known by.
fn applied(rule: &Escalate) -> AppliedRule {
    AppliedRule {
        after_ms: u64::try_from(rule.after.get().as_millis()).unwrap_or(u64::MAX),
        to: rule.to.clone(),
    }
}

/// The rule that comes next, if the incident goes on as it is.
pub fn next<'a>(incident: &Incident, rules: &'a [Escalate], now: Timestamp) -> Option<Next<'a>> {
    let later = ahead(incident, rules).filter(|(_, at, _)| *at > now);
    let (_, at, rule) = later.min_by_key(|(_, at, _)| *at)?;
    Some(Next { at, rule })
}

/// The rules whose time has come for an incident, and which were not applied yet.
pub fn due(incident: &Incident, rules: &[Escalate], now: Timestamp) -> Vec<DueEscalation> {
    ahead(incident, rules)
        .filter(|(_, at, _)| *at <= now)
        .map(|(nth, _, rule)| DueEscalation {
            rule: nth,
            applied: applied(rule),
            text: rule
                .text
                .clone()
                .unwrap_or_else(|| format!("not {} within {}", rule.unless.word(), rule.after)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use sections::incident::Severity;
    use values::Span;

    use super::*;
    use crate::sample::{SampleHistory, note, resolved, second};
    use crate::{Happening, incidents};

    fn rule(after: u64, unless: Unless, severity: Option<Severity>) -> Escalate {
        Escalate {
            after: Span::from_secs(after),
            unless,
            to: vec!["page".to_owned()],
            severity,
            text: None,
        }
    }

    fn at(past: &SampleHistory, rules: &[Escalate], now: i64) -> Vec<usize> {
        let all = incidents(&past.history());
        let due = due(&all[0], rules, second(now));
        due.into_iter().map(|one| one.rule).collect()
    }

    #[test]
    fn a_rule_is_due_from_its_time_on_and_once() {
        let rules = [
            rule(10, Unless::Resolved, None),
            rule(20, Unless::Resolved, None),
        ];
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        assert_eq!(at(&past, &rules, 9), [0; 0]);
        assert_eq!(at(&past, &rules, 10), [0]);
        // Looked at late: all that are due.
        assert_eq!(at(&past, &rules, 60), [0, 1]);
        past.add(Happening::Escalated {
            rule: 0,
            applied: None,
            text: String::new(),
        });
        assert_eq!(at(&past, &rules, 60), [1]);
        past.add(Happening::Escalated {
            rule: 1,
            applied: Some(applied(&rules[1])),
            text: String::new(),
        });
        assert_eq!(at(&past, &rules, 60), [0; 0]);
        past.add(resolved("done"));
        assert_eq!(at(&past, &rules, 60), [0; 0]);
    }

    #[test]
    fn a_rule_is_known_again_at_another_place() {
        let page = rule(20, Unless::Resolved, None);
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        past.add(Happening::Escalated {
            rule: 0,
            applied: Some(applied(&page)),
            text: String::new(),
        });
        // Another one was put before it, or stands there in another environment.
        let rules = [rule(10, Unless::Resolved, None), page];
        assert_eq!(at(&past, &rules, 60), [0]);
    }

    #[test]
    fn an_answer_of_a_person_keeps_back_only_what_waits_for_it() {
        let rules = [
            rule(10, Unless::Acknowledged, None),
            rule(10, Unless::Resolved, None),
        ];
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        assert_eq!(at(&past, &rules, 10), [0, 1]);
        past.by(Some("ann"));
        past.add(note("mine"));
        assert_eq!(at(&past, &rules, 10), [1]);
    }

    #[test]
    fn a_rule_of_a_severity_waits_until_the_incident_is_as_bad() {
        let rules = [rule(0, Unless::Resolved, Some(Severity::Critical))];
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        assert_eq!(at(&past, &rules, 5), [0; 0]);
        past.add(Happening::SeverityChanged {
            from: Severity::High,
            to: Severity::Critical,
            why: String::new(),
        });
        assert_eq!(at(&past, &rules, 5), [0]);
    }

    #[test]
    fn the_next_rule_is_the_earliest_that_can_come() {
        let rules = [
            rule(40, Unless::Acknowledged, None),
            rule(30, Unless::Resolved, None),
            rule(20, Unless::Acknowledged, None),
            rule(10, Unless::Resolved, Some(Severity::Critical)),
        ];
        let at = |past: &SampleHistory, now| {
            let all = incidents(&past.history());
            next(&all[0], &rules, second(now)).map(|next| next.at)
        };
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        assert_eq!(at(&past, 5), Some(second(20)));
        assert_eq!(at(&past, 20), Some(second(30)));
        past.by(Some("ann"));
        past.add(note("mine"));
        assert_eq!(at(&past, 5), Some(second(30)));
        assert_eq!(at(&past, 30), None);
        past.add(resolved("done"));
        assert_eq!(at(&past, 5), None);
    }

    #[test]
    fn without_a_text_it_says_what_did_not_happen_in_time() {
        let mut past = SampleHistory::new();
        past.open(Severity::High);
        let all = incidents(&past.history());
        let mut own = rule(60, Unless::Acknowledged, None);
        let text = |rule: &Escalate| {
            due(&all[0], std::slice::from_ref(rule), second(99))
                .remove(0)
                .text
        };
        assert_eq!(text(&own), "not acknowledged within 1m");
        own.text = Some("@vp: look".to_owned());
        assert_eq!(text(&own), "@vp: look");
    }
}
