//! Files that are replaced whole: a reader sees the old or the new content, after a crash
//! and on a full disk too.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The owner of a new file or folder, so that the next writer may be another user:
/// a person works with `sudo` on files that a runner's user writes at the next deployment.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    user: u32,
    group: u32,
    /// The folder is a group's, and not everyone's.
    group_writes: bool,
}

impl Owner {
    /// The owner of a new file beside `path`: that of `path` itself, or of its folder if the file
    /// does not exist yet. `None` if neither can be inspected.
    pub fn for_new_file(path: &Path) -> Option<Owner> {
        let folder = std::fs::metadata(folder(path)).ok()?;
        let like = std::fs::metadata(path);
        let like = like.as_ref().unwrap_or(&folder);
        Some(Owner {
            user: like.uid(),
            group: like.gid(),
            group_writes: folder.mode() & 0o022 == 0o020,
        })
    }

    /// The same of what is yet to be made; `None` where it is there already.
    pub fn of_new(path: &Path) -> Option<Owner> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => None,
            Err(_) => Owner::for_new_file(path),
        }
    }

    /// Gives it what was opened when it was made; its mode stays.
    pub fn give_to(&self, new: &File) {
        // Only root may give a file away; anyone else owns what it makes.
        let _ = std::os::unix::fs::fchown(new, Some(self.user), Some(self.group));
    }

    /// Gives it what was opened when it was made, which has this mode otherwise.
    pub fn give_with_mode(&self, new: &File, mode: u32) -> io::Result<()> {
        self.give_to(new);
        let mode = if self.group_writes {
            mode | 0o020
        } else {
            mode
        };
        new.set_permissions(Permissions::from_mode(mode))
    }
}

/// Makes a folder and those above it that are missing. Each belongs to the owner of the folder that
/// it is in.
pub fn make_folders(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_folders(&folder(path), mode)?;
    match make_folder(path, mode) {
        // Another made it meanwhile.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

/// Makes one folder, likewise.
pub fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    let owner = Owner::of_new(path);
    DirBuilder::new().mode(mode).create(path)?;
    if let Some(owner) = owner {
        owner.give_to(&File::open(path)?);
    }
    Ok(())
}

/// Replaces `path` by `bytes`: temporary file beside it, sync, rename, sync the folder. Keeps the
/// mode and owner of the file that was there, else uses 0644 and the folder's [`Owner`].
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_after(path, bytes, |_| Ok(()))?;
    sync_folder(&folder(&destination(path)))
}

/// The same without the folder's sync, for what may be lost in a power cut: works also where the folder cannot be read.
pub fn replace_unsynced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_after(path, bytes, |_| Ok(()))
}

/// The file that [`replace`] writes: a link is followed, because the file it names is what others read.
pub fn destination(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The same, and `path`, which holds `old`, is kept as `backup`. That is only a name more, which
/// costs no byte and no sync of its own; where the file system has no hard links it is a copy.
pub fn replace_keeping(path: &Path, bytes: &[u8], backup: &Path, old: &[u8]) -> io::Result<()> {
    // Not before the new content is on the disk: a full one leaves the old backup too.
    replace_after(path, bytes, |path| {
        let new = with_suffix(backup, &format!("{:016x}", rand::random::<u64>()));
        let linked = std::fs::hard_link(path, &new).and_then(|()| std::fs::rename(&new, backup));
        // It is still there where both names were one file already.
        let _ = std::fs::remove_file(&new);
        linked.or_else(|_| replace(backup, old))
    })?;
    sync_folder(&folder(&destination(path)))
}

fn replace_after(
    path: &Path,
    bytes: &[u8],
    before_rename: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let path = destination(path);
    let folder = folder(&path);
    let mut file = tempfile::Builder::new()
        .prefix(".deploy-guard-")
        .tempfile_in(&folder)?;
    file.write_all(bytes)?;
    if let Ok(old) = std::fs::metadata(&path) {
        file.as_file()
            .set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        // Only root may give a file away; anyone else owns what it replaces or fails below.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
    } else if let Some(owner) = Owner::for_new_file(&path) {
        owner.give_with_mode(file.as_file(), 0o644)?;
    } else {
        file.as_file()
            .set_permissions(Permissions::from_mode(0o644))?;
    }
    file.as_file().sync_all()?;
    before_rename(&path)?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
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
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}
