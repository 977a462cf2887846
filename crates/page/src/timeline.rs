//! When what was done: the steps of a rollback at each place, or what was measured how long.

use std::time::Duration;

use maud::{Markup, html};
use model::report::Bar;
use model::{Outcome, Report, Verdict};
use unicode_width::UnicodeWidthChar as _;

use crate::mark::class;
use crate::scale::Scale;
use crate::text::{number, shown, span};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 190.0;
const ROW: f64 = 24.0;
/// A drawing that a person can still read.
const MAX_BARS: usize = 60;
/// Columns that fit beside the bars.
const NAME: usize = 24;

/// How places are arranged below each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Many hosts, at which the same is done.
    Name,
    /// One after the other.
    Time,
}

pub(crate) fn of(report: &Report, order: Order) -> Markup {
    let mut bars = if report.timeline.is_empty() {
        watched(&report.outcomes)
    } else {
        report.timeline.clone()
    };
    if bars.is_empty() {
        return html! {};
    }
    let all = bars.len();
    // What did not work is seen first where not all can be.
    bars.sort_by_key(|bar| std::cmp::Reverse(bar.verdict));
    bars.truncate(MAX_BARS);
    bars.sort_by(|a, b| match order {
        Order::Name => (&a.place, a.start).cmp(&(&b.place, b.start)),
        Order::Time => a.start.cmp(&b.start),
    });
    let mut places: Vec<&str> = bars.iter().map(|bar| bar.place.as_str()).collect();
    places.dedup();
    let end = bars.iter().map(|bar| bar.end).max().unwrap_or_default();
    let x = Scale::new(0.0, end.as_secs_f64(), LEFT, WIDTH - 16.0);
    let rows = u16::try_from(places.len()).unwrap_or(u16::MAX);
    let height = f64::from(rows) * ROW + 34.0;
    let row = |place: &str| {
        let nth = places
            .iter()
            .position(|known| *known == place)
            .unwrap_or_default();
        f64::from(u16::try_from(nth).unwrap_or(u16::MAX)) * ROW + 8.0
    };
    let told = format!("Timeline of {} places over {}", places.len(), span(end));
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "When" }
            div.drawing tabindex="0" role="region" aria-label="Timeline" {
                svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(told) {
                    @for tick in x.ticks() {
                        line.grid x1=(x.at(tick)) x2=(x.at(tick)) y1="4" y2=(height - 26.0) {}
                        text.x x=(x.at(tick)) y=(height - 10.0) { (number(tick)) "s" }
                    }
                    @for place in &places {
                        text.y x=(LEFT - 8.0) y=(row(place) + 14.0) { (name(place)) }
                    }
                    @for bar in &bars {
                        rect class=(class(bar.verdict)) rx="3" height=(ROW - 8.0)
                            x=(format!("{:.1}", x.at(bar.start.as_secs_f64()))) y=(row(&bar.place) + 2.0)
                            width=(format!("{:.1}", (x.at(bar.end.as_secs_f64()) - x.at(bar.start.as_secs_f64())).max(2.0))) {
                            title {
                                (shown(&bar.place)) ": " (shown(&bar.what)) ", " (bar.verdict) ", "
                                (span(bar.end.saturating_sub(bar.start)))
                            }
                        }
                    }
                }
            }
            @if all > MAX_BARS { p { "… " (all - MAX_BARS) " more that are not drawn …" } }
        }
    }
}

fn name(place: &str) -> String {
    let place = shown(place);
    if place.chars().map(columns).sum::<usize>() <= NAME {
        return place;
    }
    let mut taken = 0;
    let head = place.chars().take_while(|c| {
        taken += columns(*c);
        taken < NAME
    });
    format!("{}…", head.collect::<String>())
}

/// A wide character takes the room of two.
fn columns(c: char) -> usize {
    c.width().unwrap_or_default()
}

/// A bar for each stretch of measurements with one verdict.
fn watched(outcomes: &[Outcome]) -> Vec<Bar> {
    let all = outcomes.iter().flat_map(|outcome| &outcome.measurements);
    let Some(start) = all.map(|one| one.at).min() else {
        return Vec::new();
    };
    let mut bars = Vec::new();
    for outcome in outcomes {
        let mut stretch: Option<Bar> = None;
        for one in &outcome.measurements {
            let since = one.at.duration_since(start);
            let since = Duration::try_from(since).unwrap_or_default();
            match &mut stretch {
                Some(bar) if bar.verdict == one.verdict => bar.end = since + one.duration,
                _ => {
                    let next = Bar {
                        place: outcome.id.to_string(),
                        what: outcome.subject.clone(),
                        start: since,
                        end: since + one.duration,
                        verdict: one.verdict,
                    };
                    bars.extend(stretch.replace(next));
                }
            }
        }
        bars.extend(stretch);
    }
    bars.retain(|bar| bar.verdict != Verdict::Skipped);
    bars
}
