//! Backups on this machine, or on a host.

use std::time::{Duration, Instant};

use cli::Job;
use config::file::BackupCheck;
use remote::local;
use remote::ssh::{self, Limits, Session, Target};

use super::file::{Backups, Proof, worth_reading};
use super::script::{self, Listing};
use crate::check::{CheckError, Context};

/// Two lines of a list, or the last words of a program.
const MAX_OUTPUT: usize = 64 << 10;

/// Where the scripts run.
enum Place {
    Here,
    There(Session, String),
}

struct Ran {
    /// `None` where it did not end by itself.
    status: Option<i32>,
    /// How it ended, in words.
    exit: String,
    stdout: String,
    tail: String,
}

pub(super) async fn list_backups(
    check: &BackupCheck,
    scene: &Context<'_>,
    timeout: Duration,
) -> Result<Backups, CheckError> {
    let _turn = match &check.host {
        Some(_) => scene.hosts.acquire().await.ok(),
        None => None,
    };
    let clock = Instant::now();
    let left = || timeout.saturating_sub(clock.elapsed());
    let place = enter(check, scene.job, timeout).await?;
    let listed = place.run(&script::list(&check.file), left()).await?;
    if listed.status.is_none() {
        return Err(CheckError::error(
            format!(
                "the files were not listed: {} (its time is {})",
                listed.exit,
                model::text::duration(timeout)
            ),
            "raise the check's `timeout`, or see what is slow where the backup lies",
        ));
    }
    let files = match script::read(&listed.stdout).filter(|_| listed.status == Some(0)) {
        Some(Listing::Files(files)) => files,
        Some(Listing::NoFolder) => Vec::new(),
        Some(Listing::Denied) => {
            return Err(CheckError::error(
                "the folder may not be read",
                format!("see its permissions: `ls -ld` before {}", check.file),
            ));
        }
        None => {
            return Err(CheckError::error(
                format!("the files cannot be listed: {}", listed.tail),
                "it takes `sh` and GNU `stat`; run both on the machine that has the backup",
            ));
        }
    };
    let proof = match (check.verify, files.first()) {
        (Some(by), Some(newest)) if worth_reading(check, newest) => {
            let time = left();
            let ran = place.run(&script::verify(by, &newest.name), time).await?;
            Some(match ran.status {
                Some(status) => script::proof(by, status, &ran.stdout, &ran.tail),
                None => Proof::Unknown {
                    reason: format!("it was not read to its end: {}", ran.exit),
                    hint: "raise the check's `timeout`, or see what stops it there".to_owned(),
                },
            })
        }
        _ => None,
    };
    Ok(Backups { files, proof })
}

async fn enter(check: &BackupCheck, job: &Job, timeout: Duration) -> Result<Place, CheckError> {
    let Some(name) = &check.host else {
        return Ok(Place::Here);
    };
    let unknown =
        |reason: String, hint: String| CheckError::error(format!("host `{name}`: {reason}"), hint);
    let Some(host) = job.config.hosts.get(name) else {
        let hint = format!("add `hosts: {{ {name}: {{ address: … }} }}`");
        return Err(unknown("it is not under `hosts:`".to_owned(), hint));
    };
    let target = Target::of(host, None, &job.env)
        .map_err(|unready| unknown(unready.reason, unready.hint))?;
    match target.clone().connect(timeout).await {
        Ok(session) => Ok(Place::There(session, name.clone())),
        Err(error) => Err(unknown(error.to_string(), target.hint(&error))),
    }
}

impl Place {
    async fn run(&self, text: &str, timeout: Duration) -> Result<Ran, CheckError> {
        match self {
            Place::Here => {
                let script = local::Script {
                    text,
                    env: Vec::new(),
                    timeout,
                };
                let ran = local::run(&script, &mut |_, _| ()).await.map_err(|error| {
                    CheckError::error(
                        format!("`sh` cannot be started: {error}"),
                        "see `command -v sh`",
                    )
                })?;
                Ok(Ran {
                    status: match ran.exit {
                        local::Exit::Code(code) => Some(code),
                        local::Exit::Signal(_) | local::Exit::TimedOut => None,
                    },
                    exit: ran.exit.to_string(),
                    tail: ran.tail(),
                    stdout: ran.stdout,
                })
            }
            Place::There(session, name) => {
                let limits = Limits {
                    timeout,
                    max_output: MAX_OUTPUT,
                };
                let ran = session.script(text, limits).await.map_err(|error| {
                    let hint = format!("see what it does there: `ssh {name}`");
                    CheckError::error(format!("host `{name}`: {error}"), hint)
                })?;
                Ok(Ran {
                    status: match ran.exit {
                        ssh::Exit::Code(code) => Some(code),
                        ssh::Exit::Signal(_)
                        | ssh::Exit::Unproven
                        | ssh::Exit::TimedOut
                        | ssh::Exit::Flood => None,
                    },
                    exit: ran.exit.to_string(),
                    tail: ran.tail(),
                    stdout: String::from_utf8_lossy(&ran.stdout).into_owned(),
                })
            }
        }
    }
}
