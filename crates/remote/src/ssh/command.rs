//! One command on its channel: both of its streams are read, its input is written, and it is cut
//! off when its time or its output is over.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use ssh2::Channel;
use tokio::sync::oneshot;

use super::bounded_output::{BoundedOutput, Part};
use super::link::{Link, LinkError};
use super::proof::Proof;
use super::{Error, Exit, Output};

/// What is asked of a host.
pub(super) struct Order {
    pub(super) text: String,
    pub(super) input: Vec<u8>,
    pub(super) proof: Proof,
    pub(super) max_output: usize,
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) reply: oneshot::Sender<Result<Output, Error>>,
}

/// A command that has its channel.
pub(super) struct Command {
    pub(super) channel: Channel,
    pub(super) order: Order,
    phase: Phase,
    fed: usize,
    kept: BoundedOutput,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The host has not yet said that it runs.
    Asked,
    Feeding,
    Running,
    /// All was read; how it ended is still to come.
    Ending,
}

/// What came of one turn.
pub(super) enum Turn {
    Idle,
    Moved,
    Ended(Exit),
}

impl Command {
    pub(super) fn new(channel: Channel, order: Order) -> Command {
        Command {
            channel,
            phase: Phase::Asked,
            fed: 0,
            kept: BoundedOutput::new(order.max_output),
            order,
        }
    }

    /// Whether it waits for a word of the host, which another channel's turn may have taken in
    /// without a sign on the socket.
    pub(super) fn awaits_word(&self) -> bool {
        matches!(self.phase, Phase::Asked | Phase::Ending)
    }

    /// Whether there is something to read that was taken in already.
    pub(super) fn is_ahead(&self) -> bool {
        !self.awaits_word() && (self.channel.read_window().available > 0 || self.channel.eof())
    }

    pub(super) fn turn(&mut self, link: &Link) -> Result<Turn, LinkError> {
        if self.phase == Phase::Asked {
            let (channel, text) = (&mut self.channel, &self.order.text);
            if link.step(|| channel.exec(text))?.is_none() {
                return Ok(Turn::Idle);
            }
            self.phase = Phase::Feeding;
        }
        let mut moved = false;
        if self.phase != Phase::Ending {
            moved = self.read(link)?;
            if self.kept.flood() {
                return Ok(Turn::Ended(Exit::Flood));
            }
            if self.channel.eof() {
                self.phase = Phase::Ending;
            }
        }
        if self.phase == Phase::Feeding && self.feed(link)? {
            self.phase = Phase::Running;
            moved = true;
        }
        if self.phase == Phase::Ending {
            let channel = &mut self.channel;
            if link.step(|| channel.wait_close())?.is_some() {
                return self.exit().map(Turn::Ended);
            }
        }
        Ok(if moved { Turn::Moved } else { Turn::Idle })
    }

    /// Takes what has arrived; `false` when that is nothing.
    fn read(&mut self, link: &Link) -> Result<bool, LinkError> {
        let mut moved = false;
        let mut piece = [0; 16 << 10];
        for (id, part) in [(0, Part::Stdout), (1, Part::Stderr)] {
            let mut stream = self.channel.stream(id);
            if let Some(length) = link.step(|| stream.read(&mut piece))? {
                moved |= length > 0;
                self.kept
                    .take(part, &piece[..length], &mut self.order.proof);
            }
        }
        Ok(moved)
    }

    /// Writes what the command is to read; `true` when it has all of it.
    fn feed(&mut self, link: &Link) -> Result<bool, LinkError> {
        let (channel, input) = (&mut self.channel, &self.order.input);
        while self.fed < input.len() {
            match link.step(|| channel.write(&input[self.fed..])) {
                Ok(Some(written)) => self.fed += written,
                Ok(None) => return Ok(false),
                // It may end without reading all: its exit status says whether that is well.
                Err(_) => self.fed = input.len(),
            }
        }
        Ok(link.step(|| channel.send_eof())?.is_some())
    }

    fn exit(&self) -> Result<Exit, LinkError> {
        let broken = |error: ssh2::Error| LinkError::new(error.message());
        let signal = self.channel.exit_signal().map_err(broken)?;
        Ok(match signal.exit_signal {
            Some(signal) => Exit::Signal(signal.chars().take(32).collect()),
            None => match self.channel.exit_status().map_err(broken)? {
                // libssh2 also returns 0 if the server sends no status at all.
                0 if !self.order.proof.is_given() => Exit::Unproven,
                code => Exit::Code(code),
            },
        })
    }

    /// Hands over what there is; the channel is left to be closed.
    pub(super) fn end(self, ended: Result<Exit, LinkError>) -> Channel {
        let answer = match ended {
            Ok(exit) => Ok(self.kept.output(exit, &self.order.proof)),
            Err(LinkError { reason, .. }) if self.phase == Phase::Asked => {
                Err(Error::Command { reason })
            }
            Err(LinkError { reason, .. }) => Err(Error::Lost { reason }),
        };
        // Who asked may have gone.
        let _ = self.order.reply.send(answer);
        self.channel
    }
}
