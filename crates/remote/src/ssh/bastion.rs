//! Jump hosts: one login at each for all hosts behind it.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::socket::Keeps;
use super::{Error, Shared, Target};

/// The jump hosts that something is reached through at this moment. There is one list for the process,
/// because hosts are reached from many places in it: a login at the jump host for each of a hundred
/// hosts would exceed its `MaxStartups`.
static IN_USE: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// The login at a jump host. It ends with its last user.
pub(super) fn at(jump: &Target) -> Arc<Shared> {
    let mut all = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|one| one.strong_count() > 0);
    let known = all.iter().filter_map(Weak::upgrade);
    if let Some(shared) = known.into_iter().find(|one| one.target() == jump) {
        return shared;
    }
    let shared = Arc::new(Shared::new(jump.clone()));
    all.push(Arc::downgrade(&shared));
    shared
}

/// A connection to a place that a jump host makes, and what must live as long as it.
pub(super) async fn open(
    jump: &Target,
    (host, port): (&str, u16),
    timeout: Duration,
) -> Result<(UnixStream, Keeps), Error> {
    let shared = at(jump);
    let of_jump = |error| of_jump(jump, error);
    let began = std::time::Instant::now();
    shared.log_in(timeout).await.map_err(of_jump)?;
    let left = timeout.saturating_sub(began.elapsed());
    let tunnel = shared.open(host, port, left).await.map_err(|error| {
        let closed = |reason: String| Error::Port { port, reason };
        match error {
            Error::NoWay { .. } => closed(format!(
                "the jump host {} cannot connect to {host}:{port}",
                jump.address()
            )),
            Error::NoAnswer { within, .. } => closed(format!(
                "the jump host {} has not connected to {host}:{port} within {}",
                jump.address(),
                model::text::duration(within)
            )),
            error => of_jump(error),
        }
    })?;
    let (stream, session) = tunnel
        .into_socket()
        .map_err(|error| Error::Ours(error.to_string()))?;
    Ok((stream, Arc::new((shared, session))))
}

/// An error at a jump host, which is not the host's own.
pub(super) fn of_jump(jump: &Target, error: Error) -> Error {
    Error::Jump {
        host: jump.address().to_owned(),
        error: Box::new(error),
    }
}
