//! Commands of the user's divide the requests: one sets the share, one prints it.

use std::time::Duration;

use config::file::CommandRouter;
use config::value::{Share, Side, Split};
use model::release::Releases;
use place::{Context, Effect, Entrypoints, Error, Place, ProxyNames, Standby, StepFuture};

use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Router};

const NAMES: ProxyNames = ProxyNames {
    section: "traffic",
    kind: "command",
    shown: "the router",
    behind: "side",
};
/// What a command prints of a share is no longer than this.
const MAX_PRINTED: usize = 64;

struct Command<'a> {
    config: &'a CommandRouter,
    front: Entrypoints<'a>,
    /// The job's, by whose name a side is called that runs it.
    release: String,
}

impl Kind for CommandRouter {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        let (hosts, release) = (self.hosts.as_ref(), self.release.as_ref());
        Ok(Box::new(Command {
            config: self,
            front: Entrypoints::new(NAMES, hosts, release, self.timeout, context)?,
            release: context.release.unwrap_or_default().to_owned(),
        }))
    }
}

impl Command<'_> {
    fn address(&self, side: Side) -> &str {
        match side {
            Side::Blue => &self.config.blue,
            Side::Green => &self.config.green,
        }
    }

    async fn run(
        &self,
        place: &Place,
        (what, text): (&str, &str),
        (side, share, release): (Side, String, String),
        effect: Effect,
    ) -> Result<String, Error> {
        // Set even where there is none: the caller's own must not be taken for ours.
        let env = [
            ("SIDE".to_owned(), side.to_string()),
            ("SHARE".to_owned(), share),
            ("RELEASE".to_owned(), release),
        ];
        let places = self.front.machines.places;
        let limit = self.front.timeout.get();
        // In a shell of its own, which it may leave: a script's end is how it proves that it ran.
        let text = format!("(\n{text}\n)");
        places
            .full_output(place, what, &text, &env, effect, limit)
            .await
    }

    async fn get(&self, place: &Place) -> Result<Split, Error> {
        let what = "`traffic.command.get`";
        let get = (what, &*self.config.get);
        let printed = self
            .run(
                place,
                get,
                (Side::Green, String::new(), String::new()),
                Effect::Reads,
            )
            .await?;
        let printed = printed.trim();
        if printed.len() > MAX_PRINTED {
            return Err(Error::Malformed(format!("{what} does not print one share")));
        }
        let with_unit = if printed.ends_with('%') {
            printed.to_owned()
        } else {
            format!("{printed}%")
        };
        let share: Share = with_unit
            .parse()
            .map_err(|error| Error::Malformed(format!("{what} prints no share: {error}")))?;
        Ok(Split::giving(Side::Green, share))
    }

    async fn put(&self, place: &Place, split: Split) -> Result<(), Error> {
        // The side that grows is named: a script that starts it first can do so.
        let now = self.get(place).await?;
        let side = Side::BOTH
            .into_iter()
            .find(|side| split.of(*side) > now.of(*side))
            .unwrap_or(Side::Green);
        let set = ("`traffic.command.set`", &*self.config.set);
        // By the side's own word: a way back gives requests to the one that does not run the job's release.
        let release = self.side_release(place, side, &self.release).await;
        let release = release.unwrap_or_default();
        let giving = (side, percent(split.of(side)), release);
        self.run(place, set, giving, Effect::Changes).await?;
        let now = self.get(place).await?;
        if now == split {
            return Ok(());
        }
        Err(Error::Contradicts(format!(
            "`traffic.command.set` ended with success, and `traffic.command.get` reports {now}, not {split}"
        )))
    }
}

/// As a number of percent.
fn percent(share: Share) -> String {
    share.to_string().trim_end_matches('%').to_owned()
}

impl Router for Command<'_> {
    fn kind(&self) -> &'static str {
        NAMES.kind
    }

    fn releases(&self) -> &Releases {
        &self.front.question.names
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: Duration::ZERO,
            can_sample: true,
        }
    }

    fn places(&self) -> &[Place] {
        self.front.machines.places()
    }

    fn name(&self, side: Side) -> String {
        self.address(side).to_owned()
    }

    fn configured<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(self.get(place))
    }

    fn loaded<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async { Ok(None) })
    }

    fn check<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        Box::pin(async move {
            let now = self.get(place).await?;
            let writes = if now == split {
                Vec::new()
            } else {
                vec![format!("{now} → {split}")]
            };
            Ok(Change {
                does: format!("run `traffic.command.set` for {split}"),
                writes,
                split,
            })
        })
    }

    fn snapshot<'a>(&'a self, place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(async move {
            let green = self.get(place).await?.of(Side::Green);
            Ok(green.to_string())
        })
    }

    fn set<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(self.put(place, split))
    }

    fn restore<'a>(&'a self, place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(async move {
            let green: Share = snapshot
                .parse()
                .map_err(|error| Error::Malformed(format!("the journal's share: {error}")))?;
            let split = Split::giving(Side::Green, green);
            self.put(place, split).await?;
            Ok(format!("{split} again"))
        })
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
                .query(place, Some(self.address(side)), likely, limit),
        )
    }

    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String> {
        Box::pin(
            self.front
                .query(place, None, likely, self.front.timeout.get()),
        )
    }

    fn standby<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(async move { Ok(self.front.standby(self.address(side))) })
    }
}
