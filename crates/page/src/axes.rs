//! What every drawing of values over time has: its size, the grid, the ticks and the limits.

use maud::{Markup, html};

use crate::scale::Scale;
use crate::text::number;

pub(crate) const WIDTH: f64 = 720.0;
pub(crate) const HEIGHT: f64 = 230.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = HEIGHT - 30.0;

/// Values from `first` to `last` along the drawing.
pub(crate) fn along(first: f64, last: f64) -> Scale {
    Scale::new(first, last, LEFT, RIGHT)
}

/// Values from `lowest` to a little above `highest`, upwards.
pub(crate) fn upwards(lowest: f64, highest: f64) -> Scale {
    Scale::new(lowest, highest * 1.08, BOTTOM, TOP)
}

/// What happened at a place along the drawing; those that follow one another stand on lines of their own.
pub(crate) fn moment(x: Scale, nth: usize, (at, told): (f64, &str), class: &str) -> Markup {
    let rows = [0.0, 1.0, 2.0, 3.0];
    let y = TOP + 10.0 + rows[nth % rows.len()] * 15.0;
    let (place, is_late) = (x.at(at), x.at(at) > f64::midpoint(LEFT, RIGHT));
    let (text_at, anchor) = if is_late {
        (place - 5.0, "end")
    } else {
        (place + 5.0, "start")
    };
    html! {
        line class={ "moment " (class) } x1=(place) x2=(place) y1=(TOP) y2=(BOTTOM) {}
        text class={ "moment " (class) } x=(text_at) y=(y) text-anchor=(anchor) { (told) }
    }
}

/// The grid, the ticks with the unit of each axis, and a line for each named limit.
pub(crate) fn drawn<N: AsRef<str>>(
    (x, unit_along): (Scale, &str),
    (y, unit_upwards): (Scale, &str),
    limits: &[(N, f64)],
) -> Markup {
    html! {
        @for tick in y.ticks() {
            line.grid x1=(LEFT) x2=(RIGHT) y1=(y.at(tick)) y2=(y.at(tick)) {}
            text.y x=(LEFT - 8.0) y=(y.at(tick) + 4.0) { (number(tick)) (unit_upwards) }
        }
        @for tick in x.ticks() {
            text.x x=(x.at(tick)) y=(HEIGHT - 10.0) { (number(tick)) (unit_along) }
        }
        @for (name, limit) in limits {
            line.limit x1=(LEFT) x2=(RIGHT) y1=(y.at(*limit)) y2=(y.at(*limit)) {}
            text.limit x=(RIGHT) y=(y.at(*limit) - 5.0) { (name.as_ref()) " " (number(*limit)) (unit_upwards) }
        }
    }
}
