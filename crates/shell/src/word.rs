//! Words: quotes, variables, substitutions.

use crate::command::{Command, FIELD, HEAD, Lookup, MAX_VALUE, Word};
use crate::program::{MAX_DEPTH, MAX_TEXT, Program};

impl Program {
    pub(crate) fn word(&mut self, lookup: Lookup<'_>) -> Word {
        let line = self.line;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\'' => {
                    self.take();
                    while self.peek().is_some_and(|c| c != '\'') {
                        if self.starts_with("${{") {
                            self.expression(&mut text);
                        } else {
                            text.extend(self.take());
                        }
                    }
                    self.take();
                }
                '"' => {
                    self.take();
                    self.quoted(&mut text, lookup);
                }
                '\\' => {
                    self.take();
                    match self.take() {
                        Some('\n') | None => {}
                        Some(c) => text.push(c),
                    }
                }
                '$' => {
                    let mut value = String::new();
                    let own = self.starts_with("${{") || self.starts_with("$(");
                    self.dollar(&mut value, lookup);
                    if own {
                        text.push_str(&value);
                    } else {
                        text.push_str(&fields(&value));
                    }
                }
                '`' => {
                    self.take();
                    let mut inner = String::new();
                    while let Some(c) = self.take() {
                        if c == '`' {
                            break;
                        }
                        inner.push(c);
                    }
                    self.substitute(&inner, line, &mut text, lookup);
                }
                _ => {
                    self.take();
                    text.push(c);
                }
            }
        }
        if text.is_empty() && self.at < self.text.len() && line == self.line {
            // An empty word such as `""` has moved on; anything else that stands here would not end.
            let stuck = self.peek().is_some_and(|c| !" \t\r\n;&|<>()".contains(c));
            if stuck {
                self.take();
            }
        }
        Word { text, line }
    }

    fn quoted(&mut self, text: &mut String, lookup: Lookup<'_>) {
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.take();
                    return;
                }
                '\\' => {
                    self.take();
                    match self.take() {
                        Some('\n') | None => {}
                        // A shell on another machine fills it in: it is still a variable there.
                        Some(c @ ('"' | '\\' | '`' | '$')) => text.push(c),
                        Some(c) => text.extend(['\\', c]),
                    }
                }
                '$' => self.dollar(text, lookup),
                '`' => {
                    self.take();
                    let (line, mut inner) = (self.line, String::new());
                    while let Some(c) = self.take() {
                        if c == '`' {
                            break;
                        }
                        inner.push(c);
                    }
                    self.substitute(&inner, line, text, lookup);
                }
                _ => {
                    self.take();
                    text.push(c);
                }
            }
        }
    }

    fn dollar(&mut self, text: &mut String, lookup: Lookup<'_>) {
        if self.starts_with("${{") {
            self.expression(text);
        } else if self.starts_with("$((") {
            while self.peek().is_some() && !self.starts_with("))") {
                text.extend(self.take());
            }
            for _ in 0..2 {
                text.extend(self.take());
            }
        } else if self.starts_with("$(") {
            let line = self.line;
            self.at += 2;
            let inner = self.until_closed();
            self.substitute(&inner, line, text, lookup);
        } else if self.starts_with("${") {
            self.at += 2;
            let mut inner = String::new();
            let mut depth = 0_usize;
            while let Some(c) = self.take() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                inner.push(c);
            }
            let value = if self.depth < MAX_DEPTH && inner.len() < MAX_VALUE {
                parameter(&inner, lookup, self.depth + 1)
            } else {
                format!("${{{inner}}}")
            };
            if fits(text, &value) {
                text.push_str(&value);
            }
        } else {
            self.take();
            let mut name = String::new();
            if let Some(c) = self.peek()
                && (c.is_ascii_digit() || "@*#?!$-".contains(c))
            {
                self.take();
                name.push(c);
            } else {
                while let Some(c) = self.peek()
                    && (c.is_ascii_alphanumeric() || c == '_')
                {
                    self.take();
                    name.push(c);
                }
            }
            match lookup(&name) {
                Some(value) if !name.is_empty() && fits(text, &value) => text.push_str(&value),
                _ => {
                    text.push('$');
                    text.push_str(&name);
                }
            }
        }
    }

    /// An expression is GitHub's and not the shell's: its quotes are its own.
    fn expression(&mut self, text: &mut String) {
        while self.peek().is_some() && !self.starts_with("}}") {
            text.extend(self.take());
        }
        for _ in 0..2 {
            text.extend(self.take());
        }
    }

    /// The text up to the bracket that closes this one.
    fn until_closed(&mut self) -> String {
        let (mut inner, mut depth, mut quote) = (String::new(), 0_usize, None);
        while self.peek().is_some() {
            if self.starts_with("${{") {
                self.expression(&mut inner);
                continue;
            }
            let Some(c) = self.take() else {
                break;
            };
            match (c, quote) {
                ('\\', None | Some('"')) => {
                    inner.push(c);
                    inner.extend(self.take());
                    continue;
                }
                (c, Some(open)) => quote = Some(open).filter(|open| *open != c),
                ('\'' | '"', None) => quote = Some(c),
                ('(', None) => depth += 1,
                (')', None) if depth == 0 => break,
                (')', None) => depth -= 1,
                _ => {}
            }
            inner.push(c);
        }
        inner
    }

    /// The commands within a substitution are commands too; what they print is not known.
    fn substitute(&mut self, inner: &str, line: usize, text: &mut String, lookup: Lookup<'_>) {
        let before = self.inner.len();
        if self.depth < MAX_DEPTH {
            let mut program = Program::at_depth(inner, self.depth + 1);
            self.groups += 1;
            let mut outer = self.open.clone();
            outer.push(self.groups);
            while let Some(mut command) = program.next(lookup) {
                command.line += line;
                // The numbers within are another program's; they are told apart by what is before them.
                command.groups = outer.iter().chain(&command.groups).copied().collect();
                for word in &mut command.words {
                    word.line += line;
                }
                self.inner.push(command);
            }
        }
        match inner.split_whitespace().collect::<Vec<_>>()[..] {
            // `--short` is the beginning of it alone, and `--abbrev-ref` the branch.
            ["git", "rev-parse", "HEAD"] | ["git", "rev-parse", "--verify", "HEAD"] => {
                let head = lookup(HEAD).unwrap_or_else(|| "${{ github.sha }}".to_owned());
                text.push_str(&head);
            }
            ["pwd"] => text.push('.'),
            // What it quotes for another shell is the same word there.
            ["printf", "%q" | "'%q'" | "\"%q\"", ..] if self.depth < MAX_DEPTH => {
                let quoted = inner.split_once("%q").map_or("", |(_, rest)| rest);
                let quoted = quoted.trim_start_matches(['\'', '"']).trim_start();
                let word = Program::at_depth(quoted, self.depth + 1).word(lookup);
                text.push_str(&word.text.replace(FIELD, " "));
            }
            _ => {
                let same = trimmed(&self.inner[before..]);
                text.push_str(&same.unwrap_or_else(|| format!("$({inner})")));
            }
        }
    }

    /// All of the text with its variables filled in.
    pub(crate) fn filled(mut self, lookup: Lookup<'_>) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            match c {
                '$' => self.dollar(&mut out, lookup),
                '\\' if self.peek_after(1) == Some('$') => {
                    self.at += 2;
                    out.push('$');
                }
                _ => {
                    self.take();
                    out.push(c);
                }
            }
        }
        out
    }
}

/// What commands print that write a text and take blanks and line ends off it: `printf '%s' "$URL" | tr -d '\r'`.
fn trimmed(commands: &[Command]) -> Option<String> {
    fn words(command: &Command) -> Vec<&str> {
        let words = command.words.iter();
        words.map(|word| word.text.as_str()).collect()
    }
    let is_blank = |set: &str| {
        let rest = ["[:space:]", "\\r", "\\n", "\\t"]
            .iter()
            .fold(set.to_owned(), |rest, one| rest.replace(one, ""));
        rest.chars().all(|c| "$ \t\r\n".contains(c))
    };
    let (first, rest) = commands.split_first()?;
    let (["echo", written] | ["echo", "-n", written] | ["printf", "%s" | "%s\\n", written]) =
        words(first)[..]
    else {
        return None;
    };
    let keeps = |command: &Command| match words(command)[..] {
        ["tr", "-d", set] => command.piped && is_blank(set),
        ["xargs"] => command.piped,
        _ => false,
    };
    let is_whole = first.outputs.is_empty() && !written.starts_with('-');
    (is_whole && rest.iter().all(keeps)).then(|| written.to_owned())
}

fn fits(text: &str, value: &str) -> bool {
    value.len() <= MAX_VALUE && text.len() + value.len() < MAX_TEXT
}

/// A value with the places marked where a shell splits it; an expression stays whole.
fn fields(value: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    for c in value.chars() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let splits = depth == 0 && matches!(c, ' ' | '\t' | '\n');
        out.push(if splits { FIELD } else { c });
    }
    out
}

/// `${{ secrets.PORT }}` with the default that a shell gives it: `${{ secrets.PORT || 22 }}`.
fn with_default(value: &str, default: &str) -> Option<String> {
    let inner = value.strip_prefix("${{")?.strip_suffix("}}")?.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let empty = ["secrets.", "vars.", "inputs.", "github.event.inputs."]
        .iter()
        .any(|context| inner.starts_with(context));
    let good = !default.is_empty() && !default.contains(['\'', '$', '`', '\n']);
    if !empty || !good || !inner.chars().all(plain) {
        return None;
    }
    let number = default.chars().all(|c| c.is_ascii_digit());
    let default = if number {
        default.to_owned()
    } else {
        format!("'{default}'")
    };
    Some(format!("${{{{ {inner} || {default} }}}}"))
}

/// Whether what follows the name in `${…}` is only for a variable that is not set.
fn has_default(rest: &str) -> bool {
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    rest.starts_with(['-', '=', '?'])
}

/// The value of `${…}`: of the name, else the default after `:-`.
fn parameter(inner: &str, lookup: Lookup<'_>, depth: usize) -> String {
    let end = inner
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let fallback = || match rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-')) {
        Some(default) => Program::at_depth(default.trim_matches(['"', '\'']), depth).filled(lookup),
        None => format!("${{{inner}}}"),
    };
    match lookup(name) {
        Some(value) if rest.starts_with(":-") => {
            let default = rest[2..].trim_matches(['"', '\'']);
            with_default(&value, &Program::at_depth(default, depth).filled(lookup)).unwrap_or(value)
        }
        // In small or capital letters, where none of it is an expression.
        Some(value) if rest == ",," && !value.contains('$') => value.to_lowercase(),
        Some(value) if rest == "^^" && !value.contains('$') => value.to_uppercase(),
        // All elements of an array: as one word, or each as its own.
        Some(value) if rest == "[*]" => value.replace(FIELD, " "),
        // A default is not needed; of `${SHA::7}` the value is a part.
        Some(value) if rest.is_empty() || rest == "[@]" || has_default(rest) => value,
        _ if name.is_empty() => format!("${{{inner}}}"),
        _ => fallback(),
    }
}
