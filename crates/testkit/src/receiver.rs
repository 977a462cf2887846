//! A server that is told things: a webhook's, or the API of Slack. It answers as it is set to.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How it answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Accept,
    /// Takes the request and says nothing for longer than anything waits.
    Hang,
    /// Closes the connection before it reads.
    Down,
    Busy,
    Broken,
    Gone,
    Elsewhere,
    /// 10 MB.
    Endless,
    /// A byte now and then, and no end.
    Slow,
    /// Takes it, and then is as slow.
    AcceptSlowly,
    /// Takes it, and answers a second later.
    AcceptLate,
    /// What is no text.
    Garbage,
}

/// A request that it accepted.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    /// The header `Idempotency-Key`; empty without it.
    pub key: String,
    pub body: String,
    pub at: Instant,
}

/// The server.
#[derive(Clone, Debug)]
pub struct Receiver {
    port: u16,
    path: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    reply: Reply,
    calls: Vec<Call>,
    /// Requests that were read and never answered.
    hanging: usize,
    /// Requests that were answered with [`Reply::Busy`].
    busy: usize,
}

impl Receiver {
    /// Its address has this path.
    pub fn start(path: &str, reply: Reply) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Mutex::new(Shared {
            reply,
            calls: Vec::new(),
            hanging: 0,
            busy: 0,
        }));
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Receiver {
            port,
            path: path.to_owned(),
            shared,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, self.path)
    }

    pub fn set(&self, reply: Reply) {
        self.with(|shared| shared.reply = reply);
    }

    /// Everything that it accepted, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.with(|shared| shared.calls.clone())
    }

    /// Forgets what it accepted.
    pub fn forget(&self) {
        self.with(|shared| shared.calls.clear());
    }

    /// How often each key was accepted.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.calls() {
            *counts.entry(call.key).or_default() += 1;
        }
        counts
    }

    /// What it accepted, by key.
    pub fn bodies(&self) -> Vec<String> {
        let mut calls = self.calls();
        calls.sort_by(|one, other| one.key.cmp(&other.key));
        calls.into_iter().map(|call| call.body).collect()
    }

    /// How many requests were read and are not answered.
    pub fn hanging(&self) -> usize {
        self.with(|shared| shared.hanging)
    }

    /// How many requests were answered with [`Reply::Busy`].
    pub fn busy(&self) -> usize {
        self.with(|shared| shared.busy)
    }

    fn with<T>(&self, using: impl FnOnce(&mut Shared) -> T) -> T {
        using(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) -> Option<()> {
    let reply = shared.lock().ok()?.reply;
    if reply == Reply::Down {
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut key) = (0, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "idempotency-key" => value.trim().clone_into(&mut key),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let (head, answer) = match reply {
        Reply::Accept | Reply::AcceptSlowly | Reply::AcceptLate => {
            let mut shared = shared.lock().ok()?;
            let answer = accepted(&body, shared.calls.len());
            let at = Instant::now();
            shared.calls.push(Call {
                path,
                key,
                body,
                at,
            });
            ("200 OK", answer)
        }
        Reply::Hang => {
            shared.lock().ok()?.hanging += 1;
            std::thread::sleep(Duration::from_mins(1));
            return None;
        }
        Reply::Busy => {
            shared.lock().ok()?.busy += 1;
            ("429 Too Many Requests\r\nretry-after: 1", "no".to_owned())
        }
        Reply::Broken => ("500 Internal Server Error", "no".to_owned()),
        Reply::Gone => ("410 Gone", "no".to_owned()),
        Reply::Elsewhere => (
            "307 Temporary Redirect\r\nlocation: http://127.0.0.2:9/",
            "no".to_owned(),
        ),
        Reply::Endless => ("500 Internal Server Error", "x".repeat(10_000_000)),
        Reply::Slow => ("500 Internal Server Error", String::new()),
        Reply::Garbage => {
            let head = b"HTTP/1.1 500 \xff\xfe\r\ncontent-length: 4\r\n\r\n\xc3\x28\xff\0";
            return stream.write_all(head).ok();
        }
        Reply::Down => return None,
    };
    if reply == Reply::AcceptLate {
        std::thread::sleep(Duration::from_secs(1));
    }
    if matches!(reply, Reply::Slow | Reply::AcceptSlowly) {
        return drip(&mut stream, head, &answer);
    }
    write!(
        stream,
        "HTTP/1.1 {head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}

/// The answer at once, and then a blank now and then for a minute.
fn drip(stream: &mut TcpStream, head: &str, answer: &str) -> Option<()> {
    write!(
        stream,
        "HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{answer}"
    )
    .ok()?;
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(b" ").ok()?;
    }
    Some(())
}

/// As Slack answers: a message that is changed keeps its time.
fn accepted(body: &str, before: usize) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let ts = match body["ts"].as_str() {
        Some(known) => known.to_owned(),
        None => format!("1.{before}"),
    };
    serde_json::json!({"ok": true, "channel": "C1", "ts": ts}).to_string()
}
