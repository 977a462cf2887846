//! A service of one file: `live` holds the release that runs, a hook writes it, a server shows it.
//!
//! The hook, `check` and `current` are scripts in the world's folder that first read
//! `before-NAME` if it is there, so that a test can make them fail, wait, or kill the rollback
//! (`$PPID`) at exactly that moment.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use state::{Document, Store};

const HOOK: &str = r#"
printf '%s\n' "$HOST: $PREVIOUS_RELEASE > $RELEASE" >>calls
if [ -f before-run ]; then . ./before-run; fi
printf %s "$RELEASE" >"live.$$" && mv "live.$$" live
if [ -f after-run ]; then . ./after-run; fi
"#;

/// What a test may change while the service answers.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    pub(crate) unhealthy: AtomicBool,
    /// This process is killed by the next request, before it is answered.
    pub(crate) kill_on_request: AtomicU32,
    /// How long each answer takes, in milliseconds.
    pub(crate) delay: AtomicU32,
}

#[derive(Debug)]
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) server: Arc<Switches>,
    pub(crate) port: u16,
    /// Variables that every command of this world gets.
    pub(crate) env: Mutex<Vec<(String, String)>>,
}

/// One command's end.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Ran {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one JSON document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Both streams, for words that a person must see.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.stdout.contains(words) || self.stderr.contains(words),
            "{words:?} is missing\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout,
            self.stderr
        );
        self
    }
}

impl World {
    /// v1 is good and v2, deployed after it, is pending; probes tell which release answers.
    pub(crate) fn with_v2_deployed() -> World {
        let world = World::new(&["localhost"], true);
        world.deploy_v2();
        world
    }

    /// The deployment of v2 failed, and nothing reports what runs until v1 does.
    pub(crate) fn without_an_answer() -> World {
        let world = World::new(&["localhost"], false);
        world.deploy_v2();
        world.write("before-current", "if grep -q v2 live; then exit 1; fi");
        world
    }

    pub(crate) fn deploy_v2(&self) {
        self.set_live("v1");
        self.rollback(&["record", "--release", "v1"]).exits(0);
        self.set_live("v2");
        self.rollback(&["record", "--pending", "--release", "v2"])
            .exits(0);
    }

    /// An empty world; `probes`: whether `healthgate:` is configured.
    pub(crate) fn new(hosts: &[&str], probes: bool) -> World {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("run.sh", HOOK),
            (
                "check.sh",
                "if [ -f before-check ]; then . ./before-check; fi",
            ),
            (
                "current.sh",
                "if [ -f before-current ]; then . ./before-current; fi\ncat live",
            ),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let server = Arc::new(Switches::default());
        let port = serve(folder.path().join("live"), Arc::clone(&server));
        let world = World {
            folder,
            server,
            port,
            env: Mutex::new(Vec::new()),
        };
        world.configure(hosts, probes, "");
        world
    }

    /// Writes the configuration; `extra` is more of the `rollback:` section.
    pub(crate) fn configure(&self, hosts: &[&str], probes: bool, extra: &str) {
        let mut text = "version: 1\nservice: shop\n".to_owned();
        let named: Vec<_> = hosts.iter().filter(|host| **host != "localhost").collect();
        if !named.is_empty() {
            text.push_str("hosts:\n");
            for host in &named {
                text.push_str(&format!("  {host}: {{ address: {host}.test }}\n"));
            }
        }
        text.push_str(&format!(
            "rollback:\n  state: state.json\n{extra}  command:\n    run: . ./run.sh\n    check: . ./check.sh\n    current: . ./current.sh\n    timeout: 10s\n"
        ));
        if !named.is_empty() {
            text.push_str(&format!("    hosts: {named:?}\n"));
        }
        if probes {
            let port = self.port;
            text.push_str(&format!(
                "healthgate:\n  policy: {{ interval: 5ms, timeout: 2s, success-threshold: 2, failure-limit: 1, deadline: 5s }}\n  \
                 http:\n    - name: ready\n      url: http://127.0.0.1:{port}/ready\n      jq: .status == \"healthy\"\n      \
                 release: {{ url: \"http://127.0.0.1:{port}/version\", jq: .version }}\n"
            ));
        }
        self.write("deploy-guard.yml", &text);
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

    pub(crate) fn set_live(&self, release: &str) {
        self.write("live", release);
    }

    pub(crate) fn live(&self) -> String {
        self.read("live")
    }

    pub(crate) fn store(&self) -> Store {
        Store::at(self.path("state.json"))
    }

    /// The state, which must be valid.
    #[track_caller]
    pub(crate) fn state(&self) -> Document {
        wait(self.store().read()).unwrap().unwrap()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(testkit::bin_path("rollback"));
        testkit::clear_environment(&mut command)
            .current_dir(self.folder.path())
            .args(args)
            .envs(self.env.lock().unwrap().iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Runs `rollback` to its end.
    pub(crate) fn rollback(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    /// Starts `rollback`, with its output kept for [`finish`].
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The newest journal's text.
    pub(crate) fn journal(&self) -> Option<(PathBuf, String)> {
        let mut paths: Vec<_> = fs::read_dir(self.path("state.json.journals"))
            .ok()?
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        let path = paths.pop()?;
        let text = fs::read_to_string(&path).ok()?;
        Some((path, text))
    }

    /// What must be true once a rollback from v2 to v1 was resumed, whatever happened before.
    #[track_caller]
    pub(crate) fn resume_converges(&self, story: &str) {
        let resumed = self.rollback(&["resume"]);
        assert_eq!(resumed.code, 0, "{story}: {resumed:?}");
        assert_eq!(self.live(), "v1", "{story}");
        let state = self.state();
        assert_eq!(state.current.as_deref(), Some("v1"), "{story}");
        assert_eq!(state.last_known_good.as_deref(), Some("v1"), "{story}");
        assert_eq!(state.status("v2"), Some(state::Status::Bad), "{story}");
        assert_eq!(state.status("v1"), Some(state::Status::Good), "{story}");
        assert_eq!((state.lock, state.frozen), (None, None), "{story}");
        let before = (fs::read(self.path("state.json")).unwrap(), self.journal());
        let calls = self.read("calls");
        let again = self.rollback(&["resume"]);
        assert_eq!(again.code, 0, "{story}: {again:?}");
        assert!(
            again.stdout.contains("nothing to resume"),
            "{story}: {again:?}"
        );
        let after = (fs::read(self.path("state.json")).unwrap(), self.journal());
        assert!(before == after, "{story}: a second resume changed files");
        assert_eq!(calls, self.read("calls"), "{story}: a second resume acted");
    }
}

/// The end of what a store does.
pub(crate) fn wait<T>(doing: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(doing)
}

pub(crate) fn finish(child: Child) -> Ran {
    Ran::of(&child.wait_with_output().unwrap())
}

/// Waits a few milliseconds for what another process does.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !ready() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok());
}

/// `/ready` and `/version` of whatever release the file names.
fn serve(live: PathBuf, switches: Arc<Switches>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (live, switches) = (live.clone(), Arc::clone(&switches));
            // A client that was killed ends its own connection and nothing else.
            thread::spawn(move || drop(answer(&stream, &live, &switches)));
        }
    });
    port
}

fn answer(mut stream: &TcpStream, live: &Path, switches: &Switches) -> std::io::Result<()> {
    let mut head = BufReader::new(stream).lines();
    while head
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let victim = switches.kill_on_request.swap(0, Ordering::SeqCst);
    if victim != 0 {
        kill("KILL", victim);
    }
    thread::sleep(Duration::from_millis(u64::from(
        switches.delay.load(Ordering::SeqCst),
    )));
    let release = fs::read_to_string(live).unwrap_or_default();
    let status = if switches.unhealthy.load(Ordering::SeqCst) {
        "degraded"
    } else {
        "healthy"
    };
    let body = serde_json::json!({"status": status, "version": release}).to_string();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
