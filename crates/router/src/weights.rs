//! A split as two weights, for routers that know shares only as those.

use config::value::{Share, Side, Split};

/// What each side has of the sum of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) blue: u32,
    pub(crate) green: u32,
}

impl Weights {
    /// The smallest ones for a split, if their sum is at most `most`; else those of the nearest whole
    /// parts of `most`, where a side that gets something does not get nothing.
    pub(crate) fn of(split: Split, most: u32) -> Weights {
        let (green, whole) = (
            u32::from(split.of(Side::Green).steps()),
            u32::from(Share::WHOLE),
        );
        let divisor = common(green, whole);
        let (mut green, mut sum) = (green / divisor, whole / divisor);
        if sum > most {
            green = (green * most + sum / 2) / sum;
            green = green.clamp(1, most - 1);
            let divisor = common(green, most);
            (green, sum) = (green / divisor, most / divisor);
        }
        Weights {
            blue: sum - green,
            green,
        }
    }

    pub(crate) fn of_side(self, side: Side) -> u32 {
        match side {
            Side::Blue => self.blue,
            Side::Green => self.green,
        }
    }

    /// `None` where no side has any.
    pub(crate) fn split(self) -> Option<Split> {
        let (blue, green) = (u64::from(self.blue), u64::from(self.green));
        let share = match (blue, green) {
            (0, 0) => return None,
            (0, _) => Share::ALL,
            (_, 0) => Share::NONE,
            // A weight that is rounded to nothing still gets requests.
            _ => {
                let steps = Share::of(green, blue + green).steps();
                Share::from_steps(steps.clamp(1, Share::WHOLE - 1))
            }
        };
        Some(Split::giving(Side::Green, share))
    }

    /// The sides in turns, each as often as its weight and as evenly as can be: never more of one in a
    /// row than its part makes necessary.
    pub(crate) fn in_turns(self) -> Vec<Side> {
        let sum = self.blue + self.green;
        let turn = |nth: u32| {
            // Where the count of green turns grows.
            let before = nth * self.green / sum;
            let after = (nth + 1) * self.green / sum;
            if after > before {
                Side::Green
            } else {
                Side::Blue
            }
        };
        (0..sum).map(turn).collect()
    }
}

fn common(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(share: &str, most: u32) -> (u32, u32) {
        let split = Split::giving(Side::Green, share.parse().unwrap());
        let Weights { blue, green } = Weights::of(split, most);
        (blue, green)
    }

    #[test]
    fn weights_are_the_smallest_that_fit() {
        for (share, most, expected) in [
            ("0%", 100, (1, 0)),
            ("100%", 100, (0, 1)),
            ("10%", 100, (9, 1)),
            ("50%", 100, (1, 1)),
            ("12.5%", 100, (7, 1)),
            ("37.5%", 100, (5, 3)),
            ("33.33%", 100, (67, 33)),
            ("33.33%", 10_000, (6667, 3333)),
            ("33.33%", 1000, (667, 333)),
            ("0.01%", 100, (99, 1)),
            ("99.99%", 100, (1, 99)),
            ("0.01%", 999, (998, 1)),
        ] {
            assert_eq!(weights(share, most), expected, "{share} of {most}");
        }
    }

    #[test]
    fn what_weights_express_is_found_again() {
        for steps in 0..=Share::WHOLE {
            let split = Split::giving(Side::Green, Share::from_steps(steps));
            assert_eq!(Weights::of(split, 10_000).split(), Some(split));
            let near = Weights::of(split, 100);
            assert!(near.blue + near.green <= 100);
            let shown = near.split().unwrap();
            assert_eq!(Weights::of(shown, 100), near, "{split}: settled");
            assert_eq!(shown.whole(), split.whole(), "{split}");
        }
        let split = |blue, green| Weights { blue, green }.split();
        assert_eq!(split(0, 0), None);
        assert_eq!(
            split(u32::MAX, 1).unwrap().to_string(),
            "blue 99.99%, green 0.01%"
        );
    }

    #[test]
    fn turns_are_even() {
        let turns = |blue, green| -> String {
            let turns = Weights { blue, green }.in_turns();
            turns.iter().map(|side| &side.as_str()[..1]).collect()
        };
        assert_eq!(turns(9, 1), "bbbbbbbbbg");
        assert_eq!(turns(1, 1), "bg");
        assert_eq!(turns(3, 2), "bbgbg");
        assert_eq!(turns(1, 3), "bggg");
        assert_eq!((turns(1, 0), turns(0, 1)), ("b".to_owned(), "g".to_owned()));
    }
}
