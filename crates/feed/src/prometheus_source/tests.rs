//! Answers of a server, look by look, and what is counted of them.

use judge::{Counts, Sample, SideData, Sides};

use super::*;

const CANARY: &str = r#"requests{release="v2"}"#;
const STABLE: &str = r#"requests{release="v1"}"#;

/// A metric under watch, and the server's time.
struct Bench {
    metric: Watched,
    chosen_by: BTreeSet<String>,
    replica: Option<String>,
    looked: bool,
}

fn per_side(canary: &str, stable: &str) -> PerSide<String> {
    PerSide {
        canary: canary.to_owned(),
        stable: stable.to_owned(),
    }
}

fn failed(query: &str) -> String {
    query.replace('}', ",status=~\"5..\"}")
}

impl Bench {
    fn new(queries: Queries, warm_up: u64) -> Bench {
        let settings = Settings {
            interval: Duration::from_secs(30),
            warm_up: Duration::from_secs(warm_up),
            sides: per_side("release=\"v2\"", "release=\"v1\""),
        };
        let metric = PrometheusMetric {
            name: "m".to_owned(),
            queries,
        };
        Bench {
            metric: Watched::new(metric, &settings).unwrap_or_else(|why| panic!("{why}")),
            chosen_by: ["release".to_owned()].into(),
            replica: None,
            looked: false,
        }
    }

    fn ratio() -> Bench {
        Bench::new(
            Queries::Ratio {
                failed: per_side(&failed(CANARY), &failed(STABLE)),
                total: per_side(CANARY, STABLE),
            },
            0,
        )
    }

    /// What both sides answer at a time of the server: all series of the requests, as
    /// `instance status=value@time`.
    fn read_series(&mut self, now: f64, canary: &[&str], stable: &[&str]) -> (Sample, String) {
        let answers = PerSide {
            canary: answers("v2", canary),
            stable: answers("v1", stable),
        };
        self.read_answers(now, answers)
    }

    fn read_answers(&mut self, now: f64, answers: Answers) -> (Sample, String) {
        let at = At {
            from: now - if self.looked { 90.0 } else { 200.0 },
            now,
        };
        self.looked = true;
        let mut flaws = self
            .metric
            .count_answers(answers, at, &self.chosen_by, &mut self.replica);
        let reading = self.metric.take(&mut flaws);
        let sample = metric::sample(reading, &flaws);
        let flaws: Vec<String> = flaws.iter().map(DataDefect::to_string).collect();
        (sample, flaws.join("; "))
    }
}

/// `a 200=5@10,7@25` is a series of instance `a`.
fn series(release: &str, text: &str) -> RawSeries {
    let (instance, rest) = text.split_once(' ').unwrap_or_default();
    let (status, samples) = rest.split_once('=').unwrap_or_default();
    let labels = [
        ("__name__", "requests"),
        ("instance", instance),
        ("release", release),
        ("status", status),
    ];
    let samples = samples.split(',').filter_map(|sample| {
        let (value, at) = sample.split_once('@')?;
        Some((at.parse().ok()?, value.parse().ok()?))
    });
    RawSeries {
        labels: labels
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        samples: samples.collect(),
        histograms: Vec::new(),
    }
}

fn answers(release: &str, all: &[&str]) -> Vec<Raw> {
    let raw = |series: Vec<RawSeries>| Raw {
        series,
        warnings: Vec::new(),
    };
    let all: Vec<RawSeries> = all.iter().map(|text| series(release, text)).collect();
    let failed = all.iter().filter(|one| {
        let status = one.labels.get("status").map_or("", String::as_str);
        status.starts_with('5')
    });
    let failed = failed.cloned().collect();
    vec![raw(all), raw(failed)]
}

/// `failed/total` of each instance.
fn counted(sample: &Sample) -> String {
    let side = |side: &SideData<Counts>| {
        let parts = side.parts().iter();
        let parts: Vec<_> = parts
            .map(|part| format!("{}/{}", part.failed(), part.total()))
            .collect();
        parts.join(" ")
    };
    match &sample.reading {
        Some(judge::Reading::Ratio(Sides { canary, stable })) => {
            format!("{} against {}", side(canary), side(stable))
        }
        Some(other) => format!("{other:?}"),
        None => "nothing".to_owned(),
    }
}

const C0: &str = "c 200=100@85,100@100";
const S0: &str = "s 200=900@85,900@100";

#[test]
fn counts_are_differences_of_samples_series_by_series() {
    let mut bench = Bench::ratio();
    let (sample, flaws) = bench.read_series(101.0, &[C0], &[S0]);
    assert_eq!((counted(&sample).as_str(), flaws.as_str()), ("nothing", ""));
    // A series that appears at an instance that was there counts from zero.
    let (sample, flaws) = bench.read_series(
        131.0,
        &["c 200=100@100,140@115,150@130", "c 500=1@115,2@130"],
        &["s 200=900@100,1000@115,1100@130", "s 500=4@130"],
    );
    assert_eq!(counted(&sample), "2/52 against 4/204");
    assert_eq!(flaws, "");
}

#[test]
fn what_was_not_scraped_yet_counts_in_the_next_interval() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[C0], &[S0]);
    // Only stable was scraped.
    let (sample, _) = bench.read_series(
        131.0,
        &["c 200=100@100"],
        &["s 200=900@100,990@115,1000@130"],
    );
    assert_eq!(counted(&sample), "nothing");
    let (sample, flaws) = bench.read_series(
        161.0,
        &["c 200=100@100,130@145,140@160"],
        &["s 200=1000@130,1100@145,1200@160"],
    );
    assert_eq!(counted(&sample), "0/40 against 0/300");
    assert_eq!(flaws, "");
    // One that was scraped a moment later than the time that was asked for waits as well.
    let (sample, _) = bench.read_series(
        191.0,
        &["c 200=140@160,150@175,160@190,170@191.5"],
        &["s 200=1200@160,1300@190"],
    );
    assert_eq!(counted(&sample), "0/20 against 0/100");
}

#[test]
fn a_reset_counts_from_zero_and_is_told() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[C0], &[S0]);
    let (sample, flaws) = bench.read_series(
        131.0,
        &["c 200=100@100,120@115,7@130"],
        &["s 200=900@100,1000@130"],
    );
    assert_eq!(counted(&sample), "0/27 against 0/100");
    assert!(
        flaws.starts_with("reset: a counter of canary fell from 120 to 7"),
        "{flaws}"
    );
    assert!(sample.doubts.contains(&judge::Doubt::Reset));
}

#[test]
fn instances_come_and_go() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[C0], &[S0, "t 200=50@100"]);
    // `t` goes, `u` comes: its requests since its first sample count.
    let (sample, flaws) = bench.read_series(
        131.0,
        &["c 200=100@100,150@130"],
        &[
            "s 200=900@100,1000@130",
            "u 200=9005@115,9030@130",
            "u 500=3@130",
        ],
    );
    assert_eq!(counted(&sample), "0/50 against 0/100 3/28");
    assert_eq!(flaws, "");
}

#[test]
fn a_new_instance_is_counted_after_its_warm_up() {
    let queries = Bench::ratio().metric.queries;
    let mut bench = Bench::new(queries, 60);
    // The canary began within what is looked at, at 70; stable is older than that.
    let old = "s 200=0@-95,0@-80,0@-65,900@100";
    bench.read_series(101.0, &["c 200=10@70,20@85,30@100", "c 500=9@100"], &[old]);
    let (sample, _) = bench.read_series(
        131.0,
        &["c 200=30@100,40@115,50@130", "c 500=9@100,15@115,19@130"],
        &["s 200=900@100,950@115,1000@130"],
    );
    assert_eq!(counted(&sample), "nothing");
    // Stable was counted from 100 on, and the canary from 130.
    let (sample, flaws) = bench.read_series(
        161.0,
        &["c 200=50@130,60@145,70@160", "c 500=19@130,19@145,20@160"],
        &["s 200=1000@130,1050@145,1100@160"],
    );
    assert_eq!(counted(&sample), "nothing");
    assert_eq!(flaws, "");
    let (sample, flaws) = bench.read_series(
        191.0,
        &["c 200=70@160,80@175,90@190", "c 500=20@160,20@175,21@190"],
        &["s 200=1100@160,1150@175,1200@190"],
    );
    assert_eq!(counted(&sample), "1/21 against 0/100");
    assert_eq!(flaws, "");
}

#[test]
fn an_instance_that_restarts_in_place_warms_up_again() {
    let queries = Bench::ratio().metric.queries;
    let mut bench = Bench::new(queries, 60);
    let stable = |from: u32| {
        let count = |more: u32| 900 + 100 * ((from - 100) / 30 + more);
        format!("s 200={}@{from},{}@{}", count(0), count(1), from + 30)
    };
    bench.read_series(
        101.0,
        &["c 200=0@-95,0@-80,100@100", "c 500=0@-95,0@-80,1@100"],
        &["s 200=0@-95,0@-80,900@100"],
    );
    // What it served before it restarted counts.
    let (sample, flaws) = bench.read_series(
        131.0,
        &["c 200=100@100,120@115,7@130", "c 500=1@100,2@115,5@130"],
        &[&stable(100)],
    );
    assert_eq!(counted(&sample), "1/21 against 0/100");
    assert!(flaws.starts_with("reset: "), "{flaws}");
    let mut warming = |from: u32, requests: &str, failed: &str| {
        let canary = [format!("c 200={requests}"), format!("c 500={failed}")];
        let canary: Vec<&str> = canary.iter().map(String::as_str).collect();
        let now = f64::from(from) + 31.0;
        counted(&bench.read_series(now, &canary, &[&stable(from)]).0)
    };
    // It is slow to start, until 190.
    assert_eq!(warming(130, "7@130,20@160", "5@130,15@160"), "nothing");
    assert_eq!(warming(160, "20@160,40@190", "15@160,19@190"), "nothing");
    assert_eq!(warming(190, "40@190,60@220", "19@190,19@220"), "nothing");
    // From there on both sides count the same time.
    assert_eq!(
        warming(220, "60@220,80@250", "19@220,20@250"),
        "1/21 against 0/100"
    );
}

#[test]
fn both_sides_count_the_same_time() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[], &["s 200=900@100", "s 500=0@100"]);
    // An incident, while stable alone serves.
    let (sample, _) = bench.read_series(131.0, &[], &["s 200=1000@130", "s 500=900@130"]);
    assert_eq!(counted(&sample), "nothing");
    // The canary served for long before it was found: what it counts from is its first sample.
    let (sample, _) = bench.read_series(
        161.0,
        &["c 200=5000@145,5010@160", "c 500=700@145,702@160"],
        &["s 200=1100@145,1200@160", "s 500=900@145,900@160"],
    );
    assert_eq!(counted(&sample), "nothing");
    let (sample, _) = bench.read_series(
        191.0,
        &["c 200=5030@190", "c 500=704@190"],
        &["s 200=1300@175,1400@190", "s 500=901@175,902@190"],
    );
    assert_eq!(counted(&sample), "2/22 against 2/202");
    // Nothing of stable for longer than a gap, and then again.
    let (sample, _) = bench.read_series(
        491.0,
        &["c 200=5130@475,5140@490", "c 500=754@475,754@490"],
        &["s 200=1400@190"],
    );
    assert_eq!(counted(&sample), "nothing");
    let (sample, flaws) = bench.read_series(
        521.0,
        &["c 200=5150@505,5160@520", "c 500=754@505,754@520"],
        &["s 200=9000@505,9100@520", "s 500=980@505,981@520"],
    );
    assert_eq!(counted(&sample), "nothing", "{flaws}");
    let (sample, flaws) = bench.read_series(
        551.0,
        &["c 200=5180@550", "c 500=754@550"],
        &["s 200=9300@550", "s 500=982@550"],
    );
    assert_eq!(counted(&sample), "0/20 against 1/201");
    assert!(
        flaws.contains("gap: nothing of stable was scraped"),
        "{flaws}"
    );
    assert!(sample.doubts.contains(&judge::Doubt::Gap));
}

#[test]
fn an_instance_of_the_canary_that_goes_is_told_and_one_of_stable_may_go() {
    let mut bench = Bench::ratio();
    let stable = |at: u32, count: u32| format!("s 200={count}@{at}");
    bench.read_series(
        101.0,
        &[C0, "d 200=50@100", "gone 200=7@10"],
        &[S0, "t 200=50@100"],
    );
    let mut told = Vec::new();
    for nth in 1..8_u32 {
        let at = 100 + 30 * nth;
        let canary = format!("c 200={}@{at}", 100 + nth * 10);
        let stable = stable(at, 900 + nth * 100);
        let (sample, flaws) = bench.read_series(f64::from(at + 1), &[&canary], &[&stable]);
        assert_eq!(counted(&sample), "0/10 against 0/100");
        if !flaws.is_empty() {
            assert_eq!(sample.doubts, [judge::Doubt::Stale].into());
            told.push((at, flaws));
        }
    }
    let gone = "instance `d` of canary is not scraped any more: its newest sample is 90s older than the newest of all";
    assert_eq!(told, [(190, gone.to_owned())]);
}

#[test]
fn a_gap_takes_away_what_it_hides() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[C0], &[S0]);
    let (sample, flaws) = bench.read_series(
        401.0,
        &["c 200=100@100,900@385,910@400"],
        &["s 200=900@100,9000@385,9100@400"],
    );
    assert_eq!(counted(&sample), "0/10 against 0/100");
    assert!(
        flaws.contains("gap: nothing of canary was scraped for 285s"),
        "{flaws}"
    );
    assert!(sample.doubts.contains(&judge::Doubt::Gap));
}

#[test]
fn what_cannot_be_compared_is_told_and_not_counted() {
    let later = |canary: &[&str], stable: &[&str]| {
        let mut bench = Bench::ratio();
        bench.read_series(101.0, &[C0], &[S0]);
        let (sample, flaws) = bench.read_series(131.0, canary, stable);
        assert_eq!(counted(&sample), "nothing", "{flaws}");
        assert!(!sample.doubts.is_empty(), "{flaws}");
        flaws
    };
    let stable = ["s 200=900@100,1000@115,1100@130"];
    for (canary, why) in [
        (
            "c 200=100@100,104.5@130",
            "104.5 of `requests{release=\"v2\"}` is not a whole number",
        ),
        ("c 200=100@100,NaN@130", "the value NaN"),
        (
            "c 200=100@100,110@170",
            "clock skew: samples of canary are 39s ahead",
        ),
        ("c 200=-1@130", "the value -1"),
    ] {
        let flaws = later(&[canary], &stable);
        assert!(flaws.contains(why), "{canary}: {flaws}");
    }
    // The canary's scraper is a minute behind.
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &["c 200=100@25,100@40"], &[S0]);
    let (sample, flaws) = bench.read_series(131.0, &["c 200=100@40,110@55,110@70"], &stable);
    assert_eq!(counted(&sample), "nothing");
    assert!(flaws.contains("scrape times differ"), "{flaws}");
    assert!(flaws.contains("60s apart"), "{flaws}");
}

#[test]
fn labels_that_one_side_lacks_are_told() {
    // No status: failed requests could not be told.
    let mut bench = Bench::ratio();
    let (sample, flaws) = bench.read_series(131.0, &["c =100@115,110@130"], &[S0]);
    assert_eq!(counted(&sample), "nothing");
    assert!(
        flaws.contains("label sets differ: `status` is missing at canary"),
        "{flaws}"
    );
    assert!(
        flaws.contains("no series of canary has the label `status`"),
        "{flaws}"
    );
    // On both sides.
    let mut bench = Bench::ratio();
    let (_, flaws) = bench.read_series(131.0, &["c =100@115,110@130"], &["s =100@115,110@130"]);
    assert!(
        flaws.contains("no series of canary has the label `status`"),
        "{flaws}"
    );
    assert!(!flaws.contains("label sets"), "{flaws}");
}

#[test]
fn a_series_on_both_sides_and_a_target_of_two_jobs_are_refused() {
    let mut bench = Bench::ratio();
    let same = || answers("v1", &[S0]);
    let (sample, flaws) = bench.read_answers(
        101.0,
        PerSide {
            canary: same(),
            stable: same(),
        },
    );
    assert_eq!(counted(&sample), "nothing");
    assert!(
        flaws.contains("the same series is on both sides"),
        "{flaws}"
    );
    let twice = || {
        let mut twice = answers("v2", &[C0, C0]);
        for (job, one) in ["a", "b"].into_iter().zip(&mut twice[0].series) {
            one.labels.insert("job".to_owned(), job.to_owned());
        }
        twice
    };
    let mut bench = Bench::ratio();
    let (_, flaws) = bench.read_answers(
        101.0,
        PerSide {
            canary: twice(),
            stable: answers("v1", &[S0]),
        },
    );
    assert!(
        flaws.contains("two series where one is expected: instance `c`"),
        "{flaws}"
    );
}

#[test]
fn a_partial_answer_is_not_counted_and_the_next_whole_one_is() {
    let mut bench = Bench::ratio();
    bench.read_series(101.0, &[C0], &[S0]);
    let mut partial = answers("v2", &[]);
    partial[0]
        .warnings
        .push("a store did not answer".to_owned());
    let (sample, flaws) = bench.read_answers(
        131.0,
        PerSide {
            canary: partial,
            stable: answers("v1", &["s 200=900@100,1000@130"]),
        },
    );
    assert_eq!(counted(&sample), "nothing");
    assert_eq!(flaws, "partial data: a store did not answer");
    let (sample, _) = bench.read_series(
        161.0,
        &["c 200=100@100,110@130,120@160"],
        &["s 200=900@100,1000@130,1100@160"],
    );
    assert_eq!(counted(&sample), "0/20 against 0/200");
}

#[test]
fn buckets_are_counted_by_bound_and_native_histograms_at_powers_of_two() {
    let classic = |release: &str, le: &str, samples: &[(f64, f64)]| RawSeries {
        labels: [("instance", "x"), ("le", le), ("release", release)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        samples: samples.to_vec(),
        histograms: Vec::new(),
    };
    let native = |release: &str, samples: &[(f64, f64)]| RawSeries {
        labels: [("instance", "x"), ("release", release)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        samples: Vec::new(),
        histograms: samples
            .iter()
            .map(|(at, count)| {
                let histogram = prometheus::raw::Native {
                    count: *count,
                    buckets: vec![(0.25, 0.5, *count)],
                };
                (*at, histogram)
            })
            .collect(),
    };
    let queries = || Queries::Histogram {
        buckets: per_side(
            "seconds_bucket{release=\"v2\"}",
            "seconds_bucket{release=\"v1\"}",
        ),
    };
    let raw = |series| {
        vec![Raw {
            series,
            warnings: Vec::new(),
        }]
    };
    let mut bench = Bench::new(queries(), 0);
    for (now, count) in [(101.0, 100.0), (131.0, 150.0)] {
        let at = [(now - 16.0, count), (now - 1.0, count)];
        let all = |release: &str| {
            raw(vec![
                classic(release, "0.5", &at.map(|(at, count)| (at, count / 2.0))),
                classic(release, "+Inf", &at),
            ])
        };
        let (sample, flaws) = bench.read_answers(
            now,
            PerSide {
                canary: all("v2"),
                stable: all("v1"),
            },
        );
        assert_eq!(flaws, "");
        if now > 110.0 {
            let Some(judge::Reading::Histogram(sides)) = sample.reading else {
                panic!("{sample:?}");
            };
            assert_eq!(sides.canary.parts()[0].total(), 50);
            assert_eq!(sides.canary.parts()[0].above(0.5), Some(25));
        }
    }
    let mut bench = Bench::new(queries(), 0);
    for (now, count) in [(101.0, 100.0), (131.0, 150.0)] {
        let at = [(now - 16.0, count), (now - 1.0, count)];
        let (sample, flaws) = bench.read_answers(
            now,
            PerSide {
                canary: raw(vec![native("v2", &at)]),
                stable: raw(vec![native("v1", &at)]),
            },
        );
        assert_eq!(flaws, "");
        if now > 110.0 {
            let Some(judge::Reading::Histogram(sides)) = sample.reading else {
                panic!("{sample:?}");
            };
            assert_eq!(sides.stable.parts()[0].above(0.25), Some(50));
            assert_eq!(sides.stable.parts()[0].above(0.5), Some(0));
        }
    }
}

fn gauge(release: &str, instance: &str, samples: &[(f64, f64)]) -> RawSeries {
    RawSeries {
        labels: [("instance", instance), ("release", release)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        samples: samples.to_vec(),
        histograms: Vec::new(),
    }
}

fn raw(series: Vec<RawSeries>) -> Vec<Raw> {
    vec![Raw {
        series,
        warnings: Vec::new(),
    }]
}

fn gauges() -> Queries {
    Queries::Gauge {
        query: per_side("memory{release=\"v2\"}", "memory{release=\"v1\"}"),
    }
}

#[test]
fn a_gauge_is_read_once_of_each_scrape() {
    let mut bench = Bench::new(gauges(), 0);
    let mut look = |now: f64, canary: Vec<RawSeries>, stable: Vec<RawSeries>| {
        let (sample, flaws) = bench.read_answers(
            now,
            PerSide {
                canary: raw(canary),
                stable: raw(stable),
            },
        );
        let values = match sample.reading {
            Some(judge::Reading::Gauge { canary, stable }) => format!("{canary:?} {stable:?}"),
            _ => "nothing".to_owned(),
        };
        (values, flaws)
    };
    let stable = |at: f64| {
        vec![
            gauge("v1", "b", &[(at - 15.0, 2.0), (at, 3.0)]),
            gauge("v1", "a", &[(at, 1.0)]),
        ]
    };
    let canary = |at: f64, value: f64| vec![gauge("v2", "c", &[(at - 15.0, 4.0), (at, value)])];
    assert_eq!(
        look(101.0, canary(100.0, 5.0), stable(100.0)).0,
        "[5.0] [1.0, 3.0]"
    );
    // The same sample again is no new one.
    assert_eq!(look(131.0, canary(100.0, 5.0), stable(115.0)).0, "nothing");
    let (values, flaws) = look(161.0, canary(160.0, f64::NAN), stable(160.0));
    assert_eq!(values, "nothing");
    assert!(
        flaws.contains("is NaN at instance `c` of canary"),
        "{flaws}"
    );
    let twice = vec![
        gauge("v2", "c", &[(190.0, 5.0)]),
        gauge("v2", "c", &[(190.0, 5.0)]),
    ];
    let (values, flaws) = look(191.0, twice, stable(190.0));
    assert_eq!(values, "nothing");
    assert!(
        flaws.contains("two series where one is expected"),
        "{flaws}"
    );
}

#[test]
fn an_instance_of_the_canary_whose_gauge_goes_is_told_once_and_the_others_are_read() {
    let mut bench = Bench::new(gauges(), 0);
    let mut told = Vec::new();
    for nth in 0..8_u32 {
        let at = f64::from(100 + 30 * nth);
        let canary = if nth < 2 { vec!["c", "d"] } else { vec!["c"] };
        let stable = if nth < 3 { vec!["a", "b"] } else { vec!["a"] };
        let of = |release, instances: Vec<&str>| {
            let each = instances.into_iter();
            raw(each
                .map(|one| gauge(release, one, &[(at - 15.0, 2.0), (at, 3.0)]))
                .collect())
        };
        let both = PerSide {
            canary: of("v2", canary),
            stable: of("v1", stable),
        };
        let (sample, flaws) = bench.read_answers(at + 1.0, both);
        assert!(sample.reading.is_some(), "{flaws}");
        if !flaws.is_empty() {
            assert_eq!(sample.doubts, [judge::Doubt::Stale].into());
            told.push((nth, flaws));
        }
    }
    let gone = "instance `d` of canary is not scraped any more: its newest sample is 90s older than the newest of all";
    assert_eq!(told, [(4, gone.to_owned())]);
}

#[test]
fn what_is_no_selector_of_counters_is_refused() {
    let settings = Settings {
        interval: Duration::from_secs(30),
        warm_up: Duration::ZERO,
        sides: per_side("", ""),
    };
    let metric = PrometheusMetric {
        name: "errors".to_owned(),
        queries: Queries::Count {
            events: per_side("sum(increase(x[1m]))", "x"),
            total: None,
        },
    };
    let why = Watched::new(metric, &settings)
        .err()
        .map(|why| why.to_string());
    let why = why.unwrap_or_default();
    assert!(why.contains("not one selector of raw counters"), "{why}");
    assert!(why.contains("whole number"), "{why}");
}
