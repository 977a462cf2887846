//! The words that docs/STYLE.md keeps out of what people read.

use std::sync::LazyLock;

use regex::Regex;

use crate::docs::page::pages;
use crate::snapshots::source::{source_files, texts};

static FORBIDDEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:(?:is|are|was|were) no|(?:is|are) none|nobody|somebody|whoever|mend|mends|mended|insist|insists|say|says|said|tell|tells|told|telling|ask|asks|asked|asking)\b",
    )
    .unwrap()
});

/// What is none of them, though it looks so: names in code and in braces, and "there is no", "is no longer".
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)`[^`]*`|\{\w*\}|<[^>]*>|\bthere (?:is|are|was|were) no\b|\b(?:is|are|was|were) no (?:longer|more than)\b",
    )
    .unwrap()
});

/// Sentences that keep such a word, because it is the right one there.
const ALLOWED: [&str; 0] = [];

/// The first of the words, with what is around it.
fn forbidden(text: &str) -> Option<String> {
    let text = OTHER.replace_all(text, "…");
    let found = FORBIDDEN.find(&text)?;
    let before = text[..found.start()].chars().rev().take(40);
    let before: String = before.collect::<Vec<_>>().into_iter().rev().collect();
    let after: String = text[found.start()..].chars().take(60).collect();
    let is_allowed = ALLOWED.iter().any(|allowed| text.contains(allowed));
    (!is_allowed).then(|| format!("{before}{after}"))
}

/// Fails with what was found, a line each.
fn none_of<T: Into<String>>(texts: impl Iterator<Item = (T, String)>) {
    let found: Vec<String> = texts
        .filter_map(|(place, text)| Some(format!("{}: {}", place.into(), forbidden(&text)?)))
        .collect();
    assert!(found.is_empty(), "see docs/STYLE.md: {found:#?}");
}

/// A text of one word is a name, and a program for a shell has the words of the shell.
#[test]
fn texts_of_the_programs_use_the_words_of_the_style() {
    let is_for_a_shell = |text: &String| {
        ["$(", "printf ", "2>&1", "\\0"]
            .iter()
            .any(|sign| text.contains(sign))
    };
    let of_file = |(file, tokens)| {
        let texts = texts(tokens).into_iter();
        texts.map(move |text| (String::clone(&file), text))
    };
    none_of(
        source_files()
            .into_iter()
            .flat_map(of_file)
            .filter(|(_, text)| text.contains(' ') && !is_for_a_shell(text)),
    );
}

#[test]
fn documents_use_the_words_of_the_style() {
    let checked = |name: &str| {
        name == "README.md" || name.starts_with("docs/reference") || name.starts_with("docs/guide")
    };
    let of_page = |page: crate::docs::page::Page| {
        let name = page.name;
        page.prose.into_iter().map(move |text| (name.clone(), text))
    };
    none_of(
        pages()
            .into_iter()
            .filter(|page| checked(&page.name))
            .flat_map(of_page),
    );
}

/// The help of each command; its examples are code.
#[test]
fn help_uses_the_words_of_the_style() {
    let mut texts = Vec::new();
    let mut commands = vec![deploy_guard::command()];
    while let Some(mut command) = commands.pop() {
        let name = command.get_name().to_owned();
        texts.push((
            name,
            command.render_long_help().to_string().replace('\n', " "),
        ));
        commands.extend(command.get_subcommands().cloned());
    }
    none_of(texts.into_iter());
}
