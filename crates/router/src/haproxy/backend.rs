//! The two servers of a backend, at each of HAProxy's sockets on a machine: what they are, and how they
//! are given another share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use config::file::HaproxyTarget;
use config::value::{Share, Side, Split};
use place::{Error, Place, PlaceAccess};
use serde::{Deserialize, Serialize};

use super::keep::StoredFiles;
use super::socket::{Proxy, Server, Servers};
use super::stat::{self, Stat};
use super::weights::{self, Act};
use crate::weights::Weights;

/// Between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The servers as they were, to be put back.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Image {
    sockets: BTreeMap<PathBuf, Servers>,
    /// The text of HAProxy's configuration, where that is written too.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Backend<'a> {
    target: &'a HaproxyTarget,
    proxy: Proxy<'a>,
    keep: StoredFiles<'a>,
}

impl<'a> Backend<'a> {
    pub fn new(target: &'a HaproxyTarget, places: &'a PlaceAccess) -> Self {
        Backend {
            target,
            proxy: Proxy::new(target, places),
            keep: StoredFiles { target, places },
        }
    }

    pub fn proxy(&self) -> &Proxy<'a> {
        &self.proxy
    }

    pub fn name(&self, side: Side) -> &'a str {
        match side {
            Side::Blue => &self.target.blue,
            Side::Green => &self.target.green,
        }
    }

    /// The state of a server that traffic has left.
    pub fn left(&self) -> &'static str {
        if self.target.drain { "drain" } else { "maint" }
    }

    /// Blue and green, with their weights and states at the socket where one of them has traffic.
    pub async fn servers(&self, place: &Place) -> Result<Servers, Error> {
        let mut all = Servers::new();
        for (_, servers) in self.proxy.servers(place).await? {
            for (name, server) in servers {
                let known = all.get(&name).is_some_and(Server::takes_traffic);
                if !known {
                    all.insert(name, server);
                }
            }
        }
        Ok(all)
    }

    /// Proves that the servers can be changed, and that this can be kept; changes nothing.
    pub async fn may_change(&self, place: &Place) -> Result<Servers, Error> {
        self.keep.may_write(place).await?;
        self.proxy.switchable(place).await?;
        self.servers(place).await
    }

    /// What each side gets, by what every socket reports.
    ///
    /// # Errors
    /// Where other servers get traffic, or two sockets disagree.
    pub async fn loaded(&self, place: &Place) -> Result<Split, Error> {
        let mut split = None;
        for socket in self.proxy.sockets() {
            let found = self.loaded_at(place, socket).await;
            let found = found.map_err(|error| self.proxy.at(socket, error))?;
            match split {
                None => split = Some((socket, found)),
                Some((_, one)) if one == found => {}
                Some((one_socket, one)) => {
                    return Err(Error::Contradicts(format!(
                        "{} has {found}, and {} has {one}",
                        socket.display(),
                        one_socket.display()
                    )));
                }
            }
        }
        let none = || Error::Unconfigured("no socket is configured".to_owned());
        split.map(|(_, split)| split).ok_or_else(none)
    }

    async fn loaded_at(&self, place: &Place, socket: &Path) -> Result<Split, Error> {
        let all = self.proxy.all(place, socket).await?;
        let stat = self.stat_at(place, socket).await?;
        let no_share = || Error::Unfit("neither blue nor green gets traffic".to_owned());
        self.split_of(&all, &stat)?.ok_or_else(no_share)
    }

    /// `None` where neither gets traffic.
    fn split_of(&self, all: &Servers, stat: &Stat) -> Result<Option<Split>, Error> {
        let is_backup = |name: &str| stat.servers.get(name).is_some_and(|row| row.backup);
        let ours = [&self.target.blue, &self.target.green];
        let other = all.iter().find(|(name, server)| {
            !ours.contains(name) && server.takes_traffic() && !is_backup(name)
        });
        if let Some((name, _)) = other {
            return Err(Error::Unfit(format!(
                "{} gives traffic to {name} too, so blue and green do not share all requests",
                self.target.backend
            )));
        }
        let taking = |name: &String| {
            let server = all.get(name).filter(|server| server.takes_traffic());
            server.map_or(0, |server| server.weight)
        };
        let (mut blue, mut green) = (taking(ours[0]), taking(ours[1]));
        // A backup gets something only where the other one gets nothing.
        if blue > 0 && green > 0 {
            match (is_backup(ours[0]), is_backup(ours[1])) {
                (true, false) => blue = 0,
                (false, true) => green = 0,
                _ => {}
            }
        }
        Ok(Weights { blue, green }.split())
    }

    /// What each side would get after a reload.
    pub async fn configured(&self, place: &Place) -> Result<Split, Error> {
        let now = self.servers(place).await?;
        let split = self.keep.split(place, &now).await?;
        if split.whole().is_some() {
            return Ok(split);
        }
        // Weights do not say that one of two waits for the other to fail.
        let stats = self.stat(place).await?;
        let is_backup = |side: &Side| {
            let mut rows = stats
                .iter()
                .filter_map(|stat| stat.servers.get(self.name(*side)));
            rows.any(|row| row.backup)
        };
        let mut backups = Side::BOTH.into_iter().filter(is_backup);
        Ok(match (backups.next(), backups.next()) {
            (Some(backup), None) => Split::giving(backup.other(), Share::ALL),
            _ => split,
        })
    }

    /// What would be sent, and the split that it gives.
    ///
    /// # Errors
    /// Where the servers cannot have that split.
    pub async fn course(&self, place: &Place, split: Split) -> Result<(Vec<String>, Split), Error> {
        let mut lines = Vec::new();
        for socket in self.proxy.sockets() {
            let all = self.proxy.all(place, socket).await?;
            let stat = self.stat_at(place, socket).await?;
            let possible = self.split_of(&all, &stat);
            let possible = possible.and_then(|_| self.may_weigh(split, &stat));
            possible.map_err(|error| self.proxy.at(socket, error))?;
            for act in self.acts(&all, split)? {
                lines.push(match act {
                    Act::Set(side, what) => self.command(side, &what),
                    Act::Await(_) => continue,
                });
            }
        }
        Ok((lines, nearest(split)?))
    }

    /// Whether weights divide the requests under the balance of the backend.
    fn may_weigh(&self, split: Split, stat: &Stat) -> Result<(), Error> {
        if split.whole().is_some() {
            return Ok(());
        }
        let backend = &self.target.backend;
        if let Some(side) = { Side::BOTH.into_iter() }.find(|side| {
            let row = stat.servers.get(self.name(*side));
            row.is_some_and(|row| row.backup)
        }) {
            return Err(Error::Unfit(format!(
                "{} is a `backup` in {backend}, and gets requests only where the others are down",
                self.name(side)
            )));
        }
        match stat.backend.balance.as_str() {
            // Not told to a socket of a lower level: then the answer to `set` says it.
            "" | "roundrobin" | "random" => Ok(()),
            balance => Err(Error::Unfit(format!(
                "`balance {balance}` of {backend} does not divide the requests by weights that can be set: set \
                 `balance roundrobin` in its configuration"
            ))),
        }
    }

    fn acts(&self, servers: &Servers, split: Split) -> Result<Vec<Act>, Error> {
        let server = |side: Side| {
            let name = self.name(side);
            servers.get(name).ok_or_else(|| Error::NoServer {
                backend: self.target.backend.clone(),
                server: name.to_owned(),
                others: servers.keys().cloned().collect(),
            })
        };
        let both = [server(Side::Blue)?, server(Side::Green)?];
        weights::acts(both, split, self.left()).map_err(|why| Error::Unfit(why.to_string()))
    }

    fn command(&self, side: Side, what: &str) -> String {
        format!(
            "set server {}/{} {what}",
            self.target.backend,
            self.name(side)
        )
    }

    /// Sets the split at every socket, reads it back, and writes down what a reload is to find.
    ///
    /// # Errors
    /// Where HAProxy refuses it, does not find a server healthy, or reports something else than was set.
    pub async fn set(&self, place: &Place, split: Split) -> Result<(), Error> {
        for socket in self.proxy.sockets() {
            let servers = self.proxy.both(place, socket).await?;
            let mut line = Vec::new();
            for act in self.acts(&servers, split)? {
                match act {
                    Act::Set(side, what) => line.push(self.command(side, &what)),
                    Act::Await(side) => {
                        self.proxy.say(place, socket, &line).await?;
                        line.clear();
                        self.wait_for(place, socket, side).await?;
                    }
                }
            }
            self.proxy.say(place, socket, &line).await?;
        }
        let nearest = nearest(split)?;
        for socket in self.proxy.sockets() {
            self.read_back(place, socket, nearest).await?;
        }
        self.keep(place).await
    }

    async fn read_back(&self, place: &Place, socket: &Path, split: Split) -> Result<(), Error> {
        let servers = self.proxy.both(place, socket).await?;
        let (mut now, mut shown) = ([0, 0], Vec::new());
        for (weight, side) in now.iter_mut().zip(Side::BOTH) {
            let name = self.name(side);
            let told = self.weight(place, socket, name).await?;
            let server = servers.get(name);
            let state = server.map_or("missing", Server::state);
            if state == "ready" {
                *weight = told;
            }
            shown.push(format!("{name} {state} with weight {told}"));
        }
        let [blue, green] = now;
        if (Weights { blue, green }).split() == Some(split) {
            return Ok(());
        }
        let error = Error::Contradicts(format!(
            "HAProxy accepted {split}, and reports {}",
            shown.join(", ")
        ));
        Err(self.proxy.at(socket, error))
    }

    /// What `get weight` answers: `25 (initial 0)`.
    async fn weight(&self, place: &Place, socket: &Path, name: &str) -> Result<u32, Error> {
        let command = format!("get weight {}/{name}", self.target.backend);
        let answer = self.proxy.read(place, socket, &command).await?;
        let number = answer.split_whitespace().next();
        number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| Error::Refused(answer.trim().to_owned()).at(format!("`{command}`")))
    }

    /// A server that is checked takes requests once its checks have passed; the other must not
    /// leave before.
    async fn wait_for(&self, place: &Place, socket: &Path, side: Side) -> Result<(), Error> {
        let end = Instant::now() + self.target.timeout.get();
        let name = self.name(side);
        loop {
            let stat = self.stat_at(place, socket).await?;
            let row = stat.servers.get(name);
            if row.is_some_and(|row| !row.is_down() && !row.awaits_first_check()) {
                return Ok(());
            }
            if Instant::now() > end {
                let said = row.map(|row| format!(": {}", row.shown()));
                let error = Error::Down(format!(
                    "HAProxy does not find {name} healthy within {}{}",
                    self.target.timeout,
                    said.unwrap_or_default()
                ));
                return Err(self.proxy.at(socket, error));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// What a reload is to find.
    async fn keep(&self, place: &Place) -> Result<(), Error> {
        let now = self.servers(place).await?;
        self.keep.write(place, &self.proxy, &now).await
    }

    /// What it takes to put the servers back, as JSON.
    pub async fn image(&self, place: &Place) -> Result<String, Error> {
        let sockets = self.proxy.servers(place).await?;
        let config = self.keep.config(place).await?;
        Ok(match sockets.values().next() {
            // As every version reads it.
            Some(servers) if sockets.len() == 1 && config.is_none() => {
                serde_json::to_string(servers)?
            }
            _ => serde_json::to_string(&Image { sockets, config })?,
        })
    }

    /// Lets each server be what it was; what was done, in words.
    pub async fn put_back(&self, place: &Place, image: &str) -> Result<String, Error> {
        let image = self.parse_image(image)?;
        let set = self.servers(place).await?;
        let mut states = Vec::new();
        for (socket, before) in &image.sockets {
            let now = self.proxy.both(place, socket).await?;
            let mut all: Vec<_> = before.iter().collect();
            // What takes traffic comes first: at every moment one of them does.
            all.sort_by_key(|(_, server)| !server.takes_traffic());
            let mut line = Vec::new();
            for (name, server) in all {
                let is = now.get(name);
                let set =
                    |what: String| format!("set server {}/{name} {what}", self.target.backend);
                // What is so already is not said again: a static algorithm takes no weight.
                if is.is_none_or(|now| now.weight != server.weight) {
                    line.push(set(format!("weight {}", server.weight)));
                }
                if is.is_none_or(|now| now.state() != server.state()) {
                    line.push(set(format!("state {}", server.state())));
                }
                states.push(format!("{name} {}", server.state()));
            }
            self.proxy.say(place, socket, &line).await?;
        }
        match &image.config {
            Some(text) => {
                let now = self.servers(place).await?;
                self.keep.put_back(place, text, (&now, &set)).await?;
            }
            None => self.keep(place).await?,
        }
        states.dedup();
        Ok(format!("{} again", states.join(", ")))
    }

    fn parse_image(&self, text: &str) -> Result<Image, Error> {
        let malformed = |error: serde_json::Error| Error::from(error).at("the pre-image");
        if let Ok(image) = serde_json::from_str(text) {
            return Ok(image);
        }
        // The servers of the one socket.
        let servers: Servers = serde_json::from_str(text).map_err(malformed)?;
        let socket = self.proxy.sockets().next();
        let socket = socket.map(|socket| (socket.to_owned(), servers));
        Ok(Image {
            sockets: socket.into_iter().collect(),
            config: None,
        })
    }

    pub(super) async fn stat(&self, place: &Place) -> Result<Vec<Stat>, Error> {
        let mut all = Vec::new();
        for socket in self.proxy.sockets() {
            all.push(self.stat_at(place, socket).await?);
        }
        Ok(all)
    }

    async fn stat_at(&self, place: &Place, socket: &Path) -> Result<Stat, Error> {
        let answer = self.proxy.read(place, socket, "show stat").await?;
        let stat = stat::parse(&answer, &self.target.backend);
        stat.map_err(|error| self.proxy.at(socket, error.at("HAProxy")))
    }
}

/// The split that weights can say.
fn nearest(split: Split) -> Result<Split, Error> {
    if split.whole().is_some() {
        return Ok(split);
    }
    let weights = weights::weights(split).map_err(|why| Error::Unfit(why.to_string()))?;
    Ok(weights.split().unwrap_or(split))
}
