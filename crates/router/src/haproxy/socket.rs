//! HAProxy: what its runtime socket reports about the two servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::file::HaproxyTarget;
use place::{Effect, Error, Place, PlaceAccess, ended};
use remote::quote;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The states of thousands of servers are no longer than this.
const MAX_ANSWER: u64 = 16 << 20;
/// What HAProxy answers where it has no such backend.
const NO_BACKEND: &str = "Can't find backend.";
/// The names of servers that are shown.
const MAX_SHOWN: usize = 10;

/// What HAProxy reports about a server.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Server {
    pub address: String,
    /// 2 where it takes requests, 1 where it begins to (`slowstart`).
    pub operation: u32,
    /// Bits: maintenance, drained, and the origin of each.
    pub admin: u32,
    pub weight: u32,
    /// The weight that the configuration gives it.
    pub first_weight: u32,
}

impl Server {
    // Not 0x04: that it began in maintenance, whatever was said since.
    const MAINTENANCE: u32 = 0x01 | 0x02 | 0x20;
    const DRAINED: u32 = 0x08 | 0x10;

    /// Whether its configuration says `disabled`.
    pub fn begins_disabled(&self) -> bool {
        self.admin & 0x04 != 0
    }

    pub fn state(&self) -> &'static str {
        match self.admin {
            bits if bits & Server::MAINTENANCE != 0 => "maint",
            bits if bits & Server::DRAINED != 0 => "drain",
            _ => "ready",
        }
    }

    pub fn takes_traffic(&self) -> bool {
        self.state() == "ready" && self.weight > 0
    }
}

/// How HAProxy's configuration or ours must be, where one of them does not let us switch.
pub fn hint(error: &Error, section: &str) -> Option<String> {
    Some(match error {
        Error::NoBackend(_) => {
            format!("name a backend of HAProxy's configuration under `{section}.haproxy.backend`")
        }
        Error::NoServer { others, .. } => {
            let mut shown = others.clone();
            shown.truncate(MAX_SHOWN);
            let more = if others.len() > MAX_SHOWN {
                " and others"
            } else {
                ""
            };
            let has = match shown.as_slice() {
                [] => "it has none".to_owned(),
                names => format!("it has {}{more}", names.join(", ")),
            };
            format!("name its two servers under `{section}.haproxy.blue` and `green`; {has}")
        }
        Error::Level { socket, .. } => {
            format!("set `stats socket {socket} level admin` in HAProxy's configuration")
        }
        Error::NoSocket(socket) => format!(
            "see that HAProxy runs, and that its configuration has `stats socket {socket} level admin`"
        ),
        _ => return None,
    })
}

/// Servers by their names.
pub type Servers = BTreeMap<String, Server>;

/// HAProxy at one machine or several, through its runtime sockets.
#[derive(Clone, Copy, Debug)]
pub struct Proxy<'a> {
    target: &'a HaproxyTarget,
    places: &'a PlaceAccess,
}

impl<'a> Proxy<'a> {
    pub fn new(target: &'a HaproxyTarget, places: &'a PlaceAccess) -> Self {
        Proxy { target, places }
    }

    pub fn sockets(&self) -> impl Iterator<Item = &'a Path> {
        self.target.socket.paths()
    }

    /// All servers of the backend, as one of the sockets reports them; blue and green are among them.
    pub async fn all(&self, place: &Place, socket: &Path) -> Result<Servers, Error> {
        let backend = &self.target.backend;
        let command = format!("show servers state {backend}");
        let answer = self.read(place, socket, &command).await?;
        if answer.lines().next().map(str::trim) == Some(NO_BACKEND) {
            return Err(Error::NoBackend(backend.clone()));
        }
        let all = parse(&answer, None).map_err(|error| error.at("HAProxy"))?;
        for name in [&self.target.blue, &self.target.green] {
            if !all.contains_key(name) {
                return Err(Error::NoServer {
                    backend: backend.clone(),
                    server: name.clone(),
                    others: all.keys().cloned().collect(),
                });
            }
        }
        Ok(all)
    }

    /// Blue and green as one of the sockets reports them.
    pub async fn both(&self, place: &Place, socket: &Path) -> Result<Servers, Error> {
        let mut servers = self.all(place, socket).await?;
        servers.retain(|name, _| *name == self.target.blue || *name == self.target.green);
        Ok(servers)
    }

    /// Blue and green as each of the sockets reports them.
    pub async fn servers(&self, place: &Place) -> Result<BTreeMap<PathBuf, Servers>, Error> {
        let mut seen = BTreeMap::new();
        for socket in self.sockets() {
            seen.insert(socket.to_owned(), self.both(place, socket).await?);
        }
        Ok(seen)
    }

    /// The two servers, at sockets that may change them.
    pub async fn switchable(&self, place: &Place) -> Result<BTreeMap<PathBuf, Servers>, Error> {
        let servers = self.servers(place).await?;
        for socket in self.sockets() {
            let level = self.read(place, socket, "show cli level").await?;
            if level.trim() != "admin" {
                return Err(Error::Level {
                    socket: socket.display().to_string(),
                    level: level.trim().to_owned(),
                });
            }
        }
        Ok(servers)
    }

    /// An error of one of several sockets names it.
    pub fn at(&self, socket: &Path, error: Error) -> Error {
        match self.sockets().nth(1) {
            Some(_) => error.at(socket.display()),
            None => error,
        }
    }

    /// A read-only command; repeated once if the SSH connection breaks.
    pub async fn read(&self, place: &Place, socket: &Path, command: &str) -> Result<String, Error> {
        if *place == Place::Here {
            return self.here(socket, command).await;
        }
        let path = quote(&socket.display().to_string());
        // socat words this differently in each version.
        let text = format!(
            "if [ ! -e {path} ] && [ -x \"$(dirname -- {path})\" ]; then exit {NOT_THERE}; fi\n{}",
            self.ask_there(socket, command)
        );
        let ran = self
            .places
            .run(place, &text, Effect::Reads, self.limit())
            .await;
        let ran = ran?;
        if ran.status == Some(NOT_THERE) {
            return Err(no_socket(socket));
        }
        let ran = ended(ran, "socat")?;
        Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
    }

    /// Commands over the runtime socket, made one after another with nothing in between. Their words come
    /// from the configuration, which lets no other characters through than names have.
    ///
    /// # Errors
    /// Returns what HAProxy says about them: it only speaks where something is wrong.
    pub async fn say(
        &self,
        place: &Place,
        socket: &Path,
        commands: &[String],
    ) -> Result<(), Error> {
        let line = commands.join("; ");
        if line.is_empty() {
            return Ok(());
        }
        let answer = if *place == Place::Here {
            self.here(socket, &line).await?
        } else {
            let text = self.ask_there(socket, &line);
            let said = self
                .places
                .script(place, "socat", &text, Effect::Changes, self.limit());
            said.await?
        };
        match answer.trim() {
            "" => Ok(()),
            complaint => {
                let said = Error::Refused(complaint.to_owned()).at(format!("`{line}`"));
                Err(self.at(socket, said))
            }
        }
    }

    async fn here(&self, socket: &Path, command: &str) -> Result<String, Error> {
        let talk = async {
            let mut stream = tokio::net::UnixStream::connect(socket).await?;
            stream.write_all(format!("{command}\n").as_bytes()).await?;
            let mut answer = String::new();
            stream.take(MAX_ANSWER).read_to_string(&mut answer).await?;
            Ok(answer)
        };
        let late = |_| {
            let within = self.target.timeout;
            Error::Deadline(format!("no answer within {within}")).at(socket.display())
        };
        let answer: std::io::Result<String> = tokio::time::timeout(self.limit(), talk)
            .await
            .map_err(late)?;
        answer.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => no_socket(socket),
            _ => Error::from(error).at(socket.display()),
        })
    }

    /// The part of a script that sends a command and prints the answer.
    pub fn ask_there(&self, socket: &Path, command: &str) -> String {
        let seconds = self.limit().as_secs().max(1);
        let place = format!("UNIX-CONNECT:{}", socket.display());
        format!(
            "printf '%s\\n' {} | socat -t{seconds} - {}",
            quote(command),
            quote(&place)
        )
    }

    fn limit(&self) -> Duration {
        self.target.timeout.get()
    }
}

fn no_socket(socket: &Path) -> Error {
    Error::NoSocket(socket.display().to_string())
}

/// How a script ends where what it looks for is not there.
const NOT_THERE: i32 = 44;

/// Servers by name, from `show servers state`: its columns are named in its second line. `backend`: only
/// those of this one, where the text has several.
pub(super) fn parse(answer: &str, backend: Option<&str>) -> Result<Servers, Error> {
    let mut lines = answer.lines();
    if lines.next() != Some("1") {
        let first = answer.lines().next().unwrap_or("no answer");
        return Err(Error::Malformed(first.trim().to_owned()));
    }
    let head = lines.next().unwrap_or_default();
    let names: Vec<&str> = head.trim_start_matches('#').split_whitespace().collect();
    let mut servers = BTreeMap::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let row: Vec<&str> = line.split_whitespace().collect();
        let of = |name: &str| {
            let at = names.iter().position(|known| *known == name);
            at.and_then(|at| row.get(at))
                .copied()
                .ok_or_else(|| Error::Malformed(format!("no {name} of a server")))
        };
        let number = |name: &str| {
            of(name)?
                .parse::<u32>()
                .map_err(|_| Error::Malformed(format!("{name} is not a number")))
        };
        if backend.is_some_and(|wanted| of("be_name").is_ok_and(|name| name != wanted)) {
            continue;
        }
        let (host, port) = (of("srv_addr")?, number("srv_port")?);
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        servers.insert(
            of("srv_name")?.to_owned(),
            Server {
                address: format!("{host}:{port}"),
                operation: number("srv_op_state")?,
                admin: number("srv_admin_state")?,
                weight: number("srv_uweight")?,
                first_weight: number("srv_iweight")?,
            },
        );
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord
3 app 1 blue 127.0.0.1 2 0 1 1 10 1 0 0 0 0 0 0 - 8001 -
3 app 2 green ::1 0 5 0 1 10 1 0 0 0 0 0 0 - 8002 -

";

    #[test]
    fn the_states_of_servers_are_read_by_their_columns() {
        let servers = parse(STATE, None).unwrap();
        let (blue, green) = (&servers["blue"], &servers["green"]);
        assert_eq!(
            (blue.address.as_str(), blue.state(), blue.takes_traffic()),
            ("127.0.0.1:8001", "ready", true)
        );
        assert_eq!(
            (green.address.as_str(), green.state(), green.takes_traffic()),
            ("[::1]:8002", "maint", false)
        );
    }

    #[test]
    fn what_is_no_state_is_an_error() {
        for text in [
            "",
            "No such backend.\n",
            "2\n# x\n",
            "1\n# be_id srv_name\n1 blue\n",
        ] {
            assert!(parse(text, None).is_err(), "{text:?}");
        }
        assert_eq!(
            parse("Can't find backend.\n", None).map_err(|error| error.to_string()),
            Err("Can't find backend.".to_owned())
        );
    }
}
