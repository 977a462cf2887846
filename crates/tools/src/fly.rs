//! `fly.toml`. Two of its keys are read; the rest is Fly's.

use crate::address::Address;
use crate::tool::PlatformCall;
use repository::{Repository, joined};
use workflow::Value;
use workflow::{Fact, Line};

const USUAL: &str = "fly.toml";

/// The value of `key = "value"`, the first below a table whose name contains `table`.
fn value(repository: &Repository, file: &str, table: &str, key: &str) -> Option<Fact<String>> {
    let text = repository.text(file)?;
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
            return Some(Fact::new(value, Line::new(file, at + 1)));
        }
    }
    None
}

/// The call with the file that it reads, from the root, and the app that is named there.
pub fn completed(repository: &Repository, mut call: PlatformCall, folder: &str) -> PlatformCall {
    // A file that the call names is read wherever it is; the usual one, where it is there.
    call.config = match call.config {
        Some(named) => Some(joined(folder, &named).unwrap_or(named)),
        None => joined(folder, USUAL).filter(|path| repository.has(path)),
    };
    if call.app.is_none()
        && let Some(file) = &call.config
        && let Some(app) = value(repository, file, "", "app")
    {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let known = !app.value.is_empty() && app.value.chars().all(good);
        call.app = known.then(|| Fact::new(Value::new(app.value), app.at));
    }
    call
}

/// The app's usual address, which a domain of its own may replace, with the path of its check.
pub fn address(repository: &Repository, call: &PlatformCall) -> Option<Address> {
    let app = call.app.as_ref()?;
    let name = app.value.literal()?;
    let file = call.config.as_deref();
    // An app without a service, such as a worker, has no address.
    let text = file.and_then(|file| repository.text(file));
    if text.is_some_and(|text| !text.contains("service") && !text.contains("checks")) {
        return None;
    }
    let path = file.and_then(|file| value(repository, file, "checks", "path"));
    let mut at = vec![app.at.clone()];
    at.extend(path.as_ref().map(|path| path.at.clone()));
    let is_checked = path.is_some();
    let path = path.map_or_else(|| "/".to_owned(), |path| path.value);
    Some(Address {
        url: Value::new(format!("https://{name}.fly.dev{path}")),
        at,
        is_checked,
    })
}
