//! A shell on the runner or on a machine: its variables and its folder.

use std::collections::{BTreeMap, BTreeSet};

use shell::{Command, HEAD};

use crate::deployment::UNKNOWN_FOLDER;
use crate::event::Place;
use crate::scope::Scope;
use repository::{Repository, joined};
use workflow::{Fact, Line};

/// Substitutions in one another that are read.
const MAX_NESTED: usize = 8;

/// A shell on the runner or on a machine.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub(crate) place: Place,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) runner: bool,
    /// What leads to each program there: `sudo `, where the shell itself was called by it.
    pub(crate) prefix: String,
    /// What the program itself has set.
    pub(crate) assigned: BTreeSet<String>,
}

impl Shell {
    pub(crate) fn lookup(&self, name: &str, scope: &Scope) -> Option<String> {
        if let Some(value) = self.vars.get(name) {
            return Some(value.clone());
        }
        if !self.runner && name == HEAD {
            // The commit that a machine has is not the run's.
            return Some(format!("$({HEAD})"));
        }
        if self.runner {
            scope.variable(name)
        } else {
            None
        }
    }

    /// The shell that a command starts: what `sudo bash` calls, `sudo` calls.
    pub(crate) fn under(&self, command: &Command) -> Shell {
        let mut inner = self.clone();
        if command.runner.starts_with("sudo ") {
            inner.prefix.clone_from(&command.runner);
        }
        inner
    }

    /// A variable that a program sets to two values has the one or the other: it is not known. What is added to it in a
    /// part of an `if` may be missing.
    pub(crate) fn set(&mut self, name: &str, value: &str, in_part: bool) {
        let old = self.vars.get(name).filter(|_| self.assigned.contains(name));
        let is_longer = old.is_some_and(|old| !old.is_empty() && value.starts_with(&**old));
        if in_part && is_longer {
            return;
        }
        let unsure = old.is_some_and(|old| old != value)
            && !is_longer
            && !value.contains(&format!("${name}"));
        let value = if unsure {
            format!("${{{name}}}")
        } else {
            value.to_owned()
        };
        self.vars.insert(name.to_owned(), value);
        self.assigned.insert(name.to_owned());
    }

    /// The folder that `$(cd "$(dirname "$0")/.." && pwd)/docker` is.
    fn beside_script(&self, to: &str) -> Option<String> {
        to.starts_with("$(").then(|| self.path_of(to, MAX_NESTED))?
    }

    /// The path that the substitutions with which a script finds its own place are: `dirname`, `cd … && pwd` and
    /// `readlink -f`, so deep in one another.
    fn path_of(&self, text: &str, depth: usize) -> Option<String> {
        let depth = depth.checked_sub(1)?;
        let text = text.trim().trim_matches('"');
        let own = [
            "$0",
            "${0}",
            "$BASH_SOURCE",
            "${BASH_SOURCE[0]}",
            "${BASH_SOURCE}",
            "${BASH_SOURCE[0]:-$0}",
        ];
        if own.contains(&text) {
            return self.vars.get("0").cloned();
        }
        let variable = text
            .strip_prefix('$')
            .map(|name| name.trim_matches(['{', '}']));
        if let Some(value) = variable.and_then(|name| self.vars.get(name)) {
            return self.path_of(value, depth);
        }
        let inside = text.strip_prefix("$(")?;
        let end = inside.char_indices().scan(1, |open, (at, c)| {
            *open += i32::from(c == '(') - i32::from(c == ')');
            Some((at, *open))
        });
        let (end, _) = end.into_iter().find(|(_, open)| *open == 0)?;
        let (inner, rest) = (
            inside[..end].trim(),
            inside[end + 1..].trim_matches(['/', '"']),
        );
        let (program, operand) = inner.split_once(' ')?;
        let operand = operand.trim_start_matches("-f ").trim_start_matches("-- ");
        let folder = match program {
            "dirname" => {
                let path = self.path_of(operand, depth)?;
                path.rsplit_once('/')
                    .map_or("", |(folder, _)| folder)
                    .to_owned()
            }
            "cd" => self.path_of(operand.split([';', '&', '>']).next()?, depth)?,
            "readlink" | "realpath" => self.path_of(operand, depth)?,
            _ => return None,
        };
        if self.runner {
            return joined(&folder, rest);
        }
        (!folder.is_empty()).then(|| below(&folder, rest))
    }

    pub(crate) fn cd(&mut self, to: Option<&String>, at: &Line) {
        let Some(to) = to else {
            return;
        };
        let of_script = self.beside_script(to);
        let to = of_script.as_ref().unwrap_or(to);
        if to.contains("$(") || to == "." || to == "-" {
            return;
        }
        let old = self
            .place
            .folder
            .as_ref()
            .map(|folder| folder.value.clone());
        let of_root = in_workspace(to).filter(|_| self.runner);
        let value = if let Some(rest) = of_root {
            joined("", rest).unwrap_or_default()
        } else if of_script.is_some() || to.starts_with(['/', '~', '$']) {
            to.clone()
        } else if self.runner
            && !old
                .as_ref()
                .is_some_and(|old| old.starts_with(['/', '~', '$']))
        {
            joined(&old.unwrap_or_default(), to).unwrap_or_else(|| to.clone())
        } else {
            below(&old.unwrap_or_else(|| "~".to_owned()), to)
        };
        let value = value.replace("$HOME", "~").replace("${HOME}", "~");
        let value = if value.len() > 1 {
            value.trim_end_matches('/').to_owned()
        } else {
            value
        };
        if self
            .place
            .folder
            .as_ref()
            .is_none_or(|folder| folder.value != value)
        {
            self.place.folder = Some(Fact::new(value, at.clone()));
        }
    }

    /// What `$0` is on a machine in a file of the repository: as it is called there, wherever its file lies here.
    pub(crate) fn own_path(&self, words: &[String], file: &str) -> Option<String> {
        let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let written = words.iter().find(|word| name(word) == name(file))?;
        if written.starts_with(['/', '~', '$']) {
            return Some(written.clone());
        }
        let folder = self.place.folder.as_ref()?;
        Some(below(&folder.value, written))
    }

    /// The path in the repository that a path of this place is, where the folder there is a copy of the repository.
    pub(crate) fn in_repository(&self, path: &str, repository: &Repository) -> String {
        let folder = self
            .place
            .folder
            .as_ref()
            .map_or("", |folder| &*folder.value);
        if self.runner {
            let from_root = in_workspace(path).and_then(|rest| joined("", rest));
            let path = || joined(folder, path).unwrap_or_else(|| path.to_owned());
            return from_root.unwrap_or_else(path);
        }
        // `/srv/app/current/scripts/deploy.sh` is `scripts/deploy.sh` of a copy.
        if path.starts_with(['/', '~', '$']) {
            let ends = path.match_indices('/').map(|(at, _)| &path[at + 1..]);
            if let Some(end) = ends
                .filter(|end| end.contains('/'))
                .find(|end| repository.has(end))
            {
                return end.to_owned();
            }
        }
        let inner = path
            .strip_prefix(folder)
            .map(|rest| rest.trim_start_matches('/'));
        let path = inner.filter(|_| !folder.is_empty()).unwrap_or(path);
        joined("", path).unwrap_or_else(|| path.to_owned())
    }
}

/// A path from the folder that the runner checks the repository out into.
fn in_workspace(path: &str) -> Option<&str> {
    const NAMES: [&str; 4] = [
        "${{ github.workspace }}",
        "${{github.workspace}}",
        "$GITHUB_WORKSPACE",
        "${GITHUB_WORKSPACE}",
    ];
    let rest = NAMES.iter().find_map(|name| path.strip_prefix(name))?;
    rest.is_empty()
        .then_some(rest)
        .or_else(|| rest.strip_prefix('/'))
}

/// The folder where each open `if` began, the parts of which do not follow one another.
#[derive(Default)]
pub(crate) struct Branches(Vec<Branch>);

struct Branch {
    at: usize,
    part: usize,
    begun: Option<Fact<String>>,
    /// Where its parts have gone.
    ends: Vec<Fact<String>>,
}

impl Branches {
    /// Follows the shell into the parts that a command is in, each by the line of its `if`, and out of those before it.
    pub(crate) fn enter(&mut self, arms: &[(usize, usize)], folder: &mut Option<Fact<String>>) {
        let same = self
            .0
            .iter()
            .zip(arms)
            .take_while(|(open, arm)| open.at == arm.0);
        let same = same.count();
        while self.0.len() > same
            && let Some(mut left) = self.0.pop()
        {
            left.end(folder.as_ref());
            // Two parts may lead to two folders: then only the shell knows which.
            match left.ends.split_first() {
                Some((first, others)) if others.iter().all(|one| one.value == first.value) => {
                    *folder = Some(first.clone());
                }
                Some((first, _)) => {
                    *folder = Some(Fact::new(UNKNOWN_FOLDER.to_owned(), first.at.clone()));
                }
                None => *folder = left.begun,
            }
        }
        for (open, (_, part)) in self.0.iter_mut().zip(arms) {
            // What a condition changes counts for what follows it.
            if open.part != *part && open.part > 0 {
                open.end(folder.as_ref());
                folder.clone_from(&open.begun);
            }
            open.part = *part;
        }
        for (at, part) in &arms[same..] {
            self.0.push(Branch {
                at: *at,
                part: *part,
                begun: folder.clone(),
                ends: Vec::new(),
            });
        }
    }
}

impl Branch {
    fn end(&mut self, folder: Option<&Fact<String>>) {
        let begun = self.begun.as_ref().map(|it| &it.value);
        if folder.map(|it| &it.value) != begun {
            self.ends.extend(folder.cloned());
        }
    }
}

/// A folder of a machine and a path from it, with `..` taken away.
pub(crate) fn below(folder: &str, to: &str) -> String {
    let mut whole = folder.trim_end_matches('/').to_owned();
    for part in to.split('/').filter(|part| !matches!(*part, "" | ".")) {
        // Above a home or a variable is a folder without a name here.
        let last = whole
            .rsplit_once('/')
            .filter(|(_, last)| !matches!(*last, ".." | "~") && !last.contains(['$', '}']));
        match last {
            Some((above, _)) if part == ".." => whole = above.to_owned(),
            _ => {
                whole.push('/');
                whole.push_str(part);
            }
        }
    }
    if whole.is_empty() {
        "/".to_owned()
    } else {
        whole
    }
}
