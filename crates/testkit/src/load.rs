//! A steady load of requests, until it is dropped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Clients that each keep one connection and ask at their times, whatever the answers take.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    answers: AtomicU64,
}

/// More than are slow at a time.
const CLIENTS: u32 = 24;

impl Load {
    /// `GET /` at `127.0.0.1:PORT`, so many times a second.
    pub fn on(port: u16, per_second: u32) -> Load {
        let shared = Arc::new(Shared::default());
        let apart = Duration::from_secs(1) * CLIENTS / per_second;
        for client in 0..CLIENTS {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let begin = Instant::now() + apart * client / CLIENTS;
                run(port, begin, apart, &shared);
            });
        }
        Load { shared }
    }

    /// How many answers there were.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::SeqCst)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

fn run(port: u16, mut next: Instant, apart: Duration, shared: &Shared) {
    let mut connection = None;
    while !shared.stop.load(Ordering::SeqCst) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        // A slow answer does not make up for itself by a burst.
        next = (next + apart).max(Instant::now());
        let asked = match connection.take() {
            Some(open) => Some(open),
            None => TcpStream::connect(("127.0.0.1", port))
                .ok()
                .map(BufReader::new),
        };
        connection = asked.and_then(send_get);
        if connection.is_some() {
            shared.answers.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// One request; the connection, if it can be used again.
fn send_get(mut connection: BufReader<TcpStream>) -> Option<BufReader<TcpStream>> {
    let stream = connection.get_mut();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        .ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        connection
            .read_line(&mut line)
            .ok()
            .filter(|read| *read > 0)?;
        if line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    Some(connection)
}
