//! Words and numbers as a person reads them.

use model::text::decimals;
pub(crate) use model::text::{plain as shown, span};

/// A number with as many digits as tell something.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 1.0 => 2,
        _ => 4,
    };
    decimals(value, digits)
}
