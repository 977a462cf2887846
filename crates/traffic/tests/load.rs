//! What users notice of a ramp: eight keep-alive clients that never pause, a slow download and an upgraded
//! connection, all through the router.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use testkit::{DOWNLOAD_BYTES, Haproxy, Nginx};

use crate::bed::Bed;

const CLIENTS: usize = 8;
/// A change of the share takes a reload: ramp, switch, set and abort.
const CHANGES: u32 = 4 + 1 + 1 + 1;

/// `REQUESTS=1000000` goes on for so many.
fn wanted() -> u64 {
    std::env::var("REQUESTS").map_or(20_000, |text| text.parse().unwrap())
}

#[derive(Debug, Default)]
struct Counts {
    stop: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    repeated: AtomicU64,
}

struct Users {
    port: u16,
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<()>>,
}

/// What became of the requests so far.
#[derive(Clone, Copy, Debug, Default)]
struct Served {
    answered: u64,
    /// Requests without a whole answer of 200.
    failed: u64,
    /// Requests that met a connection at its end: no byte of an answer came, and they were made again.
    repeated: u64,
}

impl Served {
    fn since(self, before: Served) -> Served {
        Served {
            answered: self.answered - before.answered,
            failed: self.failed - before.failed,
            repeated: self.repeated - before.repeated,
        }
    }

    fn and(self, other: Served) -> Served {
        Served {
            answered: self.answered + other.answered,
            failed: self.failed + other.failed,
            repeated: self.repeated + other.repeated,
        }
    }
}

impl Users {
    fn at(port: u16) -> Users {
        let counts = Arc::new(Counts::default());
        let client = |_| {
            let counts = Arc::clone(&counts);
            thread::spawn(move || {
                let mut open = None;
                while !counts.stop.load(Ordering::SeqCst) {
                    let was_open = open.is_some();
                    let mut asked = page(port, &mut open);
                    // What every client does (RFC 9112, 9.3.1).
                    if was_open && matches!(asked, Err(Unanswered::Closed)) {
                        counts.repeated.fetch_add(1, Ordering::SeqCst);
                        asked = page(port, &mut open);
                    }
                    match asked {
                        Ok(()) => counts.answered.fetch_add(1, Ordering::SeqCst),
                        Err(_) => counts.failed.fetch_add(1, Ordering::SeqCst),
                    };
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Users {
            port,
            counts,
            clients,
        }
    }

    fn served(&self) -> Served {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Served {
            answered: read(&self.counts.answered),
            failed: read(&self.counts.failed),
            repeated: read(&self.counts.repeated),
        }
    }

    fn leave(mut self) -> Served {
        self.counts.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        self.served()
    }

    /// Ends once the download is there; how many bytes it had.
    fn download(&self) -> JoinHandle<usize> {
        let port = self.port;
        thread::spawn(move || {
            let mut stream = connected(port).unwrap();
            ask(&mut stream, "/download", "").unwrap();
            let (status, length, _) = head(&mut stream).unwrap();
            assert_eq!(status, 200);
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len(), length);
            length
        })
    }

    fn socket(&self) -> Socket {
        let mut stream = connected(self.port).unwrap();
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        ask(&mut stream, "/socket", upgrade).unwrap();
        let (status, _, _) = head(&mut stream).unwrap();
        assert_eq!(status, 101);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let talks = thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                stream.get_mut().write_all(b"still there?\n").unwrap();
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                assert_eq!(line, "still there?\n");
                thread::sleep(Duration::from_millis(100));
            }
        });
        Socket { is_over, talks }
    }
}

/// A connection that is no longer HTTP, and is in use.
struct Socket {
    is_over: Arc<AtomicBool>,
    talks: JoinHandle<()>,
}

impl Socket {
    /// It was there all the time.
    #[track_caller]
    fn was_open(self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.talks.join().unwrap();
    }
}

fn connected(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

fn ask(stream: &mut BufReader<TcpStream>, path: &str, more: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\n{more}\r\n");
    stream.get_mut().write_all(request.as_bytes())
}

/// The status of an answer, the length of its body, and whether the connection stays.
fn head(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, usize, bool)> {
    let (mut status, mut length, mut stays) = (0, 0, true);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            return Ok((status, length, stays));
        }
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().unwrap();
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        } else if line == "connection: close" {
            stays = false;
        }
    }
}

enum Unanswered {
    /// The connection was closed before any byte of an answer.
    Closed,
    Cut,
    Status,
}

/// One page, over the connection that is open.
fn page(port: u16, open: &mut Option<BufReader<TcpStream>>) -> Result<(), Unanswered> {
    let cut = |_| Unanswered::Cut;
    let mut stream = match open.take() {
        Some(stream) => stream,
        None => connected(port).map_err(cut)?,
    };
    ask(&mut stream, "/", "").map_err(|_| Unanswered::Closed)?;
    if !stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty()) {
        return Err(Unanswered::Closed);
    }
    let (status, length, stays) = head(&mut stream).map_err(cut)?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).map_err(cut)?;
    if status != 200 {
        return Err(Unanswered::Status);
    }
    *open = Some(stream).filter(|_| stays);
    Ok(())
}

/// A ramp, a switch back, a share and its abort, with a download and a socket meanwhile.
fn round(bed: &Bed, users: &Users) {
    let (socket, download) = (users.socket(), users.download());
    bed.traffic(&["ramp", "--release", "v2"])
        .is(0, &["v2 has 100%"]);
    bed.traffic(&["switch", "--to", "v1"])
        .is(0, &["v1 has 100%"]);
    bed.traffic(&["set", "10%", "--release", "v2"])
        .is(0, &["v2 has 10%"]);
    bed.traffic(&["abort"]).is(0, &["v1 has 100% again"]);
    socket.was_open();
    assert_eq!(download.join().unwrap(), DOWNLOAD_BYTES);
}

#[expect(clippy::print_stdout, reason = "the figures of the long mode")]
fn tell(figures: &str) {
    println!("{figures}");
}

#[test]
fn load_haproxy_loses_no_request() {
    let bed = Bed::new("", "");
    let proxy = Haproxy::start(bed.blue.port(), bed.green.port(), false);
    bed.write(
        &format!(
            "  stage-duration: 1s\n  haproxy:\n    socket: {}\n    backend: app\n    blue: blue\n    green: green\n    state-file: {}\n    \
             release: {{ url: 'http://127.0.0.1:{}/api/v1/version', jq: .version }}\n",
            proxy.socket().display(),
            proxy.state_file().display(),
            proxy.port()
        ),
        "",
    );
    let users = Users::at(proxy.port());
    let mut rounds = 0;
    while rounds == 0 || users.served().answered < wanted() {
        round(&bed, &users);
        rounds += 1;
    }
    let served = users.leave();
    tell(&format!("{served:?}, {rounds} rounds"));
    assert_eq!((served.failed, served.repeated), (0, 0), "{served:?}");
}

/// As a site with WebSockets has it.
const SERVER: &str = "access_log off;
    upstream sides { include SIDES; keepalive 16; }
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
    server {
        listen 127.0.0.1:PORT;
        location / {
            proxy_pass http://sides;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_next_upstream off;
        }
    }";

#[test]
fn load_nginx_loses_no_more_than_bare_reloads_do() {
    let bed = Bed::new("", "");
    let sides = bed.path("sides.conf");
    let (blue, green) = (bed.blue.address(), bed.green.address());
    fs::write(&sides, format!("server {blue};\nserver {green} down;\n")).unwrap();
    let nginx = Nginx::serving(&SERVER.replace("SIDES", &sides.display().to_string()));
    bed.write(
        &format!(
            "  stage-duration: 1s\n  nginx:\n    upstream-file: {}\n    test: {}\n    reload: {}\n    blue: {blue}\n    green: {green}\n    \
             release: {{ url: {}, jq: .version }}\n",
            sides.display(),
            nginx.test_command(),
            nginx.reload_command(),
            nginx.url("/api/v1/version"),
        ),
        "",
    );
    let users = Users::at(nginx.port());
    let (mut ours, mut bare) = (Served::default(), Served::default());
    let mut rounds = 0;
    // In turns, so that a busy moment of the machine falls on both.
    while rounds == 0 || ours.answered < wanted() {
        let (before, began) = (users.served(), Instant::now());
        round(&bed, &users);
        let (between, took) = (users.served(), began.elapsed());
        for _ in 0..CHANGES {
            nginx.read("");
            thread::sleep(took / CHANGES);
        }
        ours = ours.and(between.since(before));
        bare = bare.and(users.served().since(between));
        rounds += 1;
    }
    users.leave();
    tell(&format!("ours {ours:?}, bare {bare:?}, {rounds} rounds"));
    assert!(ours.failed <= bare.failed, "{ours:?}, {bare:?}");
    // How many connections are at rest when a worker ends is chance: within four deviations of as many.
    let (more, both) = (
        ours.repeated.saturating_sub(bare.repeated),
        ours.repeated + bare.repeated,
    );
    assert!(more * more <= 16 * both, "{ours:?}, {bare:?}");
}
