//! What runs beside what, and ends with it: the probes and the comparison.

use std::cell::RefCell;

use model::{Outcome, Severity, Verdict};
use tokio::sync::Notify;

/// The first that failed, which decides for all.
#[derive(Debug, Default)]
pub(crate) struct FirstFailure {
    failed: RefCell<Option<String>>,
    notify: Notify,
}

impl FirstFailure {
    /// Notes the first of these that failed and had to pass.
    pub(crate) fn note(&self, outcomes: &[Outcome]) {
        let failed = outcomes.iter().find(|outcome| {
            outcome.verdict == Verdict::Fail && outcome.severity == Severity::Required
        });
        if let Some(failed) = failed {
            self.failed
                .borrow_mut()
                .get_or_insert_with(|| failed.id.to_string());
            self.notify.notify_waiters();
        }
    }

    pub(crate) fn which(&self) -> Option<String> {
        self.failed.borrow().clone()
    }

    /// Ends when one has failed, with its id.
    pub(crate) async fn failed(&self) -> String {
        loop {
            let notified = self.notify.notified();
            if let Some(failed) = self.which() {
                return failed;
            }
            notified.await;
        }
    }
}
