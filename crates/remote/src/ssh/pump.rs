//! The thread that owns a connection and moves the bytes of all its channels.
//!
//! libssh2 takes one packet at a time off the socket, for whichever channel it is, and opens one
//! channel at a time; an opening cannot be taken back. So there is one thread, it asks every
//! channel in turn, and sleeps only when none has anything to move.

use std::collections::VecDeque;
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use ssh2::Channel;

use super::command::{self, Command, Turn};
use super::link::{Link, LinkError, wait};
use super::pulse::{self, Keepalive};
use super::tunnel::{self, OpenTunnel};
use super::{Error, Exit};

/// sshd allows ten sessions on a connection (`MaxSessions`).
const SESSIONS: usize = 8;
/// How long an opening may take while others wait for their turn, at least.
const MIN_OPENING_TIME: Duration = Duration::from_millis(500);
/// How long the host may take to confirm that a channel is closed.
const CLOSING: Duration = Duration::from_secs(5);
/// So long may a connection be silent before a router on the way forgets it.
const KEEPALIVE: u32 = 15;
/// The other side closed the connection.
#[cfg(target_os = "linux")]
const GONE: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const GONE: PollFlags = PollFlags::HUP;

/// What is asked of a connection.
pub(super) enum Order {
    Command(command::Order),
    Tunnel(tunnel::Order),
    Pulse(pulse::Order),
}

impl Order {
    fn refuse(self, error: Error) {
        // Who asked may have gone.
        match self {
            Order::Command(order) => drop(order.reply.send(Err(error))),
            Order::Tunnel(order) => drop(order.reply.send(Err(error))),
            Order::Pulse(order) => drop(order.reply.send(Err(error))),
        }
    }
}

/// What a channel is opened for.
enum Opening {
    Command(command::Order),
    Tunnel(tunnel::Order),
    /// For the pulse itself, until then.
    Pulse(Instant),
}

impl Opening {
    fn deadline(&self) -> Instant {
        match self {
            Opening::Command(order) => order.deadline,
            Opening::Tunnel(order) => order.deadline,
            Opening::Pulse(until) => *until,
        }
    }

    fn is_wanted(&self) -> bool {
        match self {
            Opening::Command(order) => !order.reply.is_closed(),
            Opening::Tunnel(order) => !order.reply.is_closed(),
            Opening::Pulse(_) => true,
        }
    }

    /// What to say when its time was over before it was begun, or while it was.
    fn late(&self) -> Error {
        match self {
            Opening::Command(order) => Error::Busy(order.timeout),
            Opening::Tunnel(order) => Error::NoAnswer {
                host: order.host.clone(),
                port: order.port,
                within: order.timeout,
            },
            Opening::Pulse(_) => Error::Closed,
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Opening::Command(order) => Order::Command(order).refuse(error),
            Opening::Tunnel(order) => Order::Tunnel(order).refuse(error),
            // The pulse notifies its own waiters.
            Opening::Pulse(_) => {}
        }
    }
}

/// The opening that the host was asked for.
struct PendingOpening {
    order: Opening,
    since: Instant,
    /// How many sessions of ours took a place there at that time, also those being closed.
    beside: usize,
}

/// A connection with all that goes on in it.
pub(super) struct Relay {
    link: Link,
    inbox: Receiver<Order>,
    wake: UnixStream,
    /// Whether new orders are taken.
    open: Arc<AtomicBool>,
    /// How long the login took: what this host needs for a few words.
    patience: Duration,
    waiting: VecDeque<Opening>,
    opening: Option<PendingOpening>,
    pulse: Keepalive,
    /// The pulse's channel is being closed, so that a command finds its place.
    yielding: bool,
    commands: Vec<Command>,
    tunnels: Vec<OpenTunnel>,
    closing: Vec<(Channel, Instant)>,
    /// As many commands at a time as the host lets run.
    most: usize,
    /// Whether the host has opened a channel on this connection: then one that can be opened no
    /// more has aged, and a new connection may do better.
    proven: bool,
    no_handle: bool,
}

impl Relay {
    pub(super) fn new(
        link: Link,
        inbox: Receiver<Order>,
        wake: UnixStream,
        open: Arc<AtomicBool>,
        login: Duration,
    ) -> Relay {
        link.session.set_blocking(false);
        // No answer is asked for: it would lie unread on an idle connection.
        link.session.set_keepalive(false, KEEPALIVE);
        Relay {
            link,
            inbox,
            wake,
            open,
            patience: login.max(MIN_OPENING_TIME),
            waiting: VecDeque::new(),
            opening: None,
            pulse: Keepalive::default(),
            yielding: false,
            commands: Vec::new(),
            tunnels: Vec::new(),
            closing: Vec::new(),
            most: SESSIONS,
            proven: false,
            no_handle: false,
        }
    }

    /// Runs until the last handle is gone, or the connection breaks.
    pub(super) fn run(mut self) {
        while let Ok(true) = self.once() {}
        self.open.store(false, Ordering::Release);
        // Whatever was not begun may be asked elsewhere; what was begun is lost.
        let lost = "the connection broke";
        if let Some(PendingOpening { order, .. }) = self.opening.take() {
            order.refuse(self.unopened(lost.to_owned()));
        }
        for order in self.waiting.drain(..) {
            order.refuse(Error::Closed);
        }
        for order in self.inbox.try_iter() {
            order.refuse(Error::Closed);
        }
        self.pulse.lost();
        for command in self.commands.drain(..) {
            drop(command.end(Err(LinkError::new(lost))));
        }
        for bore in self.tunnels.drain(..) {
            bore.sever();
        }
    }

    /// One round; `false` when it is over.
    fn once(&mut self) -> Result<bool, LinkError> {
        self.take_orders();
        if self.no_handle {
            return Ok(false);
        }
        let mut moved = self.turn_commands();
        moved |= self.turn_tunnels();
        moved |= self.turn_closing();
        moved |= self.pulse.turn(&self.link)?;
        // Last: only it needs a packet that the others may have taken in.
        moved |= self.turn_opening();
        self.check_deadlines();
        let ended = !self.open.load(Ordering::Acquire) && self.is_idle();
        if !moved && !ended && !self.is_ahead() {
            self.sleep()?;
        }
        Ok(!ended)
    }

    fn is_idle(&self) -> bool {
        self.opening.is_none()
            && self.waiting.is_empty()
            && self.commands.is_empty()
            && self.tunnels.is_empty()
            && self.closing.is_empty()
            && !self.pulse.has_waiting_orders()
    }

    fn is_ahead(&self) -> bool {
        self.commands.iter().any(Command::is_ahead) || self.tunnels.iter().any(OpenTunnel::is_ahead)
    }

    /// No new orders: what still runs is brought to its end.
    fn retire(&mut self) {
        self.open.store(false, Ordering::Release);
        for order in self.waiting.drain(..) {
            order.refuse(Error::Closed);
        }
    }

    fn take_orders(&mut self) {
        let mut bytes = [0; 64];
        while self.wake.read(&mut bytes).is_ok_and(|length| length > 0) {}
        loop {
            match self.inbox.try_recv() {
                Ok(order) if !self.open.load(Ordering::Acquire) => order.refuse(Error::Closed),
                Ok(Order::Command(order)) => self.waiting.push_back(Opening::Command(order)),
                Ok(Order::Tunnel(order)) => self.waiting.push_back(Opening::Tunnel(order)),
                Ok(Order::Pulse(order)) => self.pulse.enqueue(order),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.no_handle = true;
                    return;
                }
            }
        }
    }

    fn turn_commands(&mut self) -> bool {
        let mut moved = false;
        let mut at = 0;
        while at < self.commands.len() {
            let end = match self.commands[at].turn(&self.link) {
                Ok(Turn::Idle) => None,
                Ok(Turn::Moved) => {
                    moved = true;
                    None
                }
                Ok(Turn::Ended(exit)) => Some(Ok(exit)),
                Err(broken) => Some(Err(broken)),
            };
            match end {
                None => at += 1,
                Some(end) => {
                    moved = true;
                    self.end_command(at, end);
                }
            }
        }
        moved
    }

    fn end_command(&mut self, at: usize, end: Result<Exit, LinkError>) {
        // What was cut off still runs there, and holds one of the host's few places.
        if !matches!(end, Ok(Exit::Code(_) | Exit::Signal(_) | Exit::Unproven)) {
            self.retire();
        }
        let channel = self.commands.swap_remove(at).end(end);
        self.closing.push((channel, Instant::now()));
    }

    fn turn_tunnels(&mut self) -> bool {
        let mut moved = false;
        let mut at = 0;
        while at < self.tunnels.len() {
            let turn = self.tunnels[at].turn(&self.link);
            if let Ok(Some(some)) = turn {
                moved |= some;
                at += 1;
                continue;
            }
            moved = true;
            let bore = self.tunnels.swap_remove(at);
            let channel = match turn {
                Err(_) => bore.sever(),
                Ok(_) => bore.channel,
            };
            self.closing.push((channel, Instant::now()));
        }
        moved
    }

    fn turn_closing(&mut self) -> bool {
        let before = self.closing.len();
        let link = &self.link;
        let mut overdue = false;
        self.closing.retain_mut(|(channel, since)| {
            overdue |= since.elapsed() > CLOSING;
            !overdue && matches!(link.step(|| channel.close()), Ok(None))
        });
        if overdue {
            self.retire();
        }
        self.yielding &= !self.closing.is_empty();
        self.closing.len() < before
    }

    fn turn_opening(&mut self) -> bool {
        if self.opening.is_none() {
            let beside = self.commands.len() + self.closing.len();
            self.opening = self.next().map(|order| PendingOpening {
                order,
                since: Instant::now(),
                beside,
            });
        }
        let Some(PendingOpening { order, .. }) = &self.opening else {
            return false;
        };
        let session = &self.link.session;
        let opened = self.link.step(|| match order {
            Opening::Command(_) | Opening::Pulse(_) => session.channel_session(),
            Opening::Tunnel(order) => session.channel_direct_tcpip(&order.host, order.port, None),
        });
        let Some(opened) = opened.transpose() else {
            return false;
        };
        if let Some(asked) = self.opening.take() {
            self.opened(asked, opened);
        }
        true
    }

    /// The next that may begin. Tunnels count for nothing among sshd's sessions.
    fn next(&mut self) -> Option<Opening> {
        let tunnel = |order: &Opening| matches!(order, Opening::Tunnel(_));
        // Before a tunnel: while one is being opened no other channel can be.
        if self.pulse.wants_channel(self.waiting.iter().any(tunnel)) {
            return Some(Opening::Pulse(Instant::now() + CLOSING));
        }
        let room = self.commands.len() < self.most && !self.yielding;
        let may = |order: &Opening| room || tunnel(order);
        let at = self.waiting.iter().position(may)?;
        self.waiting.remove(at)
    }

    fn opened(&mut self, asked: PendingOpening, opened: Result<Channel, LinkError>) {
        self.proven |= opened.is_ok();
        let PendingOpening { order, beside, .. } = asked;
        match (order, opened) {
            (Opening::Command(order), Ok(channel)) => {
                self.commands.push(Command::new(channel, order));
            }
            (Opening::Tunnel(order), Ok(channel)) => match OpenTunnel::new(channel) {
                Ok((bore, end)) => {
                    // A tunnel whose receiver is gone is dropped, which closes it.
                    let _ = order.reply.send(Ok(end));
                    self.tunnels.push(bore);
                }
                Err(error) => {
                    let fault = crate::local_error::fault(&error).map(str::to_owned);
                    let error = Error::Ours(fault.unwrap_or_else(|| error.to_string()));
                    Order::Tunnel(order).refuse(error);
                }
            },
            (Opening::Pulse(_), Ok(channel)) => self.pulse.opened(channel),
            (Opening::Pulse(_), Err(broken)) if broken.refused => self.pulse.refused(),
            // The host lets fewer run at a time than we thought. Those that took the places may have ended
            // while its refusal was on the way.
            (order @ Opening::Command(_), Err(broken)) if broken.refused && beside > 0 => {
                self.most = self.most.min(beside);
                self.waiting.push_front(order);
            }
            (order @ Opening::Command(_), Err(broken)) if broken.refused => {
                match self.pulse.yields() {
                    // Its only place is taken by ourselves.
                    Some(channel) => {
                        self.closing.push((channel, Instant::now()));
                        self.yielding = true;
                        self.waiting.push_front(order);
                    }
                    None => self.given_up(order, broken.reason),
                }
            }
            (Opening::Tunnel(order), Err(broken)) if broken.refused => {
                let error = if broken.reason.contains("connect failed") {
                    Error::NoWay {
                        host: order.host.clone(),
                        port: order.port,
                    }
                } else {
                    Error::NoForwarding {
                        reason: broken.reason,
                    }
                };
                Order::Tunnel(order).refuse(error);
            }
            (order, Err(LinkError { reason, .. })) => self.given_up(order, reason),
        }
    }

    fn given_up(&mut self, order: Opening, reason: String) {
        order.refuse(self.unopened(reason));
        self.retire();
    }

    /// The error of an order that got no channel: none of it was begun.
    fn unopened(&self, reason: String) -> Error {
        if self.proven {
            Error::Closed
        } else {
            Error::Command { reason }
        }
    }

    fn check_deadlines(&mut self) {
        let now = Instant::now();
        let late =
            |command: &Command| command.order.deadline <= now || command.order.reply.is_closed();
        while let Some(at) = self.commands.iter().position(late) {
            self.end_command(at, Ok(Exit::TimedOut));
        }
        if let Some(PendingOpening { order, since, .. }) = &self.opening {
            let late = order.deadline() <= now || !order.is_wanted();
            let others_wait = !self.waiting.is_empty() && since.elapsed() > self.patience;
            if late || others_wait {
                // It blocks all other orders and cannot be undone: they go elsewhere.
                self.retire();
            }
            if late
                && self.commands.is_empty()
                && self.tunnels.is_empty()
                && let Some(PendingOpening { order, .. }) = self.opening.take()
            {
                let late = order.late();
                order.refuse(late);
            }
        }
        if self.pulse.is_late(now) {
            // It is dead or deaf: the next question makes a new one.
            self.retire();
        }
        let mut kept = VecDeque::new();
        for order in self.waiting.drain(..) {
            if order.deadline() <= now {
                let late = order.late();
                order.refuse(late);
            } else if order.is_wanted() {
                kept.push_back(order);
            }
        }
        self.waiting = kept;
    }

    /// Until the socket, an order or a tunnel's end has something, or a deadline is there.
    fn sleep(&mut self) -> Result<(), LinkError> {
        let busy = !self.is_idle();
        let socket = if busy { PollFlags::IN } else { GONE };
        let mut these = vec![
            PollFd::new(&*self.link.stream, socket),
            PollFd::new(&self.wake, PollFlags::IN),
        ];
        let mut listed = Vec::new();
        for (nth, bore) in self.tunnels.iter().enumerate() {
            // Once it was dropped it would always be ready.
            if !bore.dropped {
                let mut flags = PollFlags::empty();
                flags.set(PollFlags::IN, bore.wants_local_bytes());
                flags.set(PollFlags::OUT, bore.has_local_bytes());
                these.push(PollFd::new(&bore.local, flags));
                listed.push(nth);
            }
        }
        wait(&mut these, self.nap(busy))?;
        let ended = PollFlags::HUP | PollFlags::ERR;
        let socket = these[0].revents();
        let dropped: Vec<usize> = listed
            .into_iter()
            .zip(&these[2..])
            .filter(|(_, end)| end.revents().intersects(ended))
            .map(|(nth, _)| nth)
            .collect();
        for nth in dropped {
            self.tunnels[nth].dropped = true;
        }
        if socket.intersects(ended) || !busy && socket.intersects(GONE) {
            return Err(LinkError::new("the host closed the connection"));
        }
        if !busy {
            // It sends only when it is time.
            let session = &self.link.session;
            self.link.step(|| session.keepalive_send())?;
        }
        Ok(())
    }

    fn nap(&self, busy: bool) -> Duration {
        if !busy {
            return Duration::from_secs(KEEPALIVE.into());
        }
        let awaits = self.opening.is_some()
            || !self.closing.is_empty()
            || self.pulse.has_waiting_orders()
            || self.commands.iter().any(Command::awaits_word);
        let deadlines = self.commands.iter().map(|command| command.order.deadline);
        let deadlines = deadlines.chain(self.waiting.iter().map(Opening::deadline));
        let left = deadlines
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
            .min();
        let most = Duration::from_millis(if awaits { 10 } else { 250 });
        left.map_or(most, |left| left.min(most).max(Duration::from_millis(1)))
    }
}
