//! What a place reports about its files.

use std::time::Duration;

use config::file::BackupCheck;
use config::value::{Age, Size};
use jiff::SignedDuration;

use model::text::bytes;

/// How far the clock that dated a backup may be ahead of the clock of where it lies.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// One file, by the clock of where it lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) size: u64,
    /// Negative where it is dated in the future.
    pub(super) age: SignedDuration,
}

impl File {
    /// As old as it says; one that is being written may be a little ahead of the clock.
    pub(super) fn age(&self) -> Age {
        Age::from(Duration::try_from(self.age).unwrap_or_default())
    }
}

/// What a place tells.
pub(super) struct Backups {
    /// The newest, and the one before it.
    pub(super) files: Vec<File>,
    /// Whether the newest is complete; `None` if that was not checked.
    pub(super) proof: Option<Proof>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Proof {
    Intact,
    /// What the program that read it said.
    Damaged(String),
    /// It is whole, and not all that a backup has.
    Partial(dump::ContentsError),
    /// It could not be read to its end.
    Unknown {
        reason: String,
        hint: String,
    },
}

/// Before a file is read to its end: what is plain to see must be good.
pub(super) fn worth_reading(check: &BackupCheck, file: &File) -> bool {
    !from_the_future(check, file)
        && too_old(check, file).is_none()
        && too_small(check, file).is_none()
}

/// The real age of such a file is unknown, and it would be the newest forever.
pub(super) fn from_the_future(check: &BackupCheck, file: &File) -> bool {
    check.max_age.is_some() && -file.age > SKEW
}

pub(super) fn too_old(check: &BackupCheck, file: &File) -> Option<String> {
    let most = check.max_age?;
    let age = file.age();
    (age > most).then(|| format!("it is {age} old, {most} is allowed"))
}

pub(super) fn too_small(check: &BackupCheck, file: &File) -> Option<String> {
    let least = check.min_size.map_or(1, Size::get);
    (file.size < least).then(|| {
        let (has, least) = (bytes(file.size), bytes(least));
        format!("it has {has}, at least {least} are expected")
    })
}
