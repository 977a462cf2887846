//! What is shown, without a terminal and without a clock.

use std::sync::LazyLock;
use std::time::Duration;

use cli::Board;
use config::file::Policy;
use config::value::{Portion, Span};
use gate::observer::{Measured, ProbeInfo, StandingEvent};
use gate::policy::{Assessor, Conclusion, Sample};
use jiff::Timestamp;
use model::{Redactor, Severity, Tally, Verdict};

use super::frame::frame;
use super::lines::Lines;
use super::row::Row;

const P: Option<u64> = Some(20);
const F: Option<u64> = None;

fn board() -> Board {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::new(["c4nary-token"]));
    Board::silent(REDACTOR.clone())
}

fn policy() -> Policy {
    Policy {
        failure_limit: Some(2),
        soak: Span::from_secs(900),
        soak_failure_limit: Portion::Count(1),
        ..Policy::default()
    }
}

/// A probe that has seen this, one measurement every two seconds: how long an answer took, or
/// `None` for a failure.
fn row(id: &str, seen: &[Option<u64>]) -> Row {
    row_and_news(id, seen).0
}

/// The same, and whether the last measurement was news.
fn row_and_news(id: &str, seen: &[Option<u64>]) -> (Row, bool) {
    build_row(&policy(), id, seen)
}

fn build_row(policy: &Policy, id: &str, seen: &[Option<u64>]) -> (Row, bool) {
    let board = board();
    let asked = ProbeInfo {
        id,
        subject: "x",
        severity: Severity::Required,
        policy,
        members: None,
    };
    let mut row = Row::new(&asked, &board);
    let mut assessor = Assessor::new(policy, Duration::ZERO);
    let mut news = false;
    for (n, ms) in (0_u32..).zip(seen) {
        let at = Duration::from_secs(2) * n;
        let verdict = if ms.is_some() {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        let reading = probe::Reading {
            verdict,
            value: Some("503".into()),
            expected: String::new(),
            actual: String::new(),
            reason: ms
                .is_none()
                .then(|| "status 503 \u{1b}[2J c4nary-token".into()),
            release: None,
            evidence: None,
            unanswered: None,
            outlook: probe::Outlook::Open,
            refused: false,
        };
        row.measured(
            &Measured {
                probe: 0,
                member: None,
                scheduled: at,
                started: at,
                took: Duration::from_millis(ms.unwrap_or_default()),
                at: Timestamp::UNIX_EPOCH,
                reading: &reading,
            },
            &board,
        );
        assessor.push(policy, Sample { at, verdict });
        news = match assessor.stands(policy, at) {
            Ok(conclusion) => row.concluded(&conclusion, &board),
            Err(standing) => row.stands(&StandingEvent {
                probe: 0,
                standing: &standing,
                missing: &standing.missing(policy, at),
                members: None,
                elapsed: at,
            }),
        };
    }
    (row, news)
}

#[test]
fn a_line_says_what_is_missing_and_how_long_there_is() {
    let at = Duration::from_secs(14);
    for (seen, outlook) in [
        (&[][..], "3 more in a row · 1m 46s left · 2 failures left"),
        (&[P], "2 more in a row · 1m 46s left · 2 failures left"),
        (
            &[P, F],
            "status 503 \u{fffd}[2J *** · 3 more in a row · 1m 46s left · 1 failure left",
        ),
        (
            &[F, F, P],
            "2 more in a row · 1m 46s left · no failure left",
        ),
        (&[P, P, P], "soaking, 14m 50s left · 1 failure left"),
        (
            &[F, F, F],
            "fail: status 503 \u{fffd}[2J ***: failed (3) > failure-limit (2)",
        ),
    ] {
        assert_eq!(row("http/a", seen).outlook(at), outlook, "{seen:?}");
    }
}

#[test]
fn a_failure_that_must_last_and_a_share_of_the_soak_are_told_too() {
    let at = Duration::from_secs(14);
    let lasting = Policy {
        failing_for: Some(Span::from_secs(120)),
        ..policy()
    };
    let outlook = |policy: &Policy, seen: &[_]| build_row(policy, "http/a", seen).0.outlook(at);
    assert_eq!(
        outlook(&lasting, &[P, F]),
        "status 503 \u{fffd}[2J *** · 3 more in a row · 1m 46s left · failing for 12s of 2m"
    );
    assert_eq!(outlook(&lasting, &[P]), "2 more in a row · 1m 46s left");
    let share = Policy {
        soak_failure_limit: Portion::Percent(1.0),
        ..policy()
    };
    assert_eq!(
        outlook(&share, &[P, P, P, F, P]),
        "soaking, 14m 50s left · 3 failures left"
    );
}

#[test]
fn eighty_columns_hold_the_reason_and_what_is_missing() {
    let long = row(&format!("http/{}/health", "x".repeat(40)), &[P, F]);
    let lines = frame(&[long], Duration::from_secs(1), 80, 24);
    assert!(
        lines[1].contains("  status 503 \u{fffd}[2J *** · 3 more"),
        "{lines:#?}"
    );
}

#[test]
fn a_sparkline_shows_latencies_and_marks_failures() {
    let seen = [Some(10), Some(800), F, Some(400), Some(0)];
    assert_eq!(row("http/a", &seen).sparkline(), "▁█✗▄▁");
    let many = vec![Some(5); 100];
    assert_eq!(row("http/a", &many).sparkline().chars().count(), 24);
}

#[test]
fn a_screen_holds_the_worst_first_and_no_more_than_fits() {
    let mut rows: Vec<Row> = (0..100).map(|n| row(&format!("http/{n}"), &[P])).collect();
    rows.push(row("http/bad", &[P, F]));
    rows.push(row("http/worst", &[F, F, F]));
    let lines = frame(&rows, Duration::from_secs(75), 100, 6);
    insta::assert_snapshot!(lines.join("\n"), @r"
    healthgate  1m 15s  101 open, 1 fail
    ✗ http/worst  ✗✗✗               fail: status 503 �[2J ***: failed (3) > failure-limit (2)
    ✗ http/bad    ▂✗                status 503 �[2J *** · 3 more in a row · 45s left · 1 failure left
    · http/0      ▂                 2 more in a row · 45s left · 2 failures left
    … 99 more: 99 open
    ");
    for (width, height) in [(0, 0), (1, 1), (2, 2), (12, 3), (40, 24), (80, 300)] {
        let lines = frame(&rows, Duration::from_secs(75), width, height);
        assert!(lines.len() < height.max(2), "{width}x{height}: {lines:#?}");
        let widest = lines.iter().map(|line| cli::columns(line)).max();
        assert!(widest < Some(width.max(1)), "{width}x{height}: {lines:#?}");
    }
}

#[test]
fn hostile_ids_are_clean_and_wide_ones_do_not_push_the_columns() {
    let rows = [
        row("http/\u{1b}[31m\n::error::x\u{202e}", &[P]),
        row("http/名前の長い探針名前の長い探針", &[P]),
    ];
    let lines = frame(&rows, Duration::from_secs(1), 60, 20);
    let text = lines.join("\n");
    assert!(
        !text.contains(['\u{1b}', '\u{202e}']) && lines.len() == 3,
        "{text}"
    );
    let columns = lines[1..]
        .iter()
        .map(|line| line.find('▂').map(|at| cli::columns(&line[..at])));
    let columns: Vec<_> = columns.collect();
    assert!(columns[0].is_some() && columns[0] == columns[1], "{text}");
}

#[test]
fn a_long_name_keeps_both_ends() {
    let long = row(&format!("http/{}web-01", "x".repeat(80)), &[P]);
    let lines = frame(&[long], Duration::from_secs(1), 60, 20);
    assert!(
        lines[1].starts_with("· http/xxxxxx…xxxxweb-01  ▂"),
        "{lines:#?}"
    );
}

#[test]
fn a_line_is_written_when_the_state_changes_and_not_for_more_of_the_same() {
    for (seen, news) in [
        (&[P][..], true),
        (&[P, P], false),
        (&[P, P, P], true),
        (&[P, P, P, P], false),
        (&[P, F], true),
        (&[P, F, F], false),
        (&[P, F, P], true),
        (&[F, F, F], true),
    ] {
        assert_eq!(row_and_news("http/a", seen).1, news, "{seen:?}");
    }
    let line = Lines::default().change(&row("http/a", &[P, F]), Duration::from_millis(2100));
    let expected = "+2.1s ✗ http/a: status 503 \u{fffd}[2J *** · 3 more in a row · 1m 57s left · 1 failure left";
    assert_eq!(line.as_deref(), Some(expected));
}

#[test]
fn a_watch_says_when_what_failed_is_well_again_and_when_it_is_not() {
    let (mut row, _) = row_and_news("http/a", &[F, F, F]);
    let measured = |row: &mut Row, verdict| {
        let reading = probe::Reading {
            verdict,
            value: Some("x".into()),
            expected: String::new(),
            actual: String::new(),
            reason: None,
            release: None,
            evidence: None,
            unanswered: None,
            outlook: probe::Outlook::Open,
            refused: false,
        };
        row.measured(
            &Measured {
                probe: 0,
                member: None,
                scheduled: Duration::ZERO,
                started: Duration::ZERO,
                took: Duration::ZERO,
                at: Timestamp::UNIX_EPOCH,
                reading: &reading,
            },
            &board(),
        );
        let standing = gate::policy::ProbeProgress::default();
        let news = row.stands(&StandingEvent {
            probe: 0,
            standing: &standing,
            missing: &standing.missing(&policy(), Duration::ZERO),
            members: None,
            elapsed: Duration::ZERO,
        });
        (news, row.outlook(Duration::ZERO))
    };
    let failed = "fail: failed (3) > failure-limit (2)";
    assert_eq!(
        measured(&mut row, Verdict::Fail),
        (false, "fail: x: failed (3) > failure-limit (2)".to_owned())
    );
    assert_eq!(
        measured(&mut row, Verdict::Pass),
        (true, format!("{failed}, now pass"))
    );
    assert_eq!(
        measured(&mut row, Verdict::Pass),
        (false, format!("{failed}, now pass"))
    );
    assert_eq!(
        measured(&mut row, Verdict::Fail),
        (true, "fail: x: failed (3) > failure-limit (2)".to_owned())
    );
}

#[test]
fn thousands_of_changes_are_counted_and_each_half_minute_has_a_sign_of_life() {
    let rows: Vec<Row> = (0..5000)
        .map(|n| row(&format!("http/{n}"), &[P, F]))
        .collect();
    let mut lines = Lines::default();
    let at = Duration::from_secs;
    let said = rows
        .iter()
        .filter_map(|row| lines.change(row, at(3)))
        .count();
    assert_eq!(said, 10);
    assert_eq!(
        lines.tick(&rows, at(4)),
        ["+4.0s … 4990 more changes; healthgate  4s  5000 open"]
    );
    assert!(lines.tick(&rows, at(29)).is_empty());
    let beat = lines.tick(&rows, at(30));
    assert_eq!(beat.len(), 2);
    assert_eq!(beat[0], "healthgate  30s  5000 open");
    assert!(beat[1].starts_with("  ✗ http/"), "{beat:?}");
    assert!(lines.tick(&rows, at(59)).is_empty());
    assert_eq!(lines.tick(&rows, at(95)).len(), 2);
}

#[test]
fn a_group_says_how_many_of_its_members_passed() {
    let mut one = row("http/fleet", &[P]);
    let standing = gate::policy::ProbeProgress::default();
    let members = Tally {
        total: 5000,
        required: 4750,
        passed: 4700,
        failed: 12,
        ..Tally::default()
    };
    one.stands(&StandingEvent {
        probe: 0,
        standing: &standing,
        missing: &standing.missing(&policy(), Duration::ZERO),
        members: Some(&members),
        elapsed: Duration::ZERO,
    });
    assert_eq!(
        one.outlook(Duration::from_secs(60)),
        "4700 of 5000 passed, 4750 wanted, 12 failed · 1m left"
    );
    let end = Conclusion {
        verdict: Verdict::Pass,
        reason: "x".into(),
    };
    assert!(one.concluded(&end, &board()) && one.outlook(Duration::ZERO) == "pass");
}
