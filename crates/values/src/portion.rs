//! A part of several: a count, or a share of them.

use crate::error::{Error, Form};

/// How many of several: a count, `12`, or a share of all, `95%`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Portion {
    Count(u32),
    /// Of a hundred.
    Percent(f64),
}

impl Portion {
    pub const ALL: Portion = Portion::Percent(100.0);

    /// The smallest number out of `total` that is at least this portion.
    pub fn at_least(self, total: usize) -> usize {
        match self {
            Portion::Count(count) => count as usize,
            Portion::Percent(percent) => whole(percent * as_float(total) / 100.0, f64::ceil),
        }
    }

    /// The largest number out of `total` that is at most this portion.
    pub fn at_most(self, total: usize) -> usize {
        match self {
            Portion::Count(count) => count as usize,
            Portion::Percent(percent) => whole(percent * as_float(total) / 100.0, f64::floor),
        }
    }
}

/// Without the digits that binary fractions add.
fn short(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
fn as_float(total: usize) -> f64 {
    total as f64
}

/// Rounds, but a hair's breadth from a whole number is that number: 95 % of 100 are 95, whatever
/// binary fractions make of it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to a total that was a usize"
)]
fn whole(number: f64, round: fn(f64) -> f64) -> usize {
    let near = number.round();
    if (number - near).abs() < 1e-6 {
        near as usize
    } else {
        round(number) as usize
    }
}

impl std::str::FromStr for Portion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unclear = || match text.trim().parse::<f64>() {
            Ok(share) if 0.0 < share && share < 1.0 => {
                Form::Portion.meant(text, format!("`{}%`", short(share * 100.0)))
            }
            _ => Form::Portion.malformed(text),
        };
        let text = text.trim();
        let Some(percent) = text.strip_suffix('%') else {
            return text.parse().map(Portion::Count).map_err(|_| unclear());
        };
        match percent.trim().parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Portion::Percent(percent)),
            _ => Err(unclear()),
        }
    }
}

impl std::fmt::Display for Portion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Portion::Count(count) => write!(f, "{count}"),
            Portion::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

textual!(Portion, "Portion", {
    "type": ["string", "integer"],
    "description": "How many of several: a count, `12`, or a share of all, `95%`.",
    "pattern": format!("^[0-9]+$|{}", crate::SHARE),
    "minimum": 0,
    "examples": ["95%", 12]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_the_careful_side() {
        let portion = |text: &str| text.parse::<Portion>().unwrap();
        assert_eq!(portion("95%").at_least(100), 95);
        assert_eq!(portion("95%").at_least(101), 96);
        assert_eq!(portion("99.9%").at_least(5000), 4995);
        assert_eq!(portion("100%").at_least(7), 7);
        assert_eq!(portion("12").at_least(100), 12);
        assert_eq!(portion("1%").at_most(450), 4);
        assert_eq!(portion("1%").at_most(99), 0);
        assert_eq!(portion("7%").at_most(100), 7);
        for wrong in ["", "-1", "101%", "x%", "1.5", "NaN%"] {
            assert!(wrong.parse::<Portion>().is_err(), "{wrong}");
        }
    }
}
