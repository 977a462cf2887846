//! A number with its unit, as a bound is written.

use super::error::{Error, Form};
use super::{Size, Span};

/// A number: plain, a share of one (`5%`), seconds (`3s`, `250ms`) or bytes (`64KiB`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    value: f64,
    unit: Unit,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    #[default]
    Plain,
    /// Of a hundred; the number itself is of one.
    Percent,
    Seconds,
    Bytes,
}

const BYTES: [(&str, f64); 6] = [
    ("GiB", 1_073_741_824.0),
    ("GB", 1e9),
    ("MiB", 1_048_576.0),
    ("MB", 1e6),
    ("KiB", 1024.0),
    ("kB", 1e3),
];

impl Quantity {
    /// Of a hundred.
    pub const fn percent(percent: f64) -> Quantity {
        Quantity {
            value: percent / 100.0,
            unit: Unit::Percent,
        }
    }

    pub const fn seconds(seconds: f64) -> Quantity {
        Quantity {
            value: seconds,
            unit: Unit::Seconds,
        }
    }

    /// As Prometheus counts: `5%` is 0.05, `250ms` is 0.25.
    pub const fn get(self) -> f64 {
        self.value
    }

    pub const fn unit(self) -> Unit {
        self.unit
    }
}

impl Unit {
    /// A number of this unit, as a person would write it.
    pub fn show(self, value: f64) -> String {
        let short = |value: f64| {
            // Four digits behind the point tell a bound from what is just beyond it.
            let text = format!("{value:.4}");
            let text = text.trim_end_matches('0').trim_end_matches('.');
            // What is too small for them is shown whole.
            if value != 0.0 && text.trim_start_matches('-') == "0" {
                format!("{value}")
            } else {
                text.to_owned()
            }
        };
        match self {
            _ if !value.is_finite() => value.to_string(),
            Unit::Plain => short(value),
            Unit::Percent => format!("{}%", short(value * 100.0)),
            Unit::Seconds if value.abs() < 1.0 && value != 0.0 => {
                format!("{}ms", short(value * 1000.0))
            }
            Unit::Seconds => format!("{}s", short(value)),
            Unit::Bytes => {
                // The largest unit that it is a whole number of, else the largest one of the powers of two.
                let parts = BYTES.iter().filter(|(_, factor)| value.abs() >= *factor);
                let whole = parts.clone().find(|(_, factor)| value % factor == 0.0);
                match whole.or_else(|| parts.clone().find(|(unit, _)| unit.contains('i'))) {
                    Some((unit, factor)) => format!("{} {unit}", short(value / factor)),
                    None => format!("{} bytes", short(value)),
                }
            }
        }
    }
}

impl std::str::FromStr for Quantity {
    type Err = Error;

    #[expect(
        clippy::cast_precision_loss,
        reason = "a bound in bytes needs no more than the 53 bits that a float has"
    )]
    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let quantity = |value, unit| Quantity { value, unit };
        let finite = |text: &str| {
            let number: Option<f64> = text.trim().parse().ok();
            // Rust parses `inf` and `nan` as numbers, but they are useless as bounds.
            number.filter(|number| number.is_finite())
        };
        if let Some(number) = finite(text) {
            return Ok(quantity(number, Unit::Plain));
        }
        if let Some(number) = text.strip_suffix('%').and_then(finite) {
            return Ok(quantity(number / 100.0, Unit::Percent));
        }
        if let Ok(span) = text.parse::<Span>() {
            return Ok(quantity(span.get().as_secs_f64(), Unit::Seconds));
        }
        if let Ok(size) = text.parse::<Size>() {
            return Ok(quantity(size.get() as f64, Unit::Bytes));
        }
        Err(Form::Quantity.malformed(text))
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.unit.show(self.value))
    }
}

textual!(Quantity, "Quantity", {
    "type": ["string", "number"],
    "description": "A number: plain, a share of one (`5%`), seconds (`3s`, `250ms`) or bytes (`64KiB`).",
    "pattern": format!(r"^\s*[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?\s*%?\s*$|{}|{}", crate::SPAN, crate::SIZE),
    "examples": [0.05, "5%", "3s"]
});

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(f64, String)> {
        let quantity: Quantity = text.parse().ok()?;
        Some((quantity.get(), quantity.to_string()))
    }

    #[test]
    fn numbers_are_read_with_their_unit() {
        for (text, value, shown) in [
            ("0.05", 0.05, "0.05"),
            ("-1", -1.0, "-1"),
            ("1e-7", 1e-7, "0.0000001"),
            ("5%", 0.05, "5%"),
            ("99.95 %", 0.9995, "99.95%"),
            ("3s", 3.0, "3s"),
            ("250ms", 0.25, "250ms"),
            ("1m 30s", 90.0, "90s"),
            ("64KiB", 65536.0, "64 KiB"),
            ("20MB", 2e7, "20 MB"),
            ("65537B", 65537.0, "64.001 KiB"),
            ("12B", 12.0, "12 bytes"),
        ] {
            let (read, again) = read(text).unwrap_or_default();
            assert!((read - value).abs() < 1e-12, "{text}: {read}");
            assert_eq!(again, shown, "{text}");
        }
        for wrong in ["", "much", "nan", "inf", "-inf", "inf%", "5 apples", "%"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
