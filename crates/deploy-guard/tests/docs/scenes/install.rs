//! docs/guide/install.md.

use std::fs;
use std::process::Command;

use crate::docs::page::Block;
use crate::docs::walk::{Walk, World};
use crate::release::Release;

pub(crate) fn page() {
    let mut walk = Walk::of("docs/guide/install.md");
    by_script(&walk.next("curl -fsSLO"));
    walk.elsewhere(
        "cargo install --locked --git https://github.com/org/deploy-guard deploy-guard\n",
        "it would build for minutes",
        &[(
            "crates/deploy-guard/tests/install.rs",
            "fn cargo_installs_it",
        )],
    );
    walk.end();
}

/// The installer of a release, from a web server with the paths of a forge.
pub(super) fn by_script(block: &Block) {
    let release = Release::start();
    let repository = format!("{}/acme/deploy-guard", release.server());
    let published = release.published();
    let status = Command::new(testkit::bin_path("xtask"))
        .arg("checksums")
        .arg(&published)
        .args(["--repository", &repository])
        .status();
    assert!(status.unwrap().success());
    let world = World::new();
    world
        .run(
            block,
            &[("https://github.com/org/deploy-guard", &repository)],
        )
        .code(0);
    let installed = world.path(".local/bin/deploy-guard");
    let said = Command::new(installed).arg("--version").output().unwrap();
    assert_eq!(said.stdout, b"deploy-guard 0.1.0\n");
    world.sh("sh install.sh --help").code(0).says("--to");
    assert!(fs::read_dir(published).unwrap().count() > 2);
}
