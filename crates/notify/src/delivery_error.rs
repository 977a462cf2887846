//! Why a notice was not delivered, and what that means for the next attempt.

use std::time::Duration;

use crate::Reference;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct DeliveryError {
    pub why: DeliveryFailure,
    /// What the attempt left all the same: keep it for the next one.
    pub reference: Option<Reference>,
    /// What a person must change before a later attempt can work.
    pub hint: Option<String>,
}

/// What the next attempt may hope for. No text holds a secret: of a webhook's URL only the host is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryFailure {
    /// It has not arrived, and may later.
    #[error("{reason}")]
    Later {
        reason: String,
        /// What the service asks for.
        after: Option<Duration>,
    },
    /// It has not arrived, and will not until a person changes something.
    #[error("{reason}")]
    Refused { reason: String, hint: String },
    /// It was sent, and what came back, if anything, does not tell: it may have arrived.
    #[error("{reason}")]
    Unsure {
        reason: String,
        /// What the service asks for.
        after: Option<Duration>,
    },
}

impl DeliveryError {
    pub(crate) fn later(reason: impl Into<String>, after: Option<Duration>) -> Self {
        let reason = reason.into();
        DeliveryFailure::Later { reason, after }.into()
    }

    pub(crate) fn refused(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        let (reason, hint) = (reason.into(), hint.into());
        DeliveryFailure::Refused { reason, hint }.into()
    }

    pub(crate) fn unsure(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let after = None;
        DeliveryFailure::Unsure { reason, after }.into()
    }

    /// Of a question that changes nothing: it can be asked again.
    pub(crate) fn of_a_question(mut self) -> Self {
        if let DeliveryFailure::Unsure { reason, after } = self.why {
            self.why = DeliveryFailure::Later { reason, after };
        }
        self
    }

    /// With what the attempt left.
    pub(crate) fn leaving(self, reference: Option<Reference>) -> Self {
        DeliveryError { reference, ..self }
    }

    /// The next step for a person, where there is one.
    pub fn hint(&self) -> Option<&str> {
        match &self.why {
            DeliveryFailure::Refused { hint, .. } => Some(hint),
            DeliveryFailure::Later { .. } | DeliveryFailure::Unsure { .. } => self.hint.as_deref(),
        }
    }
}

impl From<DeliveryFailure> for DeliveryError {
    fn from(why: DeliveryFailure) -> Self {
        DeliveryError {
            why,
            reference: None,
            hint: None,
        }
    }
}
