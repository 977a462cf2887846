//! Which release is this? The one place where names of releases are compared.
//!
//! A release has a name that we gave it (`--release`, the state) and names that others report: the
//! service, an image's label, a command. The question is never whether two texts are equal, but
//! whether a reported name proves the wanted release ([`Match::proves`]), whether two given names
//! mean one release ([`Match::same`]), and which of the releases that we know was reported
//! ([`Releases::named`]).

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest name of a release that is read from an answer, in bytes. It goes into the state and
/// into reports whole.
pub const MAX_NAME_BYTES: usize = 512;

/// A shorter beginning of a commit id is too likely to be another's.
const SHORT_ID: usize = 7;
/// A SHA-256 in hex; no id is longer.
const LONG_ID: usize = 64;

/// How the answering release must match the expected one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Match {
    /// The same text; hex digits of a commit id in either case.
    #[default]
    Exact,
    /// The answer begins with the expected release and goes on with `+`, `-` or `.`, as `2.0.1`
    /// and `2.0.1+build5` do, not `2.0.10`. A commit id may be cut in either of them to seven or
    /// more hex digits.
    Prefix,
    /// The expected release, as a regular expression, matches the whole answer.
    Regex,
}

impl Match {
    /// Whether an answer that names `told` comes from the release `wanted`.
    pub fn proves(self, wanted: &str, told: &str) -> bool {
        match self {
            Match::Exact => is_same_text(wanted, told),
            Match::Prefix => begins(wanted, told),
            Match::Regex => {
                // A state holds names that are not patterns: each one matches itself.
                wanted == told || pattern(wanted).is_ok_and(|regex| regex.is_match(told))
            }
        }
    }

    /// Why nothing can prove this release, if so: it is not a regular expression.
    pub fn check(self, wanted: &str) -> Result<(), regex::Error> {
        match self {
            Match::Exact | Match::Prefix => Ok(()),
            Match::Regex => pattern(wanted).map(drop),
        }
    }

    /// Whether two names that were given mean one release: `v1.2` and `v1.2.1` are two, whatever
    /// answers would prove.
    pub fn same(self, one: &str, other: &str) -> bool {
        is_same_text(one, other) || self == Match::Prefix && is_cut(one, other)
    }

    /// The longest of these given names that means the same release as this one; the name itself
    /// where two that are not the same could be meant.
    pub fn longest<'n>(self, name: &'n str, all: impl Iterator<Item = &'n str> + Clone) -> &'n str {
        let same = || all.clone().filter(|one| self.same(one, name));
        let Some(best) = same().max_by_key(|one| (one.len(), *one)) else {
            return name;
        };
        if same().all(|one| self.same(one, best)) {
            best
        } else {
            name
        }
    }

    /// The rule for a service whose configuration names several: the one that takes the most
    /// names for the same, or the gate would pass what everything after it denies.
    pub fn widest(all: impl IntoIterator<Item = Match>) -> Match {
        let wide = |rule: &Match| match rule {
            Match::Exact => 0,
            Match::Regex => 1,
            Match::Prefix => 2,
        };
        all.into_iter().max_by_key(wide).unwrap_or_default()
    }
}

fn pattern(wanted: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{wanted})$"))
}

/// The releases that we know by name, and the rule by which an answer names one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases {
    rule: Match,
    known: Vec<String>,
}

impl Releases {
    pub fn new(rule: Match, known: impl IntoIterator<Item = String>) -> Self {
        let known = known.into_iter().collect();
        Releases { rule, known }
    }

    pub fn rule(&self) -> Match {
        self.rule
    }

    /// These and one more, unless it is known already, under whatever name.
    #[must_use]
    pub fn with(mut self, release: &str) -> Self {
        if !release.is_empty() && !self.knows(release) {
            self.known.push(release.to_owned());
        }
        self
    }

    fn knows(&self, release: &str) -> bool {
        let mut known = self.known.iter();
        known.any(|known| self.rule.same(known, release))
    }

    /// Our name for the reported release; the reported name if we have none.
    /// `likely` is one more that we know.
    pub fn named<'n>(&'n self, told: &'n str, likely: &'n str) -> &'n str {
        let likely = Some(likely).filter(|likely| !likely.is_empty() && !self.knows(likely));
        let known = self.known.iter().map(String::as_str);
        which(self.rule, told, known.chain(likely)).unwrap_or(told)
    }
}

/// The known release that an answer names: the one with the same text, otherwise the longest match.
/// `None` if none matches, or if two different ones could be meant.
fn which<'k>(
    rule: Match,
    told: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Option<&'k str> {
    if let Some(same) = known.clone().find(|known| *known == told) {
        return Some(same);
    }
    let fits = || known.clone().filter(|known| rule.proves(known, told));
    let best = fits().max_by_key(|known| known.len())?;
    let agrees = |known: &str| rule.proves(known, best) || rule.proves(best, known);
    fits().all(agrees).then_some(best)
}

/// The same text, but for the case of commit ids in it.
fn is_same_text(one: &str, other: &str) -> bool {
    one == other
        || one.len() == other.len()
            && one
                .split(is_mark)
                .zip(other.split(is_mark))
                .all(|(one, other)| is_same_part(one, other))
            && one.matches(is_mark).eq(other.matches(is_mark))
}

fn is_same_part(one: &str, other: &str) -> bool {
    one == other || is_commit(one) && one.eq_ignore_ascii_case(other)
}

/// What separates the parts of a name.
fn is_mark(c: char) -> bool {
    !c.is_alphanumeric()
}

/// Hex digits as a commit id has them. Digits alone are a number, which must not be cut.
fn is_commit(part: &str) -> bool {
    (SHORT_ID..=LONG_ID).contains(&hex(part).len())
        && hex(part).chars().all(|c| c.is_ascii_hexdigit())
        && hex(part).chars().any(|c| c.is_ascii_alphabetic())
}

/// Without the `g` that `git describe` writes before the id.
fn hex(part: &str) -> &str {
    part.strip_prefix('g').unwrap_or(part)
}

/// Whether `short` is the beginning of the commit id `long`, ignoring case.
fn begins_commit(short: &str, long: &str) -> bool {
    is_commit(long)
        && hex(short).len() >= SHORT_ID
        && long
            .get(..short.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(short))
}

/// Two names that differ in the length of the commit id at their end, and in nothing else.
fn is_cut(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let (stem, tail) = cut_last(short);
    let (same, rest) = cut_last(long);
    is_same_text(stem, same) && begins_commit(tail, rest)
}

/// A name's last part and the text before it.
fn cut_last(name: &str) -> (&str, &str) {
    let at = name.rfind(is_mark);
    let at = at.map_or(0, |at| {
        at + name[at..].chars().next().map_or(1, char::len_utf8)
    });
    name.split_at(at)
}

/// Whether an answer is the wanted release as far as that goes. A longer answer goes on at a
/// boundary; a shorter one says too little, unless all that it leaves out is the end of a commit
/// id.
fn begins(wanted: &str, told: &str) -> bool {
    if is_same_text(wanted, told) || is_cut(wanted, told) {
        return true;
    }
    let goes_on = |c: char| matches!(c, '+' | '-' | '.');
    if wanted.is_empty() {
        return false;
    }
    // Where the wanted name is over, or its commit id, which the answer may tell in full.
    let over = match told.get(..wanted.len()) {
        Some(head) if is_same_text(wanted, head) => {
            let rest = &told[wanted.len()..];
            rest.starts_with(goes_on) || wanted.ends_with(goes_on)
        }
        _ => false,
    };
    let (stem, _) = cut_last(wanted);
    let longer = || {
        let rest = told.get(stem.len()..)?;
        let end = rest.find(is_mark)?;
        let whole = &told[..stem.len() + end];
        Some(told[whole.len()..].starts_with(goes_on) && is_cut(wanted, whole))
    };
    over || longer().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: &str = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
    const OTHER: &str = "0fb16b12f9936e0374948c64e8c3b18db25b6fbf";

    #[test]
    fn a_prefix_ends_at_a_boundary() {
        for (wanted, told) in [
            ("2.0.1", "2.0.1"),
            ("2.0.1", "2.0.1+0fb16b1"),
            ("2.0.1", "2.0.1-rc1"),
            ("2.0.1", "2.0.1.dev5"),
            ("2.0", "2.0.10"),
            ("v1", "v1.0"),
            ("v1.", "v1.0"),
            ("shop-7", "shop-7-hotfix"),
        ] {
            assert!(Match::Prefix.proves(wanted, told), "{wanted} {told}");
        }
        for (wanted, told) in [
            ("2.0.1", "2.0.10"),
            ("2.0.1", "2.0.10+0fb16b1"),
            ("v1", "v10"),
            ("v1", "v1rc"),
            ("2.0.1", "2.0.1rc1"),
            ("2.0.1", "12.0.1"),
            ("2.0.1", "2.0"),
            ("2.0.1+build5", "2.0.1"),
            ("2.0.1-rc1", "2.0.1"),
            ("shop", "shopping"),
            ("", "v1"),
            ("v1", ""),
            ("1234567", "12345678"),
            ("20261121", "2026112"),
            ("ü", "üb"),
        ] {
            assert!(!Match::Prefix.proves(wanted, told), "{wanted} {told}");
        }
    }

    #[test]
    fn a_commit_id_may_be_cut_in_either_name() {
        for (wanted, told) in [
            (FULL, "0fb16b1"),
            (FULL, "0FB16B1"),
            ("0fb16b1", FULL),
            ("0fb16b11f9", "0fb16b1"),
            ("0fb16b1", "0fb16b11f9936e+dirty"),
            ("2.0.1+0fb16b11f9936e", "2.0.1+0fb16b1"),
            ("v1.2-4-g0fb16b11f9", "v1.2-4-g0fb16b1"),
            ("sha-0fb16b1", "sha-0fb16b11f9936e"),
            ("1234567a", "1234567"),
        ] {
            assert!(Match::Prefix.proves(wanted, told), "{wanted} {told}");
            assert!(!Match::Exact.proves(wanted, told), "{wanted} {told}");
        }
        for (wanted, told) in [
            (FULL, "0fb16b"),
            (FULL, "0fb16b2"),
            (FULL, OTHER),
            ("0fb16b", FULL),
            ("0fb16b11f9-hotfix", "0fb16b11f9"),
            ("2.0.2+0fb16b11f9936e", "2.0.1+0fb16b1"),
            ("0fb16b1", "0fb16b1z"),
            ("release", "release2"),
        ] {
            assert!(!Match::Prefix.proves(wanted, told), "{wanted} {told}");
        }
    }

    #[test]
    fn only_a_commit_id_is_the_same_in_either_case() {
        for rule in [Match::Exact, Match::Prefix] {
            assert!(rule.proves(FULL, &FULL.to_uppercase()), "{rule:?}");
            assert!(rule.same("2.0.1+0FB16B1", "2.0.1+0fb16b1"), "{rule:?}");
            assert!(!rule.proves("v1.0-RC1", "v1.0-rc1"), "{rule:?}");
            assert!(!rule.proves("V1", "v1"), "{rule:?}");
            assert!(!rule.same("a-b", "a.b"), "{rule:?}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_answer() {
        assert!(Match::Regex.proves(r"v1\.\d", "v1.3"));
        for told in ["xv1.3", "v1.3x", "v1.3\n"] {
            assert!(!Match::Regex.proves(r"v1\.\d", told), "{told:?}");
        }
        assert!(Match::Regex.proves("a+b", "a+b") && !Match::Regex.proves("(", "v1"));
        assert!(!Match::Regex.same("v.", "v1"));
        assert!(Match::Regex.check("v[").is_err() && Match::Regex.check("v.").is_ok());
        assert!(Match::Exact.check("v[").is_ok());
    }

    #[test]
    fn names_that_were_given_are_the_same_only_by_their_commit_id() {
        assert!(Match::Prefix.same(FULL, "0fb16b1") && Match::Prefix.same("0fb16b1", FULL));
        assert!(!Match::Prefix.same("v1.2", "v1.2.1"));
        assert!(!Match::Exact.same(FULL, "0fb16b1"));
    }

    #[test]
    fn of_names_that_were_given_the_longest_stands_for_all_that_are_the_same() {
        let all = [FULL, "0fb16b1", "0fb16b11f9", "v1"];
        for name in [FULL, "0fb16b1", "0fb16b11f9"] {
            assert_eq!(Match::Prefix.longest(name, all.into_iter()), FULL);
            assert_eq!(Match::Exact.longest(name, all.into_iter()), name);
        }
        assert_eq!(Match::Prefix.longest("v1", all.into_iter()), "v1");
        let either = [FULL, OTHER, "0fb16b1"];
        assert_eq!(
            Match::Prefix.longest("0fb16b1", either.into_iter()),
            "0fb16b1"
        );
    }

    #[test]
    fn what_was_told_is_the_known_release_that_says_most_of_it() {
        let known = |names: &[&str]| {
            Releases::new(Match::Prefix, names.iter().map(|name| (*name).to_owned()))
        };
        let all = known(&["2.0", "2.0.1", FULL, "2.0.1+build5"]);
        for (told, name) in [
            ("2.0.1+build6", "2.0.1"),
            ("2.0.1+build5", "2.0.1+build5"),
            ("2.0.7", "2.0"),
            ("0fb16b1", FULL),
            ("3.0", "3.0"),
            ("2.0.10", "2.0"),
        ] {
            assert_eq!(all.named(told, ""), name, "{told}");
        }
        let two = known(&[FULL, OTHER]);
        assert_eq!(two.named("0fb16b1", ""), "0fb16b1", "either could be meant");
        assert_eq!(two.named("0fb16b12", "0fb16b1"), OTHER);
        let short = known(&[FULL]).with("0FB16B1");
        assert_eq!(short.named("0fb16b1", "0fb16b11"), FULL, "one release");
        assert_eq!(short.named("v1.0", "v1"), "v1");
        assert_eq!(Releases::default().with("v1").named("v1.0", ""), "v1.0");
    }

    proptest! {
        #[test]
        fn whatever_is_compared_a_name_proves_itself_and_prefix_is_wider_than_exact(
            one in "\\PC{0,12}|[0-9a-fA-F]{5,12}|[0-9]{1,2}(\\.[0-9]{1,2}){0,2}",
            other in "\\PC{0,12}|[0-9a-fA-F]{5,12}|[0-9]{1,2}(\\.[0-9]{1,2}){0,2}",
        ) {
            for rule in [Match::Exact, Match::Prefix, Match::Regex] {
                prop_assert!(rule.proves(&one, &one) && rule.same(&one, &one));
                prop_assert_eq!(rule.same(&one, &other), rule.same(&other, &one));
            }
            if Match::Exact.proves(&one, &other) {
                prop_assert!(Match::Prefix.proves(&one, &other));
            }
            if Match::Prefix.same(&one, &other) {
                prop_assert!(Match::Prefix.proves(&one, &other));
            }
        }
    }
}
