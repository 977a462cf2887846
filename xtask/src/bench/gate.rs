//! The gate's loop: how soon it tells a failure, what a probe costs beside blackbox_exporter and
//! curl, and how well it keeps the schedule of five thousand endpoints.
//!
//! What is counted is what nginx has answered, for all three alike; the CPU is the kernel's count
//! for the process that probes, not for who drives it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Figure, failed, median, milliseconds};
use crate::command::{Failure, output, program, run};

const ENDPOINTS: usize = 5000;
/// Of a throughput run: enough to make a start-up small.
const MEMBERS: usize = 500;
const SAMPLES: usize = 80;
const CURLS: usize = 400;

pub(super) fn figures(healthgate: &Path) -> Result<Vec<Figure>, Failure> {
    let mut figures = vec![detection(healthgate)?];
    figures.extend(throughput(healthgate)?);
    figures.extend(endpoints(healthgate)?);
    Ok(figures)
}

/// From the first bad answer to the end of the process, whose report was written before.
fn detection(healthgate: &Path) -> Result<Figure, Failure> {
    const RUNS: usize = 20;
    const INTERVAL: Duration = Duration::from_millis(100);
    const LIMIT: u32 = 2;
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut over = Vec::new();
    for run in 0..RUNS {
        let server = Turning::start(Duration::from_millis(350))?;
        let report = folder.path().join(format!("{run}.json"));
        let status = program(healthgate)
            .args(["--http", &format!("http://127.0.0.1:{}/", server.port)])
            .args(["--interval", "100ms", "--success-threshold", "1000"])
            .args([
                "--failure-limit",
                "2",
                "--deadline",
                "30m",
                "-q",
                "--report",
            ])
            .arg(&report)
            .stdout(Stdio::null())
            .status()
            .map_err(failed)?;
        let end = Instant::now();
        let turned = *lock(&server.turned);
        let (Some(1), Some(turned), true) = (status.code(), turned, report.is_file()) else {
            return Err(Failure::new(format!("no failure was told: {status}")));
        };
        over.push((end - turned).saturating_sub(INTERVAL * LIMIT));
    }
    let over = median(over);
    println!("detection: {} over", milliseconds(over));
    Ok(Figure {
        what: "verdict after failure-limit × interval",
        ours: milliseconds(over),
        peer: "at most 50 ms".to_owned(),
        ratio: Some(0.050 / over.as_secs_f64().max(0.0001)),
    })
}

/// A server that turns bad after a while, and when it gave its first bad answer.
struct Turning {
    port: u16,
    turned: Arc<Mutex<Option<Instant>>>,
}

impl Turning {
    fn start(good_for: Duration) -> Result<Turning, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let turned = Arc::new(Mutex::new(None));
        let told = Arc::clone(&turned);
        thread::spawn(move || {
            let mut first = None;
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 4096];
                if stream.read(&mut request).unwrap_or(0) == 0 {
                    continue;
                }
                let bad = first.get_or_insert_with(Instant::now).elapsed() > good_for;
                let status = if bad { "503 Bad" } else { "200 OK" };
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                if bad {
                    lock(&told).get_or_insert_with(Instant::now);
                }
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Ok(Turning { port, turned })
    }
}

/// Probes for each second of CPU, with a fresh connection for each.
fn throughput(healthgate: &Path) -> Result<Vec<Figure>, Failure> {
    let nginx = Nginx::start()?;
    let ours = nginx.per_cpu_second("healthgate", || {
        let before = children()?;
        let targets = nginx.targets(MEMBERS)?;
        run(nginx
            .gate(healthgate, &targets)
            .args(["--interval", "100ms", "-q"])
            .args(["--min-samples", &SAMPLES.to_string(), "--deadline", "5m"]))?;
        Ok(children()? - before)
    })?;
    let load = nginx.per_cpu_second("wrk", || {
        let before = children()?;
        let url = format!("http://127.0.0.1:{}/", nginx.port);
        output(program("wrk").args(["-t1", "-c8", "-d8s", "-H", "Connection: close", &url]))?;
        Ok(children()? - before)
    })?;
    let blackbox = Blackbox::start(&nginx)?;
    let exporter = nginx.per_cpu_second("blackbox_exporter", || {
        let before = blackbox.cpu()?;
        let url = format!(
            "http://127.0.0.1:{}/probe?module=plain&target=http://127.0.0.1:{}/",
            blackbox.port, nginx.port
        );
        output(program("wrk").args(["-t1", "-c8", "-d8s", &url]))?;
        Ok(blackbox.cpu()? - before)
    })?;
    let curl = nginx.per_cpu_second("curl", || {
        let before = children()?;
        let url = format!("http://127.0.0.1:{}/", nginx.port);
        let script =
            "i=0; while [ $i -lt $1 ]; do curl -sf -o /dev/null \"$2\" || exit 1; i=$((i+1)); done";
        run(program("sh").args(["-c", script, "sh", &CURLS.to_string(), &url]))?;
        Ok(children()? - before)
    })?;
    let beside = |what, name: &str, peer: f64| Figure {
        what,
        ours: format!("{ours:.0}/s"),
        peer: format!("{name} {peer:.0}/s"),
        ratio: Some(ours / peer),
    };
    Ok(vec![
        beside("probes per CPU second (0.7)", "wrk", load),
        beside("probes per CPU second (4.0)", "blackbox_exporter", exporter),
        beside("probes per CPU second (10.0)", "curl", curl),
    ])
}

/// Five thousand endpoints each second, for half a minute.
fn endpoints(healthgate: &Path) -> Result<Vec<Figure>, Failure> {
    let nginx = Nginx::start()?;
    let targets = nginx.targets(ENDPOINTS)?;
    let log = nginx.path("healthgate.log");
    let mut gate = nginx
        .gate(healthgate, &targets)
        .args([
            "--interval",
            "1s",
            "--min-samples",
            "30",
            "--deadline",
            "5m",
            "-v",
        ])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let mut peak = 0.0_f64;
    let status = loop {
        peak = peak.max(peak_memory(gate.id()));
        if let Some(status) = gate.try_wait().map_err(failed)? {
            break status;
        }
        thread::sleep(Duration::from_millis(50));
    };
    let text = fs::read_to_string(&log).map_err(failed)?;
    if !status.success() {
        return Err(Failure::new(format!(
            "healthgate ended with {status}: {text}"
        )));
    }
    println!("{}", text.trim());
    let late: f64 = text
        .split_once("ms in the median, ")
        .and_then(|(_, rest)| rest.split("ms").next()?.parse().ok())
        .ok_or_else(|| Failure::new("healthgate -v does not tell how late it was"))?;
    let megabytes = peak / 1000.0;
    println!("memory: {megabytes:.0} MB at most");
    Ok(vec![
        Figure {
            what: "5,000 endpoints at 1 s: 99.9 % start",
            ours: format!("{late:.0} ms late"),
            peer: "at most 20 ms".to_owned(),
            ratio: Some(20.0 / late),
        },
        Figure {
            what: "5,000 endpoints: memory at most",
            ours: format!("{megabytes:.0} MB"),
            peer: "at most 150 MB".to_owned(),
            ratio: Some(150.0 / megabytes),
        },
    ])
}

/// nginx that answers at once, on all addresses of the loopback.
struct Nginx {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Nginx {
    fn start() -> Result<Nginx, Failure> {
        let folder = tempfile::tempdir().map_err(failed)?;
        let port = free_port()?;
        let mut temporary = String::new();
        for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let path = folder.path().join(name);
            temporary.push_str(&format!("{name}_temp_path {}; ", path.display()));
        }
        let config = format!(
            "worker_processes 1; pid {}/pid; error_log stderr error; worker_rlimit_nofile 20000;\n\
             events {{ worker_connections 8192; }}\n\
             http {{ access_log off; {temporary}\n\
             server {{ listen 0.0.0.0:{port} backlog=4096; location / {{ return 200 \"ok\\n\"; }}\n\
             location = /status {{ stub_status; }} }} }}\n",
            folder.path().display()
        );
        fs::write(folder.path().join("nginx.conf"), config).map_err(failed)?;
        let process = program("/usr/sbin/nginx")
            .args(["-e", "stderr", "-g", "daemon off;", "-p"])
            .arg(folder.path())
            .args(["-c", "nginx.conf"])
            .spawn()
            .map_err(failed)?;
        let nginx = Nginx {
            folder,
            process,
            port,
        };
        wait_for(port)?;
        Ok(nginx)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file with so many endpoints, each an address of its own.
    fn targets(&self, count: usize) -> Result<PathBuf, Failure> {
        let port = self.port;
        let mut lines = String::new();
        for n in 0..count {
            lines.push_str(&format!("127.1.{}.{}:{port}\n", n / 250, n % 250 + 1));
        }
        let path = self.path("endpoints.txt");
        fs::write(&path, lines).map_err(failed)?;
        Ok(path)
    }

    fn gate(&self, healthgate: &Path, targets: &Path) -> std::process::Command {
        let mut command = program(healthgate);
        command
            .current_dir(self.folder.path())
            .args(["--http", "http://{target}/", "--success-threshold", "1"])
            .arg("--targets-file")
            .arg(targets);
        command
    }

    /// How many requests it has answered.
    fn answered(&self) -> Result<f64, Failure> {
        let url = format!("http://127.0.0.1:{}/status", self.port);
        let text = output(program("curl").args(["-sf", &url]))?;
        let counts = text.lines().nth(2).unwrap_or_default();
        let requests = counts.split_whitespace().nth(2);
        requests
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Failure::new("nginx does not tell its count"))
    }

    fn per_cpu_second(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<f64, Failure>,
    ) -> Result<f64, Failure> {
        let before = self.answered()?;
        let cpu = work()?;
        let answered = self.answered()? - before - 1.0;
        println!("{name}: {answered} probes in {cpu:.2} s of CPU");
        Ok(answered / cpu)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its worker, which a kill would leave behind.
        let _ = program("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

struct Blackbox {
    process: Child,
    port: u16,
}

impl Blackbox {
    fn start(nginx: &Nginx) -> Result<Blackbox, Failure> {
        let config = nginx.path("blackbox.yml");
        let modules = "modules: { plain: { prober: http, timeout: 5s, http: { preferred_ip_protocol: ip4 } } }\n";
        fs::write(&config, modules).map_err(failed)?;
        let port = free_port()?;
        let process = program("prometheus-blackbox-exporter")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=error"])
            .spawn()
            .map_err(failed)?;
        let blackbox = Blackbox { process, port };
        wait_for(port)?;
        Ok(blackbox)
    }

    fn cpu(&self) -> Result<f64, Failure> {
        ticks(&self.process.id().to_string(), 11)
    }
}

impl Drop for Blackbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The CPU of our children that ended, and of theirs.
fn children() -> Result<f64, Failure> {
    ticks("self", 13)
}

/// Two neighbouring fields of `/proc/PID/stat`, counted from the one behind the name: user and
/// system time, in seconds.
fn ticks(pid: &str, field: usize) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(failed)?;
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields = rest.split(' ').skip(field).take(2);
    let sum: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(sum / 100.0)
}

/// In kilobytes; 0 when it has ended.
fn peak_memory(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or_default()
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    listener.local_addr().map(|it| it.port()).map_err(failed)
}

fn wait_for(port: u16) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > end {
            return Err(Failure::new(format!("no server answers on port {port}")));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
