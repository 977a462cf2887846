//! The endpoints of a group: the lines of a file, or hosts of the configuration.

use std::collections::BTreeSet;
use std::path::Path;

use config::file::{Group, HostList, Member};
use config::value::Portion;
use net::hosts::Hosts;

/// A hundred thousand endpoints of forty characters.
const MAX_FILE: u64 = 4 << 20;
const MAX_MEMBERS: usize = 100_000;
const MAX_LINE: usize = 1024;

/// Those that a probe of many endpoints stands for, and how many of them must pass.
#[derive(Debug)]
pub struct Members {
    pub list: Vec<Member>,
    pub required: usize,
}

/// All of them, at least one. The hosts are only looked up in the configuration.
pub fn expand(group: Group<'_>, hosts: &Hosts) -> Result<Members, String> {
    let Group {
        targets_file,
        hosts: chosen,
        require,
    } = group;
    let list = match (targets_file, chosen) {
        (Some(path), _) => {
            let named = |reason| format!("{}: {reason}", path.display());
            read(path).and_then(|text| parse(&text)).map_err(named)?
        }
        (None, Some(list)) => of_hosts(list, hosts)?,
        (None, None) => Vec::new(),
    };
    let all = list.len();
    let required = require.unwrap_or(Portion::ALL).at_least(all).max(1);
    if required > all {
        return Err(format!("{required} must pass, and there are only {all}"));
    }
    Ok(Members { list, required })
}

fn read(path: &Path) -> Result<String, String> {
    files::read_text(path, MAX_FILE).map_err(|error| match error.kind() {
        std::io::ErrorKind::FileTooLarge => error.to_string(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        _ => format!("it cannot be read: {error}"),
    })
}

/// Each line once, without comments.
fn parse(text: &str) -> Result<Vec<Member>, String> {
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.len() > MAX_LINE {
            return Err(format!("line {number} is longer than {MAX_LINE} bytes"));
        }
        if line.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(format!("line {number} is more than one word"));
        }
        if seen.insert(line) {
            members.push(Member::of_line(line));
        }
        if members.len() > MAX_MEMBERS {
            return Err(format!("it names more than {MAX_MEMBERS} endpoints"));
        }
    }
    if members.is_empty() {
        return Err("it names no endpoint".to_owned());
    }
    Ok(members)
}

fn of_hosts(list: &HostList, hosts: &Hosts) -> Result<Vec<Member>, String> {
    let known = hosts.configured();
    let mut chosen = BTreeSet::new();
    for selector in list.selectors() {
        let named = config::file::hosts_named(known, selector);
        if named.is_empty() {
            return Err(format!("no host `{selector}` under `hosts:`"));
        }
        chosen.extend(named);
    }
    let member = |name: &str| {
        known
            .get(name)
            .map(|host| Member::of_host(name, &host.address))
    };
    Ok(chosen.into_iter().filter_map(member).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_targets_has_comments_and_each_line_once() {
        let names = |text: &str| {
            let members = parse(text)?;
            Ok::<_, String>(
                members
                    .into_iter()
                    .map(|one| one.target)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            names("\u{feff}# all\r\n a:1 # first\r\n\n#b:1\nc:1\na:1\nhttp://d/#x"),
            Ok(vec!["a:1".into(), "c:1".into(), "http://d/#x".into()])
        );
        assert!(names("").unwrap_err().contains("no endpoint"));
        assert!(names("# none").unwrap_err().contains("no endpoint"));
        assert!(names("a b").unwrap_err().contains("line 1"));
        assert!(names("a\u{1b}[1m").unwrap_err().contains("line 1"));
        assert!(names(&"a".repeat(2000)).unwrap_err().contains("longer"));
    }
}
