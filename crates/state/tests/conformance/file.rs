//! The state in a file of this machine.

use std::path::{Path, PathBuf};

use model::Verdict;
use state::journal::ROLLBACK;
use state::{Error, Status, Store};
use tempfile::TempDir;

use crate::{Place, is_done, races, record, rollback, run, suite};

struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Place for Folder {
    fn store(&self, name: &str) -> Store {
        Store::at(self.at(name))
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn raw(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.at(name)).ok()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.at(name), bytes).unwrap();
    }
}

#[test]
fn a_file_conforms() {
    suite::conforms(&Folder::new());
}

#[test]
fn a_file_in_races() {
    suite::races(&Folder::new(), races(200));
}

#[test]
fn two_names_of_a_file_meet_the_same_lock_and_the_link_stays() {
    let folder = Folder::new();
    run(record(&folder.store("real.json"), "v1"));
    std::os::unix::fs::symlink("real.json", folder.at("link.json")).unwrap();
    run(record(&folder.store("link.json"), "v2"));
    assert!(folder.at("link.json").is_symlink());
    let document = run(folder.store("real.json").read()).unwrap().unwrap();
    assert_eq!(document.generation, 2);
    assert!(folder.raw("real.json.bak").is_some());
    assert!(folder.raw("link.json.lock").is_none());
}

#[test]
fn a_link_that_leads_nowhere_is_no_lost_state_and_stays() {
    let folder = Folder::new();
    std::os::unix::fs::symlink("/away/state.json", folder.at("state.json")).unwrap();
    let store = folder.store("state.json");
    for error in [
        run(store.read()).unwrap_err(),
        run(store.update(None, |_| Ok(()))).unwrap_err(),
    ] {
        assert!(error.to_string().contains("leads nowhere"), "{error}");
    }
    assert!(folder.at("state.json").is_symlink());
}

#[test]
fn what_was_written_can_be_read() {
    let folder = Folder::new();
    let store = folder.store("state.json");
    let long = |nth: usize| vec![format!("{nth} {}", "x".repeat(500)); 700];
    for nth in 0..30 {
        let recorded = store.update(None, |document| {
            let now = jiff::Timestamp::now();
            let entry = document.deployed(&format!("v{nth}"), Status::Good, now, None);
            entry.compatible_with = long(nth);
            Ok(())
        });
        run(recorded).unwrap();
    }
    let document = run(store.read()).unwrap().unwrap();
    assert_eq!(document.current.as_deref(), Some("v29"));
    assert!(
        (2..30).contains(&document.history.len()),
        "the oldest are forgotten"
    );
    let before = folder.raw("state.json");
    for change in [
        |document: &mut state::Document| document.generation = 1 << 53,
        |document: &mut state::Document| document.history[0].retained = vec!["x".repeat(5 << 20)],
    ] {
        let refused = store.update(None, |document| {
            change(document);
            Ok(())
        });
        let error = run(refused).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
        assert_eq!(folder.raw("state.json"), before);
    }
}

/// A file system of 64 KiB, filled by a test to the last byte.
pub(crate) struct Small(TempDir);

impl Small {
    pub(crate) fn new() -> Small {
        let folder = tempfile::tempdir().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=777", "tmpfs"])
            .arg(folder.path())
            .status();
        let mounted = mounted.is_ok_and(|status| status.success());
        assert!(mounted, "only root can mount; run the tests as root");
        Small(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn fill(&self) {
        use std::io::Write as _;
        let mut filler = std::fs::File::create(self.0.path().join("filler")).unwrap();
        while filler.write_all(&[0; 512]).is_ok() {}
    }

    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }

    /// Names of what lies there.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let disk = Small::new();
    let path = disk.path().join("state.json");
    full_disk(&disk, &Store::at(&path), &path);
}

/// Each kind of write meets a full disk: the first state, a change, a journal's first line, a
/// further line.
pub(crate) fn full_disk(disk: &Small, store: &Store, path: &Path) {
    run(async {
        let no_space = |error: Error| {
            assert!(error.to_string().contains("No space left"), "{error}");
            assert!(error.hint().contains("free space"), "{}", error.hint());
        };
        disk.fill();
        no_space(store.update(None, |_| Ok(())).await.unwrap_err());
        assert!(!path.exists(), "a half-written first state must not stay");
        disk.free();
        record(store, "v1").await;
        record(store, "v2").await;
        let before = std::fs::read(path).unwrap();
        let backup = std::fs::read(path.with_extension("json.bak")).unwrap();
        disk.fill();
        let error = store.update(None, |_| Ok(())).await.unwrap_err();
        assert!(
            error.to_string().contains("the old one is intact"),
            "{error}"
        );
        no_space(error);
        no_space(
            store
                .begin_journal(rollback("v1", "v2", 1))
                .await
                .unwrap_err(),
        );
        assert_eq!(std::fs::read(path).unwrap(), before);
        assert_eq!(
            std::fs::read(path.with_extension("json.bak")).unwrap(),
            backup
        );
        disk.free();
        assert!(store.unfinished(ROLLBACK).await.unwrap().is_none());
        let mut journal = store.begin_journal(rollback("v1", "v2", 1)).await.unwrap();
        disk.fill();
        // Of a page there may be room for a line.
        let error = loop {
            if let Err(error) = journal.intent("switch", Some("x".repeat(500))).await {
                break error;
            }
        };
        no_space(error);
        let lines = journal.lines().len();
        disk.free();
        journal.done("switch").await.unwrap();
        let found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
        assert_eq!(found.lines().len(), lines + 1, "what failed left nothing");
        record(store, "v3").await;
    });
    let names = disk.names();
    let known = [
        "state.json",
        "state.json.bak",
        "state.json.journals",
        "state.json.lock",
    ];
    assert!(
        names.iter().all(|name| known.contains(&name.as_str())),
        "no temporary file is left behind: {names:?}"
    );
}

#[test]
fn a_torn_last_line_of_a_journal_is_forgotten() {
    let folder = Folder::new();
    run(async {
        let store = folder.store("state.json");
        let mut journal = store.begin_journal(rollback("v1", "v2", 7)).await.unwrap();
        journal
            .intent("switch", Some("before".into()))
            .await
            .unwrap();
        journal.done("switch").await.unwrap();
        let file = "state.json.journals/00000001.jsonl";
        drop(journal);
        let whole = folder.raw(file).unwrap();
        for cut in [1, 10, 30] {
            folder.put(file, &whole[..whole.len() - cut]);
            let mut found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
            assert_eq!(found.before("switch"), Some("before"));
            assert!(!is_done(&found, "switch"));
            found.done("switch").await.unwrap();
            let again = store.unfinished(ROLLBACK).await.unwrap().unwrap();
            assert_eq!(again.lines().len(), 3);
            found.end(Verdict::Pass).await.unwrap();
            assert!(store.unfinished(ROLLBACK).await.unwrap().is_none());
        }
    });
}

#[test]
fn a_folder_that_may_not_be_written_is_no_lost_state() {
    let store = Store::at("/proc/deploy-guard/state.json");
    let error = run(store.update(None, |_| Ok(()))).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error:?}");
}

#[test]
fn a_whole_line_that_this_build_does_not_know_is_a_newer_ones_and_stays() {
    let folder = Folder::new();
    run(async {
        let store = folder.store("state.json");
        let mut journal = store.begin_journal(rollback("v1", "v2", 7)).await.unwrap();
        journal.intent("switch", None).await.unwrap();
        drop(journal);
        let file = "state.json.journals/00000001.jsonl";
        let whole = folder.raw(file).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        assert!(
            text.starts_with(r#"{"schema":"deploy-guard/journal/v1","#),
            "{text}"
        );
        let at = jiff::Timestamp::now();
        for line in [
            format!(r#"{{"at":"{at}","event":"paused","until":"noon"}}"#),
            format!(r#"{{"at":"{at}","event":"done"}}"#),
            format!(
                r#"{{"at":"{at}","event":"done","step":"switch","schema":"deploy-guard/journal/v2"}}"#
            ),
            "[]".to_owned(),
        ] {
            let more = [whole.as_slice(), line.as_bytes(), b"\n"].concat();
            folder.put(file, &more);
            for newer in [
                store.unfinished(ROLLBACK).await.map(drop).unwrap_err(),
                store.journals().await.map(drop).unwrap_err(),
            ] {
                assert!(
                    matches!(newer, Error::JournalNewer { .. }),
                    "{line}: {newer:?}"
                );
                assert!(
                    newer
                        .to_string()
                        .contains("written by a newer deploy-guard")
                );
            }
            assert_eq!(
                folder.raw(file).unwrap(),
                more,
                "{line}: nothing is cut off"
            );
            // Without its end it is what a kill leaves.
            folder.put(file, &more[..more.len() - 1]);
            let found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
            assert_eq!(found.lines().len(), 2, "{line}");
        }
        let garbage = [whole.as_slice(), b"not json\n"].concat();
        folder.put(file, &garbage);
        let damaged = store.unfinished(ROLLBACK).await.map(drop).unwrap_err();
        assert!(
            matches!(damaged, Error::JournalDamaged { .. }),
            "{damaged:?}"
        );
        assert_eq!(folder.raw(file).unwrap(), garbage);
        // Journals of before there was a format have no word of it.
        let old = text.replacen(r#""schema":"deploy-guard/journal/v1","#, "", 1);
        folder.put(file, old.as_bytes());
        let mut found = store.unfinished(ROLLBACK).await.unwrap().unwrap();
        found.done("switch").await.unwrap();
        assert_eq!(
            store
                .unfinished(ROLLBACK)
                .await
                .unwrap()
                .unwrap()
                .lines()
                .len(),
            3
        );
    });
}
