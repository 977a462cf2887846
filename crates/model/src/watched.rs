//! The rules of a gate while it watched, kept in the report so that it can be explained afterwards.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A number, which holds no text of another's.
trait Number {}

impl Number for u32 {}
impl Number for u64 {}
impl<T: Number> Number for Option<T> {}

/// The keys, a row each: a `number`, or a `limit`, the text of a number in the configuration, which `merge` reads again.
/// A text of another's must be redacted.
macro_rules! policy {
    ($($(#[$attribute:meta])* $key:ident: $kind:ident $type:ty,)*) => {
        /// When a probe passes, fails, or is given up. The words are those of the configuration.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct Policy {
            $($(#[$attribute])* pub $key: $type,)*
        }

        impl Policy {
            pub(crate) fn redacted(self) -> Self {
                $(policy!(@redacted $kind self.$key);)*
                self
            }
        }
    };
    (@redacted number $value:expr) => { plain(&$value) };
    (@redacted limit $value:expr) => {};
}

policy! {
    initial_delay_ms: number u64,
    interval_ms: number u64,
    timeout_ms: number u64,
    success_threshold: number u32,
    failure_limit: number Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    failing_for_ms: number Option<u64>,
    startup_ms: number u64,
    error_limit: number u32,
    inconclusive_limit: number u32,
    min_samples: number u32,
    deadline_ms: number u64,
    soak_ms: number u64,
    /// A count, `2`, or a share of the soak's measurements, `1%`.
    soak_failure_limit: limit String,
}

/// Does not compile for what may have to be redacted.
fn plain(_: &impl Number) {}

/// Bounds on what a measurement may find.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// The slowest answer that passes.
    pub latency: Option<Duration>,
    /// The least and the greatest value that pass, of a probe that reads a number.
    pub min: Option<f64>,
    pub max: Option<f64>,
}

impl Limits {
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }
}
