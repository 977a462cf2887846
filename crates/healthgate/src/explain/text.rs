//! The story for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use cli::plain;
use model::text::span;

use super::narrative::{Narrative, NarrativeSection};

pub(crate) fn render(story: &Narrative) -> String {
    let mut text = format!("{}\n", plain(&story.headline, 2));
    let _ = writeln!(text, "  {}", plain(&story.reason, 2));
    for line in &story.circumstances {
        let _ = writeln!(text, "  {}", plain(line, 4));
    }
    if let Some(decision) = &story.decision {
        let _ = writeln!(text, "  {}", plain(decision, 4));
    }
    for one in &story.chapters {
        chapter(&mut text, one);
    }
    if let Some(others) = &story.others {
        let _ = writeln!(text, "\n{}", plain(others, 0));
    }
    text
}

fn chapter(text: &mut String, chapter: &NarrativeSection) {
    let advisory = if chapter.advisory { " (advisory)" } else { "" };
    let _ = writeln!(
        text,
        "\n{}{advisory}: {}  {}",
        plain(&chapter.id, 2),
        chapter.verdict,
        plain(&chapter.subject, 2)
    );
    for fact in &chapter.facts {
        let _ = writeln!(text, "  {}", plain(fact, 4));
    }
    for turn in &chapter.turns {
        let since = format!("+{}", span(Duration::from_millis(turn.since_ms)));
        let _ = writeln!(
            text,
            "  {since:>9}  {}  {}",
            turn.clock,
            plain(&turn.text, 27)
        );
    }
    for answer in &chapter.answers {
        let _ = writeln!(text, "  what was answered at {}:", answer.of);
        let _ = writeln!(
            text,
            "    | {}",
            plain(&answer.evidence, 0).replace('\n', "\n    | ")
        );
    }
    if let Some(hint) = &chapter.hint {
        let _ = writeln!(text, "  hint: {}", plain(hint, 8));
    }
}
