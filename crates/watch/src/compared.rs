//! A metric that is compared beside the probes, as it is shown from the start.

use config::file::Policy;
use model::Severity;

pub(crate) struct Compared {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) severity: Severity,
    /// Its interval and deadline.
    pub(crate) policy: Policy,
}
