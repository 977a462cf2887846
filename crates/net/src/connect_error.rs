//! Why there is no connection, or no answer on it.

use std::borrow::Cow;

use crate::cause::{REFUSED, is_refused, plain_cause};
use crate::party::{Party, awaited_party, blamed_party};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    party: Party,
    value: Cow<'static, str>,
    reason: String,
    refused: bool,
}

impl ConnectError {
    /// This one lets us through no further.
    pub fn new(party: Party, value: impl Into<Cow<'static, str>>, reason: impl ToString) -> Self {
        ConnectError {
            party,
            value: value.into(),
            reason: reason.to_string(),
            refused: false,
        }
    }

    /// The service under test refuses every login: its users see the same.
    pub fn of_service(reason: impl ToString) -> Self {
        ConnectError::new(Party::Service, "error", reason)
    }

    /// Nothing listens at the thing under test.
    pub fn refused() -> Self {
        ConnectError {
            refused: true,
            ..ConnectError::new(Party::Service, REFUSED, REFUSED)
        }
    }

    /// Our credentials or settings prevent the probe: that proves nothing about the service.
    pub fn of_way(value: &'static str, reason: impl ToString) -> Self {
        ConnectError::new(Party::Ourselves, value, reason)
    }

    /// A connection could not be made, or broke: by the party that the error names, else by the one that
    /// owed the answer.
    pub fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some((party, reason)) = blamed_party(error) {
            return ConnectError::new(party, "error", reason);
        }
        match awaited_party() {
            Party::Service if is_refused(error) => ConnectError::refused(),
            Party::Service => ConnectError::of_service(plain_cause(error)),
            party => {
                let reason = format!("through {party}: {}", plain_cause(error));
                ConnectError::new(party, "error", reason)
            }
        }
    }

    pub fn party(&self) -> &Party {
        &self.party
    }

    /// Whether nothing listens at the thing under test.
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// What was seen, short.
    pub fn value(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        self.value = value.into();
        self.refused = false;
        self
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same of a place that this one keeps: what would be the service's failure is its own.
    pub fn of(mut self, party: &Party) -> Self {
        if self.party == Party::Service {
            self.party = party.clone();
            self.refused = false;
        }
        self.reason = format!("{party}: {}", self.reason);
        self
    }

    /// The same of another place than the one under test.
    pub fn at(mut self, place: &impl std::fmt::Display) -> Self {
        self.reason = format!("{place}: {}", self.reason);
        self
    }

    /// Who is to blame, what was seen in short, and why.
    pub fn into_parts(self) -> (Party, Cow<'static, str>, String) {
        (self.party, self.value, self.reason)
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.reason)
    }
}
