//! Steps that are added to a job of a workflow. Every byte that is there stays, and the result is proven
//! before it is shown: the same document, with our steps and nothing else besides.

use yaml::{Kind, Node};

/// Where a step goes, by the place of a step that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertionPoint {
    Before(usize),
    After(usize),
}

/// A step of ours: its lines without indentation, comments first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    pub spot: InsertionPoint,
    pub step: String,
}

/// Why a workflow stays as it is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error(
        "its job `{0}` runs on Windows, where deploy-guard has no binary; a job on Linux that `needs: {0}` can probe the address"
    )]
    Windows(String),
    #[error("it is not YAML that we read: {0}")]
    Yaml(String),
    #[error("it has no job `{0}` with steps")]
    NoSteps(String),
    #[error(
        "the steps of its job `{0}` are not one to a line: they are written in braces or brackets, or come from an anchor"
    )]
    NotLines(String),
    #[error(
        "a step more in its job `{0}` would change something else, such as a job that shares its steps"
    )]
    ChangesMore(String),
}

/// The workflow with the steps, which stand in the order in which they are given.
pub fn patched(text: &str, job: &str, additions: &[Addition]) -> Result<String, PatchError> {
    let before = parse(text)?;
    let steps = steps(&before, job).ok_or_else(|| PatchError::NoSteps(job.to_owned()))?;
    let items = items(text, steps).ok_or_else(|| PatchError::NotLines(job.to_owned()))?;
    // A text that keeps the blank lines below it owns them: then ours come below those, or right below the text.
    for (below_blank_lines, may_space) in [(false, true), (true, true), (false, false)] {
        let new = insert(text, &items, additions, below_blank_lines, may_space);
        let holds = new.as_ref().is_some_and(|new| {
            parse(new).is_ok_and(|after| proves(&before, &after, job, items.len(), additions))
        });
        if let (Some(new), true) = (new, holds) {
            return Ok(new);
        }
    }
    Err(PatchError::ChangesMore(job.to_owned()))
}

fn parse(text: &str) -> Result<Node, PatchError> {
    Node::parse_foreign(text).map_err(|fault| PatchError::Yaml(fault.message))
}

fn steps<'n>(tree: &'n Node, job: &str) -> Option<&'n Node> {
    let steps = tree.get("jobs")?.get(job)?.get("steps")?;
    (!steps.items().is_empty()).then_some(steps)
}

/// A step as lines of the text.
struct Item {
    /// The first byte of the line with its dash.
    line: usize,
    /// The dash's column.
    column: usize,
    /// From the dash to its first key.
    offset: usize,
    /// The first byte after its last line.
    end: usize,
    crlf: bool,
}

/// `None` where a step does not begin with a dash of its own.
fn items(text: &str, steps: &Node) -> Option<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    for step in steps.items() {
        if !matches!(step.kind, Kind::Map(_)) {
            return None;
        }
        let (line, column) = dash(text, step.place.start)?;
        let offset = step.place.start.checked_sub(line + column)?;
        let same_line = !text[line..step.place.start].contains('\n');
        let before = items.last();
        if before.is_some_and(|before| before.column != column || before.line >= line) {
            return None;
        }
        let (end, crlf) = end(text, line, column);
        items.push(Item {
            line,
            column,
            offset: if same_line && offset <= 8 { offset } else { 2 },
            end,
            crlf,
        });
    }
    Some(items)
}

/// The line and the column of the dash in front of a place.
fn dash(text: &str, place: usize) -> Option<(usize, usize)> {
    let mut start = text[..place].rfind('\n').map_or(0, |at| at + 1);
    let mut line = &text[start..place];
    loop {
        let trimmed = line.trim_start_matches(' ');
        if let Some(rest) = trimmed.strip_prefix('-') {
            let plain = rest
                .split_whitespace()
                .take_while(|word| !word.starts_with('#'))
                .all(|word| word.starts_with(['&', '!']));
            return plain.then_some((start, line.len() - trimmed.len()));
        }
        let passed = trimmed.trim();
        if !passed.is_empty() && !passed.starts_with('#') || start == 0 {
            return None;
        }
        let end = start - 1;
        start = text[..end].rfind('\n').map_or(0, |at| at + 1);
        line = &text[start..end];
    }
}

/// Where the last line ends that belongs to the item, and whether its first line ends in CR LF.
fn end(text: &str, start: usize, column: usize) -> (usize, bool) {
    let mut end = start;
    let mut at = start;
    let mut crlf = false;
    for (nth, line) in text[start..].split_inclusive('\n').enumerate() {
        at += line.len();
        if nth == 0 {
            crlf = line.ends_with("\r\n");
            end = at;
            continue;
        }
        let indented = line.len() - line.trim_start_matches(' ').len();
        let rest = line.trim();
        if rest.is_empty() || (indented <= column && rest.starts_with('#')) {
            continue;
        }
        if indented <= column {
            break;
        }
        end = at;
    }
    (end, crlf)
}

fn insert(
    text: &str,
    items: &[Item],
    additions: &[Addition],
    below_blank_lines: bool,
    may_space: bool,
) -> Option<String> {
    let first_line = text.split_inclusive('\n').next().unwrap_or_default();
    let mut others = items.iter().skip(1);
    let spaced = may_space && others.any(|item| is_blank_above(text, above_comments(text, item)));
    // What follows a step stands above what precedes the next one.
    let mut places: Vec<(usize, bool, String)> = Vec::new();
    for addition in additions {
        let (at, item, before) = match addition.spot {
            InsertionPoint::Before(nth) => {
                let item = items.get(nth)?;
                (above_comments(text, item), item, true)
            }
            InsertionPoint::After(nth) => {
                let item = items.get(nth)?;
                let at = if below_blank_lines {
                    below_blanks(text, item.end)
                } else {
                    item.end
                };
                (at, item, false)
            }
        };
        // A last line without an end does not tell how lines end.
        let crlf = items.iter().any(|item| item.crlf) || first_line.ends_with("\r\n");
        let end_of_line = if crlf { "\r\n" } else { "\n" };
        let mut lines = lines(&addition.step, item, end_of_line);
        // A file may end without a line break, and does afterwards.
        let open = at == text.len() && !text.ends_with('\n') && !text.is_empty();
        if open {
            lines.truncate(lines.len() - end_of_line.len());
            lines.insert_str(0, end_of_line);
        }
        if spaced && !open && (before || below_blank_lines) {
            lines.push_str(end_of_line);
        } else if spaced {
            lines.insert_str(0, end_of_line);
        }
        let same =
            |(there, above, _): &&mut (usize, bool, String)| *there == at && *above == before;
        match places.iter_mut().find(same) {
            Some((_, _, text)) => text.push_str(&lines),
            None => places.push((at, before, lines)),
        }
    }
    places.sort_by_key(|(at, before, _)| (*at, *before));
    let mut new = String::with_capacity(text.len() + 2048);
    let mut done = 0;
    for (at, _, lines) in places {
        new.push_str(text.get(done..at)?);
        new.push_str(&lines);
        done = at;
    }
    new.push_str(text.get(done..)?);
    Some(new)
}

/// The step as lines of the workflow.
fn lines(step: &str, item: &Item, end_of_line: &str) -> String {
    let (indent, inside) = (" ".repeat(item.column), " ".repeat(item.offset));
    let first = format!("-{}", " ".repeat(item.offset - 1));
    let mut begun = false;
    let mut text = String::new();
    for line in step.lines() {
        let lead = if begun {
            inside.as_str()
        } else if line.starts_with('#') {
            ""
        } else {
            begun = true;
            first.as_str()
        };
        if !line.is_empty() {
            text.push_str(&format!("{indent}{lead}{line}"));
        }
        text.push_str(end_of_line);
    }
    text
}

/// The comments right above a step are about it.
fn above_comments(text: &str, item: &Item) -> usize {
    let mut at = item.line;
    while let Some(above) = line_above(text, at) {
        let line = &text[above..at];
        let indented = line.len() - line.trim_start_matches(' ').len();
        if indented != item.column || !line.trim().starts_with('#') {
            break;
        }
        at = above;
    }
    at
}

fn line_above(text: &str, at: usize) -> Option<usize> {
    let before = text[..at].strip_suffix('\n')?;
    Some(before.rfind('\n').map_or(0, |at| at + 1))
}

fn is_blank_above(text: &str, at: usize) -> bool {
    line_above(text, at).is_some_and(|above| text[above..at].trim().is_empty())
}

fn below_blanks(text: &str, from: usize) -> usize {
    let blank = text[from..]
        .split_inclusive('\n')
        .take_while(|line| line.trim().is_empty());
    from + blank.map(str::len).sum::<usize>()
}

/// Whether the new document is the old one with our steps in their places.
fn proves(before: &Node, after: &Node, job: &str, count: usize, additions: &[Addition]) -> bool {
    // By their places among the old steps: before the first, after the first, …
    let mut expected: Vec<Option<&str>> = Vec::new();
    for nth in 0..count {
        let at = |spot: InsertionPoint| additions.iter().filter(move |one| one.spot == spot);
        expected.extend(at(InsertionPoint::Before(nth)).map(|one| Some(one.step.as_str())));
        expected.push(None);
        expected.extend(at(InsertionPoint::After(nth)).map(|one| Some(one.step.as_str())));
    }
    let (Some(old), Some(new)) = (steps(before, job), steps(after, job)) else {
        return false;
    };
    if new.items().len() != expected.len() {
        return false;
    }
    let mut theirs = old.items().iter();
    let each = new
        .items()
        .iter()
        .zip(&expected)
        .all(|(item, ours)| match ours {
            Some(step) => Node::parse(step).is_ok_and(|step| same(&step, item)),
            None => theirs.next().is_some_and(|old| same(old, item)),
        });
    each && same(&without_steps(before, job), &without_steps(after, job))
}

fn without_steps(tree: &Node, job: &str) -> Node {
    let mut tree = tree.clone();
    if let Kind::Map(top) = &mut tree.kind
        && let Some((_, jobs)) = top.iter_mut().find(|(key, _)| key.name == "jobs")
        && let Kind::Map(jobs) = &mut jobs.kind
        && let Some((_, job)) = jobs.iter_mut().find(|(key, _)| key.name == job)
    {
        job.remove("steps");
    }
    tree
}

/// Whether two trees say the same, wherever it is written.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Scalar(one), Kind::Scalar(other)) => {
            one.text == other.text && one.plain == other.plain
        }
        (Kind::List(one), Kind::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Kind::Map(one), Kind::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, x), (b, y))| a.name == b.name && same(x, y))
        }
        _ => false,
    }
}

/// The change, as `diff -u` shows it.
pub fn diff(path: &str, old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}

#[cfg(test)]
mod tests;
