//! What every store must do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use model::Verdict;
use state::journal::{Intention, ROLLBACK};
use state::{Claim, Document, Error, Holder, Status};

use crate::{Place, claim, is_done, log, record, rollback, run};

/// Writers that race.
pub(crate) const WRITERS: usize = 8;

pub(crate) fn conforms(place: &dyn Place) {
    run(async {
        created_read_and_updated(place).await;
        names_are_no_code(place).await;
        the_version_before_is_kept(place).await;
        a_lost_lease_cannot_write(place).await;
        a_live_holder_is_never_robbed(place).await;
        a_stale_generation_is_made_anew(place).await;
        what_is_no_state_is_refused_and_left_untouched(place).await;
        a_journal_is_continued_by_whoever_finds_it(place).await;
        a_journal_that_another_continued_is_left_alone(place).await;
        log::keeps_every_line(place).await;
        log::forgets_a_torn_line(place).await;
        log::goes_on_in_the_next_file(place).await;
    });
}

async fn created_read_and_updated(place: &dyn Place) {
    let store = place.store("new/deep/state.json");
    assert_eq!(store.read().await.unwrap(), None);
    assert!(store.unfinished(ROLLBACK).await.unwrap().is_none());
    record(&store, "v1").await;
    let first = store.read().await.unwrap().unwrap();
    assert_eq!(
        (first.generation, first.current.as_deref()),
        (1, Some("v1"))
    );
    record(&store, "v2").await;
    let other = place.store("new/deep/state.json");
    let second = other.read().await.unwrap().unwrap();
    assert_eq!((second.generation, second.history.len()), (2, 2));
    let raw = place.raw("new/deep/state.json").unwrap();
    assert!(raw.ends_with(b"}\n"), "a person can read it with `cat`");
    assert_eq!(serde_json::from_slice::<Document>(&raw).unwrap(), second);
}

async fn names_are_no_code(place: &dyn Place) {
    let name = "it's $(touch pwned) `x` \"q\" & ; * é/-rf -n \\state.json";
    let store = place.store(name);
    let release = "v1 '$(touch pwned)' \\n \"x\" `y` %s é\u{1f980}";
    record(&store, release).await;
    let mut journal = store
        .begin_journal(rollback(release, "-n", 1))
        .await
        .unwrap();
    journal
        .intent(release, Some("a\nb\0c %s \\".into()))
        .await
        .unwrap();
    let document = store.read().await.unwrap().unwrap();
    assert_eq!(document.current.as_deref(), Some(release));
    let found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
    assert_eq!(found.before(release), Some("a\nb\0c %s \\"));
    assert!(place.raw(name).is_some());
}

async fn the_version_before_is_kept(place: &dyn Place) {
    let store = place.store("backup/state.json");
    for release in ["v1", "v2", "v3"] {
        record(&store, release).await;
    }
    let backup: Document =
        serde_json::from_slice(&place.raw("backup/state.json.bak").unwrap()).unwrap();
    assert_eq!(backup.current.as_deref(), Some("v2"));
    assert_eq!(backup.generation, 2);
}

async fn a_lost_lease_cannot_write(place: &dyn Place) {
    let store = place.store("lost/state.json");
    let expired = Claim {
        ttl: Duration::ZERO,
        ..claim("first")
    };
    let (first, ()) = store.acquire(&expired, |_, _| ()).await.unwrap();
    let other = place.store("lost/state.json");
    let (second, ()) = other.acquire(&claim("second"), |_, _| ()).await.unwrap();
    assert!(second.token > first.token, "a take-over has a higher token");
    let before = place.raw("lost/state.json");
    assert!(matches!(
        store.renew(&first, Duration::from_secs(60)).await,
        Err(Error::Lost { .. })
    ));
    let lost = store.release(&first, |document| document.current = Some("x".into()));
    assert!(matches!(lost.await, Err(Error::Lost { .. })));
    assert_eq!(place.raw("lost/state.json"), before, "nothing was written");
    other.release(&second, |_| ()).await.unwrap();
    let (third, ()) = store.acquire(&claim("third"), |_, _| ()).await.unwrap();
    assert!(third.token > second.token, "tokens grow across a release");
}

async fn a_live_holder_is_never_robbed(place: &dyn Place) {
    let store = place.store("held/state.json");
    store.acquire(&claim("alive"), |_, _| ()).await.unwrap();
    let error = store.acquire(&claim("other"), |_, _| ()).await.unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
    for (what, holder, free) in [
        (
            "elsewhere",
            Holder {
                host: "other".into(),
                started: 1,
                ..here()
            },
            false,
        ),
        (
            "dead",
            Holder {
                started: 1,
                ..here()
            },
            true,
        ),
        (
            "booted since, or another machine of this name",
            Holder {
                boot_id: "before".into(),
                ..here()
            },
            !place.is_shared(),
        ),
    ] {
        let set = |document: &mut Document| {
            if let Some(lock) = &mut document.lock {
                lock.holder = holder.clone();
            }
            Ok(())
        };
        store.update(None, set).await.unwrap();
        let taken = store.acquire(&claim("other"), |_, _| ()).await;
        assert_eq!(taken.is_ok(), free, "{what}");
    }
    // `gone` is the token of the lock whose holder was found to be gone.
    let held = store.read().await.unwrap().unwrap().lock.unwrap();
    for (gone, free) in [(held.token - 1, false), (held.token, true)] {
        let claim = Claim {
            gone: Some(gone),
            ..claim("asked")
        };
        assert_eq!(store.acquire(&claim, |_, _| ()).await.is_ok(), free);
    }
}

fn here() -> Holder {
    Holder::this_process(None, None)
}

async fn a_stale_generation_is_made_anew(place: &dyn Place) {
    let store = place.store("stale/state.json");
    record(&store, "v1").await;
    let other = place.store("stale/state.json");
    let mut seen = Vec::new();
    store
        .update(None, |document| {
            seen.push(document.generation);
            if seen.len() == 1 {
                // Another writes between our reading and our writing.
                std::thread::scope(|scope| {
                    scope.spawn(|| run(record(&place.store("stale/state.json"), "v2")));
                });
            }
            document.deployed("v3", Status::Pending, jiff::Timestamp::now(), None);
            Ok(())
        })
        .await
        .unwrap();
    assert_eq!(seen, [1, 2], "what was read first is not written over");
    let document = other.read().await.unwrap().unwrap();
    let releases: Vec<_> = document
        .history
        .iter()
        .map(|entry| &entry.release)
        .collect();
    assert_eq!(releases, ["v3", "v2", "v1"]);
}

async fn what_is_no_state_is_refused_and_left_untouched(place: &dyn Place) {
    let store = place.store("damaged/state.json");
    record(&store, "v1").await;
    record(&store, "v2").await;
    let good = place.raw("damaged/state.json").unwrap();
    let huge = format!("{{\"schema\":\"{}\"}}", "x".repeat(5 << 20));
    let counted = String::from_utf8(good.clone()).unwrap();
    let counted = counted.replace("\"generation\": 2", "\"generation\": 18446744073709551615");
    let nested = "[".repeat(100_000);
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    for (damage, expected) in [
        (b"".as_slice(), "it is empty"),
        (b"\n \n", "it is empty"),
        (b"\0\0\0\0", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (&cut, "not JSON"),
        (nested.as_bytes(), "not JSON"),
        (b"[]", "it is not a state file"),
        (b"{\"schema\":\"terraform\"}", "it is not a state file"),
        (
            b"{\"schema\":\"deploy-guard/state/v2\"}",
            "this release reads",
        ),
        (b"{\"schema\":\"deploy-guard/state/v1\"}", "missing field"),
        (counted.as_bytes(), "more than any counter reaches"),
        (huge.as_bytes(), "larger than"),
    ] {
        place.put("damaged/state.json", damage);
        let error = store.read().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().contains("state.json.bak"), "{}", error.hint());
        assert!(store.update(None, |_| Ok(())).await.is_err());
        assert!(store.acquire(&claim("x"), |_, _| ()).await.is_err());
        assert!(place.raw("damaged/state.json").as_deref() == Some(damage));
    }
    place.put("damaged/state.json", &good);
    assert_eq!(store.read().await.unwrap().unwrap().generation, 2);
}

async fn a_journal_is_continued_by_whoever_finds_it(place: &dyn Place) {
    let store = place.store("journal/state.json");
    let mut journal = store.begin_journal(rollback("v1", "v2", 7)).await.unwrap();
    journal
        .intent("switch", Some("before".into()))
        .await
        .unwrap();
    journal.failed("switch", "no").await.unwrap();
    drop(journal);
    // On another runner.
    let other = place.store("journal/state.json");
    let mut found = other.unfinished(ROLLBACK).await.unwrap().unwrap();
    assert_eq!(found.plan(), Some(("v1", Some("v2"))));
    assert_eq!(found.before("switch"), Some("before"));
    assert!(!is_done(&found, "switch"));
    found.done("switch").await.unwrap();
    found.end(Verdict::Pass).await.unwrap();
    assert!(
        found
            .place()
            .ends_with("journal/state.json.journals/00000001.jsonl")
    );
    assert!(store.unfinished(ROLLBACK).await.unwrap().is_none());
    let raw = place
        .raw("journal/state.json.journals/00000001.jsonl")
        .unwrap();
    assert_eq!(String::from_utf8(raw).unwrap().lines().count(), 5);
    let second = store
        .begin_journal(Intention::new(ROLLBACK, "v0", 1))
        .await
        .unwrap();
    assert!(second.place().ends_with("00000002.jsonl"));
    assert_eq!(
        other.unfinished(ROLLBACK).await.unwrap().unwrap().plan(),
        Some(("v0", None))
    );
}

async fn a_journal_that_another_continued_is_left_alone(place: &dyn Place) {
    let store = place.store("forked/state.json");
    let mut ours = store.begin_journal(rollback("v1", "v2", 7)).await.unwrap();
    let mut theirs = store.unfinished(ROLLBACK).await.unwrap().unwrap();
    theirs.intent("switch", None).await.unwrap();
    let error = ours.intent("switch", None).await.unwrap_err();
    assert!(
        error.to_string().contains("another writer was first"),
        "{error}"
    );
    theirs.done("switch").await.unwrap();
    let found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
    assert_eq!(found.lines().len(), 3);
}

/// Eight writers at once, each with a connection of its own: of those who want the lease one gets
/// it, no update is lost, and every reader sees a whole document.
pub(crate) fn races(place: &dyn Place, rounds: usize) {
    let (start, end) = (Barrier::new(WRITERS), Barrier::new(WRITERS));
    let winners = AtomicUsize::new(0);
    let over = AtomicBool::new(false);
    let wrongs = Mutex::new(Vec::new());
    log::loses_nothing_in_a_race(place);
    run(record(&place.store("race/state.json"), "v0"));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (start, end, winners, wrongs) = (&start, &end, &winners, &wrongs);
            let wrong = |what: String| wrongs.lock().unwrap().push(what);
            scope.spawn(move || {
                run(async {
                    let store = place.store("race/state.json");
                    for round in 0..rounds {
                        start.wait();
                        let claim = claim("race");
                        let taken = store.acquire(&claim, |_, _| ()).await;
                        match &taken {
                            Ok(_) => drop(winners.fetch_add(1, Ordering::SeqCst)),
                            Err(Error::Held { .. }) => {}
                            Err(error) => wrong(format!("{writer}, round {round}: {error}")),
                        }
                        end.wait();
                        // All of them see it, so that no writer waits for another in vain.
                        if winners.load(Ordering::SeqCst) != round + 1
                            || !wrongs.lock().unwrap().is_empty()
                        {
                            wrong(format!("round {round}: {winners:?} won so far"));
                            return;
                        }
                        if let Ok((lease, ())) = taken
                            && let Err(error) = store.release(&lease, |_| ()).await
                        {
                            wrong(format!("{writer}, round {round}: {error}"));
                        }
                    }
                    start.wait();
                    for n in 0..3 {
                        record(&store, &format!("v{writer}.{n}")).await;
                    }
                });
            });
        }
        let (over, wrongs) = (&over, &wrongs);
        let reader = scope.spawn(move || {
            let mut newest = 0;
            while !over.load(Ordering::SeqCst) {
                let raw = place.raw("race/state.json").unwrap();
                let document: Document = serde_json::from_slice(&raw).expect("a whole document");
                assert!(document.generation >= newest, "it never goes back");
                newest = document.generation;
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        scope.spawn(move || {
            let all = 1 + 2 * rounds as u64 + 3 * WRITERS as u64;
            let done = || {
                if !wrongs.lock().unwrap().is_empty() {
                    return true;
                }
                let raw = place.raw("race/state.json").unwrap();
                serde_json::from_slice::<Document>(&raw).unwrap().generation >= all
            };
            testkit::wait_until(Duration::from_secs(3600), || done() || reader.is_finished());
            over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        });
    });
    let wrongs = wrongs.into_inner().unwrap();
    assert_eq!(wrongs, Vec::<String>::new());
    let document = run(place.store("race/state.json").read()).unwrap().unwrap();
    assert_eq!(
        document.generation,
        1 + 2 * rounds as u64 + 3 * WRITERS as u64
    );
    assert_eq!(document.history.len(), 1 + 3 * WRITERS, "no update is lost");
    assert_eq!(document.last_token, rounds as u64);
}
