//! How many files a new kind of probe, check, target, router, sink or migration tool touches, and in how many places a new
//! key of the policy: one of each is added to a copy of the sources, which is then no larger than it may be, and works.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::structure::MAX_LINES;

/// A probe's type, in a file of its own.
const PROBE_CONFIG: &str = r#"//! Files that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::{PolicyOverlay, ProbeConfig};
use sections::KeyPosition;

/// A file that must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileProbe {
    /// The probe's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it does otherwise than the stage's policy.
    pub policy: Option<PolicyOverlay>,
    /// `advisory` shows the probe, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
}

impl ProbeConfig for FileProbe {
    common_fields!();

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// Its measurement, in a file of its own.
const PROBE: &str = r#"//! Whether a file is there.

use std::time::Duration;

use config::file::FileProbe;
use model::Verdict;

use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

struct File(FileProbe);

impl Kind for FileProbe {
    fn subject(&self) -> String {
        self.path.display().to_string()
    }

    fn make(self, _around: &ProbeContext) -> Result<Box<dyn Probe>, crate::Error> {
        Ok(Box::new(File(self)))
    }
}

impl Probe for File {
    fn measure<'a>(&'a self, _release: Option<&'a str>, _timeout: Duration) -> Measuring<'a> {
        let reading = match self.0.path.exists() {
            true => Reading::pass("a file", "a file"),
            false => Reading::unmet(Verdict::Fail, "a file", "none", "the file is missing"),
        };
        Box::pin(async { reading })
    }

    fn hint(&self) -> String {
        format!("create {}", self.0.path.display())
    }
}
"#;

/// A check's type.
const CHECK_CONFIG: &str = r#"//! Files that must be there.

use std::path::PathBuf;

use model::Severity;
use schemars::JsonSchema;
use serde::Deserialize;

use super::CheckConfig;
use crate::value::Weight;

/// A file that must be there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileCheck {
    /// The file; also the check's name.
    pub path: PathBuf,
    /// `advisory` shows and scores the check, but it cannot fail the stage. Default: required.
    #[serde(default)]
    pub severity: Severity,
    /// Its share of the readiness score, relative to the others. Default 1.
    #[serde(default)]
    pub weight: Weight,
}

impl CheckConfig for FileCheck {
    const KEYS: &[&str] = &["path"];
}
"#;

/// What is asked.
const CHECK: &str = r#"//! Whether a file is there.

use std::time::Duration;

use config::file::FileCheck;
use model::Outcome;

use super::{Check, Context, Planned};

impl Check for FileCheck {
    fn plan<'a>(&'a self, scene: &'a Context<'a>) -> Vec<Planned<'a>> {
        let subject = self.path.display().to_string();
        let id = format!("file/{subject}");
        vec![Planned {
            id: id.clone(),
            subject: subject.clone(),
            severity: self.severity,
            weight: self.weight,
            asks: format!("look for {subject}"),
            needs: None,
            timeout: scene.timeout,
            wait: Duration::ZERO,
            ask: Box::pin(async move {
                match self.path.exists() {
                    true => Outcome::pass(id, subject).expected("a file").actual("a file"),
                    false => Outcome::fail(id, subject)
                        .expected("a file")
                        .actual("nothing")
                        .reason("the file is missing")
                        .hint("create it"),
                }
            }),
        }]
    }
}
"#;

/// A target's type.
const TARGET_CONFIG: &str = r#"//! A file that names the release that is live.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::TargetConfig;
use sections::KeyPosition;

/// A file that names the release that is live.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileTarget {
    /// The file.
    pub path: PathBuf,
}

impl TargetConfig for FileTarget {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// How it is read and switched.
const TARGET: &str = r#"//! A file that names the release that is live.

use std::fs;
use std::path::Path;

use config::file::FileTarget;

use place::{StepFuture, Context, Error, Place, Step};

use crate::kinds::Kind;
use crate::target::{
    Applied, Capabilities, Observe, Proving, Switch, Target, Transition,
};

struct File<'a>(&'a Path);

impl File<'_> {
    fn read(&self) -> Result<String, Error> {
        Ok(fs::read_to_string(self.0)?)
    }

    fn write(&self, release: &str) -> Result<String, Error> {
        fs::write(self.0, release)?;
        Ok(format!("{} names {release}", self.0.display()))
    }
}

impl Kind for FileTarget {
    fn make<'a>(&'a self, _context: &Context<'a>) -> Result<Box<dyn Target + 'a>, Error> {
        Ok(Box::new(File(&self.path)))
    }
}

impl Observe for File<'_> {
    fn current<'a>(&'a self, _step: &'a Step, _likely: &'a str) -> StepFuture<'a, Option<String>> {
        Box::pin(async { Ok(Some(self.read()?)) })
    }

    fn proof<'a>(&'a self, destination: &'a str) -> Proving<'a> {
        let read = self.read().ok().filter(|read| read == destination);
        Box::pin(async { read })
    }
}

impl Switch for File<'_> {
    fn steps(&self, transition: Transition<'_>) -> Vec<Step> {
        vec![Step {
            name: "file/localhost".to_owned(),
            does: format!("write {} into {}", transition.to, self.0.display()),
            place: Place::Here,
        }]
    }

    fn plan<'a>(&'a self, step: &'a Step, _transition: Transition<'a>) -> StepFuture<'a, String> {
        Box::pin(async { self.read().map(|_| step.does.clone()) })
    }

    fn snapshot<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
    ) -> StepFuture<'a, Option<String>> {
        Box::pin(async { Ok(Some(self.read()?)) })
    }

    fn apply<'a>(
        &'a self,
        _step: &'a Step,
        transition: Transition<'a>,
        _snapshot: Option<&'a str>,
    ) -> StepFuture<'a, Applied> {
        Box::pin(async move { Ok(self.write(transition.to)?.into()) })
    }

    fn revert<'a>(
        &'a self,
        _step: &'a Step,
        _transition: Transition<'a>,
        snapshot: Option<&'a str>,
    ) -> StepFuture<'a, String> {
        Box::pin(async move { self.write(snapshot.unwrap_or_default()) })
    }
}

impl Target for File<'_> {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }
}
"#;

/// A router's type.
const ROUTER_CONFIG: &str = r#"//! A file that holds the share.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use crate::file::rollback::TargetConfig;
use sections::KeyPosition;

/// A file that holds the share of the green side, and one for each side that names its release.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileRouter {
    /// The file with the share.
    pub path: PathBuf,
    /// The file that names the release of the blue side.
    pub blue: PathBuf,
    /// The file that names the release of the green side.
    pub green: PathBuf,
}

impl TargetConfig for FileRouter {
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// How the share is read and set.
const ROUTER: &str = r#"//! A file that holds the share.

use std::fs;
use std::time::Duration;

use config::file::FileRouter;
use config::value::{Share, Side, Split};
use model::release::Releases;
use place::{Context, Error, Place, Standby, StepFuture};

use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Router};

struct File<'a> {
    config: &'a FileRouter,
    releases: Releases,
    places: [Place; 1],
}

impl Kind for FileRouter {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        Ok(Box::new(File {
            config: self,
            releases: context.releases(),
            places: [Place::Here],
        }))
    }
}

impl File<'_> {
    fn split(&self, text: &str) -> Result<Split, Error> {
        let share = text.trim().parse::<Share>();
        let share = share.map_err(|error| Error::Malformed(error.to_string()))?;
        Ok(Split::giving(Side::Green, share))
    }

    fn read(&self) -> Result<Split, Error> {
        self.split(&fs::read_to_string(&self.config.path)?)
    }

    fn write(&self, split: Split) -> Result<(), Error> {
        Ok(fs::write(&self.config.path, split.of(Side::Green).to_string())?)
    }

    fn release(&self, side: Side) -> Result<String, Error> {
        let file = match side {
            Side::Blue => &self.config.blue,
            Side::Green => &self.config.green,
        };
        Ok(fs::read_to_string(file)?.trim().to_owned())
    }
}

impl Router for File<'_> {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn releases(&self) -> &Releases {
        &self.releases
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: Duration::ZERO,
            can_sample: true,
        }
    }

    fn places(&self) -> &[Place] {
        &self.places
    }

    fn name(&self, side: Side) -> String {
        side.to_string()
    }

    fn configured<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async { self.read() })
    }

    fn loaded<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async { Ok(None) })
    }

    fn check<'a>(&'a self, _place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        let does = format!("write {split} into {}", self.config.path.display());
        let writes = vec![split.to_string()];
        Box::pin(async move { Ok(Change { does, writes, split }) })
    }

    fn snapshot<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(async { Ok(self.read()?.of(Side::Green).to_string()) })
    }

    fn set<'a>(&'a self, _place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(async move { self.write(split) })
    }

    fn restore<'a>(&'a self, _place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(async move {
            let split = self.split(snapshot)?;
            self.write(split)?;
            Ok(format!("{split} again"))
        })
    }

    fn side_release<'a>(
        &'a self,
        _place: &'a Place,
        side: Side,
        _likely: &'a str,
    ) -> StepFuture<'a, String> {
        Box::pin(async move { self.release(side) })
    }

    fn sample_release<'a>(&'a self, _place: &'a Place, _likely: &'a str) -> StepFuture<'a, String> {
        Box::pin(async { self.release(self.read()?.whole().unwrap_or(Side::Blue)) })
    }

    fn standby<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(async move {
            Ok(Standby {
                at: self.name(side),
                front: "http://localhost/".to_owned(),
            })
        })
    }
}
"#;

/// A sink's type.
const SINK_CONFIG: &str = r#"//! A file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use yaml::Fault;

use super::sink_config::{SinkConfig, common_fields};
use super::{EventKind, Severity};
use crate::spot::KeyPosition;

/// A line per event in a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileSink {
    /// The sink's name.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Only incidents that are or were at least as bad as this. Default: all.
    pub severity: Option<Severity>,
    /// Only what happens in these environments. Default: all.
    #[serde(default)]
    pub environments: Vec<String>,
    /// Which events are told. Default: all.
    pub events: Option<Vec<EventKind>>,
    /// Of the deployments that end, only those that did not end well. Default: false.
    pub only_failed: Option<bool>,
}

impl SinkConfig for FileSink {
    common_fields!(events: |_| &EventKind::ALL, only_failed: |_| false);

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        spot.key("path").some_text(&self.path.display().to_string())
    }
}
"#;

/// One attempt.
const SINK: &str = r"//! A line in a file.

use std::fs;
use std::path::Path;
use std::time::Instant;

use sections::incident::FileSink;

use crate::sink::{Delivered, Delivering, PreviousDelivery, Sink, SinkContext};
use crate::sinks::Kind;
use crate::{DeliveryError, Notice, outside};

const LINE: usize = 500;

struct File<'a>(&'a Path);

impl Kind for FileSink {
    fn make<'a>(&'a self, _around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        Ok(Box::new(File(&self.path)))
    }
}

impl Sink for File<'_> {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        _: PreviousDelivery<'a>,
        _: Instant,
    ) -> Delivering<'a> {
        let text = outside::line(&notice.title, LINE);
        let written = fs::write(self.0, text).map(|()| Delivered::default());
        let written = written.map_err(|error| DeliveryError::later(error.to_string(), None));
        Box::pin(std::future::ready(written))
    }
}
";

/// How a migration tool is known.
const TOOL_FACTS: &str = r#"//! A tool of files alone.

use crate::facts::{FACTS as COMMON, Facts};

pub(crate) const FACTS: Facts = Facts {
    name: "file",
    calls: &[&["file-migrate"]],
    ..COMMON
};
"#;

/// Its type.
const TOOL_CONFIG: &str = r#"//! A tool of files alone.

use schemars::JsonSchema;
use serde::Deserialize;
use values::ShellText;

use super::tool_config::tool_config;

/// A tool of files alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FileTool {
    /// The folder with the migrations. Default: `migrations`.
    pub folder: Option<String>,
    /// What calls it. Default: `file-migrate`.
    pub command: Option<ShellText>,
}

tool_config!(FileTool { identifiers: [], paths: [folder] });
"#;

/// What its tables and files tell, and its commands.
const TOOL: &str = r#"//! A tool of files alone.

use database::System;
use sections::migrate::FileTool;

use crate::command::{Command, Pending, UndoError};
use crate::error::Error;
use crate::files::{FileRequest, Tree};
use crate::handover::Handover;
use crate::kinds::Configured;
use crate::line::{LinearHistory, numeric};
use crate::reading::Reading;
use crate::steps::{scripts, undo_each};
use crate::tool::Tool;
use crate::tool_query::{Query, Table, ToolAnswers};

impl Configured<FileTool> {
    fn folder(&self) -> &str {
        self.config.folder.as_deref().unwrap_or("migrations")
    }

    fn call(&self, word: &str) -> Command {
        Command::calling(self.config.command.as_ref(), "file-migrate", [word])
    }
}

impl Tool for Configured<FileTool> {
    fn migration_files(&self, _: &Tree) -> Result<Vec<FileRequest>, Error> {
        Ok(vec![FileRequest::folder(self.folder(), &["*.sql"])])
    }

    fn queries(&self, system: System, _: &Tree) -> Vec<Query> {
        let table = Table::new(None, "file_migrations");
        vec![Query::of(table, &["version"], "ORDER BY 1", system)]
    }

    fn judge(&self, seen: &ToolAnswers<'_>) -> Result<Reading, Error> {
        let line = LinearHistory {
            applied: Vec::new(),
            files: Vec::new(),
            order: numeric,
        };
        Ok(line.read(seen))
    }

    fn apply(&self, _: &Reading) -> Command {
        self.call("up")
    }

    fn undo(&self, reading: &Reading, to: Option<&str>) -> Result<Vec<Command>, UndoError> {
        let count = undo_each(reading, to)?.len();
        Ok(vec![self.call("down"); count])
    }

    fn pending_sql(&self, reading: &Reading) -> Pending {
        scripts(reading)
    }

    fn handover(&self) -> Handover {
        Handover::Variable(self.url_env.clone())
    }
}
"#;

/// Two files, the row, the type's module and the implementation's: four files each. A migration tool has a third file, which
/// the stages read that do not know its type.
#[test]
fn a_new_kind_is_two_files_a_row_and_their_module_lines_and_a_new_key_of_the_policy_five_places() {
    let mut tree = Tree::new();
    for (what, add) in [
        ("a probe", add_probe as fn(&mut Tree)),
        ("a check", add_check),
        ("a target", add_target),
        ("a router", add_router),
        ("a sink", add_sink),
    ] {
        add(&mut tree);
        assert_eq!(tree.touched().files.len(), 4, "{what}");
    }
    add_tool(&mut tree);
    assert_eq!(tree.touched().files.len(), 6, "a migration tool");
    add_key_of_the_policy(&mut tree);
    assert_eq!(tree.touched().insertions, 5, "a key of the policy");
    for (name, lines) in tree.lines() {
        assert!(lines <= MAX_LINES, "{name}: {lines} lines");
    }

    let names = ["healthgate", "preflight", "rollback", "traffic", "incident"];
    let programs = tree.build(&names);
    let [healthgate, preflight, rollback, traffic, incident] = &programs[..] else {
        panic!("five programs")
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let run = |program: &Path, args: &[&str], code: i32| {
        let mut command = Command::new(program);
        let command = testkit::clear_environment(&mut command).current_dir(folder.path());
        let ended = command.args(args).output().unwrap();
        let told = [ended.stdout, ended.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(ended.status.code(), Some(code), "{told}");
        told
    };
    let configure = |sections: &str| {
        let text = format!("version: 1\nservice: shop\n{sections}");
        fs::write(file("deploy-guard.yml"), text).unwrap();
    };
    fs::write(file("live"), "v2").unwrap();
    for (path, code) in [("live", 0), ("missing", 1)] {
        configure(&format!(
            "healthgate:\n  policy: {{ failure-limit: 0, interval: 10ms, sample-limit: 7 }}\n  file: [{{ name: it, \
             path: {path} }}]\nmigrate:\n  file: {{}}\npreflight:\n  file: [{{ path: {path} }}]\n"
        ));
        assert!(run(healthgate, &[], code).contains("file/it"));
        assert!(run(healthgate, &["--format", "json"], code).contains("\"sample_limit\": 7"));
        assert!(run(preflight, &[], code).contains(&format!("file/{path}")));
        // Two measurements are too few for the three successes, and none too few for a failure.
        let limited = run(
            healthgate,
            &["--sample-limit", "2"],
            if code == 0 { 3 } else { 1 },
        );
        assert_eq!(limited.contains("sample-limit (2)"), code == 0, "{limited}");
    }

    configure("rollback:\n  state: state.json\n  file: { path: live }\n");
    let forced = ["--force=not-running", "--reason=test"];
    run(
        rollback,
        &[&["record", "--release=v1"], &forced[..]].concat(),
        0,
    );
    run(rollback, &["record", "--pending", "--release=v2"], 0);
    let told = run(rollback, &["run"], 0);
    assert!(told.contains("rolled back from v2 to v1"), "{told}");
    assert_eq!(fs::read_to_string(file("live")).unwrap(), "v1");

    configure(
        "traffic:\n  state: shares.json\n  file: { path: share, blue: live, green: next }\nincident:\n  file: [{ name: \
         log, path: heard }]\n",
    );
    fs::write(file("next"), "v3").unwrap();
    fs::write(file("share"), "100%").unwrap();
    let told = run(traffic, &["status"], 0);
    assert!(told.contains("green") && told.contains("v3"), "{told}");
    run(
        incident,
        &["open", "--release=v3", "checkout answers 500"],
        0,
    );
    let heard = fs::read_to_string(file("heard")).unwrap();
    assert!(heard.contains("checkout answers 500"), "{heard}");
}

fn add_probe(tree: &mut Tree) {
    tree.add("crates/config/src/file/healthgate/file.rs", PROBE_CONFIG);
    tree.add("crates/probe/src/file.rs", PROBE);
    let http = "            /// HTTP endpoints.\n";
    let row = "            /// Files.\n            file: FileProbe,\n";
    let section = "crates/config/src/file/healthgate.rs";
    tree.insert(section, &[("mod grpc;", "mod file;\n"), (http, row)]);
    tree.insert(section, &[("pub use grpc::", "pub use file::FileProbe;\n")]);
    tree.insert("crates/probe/src/lib.rs", &[("mod grpc;", "mod file;\n")]);
}

fn add_check(tree: &mut Tree) {
    tree.add("crates/config/src/file/preflight/file.rs", CHECK_CONFIG);
    tree.add("crates/preflight/src/check/file.rs", CHECK);
    let images = "            /// Container images that must";
    let row = "            /// Files.\n            #[serde(default)]\n            file: Vec<FileCheck>,\n";
    let section = "crates/config/src/file/preflight.rs";
    tree.insert(section, &[("mod freeze;", "mod file;\n"), (images, row)]);
    tree.insert(
        section,
        &[("pub use freeze::", "pub use file::FileCheck;\n")],
    );
    tree.insert(
        "crates/preflight/src/check.rs",
        &[("mod freeze;", "mod file;\n")],
    );
}

fn add_target(tree: &mut Tree) {
    tree.add("crates/config/src/file/rollback/file.rs", TARGET_CONFIG);
    tree.add("crates/target/src/file.rs", TARGET);
    let workflow = "            /// A workflow of GitHub Actions makes the switch.\n";
    let row =
        "            /// A file names the release that is live.\n            file: FileTarget,\n";
    let section = "crates/config/src/file/rollback.rs";
    tree.insert(section, &[("mod haproxy;", "mod file;\n"), (workflow, row)]);
    tree.insert(
        section,
        &[("pub use haproxy::", "pub use file::FileTarget;\n")],
    );
    tree.insert(
        "crates/target/src/lib.rs",
        &[("mod haproxy;", "mod file;\n")],
    );
}

fn add_router(tree: &mut Tree) {
    tree.add("crates/config/src/file/traffic/file.rs", ROUTER_CONFIG);
    tree.add("crates/router/src/file.rs", ROUTER);
    let caddy = "            /// The weights of two upstreams of Caddy";
    let row = "            /// A file holds the share.\n            file: FileRouter,\n";
    let section = "crates/config/src/file/traffic.rs";
    tree.insert(section, &[("mod command;", "mod file;\n"), (caddy, row)]);
    tree.insert(
        section,
        &[("pub use command::", "pub use file::FileRouter;\n")],
    );
    tree.insert(
        "crates/router/src/lib.rs",
        &[("pub mod haproxy;", "mod file;\n")],
    );
}

fn add_sink(tree: &mut Tree) {
    tree.add("crates/sections/src/incident/file.rs", SINK_CONFIG);
    tree.add("crates/notify/src/file.rs", SINK);
    let stdout = "            /// A line in the log of the job.\n";
    let row = "            /// A line in a file.\n            file: FileSink,\n";
    let section = "crates/sections/src/incident.rs";
    tree.insert(section, &[("mod filter;", "mod file;\n"), (stdout, row)]);
    tree.insert(
        section,
        &[("pub use filter::", "pub use file::FileSink;\n")],
    );
    tree.insert(
        "crates/notify/src/lib.rs",
        &[("mod github_access;", "mod file;\n")],
    );
}

fn add_tool(tree: &mut Tree) {
    tree.add("crates/migration-tools/src/file.rs", TOOL_FACTS);
    tree.add("crates/sections/src/migrate/file.rs", TOOL_CONFIG);
    tree.add("crates/migrations/src/tools/file.rs", TOOL);
    let flyway = "            /// Flyway.\n";
    let row = "            /// A tool of files alone.\n            file: FileTool,\n";
    tree.insert(
        "crates/migration-tools/src/lib.rs",
        &[("mod flyway;", "mod file;\n"), (flyway, row)],
    );
    tree.insert(
        "crates/sections/src/migrate.rs",
        &[
            ("mod lint;", "mod file;\n"),
            ("pub use lint::", "pub use file::FileTool;\n"),
        ],
    );
    tree.insert(
        "crates/migrations/src/tools.rs",
        &[("pub(crate) mod flyway;", "pub(crate) mod file;\n")],
    );
}

/// The row; the flag; the report's key; and the rule that judges by it.
fn add_key_of_the_policy(tree: &mut Tree) {
    let soak = "    /// After passing, keep measuring this long. Default 0s.\n";
    let row = "    /// Measurements after which the probe ends.\n    sample_limit: optional u32 => sample_limit,\n";
    tree.insert(
        "crates/config/src/file/healthgate/policy.rs",
        &[(soak, row)],
    );
    let soak = "    /// After passing, keep measuring this long [default: 0s]\n";
    let row = "    /// Measurements after which the probe ends\n    sample_limit: u32 = \"N\",\n";
    tree.insert("crates/healthgate/src/policy_flags.rs", &[(soak, row)]);
    let row = "    sample_limit: number Option<u32>,\n";
    tree.insert(
        "crates/model/src/watched.rs",
        &[("    soak_ms: number u64,\n", row)],
    );
    let rule = "            .or_else(|| {
                let (seen, limit) = (self.now.seen, policy.sample_limit?);
                (seen >= limit).then(|| Conclusion {
                    verdict: Verdict::Inconclusive,
                    reason: format!(\"measured ({seen}) ≥ sample-limit ({limit})\"),
                })
            })\n";
    let end = "    }\n\n    /// `failing-for` where it is set; else";
    tree.insert(
        "crates/gate/src/policy/assessor.rs",
        &[
            ("            soak: _,\n", "            sample_limit: _,\n"),
            (end, rule),
        ],
    );
}

/// A copy of the sources, by their paths, and what was touched since that was counted.
struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    touched: Touched,
}

#[derive(Default)]
struct Touched {
    /// Those that were added or edited.
    files: BTreeSet<String>,
    /// Places in them.
    insertions: usize,
}

impl Tree {
    fn new() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let files = Command::new("git")
            .args([
                "ls-files",
                "-zco",
                "--exclude-standard",
                "--",
                "Cargo.*",
                "action*",
                "crates",
                "schema",
                "setup",
                "xtask",
            ])
            .current_dir(root)
            .output()
            .unwrap();
        let files = String::from_utf8(files.stdout).unwrap();
        let files = files.split_terminator('\0');
        // What is not committed yet is listed too, also where it was deleted.
        let read = |file: &str| Some((file.to_owned(), fs::read(root.join(file)).ok()?));
        let mut tree = Tree {
            files: files.filter_map(read).collect(),
            touched: Touched::default(),
        };
        // Cargo tells packages of two workspaces apart by their versions, not by their folders:
        // with the same version, one would be taken for the other.
        let version = concat!("version = \"", env!("CARGO_PKG_VERSION"));
        tree.edit("Cargo.toml", version, &format!("{version}-copy"));
        tree.touched();
        tree
    }

    /// What was added or edited since this was asked last.
    fn touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    /// The lines of each crate's sources.
    fn lines(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (file, content) in &self.files {
            let below = file
                .strip_prefix("crates/")
                .and_then(|it| it.split_once("/src/"));
            if let Some((name, _)) =
                below.filter(|(_, file)| Path::new(file).extension().is_some_and(|it| it == "rs"))
            {
                let lines = String::from_utf8_lossy(content).lines().count();
                *all.entry(name.to_owned()).or_default() += lines;
            }
        }
        all
    }

    fn add(&mut self, file: &str, text: &str) {
        self.touched.files.insert(file.to_owned());
        assert!(self.files.insert(file.to_owned(), text.into()).is_none());
    }

    /// Puts lines before others.
    fn insert(&mut self, file: &str, lines: &[(&str, &str)]) {
        for (before, line) in lines {
            self.edit(file, before, &format!("{line}{before}"));
        }
    }

    /// Replaces a text that is there once.
    fn edit(&mut self, file: &str, from: &str, to: &str) {
        self.touched.files.insert(file.to_owned());
        self.touched.insertions += 1;
        let bytes = self.files.get_mut(file).unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}");
        *bytes = text.replace(from, to).into();
    }

    /// Writes the copy and builds binaries of it, with the dependencies that are built already.
    /// The copy stays, so that the next run builds only what has changed.
    fn build(&self, names: &[&str]) -> Vec<PathBuf> {
        let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let copy = tmp.join("new-kind");
        for (file, content) in &self.files {
            let path = copy.join(file);
            // What has not changed keeps its time, by which cargo knows it.
            if !fs::read(&path).is_ok_and(|before| before == *content) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        }
        // Beside the binaries of the sources, not over them.
        let target = copy.join("target");
        let mut cargo = Command::new(env!("CARGO"));
        let cargo = cargo
            .args(["build", "--workspace", "--offline"])
            .args(names.iter().flat_map(|name| ["--bin", name]))
            .current_dir(&copy)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_BUILD_BUILD_DIR", tmp.parent().unwrap());
        let built = cargo.output().unwrap();
        let told = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{told}");
        let folder = target.join("debug");
        names.iter().map(|name| folder.join(name)).collect()
    }
}
