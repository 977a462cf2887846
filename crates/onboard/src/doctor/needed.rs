//! The variables that the chosen environment needs, and not those of the others.

use std::collections::BTreeSet;

use cli::Job;
use document::secrets;
use yaml::Node;

/// A configuration is shorter.
const MAX_FILE: u64 = 1 << 20;

/// Names of variables.
pub(super) struct Needed {
    pub(super) secrets: BTreeSet<String>,
    /// Those that hold no secret and have no default.
    pub(super) plain: BTreeSet<String>,
}

/// Of the environment that `--environment` names; of all of them where it names none.
pub(super) fn by(job: &Job) -> Needed {
    let path = job.config_path.as_ref();
    let text = path.and_then(|path| files::read_text(path, MAX_FILE).ok());
    let text = text.unwrap_or_default();
    let chosen = job.environment.as_deref();
    let own = chosen.and_then(|name| of_environment(&text, name));
    let (secrets, all) = own.unwrap_or_else(|| {
        let all = job.inputs.variables.keys().cloned().collect();
        (job.secret_variables.clone(), all)
    });
    let has_no_default = |name: &String| text.contains(&format!("${{{name}}}"));
    let is_plain = |name: &String| !secrets.contains(name) && has_no_default(name);
    let plain = all.into_iter().filter(is_plain).collect();
    Needed { secrets, plain }
}

/// The secrets, and all.
fn of_environment(text: &str, name: &str) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let mut tree = Node::parse_untagged(text).ok()?;
    let mut environments = tree.remove("environments")?;
    if let Some(own) = environments.remove(name).filter(|own| !own.is_null()) {
        tree = tree.merged(own);
    }
    let secrets = secrets::of(&tree, text).secrets;
    let all = secrets::used(&tree, &secrets);
    Some((secrets.variables, all))
}
