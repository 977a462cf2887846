//! How the sinks of GitHub ask it, and what its errors mean for the next attempt.

use std::time::{Duration, Instant};

use github::{Client, Error, Repository};

use crate::NotDelivered;
use crate::sink::{Around, Delivered};

/// The sink's repository, or that of the run.
pub(crate) fn repository(
    own: Option<&str>,
    around: Around<'_>,
) -> Result<Repository, NotDelivered> {
    let Some(name) = own.or(around.repository) else {
        let hint = "add `repository: owner/name` to the sink";
        return Err(NotDelivered::refused("no repository is known", hint));
    };
    Repository::parse(name).map_err(|error| refused(&error))
}

pub(crate) fn client(
    token_env: Option<&str>,
    around: Around<'_>,
    deadline: Instant,
) -> Result<Client, NotDelivered> {
    if let Some(name) = token_env {
        crate::secret::value(around.env, name)?;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    (around.github)(token_env, left, deadline).map_err(|error| refused(&error))
}

/// What a delivery to GitHub comes to by the deadline: it takes several questions.
pub(crate) async fn within(
    deadline: Instant,
    delivery: impl Future<Output = Result<Delivered, NotDelivered>>,
) -> Result<Delivered, NotDelivered> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left < Duration::from_millis(1) {
        let reason = "GitHub was not asked: the time was up";
        return Err(NotDelivered::later(reason, None));
    }
    let delivered = tokio::time::timeout(left, delivery).await;
    delivered.unwrap_or_else(|_| {
        let left = model::text::span(left);
        let reason = format!("GitHub did not answer within {left}");
        Err(NotDelivered::unsure(reason))
    })
}

/// A question that changes nothing.
pub(crate) fn read(error: &Error) -> NotDelivered {
    match error {
        Error::RateLimited { wait, .. } => NotDelivered::later(error.to_string(), Some(*wait)),
        _ if error.is_passing() => NotDelivered::later(error.to_string(), None),
        _ => refused(error),
    }
}

/// One that changes something: without an answer, or where a gateway answered, it may have arrived.
pub(crate) fn written(error: &Error) -> NotDelivered {
    match error {
        Error::Unreachable { .. } => NotDelivered::unsure(error.to_string()),
        Error::Server { status } if *status >= 500 => NotDelivered::unsure(error.to_string()),
        _ => read(error),
    }
}

fn refused(error: &Error) -> NotDelivered {
    NotDelivered::refused(error.to_string(), error.hint())
}
