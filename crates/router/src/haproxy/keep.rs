//! What a reload of HAProxy is to find: the state file, or the weights in its configuration.

use std::path::Path;
use std::time::Duration;

use config::file::HaproxyTarget;
use config::value::{ShellText, Side, Split};
use place::{Effect, Error, Place, PlaceAccess, word};

use super::cfg::{Cfg, LineEdit};
use super::socket::{self, Proxy, Servers};
use crate::weights::Weights;

/// The files of a configured HAProxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredFiles<'a> {
    pub(super) target: &'a HaproxyTarget,
    pub(super) places: &'a PlaceAccess,
}

impl StoredFiles<'_> {
    fn limit(&self) -> Duration {
        self.target.timeout.get()
    }

    fn test(&self, file: &Path) -> ShellText {
        let test = self.target.test.clone();
        test.unwrap_or_else(|| format!("haproxy -c -f {}", word(file)).into())
    }

    /// Proves that the files can be written; changes nothing.
    pub(super) async fn may_write(&self, place: &Place) -> Result<(), Error> {
        let limit = self.limit();
        if let Some(file) = &self.target.state_file {
            let folder = file.parent().map(word).unwrap_or_default();
            let text =
                format!("[ -w {folder} ] || {{ echo cannot write in {folder} >&2; exit 1; }}");
            let what = "the state file";
            self.places
                .script(place, what, &text, Effect::Changes, limit)
                .await?;
        }
        let Some(file) = &self.target.config_file else {
            return Ok(());
        };
        let text = self.read(place, file).await?;
        self.cfg(&text)?;
        self.places.may_replace(place, file, limit).await?;
        let command = self.test(file);
        match remote::sudo::proof(&command) {
            None => Ok(()),
            Some(proof) => {
                let what = format!("`{command}`");
                let asked = self
                    .places
                    .script(place, &what, &proof, Effect::Reads, limit);
                asked.await.map(drop)
            }
        }
    }

    /// Writes what the servers are now; `proxy` is asked for it where the file is the state file.
    pub(super) async fn write(
        &self,
        place: &Place,
        proxy: &Proxy<'_>,
        now: &Servers,
    ) -> Result<(), Error> {
        if let Some(file) = &self.target.state_file {
            return self.write_state(place, proxy, file).await;
        }
        let Some(file) = &self.target.config_file else {
            return Ok(());
        };
        let before = self.read(place, file).await?;
        let after = self.saying(&before, now)?;
        self.write_config(place, &before, &after).await
    }

    /// A text of the configuration in which the servers are what they are now.
    fn saying(&self, text: &str, now: &Servers) -> Result<String, Error> {
        let say = |name: &str| {
            let server = now.get(name);
            match server.filter(|server| server.takes_traffic()) {
                Some(server) => LineEdit::Weight(server.weight),
                None if self.target.drain => LineEdit::Weight(0),
                None => LineEdit::Disabled,
            }
        };
        let cfg = self.cfg(text)?;
        Ok(cfg.with(say(&self.target.blue), say(&self.target.green)))
    }

    /// The text of the configuration, where that is what is written.
    pub(super) async fn config(&self, place: &Place) -> Result<Option<String>, Error> {
        match &self.target.config_file {
            None => Ok(None),
            Some(file) => self.read(place, file).await.map(Some),
        }
    }

    /// Puts back such a text, in which the servers are `old`; `set` is what they were made. Of what another wrote
    /// meanwhile, only the weights are changed.
    pub(super) async fn put_back(
        &self,
        place: &Place,
        text: &str,
        (old, set): (&Servers, &Servers),
    ) -> Result<(), Error> {
        let Some(now) = self.config(place).await? else {
            return Ok(());
        };
        if now == text || now == self.saying(text, set)? {
            return self.write_config(place, &now, text).await;
        }
        let after = self.saying(&now, old)?;
        self.write_config(place, &now, &after).await
    }

    /// Replaces the configuration, which HAProxy itself must accept.
    async fn write_config(&self, place: &Place, before: &str, after: &str) -> Result<(), Error> {
        let Some(file) = self.target.config_file.as_ref().filter(|_| before != after) else {
            return Ok(());
        };
        let limit = self.limit();
        self.places.replace(place, file, after, limit).await?;
        let tested = self.places.command(place, &self.test(file), limit).await;
        let Err(error) = tested else { return Ok(()) };
        let back = self.places.replace(place, file, before, limit).await;
        Err(match back {
            Ok(()) => error.then(format!("{} was put back", file.display())),
            Err(back) => error.stuck(back),
        })
    }

    async fn write_state(
        &self,
        place: &Place,
        proxy: &Proxy<'_>,
        file: &Path,
    ) -> Result<(), Error> {
        let all = "show servers state";
        let Some(socket) = proxy.sockets().next() else {
            return Ok(());
        };
        if *place != Place::Here {
            let text = format!(
                "file={file}\n{} >\"$file.deploy-guard-new\"
[ \"$(head -n 1 -- \"$file.deploy-guard-new\")\" = 1 ] || {{ echo HAProxy prints no state >&2; exit 1; }}
sync -- \"$file.deploy-guard-new\"\nmv -T -f -- \"$file.deploy-guard-new\" \"$file\"",
                proxy.ask_there(socket, all),
                file = word(file)
            );
            let what = "the state file";
            let wrote = self
                .places
                .script(place, what, &text, Effect::Changes, self.limit());
            return wrote.await.map(drop);
        }
        let text = proxy.read(place, socket, all).await?;
        if !text.starts_with("1\n") {
            let what = "HAProxy prints no state that it could read again";
            return Err(Error::Malformed(what.to_owned()));
        }
        state::atomic::replace(file, text.as_bytes())
            .map_err(|error| Error::from(error).at(format!("failed to write {}", file.display())))
    }

    /// What a reload would find; `now` is what runs, which knows the weights of the configuration.
    pub(super) async fn split(&self, place: &Place, now: &Servers) -> Result<Split, Error> {
        let (mut blue, mut green) = (0, 0);
        for (side, weight) in [(Side::Blue, &mut blue), (Side::Green, &mut green)] {
            *weight = match &self.target.config_file {
                Some(file) => {
                    let text = self.read(place, file).await?;
                    self.cfg(&text)?.weight(side)
                }
                None => self.weight_in_state(place, side, now).await?,
            };
        }
        let no_share = || Error::Unfit("after a reload neither side would get traffic".to_owned());
        Weights { blue, green }.split().ok_or_else(no_share)
    }

    /// The weight that a reload gives to a side by the state file, or else by the configuration.
    async fn weight_in_state(
        &self,
        place: &Place,
        side: Side,
        now: &Servers,
    ) -> Result<u32, Error> {
        let name = self.name(side);
        let Some(running) = now.get(name) else {
            return Ok(0);
        };
        let configured = if running.begins_disabled() {
            0
        } else {
            running.first_weight
        };
        let Some(file) = &self.target.state_file else {
            return Ok(configured);
        };
        let text = self.places.read(place, file, self.limit()).await?;
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(configured);
        };
        let kept = socket::parse(&text, Some(&self.target.backend))
            .map_err(|error| error.at(file.display()))?;
        Ok(match kept.get(name) {
            None => configured,
            Some(server) if server.state() != "ready" => 0,
            // A weight that the configuration has changed since counts more (`srv_state_srv_update`).
            Some(server) if server.first_weight != running.first_weight => running.first_weight,
            Some(server) => server.weight,
        })
    }

    fn name(&self, side: Side) -> &str {
        match side {
            Side::Blue => &self.target.blue,
            Side::Green => &self.target.green,
        }
    }

    async fn read(&self, place: &Place, file: &Path) -> Result<String, Error> {
        let text = self.places.read(place, file, self.limit()).await?;
        text.ok_or_else(|| Error::Missing(format!("there is no file {}", file.display())))
    }

    fn cfg<'t>(&self, text: &'t str) -> Result<Cfg<'t>, Error> {
        let HaproxyTarget {
            backend,
            blue,
            green,
            config_file,
            ..
        } = self.target;
        let file = config_file.as_deref().unwrap_or(Path::new(""));
        Cfg::read(text, backend, [blue, green])
            .map_err(|why| Error::Unfit(why.to_string()).at(file.display()))
    }
}
