//! A program of the database's: bounded in time and output, ended with all that it started.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use model::text::excerpt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::error::Error;

/// What is kept of a program's complaints: its last bytes.
const WORDS: usize = 16 << 10;
/// What is moved at once.
const PIECE: usize = 64 << 10;

/// A program, ready to start, and until when it may run.
pub(crate) struct Job {
    /// What people call it.
    pub(crate) name: String,
    pub(crate) command: Command,
    pub(crate) within: Duration,
}

/// Killed when dropped, with what it started.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Job {
    /// Runs to its end, and each piece of its output goes to `take`.
    pub(crate) async fn pour(
        self,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.drive(None, take).await
    }

    /// Runs to its end with this as its input.
    pub(crate) async fn feed(self, input: Box<dyn io::Read + Send>) -> Result<(), Error> {
        self.drive(Some(input), &mut |_| Ok(())).await
    }

    /// Runs to its end, and returns what it printed; more than `most` bytes are refused.
    pub(crate) async fn output(self, most: usize) -> Result<Vec<u8>, Error> {
        let name = self.name.clone();
        let mut output = Vec::new();
        self.pour(&mut |piece| {
            if output.len() + piece.len() > most {
                return Err(Error::Failed {
                    program: name.clone(),
                    told: format!("it printed more than {} MiB", most >> 20),
                });
            }
            output.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        Ok(output)
    }

    async fn drive(
        mut self,
        input: Option<Box<dyn io::Read + Send>>,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let stdin = if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        self.command.stdin(stdin).stdout(Stdio::piped());
        let since = Instant::now();
        let (mut child, mut group) = self.start()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let words = tokio::spawn(last_words(child.stderr.take()));
        let feeding = async {
            let (Some(mut input), Some(mut stdin)) = (input, stdin) else {
                return Ok::<(), Error>(());
            };
            let mut piece = vec![0; PIECE];
            loop {
                let length = input
                    .read(&mut piece)
                    .map_err(|cause| self.failed(&cause))?;
                // A program that has failed closes its end; its status says so.
                if length == 0 || stdin.write_all(&piece[..length]).await.is_err() {
                    return Ok(());
                }
            }
        };
        let taking = async {
            let Some(mut stdout) = stdout else {
                return Ok::<(), Error>(());
            };
            let mut piece = vec![0; PIECE];
            loop {
                let length = stdout
                    .read(&mut piece)
                    .await
                    .map_err(|cause| self.failed(&cause))?;
                if length == 0 {
                    return Ok(());
                }
                take(&piece[..length])?;
            }
        };
        let working = async {
            tokio::try_join!(feeding, taking)?;
            child.wait().await.map_err(|cause| self.failed(&cause))
        };
        let left = self.within.saturating_sub(since.elapsed());
        let Ok(ended) = tokio::time::timeout(left, working).await else {
            return Err(self.late());
        };
        let status = ended?;
        group.0 = None;
        self.judge(status, words.await.unwrap_or_default())
    }

    fn start(&mut self) -> Result<(Child, Group), Error> {
        let child = self
            .command
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let child = child.map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => Error::Failed {
                program: self.name.clone(),
                told: "it is no longer there".to_owned(),
            },
            _ => Error::NotStarted {
                program: self.name.clone(),
                cause,
            },
        })?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok((child, Group(id.and_then(rustix::process::Pid::from_raw))))
    }

    fn judge(&self, status: std::process::ExitStatus, words: String) -> Result<(), Error> {
        if status.success() {
            return Ok(());
        }
        let ended = match (status.code(), status.signal()) {
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (code, _) => format!("exit status {}", code.unwrap_or_default()),
        };
        let told = if words.is_empty() { ended } else { words };
        Err(Error::Failed {
            program: self.name.clone(),
            told,
        })
    }

    fn failed(&self, cause: &io::Error) -> Error {
        Error::Failed {
            program: self.name.clone(),
            told: cause.to_string(),
        }
    }

    fn late(&self) -> Error {
        Error::Late {
            program: self.name.clone(),
            within: self.within,
        }
    }
}

/// The end of what a program complains, in one line; all of it is read, so that the program is not held up.
async fn last_words(stderr: Option<tokio::process::ChildStderr>) -> String {
    let Some(mut stderr) = stderr else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut piece = vec![0; WORDS];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        kept.extend_from_slice(&piece[..length]);
        let over = kept.len().saturating_sub(WORDS);
        kept.drain(..over);
    }
    let text = String::from_utf8_lossy(&kept);
    let is_error = |line: &&str| line.contains("rror") || line.contains("FATAL");
    // Warnings come first, and what a program says after its first error comes of it.
    let from = text.lines().find(is_error).and_then(|line| text.find(line));
    match text[from.unwrap_or_default()..].trim() {
        "" => String::new(),
        words => excerpt(words.as_bytes()),
    }
}
