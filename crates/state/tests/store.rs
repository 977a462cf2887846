//! The store under what goes wrong in real life.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Duration;

use state::store::Claim;
use state::{Document, Error, Holder, Journal, Status, Store};

fn claim(operation: &str) -> Claim<'_> {
    Claim {
        holder: Holder::this_process(None, None),
        operation,
        ttl: Duration::from_secs(60),
    }
}

fn record(store: &Store, release: &str) {
    store
        .update(None, |document| {
            document.deployed(release, Status::Good, jiff::Timestamp::now(), None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_file_that_is_no_state_is_refused_and_left_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("state.json"));
    record(&store, "v1");
    record(&store, "v2");
    let huge = format!("{{\"schema\":\"{}\"}}", "x".repeat(5 << 20));
    for (damage, expected) in [
        ("", "it is empty"),
        ("{\"schema\": \"deploy-guard/sta", "not JSON"),
        ("[]", "it is no state file"),
        ("{\"schema\":\"terraform\"}", "it is no state file"),
        (
            "{\"schema\":\"deploy-guard/state/v2\"}",
            "this release reads",
        ),
        ("{\"schema\":\"deploy-guard/state/v1\"}", "missing field"),
        (huge.as_str(), "larger than"),
    ] {
        std::fs::write(store.path(), damage).unwrap();
        let error = store.read().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().contains("state.json.bak"), "{}", error.hint());
        assert!(store.update(None, |_| Ok(())).is_err());
        assert_eq!(std::fs::read_to_string(store.path()).unwrap(), damage);
    }
    let backup = Store::at(store.backup()).read().unwrap().unwrap();
    assert_eq!(backup.current.as_deref(), Some("v1"));
}

#[test]
fn of_many_that_want_the_lease_one_gets_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("state.json"));
        let won: usize = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| usize::from(store.acquire(&claim("race"), |_, _| ()).is_ok()))
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).sum()
        });
        assert_eq!(won, 1);
    }
}

#[test]
fn no_update_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("state.json"));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || (0..5).for_each(|n| record(store, &format!("v{writer}.{n}"))));
        }
    });
    let document = store.read().unwrap().unwrap();
    assert_eq!(document.generation, 40);
    assert_eq!(document.history.len(), 40);
}

#[test]
fn a_lost_lease_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("state.json"));
    let expired = Claim {
        ttl: Duration::ZERO,
        ..claim("first")
    };
    let (first, ()) = store.acquire(&expired, |_, _| ()).unwrap();
    let (second, ()) = store.acquire(&claim("second"), |_, _| ()).unwrap();
    assert!(second.token > first.token);
    assert!(matches!(
        store.update(Some(&first), |_| Ok(())),
        Err(Error::Lost { .. })
    ));
    store.release(&second, |_| ()).unwrap();
    let (third, ()) = store.acquire(&claim("third"), |_, _| ()).unwrap();
    assert!(third.token > second.token, "tokens grow across a release");
}

#[test]
fn a_dead_holder_is_robbed_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("state.json"));
    store.acquire(&claim("alive"), |_, _| ()).unwrap();
    let error = store.acquire(&claim("other"), |_, _| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", std::process::id())),
        "{error}"
    );
    let dead = Holder {
        started: 1,
        ..Holder::this_process(None, None)
    };
    store
        .update(None, |d| {
            d.lock.as_mut().unwrap().holder = dead;
            Ok(())
        })
        .unwrap();
    assert!(store.acquire(&claim("other"), |_, _| ()).is_ok());
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        // Without the right to mount, a folder that takes no new file shows the same error path.
        let missing = Store::at("/proc/deploy-guard/state.json");
        assert!(matches!(
            missing.update(None, |_| Ok(())),
            Err(Error::Write { .. })
        ));
        return;
    }
    let store = Store::at(folder.path().join("state.json"));
    record(&store, "v1");
    let before = std::fs::read(store.path()).unwrap();
    let filler = folder.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 256 << 10]);
    let error = store
        .update(None, |d| {
            d.service = Some("x".repeat(100_000));
            Ok(())
        })
        .unwrap_err();
    let after = std::fs::read(store.path()).unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    std::process::Command::new("umount")
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(
        error.to_string().contains("the old one is intact"),
        "{error}"
    );
    assert_eq!(before, after);
    assert!(left <= 4, "no temporary file is left behind");
}

#[test]
fn a_torn_last_line_of_a_journal_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let mut journal = Journal::begin(&path, "v1", Some("v2"), 7).unwrap();
    journal.intent("switch", Some("before".into())).unwrap();
    journal.done("switch").unwrap();
    let file = journal.path().to_owned();
    drop(journal);
    let whole = std::fs::read(&file).unwrap();
    for cut in [1, 10, 30] {
        std::fs::write(&file, &whole[..whole.len() - cut]).unwrap();
        let mut found = Journal::unfinished(&path).unwrap().unwrap();
        assert_eq!(found.plan(), Some(("v1", Some("v2"))));
        assert_eq!(found.before("switch"), Some("before"));
        assert!(!found.is_done("switch"));
        found.done("switch").unwrap();
        assert_eq!(
            Journal::unfinished(&path).unwrap().unwrap().lines().len(),
            3
        );
        found.end("pass").unwrap();
        assert!(Journal::unfinished(&path).unwrap().is_none());
    }
}

#[test]
fn a_document_is_read_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path().join("deep/state.json"));
    record(&store, "v1");
    let document = store.read().unwrap().unwrap();
    let again: Document = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();
    assert_eq!(document, again);
}
