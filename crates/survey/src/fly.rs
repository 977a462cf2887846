//! `fly.toml`. Two of its keys are read; the rest is Fly's.

use crate::deployment::{Health, HealthSource};
use repository::Repository;
use tools::PlatformCall;
use workflow::Value;
use workflow::{Fact, Line};

const FILE: &str = "fly.toml";

/// The value of `key = "value"`, the first below a table whose name contains `table`.
fn value(repository: &Repository, table: &str, key: &str) -> Option<Fact<String>> {
    let text = repository.text(FILE)?;
    let mut within = table.is_empty();
    for (at, line) in text.lines().map(str::trim).enumerate() {
        if line.starts_with('[') {
            within = !table.is_empty() && line.contains(table);
        } else if within
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            let value = value.trim().split(" #").next().unwrap_or_default();
            let value = value.trim().trim_matches(['"', '\'']).to_owned();
            return Some(Fact::new(value, Line::new(FILE, at + 1)));
        }
    }
    None
}

pub(crate) fn app(repository: &Repository) -> Option<Fact<Value>> {
    let app = value(repository, "", "app")?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!app.value.is_empty() && app.value.chars().all(good))
        .then(|| Fact::new(Value::new(app.value), app.at))
}

/// The app's usual address, which a domain of its own may replace, with the path of its check.
pub(crate) fn health(repository: &Repository, call: &PlatformCall) -> Option<Health> {
    let app = call.app.as_ref()?;
    let name = app.value.literal()?;
    let path = value(repository, "checks", "path");
    let mut at = vec![app.at.clone()];
    at.extend(path.as_ref().map(|path| path.at.clone()));
    let path = path.map_or_else(|| "/".to_owned(), |path| path.value);
    Some(Health {
        url: Value::new(format!("https://{name}.fly.dev{path}")),
        at,
        from: HealthSource::Guess,
        on_host: false,
    })
}
