//! How bad an incident is, by rules: those of the configuration, then those of the runbooks.

use std::time::Duration;

use jiff::Timestamp;
use sections::incident::{Impact, Incident as Section, Severity, SeverityRule};

use crate::{Hosts, Incident};

/// Where an incident is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The configuration has no environments: users see all of it.
    Only,
    /// The configuration has environments, and none was named: it may be one that users see.
    Unnamed,
    Named {
        environment: String,
        /// Whether users see it.
        is_production: bool,
    },
}

impl Place {
    /// `has_environments`: whether the configuration has any.
    pub fn of(section: &Section, environment: Option<&str>, has_environments: bool) -> Place {
        match environment {
            Some(name) => Place::Named {
                environment: name.to_owned(),
                is_production: section.is_production(name),
            },
            None if has_environments => Place::Unnamed,
            None => Place::Only,
        }
    }

    fn is_production(&self) -> bool {
        match self {
            Place::Only | Place::Unnamed => true,
            Place::Named { is_production, .. } => *is_production,
        }
    }

    fn environment(&self) -> Option<&String> {
        match self {
            Place::Only | Place::Unnamed => None,
            Place::Named { environment, .. } => Some(environment),
        }
    }
}

/// As the subject of a sentence.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Only => f.write_str("the service"),
            Place::Unnamed => {
                f.write_str("an environment that was not named, and may be production,")
            }
            Place::Named { environment, .. } => write!(f, "`{environment}`"),
        }
    }
}

/// What is known when an incident is classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    pub place: Place,
    /// What users get.
    pub impact: Impact,
    /// How long it has lasted.
    pub lasted: Duration,
    /// The hosts that are affected, where that is known.
    pub hosts: Option<Hosts>,
}

/// The severity that an open incident has by now, where that is worse than the one that it has. One that a person set
/// holds. `place` is the incident's own: the command that looks at the clock may name none.
pub fn escalated_severity(
    incident: &Incident,
    section: &Section,
    place: Place,
    now: Timestamp,
) -> Option<Classification> {
    if !incident.is_open() || incident.by_hand {
        return None;
    }
    let situation = Situation {
        place,
        impact: incident.impact,
        lasted: Duration::try_from(incident.lasted(now)).unwrap_or_default(),
        hosts: incident.hosts,
    };
    let judged = classify(&situation, &section.severity);
    (judged.severity > incident.severity).then_some(judged)
}

/// A severity, and the rule that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    pub severity: Severity,
    pub why: String,
}

/// The severity by the first rule that fits; else by the table of the runbooks: production down is critical,
/// production degraded is high, anything else that users of it notice is medium, and the rest low.
pub fn classify(situation: &Situation, rules: &[SeverityRule]) -> Classification {
    let fits = |rule: &&SeverityRule| {
        let named = |name: &String| rule.environments.contains(name);
        let affected = |least: values::Portion| {
            let enough =
                |hosts: Hosts| hosts.all > 0 && hosts.affected >= least.at_least(hosts.all);
            situation.hosts.is_some_and(enough)
        };
        (rule.environments.is_empty() || situation.place.environment().is_some_and(named))
            && (rule.impact.is_empty() || rule.impact.contains(&situation.impact))
            && rule
                .after
                .is_none_or(|after| situation.lasted >= after.get())
            && rule.min_hosts.is_none_or(affected)
    };
    if let Some((nth, rule)) = rules.iter().enumerate().find(|(_, rule)| fits(rule)) {
        return Classification {
            severity: rule.level,
            why: format!("rule {} under `incident.severity`", nth + 1),
        };
    }
    let place = &situation.place;
    let (severity, told) = match (place.is_production(), situation.impact) {
        (_, Impact::None) => (Severity::Low, "serves its users as before"),
        (true, Impact::Down) => (Severity::Critical, "is down for its users"),
        (true, Impact::Degraded) => (Severity::High, "is degraded"),
        (true, Impact::Unknown) if *place == Place::Unnamed => (Severity::High, "may be affected"),
        (true, Impact::Unknown) => (
            Severity::High,
            "is production, and whether users are affected is not known",
        ),
        (false, _) => (Severity::Medium, "is affected, and is not production"),
    };
    Classification {
        severity,
        why: format!("{place} {told}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(is_production: bool, impact: Impact) -> Situation {
        Situation {
            place: Place::Named {
                environment: "live".to_owned(),
                is_production,
            },
            impact,
            lasted: Duration::ZERO,
            hosts: None,
        }
    }

    fn rules(text: &str) -> Vec<SeverityRule> {
        serde_json::from_str(text).expect("rules")
    }

    #[test]
    fn without_rules_the_table_of_the_runbooks_decides() {
        for (is_production, impact, severity) in [
            (true, Impact::Down, Severity::Critical),
            (true, Impact::Degraded, Severity::High),
            (true, Impact::Unknown, Severity::High),
            (true, Impact::None, Severity::Low),
            (false, Impact::Down, Severity::Medium),
            (false, Impact::Degraded, Severity::Medium),
            (false, Impact::Unknown, Severity::Medium),
            (false, Impact::None, Severity::Low),
        ] {
            let judged = classify(&situation(is_production, impact), &[]);
            assert_eq!(judged.severity, severity, "{is_production} {impact:?}");
            assert!(judged.why.starts_with("`live` "), "{}", judged.why);
        }
        for (place, told) in [
            (Place::Only, "the service is down for its users"),
            (
                Place::Unnamed,
                "an environment that was not named, and may be production, is down for its users",
            ),
        ] {
            let situation = Situation {
                place,
                ..situation(true, Impact::Down)
            };
            let judged = classify(&situation, &[]);
            assert_eq!(
                (judged.severity, judged.why.as_str()),
                (Severity::Critical, told)
            );
        }
    }

    #[test]
    fn the_first_rule_that_fits_in_every_part_decides() {
        let rules = rules(
            r#"[{"level": "low", "environments": ["test"]},
                {"level": "medium", "impact": ["degraded"], "after": "10m"},
                {"level": "critical", "min-hosts": "50%"},
                {"level": "low", "impact": ["down"]}]"#,
        );
        let down = situation(true, Impact::Down);
        let judged = classify(&down, &rules);
        assert_eq!(
            (judged.severity, judged.why.as_str()),
            (Severity::Low, "rule 4 under `incident.severity`")
        );
        let hosts = |affected, all| Situation {
            hosts: Some(Hosts { affected, all }),
            ..down.clone()
        };
        assert_eq!(classify(&hosts(1, 3), &rules).severity, Severity::Low);
        assert_eq!(classify(&hosts(2, 3), &rules).severity, Severity::Critical);
        assert_eq!(classify(&hosts(0, 0), &rules).severity, Severity::Low);
        let lasted = |minutes| Situation {
            lasted: Duration::from_mins(minutes),
            ..situation(true, Impact::Degraded)
        };
        assert_eq!(classify(&lasted(9), &rules).severity, Severity::High);
        assert_eq!(classify(&lasted(10), &rules).severity, Severity::Medium);
    }
}
