//! Files that are replaced whole: whoever reads sees the old or the new content, after a crash
//! and on a full disk too.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes`: temporary file beside it, sync, rename, sync the folder. Keeps the
/// mode of the file that was there, else uses 0644.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_after(path, bytes, |_| Ok(()))
}

/// The same, and `path`, which holds `old`, is kept as `backup`. That is only a name more, which
/// costs no byte and no sync of its own; where the file system has no hard links it is a copy.
pub fn replace_keeping(path: &Path, bytes: &[u8], backup: &Path, old: &[u8]) -> io::Result<()> {
    // Not before the new content is on the disk: a full one leaves the old backup too.
    replace_after(path, bytes, |path| {
        let new = beside(backup, &format!("{:016x}", rand::random::<u64>()));
        let linked = std::fs::hard_link(path, &new).and_then(|()| std::fs::rename(&new, backup));
        // It is still there where both names were one file already.
        let _ = std::fs::remove_file(&new);
        linked.or_else(|_| replace(backup, old))
    })
}

fn replace_after(
    path: &Path,
    bytes: &[u8],
    before_rename: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
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
    before_rename(&path)?;
    file.persist(&path).map_err(|error| error.error)?;
    sync_folder(&folder)
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
