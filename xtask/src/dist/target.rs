//! What to build for, and the proof that the result needs nothing of the system it runs on.

use std::env::consts::{ARCH, OS};
use std::path::Path;

use crate::command::{Failure, output, program, run, succeeds};

/// What a release is built for on this machine.
pub(crate) struct Target {
    pub(crate) triple: String,
    pub(crate) flags: &'static str,
    pub(crate) why: &'static str,
}

/// musl where its standard library and its C compiler are here, else glibc, which can be linked
/// statically too: names are resolved by `files` and `dns`, which it has within since 2.34.
pub(crate) fn choose() -> Result<Target, Failure> {
    let of = |triple: &str, flags, why| Target {
        triple: triple.to_owned(),
        flags,
        why,
    };
    let gnu = format!("{ARCH}-unknown-linux-gnu");
    let musl = format!("{ARCH}-unknown-linux-musl");
    match OS {
        "linux"
            if has_standard_library(&musl)? && succeeds(program("musl-gcc").arg("--version")) =>
        {
            Ok(of(&musl, "", "static by itself"))
        }
        "linux" => Ok(of(
            &gnu,
            "-C target-feature=+crt-static",
            "static glibc; for musl: rustup target add, and Debian's musl-tools",
        )),
        "macos" => Ok(of(
            &format!("{ARCH}-apple-darwin"),
            "",
            "the system's own libraries alone",
        )),
        other => Err(Failure::new(format!("there is no release for {other}"))
            .hint("see the README: Linux and macOS; on Windows, WSL")),
    }
}

fn has_standard_library(triple: &str) -> Result<bool, Failure> {
    let folder = output(program("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// Stops unless the binary brings along all that it needs.
pub(crate) fn prove(binary: &Path) -> Result<(), Failure> {
    if OS == "macos" {
        let needed = output(program("otool").arg("-L").arg(binary))?;
        return match foreign(&needed) {
            None => Ok(()),
            Some(library) => Err(not_static(library)),
        };
    }
    let headers = output(program("readelf").args(["--wide", "-l", "-d"]).arg(binary))?;
    if let Some(line) = dynamic(&headers) {
        return Err(not_static(line));
    }
    println!("static: no interpreter and no needed library in its headers");
    // The same, tested in practice: it runs where there is no other file.
    let empty = tempfile::tempdir().map_err(|error| Failure::new(error.to_string()))?;
    let inside = empty.path().join("deploy-guard");
    std::fs::copy(binary, &inside).map_err(|error| Failure::new(error.to_string()))?;
    let unshare = ["--map-root-user", "--root"];
    if succeeds(program("unshare").args(["--map-root-user", "true"])) {
        run(program("unshare")
            .args(unshare)
            .arg(empty.path())
            .args(["/deploy-guard", "--version"]))?;
        println!("static: it runs in a root with no other file");
    }
    Ok(())
}

/// The line of `readelf -l -d` that asks for something outside the file.
fn dynamic(headers: &str) -> Option<&str> {
    headers
        .lines()
        .find(|line| line.contains("INTERP") || line.contains("(NEEDED)"))
}

/// The line of `otool -L` with a library that is not the system's.
fn foreign(needed: &str) -> Option<&str> {
    let of_the_system = |line: &str| line.starts_with("/usr/lib/") || line.starts_with("/System/");
    // The first line is the binary itself.
    needed
        .lines()
        .skip(1)
        .map(str::trim)
        .find(|line| !of_the_system(line))
}

fn not_static(line: &str) -> Failure {
    Failure::new(format!("the binary is not static: {}", line.trim()))
        .hint("see what brings it: cargo tree --package deploy-guard --features vendored-openssl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_from_outside_is_seen() {
        let bin_sh = "/bin/sh";
        if OS == "linux" {
            let headers = output(program("readelf").args(["--wide", "-l", "-d", bin_sh]));
            assert!(
                dynamic(&headers.unwrap_or_default()).is_some(),
                "sh is not static"
            );
            assert!(prove(Path::new(bin_sh)).is_err());
        }
        assert_eq!(dynamic("  LOAD 0x0\n (FLAGS_1) Flags: NOW PIE\n"), None);
        let needed = "deploy-guard:\n\t/usr/lib/libSystem.B.dylib (compatibility version 1.0.0)\n";
        assert_eq!(foreign(needed), None);
        let more = format!("{needed}\t/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib (x)\n");
        assert!(foreign(&more).is_some_and(|line| line.contains("homebrew")));
    }
}
