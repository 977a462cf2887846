//! Shares as the weights and states of two servers: pure, of what HAProxy reports.

use config::value::{Share, Side, Split};

use super::socket::Server;
use crate::weights::Weights;

/// The largest weight of a server.
const MAX_WEIGHT: u32 = 256;

/// Why weights cannot say a share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ShareError {
    #[error(
        "{asked} is finer than two weights of at most 256 allow: the smallest share is {smallest}"
    )]
    TooFine { asked: Share, smallest: Share },
}

/// What is done with one of the servers, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// `weight 9`, `state ready`.
    Set(Side, String),
    /// Until HAProxy's own checks have found it healthy.
    Await(Side),
}

/// The weights of blue and green that are nearest to a split which gives something to both.
pub(super) fn weights(split: Split) -> Result<Weights, ShareError> {
    let smallest = Share::of(1, u64::from(MAX_WEIGHT) + 1);
    for side in Side::BOTH {
        let asked = split.of(side);
        if asked < smallest {
            return Err(ShareError::TooFine { asked, smallest });
        }
    }
    let wanted = i64::from(split.of(Side::Green).steps());
    let whole = i64::from(Share::WHOLE);
    let mut best = (1, 1);
    for blue in 1..=MAX_WEIGHT {
        for green in 1..=MAX_WEIGHT {
            // How far it is off, as a fraction of the sum: two are compared across.
            let off = |(blue, green): (u32, u32)| {
                let sum = i64::from(blue + green);
                ((i64::from(green) * whole - wanted * sum).abs(), sum)
            };
            let ((new, new_sum), (old, old_sum)) = (off((blue, green)), off(best));
            let (new_off, old_off) = (new * old_sum, old * new_sum);
            if new_off < old_off || new_off == old_off && new_sum < old_sum {
                best = (blue, green);
            }
        }
    }
    let (blue, green) = best;
    Ok(Weights { blue, green })
}

/// The acts that lead from what the servers are to a split. `left` is the state of a side without traffic.
pub(super) fn acts(
    [blue, green]: [&Server; 2],
    split: Split,
    left: &'static str,
) -> Result<Vec<Act>, ShareError> {
    let server = |side: Side| match side {
        Side::Blue => blue,
        Side::Green => green,
    };
    let mut acts = Vec::new();
    if let Some(side) = split.whole() {
        let weight = match (server(side).weight, server(side).first_weight) {
            (0, 0) => Some("weight 100".to_owned()),
            // So much a static algorithm takes too.
            (0, _) => Some("weight 100%".to_owned()),
            _ => None,
        };
        acts.extend(bring_up(side, server(side), weight));
        let other = side.other();
        if server(other).state() != left {
            acts.push(Act::Set(other, format!("state {left}")));
        }
        return Ok(acts);
    }
    let new = weights(split)?;
    let mut first = Vec::new();
    for side in order((blue.weight, green.weight), (new.blue, new.green)) {
        let (now, set) = (server(side), format!("weight {}", new.of_side(side)));
        if !now.takes_traffic() {
            acts.extend(bring_up(side, now, Some(set)));
        } else if now.weight != new.of_side(side) {
            // Before another server joins: as long as one has all, its weight changes nothing.
            first.push(Act::Set(side, set));
        }
    }
    first.append(&mut acts);
    Ok(first)
}

/// A server without traffic gets it when checks have found it healthy, and not before: out of
/// maintenance it would be taken for healthy until the first check.
fn bring_up(side: Side, server: &Server, weight: Option<String>) -> Vec<Act> {
    let set = |what: &str| Act::Set(side, what.to_owned());
    let mut acts = Vec::new();
    if server.state() == "maint" {
        acts.push(set("state drain"));
    }
    acts.push(Act::Await(side));
    acts.extend(weight.map(|weight| Act::Set(side, weight)));
    if server.state() != "ready" {
        acts.push(set("state ready"));
    }
    acts
}

/// Between two commands one weight is new and the other old: the order in which no side has a share
/// outside of the old one and the new one, or the least.
fn order(old: (u32, u32), new: (u32, u32)) -> [Side; 2] {
    let share = |(blue, green): (u32, u32)| {
        let all = f64::from(blue) + f64::from(green);
        if all > 0.0 {
            f64::from(green) / all
        } else {
            0.0
        }
    };
    let (low, high) = (share(old).min(share(new)), share(old).max(share(new)));
    let outside = |between: (u32, u32)| {
        let between = share(between);
        (low - between).max(between - high).max(0.0)
    };
    if outside((new.0, old.1)) <= outside((old.0, new.1)) {
        [Side::Blue, Side::Green]
    } else {
        [Side::Green, Side::Blue]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn green(share: &str) -> Split {
        Split::giving(Side::Green, share.parse().unwrap())
    }

    fn server(state: &str, weight: u32, first_weight: u32) -> Server {
        Server {
            address: "127.0.0.1:8001".to_owned(),
            operation: 2,
            admin: match state {
                "maint" => 0x01,
                "drain" => 0x08,
                _ => 0,
            },
            weight,
            first_weight,
        }
    }

    fn shown(acts: &[Act]) -> Vec<String> {
        acts.iter()
            .map(|act| match act {
                Act::Set(side, what) => format!("{side} {what}"),
                Act::Await(side) => format!("{side} healthy"),
            })
            .collect()
    }

    fn course(blue: &Server, green_server: &Server, share: &str) -> Vec<String> {
        shown(&acts([blue, green_server], green(share), "drain").unwrap())
    }

    #[test]
    fn the_nearest_weights_are_the_smallest_ones() {
        for (share, expected) in [
            ("10%", (9, 1)),
            ("50%", (1, 1)),
            ("25%", (3, 1)),
            ("33%", (67, 33)),
            ("0.39%", (255, 1)),
            ("99.61%", (1, 255)),
        ] {
            let Weights { blue, green } = weights(green(share)).unwrap();
            assert_eq!((blue, green), expected, "{share}");
        }
        for share in ["0.01%", "0.38%", "99.62%", "99.99%"] {
            let error = weights(green(share)).unwrap_err().to_string();
            assert!(error.contains("the smallest share is 0.39%"), "{error}");
        }
        for steps in (39..=9961).step_by(97) {
            let wanted = Split::giving(Side::Green, Share::from_steps(steps));
            let near = weights(wanted).unwrap().split().unwrap();
            let near = near.of(Side::Green).steps();
            assert!(near.abs_diff(steps) <= 10, "{steps}: {near}");
        }
    }

    #[test]
    fn a_server_gets_traffic_after_its_checks_only() {
        let (live, maint) = (server("ready", 1, 1), server("maint", 0, 0));
        assert_eq!(
            course(&live, &maint, "10%"),
            [
                "blue weight 9",
                "green state drain",
                "green healthy",
                "green weight 1",
                "green state ready"
            ]
        );
        assert_eq!(
            course(&live, &server("drain", 1, 1), "100%"),
            ["green healthy", "green state ready", "blue state drain"]
        );
        assert_eq!(
            course(&server("ready", 9, 1), &server("ready", 0, 0), "50%"),
            ["blue weight 1", "green healthy", "green weight 1"]
        );
        assert_eq!(
            course(&server("ready", 9, 1), &server("ready", 1, 0), "0%"),
            ["blue healthy", "green state drain"]
        );
    }

    #[test]
    fn between_two_weights_no_share_is_larger_than_it_need_be() {
        let from = |blue, green| (server("ready", blue, 1), server("ready", green, 1));
        let (blue, canary) = from(67, 33);
        assert_eq!(
            course(&blue, &canary, "50%"),
            ["green weight 1", "blue weight 1"]
        );
        let (blue, canary) = from(9, 1);
        assert_eq!(course(&blue, &canary, "25%"), ["blue weight 3"]);
        let (blue, canary) = from(3, 1);
        assert_eq!(course(&blue, &canary, "25%"), [""; 0]);
    }
}
