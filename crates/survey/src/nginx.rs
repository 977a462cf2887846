//! nginx's own files, where nothing else tells an address.

use crate::deployment::{Health, HealthSource};
use repository::Repository;
use tools::Tool;
use workflow::Fact;
use workflow::Value;

/// The only name that a server of the repository's nginx has. Whether it answers there is a guess.
pub(crate) fn health(
    repository: &Repository,
    tool: &Tool,
    path: Option<&Fact<String>>,
) -> Option<Health> {
    if !matches!(
        tool,
        Tool::Script { .. } | Tool::Compose(_) | Tool::Systemd { .. } | Tool::Container { .. }
    ) {
        return None;
    }
    let (host, tls, at) = tools::nginx::only_server(repository)?;
    let scheme = if tls { "https" } else { "http" };
    Some(Health {
        url: Value::new(format!(
            "{scheme}://{host}{}",
            path.map_or("", |path| &path.value)
        )),
        at: [at]
            .into_iter()
            .chain(path.map(|path| path.at.clone()))
            .collect(),
        from: HealthSource::Guess,
        on_host: false,
        row: std::collections::BTreeMap::new(),
    })
}
