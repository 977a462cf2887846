//! The endpoints of a group: the lines of a file, or hosts of the configuration.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::file::{Group, HostList, Member};
use config::value::Portion;
use net::hosts::Hosts;

/// A hundred thousand endpoints of forty characters.
const MAX_FILE: u64 = 4 << 20;
const MAX_MEMBERS: usize = 100_000;
const MAX_LINE: usize = 1024;

/// The endpoints of a probe, and how many of them must pass.
#[derive(Debug)]
pub struct Endpoints {
    pub list: Vec<Member>,
    pub required: usize,
}

/// Why the endpoints of a group are not known, or too few.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {cause}", path.display())]
    File { path: PathBuf, cause: FileError },
    #[error("no host `{0}` under `hosts:`")]
    NoHost(String),
    #[error("{required} must pass, and there are only {all}")]
    TooFew { required: usize, all: usize },
}

/// What is wrong with a file of endpoints.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FileError {
    #[error("{0}")]
    TooLarge(Arc<io::Error>),
    #[error("it is not UTF-8")]
    NotText,
    #[error("it cannot be read: {0}")]
    Unreadable(Arc<io::Error>),
    #[error("line {0} is longer than {MAX_LINE} bytes")]
    LongLine(usize),
    #[error("line {0} is more than one word")]
    ManyWords(usize),
    #[error("it names more than {MAX_MEMBERS} endpoints")]
    TooMany,
    #[error("it names no endpoint")]
    Empty,
}

/// All of them, at least one. The hosts are only looked up in the configuration.
pub fn expand(group: Group<'_>, hosts: &Hosts) -> Result<Endpoints, Error> {
    let Group {
        targets_file,
        hosts: chosen,
        require,
    } = group;
    let list = match (targets_file, chosen) {
        (Some(path), _) => {
            let list = read(path).and_then(|text| parse(&text));
            list.map_err(|cause| Error::File {
                path: path.to_owned(),
                cause,
            })?
        }
        (None, Some(list)) => of_hosts(list, hosts)?,
        (None, None) => Vec::new(),
    };
    let all = list.len();
    let required = require.unwrap_or(Portion::ALL).at_least(all).max(1);
    if required > all {
        return Err(Error::TooFew { required, all });
    }
    Ok(Endpoints { list, required })
}

fn read(path: &Path) -> Result<String, FileError> {
    files::read_text(path, MAX_FILE).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => FileError::TooLarge(Arc::new(error)),
        io::ErrorKind::InvalidData => FileError::NotText,
        _ => FileError::Unreadable(Arc::new(error)),
    })
}

/// Each line once, without comments.
fn parse(text: &str) -> Result<Vec<Member>, FileError> {
    let mut seen = BTreeSet::new();
    let mut members = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.len() > MAX_LINE {
            return Err(FileError::LongLine(number));
        }
        if line.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(FileError::ManyWords(number));
        }
        if seen.insert(line) {
            members.push(Member::of_line(line));
        }
        if members.len() > MAX_MEMBERS {
            return Err(FileError::TooMany);
        }
    }
    if members.is_empty() {
        return Err(FileError::Empty);
    }
    Ok(members)
}

fn of_hosts(list: &HostList, hosts: &Hosts) -> Result<Vec<Member>, Error> {
    let known = hosts.configured();
    let mut chosen = BTreeSet::new();
    for selector in list.selectors() {
        let named = known.selected(selector);
        if named.is_empty() {
            return Err(Error::NoHost(selector.to_string()));
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
            let members = parse(text).map_err(|error| error.to_string())?;
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
