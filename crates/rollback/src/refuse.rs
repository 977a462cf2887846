//! Why a rollback must not be made. Asked before anything is changed.

use model::Outcome;
use state::{Document, Status};

/// What a rollback was asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// `--to`.
    pub(crate) to: Option<&'a str>,
    /// `--force`: lifts the rules of known-bad releases and frozen environments.
    pub(crate) force: bool,
}

/// The destination, or the rule that forbids the rollback with the next step.
pub(crate) fn destination(
    document: Option<&Document>,
    wish: Wish<'_>,
) -> Result<String, Box<Outcome>> {
    let refused = |rule: &str, subject: &str| Outcome::refused(format!("refused/{rule}"), subject);
    let nothing = || {
        Box::new(
            refused("no-last-known-good", "")
                .expected("a release that was recorded good")
                .actual("none")
                .reason("no last-known-good release is recorded")
                .hint("after a deployment whose gate passed: `rollback record --release VERSION`"),
        )
    };
    let Some(document) = document else {
        return Err(nothing());
    };
    if let Some(frozen) = &document.frozen
        && !wish.force
    {
        return Err(Box::new(
            refused(
                "frozen",
                document.environment.as_deref().unwrap_or_default(),
            )
            .expected("an environment that is not frozen")
            .actual(format!("frozen by {} at {}", frozen.by, frozen.at))
            .reason(format!("the environment is frozen: {}", frozen.reason))
            .hint("when a person has looked: `rollback unfreeze`, or `rollback run --force`"),
        ));
    }
    let destination = match wish.to {
        Some(to) => to.to_owned(),
        None => document.last_known_good.clone().ok_or_else(nothing)?,
    };
    let status = document.status(&destination);
    if status == Some(Status::Bad) && !wish.force {
        return Err(Box::new(
            refused("known-bad", &destination)
                .expected("a release that is not known bad")
                .actual(format!("{destination} is recorded bad"))
                .reason(format!(
                    "{destination} is known bad: it was rolled back from"
                ))
                .hint(
                    "choose another with `rollback history` and `--to`, or insist with `--force`",
                ),
        ));
    }
    if status.is_none() && !wish.force {
        return Err(Box::new(
            refused("unknown-release", &destination)
                .expected("a release of the history")
                .actual(format!("{destination} was never recorded"))
                .reason(format!(
                    "{destination} was never recorded, so nobody knows whether it is good"
                ))
                .hint("see `rollback history`, or insist with `--force`"),
        ));
    }
    Ok(destination)
}

/// Refuses to go where the service already is.
pub(crate) fn already_there(document: &Document, destination: &str, evidence: &str) -> Outcome {
    let earlier = document
        .newest_good(Some(destination))
        .map(|entry| entry.release.as_str());
    let hint = match earlier {
        Some(earlier) => format!(
            "the newest good release before it: `rollback run --to {earlier}`; if a release that nobody recorded runs, name it: `--release VERSION`"
        ),
        None => "if a release that nobody recorded runs, name it: `rollback run --release VERSION`"
            .to_owned(),
    };
    Outcome::refused("refused/already-there", destination)
        .expected("another release than the destination runs")
        .actual(format!("{destination} runs ({evidence})"))
        .reason(format!("{destination} is what runs already ({evidence})"))
        .hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use state::Frozen;

    fn rule(change: impl FnOnce(&mut Document), to: Option<&str>, force: bool) -> String {
        let mut document = Document::new(None, None);
        document.deployed("v0", Status::Bad, Timestamp::UNIX_EPOCH, None);
        document.deployed("v1", Status::Good, Timestamp::UNIX_EPOCH, None);
        document.deployed("v2", Status::Pending, Timestamp::UNIX_EPOCH, None);
        change(&mut document);
        match destination(Some(&document), Wish { to, force }) {
            Ok(destination) => destination,
            Err(outcome) => outcome.id.clone(),
        }
    }

    #[test]
    fn each_rule_has_its_name_and_force_lifts_some() {
        let freeze = |document: &mut Document| {
            document.frozen = Some(Frozen {
                reason: "r".into(),
                by: "b".into(),
                at: Timestamp::UNIX_EPOCH,
            });
        };
        let forget = |document: &mut Document| document.last_known_good = None;
        assert_eq!(rule(|_| (), None, false), "v1");
        assert_eq!(rule(|_| (), Some("v0"), false), "refused/known-bad");
        assert_eq!(rule(|_| (), Some("v0"), true), "v0");
        assert_eq!(rule(|_| (), Some("v9"), false), "refused/unknown-release");
        assert_eq!(rule(freeze, None, false), "refused/frozen");
        assert_eq!(rule(freeze, None, true), "v1");
        assert_eq!(rule(forget, None, true), "refused/no-last-known-good");
        assert!(
            destination(
                None,
                Wish {
                    to: None,
                    force: true
                }
            )
            .is_err()
        );
    }
}
