//! A Makefile as `make` reads it: its targets with what they need, its variables, and the files that it includes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Repository, joined};

/// Files that are included, and those that these include.
const MAX_FILES: usize = 16;
/// More variables than a Makefile has.
const MAX_VARIABLES: usize = 500;
/// Targets that need others.
const MAX_TARGETS: usize = 100;
/// Variables within variables.
const MAX_DEPTH: usize = 8;
/// A longer value is not filled in.
const MAX_VALUE: usize = 1 << 13;

/// A target, in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    pub file: String,
    /// The first line of its text, from 0.
    pub first: usize,
    pub text: String,
}

#[derive(Debug)]
struct Rule {
    targets: Vec<String>,
    needs: Vec<String>,
    recipe: Recipe,
}

#[derive(Debug, Default)]
pub struct Makefile {
    rules: Vec<Rule>,
    variables: BTreeMap<String, String>,
    /// Those of the call, which no line of the file changes.
    given: BTreeSet<String>,
}

impl Makefile {
    /// The file that `make` reads in a folder, or the one that `-f` names. Variables of the call come before those of the
    /// file, and these before the environment's.
    pub fn read(
        repository: &Repository,
        folder: &str,
        named: Option<&str>,
        given: &BTreeMap<String, String>,
        env: &BTreeMap<String, String>,
    ) -> Option<Makefile> {
        let usual = ["GNUmakefile", "makefile", "Makefile"];
        let possible = named.map_or_else(|| usual.to_vec(), |file| vec![file]);
        let mut paths = possible.iter().filter_map(|file| joined(folder, file));
        let path = paths.find(|path| repository.has(path))?;
        let mut variables = env.clone();
        variables.extend(given.clone());
        let mut makefile = Makefile {
            variables,
            given: given.keys().cloned().collect(),
            ..Makefile::default()
        };
        let mut seen = BTreeSet::new();
        makefile.add(repository, folder, &path, &mut seen);
        Some(makefile)
    }

    fn add(
        &mut self,
        repository: &Repository,
        folder: &str,
        path: &str,
        seen: &mut BTreeSet<String>,
    ) {
        if seen.len() >= MAX_FILES || !seen.insert(path.to_owned()) {
            return;
        }
        let Some(text) = repository.text(path) else {
            return;
        };
        let lines: Vec<&str> = text.lines().collect();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            if line.starts_with('\t') {
                self.recipe_line(line, at);
                at += 1;
                continue;
            }
            let first = at;
            let mut whole = (*line).to_owned();
            while whole.ends_with('\\')
                && let Some(next) = lines.get(at + 1)
            {
                whole.pop();
                whole.push(' ');
                whole.push_str(next.trim());
                at += 1;
            }
            at += 1;
            self.statement(repository, folder, path, &whole, first, seen);
        }
    }

    /// A line of a recipe belongs to the rule above it.
    fn recipe_line(&mut self, line: &str, at: usize) {
        if let Some(rule) = self.rules.last_mut() {
            let recipe = &mut rule.recipe;
            if recipe.text.is_empty() {
                recipe.first = at;
            }
            // What is between is empty or a comment.
            while recipe.first + recipe.text.lines().count() < at {
                recipe.text.push('\n');
            }
            recipe.text.push_str(line.trim_start_matches('\t'));
            recipe.text.push('\n');
        }
    }

    fn statement(
        &mut self,
        repository: &Repository,
        folder: &str,
        path: &str,
        line: &str,
        first: usize,
        seen: &mut BTreeSet<String>,
    ) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let plain = line.trim_start_matches('-');
        if let Some(files) =
            (plain.strip_prefix("include ")).or_else(|| plain.strip_prefix("sinclude "))
        {
            for file in self.expanded(files, "").split_whitespace() {
                if let Some(path) = joined(folder, file) {
                    self.add(repository, folder, &path, seen);
                }
            }
            return;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = line.strip_prefix("override ").unwrap_or(line);
        if let Some((name, sign, value)) = assignment(line) {
            self.assign(name, sign, value);
            return;
        }
        let Some((targets, rest)) = line.split_once(':') else {
            return;
        };
        let rest = rest.trim_start_matches(':');
        let (needs, inline) = rest.split_once(';').unwrap_or((rest, ""));
        // A variable of one target is not known for the others.
        let needs = if needs.contains('=') { "" } else { needs };
        let words = |text: &str| -> Vec<String> {
            let text = self.expanded(text, "");
            text.split_whitespace().map(str::to_owned).collect()
        };
        let rule = Rule {
            targets: words(targets),
            needs: words(&needs.replace('|', " ")),
            recipe: Recipe {
                file: path.to_owned(),
                first,
                text: match inline.trim() {
                    "" => String::new(),
                    inline => format!("{inline}\n"),
                },
            },
        };
        self.rules.push(rule);
    }

    fn assign(&mut self, name: &str, sign: &str, value: &str) {
        let is_kept = self.given.contains(name) || sign == "?" && self.variables.contains_key(name);
        if is_kept || self.variables.len() >= MAX_VARIABLES {
            return;
        }
        let value = match sign {
            // What is set at once is what its variables are then.
            ":" | "::" => self.expanded(value, ""),
            "+" => match self.variables.get(name) {
                Some(old) => format!("{old} {value}"),
                None => value.to_owned(),
            },
            _ => value.to_owned(),
        };
        self.variables.insert(name.to_owned(), value);
    }

    /// The recipes that `make TARGET` runs, in their order; without a target those of the first one.
    pub fn recipes(&self, target: Option<&str>) -> Option<(String, Vec<Recipe>)> {
        let is_goal = |name: &&String| !name.starts_with('.') && !name.contains('%');
        let target = match target {
            Some(target) => target.to_owned(),
            None => (self.rules.iter())
                .find_map(|rule| rule.targets.iter().find(is_goal))?
                .clone(),
        };
        if !self.rules.iter().any(|rule| rule.targets.contains(&target)) {
            return None;
        }
        let mut found = Vec::new();
        self.collect(&target, &mut BTreeSet::new(), &mut found, 0);
        Some((target, found))
    }

    fn collect(
        &self,
        target: &str,
        seen: &mut BTreeSet<String>,
        found: &mut Vec<Recipe>,
        depth: usize,
    ) {
        if depth > MAX_DEPTH || seen.len() >= MAX_TARGETS || !seen.insert(target.to_owned()) {
            return;
        }
        let rules =
            || (self.rules.iter()).filter(|rule| rule.targets.iter().any(|name| name == target));
        for need in rules().flat_map(|rule| &rule.needs) {
            self.collect(need, seen, found, depth + 1);
        }
        // Of two recipes for one target, the last is the one that is run.
        let last = rules().rfind(|rule| !rule.recipe.text.is_empty());
        found.extend(last.map(|rule| {
            let lines = rule.recipe.text.lines();
            let text = lines.map(|line| {
                let line = line.trim_start_matches(['@', '-', '+', ' ']);
                self.expanded(line, target) + "\n"
            });
            Recipe {
                text: text.collect(),
                ..rule.recipe.clone()
            }
        }));
    }

    /// Its variables, each as it is at the end.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let each = self.variables.iter();
        each.map(|(name, value)| (name.clone(), self.expanded(value, "")))
            .collect()
    }

    fn expanded(&self, text: &str, target: &str) -> String {
        self.expanded_at(text, target, 0)
    }

    /// A text with its variables filled in: what is not known is a shell's, `${NAME}`, and `$$` a shell's sign.
    fn expanded_at(&self, text: &str, target: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if depth > MAX_DEPTH || out.len() > MAX_VALUE {
                return format!("{out}${after}");
            }
            // An expression of the workflow is none of Make's.
            if after.starts_with("{{") {
                out.push('$');
                rest = after;
                continue;
            }
            let (value, more) = match after.chars().next() {
                Some('$') => ("$".to_owned(), &after[1..]),
                Some('@') => (target.to_owned(), &after[1..]),
                Some(open @ ('(' | '{')) => match enclosed(&after[1..], open) {
                    Some((inner, more)) => (self.reference(inner, target, depth), more),
                    None => ("$".to_owned(), after),
                },
                _ => ("$".to_owned(), after),
            };
            out.push_str(&value);
            rest = more;
        }
        out.push_str(rest);
        out
    }

    /// What `$(…)` is: a variable, whose name may have variables in it, or a command whose output it is.
    fn reference(&self, inner: &str, target: &str, depth: usize) -> String {
        if let Some(command) = inner.strip_prefix("shell ") {
            return format!("$({})", self.expanded_at(command, target, depth + 1));
        }
        let name = self.expanded_at(inner, target, depth + 1);
        match self.variables.get(&name) {
            Some(value) => self.expanded_at(value, target, depth + 1),
            None if is_name(&name) => format!("${{{name}}}"),
            None => format!("$({name})"),
        }
    }
}

/// `NAME = VALUE` and the signs before `=`: `NAME ?= VALUE`.
fn assignment(line: &str) -> Option<(&str, &str, &str)> {
    let (left, value) = line.split_once('=')?;
    let name = left.trim_end_matches([':', '?', '+', '!']);
    let sign = &left[name.len()..];
    let name = name.trim();
    is_name(name).then(|| (name, sign, value.trim()))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain)
}

/// The text up to the bracket that closes, and what follows it.
fn enclosed(text: &str, open: char) -> Option<(&str, &str)> {
    let close = if open == '(' { ')' } else { '}' };
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            if depth == 0 {
                return Some((&text[..at], &text[at + 1..]));
            }
            depth -= 1;
        }
    }
    None
}

/// How `make` is called: where, with which file, for which targets and with which variables.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    pub folder: Option<String>,
    pub file: Option<String>,
    pub targets: Vec<String>,
    pub given: BTreeMap<String, String>,
    /// The words besides the target, as a person reads them.
    pub rest: Vec<String>,
}

impl Call {
    /// The words after `make`.
    pub fn of(words: &[String]) -> Call {
        let mut call = Call::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let valued = |short: &str, long: &str| {
                let inline = word.strip_prefix(&format!("{long}="));
                let joined = word.strip_prefix(short).filter(|rest| !rest.is_empty());
                inline.or(joined).map(str::to_owned)
            };
            let is = |short: &str, long: &str| word == short || word == long;
            if is("-C", "--directory") {
                call.folder = words.next().cloned();
            } else if let Some(folder) = valued("-C", "--directory") {
                call.folder = Some(folder);
            } else if is("-f", "--file") || word == "--makefile" {
                call.file = words.next().cloned();
            } else if let Some(file) = valued("-f", "--file") {
                call.file = Some(file);
            } else if is("-I", "--include-dir") || is("-o", "-W") {
                words.next();
            } else if is("-j", "--jobs") || is("-l", "--load-average") {
                // Its number may be left out.
                let is_number = |next: &String| next.bytes().all(|b| b.is_ascii_digit());
                if words.as_slice().first().is_some_and(is_number) {
                    words.next();
                }
            } else if word.starts_with('-') {
                call.rest.push(word.clone());
            } else if let Some((name, value)) = word.split_once('=') {
                call.given.insert(
                    name.trim_end_matches([':', '?']).to_owned(),
                    value.to_owned(),
                );
                call.rest.push(word.clone());
            } else {
                call.targets.push(word.clone());
            }
        }
        call
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn makefile(files: &[(&str, &str)], folder: &str, call: &Call) -> Makefile {
        let made = testkit::repository(files);
        let repository = Repository::of(made.path()).unwrap();
        let env = BTreeMap::from([("STAGE".to_owned(), "prod".to_owned())]);
        Makefile::read(&repository, folder, call.file.as_deref(), &call.given, &env).unwrap()
    }

    fn call(words: &str) -> Call {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        Call::of(&words)
    }

    fn texts(makefile: &Makefile, target: Option<&str>) -> Vec<String> {
        let (_, recipes) = makefile.recipes(target).unwrap();
        let each = recipes.iter();
        each.map(|one| format!("{}:{}: {}", one.file, one.first + 1, one.text.trim_end()))
            .collect()
    }

    #[test]
    fn a_target_is_made_after_all_that_it_needs_and_each_once() {
        let file = "include common.mk\n-include none.mk\nHOST_prod := ops@$(NAME)\nHOST = $(HOST_$(STAGE))\nTAG ?= none\n\
            .PHONY: ship push restart check\nship: push restart \\\n  check | push\n\t@echo $@ $$HOME $$(date)\n\
            push: ship\n\trsync dist/ $(HOST):$(ROOT)/$(TAG)/\n\n\t-ls $(unknown)\nrestart:\n\tssh $(HOST) 'restart $(UNIT)'\ncheck: ; curl https://$(NAME)/up\n\
            check: NAME = other\n";
        let common = "ROOT := /srv/$(NAME)\nNAME = box.example\nUNIT = shop\nUNIT += web\n";
        let files = [("ops/Makefile", file), ("ops/common.mk", common)];
        let call = call("-C ops -j 4 -s TAG=${{ github.sha }}");
        assert_eq!(
            (call.folder.as_deref(), call.targets.len()),
            (Some("ops"), 2)
        );
        let given = BTreeMap::from([("TAG".to_owned(), "${{ github.sha }}".to_owned())]);
        let call = Call { given, ..call };
        let read = makefile(&files, "ops", &call);
        let expected = [
            "ops/Makefile:11: rsync dist/ ops@box.example:/srv/box.example/${{ github.sha }}/\n\nls ${unknown}",
            "ops/Makefile:15: ssh ops@box.example 'restart shop web'",
            "ops/Makefile:16: curl https://box.example/up",
            "ops/Makefile:9: echo ship $HOME $(date)",
        ];
        assert_eq!(texts(&read, Some("ship")), expected);
        // Without a target the first one is made.
        assert_eq!(texts(&read, None), expected);
        assert!(read.recipes(Some("none")).is_none());
        assert_eq!(read.variables()["UNIT"], "shop web");
    }

    #[test]
    fn options_of_make_are_no_targets() {
        let one = call("-Cops --file=other.mk -k build deploy HOST=a -j -l 2.5");
        assert_eq!(one.folder.as_deref(), Some("ops"));
        assert_eq!(one.file.as_deref(), Some("other.mk"));
        assert_eq!(one.targets, ["build", "deploy", "2.5"]);
        assert_eq!(one.given["HOST"], "a");
        assert_eq!(one.rest, ["-k", "HOST=a"]);
        let files = [("other.mk", "all:\n\ttrue\n")];
        assert_eq!(
            texts(&makefile(&files, "", &one), None),
            ["other.mk:2: true"]
        );
    }

    #[test]
    fn variables_that_name_each_other_come_to_an_end() {
        let files = [(
            "Makefile",
            "A = $(B)x\nB = $(A)$(A)\nall:\n\techo $(A) $( $(C\n",
        )];
        let read = makefile(&files, "", &Call::default());
        assert!(texts(&read, Some("all"))[0].len() < 1 << 20);
    }
}
