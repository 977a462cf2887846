//! What is found: two sides, and what divides the requests between them.

/// Two sides, and the file that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    pub router: RouterFile,
    /// The side that is blue, as the router calls it: an address, or the name of a server.
    pub blue: String,
    pub green: String,
    /// The file, from the repository's root, with its line.
    pub at: String,
}

/// What divides the requests, as far as the files tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouterFile {
    Nginx {
        /// Where it is on the machine, or in the container.
        file: OnMachine,
        /// The key of `split_clients`, where the users are divided.
        sticky: Option<String>,
        /// How a script tests and reloads it, where one does.
        test: Option<String>,
        reload: Option<String>,
        /// The container of Compose that it runs in.
        container: Option<Container>,
    },
    Haproxy {
        backend: String,
        socket: String,
        state_file: Option<String>,
    },
    /// Two services of Compose, and no router's file that names them.
    Unknown,
}

/// A service of Compose that runs nginx, with the folder of its file mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The Compose file, from the repository's root.
    pub compose: String,
    pub service: String,
    /// The container cannot write there: the file outside, from the repository's root, is to be written.
    pub outside: Option<String>,
}

/// A path on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnMachine {
    pub path: String,
    /// The file that says so; `None` where it is only where Debian's nginx reads such files.
    pub from: Option<String>,
}

/// The number of the line that begins before this byte.
pub(crate) fn line_at(text: &str, byte: usize) -> usize {
    text[..byte].lines().count().max(1)
}
