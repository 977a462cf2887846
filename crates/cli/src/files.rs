//! No two outputs share a file: the one that is written last would be all that is left. Files are
//! distinguished by what they are, not by their names.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Failure;

/// How a file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Another file takes its place.
    Replaced,
    /// Text is put behind what is there.
    Appended,
    /// It is read, and must be there afterwards.
    Kept,
    /// A stream of this process, which a shell may have redirected.
    Stream,
}

/// A file, and the flag or variable that names it.
#[derive(Clone, Debug)]
pub(crate) struct NamedFile {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) how: Use,
}

impl NamedFile {
    pub(crate) fn new(name: impl Into<String>, path: impl Into<PathBuf>, how: Use) -> Self {
        NamedFile {
            name: name.into(),
            path: path.into(),
            how,
        }
    }
}

/// What makes a file the same: where it is kept, or where it will be made.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    Inode { device: u64, number: u64 },
    Path(PathBuf),
}

/// Refuses two of these that are one file, naming both.
pub(crate) fn distinct(files: &[NamedFile]) -> Result<(), Failure> {
    let mut known: Vec<(&NamedFile, Identity)> = Vec::new();
    for file in files {
        let Some(identity) = identity(&file.path) else {
            continue;
        };
        let same = known
            .iter()
            .find(|(other, theirs)| *theirs == identity && collide(other, file));
        if let Some((other, _)) = same {
            return Err(Failure::usage(format!(
                "{} and {} are the same file: one would be lost",
                describe_file(other),
                describe_file(file)
            ))
            .hint("give each a file of its own"));
        }
        known.push((file, identity));
    }
    Ok(())
}

fn describe_file(file: &NamedFile) -> String {
    let NamedFile { name, path, how } = file;
    match how {
        Use::Stream => name.clone(),
        _ => format!("{name} ({})", path.display()),
    }
}

/// Whether one of two uses of a file would spoil the other.
fn collide(one: &NamedFile, other: &NamedFile) -> bool {
    use Use::{Appended, Kept, Stream};
    let devices = |file: &NamedFile| {
        ["/dev", "/proc"]
            .iter()
            .any(|all| file.path.starts_with(all))
    };
    match (one.how, other.how) {
        (Stream | Kept, Stream | Kept) | (Stream, Appended) | (Appended, Stream) => false,
        // `/dev/stdout` for both: that is where both are wanted.
        _ => !(devices(one) && devices(other)),
    }
}

/// `None` for what takes several writers: a device, a pipe, a socket.
fn identity(path: &Path) -> Option<Identity> {
    if let Ok(found) = std::fs::metadata(path) {
        return found.is_file().then(|| Identity::Inode {
            device: found.dev(),
            number: found.ino(),
        });
    }
    // It will be made: where a link leads that leads nowhere yet, in the folder as it is called.
    let mut path = path.to_owned();
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().ok()?;
    Some(Identity::Path(folder.join(path.file_name()?)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn same(one: (&Path, Use), other: (&Path, Use)) -> bool {
        let files = [
            NamedFile::new("`--report`", one.0, one.1),
            NamedFile::new("`--html`", other.0, other.1),
        ];
        distinct(&files).is_err()
    }

    #[test]
    fn a_file_is_known_by_every_name_that_it_has() {
        use Use::{Appended, Kept, Replaced, Stream};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("a"), "").unwrap();
        std::fs::hard_link(at("a"), at("hard")).unwrap();
        symlink("a", at("soft")).unwrap();
        symlink("new", at("dangling")).unwrap();
        symlink(folder.path(), at("folder")).unwrap();
        for (one, other) in [
            ("a", "a"),
            ("a", "hard"),
            ("a", "soft"),
            ("a", "sub/../a"),
            ("new", "new"),
            ("new", "./sub/../new"),
            ("new", "dangling"),
            ("folder/new", "dangling"),
        ] {
            let (one, other) = (at(one), at(other));
            for how in [Replaced, Appended, Kept] {
                assert!(same((&one, Replaced), (&other, how)), "{one:?} {other:?}");
            }
            assert!(same((&one, Appended), (&other, Appended)));
            assert!(same((&one, Stream), (&other, Replaced)));
            // `>> "$GITHUB_STEP_SUMMARY"` is a way to write it.
            assert!(!same((&one, Stream), (&other, Appended)));
            assert!(!same((&one, Stream), (&other, Stream)));
        }
        for (one, other) in [("a", "b"), ("new", "sub/new"), ("no/such", "no/such/file")] {
            assert!(!same((&at(one), Replaced), (&at(other), Replaced)));
        }
        for stream in ["/dev/null", "/dev/stdout", "/dev/stderr"] {
            let path = Path::new(stream);
            assert!(!same((path, Replaced), (path, Appended)), "{stream}");
        }
    }
}
