//! Two hundred deployments, and what each of them adds to each figure, written by hand.

use jiff::{SignedDuration, Timestamp};
use measures::{Deployment, Kind, Measures, Tally, Value};

use crate::support::{deployment, november};

/// What is known of a deployment, and after `|` what it adds. `-` or nothing: it is in no such
/// figure; `?`: it is counted as unknown there. Times are in milliseconds.
const DEPLOYMENTS: [&str; 40] = [
    // Quiet ones.
    "succeeded committed=-1h ended=4m rework=no errors=0/1000 | good lead=3840000 took=240000 rework=no rollback=no errors=0/1000",
    "succeeded committed=-2h ended=3m rework=no errors=0/2000 | good lead=7380000 took=180000 rework=no rollback=no errors=0/2000",
    "succeeded committed=-30m ended=5m30s rework=no errors=0/500 | good lead=2130000 took=330000 rework=no rollback=no errors=0/500",
    "succeeded committed=-26h ended=6m rework=no errors=0/1 | good lead=93960000 took=360000 rework=no rollback=no errors=0/1",
    "succeeded committed=-10m ended=2m250ms rework=no errors=0/9000 | good lead=720250 took=120250 rework=no rollback=no errors=0/9000",
    "succeeded committed=-90m ended=7m rework=no errors=0/100 | good lead=5820000 took=420000 rework=no rollback=no errors=0/100",
    "succeeded committed=-3h ended=8m rework=no errors=0/100 | good lead=11280000 took=480000 rework=no rollback=no errors=0/100",
    "succeeded committed=-4h ended=9m rework=no errors=0/100 | good lead=14940000 took=540000 rework=no rollback=no errors=0/100",
    "succeeded committed=-5h ended=10m rework=no errors=0/100 | good lead=18600000 took=600000 rework=no rollback=no errors=0/100",
    "succeeded committed=-6h ended=1m rework=no errors=0/100 | good lead=21660000 took=60000 rework=no rollback=no errors=0/100",
    "succeeded committed=-7h ended=1m1ms rework=no errors=0/100 | good lead=25260001 took=60001 rework=no rollback=no errors=0/100",
    "succeeded committed=-48h ended=12m rework=no errors=0/100 | good lead=173520000 took=720000 rework=no rollback=no errors=0/100",
    "succeeded committed=-1m ended=59s rework=no errors=0/100 | good lead=119000 took=59000 rework=no rollback=no errors=0/100",
    "succeeded committed=-15m ended=4m rework=no errors=0/0 | good lead=1140000 took=240000 rework=no rollback=no errors=0/0",
    // Slow ones, and ones that left errors behind.
    "succeeded committed=-8h ended=31m rework=no errors=3/1000 | good lead=30660000 took=1860000 rework=no rollback=no errors=3/1000",
    "succeeded committed=-9h ended=45m rework=no errors=1/400 | good lead=35100000 took=2700000 rework=no rollback=no errors=1/400",
    // Made because of an incident: a fix forward, and what follows a rollback.
    "succeeded committed=-20m ended=3m rework=yes errors=0/300 | good lead=1380000 took=180000 rework=yes rollback=no errors=0/300",
    "succeeded committed=-40m ended=4m rework=yes errors=0/300 | good lead=2640000 took=240000 rework=yes rollback=no errors=0/300",
    // Of which something is not known.
    "succeeded ended=4m rework=no errors=0/50 | good lead=? took=240000 rework=no rollback=no errors=0/50",
    "succeeded committed=-1h rework=no errors=0/50 | good lead=? took=? rework=no rollback=no errors=0/50",
    "succeeded committed=-1h ended=4m errors=0/50 | good lead=3840000 took=240000 rework=? rollback=no errors=0/50",
    "succeeded committed=-1h ended=4m rework=no | good lead=3840000 took=240000 rework=no rollback=no errors=?",
    "succeeded | good lead=? took=? rework=? rollback=no errors=?",
    // Clocks that differ: committed after it was in production, ended before it started.
    "succeeded committed=5m ended=4m rework=no errors=0/50 | good lead=? took=240000 rework=no rollback=no errors=0/50",
    "succeeded committed=-1h ended=-1m rework=no errors=0/50 | good lead=3540000 took=? rework=no rollback=no errors=0/50",
    // Bad evidence and a restoration mean nothing for what did not fail.
    "succeeded committed=-1h ended=4m rework=no bad=1m restored=2m errors=0/50 | good lead=3840000 took=240000 rework=no rollback=no errors=0/50",
    // Rolled back: bad, and in production no longer. The second was put back in between: three rollbacks.
    "rolled-back committed=-1h ended=9m rework=no bad=5m restored=8m rollback=6m..8m:restored errors=40/900 | bad took=540000 recovery=180000 rework=no rollback=yes rollback-time=120000 errors=40/900",
    "rolled-back committed=-1h ended=20m rework=no bad=3m restored=19m earlier=1m..2m:restored earlier=2m30s..3m:restored rollback=4m..19m:restored errors=700/5000 | bad took=1200000 recovery=960000 rework=no rollback=yes rollback-time=900000 rollback-time=60000 rollback-time=30000 errors=700/5000",
    "rolled-back committed=-1h ended=5m rework=yes bad=2m restored=2m500ms rollback=2m..2m500ms:restored errors=2/10 | bad took=300000 recovery=500 rework=yes rollback=yes rollback-time=500 errors=2/10",
    "rolled-back | bad took=? recovery=? rework=? rollback=yes rollback-time=? errors=?",
    // Failed: fixed forward, not restored yet, its rollback failed or is not over.
    "failed committed=-1h ended=10m rework=no bad=9m restored=2h9m errors=90/100 | bad took=600000 recovery=7200000 rework=no rollback=no errors=90/100",
    "failed ended=6m rework=no bad=5m errors=90/100 | bad took=360000 recovery=? rework=no rollback=no errors=90/100",
    "failed ended=6m rework=no bad=1m restored=50m rollback=2m..4m:failed errors=5/100 | bad took=360000 recovery=2940000 rework=no rollback=yes rollback-time=? errors=5/100",
    "failed ended=6m rework=no bad=1m rollback=2m..:? errors=5/100 | bad took=360000 recovery=? rework=no rollback=yes rollback-time=? errors=5/100",
    // Never in production: in no figure, whatever else is written.
    "refused ended=2s committed=-1h rework=yes errors=9/9 | refused",
    "refused | refused",
    "cancelled ended=1m committed=-1h rework=no | cancelled",
    "running committed=-1h rework=yes | running",
    // Never decided: unknown wherever it would count, if it had been.
    "undecided committed=-1h ended=15m rework=no errors=0/10 | undecided ?",
    "undecided | undecided ?",
];

/// Each of them so many times.
const TIMES: usize = 5;

/// What all deployments add to one figure.
#[derive(Default)]
struct Added {
    times: Vec<u64>,
    part: u64,
    counted: u64,
    unknown: u64,
    errors: (u64, u64),
}

impl Added {
    fn time(&mut self, word: Option<&str>) {
        match word {
            None | Some("-") => {}
            Some("?") => self.unknown += 1,
            Some(millis) => {
                self.times.push(millis.parse().unwrap());
                self.counted += 1;
            }
        }
    }

    fn yes_or_no(&mut self, word: Option<&str>) {
        match word {
            None => {}
            Some("?") => self.unknown += 1,
            Some(word) => {
                self.part += u64::from(word == "yes");
                self.counted += 1;
            }
        }
    }

    fn requests(&mut self, word: Option<&str>) {
        match word {
            None => {}
            Some("?") => self.unknown += 1,
            Some(word) => {
                let (failed, total) = word.split_once('/').unwrap();
                self.errors.0 += failed.parse::<u64>().unwrap();
                self.errors.1 += total.parse::<u64>().unwrap();
                self.counted += 1;
            }
        }
    }

    /// In the middle of the longest of the shorter half and the shortest of the longer one, rounded half up.
    fn median(&self) -> u64 {
        let above = |limit: u64| self.times.iter().filter(|time| **time > limit).count();
        let upper = self
            .times
            .iter()
            .copied()
            .filter(|time| above(*time) * 2 < self.times.len())
            .min()
            .unwrap();
        (self.percentile(50) + upper).div_ceil(2)
    }

    /// The shortest that is not shorter than so many percent: by its definition, without sorting.
    fn percentile(&self, percent: usize) -> u64 {
        let covers = |limit: u64| {
            let within = self.times.iter().filter(|time| **time <= limit).count();
            within * 100 >= percent * self.times.len()
        };
        self.times
            .iter()
            .copied()
            .filter(|time| covers(*time))
            .min()
            .unwrap()
    }
}

fn history() -> Vec<Deployment> {
    let mut made = Vec::new();
    for round in 0..TIMES {
        for (at, row) in DEPLOYMENTS.iter().enumerate() {
            let (words, _) = row.split_once(" | ").unwrap();
            // Not in the order of the table.
            let minute = i64::try_from((at * 17 + round * 97) % 200 * 200).unwrap();
            let started = november().from + SignedDuration::from_mins(minute);
            made.push(deployment(words, started));
        }
    }
    made
}

/// What all rows add.
#[derive(Default)]
struct Truth {
    tally: Tally,
    lead: Added,
    took: Added,
    recovery: Added,
    rollback_time: Added,
    rework: Added,
    rollback: Added,
    errors: Added,
}

impl Truth {
    fn add(&mut self, row: &str) {
        let (input, added) = row.split_once(" | ").unwrap();
        let words = |key: &str| -> Vec<&str> {
            let words = added.split(' ').filter_map(|word| word.split_once('='));
            let of_key = words.filter(|(name, _)| *name == key);
            of_key.map(|(_, value)| value).collect()
        };
        let word = |key: &str| words(key).first().copied();
        let tally = &mut self.tally;
        tally.started += 1;
        let times = words("rollback-time");
        tally.rollbacks += times.len() as u64;
        *match added.split(' ').next().unwrap() {
            "good" => &mut tally.succeeded,
            "bad" if input.starts_with("rolled-back") => &mut tally.rolled_back,
            "bad" => &mut tally.failed,
            "refused" => &mut tally.refused,
            "cancelled" => &mut tally.cancelled,
            "running" => &mut tally.running,
            "undecided" => &mut tally.undecided,
            other => panic!("{other}"),
        } += 1;
        self.lead.time(word("lead"));
        self.took.time(word("took"));
        self.recovery.time(word("recovery"));
        for time in times {
            self.rollback_time.time(Some(time));
        }
        if added == "undecided ?" {
            for figure in [
                &mut self.lead,
                &mut self.took,
                &mut self.recovery,
                &mut self.rollback_time,
                &mut self.rework,
                &mut self.rollback,
                &mut self.errors,
            ] {
                figure.unknown += 1;
            }
        }
        self.rework.yes_or_no(word("rework"));
        self.rollback.yes_or_no(word("rollback"));
        self.errors.requests(word("errors"));
    }

    fn whole() -> Truth {
        let mut truth = Truth::default();
        for row in DEPLOYMENTS.iter().cycle().take(DEPLOYMENTS.len() * TIMES) {
            truth.add(row);
        }
        truth
    }
}

fn measured() -> Measures {
    let history = history();
    assert_eq!(history.len(), 200);
    Measures::of(&history, &[], november())
}

#[test]
fn two_hundred_durations_are_what_is_written_by_hand() {
    let (truth, measures) = (Truth::whole(), measured());
    assert_eq!(measures.tally, truth.tally);
    for (kind, added) in [
        (Kind::ChangeLeadTime, &truth.lead),
        (Kind::DeploymentDuration, &truth.took),
        (Kind::FailedDeploymentRecoveryTime, &truth.recovery),
        (Kind::RollbackTime, &truth.rollback_time),
    ] {
        let figure = measures.figure(kind).unwrap();
        assert_eq!(
            (figure.counted, figure.unknown),
            (added.counted, added.unknown),
            "{kind:?}"
        );
        let Some(Value::Times(times)) = figure.value else {
            panic!("{figure:?}")
        };
        let told = [times.median, times.p90, times.longest, times.mean()];
        let mean = (2 * added.times.iter().sum::<u64>() + added.counted) / (2 * added.counted);
        let longest = *added.times.iter().max().unwrap();
        assert_eq!(
            told.map(|time| u64::try_from(time.as_millis()).unwrap()),
            [added.median(), added.percentile(90), longest, mean],
            "{kind:?}"
        );
    }
}

#[test]
fn two_hundred_outcomes_are_what_is_written_by_hand() {
    let (truth, measures) = (Truth::whole(), measured());
    let Tally {
        succeeded,
        failed,
        rolled_back,
        undecided,
        ..
    } = truth.tally;
    let bad = failed + rolled_back;
    let decided = succeeded + bad;
    let (rollback, rework) = (&truth.rollback, &truth.rework);
    for (kind, part, counted, unknown) in [
        (Kind::SuccessRate, succeeded, decided, undecided),
        (Kind::ChangeFailRate, bad, decided, undecided),
        (
            Kind::RollbackRate,
            rollback.part,
            rollback.counted,
            rollback.unknown,
        ),
        (
            Kind::DeploymentReworkRate,
            rework.part,
            rework.counted,
            rework.unknown,
        ),
    ] {
        let figure = measures.figure(kind).unwrap();
        let Some(Value::Ratio(ratio)) = figure.value else {
            panic!("{figure:?}")
        };
        assert_eq!((ratio.part(), ratio.whole()), (part, counted), "{kind:?}");
        assert_eq!(
            (figure.counted, figure.unknown),
            (counted, unknown),
            "{kind:?}"
        );
    }
    let figure = measures.figure(Kind::PostDeploymentErrors).unwrap();
    let Some(Value::Errors(told)) = figure.value else {
        panic!("{figure:?}")
    };
    let errors = &truth.errors;
    assert_eq!((told.failed, told.total), errors.errors);
    assert_eq!(
        (figure.counted, figure.unknown),
        (errors.counted, errors.unknown)
    );
    let figure = measures.figure(Kind::DeploymentFrequency).unwrap();
    assert_eq!((figure.counted, figure.unknown), (succeeded, undecided));
}

/// The same figures as a person reads them; each number was worked out from the table above.
#[test]
fn two_hundred_deployments_as_a_table() {
    let incidents: Vec<_> = [
        ("2026-11-03T10:00:00Z", Some("2026-11-03T10:20:00Z")),
        ("2026-11-09T03:00:00Z", Some("2026-11-09T03:39:59.999Z")),
        ("2026-11-29T23:00:00Z", None),
        // Opened before the window, and after it.
        ("2026-10-31T23:59:59Z", Some("2026-11-05T00:00:00Z")),
        ("2026-12-01T00:00:00Z", Some("2026-12-01T00:01:00Z")),
    ]
    .map(|(opened, resolved)| crate::support::incident(opened, resolved, "critical"))
    .into();
    let table = Measures::of(&history(), &incidents, november()).table();
    insta::assert_snapshot!(table);
}

#[test]
fn a_window_has_its_beginning_and_not_its_end() {
    let started = |text: &str| deployment("succeeded", text.parse::<Timestamp>().unwrap());
    let history = [
        started("2026-10-31T23:59:59.999Z"),
        started("2026-11-01T00:00:00Z"),
        started("2026-11-30T23:59:59.999Z"),
        started("2026-12-01T00:00:00Z"),
    ];
    let measures = Measures::of(&history, &[], november());
    assert_eq!(measures.tally.started, 2);
    assert_eq!(measures.whole.tally.started, 4);
}
