//! How the requests are divided between two sides.

use std::fmt;

use crate::share::Share;
use crate::side::Side;

/// What each side gets; both together get all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    green: Share,
}

impl Split {
    /// This side gets this share, the other one the rest.
    pub fn giving(side: Side, share: Share) -> Split {
        Split {
            green: match side {
                Side::Blue => share.rest(),
                Side::Green => share,
            },
        }
    }

    pub fn of(self, side: Side) -> Share {
        match side {
            Side::Blue => self.green.rest(),
            Side::Green => self.green,
        }
    }

    /// The side that gets all requests.
    pub fn whole(self) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.of(*side).is_all())
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blue, green) = (self.of(Side::Blue), self.of(Side::Green));
        write!(f, "blue {blue}, green {green}")
    }
}
