//! `deploy-guard demo`: the main job and a canary, for real, with nothing installed.
//!
//! A shop in two colours and a router run as a process of this binary; the stages run as
//! processes of this binary too, on files a user could have written. Exit 0 if and only if all
//! that the demo promises really happened.

mod render;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use model::ExitCode;
use model::text::span;
use serde_json::{Value, json};

use cli::write_stdout;
use world::{Error, Load, Ran, World};

pub(crate) fn command() -> Command {
    Command::new("demo")
        .about("Show the main job on a small shop: deploy, detect, roll back")
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("DIR")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Work in this new or empty folder, and keep it"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("What to write to stdout"),
        )
}

pub(crate) fn main(matches: &ArgMatches) -> ExitCode {
    let text = matches
        .get_one::<String>("format")
        .is_none_or(|format| format == "text");
    let keep = matches.get_one::<PathBuf>("keep");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime.map_err(Error::from).and_then(|runtime| {
        runtime.block_on(async {
            let world = World::make(keep.cloned())?;
            Demo { world, text }.play().await
        })
    });
    match result {
        Ok(true) => ExitCode::Pass,
        Ok(false) => ExitCode::Fail,
        Err(error) => {
            // The only failure that is about the demo and not about what it shows.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("error: failed to run the demo: {error}\n").as_bytes(),
            );
            ExitCode::Error
        }
    }
}

/// Simulated users during the canary: the comparison needs requests.
const USERS: usize = 4;

struct Demo {
    world: World,
    text: bool,
}

/// One promise of the demo, and whether it was kept.
struct Promise {
    what: &'static str,
    kept: bool,
    seen: String,
}

impl Demo {
    async fn play(self) -> Result<bool, Error> {
        let world = &self.world;
        self.write_text(&format!(
            "The demo's files are in {}\n",
            world.folder().display()
        ));
        self.write_text("\n── 1. v1 is deployed under guard, and recorded as good ──\n");
        let first = world
            .stage(&["run", "--release", "v1"], "v1", self.text)
            .await?;
        let load = Load::start(world.router());
        self.write_text("\n── 2. v2 is deployed: it answers 200 with \"degraded\" and fails 1 request in 4 ──\n");
        let second = world
            .stage(&["run", "--release", "v2"], "v2", self.text)
            .await?;
        let requests = load.stop().await;
        let live = world.live_release().await;
        self.write_text("\n── 3. v2 again: preflight knows it ──\n");
        let third = world
            .stage(&["preflight", "--release", "v2"], "v2-again", self.text)
            .await?;
        self.write_text("\n── 4. v3 reports that it is healthy, and fails 1 request in 4: it gets 10 % of the requests ──\n");
        world.put_on_idle_side("v3")?;
        let users = [(); USERS].map(|()| Load::start(world.router()));
        let ramp = [
            "traffic",
            "ramp",
            "--release",
            "v3",
            "--config",
            "canary.yml",
        ];
        let canary = world.stage(&ramp, "v3", self.text).await?;
        for user in users {
            user.stop().await;
        }
        let after = world.live_release().await;
        let mut promises = self.promises(&first, &second, &third, &live);
        promises.extend(self.canary_promises(&canary, &after));
        let kept = promises.iter().all(|promise| promise.kept);
        let detection = second.part("healthgate")["duration_ms"].as_u64();
        let restoration = second.part("rollback")["duration_ms"].as_u64();
        if self.text {
            let ramp = canary.report["duration_ms"].as_u64();
            self.show(&promises, (detection, restoration, ramp), &requests);
        } else {
            let checks: Vec<Value> = promises
                .iter()
                .map(|promise| json!({"what": promise.what, "passed": promise.kept, "seen": promise.seen}))
                .collect();
            let document = json!({
                "schema": "deploy-guard/demo/v1",
                "passed": kept,
                "detection_ms": detection,
                "restoration_ms": restoration,
                "canary_ms": canary.report["duration_ms"],
                "folder": world.retained_folder().map(|folder| folder.display().to_string()),
                "checks": checks,
                "requests": {"sent": requests.sent, "failed": requests.failed, "lost": requests.lost},
                "reports": {
                    "good": first.report,
                    "preflight": second.part("preflight"),
                    "healthgate": second.part("healthgate"),
                    "rollback": second.part("rollback"),
                    "run": second.report,
                    "refused": third.report,
                    "canary": canary.report,
                },
            });
            write_stdout(&format!("{document:#}\n"));
        }
        Ok(kept)
    }

    fn promises(&self, first: &Ran, second: &Ran, third: &Ran, live: &str) -> Vec<Promise> {
        let promise = |what, kept, seen: &str| Promise {
            what,
            kept,
            seen: seen.to_owned(),
        };
        let reason = |report: &Value| report["reason"].as_str().unwrap_or("no report").to_owned();
        let gate = &second.part("healthgate");
        let rollback = &second.part("rollback");
        let state = self.world.state();
        let limit = gate["policy"]["failure_limit"].as_u64();
        let status = |release: &str| {
            let entries = state["history"].as_array().into_iter().flatten();
            let entry = entries
                .into_iter()
                .find(|entry| entry["release"] == release);
            entry
                .and_then(|entry| entry["status"].as_str())
                .unwrap_or("not recorded")
                .to_owned()
        };
        vec![
            promise(
                "v1 is deployed and good",
                first.code == 0 && status("v1") == "good",
                &reason(&first.report),
            ),
            promise(
                "healthgate fails v2, with its arithmetic",
                gate["verdict"] == "fail"
                    && limit.is_some_and(|limit| failures(gate) > Some(limit)),
                &reason(gate),
            ),
            promise(
                "rollback restores v1",
                rollback["verdict"] == "pass" && second.code == 1,
                &reason(rollback),
            ),
            promise("v1 answers through the router", live == "v1", live),
            promise(
                "v2 is recorded as bad",
                status("v2") == "bad",
                &status("v2"),
            ),
            promise(
                "deploying v2 again is refused",
                third.code == 5
                    && outcome(&third.report, "release/known-bad")["verdict"] == "refused",
                &reason(&third.report),
            ),
        ]
    }

    fn canary_promises(&self, canary: &Ran, live: &str) -> [Promise; 2] {
        let text = |report: &Value, key: &str| report[key].as_str().unwrap_or_default().to_owned();
        let errors = outcome(&canary.report, "10%/canary/errors");
        let state = self.world.state();
        let is_back = live == "v1" && state["rollout"].is_null();
        [
            Promise {
                what: "the comparison fails v3 at 10%, although its health check passes",
                kept: canary.code == 1 && errors["verdict"] == "fail",
                seen: text(&errors, "reason"),
            },
            Promise {
                what: "v3 has 0 % again, and v1 everything",
                kept: is_back,
                seen: text(&canary.report, "reason"),
            },
        ]
    }

    fn show(
        &self,
        promises: &[Promise],
        (detection, restoration, canary): (Option<u64>, Option<u64>, Option<u64>),
        requests: &world::Requests,
    ) {
        self.write_text(
            "\n── The step summary of the deployment of v2, as GitHub would show it ──\n\n",
        );
        self.write_text(&render::markdown(&self.world.summary("v2")));
        self.write_text("\n── What happened ──\n\n");
        for promise in promises {
            let sign = if promise.kept { "✓" } else { "✗" };
            self.write_text(&format!(
                "  {sign} {}\n      {}\n",
                promise.what, promise.seen
            ));
        }
        let ms = |time: Option<u64>| {
            time.map_or("unknown".to_owned(), |ms| span(Duration::from_millis(ms)))
        };
        self.write_text(&format!(
            "\n  detection    {}\n  restoration  {}\n  canary       {}, with its way back\n",
            ms(detection),
            ms(restoration),
            ms(canary)
        ));
        self.write_text(&format!(
            "  requests     {} sent meanwhile, {} failed by v2, {} lost\n",
            requests.sent, requests.failed, requests.lost
        ));
        match self.world.retained_folder() {
            Some(folder) => self.write_text(&format!(
                "  files        {0}: deploy-guard.yml, deploy.sh, state.json, reports/, summary-v2.md\n",
                folder.display()
            )),
            None => self.write_text("  files        removed; `deploy-guard demo --keep DIR` keeps them\n"),
        }
    }

    fn write_text(&self, text: &str) {
        if self.text {
            write_stdout(text);
        }
    }
}

/// An outcome of a report by its id; `null` without one.
fn outcome(report: &Value, id: &str) -> Value {
    let mut all = report["outcomes"].as_array().into_iter().flatten();
    let found = all.find(|outcome| outcome["id"] == id);
    found.cloned().unwrap_or_default()
}

/// The failures of the probe that failed most.
fn failures(report: &Value) -> Option<u64> {
    let of = |outcome: &Value| {
        let all = outcome["measurements"].as_array().into_iter().flatten();
        let failed = all.filter(|measurement| measurement["verdict"] == "fail");
        u64::try_from(failed.count()).ok()
    };
    let all = report["outcomes"].as_array().into_iter().flatten();
    all.filter_map(of).max()
}
