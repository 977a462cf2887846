//! File systems that must have room.

use std::path::{Path, PathBuf};

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::CheckConfig;
use crate::value::{Room, Weight};
use sections::KeyPosition;

/// How much room the file system of a path must have, as `df` counts it for a user.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoomCheck {
    /// An absolute path on the file system.
    pub path: PathBuf,
    /// The least space left: a share (`10%`) or a size (`5GiB`). Default 10%.
    #[serde(default = "min_free")]
    pub min_free: Room,
    /// The fewest inodes left: a share (`5%`) or a number. Default 5%.
    #[serde(default = "min_inodes")]
    pub min_inodes: Room,
}

/// A file system of the machine that runs us that must have room.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DiskCheck {
    /// An absolute path on the file system; also the check's name.
    pub path: PathBuf,
    /// The least space left: a share (`10%`) or a size (`5GiB`). Default 10%.
    #[serde(default = "min_free")]
    pub min_free: Room,
    /// The fewest inodes left: a share (`5%`) or a number. Default 5%.
    #[serde(default = "min_inodes")]
    pub min_inodes: Room,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

fn min_free() -> Room {
    Room::Percent(10.0)
}

fn min_inodes() -> Room {
    Room::Percent(5.0)
}

impl CheckConfig for DiskCheck {
    const KEYS: &[&str] = &["path"];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        absolute(spot.key("path"), &self.path)?;
        has_unit(spot.key("min-free"), self.min_free)
    }
}

/// A few bytes are never meant; inodes are counted, and need no unit.
pub(super) fn has_unit(spot: KeyPosition<'_>, room: Room) -> Result<(), Fault> {
    match room.without_unit() {
        Some(error) => Err(spot.fault(error.to_string())),
        None => Ok(()),
    }
}

pub(super) fn absolute(spot: KeyPosition<'_>, file: &Path) -> Result<(), Fault> {
    if file.is_absolute() {
        return Ok(());
    }
    Err(spot.fault("not an absolute path").hint("begin it with `/`"))
}
