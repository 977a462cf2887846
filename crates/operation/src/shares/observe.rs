//! Who answers through a router, and whether that proves a share.

use std::time::{Duration, Instant};

use config::value::{Share, Side};
use futures_util::future::join_all;
use place::{Error, Place};
use router::{Router, Split};

use super::binomial::{self, needed};

/// Requests at the same time. Few, because they may go through one connection to a host.
const MAX_CONCURRENT: u32 = 4;
/// More requests of ours would be a load on the service.
const MAX_REQUESTS: u32 = 2000;
/// After answers that do not prove a share, before others are asked for.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// The releases of the two sides at a place, as far as they are known: what else answers is of no side.
#[derive(Clone, Copy, Debug)]
pub struct Releases<'a> {
    blue: Option<&'a str>,
    green: Option<&'a str>,
}

impl<'a> Releases<'a> {
    /// `release` runs on `side`, `other` on the other one.
    pub fn of(side: Side, release: &'a str, other: Option<&'a str>) -> Self {
        match side {
            Side::Blue => Releases {
                blue: Some(release),
                green: other,
            },
            Side::Green => Releases {
                blue: other,
                green: Some(release),
            },
        }
    }

    fn side_of(self, release: &str) -> Option<Side> {
        if self.blue == Some(release) {
            Some(Side::Blue)
        } else if self.green == Some(release) {
            Some(Side::Green)
        } else {
            None
        }
    }

    /// The one that an answer probably names.
    fn likely(self) -> &'a str {
        self.blue.or(self.green).unwrap_or_default()
    }
}

/// Answers through a router, counted by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub blue: u32,
    pub green: u32,
    /// Requests that were not answered, or whose answer names no release.
    pub unknown: u32,
    /// The last of those, or the last release that neither side runs.
    pub last_unknown: Option<String>,
}

impl Answers {
    pub fn of(&self, side: Side) -> u32 {
        match side {
            Side::Blue => self.blue,
            Side::Green => self.green,
        }
    }

    fn known(&self) -> u32 {
        self.blue + self.green
    }

    /// All requests that were made.
    pub fn asked(&self) -> u32 {
        self.known() + self.unknown
    }

    /// Whether nearly all are of a side: what has none cannot speak for one.
    pub fn is_clear(&self) -> bool {
        self.unknown <= self.known() / 20
    }

    /// The share of a side.
    pub fn share(&self, side: Side) -> Share {
        Share::of(self.of(side).into(), self.known().into())
    }

    pub fn merge(&mut self, others: Answers) {
        self.blue += others.blue;
        self.green += others.green;
        self.unknown += others.unknown;
        self.last_unknown = others.last_unknown.or(self.last_unknown.take());
    }

    fn add(&mut self, answer: Result<String, Error>, releases: Releases<'_>) -> Option<Side> {
        let side = match &answer {
            Ok(release) => releases.side_of(release),
            Err(_) => None,
        };
        match (side, answer) {
            (Some(Side::Blue), _) => self.blue += 1,
            (Some(Side::Green), _) => self.green += 1,
            (None, Ok(release)) => {
                self.unknown += 1;
                self.last_unknown = Some(format!("{release} answers, which neither side runs"));
            }
            (None, Err(error)) => {
                self.unknown += 1;
                self.last_unknown = Some(error.to_string());
            }
        }
        side
    }
}

/// In words: `14 of 136 answers were of green`.
impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} answers were of green",
            self.green,
            self.asked()
        )?;
        match &self.last_unknown {
            Some(last) => write!(f, ", {} of no side ({last})", self.unknown),
            None => Ok(()),
        }
    }
}

/// Asks so many times through the router.
pub async fn sample(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    wanted: u32,
) -> Answers {
    let mut answers = Answers::default();
    while answers.asked() < wanted {
        let left = wanted - answers.asked();
        answers.merge(batch(router, place, releases, left).await);
    }
    answers
}

/// The same, until `end` at most; requests that are under way then are waited for.
pub async fn sample_until(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    wanted: u32,
    end: Instant,
) -> Answers {
    let mut answers = Answers::default();
    while answers.asked() < wanted && Instant::now() < end {
        let left = wanted - answers.asked();
        answers.merge(batch(router, place, releases, left).await);
    }
    answers
}

/// As many as are asked at the same time.
async fn batch(router: &dyn Router, place: &Place, releases: Releases<'_>, most: u32) -> Answers {
    let asking =
        (0..most.min(MAX_CONCURRENT)).map(|_| router.sample_release(place, releases.likely()));
    let mut answers = Answers::default();
    for answer in join_all(asking).await {
        answers.add(answer, releases);
    }
    answers
}

/// Whether answers can tell a split at all: where all requests of ours are of one user, they see one side.
pub fn is_visible(router: &dyn Router, split: Split) -> bool {
    router.capabilities().can_sample || split.whole().is_some()
}

/// How many answers through a router prove a split where another one was in effect before.
///
/// # Errors
/// Returns an error where no number of them that may be asked for does.
pub fn proof_needed(router: &dyn Router, before: Split, after: Split) -> Result<u32, Error> {
    if !is_visible(router, after) {
        return Err(Error::Unfit(format!(
            "all requests of ours are of one user and stay on one side, so that no answers prove {after}"
        )));
    }
    answers_needed(before, after).ok_or_else(|| {
        Error::Unfit(format!(
            "no number of requests that may be made distinguishes {after} from {before}: choose a larger share"
        ))
    })
}

/// How many answers prove a split where another one was in effect before; `None` where more would be
/// needed than may be asked for.
pub fn answers_needed(before: Split, after: Split) -> Option<u32> {
    let share = after.of(Side::Green).fraction();
    let most = others(before, after)
        .into_iter()
        .map(|other| needed(share, other, MAX_REQUESTS));
    most.collect::<Option<Vec<u32>>>()?.into_iter().max()
}

/// The shares of green that must be told from the one that was set: that of before, those of no change at
/// all, and twice the smaller side, or ten points more of it.
fn others(before: Split, after: Split) -> Vec<f64> {
    let (share, old) = (
        after.of(Side::Green).fraction(),
        before.of(Side::Green).fraction(),
    );
    // What takes more requests than we may make is left to the others, unless it is the old share.
    let is_testable = |other: f64| needed(share, other, MAX_REQUESTS / 4).is_some();
    let mut others = vec![old];
    if share <= 0.0 || share >= 1.0 {
        // One in ten of the other side would be seen.
        others.push((share - 0.1).abs());
    } else {
        others.extend([0.0, 1.0]);
        let (twice, off) = if share <= 0.5 {
            ((2.0 * share).min(0.9), share + 0.1)
        } else {
            ((2.0 * share - 1.0).max(0.1), share - 0.1)
        };
        // Of a side that is small, twice as much takes too many requests.
        others.push(if is_testable(twice) { twice } else { off });
    }
    others.retain(|other| (other - share).abs() > 1e-9);
    others.retain(|other| (other - old).abs() < 1e-9 || *other <= 0.0 || is_testable(*other));
    others
}

/// Whether answers agree with a split, and with no split that differs much.
pub fn shows(answers: &Answers, split: Split) -> bool {
    let share = split.of(Side::Green).fraction();
    let counts = (answers.green, answers.known());
    answers.is_clear() && binomial::shows(counts, share, &others(split, split))
}

/// Whether answers can hardly have come from a split, however often that is asked.
pub fn contradicts(answers: &Answers, split: Split) -> bool {
    let share = split.of(Side::Green).fraction();
    binomial::is_strange((answers.green, answers.known()), share)
}

/// Asks through the router until the answers prove that the split is in effect.
///
/// # Errors
/// Returns an error at the deadline, with the last answers.
pub async fn prove(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    (before, after): (Split, Split),
    deadline: Instant,
) -> Result<String, Error> {
    if let Some(loaded) = router.loaded(place).await?
        && loaded != after
    {
        return Err(Error::Unproved(format!(
            "{} reports {loaded}, and not {after}",
            router.kind()
        )));
    }
    let wanted = proof_needed(router, before, after)?;
    match after.whole() {
        Some(side) => prove_whole(router, place, releases, (side, wanted), deadline).await,
        None => prove_part(router, place, releases, (before, after, wanted), deadline).await,
    }
}

/// Every answer is of one side, so many in a row as it takes.
async fn prove_whole(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    (side, wanted): (Side, u32),
    deadline: Instant,
) -> Result<String, Error> {
    let mut in_a_row = 0;
    let mut seen = Answers::default();
    while in_a_row < wanted {
        if Instant::now() >= deadline {
            return Err(Error::Unproved(format!(
                "{side} should get all, and {seen}{}",
                said(router.explain(place).await.ok().flatten())
            )));
        }
        let batch = (wanted - in_a_row).min(MAX_CONCURRENT);
        let asking = (0..batch).map(|_| router.sample_release(place, releases.likely()));
        for answer in join_all(asking).await {
            if seen.add(answer, releases) == Some(side) {
                in_a_row += 1;
            } else {
                in_a_row = 0;
            }
        }
        if in_a_row == 0 {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
    Ok(format!("{wanted} answers in a row were of {side}"))
}

/// The answers have the share.
async fn prove_part(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    (before, after, wanted): (Split, Split, u32),
    deadline: Instant,
) -> Result<String, Error> {
    let others = others(before, after);
    let share = after.of(Side::Green).fraction();
    let mut last: Option<Answers> = None;
    loop {
        let sampled =
            tokio::time::timeout_at(deadline.into(), sample(router, place, releases, wanted)).await;
        let Ok(answers) = sampled else {
            // What was cut off says less than the answers before it.
            let seen = last.map_or_else(
                || format!("{wanted} requests that would prove it were not answered in time"),
                |answers| answers.to_string(),
            );
            return Err(Error::Unproved(format!(
                "{after} should be in effect, and {seen}{}",
                said(router.explain(place).await.ok().flatten())
            )));
        };
        let counts = (answers.green, answers.known());
        if answers.is_clear() && binomial::shows(counts, share, &others) {
            return Ok(answers.to_string());
        }
        if Instant::now() + RETRY_DELAY >= deadline {
            return Err(Error::Unproved(format!(
                "{after} should be in effect, and {answers}{}",
                said(router.explain(place).await.ok().flatten())
            )));
        }
        last = Some(answers);
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

fn said(explained: Option<String>) -> String {
    explained.map_or_else(String::new, |text| format!("; {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn green(share: &str) -> Split {
        Split::giving(Side::Green, share.parse().unwrap())
    }

    #[test]
    fn a_share_near_to_the_end_takes_more_than_one_answer() {
        for (share, about) in [("99.9%", 63_u32), ("95%", 181), ("5%", 181)] {
            let n = answers_needed(green("0%"), green(share)).unwrap();
            assert!(n.abs_diff(about) * 20 <= about, "{share}: {n}");
        }
        let all_of_green = |green: u32| Answers {
            green,
            ..Answers::default()
        };
        assert!(!shows(&all_of_green(1), green("99.9%")));
        assert!(shows(&all_of_green(70), green("99.9%")));
        assert_eq!(answers_needed(green("0%"), green("0.01%")), None);
    }
}
