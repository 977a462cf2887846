//! Whole numbers of events.

use crate::reading::error::ReadingError;

/// Above it a float may stand for more than one whole number.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Failures among all requests of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    failed: u64,
    total: u64,
}

impl Counts {
    pub fn new(failed: u64, total: u64) -> Result<Counts, ReadingError> {
        exact(total)?;
        if failed > total {
            return Err(ReadingError::MoreFailedThanTotal { failed, total });
        }
        Ok(Counts { failed, total })
    }

    /// From numbers of a source that knows only floats.
    pub fn from_floats(failed: f64, total: f64) -> Result<Counts, ReadingError> {
        Counts::new(whole(failed)?, whole(total)?)
    }

    pub fn failed(self) -> u64 {
        self.failed
    }

    pub fn total(self) -> u64 {
        self.total
    }
}

/// Events of one interval, with the total that they are part of where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    events: u64,
    total: Option<u64>,
}

impl Events {
    pub fn new(events: u64, total: Option<u64>) -> Result<Events, ReadingError> {
        exact(events)?;
        if let Some(total) = total {
            exact(total)?;
        }
        Ok(Events { events, total })
    }

    pub fn from_floats(events: f64, total: Option<f64>) -> Result<Events, ReadingError> {
        Events::new(whole(events)?, total.map(whole).transpose()?)
    }

    pub fn events(self) -> u64 {
        self.events
    }

    pub fn total(self) -> Option<u64> {
        self.total
    }
}

/// A float that counts events: an increase that was extrapolated has fractions, and no statistics
/// of counts holds for it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked before"
)]
pub fn whole(number: f64) -> Result<u64, ReadingError> {
    if number < 0.0 {
        return Err(ReadingError::Negative(number));
    }
    if number > MAX_EXACT as f64 {
        return Err(ReadingError::TooLarge(number));
    }
    if number.fract() == 0.0 {
        Ok(number as u64)
    } else {
        Err(ReadingError::Fraction(number))
    }
}

pub(super) fn exact(number: u64) -> Result<u64, ReadingError> {
    if number > MAX_EXACT {
        return Err(ReadingError::TooLarge(number as f64));
    }
    Ok(number)
}
