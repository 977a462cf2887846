//! Numbers as a person reads them.

use model::text::decimals;

/// Three digits that say something.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value > 0.0 { "∞" } else { "0" }.to_owned();
    }
    // Its further digits are not known.
    if value.abs() >= 1e15 {
        return format!("{value:.2e}");
    }
    let digits = match value.abs() {
        0.0 | 100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    decimals(value, digits)
}

/// An e-value's logarithm.
pub(crate) fn evidence(ln_e: f64) -> String {
    match ln_e {
        f64::NEG_INFINITY => "none".to_owned(),
        // Not `-0.0`.
        _ if ln_e.abs() < 0.05 => "0.0".to_owned(),
        _ => format!("{ln_e:.1}"),
    }
}

/// An estimate, to the two digits that are known of it, and no less.
pub(crate) fn about(count: u64) -> String {
    let unit = 10_u64.pow(count.checked_ilog10().unwrap_or_default().saturating_sub(1));
    (count.div_ceil(unit).saturating_mul(unit)).to_string()
}

/// A bound of a latency histogram in seconds.
pub(crate) fn seconds(bound: f64) -> String {
    config::value::Unit::Seconds.show(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_not_rounded_to_nothing() {
        let shown: Vec<_> = [2.136, 0.0, 0.00123, 250.4, 31.25, f64::INFINITY, 1e90]
            .map(number)
            .into();
        assert_eq!(
            shown,
            ["2.14", "0", "0.0012", "250", "31.2", "∞", "1.00e90"]
        );
        let shown: Vec<_> = [0, 7, 99, 101, 1_327_778, u64::MAX].map(about).into();
        let most = u64::MAX.to_string();
        assert_eq!(shown, ["0", "7", "99", "110", "1400000", &most]);
    }
}
