//! The state document, version 1: what a person reads at three in the morning with `jq`.

use jiff::{SignedDuration, Timestamp};
use model::release::{Match, Releases};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Holder;
use crate::database::DatabaseSchema;
use crate::forced::Forced;
use crate::rehearsal::{KeptBackup, Rehearsal};
use crate::rollout::{OldSide, Rollout};

/// The form of a document, as `cargo xtask generate` writes it from the types below.
pub const JSON_SCHEMA: &str = include_str!("../../../schema/state.schema.json");

/// The value of `schema`.
pub const SCHEMA: &str = "deploy-guard/state/v1";

/// Older releases are forgotten, so that the file stays one that a person can read.
const HISTORY: usize = 200;
/// Maximum number of lifted rules kept per release.
const FORCED: usize = 20;

/// How many revisions of a release are kept; the oldest are forgotten.
const REVISIONS: usize = 50;

/// What we know of a service's releases in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `deploy-guard/state/v1`.
    pub schema: String,
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub environment: Option<String>,
    /// Grows by one with each write.
    pub generation: u64,
    /// A random word for each write: a writer that lost the answer recognises its own write by it.
    #[serde(default)]
    pub write: Option<String>,
    /// The release that was deployed last, good or not.
    #[serde(default)]
    pub current: Option<String>,
    /// The newest release that was recorded good and not found bad since.
    #[serde(default)]
    pub last_known_good: Option<String>,
    /// Newest first.
    #[serde(default)]
    pub history: Vec<Entry>,
    /// Who is changing the service now.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// The fencing token that was given out last; it only grows.
    #[serde(default)]
    pub last_token: u64,
    /// Set when no more deployments are allowed.
    #[serde(default)]
    pub frozen: Option<Frozen>,
    /// A release that has a share of the requests beside another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// The side that the last rollout left, where that is to be stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_side: Option<OldSide>,
    /// The schema that the database has, where `migrate` changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseSchema>,
    /// The newest backup of the database that `migrate` took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<KeptBackup>,
    /// The newest changes of the schema that were tried on a copy, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rehearsals: Vec<Rehearsal>,
    /// When a rollback was last rehearsed.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub last_drill: Option<Timestamp>,
    /// The rehearsal that found out how long a rollback takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsed: Option<RehearsedRollback>,
    /// How its releases' names are compared: the configuration's word, which is not written down.
    #[serde(skip)]
    pub rule: Match,
}

/// One release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub release: String,
    #[serde(default)]
    pub digest: Option<String>,
    /// The image that runs, such as `ghcr.io/acme/shop:v1.2.4`.
    #[serde(default)]
    pub image: Option<String>,
    /// The ECS task definition that runs: `family:revision` or its ARN.
    #[serde(default)]
    pub task_definition: Option<String>,
    pub status: Status,
    #[schemars(with = "String")]
    pub deployed_at: Timestamp,
    /// When the status was set, if later than the deployment.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub changed_at: Option<Timestamp>,
    /// The workflow run that deployed it.
    #[serde(default)]
    pub run: Option<String>,
    /// The database schema's revision that it brought.
    #[serde(default)]
    pub schema_revision: Option<String>,
    /// The revision that the database had already when an older release was deployed again, which
    /// took no migration back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_found: Option<String>,
    /// Schema revisions that it can work with.
    #[serde(default)]
    pub compatible_with: Vec<String>,
    /// What is kept so that it can be gone back to.
    #[serde(default)]
    pub retained: Vec<String>,
    /// The safety rules that were lifted so that it could be deployed, or gone back to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<Forced>,
}

/// What is known of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Its gate passed.
    Good,
    /// It was rolled back from; it is never a destination.
    Bad,
    /// Deployed, and not verified yet.
    Pending,
    /// Left without a finding against it; a destination only by name.
    RolledBack,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Good => "good",
            Status::Bad => "bad",
            Status::Pending => "pending",
            Status::RolledBack => "rolled-back",
        }
    }
}

/// The lease for a whole operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    pub holder: Holder,
    /// What the holder is doing: `record`, `rollback`.
    pub operation: String,
    /// Where a rollback goes to, so that it can be resumed before its journal exists.
    #[serde(default)]
    pub destination: Option<String>,
    /// The safety rules that a rollback lifts, for the same end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forced: Vec<Forced>,
    /// No gate judged the release that a rollback leaves, for the same end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unjudged: bool,
    #[schemars(with = "String")]
    pub acquired: Timestamp,
    #[schemars(with = "String")]
    pub expires: Timestamp,
    /// A writer with another token lost the lock and cannot write.
    pub token: u64,
}

/// Two machines' clocks may differ by this much: for so long a lease goes on by the clock of
/// another machine than its holder's.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(1);

impl Lock {
    /// Whether its time is over for certain, whichever clock is right.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let skew = if self.holder.shares_clock() {
            SignedDuration::ZERO
        } else {
            CLOCK_SKEW
        };
        now.checked_sub(skew).is_ok_and(|now| self.expires <= now)
    }
}

/// The whole way back to a release, walked without a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RehearsedRollback {
    /// Where it leads to.
    pub destination: String,
    /// How long it would take.
    pub takes_ms: u64,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// Why no deployment is allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frozen {
    pub reason: String,
    pub by: String,
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl Document {
    pub fn new(service: Option<String>, environment: Option<String>) -> Self {
        Document {
            schema: SCHEMA.to_owned(),
            service,
            environment,
            generation: 0,
            write: None,
            current: None,
            last_known_good: None,
            history: Vec::new(),
            lock: None,
            last_token: 0,
            frozen: None,
            rollout: None,
            old_side: None,
            database: None,
            backup: None,
            rehearsals: Vec::new(),
            last_drill: None,
            rehearsed: None,
            rule: Match::default(),
        }
    }

    /// The same document, its releases compared by this rule.
    #[must_use]
    pub fn comparing(mut self, rule: Match) -> Self {
        self.rule = rule;
        self
    }

    /// The entry of a release that was named to us: under its name, else under another name of the
    /// same release, such as its short commit id.
    pub fn entry(&self, release: &str) -> Option<&Entry> {
        self.position(release).map(|at| &self.history[at])
    }

    fn position(&self, release: &str) -> Option<usize> {
        let is = |entry: &Entry| entry.release == release;
        let same = |entry: &Entry| self.rule.same(&entry.release, release);
        let exact = self.history.iter().position(is);
        exact.or_else(|| self.history.iter().position(same))
    }

    /// The side that is still to be stopped, with this document; `None` where another release is live by now, or gets a
    /// share.
    pub fn side_to_stop(&self) -> Option<(&Document, &OldSide)> {
        let old = self.old_side.as_ref()?;
        let is_left = self.rollout.is_none() && self.current.as_ref() == Some(&old.release);
        is_left.then_some((self, old))
    }

    /// The name that the history has for a release that was named to us; that name itself where it
    /// has none.
    pub fn name_of(&self, release: &str) -> String {
        let known = self.entry(release).map(|entry| entry.release.as_str());
        known.unwrap_or(release).to_owned()
    }

    /// Every release that is known by name, so that an answer can be matched to them.
    pub fn releases(&self) -> Releases {
        let names = self.history.iter().map(|entry| entry.release.clone());
        let releases = Releases::new(self.rule, names);
        [&self.current, &self.last_known_good]
            .into_iter()
            .flatten()
            .fold(releases, |releases, name| releases.with(name))
    }

    /// The finding against a release: it was rolled back from, under this name or under a name
    /// from the service that proves it. A release that has since been recorded good under this very
    /// name is not known bad.
    pub fn known_bad(&self, release: &str) -> Option<&Entry> {
        let good = |entry: &Entry| entry.release == release && entry.status == Status::Good;
        if self.history.iter().any(good) {
            return None;
        }
        let means = |entry: &&Entry| {
            self.rule.same(&entry.release, release) || self.rule.proves(release, &entry.release)
        };
        let mut bad = self.history.iter().filter(means);
        bad.find(|entry| entry.status == Status::Bad)
    }

    pub fn status(&self, release: &str) -> Option<Status> {
        self.entry(release).map(|entry| entry.status)
    }

    /// Records that `release` was deployed now, and what is known of it. An older entry of the
    /// same release moves to the front.
    pub fn deployed(
        &mut self,
        release: &str,
        status: Status,
        at: Timestamp,
        run: Option<String>,
    ) -> &mut Entry {
        let known = self.position(release);
        let found = self.schema_in_force().map(|(_, found)| found.to_owned());
        let mut entry = match known {
            Some(at) => self.history.remove(at),
            None => Entry {
                release: release.to_owned(),
                digest: None,
                image: None,
                task_definition: None,
                status,
                deployed_at: at,
                changed_at: None,
                run: None,
                schema_revision: None,
                schema_found: None,
                compatible_with: Vec::new(),
                retained: Vec::new(),
                forced: Vec::new(),
            },
        };
        self.call(&mut entry, release);
        // A pending release that is now recorded was deployed when it became pending.
        if entry.status != Status::Pending || status == Status::Pending {
            entry.deployed_at = at;
        } else {
            entry.changed_at = Some(at);
        }
        entry.status = status;
        entry.run = run.or(entry.run);
        if entry.schema_revision.is_some() {
            entry.schema_found =
                found.filter(|found| entry.schema_revision.as_ref() != Some(found));
        }
        entry.deployed_on(self.database.as_ref());
        if let Some(database) = &self.database
            && let Some(migrated) = &database.release
            && self.rule.same(migrated, &entry.release)
        {
            entry.note_forced(&database.forced);
        }
        self.current = Some(entry.release.clone());
        if status == Status::Good {
            self.last_known_good = Some(entry.release.clone());
        }
        self.history.insert(0, entry);
        if self.history.len() > HISTORY {
            self.forget_oldest(HISTORY);
        }
        &mut self.history[0]
    }

    /// Of two names of one release the longer one is kept: a short commit id may come to mean two.
    fn call(&mut self, entry: &mut Entry, release: &str) {
        if release.len() <= entry.release.len() {
            return;
        }
        for name in [&mut self.current, &mut self.last_known_good] {
            if name.as_ref() == Some(&entry.release) {
                *name = Some(release.to_owned());
            }
        }
        release.clone_into(&mut entry.release);
    }

    /// Forgets the oldest releases until so many are left, but not the newest, the ones that run
    /// and can be gone back to, and the one that brought the database's schema; whether there was
    /// one to forget.
    pub(crate) fn forget_oldest(&mut self, left: usize) -> bool {
        let brought = self
            .schema_in_force()
            .map(|(release, _)| release.to_owned());
        let kept = [self.current.clone(), self.last_known_good.clone(), brought];
        let is_kept = |entry: &Entry| kept.iter().flatten().any(|kept| *kept == entry.release);
        let too_many = self.history.len().saturating_sub(left);
        let mut oldest: Vec<bool> = Vec::with_capacity(self.history.len());
        let mut forgotten = 0;
        for (at, entry) in self.history.iter().enumerate().rev() {
            let forget = forgotten < too_many && at > 0 && !is_kept(entry);
            forgotten += usize::from(forget);
            oldest.push(forget);
        }
        self.history.retain(|_| !oldest.pop().unwrap_or_default());
        forgotten > 0
    }

    /// Records that the service went back from `left` to `destination`. A destination that was
    /// `verified` is good, whatever was known of it; one that was not is what it was before.
    pub fn rolled_back(
        &mut self,
        left: Option<&str>,
        destination: &str,
        verified: bool,
        at: Timestamp,
    ) {
        let (rule, destination) = (self.rule, self.name_of(destination));
        let destination = destination.as_str();
        let left = left.map(|left| self.name_of(left));
        let left = left.as_deref();
        if let Some(left) = left.filter(|left| !rule.same(left, destination)) {
            if self.entry(left).is_none() {
                let current = self.current.clone();
                self.deployed(left, Status::Bad, at, None);
                self.current = current;
            }
            for entry in &mut self.history {
                if rule.same(&entry.release, left) {
                    entry.status = Status::Bad;
                    entry.changed_at = Some(at);
                }
            }
        }
        match self.history.iter_mut().find(|e| e.release == destination) {
            Some(entry) if verified && entry.status != Status::Good => {
                entry.status = Status::Good;
                entry.changed_at = Some(at);
            }
            None if verified => drop(self.deployed(destination, Status::Good, at, None)),
            _ => (),
        }
        self.current = Some(destination.to_owned());
        if self.status(destination) == Some(Status::Good) {
            self.last_known_good = Some(destination.to_owned());
        } else if self.last_known_good.as_deref() == left {
            self.last_known_good = self.newest_good(None).map(|entry| entry.release.clone());
        }
    }

    /// Records what was found of a release that had a share of the requests and never all of them.
    pub fn judged(&mut self, release: &str, status: Status, at: Timestamp) {
        let current = self.current.clone();
        let Some(known) = self.position(release) else {
            self.deployed(release, status, at, None);
            self.current = current;
            return;
        };
        let entry = &mut self.history[known];
        entry.status = status;
        entry.changed_at = Some(at);
        let name = entry.release.clone();
        if self.last_known_good.as_ref() == Some(&name) {
            self.last_known_good = self.newest_good(None).map(|good| good.release.clone());
        }
    }

    /// Records that `stable` has all requests again, which a rollout of `release` had a share of, and
    /// what was found of that release.
    pub fn gave_back(
        &mut self,
        release: &str,
        stable: Option<&str>,
        found: Option<Status>,
        at: Timestamp,
    ) {
        if let Some(status) = found {
            self.judged(release, status, at);
        }
        if let Some(entry) = stable.and_then(|stable| self.entry(stable)) {
            self.current = Some(entry.release.clone());
        }
    }

    /// Writes the rules down that were lifted to go to `destination`, each once.
    pub fn forced(&mut self, destination: &str, forced: &[Forced]) {
        let Some(at) = self.position(destination) else {
            return;
        };
        self.history[at].note_forced(forced);
    }

    /// The schema revision of the database, as far as it is recorded, and what brought it: what
    /// `migrate` proved, else that of the newest deployment that brought one. A rollback does not remove
    /// one.
    pub fn schema_in_force(&self) -> Option<(&str, &str)> {
        let newest = self.history.iter().find(|e| e.schema_revision.is_some());
        if let Some(database) = &self.database
            && newest.is_none_or(|newest| {
                newest.deployed_at <= database.at || newest.works_with(&database.revision)
            })
        {
            let release = database.release.as_deref().unwrap_or("`migrate`");
            return Some((release, &database.revision));
        }
        let newest = newest?;
        let Some(found) = newest.schema_found.as_deref() else {
            return Some((newest.release.as_str(), newest.schema_revision.as_deref()?));
        };
        let brought = |entry: &&Entry| entry.schema_revision.as_deref() == Some(found);
        let brought = self.history.iter().find(brought).unwrap_or(newest);
        Some((brought.release.as_str(), found))
    }

    /// The newest good release, other than `not`.
    pub fn newest_good(&self, not: Option<&str>) -> Option<&Entry> {
        self.history
            .iter()
            .filter(|entry| entry.status == Status::Good)
            .find(|entry| not.is_none_or(|not| !self.rule.same(&entry.release, not)))
    }
}

impl Entry {
    pub fn works_with(&self, revision: &str) -> bool {
        self.schema_revision.as_deref() == Some(revision)
            || self.compatible_with.iter().any(|known| known == revision)
    }

    /// It works with this revision, too.
    pub(crate) fn fits(&mut self, revision: &str) {
        if !self.works_with(revision) {
            self.compatible_with.push(revision.to_owned());
            let most = self.compatible_with.len().saturating_sub(REVISIONS);
            self.compatible_with.drain(..most);
        }
    }

    fn note_forced(&mut self, forced: &[Forced]) {
        for rule in forced {
            if !self.forced.contains(rule) {
                self.forced.push(rule.clone());
            }
        }
        let most = self.forced.len().saturating_sub(FORCED);
        self.forced.drain(..most);
    }

    /// It was deployed on the schema that the database has: it brought none of its own.
    fn deployed_on(&mut self, database: Option<&DatabaseSchema>) {
        let Some(database) = database else { return };
        if self.schema_revision.is_none() {
            self.schema_revision = Some(database.revision.clone());
        } else if self.status == Status::Good {
            self.fits(&database.revision);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn last_known_good_follows_what_was_recorded() {
        let at = Timestamp::UNIX_EPOCH;
        let mut document = Document::new(None, None);
        document.deployed("v1", Status::Good, at, None);
        document.deployed("v2", Status::Pending, at, None);
        assert_eq!(document.current.as_deref(), Some("v2"));
        assert_eq!(document.last_known_good.as_deref(), Some("v1"));
        document.rolled_back(Some("v2"), "v1", true, at);
        assert_eq!(document.current.as_deref(), Some("v1"));
        assert_eq!(document.status("v2"), Some(Status::Bad));
        assert_eq!(document.status("v1"), Some(Status::Good));
        document.rolled_back(Some("v3"), "v1", false, at);
        assert_eq!(
            document.status("v3"),
            Some(Status::Bad),
            "a release that was never recorded is bad, too"
        );
        document.rolled_back(Some("v1"), "v2", false, at);
        assert_eq!(
            document.last_known_good, None,
            "neither what was left nor what was not verified"
        );
        document.rolled_back(Some("v1"), "v9", true, at);
        assert_eq!(document.last_known_good.as_deref(), Some("v9"));
        assert_eq!(document.status("v9"), Some(Status::Good));
    }

    #[test]
    fn a_release_has_one_entry_whether_its_commit_id_is_told_short_or_full() {
        let at = Timestamp::UNIX_EPOCH;
        let full = "0fb16b11f9936e0374948c64e8c3b18db25b6fbf";
        for (first, then) in [(full, "0fb16b1"), ("0fb16b1", full), ("0FB16B1", full)] {
            let mut document = Document::new(None, None).comparing(Match::Prefix);
            document.deployed("1a2b3c4", Status::Good, at, None);
            document.deployed(first, Status::Pending, at, None);
            document.deployed(then, Status::Good, at, None);
            assert_eq!(document.history.len(), 2, "{first} {then}");
            assert_eq!(document.current.as_deref(), Some(full));
            assert_eq!(document.last_known_good.as_deref(), Some(full));
            assert_eq!(
                document.newest_good(Some("0fb16b1")).unwrap().release,
                "1a2b3c4"
            );
            document.rolled_back(Some("0fb16b1"), "1a2b3c4d5e", true, at);
            assert_eq!(document.status(full), Some(Status::Bad));
            assert!(document.known_bad(full).is_some() && document.known_bad("0fb16b1f").is_none());
            assert_eq!(document.last_known_good.as_deref(), Some("1a2b3c4"));
        }
        let mut exact = Document::new(None, None);
        exact.deployed(full, Status::Bad, at, None);
        assert!(exact.known_bad("0fb16b1").is_none(), "the rule is exact");
        assert!(exact.known_bad(&full.to_uppercase()).is_some());
    }

    #[test]
    fn a_finding_holds_for_what_the_service_called_the_release_and_not_for_the_next_one() {
        let at = Timestamp::UNIX_EPOCH;
        let mut document = Document::new(None, None).comparing(Match::Prefix);
        document.deployed("2.0.1+build5", Status::Bad, at, None);
        document.deployed("2.0", Status::Bad, at, None);
        assert!(document.known_bad("2.0.1").is_some());
        for other in ["2.0.10", "2.0.2", "2.1", "2.0.1+build6"] {
            assert!(document.known_bad(other).is_none(), "{other}");
        }
        document.deployed("2.0.1", Status::Good, at, None);
        assert!(document.known_bad("2.0.1").is_none(), "recorded good since");
    }

    #[test]
    fn of_very_many_releases_those_that_matter_are_kept_in_their_order() {
        let at = Timestamp::UNIX_EPOCH;
        let mut document = Document::new(None, None);
        document.deployed("good", Status::Good, at, None);
        let pattern = document.history[0].clone();
        let old = (0..10_000).map(|nth| Entry {
            release: format!("v{nth}"),
            status: Status::RolledBack,
            ..pattern.clone()
        });
        document.history.splice(0..0, old);
        assert!(document.forget_oldest(3));
        let left: Vec<_> = document
            .history
            .iter()
            .map(|e| e.release.as_str())
            .collect();
        assert_eq!(left, ["v0", "v1", "good"]);
        assert!(!document.forget_oldest(3));
        assert!(
            document.forget_oldest(0),
            "but v0, the newest, and the good one"
        );
        assert_eq!(document.history.len(), 2);
    }

    #[test]
    fn the_databases_schema_is_not_forgotten_and_not_taken_back() {
        let at = Timestamp::UNIX_EPOCH;
        let mut document = Document::new(None, None);
        for (release, revision) in [("v1", "1"), ("v2", "2")] {
            let entry = document.deployed(release, Status::Good, at, None);
            entry.schema_revision = Some(revision.to_owned());
        }
        assert_eq!(document.schema_in_force(), Some(("v2", "2")));
        document.deployed("v1", Status::Good, at, None);
        assert_eq!(document.schema_in_force(), Some(("v2", "2")), "v1 again");
        document.deployed("v1", Status::Good, at, None);
        assert_eq!(document.schema_in_force(), Some(("v2", "2")), "and again");
        for nth in 0..300 {
            document.deployed(&format!("v3.{nth}"), Status::Pending, at, None);
        }
        assert_eq!(document.history.len(), HISTORY);
        assert_eq!(document.schema_in_force(), Some(("v2", "2")));
        assert_eq!(document.last_known_good.as_deref(), Some("v1"));
        assert_eq!(document.status("v1"), Some(Status::Good));
        document.deployed("v2", Status::Good, at, None);
        assert_eq!(document.schema_in_force(), Some(("v2", "2")));
        let told = document.deployed("v1", Status::Good, at, None);
        (told.schema_revision, told.schema_found) = (Some("1".to_owned()), None);
        assert_eq!(
            document.schema_in_force(),
            Some(("v1", "1")),
            "a person said so"
        );
    }
}
