//! Runs that are cancelled, by act and the Action, with a bot of Slack: one message per deployment, whose last words
//! are true, in time.
//!
//! GitHub's runner sends SIGINT to the first process of a step, SIGTERM 7.5 s later, and kills it after another 2.5 s
//! (`ProcessInvoker.cs`). act does not: it kills that process and hangs up its terminal. So the process that act started is
//! asked to end as the runner does it, and act is cancelled itself, too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Call, Nginx, Receiver, Reply, Shop, wait_until};

use crate::job::act::{Repository, action_in};

/// When the runner sends SIGTERM after SIGINT, and when it kills after that.
const TERMINATES: Duration = Duration::from_millis(7_500);
const KILLS: Duration = Duration::from_millis(10_000);
/// By when people are told that it was cancelled; a machine that is busy elsewhere takes its time.
const IN_TIME: Duration = Duration::from_secs(5);
const TOKEN: &str = "xoxb-canary-5ecret";

/// Where a run is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before its first stage.
    Start,
    Preflight,
    Deploy,
    Gate,
    /// While the release has a share of the requests.
    Canary,
    /// In a step of the rollback that takes longer than five seconds, and ends before we are killed.
    Rollback,
    /// In one that does not end in time.
    LongRollback,
    /// In a later step of the job.
    Later,
}

/// v1 on blue is recorded good and has everything; v2 is deployed to green.
struct Site {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
    slack: Receiver,
    repository: Repository,
    folder: TempDir,
}

/// A workflow with a job of these steps behind the checkout; `BIN` is the folder of our binaries.
fn flow(steps: &str) -> String {
    let program = testkit::bin_path("deploy-guard");
    let bin = format!("'{}'", program.parent().unwrap().display());
    let steps = steps.replace("BIN", &bin);
    format!(
        "name: deploy
on: push
permissions: {{}}
jobs:
  deploy:
    runs-on: ubuntu-latest
    env: {{ TOKEN: {TOKEN} }}
    steps:
      - uses: actions/checkout@v4
{steps}"
    )
}

/// How a cancelled job went on.
struct Cancelled {
    /// When it was asked to end.
    at: Instant,
    /// How long the step went on after that.
    took: Duration,
    log: String,
}

impl Site {
    fn new(at: At) -> Site {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::start(&blue.address());
        nginx.read(&format!(
            "upstream shop {{\n    server {};\n    server {} down;\n}}\n",
            blue.address(),
            green.address()
        ));
        let site = Site {
            blue,
            green,
            nginx,
            slack: Receiver::start("api", Reply::Accept),
            repository: Repository::new(),
            folder: tempfile::tempdir().unwrap(),
        };
        action_in(&site.repository.path(""));
        site.configure(At::Start);
        let mut record = testkit::bin("deploy-guard");
        record.current_dir(site.repository.path(""));
        record
            .args(["rollback", "record", "--release", "v1"])
            .env("TOKEN", TOKEN)
            .assert()
            .code(0);
        // What follows is about v2 alone.
        fs::remove_dir_all(site.path("state.json.events")).unwrap();
        site.slack.forget();
        site.configure(at);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, at: At) {
        let here = self.path("here").display().to_string();
        let (up, reload) = (self.nginx.upstream_file(), self.nginx.reload_command());
        let switch = format!(
            "set -e\nprintf 'upstream shop {{ server %s; }}\\n' '{}' >'{}'\n{reload}\n",
            self.green.address(),
            up.display()
        );
        let waits = |seconds: &str| format!("touch '{here}'\nsleep {seconds}\n");
        let deploy = match at {
            At::Deploy => switch + &waits("9"),
            At::Canary => "true\n".to_owned(),
            _ => switch,
        };
        fs::write(self.path("deploy.sh"), deploy).unwrap();
        let slow = match at {
            At::Rollback => waits("5.5"),
            At::LongRollback => waits("30"),
            _ => String::new(),
        };
        fs::write(self.path("reload.sh"), format!("{slow}{reload}\n")).unwrap();
        let path = |name: &str| self.path(name).display().to_string();
        let router = json!({
            "upstream-file": up,
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
            "test": self.nginx.test_command(),
            "reload": format!("sh '{}'", path("reload.sh")),
        });
        let needed = if at == At::Gate { 1000 } else { 3 };
        let mut config = json!({
            "version": 1,
            "service": "shop",
            "deploy": {"command": format!("sh '{}'", path("deploy.sh")), "timeout": "60s"},
            "healthgate": {
                "policy": {
                    "interval": "50ms", "timeout": "5s", "success-threshold": needed, "startup": "2s",
                    "failure-limit": 3, "deadline": "90s",
                },
                "http": [{
                    "name": "ready",
                    "url": self.nginx.url("/health/ready"),
                    "jq": ".status == \"healthy\"",
                    "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
                }],
            },
            "rollback": {"state": path("state.json"), "nginx": router.clone()},
            "incident": {"slack": [{
                "name": "chat", "token-env": "TOKEN", "channel": "C1", "api-url": self.slack.url(),
            }]},
        });
        match at {
            At::Preflight => {
                let wait = json!({"name": "wait", "run": waits("30"), "timeout": "60s"});
                config["preflight"] = json!({"command": [wait]});
            }
            At::Gate => {
                let mark = json!({"name": "mark", "run": format!("touch '{here}'")});
                config["healthgate"]["command"] = json!([mark]);
            }
            At::Canary => {
                config["traffic"] =
                    json!({"stages": ["10%", "100%"], "stage-duration": "60s", "nginx": router});
            }
            At::Rollback | At::LongRollback => self.green.set_health("unhealthy", 503),
            At::Start | At::Deploy | At::Later => {}
        }
        self.repository
            .write("deploy-guard.yml", &config.to_string());
    }

    /// One step does it all.
    fn workflow(&self) -> String {
        flow(&format!(
            "      - uses: ./
        with: {{ stage: run, release: v2, bin-dir: BIN }}
      - run: touch '{here}'; sleep 30
",
            here = self.path("here").display(),
        ))
    }

    /// A step for each stage.
    fn stages(&self) -> String {
        flow(&format!(
            "      - uses: ./
        with: {{ stage: preflight, release: v2, bin-dir: BIN }}
      - run: sh '{deploy}'
      - uses: ./
        with: {{ stage: healthgate, release: v2, bin-dir: BIN }}
      - if: failure() || cancelled()
        uses: ./
        with: {{ stage: rollback, bin-dir: BIN }}
",
            deploy = self.path("deploy.sh").display(),
        ))
    }

    fn start(&self, workflow: &str) -> Child {
        self.repository
            .write(".github/workflows/deploy.yml", workflow);
        let mut act = self.repository.command(&["push"]);
        act.stdout(Stdio::piped()).stderr(Stdio::piped());
        act.spawn().unwrap()
    }

    /// The first process of the step whose command has this text.
    fn first_process(&self, text: &str) -> Option<String> {
        let home = format!("HOME={}", self.repository.home().display());
        let read = |pid: &str, file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', "\n")
        };
        let is_it = |pid: &str| {
            read(pid, "cmdline").contains(text)
                && read(pid, "environ").lines().any(|line| line == home)
        };
        // Children have higher numbers, but for a machine that has used them all up.
        let mut all: Vec<u64> = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &u64| is_it(&pid.to_string()))
            .collect();
        all.sort_unstable();
        all.first().map(u64::to_string)
    }

    /// Runs a workflow, and cancels the step with this text in its command as the runner does, when `begun`.
    #[track_caller]
    fn cancel(&self, workflow: &str, text: &str, begun: impl Fn() -> bool) -> Cancelled {
        let act = self.start(workflow);
        let mut first = None;
        let found = wait_until(Duration::from_mins(1), || {
            first = self.first_process(text);
            first.is_some() && begun()
        });
        let first = first.unwrap_or_default();
        let at = Instant::now();
        if found {
            send("INT", &first);
            for (signal, after) in [("TERM", TERMINATES), ("KILL", KILLS)] {
                let left = (at + after).saturating_duration_since(Instant::now());
                if wait_until(left, || !is_there(&first)) {
                    break;
                }
                send(signal, &first);
            }
        }
        let took = at.elapsed();
        let output = act.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(found, "{text}: {log}");
        assert!(!log.contains(TOKEN), "{log}");
        Cancelled { at, took, log }
    }

    fn is_here(&self) -> bool {
        self.path("here").exists()
    }

    /// Whether users get v2, once nginx has ended the processes of before its reload.
    fn has_gone_live(&self) -> bool {
        wait_until(Duration::from_secs(5), || self.live() == "v2")
    }

    /// The release that users get.
    fn live(&self) -> String {
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        answer.header("x-version").unwrap_or_default().to_owned()
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("state.json")).unwrap()).unwrap()
    }

    /// What the only message of the channel shows last, and what it has shown when.
    #[track_caller]
    fn message(&self) -> (String, Vec<(Instant, String)>) {
        let calls = self.slack.calls();
        let has = |call: &&Call, way: &str| call.path.ends_with(way);
        let is_answer = |call: &&Call| !body(call)["thread_ts"].is_null();
        let posted = calls.iter().filter(|call| has(call, "chat.postMessage"));
        let messages: Vec<&Call> = posted.filter(|call| !is_answer(call)).collect();
        assert_eq!(messages.len(), 1, "{messages:#?}");
        let edits = calls.iter().filter(|call| has(call, "chat.update"));
        let shown = messages.into_iter().chain(edits);
        let shown: Vec<(Instant, String)> = shown
            .map(|call| (call.at, body(call)["blocks"].to_string()))
            .collect();
        let last = shown.last().unwrap().1.clone();
        (last, shown)
    }

    /// What the message shows last, after it was told in time that the run was cancelled.
    #[track_caller]
    fn told(&self, cancelled: &Cancelled) -> String {
        let (last, shown) = self.message();
        let log = &cancelled.log;
        let after = shown.iter().filter(|(at, _)| *at > cancelled.at);
        let first = after.clone().next();
        let (first, text) = first.unwrap_or_else(|| panic!("nothing was told: {log}"));
        assert!(
            *first - cancelled.at < IN_TIME,
            "{:?}: {text}",
            *first - cancelled.at
        );
        let (end, _) = shown.last().unwrap();
        assert!(*end - cancelled.at < KILLS, "{:?}", *end - cancelled.at);
        assert!(cancelled.took < KILLS, "{:?}: {log}", cancelled.took);
        last
    }
}

fn body(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

fn send(signal: &str, pid: &str) {
    let _ = Command::new("kill")
        .args(["-s", signal, "--", pid])
        .status();
}

/// Whether a process is there and not only waited for.
fn is_there(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}

const STAGE: &str = "action/run.sh";

#[test]
fn before_its_first_stage_nothing_was_deployed() {
    let site = Site::new(At::Start);
    // Before the first stage the run asks git when the commit was made.
    let tools = site.path("tools");
    fs::create_dir(&tools).unwrap();
    let git = format!(
        "#!/bin/sh\ntouch '{}'\nsleep 1\n",
        site.path("here").display()
    );
    let program = tools.join("git");
    fs::write(&program, git).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let workflow = site.workflow().replace(
        "      - uses: ./\n",
        &format!(
            "      - run: echo '{}' >>\"$GITHUB_PATH\"\n      - uses: ./\n",
            tools.display()
        ),
    );
    let cancelled = site.cancel(&workflow, STAGE, || site.is_here());
    let last = site.told(&cancelled);
    assert!(last.contains("cancelled; v1 serves"), "{last}");
    assert_eq!(site.live(), "v1");
}

#[test]
fn in_its_preflight_what_served_serves_on() {
    let site = Site::new(At::Preflight);
    let cancelled = site.cancel(&site.workflow(), STAGE, || site.is_here());
    let last = site.told(&cancelled);
    assert!(last.contains("cancelled; v1 serves"), "{last}");
    assert_eq!(site.live(), "v1");
}

#[test]
fn while_it_deploys_the_new_release_may_be_live() {
    let site = Site::new(At::Deploy);
    let cancelled = site.cancel(&site.workflow(), STAGE, || site.is_here());
    let last = site.told(&cancelled);
    assert!(
        last.contains("cancelled: interrupted while deploying; v2 may be live"),
        "{last}"
    );
    assert!(site.has_gone_live());
}

#[test]
fn in_its_gate_the_new_release_may_be_live() {
    let site = Site::new(At::Gate);
    let cancelled = site.cancel(&site.workflow(), STAGE, || site.is_here());
    let last = site.told(&cancelled);
    let true_words = "cancelled: interrupted while the gate was watching; v2 may be live";
    assert!(last.contains(true_words), "{last}");
    assert!(site.has_gone_live());
}

#[test]
fn a_canary_gives_its_requests_back() {
    let site = Site::new(At::Canary);
    let waits = || site.state()["rollout"]["share"] == "10%";
    let cancelled = site.cancel(&site.workflow(), STAGE, waits);
    let last = site.told(&cancelled);
    assert!(last.contains("cancelled; v1 serves"), "{last}");
    assert!(site.state()["rollout"].is_null(), "{}", site.state());
    assert_eq!(site.live(), "v1");
}

#[test]
fn a_step_of_a_rollback_has_the_time_that_it_has_without_anyone_to_tell() {
    let site = Site::new(At::Rollback);
    let cancelled = site.cancel(&site.workflow(), STAGE, || site.is_here());
    let last = site.told(&cancelled);
    let (_, shown) = site.message();
    let early = shown.iter().any(|(_, text)| {
        text.contains("cancelled: v2 may be live; its rollback ends the step that it is at")
    });
    assert!(early, "{shown:#?}");
    // Its step is done; that it is good was not looked at any more.
    assert!(last.contains("cancelled: "), "{last}");
    assert!(
        last.contains("rollback inconclusive: rollback/interrupted"),
        "{last}"
    );
    assert_eq!(site.live(), "v1", "{}", cancelled.log);
    resumed(&site);
}

#[test]
fn a_rollback_that_was_cut_off_is_finished_by_resume() {
    let site = Site::new(At::LongRollback);
    let cancelled = site.cancel(&site.workflow(), STAGE, || site.is_here());
    let last = site.told(&cancelled);
    assert!(
        last.contains("rollback inconclusive: rollback/interrupted"),
        "{last}"
    );
    site.configure(At::Start);
    resumed(&site);
}

/// A person goes on with the rollback: the message of the deployment and its incident end with it.
fn resumed(site: &Site) {
    let mut resume = testkit::bin("rollback");
    resume.current_dir(site.repository.path(""));
    resume.arg("resume").env("TOKEN", TOKEN).assert().code(0);
    assert_eq!(site.live(), "v1");
    let (last, _) = site.message();
    assert!(last.contains("resolved; v1 serves"), "{last}");
    assert_eq!(site.state()["current"], "v1");
}

#[test]
fn a_later_step_of_the_job_changes_nothing_of_what_was_told() {
    let site = Site::new(At::Later);
    let here = format!("touch '{}'", site.path("here").display());
    let begun = || site.is_here();
    let act = site.start(&site.workflow());
    let later = wait_until(Duration::from_mins(1), begun);
    send("INT", &act.id().to_string());
    let output = act.wait_with_output().unwrap();
    assert!(later, "{here}: {}", String::from_utf8_lossy(&output.stdout));
    let (last, _) = site.message();
    assert!(last.contains("succeeded; v2 serves"), "{last}");
    assert!(site.has_gone_live());
}

/// act kills the step's first process and hangs up its terminal.
#[test]
fn a_step_whose_terminal_is_gone_tells_the_truth_all_the_same() {
    for at in [At::Gate, At::Rollback] {
        let site = Site::new(at);
        let act = site.start(&site.workflow());
        assert!(
            wait_until(Duration::from_mins(1), || site.is_here()),
            "{at:?}"
        );
        let asked = Instant::now();
        send("INT", &act.id().to_string());
        let output = act.wait_with_output().unwrap();
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let is_gone = wait_until(KILLS, || site.first_process("deploy-guard\nrun").is_none());
        let took = asked.elapsed();
        let cancelled = Cancelled {
            at: asked,
            took,
            log,
        };
        let last = site.told(&cancelled);
        assert!(is_gone && last.contains("cancelled: "), "{at:?}: {last}");
    }
}

#[test]
fn of_stages_in_steps_of_their_own_the_one_message_ends_with_the_rollback() {
    for (at, text) in [(At::Gate, STAGE), (At::Deploy, "deploy.sh")] {
        let site = Site::new(at);
        let cancelled = site.cancel(&site.stages(), text, || site.is_here());
        let log = &cancelled.log;
        assert_eq!(site.live(), "v1", "{log}");
        let (last, shown) = site.message();
        assert!(last.contains("rolled back"), "{at:?}: {last}");
        if at == At::Gate {
            let (_, told) = shown.iter().find(|(at, _)| *at > cancelled.at).unwrap();
            assert!(told.contains("healthgate: cancelled"), "{told}");
        }
    }
}
