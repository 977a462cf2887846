//! Why a rollback must not be made, as far as the state tells. Asked before anything is changed.

use cli::force::Lifting;
use model::{Id, Outcome};
use state::{Document, Rule, Status};

/// The destination, or the rule that forbids the rollback with the next step.
/// `to` is `--to`.
pub(crate) fn destination(
    document: Option<&Document>,
    to: Option<&str>,
    force: &mut Lifting,
) -> Result<String, Box<Outcome>> {
    let Some(document) = document else {
        return Err(nowhere());
    };
    if let Some(outcome) = frozen(document) {
        force.refuse(Rule::Frozen, outcome)?;
    }
    let destination = match to {
        Some(to) => document.name_of(to),
        None => document.last_known_good.clone().ok_or_else(nowhere)?,
    };
    if let Some(outcome) = document.refuse_known_bad(&destination) {
        let outcome = outcome.hint("choose another with `rollback history` and `--to`");
        force.refuse(Rule::KnownBad, outcome)?;
    } else if document.entry(&destination).is_none() {
        force.refuse(Rule::UnknownRelease, unknown(&destination))?;
    }
    if let Some(outcome) = schema(document, &destination) {
        force.refuse(Rule::Schema, outcome)?;
    }
    Ok(destination)
}

fn nowhere() -> Box<Outcome> {
    Box::new(
        Outcome::refused(Id::refused("no-last-known-good"), "")
            .expected("a release that was recorded good")
            .actual("none")
            .reason("no last-known-good release is recorded")
            .hint("after a deployment whose gate passed: `rollback record --release RELEASE`"),
    )
}

/// Refuses while the environment is frozen.
pub(crate) fn frozen(document: &Document) -> Option<Outcome> {
    document.refuse_frozen(document.environment.as_deref().unwrap_or_default())
}

fn unknown(destination: &str) -> Outcome {
    Rule::UnknownRelease
        .refusal(destination)
        .expected("a release of the history")
        .actual(format!("{destination} was never recorded"))
        .reason(format!(
            "{destination} was never recorded, so whether it is good is not known"
        ))
        .hint("see `rollback history`")
}

/// Whether the destination is recorded to work with the schema that the database has by now:
/// going back takes no migration back.
fn schema(document: &Document, destination: &str) -> Option<Outcome> {
    let (brought, revision) = document.schema_in_force()?;
    if document.works_with(destination, revision) {
        return None;
    }
    let entry = document.entry(destination);
    let mut known: Vec<&str> = entry
        .map(|entry| entry.compatible_with.iter().map(String::as_str).collect())
        .unwrap_or_default();
    known.extend(entry.and_then(|entry| entry.schema_revision.as_deref()));
    known.sort_unstable();
    known.dedup();
    let works = match known.as_slice() {
        [] => "no schema revision that it works with is recorded".to_owned(),
        known => format!("it works with {}", known.join(", ")),
    };
    let others: Vec<&str> = document
        .history
        .iter()
        .filter(|entry| entry.status == Status::Good)
        .filter(|entry| entry.works_with(revision))
        .map(|entry| entry.release.as_str())
        .take(3)
        .collect();
    let instead = match others.first() {
        Some(other) => format!(
            "or go back to one that works with it ({}): `rollback run --to {other}`",
            others.join(", ")
        ),
        None => "or undo it (`migrate undo`), or restore the database from its backup (`migrate restore`) first".to_owned(),
    };
    Some(
        Rule::Schema.refusal(destination)
            .expected(format!("{destination} works with schema {revision}"))
            .actual(works.clone())
            .reason(format!(
                "the database has schema {revision} since {brought}, and {destination} does not fit: {works}"
            ))
            .hint(format!(
                "fix forward: finish the migration and deploy a release that works with {revision}; {instead}"
            )),
    )
}

/// Refuses to go where the service already is.
pub(crate) fn already_there(document: &Document, destination: &str, evidence: &str) -> Outcome {
    let earlier = document
        .newest_good(Some(destination))
        .map(|entry| entry.release.as_str());
    let hint = match earlier {
        Some(earlier) => format!(
            "the newest good release before it: `rollback run --to {earlier}`; if a release that was not recorded runs, name it: `--release RELEASE`"
        ),
        None => {
            "if a release that was not recorded runs, name it: `rollback run --release RELEASE`"
                .to_owned()
        }
    };
    Outcome::refused(Id::refused("already-there"), destination)
        .expected("another release than the destination runs")
        .actual(format!("{destination} runs ({evidence})"))
        .reason(format!("{destination} is what runs already ({evidence})"))
        .hint(hint)
}

/// Refuses to go anywhere while an earlier rollback is being undone.
pub(crate) fn aborting(destination: &str, reason: &str) -> Outcome {
    Outcome::refused(Id::refused("aborting"), destination)
        .expected("no unfinished rollback that is being undone")
        .actual(format!("one is being undone: {reason}"))
        .reason("what an earlier rollback changed is not put back yet")
        .hint("`rollback resume` puts the rest back; see `rollback status`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use state::Frozen;

    fn rule(change: impl FnOnce(&mut Document), to: Option<&str>, force: &[Rule]) -> String {
        let mut document = Document::new(None, None);
        document.deployed("v0", Status::Bad, Timestamp::UNIX_EPOCH, None);
        document.deployed("v1", Status::Good, Timestamp::UNIX_EPOCH, None);
        document.deployed("v2", Status::Pending, Timestamp::UNIX_EPOCH, None);
        change(&mut document);
        let mut force = Lifting::new(cli::force::forced(force, "test", "me"));
        match destination(Some(&document), to, &mut force) {
            Ok(destination) => destination,
            Err(outcome) => outcome.id.to_string(),
        }
    }

    #[test]
    fn each_rule_has_its_name_and_is_lifted_by_it_alone() {
        let freeze = |document: &mut Document| {
            document.frozen = Some(Frozen {
                reason: "r".into(),
                by: "b".into(),
                at: Timestamp::UNIX_EPOCH,
            });
        };
        let forget = |document: &mut Document| document.last_known_good = None;
        assert_eq!(rule(|_| (), None, &[]), "v1");
        assert_eq!(rule(|_| (), Some("v0"), &[]), "refused/known-bad");
        assert_eq!(
            rule(|_| (), Some("v0"), &[Rule::Frozen]),
            "refused/known-bad"
        );
        assert_eq!(rule(|_| (), Some("v0"), &[Rule::KnownBad]), "v0");
        assert_eq!(rule(|_| (), Some("v9"), &[]), "refused/unknown-release");
        assert_eq!(rule(|_| (), Some("v9"), &[Rule::UnknownRelease]), "v9");
        assert_eq!(rule(freeze, None, &[]), "refused/frozen");
        assert_eq!(rule(freeze, None, &[Rule::Frozen]), "v1");
        assert_eq!(
            rule(forget, None, &[Rule::Frozen]),
            "refused/no-last-known-good"
        );
    }

    #[test]
    fn a_destination_fits_the_schema_that_the_database_has() {
        let brings = |of: &[(&'static str, Option<&'static str>, &'static [&'static str])]| {
            let of = of.to_vec();
            move |document: &mut Document| {
                for entry in &mut document.history {
                    for (release, revision, works) in &of {
                        if entry.release == *release {
                            entry.schema_revision = revision.map(str::to_owned);
                            entry.compatible_with = works.iter().map(|w| (*w).to_owned()).collect();
                        }
                    }
                }
            }
        };
        // No revision is recorded, or the same one.
        assert_eq!(rule(brings(&[]), None, &[]), "v1");
        let same = brings(&[("v1", Some("7"), &[]), ("v2", Some("7"), &[])]);
        assert_eq!(rule(same, None, &[]), "v1");
        let known = brings(&[("v1", Some("7"), &["8"]), ("v2", Some("8"), &[])]);
        assert_eq!(rule(known, None, &[]), "v1");
        let outside = || brings(&[("v1", Some("7"), &["6"]), ("v2", Some("8"), &["7"])]);
        assert_eq!(rule(outside(), None, &[]), "refused/schema");
        assert_eq!(rule(outside(), None, &[Rule::Schema]), "v1");
        // Silence is not a yes.
        let silent = brings(&[("v2", Some("8"), &[])]);
        assert_eq!(rule(silent, None, &[]), "refused/schema");
        // What was left brought its migration all the same.
        let left = |document: &mut Document| {
            outside()(document);
            document.rolled_back(Some("v2"), "v1", true, Timestamp::UNIX_EPOCH);
        };
        assert_eq!(rule(left, Some("v1"), &[]), "refused/schema");
    }
}
