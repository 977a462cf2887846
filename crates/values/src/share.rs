//! A share of the requests.

use crate::error::{Error, Form};

/// A share of the requests, written `10%` or `0.5%`; in steps of 0.01 %, which is what nginx's
/// `split_clients` has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

impl Share {
    pub const NONE: Share = Share(0);
    pub const ALL: Share = Share(Self::WHOLE);

    /// The steps of [`Share::ALL`].
    pub const WHOLE: u16 = 10_000;

    /// From steps of 0.01 %; more than all is all.
    pub fn from_steps(steps: u16) -> Self {
        Share(steps.min(Self::WHOLE))
    }

    /// The nearest share of `part` in `whole`; none of nothing.
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Share::NONE;
        }
        let (part, whole) = (u128::from(part), u128::from(whole));
        let steps = (part * u128::from(Self::WHOLE) + whole / 2) / whole;
        Share::from_steps(u16::try_from(steps).unwrap_or(Self::WHOLE))
    }

    /// In steps of 0.01 %.
    pub fn steps(self) -> u16 {
        self.0
    }

    /// From 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// What the other side has.
    #[must_use]
    pub fn rest(self) -> Self {
        Share(Self::WHOLE - self.0)
    }

    pub fn is_none(self) -> bool {
        self == Share::NONE
    }

    pub fn is_all(self) -> bool {
        self == Share::ALL
    }
}

impl std::str::FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let Some(number) = text.strip_suffix('%') else {
            return Err(match text.parse::<f64>() {
                Ok(number) if 1.0 < number && number <= 100.0 => {
                    Form::Share.meant(text, format!("`{number}%`"))
                }
                Ok(number) if 0.0 < number && number < 1.0 => {
                    let percent = (number * 1e6).round() / 1e4;
                    Form::Share.meant(text, format!("`{percent}%`"))
                }
                _ => Form::Share.malformed(text),
            });
        };
        let malformed = || Form::Share.malformed(text);
        let number = number.trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let part = part.trim_end_matches('0');
        if whole.is_empty() || whole.len() > 3 || part.len() > 2 || !digits(whole) || !digits(part)
        {
            return Err(malformed());
        }
        let whole: u16 = whole.parse().map_err(|_| malformed())?;
        let part: u16 = format!("{part:0<2}").parse().map_err(|_| malformed())?;
        let steps = whole * 100 + part;
        if steps > Self::WHOLE {
            return Err(malformed());
        }
        Ok(Share(steps))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            part if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            part => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl serde::Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

textual!(Share, "Share", {
    "type": "string",
    "description": "A share of the requests, such as `10%`; in steps of 0.01 %.",
    "pattern": r"^\s*(?:100(?:\.0*)?|[0-9]{1,2}(?:\.[0-9]{1,2}0*)?)\s*%\s*$",
    "examples": ["10%", "0.5%"]
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_shown() {
        for (text, steps, shown) in [
            ("10%", 1000, "10%"),
            ("0%", 0, "0%"),
            (" 100 %", 10_000, "100%"),
            ("0.5%", 50, "0.5%"),
            ("0.05%", 5, "0.05%"),
            ("33.30%", 3330, "33.3%"),
            ("12.34%", 1234, "12.34%"),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.steps(), share.to_string().as_str()), (steps, shown));
        }
        for wrong in [
            "", "%", "101%", "100.01%", "-1%", "1.234%", "x%", "1e1%", "10",
        ] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
        let meant = |text: &str| text.parse::<Share>().unwrap_err().to_string();
        assert!(meant("10").ends_with("write `10%`"), "{}", meant("10"));
        assert!(meant("0.1").ends_with("write `10%`"), "{}", meant("0.1"));
    }

    #[test]
    fn a_share_is_counted() {
        assert_eq!(Share::of(1, 10).to_string(), "10%");
        assert_eq!(Share::of(1, 3).to_string(), "33.33%");
        assert_eq!(Share::of(0, 0), Share::NONE);
        assert_eq!(Share::of(u64::MAX, u64::MAX), Share::ALL);
        assert_eq!(Share::of(1, 10).rest().to_string(), "90%");
    }
}
