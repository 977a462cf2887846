//! The files of a crate, and which of them uses what of which other one.
//!
//! A file is a module; the modules inside it belong to it. One file uses another where a path in
//! its code or in a `use` leads to an item there: `crate::…`, `super::…`, `self::…`, the name of a
//! module below its own, or a name that a `use` brought in. A path through a re-export leads to
//! the file that has the item. A module may declare the modules below it and re-export their items
//! without using them; where it uses one of them in its own code, that counts. What only tests use
//! (`#[cfg(test)]`) does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// What a `use` brings in, as it is written.
struct Import {
    /// `None` brings in everything.
    name: Option<String>,
    path: Vec<String>,
    is_public: bool,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    imports: Vec<Import>,
    /// Paths of two names or more.
    paths: BTreeSet<Vec<String>>,
    /// All words, except those of imports.
    words: BTreeSet<String>,
    items: BTreeSet<String>,
}

/// What a name means in a module.
enum Meaning {
    /// An item of this module, its own or one that a `use` brought in.
    Module(usize),
    OtherCrate,
    /// Not written there: a macro made it, or it is not an item.
    Unknown,
}

/// Re-exports of re-exports that are followed.
const DEEPEST: usize = 8;

/// The modules of a crate; the first is its root.
struct Modules(Vec<Module>);

/// Which file uses which other ones, and by which path.
pub(crate) type Uses = BTreeMap<PathBuf, BTreeMap<PathBuf, String>>;

/// Of the crate with this root.
pub(crate) fn uses(root: &Path) -> Uses {
    let mut modules = Modules(Vec::new());
    modules.read(root, root.parent().unwrap(), None);
    let mut uses = Uses::new();
    for at in 0..modules.0.len() {
        for (to, path) in modules.used_by(at) {
            let (from, to) = (&modules.0[at].file, &modules.0[to].file);
            if from != to {
                let of_this = uses.entry(from.clone()).or_default();
                of_this.entry(to.clone()).or_insert_with(|| path.join("::"));
            }
        }
    }
    uses
}

/// Sets of files of which each one leads to every other one.
pub(crate) fn circles(uses: &Uses) -> Vec<BTreeSet<PathBuf>> {
    let reach = |from: &PathBuf| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            for to in uses.get(at).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.clone()) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = uses.keys().map(|from| (from, reach(from))).collect();
    let there =
        |from: &PathBuf, to: &PathBuf| reached.get(from).is_some_and(|all| all.contains(to));
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for from in uses.keys().filter(|from| there(from, from)) {
        if circles.iter().any(|circle| circle.contains(from)) {
            continue;
        }
        let back = |to: &&PathBuf| there(from, to) && there(to, from);
        circles.push(uses.keys().filter(back).cloned().collect());
    }
    circles
}

impl Modules {
    /// Reads a file and those of the modules that it declares, which are below `below`.
    fn read(&mut self, file: &Path, below: &Path, parent: Option<usize>) -> usize {
        let text = std::fs::read_to_string(file).unwrap_or_else(|error| {
            panic!("{}: {error}", file.display());
        });
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| {
            panic!("{}: {error}", file.display());
        });
        self.module(tokens, file, below, parent)
    }

    fn module(
        &mut self,
        tokens: TokenStream,
        file: &Path,
        below: &Path,
        parent: Option<usize>,
    ) -> usize {
        let at = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut n = 0;
        let mut rest = Vec::new();
        while n < tokens.len() {
            if is_for_tests(&tokens[n..]) {
                n += 2;
                while n < tokens.len() && !ends_an_item(&tokens[n]) {
                    n += 1;
                }
            } else if word(tokens.get(n)) == "mod" && !word(tokens.get(n + 1)).is_empty() {
                let name = word(tokens.get(n + 1));
                let inside = below.join(&name);
                let child = if let Some(TokenTree::Group(group)) = tokens.get(n + 2) {
                    self.module(group.stream(), file, &inside, Some(at))
                } else {
                    let beside = below.join(format!("{name}.rs"));
                    let own = if beside.exists() {
                        beside
                    } else {
                        inside.join("mod.rs")
                    };
                    self.read(&own, &inside, Some(at))
                };
                self.0[at].children.insert(name, child);
                n += 2;
            } else {
                if is_item(&word(tokens.get(n))) {
                    self.0[at].items.insert(word(tokens.get(n + 1)));
                }
                rest.push(tokens[n].clone());
            }
            n += 1;
        }
        self.0[at].read_code(&rest);
        at
    }

    /// The modules that this one uses, each with the path.
    fn used_by(&self, at: usize) -> Vec<(usize, Vec<String>)> {
        let module = &self.0[at];
        let mut used = Vec::new();
        for import in &module.imports {
            let is_used = import
                .name
                .as_ref()
                .is_some_and(|name| module.words.contains(name));
            let Some(to) = self.resolve(at, &import.path, 0) else {
                continue;
            };
            if !import.is_public || is_used || !self.is_below(to, at) {
                used.push((to, import.path.clone()));
            }
        }
        for path in &module.paths {
            if let Some(to) = self.resolve(at, path, 0) {
                used.push((to, path.clone()));
            }
        }
        used
    }

    fn is_below(&self, mut at: usize, above: usize) -> bool {
        while let Some(parent) = self.0[at].parent {
            if parent == above {
                return true;
            }
            at = parent;
        }
        false
    }

    /// The module that has the item which a path names; `None` where it is of another crate, or no
    /// path of modules at all.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        if depth > DEEPEST {
            return None;
        }
        match first.as_str() {
            "crate" => self.descend(0, rest, depth),
            "self" => self.descend(from, rest, depth),
            "super" => self.descend(self.0[from].parent?, rest, depth),
            name => match self.0[from].children.get(name) {
                Some(child) => self.descend(*child, rest, depth),
                None => match self.named(from, name, rest, depth) {
                    Meaning::Module(at) => Some(at),
                    Meaning::OtherCrate | Meaning::Unknown => None,
                },
            },
        }
    }

    fn descend(&self, at: usize, path: &[String], depth: usize) -> Option<usize> {
        let Some((first, rest)) = path.split_first() else {
            return Some(at);
        };
        if first == "super" {
            return self.descend(self.0[at].parent?, rest, depth);
        }
        if let Some(child) = self.0[at].children.get(first) {
            return self.descend(*child, rest, depth);
        }
        // An item without a known name is made by a macro.
        match self.named(at, first, rest, depth) {
            Meaning::Module(at) => Some(at),
            Meaning::OtherCrate => None,
            Meaning::Unknown => Some(at),
        }
    }

    /// What a name means in a module, with the rest of its path.
    fn named(&self, at: usize, name: &str, rest: &[String], depth: usize) -> Meaning {
        let Module { imports, items, .. } = &self.0[at];
        let import = imports
            .iter()
            .find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = import {
            // `use http;` is of the crate.
            if import.path == [name] {
                return Meaning::OtherCrate;
            }
            let path: Vec<_> = import.path.iter().chain(rest).cloned().collect();
            return match self.resolve(at, &path, depth + 1) {
                Some(at) => Meaning::Module(at),
                None => Meaning::OtherCrate,
            };
        }
        if items.contains(name) {
            return Meaning::Module(at);
        }
        if depth > DEEPEST {
            return Meaning::Unknown;
        }
        let globs = imports.iter().filter(|import| import.name.is_none());
        let globs = globs.filter_map(|glob| self.resolve(at, &glob.path, depth + 1));
        globs
            .filter(|to| *to != at)
            .map(|to| self.named(to, name, rest, depth + 1))
            .find(|meaning| !matches!(meaning, Meaning::Unknown))
            .unwrap_or(Meaning::Unknown)
    }
}

impl Module {
    fn read_code(&mut self, tokens: &[TokenTree]) {
        let mut n = 0;
        let mut is_public = false;
        while n < tokens.len() {
            if is_for_tests(&tokens[n..]) {
                n += 2;
                while n < tokens.len() && !ends_an_item(&tokens[n]) {
                    n += 1;
                }
                n += 1;
                continue;
            }
            match &tokens[n] {
                TokenTree::Group(group) => {
                    is_public = false;
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    self.read_code(&inner);
                    n += 1;
                }
                TokenTree::Ident(ident) if ident == "use" && !is(tokens.get(n + 1), '<') => {
                    let end = (n..tokens.len()).find(|at| is(tokens.get(*at), ';'));
                    let end = end.unwrap_or(tokens.len());
                    imports(&tokens[n + 1..end], &[], is_public, &mut self.imports);
                    is_public = false;
                    n = end + 1;
                }
                TokenTree::Ident(ident) => {
                    is_public = ident == "pub";
                    if is_public && is_in_parentheses(tokens.get(n + 1)) {
                        // `pub(in crate::init)` uses nothing.
                        n += 2;
                        continue;
                    }
                    let mut path = vec![ident.to_string()];
                    n += 1;
                    while is(tokens.get(n), ':')
                        && is(tokens.get(n + 1), ':')
                        && !word(tokens.get(n + 2)).is_empty()
                    {
                        path.push(word(tokens.get(n + 2)));
                        n += 3;
                    }
                    self.words.insert(path[0].clone());
                    if path.len() > 1 {
                        self.paths.insert(path);
                    }
                }
                _ => {
                    is_public = false;
                    n += 1;
                }
            }
        }
    }
}

/// What a `use` tree brings in; `path` is its prefix.
fn imports(tree: &[TokenTree], path: &[String], is_public: bool, found: &mut Vec<Import>) {
    let mut path = path.to_vec();
    let mut name = None;
    let mut n = 0;
    while n < tree.len() {
        match &tree[n] {
            TokenTree::Ident(ident) if ident == "as" => {
                name = Some(word(tree.get(n + 1)));
                n += 1;
            }
            TokenTree::Ident(ident) if ident == "self" && !path.is_empty() => {}
            TokenTree::Ident(ident) => path.push(ident.to_string()),
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                for one in inner.split(|token| is(Some(token), ',')) {
                    if !one.is_empty() {
                        imports(one, &path, is_public, found);
                    }
                }
                return;
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' => {
                found.push(Import {
                    name: None,
                    path,
                    is_public,
                });
                return;
            }
            _ => {}
        }
        n += 1;
    }
    found.push(Import {
        name: name.or_else(|| path.last().cloned()),
        path,
        is_public,
    });
}

fn is_item(word: &str) -> bool {
    matches!(
        word,
        "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static"
    )
}

/// `#[cfg(test)]`.
fn is_for_tests(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute), ..] = tokens else {
        return false;
    };
    let text = attribute.stream().to_string().replace(' ', "");
    is(Some(hash), '#') && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

fn ends_an_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is(Some(token), ';'),
    }
}

fn is_in_parentheses(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis)
}

fn is(token: Option<&TokenTree>, punctuation: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == punctuation)
}

/// A token that is a word, else nothing.
fn word(token: Option<&TokenTree>) -> String {
    match token {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    }
}
