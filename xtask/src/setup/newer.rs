//! Files of packages of the next Debian, which run on this one: the test bed takes one file of each,
//! and nothing else of that release.

use std::fs;
use std::path::Path;

use crate::command::{Failure, output, program, run};

const SUITE: &str = "trixie";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One file of a package.
pub(super) struct File {
    /// `name=version`; the part after a `*` is free.
    pub(super) package: &'static str,
    pub(super) path: &'static str,
}

impl File {
    /// Copies it out of the package; `scratch` is a folder for that time. `hint` is for a machine whose
    /// apt knows no Debian.
    pub(super) fn fetch(&self, scratch: &Path, to: &Path, hint: &str) -> Result<(), Failure> {
        let _ = fs::remove_dir_all(scratch);
        let failed = |error| Failure::new(format!("failed to make {}: {error}", scratch.display()));
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(scratch.join(name)).map_err(failed)?;
        }
        let at = |name: &str| scratch.join(name).display().to_string();
        let source = format!(
            "deb [signed-by={KEYRING}] {} {SUITE} main\n",
            self.mirror(hint)?
        );
        fs::write(scratch.join("sources.list"), source).map_err(failed)?;
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
            run(command.arg("-q").args(words).current_dir(scratch))
        };
        apt(&["update"])?;
        apt(&["download", self.package])?;
        let package = fs::read_dir(scratch)
            .map_err(failed)?
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .find(|path| path.extension().is_some_and(|end| end == "deb"));
        let package =
            package.ok_or_else(|| Failure::new(format!("{} did not arrive", self.package)))?;
        run(program("dpkg").arg("-x").arg(package).arg(at("files")))?;
        let from = scratch.join("files").join(self.path);
        fs::copy(&from, to)
            .map_err(|error| Failure::new(format!("failed to copy {}: {error}", from.display())))?;
        let _ = fs::remove_dir_all(scratch);
        Ok(())
    }

    /// Where this machine takes Debian's packages from.
    fn mirror(&self, hint: &str) -> Result<String, Failure> {
        let words = ["indextargets", "--format", "$(REPO_URI)"];
        let rows = ["Created-By: Packages", "Origin: Debian", "Label: Debian"];
        let found = output(program("apt-get").args(words).args(rows))?;
        let first = found.lines().next().map(str::to_owned);
        first.ok_or_else(|| {
            let package = self.package;
            Failure::new(format!("apt has no Debian to take {package} from")).hint(hint)
        })
    }
}
