//! A repository as `init` reads one.

use std::fs;

use tempfile::TempDir;

/// The folder of a Git repository with these files.
pub fn repository<T: AsRef<[u8]>>(files: &[(&str, T)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |path: &str, content: &[u8]| {
        let path = folder.path().join(path);
        let parent = path.parent().expect("a file lies in a folder");
        fs::create_dir_all(parent).expect("its folder can be made");
        fs::write(path, content).expect("it can be written");
    };
    write(".git/config", b"[core]\n\tbare = false\n");
    for (path, content) in files {
        write(path, content.as_ref());
    }
    folder
}
