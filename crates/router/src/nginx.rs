//! nginx: the weights in an upstream file divide the requests between two sides, or `split_clients` in it
//! the users.
//!
//! `nginx -s reload` ends with 0 while the old configuration stays in force, and nothing in nginx tells
//! which one is: only answers prove a share.

mod clients;
pub mod division;
mod evidence;
pub mod key;
pub mod site;
mod syntax;
pub mod upstream;
mod weights;

use std::time::Duration;

use config::file::NginxTarget;
use config::value::{Side, Split};
use model::release::Releases;
use place::{Context, Entrypoints, Error, Place, ProxyNames, Standby, StepFuture};

use self::site::{OVERLAP, Site};
use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Router};

const NAMES: ProxyNames = ProxyNames {
    section: "traffic",
    kind: "nginx",
    shown: "nginx",
    behind: "side",
};

/// New workers answer within so long after a reload that returned; it was 7 to 15 ms.
const FIRST: Duration = Duration::from_millis(15);

struct Nginx<'a> {
    site: Site<'a>,
    front: Entrypoints<'a>,
}

impl Kind for NginxTarget {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        let (hosts, release) = (self.hosts.as_ref(), self.release.as_ref());
        let mut front = Entrypoints::new(NAMES, hosts, release, self.timeout, context)?;
        front.visitor = self.sticky.as_deref().and_then(key::visitor);
        Ok(Box::new(Nginx {
            site: Site::new(self, NAMES.section, context.places),
            front,
        }))
    }
}

impl Nginx<'_> {
    fn address(&self, side: Side) -> &str {
        match side {
            Side::Blue => &self.site.config.blue,
            Side::Green => &self.site.config.green,
        }
    }

    /// The text of the file as it is, and as it must be for a split.
    async fn change(&self, place: &Place, split: Split) -> Result<(String, String), Error> {
        let before = self.site.read(place).await?;
        let after = self.site.division(&before)?.with(split);
        let after = after.map_err(|why| self.site.unfit(&why))?;
        Ok((before, after))
    }

    async fn put(&self, place: &Place, split: Split) -> Result<(), Error> {
        let (before, after) = self.change(place, split).await?;
        if after != before {
            self.site.write(place, &after).await?;
        }
        // Also where the file says so already: that nginx has read it, nothing tells.
        match self.site.test_and_reload(place).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.site.put_back_after(place, &before, error).await),
        }
    }
}

/// The lines that a text has and another one had not.
fn new_lines(before: &str, after: &str) -> Vec<String> {
    let old: Vec<&str> = before.lines().collect();
    let new = after.lines().filter(|line| !old.contains(line));
    new.map(|line| line.trim().to_owned()).collect()
}

impl Router for Nginx<'_> {
    fn kind(&self) -> &'static str {
        NAMES.kind
    }

    fn releases(&self) -> &Releases {
        &self.front.question.names
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: FIRST + OVERLAP,
            can_sample: self.site.config.sticky.is_none() || self.front.visitor.is_some(),
        }
    }

    fn places(&self) -> &[Place] {
        self.front.machines.places()
    }

    fn name(&self, side: Side) -> String {
        self.address(side).to_owned()
    }

    fn configured<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async move {
            let text = self.site.read(place).await?;
            let split = self.site.division(&text)?.split();
            split.map_err(|why| self.site.unfit(&why))
        })
    }

    fn loaded<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async { Ok(None) })
    }

    fn check<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        Box::pin(async move {
            let (before, after) = self.change(place, split).await?;
            self.site.may_change(place).await?;
            // What is broken before a change could not be put back either.
            let doubts = self.site.sound(place, &before).await?;
            let doubts = doubts.map_or_else(String::new, |doubts| format!(" ({doubts})"));
            let file = self.site.config.upstream_file.display();
            let exception = self.site.division(&after)?.exception();
            let exception = exception.map_or_else(String::new, |told| format!("; {told}"));
            Ok(Change {
                does: format!("give {split} in {file}, test, reload{doubts}{exception}"),
                writes: new_lines(&before, &after),
                split,
            })
        })
    }

    fn snapshot<'a>(&'a self, place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(self.site.read(place))
    }

    fn set<'a>(&'a self, place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(self.put(place, split))
    }

    fn restore<'a>(&'a self, place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(self.site.restore(place, snapshot))
    }

    fn side_release<'a>(
        &'a self,
        place: &'a Place,
        side: Side,
        likely: &'a str,
    ) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        let at = Some(self.address(side));
        Box::pin(self.front.query(place, at, likely, limit))
    }

    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        Box::pin(self.front.query(place, None, likely, limit))
    }

    fn standby<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(async move { Ok(self.front.standby(self.address(side))) })
    }

    fn exception<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<String>> {
        Box::pin(async move {
            let text = self.site.read(place).await?;
            Ok(self.site.division(&text)?.exception())
        })
    }

    fn explain<'a>(&'a self, place: &'a Place) -> StepFuture<'a, Option<String>> {
        Box::pin(self.site.explain(place))
    }
}
