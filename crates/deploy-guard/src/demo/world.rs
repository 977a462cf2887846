//! The demo's world: a folder with the files a user would have, the running shop, and load on it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::text::duration;
use serde_json::Value;
use tokio::process::{Child, Command};

/// Up in milliseconds; a loaded machine may take longer.
const START: Duration = Duration::from_secs(10);
/// A stage of the demo takes a second.
const STAGE: Duration = Duration::from_secs(60);

/// Puts $RELEASE on the colour that has it, else on the idle one, and points the router there.
const DEPLOY: &str = r#"#!/bin/sh
set -eu
live=$(cat router/live)
target=
for colour in blue green; do
  if [ "$(cat "$colour/release")" = "$RELEASE" ]; then target=$colour; fi
done
if [ -z "$target" ]; then
  if [ "$live" = blue ]; then target=green; else target=blue; fi
  printf '%s' "$RELEASE" >"$target/release.new"
  mv "$target/release.new" "$target/release"
fi
printf '%s' "$target" >router/live.new
mv router/live.new router/live
echo "$RELEASE is live on $target"
"#;

/// Gives $SHARE percent of the requests to $SIDE; without a share it prints that of $SIDE.
const WEIGH: &str = r#"#!/bin/sh
set -eu
of_green() {
  if [ -e router/share ]; then cat router/share
  elif [ "$(cat router/live)" = green ]; then echo 100
  else echo 0; fi
}
if [ -z "${SHARE:-}" ]; then
  if [ "$SIDE" = green ]; then of_green; else echo $((100 - $(of_green))); fi
  exit
fi
green=$SHARE
if [ "$SIDE" = blue ]; then green=$((100 - SHARE)); fi
case $green in
  0) live=blue ;;
  100) live=green ;;
  *)
    printf '%s' "$green" >router/share.new
    mv router/share.new router/share
    exit
    ;;
esac
printf '%s' "$live" >router/live.new
mv router/live.new router/live
rm -f router/share
"#;

pub(crate) struct World {
    folder: PathBuf,
    /// Removes the folder at the end, unless it is kept.
    temporary: Option<tempfile::TempDir>,
    router: String,
    /// Killed with the world.
    _servers: Child,
}

/// A stage that ran.
pub(crate) struct Ran {
    pub(crate) code: i32,
    /// Its report; null if it wrote none.
    pub(crate) report: Value,
    reports: PathBuf,
}

impl Ran {
    /// The report of one stage of a `run`.
    pub(crate) fn part(&self, stage: &str) -> Value {
        read_json(&self.reports.with_extension(format!("{stage}.json")))
    }
}

/// Why the demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{}: {cause}", folder.display())]
    Folder {
        folder: PathBuf,
        cause: std::io::Error,
    },
    #[error("{} is not empty: name a new folder", .0.display())]
    NotEmpty(PathBuf),
    #[error("the shop did not start")]
    NotStarted,
    #[error("`{command}` did not end within {}", duration(STAGE))]
    Late { command: String },
}

impl World {
    pub(crate) fn make(keep: Option<PathBuf>) -> Result<Self, Error> {
        let (folder, temporary) = if let Some(folder) = keep {
            (empty_folder(folder)?, None)
        } else {
            let mut made = tempfile::Builder::new();
            let made = made.prefix("deploy-guard-demo-").tempdir()?;
            (made.path().to_owned(), Some(made))
        };
        for name in ["blue", "green", "router", "reports"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        put(&folder, "router/live", "green")?;
        put(&folder, "blue/release", "none")?;
        put(&folder, "green/release", "none")?;
        let servers = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let router = wait_for(&folder.join("router/address"))?;
        put(&folder, "deploy.sh", DEPLOY)?;
        put(&folder, "weigh.sh", WEIGH)?;
        put(&folder, "deploy-guard.yml", &configuration(&router))?;
        let address = |colour: &str| wait_for(&folder.join(colour).join("address"));
        let canary = canary(&router, &address("blue")?, &address("green")?);
        put(&folder, "canary.yml", &canary)?;
        Ok(World {
            folder,
            temporary,
            router: format!("http://{router}"),
            _servers: servers,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder, if it stays.
    pub(crate) fn retained_folder(&self) -> Option<&Path> {
        self.temporary.is_none().then_some(self.folder.as_path())
    }

    pub(crate) fn router(&self) -> String {
        self.router.clone()
    }

    /// Runs a stage as a user would, in the folder.
    pub(crate) async fn stage(&self, args: &[&str], name: &str, shown: bool) -> Result<Ran, Error> {
        let reports = self.folder.join("reports").join(format!("{name}.json"));
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(args)
            .arg("--report")
            .arg(&reports)
            .arg("--summary")
            .arg(self.folder.join(format!("summary-{name}.md")))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(if shown {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stderr(if shown {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .kill_on_drop(true);
        // What is set for a caller's own deployments must not steer the demo's.
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy();
            if known.starts_with("DEPLOY_GUARD_")
                || known.starts_with("GITHUB_")
                || known.to_ascii_lowercase().ends_with("_proxy")
            {
                command.env_remove(&name);
            }
        }
        let mut child = command.spawn()?;
        let status = tokio::time::timeout(STAGE, child.wait())
            .await
            .map_err(|_| Error::Late {
                command: args.join(" "),
            })??;
        Ok(Ran {
            code: status.code().unwrap_or(-1),
            report: read_json(&reports),
            reports,
        })
    }

    /// The release that answers through the router.
    pub(crate) async fn live_release(&self) -> String {
        let url = format!("{}/api/v1/version", self.router);
        let source = config::file::ReleaseSource::default();
        let route = net::Route::default();
        let any = (config::file::Match::Exact, "");
        let query = probe::http::ReleaseQuery {
            url: &url,
            headers: &[],
            at: None,
            source: Some(&source),
            likely: any,
        };
        probe::http::query_release(route, query, START)
            .await
            .unwrap_or_else(|why| why.to_string())
    }

    /// Puts a release on the colour that has no requests.
    pub(crate) fn put_on_idle_side(&self, release: &str) -> Result<(), Error> {
        let live = std::fs::read_to_string(self.folder.join("router/live"))?;
        let idle = if live == "blue" { "green" } else { "blue" };
        put(&self.folder, &format!("{idle}/release"), release)?;
        Ok(())
    }

    pub(crate) fn state(&self) -> Value {
        read_json(&self.folder.join("state.json"))
    }

    pub(crate) fn summary(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("summary-{name}.md"))).unwrap_or_default()
    }
}

fn configuration(router: &str) -> String {
    format!(
        r#"version: 1
service: shop
healthgate:
  policy: {{ interval: 100ms, timeout: 1s, success-threshold: 3, failure-limit: 2, deadline: 10s }}
  http:
    - name: ready
      url: http://{router}/health/ready
      jq: .status == "healthy"
      release: {{ url: http://{router}/api/v1/version, jq: .version }}
    - name: basket
      url: http://{router}/basket
rollback:
  state: state.json
  command:
    run: sh ./deploy.sh
    current: cat "$(cat router/live)/release"
deploy:
  command: sh ./deploy.sh
"#
    )
}

/// The configuration of the canary: what its router counts decides, for its health lies.
fn canary(router: &str, blue: &str, green: &str) -> String {
    format!(
        r#"version: 1
service: shop
healthgate:
  policy: {{ interval: 100ms, timeout: 1s, success-threshold: 3, failure-limit: 2, deadline: 30s }}
  http:
    - name: ready
      url: http://{router}/health/ready
      jq: .status == "healthy"
  canary:
    interval: 500ms
    deadline: 30s
    metrics: [{{ name: errors, kind: ratio, tolerance: 2 }}]
    access-log: {{ file: router/access.log, format: json, side: {{ field: side, canary: green, stable: blue }} }}
rollback:
  state: state.json
  command: {{ run: sh ./deploy.sh, current: cat "$(cat router/live)/release" }}
traffic:
  stages: [10%, 100%]
  stage-duration: 30s
  command:
    set: sh ./weigh.sh
    get: sh ./weigh.sh
    blue: {blue}
    green: {green}
    release: {{ url: http://{router}/api/v1/version, jq: .version }}
"#
    )
}

fn empty_folder(folder: PathBuf) -> Result<PathBuf, Error> {
    if let Err(cause) = std::fs::create_dir_all(&folder) {
        return Err(Error::Folder { folder, cause });
    }
    if std::fs::read_dir(&folder)?.next().is_some() {
        return Err(Error::NotEmpty(folder));
    }
    Ok(folder.canonicalize()?)
}

fn put(folder: &Path, name: &str, content: &str) -> std::io::Result<()> {
    state::atomic::replace(&folder.join(name), content.as_bytes())
}

/// Waits for a file that another process writes whole.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing else happens before the servers are up"
)]
fn wait_for(path: &Path) -> Result<String, Error> {
    let since = Instant::now();
    while since.elapsed() < START {
        if let Ok(content) = std::fs::read_to_string(path) {
            return Ok(content);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Error::NotStarted)
}

fn read_json(path: &Path) -> Value {
    let read = files::read(path, 16 << 20).ok();
    read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// What customers saw while v2 was deployed and taken back.
pub(crate) struct Requests {
    pub(crate) sent: u64,
    /// 500: the bad release's own failures.
    pub(crate) failed: u64,
    /// No answer, or one of the router's own errors: lost by the switch.
    pub(crate) lost: u64,
}

/// Requests through the router, one after the other, until stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Requests>,
}

impl Load {
    pub(crate) fn start(router: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut seen = Requests {
            sent: 0,
            failed: 0,
            lost: 0,
        };
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .unwrap_or_default();
            while !stopped.load(Ordering::Relaxed) {
                seen.sent += 1;
                match client
                    .get(format!("{router}/"))
                    .send()
                    .await
                    .map(|answer| answer.status().as_u16())
                {
                    Ok(200) => {}
                    Ok(500) => seen.failed += 1,
                    _ => seen.lost += 1,
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            seen
        });
        Load { stop, task }
    }

    pub(crate) async fn stop(self) -> Requests {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap_or(Requests {
            sent: 0,
            failed: 0,
            lost: 0,
        })
    }
}
