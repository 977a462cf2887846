//! Numbers over time that a stage computed: a ratio with its band, the evidence for a verdict.

use maud::{Markup, html};
use model::report::{Curve, Line, Stroke};

use crate::axes::{self, HEIGHT, WIDTH};
use crate::scale::Scale;
use crate::text::{number, shown};

/// The end of a band that is so many times beyond the limits is drawn at the edge: it begins without one.
const BEYOND: f64 = 4.0;

pub(crate) fn of(curves: &[Curve]) -> Markup {
    if curves.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="curves" {
            h2 id="curves" { "How it came to the verdict" }
            @for curve in curves { (figure(curve)) }
        }
    }
}

fn figure(curve: &Curve) -> Markup {
    let limits = || curve.limits.iter().map(|(_, limit)| *limit);
    let most = curve.reach(BEYOND);
    let values = || {
        let lines = curve.lines.iter();
        let values = lines.flat_map(|line| line.values.iter().flatten().copied());
        values.map(|value: f64| value.clamp(-most, most))
    };
    let highest = values().chain(limits()).fold(0.0, f64::max);
    let lowest = values().chain(limits()).fold(0.0, f64::min);
    let count = curve.lines.iter().map(|line| line.values.len()).max();
    let count = u32::try_from(count.unwrap_or_default()).unwrap_or(u32::MAX);
    let x = match curve.length {
        Some(length) => axes::along(0.0, length),
        None => axes::along(1.0, f64::from(count)),
    };
    // Where each value is along the drawing.
    let place = |nth: u32| match curve.length {
        Some(length) => f64::from(nth) / f64::from(count.saturating_sub(1).max(1)) * length,
        None => f64::from(nth + 1),
    };
    let y = axes::upwards(lowest, highest);
    let last = |line: &Line| line.values.iter().rev().flatten().next().copied();
    let told: Vec<String> = curve
        .lines
        .iter()
        .filter_map(|line| Some(format!("{} {}", line.name, number(last(line)?))))
        .chain(
            curve
                .limits
                .iter()
                .map(|(name, limit)| format!("limit {name} {}", number(*limit))),
        )
        .collect();
    let mut told = format!("{}, at the end: {}", shown(&curve.title), told.join(", "));
    for moment in &curve.moments {
        told.push_str(&format!(
            "; {} at {}",
            shown(&moment.told),
            number(moment.at)
        ));
    }
    html! {
        figure {
            div.drawing tabindex="0" role="region" aria-label={ "Chart of " (shown(&curve.title)) } {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(told) {
                    (axes::drawn((x, ""), (y, ""), &curve.limits))
                    @for line in &curve.lines {
                        @for points in pieces(line, place, x, y) {
                            polyline class=(class(line.stroke)) points=(points) { title { (line.name) } }
                        }
                    }
                    @for (nth, moment) in curve.moments.iter().enumerate() {
                        (axes::moment(x, nth, (moment.at, &shown(&moment.told)), class(moment.stroke)))
                    }
                }
            }
            figcaption { (told) "; " (curve.upwards) " over " (curve.along) }
        }
    }
}

/// A line is interrupted where its number is not known.
fn pieces(line: &Line, place: impl Fn(u32) -> f64, x: Scale, y: Scale) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for (nth, value) in (0_u32..).zip(&line.values) {
        match (value, pieces.last_mut()) {
            (Some(value), Some(piece)) => {
                piece.push_str(&format!("{:.1},{:.1} ", x.at(place(nth)), y.at(*value)));
            }
            _ => pieces.push(String::new()),
        }
    }
    pieces.retain(|piece| piece.trim().contains(' '));
    pieces
}

fn class(stroke: Stroke) -> &'static str {
    match stroke {
        Stroke::Line => "value",
        Stroke::Edge | Stroke::UpperEdge => "edge",
        Stroke::Good => "good",
        Stroke::Bad => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_interrupted_where_nothing_is_known_and_a_title_is_text() {
        let values = vec![Some(1.0), Some(2.0), None, Some(3.0), Some(1e9)];
        let curve = Curve::new("<a>: ratio", "intervals", "ratio")
            .line("ratio", Stroke::Line, values)
            .limit("tolerance", 1.5);
        let drawn = of(&[curve]).into_string();
        assert_eq!(
            drawn.matches("<polyline class=\"value\"").count(),
            2,
            "{drawn}"
        );
        assert!(drawn.contains("&lt;a&gt;: ratio") && !drawn.contains("<a>"));
        assert!(drawn.contains("tolerance 1.5"), "{drawn}");
        assert!(of(&[]).into_string().is_empty());
    }

    #[test]
    fn a_length_is_along_the_drawing_and_what_happened_stands_where_it_did() {
        let mut curve = Curve::new("share", "seconds", "%")
            .line("new", Stroke::Line, vec![Some(0.0), Some(10.0), Some(0.0)])
            .over(40.0);
        curve.moments.push(model::report::Moment {
            at: 20.0,
            told: "10%: <fail>".to_owned(),
            stroke: Stroke::Bad,
        });
        let drawn = of(&[curve]).into_string();
        // The middle of the drawing, for the middle of the time.
        assert!(drawn.contains("384.0,"), "{drawn}");
        assert!(
            drawn.contains("<line class=\"moment bad\" x1=\"384\""),
            "{drawn}"
        );
        assert!(drawn.contains("10%: &lt;fail&gt; at 20"), "{drawn}");
        assert!(drawn.contains(">40</text>"), "{drawn}");
    }
}
