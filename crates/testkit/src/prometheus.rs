//! A Prometheus server that scrapes one exporter, whose metrics a test may change.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::{Process, free_port, get, tool, wait_until};

/// Prometheus, and what it scrapes each second.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    _folder: TempDir,
    port: u16,
    metrics: Arc<Mutex<String>>,
}

impl Prometheus {
    /// Started with these metrics, in the text format, and ready when they are stored.
    pub fn scraping(metrics: &str) -> Prometheus {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let metrics = Arc::new(Mutex::new(metrics.to_owned()));
        let exporter = export(Arc::clone(&metrics));
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\n\
             scrape_configs:\n  - {{ job_name: test, static_configs: [{{ targets: ['127.0.0.1:{exporter}'] }}] }}\n"
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
            .arg("--log.level=warn");
        let process = Process::start(folder.path(), &mut command);
        process.wait_for_port(port, Duration::from_mins(1));
        let server = Prometheus {
            process,
            _folder: folder,
            port,
            metrics,
        };
        server.wait_for_scrapes(1);
        server
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Other metrics from now on; returns when they are stored.
    pub fn set(&self, metrics: &str) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics.to_owned();
        // One scrape may be on its way with the old ones.
        let seen = self.scrapes();
        self.wait_for_scrapes(seen + 2);
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
        let query = "/api/v1/query?query=count_over_time(up[1h])";
        let Ok(answer) = get(&format!("{}{query}", self.url())) else {
            return 0;
        };
        let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let count = value["data"]["result"][0]["value"][1].as_str();
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

/// Serves the metrics on a thread of the test; it ends with the test's process.
fn export(metrics: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let text = metrics
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            // A scraper that went away comes again.
            let _ = answer(stream, &text);
        }
    });
    port
}

fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes())
}
