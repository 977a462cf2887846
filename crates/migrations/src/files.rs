//! The migration files, wherever they are: this machine, a host, or inside a container. One script
//! prints all that is wanted, so a host is asked once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use remote::quote;

use crate::error::Error;
use crate::site::ToolSite;

/// All files together, as the script prints them.
const MAX_BYTES: usize = 32 << 20;
/// A project of many years has some thousands.
const MAX_FILES: usize = 20_000;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRequest {
    File(String),
    /// Files below a folder.
    Folder {
        path: String,
        /// 1 for those in the folder itself.
        depth: u32,
        /// Patterns of `find -path`.
        names: Vec<String>,
        /// Names of folders that are not entered.
        skip: &'static [&'static str],
    },
}

impl FileRequest {
    /// The files in a folder itself whose names match.
    pub fn folder(path: &str, names: &[&str]) -> FileRequest {
        FileRequest::Folder {
            path: path.to_owned(),
            depth: 1,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            skip: &[],
        }
    }

    fn script(&self) -> String {
        let (path, depth, names, skip) = match self {
            FileRequest::File(path) => {
                return format!("if [ -e {0} ]; then each {0}; fi\n", quote(path));
            }
            FileRequest::Folder {
                path,
                depth,
                names,
                skip,
            } => (quote(path), depth, names, skip),
        };
        let any = |option: &str, names: &mut dyn Iterator<Item = &str>| {
            let each: Vec<String> = names
                .map(|name| format!("{option} {}", quote(name)))
                .collect();
            format!("\\( {} \\)", each.join(" -o "))
        };
        let prune = if skip.is_empty() {
            String::new()
        } else {
            format!(
                "-type d {} -prune -o ",
                any("-name", &mut skip.iter().copied())
            )
        };
        let names = any("-path", &mut names.iter().map(String::as_str));
        format!(
            "if [ -d {path} ]; then find -L {path}/ -maxdepth {depth} {prune}-type f {names} \
             -exec sh -c \"$each\" each {{}} +; else printf 'M %s 0\\n%s' \"$(length {path})\" {path}; fi\n"
        )
    }
}

/// Prints each file as `F LENGTH-OF-NAME LENGTH`, a line break, the name and the content.
const EACH: &str = r#"each='set -e
for f; do
  size=$(wc -c <"$f")
  printf "F %s %s\n%s" "${#f}" "$((size))" "$f"
  cat <"$f"
done'
each() { sh -c "$each" each "$@"; }
length() { printf %s "${#1}"; }
"#;

/// Files by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    missing: BTreeSet<String>,
}

impl Tree {
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(plain(path).as_str())
    }

    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(plain(path).as_str()).map(Vec::as_slice)
    }

    pub fn text(&self, path: &str) -> Option<Cow<'_, str>> {
        self.bytes(path).map(String::from_utf8_lossy)
    }

    /// Those below a folder: the path, and the path within the folder.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &str, &[u8])> {
        let folder = plain(folder);
        let prefix = if folder.is_empty() || folder.ends_with('/') {
            folder
        } else {
            format!("{folder}/")
        };
        self.files.iter().filter_map(move |(path, bytes)| {
            let within = path.strip_prefix(&prefix)?;
            Some((path.as_str(), within, bytes.as_slice()))
        })
    }

    pub fn is_missing(&self, folder: &str) -> bool {
        self.missing.contains(&plain(folder))
    }

    /// # Errors
    /// Returns an error if the folder does not exist.
    pub fn must_have(&self, folder: &str) -> Result<(), Error> {
        if self.is_missing(folder) {
            return Err(Error::NoFolder(folder.to_owned()));
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, other: Tree) {
        self.files.extend(other.files);
        self.missing.extend(other.missing);
    }

    fn parse(mut rest: &[u8]) -> Option<Tree> {
        let mut tree = Tree::default();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let head = std::str::from_utf8(&rest[..end]).ok()?;
            rest = &rest[end + 1..];
            let mut words = head.split(' ');
            let kind = words.next()?;
            let (name, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let (path, after) = rest.split_at_checked(name)?;
            let (bytes, after) = after.split_at_checked(size)?;
            rest = after;
            let path = plain(&String::from_utf8_lossy(path));
            match kind {
                "F" => drop(tree.files.insert(path, bytes.to_vec())),
                "M" => drop(tree.missing.insert(path)),
                _ => return None,
            }
        }
        Some(tree)
    }
}

#[cfg(test)]
impl<const N: usize> From<[(&str, &str); N]> for Tree {
    fn from(files: [(&str, &str); N]) -> Tree {
        let own = |(path, text): (&str, &str)| (plain(path), text.as_bytes().to_vec());
        Tree {
            files: files.into_iter().map(own).collect(),
            missing: BTreeSet::new(),
        }
    }
}

/// One way to write a path: without `./` at its beginning, doubled slashes, or a slash at its end.
fn plain(path: &str) -> String {
    let root = if path.starts_with('/') { "/" } else { "" };
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    format!("{root}{}", parts.collect::<Vec<_>>().join("/"))
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file's name without its extension.
pub(crate) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// A file in a folder, as a path.
pub(crate) fn join(folder: &str, file: &str) -> String {
    if file.starts_with('/') || folder.is_empty() {
        return plain(file);
    }
    plain(&format!("{folder}/{file}"))
}

/// Reads what is wanted, by one question to the place; what does not exist is left out.
///
/// # Errors
/// Returns an error if the place cannot be asked, or a file cannot be read.
pub async fn fetch(at: &ToolSite<'_>, wanted: &[FileRequest]) -> Result<Tree, Error> {
    if wanted.is_empty() {
        return Ok(Tree::default());
    }
    let mut script = String::new();
    if let Some(folder) = at.folder {
        script.push_str(&format!("cd {}\n", place::word(folder)));
    }
    script.push_str(EACH);
    script.push_str("export each\n");
    for wanted in wanted {
        script.push_str(&wanted.script());
    }
    let printed = at
        .places
        .output(
            at.place,
            "the migration files",
            &script,
            MAX_BYTES,
            at.timeout,
        )
        .await
        .map_err(Error::Files)?;
    let tree = Tree::parse(&printed).ok_or_else(|| {
        let cause = place::Error::Malformed("a file changed while it was read".to_owned());
        Error::Files(cause)
    })?;
    if tree.files.len() > MAX_FILES {
        return Err(Error::TooMany(MAX_FILES));
    }
    Ok(tree)
}
