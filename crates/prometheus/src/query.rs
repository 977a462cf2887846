//! The series that a query names, read from its text by the grammar of PromQL, with what
//! VictoriaMetrics adds to it: selectors, their windows, and the instant that each looks at.
//!
//! How old an answer is hangs on every selector being found. So a text that is not understood to
//! its end is an error, and never a query with fewer selectors.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use model::text::excerpt;

/// Why the selectors of a query are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is not understood")]
    NotUnderstood(String),
    #[error("its end is missing")]
    CutOff,
    #[error("it is nested deeper than {DEEPEST} levels")]
    TooDeep,
    #[error("it names more than {MAX_SELECTORS} selectors")]
    TooMany,
}

/// `http_requests_total{status="500"}[5m]` within a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Without its window and the instant that it looks at.
    pub text: String,
    /// The metric's name, if it is before the braces.
    pub name: Option<String>,
    /// It may fit metrics of several names.
    pub many_names: bool,
    pub window: Option<Duration>,
    /// How long the subqueries around it are, together.
    pub reach: Duration,
    looks: QueryTime,
}

/// Which instant is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct QueryTime {
    /// What `@` names; else the query's own instant.
    fixed: Option<Fixed>,
    /// By `offset`: how long before that.
    before: SignedDuration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fixed {
    /// `start()` and `end()`: of an instant query both are its instant.
    Now,
    /// Seconds since 1970.
    At(f64),
}

impl Selector {
    /// How long before the query's instant it looks; negative is later.
    pub fn before(&self, at: Timestamp) -> SignedDuration {
        let QueryTime { fixed, before } = self.looks;
        let since = match fixed {
            None | Some(Fixed::Now) => SignedDuration::ZERO,
            Some(Fixed::At(seconds)) => {
                let since = at.as_duration().as_secs_f64() - seconds;
                SignedDuration::try_from_secs_f64(since).unwrap_or(SignedDuration::MAX)
            }
        };
        since.saturating_add(before)
    }

    /// ` offset 60000ms`, so that another query looks at the same instant; empty for now.
    pub fn offset(&self, at: Timestamp) -> String {
        match self.before(at).as_millis() {
            0 => String::new(),
            millis => format!(" offset {millis}ms"),
        }
    }

    /// The same of one name only.
    pub fn named(&self, name: &str) -> String {
        let inside = self.text.strip_prefix('{').unwrap_or(&self.text);
        format!("{{__name__={},{inside}", quoted(name))
    }
}

/// A string of PromQL.
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

/// More selectors than a question about one number has.
const MAX_SELECTORS: usize = 64;
/// Deeper than a person nests.
const DEEPEST: usize = 64;

/// The different selectors of a query; else what is not understood.
pub fn selectors(query: &str) -> Result<Vec<Selector>, Error> {
    let mut parser = Parser {
        tokens: tokens(query)?,
        at: 0,
        depth: 0,
        found: Vec::new(),
    };
    parser.expression()?;
    if let Some(token) = parser.peek() {
        return Err(not_understood(token));
    }
    let mut different: Vec<Selector> = Vec::new();
    for one in parser.found {
        if !different.contains(&one) {
            different.push(one);
        }
    }
    if different.len() > MAX_SELECTORS {
        return Err(Error::TooMany);
    }
    Ok(different)
}

/// Whether a query is one selector and nothing else: its samples can be asked for as they are.
pub fn is_selector(query: &str) -> bool {
    let letters = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    match selectors(query).as_deref() {
        Ok([one]) => {
            let plain = one.window.is_none() && one.looks == QueryTime::default();
            plain && letters(&one.text) == letters(query)
        }
        _ => false,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'q> {
    Word(&'q str),
    /// A number or a duration.
    Number(&'q str),
    Text(&'q str),
    /// With the braces.
    Braces(&'q str),
    /// Without the brackets.
    Brackets(&'q str),
    Other(char),
}

fn not_understood(token: Token<'_>) -> Error {
    let text = match token {
        Token::Word(text) | Token::Number(text) | Token::Text(text) | Token::Braces(text) => {
            text.to_owned()
        }
        Token::Brackets(text) => format!("[{text}]"),
        Token::Other(c) => c.to_string(),
    };
    Error::NotUnderstood(excerpt(text.as_bytes()))
}

struct Parser<'q> {
    tokens: Vec<Token<'q>>,
    at: usize,
    depth: usize,
    found: Vec<Selector>,
}

impl<'q> Parser<'q> {
    fn peek(&self) -> Option<Token<'q>> {
        self.tokens.get(self.at).copied()
    }

    fn after(&self) -> Option<Token<'q>> {
        self.tokens.get(self.at + 1).copied()
    }

    fn is_word(token: Option<Token<'_>>, words: &[&str]) -> bool {
        matches!(token, Some(Token::Word(word)) if words.iter().any(|it| word.eq_ignore_ascii_case(it)))
    }

    /// Takes the next token where it is one of these words.
    fn take_word(&mut self, words: &[&str]) -> bool {
        let is = Self::is_word(self.peek(), words);
        self.at += usize::from(is);
        is
    }

    fn sign(&mut self, signs: &[char]) -> Option<char> {
        match self.peek() {
            Some(Token::Other(c)) if signs.contains(&c) => {
                self.at += 1;
                Some(c)
            }
            _ => None,
        }
    }

    fn wrong(&self) -> Error {
        self.peek().map_or(Error::CutOff, not_understood)
    }

    fn must(&mut self, sign: char) -> Result<(), Error> {
        self.sign(&[sign]).map(drop).ok_or_else(|| self.wrong())
    }

    /// Operands with the operators between them. Precedence changes no selector.
    fn expression(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Error::TooDeep);
        }
        loop {
            while self.sign(&['+', '-']).is_some() {}
            self.operand()?;
            if !self.operator()? {
                break;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn operator(&mut self) -> Result<bool, Error> {
        const WORDS: [&str; 7] = ["and", "or", "unless", "atan2", "default", "if", "ifnot"];
        const COMPARE: [char; 4] = ['=', '!', '<', '>'];
        if self.sign(&['+', '-', '*', '/', '%', '^']).is_none() && !self.take_word(&WORDS) {
            if self.sign(&COMPARE).is_none() {
                return Ok(false);
            }
            self.sign(&['=']);
        }
        self.take_word(&["bool"]);
        if self.take_word(&["on", "ignoring"]) {
            self.labels()?;
        }
        if self.take_word(&["group_left", "group_right"]) && self.peek() == Some(Token::Other('('))
        {
            self.labels()?;
        }
        Ok(true)
    }

    /// Names in parentheses, which may be those of functions and operators.
    fn labels(&mut self) -> Result<(), Error> {
        self.must('(')?;
        while self.sign(&[')']).is_none() {
            match self.peek() {
                Some(Token::Word(_) | Token::Text(_) | Token::Other(',' | '*')) => self.at += 1,
                _ => return Err(self.wrong()),
            }
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<(), Error> {
        const GROUPS: [&str; 2] = ["by", "without"];
        let first = self.found.len();
        match self.peek().ok_or_else(|| self.wrong())? {
            Token::Number(_) | Token::Text(_) => self.at += 1,
            Token::Other('(') => self.arguments()?,
            Token::Braces(_) => self.selector(None),
            Token::Word(word) => {
                self.at += 1;
                if self.peek() == Some(Token::Other('(')) {
                    self.arguments()?;
                    if self.take_word(&GROUPS) {
                        self.labels()?;
                    }
                } else if Self::is_word(self.peek(), &GROUPS)
                    && self.after() == Some(Token::Other('('))
                {
                    self.at += 1;
                    self.labels()?;
                    self.arguments()?;
                } else if !["inf", "nan"]
                    .iter()
                    .any(|it| word.eq_ignore_ascii_case(it))
                {
                    self.selector(Some(word));
                }
            }
            token => return Err(not_understood(token)),
        }
        self.modifiers(first)
    }

    fn arguments(&mut self) -> Result<(), Error> {
        self.must('(')?;
        if self.sign(&[')']).is_some() {
            return Ok(());
        }
        loop {
            self.expression()?;
            if self.sign(&[')']).is_some() {
                return Ok(());
            }
            self.must(',')?;
        }
    }

    fn selector(&mut self, name: Option<&str>) {
        let braces = match self.peek() {
            Some(Token::Braces(text)) => {
                self.at += 1;
                text
            }
            _ => "",
        };
        let mut window = None;
        if let Some(Token::Brackets(text)) = self.peek()
            && let Some(length) = duration(text)
        {
            self.at += 1;
            window = Some(length);
        }
        self.found.push(Selector {
            text: format!("{}{braces}", name.unwrap_or_default()),
            name: name.map(str::to_owned),
            many_names: name.is_none() && !names_one(braces),
            window,
            reach: Duration::ZERO,
            looks: QueryTime::default(),
        });
    }

    /// What follows an operand; it applies to all selectors in it.
    fn modifiers(&mut self, first: usize) -> Result<(), Error> {
        loop {
            let mut looks = QueryTime::default();
            loop {
                if Self::is_word(self.peek(), &["offset"]) {
                    self.at += 1;
                    looks.before = self.length()?;
                } else if self.sign(&['@']).is_some() {
                    looks.fixed = Some(self.instant()?);
                } else if !self.take_word(&["keep_metric_names", "anchored", "smoothed"]) {
                    break;
                }
            }
            for one in &mut self.found[first..] {
                if one.looks.fixed.is_none() {
                    one.looks.before = one.looks.before.saturating_add(looks.before);
                    one.looks.fixed = looks.fixed;
                }
            }
            let Some(Token::Brackets(text)) = self.peek() else {
                return Ok(());
            };
            // A subquery, whose steps are not scrapes.
            let range = text.split(':').next().and_then(duration);
            let range = range.ok_or_else(|| self.wrong())?;
            self.at += 1;
            for one in &mut self.found[first..] {
                one.reach = one.reach.saturating_add(range);
            }
        }
    }

    fn length(&mut self) -> Result<SignedDuration, Error> {
        let sign = self.sign(&['+', '-']);
        let Some(Token::Number(text)) = self.peek() else {
            return Err(self.wrong());
        };
        let length = duration(text).or_else(|| is_nothing(text).then_some(Duration::ZERO));
        let length = length.and_then(|length| SignedDuration::try_from(length).ok());
        let length = length.ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(if sign == Some('-') { -length } else { length })
    }

    fn instant(&mut self) -> Result<Fixed, Error> {
        if self.take_word(&["start", "end"]) {
            self.must('(')?;
            self.must(')')?;
            return Ok(Fixed::Now);
        }
        let sign = self.sign(&['+', '-']);
        let Some(Token::Number(text)) = self.peek() else {
            return Err(self.wrong());
        };
        let number: f64 = text.parse().map_err(|_| self.wrong())?;
        self.at += 1;
        Ok(Fixed::At(if sign == Some('-') { -number } else { number }))
    }
}

/// `0s`, which is not a valid window, but a valid offset.
fn is_nothing(text: &str) -> bool {
    text.starts_with('0') && text.chars().all(|c| c == '0' || c.is_ascii_alphabetic())
}

/// Whether matchers in braces leave one name: `{__name__="a"}` or `{"a.b"}`.
fn names_one(braces: &str) -> bool {
    let inside = braces.trim_start_matches('{').trim_end_matches('}');
    let mut rest = inside;
    let mut start = true;
    while let Some(c) = rest.chars().next() {
        if start && let Some(after) = rest.strip_prefix("__name__") {
            let after = after.trim_start();
            if after.starts_with('=') && !after.starts_with("=~") {
                return true;
            }
        }
        if matches!(c, '"' | '\'' | '`') {
            let length = string(rest);
            let after = rest[length..].trim_start();
            let is_name = rest[..length].trim_matches(c) == "__name__";
            if start && (after.is_empty() || after.starts_with(',')) {
                return true;
            }
            if start && is_name && after.starts_with('=') && !after.starts_with("=~") {
                return true;
            }
            rest = &rest[length..];
            start = false;
            continue;
        }
        start = c == ',' || start && c.is_whitespace();
        rest = &rest[c.len_utf8()..];
    }
    false
}

fn tokens(query: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut found = Vec::new();
    let mut rest = query;
    while let Some(c) = rest.chars().next() {
        let whole = |length: usize, end: char| {
            if rest[..length].ends_with(end) && length > 1 {
                Ok(length)
            } else {
                Err(not_understood(Token::Text(rest)))
            }
        };
        let length = match c {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' | '`' => {
                let length = whole(string(rest), c)?;
                found.push(Token::Text(&rest[..length]));
                length
            }
            '{' => {
                let length = whole(enclosed(rest, '}'), '}')?;
                found.push(Token::Braces(&rest[..length]));
                length
            }
            '[' => {
                let length = whole(enclosed(rest, ']'), ']')?;
                found.push(Token::Brackets(&rest[1..length - 1]));
                length
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == ':' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                found.push(Token::Word(&rest[..length]));
                length
            }
            c if c.is_ascii_digit() || c == '.' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
                found.push(Token::Number(&rest[..length]));
                length
            }
            c => {
                if !c.is_whitespace() {
                    found.push(Token::Other(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Ok(found)
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
pub fn duration(text: &str) -> Option<Duration> {
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

    #[test]
    fn a_selector_alone_is_told_from_what_is_made_of_it() {
        for (query, is) in [
            ("x", true),
            (r#" x { a="b c" , d=~"5.." } "#, true),
            (r#"{__name__="x"}"#, true),
            ("sum(x)", false),
            ("(x)", false),
            ("x + y", false),
            ("x[5m]", false),
            ("x offset 5m", false),
            ("5", false),
            ("x{", false),
        ] {
            assert_eq!(is_selector(query), is, "{query}");
        }
    }
    use proptest::prelude::*;

    /// Each selector with its window and reach in seconds, and how long ago it looks.
    fn found(query: &str) -> Vec<String> {
        let at = Timestamp::from_second(1_609_746_100).unwrap_or_default();
        let shown = |one: Selector| {
            let window = one.window.map(|window| format!("[{}]", window.as_secs()));
            let reach = match one.reach.as_secs() {
                0 => String::new(),
                reach => format!("+{reach}"),
            };
            let many = if one.many_names { "*" } else { "" };
            let before = match one.before(at).as_secs() {
                0 => String::new(),
                before => format!(" -{before}"),
            };
            format!(
                "{}{}{reach}{many}{before}",
                one.text,
                window.unwrap_or_default()
            )
        };
        match selectors(query) {
            Ok(all) => all.into_iter().map(shown).collect(),
            Err(why) => vec![format!("error: {why}")],
        }
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
            ("max_over_time(rate(a[5m])[30m:1m])", vec!["a[300]+1800"]),
            ("a[30m:1m]", vec!["a+1800"]),
            (r#"{__name__="a", b="}"}"#, vec![r#"{__name__="a", b="}"}"#]),
            (r"a{x='[1m]'}[2m]", vec!["a{x='[1m]'}[120]"]),
            ("a # b[1m]\n+ c", vec!["a", "c"]),
            (r#"label_replace(a, "x", "$1", "y", "(.*)")"#, vec!["a"]),
            ("job:a:rate5m + a[300]", vec!["job:a:rate5m", "a[300]"]),
            ("time() - 5 * 1e3 + Inf", vec![]),
            ("-a ^ -2 >= bool .5", vec!["a"]),
            ("quantile_over_time(0.9, a[5m]) != 0", vec!["a[300]"]),
            // What VictoriaMetrics adds.
            ("rate(a) keep_metric_names default 0", vec!["a"]),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
        assert_eq!(found("a+a+a"), ["a"]);
        assert_eq!(found("a+b+c+d+e+f+g+h+i+j").len(), 10);
    }

    /// A label or a metric may be called as a function, an operator or a keyword is.
    #[test]
    fn names_that_look_like_functions_are_names() {
        for (query, expected) in [
            ("sum by (rate, sum) (count)", vec!["count"]),
            ("rate > 1", vec!["rate"]),
            ("a * on(offset) group_left(count) b", vec!["a", "b"]),
            ("by + offset", vec!["by", "offset"]),
            ("offset offset 1m", vec!["offset -60"]),
            ("max(sum{rate=\"1\"})", vec!["sum{rate=\"1\"}"]),
            ("sum(a) by (\"a.b\")", vec!["a"]),
            ("start + end", vec!["start", "end"]),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
    }

    #[test]
    fn the_instant_that_is_looked_at_is_known() {
        for (query, expected) in [
            ("a offset 1d / a", vec!["a -86400", "a"]),
            ("a @ 1609746000", vec!["a -100"]),
            ("a @ end() + b @ start()", vec!["a", "b"]),
            ("a @ 1609746000 offset 10s", vec!["a -110"]),
            ("a offset 10s @ 1609746000", vec!["a -110"]),
            ("rate(a[5m] offset 1h)", vec!["a[300] -3600"]),
            ("a offset -1m", vec!["a --60"]),
            ("max_over_time(a[5m:1m] offset 1h)", vec!["a+300 -3600"]),
            (
                "max_over_time((a offset 1m)[5m:] offset 1h)",
                vec!["a+300 -3660"],
            ),
            ("max_over_time((a @ end())[5m:] offset 1h)", vec!["a+300"]),
            ("max_over_time(a[5m:] @ 1609746000)", vec!["a+300 -100"]),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
    }

    #[test]
    fn a_selector_of_several_names_is_told_apart() {
        for (query, many) in [
            ("a{b=\"c\"}", false),
            (r#"{__name__="a"}"#, false),
            (r#"{b="c", __name__ = "a"}"#, false),
            (r#"{"a.b", c="d"}"#, false),
            (r#"{"__name__"="a"}"#, false),
            (r#"{__name__=~"a|b"}"#, true),
            (r#"{__name__!="a", b="c"}"#, true),
            (r#"{job="__name__=a"}"#, true),
            (r#"{job=",__name__='a'"}"#, true),
        ] {
            let found = selectors(query).unwrap_or_default();
            assert_eq!(found.len(), 1, "{query}");
            assert_eq!(found[0].many_names, many, "{query}");
        }
        let both = selectors(r#"{__name__=~"a|b"}"#).unwrap_or_default();
        assert_eq!(both[0].named("a"), r#"{__name__="a",__name__=~"a|b"}"#);
    }

    #[test]
    fn what_is_not_understood_is_no_query_without_selectors() {
        let deep = "(".repeat(100_000);
        let many: Vec<String> = (0..=MAX_SELECTORS).map(|n| format!("x{n}")).collect();
        for query in [
            "",
            "a{",
            "a[5m",
            "a b",
            "a[x]",
            "sum(",
            "a offset b",
            "a @ b",
            "a[5m*2]",
            "WITH (x = a) x + x",
            "\"open",
            &deep,
            &many.join("+"),
        ] {
            assert!(selectors(query).is_err(), "{query}");
        }
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
            let _ = selectors(&text);
        }
    }
}
