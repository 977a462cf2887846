//! A webhook's receiver that does what it is told to: answers, hangs, refuses.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How it answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
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
}

#[derive(Clone)]
pub(crate) struct Receiver {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mutex<Mode>,
    /// Bodies that were accepted, by the event's id.
    accepted: Mutex<BTreeMap<String, Vec<String>>>,
    /// Requests that were read and never answered.
    hanging: AtomicUsize,
}

impl Receiver {
    pub(crate) fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::new(Shared {
                mode: Mutex::new(Mode::Accept),
                accepted: Mutex::default(),
                hanging: AtomicUsize::new(0),
            }),
        };
        let shared = Arc::clone(&receiver.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        receiver
    }

    /// Its address, with a secret in the path.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.port, crate::bed::CANARY)
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    /// How often each event was accepted.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let accepted = self.shared.accepted.lock().unwrap();
        let count = |(id, bodies): (&String, &Vec<String>)| (id.clone(), bodies.len());
        accepted.iter().map(count).collect()
    }

    /// How many requests were read and are not answered.
    pub(crate) fn hanging(&self) -> usize {
        self.shared.hanging.load(Ordering::SeqCst)
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        let accepted = self.shared.accepted.lock().unwrap();
        accepted.values().flatten().cloned().collect()
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mode = *shared.mode.lock().unwrap();
    if mode == Mode::Down {
        return;
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut id) = (0, String::new());
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "idempotency-key" => value.trim().clone_into(&mut id),
            _ => {}
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let mut stream = stream;
    let head = match mode {
        Mode::Accept => {
            let body = String::from_utf8_lossy(&body).into_owned();
            let mut accepted = shared.accepted.lock().unwrap();
            accepted.entry(id).or_default().push(body);
            "200 OK\r\ncontent-length: 2"
        }
        Mode::Hang => {
            shared.hanging.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        Mode::Busy => "429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 2",
        Mode::Broken => "500 Internal Server Error\r\ncontent-length: 2",
        Mode::Gone => "410 Gone\r\ncontent-length: 2",
        Mode::Elsewhere => {
            "307 Temporary Redirect\r\nlocation: http://127.0.0.2:9/\r\ncontent-length: 2"
        }
        Mode::Endless => "500 Internal Server Error\r\ncontent-length: 10000000",
        Mode::Down => return,
    };
    let _ = write!(stream, "HTTP/1.1 {head}\r\nconnection: close\r\n\r\nok");
    if mode == Mode::Endless {
        let _ = stream.write_all(&vec![b'x'; 10_000_000]);
    }
}
