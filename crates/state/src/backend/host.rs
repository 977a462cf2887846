//! The state in a file on a host. Each operation is one script for `sh`, given by standard input
//! and read to its end before any of it runs, so that a connection that breaks leaves all or
//! nothing; values are quoted words of it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use remote::ssh::{self, Limits, Shared, Target};
use remote::{quote, quote_path};
use sha2::{Digest as _, Sha256};

use super::part::{BackendError, Blob, Part, Series, file_name, file_number};
use crate::Holder;
use crate::store_context::StoreContext;
use model::text::cut;

/// One script, and the login before the first.
const TIMEOUT: Duration = Duration::from_secs(30);
/// What is printed beside a file's content.
const WORDS: usize = 64 << 10;

/// What every script can do.
const COMMON: &str = include_str!("host/common.sh");
const GET: &str = include_str!("host/get.sh");
const SWAP: &str = include_str!("host/swap.sh");
const LINES: &str = include_str!("host/lines.sh");
const PROVE: &str = include_str!("host/prove.sh");

#[derive(Debug)]
pub(crate) struct Host {
    /// Its name under `hosts:`.
    alias: String,
    path: String,
    shared: Arc<Shared>,
    /// Who we are, for a process that finds our lock file.
    who: String,
}

/// Why a script gives no answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Ssh(#[from] ssh::Error),
    #[error("{exit}: {tail}")]
    Ended { exit: ssh::Exit, tail: String },
    #[error("the script printed nothing")]
    Silent,
}

impl Host {
    pub(super) fn new(host: &str, path: &str, around: &StoreContext) -> Result<Host, BackendError> {
        let StoreContext {
            env,
            hosts,
            redactor: _,
        } = around;
        let configured = hosts.get(host).ok_or_else(|| BackendError::Failed {
            reason: format!("no host `{host}` is configured"),
            hint: Some(format!("add `hosts: {{ {host}: {{ address: … }} }}`")),
        })?;
        let target = Target::of(configured, None, env).map_err(|unready| BackendError::Failed {
            reason: format!("host `{host}`: {}", unready.reason),
            hint: Some(unready.hint),
        })?;
        Ok(Host {
            alias: host.to_owned(),
            path: path.to_owned(),
            shared: Arc::new(Shared::new(target)),
            who: Holder::this_process(None, None).to_string(),
        })
    }

    pub(super) fn name(&self) -> String {
        let address = config::value::StateAddress::Host {
            host: self.alias.clone(),
            path: self.path.clone(),
        };
        address.to_string()
    }

    pub(super) async fn get(&self, part: &Part) -> Result<Option<Blob>, BackendError> {
        let limit = part.limit();
        let (suffix, most) = (part.suffix(), limit.to_string());
        let mut values = self.writer();
        values.extend([("suffix", suffix.as_str()), ("limit", &most)]);
        let (word, rest) = self.run_reading(GET, &values, limit + WORDS).await?;
        match word.as_str() {
            "found" if rest.len() > limit => Err(large(limit)),
            "found" => Ok(Some(Blob {
                bytes: rest,
                etag: None,
            })),
            "absent" => Ok(None),
            "odd" => Err(BackendError::Unusable(
                "it is not a regular file".to_owned(),
            )),
            "large" => Err(large(limit)),
            word => Err(backend_error(word, &rest)),
        }
    }

    pub(super) async fn swap(
        &self,
        old: Option<&Blob>,
        new: &[u8],
        keep: &Part,
    ) -> Result<(), BackendError> {
        let keep = keep.suffix();
        let (sha, crc) = match old {
            Some(old) => (sha256(&old.bytes), cksum(&old.bytes)),
            None => (String::new(), String::new()),
        };
        let new = text(new)?;
        let mut values = self.writer();
        values.extend([
            ("sha", sha.as_str()),
            ("crc", &crc),
            ("new", new),
            ("keep", &keep),
        ]);
        let (word, rest) = self.order(SWAP, &values).await?;
        match word.as_str() {
            "done" => Ok(()),
            word => Err(backend_error(word, &rest)),
        }
    }

    pub(super) async fn prove_writable(&self) -> Result<(), BackendError> {
        let mut values = self.writer();
        values.push(("folder", folder(Series::Journals)));
        let (word, rest) = self.run_reading(PROVE, &values, WORDS).await?;
        match word.as_str() {
            "done" => Ok(()),
            word => Err(backend_error(word, &rest)),
        }
    }

    pub(super) async fn numbers(&self, series: Series) -> Result<Vec<u64>, BackendError> {
        let mut values = self.writer();
        values.extend([("folder", folder(series)), ("verb", "list")]);
        let (word, rest) = self.run_reading(LINES, &values, WORDS).await?;
        match word.as_str() {
            "found" => Ok(String::from_utf8_lossy(&rest)
                .lines()
                .filter_map(file_number)
                .collect()),
            "absent" => Ok(Vec::new()),
            word => Err(backend_error(word, &rest)),
        }
    }

    pub(super) async fn create(
        &self,
        series: Series,
        number: u64,
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        self.change("create", series, number, (0, 0), lines).await
    }

    pub(super) async fn append(
        &self,
        series: Series,
        number: u64,
        seen: usize,
        whole: usize,
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        let length = (seen, whole);
        self.change("append", series, number, length, lines).await
    }

    pub(super) async fn remove(&self, series: Series, number: u64) -> Result<(), BackendError> {
        let removed = self.change("remove", series, number, (0, 0), b"").await;
        removed.map(drop)
    }

    /// Changes a file of lines that is `seen` bytes long, `whole` of them good.
    async fn change(
        &self,
        verb: &str,
        series: Series,
        number: u64,
        (seen, whole): (usize, usize),
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        let (name, seen, whole) = (file_name(number), seen.to_string(), whole.to_string());
        let lines = text(lines)?;
        let mut values = self.writer();
        values.extend([
            ("folder", folder(series)),
            ("verb", verb),
            ("name", &name),
            ("seen", &seen),
            ("whole", &whole),
            ("line", lines.trim_end_matches('\n')),
        ]);
        let (word, rest) = self.order(LINES, &values).await?;
        match word.as_str() {
            "done" => Ok(None),
            word => Err(backend_error(word, &rest)),
        }
    }

    /// What every script receives.
    fn writer(&self) -> Vec<(&'static str, &str)> {
        vec![("path", self.path.as_str()), ("who", self.who.as_str())]
    }

    /// Runs a script that only reads; its first line, and what follows.
    async fn run_reading(
        &self,
        script: &str,
        values: &[(&str, &str)],
        most: usize,
    ) -> Result<(String, Vec<u8>), BackendError> {
        let reads = true;
        let ran = self.run(script, values, most, reads).await;
        ran.map_err(|error| self.failed(&error))
    }

    /// Runs a script that writes: without an answer, the effect is unknown.
    async fn order(
        &self,
        script: &str,
        values: &[(&str, &str)],
    ) -> Result<(String, Vec<u8>), BackendError> {
        use ssh::Error::{Closed, Command, Lost, TimedOut};
        let reads = false;
        let ran = self.run(script, values, WORDS, reads).await;
        ran.map_err(|error| match error {
            Error::Ended { .. }
            | Error::Silent
            | Error::Ssh(Command { .. } | Lost { .. } | Closed | TimedOut(_)) => {
                BackendError::Unsure(format!("host `{}`: {error}", self.alias))
            }
            Error::Ssh(_) => self.failed(&error),
        })
    }

    fn failed(&self, error: &Error) -> BackendError {
        BackendError::Failed {
            reason: format!("host `{}`: {error}", self.alias),
            hint: Some(match error {
                Error::Ssh(error) => self.shared.target().hint(error),
                Error::Ended { .. } | Error::Silent => {
                    format!("see what the host prints: `ssh {} sh -c true`", self.alias)
                }
            }),
        }
    }

    async fn run(
        &self,
        script: &str,
        values: &[(&str, &str)],
        most: usize,
        reads: bool,
    ) -> Result<(String, Vec<u8>), Error> {
        // A function is read to its end before anything of it runs.
        let mut whole = String::from("main() {\n");
        for (name, value) in values {
            let word = if *name == "path" {
                quote_path(value)
            } else {
                quote(value)
            };
            let _ = writeln!(whole, "{name}={word}");
        }
        let token = format!("{:016x}", rand::random::<u64>());
        let _ = write!(whole, "token={token}\n{COMMON}\n{script}\n}}\nmain\n");
        let limits = Limits {
            timeout: TIMEOUT,
            max_output: most,
        };
        let output = if reads {
            self.shared.read(&whole, limits).await?
        } else {
            self.shared.script(&whole, limits).await?
        };
        if !output.success() {
            let tail = output.tail();
            let exit = output.exit;
            return Err(Error::Ended { exit, tail });
        }
        let mut answer = output.stdout;
        let Some(end) = answer.iter().position(|byte| *byte == b'\n') else {
            return Err(Error::Silent);
        };
        let rest = answer.split_off(end + 1);
        let word = String::from_utf8_lossy(&answer).trim().to_owned();
        Ok((word, rest))
    }
}

fn folder(series: Series) -> &'static str {
    series.folder().trim_end_matches('/')
}

fn large(limit: usize) -> BackendError {
    BackendError::Unusable(format!("it is larger than {} MiB", limit >> 20))
}

/// What a script says when it did not do it.
fn backend_error(word: &str, rest: &[u8]) -> BackendError {
    let rest = String::from_utf8_lossy(rest);
    let rest = cut(rest.trim(), 500);
    match word {
        "conflict" => BackendError::Conflict,
        "busy" => BackendError::Busy(format!("the lock file was made by {rest}")),
        "unsure" => BackendError::Unsure(rest),
        "failed" => BackendError::failed(rest),
        word => BackendError::failed(format!("the host answered `{word}` {rest}")),
    }
}

/// What goes into a script is text.
fn text(bytes: &[u8]) -> Result<&str, BackendError> {
    std::str::from_utf8(bytes).map_err(BackendError::failed)
}

fn sha256(bytes: &[u8]) -> String {
    model::text::hex(Sha256::digest(bytes))
}

/// `cksum` of POSIX, for hosts that have no `sha256sum`.
fn cksum(bytes: &[u8]) -> String {
    let step = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            let carry = crc & 0x8000_0000 != 0;
            (crc << 1) ^ if carry { 0x04c1_1db7 } else { 0 }
        })
    };
    let length = bytes.len().to_le_bytes();
    let used = length
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let crc = bytes
        .iter()
        .chain(&length[..used])
        .fold(0, |crc, byte| step(crc, *byte));
    format!("{} {}", !crc, bytes.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::cksum;

    #[test]
    fn cksum_is_what_the_program_prints() {
        for text in ["", "a", "123456789", &"x".repeat(70_000)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            std::fs::write(&path, text).unwrap();
            let file = std::fs::File::open(&path).unwrap();
            let output = std::process::Command::new("cksum").stdin(file).output();
            let printed = String::from_utf8(output.unwrap().stdout).unwrap();
            assert_eq!(printed.trim(), cksum(text.as_bytes()));
        }
    }
}
