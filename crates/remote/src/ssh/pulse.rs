//! Whether a host still answers on a connection, asked beside whatever else waits for it.
//!
//! A tunnel through which nothing comes looks the same when the service behind it is silent and
//! when the host is. So a channel is kept on which the host is asked for something that it must
//! answer, by yes or by no: an environment variable for a command that is never run.

use std::time::{Duration, Instant};

use ssh2::Channel;
use tokio::sync::oneshot;

use super::Error;
use super::link::{Link, LinkError};

/// Never set anywhere: no command is run on this channel, and most hosts refuse it.
const NAME: &str = "DEPLOY_GUARD_PULSE";

/// The answer is wanted.
pub(super) struct Order {
    pub(super) deadline: Instant,
    pub(super) timeout: Duration,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

/// The channel, and who waits for an answer on it.
#[derive(Default)]
pub(super) struct Keepalive {
    channel: Option<Channel>,
    /// The host opens no such channel, or had none to spare: it is opened only to be asked.
    denied: bool,
    waiting: Vec<Order>,
}

impl Keepalive {
    pub(super) fn enqueue(&mut self, order: Order) {
        self.waiting.push(order);
    }

    pub(super) fn has_waiting_orders(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether a channel should be opened, with or without a tunnel that is about to be.
    pub(super) fn wants_channel(&self, tunnel: bool) -> bool {
        self.channel.is_none() && (self.has_waiting_orders() || tunnel && !self.denied)
    }

    /// The host has opened the channel, which is an answer.
    pub(super) fn opened(&mut self, channel: Channel) {
        self.channel = Some(channel);
        self.answered();
    }

    /// The host has refused to open one, which is an answer too.
    pub(super) fn refused(&mut self) {
        self.denied = true;
        self.answered();
    }

    /// Gives the channel away, for a host that has too few.
    pub(super) fn yields(&mut self) -> Option<Channel> {
        self.denied |= self.channel.is_some();
        self.channel.take()
    }

    fn answered(&mut self) {
        for order in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = order.reply.send(Ok(()));
        }
    }

    /// Asks, and takes the answer; whether there was one.
    pub(super) fn turn(&mut self, link: &Link) -> Result<bool, LinkError> {
        self.waiting.retain(|order| !order.reply.is_closed());
        let Some(channel) = self.channel.as_mut().filter(|_| !self.waiting.is_empty()) else {
            return Ok(false);
        };
        match link.step(|| channel.setenv(NAME, "1")) {
            Ok(None) => return Ok(false),
            Ok(Some(())) => {}
            Err(broken) if broken.refused => {}
            Err(broken) => return Err(broken),
        }
        self.answered();
        Ok(true)
    }

    /// Whether a caller has waited too long; that caller is notified.
    pub(super) fn is_late(&mut self, now: Instant) -> bool {
        let before = self.waiting.len();
        let late = |order: &mut Order| order.deadline <= now;
        for order in self.waiting.extract_if(.., late) {
            let _ = order.reply.send(Err(Error::NoPulse(order.timeout)));
        }
        self.waiting.len() < before
    }

    /// Tells all who wait that the connection is gone.
    pub(super) fn lost(&mut self) {
        for order in self.waiting.drain(..) {
            let _ = order.reply.send(Err(Error::Closed));
        }
    }
}
