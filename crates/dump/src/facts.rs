//! What is noted beside a backup.

use std::collections::BTreeMap;
use std::path::Path;

use database::System;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::contents::{Contents, Format};
use crate::error::Error;

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// Far more than is needed, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// A backup: what it is of, and what was found when it was read to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    pub version: u32,
    pub id: String,
    /// When the database was as the backup has it.
    pub taken: Timestamp,
    pub database: String,
    /// Without a password.
    pub address: String,
    pub system: SystemName,
    /// The server's version.
    pub server: String,
    /// What wrote it, with its version.
    pub tool: String,
    pub format: Format,
    /// Beside the facts, or a whole path where a command of the user's wrote it.
    pub file: String,
    /// In bytes.
    pub size: u64,
    pub sha256: String,
    pub tables: u64,
    /// How many rows each table has, as the server estimates; the largest tables.
    pub rows: BTreeMap<String, u64>,
    /// The revision of the schema, where a tool told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
}

/// The server program, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemName {
    Postgresql,
    Mysql,
}

impl From<System> for SystemName {
    fn from(system: System) -> SystemName {
        match system {
            System::Postgres => SystemName::Postgresql,
            System::MySql => SystemName::Mysql,
        }
    }
}

impl From<SystemName> for System {
    fn from(name: SystemName) -> System {
        match name {
            SystemName::Postgresql => System::Postgres,
            SystemName::Mysql => System::MySql,
        }
    }
}

/// What the database told before the backup began.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceFacts {
    pub(crate) server: String,
    pub(crate) tables: u64,
    pub(crate) rows: BTreeMap<String, u64>,
}

impl Facts {
    pub(crate) fn new(
        id: String,
        taken: Timestamp,
        contents: &Contents,
        told: SourceFacts,
    ) -> Facts {
        Facts {
            version: VERSION,
            id,
            taken,
            database: String::new(),
            address: String::new(),
            system: contents.system.into(),
            server: told.server,
            tool: String::new(),
            format: contents.format,
            file: String::new(),
            size: contents.size,
            sha256: contents.sha256.clone(),
            tables: contents.tables.len() as u64,
            rows: told.rows,
            schema: None,
        }
    }

    pub(crate) fn read(path: &Path) -> Result<Facts, Error> {
        let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
        let malformed = |reason: String| Error::Malformed {
            path: path.to_owned(),
            reason,
        };
        if size > MAX_BYTES {
            return Err(malformed("it is too large".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let facts: Facts =
            serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if facts.version > VERSION {
            return Err(malformed(format!(
                "it has version {}: a newer deploy-guard wrote it",
                facts.version
            )));
        }
        Ok(facts)
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}
