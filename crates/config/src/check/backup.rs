//! Rules of `preflight.backup` and `preflight.rollback-ready`.

use super::rules::{fault, known_host, unique};
use crate::file::{Config, Preflight};
use crate::section::Section;
use yaml::Fault;
use yaml::Node;

pub(super) fn check(section: &Preflight, config: &Config, tree: &Node) -> Result<(), Fault> {
    unique(tree, &["preflight", "backup"], "name")?;
    for (at, backup) in section.backup.iter().enumerate() {
        let at = at.to_string();
        let path = |key| ["preflight", "backup", &at, key];
        let remote = backup.file.starts_with("s3://");
        if let Some(host) = &backup.host {
            known_host(tree, &path("host"), host, config)?;
            if remote {
                return Err(
                    fault(tree, &path("host"), "`host` and `s3://` exclude each other")
                        .hint("a bucket is asked from here"),
                );
            }
        }
        if backup.file.trim().is_empty() {
            return Err(fault(tree, &path("file"), "no file is named"));
        }
    }
    let Some(ready) = &section.rollback_ready else {
        return Ok(());
    };
    let path = |key| ["preflight", "rollback-ready", key];
    if config.rollback.is_none() && !config.unset.contains_key(&Section::Rollback) {
        return Err(fault(
            tree,
            &["preflight", "rollback-ready"],
            "there is no `rollback` section",
        )
        .hint("add `rollback: { state: FILE, … }`: its state says what can be gone back to"));
    }
    if let Some(image) = &ready.image
        && !image.contains("${LAST_KNOWN_GOOD}")
    {
        return Err(fault(
            tree,
            &path("image"),
            "it does not name `${LAST_KNOWN_GOOD}`",
        )
        .hint("write it as `ghcr.io/acme/shop:${LAST_KNOWN_GOOD}`"));
    }
    if ready.username_env.is_some() && ready.password_env.is_none() {
        let path = path("username-env");
        return Err(fault(tree, &path, "`username-env` needs `password-env`"));
    }
    Ok(())
}
