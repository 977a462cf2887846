//! What is reported of a change of shares, however it ends.

use std::time::{Duration, Instant};

use config::value::Share;
use engine::PlaceRelease;
use model::id::Kind;
use model::report::{Bar, Curve, Moment, Stroke};
use model::shares::ForeignShare;
use model::{Id, Outcome, Report, Verdict};
use operation::gantt;
use operation::shares::foreign::share_label;
use operation::shares::work::{PlaceOutcome, ShareChanged, WayBack, WayBackEnd};
use place::ForeignChange;
use state::Rollout;

use crate::foreign;

/// A share that was in effect from one moment on.
#[derive(Clone, Debug)]
pub(crate) struct ShareChange {
    pub(crate) at: Duration,
    pub(crate) share: Share,
}

#[derive(Debug)]
pub(crate) struct RolloutReport {
    clock: Instant,
    pub(crate) outcomes: Vec<Outcome>,
    bars: Vec<Bar>,
    curves: Vec<Curve>,
    places: Vec<PlaceRelease>,
    marks: Vec<ShareChange>,
    /// The verdict of each share that was judged.
    verdicts: Vec<(Share, Verdict, Duration)>,
    foreign_changes: Vec<ForeignShare>,
}

impl RolloutReport {
    pub(crate) fn new(clock: Instant) -> Self {
        RolloutReport {
            clock,
            outcomes: Vec::new(),
            bars: Vec::new(),
            curves: Vec::new(),
            places: Vec::new(),
            marks: Vec::new(),
            verdicts: Vec::new(),
            foreign_changes: Vec::new(),
        }
    }

    /// From now on this share is in effect.
    pub(crate) fn mark(&mut self, share: Share) {
        self.mark_at(self.clock.elapsed(), share);
    }

    /// Since a moment that is over.
    pub(crate) fn mark_at(&mut self, at: Duration, share: Share) {
        self.marks.push(ShareChange { at, share });
    }

    pub(crate) fn changed(&mut self, share: Share, changed: &mut ShareChanged) {
        self.add(share, &mut changed.outcomes, &mut changed.bars);
        self.places = std::mem::take(&mut changed.places);
    }

    /// Another changed a share that was in effect: what was known of these places before is not so any more.
    pub(crate) fn overtaken(
        &mut self,
        id: &'static str,
        (rollout, share): (&Rollout, Share),
        changes: &[ForeignChange],
        follows: &str,
    ) {
        for change in changes {
            let place = change.place.clone();
            let known = [Id::runs(format!("{share}/{place}")), Id::runs(share)];
            self.outcomes.retain(|outcome| !known.contains(&outcome.id));
            if let Some(row) = self.places.iter_mut().find(|row| row.place == place) {
                row.find(share_label(change, rollout), "another changed it");
            }
        }
        let outcomes = foreign::outcomes(id, &rollout.release, changes, follows);
        self.outcomes.extend(outcomes);
        let reported = changes
            .iter()
            .filter_map(|change| foreign::reported(rollout, change));
        self.foreign_changes.extend(reported);
    }

    pub(crate) fn add_taken_back(&mut self, back: &mut WayBack) {
        self.add(Share::NONE, &mut back.outcomes, &mut back.bars);
        self.places = std::mem::take(&mut back.places);
        if back.end != WayBackEnd::Partial {
            self.mark(Share::NONE);
        }
    }

    fn add(&mut self, share: Share, outcomes: &mut Vec<PlaceOutcome>, bars: &mut Vec<Bar>) {
        let several = outcomes.len() > 1;
        for PlaceOutcome { place, mut outcome } in outcomes.drain(..) {
            // A step is named by its place; a ramp makes it once for each share.
            let kind = match outcome.id.kind() {
                Kind::Step => Some(Kind::Share),
                kind @ (Kind::Runs | Kind::Undo | Kind::Refused) => Some(kind),
                _ => None,
            };
            outcome.id = match (kind, place) {
                (Some(kind), Some(place)) if several => Id::of(kind, format!("{share}/{place}")),
                (Some(kind), _) => Id::of(kind, share),
                (None, _) => outcome.id,
            };
            self.outcomes.push(outcome);
        }
        self.bars.append(bars);
    }

    pub(crate) fn judged(&mut self, share: Share, verdict: Verdict, curves: Vec<Curve>) {
        self.verdicts.push((share, verdict, self.clock.elapsed()));
        for mut curve in curves {
            curve.title = format!("{} at {share}", curve.title);
            self.curves.push(curve);
        }
    }

    /// The charts and tables.
    pub(crate) fn illustrate(mut self, report: &mut Report) {
        let now = self.clock.elapsed();
        if let Some(last) = self.marks.last().cloned() {
            self.marks.push(ShareChange { at: now, ..last });
        }
        report
            .pictures
            .extend(over_time(&self.marks, &self.verdicts));
        report.pictures.extend(gantt::drawn(&self.bars));
        report.curves.extend(curve(&self.marks, &self.verdicts));
        report.curves.append(&mut self.curves);
        report.foreign_changes.append(&mut self.foreign_changes);
        report.timeline = self.bars;
        if self.places.len() > 1 {
            report.tables.push(PlaceRelease::table(&self.places));
        }
    }
}

/// More points tell a reader no more.
const POINTS: usize = 60;

/// The share at so many moments, evenly spaced.
fn sampled(marks: &[ShareChange]) -> Option<(Duration, Vec<f64>)> {
    let end = marks.last()?.at;
    if marks.len() < 2 || end.is_zero() {
        return None;
    }
    let share_at = |moment: Duration| {
        let before = marks.iter().rev().find(|mark| mark.at <= moment);
        before.map_or(0.0, |mark| mark.share.fraction() * 100.0)
    };
    let points = (0..=POINTS).map(|nth| {
        #[expect(clippy::cast_possible_truncation, reason = "at most 60")]
        let moment = end * nth as u32 / POINTS as u32;
        share_at(moment)
    });
    Some((end, points.collect()))
}

/// A mermaid chart for the summary.
fn over_time(marks: &[ShareChange], verdicts: &[(Share, Verdict, Duration)]) -> Option<String> {
    let (end, points) = sampled(marks)?;
    let told: Vec<String> = verdicts
        .iter()
        .map(|(share, verdict, _)| format!("{share} {verdict}"))
        .collect();
    let title = if told.is_empty() {
        "share of the new release".to_owned()
    } else {
        format!("share of the new release: {}", told.join(", "))
    };
    let points: Vec<String> = points.iter().map(|point| format!("{point:.2}")).collect();
    Some(format!(
        "xychart-beta\n    title \"{title}\"\n    x-axis \"seconds\" 0 --> {:.1}\n    y-axis \"%\" 0 --> 100\n    line [{}]",
        end.as_secs_f64(),
        points.join(", ")
    ))
}

/// The same for the page, with the verdict of each share where it was found.
fn curve(marks: &[ShareChange], verdicts: &[(Share, Verdict, Duration)]) -> Option<Curve> {
    let (end, points) = sampled(marks)?;
    let rest = points.iter().map(|share| Some(100.0 - share)).collect();
    let share = points.into_iter().map(Some).collect();
    let mut curve = Curve::new("Share of the requests", "seconds", "%")
        .line("the new release", Stroke::Line, share)
        .line("the stable release", Stroke::Good, rest)
        .over(end.as_secs_f64());
    let moments = verdicts.iter().map(|(share, verdict, at)| Moment {
        at: at.as_secs_f64(),
        told: format!("{share}: {verdict}"),
        stroke: match verdict {
            Verdict::Pass => Stroke::Good,
            Verdict::Fail => Stroke::Bad,
            _ => Stroke::Edge,
        },
    });
    curve.moments.extend(moments);
    Some(curve)
}
