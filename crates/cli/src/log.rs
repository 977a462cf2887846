//! Logs: to stderr, redacted, quiet unless asked.

use std::io::Write;
use std::sync::{OnceLock, RwLock};

use model::Redactor;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates whose debug logs are ours to show; a library's might hold headers.
const OURS: &[&str] = &[
    "actions",
    "aws",
    "canary",
    "chronicle",
    "cli",
    "config",
    "courier",
    "deploy_guard",
    "database",
    "ddl",
    "diagnosis",
    "document",
    "dotenv",
    "dump",
    "engine",
    "exposure",
    "feed",
    "files",
    "gate",
    "github",
    "healthgate",
    "incident",
    "inventory",
    "jq",
    "judge",
    "kayenta",
    "measures",
    "migration_tools",
    "migrate",
    "migrations",
    "migrator",
    "model",
    "net",
    "notify",
    "onboard",
    "openssh",
    "operation",
    "page",
    "place",
    "preflight",
    "probe",
    "prometheus",
    "proposal",
    "registry",
    "rehearsal",
    "remote",
    "repository",
    "rollback",
    "router",
    "runner_check",
    "runners",
    "sections",
    "shell",
    "sides",
    "state",
    "survey",
    "target",
    "tools",
    "traffic",
    "values",
    "watch",
    "workflow",
    "yaml",
    "yaml_edit",
];

/// The redactor in force. It is known only after the configuration is read, the log starts before.
fn redactor() -> &'static RwLock<Redactor> {
    static REDACTOR: OnceLock<RwLock<Redactor>> = OnceLock::new();
    REDACTOR.get_or_init(RwLock::default)
}

pub(crate) fn set_redactor(new: Redactor) {
    if let Ok(mut current) = redactor().write() {
        *current = new;
    }
}

pub(crate) fn start(quiet: bool, verbose: u8, color: bool) {
    let ours = match (quiet, verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    };
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_targets(OURS.iter().map(|name| (*name, ours)));
    let format = tracing_subscriber::fmt::layer()
        .with_writer(Lines)
        .with_ansi(color)
        .with_target(false)
        .without_time();
    // A second start in one process (a test) keeps the first subscriber.
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(format)
        .try_init();
}

/// Makes a writer per event, so that a secret is never cut in two by buffering.
struct Lines;

struct Line(Vec<u8>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(Vec::new())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        let clean = redactor()
            .read()
            .map(|r| r.redact(&text))
            .unwrap_or_default()
            // The colours are our own.
            .replace(model::text::is_bidi, "\u{fffd}");
        // There is nowhere to report that stderr is gone.
        crate::screen::aside(|| {
            let _ = std::io::stderr().write_all(clean.as_bytes());
        });
    }
}
