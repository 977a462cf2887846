//! Where the programs that tests start are found.

use std::env;
use std::path::{Path, PathBuf};

use crate::target_dir;

/// The folder with the Python and npm packages that `cargo xtask setup` installs:
/// `$DEPLOY_GUARD_TESTBED`, else `testbed` in the target folder.
pub fn testbed() -> PathBuf {
    env::var_os("DEPLOY_GUARD_TESTBED").map_or_else(|| target_dir().join("testbed"), PathBuf::from)
}

/// The path of a program: from the test bed, else from `PATH`, else from where Debian keeps
/// servers, which is not on every user's `PATH`.
pub fn tool(name: &str) -> PathBuf {
    let testbed = testbed();
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = [testbed.join("venv/bin"), testbed.join("node_modules/.bin")];
    installed
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| missing(Path::new(name)))
}

pub(crate) fn missing(what: &Path) -> ! {
    panic!(
        "the tests need `{}`, which is not installed; install it with `cargo xtask setup`",
        what.display()
    )
}
