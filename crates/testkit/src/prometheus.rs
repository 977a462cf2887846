//! A Prometheus server that scrapes one exporter, whose metrics a test may change.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Alertmanager, Process, free_port, get, tool, wait_until};

/// Prometheus, and what it scrapes each second.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    folder: TempDir,
    port: u16,
    exporter: u16,
    /// `None`: the exporter hangs up.
    metrics: Arc<Mutex<Option<String>>>,
}

impl Prometheus {
    /// Started with these metrics, in the text format, and ready when they are stored.
    pub fn scraping(metrics: &str) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let metrics = Arc::new(Mutex::new(Some(metrics.to_owned())));
        let exporter = export(Arc::clone(&metrics));
        let targets = [(format!("127.0.0.1:{exporter}"), String::new())];
        let server = Prometheus::launch(folder, metrics, exporter, &jobs(&targets), &[]);
        server.wait_for_scrapes(1);
        server
    }

    /// Started with these targets, each an `address:port` with labels such as `release: v2`, and ready
    /// when each was scraped twice.
    pub fn watching(targets: &[(String, String)]) -> Prometheus {
        Prometheus::watching_with(targets, &[])
    }

    /// The same, with further arguments.
    pub fn watching_with(targets: &[(String, String)], args: &[&str]) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Prometheus::launch(folder, Arc::default(), 0, &jobs(targets), args);
        let twice = format!("count(count_over_time(up[1h]) > 1) == {}", targets.len());
        let seen = wait_until(Duration::from_mins(1), || server.number(&twice).is_some());
        assert!(seen, "not all is scraped: {}", server.process.log());
        server
    }

    /// Started with recorded series, in the OpenMetrics format with times, and further arguments;
    /// it scrapes nothing. If it needs a login, this does not wait for it: it may still be reading
    /// its data.
    pub fn recorded(openmetrics: &str, args: &[&str]) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let series = folder.path().join("recorded.om");
        fs::write(&series, openmetrics).expect("the file can be written");
        let made = Command::new(tool("promtool"))
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&series)
            .arg(folder.path().join("data"))
            .output()
            .expect("promtool runs");
        assert!(made.status.success(), "{made:?}");
        Prometheus::launch(folder, Arc::default(), 0, "", args)
    }

    /// Started with these metrics, and with rules that it evaluates each second and tells to this
    /// Alertmanager.
    pub fn alerting(metrics: &str, rules: &str, alertmanager: &Alertmanager) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("rules.yml");
        fs::write(&file, rules).expect("the file can be written");
        let metrics = Arc::new(Mutex::new(Some(metrics.to_owned())));
        let exporter = export(Arc::clone(&metrics));
        let jobs = jobs(&[(format!("127.0.0.1:{exporter}"), String::new())]);
        let target = format!("127.0.0.1:{}", alertmanager.port());
        let config = format!(
            "{jobs}rule_files: ['{}']\nalerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ['{target}'] }}] }}] }}\n",
            file.display()
        );
        let server = Prometheus::launch(folder, metrics, exporter, &config, &[]);
        server.wait_for_scrapes(1);
        server
    }

    /// How many series a query gives; an error is Prometheus' own.
    pub fn series(&self, query: &str) -> Result<usize, String> {
        let query = percent(query);
        let answer = get(&format!("{}/api/v1/query?query={query}", self.url()))
            .map_err(|error| error.to_string())?;
        let value: serde_json::Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        match value["data"]["result"].as_array() {
            Some(series) => Ok(series.len()),
            None => Err(value["error"].to_string()),
        }
    }

    /// `exporter` 0 means no exporter.
    fn launch(
        folder: TempDir,
        metrics: Arc<Mutex<Option<String>>>,
        exporter: u16,
        jobs: &str,
        args: &[&str],
    ) -> Prometheus {
        let port = free_port();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n{jobs}"
        );
        fs::write(&config, text).expect("the file can be written");
        let mut command = Command::new(tool("prometheus"));
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .args(args);
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_mins(1));
        // While it reads its data, it answers each question by 503. Behind a login it does not tell.
        let ready = format!("http://127.0.0.1:{port}/-/ready");
        process.wait(Duration::from_mins(1), || {
            get(&ready).is_ok_and(|answer| answer.status != 503)
        });
        Prometheus {
            process,
            folder,
            port,
            exporter,
            metrics,
        }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Other metrics from now on; returns when they are stored.
    pub fn set(&self, metrics: &str) {
        self.export(Some(metrics.to_owned()));
        // One scrape may be on its way with the old ones.
        let seen = self.scrapes();
        self.wait_for_scrapes(seen + 2);
    }

    /// The exporter hangs up from now on, as one that crashed; returns when that was seen.
    pub fn silence(&self) {
        self.export(None);
        let seen = wait_until(Duration::from_mins(1), || self.number("up") == Some(0.0));
        assert!(seen, "the scrape still works: {}", self.process.log());
    }

    fn export(&self, metrics: Option<String>) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    /// The first value of a query, if there is one.
    pub fn number(&self, query: &str) -> Option<f64> {
        let query = percent(query);
        let answer = get(&format!("{}/api/v1/query?query={query}", self.url())).ok()?;
        let value: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let number = value["data"]["result"][0]["value"][1].as_str()?;
        number.parse().ok()
    }

    /// `host:port` of what it scrapes.
    pub fn exporter(&self) -> String {
        format!("127.0.0.1:{}", self.exporter)
    }

    /// Where its files lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to stop or signal it.
    pub fn process(&self) -> &Process {
        &self.process
    }

    fn wait_for_scrapes(&self, count: u64) {
        let seen = wait_until(Duration::from_mins(1), || self.scrapes() >= count);
        assert!(seen, "nothing was scraped: {}", self.process.log());
    }

    fn scrapes(&self) -> u64 {
        let count = self.number("count_over_time(up[1h])").unwrap_or(0.0);
        // Whole, and few.
        format!("{count:.0}").parse().unwrap_or(0)
    }
}

/// One job with these targets and their labels.
fn jobs(targets: &[(String, String)]) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|(target, labels)| format!("{{ targets: ['{target}'], labels: {{ {labels} }} }}"))
        .collect();
    format!(
        "scrape_configs:\n  - {{ job_name: test, static_configs: [{}] }}\n",
        targets.join(", ")
    )
}

/// A query within a URL.
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

/// Serves the metrics on a thread of the test; it ends with the test's process.
fn export(metrics: Arc<Mutex<Option<String>>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let text = metrics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            // A scraper that went away comes again.
            let _ = text.map(|text| respond(stream, &text));
        }
    });
    port
}

fn respond(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes())
}
