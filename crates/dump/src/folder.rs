//! Where backups are kept: a folder with a folder for each, which appears whole or not at all.
//!
//! What a kill leaves has a name that begins with a dot, and the next run removes it. A lock on it says that its writer lives.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use state::atomic::{self, Owner, sync_folder};

use crate::error::Error;
use crate::facts::Facts;

const FACTS: &str = "facts.json";
/// What is being written or removed.
const PARTIAL: &str = ".partial-";
/// How often a folder is made again that another run swept away the moment it was made.
const MAX_ATTEMPTS: u32 = 20;

/// A folder of backups; it is made when the first one is taken.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A backup that was read to its end when it was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    pub facts: Facts,
    /// The dump itself.
    pub path: PathBuf,
}

/// A backup that is being written.
pub(crate) struct Partial {
    folder: PathBuf,
    pub(crate) path: PathBuf,
    /// Locked for as long as this lives.
    _lock: File,
}

impl Folder {
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The backups, the newest first.
    pub fn list(&self) -> Result<Vec<Backup>, Error> {
        let mut found = Vec::new();
        for path in self.entries()? {
            let facts = path.join(FACTS);
            let is_partial = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if is_partial || !facts.is_file() {
                continue;
            }
            let facts = Facts::read(&facts)?;
            // A whole path stays one.
            let path = path.join(&facts.file);
            found.push(Backup { facts, path });
        }
        found.sort_by(|a, b| (b.facts.taken, &b.facts.id).cmp(&(a.facts.taken, &a.facts.id)));
        Ok(found)
    }

    /// The one with this id.
    pub fn find(&self, id: &str) -> Result<Backup, Error> {
        let found = self
            .list()?
            .into_iter()
            .find(|backup| backup.facts.id == id);
        found.ok_or_else(|| Error::NoBackup(id.to_owned()))
    }

    /// The newest of this database.
    pub fn newest(&self, database: &str) -> Result<Option<Backup>, Error> {
        let mut all = self.list()?.into_iter();
        Ok(all.find(|backup| backup.facts.database == database))
    }

    /// Removes the older backups of a database until `keep` are left. The newest stays, and so does each that is `named`.
    pub fn rotate(
        &self,
        database: &str,
        keep: usize,
        named: &BTreeSet<String>,
    ) -> Result<Vec<Backup>, Error> {
        let of_it = self.list()?.into_iter();
        let of_it = of_it.filter(|backup| backup.facts.database == database);
        let mut removed = Vec::new();
        for backup in of_it.skip(keep.max(1)) {
            if named.contains(&backup.facts.id) {
                continue;
            }
            let path = self.path.join(&backup.facts.id);
            let aside = self.path.join(format!("{PARTIAL}{}", backup.facts.id));
            std::fs::rename(&path, &aside).map_err(Error::io(&path))?;
            std::fs::remove_dir_all(&aside).map_err(Error::io(&aside))?;
            removed.push(backup);
        }
        Ok(removed)
    }

    /// Begins a backup, after what killed runs left was removed.
    pub(crate) fn begin(&self) -> Result<Partial, Error> {
        atomic::make_folders(&self.path, 0o700).map_err(Error::io(&self.path))?;
        self.sweep()?;
        for _ in 0..MAX_ATTEMPTS {
            let path = self
                .path
                .join(format!("{PARTIAL}{:016x}", rand::random::<u64>()));
            atomic::make_folder(&path, 0o700).map_err(Error::io(&path))?;
            // Another run may take it for a dead one's before it is locked.
            if let Some(lock) = lock(&path)
                && is_at(&lock, &path)
            {
                return Ok(Partial {
                    folder: self.path.clone(),
                    path,
                    _lock: lock,
                });
            }
        }
        Err(Error::Io {
            path: self.path.clone(),
            cause: io::Error::other("no folder in it can be locked"),
        })
    }

    fn sweep(&self) -> Result<(), Error> {
        for path in self.entries()? {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            if name.starts_with(PARTIAL.as_bytes()) && lock(&path).is_some() {
                // Another run may do the same.
                let _ = std::fs::remove_dir_all(&path);
            }
        }
        Ok(())
    }

    fn entries(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = match std::fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(Error::io(&self.path))?,
        };
        let paths = entries.map(|entry| Ok(entry?.path()));
        paths
            .collect::<io::Result<_>>()
            .map_err(Error::io(&self.path))
    }
}

/// Locked, unless another process has it.
fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.try_lock().ok().map(|()| folder)
}

/// Whether what was opened is still what has this name.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(ours), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (ours.dev(), ours.ino()) == (there.dev(), there.ino())
}

impl Partial {
    /// A new file in it, which only its owner may read.
    pub(crate) fn file(&self, name: &str) -> Result<(PathBuf, File), Error> {
        let path = self.path.join(name);
        let owner = Owner::of_new(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(Error::io(&path))?;
        if let Some(owner) = owner {
            owner.give_to(&file);
        }
        Ok((path, file))
    }

    /// Makes it a backup: all of it is on the disk before it has its name.
    pub(crate) fn finish(self, facts: Facts) -> Result<Backup, Error> {
        let (path, mut file) = self.file(FACTS)?;
        let written = file.write_all(&facts.text()).and_then(|()| file.sync_all());
        written.map_err(Error::io(&path))?;
        let home = self.folder.join(&facts.id);
        let moved = sync_folder(&self.path)
            .and_then(|()| std::fs::rename(&self.path, &home))
            .and_then(|()| sync_folder(&self.folder));
        moved.map_err(Error::io(&home))?;
        Ok(Backup {
            path: home.join(&facts.file),
            facts,
        })
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It has another name where it was finished.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A new backup's name: sorted by name they are sorted by age.
pub(crate) fn new_id(taken: Timestamp) -> String {
    let id = rand::random::<u32>() & 0xff_ffff;
    format!("{}-{id:06x}", taken.strftime("%Y%m%dT%H%M%S%3fZ"))
}

/// A database's name as a part of a file's.
pub(crate) fn plain_name(database: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = database.chars().take(48).map(plain).collect();
    if name.is_empty() {
        "database".to_owned()
    } else {
        name
    }
}
