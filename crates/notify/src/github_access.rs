//! How the sinks of GitHub ask it, and what its errors mean for the next attempt.

use std::time::{Duration, Instant};

use github::{Client, Error, Repository};

use crate::DeliveryError;
use crate::sink::{Delivered, SinkContext};

/// What a sink of GitHub begins with.
pub(crate) struct Access<'a> {
    pub(crate) repository: Repository,
    token_env: Option<&'a str>,
    around: SinkContext<'a>,
}

impl<'a> Access<'a> {
    /// To the sink's repository, or that of the run.
    pub(crate) fn new(
        repository: Option<&str>,
        token_env: Option<&'a str>,
        around: SinkContext<'a>,
    ) -> Result<Access<'a>, DeliveryError> {
        let Some(name) = repository.or(around.repository) else {
            let hint = "add `repository: owner/name` to the sink";
            return Err(DeliveryError::refused("no repository is known", hint));
        };
        Ok(Access {
            repository: Repository::parse(name).map_err(|error| refused(&error))?,
            token_env,
            around,
        })
    }

    /// What a delivery comes to by the deadline: it takes several questions.
    pub(crate) async fn within(
        &self,
        deadline: Instant,
        delivery: impl AsyncFnOnce(&Client) -> Result<Delivered, DeliveryError>,
    ) -> Result<Delivered, DeliveryError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            let reason = "GitHub was not called: no time was left";
            return Err(DeliveryError::later(reason, None));
        }
        let client = self.client(left, deadline)?;
        let delivered = tokio::time::timeout(left, delivery(&client)).await;
        delivered.unwrap_or_else(|_| {
            let left = model::text::span(left);
            let reason = format!("GitHub did not answer within {left}");
            Err(DeliveryError::unsure(reason))
        })
    }

    fn client(&self, left: Duration, deadline: Instant) -> Result<Client, DeliveryError> {
        if let Some(name) = self.token_env {
            crate::secret::value(self.around.env, name)?;
        }
        let client = (self.around.github)(self.token_env, left, deadline);
        client.map_err(|error| refused(&error))
    }
}

/// A question that changes nothing.
pub(crate) fn read(error: &Error) -> DeliveryError {
    match error {
        Error::RateLimited { wait, .. } => DeliveryError::later(error.to_string(), Some(*wait)),
        _ if error.is_passing() => DeliveryError::later(error.to_string(), None),
        _ => refused(error),
    }
}

/// One that changes something: without an answer, or where a gateway answered, it may have arrived.
pub(crate) fn written(error: &Error) -> DeliveryError {
    match error {
        Error::Unreachable { .. } => DeliveryError::unsure(error.to_string()),
        Error::Server { status } if *status >= 500 => DeliveryError::unsure(error.to_string()),
        _ => read(error),
    }
}

fn refused(error: &Error) -> DeliveryError {
    DeliveryError::refused(error.to_string(), error.hint())
}
