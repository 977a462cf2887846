//! `incident:` — what is written down when a deployment goes wrong, and who is told.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use values::{Span, StateAddress};
use yaml::Fault;

use crate::KeyPosition;

mod chat;
mod email;
mod event;
mod exposure;
mod filter;
mod github;
mod pagerduty;
mod severity_rule;
mod sink_config;
mod stdout;
mod webhook;

pub use chat::{SlackSink, TeamsSink};
pub use email::{EmailSink, EmailTls};
pub use event::EventKind;
pub use exposure::{Exposure, ExposureLog};
pub use filter::{Before, Filter, FilterInput};
pub use github::{GithubDeploymentSink, GithubIssueSink};
pub use model::incident::{Impact, Severity, Unless};
pub use pagerduty::PagerdutySink;
pub use severity_rule::{Escalate, SeverityRule};
pub use sink_config::SinkConfig;
pub use stdout::StdoutSink;
pub use webhook::WebhookSink;

/// The kinds of sink, a row each: the field of the section and its type. `$with!` gets the rows.
#[macro_export]
macro_rules! sink_kinds {
    ($with:ident) => {
        $with! {
            /// Slack: a webhook, or with a bot's token one message per deployment that is edited in place.
            slack: SlackSink,
            /// PagerDuty, by its Events API v2.
            pagerduty: PagerdutySink,
            /// A webhook of yours: JSON, signed where you want it.
            webhook: WebhookSink,
            /// A GitHub issue per incident, with a comment per event.
            github_issue: GithubIssueSink,
            /// A GitHub deployment with its statuses.
            github_deployment: GithubDeploymentSink,
            /// E-mail by SMTP.
            email: EmailSink,
            /// Microsoft Teams, by the webhook of a workflow.
            teams: TeamsSink,
            /// A line in the log of the job.
            stdout: StdoutSink,
        }
    };
}

macro_rules! section {
    ($($(#[$doc:meta])* $kind:ident: $config:ident,)*) => {
        /// What is recorded when a deployment goes wrong, and who is notified. Each list has the sinks of one
        /// kind; a name is given to one sink only.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Incident {
            /// Where the state is kept, as under `rollback.state`; the log of events is beside it. Default: that
            /// one, else `.deploy-guard/state.json`.
            pub state: Option<StateAddress>,
            /// How long delivery may take within a stage, for all sinks together; `incident deliver` sends the
            /// rest. Default 5s.
            #[serde(default = "delivery_budget")]
            pub delivery_budget: Span,
            /// What people read. Default: the texts that come with the program.
            #[serde(default)]
            pub templates: IncidentTemplates,
            /// The environments that users see. Default: `production`, `prod` and `live`; every deployment
            /// where the file has no `environments:`.
            pub production: Option<Vec<String>>,
            /// How bad an incident is: the first rule that fits. Default: the table of the runbooks, which also
            /// stands behind these rules.
            #[serde(default)]
            pub severity: Vec<SeverityRule>,
            /// Who is notified when an incident is not resolved in time.
            #[serde(default)]
            pub escalate: Vec<Escalate>,
            /// How many requests a bad release served. Default: it is reported as unknown.
            pub exposure: Option<Exposure>,
            $(
                $(#[$doc])*
                #[serde(default)]
                pub $kind: Vec<$config>,
            )*
        }

        impl Default for Incident {
            fn default() -> Incident {
                Incident {
                    state: None,
                    delivery_budget: delivery_budget(),
                    templates: IncidentTemplates::default(),
                    production: None,
                    severity: Vec::new(),
                    escalate: Vec::new(),
                    exposure: None,
                    $($kind: Vec::new(),)*
                }
            }
        }

        impl Incident {
            /// Every sink with its kind's key and its place in that list.
            fn placed(&self) -> impl Iterator<Item = (String, usize, &dyn SinkConfig)> {
                let none = std::iter::empty();
                $(let none = none.chain(self.$kind.iter().enumerate().map(|(nth, sink)| {
                    (key(stringify!($kind)), nth, sink as &dyn SinkConfig)
                }));)*
                none
            }
        }
    };
}
sink_kinds!(section);

/// Files with templates of yours, in the place of the texts that come with the program. What may be used
/// in them: `docs/guide/incident.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IncidentTemplates {
    /// When an incident is opened.
    pub initial_alert: Option<PathBuf>,
    /// When something changes in it.
    pub update: Option<PathBuf>,
    /// When it is resolved.
    pub resolution: Option<PathBuf>,
}

impl Incident {
    /// Every sink with its kind's key, in the order of the kinds.
    pub fn sinks(&self) -> impl Iterator<Item = (String, &dyn SinkConfig)> {
        self.placed().map(|(kind, _, sink)| (kind, sink))
    }

    /// Whether users see an environment.
    pub fn is_production(&self, environment: &str) -> bool {
        match &self.production {
            Some(names) => names.iter().any(|name| name == environment),
            None => ["production", "prod", "live"].contains(&environment),
        }
    }

    /// The rules of the section; `state` is that of the section `rollback:`, where it has one.
    pub fn check(&self, state: Option<&StateAddress>, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let hint = "an incident is of what the rollback knows: leave `incident.state` out";
        spot.own_state(self.state.as_ref(), state, hint)?;
        spot.key("delivery-budget")
            .some_time(Some(self.delivery_budget))?;
        let templates = &self.templates;
        for (key, file) in [
            ("initial-alert", &templates.initial_alert),
            ("update", &templates.update),
            ("resolution", &templates.resolution),
        ] {
            if let Some(file) = file {
                spot.key("templates").key(key).a_file(file, true)?;
            }
        }
        let mut names: Vec<(&str, String)> = Vec::new();
        for (kind, nth, sink) in self.placed() {
            let spot = spot.key(&kind).item(nth);
            let name = sink.name();
            spot.key("name").plain(name, "-_.")?;
            if let Some((_, other)) = names.iter().find(|(known, _)| *known == name) {
                let fault = spot.key("name");
                let fault = fault.fault(format!("`{other}` has a sink `{name}` too"));
                return Err(fault.hint("sinks need different names: give it another one"));
            }
            sink.filter().check(spot)?;
            sink.check(spot)?;
            names.push((name, kind));
        }
        for (nth, name) in self.production.iter().flatten().enumerate() {
            spot.key("production").item(nth).known_environment(name)?;
        }
        for (nth, rule) in self.severity.iter().enumerate() {
            rule.check(spot.key("severity").item(nth))?;
        }
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        for (nth, rule) in self.escalate.iter().enumerate() {
            rule.check(&names, spot.key("escalate").item(nth))?;
        }
        if let Some(exposure) = &self.exposure {
            exposure.check(spot.key("exposure"))?;
        }
        Ok(())
    }
}

/// The key in the file of a field of the section.
pub fn key(field: &str) -> String {
    field.replace('_', "-")
}

fn delivery_budget() -> Span {
    Span::from_secs(5)
}
