//! Docker Compose version 2, which Debian 12 does not have: the plugin from the next Debian's package
//! runs on it, so the test bed takes that file and nothing else of that release.

use std::fs;
use std::path::Path;

use super::once;
use crate::command::{Failure, output, program, run, succeeds};

/// Debian 13's, pinned: another version words its errors in other ways.
const PACKAGE: &str = "docker-compose=2.26.1-4";
const SUITE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Puts the plugin into `docker/cli-plugins` of the test bed, which tests name as `DOCKER_CONFIG`.
/// A machine whose `docker` has version 2 already keeps its own.
pub(super) fn install(testbed: &Path) -> Result<(), Failure> {
    let plugins = testbed.join("docker/cli-plugins");
    let made = fs::create_dir_all(&plugins);
    made.map_err(|error| Failure::new(format!("failed to make {}: {error}", plugins.display())))?;
    let plugin = plugins.join("docker-compose");
    if !plugin.is_file() && succeeds(program("docker").args(["compose", "version"])) {
        return Ok(());
    }
    once(&testbed.join("compose.installed"), PACKAGE, || {
        fetch(testbed, &plugin)
    })
}

fn fetch(testbed: &Path, plugin: &Path) -> Result<(), Failure> {
    let folder = testbed.join("compose");
    let _ = fs::remove_dir_all(&folder);
    let failed = |error| Failure::new(format!("failed to make {}: {error}", folder.display()));
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(name)).map_err(failed)?;
    }
    let at = |name: &str| folder.join(name).display().to_string();
    let source = format!("deb [signed-by={KEYRING}] {} {SUITE} main\n", mirror()?);
    fs::write(folder.join("sources.list"), source).map_err(failed)?;
    // Lists of its own: what this machine installs stays of its own release.
    let options = [
        format!("Dir::State::Lists={}", at("lists")),
        format!("Dir::Cache={}", at("cache")),
        format!("Dir::Etc::SourceList={}", at("sources.list")),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        // Its own user may not be able to write into the test bed.
        "APT::Sandbox::User=".to_owned(),
    ];
    let apt = |words: &[&str]| {
        let mut command = program("apt-get");
        for option in &options {
            command.args(["-o", option]);
        }
        run(command.arg("-q").args(words).current_dir(&folder))
    };
    apt(&["update"])?;
    apt(&["download", PACKAGE])?;
    let package = fs::read_dir(&folder)
        .map_err(failed)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or_else(|| Failure::new(format!("{PACKAGE} did not arrive")))?;
    run(program("dpkg").arg("-x").arg(package).arg(at("files")))?;
    let from = folder.join("files/usr/libexec/docker/cli-plugins/docker-compose");
    fs::copy(&from, plugin)
        .map_err(|error| Failure::new(format!("failed to copy {}: {error}", from.display())))?;
    let _ = fs::remove_dir_all(&folder);
    Ok(())
}

/// Where this machine takes Debian's packages from.
fn mirror() -> Result<String, Failure> {
    let words = ["indextargets", "--format", "$(REPO_URI)"];
    let rows = ["Created-By: Packages", "Origin: Debian", "Label: Debian"];
    let found = output(program("apt-get").args(words).args(rows))?;
    let first = found.lines().next().map(str::to_owned);
    first.ok_or_else(|| {
        Failure::new("Docker Compose version 2 is missing, and apt has no Debian to take it from")
            .hint("install it: https://docs.docker.com/compose/install/linux/")
    })
}
