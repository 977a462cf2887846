//! The SSH connection itself: a libssh2 session on its socket, asked without waiting.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, ErrorCode};

use super::socket::{Keeps, Socket};

/// "Would block": to be asked again when the socket is ready.
pub(super) const AGAIN: ErrorCode = ErrorCode::Session(-37);
/// How long a peer may take nothing of what we send.
const STALL: Duration = Duration::from_secs(5);

/// An SSH connection on its socket.
pub(super) struct Link {
    pub(super) session: ssh2::Session,
    pub(super) stream: Arc<Socket>,
    /// What the socket runs through, where it runs through another host.
    pub(super) through: Option<Keeps>,
    /// Set when the last handle is dropped.
    pub(super) unwanted: Arc<AtomicBool>,
}

impl Drop for Link {
    fn drop(&mut self) {
        // Notify the server, and do not wait: freeing the session would wait for its answer.
        self.session.set_blocking(false);
        let _ = self.session.disconnect(None, "done", None);
        self.stream.shut_down();
    }
}

/// "Channel open failure", and the same of a request on a channel.
const REFUSED: [ErrorCode; 2] = [ErrorCode::Session(-21), ErrorCode::Session(-22)];

/// Why a step on the connection did not work, as libssh2 says it.
#[derive(Clone, Debug)]
pub(super) struct LinkError {
    pub(super) reason: String,
    /// The host refuses, but the connection stays open.
    pub(super) refused: bool,
}

impl LinkError {
    pub(super) fn new(reason: impl Into<String>) -> LinkError {
        LinkError {
            reason: reason.into(),
            refused: false,
        }
    }
}

/// What libssh2 and its streams say.
pub(super) trait IntoLinkError {
    fn would_block(&self) -> bool;
    fn broken(self) -> LinkError;
}

impl IntoLinkError for ssh2::Error {
    fn would_block(&self) -> bool {
        self.code() == AGAIN
    }

    fn broken(self) -> LinkError {
        LinkError {
            reason: self.message().to_owned(),
            refused: REFUSED.contains(&self.code()),
        }
    }
}

impl IntoLinkError for io::Error {
    fn would_block(&self) -> bool {
        self.kind() == io::ErrorKind::WouldBlock
    }

    fn broken(self) -> LinkError {
        LinkError::new(self.to_string())
    }
}

impl Link {
    pub(super) fn new(mut session: ssh2::Session, stream: Socket) -> Link {
        let stream = Arc::new(stream);
        session.set_tcp_stream(Arc::clone(&stream));
        Link {
            session,
            stream,
            through: None,
            unwanted: Arc::new(AtomicBool::new(false)),
        }
    }

    /// What is left until the deadline is the time of the next blocking call.
    pub(super) fn set_deadline(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean without limit.
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        self.session.set_timeout(left);
    }

    /// One step; `None` where it has to wait for the other side.
    ///
    /// A packet that was sent in part must be sent to its end before anything else is: libssh2
    /// refuses the next one. All channels share the socket, so waiting here delays none of them further.
    pub(super) fn step<T, E: IntoLinkError>(
        &self,
        mut step: impl FnMut() -> Result<T, E>,
    ) -> Result<Option<T>, LinkError> {
        let until = Instant::now() + STALL;
        loop {
            match step() {
                Ok(value) => return Ok(Some(value)),
                Err(error) if !error.would_block() => return Err(error.broken()),
                Err(_) if !self.half_sent() => return Ok(None),
                Err(_) if Instant::now() >= until || self.unwanted.load(Ordering::Relaxed) => {
                    return Err(LinkError::new("the host takes nothing that is sent"));
                }
                Err(_) => {
                    let mut socket = [PollFd::new(&*self.stream, PollFlags::OUT)];
                    wait(&mut socket, Duration::from_millis(100))?;
                }
            }
        }
    }

    fn half_sent(&self) -> bool {
        let directions = self.session.block_directions();
        matches!(
            directions,
            BlockDirections::Outbound | BlockDirections::Both
        )
    }
}

/// Waits for one of these, so long at most.
pub(super) fn wait(these: &mut [PollFd<'_>], most: Duration) -> Result<(), LinkError> {
    let time = Timespec {
        tv_sec: most.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: most.subsec_nanos().into(),
    };
    match poll(these, Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(LinkError::new(error.to_string())),
    }
}
