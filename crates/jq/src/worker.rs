//! Filters in a process of their own.
//!
//! A thread that never ends cannot be ended, and nothing bounds what it takes. A process can be
//! killed, and the system bounds its memory. Such a process is this same program, started again:
//! it reads questions from its input, one after the other, and ends with it.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::program::{Error, MAX_RESULT, Program, build, evaluate};

/// The argument that makes a program run as such a process.
const ARGUMENT: &str = "__jq";
/// What a filter may take, and with it how often its input: a parsed document is larger.
const MEMORY: u64 = 64 << 20;
const TIMES_INPUT: u64 = 24;
/// A filter that recurses deeper is broken.
const STACK: usize = 16 << 20;
/// Processes at the same time.
const MAX_PROCESSES: usize = 16;
/// Compiled filters that one process keeps.
const MAX_CACHED_FILTERS: usize = 256;

/// Set once `main` has passed by here.
static ISOLATED: AtomicBool = AtomicBool::new(false);

/// To be called first in `main`: does the work where this process is a worker, and is `None`
/// elsewhere, where from then on every filter runs in one.
pub fn main() -> Option<ExitCode> {
    if std::env::args_os().nth(1).is_some_and(|it| it == ARGUMENT) {
        return Some(match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        });
    }
    ISOLATED.store(true, Ordering::Relaxed);
    None
}

pub(crate) fn isolated() -> bool {
    ISOLATED.load(Ordering::Relaxed)
}

/// What becomes of one question.
type Answer = Result<Vec<serde_json::Value>, Error>;

fn serve() -> std::io::Result<()> {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let answers = socket.try_clone()?;
    // A filter that ran out of memory is not a program error.
    limit(Resource::Core, 0);
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || answer_questions(&receiver, answers))?;
    // Here and not behind a filter: who asked may be gone while it runs.
    while let Some(question) = read_question(&mut socket)? {
        if sender.send(question).is_err() {
            break;
        }
    }
    Ok(())
}

type Question = (String, Vec<u8>);

fn answer_questions(questions: &mpsc::Receiver<Question>, mut answers: UnixStream) {
    let mut programs: HashMap<String, Program> = HashMap::new();
    while let Ok((text, json)) = questions.recv() {
        limit(
            Resource::Data,
            MEMORY + STACK as u64 + TIMES_INPUT * json.len() as u64,
        );
        if programs.len() >= MAX_CACHED_FILTERS {
            programs.clear();
        }
        let program = match programs.entry(text) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                build(free.key()).map(|program| free.insert(program))
            }
        };
        let answer = program.and_then(|program| evaluate(program, &json));
        if write_answer(&mut answers, &answer).is_err() {
            return;
        }
    }
}

/// Lowers one of this process's limits; where the system knows none, time alone is bounded.
fn limit(resource: Resource, value: u64) {
    let Rlimit { maximum, .. } = getrlimit(resource);
    let current = Some(maximum.map_or(value, |maximum| value.min(maximum)));
    let _ = setrlimit(resource, Rlimit { current, maximum });
}

/// The two lengths and what they are of; `None` at the end.
fn read_question(socket: &mut UnixStream) -> std::io::Result<Option<Question>> {
    let mut lengths = [0; 16];
    match socket.read_exact(&mut lengths) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&lengths[at..at + 8]);
        usize::try_from(u64::from_le_bytes(bytes)).map_err(std::io::Error::other)
    };
    let mut text = vec![0; length(0)?];
    socket.read_exact(&mut text)?;
    let mut json = vec![0; length(8)?];
    socket.read_exact(&mut json)?;
    let text = String::from_utf8(text).map_err(std::io::Error::other)?;
    Ok(Some((text, json)))
}

/// How answers are distinguished.
const VALUES: u8 = 1;
const NOT_JSON: u8 = 2;
const FAILED: u8 = 3;

fn write_answer(socket: &mut UnixStream, answer: &Answer) -> std::io::Result<()> {
    let (kind, text) = match answer {
        Ok(values) => (VALUES, serde_json::Value::from(values.clone()).to_string()),
        Err(Error::NotJson(text)) => (NOT_JSON, text.clone()),
        Err(Error::Failed(text)) => (FAILED, text.clone()),
        Err(error) => (FAILED, error.to_string()),
    };
    let (kind, text) = if text.len() > MAX_RESULT {
        let reason = format!("its result is larger than {MAX_RESULT} bytes");
        (FAILED, reason)
    } else {
        (kind, text)
    };
    let mut bytes = vec![kind];
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
    socket.write_all(&bytes)
}

/// The other side of such a process.
struct Worker {
    child: Child,
    socket: UnixStream,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Worker {
    fn start() -> std::io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        // The file that was started may have been replaced since; this is the same one.
        let program = if cfg!(target_os = "linux") {
            "/proc/self/exe".into()
        } else {
            std::env::current_exe()?
        };
        let child = Command::new(program)
            .arg(ARGUMENT)
            // Not what a person's Ctrl-C reaches, and without the secrets of our environment.
            .process_group(0)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Worker {
            child,
            socket: ours,
        })
    }

    /// The outer error: there is no answer, and the process cannot be used again.
    fn evaluate(&mut self, text: &str, json: &[u8], deadline: Instant) -> std::io::Result<Answer> {
        let mut question = Vec::with_capacity(16 + text.len() + json.len());
        question.extend((text.len() as u64).to_le_bytes());
        question.extend((json.len() as u64).to_le_bytes());
        question.extend(text.as_bytes());
        question.extend(json);
        let mut rest = question.as_slice();
        while !rest.is_empty() {
            self.socket.set_write_timeout(Some(time_left(deadline)?))?;
            match uninterrupted(|| self.socket.write(rest))? {
                Some(0) => return Err(ErrorKind::WriteZero.into()),
                Some(written) => rest = &rest[written..],
                None => {}
            }
        }
        let mut head = [0; 9];
        self.read(&mut head, deadline)?;
        let mut length = [0; 8];
        length.copy_from_slice(&head[1..]);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_RESULT {
            return Err(std::io::Error::other("an answer that no worker gives"));
        }
        let mut bytes = vec![0; length];
        self.read(&mut bytes, deadline)?;
        let text = || String::from_utf8_lossy(&bytes).into_owned();
        Ok(match head[0] {
            VALUES => match serde_json::from_slice(&bytes) {
                Ok(values) => Ok(values),
                Err(error) => Err(Error::Failed(format!("its result is not JSON: {error}"))),
            },
            NOT_JSON => Err(Error::NotJson(text())),
            _ => Err(Error::Failed(text())),
        })
    }

    fn read(&mut self, bytes: &mut [u8], deadline: Instant) -> std::io::Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            self.socket.set_read_timeout(Some(time_left(deadline)?))?;
            match uninterrupted(|| self.socket.read(&mut bytes[at..]))? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(read) => at += read,
                None => {}
            }
        }
        Ok(())
    }
}

/// `None` where a signal came first: with a timeout set, the system does not go on by itself.
fn uninterrupted(io: impl FnOnce() -> std::io::Result<usize>) -> std::io::Result<Option<usize>> {
    match io() {
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        other => other.map(Some),
    }
}

fn time_left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// Workers that wait for a question, and how many there are in all.
struct Pool {
    idle: Vec<Worker>,
    alive: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    idle: Vec::new(),
    alive: 0,
});
static FREE: Condvar = Condvar::new();

fn pool() -> std::sync::MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One evaluation, in whichever worker is free, or in a new one.
pub(crate) fn evaluate_isolated(text: &str, json: &[u8], timeout: Duration) -> Answer {
    let deadline = Instant::now() + timeout;
    let mut worker = match take(deadline) {
        Ok(Some(worker)) => worker,
        Ok(None) => return Err(Error::TimedOut(timeout)),
        Err(error) => return Err(Error::Failed(format!("it cannot be started: {error}"))),
    };
    let asked = worker.evaluate(text, json, deadline);
    let answer = match asked {
        Ok(answer) => {
            pool().idle.push(worker);
            answer
        }
        Err(error) => {
            drop(worker);
            pool().alive -= 1;
            Err(match error.kind() {
                ErrorKind::TimedOut | ErrorKind::WouldBlock => Error::TimedOut(timeout),
                // The system ends what takes more than its limits.
                ErrorKind::UnexpectedEof
                | ErrorKind::BrokenPipe
                | ErrorKind::ConnectionReset
                | ErrorKind::WriteZero => {
                    Error::Failed("it takes more than its share of memory".into())
                }
                _ => Error::Failed(format!("its process cannot be reached: {error}")),
            })
        }
    };
    FREE.notify_one();
    answer
}

/// `None` when no worker became free in time.
fn take(deadline: Instant) -> std::io::Result<Option<Worker>> {
    let mut pool = pool();
    loop {
        if let Some(worker) = pool.idle.pop() {
            return Ok(Some(worker));
        }
        if pool.alive < MAX_PROCESSES {
            let worker = Worker::start()?;
            pool.alive += 1;
            return Ok(Some(worker));
        }
        let Ok(left) = time_left(deadline) else {
            return Ok(None);
        };
        pool = FREE
            .wait_timeout(pool, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
