//! Docker Compose version 2, which Debian 12 does not have.

use std::fs;
use std::path::Path;

use super::newer::File;
use super::once;
use crate::command::{Failure, program, succeeds};

/// Pinned: another version words its errors in other ways.
const PLUGIN: File = File {
    package: "docker-compose=2.26.1-4",
    path: "usr/libexec/docker/cli-plugins/docker-compose",
};

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
    once(&testbed.join("compose.installed"), PLUGIN.package, || {
        let hint = "install it: https://docs.docker.com/compose/install/linux/";
        PLUGIN.fetch(&testbed.join("compose"), &plugin, hint)
    })
}
