//! Ratios and decimals in whole numbers: no figure depends on how a float rounds.

use std::time::Duration;

use model::text::percent_of;

/// A part of a whole, of which there is at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    part: u64,
    whole: u64,
}

impl Ratio {
    /// `None` of nothing. A part is no larger than its whole.
    pub fn of(part: u64, whole: u64) -> Option<Ratio> {
        (whole > 0 && part <= whole).then_some(Ratio { part, whole })
    }

    pub fn part(self) -> u64 {
        self.part
    }

    pub fn whole(self) -> u64 {
        self.whole
    }

    /// How it compares with a percentage, exactly.
    pub fn cmp_percent(self, percent: u8) -> std::cmp::Ordering {
        let ours = u128::from(self.part) * 100;
        ours.cmp(&(u128::from(percent) * u128::from(self.whole)))
    }

    /// What it is at worst after `unknown` more of which nothing is known: `more_is_better` where
    /// the part is what one wants.
    pub(crate) fn at_worst(self, unknown: u64, more_is_better: bool) -> Ratio {
        let part = if more_is_better { 0 } else { unknown };
        Ratio {
            part: self.part.saturating_add(part),
            whole: self.whole.saturating_add(unknown),
        }
    }

    /// From 0 to 1, rounded half up to six decimals: `0.952381`.
    pub fn decimal(self) -> String {
        decimal(quotient(self.part.into(), self.whole.into(), 6), 6)
    }

    /// `95.24%`, rounded half up to two decimals.
    pub fn percent(self) -> String {
        percent_of(self.part, self.whole).unwrap_or_else(|| "0%".to_owned())
    }
}

/// `part / whole` in units of `10^-places`, rounded half up; nothing of nothing.
pub(crate) fn quotient(part: u128, whole: u128, places: u32) -> u128 {
    if whole == 0 {
        return 0;
    }
    let scale = 10_u128.pow(places);
    (part.saturating_mul(scale) + whole / 2) / whole
}

/// A number of units of `10^-places` as a decimal, without zeros at its end.
pub(crate) fn decimal(units: u128, places: usize) -> String {
    let digits = format!("{units:0>width$}", width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    match part.trim_end_matches('0') {
        "" => whole.to_owned(),
        part => format!("{whole}.{part}"),
    }
}

/// A time in seconds: `75.5`.
pub(crate) fn seconds(time: Duration) -> String {
    decimal(time.as_millis(), 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_rounded_half_up_and_never_by_a_float() {
        let ratio = |part, whole| Ratio::of(part, whole).unwrap();
        for (part, whole, decimal, percent) in [
            (0, 7, "0", "0%"),
            (7, 7, "1", "100%"),
            (20, 21, "0.952381", "95.24%"),
            (1, 3, "0.333333", "33.33%"),
            (2, 3, "0.666667", "66.67%"),
            (1, 2_000_000, "0.000001", "0%"),
            (1, 2_000_001, "0", "0%"),
            (19, 20, "0.95", "95%"),
            (u64::MAX, u64::MAX, "1", "100%"),
        ] {
            let ratio = ratio(part, whole);
            assert_eq!(
                (ratio.decimal(), ratio.percent()),
                (decimal.into(), percent.into())
            );
        }
        assert_eq!(Ratio::of(0, 0), None);
        assert_eq!(Ratio::of(2, 1), None);
        assert_eq!(seconds(Duration::from_millis(75_500)), "75.5");
        assert_eq!(seconds(Duration::from_millis(7)), "0.007");
    }

    #[test]
    fn ninety_five_of_a_hundred_is_not_more_than_ninety_five_percent() {
        use std::cmp::Ordering;
        let compared = |part, whole| Ratio::of(part, whole).unwrap().cmp_percent(95);
        assert_eq!(compared(95, 100), Ordering::Equal);
        assert_eq!(compared(190, 200), Ordering::Equal);
        assert_eq!(compared(950_001, 1_000_000), Ordering::Greater);
        assert_eq!(compared(u64::MAX - 1, u64::MAX), Ordering::Greater);
        assert_eq!(compared(94, 99), Ordering::Less);
    }
}
