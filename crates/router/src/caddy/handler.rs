//! The `reverse_proxy` in Caddy's configuration that has the two sides, and what its upstreams and its
//! policy say about shares.

use config::file::CaddyRouter;
use config::value::{Share, Side, Split};
use place::Error;
use serde_json::{Map, Value, json};

use crate::weights::Weights;

/// Upstreams that are listed more than once are no more than this.
const MAX_LISTED: u32 = 100;
/// The sum of two weights.
pub(super) const MAX_WEIGHTS: u32 = 10_000;
const POLICY: &str = "/load_balancing/selection_policy";
const FALLBACK: &str = "/load_balancing/selection_policy/fallback";
/// Handlers that an error names.
const MAX_SHOWN: usize = 5;

/// A handler of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Handler {
    /// Below `/config/`.
    pub(super) path: Vec<String>,
    pub(super) value: Value,
}

/// How a policy is told shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShareForm {
    /// `weights`, one for each upstream.
    Weights,
    /// An upstream is listed as often as its share requires.
    Listing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy {
    told: ShareForm,
    /// Whether users stay where a cookie leads; the others are divided by the policy's `fallback`.
    cookie: bool,
}

impl Handler {
    /// The one that is meant.
    pub(super) fn find(config: &Value, wanted: &CaddyRouter) -> Result<Handler, Error> {
        let mut all = Vec::new();
        collect(config, &mut Vec::new(), &mut all);
        let path = wanted.path.as_deref().map(|path| {
            let path = path.trim_matches('/');
            path.strip_prefix("config/").unwrap_or(path)
        });
        let named = wanted.id.is_some() || path.is_some();
        let is_meant = |handler: &&Handler| match (&wanted.id, path) {
            (Some(id), _) => handler.value["@id"] == id.as_str(),
            (_, Some(path)) => handler.path.join("/") == path,
            _ => handler.sides(wanted).is_some_and(|sides| !sides.is_empty()),
        };
        let mut meant = all.iter().filter(is_meant);
        let (blue, green) = (&wanted.blue, &wanted.green);
        match (meant.next(), meant.next()) {
            (Some(one), None) => match one.sides(wanted) {
                Some(sides) if !sides.is_empty() => Ok(one.clone()),
                _ => Err(Error::Unfit(format!(
                    "{} has other upstreams than {blue} and {green}; let it have these two, or correct `traffic.caddy`",
                    one.shown()
                ))),
            },
            (Some(_), Some(_)) => {
                let all = listed(all.iter().filter(is_meant));
                Err(Error::Unfit(format!(
                    "several `reverse_proxy` handlers have {blue} or {green}: {all}; name the one with `traffic.caddy.path`"
                )))
            }
            (None, _) => {
                let what = if named {
                    "Caddy has no such `reverse_proxy`".to_owned()
                } else {
                    format!(
                        "Caddy has no `reverse_proxy` with {blue} and {green} and no other upstream"
                    )
                };
                let has = if all.is_empty() {
                    "it has none at all".to_owned()
                } else {
                    format!("it has {}", listed(all.iter()))
                };
                let next = "let one have these two upstreams, or correct `traffic.caddy`";
                Err(Error::Missing(format!("{what}; {has}; {next}")))
            }
        }
    }

    /// The sides of its upstreams, in their order; `None` where one of them is no side.
    fn sides(&self, wanted: &CaddyRouter) -> Option<Vec<Side>> {
        let side = |dial: &str| match dial {
            dial if dial == wanted.blue => Some(Side::Blue),
            dial if dial == wanted.green => Some(Side::Green),
            _ => None,
        };
        dials(&self.value).map(|dial| side(dial?)).collect()
    }

    fn shown(&self) -> String {
        let dials: Vec<&str> = dials(&self.value).map(|dial| dial.unwrap_or("?")).collect();
        format!("{} ({})", self.path.join("/"), dials.join(", "))
    }

    /// Whether a cookie keeps users where they are, and where the policy is that divides the others.
    fn dividing(&self) -> (bool, &'static str) {
        if self
            .value
            .pointer(POLICY)
            .is_some_and(|policy| policy["policy"] == "cookie")
        {
            (true, FALLBACK)
        } else {
            (false, POLICY)
        }
    }

    fn policy(&self) -> Result<Policy, Error> {
        let (cookie, place) = self.dividing();
        let policy = self.value.pointer(place).unwrap_or(&Value::Null);
        let told = match policy["policy"].as_str() {
            Some("weighted_round_robin") => ShareForm::Weights,
            None | Some("random" | "round_robin") => ShareForm::Listing,
            Some(other) => {
                return Err(Error::Unfit(format!(
                    "{}: the policy `{other}` takes no shares; use `lb_policy weighted_round_robin 1 1`, or `random` with Caddy 2.6",
                    self.shown()
                )));
            }
        };
        Ok(Policy { told, cookie })
    }

    /// How it divides the requests.
    pub(super) fn split(&self, wanted: &CaddyRouter) -> Result<Split, Error> {
        let unfit = |what: &str| Error::Unfit(format!("{}: {what}", self.shown()));
        if !self.value["dynamic_upstreams"].is_null() {
            return Err(unfit("`dynamic_upstreams` decide who gets the requests"));
        }
        let sides = self.sides(wanted).unwrap_or_default();
        if let Some(first) = sides.first()
            && sides.iter().all(|side| side == first)
        {
            return Ok(Split::giving(*first, Share::ALL));
        }
        let parts = match self.policy()?.told {
            ShareForm::Listing => vec![1; sides.len()],
            ShareForm::Weights => self.weights(),
        };
        if parts.len() != sides.len() {
            return Err(unfit(&format!(
                "it has {} weights for {} upstreams",
                parts.len(),
                sides.len()
            )));
        }
        let sum = |of: Side| {
            let parts = sides.iter().zip(&parts).filter(|(side, _)| **side == of);
            parts.fold(0_u32, |sum, (_, part)| sum.saturating_add(*part))
        };
        let (blue, green) = (sum(Side::Blue), sum(Side::Green));
        let split = Weights { blue, green }.split();
        split.ok_or_else(|| unfit("no upstream has any weight"))
    }

    fn weights(&self) -> Vec<u32> {
        let (_, place) = self.dividing();
        let policy = self.value.pointer(place).unwrap_or(&Value::Null);
        let weights = policy["weights"].as_array().into_iter().flatten();
        weights
            .map(|weight| u32::try_from(weight.as_u64().unwrap_or(0)).unwrap_or(u32::MAX))
            .collect()
    }

    /// What it can express that is nearest to a split.
    pub(super) fn nearest(&self, split: Split) -> Result<Split, Error> {
        let most = match self.policy()?.told {
            ShareForm::Weights => MAX_WEIGHTS,
            ShareForm::Listing => MAX_LISTED,
        };
        Ok(Weights::of(split, most).split().unwrap_or(split))
    }

    /// Its value with another split.
    pub(super) fn with(&self, split: Split, wanted: &CaddyRouter) -> Result<Value, Error> {
        if self.split(wanted)? == split {
            return Ok(self.value.clone());
        }
        let policy = self.policy()?;
        let mut value = self.value.clone();
        let order = self.order(wanted);
        let sides = match policy.told {
            ShareForm::Listing => Weights::of(split, MAX_LISTED).in_turns(),
            // A user with a cookie reaches an upstream that has no weight.
            ShareForm::Weights if policy.cookie => match split.whole() {
                Some(side) => vec![side],
                None => order.to_vec(),
            },
            ShareForm::Weights => order.to_vec(),
        };
        if policy.told == ShareForm::Weights {
            let weights = Weights::of(split, MAX_WEIGHTS);
            let weights: Vec<u32> = sides.iter().map(|side| weights.of_side(*side)).collect();
            let (_, place) = self.dividing();
            if let Some(policy) = value.pointer_mut(place).and_then(Value::as_object_mut) {
                policy.insert("weights".to_owned(), json!(weights));
            }
        }
        value["upstreams"] = sides
            .iter()
            .map(|side| self.upstream(*side, wanted))
            .collect();
        Ok(value)
    }

    /// Both sides, as its upstreams name them first.
    fn order(&self, wanted: &CaddyRouter) -> [Side; 2] {
        let first = self.sides(wanted).and_then(|sides| sides.first().copied());
        let first = first.unwrap_or(Side::Blue);
        [first, first.other()]
    }

    /// The upstream of a side; one that is not there is like the other one, at its own address.
    fn upstream(&self, side: Side, wanted: &CaddyRouter) -> Value {
        let dial = match side {
            Side::Blue => &wanted.blue,
            Side::Green => &wanted.green,
        };
        let all = self.value["upstreams"].as_array();
        let own = all.and_then(|all| all.iter().find(|one| one["dial"] == dial.as_str()));
        let mut upstream = own
            .or_else(|| all?.first())
            .cloned()
            .unwrap_or_else(|| json!({}));
        upstream["dial"] = json!(dial);
        upstream
    }

    /// Whether a change of the configuration cuts the WebSockets that go through it.
    pub(super) fn cuts_streams(&self) -> bool {
        match &self.value["stream_close_delay"] {
            Value::Null => true,
            Value::Number(none) => none.as_f64() == Some(0.0),
            Value::String(text) => matches!(text.as_str(), "" | "0" | "0s"),
            _ => false,
        }
    }

    /// Whether users stay on a side by a cookie.
    pub(super) fn keeps_users(&self) -> bool {
        self.policy().is_ok_and(|policy| policy.cookie)
    }

    /// What a change of its split changes of it.
    pub(super) fn shares(&self) -> Value {
        json!({
            "upstreams": self.value["upstreams"],
            "load_balancing": self.value["load_balancing"],
        })
    }

    /// Its value with that of another time.
    pub(super) fn with_shares(&self, shares: &Value) -> Value {
        let mut value = self.value.clone();
        if let Some(all) = value.as_object_mut() {
            for key in ["upstreams", "load_balancing"] {
                match &shares[key] {
                    Value::Null => all.remove(key),
                    shares => all.insert(key.to_owned(), shares.clone()),
                };
            }
        }
        value
    }
}

/// What each upstream dials.
fn dials(handler: &Value) -> impl Iterator<Item = Option<&str>> {
    let all = handler["upstreams"].as_array().into_iter().flatten();
    all.map(|upstream| upstream["dial"].as_str())
}

/// Every `reverse_proxy`, however deep. No JSON that was read is deeper than 128.
fn collect(value: &Value, path: &mut Vec<String>, all: &mut Vec<Handler>) {
    let is_proxy = |of: &Map<String, Value>| {
        let handler = of.get("handler");
        handler.is_some_and(|handler| handler == "reverse_proxy")
    };
    match value {
        Value::Object(of) => {
            if is_proxy(of) {
                all.push(Handler {
                    path: path.clone(),
                    value: value.clone(),
                });
            }
            for (key, value) in of {
                path.push(key.clone());
                collect(value, path, all);
                path.pop();
            }
        }
        Value::Array(of) => {
            for (nth, value) in of.iter().enumerate() {
                path.push(nth.to_string());
                collect(value, path, all);
                path.pop();
            }
        }
        _ => {}
    }
}

fn listed<'h>(handlers: impl Iterator<Item = &'h Handler>) -> String {
    let mut shown: Vec<String> = handlers.map(Handler::shown).collect();
    let more = shown.len().saturating_sub(MAX_SHOWN);
    shown.truncate(MAX_SHOWN);
    let shown = shown.join("; ");
    match more {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}
