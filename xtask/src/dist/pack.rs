//! Archives, their checksums, and the installer that has these within.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

use crate::command::{Failure, root};

/// Packs the binary, the licenses and the folders in `beside` under a folder of the archive's name.
/// The same binary gives the same archive: no times, no names of people.
pub(crate) fn pack(binary: &Path, beside: &Path, name: &str, archive: &Path) -> io::Result<()> {
    // A separate program: inside xtask, which is built without optimizations, it would take a minute.
    let mut gzip = Command::new("gzip")
        .args(["--no-name"])
        .stdin(Stdio::piped())
        .stdout(File::create(archive)?)
        .spawn()?;
    let to = gzip.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut tar = tar::Builder::new(to);
    tar.mode(tar::HeaderMode::Deterministic);
    tar.append_path_with_name(binary, format!("{name}/deploy-guard"))?;
    for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
        tar.append_path_with_name(root().join(file), format!("{name}/{file}"))?;
    }
    for folder in sorted(beside)? {
        for file in sorted(&folder)? {
            let path = file.strip_prefix(beside).unwrap_or(&file);
            tar.append_path_with_name(&file, Path::new(name).join(path))?;
        }
    }
    drop(tar.into_inner()?);
    if gzip.wait()?.success() {
        return Ok(());
    }
    Err(io::Error::other("gzip failed"))
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The `sha256sum` of the archives in a folder, by name.
pub(crate) fn checksums(folder: &Path) -> io::Result<String> {
    let mut archives: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".tar.gz"))
        .collect();
    archives.sort();
    let mut sums = String::new();
    for archive in archives {
        let mut hash = Hash(Sha256::new());
        io::copy(&mut File::open(&archive)?, &mut hash)?;
        for byte in hash.0.finalize() {
            let _ = write!(sums, "{byte:02x}");
        }
        let name = archive.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(sums, "  {name}");
    }
    Ok(sums)
}

struct Hash(Sha256);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The installer that needs no file beside it.
pub(crate) fn installer(script: &str, sums: &str, repository: &str) -> Result<String, Failure> {
    let quoted = [sums.trim_end(), repository];
    if quoted.iter().any(|text| text.contains('\'')) {
        return Err(Failure::new(
            "a quote in a file's name or in the repository",
        ));
    }
    let places = ["\nCHECKSUMS=''\n", "\nREPOSITORY=''\n"];
    let mut script = script.to_owned();
    for (place, text) in places.into_iter().zip(quoted) {
        if script.matches(place).count() != 1 {
            return Err(Failure::new(format!(
                "action/install.sh has no line{place}"
            )));
        }
        script = script.replace(place, &place.replace("''", &format!("'{text}'")));
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installer_takes_what_it_is_given_and_nothing_that_could_end_its_quotes() {
        let script = "#!/bin/sh\nCHECKSUMS=''\nREPOSITORY=''\nmain\n";
        let filled = installer(script, "ab  x\ncd  y\n", "https://git.example/a/b").ok();
        let expected =
            "#!/bin/sh\nCHECKSUMS='ab  x\ncd  y'\nREPOSITORY='https://git.example/a/b'\nmain\n";
        assert_eq!(filled.as_deref(), Some(expected));
        assert!(installer(script, "ab  x'; id '\n", "").is_err());
        assert!(installer("#!/bin/sh\n", "ab  x\n", "").is_err());
    }

    #[test]
    fn the_same_binary_gives_the_same_archive() {
        let Ok(folder) = tempfile::tempdir() else {
            panic!("no temporary folder")
        };
        let (binary, archive) = (folder.path().join("b"), folder.path().join("a.tar.gz"));
        let pages = folder.path().join("beside/man1");
        let made = fs::create_dir_all(&pages);
        made.and_then(|()| fs::write(pages.join("x.1"), ".TH x 1"))
            .ok();
        let mut sums = Vec::new();
        for _ in 0..2 {
            fs::write(&binary, "x")
                .and_then(|()| pack(&binary, &folder.path().join("beside"), "name", &archive))
                .ok();
            sums.push(checksums(folder.path()).unwrap_or_default());
            std::thread::sleep(std::time::Duration::from_millis(1100));
        }
        assert!(
            sums[0].ends_with("  a.tar.gz\n") && sums[0].len() == 64 + 11,
            "{sums:?}"
        );
        assert_eq!(sums[0], sums[1]);
    }
}
