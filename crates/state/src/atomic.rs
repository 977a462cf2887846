//! Files that are replaced whole: whoever reads sees the old or the new content, after a crash
//! and on a full disk too.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes`: temporary file beside it, sync, rename, sync the folder. Keeps the
/// mode of the file that was there, else uses 0644.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A link is followed: the file it names is what others read.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = folder(&path);
    let old = std::fs::metadata(&path).ok();
    let mode = old
        .as_ref()
        .map_or(0o644, |meta| meta.permissions().mode() & 0o7777);
    let mut file = tempfile::Builder::new()
        .prefix(".deploy-guard-")
        .tempfile_in(&folder)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    if let Some(old) = old {
        use std::os::unix::fs::MetadataExt as _;
        // Only root may give a file away; anyone else owns what it replaces or fails below.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
    }
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    sync_folder(&folder)
}

/// Gives what `path` holds, which is `bytes`, the name `backup` too, before `path` is replaced: no
/// byte is written, and the sync of that replacement is for both. Where the file system has no hard
/// links it is a copy.
pub fn keep(path: &Path, backup: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let new = beside(backup, &format!("{:016x}", rand::random::<u64>()));
    let linked = std::fs::hard_link(&path, &new).and_then(|()| std::fs::rename(&new, backup));
    // It is still there where both names are one file already.
    let _ = std::fs::remove_file(&new);
    linked.or_else(|_| replace(backup, bytes))
}

/// Makes a rename or a new file in this folder survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file is in.
pub fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// `state.json` and `bak` give `state.json.bak`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
