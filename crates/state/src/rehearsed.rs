//! Rehearsals that are noted and found again.

use crate::document::Document;
use crate::rehearsal::{Rehearsal, RehearsedMigration};

/// How many rehearsals are kept; the oldest are forgotten.
const REHEARSALS: usize = 10;

impl Document {
    /// Notes a rehearsal; an older one of the same change is forgotten.
    pub fn rehearsed(&mut self, rehearsal: Rehearsal) {
        self.rehearsals.retain(|old| {
            old.revision != rehearsal.revision || old.migrations != rehearsal.migrations
        });
        self.rehearsals.insert(0, rehearsal);
        self.rehearsals.truncate(REHEARSALS);
    }

    /// The rehearsal of these migrations, byte for byte, on this revision.
    pub fn rehearsal(
        &self,
        revision: Option<&str>,
        migrations: &[RehearsedMigration],
    ) -> Option<&Rehearsal> {
        let mut all = self.rehearsals.iter();
        all.find(|one| one.revision.as_deref() == revision && one.migrations == migrations)
    }

    /// The newest rehearsal in which this migration was the last, as its file was then: the way down from it was tried.
    pub fn rehearsal_of_last(&self, last: &RehearsedMigration) -> Option<&Rehearsal> {
        self.rehearsals
            .iter()
            .find(|one| one.migrations.last() == Some(last))
    }

    /// The backups that must not be removed.
    pub fn named_backups(&self) -> impl Iterator<Item = &str> {
        let kept = self.backup.iter().map(|backup| backup.id.as_str());
        kept.chain(
            self.rehearsals
                .iter()
                .filter_map(|one| one.backup.as_deref()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn rehearsal(revision: &str, sha256: &str, took_ms: u64) -> Rehearsal {
        Rehearsal {
            at: Timestamp::UNIX_EPOCH,
            revision: Some(revision.to_owned()),
            migrations: vec![RehearsedMigration {
                id: "3".to_owned(),
                sha256: sha256.to_owned(),
            }],
            passed: true,
            reversible: true,
            compatible: Some(true),
            destructive: false,
            reason: None,
            release: None,
            backup: Some(format!("backup of {took_ms}")),
            took_ms,
        }
    }

    #[test]
    fn a_rehearsal_is_of_the_same_files_on_the_same_revision() {
        let mut document = Document::new(None, None);
        document.rehearsed(rehearsal("2", "aa", 1));
        document.rehearsed(rehearsal("2", "bb", 2));
        document.rehearsed(rehearsal("2", "aa", 3));
        let of = |revision: &str, sha256: &str| {
            let wanted = rehearsal(revision, sha256, 0).migrations;
            let found = document.rehearsal(Some(revision), &wanted);
            found.map(|found| found.took_ms)
        };
        assert_eq!(of("2", "aa"), Some(3));
        assert_eq!(of("2", "bb"), Some(2));
        assert_eq!(of("2", "cc"), None);
        assert_eq!(of("1", "aa"), None);
        let last = &rehearsal("2", "bb", 0).migrations[0];
        assert_eq!(
            document.rehearsal_of_last(last).map(|found| found.took_ms),
            Some(2)
        );
        let named: Vec<&str> = document.named_backups().collect();
        assert_eq!(named, ["backup of 3", "backup of 2"]);
        for nth in 0..20 {
            document.rehearsed(rehearsal(&nth.to_string(), "aa", nth));
        }
        assert_eq!(document.rehearsals.len(), REHEARSALS);
    }
}
