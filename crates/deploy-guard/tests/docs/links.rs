//! Links within the repository lead somewhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::docs::page::pages;

#[test]
fn every_link_leads_to_a_file_and_an_anchor_that_exist() {
    let pages = pages();
    let anchors: BTreeMap<PathBuf, Vec<String>> = pages
        .iter()
        .map(|page| (PathBuf::from(&page.name), page.anchors()))
        .collect();
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                Some(PathBuf::from(&page.name))
            } else {
                within(&Path::new(&page.name).with_file_name(path))
            };
            let leads = target.is_some_and(|target| {
                let here = testkit::workspace().join(&target).exists();
                let known = anchors.get(&target);
                here && (anchor.is_empty()
                    || known.is_some_and(|all| all.iter().any(|one| one == anchor)))
            });
            if !leads {
                broken.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(seen > 100, "only {seen} links were found");
}

/// The path without `..`, if it stays in the repository.
fn within(path: &Path) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !whole.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}
