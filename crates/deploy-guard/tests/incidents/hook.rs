//! A server that takes what is told: a webhook's, or the API of Slack.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Accept,
    /// Takes the request, and says nothing for longer than anything waits.
    Hang,
    /// Closes the connection.
    Down,
    Broken,
}

/// What it was told.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

pub(crate) struct Hook {
    port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Hook {
    pub(crate) fn start(mode: Mode) -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let told = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || serve(stream, mode, &told));
            }
        });
        Hook { port, calls }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Everything that it accepted, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, mode: Mode, told: &Mutex<Vec<Call>>) -> Option<()> {
    if mode == Mode::Down {
        return None;
    }
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let status = match mode {
        Mode::Hang => {
            std::thread::sleep(Duration::from_mins(1));
            return None;
        }
        Mode::Broken => "500 Internal Server Error",
        Mode::Accept | Mode::Down => "200 OK",
    };
    let mut answer = json!({"ok": true, "channel": "C1"});
    if mode == Mode::Accept {
        let mut told = told.lock().unwrap();
        answer["ts"] = match body["ts"].as_str() {
            Some(known) => known.into(),
            None => format!("1.{}", told.len()).into(),
        };
        told.push(Call {
            path,
            body,
            at: Instant::now(),
        });
    }
    let answer = answer.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    )
    .ok()
}
