//! Why an inventory cannot be used. No value of it is shown: hosts have variables that are secrets.

use std::path::PathBuf;

/// Why an inventory cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("exactly one of `ansible`, `command` and `file` is needed")]
    NotOneWay,
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("`{program}` cannot be started: {reason}")]
    NotStarted { program: String, reason: String },
    #[error("`{program}`: {exit}{}{tail}", if tail.is_empty() { "" } else { ": " })]
    Ended {
        program: String,
        exit: String,
        /// What it printed last to standard error.
        tail: String,
    },
    #[error("the inventory is larger than {0} MiB")]
    Large(u64),
    #[error("the inventory is not JSON: line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("the list of hosts, line {line}: {message}")]
    List { line: usize, message: String },
    #[error("the inventory has no host")]
    Empty,
    #[error("the inventory has more than {most} {what}")]
    TooMany { most: usize, what: &'static str },
    #[error("the inventory has a {what} whose name cannot be used")]
    Name { what: &'static str },
    #[error("the host `{0}` is listed twice")]
    Twice(String),
    #[error("`{key}` of the host `{host}` is not {wanted}")]
    Value {
        host: String,
        key: &'static str,
        wanted: &'static str,
    },
    #[error("`{key}` of the host `{host}` is a template, which only Ansible fills in")]
    Template { host: String, key: &'static str },
    #[error("`{key}` of the host `{host}` has a way through another host that is not understood")]
    Way { host: String, key: &'static str },
}

impl Error {
    pub fn hint(&self) -> &'static str {
        match self {
            Error::NotOneWay => "for example `hosts-from: { ansible: inventories/production }`",
            Error::Unreadable { .. } => {
                "check the path, which is relative to the working directory"
            }
            Error::NotStarted { .. } | Error::Ended { .. } => {
                "run it here; without Ansible, commit what `ansible-inventory --list` prints and name it by `file:`"
            }
            Error::Large(_) | Error::TooMany { .. } => "name a smaller part of the inventory",
            Error::NotJson { .. } => {
                "a mapping is read as the JSON of `ansible-inventory --list`, everything else as a list of hosts"
            }
            Error::List { .. } => {
                "each host is a name, or `{ name: web-01, address: 10.0.0.11, groups: [web] }` with the keys of `hosts:`"
            }
            Error::Empty => "see what it prints; an inventory that exists is never empty here",
            Error::Name { .. } => "letters, digits and `-_.:@` are allowed, and 253 characters",
            Error::Twice(_) => "remove one of the two",
            Error::Value { .. } => "correct it in the inventory, or list the host under `hosts:`",
            Error::Template { .. } => "write the value itself, or list the host under `hosts:`",
            Error::Way { .. } => {
                "write `-o ProxyJump=NAME`, or give the host `jump: NAME` under `hosts:`, or `ssh: openssh`"
            }
        }
    }
}
