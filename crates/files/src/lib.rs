//! Reading a file that a person named: bounded in size, and never waited for.
//!
//! A path of the configuration may lead to a pipe, a terminal or a device. Opening or reading one
//! could block forever, and with it the runtime, its deadlines and its signals.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests"))]

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading; a link is followed. Anything else is an error.
pub fn open(path: &Path) -> io::Result<File> {
    open_one(path, |kind| kind.is_file())
}

fn open_one(path: &Path, fits: impl Fn(FileType) -> bool) -> io::Result<File> {
    // A pipe is opened without its other end, and then found not to be a file.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = match opened {
        // A socket's file.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(irregular());
        }
        opened => opened?,
    };
    if !fits(file.metadata()?.file_type()) {
        return Err(irregular());
    }
    Ok(file)
}

/// The content of a regular file of at most `most` bytes. A larger one is an error of the kind
/// [`io::ErrorKind::FileTooLarge`].
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read_stream(open(path)?, most)
}

/// The same of a file that a shell or a person may hand over as a stream: its pipe, such as
/// `<(…)` or `/dev/stdin`, was opened already, and its end is waited for. A device such as `/dev/null` is read too, and not
/// waited for.
pub fn read_handed(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    const HANDED: [&str; 3] = ["/dev/fd/", "/dev/stdin", "/proc/self/fd/"];
    if HANDED.iter().any(|start| path.starts_with(start)) {
        return read_stream(File::open(path)?, most);
    }
    if path.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    let file = open_one(path, |kind| kind.is_file() || kind.is_char_device())?;
    read_stream(file, most)
}

/// All that a stream gives, with the same bound.
pub fn read_stream(stream: impl io::Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let reason = format!("it is larger than {}", size(most));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
    }
    Ok(bytes)
}

/// A regular file's content as text; other bytes are an error of the kind [`io::ErrorKind::InvalidData`].
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn irregular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1 << 10 => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let odd = [&pipe, &socket, &link, folder.path()];
        for path in odd.into_iter().chain([Path::new("/dev/zero")]) {
            let error = read(path, 10).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{path:?}");
        }
        assert_eq!(read_handed(Path::new("/dev/null"), 10).unwrap(), b"");
        let endless = read_handed(Path::new("/dev/zero"), 10).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
        assert!(read_handed(&pipe, 10).is_err());
        let missing = read(&folder.path().join("none"), 10).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, vec![b'x'; 2048]).unwrap();
        assert_eq!(read_text(&path, 2048).unwrap().len(), 2048);
        let error = read(&path, 2047).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it is larger than 1 KiB");
        std::fs::write(&path, b"\xff").unwrap();
        let error = read_text(&path, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
