//! All probes on one screen: a pure function of what is known, the time and the screen's size.

use std::time::Duration;

use cli::{columns, cut, padded};
use model::Verdict;

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
        .map(|row| columns(&row.id))
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
            padded(&ends(&row.id, id_width), id_width),
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

/// Both ends of a name that is too long: what tells names apart is often the last word.
fn ends(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    // Where the longest end begins that fits, not within what is put on one letter.
    let fits = |at: &usize| columns(&text[*at..]) < width / 2;
    let stands = |at: &usize| !text[*at..].starts_with(|c: char| columns(&c.to_string()) == 0);
    let starts = text.char_indices().map(|(at, _)| at);
    let tail = starts.skip_while(|at| !fits(at)).find(stands);
    let tail = tail.map_or("", |at| &text[at..]);
    format!("{}{tail}", cut(text, width - columns(tail)))
}
