//! File systems of this machine that must have room.

use std::path::Path;
use std::time::Duration;

use config::file::DiskCheck;
use model::Outcome;

use super::space::{Builder, Space, judge_free, judge_inodes};
use super::{Check, Context, Planned};

impl Check for DiskCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        plan(self, scene)
    }
}

/// One question for space, one for inodes.
fn plan<'a>(check: &'a DiskCheck, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
    let DiskCheck {
        path,
        min_free,
        min_inodes,
        severity,
        weight,
    } = check;
    let subject = path.display().to_string();
    let below = subject.trim_end_matches('/');
    [false, true]
        .into_iter()
        .map(|inodes| {
            let (kind, what) = if inodes { ("inodes", "inodes") } else { ("disk", "space") };
            let id = format!("{kind}{}", if below.is_empty() { "/" } else { below });
            let (subject, timeout) = (subject.clone(), scene.timeout);
            Planned {
                id: id.clone(),
                subject: subject.clone(),
                severity: *severity,
                weight: weight.split(2),
                asks: format!("look at the {what} left at {subject}"),
                needs: None,
                timeout,
                wait: Duration::ZERO,
                ask: Box::pin(async move {
                    let head = Builder {
                        id,
                        what: subject.clone(),
                        subject,
                    };
                    match measure_space(path, timeout).await {
                        Err(unseen) => unknown(head, path, &unseen.to_string()),
                        Ok(space) if inodes => {
                            let hint = format!("see what holds them: `df -i {0}`, `du --inodes -x -d 2 {0} | sort -n | tail`", path.display());
                            judge_inodes(head, &space, *min_inodes, &hint)
                        }
                        Ok(space) => {
                            let hint = format!("see what fills it: `du -xh -d 2 {} | sort -h | tail`", path.display());
                            judge_free(head, &space, *min_free, &hint)
                        }
                    }
                }),
            }
        })
        .collect()
}

fn unknown(head: Builder, path: &Path, reason: &str) -> Outcome {
    Outcome::fail(head.id, head.subject)
        .expected("a file system that can be looked at")
        .actual(reason)
        .reason(format!("{}: {reason}", path.display()))
        .hint(format!("`df {}`", path.display()))
}

/// Why a file system cannot be looked at.
#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error("no answer within {}", model::text::duration(*.0))]
    Silent(Duration),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Broken(#[from] tokio::task::JoinError),
}

/// A network file system may never answer; its thread is then left to itself.
async fn measure_space(path: &Path, timeout: Duration) -> Result<Space, DiskError> {
    let owned = path.to_owned();
    let task = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&owned));
    let seen = tokio::time::timeout(timeout, task).await;
    let seen = seen.map_err(|_| DiskError::Silent(timeout))??;
    let seen = seen.map_err(std::io::Error::from)?;
    Ok(Space::new(
        seen.f_frsize,
        [seen.f_blocks, seen.f_bfree, seen.f_bavail],
        [seen.f_files, seen.f_ffree],
    ))
}
