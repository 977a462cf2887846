//! What the log of every store must do: no line is lost, doubled or torn.

use state::{Error, Lines, Log};

use crate::suite::WRITERS;
use crate::{Place, run};

/// How many lines each writer appends.
const EACH: usize = 6;

/// Every line, the oldest first.
async fn lines(log: &Log) -> Vec<String> {
    let files = log.read(None).await.unwrap();
    let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
    let lines = |file: &Lines| file.iter().map(|(_, line)| text(line)).collect::<Vec<_>>();
    files.iter().flat_map(lines).collect()
}

async fn append(log: &Log, line: &str) {
    let decide = |_: &[Lines]| Ok::<_, Error>(format!("{line}\n"));
    log.append(1, decide).await.unwrap();
}

pub(crate) async fn keeps_every_line(place: &dyn Place) {
    let log = place.store("log/it's/state.json").log();
    assert!(lines(&log).await.is_empty());
    append(&log, "1: $(touch pwned) `x` \"q\" \\n %s é\u{1f980}").await;
    append(&log, "2").await;
    log.append(1, |_| Ok::<_, Error>(String::new()))
        .await
        .unwrap();
    let other = place.store("log/it's/state.json").log();
    other
        .append(1, |_| Ok::<_, Error>("3\n4\n".to_owned()))
        .await
        .unwrap();
    let expected = [
        "1: $(touch pwned) `x` \"q\" \\n %s é\u{1f980}",
        "2",
        "3",
        "4",
    ];
    assert_eq!(lines(&log).await, expected);
    let seen = other
        .append(1, |files| {
            let last = files.last().and_then(|file| file.iter().last());
            assert_eq!(last, Some((4, &b"4"[..])), "{files:?}");
            Err::<String, Error>(Error::Lost { token: 7 })
        })
        .await;
    assert!(matches!(seen, Err(Error::Lost { token: 7 })));
    assert_eq!(lines(&log).await, expected, "nothing was written");
}

/// A kill leaves half a line at the end: it is not a line, and the next append takes its place.
pub(crate) async fn forgets_a_torn_line(place: &dyn Place) {
    let log = place.store("torn/state.json").log();
    append(&log, "first").await;
    let name = "torn/state.json.events/00000001.jsonl";
    place.put(name, b"first\nsec");
    assert_eq!(lines(&log).await, ["first"]);
    append(&log, "other").await;
    assert_eq!(place.raw(name).unwrap(), b"first\nother\n");
    place.put(name, b"");
    append(&log, "again").await;
    assert_eq!(lines(&log).await, ["again"]);
}

pub(crate) async fn goes_on_in_the_next_file(place: &dyn Place) {
    let log = place.store("long/state.json").log();
    let filler = "x".repeat(100 << 10);
    for number in 0..5 {
        append(&log, &format!("{number}{filler}")).await;
    }
    assert_eq!(lines(&log).await.len(), 5);
    let files = log.read(None).await.unwrap();
    let counts: Vec<usize> = files.iter().map(|file| file.iter().count()).collect();
    assert_eq!(counts, [3, 2]);
    let newest = log.read(Some(1)).await.unwrap();
    assert!(newest[0].place.ends_with("/00000002.jsonl"), "{newest:?}");
    let first = newest[0].iter().next().unwrap();
    assert!(first.0 == 1 && first.1.starts_with(b"3"));
}

/// Writers at once: each line is there once, those of a writer in their order, and what a writer saw when it
/// decided is what was there when its line was written.
pub(crate) fn loses_nothing_in_a_race(place: &dyn Place) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                run(async {
                    let log = place.store("race/state.json").log();
                    for number in 0..EACH {
                        let decide = |files: &[Lines]| {
                            let before: usize = files.iter().map(|file| file.iter().count()).sum();
                            Ok::<_, Error>(format!("{before} {writer} {number}\n"))
                        };
                        log.append(1, decide).await.unwrap();
                    }
                });
            });
        }
    });
    let found = run(lines(&place.store("race/state.json").log()));
    assert_eq!(found.len(), WRITERS * EACH, "{found:?}");
    let mut next = [0; WRITERS];
    for (at, line) in found.iter().enumerate() {
        let words: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        assert_eq!(words[0], at, "{found:?}");
        assert_eq!(words[2], next[words[1]], "{found:?}");
        next[words[1]] += 1;
    }
}
