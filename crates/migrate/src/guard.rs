//! Who is left behind: a migration that takes something away waits until no release needs it.

use std::time::Duration;

use jiff::Timestamp;
use migrator::Effect;
use model::{Id, Outcome};
use state::{Document, Entry, Status};

/// A release that may need the shape that is taken away.
struct DependentRelease<'d> {
    entry: &'d Entry,
    why: &'static str,
    /// From when on it needs it no more; `None` where no clock decides it.
    until: Option<Timestamp>,
}

/// The refusal, where a release that is live or can be gone back to is not known to work with `revision`.
/// `window` is `rollback.window`.
pub(crate) fn contract(
    document: &Document,
    (release, revision): (&str, &str),
    effect: &Effect,
    works_with: &[String],
    window: Option<Duration>,
    now: Timestamp,
) -> Option<Outcome> {
    let Effect::Breaking(reasons) = effect else {
        return None;
    };
    let needing: Vec<DependentRelease<'_>> = needing(document, window, now)
        .into_iter()
        .filter(|needs| {
            let name = &needs.entry.release;
            let is_named = |known: &String| document.rule.same(known, name);
            !document.rule.same(name, release)
                && !needs.entry.works_with(revision)
                && !works_with.iter().any(is_named)
        })
        .collect();
    if needing.is_empty() {
        return None;
    }
    let who: Vec<String> = needing
        .iter()
        .map(|needs| format!("{} {}", needs.entry.release, needs.why))
        .collect();
    let by_clock = needing
        .iter()
        .map(|needs| needs.until)
        .collect::<Option<Vec<_>>>();
    let date = by_clock.and_then(|dates| dates.into_iter().max());
    let names: Vec<&str> = needing
        .iter()
        .map(|needs| needs.entry.release.as_str())
        .collect();
    let when = match date {
        Some(date) => format!("it may run from {date:.0} on"),
        None => format!(
            "deploy a release that works with the new schema first; or declare that they do: `--works-with {}`",
            names.join(" --works-with ")
        ),
    };
    Some(
        Outcome::refused(Id::refused("contract"), revision)
            .expected("every release that is live or can be gone back to works with the new schema")
            .actual(who.join("; "))
            .reason(format!("{}; {}", reasons.join("; "), who.join("; ")))
            .hint(when),
    )
}

fn needing(
    document: &Document,
    window: Option<Duration>,
    now: Timestamp,
) -> Vec<DependentRelease<'_>> {
    let mut all: Vec<DependentRelease<'_>> = Vec::new();
    let current = document
        .current
        .as_deref()
        .and_then(|name| document.entry(name));
    if let Some(entry) = current {
        let (why, until) = ("is live", None);
        all.push(DependentRelease { entry, why, until });
    }
    let ends = current
        .zip(window)
        .and_then(|(current, window)| current.deployed_at.checked_add(window).ok());
    let is_open = ends.is_none_or(|ends| ends > now);
    let known = |all: &[DependentRelease<'_>], entry: &Entry| {
        all.iter().any(|needs| needs.entry.release == entry.release)
    };
    let good = document.last_known_good.as_deref();
    if let Some(entry) = good.and_then(|name| document.entry(name))
        && !known(&all, entry)
    {
        let (why, until) = ("is the last known good release", None);
        all.push(DependentRelease { entry, why, until });
    }
    if window.is_none() {
        // Without a window the release before the live one is what a rollback goes to.
        let before = document.newest_good(document.current.as_deref());
        if let Some(entry) = before.filter(|entry| !known(&all, entry)) {
            let (why, until) = ("can be gone back to", None);
            all.push(DependentRelease { entry, why, until });
        }
    } else if is_open {
        for entry in document
            .history
            .iter()
            .filter(|entry| entry.status == Status::Good)
        {
            if !known(&all, entry) {
                let (why, until) = ("can be gone back to", ends);
                all.push(DependentRelease { entry, why, until });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap_or_default()
    }

    /// v1 and v2 were good at their second; v2 is live.
    fn document() -> Document {
        let mut document = Document::new(None, None);
        document.deployed("v1", Status::Good, at(100), None);
        document.deployed("v2", Status::Good, at(200), None);
        document
    }

    fn refusal(
        document: &Document,
        effect: &Effect,
        works: &[&str],
        window: Option<u64>,
        now: i64,
    ) -> Option<String> {
        let works: Vec<String> = works.iter().map(|name| (*name).to_owned()).collect();
        let window = window.map(Duration::from_secs);
        let outcome = contract(document, ("v3", "7"), effect, &works, window, at(now))?;
        Some(format!(
            "{} | {}",
            outcome.actual.unwrap_or_default(),
            outcome.hint.unwrap_or_default()
        ))
    }

    fn breaking() -> Effect {
        Effect::Breaking(vec!["`orders.note` is dropped".to_owned()])
    }

    #[test]
    fn what_only_adds_or_is_not_known_frees_every_release() {
        assert_eq!(
            refusal(&document(), &Effect::Compatible, &[], None, 300),
            None
        );
        let unknown = Effect::Unknown("knex prints no SQL".to_owned());
        assert_eq!(refusal(&document(), &unknown, &[], None, 300), None);
        let nothing = Document::new(None, None);
        assert_eq!(refusal(&nothing, &breaking(), &[], None, 300), None);
    }

    #[test]
    fn the_live_release_and_the_one_before_it_are_asked_for() {
        let told = refusal(&document(), &breaking(), &[], None, 300).unwrap_or_default();
        assert!(
            told.starts_with("v2 is live; v1 can be gone back to"),
            "{told}"
        );
        let told = refusal(&document(), &breaking(), &["v2"], None, 300).unwrap_or_default();
        assert!(told.starts_with("v1 can be gone back to"), "{told}");
        assert_eq!(
            refusal(&document(), &breaking(), &["v1", "v2"], None, 300),
            None
        );
    }

    #[test]
    fn a_window_that_is_open_has_an_end_and_one_that_has_passed_frees() {
        let told = refusal(&document(), &breaking(), &["v2"], Some(3600), 300).unwrap_or_default();
        assert!(
            told.contains("it may run from 1970-01-01T01:03:20Z on"),
            "{told}"
        );
        assert_eq!(
            refusal(&document(), &breaking(), &["v2"], Some(3600), 4000),
            None
        );
        let told = refusal(&document(), &breaking(), &[], Some(3600), 4000).unwrap_or_default();
        assert!(told.starts_with("v2 is live |"), "{told}");
    }

    #[test]
    fn a_release_that_is_recorded_to_work_with_the_revision_needs_nothing() {
        let mut document = document();
        for entry in &mut document.history {
            entry.compatible_with.push("7".to_owned());
        }
        assert_eq!(refusal(&document, &breaking(), &[], None, 300), None);
    }

    #[test]
    fn the_release_that_is_being_deployed_may_be_pending_already() {
        let mut document = document();
        document.deployed("v3", Status::Pending, at(250), None);
        let told = refusal(&document, &breaking(), &[], None, 300).unwrap_or_default();
        assert!(
            told.starts_with("v2 is the last known good release"),
            "{told}"
        );
    }
}
