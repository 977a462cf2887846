//! The two that are compared.

use std::fmt;

/// One of the two that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SideName {
    Canary,
    Stable,
}

impl SideName {
    pub const BOTH: [SideName; 2] = [SideName::Canary, SideName::Stable];
}

impl fmt::Display for SideName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SideName::Canary => "canary",
            SideName::Stable => "stable",
        })
    }
}

/// A value for each side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerSide<T> {
    pub canary: T,
    pub stable: T,
}

impl<T> PerSide<T> {
    pub fn of(&self, side: SideName) -> &T {
        match side {
            SideName::Canary => &self.canary,
            SideName::Stable => &self.stable,
        }
    }

    pub(crate) fn of_mut(&mut self, side: SideName) -> &mut T {
        match side {
            SideName::Canary => &mut self.canary,
            SideName::Stable => &mut self.stable,
        }
    }
}
