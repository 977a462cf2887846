//! A dump is read to its end.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use database::System;
use flate2::read::MultiGzDecoder;
use model::text::hex;
use sha2::{Digest as _, Sha256};

use crate::archive::{NEWER, Toc, unreadable};
use crate::child::Job;
use crate::contents::{Contents, ContentsError, Expected, Format};
use crate::error::Error;
use crate::programs::{Programs, name};
use crate::sql::Reader;

/// A table of contents of half a million tables.
const MAX_LIST: usize = 64 << 20;
/// What is read at once.
const PIECE: usize = 256 << 10;
/// A header of `tar`, with its mark at 257.
const HEAD: usize = 512;

/// Reads a dump wholly: an archive of `pg_dump`, or statements, within gzip too. What it holds is returned where it is as
/// `expected`.
///
/// # Errors
/// Returns [`Error::Fault`] with what is wrong, or another error if it could not be read.
pub async fn verify(
    path: &Path,
    expected: &Expected,
    programs: &Programs,
    within: Duration,
) -> Result<Contents, Error> {
    let until = Instant::now() + within;
    let format = detect(path)?;
    let contents = if format.is_archive() {
        archive(path, format, expected, programs, until).await?
    } else {
        let whole = path.to_owned();
        let reading = tokio::task::spawn_blocking(move || statements(&whole, format, until));
        reading
            .await
            .map_err(|_| Error::Unfit("the reader of the dump has ended".to_owned()))??
    };
    match contents.fault(expected) {
        None => Ok(contents),
        Some(fault) => Err(Error::fault(path, fault)),
    }
}

fn detect(path: &Path) -> Result<Format, Error> {
    let io = |cause| Error::io(path)(cause);
    if std::fs::metadata(path).map_err(io)?.is_dir() {
        let is_dump = path.join("toc.dat").is_file();
        return if is_dump {
            Ok(Format::Directory)
        } else {
            Err(Error::fault(path, ContentsError::NotADump))
        };
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(HEAD as u64).read_to_end(&mut head).map_err(io)?;
    Ok(match head.as_slice() {
        [] => return Err(Error::fault(path, ContentsError::Empty)),
        [b'P', b'G', b'D', b'M', b'P', ..] => Format::Custom,
        [0x1f, 0x8b, ..] => Format::SqlGzip,
        head if head.get(257..262) == Some(b"ustar") => Format::Tar,
        _ => Format::Sql,
    })
}

async fn archive(
    path: &Path,
    format: Format,
    expected: &Expected,
    programs: &Programs,
    until: Instant,
) -> Result<Contents, Error> {
    let postgres = programs.newest_postgres().await?;
    let job = |argument: &str| {
        let program = postgres.program("pg_restore");
        let mut command = programs.command(&program);
        // A name that begins with a dash would be an option.
        command.arg(argument).arg("--").arg(path);
        Job {
            name: name(&program),
            command,
            within: until.saturating_duration_since(Instant::now()),
        }
    };
    let said = |error: Error| match error {
        Error::Failed { told, .. } if told.contains(NEWER) => Error::Unfit(format!(
            "{}: it was written by a newer `pg_dump` than version {}, which is the newest here",
            path.display(),
            postgres.major
        )),
        Error::Failed { told, .. } => Error::fault(path, unreadable(&told)),
        other => other,
    };
    let list = job("--list").output(MAX_LIST).await.map_err(said)?;
    let toc = Toc::read(&String::from_utf8_lossy(&list));
    // The list is at the front: only what follows it proves that it is all there.
    job("--file=/dev/null")
        .pour(&mut |_| Ok(()))
        .await
        .map_err(said)?;
    // Its last file is of no use to `pg_restore`, which does not miss it.
    if format == Format::Tar && !has_end(path).map_err(Error::io(path))? {
        let fault = ContentsError::CutOff(
            "the two blocks of zeros at the end of a tar are missing".to_owned(),
        );
        return Err(Error::fault(path, fault));
    }
    match toc.fault() {
        Some(ContentsError::NoTables) if expected.may_be_empty => {}
        Some(fault) => return Err(Error::fault(path, fault)),
        None => {}
    }
    let whole = path.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        if format == Format::Directory {
            for entry in std::fs::read_dir(&whole)? {
                files.push(entry?.path());
            }
            files.sort();
        } else {
            files.push(whole);
        }
        hash(&files)
    });
    let hashed = hashing
        .await
        .map_err(|_| Error::Unfit("the reader of the dump has ended".to_owned()))?;
    let (size, sha256) = hashed.map_err(Error::io(path))?;
    Ok(Contents {
        format,
        system: System::Postgres,
        databases: toc.database.into_iter().collect(),
        server: toc.server,
        tables: toc.tables,
        with_data: toc.with_data,
        size,
        sha256,
        is_bound: false,
    })
}

/// Whether a tar ends as it should.
fn has_end(path: &Path) -> io::Result<bool> {
    const END: u64 = 2 * HEAD as u64;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size < END || size % HEAD as u64 != 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::Start(size - END))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    Ok(end.iter().all(|byte| *byte == 0))
}

/// How many bytes these files have, and the SHA-256 of all of them.
fn hash(files: &[PathBuf]) -> io::Result<(u64, String)> {
    let mut all = Hashed::default();
    for file in files {
        let mut file = File::open(file)?;
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece)?;
            if length == 0 {
                break;
            }
            all.add(&piece[..length]);
        }
    }
    Ok(all.end())
}

/// Bytes that were counted.
#[derive(Default)]
pub(crate) struct Hashed {
    size: u64,
    digest: Sha256,
}

impl Hashed {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.digest.update(bytes);
    }

    pub(crate) fn end(self) -> (u64, String) {
        (self.size, hex(self.digest.finalize()))
    }
}

/// A file, and what was read of it.
struct Counting {
    file: File,
    hashed: Hashed,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hashed.add(&buffer[..length]);
        Ok(length)
    }
}

fn statements(path: &Path, format: Format, until: Instant) -> Result<Contents, Error> {
    let since = Instant::now();
    let file = File::open(path).map_err(Error::io(path))?;
    let mut source = Counting {
        file,
        hashed: Hashed::default(),
    };
    let mut reader = Reader::default();
    let read = if format == Format::SqlGzip {
        let mut unpacked = MultiGzDecoder::new(&mut source);
        read_all(&mut unpacked, &mut reader, until)
    } else {
        read_all(&mut source, &mut reader, until)
    };
    match read {
        Ok(true) => {}
        Ok(false) => {
            return Err(Error::Late {
                program: "the reader of the dump".to_owned(),
                within: until.duration_since(since),
            });
        }
        Err(error) => {
            let fault = match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    ContentsError::CutOff("it ends within its gzip".to_owned())
                }
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    ContentsError::Damaged(format!("it cannot be unpacked: {error}"))
                }
                _ => return Err(Error::io(path)(error)),
            };
            return Err(Error::fault(path, fault));
        }
    }
    let system = reader.end().map_err(|fault| Error::fault(path, fault))?;
    let (size, sha256) = source.hashed.end();
    Ok(Contents {
        format,
        system,
        databases: reader.databases,
        server: reader.server,
        tables: reader.tables,
        with_data: reader.with_data,
        size,
        sha256,
        is_bound: reader.is_bound,
    })
}

/// Whether the end was reached in time.
fn read_all(source: &mut dyn Read, reader: &mut Reader, until: Instant) -> io::Result<bool> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match source.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if length == 0 {
            return Ok(true);
        }
        reader.read(&piece[..length]);
        if Instant::now() > until {
            return Ok(false);
        }
    }
}
