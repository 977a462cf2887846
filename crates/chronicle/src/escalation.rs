//! Whom an incident is passed on to, by the clock.

use jiff::Timestamp;
use sections::incident::{Escalate, Unless};

use crate::Incident;

/// A rule whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// Its place under `escalate:`, from 0.
    pub rule: usize,
    /// The sinks to be told.
    pub to: Vec<String>,
    pub text: String,
}

/// The rules whose time has come for an incident, and which were not applied yet.
pub fn due(incident: &Incident, rules: &[Escalate], now: Timestamp) -> Vec<Due> {
    if !incident.is_open() {
        return Vec::new();
    }
    let is_due = |(nth, rule): &(usize, &Escalate)| {
        let is_bad_enough = rule.severity.is_none_or(|least| incident.severity >= least);
        let is_answered = match rule.unless {
            Unless::Resolved => false,
            Unless::Acknowledged => incident.acknowledged.is_some(),
        };
        let at = incident.opened.checked_add(rule.after.get());
        is_bad_enough
            && !is_answered
            && !incident.escalated.contains(nth)
            && at.is_ok_and(|at| at <= now)
    };
    let rules = rules.iter().enumerate().filter(is_due);
    rules
        .map(|(nth, rule)| Due {
            rule: nth,
            to: rule.to.clone(),
            text: rule.text.clone().unwrap_or_else(|| {
                let unless = match rule.unless {
                    Unless::Resolved => "not resolved",
                    Unless::Acknowledged => "not acknowledged",
                };
                format!("{unless} within {}", rule.after)
            }),
        })
        .collect()
}
