//! As much of Python as a migration's head needs: its statements, and values that are literals.
//! Nothing is run.

/// A piece of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Name(String),
    Text(String),
    /// A number, or one character that is something else.
    Other(String),
}

/// A logical line: it goes on inside of brackets and behind a backslash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) indent: usize,
    pub(crate) tokens: Vec<Token>,
}

/// A value that the text alone tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Text(String),
    List(Vec<Value>),
    /// A name, a call or another thing that only Python knows.
    Unknown,
}

impl Value {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// One text or a list of them, as Alembic writes revisions; `None` where one is unknown.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        match self {
            Value::None => Some(Vec::new()),
            Value::Text(text) => Some(vec![text.clone()]),
            Value::List(items) => {
                let all = items.iter().map(|item| item.text().map(str::to_owned));
                all.collect()
            }
            Value::Unknown => None,
        }
    }
}

impl Statement {
    fn is(&self, nth: usize, text: &str) -> bool {
        match self.tokens.get(nth) {
            Some(Token::Name(name)) => name == text,
            Some(Token::Other(sign)) => sign == text,
            _ => false,
        }
    }

    pub(crate) fn begins_with(&self, names: &[&str]) -> bool {
        names
            .iter()
            .enumerate()
            .all(|(nth, name)| self.is(nth, name))
    }

    /// The name and the value of `name = value` and `name: type = value`.
    pub(crate) fn assignment(&self) -> Option<(&str, Value)> {
        let Some(Token::Name(name)) = self.tokens.first() else {
            return None;
        };
        let mut at = 1;
        if self.is(at, ":") {
            let mut depth = 0_usize;
            at = 2 + self.tokens[2..].iter().position(|token| {
                let Token::Other(sign) = token else {
                    return false;
                };
                match sign.as_str() {
                    "(" | "[" | "{" => depth += 1,
                    ")" | "]" | "}" => depth = depth.saturating_sub(1),
                    "=" => return depth == 0,
                    _ => {}
                }
                false
            })?;
        }
        if !self.is(at, "=") || self.is(at + 1, "=") {
            return None;
        }
        Some((name, value(&self.tokens[at + 1..])))
    }

    /// Whether the statement does nothing: `pass`, `...` or a text.
    pub(crate) fn is_nothing(&self) -> bool {
        let is_text = |token: &Token| matches!(token, Token::Text(_));
        self.begins_with(&["pass"])
            || self.begins_with(&[".", ".", "."])
            || self.tokens.iter().all(is_text)
    }

    pub(crate) fn ends_with(&self, name: &str) -> bool {
        self.is(self.tokens.len().saturating_sub(1), name)
    }

    pub(crate) fn mentions(&self, name: &str) -> bool {
        (0..self.tokens.len()).any(|nth| self.is(nth, name))
    }

    /// The text that a statement is alone, such as the one that opens a file.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.tokens[..] {
            [Token::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text that a call gets as `key=…`: a literal, or the name of a constant.
    pub(crate) fn keyword(
        &self,
        key: &str,
        constant: &impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let at = (1..self.tokens.len()).find(|nth| self.is(*nth, key) && self.is(nth + 1, "="))?;
        let is_alone = match self.tokens.get(at + 3) {
            Some(Token::Other(sign)) => matches!(sign.as_str(), "," | ")"),
            _ => false,
        };
        match self.tokens.get(at + 2)? {
            Token::Text(text) if is_alone => Some(text.clone()),
            Token::Name(name) if is_alone => constant(name),
            _ => None,
        }
    }

    /// The arguments of every call of a name: how many there are, and the names of those that have one.
    pub(crate) fn calls(&self, name: &str) -> Vec<(usize, Vec<&str>)> {
        let mut calls = Vec::new();
        for nth in 0..self.tokens.len() {
            if self.is(nth, name) && self.is(nth + 1, "(") {
                calls.push(self.arguments(nth + 2));
            }
        }
        calls
    }

    fn arguments(&self, from: usize) -> (usize, Vec<&str>) {
        let (mut depth, mut count, mut is_empty, mut named) = (0_usize, 0, true, Vec::new());
        for (nth, token) in self.tokens.iter().enumerate().skip(from) {
            let sign = match token {
                Token::Other(sign) => sign.as_str(),
                _ => "",
            };
            match sign {
                ")" if depth == 0 => break,
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "," if depth == 0 => {
                    count += usize::from(!is_empty);
                    is_empty = true;
                    continue;
                }
                _ => {}
            }
            if let (Token::Name(name), true, true) = (token, is_empty, self.is(nth + 1, "=")) {
                named.push(name.as_str());
            }
            is_empty = false;
        }
        (count + usize::from(!is_empty), named)
    }
}

/// The value that tokens are, if they are one alone.
fn value(tokens: &[Token]) -> Value {
    let mut at = 0;
    let value = part(tokens, &mut at, 0);
    match tokens.get(at) {
        None => value,
        // `a, b` is a tuple without brackets.
        Some(Token::Other(sign)) if sign == "," => {
            let mut items = vec![value];
            while at < tokens.len() {
                at += 1;
                if at < tokens.len() {
                    items.push(part(tokens, &mut at, 0));
                }
            }
            Value::List(items)
        }
        Some(_) => Value::Unknown,
    }
}

/// Deeper ones are no literals that anybody writes.
const MAX_DEPTH: usize = 20;

fn part(tokens: &[Token], at: &mut usize, depth: usize) -> Value {
    let sign = |at: usize| match tokens.get(at) {
        Some(Token::Other(sign)) => sign.as_str(),
        _ => "",
    };
    let first = match tokens.get(*at) {
        Some(Token::Text(text)) => {
            let mut all = text.clone();
            *at += 1;
            // Texts beside each other are one.
            while let Some(Token::Text(more)) = tokens.get(*at) {
                all.push_str(more);
                *at += 1;
            }
            Value::Text(all)
        }
        Some(Token::Name(name)) if name == "None" => {
            *at += 1;
            Value::None
        }
        _ if matches!(sign(*at), "(" | "[" | "{") && depth < MAX_DEPTH => {
            let is_tuple = sign(*at) == "(";
            *at += 1;
            let (mut items, mut commas) = (Vec::new(), 0);
            while *at < tokens.len() && !matches!(sign(*at), ")" | "]" | "}") {
                items.push(part(tokens, at, depth + 1));
                if sign(*at) == "," {
                    commas += 1;
                    *at += 1;
                }
            }
            *at += 1;
            match items.pop() {
                // Brackets around one value are not a tuple.
                Some(only) if is_tuple && items.is_empty() && commas == 0 => only,
                last => {
                    items.extend(last);
                    Value::List(items)
                }
            }
        }
        _ => {
            skip(tokens, at);
            return Value::Unknown;
        }
    };
    if *at < tokens.len() && !matches!(sign(*at), "," | ")" | "]" | "}") {
        skip(tokens, at);
        return Value::Unknown;
    }
    first
}

/// To the end of what is no literal.
fn skip(tokens: &[Token], at: &mut usize) {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(*at) {
        if let Token::Other(sign) = token {
            match sign.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" | "," if depth == 0 => return,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
        }
        *at += 1;
    }
}

/// The statements of a program.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut reader = Reader {
        rest: text.strip_prefix('\u{feff}').unwrap_or(text),
        depth: 0,
        done: Vec::new(),
        now: Statement::default(),
        is_new: true,
    };
    while reader.step() {}
    reader.end();
    reader.done
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
    done: Vec<Statement>,
    now: Statement,
    /// Nothing but blanks was on this line.
    is_new: bool,
}

impl<'t> Reader<'t> {
    fn end(&mut self) {
        let statement = std::mem::take(&mut self.now);
        if !statement.tokens.is_empty() {
            self.done.push(statement);
        }
    }

    fn take(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, good: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        self.take(end)
    }

    fn step(&mut self) -> bool {
        if self.is_new && self.depth == 0 && self.now.tokens.is_empty() {
            self.now.indent = self.take_while(|c| c == ' ' || c == '\t').len();
        }
        self.is_new = false;
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        match first {
            '\n' | '\r' => {
                self.take(1);
                if self.depth == 0 {
                    self.end();
                }
                self.is_new = true;
            }
            '\\' => {
                self.take(1);
                self.take_while(|c| c == '\r');
                if self.rest.starts_with('\n') {
                    self.take(1);
                }
            }
            '#' => drop(self.take_while(|c| c != '\n')),
            c if c.is_whitespace() => drop(self.take(c.len_utf8())),
            '"' | '\'' => self.text(false),
            c if c == '_' || c.is_alphabetic() => self.name(),
            ';' if self.depth == 0 => {
                self.take(1);
                let indent = self.now.indent;
                self.end();
                self.now.indent = indent;
            }
            c => {
                match c {
                    '(' | '[' | '{' => self.depth += 1,
                    ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                let sign = if c.is_ascii_digit() {
                    self.take_while(|c| c.is_alphanumeric() || c == '.' || c == '_')
                } else {
                    self.take(c.len_utf8())
                };
                self.now.tokens.push(Token::Other(sign.to_owned()));
            }
        }
        true
    }

    fn name(&mut self) {
        let name = self.take_while(|c| c == '_' || c.is_alphanumeric());
        let is_prefix = name.len() <= 2 && name.chars().all(|c| "rRbBuUfF".contains(c));
        if is_prefix && self.rest.starts_with(['"', '\'']) {
            self.text(name.contains(['r', 'R']));
        } else {
            self.now.tokens.push(Token::Name(name.to_owned()));
        }
    }

    fn text(&mut self, is_raw: bool) {
        let quote = &self.rest[..1];
        let triple = quote.repeat(3);
        let mark = if self.rest.starts_with(&triple) {
            triple
        } else {
            quote.to_owned()
        };
        self.take(mark.len());
        let mut text = String::new();
        while !self.rest.is_empty() && !self.rest.starts_with(&mark) {
            // A text of one line that is not closed.
            if mark.len() == 1 && self.rest.starts_with('\n') {
                break;
            }
            let c = self.take(self.rest.chars().next().map_or(1, char::len_utf8));
            if c != "\\" {
                text.push_str(c);
                continue;
            }
            let next = self.take(self.rest.chars().next().map_or(0, char::len_utf8));
            match next {
                _ if is_raw => {
                    text.push('\\');
                    text.push_str(next);
                }
                "n" => text.push('\n'),
                "t" => text.push('\t'),
                "\n" => {}
                other => text.push_str(other),
            }
        }
        let end = mark.len().min(self.rest.len());
        if self.rest.starts_with(&mark) {
            self.take(end);
        }
        self.now.tokens.push(Token::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(text: &str, name: &str) -> Option<Value> {
        let all = statements(text);
        let found = all.iter().filter_map(Statement::assignment);
        found
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value)
            .next_back()
    }

    #[test]
    fn revisions_are_read_as_people_and_tools_write_them() {
        let texts = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect());
        for (text, expected) in [
            ("down_revision = 'abc'", texts(&["abc"])),
            ("down_revision = \"abc\"  # the one before", texts(&["abc"])),
            ("down_revision: str | None = None", texts(&[])),
            ("down_revision: Union[str, None] = 'abc'", texts(&["abc"])),
            (
                "down_revision: Union[str, Sequence[str], None] = ('a', \"b\")",
                texts(&["a", "b"]),
            ),
            (
                "down_revision = (\n    'a',\n    # merged\n    'b',\n)",
                texts(&["a", "b"]),
            ),
            ("down_revision = ['a', 'b']", texts(&["a", "b"])),
            ("down_revision = 'a', 'b'", texts(&["a", "b"])),
            ("down_revision = ('a')", texts(&["a"])),
            ("down_revision = ('a',)", texts(&["a"])),
            ("down_revision = 'a' \\\n  'b'", texts(&["ab"])),
            ("down_revision = u'a'", texts(&["a"])),
            ("down_revision = previous", None),
            ("down_revision = 'a' + suffix", None),
        ] {
            let value = assigned(text, "down_revision").unwrap();
            assert_eq!(value.texts(), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_an_assignment_is_none() {
        let text = "\"\"\"revision = 'no'\n\"\"\"\n# revision = 'no'\nx = 'revision = 1'\nif revision == 'no': pass\ndef f(revision='no'):\n    pass\n";
        assert_eq!(assigned(text, "revision"), None);
        // Any text ends, whatever is not closed.
        for odd in [
            "x = 'abc",
            "x = (((",
            "x = \"\"\"abc",
            "\\",
            "x = ]",
            "x: (",
            "'\\",
        ] {
            statements(odd);
        }
    }

    #[test]
    fn calls_tell_their_arguments() {
        let text = "operations = [migrations.RunPython(f, g), migrations.RunPython(f), migrations.RunSQL('x', reverse_sql='y'), migrations.RunPython(code=f, reverse_code=migrations.RunPython.noop,),]";
        let all = statements(text);
        let calls = all[0].calls("RunPython");
        assert_eq!(
            calls,
            [(2, vec![]), (1, vec![]), (2, vec!["code", "reverse_code"])]
        );
        assert_eq!(all[0].calls("RunSQL"), [(2, vec!["reverse_sql"])]);
    }
}
