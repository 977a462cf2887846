//! One measurement, as it was found.

use model::Verdict;
use net::ConnectError;
use net::party::Party;

use crate::release::Identity;

/// What one measurement found.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub verdict: Verdict,
    /// What was seen, short: a status, a number.
    pub value: Option<String>,
    pub expected: String,
    pub actual: String,
    /// Why it is not a pass.
    pub reason: Option<String>,
    /// Whether the answer named its release; `None` if that is not configured.
    pub release: Option<Identity>,
    /// The answer's head, made by [`model::evidence::head`]: status line, headers, the first
    /// bytes of the body; or the end of a command's output by [`model::evidence::tail`].
    pub evidence: Option<String>,
    /// Who did not answer in time, if that is what is wrong.
    pub unanswered: Option<Party>,
    pub outlook: Outlook,
    /// Whether there was no connection because no process listens there.
    pub refused: bool,
}

/// Whether a later measurement may find better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    #[default]
    Open,
    /// Nothing better comes where a second look finds the same: the first may be of a moment
    /// before.
    Doubtful,
    /// A failure that nothing measured later can undo: a restart that was one too many, a rollout
    /// that was given up.
    Final,
}

impl Reading {
    pub fn pass(expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Reading {
            verdict: Verdict::Pass,
            value: None,
            expected: expected.into(),
            actual: actual.into(),
            reason: None,
            release: None,
            evidence: None,
            unanswered: None,
            outlook: Outlook::Open,
            refused: false,
        }
    }

    pub fn unmet(
        verdict: Verdict,
        expected: impl Into<String>,
        actual: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Reading {
            verdict,
            reason: Some(reason.into()),
            ..Reading::pass(expected, actual)
        }
    }

    /// No connection, or no answer on it.
    pub fn of_problem(problem: ConnectError, expected: impl Into<String>) -> Self {
        let refused = problem.is_refused();
        let (party, value, reason) = problem.into_parts();
        Reading {
            refused,
            ..Reading::unmet(party.verdict(), expected, reason.clone(), reason).value(value)
        }
    }

    /// A failure, for good.
    pub fn finally(mut self) -> Self {
        if self.verdict == Verdict::Fail {
            self.outlook = Outlook::Final;
        }
        self
    }

    /// A failure for good where a second look finds it too.
    pub fn doubtful(mut self) -> Self {
        self.outlook = Outlook::Doubtful;
        self
    }

    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}
