//! `docs/guide/security.md` describes tokens, AWS and attacks as the code handles them.

use crate::documented;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

const PAGE: &str = "docs/guide/security.md";

fn page() -> String {
    std::fs::read_to_string(testkit::workspace().join(PAGE)).unwrap()
}

/// The text below one heading.
fn section(page: &str, heading: &str) -> String {
    let start = page.find(&format!("\n## {heading}\n")).unwrap();
    let rest = &page[start + 4..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// Every first group of a pattern in the Rust sources, without their tests, below a folder or in a file.
fn found(place: &str, pattern: &str) -> BTreeSet<String> {
    let all = within(testkit::workspace().join(place), pattern);
    assert!(!all.is_empty(), "{pattern} is nowhere in {place}");
    all
}

/// The same, where it may be nowhere.
fn within(place: PathBuf, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    let mut paths = vec![place];
    let mut all = BTreeSet::new();
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.extension() == Some("rs".as_ref()) {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            all.extend(pattern.captures_iter(code).map(|one| one[1].to_owned()));
        }
    }
    all
}

fn in_text(text: &str, pattern: &str) -> BTreeSet<String> {
    let pattern = Regex::new(pattern).unwrap();
    pattern
        .captures_iter(text)
        .map(|one| one[1].to_owned())
        .collect()
}

const PERMISSION: &str = "[\"`]([a-z][a-z_-]+: (?:read|write))[\"`]";

/// Every permission that a question of ours needs, and no other.
#[test]
fn every_permission_of_github_stands_in_the_table() {
    let mut code = found("crates/github/src", PERMISSION);
    code.extend(found("crates/preflight/src", PERMISSION));
    // Asked of the registry, which is GitHub's too.
    code.extend(found(
        "crates/preflight/src/check/images.rs",
        "permissions: (packages: read)",
    ));
    let table = section(&page(), "What each token may do");
    assert_eq!(in_text(&table, "`([a-z][a-z_-]+: (?:read|write))`"), code);
    let enterprise = found("crates/github/src/runners.rs", "`(manage_runners:[a-z]+)`");
    for scope in enterprise {
        assert!(table.contains(&scope), "{scope}");
    }
}

/// Which of them a job's own token can have, by `Needs::workflow`.
#[test]
fn whether_a_jobs_own_token_will_do_is_what_the_hints_say() {
    let can = found(
        "crates/github/src",
        "Needs::workflow\\(\\s*\"[^\"]+\",\\s*\"([^\"]+)\"",
    );
    let table = section(&page(), "What each token may do");
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let named = in_text(cells[2], "`([a-z][a-z_-]+: (?:read|write))`");
        for permission in &named {
            let own = can.contains(permission) || permission == "packages: read";
            assert_eq!(own, cells[3].starts_with("yes"), "{permission}: {line}");
        }
    }
}

/// Every action of AWS that is called, and no other.
#[test]
fn every_action_of_aws_stands_in_the_table() {
    let call = "\\bcall_api\\((?:&?client, )?\"([A-Z][A-Za-z]+)\"";
    let mut code: BTreeSet<String> = found("crates/probe/src/ecs.rs", call)
        .union(&found("crates/target/src/ecs.rs", call))
        .chain(&found("crates/router/src/ecs_hook.rs", call))
        .map(|action| format!("ecs:{action}"))
        .collect();
    let balancer = found(
        "crates/router/src/alb.rs",
        "\"((?:Describe|Modify)[A-Za-z]+)\"",
    );
    code.extend(
        balancer
            .iter()
            .map(|action| format!("elasticloadbalancing:{action}")),
    );
    let ecr = found(
        "crates/aws/src/ecr.rs",
        "AmazonEC2ContainerRegistry_V20150921\\.([A-Za-z]+)",
    );
    code.extend(ecr.into_iter().map(|action| format!("ecr:{action}")));
    for call in found("crates/aws/src/s3.rs", "pub async fn ([a-z_]+)\\(\\s*&self") {
        let action = match call.as_str() {
            "get" | "head" => "GetObject",
            "list" => "ListBucket",
            "put" => "PutObject",
            "delete" => "DeleteObject",
            other => panic!("which action does `{other}` need?"),
        };
        code.insert(format!("s3:{action}"));
    }
    // The code does not call this: ECS checks whether we have the permission.
    code.insert("iam:PassRole".to_owned());
    let table = section(&page(), "What it may do in AWS");
    assert_eq!(in_text(&table, "`([a-z0-9]+:[A-Z][A-Za-z]+)`"), code);
}

/// Every program that is called as root on a host.
#[test]
fn every_program_that_sudo_is_asked_for_stands_in_the_table() {
    let table = section(&page(), "What it may do on a host");
    let mut programs = BTreeSet::new();
    // What `config` and `onboard` write is the user's own command.
    for place in [
        "engine",
        "preflight",
        "probe",
        "rollback",
        "runners",
        "target",
    ] {
        let source = testkit::workspace().join("crates").join(place).join("src");
        assert!(source.is_dir(), "{place}");
        programs.extend(within(source, "\\bsudo -n ([a-z][a-z-]*)"));
    }
    for program in &programs {
        assert!(table.contains(&format!("`sudo -n {program}`")), "{program}");
    }
    assert!(programs.contains("systemctl"), "{programs:?}");
    let roots = found("crates/runner-check/src", "\\$root (?:env )?([a-z]+)");
    for program in roots {
        assert!(table.contains(&format!("`{program} ")), "{program}");
    }
}

/// Each defence against an attack names its test.
#[test]
fn every_attack_is_tried_by_a_test() {
    let table = section(&page(), "What an attacker can and cannot do");
    let sources = documented::sources();
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let last = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests = documented::named(last);
        assert!(!tests.is_empty(), "{line}");
        for (test, file) in tests {
            documented::there(&sources, &test, &file);
        }
        rows += 1;
    }
    assert!(rows > 12, "{rows}");
}

/// The pages that people start from link to this page, and it explains how to report a vulnerability.
#[test]
fn the_page_is_linked() {
    let root = testkit::workspace();
    for (from, to) in [
        ("README.md", "docs/guide/security.md"),
        ("docs/guide/README.md", "security.md"),
        ("SECURITY.md", "docs/guide/security.md"),
        (PAGE, "../../SECURITY.md"),
    ] {
        let text = std::fs::read_to_string(root.join(from)).unwrap();
        assert!(
            text.contains(&format!("({to})")),
            "{from} does not link {to}"
        );
        let target = root.join(from).parent().unwrap_or(Path::new("")).join(to);
        assert!(target.exists(), "{target:?}");
    }
}
