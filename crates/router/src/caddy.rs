//! Caddy: the upstreams of a `reverse_proxy` and their shares, over the admin API.
//!
//! A change is made only in the configuration that was read (`If-Match`), so that another's change is
//! never undone unseen. What Caddy reads at its next start is another matter: see [`kept`].

mod admin;
mod handler;
mod kept;

use std::time::Duration;

use config::file::CaddyRouter;
use config::value::{Share, Side, Split};
use model::release::Releases;
use place::{Context, Entrypoints, Error, Place, ProxyNames, Standby, StepFuture};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::admin::{Admin, Loaded, Patched};
use self::handler::Handler;
use self::kept::StoredConfig;
use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Router};

const NAMES: ProxyNames = ProxyNames {
    section: "traffic",
    kind: "caddy",
    shown: "Caddy",
    behind: "upstream",
};
/// Requests that were under way at a change are answered by the side that has them. Measured with Caddy
/// 2.6.2 and 2.11.7: none that began after the change went to the side that was left.
const OVERLAP: Duration = Duration::from_millis(50);
/// A change is made on top of another one that came first, where that left the shares as they were.
const MAX_ATTEMPTS: u32 = 2;

struct Caddy<'a> {
    config: &'a CaddyRouter,
    front: Entrypoints<'a>,
}

/// What it takes to put back what was there.
#[derive(Deserialize, Serialize)]
struct Snapshot {
    /// Of the handler that was in use.
    shares: Value,
    /// Green's share after a restart.
    kept: String,
}

impl Kind for CaddyRouter {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        let (hosts, release) = (self.hosts.as_ref(), self.release.as_ref());
        Ok(Box::new(Caddy {
            config: self,
            front: Entrypoints::new(NAMES, hosts, release, self.timeout, context)?,
        }))
    }
}

impl Caddy<'_> {
    fn dial(&self, side: Side) -> &str {
        match side {
            Side::Blue => &self.config.blue,
            Side::Green => &self.config.green,
        }
    }

    fn admin(&self) -> Admin<'_> {
        Admin {
            url: &self.config.admin,
            around: &self.front.machines.around,
            limit: self.front.timeout.get(),
        }
    }

    fn kept(&self) -> StoredConfig<'_> {
        StoredConfig {
            config: self.config,
            places: self.front.machines.places,
            admin: self.admin(),
        }
    }

    async fn handler(&self, place: &Place) -> Result<(Loaded, Handler), Error> {
        let loaded = self.admin().loaded(place).await?;
        let handler = Handler::find(&loaded.config, self.config)?;
        Ok((loaded, handler))
    }

    /// Changes the handler that is in use, where no other changed its shares since it was `before`.
    async fn load(
        &self,
        place: &Place,
        mut before: Option<Handler>,
        change: impl Fn(&Handler) -> Result<Value, Error>,
    ) -> Result<(), Error> {
        let shares = |handler: &Handler| handler.split(self.config).ok();
        for _ in 0..MAX_ATTEMPTS {
            let (loaded, handler) = self.handler(place).await?;
            let value = change(&handler)?;
            // Each load of a configuration cuts WebSockets: one that changes nothing is not made.
            if value == handler.value {
                return Ok(());
            }
            if let Some(before) = before.filter(|before| shares(before) != shares(&handler)) {
                return Err(self.overtaken(&before, &handler));
            }
            let at = (&loaded, handler.path.as_slice());
            match self.admin().patch(place, at, &value).await? {
                Patched::Done => return Ok(()),
                Patched::Overtaken => before = Some(handler),
            }
        }
        let (_, now) = self.handler(place).await?;
        Err(self.overtaken(before.as_ref().unwrap_or(&now), &now))
    }

    /// What another changed, in words.
    fn overtaken(&self, before: &Handler, now: &Handler) -> Error {
        let path = now.path.join("/");
        let what = match (before.split(self.config), now.split(self.config)) {
            (Ok(old), Ok(new)) if old != new => format!("had {old}, and has {new}"),
            _ if before != now => "is another one than it was".to_owned(),
            _ => "is as it was, something else is not".to_owned(),
        };
        Error::Raced(format!(
            "Caddy's configuration is changed by another at the same time: {path} {what}"
        ))
    }

    async fn put(&self, place: &Place, split: Split) -> Result<(), Error> {
        // Before anything is changed: what cannot be loaded or kept is refused.
        let (_, handler) = self.handler(place).await?;
        let change = |handler: &Handler| handler.with(split, self.config);
        change(&handler)?;
        let kept = self.kept().changed(place, split).await?;
        self.load(place, Some(handler), change).await?;
        self.kept().write(place, kept.as_deref()).await?;
        let (_, handler) = self.handler(place).await?;
        let now = handler.split(self.config)?;
        if now == split {
            return Ok(());
        }
        Err(Error::Raced(format!("Caddy took {split}, and has {now}")))
    }

    async fn planned(&self, place: &Place, split: Split) -> Result<Change, Error> {
        let (_, handler) = self.handler(place).await?;
        let now = handler.split(self.config)?;
        let split = handler.nearest(split)?;
        let value = handler.with(split, self.config)?;
        let kept = self.kept();
        kept.may_write(place).await?;
        let mut writes = Vec::new();
        if value != handler.value {
            writes.push(format!("{}: {now} → {split}", handler.path.join("/")));
        }
        if let (Some(_), Some(file)) = (kept.changed(place, split).await?, &self.config.config_file)
        {
            writes.push(format!("{}: {split}", file.display()));
        }
        let mut does = format!("give {split} in {}", handler.path.join("/"));
        if handler.cuts_streams() && value != handler.value {
            does.push_str(", which cuts its WebSockets (it has no `stream_close_delay`)");
        }
        if handler.keeps_users() && split.whole().is_none() {
            does.push_str(", for users without its cookie");
        }
        Ok(Change {
            does,
            writes,
            split,
        })
    }

    async fn noted(&self, place: &Place) -> Result<String, Error> {
        let (_, handler) = self.handler(place).await?;
        let kept = self.kept().split(place).await?;
        let snapshot = Snapshot {
            shares: handler.shares(),
            kept: kept.of(Side::Green).to_string(),
        };
        Ok(serde_json::to_string(&snapshot)?)
    }

    async fn restore(&self, place: &Place, snapshot: &str) -> Result<String, Error> {
        let malformed = |error: &dyn std::fmt::Display| {
            Error::Malformed(format!("the journal's note of Caddy: {error}"))
        };
        let Snapshot { shares, kept } =
            serde_json::from_str(snapshot).map_err(|error| malformed(&error))?;
        let green: Share = kept.parse().map_err(|error| malformed(&error))?;
        self.load(place, None, |handler| Ok(handler.with_shares(&shares)))
            .await?;
        let kept = self.kept();
        let text = kept
            .changed(place, Split::giving(Side::Green, green))
            .await?;
        kept.write(place, text.as_deref()).await?;
        let (_, handler) = self.handler(place).await?;
        Ok(format!("{} again", handler.split(self.config)?))
    }
}

impl Router for Caddy<'_> {
    fn kind(&self) -> &'static str {
        NAMES.kind
    }

    fn releases(&self) -> &Releases {
        &self.front.question.names
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: OVERLAP,
            // No request of ours has a cookie.
            can_sample: true,
        }
    }

    fn places(&self) -> &[Place] {
        self.front.machines.places()
    }

    fn name(&self, side: Side) -> String {
        self.dial(side).to_owned()
    }

    fn configured<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async move { self.kept().split(place).await })
    }

    fn loaded<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async move {
            let (_, handler) = self.handler(place).await?;
            handler.split(self.config).map(Some)
        })
    }

    fn check<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        Box::pin(self.planned(place, split))
    }

    fn snapshot<'a>(&'a self, place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(self.noted(place))
    }

    fn set<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(self.put(place, split))
    }

    fn restore<'a>(&'a self, place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(self.restore(place, snapshot))
    }

    fn open<'a>(&'a self, place: &'a Place, side: Side) -> StepFuture<'a, Option<u64>> {
        Box::pin(async move { self.admin().open(place, self.dial(side)).await })
    }

    fn side_release<'a>(
        &'a self,
        place: &'a Place,
        side: Side,
        likely: &'a str,
    ) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        Box::pin(
            self.front
                .query(place, Some(self.dial(side)), likely, limit),
        )
    }

    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        Box::pin(self.front.query(place, None, likely, limit))
    }

    fn standby<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(async move { Ok(self.front.standby(self.dial(side))) })
    }
}
