//! One command on a connection: both of its streams are read, its input is written, and it is
//! cut off when its time or its output is over.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ssh2::{BlockDirections, Channel, ErrorCode};

use super::proof::Proof;
use super::{Error, Exit, Limits, Output};

/// "Would block": to be asked again when the socket is ready.
const AGAIN: ErrorCode = ErrorCode::Session(-37);
/// A command is cut off above this many times of what is kept of it, or above [`FLOOD`].
const FLOOD_FACTOR: u64 = 16;
const FLOOD: u64 = 1 << 20;

/// An SSH connection on its socket.
pub(super) struct Connection {
    pub(super) session: ssh2::Session,
    pub(super) stream: Arc<TcpStream>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Tell the server, and wait for nothing: freeing the session would wait for its answer.
        self.session.set_blocking(false);
        let _ = self.session.disconnect(None, "done", None);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Why a command has no exit status.
enum Stop {
    TimedOut,
    Broken(String),
}

impl Connection {
    pub(super) fn new(mut session: ssh2::Session, stream: TcpStream) -> Connection {
        let stream = Arc::new(stream);
        session.set_tcp_stream(Arc::clone(&stream));
        Connection { session, stream }
    }

    /// What is left until the deadline is the time of the next blocking call.
    pub(super) fn give(&self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean without limit.
        let left = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        self.session.set_timeout(left);
    }

    pub(super) fn exec(
        &self,
        command: &str,
        proof: Proof,
        input: &[u8],
        limits: Limits,
    ) -> Result<Output, Error> {
        let mut kept = Kept::new(limits.max_output, proof);
        let deadline = Instant::now() + limits.timeout;
        let exit = match self.follow(command, input, deadline, &mut kept) {
            // libssh2 calls it 0 as well where the server tells no status at all.
            Ok(Exit::Code(0)) if !kept.proof.is_given() => Exit::Unproven,
            Ok(exit) => exit,
            Err(Stop::TimedOut) => Exit::TimedOut,
            Err(Stop::Broken(reason)) => return Err(Error::Command { reason }),
        };
        kept.printed -= kept.proof.remove(&mut kept.stderr);
        Ok(Output {
            exit,
            truncated: kept.printed > (kept.stdout.len() + kept.stderr.len()) as u64,
            stdout: kept.stdout,
            stderr: kept.stderr,
            printed: kept.printed,
        })
    }

    fn follow(
        &self,
        command: &str,
        mut input: &[u8],
        deadline: Instant,
        kept: &mut Kept,
    ) -> Result<Exit, Stop> {
        self.session.set_blocking(false);
        let mut channel = self.wait(deadline, || self.session.channel_session())?;
        self.wait(deadline, || channel.exec(command))?;
        let mut input_ended = false;
        loop {
            let moved = kept.read(&mut channel)?;
            if kept.flood() {
                return Ok(Exit::Flood);
            }
            if channel.eof() {
                break;
            }
            if !input_ended {
                input_ended = feed(&mut channel, &mut input)?;
                if input_ended {
                    // libssh2 has read ahead while it wrote; that would not show on the socket.
                    continue;
                }
            }
            if Instant::now() >= deadline {
                return Err(Stop::TimedOut);
            }
            if !moved {
                self.poll(deadline)?;
            }
        }
        self.wait(deadline, || channel.wait_close())?;
        let broken = |error: ssh2::Error| Stop::Broken(error.message().to_owned());
        let signal = channel.exit_signal().map_err(broken)?;
        Ok(match signal.exit_signal {
            Some(signal) => Exit::Signal(signal.chars().take(32).collect()),
            None => Exit::Code(channel.exit_status().map_err(broken)?),
        })
    }

    /// Repeats a step until it no longer would block.
    fn wait<T>(
        &self,
        deadline: Instant,
        mut step: impl FnMut() -> Result<T, ssh2::Error>,
    ) -> Result<T, Stop> {
        loop {
            match step() {
                Err(error) if error.code() == AGAIN => self.poll(deadline)?,
                Err(error) => return Err(Stop::Broken(error.message().to_owned())),
                Ok(value) => return Ok(value),
            }
        }
    }

    /// Waits for the socket, at most until the deadline.
    fn poll(&self, deadline: Instant) -> Result<(), Stop> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Stop::TimedOut);
        }
        let flags = match self.session.block_directions() {
            BlockDirections::Outbound => PollFlags::OUT,
            BlockDirections::Both => PollFlags::IN | PollFlags::OUT,
            BlockDirections::Inbound | BlockDirections::None => PollFlags::IN,
        };
        // In steps, because what libssh2 has read ahead does not show on the socket.
        let left = left.min(Duration::from_millis(500));
        let time = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&*self.stream, flags)], Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Stop::Broken(error.to_string())),
        }
    }
}

/// Writes what the command is to read; `true` when it has all of it.
fn feed(channel: &mut Channel, input: &mut &[u8]) -> Result<bool, Stop> {
    while !input.is_empty() {
        match channel.write(input) {
            Ok(written) => *input = &input[written.min(input.len())..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(false),
            // It may end without reading all: its exit status says whether that is well.
            Err(_) => *input = &[],
        }
    }
    match channel.send_eof() {
        Ok(()) => Ok(true),
        Err(error) if error.code() == AGAIN => Ok(false),
        Err(error) => Err(Stop::Broken(error.message().to_owned())),
    }
}

/// What is kept of the two streams.
struct Kept {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    printed: u64,
    most: usize,
    proof: Proof,
}

impl Kept {
    fn new(most: usize, proof: Proof) -> Kept {
        Kept {
            stdout: Vec::new(),
            stderr: Vec::new(),
            printed: 0,
            most,
            proof,
        }
    }

    fn flood(&self) -> bool {
        self.printed > (self.most as u64).saturating_mul(FLOOD_FACTOR).max(FLOOD)
    }

    /// Takes what has arrived; `false` when that is nothing.
    fn read(&mut self, channel: &mut Channel) -> Result<bool, Stop> {
        let mut moved = false;
        let mut piece = [0; 16 << 10];
        for (id, kept) in [(0, &mut self.stdout), (1, &mut self.stderr)] {
            match channel.stream(id).read(&mut piece) {
                Ok(length) => {
                    moved |= length > 0;
                    self.printed += length as u64;
                    if id == 1 {
                        self.proof.see(&piece[..length]);
                    }
                    let room = self.most.saturating_sub(kept.len()).min(length);
                    kept.extend_from_slice(&piece[..room]);
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(Stop::Broken(error.to_string())),
            }
        }
        Ok(moved)
    }
}
