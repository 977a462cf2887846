//! What the types of all sinks have in common: a name, a filter, rules.

use yaml::Fault;

use super::Filter;
use crate::spot::KeyPosition;

/// The configuration of a sink.
pub trait SinkConfig {
    /// What it is called: unique over all kinds.
    fn name(&self) -> &str;

    /// What it hears of.
    fn filter(&self) -> Filter<'_>;

    /// The rules that its type cannot state.
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault>;
}

/// The two methods that are the same for each kind. `events` and `only_failed` are the defaults of the kind;
/// `only_notes_of_incidents` is no key.
macro_rules! common_fields {
    (events: $events:expr, only_failed: $only_failed:expr) => {
        $crate::incident::sink_config::common_fields!(
            events: $events, only_failed: $only_failed, only_notes_of_incidents: false
        );
    };
    (
        events: $events:expr, only_failed: $only_failed:expr,
        only_notes_of_incidents: $only_notes_of_incidents:expr
    ) => {
        fn name(&self) -> &str {
            &self.name
        }

        fn filter(&self) -> $crate::incident::Filter<'_> {
            let events: fn(&Self) -> &'static [$crate::incident::EventKind] = $events;
            let only_failed: fn(&Self) -> bool = $only_failed;
            $crate::incident::Filter {
                severity: self.severity,
                environments: &self.environments,
                events: self.events.as_deref().unwrap_or_else(|| events(self)),
                only_failed: self.only_failed.unwrap_or_else(|| only_failed(self)),
                only_notes_of_incidents: $only_notes_of_incidents,
            }
        }
    };
}
pub(super) use common_fields;
