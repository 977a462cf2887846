//! Which share each side has: as configured, as loaded, as observed; and which release it answers.

use std::time::Instant;

use cli::{Failure, Job};
use config::value::Side;
use futures_util::future::{join_all, join3};
use model::shares::SideShare;
use model::{Outcome, Report, Table, Verdict};
use operation::shares::foreign::compare;
use operation::shares::observe::{
    AnswerCounts, Releases, SampleEnd, answers_needed, contradicts, is_visible, sample, shows,
};
use operation::shares::sides::{BothSides, runs_too};
use operation::shares::work::{parting, places_gone, unconfigured};
use place::{Error, ForeignChange, Place};
use router::{Router, Split, Splits, leaves_no_split};
use state::{Document, Phase, Rollout};

use crate::foreign;
use crate::in_effect::SAMPLE_TIME;
use crate::old_side;
use crate::session::{Session, is_at_work, rollout};

/// Requests where no split says how many it takes.
const ANSWERS: u32 = 44;
/// Samples before answers contradict a split: each is wrong by chance in one of a hundred.
const SAMPLES: u32 = 3;

/// What one place is, as it was found.
struct PlaceStatus<'a> {
    router: &'a dyn Router,
    place: &'a Place,
    configured: Result<Split, Error>,
    /// By the router's own word; `None` where only answers tell that.
    loaded: Result<Option<Split>, Error>,
    both: BothSides,
    /// Of which requests the shares are not.
    exception: Option<String>,
    /// `None` where answers do not tell the sides apart.
    observed: Option<Observed>,
}

/// Who answers through the router.
struct Observed {
    answers: AnswerCounts,
    /// They are those of the split that should be in effect.
    is_shown: bool,
    /// The time was over before so many were asked as it takes.
    is_cut_short: bool,
}

/// What does not agree, or could not be asked.
struct Discrepancy {
    verdict: Verdict,
    reason: String,
}

pub(crate) async fn status(job: &Job) -> Result<Report, Failure> {
    let session = Session::open(job)?;
    let document = session.read().await?;
    let work = session.work(document.as_ref());
    let context = work.context();
    let router = work.router(&context)?;
    let router = &*router;
    let recorded = rollout(document.as_ref());
    let likely = recorded.map_or("", |rollout| rollout.release.as_str());
    let places = router.places().iter();
    let looking = places.map(|place| PlaceStatus::query(router, place, likely));
    let places = join_all(looking).await;
    let told = places.iter().map(|place| place.outcome(recorded));
    let mut outcomes: Vec<Outcome> = told.collect();
    if let Some(rollout) = recorded {
        let gone = places_gone(router, rollout);
        let told = gone
            .iter()
            .map(|place| unconfigured(format!("share/{place}"), place, place));
        outcomes.extend(told);
        outcomes.push(of_rollout(job, document.as_ref(), rollout, (&places, &gone)).await);
    }
    if let Some((_, old)) = document.as_ref().and_then(Document::side_to_stop) {
        outcomes.push(old_side::status(&session, old).await);
    }
    let mut report = session.report(outcomes);
    report.shares = places.iter().flat_map(PlaceStatus::shares).collect();
    if let Some(rollout) = recorded.filter(|rollout| is_settled(rollout)) {
        let changes = places.iter().filter_map(|place| place.foreign(rollout));
        let changes = changes.filter_map(|change| foreign::reported(rollout, &change));
        report.foreign_changes = changes.collect();
    }
    report.tables.push(Table {
        title: "Shares".to_owned(),
        header: vec![
            "place",
            "side",
            "release",
            "configured",
            "loaded",
            "observed",
        ],
        rows: places.iter().flat_map(PlaceStatus::rows).collect(),
        only_in_summary: false,
    });
    Ok(report)
}

impl<'a> PlaceStatus<'a> {
    async fn query(router: &'a dyn Router, place: &'a Place, likely: &str) -> PlaceStatus<'a> {
        let (configured, loaded, both) = join3(
            router.configured(place),
            router.loaded(place),
            BothSides::query(router, place, likely),
        )
        .await;
        let mut status = PlaceStatus {
            router,
            place,
            configured,
            loaded,
            both,
            exception: router.exception(place).await.ok().flatten(),
            observed: None,
        };
        let in_use = status.in_use();
        status.observed = match status.both.releases() {
            Some(releases) if in_use.is_none_or(|split| is_visible(router, split)) => {
                Some(observed(router, place, releases, in_use).await)
            }
            _ => None,
        };
        status
    }

    /// The split that should be in effect; `None` where there is none, or it is not known.
    fn in_use(&self) -> Option<Split> {
        match &self.loaded {
            Ok(Some(loaded)) => Some(*loaded),
            Ok(None) => self.configured.as_ref().ok().copied(),
            Err(_) => None,
        }
    }

    fn outcome(&self, recorded: Option<&Rollout>) -> Outcome {
        let id = match self.place {
            Place::Here => "share".to_owned(),
            Place::Host(name) => format!("share/{name}"),
        };
        let sides = self.both.describe(self.router);
        let mut told = match self.in_use() {
            Some(split) => format!("{split}: {sides}"),
            None => sides,
        };
        if let Some(exception) = &self.exception {
            told = format!("{told}; {exception}");
        }
        let doubts = self.doubts(recorded);
        let verdict = doubts
            .iter()
            .map(|doubt| doubt.verdict)
            .max()
            .unwrap_or(Verdict::Pass);
        let outcome = Outcome::new(id, self.place.to_string(), verdict).actual(told);
        if doubts.is_empty() {
            return outcome;
        }
        let reasons: Vec<String> = doubts.into_iter().map(|doubt| doubt.reason).collect();
        let hint = match verdict {
            Verdict::Fail if self.in_use().is_none() => {
                "let blue and green alone share the requests, then run this again".to_owned()
            }
            Verdict::Fail => match recorded {
                Some(rollout) if self.runs_beside(rollout).is_some() => parting(rollout),
                Some(_) => {
                    "`traffic resume` goes on with the rollout, `traffic abort` takes it back"
                        .to_owned()
                }
                None => "`traffic set SHARE --release R` sets a share and proves it".to_owned(),
            },
            Verdict::Inconclusive => {
                "find out why answers take so long, then run this again".to_owned()
            }
            _ => "see whether the router runs and its file can be read".to_owned(),
        };
        outcome
            .expected("the configuration, the router and the answers agree")
            .reason(reasons.join("; "))
            .hint(hint)
    }

    /// Whatever does not agree: the configuration, what is loaded, the answers, and what was recorded.
    fn doubts(&self, recorded: Option<&Rollout>) -> Vec<Discrepancy> {
        let (kind, in_use) = (self.router.kind(), self.in_use());
        let mut doubts = Vec::new();
        if let Err(error) = &self.configured {
            doubts.push(Discrepancy::of(error, error.to_string()));
        }
        match (&self.configured, &self.loaded) {
            (Ok(configured), Ok(Some(loaded))) => {
                let splits = Splits {
                    configured: *configured,
                    in_use: *loaded,
                };
                doubts.extend(splits.disagreement(kind).map(Discrepancy::fail));
            }
            (_, Err(error)) => {
                let reason = format!("it is not clear what {kind} uses: {error}");
                doubts.push(Discrepancy::of(error, reason));
            }
            _ => {}
        }
        if let (Some(observed), Some(split)) = (&self.observed, in_use) {
            doubts.extend(observed.doubt(split));
        }
        if let Some(rollout) = recorded {
            doubts.extend(self.differs(rollout).map(Discrepancy::fail));
            doubts.extend(self.runs_beside(rollout).map(Discrepancy::fail));
        }
        for side in Side::BOTH {
            if let Some(share) = in_use.map(|split| split.of(side))
                && !share.is_none()
                && let Err(error) = &self.both.of(side).release
            {
                doubts.push(Discrepancy::fail(format!(
                    "{side} has {share} and cannot be queried ({error})"
                )));
            }
        }
        doubts
    }

    /// Where what is in use is not what the rollout set.
    fn differs(&self, rollout: &Rollout) -> Option<String> {
        let side = rollout.sides.get(&self.place.to_string())?;
        let has = self.in_use()?.of(*side);
        // What is taken back has nothing already, or not yet.
        let is_taken_back = rollout.phase == Phase::Aborting && has.is_none();
        let found = match &self.loaded {
            Ok(Some(_)) => format!("{} uses {has}", self.router.kind()),
            _ => format!("the configuration has {has}"),
        };
        let why = if is_settled(rollout) {
            "another changed it"
        } else {
            "another changed it, or a change was interrupted"
        };
        (has != rollout.share && !is_taken_back).then(|| {
            format!(
                "the rollout of {} recorded {}, and {found}: {why}",
                rollout.release, rollout.share
            )
        })
    }

    /// Where the release of the rollout runs on the other side, too.
    fn runs_beside(&self, rollout: &Rollout) -> Option<String> {
        let side = *rollout.sides.get(&self.place.to_string())?;
        let other = self.both.of(side.other()).release.as_ref().ok()?;
        runs_too(self.router, side, &rollout.release, other)
    }

    /// What another made of the share of a rollout here.
    fn foreign(&self, rollout: &Rollout) -> Option<ForeignChange> {
        let side = *rollout.sides.get(&self.place.to_string())?;
        let in_use = match &self.loaded {
            Ok(Some(loaded)) => Ok(*loaded),
            Ok(None) => self.configured.clone(),
            Err(error) => Err(error.clone()),
        };
        let set = Split::giving(side, rollout.share);
        compare(self.place, set, in_use)
    }

    /// Who answered, where anything was recognised.
    fn answers(&self) -> Option<&AnswerCounts> {
        let answers = self.observed.as_ref().map(|observed| &observed.answers);
        answers.filter(|answers| answers.blue + answers.green > 0)
    }

    /// One for each side.
    fn rows(&self) -> Vec<Vec<String>> {
        let loaded = self.loaded.as_ref().ok().copied().flatten();
        let shown = |split: Option<Split>, side: Side| {
            split.map_or_else(|| "–".to_owned(), |split| split.of(side).to_string())
        };
        let row = |side: Side| {
            let release = self.both.of(side).release.clone();
            let answers = self.answers();
            vec![
                self.place.to_string(),
                format!("{side} {}", self.router.name(side)),
                release.unwrap_or_else(|_| "no answer".to_owned()),
                shown(self.configured.as_ref().ok().copied(), side),
                shown(loaded, side),
                answers.map_or_else(|| "–".to_owned(), |answers| answers.share(side).to_string()),
            ]
        };
        Side::BOTH.into_iter().map(row).collect()
    }

    /// The same for the JSON document.
    fn shares(&self) -> Vec<SideShare> {
        let loaded = self.loaded.as_ref().ok().copied().flatten();
        let configured = self.configured.as_ref().ok().copied();
        let of = |split: Option<Split>, side: Side| Some(split?.of(side).fraction());
        let share = |side: Side| SideShare {
            place: self.place.to_string(),
            side: side.as_str(),
            name: self.router.name(side),
            release: self.both.of(side).release.clone().ok(),
            configured: of(configured, side),
            loaded: of(loaded, side),
            observed: { self.answers() }.map(|answers| answers.share(side).fraction()),
        };
        Side::BOTH.into_iter().map(share).collect()
    }
}

impl Observed {
    /// Why the answers are not those of a split.
    fn doubt(&self, split: Split) -> Option<Discrepancy> {
        let answers = &self.answers;
        if self.is_shown {
            return None;
        }
        if self.is_cut_short && answers.is_clear() && !contradicts(answers, split) {
            return Some(Discrepancy {
                verdict: Verdict::Inconclusive,
                reason: format!(
                    "within {}s only {answers}: too few to show {split}",
                    SAMPLE_TIME.as_secs()
                ),
            });
        }
        Some(Discrepancy::fail(format!(
            "{split} should be in effect, and {answers}"
        )))
    }
}

impl Discrepancy {
    fn fail(reason: String) -> Discrepancy {
        Discrepancy {
            verdict: Verdict::Fail,
            reason,
        }
    }

    /// What was read and is no split fails; what cannot be asked is an error.
    fn of(error: &Error, reason: String) -> Discrepancy {
        let verdict = if leaves_no_split(error) {
            Verdict::Fail
        } else {
            Verdict::Error
        };
        Discrepancy { verdict, reason }
    }
}

/// The rollout in progress; a failure where its process has ended and no other watches the share.
async fn of_rollout(
    job: &Job,
    document: Option<&Document>,
    rollout: &Rollout,
    (places, gone): (&[PlaceStatus<'_>], &[&str]),
) -> Outcome {
    let told = format!(
        "{rollout} since {:.0}, begun by {}",
        rollout.changed, rollout.by
    );
    let outcome = Outcome::pass("rollout", &rollout.release).actual(told);
    let is_watched = match document.and_then(|document| document.lock.as_ref()) {
        Some(lock) => !job.fate(lock).await.is_gone(),
        None => false,
    };
    if is_watched || !is_at_work(rollout.phase) {
        return outcome;
    }
    let outcome = Outcome {
        verdict: Verdict::Fail,
        ..outcome
    }
    .expected("a process that watches the share");
    let release = &rollout.release;
    if rollout.phase != Phase::Aborting {
        return outcome
            .reason(format!(
                "the process of the rollout has ended: {release} keeps its share, and is not judged"
            ))
            .hint("`traffic resume` goes on with the rollout, `traffic abort` takes it back");
    }
    let has_none = |place: &PlaceStatus<'_>| {
        let side = rollout.sides.get(&place.place.to_string());
        let shares = [place.in_use(), place.configured.as_ref().ok().copied()];
        side.is_some_and(|side| {
            shares
                .iter()
                .all(|split| split.is_some_and(|split| split.of(*side).is_none()))
        })
    };
    let is_another = |place: &PlaceStatus<'_>| {
        let answers = place.observed.as_ref();
        answers.is_some_and(|observed| !observed.is_shown && !observed.is_cut_short)
    };
    let found = if !gone.is_empty() || !places.iter().all(has_none) {
        "not every place has 0%"
    } else if places.iter().any(is_another) {
        "0% is set, and users get another share"
    } else {
        "0% is set, not yet proved"
    };
    outcome
        .reason(format!(
            "the process that took {release} back has ended: {found}"
        ))
        .hint("`traffic resume` takes it back and proves that")
}

/// Who answers. Where users are divided by chance, one sample in a hundred seems to be of another split:
/// what disagrees is asked for again, and all answers count.
async fn observed(
    router: &dyn Router,
    place: &Place,
    releases: Releases<'_>,
    split: Option<Split>,
) -> Observed {
    let end = Instant::now() + SAMPLE_TIME;
    let needed = split.and_then(|split| answers_needed(split, split));
    let wanted = needed.map_or(ANSWERS, |needed| needed.max(ANSWERS));
    let (mut answers, mut is_shown) = (AnswerCounts::default(), false);
    for attempt in 1..=SAMPLES {
        answers.merge(sample(router, place, releases, wanted, SampleEnd::Answered(end)).await);
        is_shown = split.is_none_or(|split| shows(&answers, split, attempt));
        if is_shown {
            break;
        }
    }
    Observed {
        is_cut_short: answers.asked() < wanted,
        answers,
        is_shown,
    }
}

/// Whether the recorded share was set and proved, and no change is under way.
fn is_settled(rollout: &Rollout) -> bool {
    matches!(rollout.phase, Phase::Judging | Phase::Waiting | Phase::Held)
}
