//! Which tags a person may have meant, or which releases are close to the missing one.

use std::cmp::Ordering;

use semver::Version;

/// The nearest existing tags, best first: the same version in another spelling, the versions just
/// below and above, then what is spelled alike.
pub fn nearest(wanted: &str, tags: &[String], most: usize) -> Vec<String> {
    let mut near = Vec::new();
    if let Some(version) = version(wanted) {
        let versions: Vec<(Version, &String)> = tags
            .iter()
            .filter_map(|tag| Some((self::version(tag)?, tag)))
            .collect();
        let of = |order| {
            let wanted = &version;
            let beside = move |(other, _): &&(Version, _)| other.cmp_precedence(wanted) == order;
            versions.iter().filter(beside)
        };
        near.extend(of(Ordering::Equal).map(|(_, tag)| *tag));
        near.extend(of(Ordering::Less).max().map(|(_, tag)| *tag));
        near.extend(of(Ordering::Greater).min().map(|(_, tag)| *tag));
    }
    let mut alike: Vec<(usize, &String)> = tags
        .iter()
        .filter(|tag| !near.contains(tag))
        .map(|tag| (strsim::osa_distance(wanted, tag), tag))
        .filter(|(distance, tag)| *distance <= (wanted.len().max(tag.len()) / 3).max(1))
        .collect();
    alike.sort();
    near.extend(alike.into_iter().map(|(_, tag)| tag));
    near.truncate(most);
    near.into_iter().cloned().collect()
}

/// `v1.2.3`, `1.2.3-rc.1`, and `1.2` as Docker tags have it.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix(['v', 'V']).unwrap_or(tag);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let dots = numbers.matches('.').count();
    if dots > 2 || numbers.is_empty() {
        return None;
    }
    format!("{numbers}{}{rest}", ".0".repeat(2 - dots))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_then_neighbours_then_what_looks_alike() {
        let tags: Vec<String> = [
            "latest",
            "v1.0.0",
            "v1.2.3",
            "v1.2.5",
            "v1.10.0",
            "1.2.4-rc.1",
            "v2.0.0",
            "main",
            "sha-0a1b2c3",
        ]
        .map(str::to_owned)
        .to_vec();
        let near = |wanted: &str| nearest(wanted, &tags, 3);
        assert_eq!(near("v1.2.4"), ["1.2.4-rc.1", "v1.2.5", "v1.2.3"]);
        assert_eq!(near("1.2.5"), ["v1.2.5", "1.2.4-rc.1", "v1.10.0"]);
        assert_eq!(near("v9.0"), ["v2.0.0"]);
        assert_eq!(near("lates"), ["latest"]);
        assert_eq!(near("sha-0a1b2c4"), ["sha-0a1b2c3"]);
        assert!(near("feature-login").is_empty());
        assert!(nearest("v1", &[], 3).is_empty());
    }
}
