//! `app.yaml` of App Engine: the service that it is for.

use repository::{Repository, joined};
use workflow::{Fact, Line, Lines, Value};

use crate::tool::PlatformCall;

/// The call with the file that it reads, from the root, and the service that is named there: `default`, unless it says so.
pub fn completed(repository: &Repository, mut call: PlatformCall, folder: &str) -> PlatformCall {
    let file = call.config.as_deref().and_then(|file| joined(folder, file));
    call.config = file.filter(|path| repository.has(path));
    let Some(file) = &call.config else {
        return call;
    };
    let Some((text, tree)) = repository.text(file).zip(repository.tree(file)) else {
        return call;
    };
    let service = tree.get("service");
    let name = service.and_then(yaml::Node::text).unwrap_or("default");
    let line = service.map_or(1, |node| Lines::of(&text).at(node.place.start));
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !name.is_empty() && name.chars().all(good) {
        call.app = Some(Fact::new(Value::new(name), Line::new(file, line)));
    }
    call
}
