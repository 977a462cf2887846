//! Who answers through a router, and whether that proves a share.

use std::time::{Duration, Instant};

use config::value::{Share, Side};
use futures_util::future::{join, join_all};
use model::release::Releases as Names;
use place::{Error, Place};
use router::{Router, Split};

use super::binomial::{self, error_of, needed};

/// Requests at the same time. Few, because they may go through one connection to a host.
const MAX_CONCURRENT: u32 = 4;
/// So often each side is asked how long it takes.
const MEASURED: usize = 3;
/// More requests of ours would be a load on the service; a second try, which has a smaller error, takes up to twice as
/// many.
const MAX_REQUESTS: u32 = 2000;
/// After answers that do not prove a share, before others are asked for.
const RETRY_DELAY: Duration = Duration::from_millis(10);
/// A router has at least this time to say why a proof failed.
const EXPLAINED_WITHIN: Duration = Duration::from_secs(1);
/// So much of its time a proof has again whose answers all agree.
const MORE_TIME: f64 = 0.5;

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

    /// What an answer may name: what the router knows, and the two. An answer may have another name for either.
    fn names(self, router: &dyn Router) -> Names {
        let known = router.releases().clone();
        known
            .with(self.blue.unwrap_or_default())
            .with(self.green.unwrap_or_default())
    }

    fn side_of(self, names: &Names, answer: &str) -> Option<Side> {
        let release = Some(names.named(answer, ""));
        if self.blue == release {
            Some(Side::Blue)
        } else if self.green == release {
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
pub struct AnswerCounts {
    pub blue: u32,
    pub green: u32,
    /// Requests that were not answered, or whose answer names no release.
    pub unknown: u32,
    /// The last of those, or the last release that neither side runs.
    pub last_unknown: Option<String>,
}

impl AnswerCounts {
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

    pub fn merge(&mut self, others: AnswerCounts) {
        self.blue += others.blue;
        self.green += others.green;
        self.unknown += others.unknown;
        self.last_unknown = others.last_unknown.or(self.last_unknown.take());
    }

    fn add(
        &mut self,
        answer: Result<String, Error>,
        (releases, names): (Releases<'_>, &Names),
    ) -> Option<Side> {
        let side = match &answer {
            Ok(release) => releases.side_of(names, release),
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
impl std::fmt::Display for AnswerCounts {
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

/// When a sample ends that does not have all its answers.
#[derive(Clone, Copy, Debug)]
pub enum SampleEnd {
    Never,
    /// Requests that are under way then are waited for.
    Answered(Instant),
    /// Requests that are under way then are given up.
    Cut(Instant),
}

/// Asks through the router, a few requests at a time, for so many answers.
pub async fn sample(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    wanted: u32,
    end: SampleEnd,
) -> AnswerCounts {
    let mut answers = AnswerCounts::default();
    while answers.asked() < wanted {
        let asking = batch(router, place, releases, wanted - answers.asked());
        let more = match end {
            SampleEnd::Answered(end) if Instant::now() >= end => None,
            SampleEnd::Never | SampleEnd::Answered(_) => Some(asking.await),
            SampleEnd::Cut(end) => tokio::time::timeout_at(end.into(), asking).await.ok(),
        };
        let Some(more) = more else { break };
        answers.merge(more);
    }
    answers
}

/// As many as are asked at the same time.
async fn batch(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    most: u32,
) -> AnswerCounts {
    let asking =
        (0..most.min(MAX_CONCURRENT)).map(|_| router.sample_release(place, releases.likely()));
    let names = releases.names(router);
    let mut answers = AnswerCounts::default();
    for answer in join_all(asking).await {
        answers.add(answer, (releases, &names));
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

/// How long each side takes for one answer; none where it does not answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerTimes {
    blue: Duration,
    green: Duration,
}

impl AnswerTimes {
    /// Asks each side itself, a few times side by side as a proof does, and takes the answer in the middle.
    pub async fn measure(router: &dyn Router, place: &Place, likely: &str) -> AnswerTimes {
        let one = |side: Side| async move {
            let asking = (0..MEASURED).map(|_| async {
                let began = Instant::now();
                let answer = router.side_release(place, side, likely).await;
                answer.ok().map(|_| began.elapsed())
            });
            let took: Option<Vec<Duration>> = join_all(asking).await.into_iter().collect();
            let mut took = took.unwrap_or_default();
            took.sort_unstable();
            took.get(MEASURED / 2).copied().unwrap_or_default()
        };
        let (blue, green) = join(one(Side::Blue), one(Side::Green)).await;
        AnswerTimes { blue, green }
    }

    fn of(self, side: Side) -> Duration {
        match side {
            Side::Blue => self.blue,
            Side::Green => self.green,
        }
    }

    /// How long the first try of a proof takes that needs so many answers, a few at a time: each time the slower side
    /// decides where it is among those that answer.
    pub fn proof(self, after: Split, needed: u32) -> Duration {
        let slow = if self.blue > self.green {
            Side::Blue
        } else {
            Side::Green
        };
        let without = (1.0 - after.of(slow).fraction()).powf(MAX_CONCURRENT.into());
        let each = self.of(slow).mul_f64(1.0 - without) + self.of(slow.other()).mul_f64(without);
        each * needed.div_ceil(MAX_CONCURRENT)
    }
}

/// How many answers prove a split where another one was in effect before; `None` where more would be
/// needed than may be asked for.
pub fn answers_needed(before: Split, after: Split) -> Option<u32> {
    needed_at(1, before, after)
}

/// The same for the try of this number, from 1 on.
fn needed_at(attempt: u32, before: Split, after: Split) -> Option<u32> {
    let share = after.of(Side::Green).fraction();
    let (error, most) = (error_of(attempt), MAX_REQUESTS * attempt.min(2));
    let numbers = others(before, after)
        .into_iter()
        .map(|other| needed(share, other, error, most));
    numbers.collect::<Option<Vec<u32>>>()?.into_iter().max()
}

/// The shares of green that must be told from the one that was set: that of before, those of no change at
/// all, and twice the smaller side, or ten points more of it.
fn others(before: Split, after: Split) -> Vec<f64> {
    let (share, old) = (
        after.of(Side::Green).fraction(),
        before.of(Side::Green).fraction(),
    );
    // What takes more requests than we may make is left to the others, unless it is the old share.
    let is_testable = |other: f64| needed(share, other, error_of(1), MAX_REQUESTS / 4).is_some();
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

/// Whether the answers of the try of this number, from 1 on, agree with a split, and with no split that differs much.
pub fn shows(answers: &AnswerCounts, split: Split, attempt: u32) -> bool {
    let share = split.of(Side::Green).fraction();
    let counts = (answers.green, answers.known());
    let error = error_of(attempt);
    answers.is_clear() && binomial::shows(counts, share, &others(split, split), error)
}

/// Whether answers can hardly have come from a split, however often that is asked.
pub fn contradicts(answers: &AnswerCounts, split: Split) -> bool {
    let share = split.of(Side::Green).fraction();
    binomial::is_strange((answers.green, answers.known()), share)
}

/// How many answers show that a side gets nothing of its share, twice over: older ones would hide what is so now.
pub fn window(split: Split) -> u32 {
    let share = split.of(Side::Green).fraction();
    2 * binomial::noticed_after(share)
}

/// So many answers in a row without one of a side are unusual: its users may get none of its share.
pub fn unusual_gap(split: Split, side: Side) -> u32 {
    binomial::unusual_after(split.of(side).fraction())
}

/// How long a proof may be given that has ended by then, whatever its answers are.
pub fn time_until(end: Instant) -> Duration {
    let left = end.saturating_duration_since(Instant::now());
    left.div_f64(1.0 + MORE_TIME)
}

/// Asks through the router until the answers prove that the split is in effect.
///
/// A proof whose answers all agree so far has half as much time again: a service that answers slowly is not a share
/// that is not in effect.
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
    let last = deadline
        + deadline
            .saturating_duration_since(Instant::now())
            .mul_f64(MORE_TIME);
    if let Some(loaded) = router.loaded(place).await?
        && loaded != after
    {
        return Err(Error::Unproved(format!(
            "{} reports {loaded}, and not {after}",
            router.kind()
        )));
    }
    proof_needed(router, before, after)?;
    match after.whole() {
        Some(side) => {
            prove_whole(
                router,
                place,
                releases,
                (before, after, side),
                (deadline, last),
            )
            .await
        }
        None => prove_part(router, place, releases, (before, after), (deadline, last)).await,
    }
}

/// Every answer is of one side, so many in a row as it takes. A row after a wrong answer is another try.
async fn prove_whole(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    (before, after, side): (Split, Split, Side),
    (deadline, last): (Instant, Instant),
) -> Result<String, Error> {
    let names = releases.names(router);
    let (mut rows, mut in_a_row) = (1, 0);
    let mut wanted = needed_at(rows, before, after);
    let mut seen = AnswerCounts::default();
    loop {
        let left = wanted.map(|wanted| wanted.saturating_sub(in_a_row));
        if left == Some(0) {
            return Ok(format!("{in_a_row} answers in a row were of {side}"));
        }
        let agrees = in_a_row == seen.asked();
        let end = if agrees { last } else { deadline };
        let Some(left) = left.filter(|_| Instant::now() < end) else {
            if let (true, Some(wanted)) = (agrees, wanted) {
                let all = match in_a_row {
                    0 => String::new(),
                    _ => format!(", all of {side}"),
                };
                return Err(Error::Deadline(format!(
                    "only {in_a_row} of the {wanted} answers that prove {after} came in time{all}"
                )));
            }
            return Err(Error::Unproved(format!(
                "{side} should get all, and {seen}{}",
                explained(router, place, last).await
            )));
        };
        let asking =
            (0..left.min(MAX_CONCURRENT)).map(|_| router.sample_release(place, releases.likely()));
        let Ok(answers) = tokio::time::timeout_at(end.into(), join_all(asking)).await else {
            continue;
        };
        for answer in answers {
            if seen.add(answer, (releases, &names)) == Some(side) {
                in_a_row += 1;
            } else {
                rows += u32::from(in_a_row > 0);
                wanted = needed_at(rows, before, after);
                in_a_row = 0;
            }
        }
        if in_a_row == 0 {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

/// The answers have the share: all of one try, and a new try asks for all of its own.
async fn prove_part(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    (before, after): (Split, Split),
    (deadline, last_end): (Instant, Instant),
) -> Result<String, Error> {
    let others = others(before, after);
    let share = after.of(Side::Green).fraction();
    let mut last = None;
    for attempt in 1.. {
        let Some(wanted) = needed_at(attempt, before, after) else {
            break;
        };
        let sampled = sample(router, place, releases, wanted, SampleEnd::Never);
        let end = if attempt == 1 { last_end } else { deadline };
        let Ok(answers) = tokio::time::timeout_at(end.into(), sampled).await else {
            // What was cut off says less than the answers before it.
            last.get_or_insert_with(|| {
                format!("{wanted} requests that would prove it were not answered in time")
            });
            break;
        };
        let counts = (answers.green, answers.known());
        if answers.is_clear() && binomial::shows(counts, share, &others, error_of(attempt)) {
            return Ok(answers.to_string());
        }
        last = Some(answers.to_string());
        if Instant::now() + RETRY_DELAY >= deadline {
            break;
        }
        tokio::time::sleep(RETRY_DELAY).await;
    }
    Err(Error::Unproved(format!(
        "{after} should be in effect, and {}{}",
        last.unwrap_or_default(),
        explained(router, place, last_end).await
    )))
}

/// What the router says about it in the time that is left, as the end of a sentence.
async fn explained(router: &dyn Router, place: &Place, end: Instant) -> String {
    let end = end.max(Instant::now() + EXPLAINED_WITHIN);
    let told = tokio::time::timeout_at(end.into(), router.explain(place)).await;
    let told = told.ok().and_then(Result::ok).flatten();
    told.map_or_else(String::new, |text| format!("; {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn green(share: &str) -> Split {
        Split::giving(Side::Green, share.parse().unwrap())
    }

    #[test]
    fn a_share_near_to_the_end_takes_more_than_one_answer() {
        for (share, about) in [("99.9%", 63_u32), ("95%", 190), ("5%", 190)] {
            let n = answers_needed(green("0%"), green(share)).unwrap();
            assert!(n.abs_diff(about) * 20 <= about, "{share}: {n}");
        }
        let all_of_green = |green: u32| AnswerCounts {
            green,
            ..AnswerCounts::default()
        };
        assert!(!shows(&all_of_green(1), green("99.9%"), 1));
        assert!(shows(&all_of_green(70), green("99.9%"), 1));
        assert_eq!(answers_needed(green("0%"), green("0.01%")), None);
    }
}
