//! The series that a query names, read from its text: enough of PromQL to find selectors and
//! their windows, and no more.
//!
//! What is not understood is left out: it costs a remark, never a verdict.

use std::time::Duration;

/// `http_requests_total{status="500"}[5m]` within a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    /// Without its window.
    pub(super) text: String,
    /// The metric's name, where it stands before the braces.
    pub(super) name: Option<String>,
    pub(super) window: Option<Duration>,
    /// It looks at another time, by `offset` or `@`: its age says nothing.
    shifted: bool,
}

/// More selectors than a question about one number has.
const MOST: usize = 8;

/// The different selectors of a query that look at now.
pub(super) fn selectors(query: &str) -> Vec<Selector> {
    let tokens = tokens(query);
    let mut found: Vec<Selector> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let name = match token {
            Token::Braces(_) => {
                at -= 1;
                None
            }
            Token::Word(word) => match role(word, tokens.get(at)) {
                Role::Labels => {
                    at += parenthesis(&tokens[at..]);
                    continue;
                }
                Role::Syntax => continue,
                Role::Metric => Some((*word).to_owned()),
            },
            _ => continue,
        };
        let braces = match tokens.get(at) {
            Some(Token::Braces(text)) => {
                at += 1;
                *text
            }
            _ => "",
        };
        let mut window = None;
        if let Some(Token::Brackets(text)) = tokens.get(at) {
            at += 1;
            // With a colon it is a subquery, whose steps are no scrapes.
            window = duration(text);
        }
        let shifted = match tokens.get(at) {
            Some(Token::Word(word)) => word.eq_ignore_ascii_case("offset"),
            Some(Token::Other('@')) => true,
            _ => false,
        };
        let one = Selector {
            text: format!("{}{braces}", name.as_deref().unwrap_or_default()),
            name,
            window,
            shifted,
        };
        if !one.shifted && !found.contains(&one) {
            found.push(one);
        }
    }
    found.truncate(MOST);
    found
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'q> {
    Word(&'q str),
    /// With the braces.
    Braces(&'q str),
    /// Without the brackets.
    Brackets(&'q str),
    Other(char),
}

enum Role {
    /// A list of labels in parentheses follows.
    Labels,
    Syntax,
    Metric,
}

fn role(word: &str, next: Option<&Token<'_>>) -> Role {
    const LABELS: [&str; 6] = [
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "group_right",
    ];
    const WORDS: [&str; 8] = [
        "and", "or", "unless", "atan2", "bool", "offset", "inf", "nan",
    ];
    let is = |words: &[&str]| words.iter().any(|one| word.eq_ignore_ascii_case(one));
    let call = matches!(next, Some(Token::Other('(')));
    if is(&LABELS) && call {
        return Role::Labels;
    }
    // `sum by (job) (…)`: the aggregation's own parentheses come later.
    let aggregates = matches!(next, Some(Token::Word(next))
        if ["by", "without"].iter().any(|one| next.eq_ignore_ascii_case(one)));
    if is(&LABELS) || is(&WORDS) || call || aggregates {
        return Role::Syntax;
    }
    Role::Metric
}

/// How many tokens the parenthesis has that opens here.
fn parenthesis(tokens: &[Token<'_>]) -> usize {
    let end = tokens
        .iter()
        .position(|token| *token == Token::Other(')'))
        .map_or(tokens.len(), |at| at + 1);
    if tokens.first() == Some(&Token::Other('(')) {
        end
    } else {
        0
    }
}

fn tokens(query: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' | '`' => string(rest),
            '{' => {
                let length = enclosed(rest, '}');
                found.push(Token::Braces(&rest[..length]));
                length
            }
            '[' => {
                let length = enclosed(rest, ']');
                let inner = rest[1..length]
                    .strip_suffix(']')
                    .unwrap_or(&rest[1..length]);
                found.push(Token::Brackets(inner));
                length
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                found.push(Token::Word(&rest[..length]));
                length
            }
            // A number or a duration.
            c if c.is_ascii_digit() => run(rest, |c| c.is_ascii_alphanumeric() || c == '.'),
            c => {
                if !c.is_whitespace() {
                    found.push(Token::Other(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// The length of the string that begins here, with its quotes.
fn string(text: &str) -> usize {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else {
        return 0;
    };
    let mut escaped = false;
    for (at, c) in chars {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The length of what is opened here, up to its end, which does not count within a string.
fn enclosed(text: &str, end: char) -> usize {
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        if c == end {
            return at + 1;
        }
        at += match c {
            '"' | '\'' | '`' => string(&text[at..]),
            c => c.len_utf8(),
        };
    }
    text.len()
}

/// A duration as Prometheus writes it: `5m`, `1h30m`, `300` (seconds).
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = run(rest, |c| c.is_ascii_digit());
        let number: u32 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = run(rest, |c| c.is_ascii_alphabetic());
        let unit = match &rest[..letters] {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            "d" => Duration::from_hours(24),
            "w" => Duration::from_hours(24 * 7),
            "y" => Duration::from_hours(24 * 365),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = &rest[letters..];
    }
    (!total.is_zero()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each selector with its window in seconds.
    fn found(query: &str) -> Vec<String> {
        let shown = |one: Selector| match one.window {
            Some(window) => format!("{}[{}]", one.text, window.as_secs()),
            None => one.text,
        };
        selectors(query).into_iter().map(shown).collect()
    }

    #[test]
    fn selectors_and_windows_are_found() {
        for (query, expected) in [
            ("up", vec!["up"]),
            (
                r#"sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m]))"#,
                vec![
                    r#"http_requests_total{status=~"5.."}[300]"#,
                    "http_requests_total[300]",
                ],
            ),
            (
                "histogram_quantile(0.95, sum by (le, job) (rate(x_bucket[1h30m])))",
                vec!["x_bucket[5400]"],
            ),
            ("sum(a) without (instance) > bool 2", vec!["a"]),
            ("SUM BY (a) (b) or vector(0)", vec!["b"]),
            (
                "a / on(job, instance) group_left(x) b and c unless d",
                vec!["a", "b", "c", "d"],
            ),
            ("max_over_time(rate(a[5m])[30m:1m])", vec!["a[300]"]),
            ("a[30m:1m]", vec!["a"]),
            (r#"{__name__="a", b="}"}"#, vec![r#"{__name__="a", b="}"}"#]),
            (r"a{x='[1m]'}[2m]", vec!["a{x='[1m]'}[120]"]),
            ("a # b[1m]\n+ c", vec!["a", "c"]),
            (r#"label_replace(a, "x", "$1", "y", "(.*)")"#, vec!["a"]),
            ("a offset 1d / a", vec!["a"]),
            ("a @ 1609746000", vec![]),
            ("rate(a[5m] offset 1h)", vec![]),
            ("job:a:rate5m + a[300]", vec!["job:a:rate5m", "a[300]"]),
            ("time() - 5 * 1e3 + Inf", vec![]),
            ("a{", vec!["a{"]),
            ("a[5m", vec!["a[300]"]),
            ("", vec![]),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
        assert_eq!(found("a+a+a"), ["a"]);
        assert_eq!(found("a+b+c+d+e+f+g+h+i+j").len(), MOST);
    }

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        let seconds = |text: &str| duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("1m0s"), Some(60.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("300"), Some(300.0));
        for wrong in ["", "5", "5x", "5m:1m", "-5m", "99999999999y", "m"] {
            assert!(duration(wrong).is_none() || wrong == "5", "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in r#"[a-c(){}\["'`\]:5m#@ \\é]{0,60}"#) {
            selectors(&text);
        }
    }
}
