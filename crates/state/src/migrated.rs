//! A change of the database's schema, and the releases that work with it.

use crate::database::DatabaseSchema;
use crate::document::{Document, Entry};

/// A change of the schema, and whom it leaves behind.
#[derive(Clone, Debug)]
pub struct SchemaChange<'a> {
    pub now: DatabaseSchema,
    /// Whether what worked before works on: nothing was dropped, renamed or narrowed.
    pub is_compatible: bool,
    /// Releases that are known to work with it all the same.
    pub works_with: &'a [String],
}

impl Document {
    /// Whether a release is recorded to work with a schema revision.
    pub fn works_with(&self, release: &str, revision: &str) -> bool {
        let entry = self.entry(release);
        entry.is_some_and(|entry| entry.works_with(revision))
    }

    /// Records a change of the schema. A release that ran on the one before works with the new one where
    /// the change is compatible, or where it is known to.
    pub fn migrated(&mut self, change: SchemaChange<'_>) {
        let SchemaChange {
            now,
            is_compatible,
            works_with,
        } = change;
        let ran = |document: &Document, entry: &Entry| {
            let serves = [&document.current, &document.last_known_good];
            serves
                .into_iter()
                .any(|name| name.as_ref() == Some(&entry.release))
        };
        let ran: Vec<bool> = self.history.iter().map(|entry| ran(self, entry)).collect();
        let rule = self.rule;
        for (entry, ran) in self.history.iter_mut().zip(ran) {
            let worked = match &now.previous {
                Some(previous) => {
                    if ran && entry.schema_revision.is_none() {
                        entry.schema_revision = Some(previous.clone());
                    }
                    entry.works_with(previous)
                }
                None => ran,
            };
            let named = [&now.release].into_iter().flatten().chain(works_with);
            let mut named = named.filter(|name| rule.same(name, &entry.release));
            if worked && is_compatible || named.next().is_some() {
                entry.fits(&now.revision);
            }
        }
        if let Some(release) = &now.release {
            self.forced(release, &now.forced);
        }
        self.database = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Status;
    use crate::forced::Forced;
    use jiff::Timestamp;

    fn change(revision: &str, previous: Option<&str>) -> DatabaseSchema {
        DatabaseSchema {
            revision: revision.to_owned(),
            previous: previous.map(str::to_owned),
            at: Timestamp::UNIX_EPOCH,
            release: Some("v3".to_owned()),
            run: None,
            by: "me".to_owned(),
            forced: Vec::new(),
        }
    }

    fn document() -> Document {
        let mut document = Document::new(None, None);
        for (release, status) in [
            ("v0", Status::Good),
            ("v1", Status::Good),
            ("v2", Status::Pending),
        ] {
            document.deployed(release, status, Timestamp::UNIX_EPOCH, None);
        }
        document
    }

    fn migrate(document: &mut Document, now: DatabaseSchema, is_compatible: bool, works: &[&str]) {
        let works: Vec<String> = works.iter().map(|name| (*name).to_owned()).collect();
        document.migrated(SchemaChange {
            now,
            is_compatible,
            works_with: &works,
        });
    }

    #[test]
    fn who_ran_on_the_schema_before_works_with_one_that_only_adds() {
        let mut document = document();
        migrate(&mut document, change("b", Some("a")), true, &[]);
        assert_eq!(document.schema_in_force(), Some(("v3", "b")));
        assert!(document.works_with("v1", "a") && document.works_with("v1", "b"));
        assert!(document.works_with("v2", "b"));
        assert!(
            !document.works_with("v0", "b"),
            "it is not known on which schema it ran"
        );
        migrate(&mut document, change("c", Some("b")), true, &[]);
        assert!(document.works_with("v1", "c"));
        document.deployed("v3", Status::Good, Timestamp::UNIX_EPOCH, None);
        assert!(document.works_with("v3", "c") && !document.works_with("v3", "b"));
    }

    #[test]
    fn one_that_takes_away_leaves_behind_all_that_are_not_known_to_work_with_it() {
        let mut document = document();
        migrate(&mut document, change("b", Some("a")), false, &["v2"]);
        assert!(document.works_with("v2", "b"));
        assert!(!document.works_with("v1", "b"));
        // Back on the schema before: who ran on it fits again.
        migrate(&mut document, change("a", Some("b")), false, &[]);
        assert_eq!(document.schema_in_force(), Some(("v3", "a")));
        assert!(document.works_with("v1", "a"));
    }

    /// Whether it was deployed before the migration, or is deployed after it.
    #[test]
    fn a_release_keeps_the_rules_that_were_lifted_for_its_migration() {
        let lifted = Forced {
            rule: "contract".to_owned(),
            reason: "no one reads it".to_owned(),
            by: "me".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        let migrate = |document: &mut Document| {
            let now = DatabaseSchema {
                forced: vec![lifted.clone()],
                ..change("2", Some("1"))
            };
            migrate(document, now, true, &[]);
        };
        let deploy = |document: &mut Document| {
            document.deployed("v3", Status::Pending, Timestamp::UNIX_EPOCH, None);
        };
        let (mut before, mut after) = (document(), document());
        deploy(&mut before);
        migrate(&mut before);
        migrate(&mut after);
        deploy(&mut after);
        deploy(&mut after);
        for document in [before, after] {
            let forced = |release| document.entry(release).map(|entry| &entry.forced[..]);
            assert_eq!(forced("v3"), Some(&[lifted.clone()][..]));
            assert_eq!(forced("v2"), Some(&[][..]));
        }
    }
}
