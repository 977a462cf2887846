//! Backups in a bucket: the newest object is fetched piece by piece and read here, never stored.

use std::process::Stdio;
use std::time::Duration;

use aws::{Address, Client, Download, Object, Source};
use config::file::{BackupCheck, BackupProof};
use glob::{MatchOptions, Pattern};
use model::Verdict;
use model::text::cut;
use model::text::hex;
use sha2::{Digest as _, Sha256, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::file::{Backups, File, Proof, worth_reading};
use super::script;
use crate::check::{CheckError, Context};

/// A checksum file is a line.
const CHECKSUM: usize = 64 << 10;
/// The table of contents of a dump.
const MAX_LIST: u64 = 64 << 20;
/// The last words of a program.
const WORDS: u64 = 4 << 10;

pub(super) async fn list_backups(
    check: &BackupCheck,
    scene: &Context<'_>,
    timeout: Duration,
) -> Result<Backups, CheckError> {
    match tokio::time::timeout(timeout, query_bucket(check, scene)).await {
        Ok(looked) => looked,
        Err(_) => Err(CheckError::error(
            format!(
                "it was not listed and read within {}",
                model::text::duration(timeout)
            ),
            "raise the check's `timeout`",
        )),
    }
}

async fn query_bucket(check: &BackupCheck, scene: &Context<'_>) -> Result<Backups, CheckError> {
    let address: Address = check.file.parse().map_err(|error: aws::AddressError| {
        blind_fail(error.to_string(), "write it as `s3://bucket/prefix*`")
    })?;
    let pattern = Pattern::new(&address.key)
        .map_err(|error| blind_fail(error.to_string(), "write it as `s3://bucket/prefix*`"))?;
    let job = scene.job;
    let source = Source::find(&job.env).map_err(|error| blind(&error))?;
    job.redactor.add(source.secrets());
    let client = Client::connect(&job.env, &source, None)
        .await
        .map_err(|error| blind(&error))?;
    job.redactor.add(client.secrets());
    let fixed = address.key.find(['*', '?', '[']);
    let prefix = Address {
        key: address.key[..fixed.unwrap_or(address.key.len())].to_owned(),
        bucket: address.bucket.clone(),
    };
    let objects = client.list(&prefix).await.map_err(|error| match error {
        // Our own place does not exist: that is not a failed query.
        aws::Error::Absent { .. } => blind_fail(
            format!("the bucket `{}` does not exist", address.bucket),
            "`aws s3 ls`; or correct the name",
        ),
        other => blind(&other),
    })?;
    let options = MatchOptions {
        require_literal_separator: true,
        ..MatchOptions::default()
    };
    let mut found: Vec<Object> = objects
        .into_iter()
        .filter(|object| pattern.matches_with(&object.key, options))
        .filter(|object| !object.key.ends_with(".sha256") && !object.key.ends_with(".sha512"))
        .collect();
    // Of the same second, the later name: names of backups hold their time.
    found.sort_by_key(|object| std::cmp::Reverse((object.modified, object.key.clone())));
    found.truncate(2);
    let now = jiff::Timestamp::now();
    let files: Vec<File> = found
        .iter()
        .map(|object| File {
            name: format!("s3://{}/{}", address.bucket, object.key),
            size: object.size,
            age: now.duration_since(object.modified),
        })
        .collect();
    let proof = match (check.verify, files.first(), found.first()) {
        (Some(by), Some(file), Some(object)) if worth_reading(check, file) => {
            let at = Address {
                bucket: address.bucket.clone(),
                key: object.key.clone(),
            };
            Some(verify(&client, &at, by).await?)
        }
        _ => None,
    };
    Ok(Backups { files, proof })
}

fn blind(error: &aws::Error) -> CheckError {
    CheckError::error(error.to_string(), error.hint())
}

fn blind_fail(reason: String, hint: &str) -> CheckError {
    CheckError {
        verdict: Verdict::Fail,
        reason,
        hint: hint.to_owned(),
    }
}

async fn verify(client: &Client, at: &Address, by: BackupProof) -> Result<Proof, CheckError> {
    if by == BackupProof::Checksum {
        return checksum(client, at).await;
    }
    let (program, arguments): (&str, &[&str]) = match by {
        BackupProof::Gzip => ("gzip", &["-t"]),
        BackupProof::Zstd => ("zstd", &["-t", "-q", "-"]),
        BackupProof::PgRestore | BackupProof::Checksum => ("pg_restore", &["--file=/dev/null"]),
    };
    let download = client.get(at, None).await.map_err(|error| blind(&error))?;
    let mut read = feed(program, arguments, download).await?;
    if by == BackupProof::PgRestore && read.status == Some(0) {
        // The list is at the front: no more than that is fetched again.
        let download = client.get(at, None).await.map_err(|error| blind(&error))?;
        read = feed(program, &["--list"], download).await?;
    }
    Ok(match read.status {
        Some(status) => script::proof(by, status, &read.printed, &read.said),
        None => Proof::Unknown {
            reason: format!("`{program}` was killed while it read"),
            hint: "see whether this machine has enough memory: `free -m`, `dmesg`".to_owned(),
        },
    })
}

/// What a program said of an object.
struct Reading {
    /// `None` where it was killed.
    status: Option<i32>,
    printed: String,
    said: String,
}

/// Gives the object to a program that reads it to its end.
async fn feed(program: &str, args: &[&str], mut download: Download) -> Result<Reading, CheckError> {
    let failed = |error: std::io::Error| {
        CheckError::error(
            format!("`{program}` cannot be run: {error}"),
            format!("install it here: see `command -v {program}`"),
        )
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
    };
    let pour = async {
        while let Some(chunk) = download.chunk().await.map_err(|error| blind(&error))? {
            // A program that has seen enough closes its end; its status says what it saw.
            if stdin.write_all(chunk.as_ref()).await.is_err() {
                break;
            }
        }
        drop(stdin);
        Ok::<(), CheckError>(())
    };
    let (poured, printed, said) = tokio::join!(pour, head(stdout, MAX_LIST), head(stderr, WORDS));
    poured?;
    let status = child.wait().await.map_err(failed)?;
    Ok(Reading {
        status: status.code(),
        printed,
        said,
    })
}

/// The first of what a program says; what is beyond is read and dropped, so that the program is not held up.
async fn head(mut stream: impl AsyncRead + Unpin, most: u64) -> String {
    let mut kept = Vec::new();
    let _ = (&mut stream).take(most).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// Counts the object here, and compares with what lies beside it.
async fn checksum(client: &Client, at: &Address) -> Result<Proof, CheckError> {
    for kind in ["sha256", "sha512"] {
        let beside = Address {
            key: format!("{}.{kind}", at.key),
            ..at.clone()
        };
        let mut told = match client.get(&beside, None).await {
            Ok(download) => download,
            Err(aws::Error::Absent { .. }) => continue,
            Err(error) => return Err(blind(&error)),
        };
        let mut text = Vec::new();
        while let Some(chunk) = told.chunk().await.map_err(|error| blind(&error))? {
            text.extend_from_slice(chunk.as_ref());
            if text.len() > CHECKSUM {
                return Ok(Proof::Damaged(format!(
                    "{} is not a checksum file",
                    beside.key
                )));
            }
        }
        let text = String::from_utf8_lossy(&text);
        let name = at.key.rsplit('/').next().unwrap_or_default();
        let want = super::checksum::find_hash(&text, name);
        let got = count(
            client.get(at, None).await.map_err(|error| blind(&error))?,
            kind,
        )
        .await?;
        if want == got {
            return Ok(Proof::Intact);
        }
        let want = cut(&want, 128);
        return Ok(Proof::Damaged(format!(
            "its {kind} is {got}, and {} has {want}",
            beside.key
        )));
    }
    Ok(Proof::Damaged(format!(
        "there is neither {0}.sha256 nor {0}.sha512",
        at.key
    )))
}

async fn count(mut download: Download, kind: &str) -> Result<String, CheckError> {
    let (mut short, mut long) = (Sha256::new(), Sha512::new());
    while let Some(chunk) = download.chunk().await.map_err(|error| blind(&error))? {
        if kind == "sha256" {
            short.update(chunk.as_ref());
        } else {
            long.update(chunk.as_ref());
        }
    }
    Ok(if kind == "sha256" {
        hex(short.finalize())
    } else {
        hex(long.finalize())
    })
}
