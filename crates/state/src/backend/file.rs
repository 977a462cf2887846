//! The state in a file of this machine. A swap is short and holds an operating system lock
//! on a file beside the state.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::text::duration;

use super::part::{BackendError, Blob, Part, Series, file_number};
use crate::atomic::{self, Owner};

/// A swap takes milliseconds; a process that holds the lock longer is stuck.
const SWAP_TIME: Duration = Duration::from_secs(10);
/// Between two tries for the swap lock.
const RETRY_DELAY: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub(crate) struct File {
    path: PathBuf,
}

impl File {
    pub(crate) fn new(path: PathBuf) -> File {
        File { path }
    }

    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn at(&self, part: &Part) -> PathBuf {
        self.with(&part.suffix())
    }

    /// Beside the file that a link names: who uses another name meets the same lock.
    fn with(&self, suffix: &str) -> PathBuf {
        let real = self.path.canonicalize();
        let mut name = real.unwrap_or_else(|_| self.path.clone()).into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    }

    pub(super) fn get(&self, part: &Part) -> Result<Option<Blob>, BackendError> {
        read(&self.at(part), part.limit())
    }

    pub(super) async fn swap(
        &self,
        old: Option<&Blob>,
        new: &[u8],
        keep: &Part,
    ) -> Result<(), BackendError> {
        atomic::make_folders(&atomic::folder(&self.path), 0o777).map_err(BackendError::failed)?;
        let lock = self.lock().await?;
        let now = self.get(&Part::State)?;
        if now.as_ref().map(|now| &now.bytes) != old.map(|old| &old.bytes) {
            return Err(BackendError::Conflict);
        }
        let written = match old {
            Some(old) => atomic::replace_keeping(&self.path, new, &self.at(keep), &old.bytes),
            None => atomic::replace(&self.path, new),
        };
        written.map_err(BackendError::failed)?;
        drop(lock);
        Ok(())
    }

    /// The folders take a new file, the state can be replaced, and its lock can be taken.
    pub(super) fn prove_writable(&self) -> Result<(), BackendError> {
        let state = self.with("");
        let state = std::path::absolute(&state).unwrap_or(state);
        let mut above = state.ancestors().skip(1);
        let folder = above.find(|folder| folder.exists());
        let folder = folder.unwrap_or(Path::new("/"));
        let journals = self.with(Series::Journals.folder());
        for folder in [folder, &journals] {
            if !folder.exists() {
                continue;
            }
            tempfile::tempfile_in(folder).map_err(|error| {
                let folder = folder.display();
                BackendError::Failed {
                    reason: format!("nothing can be written in {folder}: {error}"),
                    hint: Some(format!("see who may write there: `ls -ld {folder}`")),
                }
            })?;
        }
        let lock = self.with(".lock");
        if lock.exists() {
            let opened = self.lock_file(&lock);
            opened.map_err(|error| BackendError::failed(format!("{}: {error}", lock.display())))?;
        }
        Ok(())
    }

    /// The owner of what is made beside the state.
    fn owner(&self) -> Option<Owner> {
        Owner::for_new_file(&self.with(""))
    }

    /// Opens the file of the swap lock, and creates it if it is missing.
    fn lock_file(&self, path: &Path) -> io::Result<fs::File> {
        let mut open = OpenOptions::new();
        open.read(true).write(true);
        match open.clone().create_new(true).open(path) {
            Ok(file) => {
                if let Some(owner) = self.owner() {
                    owner.give_with_mode(&file, 0o644)?;
                }
                Ok(file)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Another user's can be locked as well: nothing is ever written to it.
                open.open(path).or_else(|_| fs::File::open(path))
            }
            Err(error) => Err(error),
        }
    }

    async fn lock(&self) -> Result<fs::File, BackendError> {
        let path = self.with(".lock");
        let file = self
            .lock_file(&path)
            .map_err(|error| BackendError::failed(format!("{}: {error}", path.display())))?;
        let since = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if since.elapsed() < SWAP_TIME => {
                    tokio::time::sleep(RETRY_DELAY).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let path = path.display();
                    return Err(BackendError::Busy(format!(
                        "{path} was not free within {}; see `fuser {path}`",
                        duration(SWAP_TIME)
                    )));
                }
                Err(TryLockError::Error(error)) => return Err(BackendError::failed(error)),
            }
        }
    }

    pub(super) fn numbers(&self, series: Series) -> Result<Vec<u64>, BackendError> {
        let entries = match fs::read_dir(self.with(series.folder())) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(BackendError::failed(error)),
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(BackendError::failed)?.file_name();
            numbers.extend(name.to_str().and_then(file_number));
        }
        Ok(numbers)
    }

    pub(super) async fn create(
        &self,
        series: Series,
        number: u64,
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        let path = self.at(&Part::Lines(series, number));
        let folder = atomic::folder(&path);
        atomic::make_folders(&atomic::folder(&self.path), 0o777).map_err(BackendError::failed)?;
        // While it is empty, no other process appends to it.
        let lock = self.lock().await?;
        let begin = || {
            let owner = self.owner();
            if !folder.is_dir() {
                fs::create_dir_all(&folder)?;
                if let Some(owner) = owner {
                    owner.give_with_mode(&fs::File::open(&folder)?, 0o755)?;
                }
                atomic::sync_folder(&atomic::folder(&folder))?;
            }
            let mut file = OpenOptions::new()
                .create_new(true)
                .append(true)
                .open(&path)?;
            let given = owner.map_or(Ok(()), |owner| owner.give_with_mode(&file, 0o644));
            let written = given.and_then(|()| file.write_all(lines));
            let written = written.and_then(|()| file.sync_all());
            if written.is_err() {
                // Half a first line is not a journal, and its number is free again.
                fs::remove_file(&path)?;
            }
            written?;
            atomic::sync_folder(&folder)
        };
        let result = begin();
        drop(lock);
        match result {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackendError::Conflict)
            }
            Err(error) => Err(BackendError::failed(error)),
        }
    }

    pub(super) async fn append(
        &self,
        series: Series,
        number: u64,
        seen: usize,
        whole: usize,
        lines: &[u8],
    ) -> Result<Option<String>, BackendError> {
        let path = self.at(&Part::Lines(series, number));
        // Between the look at its length and the write another process must not write.
        let lock = self.lock().await?;
        let mut file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(BackendError::failed)?;
        if file.metadata().map_err(BackendError::failed)?.len() != seen as u64 {
            return Err(BackendError::Conflict);
        }
        let mut write = || {
            if whole < seen {
                file.set_len(whole as u64)?;
            }
            // One write, so that a kill leaves at most one torn line, at the end.
            file.write_all(lines)?;
            file.sync_all()
        };
        if let Err(error) = write() {
            // As it was; a torn line that stays would be cut off by the next one who reads it.
            let _ = file.set_len(whole as u64);
            return Err(BackendError::failed(error));
        }
        drop(lock);
        Ok(None)
    }

    pub(super) fn remove(&self, series: Series, number: u64) -> Result<(), BackendError> {
        fs::remove_file(self.at(&Part::Lines(series, number))).map_err(BackendError::failed)
    }
}

fn read(path: &Path, limit: usize) -> Result<Option<Blob>, BackendError> {
    match files::read(path, limit as u64) {
        Ok(bytes) => Ok(Some(Blob { bytes, etag: None })),
        // What it names may only be away, such as a disk that is not mounted.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_symlink() => {
            let path = path.display();
            Err(BackendError::failed(format!(
                "{path} is a link that leads nowhere"
            )))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(None),
            io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge => {
                Err(BackendError::Unusable(error.to_string()))
            }
            _ => Err(BackendError::failed(error)),
        },
    }
}
