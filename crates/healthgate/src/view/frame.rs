//! All probes on one screen: a pure function of what is known, the time and the screen's size.

use std::time::Duration;

use cli::cut;
use model::Verdict;
use unicode_width::UnicodeWidthStr as _;

use super::row::{REMEMBERED, Row, seconds};

/// The lines of a screen, the worst probes first; none as wide as the screen, and fewer than it
/// is high.
pub(super) fn frame(rows: &[Row], elapsed: Duration, width: usize, height: usize) -> Vec<String> {
    // A line that fills the last column, or a last line, would scroll the screen.
    let (width, height) = (width.saturating_sub(1), height.saturating_sub(1));
    let mut lines = vec![cut(&counts(rows, elapsed), width)];
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by_key(|row| std::cmp::Reverse(row.rank()));
    let room = height.saturating_sub(lines.len());
    let shown = if order.len() > room {
        room.saturating_sub(1)
    } else {
        order.len()
    };
    let (shown, hidden) = order.split_at(shown);
    let longest = shown
        .iter()
        .map(|row| row.id.width())
        .max()
        .unwrap_or_default();
    let id_width = longest.min(width * 3 / 8);
    let past_width = REMEMBERED.min(width / 6);
    for row in shown {
        let past: Vec<char> = row.sparkline().chars().collect();
        let past: String = past[past.len().saturating_sub(past_width)..]
            .iter()
            .collect();
        let line = format!(
            "{} {}  {past:<past_width$}  {}",
            row.mark(),
            padded(&row.id, id_width),
            row.outlook(elapsed)
        );
        lines.push(cut(line.trim_end(), width));
    }
    if !hidden.is_empty() {
        let text = format!(
            "… {} more: {}",
            hidden.len(),
            states(hidden.iter().copied())
        );
        lines.push(cut(&text, width));
    }
    lines.truncate(height.max(1));
    lines
}

/// How many are where, and for how long all of it has been going on.
pub(super) fn counts(rows: &[Row], elapsed: Duration) -> String {
    format!("healthgate  {}  {}", seconds(elapsed), states(rows.iter()))
}

fn states<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let (mut open, mut ended) = (0_usize, Vec::<(Verdict, usize)>::new());
    for row in rows {
        match row.verdict() {
            None => open += 1,
            Some(verdict) => match ended.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, count)) => *count += 1,
                None => ended.push((verdict, 1)),
            },
        }
    }
    ended.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
    let ended = ended
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"));
    let open = (open > 0).then(|| format!("{open} open"));
    open.into_iter().chain(ended).collect::<Vec<_>>().join(", ")
}

/// Text in so many columns of the screen.
fn padded(text: &str, width: usize) -> String {
    let text = ends(text, width);
    let missing = width.saturating_sub(text.width());
    text + &" ".repeat(missing)
}

/// Both ends of a name that is too long: what tells names apart is often the last word.
fn ends(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let tail = reversed(&cut(&reversed(text), width / 2));
    cut(text, width.saturating_sub(tail.width()) + 1).replace('…', "") + &tail
}
