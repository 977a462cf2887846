//! A Redis server that answers PING, spoken to in its own few words (RESP).

use std::time::Duration;

use config::file::RedisProbe;
use model::Secret;
use model::text::excerpt;
use net::Place;
use net::tls::{Settings, server_name, shake_hands};
use net::{ConnectError, Endpoint, Route, Stream};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::addresses::measure_every;
use crate::error::Error;
use crate::probe::{Kind, Measuring, Probe, ProbeContext};
use crate::reading::Reading;

const PORT: u16 = 6379;
/// A reply to what is asked here is one short line.
const MAX_REPLY: usize = 4 << 10;

/// One redis probe.
pub(crate) struct Redis {
    probe: RedisProbe,
    place: Place,
    route: Route,
    name: ServerName<'static>,
    password: Option<Secret>,
}

impl Redis {
    pub(crate) fn new(probe: RedisProbe, around: &ProbeContext) -> Result<Self, Error> {
        let place = Place::new(&probe.address, PORT);
        let password = match &probe.password_env {
            None => None,
            Some(name) => Some(around.secret(name)?),
        };
        Ok(Redis {
            name: server_name(probe.server_name.as_ref().unwrap_or(&place.host))?,
            route: Route::new(&[], probe.via.as_deref(), &around.hosts),
            place,
            password,
            probe,
        })
    }

    async fn measure_endpoint(&self, end: Endpoint) -> Reading {
        match self.ping(end).await {
            Ok(()) => Reading::pass(EXPECTED, "PONG").value("PONG"),
            Err(problem) => Reading::of_problem(problem, EXPECTED),
        }
    }

    async fn ping(&self, end: Endpoint) -> Result<(), ConnectError> {
        let mut stream = self.route.open(&self.place, end).await?;
        if self.probe.tls {
            let settings = Settings {
                ca_file: self.probe.ca_file.clone(),
                ..Settings::default()
            };
            let shaken = shake_hands(settings.config()?, self.name.clone(), stream).await?;
            stream = Box::new(shaken);
        }
        if let Some(password) = &self.password {
            let user = self.probe.user.iter().map(String::as_str);
            let words: Vec<&str> = ["AUTH"]
                .into_iter()
                .chain(user)
                .chain([password.expose()])
                .collect();
            match send_command(&mut stream, &words).await?.as_str() {
                "+OK" => {}
                reply => return Err(refusal(reply, true)),
            }
        }
        match send_command(&mut stream, &["PING"]).await?.as_str() {
            "+PONG" => Ok(()),
            reply => Err(refusal(reply, false)),
        }
    }
}

const EXPECTED: &str = "PONG";

/// Sends a command, and takes the line that answers it.
async fn send_command(stream: &mut Stream, words: &[&str]) -> Result<String, ConnectError> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let sent = stream.write_all(request.as_bytes()).await;
    sent.map_err(|error| ConnectError::broken(&error))?;
    let mut reply = Vec::new();
    loop {
        if let Some(end) = reply.windows(2).position(|two| two == b"\r\n") {
            return Ok(String::from_utf8_lossy(&reply[..end]).into_owned());
        }
        if reply.len() > MAX_REPLY {
            return Err(no_redis(&reply));
        }
        let read = stream.read_buf(&mut reply).await;
        if read.map_err(|error| ConnectError::broken(&error))? == 0 {
            return Err(match reply.as_slice() {
                [] => ConnectError::of_service("it closes the connection without an answer"),
                said => no_redis(said),
            });
        }
    }
}

fn no_redis(said: &[u8]) -> ConnectError {
    ConnectError::of_service(format!(
        "it does not speak as Redis does: {}",
        excerpt(said)
    ))
}

/// Why the server refused: a missing permission is our problem, anything else is the server's.
fn refusal(reply: &str, logging_in: bool) -> ConnectError {
    let Some(said) = reply.strip_prefix('-') else {
        return no_redis(reply.as_bytes());
    };
    let text = excerpt(said.as_bytes());
    let of_way = |what: &str| ConnectError::of_way("not checked", format!("{what}: {text}"));
    match said.split(' ').next().unwrap_or_default() {
        "NOAUTH" => of_way("it wants a password, name its variable by `password-env`"),
        "WRONGPASS" | "NOPERM" => of_way("it does not let us in"),
        "DENIED" => of_way("it accepts no connection from here"),
        "LOADING" => ConnectError::of_service(format!("it still loads its data: {text}")),
        "MASTERDOWN" => ConnectError::of_service(format!("it has lost its master: {text}")),
        _ if logging_in => of_way("it does not let us in"),
        _ => ConnectError::of_service(text),
    }
}

impl Kind for RedisProbe {
    fn subject(&self) -> String {
        self.address.to_string()
    }

    fn make(self, around: &ProbeContext) -> Result<Box<dyn Probe>, Error> {
        Ok(Box::new(Redis::new(self, around)?))
    }
}

impl Probe for Redis {
    fn measure<'a>(&'a self, _release: Option<&'a str>, timeout: Duration) -> Measuring<'a> {
        Box::pin(async move {
            let rule = self.probe.addresses;
            let ask = async |end| self.measure_endpoint(end).await;
            measure_every(&self.route, &self.place, rule, timeout, EXPECTED, ask).await
        })
    }

    fn hint(&self) -> String {
        let Place { host, port } = &self.place;
        let tls = if self.probe.tls { " --tls" } else { "" };
        let at = match &self.probe.via {
            Some(name) => format!("at {name}: "),
            None => String::new(),
        };
        format!("{at}`redis-cli -h {host} -p {port}{tls} ping`, and `redis-cli … info replication`")
    }
}
