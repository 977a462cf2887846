//! How bad an incident is, and whom it is passed on to.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use values::{Portion, Span};
use yaml::Fault;

use crate::KeyPosition;
use model::incident::{Impact, Severity, Unless};

/// A severity, and when an incident has it: all conditions that are given must hold.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SeverityRule {
    /// How bad the incident is then.
    pub level: Severity,
    /// Names under `environments:`. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// What users get. Default: whatever they get.
    #[serde(default)]
    pub impact: Vec<Impact>,
    /// The incident has lasted so long. Default: at once.
    pub after: Option<Span>,
    /// So many of the hosts are affected, such as `50%`; not fulfilled where it is not known.
    pub min_hosts: Option<Portion>,
}

/// Who is notified when an incident goes on.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Escalate {
    /// So long after it was opened.
    pub after: Span,
    /// What keeps it from being passed on: that it was `resolved`, which is the default, or that it was
    /// `acknowledged` by a person.
    #[serde(default)]
    pub unless: Unless,
    /// The name of a sink, or a list of them. They receive it even if their filter excludes the event.
    #[serde(deserialize_with = "one_or_several")]
    #[schemars(with = "OneOrSeveral")]
    pub to: Vec<String>,
    /// Only an incident that is at least so bad. Default: any.
    pub severity: Option<Severity>,
    /// The message, such as `@vp-engineering: production is down`.
    pub text: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the form of a key for the schema")]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> serde::de::Visitor<'de> for Names {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the name of a sink, or a list of them")
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
            Ok(vec![name.to_owned()])
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(
            self,
            mut names: A,
        ) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(name) = names.next_element()? {
                all.push(name);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(Names)
}

impl SeverityRule {
    pub(super) fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        for (nth, name) in self.environments.iter().enumerate() {
            spot.key("environments").item(nth).known_environment(name)?;
        }
        spot.key("after").some_time(self.after)
    }
}

impl Escalate {
    /// `sinks` are the names of all sinks.
    pub(super) fn check(&self, sinks: &[&str], spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("after").some_time(Some(self.after))?;
        let to = spot.key("to");
        if self.to.is_empty() {
            return Err(to.fault("it names no sink"));
        }
        for name in &self.to {
            if !sinks.contains(&name.as_str()) {
                let fault = to.fault(format!("no sink has the name `{name}`"));
                let hint = "add it under `incident:`, such as `slack: [{ name: … }]`";
                return Err(fault.hint(hint).guess(name, sinks));
            }
        }
        Ok(())
    }
}
