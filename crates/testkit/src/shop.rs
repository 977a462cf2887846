//! A small shop service whose release and health a test can change while it runs.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// One colour of the shop: `/health/ready`, `/api/v1/version`, `/metrics` in Prometheus' text format,
/// `/download`, which takes six seconds, `/socket`, which sends back what it gets once the protocol is
/// upgraded, and a page anywhere else.
///
/// Each answer names the release in `X-Version`. The server ends with the value.
#[derive(Debug)]
pub struct Shop {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    pages: Mutex<Pages>,
    requests: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// The pages that were answered, as `/metrics` tells of them.
#[derive(Debug, Default)]
struct Pages {
    good: u64,
    bad: u64,
    /// How many took at most so long.
    within: [u64; BOUNDS.len()],
}

/// How long a download takes.
const DOWNLOAD_TIME: Duration = Duration::from_secs(6);
/// The bytes of a download.
pub const DOWNLOAD_BYTES: usize = DOWNLOAD_PARTS as usize * DOWNLOAD_PART.len();
const DOWNLOAD_PARTS: u32 = 60;
const DOWNLOAD_PART: [u8; 1000] = [b'.'; 1000];

/// The bounds of its histogram, in seconds: Prometheus' own.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Clone, Debug)]
struct Behaviour {
    release: String,
    /// The `status` that `/health/ready` reports, and its code.
    health: String,
    ready: u16,
    /// Every so-manieth page request is answered with 500.
    fail_one_in: Option<u64>,
    /// Every so-manieth page request waits so long.
    slow_one_in: Option<(u64, Duration)>,
    delay: Duration,
}

impl Shop {
    /// A healthy shop of this release on a free port.
    pub fn start(release: &str) -> Shop {
        Shop::start_on(release, 0)
    }

    /// The same on a given port, to come back where a stopped one was.
    pub fn start_on(release: &str, port: u16) -> Shop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Behaviour {
                release: release.to_owned(),
                health: "healthy".to_owned(),
                ready: 200,
                fail_one_in: None,
                slow_one_in: None,
                delay: Duration::ZERO,
            }),
            pages: Mutex::default(),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let serving = Arc::clone(&accepting);
                // A client that goes away ends its own connection and nothing else.
                thread::spawn(move || drop(serve(&stream, &serving)));
            }
        });
        Shop { address, shared }
    }

    /// `127.0.0.1:PORT`, as an upstream.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn set_release(&self, release: &str) {
        release.clone_into(&mut self.shared.behaviour().release);
    }

    /// The answer of `/health/ready`: `{"status": "healthy"}` with 200 at the start.
    pub fn set_health(&self, status: &str, code: u16) {
        let mut behaviour = self.shared.behaviour();
        status.clone_into(&mut behaviour.health);
        behaviour.ready = code;
    }

    /// Answers every `n`th page request with 500; `None` ends that.
    pub fn fail_one_in(&self, n: Option<u64>) {
        self.shared.behaviour().fail_one_in = n;
    }

    /// Answers every `n`th page request so much later; `None` ends that.
    pub fn slow_one_in(&self, slow: Option<(u64, Duration)>) {
        self.shared.behaviour().slow_one_in = slow;
    }

    /// The counters of `/metrics` begin anew, as after a restart.
    pub fn forget(&self) {
        *self.shared.pages() = Pages::default();
    }

    /// Waits this long before each answer.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.behaviour().delay = delay;
    }

    /// How many requests were answered.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many of them were answered with 500.
    pub fn failures(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which sees the flag and closes the port.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Shared {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In Prometheus' text format. Both statuses are there from the start, as a careful service has it.
    fn metrics(&self) -> String {
        let pages = self.pages();
        let mut text = String::new();
        for (status, count) in [("200", pages.good), ("500", pages.bad)] {
            let _ = writeln!(text, "http_requests_total{{status=\"{status}\"}} {count}");
        }
        let all = pages.good + pages.bad;
        let name = "http_request_duration_seconds";
        for (bound, count) in BOUNDS.iter().zip(pages.within) {
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {all}");
        text
    }

    fn page(&self, status: u16, took: Duration) {
        let mut pages = self.pages();
        if status < 500 {
            pages.good += 1;
        } else {
            pages.bad += 1;
        }
        for (bound, count) in BOUNDS.iter().zip(&mut pages.within) {
            *count += u64::from(took.as_secs_f64() <= *bound);
        }
    }

    fn respond(&self, path: &str) -> (u16, String) {
        if path == "/metrics" {
            return (200, self.metrics());
        }
        let begin = Instant::now();
        let count = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let now = self.behaviour().clone();
        thread::sleep(now.delay);
        let release = &now.release;
        match path.split('?').next().unwrap_or(path) {
            "/health/ready" => {
                let body = serde_json::json!({"status": now.health, "version": release});
                (now.ready, body.to_string())
            }
            "/api/v1/version" => (200, serde_json::json!({"version": release}).to_string()),
            _ => {
                let every = |n: u64| n > 0 && count.is_multiple_of(n);
                if let Some((_, delay)) = now.slow_one_in.filter(|(n, _)| every(*n)) {
                    thread::sleep(delay);
                }
                let answer = if now.fail_one_in.is_some_and(every) {
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    (500, "the shop is broken\n".to_owned())
                } else {
                    (200, format!("welcome to the shop {release}\n"))
                };
                self.page(answer.0, begin.elapsed());
                answer
            }
        }
    }
}

/// Requests on one connection until the client closes it or the shop ends.
fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut close = first.trim_end().ends_with("HTTP/1.0");
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            let line = line.to_ascii_lowercase();
            close |= line.starts_with("connection:") && line.contains("close");
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut io::Read::take(&mut reader, length), &mut io::sink())?;
        match first.split(' ').nth(1).unwrap_or("/") {
            "/download" => return download(writer),
            "/socket" => return send_back(reader, writer),
            _ => {}
        }
        let (status, body) = shared.respond(first.split(' ').nth(1).unwrap_or("/"));
        close |= shared.stop.load(Ordering::SeqCst);
        let release = shared.behaviour().release.clone();
        let head = format!(
            "HTTP/1.1 {status} shop\r\nContent-Type: application/json\r\nX-Version: {release}\r\n\
             Content-Length: {}\r\nConnection: {}\r\n\r\n",
            body.len(),
            if close { "close" } else { "keep-alive" },
        );
        let body = if first.starts_with("HEAD ") {
            ""
        } else {
            body.as_str()
        };
        writer.write_all(format!("{head}{body}").as_bytes())?;
        if close {
            return Ok(());
        }
    }
}

fn download(mut writer: &TcpStream) -> io::Result<()> {
    write!(
        writer,
        "HTTP/1.1 200 shop\r\nContent-Length: {DOWNLOAD_BYTES}\r\nConnection: close\r\n\r\n"
    )?;
    for _ in 0..DOWNLOAD_PARTS {
        writer.write_all(&DOWNLOAD_PART)?;
        thread::sleep(DOWNLOAD_TIME / DOWNLOAD_PARTS);
    }
    Ok(())
}

/// To the client of the sample in RFC 6455, 1.3, whose key is `dGhlIHNhbXBsZSBub25jZQ==`.
fn send_back(mut reader: BufReader<TcpStream>, mut writer: &TcpStream) -> io::Result<()> {
    writer.write_all(
        b"HTTP/1.1 101 shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )?;
    io::copy(&mut reader, &mut writer).map(drop)
}
