//! What a command or an action does, as far as a deployment is concerned.

use std::collections::BTreeMap;

use crate::tool::Tool;
use workflow::Value;
use workflow::{Fact, Line};

/// The inputs of an action, by their names in small letters.
pub type With = BTreeMap<String, Fact<Value>>;

#[derive(Clone, Debug)]
pub enum CommandEffect {
    /// Makes a release live.
    Deploys(Box<Tool>),
    /// Builds an image and names it, or pushes it; with its tag.
    Image {
        name: Value,
        pushed: bool,
        /// Where it is named, if not where it is built.
        at: Option<Line>,
    },
    /// Asks an address whether it answers.
    Asks { url: Value },
    /// Hands something out and deploys nothing: a crate, a package, the files of a release.
    Publishes { what: &'static str },
    /// Changes a database's schema.
    Migrates,
    /// Takes an identity at AWS.
    LogsInToAws {
        role: Option<Fact<Value>>,
        key_pair: Option<(Fact<Value>, Fact<Value>)>,
        region: Option<Fact<Value>>,
    },
    /// Writes a task definition with the release's image.
    RendersTask {
        file: Option<Fact<Value>>,
        container: Option<Fact<Value>>,
        image: Option<Fact<Value>>,
    },
    /// Checks the repository out.
    ChecksOut,
}
