//! Backups: the newest of the files that a pattern names is fresh, large enough and intact.
//!
//! The files are in a place: this machine, a host, a bucket. Each place lists them by its own
//! clock, and reports whether a file is complete; judging is the same for all.

mod bucket;
mod checksum;
mod file;
mod script;
mod shell;

use config::file::{BackupCheck, BackupProof};
use config::value::Age;
use model::{Outcome, Verdict};

use super::{Check, Context, Planned};
use crate::check::CheckError;
use file::{Backups, File, Proof, from_the_future, too_old, too_small};
use model::text::{bytes, percent};

/// A backup this much smaller than the one before it is worth a word.
const SHRUNK: f64 = 0.5;

impl Check for BackupCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        vec![plan(self, scene)]
    }
}

fn plan<'a>(check: &'a BackupCheck, scene: &'a Context<'a>) -> Planned<'a> {
    let timeout = check
        .timeout
        .map_or(scene.timeout, config::value::Span::get);
    let id = format!("backup/{}", check.name);
    let (place, needs) = match &check.host {
        Some(host) => (format!(" at {host}"), Some("the host's SSH key".to_owned())),
        None if is_bucket(check) => {
            let needs = "`s3:ListBucket` and, to prove it intact, `s3:GetObject`";
            (String::new(), Some(needs.to_owned()))
        }
        None => (String::new(), None),
    };
    Planned {
        id: id.clone(),
        subject: check.file.clone(),
        severity: check.severity,
        weight: check.weight,
        asks: format!("look for the newest of {}{place}", check.file),
        needs,
        // A host waits for its turn; its own time begins then.
        timeout: if check.host.is_some() {
            scene.patient()
        } else {
            timeout + remote::local::GRACE
        },
        wait: std::time::Duration::ZERO,
        ask: Box::pin(async move {
            let looked = if is_bucket(check) {
                bucket::list_backups(check, scene, timeout).await
            } else {
                shell::list_backups(check, scene, timeout).await
            };
            judge(id, check, looked)
        }),
    }
}

fn is_bucket(check: &BackupCheck) -> bool {
    check.file.starts_with("s3://")
}

fn judge(id: String, check: &BackupCheck, looked: Result<Backups, CheckError>) -> Outcome {
    let outcome = |verdict| Outcome::new(&id, &check.file, verdict).expected(expected(check));
    let looked = match looked {
        Ok(looked) => looked,
        Err(CheckError {
            verdict,
            reason,
            hint,
        }) => {
            return outcome(verdict)
                .actual("not known")
                .reason(reason)
                .hint(hint);
        }
    };
    let job = "see the backup job's log, and when it runs: `systemctl list-timers`, `crontab -l`";
    let Some(newest) = looked.files.first() else {
        return outcome(Verdict::Fail)
            .actual("no such file")
            .reason(format!("no file matches {}", check.file))
            .hint(format!("{job}; or correct the pattern"));
    };
    let actual = describe_newest(newest, looked.files.get(1));
    let bad = |verdict, reason: String, hint: &str| {
        outcome(verdict)
            .actual(&actual)
            .reason(format!("{}: {reason}", newest.name))
            .hint(hint)
    };
    if from_the_future(check, newest) {
        let ahead = Age::from(newest.age.unsigned_abs());
        let reason = format!("its age cannot be known: it is dated {ahead} in the future");
        let hint = "see the clock of where it was made (`date`), and its own (`stat FILE`); move it away, or `touch` it";
        return bad(Verdict::Inconclusive, reason, hint);
    }
    if let Some(reason) = too_old(check, newest) {
        return bad(Verdict::Fail, reason, job);
    }
    if let Some(reason) = too_small(check, newest) {
        return bad(Verdict::Fail, reason, job);
    }
    match (check.verify, looked.proof) {
        (None, _) => outcome(Verdict::Pass).actual(actual),
        (Some(_), Some(Proof::Intact)) => {
            outcome(Verdict::Pass).actual(format!("{actual}, intact"))
        }
        (Some(by), Some(Proof::Damaged(said))) => {
            let hint = format!(
                "make a new backup before you deploy; look at this one: `{}`",
                by_hand(by, &newest.name)
            );
            bad(Verdict::Fail, format!("it is damaged: {said}"), &hint)
        }
        (Some(_), Some(Proof::Partial(fault))) => {
            bad(Verdict::Fail, fault.to_string(), fault.hint())
        }
        (Some(_), Some(Proof::Unknown { reason, hint })) => bad(
            Verdict::Error,
            format!("whether it is intact cannot be known: {reason}"),
            &hint,
        ),
        (Some(_), None) => bad(
            Verdict::Error,
            "whether it is intact was not checked".to_owned(),
            "raise the check's `timeout`",
        ),
    }
}

fn expected(check: &BackupCheck) -> String {
    let mut text = "a backup".to_owned();
    if let Some(age) = check.max_age {
        text.push_str(&format!(", at most {age} old"));
    }
    match check.min_size {
        Some(size) => text.push_str(&format!(", of at least {}", bytes(size.get()))),
        None => text.push_str(", not empty"),
    }
    if let Some(by) = check.verify {
        text.push_str(&format!(", intact by {}", proof(by)));
    }
    text
}

fn proof(by: BackupProof) -> &'static str {
    match by {
        BackupProof::Gzip => "`gzip -t`",
        BackupProof::Zstd => "`zstd -t`",
        BackupProof::PgRestore => "`pg_restore`",
        BackupProof::Checksum => "its checksum",
    }
}

/// What a person types.
fn by_hand(by: BackupProof, file: &str) -> String {
    let name = remote::quote(file);
    match by {
        BackupProof::Gzip => format!("gzip -tv {name}"),
        BackupProof::Zstd => format!("zstd -tv {name}"),
        BackupProof::PgRestore => format!("pg_restore --file=/dev/null {name}"),
        BackupProof::Checksum => format!("sha256sum {name}"),
    }
}

/// What is there, and whether it shrank.
fn describe_newest(newest: &File, before: Option<&File>) -> String {
    let (size, age) = (bytes(newest.size), newest.age());
    let mut text = format!("{}, {size}, {age} old", newest.name);
    if let Some(before) = before {
        #[expect(clippy::cast_precision_loss, reason = "a share, shown to one decimal")]
        let share = newest.size as f64 / before.size.max(1) as f64;
        if share < SHRUNK {
            text.push_str(&format!(
                ", {} smaller than {} before it: is it whole?",
                percent(1.0 - share),
                before.name
            ));
        }
    }
    text
}
