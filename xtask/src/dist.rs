//! `cargo xtask dist` and `cargo xtask checksums`: what a release is made of.
//!
//! An archive is named after the system and the processor, not after a Rust target: the C library
//! inside does not matter where it is installed.

mod pack;
mod target;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::bench::{median, milliseconds};
use crate::command::{Failure, cargo, output, program, root, run, succeeds, target as target_dir};
use crate::size;

/// Builds and packs this machine's archive, and proves that it can be used.
pub(crate) fn archive(to: Option<&Path>, binary: Option<&Path>) -> Result<(), Failure> {
    let to = &to.map_or_else(|| target_dir().join("dist"), |to| root().join(to));
    fs::create_dir_all(to).map_err(cannot(to))?;
    let binary = match binary {
        Some(binary) => root().join(binary),
        None => build()?,
    };
    let name = format!("deploy-guard-{}-{}", version(&binary)?, machine());
    let archive = to.join(format!("{name}.tar.gz"));
    let beside = beside(&binary)?;
    pack::pack(&binary, beside.path(), &name, &archive).map_err(cannot(&archive))?;
    checksums(to, "")?;
    install(to, &archive)?;
    println!("{}", archive.display());
    println!(
        "  archive {}, binary {}",
        size::of(&archive)?,
        size::of(&binary)?
    );
    println!("  starts in {}", start(&binary)?);
    Ok(())
}

/// Man pages and completions, as the binary itself writes them.
fn beside(binary: &Path) -> Result<tempfile::TempDir, Failure> {
    let folder = tempfile::tempdir().map_err(cannot(binary))?;
    for (command, name) in [("man", "man1"), ("completions", "completions")] {
        run(program(binary)
            .args([command, "--folder"])
            .arg(folder.path().join(name)))?;
    }
    Ok(folder)
}

/// Writes `checksums.txt` and `install.sh` beside the archives.
pub(crate) fn checksums(folder: &Path, repository: &str) -> Result<(), Failure> {
    let folder = &root().join(folder);
    let sums = pack::checksums(folder).map_err(cannot(folder))?;
    if sums.is_empty() {
        return Err(Failure::new(format!("no archive in {}", folder.display()))
            .hint("make one: cargo xtask dist"));
    }
    let script = root().join("action/install.sh");
    let script = fs::read_to_string(&script).map_err(cannot(&script))?;
    let script = pack::installer(&script, &sums, repository)?;
    for (name, text) in [("checksums.txt", sums), ("install.sh", script)] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(cannot(&path))?;
    }
    Ok(())
}

/// The binary of a release for this machine.
fn build() -> Result<PathBuf, Failure> {
    let target = target::choose()?;
    println!("building for {}: {}", target.triple, target.why);
    let mut command = cargo();
    command.args(["build", "--release", "--locked"]);
    command.args(["--package", "deploy-guard"]);
    command.args(["--features", "vendored-openssl"]);
    command.args(["--target", &target.triple]);
    run(command.env("RUSTFLAGS", target.flags))?;
    let folder = target_dir().join(&target.triple).join("release");
    let binary = folder.join("deploy-guard");
    target::prove(&binary)?;
    Ok(binary)
}

/// Installs it into an empty folder as the Action would, from a tool cache that has it.
fn install(folder: &Path, archive: &Path) -> Result<(), Failure> {
    let empty = tempfile::tempdir().map_err(cannot(folder))?;
    let name = archive.file_name().unwrap_or_default();
    let stem = name.to_string_lossy();
    let version = stem
        .trim_start_matches("deploy-guard-")
        .trim_end_matches(&format!("-{}.tar.gz", machine()))
        .to_owned();
    let cache = empty.path().join("cache");
    fs::create_dir_all(cache.join(&version)).map_err(cannot(&cache))?;
    fs::copy(archive, cache.join(&version).join(name)).map_err(cannot(archive))?;
    let to = empty.path().join("bin");
    let mut command = program("sh");
    command.arg(root().join("action/install.sh"));
    command
        .arg("--checksums")
        .arg(folder.join("checksums.txt"))
        .arg("--cache")
        .arg(&cache)
        .arg("--to")
        .arg(&to);
    run(&mut command)
}

fn version(binary: &Path) -> Result<String, Failure> {
    let line = output(program(binary).arg("--version"))?;
    Ok(line
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned())
}

/// As `action/install.sh` names it.
fn machine() -> String {
    let processor = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}-{processor}", std::env::consts::OS)
}

/// The median of some starts: the first one reads the file.
fn start(binary: &Path) -> Result<String, Failure> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        if !succeeds(program(binary).arg("--version")) {
            return Err(Failure::new(format!("{} did not run", binary.display())));
        }
        times.push(started.elapsed());
    }
    Ok(milliseconds(median(times)))
}

fn cannot(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |error| Failure::new(format!("{}: {error}", path.display()))
}
