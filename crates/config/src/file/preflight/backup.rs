//! Backups that must be fresh, large enough and intact.

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Age, Size, Span, Weight};
use sections::KeyPosition;

/// The newest of the files that a pattern names must be a backup that can be restored.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BackupCheck {
    /// The check's name.
    pub name: String,
    /// A path with `*`, `?` and `[…]`, such as `/var/backups/shop/*.dump`; or `s3://bucket/prefix*`
    /// with the AWS credentials of the environment, the profile, the container or the
    /// instance. Checksum files beside the
    /// backups (`.sha256`, `.sha512`) are passed over.
    pub file: String,
    /// A name under `hosts:`. Default: the machine that runs us.
    pub host: Option<String>,
    /// How old the newest one may be, such as `26h`.
    pub max_age: Option<Age>,
    /// How large the newest one must be at least, such as `10MiB`. Default: not empty.
    pub min_size: Option<Size>,
    /// How it is proven to be whole. It is read to its end where it lies; from S3 it is fetched
    /// and read here. Default: not at all.
    pub verify: Option<BackupProof>,
    /// How long the check may take; a large backup takes a while to read.
    /// Default: `preflight.timeout`.
    pub timeout: Option<Span>,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

/// How a backup is proven to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackupProof {
    /// `gzip -t`.
    Gzip,
    /// `zstd -t`.
    Zstd,
    /// `pg_restore --list`, and then all of the data: a list alone stands at the file's beginning
    /// and shows nothing of a dump that was cut off. It must have the schema and the rows: one by `--data-only` or
    /// `--schema-only` fails. For `pg_dump --format=custom` and `tar`.
    PgRestore,
    /// A file of the same name with `.sha256` or `.sha512` appended, as `sha256sum`, BSD's
    /// `sha256` or OpenSSL write it.
    Checksum,
}

impl CheckConfig for BackupCheck {
    const KEYS: &[&str] = &["name"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        if let Some(host) = &self.host {
            let spot = spot.key("host");
            spot.known_host(host)?;
            if self.file.starts_with("s3://") {
                return Err(spot
                    .fault("`host` and `s3://` exclude each other")
                    .hint("a bucket is read from here"));
            }
        }
        if self.file.trim().is_empty() {
            return spot.refuse("file", "no file is named");
        }
        Ok(())
    }
}
