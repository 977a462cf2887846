//! A folder with a configuration and a state, and `rollback` as a user runs it there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use testkit::End;
use tokio::runtime::Builder;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Respond};

pub(crate) struct Bed {
    folder: TempDir,
    env: Vec<(String, String)>,
}

impl Bed {
    pub(crate) fn new() -> Bed {
        Bed {
            folder: tempfile::tempdir().unwrap(),
            env: Vec::new(),
        }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Bed {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Lines of the configuration beside the version and the state.
    pub(crate) fn configure(&self, hosts: &str, target: &str, gate: &str) {
        let config = format!(
            "version: 1\nservice: shop\n{hosts}rollback:\n  state: state.json\n{target}\n{gate}"
        );
        self.write("deploy-guard.yml", &config);
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin_path("rollback"));
        testkit::clear_environment(&mut command)
            .current_dir(self.folder.path())
            .args(args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn rollback(&self, args: &[&str]) -> End {
        self.command(args).output().unwrap().into()
    }

    /// `good` was deployed and recorded; then `bad` was deployed, without a verdict so far.
    #[track_caller]
    pub(crate) fn recorded(&self, good: &str, bad: &str) {
        // It no longer runs: the target would say so.
        self.rollback(&[
            "record",
            "--force=not-running",
            "--reason=test",
            "--release",
            good,
        ])
        .is(0, &[]);
        self.rollback(&["record", "--pending", "--release", bad])
            .is(0, &[]);
    }

    /// Takes away the state and all that would tell of one.
    pub(crate) fn forget(&self) {
        for name in ["state.json", "state.json.bak"] {
            let _ = fs::remove_file(self.path(name));
        }
        let _ = fs::remove_dir_all(self.path("state.json.journals"));
    }

    /// The same in a state that knows nothing else. The name of `good` may be one that is refused
    /// to begin with; then that must be said, and nothing is recorded.
    #[track_caller]
    pub(crate) fn recorded_anew(&self, good: &str, bad: &str) -> bool {
        self.forget();
        let end = self.rollback(&[
            "record",
            "--force=not-running",
            "--reason=test",
            &format!("--release={good}"),
        ]);
        if end.code == 2 {
            end.is(2, &["`--release` cannot be used"]);
            assert!(!self.path("state.json").exists(), "{good:?}");
            return false;
        }
        end.is(0, &[]);
        self.rollback(&["record", "--pending", "--release", bad])
            .is(0, &[]);
        true
    }

    /// The evidence of the last rollback under this name.
    pub(crate) fn evidence(&self, name: &str) -> String {
        let folder = fs::read_dir(self.path(".deploy-guard/evidence")).unwrap();
        let newest = folder.map(|entry| entry.unwrap().path()).max().unwrap();
        fs::read_to_string(newest.join(name)).unwrap_or_default()
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.read("state.json")).unwrap()
    }

    /// The newest journal's text.
    pub(crate) fn journal(&self) -> String {
        let Ok(folder) = fs::read_dir(self.path("state.json.journals")) else {
            return String::new();
        };
        let newest = folder.map(|entry| entry.unwrap().path()).max();
        newest.map_or(String::new(), |path| {
            fs::read_to_string(path).unwrap_or_default()
        })
    }

    fn journal_lines(&self) -> usize {
        self.journal().lines().count()
    }

    /// Starts a rollback and kills it with its children once the journal has so many lines, and
    /// then so much time has passed. Whether it was killed before it ended; it must not end badly.
    pub(crate) fn killed(&self, lines: usize, then: Duration) -> bool {
        use std::os::unix::process::CommandExt as _;
        let mut command = self.command(&["run"]);
        let mut child = command
            .process_group(0)
            .stdout(fs::File::create(self.path("killed.txt")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_mins(2);
        while self.journal_lines() < lines && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "no {lines} lines in the journal");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(then);
        let killed = kill(&mut child);
        // A refused rollback leaves nothing to resume.
        let ended = child.wait().unwrap();
        assert!(killed || ended.success(), "{}", self.read("killed.txt"));
        killed
    }

    /// The state as it is now, for [`Bed::put_back`].
    pub(crate) fn keep(&self) -> String {
        self.read("state.json")
    }

    /// The state of then, and no journal.
    pub(crate) fn put_back(&self, state: &str) {
        self.write("state.json", state);
        let journals = self.path("state.json.journals");
        if journals.exists() {
            fs::remove_dir_all(journals).unwrap();
        }
    }

    /// What must be true after a `resume` that follows a kill; a second one does nothing.
    #[track_caller]
    pub(crate) fn resume_converges(&self, good: &str, story: &str) {
        let resumed = self.rollback(&["resume"]);
        assert_eq!(resumed.code, 0, "{story}: {}", resumed.text);
        let state = self.state();
        assert_eq!(state["current"], good, "{story}: {state}");
        assert_eq!(state["last_known_good"], good, "{story}: {state}");
        assert!(
            state["lock"].is_null() && state["frozen"].is_null(),
            "{story}: {state}"
        );
        let before = (self.read("state.json"), self.journal_lines());
        let again = self.rollback(&["resume"]).is(0, &["nothing to resume"]);
        assert_eq!(again.code, 0, "{story}");
        assert_eq!(
            before,
            (self.read("state.json"), self.journal_lines()),
            "{story}"
        );
    }
}

/// Where rollbacks are killed: after each of so many lines of the journal, and then at moments
/// by chance, within what an act takes. `KILLS=300` for so many of them, `SEED=7` for others.
pub(crate) fn points(lines: usize, act: Duration, usual: usize) -> Vec<(usize, Duration)> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let kills = number("KILLS").map_or(usual, |kills: u64| usize::try_from(kills).unwrap());
    let mut seed = number("SEED").unwrap_or(1);
    // splitmix64
    let mut chance = |below: u64| {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    };
    let edges = (1..=lines).map(|line| (line, Duration::ZERO));
    let micros = u64::try_from(act.as_micros()).unwrap();
    let moments: Vec<_> = (0..kills)
        .map(|_| {
            let line = usize::try_from(chance(lines as u64)).unwrap() + 1;
            (line, Duration::from_micros(chance(micros)))
        })
        .collect();
    edges.chain(moments).collect()
}

/// The whole group, as a runner ends it: what a step started must not go on by itself.
fn kill(child: &mut Child) -> bool {
    let group = format!("-{}", child.id());
    let ended = child.try_wait().unwrap().is_some();
    if !ended {
        let status = Command::new("kill").args(["-KILL", "--", &group]).status();
        assert!(status.is_ok());
    }
    child.wait().unwrap();
    !ended
}

/// A server that gives these answers to every request, on its own thread.
pub(crate) fn mock(answers: impl Respond + 'static) -> MockServer {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = MockServer::start().await;
        let all = Mock::given(any()).respond_with(answers);
        all.mount(&server).await;
        server
    })
}

/// The lines of `hosts:` for a machine.
pub(crate) fn host_line(name: &str, port: u16, key: &Path, known_hosts: &Path) -> String {
    format!(
        "  {name}: {{ address: 127.0.0.1, port: {port}, user: root, key-file: {}, known-hosts: {} }}\n",
        key.display(),
        known_hosts.display()
    )
}

/// A gate that asks a server for its health and its release.
pub(crate) fn gate(port: u16) -> String {
    format!(
        "healthgate:\n  policy: {{ interval: 50ms, timeout: 5s, success-threshold: 2, deadline: 30s }}\n  http:\n    \
         - {{ name: ready, url: \"http://127.0.0.1:{port}/ready\", release: {{ url: \"http://127.0.0.1:{port}/version\" }} }}\n"
    )
}
