//! What every kind of check tells of itself, and the rules of its kind.

use yaml::Fault;

use super::MigrationsCheck;
use sections::KeyPosition;

/// A kind of check, by the type of its entries in the file.
pub trait CheckConfig {
    /// The keys of which no two entries may have the same value: outcomes are named by them.
    const KEYS: &[&str];

    /// The rules of this kind that its type cannot state; `spot` is where the entry stands.
    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        let _ = spot;
        Ok(())
    }
}

impl CheckConfig for MigrationsCheck {
    const KEYS: &[&str] = &[];

    fn check(&self, spot: KeyPosition<'_>) -> Result<(), Fault> {
        MigrationsCheck::check(self, spot)
    }
}
