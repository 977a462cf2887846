//! The log of a job, within bounds.
//!
//! GitHub keeps logs on another server and names their address, with a signature in it that lasts
//! for a minute. The token does not go there.

use std::time::Instant;

use crate::client::StoredElsewhere;
use crate::{Client, Error, Needs, Repository};

/// More of a log is not read: its end, where the other server can begin there, else its beginning.
pub const MAX_LOG: usize = 8 << 20;

/// What there is of a job's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobLog {
    Read(LogText),
    /// The log does not exist: the job runs, or ended before it had one.
    Missing,
    /// GitHub kept it for as long as the repository says.
    Expired,
}

/// A log, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogText {
    /// Whole lines.
    pub text: String,
    pub cut: Option<Cut>,
}

/// What of a log was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Beginning,
    End,
}

const NEEDS: Needs = Needs::workflow(
    "read the log of a job",
    "actions: read",
    "`actions: read` on the repository",
);

impl Client {
    /// Of one job.
    pub async fn job_log(&self, repository: &Repository, job: u64) -> Result<JobLog, Error> {
        let path = format!("{}/actions/jobs/{job}/logs", repository.path());
        let url = match self.kept_at(&path, NEEDS).await? {
            StoredElsewhere::At(url) => url,
            StoredElsewhere::Here(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                return Ok(JobLog::Read(LogText { text, cut: None }));
            }
            StoredElsewhere::Not(410) => return Ok(JobLog::Expired),
            StoredElsewhere::Not(_) => return Ok(JobLog::Missing),
        };
        let until = Instant::now() + self.timeout();
        let reading = self.read_log(&url, until);
        let answer = tokio::time::timeout(self.timeout(), reading).await;
        answer.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                reason: format!("no log within {}", model::text::duration(self.timeout())),
            })
        })
    }

    async fn read_log(&self, url: &url::Url, until: Instant) -> Result<JobLog, Error> {
        let answer = self.ask_elsewhere(url, None).await?;
        let length = answer.content_length();
        let too_long = length.filter(|length| *length > MAX_LOG as u64);
        let (answer, beginning_left_out) = match too_long {
            Some(length) if answer.status() == 200 => {
                drop(answer);
                let from = length - MAX_LOG as u64;
                let answer = self
                    .ask_elsewhere(url, Some(format!("bytes={from}-")))
                    .await?;
                let is_part = answer.status() == 206;
                (answer, is_part)
            }
            _ => (answer, false),
        };
        match answer.status().as_u16() {
            200 | 206 => {}
            404 => return Ok(JobLog::Missing),
            410 => return Ok(JobLog::Expired),
            301..=308 => {
                return Err(Error::Malformed {
                    reason: "the log's address redirects once more".to_owned(),
                });
            }
            status => return Err(Error::Server { status }),
        }
        let (bytes, end_left_out) = body(answer, until).await?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let cut = match (beginning_left_out, end_left_out) {
            (true, _) => {
                // It began within a line.
                let first = text.find('\n').map_or(text.len(), |at| at + 1);
                text.drain(..first);
                Some(Cut::Beginning)
            }
            (false, true) => {
                text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
                Some(Cut::End)
            }
            (false, false) => None,
        };
        Ok(JobLog::Read(LogText { text, cut }))
    }
}

/// As much of an answer as is read, and whether that is not all. A log of which a part has come when
/// the time is up, or when the connection breaks, is cut, too.
async fn body(mut answer: reqwest::Response, until: Instant) -> Result<(Vec<u8>, bool), Error> {
    /// Left for what comes after the reading.
    const MARGIN: std::time::Duration = std::time::Duration::from_millis(200);
    let mut bytes = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now() + MARGIN);
        let chunk = match tokio::time::timeout(left, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok((bytes, false)),
            Ok(Err(_)) | Err(_) if !bytes.is_empty() => return Ok((bytes, true)),
            Ok(Err(error)) => {
                return Err(Error::Unreachable {
                    reason: crate::answer::innermost(&error.without_url()),
                });
            }
            Err(_) => {
                return Err(Error::Unreachable {
                    reason: "the log did not begin in time".to_owned(),
                });
            }
        };
        let room = MAX_LOG - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok((bytes, true));
        }
        bytes.extend_from_slice(&chunk);
    }
}
