//! The members of a group, which of them a shard asks, and what their ends mean for the group.

use std::collections::BTreeSet;
use std::path::Path;

use config::file::{Group as Meant, HostList, Member};
use config::value::Portion;
use model::{Shard, Tally, Verdict};
use sha2::{Digest as _, Sha256};

use crate::kinds::Surroundings;

/// A hundred thousand endpoints of forty characters.
const MAX_FILE: u64 = 4 << 20;
const MAX_MEMBERS: usize = 100_000;
const MAX_LINE: usize = 1024;

/// How many of how many must pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Group {
    /// Of those that are asked here.
    pub(crate) required: usize,
    pub(crate) total: usize,
    /// Of all shards together.
    pub(crate) all: usize,
    pub(crate) all_required: usize,
    sharded: bool,
}

impl Group {
    /// The verdict as soon as it is certain. A shard counts to its end, because its numbers are
    /// added to those of others; only when it alone has more failures than all may have, the
    /// whole has failed.
    pub(crate) fn verdict(self, tally: &Tally) -> Option<Verdict> {
        let certain = tally.open() == 0 || tally.failed > self.all - self.all_required;
        if self.sharded && !certain {
            return None;
        }
        tally.verdict()
    }

    /// Whether the gate has failed with it: a shard may have more than its share of failures while
    /// the whole has few enough, and its other probes must be watched to their end for those.
    pub(crate) fn fails_the_gate(self, tally: &Tally) -> bool {
        !self.sharded || tally.failed > self.all - self.all_required
    }

    pub(crate) fn expected(self) -> String {
        let Group {
            required, total, ..
        } = self;
        let here = format!("{required} of {total} pass");
        if !self.sharded {
            return here;
        }
        format!("{here} here ({} of {} in all)", self.all_required, self.all)
    }

    /// With its arithmetic.
    pub(crate) fn reason(self, verdict: Verdict, tally: &Tally) -> String {
        let required = self.required;
        match verdict {
            Verdict::Pass => format!("passed ({}) ≥ required ({required})", tally.passed),
            Verdict::Fail => format!("failed ({}) > allowed ({})", tally.failed, tally.allowed()),
            _ => format!("passed ({}) < required ({required})", tally.passed),
        }
    }
}

/// The group, and those of its members that are asked here.
pub(crate) fn expand(
    meant: Meant<'_>,
    around: &Surroundings,
) -> Result<(Group, Vec<Member>), String> {
    let Meant {
        targets_file,
        hosts,
        require,
    } = meant;
    let mut members = match (targets_file, hosts) {
        (Some(path), _) => {
            let named = |reason| format!("{}: {reason}", path.display());
            read(path).and_then(|text| parse(&text)).map_err(named)?
        }
        (None, Some(list)) => of_hosts(list, around)?,
        (None, None) => Vec::new(),
    };
    let all = members.len();
    let require = require.unwrap_or(Portion::ALL);
    let all_required = require.at_least(all).max(1);
    if all_required > all {
        return Err(format!(
            "{all_required} must pass, and there are only {all}"
        ));
    }
    if let Some(shard) = around.shard {
        members.retain(|member| holds(shard, &member.target));
    }
    let total = members.len();
    // The same share of the shard, rounded to the careful side.
    let required = (all_required * total).div_ceil(all);
    let group = Group {
        required,
        total,
        all,
        all_required,
        sharded: around.shard.is_some(),
    };
    Ok((group, members))
}

/// Whether a shard asks this. By a hash, so that a line that is added or taken away moves no other.
pub(crate) fn holds(shard: Shard, name: &str) -> bool {
    let hash = Sha256::digest(name.as_bytes());
    let number = hash
        .iter()
        .take(8)
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    number % u64::from(shard.count) == u64::from(shard.index - 1)
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

fn of_hosts(list: &HostList, around: &Surroundings) -> Result<Vec<Member>, String> {
    let known = around.hosts.configured();
    let mut chosen = BTreeSet::new();
    for selector in list.selectors() {
        let named = config::file::hosts_named(known, selector);
        if named.is_empty() {
            return Err(format!("no host `{selector}` under `hosts:`"));
        }
        chosen.extend(named);
    }
    let member = |name: &str| known.get(name).map(|host| Member::of_host(name, host));
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

    #[test]
    fn every_member_is_in_exactly_one_shard_and_stays_there() {
        let names: Vec<_> = (0..5000)
            .map(|n| format!("10.0.{}.{}:80", n / 250, n % 250))
            .collect();
        for count in [1, 3, 10] {
            let mut sizes = vec![0_usize; count as usize];
            for name in &names {
                let asked: Vec<_> = (1..=count)
                    .filter(|index| {
                        holds(
                            Shard {
                                index: *index,
                                count,
                            },
                            name,
                        )
                    })
                    .collect();
                assert_eq!(asked.len(), 1);
                sizes[asked[0] as usize - 1] += 1;
            }
            let fair = names.len() / count as usize;
            assert!(
                sizes.iter().all(|size| size.abs_diff(fair) < fair / 4 + 1),
                "{sizes:?}"
            );
        }
        // What was split once is split so for ever: reports of two versions can be merged.
        let third = Shard {
            index: 3,
            count: 10,
        };
        assert!(holds(third, "10.0.0.25:80") && !holds(third, "10.0.0.26:80"));
    }
}
