//! A login on a host, step by step, so that the first step that fails can be named, and the
//! commands that run there.

mod bastion;
mod bounded_output;
mod command;
mod connect;
mod error;
mod link;
mod login;
mod offer;
mod openssh;
mod output;
mod proof;
mod pulse;
mod pump;
mod shared;
mod socket;
mod target;
mod tunnel;

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use error::Error;
pub use offer::Apart;
use openssh::master::{Master, Task};
pub use output::{Exit, Limits, Output};
use proof::Proof;
use pump::Order;
pub use shared::Shared;
pub use target::{Key, OpensshTarget, Ssh2Target, Target, command_for};
pub use tunnel::{Severed, Tunnel};

/// An open login. Commands and tunnels run in parallel, all on one connection.
///
/// Dropping the last handle closes the connection at once, also under a command that still runs.
#[derive(Clone, Debug)]
pub struct Session(Connection);

/// By what a connection is made.
#[derive(Clone, Debug)]
enum Connection {
    /// A thread of its own.
    Ssh2(Arc<Handle>),
    /// A process of the `ssh` program.
    Openssh(Arc<Master>),
}

/// Sends orders to the thread, and wakes it.
#[derive(Debug)]
struct Handle {
    // Before `wake`, whose end wakes the thread: the thread must then see that no more orders come.
    inbox: mpsc::Sender<Order>,
    wake: UnixStream,
    /// Whether it takes orders; it does not after a command was cut off, or when it broke.
    open: Arc<AtomicBool>,
    unwanted: Arc<AtomicBool>,
}

/// What a host is to run, and by which shell.
#[derive(Clone, Copy)]
enum Work<'a> {
    Command(&'a str),
    Script(&'a str),
}

/// Our own threads get this much longer than they were given, so that the step that hangs can be
/// named. Only then are they left to end by themselves.
const GUARD: Duration = Duration::from_millis(250);

impl Session {
    fn ssh2(handle: Handle) -> Session {
        Session(Connection::Ssh2(Arc::new(handle)))
    }

    fn openssh(master: Master) -> Session {
        Session(Connection::Openssh(Arc::new(master)))
    }

    /// The socket by which other `ssh` programs use the connection of one.
    fn control(&self) -> Option<&Path> {
        match &self.0 {
            Connection::Ssh2(_) => None,
            Connection::Openssh(master) => Some(master.control()),
        }
    }

    /// Runs a command in the login shell of the user (`sh`, `bash`, `zsh` and the like), with
    /// nothing to read. Values from outside go into it as [`quote`](crate::quote)d words.
    pub async fn run(&self, command: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Command(command), limits).await
    }

    /// Runs a script in `sh`, whatever the login shell is.
    pub async fn script(&self, text: &str, limits: Limits) -> Result<Output, Error> {
        self.exec(Work::Script(text), limits).await
    }

    async fn exec(&self, work: Work<'_>, limits: Limits) -> Result<Output, Error> {
        let (text, input, proof) = match work {
            Work::Command(command) => {
                let (proof, command) = Proof::of_command(command);
                (command, String::new(), proof)
            }
            Work::Script(text) => {
                let (proof, text) = Proof::of_script(text);
                ("sh -s".to_owned(), text, proof)
            }
        };
        let input = input.into_bytes();
        let handle = match &self.0 {
            Connection::Ssh2(handle) => handle,
            Connection::Openssh(master) => {
                let task = Task { text, input, proof };
                return master.run(task, limits).await;
            }
        };
        let order = |reply| {
            Order::Command(command::Order {
                text,
                input,
                proof,
                max_output: limits.max_output,
                deadline: Instant::now() + limits.timeout,
                timeout: limits.timeout,
                reply,
            })
        };
        handle
            .order(order, limits.timeout)
            .await
            .unwrap_or(Err(Error::TimedOut(limits.timeout)))
    }

    /// A connection that the host makes to a place as it sees it, such as its own loopback.
    pub async fn open(&self, host: &str, port: u16, timeout: Duration) -> Result<Tunnel, Error> {
        let handle = match &self.0 {
            Connection::Ssh2(handle) => handle,
            Connection::Openssh(master) => return Master::open(master, host, port, timeout).await,
        };
        let order = |reply| {
            Order::Tunnel(tunnel::Order {
                host: host.to_owned(),
                port,
                deadline: Instant::now() + timeout,
                timeout,
                reply,
            })
        };
        let late = || Error::NoAnswer {
            host: host.to_owned(),
            port,
            within: timeout,
        };
        let stream = handle.order(order, timeout).await.ok_or_else(late)??;
        Tunnel::new(stream, handle.clone()).map_err(|error| Error::Ours(error.to_string()))
    }

    /// Whether the host still answers on this connection. Where it does not, the connection takes
    /// no more orders.
    pub async fn pulse(&self, timeout: Duration) -> Result<(), Error> {
        let handle = match &self.0 {
            Connection::Ssh2(handle) => handle,
            Connection::Openssh(master) => return master.pulse(timeout).await,
        };
        let order = |reply| {
            Order::Pulse(pulse::Order {
                deadline: Instant::now() + timeout,
                timeout,
                reply,
            })
        };
        let answer = handle.order(order, timeout).await;
        answer.unwrap_or(Err(Error::NoPulse(timeout)))
    }

    /// Whether more can be asked.
    pub fn is_open(&self) -> bool {
        match &self.0 {
            Connection::Ssh2(handle) => handle.open.load(Ordering::Acquire),
            Connection::Openssh(master) => master.is_open(),
        }
    }
}

impl Handle {
    /// What the thread answers; `None` where it does not.
    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Order,
        timeout: Duration,
    ) -> Option<Result<T, Error>> {
        if !self.open.load(Ordering::Acquire) {
            return Some(Err(Error::Closed));
        }
        let (reply, answer) = oneshot::channel();
        if self.inbox.send(order(reply)).is_err() {
            return Some(Err(Error::Closed));
        }
        // Full, it is awake already.
        let _ = (&self.wake).write(&[0]);
        match tokio::time::timeout(timeout + GUARD, answer).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) => Some(Err(Error::Closed)),
            Err(_) => None,
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Release);
    }
}
