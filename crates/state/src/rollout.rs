//! A rollout in progress: a release has a share of the requests, and another one the rest.

use std::collections::BTreeMap;

use config::value::{Share, Side};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Holder;

/// A release whose name nobody knows, in words.
const UNKNOWN: &str = "an unknown release";

/// A release as people are told of it, also where it is not known.
pub fn release_shown(release: Option<&str>) -> &str {
    release.unwrap_or(UNKNOWN)
}

/// Which release gets which share, and who set it. It is written before a share grows, and after
/// one has shrunk: the release never has more than is written here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The release that has the share.
    pub release: String,
    /// The release that has the rest. An abort gives all to it. Absent where its side did not answer when the
    /// rollout began, as after a switch away from a side that was down.
    #[serde(
        default,
        deserialize_with = "known_release",
        skip_serializing_if = "Option::is_none"
    )]
    pub stable: Option<String>,
    /// The share of `release`, such as `10%`.
    pub share: Share,
    /// The side that runs `release` at each place, such as `localhost: green`.
    pub sides: BTreeMap<String, Side>,
    /// The shares that it is to have, one after another; the last one alone where a person set it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Share>,
    /// Whether it is judged at each of them, as a ramp is. A ramp of several stages is one without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ramp: bool,
    pub phase: Phase,
    /// Up to which share it may grow, by `traffic promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted: Option<Share>,
    /// Another job or person wants it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<AbortRequest>,
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When the share or the phase changed.
    #[schemars(with = "String")]
    pub changed: Timestamp,
    /// Who began it.
    pub by: String,
    /// The workflow run that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl Rollout {
    /// The one share that a person set; `None` of a ramp. Earlier builds wrote down no ramp as such.
    pub fn set_by_hand(&self) -> Option<Share> {
        match self.stages[..] {
            [share] if !self.is_ramp => Some(share),
            _ => None,
        }
    }

    /// The stable release as people are told of it.
    pub fn stable_shown(&self) -> &str {
        release_shown(self.stable.as_deref())
    }
}

/// The side that a rollout left, and that is stopped after its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OldSide {
    /// The release that has all requests since.
    pub release: String,
    /// The release of the side that was left; absent where it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// The side that runs `release` at each place: the other one is stopped.
    pub sides: BTreeMap<String, Side>,
    /// It is kept until then.
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// The process that waits for it.
    pub holder: Holder,
}

impl OldSide {
    /// The release of that side as people are told of it.
    pub fn stable_shown(&self) -> &str {
        release_shown(self.stable.as_deref())
    }
}

/// In words: `v1 is kept until 2026-11-21T03:45:49Z and stopped then`.
impl std::fmt::Display for OldSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} is kept until {:.0} and stopped then",
            self.stable_shown(),
            self.until
        )
    }
}

/// The name of a release. Earlier builds wrote words where it is not known.
fn known_release<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let written = Option::<String>::deserialize(from)?;
    Ok(written.filter(|name| name != UNKNOWN))
}

/// In words: `v2 has 10% beside v1 (judging)`.
impl std::fmt::Display for Rollout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Rollout {
            release,
            share,
            phase,
            ..
        } = self;
        let (stable, phase_name) = (self.stable_shown(), phase.as_str());
        match phase {
            Phase::Aborting => write!(
                f,
                "{release} had {share}, and {stable} gets all again ({phase_name})"
            ),
            _ => write!(f, "{release} has {share} beside {stable} ({phase_name})"),
        }
    }
}

/// What is done with a rollout at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The share is being set.
    Setting,
    /// The share is in effect and the release is judged.
    Judging,
    /// The share is in effect, and `traffic promote` is waited for.
    Waiting,
    /// The share is in effect, and nothing goes on by itself.
    Held,
    /// The share is being taken away.
    Aborting,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Setting => "setting",
            Phase::Judging => "judging",
            Phase::Waiting => "waiting",
            Phase::Held => "held",
            Phase::Aborting => "aborting",
        }
    }
}

/// A wish that a rollout ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortRequest {
    pub by: String,
    pub reason: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// In words: `ann asked for an abort: checkout fails`.
impl std::fmt::Display for AbortRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requested an abort: {}", self.by, self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stable: &str) -> Rollout {
        let text = format!(
            r#"{{"release": "v2", {stable} "share": "100%", "sides": {{"localhost": "green"}}, "phase": "setting",
            "started": "2026-11-21T02:45:49Z", "changed": "2026-11-21T02:45:49Z", "by": "ann"}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_ramp_of_one_stage_is_no_share_that_was_set() {
        let all = vec![Share::ALL];
        let half = Share::from_steps(5000);
        let of = |is_ramp: bool, stages: &[Share]| Rollout {
            is_ramp,
            stages: stages.to_vec(),
            ..read("")
        };
        assert_eq!(of(false, &all).set_by_hand(), Some(Share::ALL));
        assert_eq!(of(true, &all).set_by_hand(), None);
        assert_eq!(of(false, &[half, Share::ALL]).set_by_hand(), None);
        assert_eq!(of(false, &[]).set_by_hand(), None);
    }

    /// Earlier builds wrote `an unknown release` for a side that was down.
    #[test]
    fn a_release_that_is_not_known_is_absent_and_is_read_as_earlier_builds_wrote_it() {
        for unknown in [
            "",
            r#""stable": null,"#,
            r#""stable": "an unknown release","#,
        ] {
            let rollout = read(unknown);
            assert_eq!(rollout.stable, None, "{unknown}");
            assert_eq!(
                rollout.to_string(),
                "v2 has 100% beside an unknown release (setting)"
            );
            let written = serde_json::to_value(&rollout).unwrap();
            assert_eq!(written.get("stable"), None);
        }
        let known = read(r#""stable": "v1","#);
        assert_eq!(known.stable.as_deref(), Some("v1"));
        assert_eq!(known.to_string(), "v2 has 100% beside v1 (setting)");
    }
}
