//! A real Prometheus that scrapes two versions of a shop each second.

use std::time::Duration;

use feed::{IntervalCounts, PerSide, PrometheusMetric, PrometheusSource, Queries, Settings};
use judge::{Doubt, Reading, SideData};
use model::Env;
use prometheus::Client;
use testkit::{Load, Prometheus, Shop};

const TIMEOUT: Duration = Duration::from_secs(20);

fn both(query: &str) -> PerSide<String> {
    PerSide {
        canary: query.replace("{side}", "release=\"v2\""),
        stable: query.replace("{side}", "release=\"v1\""),
    }
}

fn source(server: &str, queries: Vec<Queries>) -> PrometheusSource {
    let client = Client::new(server, None, &Env::default()).unwrap();
    let settings = Settings {
        interval: Duration::from_secs(1),
        warm_up: Duration::ZERO,
        sides: both("{side}"),
    };
    let metrics = queries.into_iter().map(|queries| PrometheusMetric {
        name: "m".to_owned(),
        queries,
    });
    PrometheusSource::new(client, settings, metrics.collect()).unwrap()
}

fn ratio() -> Queries {
    Queries::Ratio {
        failed: both("http_requests_total{{side},status=~\"5..\"}"),
        total: both("http_requests_total{{side}}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Looks until `done`; all looks so far.
fn looks(
    source: &mut PrometheusSource,
    mut done: impl FnMut(&[IntervalCounts]) -> bool,
) -> Vec<IntervalCounts> {
    let runtime = runtime();
    let mut looks = Vec::new();
    for _ in 0..120 {
        let look = runtime
            .block_on(source.read_interval(true, TIMEOUT))
            .unwrap();
        looks.push(look);
        if done(&looks) {
            return looks;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("it did not come: {looks:?}");
}

fn total(looks: &[IntervalCounts]) -> (u64, u64) {
    let readings = looks
        .iter()
        .filter_map(|look| look.interval.metrics[0].reading.as_ref());
    readings.fold((0, 0), |(failed, total), reading| match reading {
        Reading::Ratio(sides) => {
            let counts = sides.canary.parts()[0];
            (failed + counts.failed(), total + counts.total())
        }
        other => panic!("{other:?}"),
    })
}

/// What a service counted while nothing was extrapolated: to the last request.
#[test]
fn all_requests_are_counted_and_none_twice() {
    let (canary, stable) = (Shop::start("v2"), Shop::start("v1"));
    canary.fail_one_in(Some(10));
    let server = Prometheus::watching(&[
        (canary.address(), "release: v2".to_owned()),
        (stable.address(), "release: v1".to_owned()),
    ]);
    let histogram = Queries::Histogram {
        buckets: both("http_request_duration_seconds_bucket{{side}}"),
    };
    let mut source = source(&server.url(), vec![ratio(), histogram]);
    looks(&mut source, |looks| looks.len() == 1);
    let loads = [canary.port(), stable.port()].map(|port| Load::on(port, 200));
    let mut seen = looks(&mut source, |looks| total(looks).1 > 500);
    drop(loads);
    // What is under way ends, and is scraped.
    let mut count = canary.requests();
    seen.extend(looks(&mut source, |looks| {
        let now = canary.requests();
        let quiet = std::mem::replace(&mut count, now) == now;
        quiet && looks.len() > 8
    }));
    let (failed, all) = total(&seen);
    assert_eq!((failed, all), (canary.failures(), canary.requests()));
    let flaws: Vec<_> = seen.iter().flat_map(|look| look.flaws.concat()).collect();
    assert_eq!(flaws, []);
    let buckets = seen
        .iter()
        .rev()
        .find_map(|look| match &look.interval.metrics[1].reading {
            Some(Reading::Histogram(sides)) if sides.canary.parts()[0].total() > 0 => {
                Some(sides.canary.parts()[0].bounds().count())
            }
            _ => None,
        });
    assert_eq!(buckets, Some(11));
}

/// The counters of the canary begin anew in the middle.
#[test]
fn a_reset_in_the_middle_is_seen() {
    let (canary, stable) = (Shop::start("v2"), Shop::start("v1"));
    let server = Prometheus::watching(&[
        (canary.address(), "release: v2".to_owned()),
        (stable.address(), "release: v1".to_owned()),
    ]);
    let mut source = source(&server.url(), vec![ratio()]);
    let _loads = [canary.port(), stable.port()].map(|port| Load::on(port, 100));
    looks(&mut source, |looks| total(looks).1 > 200);
    canary.forget();
    let seen = looks(&mut source, |looks| {
        !looks[looks.len() - 1].flaws[0].is_empty()
    });
    let last = &seen[seen.len() - 1];
    let why = last.flaws[0][0].to_string();
    assert!(
        why.starts_with("reset: a counter of canary fell from"),
        "{why}"
    );
    assert!(last.interval.metrics[0].doubts.contains(&Doubt::Reset));
}

/// An instance whose scrapes fail, and what the reason then is.
#[test]
fn a_canary_that_is_not_scraped_gives_nothing_and_says_why() {
    let stable = Shop::start("v1");
    let gone = testkit::free_port();
    let server = Prometheus::watching(&[
        (format!("127.0.0.1:{gone}"), "release: v2".to_owned()),
        (stable.address(), "release: v1".to_owned()),
    ]);
    let _load = Load::on(stable.port(), 100);
    let mut of_nothing = source(&server.url(), vec![ratio()]);
    let seen = looks(&mut of_nothing, |looks| looks.len() == 4);
    assert!(
        seen.iter()
            .all(|look| look.interval.metrics[0].reading.is_none())
    );
    let why = seen[3].flaws[0][0].to_string();
    assert!(
        why.starts_with("canary is not scraped: no series fits"),
        "{why}"
    );
    assert!(why.contains("1 of 2 targets cannot be scraped"), "{why}");
    // It comes, and then goes.
    let canary = Shop::start_on("v2", gone);
    let _load = Load::on(gone, 100);
    let mut source = source(&server.url(), vec![ratio()]);
    looks(&mut source, |looks| total(looks).1 > 100);
    drop(canary);
    let seen = looks(&mut source, |looks| {
        !looks[looks.len() - 1].flaws[0].is_empty()
    });
    let why = seen[seen.len() - 1].flaws[0][0].to_string();
    assert!(
        why.starts_with("stale: the newest sample of canary is")
            || why.starts_with("scrape times differ"),
        "{why}"
    );
}

/// A rate, which a recording rule or an exporter may give instead of a counter, and the sides as
/// one whole where there is no instance.
#[test]
fn fractions_are_refused() {
    let text = |n: u32| {
        format!(
            "r{{release=\"v2\"}} {n}.5\nr{{release=\"v1\"}} {n}\nu{{release=\"v2\"}} {n}\nu{{release=\"v1\"}} {n}\n"
        )
    };
    let server = Prometheus::scraping(&text(1));
    let count = |name: &str| Queries::Count {
        events: both(&format!("{name}{{{{side}}}}")),
        total: None,
    };
    let mut source = source(&server.url(), vec![count("r"), count("u")]);
    looks(&mut source, |looks| looks.len() == 1);
    server.set(&text(7));
    let seen = looks(&mut source, |looks| {
        looks
            .iter()
            .any(|look| look.interval.metrics[1].reading.is_some())
    });
    assert!(
        seen.iter()
            .all(|look| look.interval.metrics[0].reading.is_none())
    );
    let why = seen[0].flaws[0][0].to_string();
    assert!(why.contains("is not a whole number"), "{why}");
    // Both have one instance, and the judge needs no halves of one.
    let reading = seen
        .iter()
        .find_map(|look| look.interval.metrics[1].reading.clone());
    let Some(Reading::Count(sides)) = reading else {
        panic!("{reading:?}");
    };
    assert!(
        matches!(sides.stable, SideData::Whole(events) if events.events() == 6),
        "{sides:?}"
    );
}
