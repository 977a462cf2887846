//! The counts of shards add up, in whatever order their reports come.

use model::report::v1;
use model::{Context, MemberCounts, Tally, Verdict};
use proptest::prelude::*;

use super::*;

/// A shard in which so many of its members ended so.
fn shard(index: u32, count: u32, ends: [usize; 4], all: usize, required: usize) -> Part {
    let [passed, failed, errors, inconclusive] = ends;
    let total = ends.iter().sum();
    let tally = Tally {
        total,
        required: total,
        passed,
        failed,
        errors,
        inconclusive,
    };
    let mut outcome = Outcome::new("http/fleet", "http://{target}/", Verdict::Pass);
    outcome.verdict = tally.verdict().unwrap_or(Verdict::Inconclusive);
    outcome.members = Some(MemberCounts {
        tally,
        all,
        all_required: required,
        names_release: false,
        not_passed: Vec::new(),
    });
    let mut report = Report::from_outcomes("healthgate", Timestamp::UNIX_EPOCH, vec![outcome]);
    report.context = Context::default();
    Part {
        name: format!("{index}.json"),
        shard: Shard { index, count },
        started_at: report.started_at,
        report: v1::Report::from(&report),
    }
}

fn together(parts: Vec<Part>) -> Report {
    merged(parts, Vec::new(), &sort::MergeRequest::default())
}

fn verdict(parts: &[Part]) -> Verdict {
    together(parts.to_vec()).verdict
}

#[test]
fn members_that_named_no_release_pass_in_no_shard_where_those_of_another_named_it() {
    let named = |mut part: Part| {
        let members = part.report.outcomes[0].members.as_mut().unwrap();
        members.names_release = true;
        part
    };
    let (one, other) = (
        || shard(1, 2, [50, 0, 0, 0], 100, 100),
        || shard(2, 2, [50, 0, 0, 0], 100, 100),
    );
    assert_eq!(verdict(&[one(), other()]), Verdict::Pass);
    assert_eq!(verdict(&[named(one()), named(other())]), Verdict::Pass);
    for parts in [[named(one()), other()], [one(), named(other())]] {
        let report = together(parts.to_vec());
        assert_eq!(report.verdict, Verdict::Inconclusive, "{report:?}");
        let members = report.outcomes[0].members.as_ref().unwrap();
        assert_eq!((members.tally.passed, members.tally.inconclusive), (50, 50));
    }
}

#[test]
fn counts_add_up_across_shards() {
    // One shard alone has more failures than its share; all together they are few enough.
    let parts = [
        shard(1, 2, [40, 10, 0, 0], 100, 90),
        shard(2, 2, [50, 0, 0, 0], 100, 90),
    ];
    let report = together(parts.to_vec());
    assert_eq!(report.verdict, Verdict::Pass, "{report:?}");
    let members = report.outcomes[0].members.as_ref().unwrap();
    assert_eq!((members.tally.passed, members.tally.failed), (90, 10));
    let parts = [
        shard(1, 2, [40, 10, 0, 0], 100, 90),
        shard(2, 2, [49, 1, 0, 0], 100, 90),
    ];
    let report = together(parts.to_vec());
    assert_eq!(report.reason, "http/fleet: failed (11) > allowed (10)");
}

#[test]
fn a_shard_that_is_missing_or_there_twice_is_no_pass() {
    let good = |index| shard(index, 3, [10, 0, 0, 0], 30, 25);
    assert_eq!(verdict(&[good(1), good(2), good(3)]), Verdict::Pass);
    assert_eq!(verdict(&[good(1), good(3)]), Verdict::Inconclusive);
    assert_eq!(verdict(&[]), Verdict::Inconclusive);
    let twice = [
        good(1),
        good(2),
        good(3),
        Part {
            name: "again".into(),
            ..good(2)
        },
    ];
    let report = together(twice.to_vec());
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert!(
        report
            .reason
            .contains("reported more than once: 2.json, again"),
        "{}",
        report.reason
    );
    // Too many failures are certain without the rest.
    let bad = shard(1, 3, [4, 6, 0, 0], 30, 25);
    assert_eq!(verdict(&[bad.clone(), good(3)]), Verdict::Fail);
    assert_eq!(verdict(&[bad, good(2), good(3)]), Verdict::Fail);
}

#[test]
fn a_report_of_another_gate_or_list_is_an_error() {
    let good = |index| shard(index, 3, [10, 0, 0, 0], 30, 25);
    let mut other = good(3);
    other.report.release = Some("v0".into());
    let report = together(vec![good(1), good(2), other]);
    assert_eq!(report.verdict, Verdict::Error);
    assert!(
        report.reason.contains("it is of another gate: release v0"),
        "{}",
        report.reason
    );
    let longer = shard(3, 3, [10, 0, 0, 0], 31, 25);
    let report = together(vec![good(1), good(2), longer]);
    assert_eq!(report.verdict, Verdict::Error);
    assert!(report.reason.contains("same list"), "{}", report.reason);
}

#[test]
fn one_rule_of_all_reports_joins_names_of_one_release() {
    let named = |index, release: &str, rule| {
        let mut part = shard(index, 2, [10, 0, 0, 0], 20, 20);
        part.report.release = Some(release.into());
        part.report.release_match = rule;
        part
    };
    let (full, short) = ("0fb16b11f9936e0374948c64e8c3b18db25b6fbf", "0fb16b1");
    let prefix = Some(model::release::Match::Prefix);
    for (one, other, expected) in [
        (prefix, prefix, Verdict::Pass),
        (prefix, None, Verdict::Error),
        (None, None, Verdict::Error),
    ] {
        let parts = [named(1, short, one), named(2, full, other)];
        assert_eq!(verdict(&parts), expected, "{one:?} {other:?}");
    }
    let parts = [named(1, "2.0.1", prefix), named(2, "2.0.10", prefix)];
    assert_eq!(verdict(&parts), Verdict::Error);
}

#[test]
fn a_report_of_another_release_than_the_one_asked_for_is_no_pass() {
    let good = |index| {
        let mut part = shard(index, 2, [10, 0, 0, 0], 20, 20);
        part.report.release = Some("v1".into());
        part
    };
    let asked = |release: &str| {
        let wanted = sort::MergeRequest {
            release: Some(release.into()),
            environment: None,
        };
        merged(vec![good(1), good(2)], Vec::new(), &wanted)
    };
    assert_eq!(asked("v1").verdict, Verdict::Pass);
    let other = asked("v2");
    assert_eq!(other.verdict, Verdict::Error);
    assert!(
        other.reason.contains("it is of release v1, not v2"),
        "{}",
        other.reason
    );
    // What an earlier run left behind is not of this one.
    let mut old = good(2);
    old.report.context.run_id = Some("7".into());
    let mut new = good(1);
    new.report.context.run_id = Some("8".into());
    assert_eq!(verdict(&[new.clone(), old.clone()]), Verdict::Error);
    old.report.context.run_id = Some("8".into());
    old.report.context.run_attempt = Some(2);
    assert_eq!(verdict(&[new, old]), Verdict::Pass);
}

#[test]
fn what_every_shard_left_to_the_others_is_no_pass() {
    let with = |index, verdict, severity| {
        let mut part = shard(index, 2, [10, 0, 0, 0], 20, 20);
        let mut one = part.report.outcomes[0].clone();
        (one.id, one.members, one.verdict) = ("http/port".into(), None, verdict);
        one.severity = severity;
        part.report.outcomes.push(one);
        part
    };
    let (required, advisory) = (model::Severity::Required, model::Severity::Advisory);
    let skipped = |index| with(index, Verdict::Skipped, required);
    let asked = with(2, Verdict::Pass, required);
    assert_eq!(verdict(&[skipped(1), asked]), Verdict::Pass);
    let report = together(vec![skipped(1), skipped(2)]);
    assert_eq!(report.verdict, Verdict::Inconclusive);
    assert_eq!(report.reason, "http/port: no shard measured it");
    // Nor does an advisory failure hide one that counts.
    let parts = [
        with(1, Verdict::Fail, advisory),
        with(2, Verdict::Error, required),
    ];
    assert_eq!(verdict(&parts), Verdict::Error);
}

#[test]
fn the_whole_took_as_long_as_its_last_shard_by_the_same_rules() {
    let mut parts = vec![
        shard(1, 2, [10, 0, 0, 0], 20, 20),
        shard(2, 2, [10, 0, 0, 0], 20, 20),
    ];
    let policy = config::file::Policy::default().to_report();
    for part in &mut parts {
        part.report.policy = Some(policy.clone());
        part.report.duration_ms = 4000;
    }
    parts[1].started_at += jiff::SignedDuration::from_secs(3);
    let report = together(parts.clone());
    assert_eq!(report.duration.as_secs(), 7);
    assert!(report.policy.is_some());
    parts[1].report.policy = None;
    assert!(together(parts).policy.is_none());
}

#[test]
fn a_gate_that_broke_off_counts_as_what_it_says() {
    let mut broken = shard(2, 2, [0, 0, 0, 0], 10, 10);
    broken.report.outcomes.clear();
    broken.report.verdict = Verdict::Error;
    broken.report.reason = "no runtime".into();
    let report = together(vec![shard(1, 2, [10, 0, 0, 0], 10, 10), broken]);
    assert_eq!(report.verdict, Verdict::Error);
    assert!(report.reason.contains("no runtime"), "{}", report.reason);
}

#[test]
fn counts_that_cannot_be_true_are_refused() {
    let good = shard(1, 1, [10, 0, 0, 0], 10, 10).report;
    assert!(add::damaged(&good).is_none());
    let broken = |change: fn(&mut v1::MemberCounts)| {
        let mut report = good.clone();
        change(report.outcomes[0].members.as_mut().unwrap());
        add::damaged(&report).is_some()
    };
    assert!(broken(|it| it.passed = usize::MAX));
    assert!(broken(|it| it.failed = 1));
    assert!(broken(|it| it.all = 9));
    assert!(broken(|it| it.all = usize::MAX));
    assert!(broken(|it| it.all_required = 0));
}

proptest! {
    #[test]
    fn the_order_of_reports_does_not_matter(
        ends in proptest::collection::vec(proptest::array::uniform4(0_usize..5), 1..8),
        required in 1_usize..30,
        missing in proptest::option::of(0_usize..8),
        again in proptest::option::of(0_usize..8),
        strange in proptest::option::of(0_usize..8),
        turn in 0_usize..8,
    ) {
        let all: usize = ends.iter().flatten().sum();
        prop_assume!(required <= all);
        let count = u32::try_from(ends.len()).unwrap();
        let mut parts: Vec<_> = (1..).zip(&ends).map(|(n, ends)| shard(n, count, *ends, all, required)).collect();
        if let Some(part) = again.and_then(|n| parts.get(n).cloned()) {
            parts.push(Part { name: "again".into(), ..part });
        }
        if let Some(part) = strange.and_then(|n| parts.get_mut(n)) {
            part.report.release = Some("v0".into());
        }
        if let Some(n) = missing && n < parts.len() {
            parts.remove(n);
        }
        let told = together(parts.clone());
        let mut other = parts.clone();
        other.reverse();
        let length = other.len().max(1);
        other.rotate_left(turn % length);
        let again_told = together(other);
        prop_assert_eq!(told.verdict, again_told.verdict);
        prop_assert_eq!(&told.reason, &again_told.reason);
        if told.verdict == Verdict::Pass {
            let passed: usize = ends.iter().map(|ends| ends[0]).sum();
            prop_assert!(passed >= required && parts.len() == ends.len());
        }
    }
}
