//! An Application Load Balancer of AWS: the weights of two target groups in a rule, or in a listener's
//! default action.
//!
//! The control plane answers before the data plane has the new weights, so nothing but answers proves
//! them. And a group without a healthy target is answered with 503, so none gets weight.

use std::net::IpAddr;

use aws::Renewing;
use aws::elb::{Actions, ElbAnswer, Group, Target};
use config::file::AlbRouter;
use config::value::{Side, Split};
use futures_util::future::join_all;
use model::release::Releases;
use model::text::duration;
use place::{Context, Entrypoints, Error, Place, ProxyNames, ReleaseEndpoint, Standby, StepFuture};
use serde_json::json;

use crate::kinds::Kind;
use crate::router::{Capabilities, Change, Health, Router};
use crate::weights::Weights;

const NAMES: ProxyNames = ProxyNames {
    section: "traffic",
    kind: "alb",
    shown: "the load balancer",
    behind: "target group",
};
/// A weight is at most 999, so parts of a thousand can be told of two sides that both have some.
const MAX_WEIGHTS: u32 = 1000;
/// Targets of a side that are asked, or named.
const MAX_ASKED: usize = 50;
const MAX_NAMED: usize = 5;

struct Alb<'a> {
    config: &'a AlbRouter,
    front: Entrypoints<'a>,
    client: Renewing,
}

impl Kind for AlbRouter {
    fn make<'a>(&'a self, context: &Context<'a>) -> Result<Box<dyn Router + 'a>, Error> {
        let release = self.release.as_ref();
        Ok(Box::new(Alb {
            config: self,
            front: Entrypoints::new(NAMES, None, release, self.timeout, context)?,
            client: Renewing::new(context.env, self.region(), context.redactor),
        }))
    }
}

impl Alb<'_> {
    fn arn(&self, side: Side) -> &str {
        match side {
            Side::Blue => &self.config.blue,
            Side::Green => &self.config.green,
        }
    }

    fn url(&self, side: Side) -> Option<&str> {
        match side {
            Side::Blue => self.config.blue_url.as_deref(),
            Side::Green => self.config.green_url.as_deref(),
        }
    }

    async fn call(&self, action: &str, fields: Vec<(String, String)>) -> Result<ElbAnswer, Error> {
        let limit = self.front.timeout.get();
        let answer = tokio::time::timeout(limit, self.client.elb(action, &fields)).await;
        let late = |_| Error::Late {
            what: "AWS did not answer",
            within: limit,
        };
        answer.map_err(late)?.map_err(|cause| Error::Aws {
            service: "elasticloadbalancing",
            action: action.to_owned(),
            cause,
        })
    }

    /// What the rule, or the listener by default, does with a request.
    async fn actions(&self) -> Result<Actions, Error> {
        let (action, list, arn) = match (&self.config.rule, &self.config.listener) {
            (Some(rule), _) => ("DescribeRules", "RuleArns.member.1", rule),
            (None, Some(listener)) => ("DescribeListeners", "ListenerArns.member.1", listener),
            (None, None) => return Err(unnamed()),
        };
        let answer = self.call(action, vec![field(list, arn)]).await?;
        let actions = match self.config.rule {
            Some(_) => answer.rule_actions(),
            None => answer.listener_actions(),
        };
        actions.ok_or_else(|| Error::Missing(format!("AWS shows no {arn}")))
    }

    async fn write(&self, actions: &Actions) -> Result<(), Error> {
        let (action, key, arn, list) = match (&self.config.rule, &self.config.listener) {
            (Some(rule), _) => ("ModifyRule", "RuleArn", rule, "Actions"),
            (None, Some(listener)) => ("ModifyListener", "ListenerArn", listener, "DefaultActions"),
            (None, None) => return Err(unnamed()),
        };
        let mut fields = vec![field(key, arn)];
        fields.extend(actions.fields(list));
        self.call(action, fields).await.map(drop)
    }

    fn weights(&self, groups: &[Group]) -> Result<Weights, Error> {
        let (blue, green) = (&self.config.blue, &self.config.green);
        if let Some(other) = groups
            .iter()
            .find(|group| group.arn != *blue && group.arn != *green)
        {
            return Err(Error::Unfit(format!(
                "requests are forwarded to {} too, which is neither side",
                short(&other.arn)
            )));
        }
        let of = |arn: &str| {
            let group = groups.iter().find(|group| group.arn == arn);
            group.map_or(0, |group| group.weight)
        };
        Ok(Weights {
            blue: of(blue),
            green: of(green),
        })
    }

    fn split(&self, actions: &Actions) -> Result<Split, Error> {
        let groups = actions.groups();
        if groups.is_empty() {
            return Err(Error::Unfit(
                "no requests are forwarded: another rule is meant".to_owned(),
            ));
        }
        let split = self.weights(&groups)?.split();
        split.ok_or_else(|| Error::Unfit("no target group has any weight".to_owned()))
    }

    /// The actions with another split. Both groups stay in it: AWS does not look at the health of one that
    /// nothing forwards to.
    fn with(&self, actions: &Actions, split: Split) -> Result<Actions, Error> {
        let weights = Weights::of(split, MAX_WEIGHTS);
        let mut groups = actions.groups();
        for side in Side::BOTH {
            let (arn, weight) = (self.arn(side), weights.of_side(side));
            match groups.iter_mut().find(|group| group.arn == arn) {
                Some(group) => group.weight = weight,
                None => groups.push(Group {
                    arn: arn.to_owned(),
                    weight,
                }),
            }
        }
        let changed = actions.forwarding_to(&groups);
        changed.ok_or_else(|| Error::Unfit("no requests are forwarded".to_owned()))
    }

    async fn targets(&self, side: Side) -> Result<Vec<Target>, Error> {
        let group = vec![field("TargetGroupArn", self.arn(side))];
        let answer = self.call("DescribeTargetHealth", group).await?;
        Ok(answer.targets())
    }

    async fn state(&self, side: Side) -> Result<Health, Error> {
        let targets = self.targets(side).await?;
        if targets.iter().any(Target::is_healthy) {
            return Ok(Health::Up);
        }
        let name = short(self.arn(side));
        if targets.is_empty() {
            return Ok(Health::Down(format!("{name} has no target")));
        }
        let shown: Vec<String> = targets.iter().take(MAX_NAMED).map(described).collect();
        Ok(Health::Down(format!(
            "{name} has no healthy target among {}: {}",
            targets.len(),
            shown.join(", ")
        )))
    }

    /// A side that gets more must have something that answers.
    async fn ready(&self, now: Split, split: Split) -> Result<(), Error> {
        for side in Side::BOTH {
            if split.of(side) > now.of(side)
                && let Health::Down(why) = self.state(side).await?
            {
                return Err(Error::Down(format!(
                    "{why}; with weight, its requests would be answered with 503"
                )));
            }
        }
        Ok(())
    }

    async fn planned(&self, split: Split) -> Result<Change, Error> {
        let actions = self.actions().await?;
        let now = self.split(&actions)?;
        let split = nearest(split);
        self.ready(now, split).await?;
        let (old, new) = (
            self.weights(&actions.groups())?,
            Weights::of(split, MAX_WEIGHTS),
        );
        let mut does = format!("give {split} in {}", short(self.changed()));
        let mut writes = Vec::new();
        if now != split {
            writes.extend(Side::BOTH.map(|side| {
                let (name, old, new) =
                    (short(self.arn(side)), old.of_side(side), new.of_side(side));
                format!("{name}: weight {old} → {new}")
            }));
        }
        if let Some(time) = actions.stickiness() {
            does.push_str(&format!(
                "; a user who has a target group keeps it for {}",
                duration(time)
            ));
        }
        if let Some(side) = split.whole() {
            let left = side.other();
            let group = vec![field("TargetGroupArn", self.arn(left))];
            let attributes = self.call("DescribeTargetGroupAttributes", group).await?;
            let attributes = attributes.attributes();
            if let Some(delay) = attributes.get("deregistration_delay.timeout_seconds") {
                does.push_str(&format!(
                    "; {left}'s targets have {delay}s for their requests once they are deregistered"
                ));
            }
        }
        Ok(Change {
            does,
            writes,
            split,
        })
    }

    async fn put(&self, split: Split) -> Result<(), Error> {
        let actions = self.actions().await?;
        let now = self.split(&actions)?;
        if now == split {
            return Ok(());
        }
        self.ready(now, split).await?;
        self.write(&self.with(&actions, split)?).await?;
        let (before, now) = (now, self.split(&self.actions().await?)?);
        let told = format!("AWS took {split}, and shows {now}");
        match now {
            _ if now == split => Ok(()),
            _ if now == before => Err(Error::Contradicts(told)),
            _ => Err(Error::Raced(told)),
        }
    }

    async fn noted(&self) -> Result<String, Error> {
        let actions = self.actions().await?;
        self.split(&actions)?;
        let groups = actions.groups();
        let groups: Vec<_> = groups
            .iter()
            .map(|group| (&group.arn, group.weight))
            .collect();
        Ok(json!(groups).to_string())
    }

    async fn restore(&self, snapshot: &str) -> Result<String, Error> {
        let malformed = |what: &str| {
            Error::Malformed(format!("the journal's note of the target groups: {what}"))
        };
        let groups: Vec<(String, u32)> =
            serde_json::from_str(snapshot).map_err(|error| malformed(&error.to_string()))?;
        let groups: Vec<Group> = groups
            .into_iter()
            .map(|(arn, weight)| Group { arn, weight })
            .collect();
        let split = self.weights(&groups)?.split();
        let split = split.ok_or_else(|| malformed("none has any weight"))?;
        let actions = self.actions().await?;
        // Of what another added meanwhile, nothing is taken away.
        self.weights(&actions.groups())?;
        if actions.groups() != groups {
            let before = actions.forwarding_to(&groups);
            let nothing = || Error::Unfit("no requests are forwarded".to_owned());
            self.write(&before.ok_or_else(nothing)?).await?;
        }
        Ok(format!("{split} again"))
    }

    fn changed(&self) -> &str {
        let Self { config, .. } = self;
        let arn = config.rule.as_deref().or(config.listener.as_deref());
        arn.unwrap_or_default()
    }

    /// The addresses of a side's healthy targets, as many as are asked.
    async fn addresses(&self, side: Side) -> Result<Vec<String>, Error> {
        let targets = self.targets(side).await?;
        let healthy: Vec<&Target> = targets
            .iter()
            .filter(|target| target.is_healthy())
            .take(MAX_ASKED)
            .collect();
        if healthy.is_empty() {
            return Err(match self.state(side).await? {
                Health::Down(why) => Error::Down(why),
                Health::Up => Error::Down("its targets change at this moment".to_owned()),
            });
        }
        let address = |target: &&Target| {
            let port = target.port?;
            Some(match target.id.parse().ok()? {
                IpAddr::V4(ip) => format!("{ip}:{port}"),
                IpAddr::V6(ip) => format!("[{ip}]:{port}"),
            })
        };
        let addresses: Option<Vec<String>> = healthy.iter().map(address).collect();
        addresses.ok_or_else(|| {
            Error::Unconfigured(format!(
                "the targets of {} are not addresses, so they cannot be probed: set `traffic.alb.{side}-url`",
                short(self.arn(side))
            ))
        })
    }

    /// The release that a side answers: the same of each of its targets.
    async fn release(&self, side: Side, likely: &str) -> Result<String, Error> {
        let limit = self.front.timeout.get();
        if let Some(url) = self.url(side) {
            let question = ReleaseEndpoint {
                url: url.to_owned(),
                ..self.front.question.clone()
            };
            return question.query(None, likely, limit).await;
        }
        let addresses = self.addresses(side).await?;
        let asking = addresses
            .iter()
            .map(|at| self.front.query(&Place::Here, Some(at), likely, limit));
        let answers = join_all(asking).await;
        let mut release: Option<String> = None;
        for (at, answer) in addresses.iter().zip(answers) {
            let hint = format!("set `traffic.alb.{side}-url` where targets cannot be reached");
            let answer = answer.map_err(|error| error.at(at).then(hint))?;
            match &release {
                Some(other) if *other != answer => {
                    return Err(Error::Contradicts(format!(
                        "targets of {} answer {other} and {answer}",
                        short(self.arn(side))
                    )));
                }
                _ => release = Some(answer),
            }
        }
        release.ok_or_else(|| Error::Down(format!("{} has no target", short(self.arn(side)))))
    }

    async fn at(&self, side: Side) -> Result<Standby, Error> {
        if let Some(url) = self.url(side) {
            let url = net::http::request::parse(url);
            let url = url.map_err(|error| Error::Unfit(error.to_string()))?;
            return Ok(self
                .front
                .standby(&net::http::transport::place(&url).to_string()));
        }
        let addresses = self.addresses(side).await?;
        let first = addresses.first().map(String::as_str);
        Ok(self.front.standby(first.unwrap_or_default()))
    }

    /// Sides that get requests and cannot answer them.
    async fn empty_sides(&self) -> Result<Option<String>, Error> {
        let split = self.split(&self.actions().await?)?;
        let mut all = Vec::new();
        for side in Side::BOTH {
            if !split.of(side).is_none()
                && let Health::Down(why) = self.state(side).await?
            {
                all.push(why);
            }
        }
        Ok((!all.is_empty()).then(|| all.join("; ")))
    }
}

fn unnamed() -> Error {
    Error::Unconfigured("neither `traffic.alb.rule` nor `traffic.alb.listener` is given".to_owned())
}

fn field(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn nearest(split: Split) -> Split {
    Weights::of(split, MAX_WEIGHTS).split().unwrap_or(split)
}

fn described(target: &Target) -> String {
    let port = target
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    let Target {
        id, state, reason, ..
    } = target;
    match reason.as_str() {
        "" => format!("{id}{port} is {state}"),
        reason => format!("{id}{port} is {state} ({reason})"),
    }
}

/// The name in an ARN: `targetgroup/blue`, `listener-rule/app/shop`.
fn short(arn: &str) -> &str {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    let words: usize = match resource.split('/').next() {
        Some("targetgroup") => 2,
        _ => 3,
    };
    let end = resource
        .match_indices('/')
        .nth(words - 1)
        .map_or(resource.len(), |(at, _)| at);
    &resource[..end]
}

impl Router for Alb<'_> {
    fn kind(&self) -> &'static str {
        NAMES.kind
    }

    fn releases(&self) -> &Releases {
        &self.front.question.names
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            propagation_time: self.config.propagation_time.get(),
            // Our requests carry no cookie, so each counts as a new user.
            can_sample: true,
        }
    }

    fn places(&self) -> &[Place] {
        self.front.machines.places()
    }

    fn name(&self, side: Side) -> String {
        short(self.arn(side)).to_owned()
    }

    fn configured<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Split> {
        Box::pin(async { self.split(&self.actions().await?) })
    }

    fn loaded<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Option<Split>> {
        Box::pin(async { Ok(None) })
    }

    fn check<'a>(&'a self, _place: &'a Place, split: Split) -> StepFuture<'a, Change> {
        Box::pin(self.planned(split))
    }

    fn snapshot<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, String> {
        Box::pin(self.noted())
    }

    fn set<'a>(&'a self, _place: &'a Place, split: Split) -> StepFuture<'a, ()> {
        Box::pin(self.put(split))
    }

    fn restore<'a>(&'a self, _place: &'a Place, snapshot: &'a str) -> StepFuture<'a, String> {
        Box::pin(self.restore(snapshot))
    }

    fn health<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Option<Health>> {
        Box::pin(async move { self.state(side).await.map(Some) })
    }

    fn side_release<'a>(
        &'a self,
        _place: &'a Place,
        side: Side,
        likely: &'a str,
    ) -> StepFuture<'a, String> {
        Box::pin(self.release(side, likely))
    }

    fn sample_release<'a>(&'a self, place: &'a Place, likely: &'a str) -> StepFuture<'a, String> {
        let limit = self.front.timeout.get();
        Box::pin(self.front.query(place, None, likely, limit))
    }

    fn standby<'a>(&'a self, _place: &'a Place, side: Side) -> StepFuture<'a, Standby> {
        Box::pin(self.at(side))
    }

    fn explain<'a>(&'a self, _place: &'a Place) -> StepFuture<'a, Option<String>> {
        Box::pin(self.empty_sides())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_shown_by_its_name() {
        let arn = |resource: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:{resource}");
        for (resource, name) in [
            ("targetgroup/blue/032d44a2", "targetgroup/blue"),
            ("listener/app/shop/45f6/05c3", "listener/app/shop"),
            (
                "listener-rule/app/shop/45f6/05c3/5159",
                "listener-rule/app/shop",
            ),
        ] {
            assert_eq!(short(&arn(resource)), name);
        }
        assert_eq!(short("x"), "x");
    }
}
