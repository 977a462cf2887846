//! The process of the `ssh` program that holds a connection, and what runs on it.

use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::mux::{Client, MasterReply, Request, terminate};
use crate::local_error;
use crate::ssh::bounded_output::{BoundedOutput, Part};
use crate::ssh::proof::Proof;
use crate::ssh::socket::Keeps;
use crate::ssh::tunnel::{Breakage, Tunnel};
use crate::ssh::{Error, Exit, Limits, Output};

/// sshd allows ten sessions on a connection (`MaxSessions`).
const SESSIONS: usize = 8;
/// The program's log is emptied above this size.
const MAX_LOG: u64 = 256 << 10;
/// Where the last words of the log are looked for.
const END_OF_LOG: u64 = 4 << 10;
/// How long the output of a command that has ended is waited for, where the master is gone.
const DRAIN: Duration = Duration::from_millis(500);
const PIECE: usize = 16 << 10;

/// What a host is to run.
pub(in crate::ssh) struct Task {
    pub(in crate::ssh) text: String,
    pub(in crate::ssh) input: Vec<u8>,
    pub(in crate::ssh) proof: Proof,
}

/// A connection that a process of the `ssh` program holds. It ends with this.
#[derive(Debug)]
pub(in crate::ssh) struct Master {
    /// As long as this is connected, the process waits for more to do.
    leash: Arc<StdStream>,
    socket: PathBuf,
    /// What the program logs, at its end why the host refused something.
    log: std::fs::File,
    open: AtomicBool,
    /// Whether the host has opened a channel: then one that can be opened no more has aged.
    proven: AtomicBool,
    turns: Semaphore,
    running: AtomicUsize,
    /// The jump host, where there is one.
    _through: Option<Keeps>,
    /// Removed last.
    _folder: TempDir,
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = (&*self.leash).write(&terminate());
    }
}

/// How a request on the control socket failed.
enum Failed {
    /// The host, or the program, refuses.
    Refused(String),
    /// The control socket has ended, or does not work.
    Gone(std::io::Error),
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::Gone(error)
    }
}

impl Master {
    pub(super) async fn new(
        folder: TempDir,
        socket: PathBuf,
        log: std::fs::File,
        through: Option<Keeps>,
    ) -> std::io::Result<Master> {
        let leash = Client::connect(&socket).await?.into_std()?;
        Ok(Master {
            leash: Arc::new(leash),
            socket,
            log,
            open: AtomicBool::new(true),
            proven: AtomicBool::new(false),
            turns: Semaphore::new(SESSIONS),
            running: AtomicUsize::new(0),
            _through: through,
            _folder: folder,
        })
    }

    pub(in crate::ssh) fn control(&self) -> &Path {
        &self.socket
    }

    /// Whether more can be asked.
    pub(in crate::ssh) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) && !is_gone(&self.leash)
    }

    /// No more is begun on this connection.
    fn retire(&self) {
        self.open.store(false, Ordering::Release);
    }

    /// Runs a command to its end, beside others.
    pub(in crate::ssh) async fn run(&self, task: Task, limits: Limits) -> Result<Output, Error> {
        let deadline = Instant::now() + limits.timeout;
        let mut running = loop {
            if !self.is_open() {
                return Err(Error::Closed);
            }
            let busy = || Error::Busy(limits.timeout);
            let turn = tokio::time::timeout_at(deadline.into(), self.turns.acquire()).await;
            // We never close the semaphore.
            let turn = turn.map_err(|_| busy())?.map_err(|_| Error::Closed)?;
            let started = self.start(&task, turn);
            match tokio::time::timeout_at(deadline.into(), started).await {
                Ok(Ok(Some(running))) => break running,
                // The host lets fewer run at a time than we thought.
                Ok(Ok(None)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    self.retire();
                    return Err(busy());
                }
            }
        };
        let ended = running.finish(task, limits, deadline, &self.leash).await;
        let is_own_end = matches!(
            &ended,
            Ok(Output {
                exit: Exit::Code(_) | Exit::Signal(_) | Exit::Unproven,
                ..
            })
        );
        if !is_own_end {
            self.retire();
        }
        ended
    }

    /// Opens a channel for a command; `None` where its turn has not come after all.
    async fn start<'m>(
        &'m self,
        task: &Task,
        turn: SemaphorePermit<'m>,
    ) -> Result<Option<Running<'m>>, Error> {
        let ours = |error: std::io::Error| local_failure(&error);
        let pair = || Pair::new().map_err(ours);
        let (stdout, stderr) = (pair()?, pair()?);
        let stdin = if task.input.is_empty() {
            None
        } else {
            Some(pair()?)
        };
        let null = nothing().map_err(ours)?;
        let input = stdin.as_ref().map(|stdin| stdin.theirs.as_fd());
        let input = input.unwrap_or_else(|| null.as_fd());
        let sockets = [input, stdout.theirs.as_fd(), stderr.theirs.as_fd()];
        let before = self.running.fetch_add(1, Ordering::AcqRel);
        let turn = Turn {
            permit: Some(turn),
            running: &self.running,
        };
        match self.begin(Request::Command(&task.text), &sockets).await {
            Ok(client) => Ok(Some(Running {
                client,
                stdin: stdin.map(|pair| pair.ours),
                stdout: stdout.ours,
                stderr: stderr.ours,
                _turn: turn,
            })),
            Err(Failed::Refused(_)) if before > 0 => {
                turn.give_up();
                // The others' ends are waited for, not the host's patience.
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(None)
            }
            Err(failed) => {
                self.retire();
                let reason = match failed {
                    Failed::Refused(reason) => self.last_refusal().unwrap_or(reason),
                    Failed::Gone(error) => error.to_string(),
                };
                Err(if self.proven.load(Ordering::Acquire) {
                    Error::Closed
                } else {
                    Error::Command { reason }
                })
            }
        }
    }

    /// Asks for a channel and waits until the host has opened it.
    async fn begin(
        &self,
        request: Request<'_>,
        sockets: &[BorrowedFd<'_>],
    ) -> Result<Client, Failed> {
        self.empty_log();
        let mut client = Client::connect(&self.socket).await?;
        client.send_request(request, sockets).await?;
        match client.read_reply().await? {
            Some(MasterReply::Opened) => {
                self.proven.store(true, Ordering::Release);
                Ok(client)
            }
            Some(MasterReply::Refused(reason)) => Err(Failed::Refused(reason)),
            Some(_) => Err(Failed::Refused("an unknown answer".to_owned())),
            None => {
                let end = std::io::Error::other("the `ssh` program has closed the connection");
                Err(Failed::Gone(end))
            }
        }
    }

    /// A connection that the host makes to a place as it sees it.
    pub(in crate::ssh) async fn open(
        master: &Arc<Master>,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Tunnel, Error> {
        if !master.is_open() {
            return Err(Error::Closed);
        }
        if host.contains('\0') {
            return Err(Error::NoForwarding {
                reason: "the host's name holds a NUL".to_owned(),
            });
        }
        // One for each direction: the program closes each by itself.
        let ours = |error: std::io::Error| local_failure(&error);
        let pair = || Pair::new().map_err(ours);
        let (down, up) = (pair()?, pair()?);
        let sockets = [up.theirs.as_fd(), down.theirs.as_fd()];
        let request = Request::Tunnel { host, port };
        let opened = tokio::time::timeout(timeout, master.begin(request, &sockets)).await;
        let client = match opened {
            Ok(Ok(client)) => client,
            Ok(Err(Failed::Refused(reason))) => {
                let why = master.last_refusal().unwrap_or(reason);
                return Err(if why.contains("prohibited") {
                    Error::NoForwarding { reason: why }
                } else {
                    let host = host.to_owned();
                    Error::NoWay { host, port }
                });
            }
            Ok(Err(Failed::Gone(_))) => {
                master.retire();
                return Err(Error::Closed);
            }
            Err(_) => {
                return Err(Error::NoAnswer {
                    host: host.to_owned(),
                    port,
                    within: timeout,
                });
            }
        };
        let leash = Arc::clone(&master.leash);
        let breakage = Breakage::Asked(Arc::new(move || is_gone(&leash)));
        let keeps: Keeps = Arc::new((Arc::clone(master), client));
        Ok(Tunnel::of_pair([down.ours, up.ours], breakage, keeps))
    }

    /// Whether the host answers. Where it does not, the connection takes no more orders.
    pub(in crate::ssh) async fn pulse(&self, timeout: Duration) -> Result<(), Error> {
        if !self.is_open() {
            return Err(Error::Closed);
        }
        let null = nothing().map_err(|error| local_failure(&error))?;
        let sockets = [null.as_fd(); 3];
        let asked = self.begin(Request::Nothing, &sockets);
        match tokio::time::timeout(timeout, asked).await {
            // A host that refuses has answered.
            Ok(Ok(_) | Err(Failed::Refused(_))) => Ok(()),
            Ok(Err(Failed::Gone(_))) => {
                self.retire();
                Err(Error::Closed)
            }
            Err(_) => {
                self.retire();
                Err(Error::NoPulse(timeout))
            }
        }
    }

    /// Why the host has refused a channel, as the program has logged it last.
    fn last_refusal(&self) -> Option<String> {
        let length = self.log.metadata().ok()?.len();
        let from = length.saturating_sub(END_OF_LOG);
        let mut end = vec![0; usize::try_from(length - from).ok()?];
        let read = self.log.read_at(&mut end, from).ok()?;
        let text = String::from_utf8_lossy(&end[..read]).into_owned();
        let said = text.lines().rev().find_map(|line| {
            let (_, why) = line.split_once(": open failed: ")?;
            Some(
                why.trim()
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(200)
                    .collect(),
            )
        });
        said.filter(|why: &String| !why.is_empty())
    }

    /// The program appends to it whatever it does.
    fn empty_log(&self) {
        if self.log.metadata().is_ok_and(|log| log.len() > MAX_LOG) {
            let _ = self.log.set_len(0);
        }
    }
}

fn local_failure(error: &std::io::Error) -> Error {
    let fault = local_error::fault(error).map(str::to_owned);
    Error::Ours(fault.unwrap_or_else(|| error.to_string()))
}

/// Whether the process at the other end is gone.
fn is_gone(leash: &StdStream) -> bool {
    let mut byte = [0];
    match recv(leash, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, length)) => length == 0,
        Err(error) => !matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::INTR),
    }
}

fn nothing() -> std::io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open(
        "/dev/null",
        flags,
        rustix::fs::Mode::empty(),
    )?)
}

/// A pair of sockets, of which the program gets one.
struct Pair {
    ours: UnixStream,
    theirs: StdStream,
}

impl Pair {
    fn new() -> std::io::Result<Pair> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok(Pair {
            ours: UnixStream::from_std(ours)?,
            theirs,
        })
    }
}

/// One of the few places for commands.
struct Turn<'m> {
    permit: Option<SemaphorePermit<'m>>,
    running: &'m AtomicUsize,
}

impl Turn<'_> {
    /// The host does not have it.
    fn give_up(mut self) {
        if let Some(permit) = self.permit.take() {
            permit.forget();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A command that has its channel.
struct Running<'m> {
    client: Client,
    stdin: Option<UnixStream>,
    stdout: UnixStream,
    stderr: UnixStream,
    _turn: Turn<'m>,
}

impl Running<'_> {
    async fn finish(
        &mut self,
        task: Task,
        limits: Limits,
        deadline: Instant,
        leash: &StdStream,
    ) -> Result<Output, Error> {
        let Task {
            text: _,
            input,
            mut proof,
        } = task;
        let mut kept = BoundedOutput::new(limits.max_output);
        let mut status = None;
        let (mut out_ended, mut err_ended, mut told) = (false, false, false);
        let (mut out_piece, mut err_piece) = (vec![0; PIECE], vec![0; PIECE]);
        let mut fed = 0;
        let mut until = deadline;
        while !(out_ended && err_ended && told) {
            let Running {
                client,
                stdin,
                stdout,
                stderr,
                _turn,
            } = &mut *self;
            tokio::select! {
                answer = client.read_reply(), if !told => match answer {
                    Ok(Some(MasterReply::Exit(code))) => status = Some(code),
                    Ok(Some(_)) => {}
                    // It closes after the command's streams.
                    Ok(None) | Err(_) => {
                        told = true;
                        until = deadline.min(Instant::now() + DRAIN);
                    }
                },
                read = stdout.read(&mut out_piece), if !out_ended => match read {
                    Ok(length) if length > 0 => kept.take(Part::Stdout, &out_piece[..length], &mut proof),
                    _ => out_ended = true,
                },
                read = stderr.read(&mut err_piece), if !err_ended => match read {
                    Ok(length) if length > 0 => kept.take(Part::Stderr, &err_piece[..length], &mut proof),
                    _ => err_ended = true,
                },
                fed_now = feed(stdin, &input[fed..]) => {
                    fed += fed_now;
                    if fed >= input.len() || fed_now == 0 {
                        // The command sees the end of its input.
                        *stdin = None;
                    }
                }
                () = tokio::time::sleep_until(until.into()) => {
                    if told {
                        break;
                    }
                    return Ok(kept.output(Exit::TimedOut, &proof));
                }
            }
            if kept.flood() {
                return Ok(kept.output(Exit::Flood, &proof));
            }
            // One that never stops talking would leave the others no turn.
            tokio::task::yield_now().await;
        }
        let exit = match status.map(|code| i32::try_from(code).unwrap_or(i32::MAX)) {
            Some(0) if !proof.is_given() => Exit::Unproven,
            Some(code) => Exit::Code(code),
            None if is_gone(leash) => {
                return Err(Error::Lost {
                    reason: "the connection broke".to_owned(),
                });
            }
            None if String::from_utf8_lossy(kept.stderr()).starts_with("exec request failed") => {
                return Err(Error::Command {
                    reason: "the host refuses to run one".to_owned(),
                });
            }
            None => Exit::Unproven,
        };
        Ok(kept.output(exit, &proof))
    }
}

/// Writes some of the input; how much. Waits forever where there is nothing to write to. The command
/// may end without reading all of it: its exit status tells whether that is well.
async fn feed(stdin: &mut Option<UnixStream>, input: &[u8]) -> usize {
    match stdin {
        Some(stdin) => stdin.write(input).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}
