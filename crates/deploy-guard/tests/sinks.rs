//! The sinks against every stage: whatever they do, a stage has the verdict and the exit code that it has without
//! `incident:`, and takes at most the delivery budget longer.
//!
//! By default each stage meets all faults at once, so that they share one budget. `SINKS=each` gives every stage each fault
//! alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{FaultyServers, Nginx, Postgres, Receiver, Reply, Shop, TlsFault};

/// The budget of all deliveries of a stage.
const BUDGET: Duration = Duration::from_secs(5);
/// What a machine that is busy elsewhere adds to one of two runs and not to the other.
const BUSY: Duration = Duration::from_secs(3);
const SECRET: &str = "canary-3b9d0c6e1f27";

const REPLIES: [Reply; 9] = [
    Reply::Hang,
    Reply::Down,
    Reply::Busy,
    Reply::Broken,
    Reply::Gone,
    Reply::Elsewhere,
    Reply::Endless,
    Reply::Slow,
    Reply::Garbage,
];

/// Every kind of event: a quiet sink would hide how long a busy one takes.
const EVERYTHING: [&str; 10] = [
    "incident-opened",
    "incident-updated",
    "note",
    "severity-changed",
    "escalated",
    "incident-resolved",
    "deployment-started",
    "stage-ended",
    "deployment-ended",
    "exposure-measured",
];

/// What a stage works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A service whose release is the text of the file `live`.
    Files,
    /// Two sides behind nginx.
    Sides,
    /// A database.
    Schema,
}

/// A stage that ends in a certain way.
struct Case {
    place: Place,
    /// What happened before, in the folder of the service and without `incident:`.
    before: &'static str,
    words: &'static str,
    code: i32,
    verdict: &'static str,
}

const fn case(
    place: Place,
    words: &'static str,
    before: &'static str,
    code: i32,
    verdict: &'static str,
) -> Case {
    Case {
        place,
        before,
        words,
        code,
        verdict,
    }
}

/// v1 is good, v2 is deployed.
const TWO: &str = "printf v1 >live && rollback record --release v1 && printf v2 >live";
const STUCK: &str =
    "printf v1 >live && rollback record --release v1 && printf v2 >live && touch stuck";
const FIRST: &str = "printf v1 >live && rollback record --release v1";

const CASES: [Case; 19] = {
    use Place::{Files, Schema, Sides};
    [
        case(Files, "preflight --release v2", "", 0, "pass"),
        case(Files, "preflight --release v2", "touch full", 1, "fail"),
        case(
            Files,
            "healthgate --release v2",
            "printf v2 >live",
            0,
            "pass",
        ),
        case(
            Files,
            "healthgate --release v2",
            "printf bad >live",
            1,
            "fail",
        ),
        case(Files, "rollback run", TWO, 0, "pass"),
        case(Files, "rollback run", STUCK, 1, "fail"),
        case(Files, "rollback run", "printf v1 >live", 5, "refused"),
        case(Files, "deploy-guard run --release v2", FIRST, 0, "pass"),
        case(Files, "deploy-guard run --release bad-v2", FIRST, 1, "fail"),
        case(Files, "deploy-guard run --release bad-v2", STUCK, 1, "fail"),
        case(
            Files,
            "deploy-guard run --release v2",
            "touch full",
            1,
            "fail",
        ),
        case(Sides, "traffic switch --to green", "", 0, "pass"),
        case(Sides, "traffic set 25% --release v2", "", 0, "pass"),
        case(Sides, "traffic ramp --release v2", "", 0, "pass"),
        case(Sides, "traffic ramp --release v2", "touch bad", 1, "fail"),
        case(Sides, "traffic abort", "", 0, "pass"),
        case(Schema, "migrate run --release v2", "", 0, "pass"),
        case(
            Schema,
            "migrate run --release v2",
            "mv more/* db/migrations",
            1,
            "fail",
        ),
        case(
            Schema,
            "migrate undo",
            "migrate run --release v2",
            5,
            "refused",
        ),
    ]
};

/// A service as a stage finds it.
struct Site {
    folder: TempDir,
    _shops: Option<(Shop, Shop, Nginx)>,
    database: Option<String>,
}

/// How a stage ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    report: Value,
    text: String,
    took: Duration,
}

impl Site {
    fn new(place: Place, postgres: &Postgres, number: usize) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let servers = (place == Place::Sides).then(|| {
            let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
            let nginx = Nginx::start(&blue.address());
            (blue, green, nginx)
        });
        let of_sides = servers
            .as_ref()
            .map(|(blue, green, nginx)| sides(blue, green, nginx));
        let mut site = Site {
            folder,
            _shops: servers,
            database: None,
        };
        let config = match place {
            Place::Files => files(),
            Place::Sides => of_sides.unwrap(),
            Place::Schema => {
                let name = format!("shop{number}");
                postgres.sql(&format!("CREATE DATABASE {name} OWNER app"));
                site.database = Some(format!("{}?sslmode=disable", postgres.url("app", &name)));
                site.migrations();
                schema()
            }
        };
        site.configure(config);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, config: Value) {
        std::fs::write(self.path("deploy-guard.yml"), config.to_string()).unwrap();
    }

    fn migrations(&self) {
        for (folder, name, sql) in [
            ("db/migrations", "1_a.sql", "CREATE TABLE a (id int);"),
            ("more", "2_b.sql", "ALTER TABLE nowhere ADD COLUMN x int;"),
        ] {
            let folder = self.path(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!("-- migrate:up\n{sql}\n\n-- migrate:down\nDROP TABLE a;\n");
            std::fs::write(folder.join(name), text).unwrap();
        }
    }

    /// Adds `incident:` to the configuration.
    fn tell(&self, incident: &Value) {
        let config = std::fs::read(self.path("deploy-guard.yml")).unwrap();
        let mut config: Value = serde_json::from_slice(&config).unwrap();
        config["incident"] = incident.clone();
        self.configure(config);
    }

    /// A command in the folder of the service, with our programs in the path.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        testkit::clear_environment(&mut command).current_dir(self.folder.path());
        let ours = testkit::bin_path("deploy-guard");
        let paths = std::env::var("PATH").unwrap();
        let paths = format!("{}:{paths}", ours.parent().unwrap().display());
        command.env("PATH", paths);
        if let Some(url) = &self.database {
            command.env("DATABASE_URL", url);
        }
        command
    }

    fn prepare(&self, script: &str) {
        let ran = self.command("sh".as_ref()).args(["-ec", script]).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{script}: {ran:?}");
    }

    fn run(&self, words: &str, world: &Faults) -> Ended {
        let mut words = words.split(' ');
        let program = testkit::bin_path(words.next().unwrap());
        let mut command = self.command(&program);
        command.args(words).args(["--report", "report.json"]);
        command.envs(world.env.iter().map(|(name, value)| (name, value)));
        let clock = Instant::now();
        let output = command.output().unwrap();
        let took = clock.elapsed();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let report = std::fs::read(self.path("report.json"));
        Ended {
            code: output.status.code().unwrap(),
            report: serde_json::from_slice(&report.expect(&text)).unwrap(),
            text,
            took,
        }
    }
}

fn files() -> Value {
    json!({
        "version": 1,
        "service": "shop",
        "preflight": { "command": [{ "name": "look", "run": "test ! -f full" }] },
        "deploy": { "command": "printf %s \"$RELEASE\" >live" },
        "healthgate": gate("! grep -q bad live"),
        "rollback": {
            "state": "state.json",
            "command": {
                "run": "test ! -f stuck && printf %s \"$RELEASE\" >live",
                "check": "true",
                "current": "cat live",
            },
        },
    })
}

fn gate(run: &str) -> Value {
    json!({
        "release-identity": "optional",
        "policy": { "interval": "50ms", "success-threshold": 1, "failure-limit": 0, "deadline": "20s" },
        "command": [{ "name": "live", "run": run }],
    })
}

fn sides(blue: &Shop, green: &Shop, nginx: &Nginx) -> Value {
    let (one, other) = (blue.address(), green.address());
    nginx.read(&format!(
        "upstream shop {{\n    server {one};\n    server {other} down;\n}}\n"
    ));
    json!({
        "version": 1,
        "service": "shop",
        "healthgate": gate("test ! -f bad"),
        "traffic": {
            "state": "state.json",
            "stages": ["50%", "100%"],
            "stage-duration": "200ms",
            "nginx": {
                "upstream-file": nginx.upstream_file(),
                "test": nginx.test_command(),
                "reload": nginx.reload_command(),
                "blue": one,
                "green": other,
                "release": { "url": nginx.url("/api/v1/version"), "jq": ".version" },
            },
        },
    })
}

fn schema() -> Value {
    json!({
        "version": 1,
        "service": "shop",
        "migrate": {
            "dbmate": { "command": testkit::tool("dbmate") },
            "deadline": "20s",
            "backup": { "required": false },
        },
    })
}

/// The sinks and what is wrong with them.
struct Faults {
    /// What is configured, by what it is called in a message.
    sinks: Vec<(String, Value)>,
    env: Vec<(String, String)>,
    _receivers: Vec<Receiver>,
    _servers: FaultyServers,
}

impl Faults {
    fn start() -> Faults {
        let servers = FaultyServers::start();
        let mut receivers = Vec::new();
        let mut sinks = Vec::new();
        let mut env = vec![
            ("KEY".to_owned(), SECRET.to_owned()),
            ("GITHUB_TOKEN".to_owned(), SECRET.to_owned()),
            (
                "SSL_CERT_FILE".to_owned(),
                servers.authority.file().display().to_string(),
            ),
        ];
        let mut hook = |what: String, url: String, sinks: &mut Vec<(String, Value)>| {
            let variable = format!("HOOK_{}", sinks.len());
            env.push((variable.clone(), url));
            sinks.push((what, json!({ "webhook": { "url-env": variable } })));
        };
        for reply in REPLIES {
            let receiver = Receiver::start(SECRET, reply);
            hook(format!("{reply:?}"), receiver.url(), &mut sinks);
            receivers.push(receiver);
        }
        let good = Receiver::start(SECRET, Reply::Accept);
        for fault in TlsFault::ALL {
            let url = servers.url(fault, &good, SECRET);
            hook(format!("{fault:?}"), url, &mut sinks);
        }
        hook(
            "a name that does not exist".to_owned(),
            format!("https://hooks.invalid/{SECRET}"),
            &mut sinks,
        );
        let silent = Receiver::start("", Reply::Hang);
        let url = silent.url();
        env.push(("SILENT".to_owned(), url.clone()));
        env.push(("GITHUB_API_URL".to_owned(), url.clone()));
        let server = url.trim_start_matches("http://").trim_end_matches('/');
        for (kind, sink) in [
            ("slack", json!({ "url-env": "SILENT" })),
            (
                "slack",
                json!({ "token-env": "KEY", "channel": "C1", "api-url": url }),
            ),
            ("pagerduty", json!({ "routing-key-env": "KEY", "url": url })),
            ("teams", json!({ "url-env": "SILENT" })),
            ("github-issue", json!({ "repository": "acme/shop" })),
            ("github-deployment", json!({ "repository": "acme/shop" })),
            (
                "email",
                json!({ "server": server, "tls": "none", "from": "a@example.com", "to": ["b@example.com"] }),
            ),
            (
                "email",
                json!({ "server": server, "tls": "tls", "from": "a@example.com", "to": ["b@example.com"] }),
            ),
        ] {
            sinks.push((format!("{kind} that hangs: {sink}"), json!({ kind: sink })));
        }
        receivers.extend([good, silent]);
        Faults {
            sinks,
            env,
            _receivers: receivers,
            _servers: servers,
        }
    }

    /// The section with the sinks of these places.
    fn section(&self, of: &[usize]) -> Value {
        let mut section = json!({});
        for number in of {
            let (kind, sink) = self.sinks[*number]
                .1
                .as_object()
                .unwrap()
                .iter()
                .next()
                .unwrap();
            let mut sink = sink.clone();
            sink["name"] = json!(format!("sink-{number}"));
            sink["events"] = json!(EVERYTHING);
            if section[kind].is_null() {
                section[kind] = json!([]);
            }
            section[kind].as_array_mut().unwrap().push(sink);
        }
        section
    }
}

/// The outcomes of the stage itself, with their verdicts.
fn own(report: &Value) -> Vec<(&str, &str)> {
    let outcomes = report["outcomes"].as_array().unwrap().iter();
    let told = |id: &str| id.starts_with("sink/") || id.starts_with("incident/");
    outcomes
        .map(|one| {
            (
                one["id"].as_str().unwrap(),
                one["verdict"].as_str().unwrap(),
            )
        })
        .filter(|(id, _)| !told(id))
        .collect()
}

/// A stage with these sinks, compared with how it ended without any.
fn compare(case: &Case, site: &Site, without: &Ended, faults: &Faults, sinks: &[usize]) {
    let what: Vec<&str> = sinks
        .iter()
        .map(|at| faults.sinks[*at].0.as_str())
        .collect();
    let what = what.join(", ");
    site.tell(&faults.section(sinks));
    let with = site.run(case.words, faults);
    let context = format!(
        "{} ({}) with {what}\n{}",
        case.words, case.before, with.text
    );
    assert_eq!(with.code, without.code, "{context}");
    assert_eq!(
        with.report["verdict"], without.report["verdict"],
        "{context}"
    );
    assert_eq!(own(&with.report), own(&without.report), "{context}");
    let longest = without.took + BUDGET + BUSY;
    assert!(
        with.took < longest,
        "{:?}, {:?} without: {context}",
        with.took,
        without.took
    );
    assert!(!with.text.contains(SECRET), "{context}");
    assert!(!with.report.to_string().contains(SECRET), "{context}");
    // That something was not told is a warning, and nothing was left out.
    let outcomes = with.report["outcomes"].as_array().unwrap();
    for sink in sinks {
        let id = format!("sink/sink-{sink}");
        let told = outcomes.iter().find(|one| one["id"] == json!(id));
        let told = told.unwrap_or_else(|| panic!("no {id}: {context}"));
        assert_eq!(told["severity"], "advisory", "{context}");
    }
}

#[test]
fn whatever_the_sinks_do_each_stage_ends_as_without_them_and_five_seconds_later_at_most() {
    let postgres = Postgres::listening("host all all 127.0.0.1/32 trust", None);
    postgres.sql("CREATE ROLE app LOGIN");
    let faults = Faults::start();
    let all: Vec<usize> = (0..faults.sinks.len()).collect();
    let rounds: Vec<Vec<usize>> = match std::env::var("SINKS").as_deref() {
        Ok("each") => all.iter().map(|at| vec![*at]).collect(),
        _ => vec![all],
    };
    let work: Vec<(usize, &Case)> = CASES.iter().enumerate().collect();
    let work = Mutex::new(work.into_iter());
    std::thread::scope(|scope| {
        // They wait more than they compute.
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let next = work.lock().unwrap().next();
                    let Some((number, case)) = next else { break };
                    let site = |round: usize| {
                        let site = Site::new(case.place, &postgres, number * 100 + round);
                        site.prepare(case.before);
                        site
                    };
                    let without = site(0).run(case.words, &faults);
                    let context = format!("{} ({}): {}", case.words, case.before, without.text);
                    assert_eq!(without.code, case.code, "{context}");
                    assert_eq!(without.report["verdict"], case.verdict, "{context}");
                    for (at, sinks) in rounds.iter().enumerate() {
                        compare(case, &site(at + 1), &without, &faults, sinks);
                    }
                }
            });
        }
    });
}
