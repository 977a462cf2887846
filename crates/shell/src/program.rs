//! The commands of a program, one after the other.

use std::collections::{BTreeMap, VecDeque};

use crate::command::{Command, FIELD, Input, Lookup, MAX_VALUE, Word};
use crate::printed::printed;
use crate::wrapping::{appended, assignment, is_name, unwrap};

/// Longer programs are cut here: deployments are short.
const MAX_COMMANDS: usize = 2_000;
pub(crate) const MAX_TEXT: usize = 1 << 18;
const MAX_WORDS: usize = 1_000;
/// Subshells within subshells.
const MAX_GROUPS: usize = 32;
/// Substitutions within substitutions.
pub(crate) const MAX_DEPTH: usize = 8;

/// Reads the next command each time, so that its assignments count for those after it.
pub struct Program {
    pub(crate) text: Vec<char>,
    pub(crate) at: usize,
    pub(crate) line: usize,
    /// Here-documents whose text begins at the next line: the delimiter, whether variables are filled in, and
    /// whether tabs before its lines are dropped.
    pub(crate) pending: Vec<(String, bool, bool)>,
    /// Commands within substitutions, which come before the one that they are in.
    pub(crate) inner: Vec<Command>,
    /// Commands that are read already.
    pub(crate) ready: VecDeque<Command>,
    pub(crate) read: usize,
    pub(crate) depth: usize,
    /// Groups that are not closed yet, each by its number.
    pub(crate) open: Vec<usize>,
    /// Groups that were opened.
    pub(crate) groups: usize,
    /// Each `if` that is not ended yet: its line, and which part of it is read.
    pub(crate) ifs: Vec<(usize, usize)>,
    /// The function that was begun last.
    pub(crate) function: Option<String>,
    /// The functions that hand their arguments to a program, and its words before them.
    pub(crate) handing: BTreeMap<String, Command>,
    /// What is printed within each `{` that is not closed yet.
    pub(crate) printed: Vec<String>,
}

impl Program {
    pub fn new(text: &str) -> Program {
        Program::at_depth(text, 0)
    }

    pub(crate) fn at_depth(text: &str, depth: usize) -> Program {
        Program {
            text: text.replace("\r\n", "\n").chars().take(MAX_TEXT).collect(),
            at: 0,
            line: 0,
            pending: Vec::new(),
            inner: Vec::new(),
            ready: VecDeque::new(),
            read: 0,
            depth,
            open: Vec::new(),
            groups: 0,
            ifs: Vec::new(),
            function: None,
            handing: BTreeMap::new(),
            printed: Vec::new(),
        }
    }

    pub fn next(&mut self, lookup: Lookup<'_>) -> Option<Command> {
        if let Some(command) = self.ready.pop_front() {
            return Some(command);
        }
        let mut piped = false;
        while self.at < self.text.len() {
            self.read += 1;
            if self.read > MAX_COMMANDS {
                return None;
            }
            let mut command = self.command(lookup);
            command.piped = piped;
            piped = self.peek() == Some('|') && self.peek_after(1) != Some('|');
            self.separator(&mut command, lookup);
            self.ready.extend(self.inner.drain(..));
            self.finish(&mut command);
            if !command.words.is_empty() || !command.assignments.is_empty() {
                self.ready.push_back(command);
            }
            if piped && let Some(next) = self.ready.pop_front() {
                // The command after the pipe must know of it: read it now.
                self.ready.push_front(next);
                let mut after = self.command(lookup);
                after.piped = true;
                self.separator(&mut after, lookup);
                self.ready.extend(self.inner.drain(..));
                self.finish(&mut after);
                if !after.words.is_empty() {
                    self.ready.push_back(after);
                }
                piped = false;
            }
            if let Some(command) = self.ready.pop_front() {
                return Some(command);
            }
        }
        None
    }

    fn finish(&mut self, command: &mut Command) {
        self.close(command);
        self.arms(command);
        unwrap(command);
        self.follow(command);
        let words: Vec<String> = command.words.iter().map(|word| word.text.clone()).collect();
        if let Some((name @ ("echo" | "printf"), arguments)) = words
            .split_first()
            .map(|(name, rest)| (name.as_str(), rest))
            && command.outputs.is_empty()
        {
            let line = printed(name, arguments);
            let fitting = self
                .printed
                .iter_mut()
                .filter(|text| text.len() + line.len() < MAX_VALUE);
            for text in fitting {
                text.push_str(line.trim_end_matches('\n'));
                text.push('\n');
            }
        }
    }

    /// `{ echo …; echo …; } >FILE` writes what is printed in it, as `cat` writes a here-document.
    fn close(&mut self, command: &mut Command) {
        let closes = command.words.first().filter(|word| word.text == "}");
        let Some(line) = closes.map(|word| word.line) else {
            return;
        };
        let text = self.printed.pop().unwrap_or_default();
        if !command.outputs.is_empty() && !text.is_empty() {
            command.words[0].text = "cat".to_owned();
            command.input = Some(Input::Text(Word { text, line }));
        }
    }

    /// Follows `if`, `then`, `elif`, `else` and `fi` before a command, and tells it where it is.
    fn arms(&mut self, command: &mut Command) {
        for word in &command.words {
            match word.text.as_str() {
                "if" if self.ifs.len() < MAX_GROUPS => self.ifs.push((command.line, 0)),
                "then" | "elif" | "else" => {
                    if let Some((_, part)) = self.ifs.last_mut() {
                        *part += 1;
                    }
                }
                "fi" => {
                    self.ifs.pop();
                }
                "{" if self.printed.len() < MAX_GROUPS => self.printed.push(String::new()),
                "!" | "{" | "do" => {}
                _ => break,
            }
        }
        command.arms.clone_from(&self.ifs);
    }

    /// A function that hands its arguments to a program is that program: `compose() { sudo docker compose "$@"; }`. One that
    /// also runs its arguments as they are does nothing else that matters.
    fn follow(&mut self, command: &mut Command) {
        let Some((last, before)) = command.words.split_last() else {
            return;
        };
        if before.is_empty() && last.text == "}" {
            self.function = None;
        } else if last.text == "$@"
            && let Some(name) = &self.function
        {
            if before.is_empty() {
                self.handing.remove(name);
            }
            let known = self.handing.entry(name.clone());
            known.or_insert_with(|| Command {
                words: before.to_vec(),
                runner: command.runner.clone(),
                assignments: command.assignments.clone(),
                ..Command::default()
            });
        } else if let Some(handed) = self.handing.get(&command.words[0].text) {
            command.words.splice(..1, handed.words.iter().cloned());
            command
                .assignments
                .extend(handed.assignments.iter().cloned());
            if command.runner.is_empty() {
                command.runner.clone_from(&handed.runner);
            }
        }
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn peek_after(&self, more: usize) -> Option<char> {
        self.text.get(self.at + more).copied()
    }

    pub(crate) fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    pub(crate) fn starts_with(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(at, c)| self.peek_after(at) == Some(c))
    }

    /// Ends a command; after a line's end the here-documents that it named follow.
    pub(crate) fn separator(&mut self, command: &mut Command, lookup: Lookup<'_>) {
        match self.peek() {
            Some('\n') => {
                self.take();
                for (delimiter, fill, tabs) in std::mem::take(&mut self.pending) {
                    let word = self.here_document(&delimiter, fill, tabs, lookup);
                    command.input = Some(Input::Text(word));
                }
            }
            Some('&' | '|' | ';') => {
                while matches!(self.peek(), Some('&' | '|' | ';')) {
                    self.take();
                }
            }
            _ => {}
        }
    }

    pub(crate) fn here_document(
        &mut self,
        delimiter: &str,
        fill: bool,
        tabs: bool,
        lookup: Lookup<'_>,
    ) -> Word {
        let line = self.line;
        let mut text = String::new();
        while self.peek().is_some() {
            let mut one = String::new();
            while let Some(c) = self.take() {
                if c == '\n' {
                    break;
                }
                one.push(c);
            }
            let one = if tabs {
                one.trim_start_matches('\t')
            } else {
                &one
            };
            if one.trim() == delimiter {
                break;
            }
            text.push_str(one);
            text.push('\n');
        }
        if fill {
            text = Program::new(&text).filled(lookup);
        }
        Word { text, line }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each sign of a shell")]
    pub(crate) fn command(&mut self, lookup: Lookup<'_>) -> Command {
        let mut command = Command::default();
        let mut redirect = None;
        loop {
            self.blanks();
            if command.words.is_empty() && command.assignments.is_empty() {
                command.line = self.line;
                command.groups.clone_from(&self.open);
            }
            match self.peek() {
                None | Some('\n' | ';' | '&' | '|') => {
                    // `&>` and `2>&1` are no ends.
                    if self.starts_with("&>") {
                        self.at += 2;
                        redirect = Some('>');
                        continue;
                    }
                    return command;
                }
                c @ Some('(' | ')') => {
                    self.take();
                    // A group, a function or a pattern of `case`: what is in it is read like the rest.
                    if c == Some('(') {
                        self.groups += 1;
                        if self.open.len() < MAX_GROUPS {
                            self.open.push(self.groups);
                        }
                        if command.words.is_empty() {
                            continue;
                        }
                        if self.peek() == Some(')') {
                            self.function = command.words.pop().map(|word| word.text);
                        }
                        command.words.clear();
                    } else if self.open.pop().is_some() {
                        if command.words.is_empty() && command.assignments.is_empty() {
                            continue;
                        }
                    } else {
                        command.words.clear();
                    }
                    return command;
                }
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.take();
                    }
                }
                Some('<') => {
                    self.take();
                    if self.peek() == Some('<') && self.peek_after(1) == Some('<') {
                        self.at += 2;
                        self.blanks();
                        let mut word = self.word(lookup);
                        word.text = word.text.replace(FIELD, " ");
                        command.input = Some(Input::Text(word));
                    } else if self.peek() == Some('<') {
                        self.take();
                        let tabs = self.peek() == Some('-');
                        if tabs {
                            self.take();
                        }
                        self.blanks();
                        let quoted = matches!(self.peek(), Some('\'' | '"' | '\\'));
                        let word = self.word(&|_| None);
                        if self.pending.len() < MAX_DEPTH {
                            self.pending.push((word.text, !quoted, tabs));
                        }
                    } else if self.peek() == Some('(') {
                        self.take();
                    } else {
                        redirect = Some('<');
                    }
                }
                Some('>') => {
                    self.take();
                    while matches!(self.peek(), Some('>' | '|')) {
                        self.take();
                    }
                    if self.peek() == Some('&') {
                        self.take();
                        // `2>&1` and `>&-` name no file.
                        if self.peek().is_some_and(|c| c.is_ascii_digit() || c == '-') {
                            self.take();
                            continue;
                        }
                    }
                    redirect = Some('>');
                }
                Some(_) => {
                    let mut split = self.word(lookup);
                    let array = self.array(&mut split.text, lookup);
                    let word = Word {
                        text: split.text.replace(FIELD, " "),
                        line: split.line,
                    };
                    let written = if array { &split.text } else { &word.text };
                    let set = appended(written, lookup).or_else(|| assignment(written));
                    match redirect.take() {
                        Some('<') => command.input = Some(Input::File(word.text)),
                        Some(_) => command.outputs.push(word.text),
                        // The number before `>`.
                        None if matches!(self.peek(), Some('>' | '<'))
                            && matches!(word.text.as_str(), "0" | "1" | "2") => {}
                        None if command.words.len() > MAX_WORDS => {}
                        None => match set {
                            Some(pair) if command.words.is_empty() => {
                                command.assignments.push(pair);
                            }
                            _ if split.text.contains(FIELD) => {
                                let fields =
                                    split.text.split(FIELD).filter(|field| !field.is_empty());
                                let line = split.line;
                                command.words.extend(fields.map(|field| Word {
                                    text: field.to_owned(),
                                    line,
                                }));
                            }
                            _ => command.words.push(word),
                        },
                    }
                }
            }
        }
    }

    /// `NAME=(A B)` and `NAME+=(C)`: the elements, marked where the shell keeps them apart. Tells whether it is one.
    fn array(&mut self, text: &mut String, lookup: Lookup<'_>) -> bool {
        if self.peek() != Some('(')
            || !text.ends_with('=')
            || !is_name(text.trim_end_matches(['=', '+']))
        {
            return false;
        }
        self.take();
        let mut elements = 0;
        while self.peek().is_some_and(|c| c != ')') && elements < MAX_WORDS {
            let before = self.at;
            let word = self.word(lookup);
            if self.at == before {
                // A blank, a line's end or a sign that no element has.
                self.take();
                continue;
            }
            if elements > 0 {
                text.push(FIELD);
            }
            text.push_str(&word.text);
            elements += 1;
        }
        self.take();
        true
    }

    pub(crate) fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => {
                    self.take();
                }
                Some('\\') if self.peek_after(1) == Some('\n') => {
                    self.take();
                    self.take();
                }
                _ => return,
            }
        }
    }
}
