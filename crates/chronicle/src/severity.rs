//! How bad an incident is, by rules: those of the configuration, then those of the runbooks.

use std::time::Duration;

use sections::incident::{Impact, Severity, SeverityRule};

/// What is known when an incident is classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// `None` where the configuration has one environment only.
    pub environment: Option<String>,
    /// Whether that environment is one that users see.
    pub is_production: bool,
    /// What users get.
    pub impact: Impact,
    /// How long it has lasted.
    pub lasted: Duration,
    /// The hosts that are affected, and all hosts, where both are known.
    pub hosts: Option<(usize, usize)>,
}

/// A severity, and the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub severity: Severity,
    pub why: String,
}

/// The severity by the first rule that fits; else by the table of the runbooks: production down is critical,
/// production degraded is high, anything else that users of it notice is medium, and the rest low.
pub fn classify(situation: &Situation, rules: &[SeverityRule]) -> Judged {
    let fits = |rule: &&SeverityRule| {
        let named = |name: &String| rule.environments.contains(name);
        let affected = |least: values::Portion| {
            let (affected, all) = situation.hosts.unwrap_or((0, 0));
            all > 0 && affected >= least.at_least(all)
        };
        (rule.environments.is_empty() || situation.environment.as_ref().is_some_and(named))
            && (rule.impact.is_empty() || rule.impact.contains(&situation.impact))
            && rule
                .after
                .is_none_or(|after| situation.lasted >= after.get())
            && rule.min_hosts.is_none_or(affected)
    };
    if let Some((nth, rule)) = rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        return Judged {
            severity: rule.is,
            why: format!("rule {} under `incident.severity`", nth + 1),
        };
    }
    let place = match (&situation.environment, situation.is_production) {
        (Some(name), _) => format!("`{name}`"),
        (None, _) => "the service".to_owned(),
    };
    let (severity, told) = match (situation.is_production, situation.impact) {
        (_, Impact::None) => (Severity::Low, "serves its users as before"),
        (true, Impact::Down) => (Severity::Critical, "is down for its users"),
        (true, Impact::Degraded) => (Severity::High, "is degraded"),
        (true, Impact::Unknown) => (
            Severity::High,
            "is production, and whether users are affected is not known",
        ),
        (false, _) => (Severity::Medium, "is affected, and is not production"),
    };
    Judged {
        severity,
        why: format!("{place} {told}"),
    }
}
