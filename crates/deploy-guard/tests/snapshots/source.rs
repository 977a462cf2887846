//! The texts in the source of our crates, as they are written. What only tests use is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The text of each variant, by the type that has it. A struct has one, under its own name.
pub(crate) type ErrorTexts = BTreeMap<String, Vec<(String, String)>>;

/// The source files of all crates, in order, each by its path in the repository.
pub(crate) fn source_files() -> Vec<(String, TokenStream)> {
    let root = testkit::workspace();
    let mut folders: Vec<_> = fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // What only tests use.
        .filter(|path| !path.ends_with("testkit"))
        .map(|path| path.join("src"))
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !path.ends_with("tests.rs")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .map(|path| (name(root, &path), tokens(&path)))
        .collect()
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap().display().to_string()
}

pub(crate) fn tokens(path: &Path) -> TokenStream {
    let text = fs::read_to_string(path).unwrap();
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What follows a `#[cfg(test)]` belongs to tests, up to the end of its item.
fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let (mut kept, mut is_left_out) = (Vec::<TokenTree>::new(), false);
    for token in tokens {
        let is_end = match &token {
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
            token => token.to_string() == ";",
        };
        if is_left_out {
            is_left_out = !is_end;
        } else if attribute(&token, "cfg").is_some_and(|inner| inner.to_string() == "test") {
            kept.pop();
            is_left_out = true;
        } else {
            kept.push(token);
        }
    }
    kept
}

/// What is in the parentheses of `[NAME(…)]`.
fn attribute(token: &TokenTree, name: &str) -> Option<TokenStream> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    let mut inner = group.stream().into_iter();
    let is_it = group.delimiter() == Delimiter::Bracket && inner.next()?.to_string() == name;
    match inner.next() {
        Some(TokenTree::Group(arguments)) if is_it => Some(arguments.stream()),
        _ => None,
    }
}

/// Every `#[error("…")]` of a file.
pub(crate) fn error_texts(tokens: TokenStream) -> ErrorTexts {
    let mut found = ErrorTexts::new();
    let (mut text, mut owner, mut keyword) = (None, None, String::new());
    for token in without_tests(tokens) {
        if let Some(inner) = attribute(&token, "error") {
            text = first_text(inner);
        }
        match &token {
            TokenTree::Ident(word) if keyword == "enum" => owner = Some(word.to_string()),
            TokenTree::Ident(word) if keyword == "struct" => {
                if let Some(text) = text.take() {
                    let name = word.to_string();
                    found.insert(name.clone(), vec![(name, text)]);
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                match owner.take() {
                    Some(name) => {
                        let variants = variants(group.stream());
                        if !variants.is_empty() {
                            found.insert(name, variants);
                        }
                    }
                    // A module in the file, or the body of a function.
                    None => found.extend(error_texts(group.stream())),
                }
            }
            _ => {}
        }
        keyword = token.to_string();
    }
    found
}

fn variants(tokens: TokenStream) -> Vec<(String, String)> {
    let (mut found, mut text) = (Vec::new(), None);
    for token in tokens {
        if let Some(inner) = attribute(&token, "error") {
            text = first_text(inner).or_else(|| Some("that of its cause".to_owned()));
        }
        if let (TokenTree::Ident(variant), Some(_)) = (&token, &text) {
            found.extend(text.take().map(|text| (variant.to_string(), text)));
        }
    }
    found
}

fn first_text(tokens: TokenStream) -> Option<String> {
    texts(tokens).into_iter().next()
}

/// Every text in quotes. What documents code is none.
pub(crate) fn texts(tokens: TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in without_tests(tokens) {
        match token {
            TokenTree::Literal(literal) => found.extend(unquoted(&literal.to_string())),
            TokenTree::Group(group) if !documents(&group) => found.extend(texts(group.stream())),
            _ => {}
        }
    }
    found
}

/// `[doc = "…"]`, as which `///` is read.
fn documents(group: &Group) -> bool {
    let first = group.stream().into_iter().next();
    group.delimiter() == Delimiter::Bracket && first.is_some_and(|first| first.to_string() == "doc")
}

/// The text of a literal, in one line.
fn unquoted(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        return Some(raw.trim_matches('#').trim_matches('"').to_owned());
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let (mut text, mut rest) = (String::new(), inner.chars().peekable());
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            // The text goes on at the next word.
            ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('"' | '\\' | '\'')) => text.extend(rest.next()),
            _ => text.push(c),
        }
    }
    Some(text)
}
