//! Which hosts a word of the configuration means.

use std::collections::{BTreeMap, BTreeSet};

/// The hosts that a selector means: one, those of a group, those of a pattern, or `all`. Empty where
/// nothing fits.
pub fn selected<'h>(
    names: impl Iterator<Item = &'h str> + Clone,
    groups: &BTreeMap<String, BTreeSet<String>>,
    selector: &str,
) -> Vec<&'h str> {
    if let Some(name) = names.clone().find(|name| *name == selector) {
        return vec![name];
    }
    if let Some(members) = groups.get(selector) {
        return names.filter(|name| members.contains(*name)).collect();
    }
    let fits = |name: &&str| selector == "all" || model::glob(selector, name);
    names.filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_before_a_group_and_a_group_before_a_pattern() {
        let names = ["db", "web", "web-01", "web-02"];
        let members = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let groups = BTreeMap::from([
            ("front".to_owned(), members(&["web-01", "web-02"])),
            ("web".to_owned(), members(&["web-01"])),
            ("empty".to_owned(), members(&[])),
        ]);
        let of = |selector| selected(names.iter().copied(), &groups, selector);
        assert_eq!(of("web"), ["web"]);
        assert_eq!(of("front"), ["web-01", "web-02"]);
        assert_eq!(of("web-*"), ["web-01", "web-02"]);
        assert_eq!(of("all"), names);
        assert!(of("empty").is_empty() && of("other").is_empty());
    }
}
