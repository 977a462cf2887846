//! The Action in a real workflow, run by act on this machine: a bad release is deployed, the gate
//! fails, and a step with `if: failure() || cancelled()` rolls back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::job::act::{Repository, action_in};
use tempfile::TempDir;
use testkit::{Nginx, Shop};

/// A shop of two colours behind nginx, v1 live and recorded as good, and a repository that
/// deploys to it.
struct Site {
    /// It answers as long as the site is there.
    _blue: Shop,
    green: Shop,
    nginx: Nginx,
    repository: Repository,
    /// Where the workflow's steps leave what the test looks at.
    results: TempDir,
}

impl Site {
    fn new() -> Site {
        let blue = Shop::start("v1");
        let green = Shop::start("v2");
        let nginx = Nginx::start(&blue.address());
        let repository = Repository::new();
        let results = tempfile::tempdir().unwrap();
        let here = repository.path("");
        action_in(&here);
        repository.write(
            "deploy-guard.yml",
            &config(&nginx, &blue, &green, results.path()),
        );
        let deploy = format!(
            "#!/bin/sh\nset -e\nprintf 'upstream shop {{ server {}; }}\\n' >'{}'\n{}\n",
            green.address(),
            nginx.upstream_file().display(),
            nginx.reload_command(),
        );
        repository.write("deploy.sh", &deploy);
        fs::set_permissions(here.join("deploy.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        testkit::bin("deploy-guard")
            .current_dir(&here)
            .args(["rollback", "record", "--release", "v1"])
            .assert()
            .code(0);
        Site {
            _blue: blue,
            green,
            nginx,
            repository,
            results,
        }
    }

    /// Runs a workflow on a push.
    fn push(&self, workflow: &str) -> (bool, String) {
        self.act(workflow, &["push"])
    }

    /// Runs a workflow by act; whether the job passed, and what the runner printed.
    fn act(&self, workflow: &str, event: &[&str]) -> (bool, String) {
        self.repository
            .write(".github/workflows/deploy.yml", workflow);
        let run = self.repository.act(event);
        (run.passed, run.log)
    }

    /// What a step wrote, as `name=value` lines.
    fn result(&self, name: &str) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.results.path().join(name)).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// The release that nginx's users get.
    fn live(&self) -> String {
        let answer = testkit::get(&self.nginx.url("/api/v1/version")).unwrap();
        answer.header("x-version").unwrap_or_default().to_owned()
    }

    fn state(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.results.path().join("state.json")).unwrap()).unwrap()
    }

    /// The workflow with its places filled in.
    fn workflow(&self, text: &str) -> String {
        let program = testkit::bin_path("deploy-guard");
        let bin = program.parent().unwrap().display().to_string();
        text.replace("@BIN@", &bin)
            .replace("@RESULTS@", &self.results.path().display().to_string())
    }
}

fn config(nginx: &Nginx, blue: &Shop, green: &Shop, results: &Path) -> String {
    format!(
        r#"version: 1
service: shop
preflight:
  secrets:
    - {{ name: DEPLOY_TOKEN }}
healthgate:
  policy: {{ interval: 50ms, timeout: 1s, success-threshold: 3, failure-limit: 2, deadline: 10s }}
  http:
    - name: ready
      url: {ready}
      status: [200]
      jq: .status == "healthy"
      release: {{ url: "{version}", jq: .version, match: exact }}
rollback:
  state: {state}
  nginx:
    upstream-file: {upstream}
    blue: {blue}
    green: {green}
    test: {test:?}
    reload: {reload:?}
"#,
        ready = nginx.url("/health/ready"),
        version = nginx.url("/api/v1/version"),
        state = results.join("state.json").display(),
        upstream = nginx.upstream_file().display(),
        blue = blue.address(),
        green = green.address(),
        test = nginx.test_command(),
        reload = nginx.reload_command(),
    )
}

const DEPLOY: &str = r"
name: deploy
on: push
permissions: {}
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: preflight
        uses: ./
        with: { stage: preflight, release: v2, bin-dir: '@BIN@' }
        env: { DEPLOY_TOKEN: a-secret-canary }
      - id: deploy
        run: ./deploy.sh
      - id: healthgate
        uses: ./
        with: { stage: healthgate, release: v2, bin-dir: '@BIN@' }
      - name: never
        run: touch '@RESULTS@/promoted'
      - id: rollback
        if: failure() || cancelled()
        uses: ./
        with: { stage: rollback, bin-dir: '@BIN@' }
      - if: always()
        run: |
          {
            echo preflight=$PREFLIGHT
            echo healthgate=$HEALTHGATE
            echo rollback=$ROLLBACK
          } >'@RESULTS@/deploy'
          cp -- $REPORT '@RESULTS@/report.json'
        env:
          PREFLIGHT: ${{ steps.preflight.outcome }} ${{ steps.preflight.outputs.verdict }} ${{ steps.preflight.outputs.exit-code }} ${{ steps.preflight.outputs.score }}
          HEALTHGATE: ${{ steps.healthgate.outcome }} ${{ steps.healthgate.outputs.verdict }} ${{ steps.healthgate.outputs.exit-code }} ${{ steps.healthgate.outputs.release }}
          ROLLBACK: ${{ steps.rollback.outcome }} ${{ steps.rollback.outputs.verdict }} ${{ steps.rollback.outputs.exit-code }} ${{ steps.rollback.outputs.restored-release }}
          REPORT: ${{ steps.healthgate.outputs.report }}
";

#[test]
fn a_bad_release_is_gated_and_rolled_back() {
    let site = Site::new();
    // The bad release answers 200, and its body reports the failure.
    site.green.set_health("degraded", 200);
    let (passed, log) = site.push(&site.workflow(DEPLOY));
    assert!(!passed, "a failed gate is a failed job:\n{log}");
    let result = site.result("deploy");
    let outcome = |step: &str| {
        result
            .get(step)
            .map(|value| value.trim())
            .unwrap_or_default()
    };
    assert_eq!(outcome("preflight"), "success pass 0 10", "{log}");
    assert_eq!(outcome("healthgate"), "failure fail 1 v2", "{log}");
    assert_eq!(outcome("rollback"), "success pass 0 v1", "{log}");
    assert!(
        !site.results.path().join("promoted").exists(),
        "a step ran after the failed gate"
    );
    assert_eq!(site.live(), "v1", "{log}");
    let state = site.state();
    assert_eq!(state["last_known_good"], "v1", "{state}");
    let bad = state["history"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["release"] == "v2");
    assert!(bad.is_none_or(|entry| entry["status"] != "good"), "{state}");
    let report = fs::read(site.results.path().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["stage"], "healthgate");
    assert!(
        report["reason"]
            .as_str()
            .unwrap()
            .contains("> failure-limit (2)"),
        "{report}"
    );
    assert!(
        !log.contains("a-secret-canary"),
        "the secret is in the log:\n{log}"
    );
}

const INPUTS: &str = r#"
name: inputs
on: push
permissions: {}
jobs:
  inputs:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: quotes
        continue-on-error: true
        uses: ./
        with:
          stage: healthgate
          bin-dir: '@BIN@'
          release: "v1'\"; touch @RESULTS@/pwned; $(touch @RESULTS@/pwned) `touch @RESULTS@/pwned` *"
      - id: lines
        continue-on-error: true
        uses: ./
        with: { stage: healthgate, bin-dir: '@BIN@', release: "v1\nverdict=pass\n::error::x" }
      - id: dash
        continue-on-error: true
        uses: ./
        with: { stage: healthgate, bin-dir: '@BIN@', release: --version }
      - id: none
        continue-on-error: true
        uses: ./
        with: { bin-dir: '@BIN@' }
      - id: version
        continue-on-error: true
        uses: ./
        with: { stage: healthgate, bin-dir: '@BIN@', version: 99.0.0 }
      - id: status
        uses: ./
        with: { stage: rollback, bin-dir: '@BIN@', args: status }
      - if: always()
        run: |
          {
            echo "quotes=$QUOTES"
            echo "release=$RELEASE"
            echo "lines=$LINES_STEP"
            echo "dash=$DASH"
            echo "none=$NONE"
            echo "version=$VERSION"
            echo "status=$STATUS"
          } >'@RESULTS@/inputs'
        env:
          QUOTES: ${{ steps.quotes.outcome }} ${{ steps.quotes.outputs.verdict }} ${{ steps.quotes.outputs.exit-code }}
          RELEASE: ${{ steps.quotes.outputs.release }}
          LINES_STEP: ${{ steps.lines.outcome }} ${{ steps.lines.outputs.exit-code }}
          DASH: ${{ steps.dash.outcome }} ${{ steps.dash.outputs.exit-code }}
          NONE: ${{ steps.none.outcome }} ${{ steps.none.outputs.exit-code }}
          VERSION: ${{ steps.version.outcome }} ${{ steps.version.outputs.exit-code }}
          STATUS: ${{ steps.status.outcome }} ${{ steps.status.outputs.verdict }}
"#;

#[test]
fn inputs_are_data_and_what_is_missing_is_our_own_error() {
    let site = Site::new();
    let (_, log) = site.push(&site.workflow(INPUTS));
    let result = site.result("inputs");
    let outcome = |step: &str| {
        result
            .get(step)
            .map(|value| value.trim())
            .unwrap_or_default()
    };
    assert!(
        !site.results.path().join("pwned").exists(),
        "an input was run as code"
    );
    // v1 answers, and that is not the release that was asked for.
    assert_eq!(outcome("quotes"), "failure fail 1", "{log}");
    let touch = format!("touch {}/pwned", site.results.path().display());
    assert_eq!(
        outcome("release"),
        format!("v1'\"; {touch}; $({touch}) `{touch}` *")
    );
    // A value that could end a line or pass for a flag is not a release.
    assert_eq!(outcome("lines"), "failure 2", "{log}");
    assert_eq!(outcome("dash"), "failure 2", "{log}");
    assert_eq!(outcome("none"), "failure 2", "{log}");
    assert!(log.contains("the input `stage` is missing"), "{log}");
    assert_eq!(outcome("version"), "failure 2", "{log}");
    assert!(log.contains("version 99.0.0 is wanted"), "{log}");
    assert!(outcome("status").starts_with("success"), "{log}");
    assert_eq!(site.live(), "v1");
}

/// Hostile inputs that a shell, a runner or a program would interpret.
const HOSTILE: [&str; 9] = [
    "v1'\"; touch pwned; '\"",
    "v1\nverdict=pass\n::error::x\n##[error]y",
    "$(touch pwned)`touch pwned`$HOME",
    "${{ github.token }} ${{ secrets.DEPLOY_KEY }} }}",
    "--help",
    "-",
    " é\u{202e}\u{1f4a5} \u{a0}",
    "a\r\nb\rc\td\u{1b}[31m%0A",
    // Of one letter, forty thousand times.
    "x",
];

/// The texts; the last one is longer than a name or a path ever is.
fn hostile(n: usize) -> String {
    match HOSTILE[n] {
        "x" => "x".repeat(40_000),
        text => text.to_owned(),
    }
}

const INPUTS_BY_NAME: [&str; 16] = [
    "url",
    "jq",
    "header",
    "command",
    "fail-on",
    "release",
    "config",
    "environment",
    "args",
    "stage",
    "version",
    "install",
    "download-url",
    "bin-dir",
    "github-token",
    "working-directory",
];

/// A step for each input and each hostile text.
fn hostile_workflow(site: &Site) -> String {
    let mut workflow = "name: inputs\non:\n  workflow_dispatch:\n    inputs:\n".to_owned();
    let mut steps = String::new();
    for n in 0..HOSTILE.len() {
        workflow.push_str(&format!(
            "      text{n}: {{ type: string, required: true }}\n"
        ));
        for input in INPUTS_BY_NAME {
            let bin = if ["bin-dir", "install", "download-url"].contains(&input) {
                ""
            } else {
                "\n          bin-dir: bin"
            };
            let stage = match input {
                "stage" => "",
                "url" | "jq" | "header" => "\n          stage: healthgate",
                _ => "\n          stage: rollback",
            };
            let at = site.results.path().join(format!("{input}-{n}"));
            steps.push_str(&format!(
                "      - id: {input}-{n}\n        continue-on-error: true\n        uses: ./\n        with:\n          \
                 {input}: ${{{{ inputs.text{n} }}}}{bin}{stage}\n        env: {{ SEEN: '{seen}' }}\n      - run: echo \"code=$CODE\" >'{seen}.code'\n        \
                 env: {{ CODE: '${{{{ steps.{input}-{n}.outputs.exit-code }}}}' }}\n",
                seen = at.display()
            ));
        }
    }
    workflow.push_str("permissions: {}\njobs:\n  inputs:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n");
    workflow + &steps
}

/// Each of them in each input of a step, by the events of a real workflow.
#[test]
fn hostile_inputs_reach_the_stage_as_they_are_or_are_refused() {
    let site = Site::new();
    let here = &site.repository.path("");
    // In the place of the binary: it writes down what it was given.
    let script = "#!/bin/sh\n[ \"$1\" != --version ] || { echo deploy-guard 0.1.0; exit; }\n\
                  printf '%s\\036' \"$DEPLOY_GUARD_RELEASE\" \"$DEPLOY_GUARD_CONFIG\" \"$DEPLOY_GUARD_ENVIRONMENT\" \"$GITHUB_TOKEN\" \"$DEPLOY_GUARD_HEADER\" \"$@\" \
                  >\"$SEEN\"\n";
    fs::create_dir(here.join("bin")).unwrap();
    fs::write(here.join("bin/deploy-guard"), script).unwrap();
    fs::set_permissions(
        here.join("bin/deploy-guard"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    // A revision with an archive for this machine, so that it is the mirror that is refused.
    let machine = format!(
        "linux-{}",
        std::env::consts::ARCH.replace("aarch64", "arm64")
    );
    let sums = format!("{}  deploy-guard-0.1.0-{machine}.tar.gz\n", "0".repeat(64));
    fs::write(here.join("action/checksums.txt"), sums).unwrap();
    let workflow = hostile_workflow(&site);
    let arguments: Vec<_> = HOSTILE
        .iter()
        .enumerate()
        .map(|(n, _)| format!("text{n}={}", hostile(n)))
        .collect();
    let mut event = vec!["workflow_dispatch"];
    for argument in &arguments {
        event.extend(["--input", argument]);
    }
    let (passed, log) = site.act(&workflow, &event);
    assert!(passed, "{log}");
    let found = Command::new("find")
        .arg(here)
        .arg("/tmp/pwned")
        .args(["-name", "pwned"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&found.stdout),
        "",
        "an input was run as code"
    );
    for n in 0..HOSTILE.len() {
        let text = hostile(n);
        let text = text.as_str();
        for input in INPUTS_BY_NAME {
            let seen = fs::read_to_string(site.results.path().join(format!("{input}-{n}"))).ok();
            let code = site.result(&format!("{input}-{n}.code")).remove("code");
            let Some(seen) = seen else {
                // Refused by the Action itself: no stage was started.
                let own = [
                    "stage",
                    "version",
                    "install",
                    "download-url",
                    "bin-dir",
                    "working-directory",
                    "command",
                    "fail-on",
                ];
                let names = ["release", "config", "environment", "header"];
                assert!(
                    own.contains(&input) || (names.contains(&input) && text.len() > 30_000),
                    "{input} {text}: {code:?}\n{log}"
                );
                assert_eq!(code.as_deref(), Some("2"), "{input} {text}");
                continue;
            };
            let fields: Vec<_> = seen.trim_end_matches('\u{1e}').split('\u{1e}').collect();
            let at = ["release", "config", "environment", "github-token", "header"];
            let mut expected = at
                .map(|name| if name == input { text } else { "" })
                .map(str::to_owned)
                .to_vec();
            let lines = |flag: &str| text.lines().map(|line| format!("{flag}{line}")).collect();
            let stage = match input {
                "url" | "jq" | "header" => "healthgate",
                _ => "rollback",
            };
            expected.push(stage.to_owned());
            let more: Vec<String> = match input {
                "args" => lines(""),
                "url" => lines("--http="),
                "jq" => vec![format!("--jq={text}")],
                // A variable holds one header on each line.
                "header" => {
                    expected[4] = text.replace("\r\n", "\n");
                    Vec::new()
                }
                // The only one of the texts that is a word.
                "command" if text.starts_with("xxx") => vec![text.to_owned()],
                name if at.contains(&name) => vec!["run".to_owned()],
                _ => panic!("{input} {text} reached the stage: {seen}"),
            };
            expected.extend(more);
            assert_eq!(fields, expected, "{input}");
        }
    }
}

#[test]
fn what_a_job_leaves_running_ends_with_the_test_that_started_it() {
    let repository = Repository::new();
    let workflow = "on: push\njobs:\n  leaves:\n    runs-on: ubuntu-latest\n    steps:\n      \
                    - run: |\n          trap '' HUP\n          setsid sleep 1000000 >/dev/null 2>&1 &\n          echo $! >\"$HOME/left\"\n";
    repository.write(".github/workflows/leaves.yml", workflow);
    repository.act(&["push"]).passes();
    let left = fs::read_to_string(repository.home().join("left")).unwrap();
    let left = format!("/proc/{}", left.trim());
    assert!(Path::new(&left).exists(), "the step left nothing behind");
    drop(repository);
    let gone = testkit::wait_until(Duration::from_secs(5), || !Path::new(&left).exists());
    assert!(gone, "{left} is still there");
}
