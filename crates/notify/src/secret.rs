//! The variables that a sink names.

use model::env::mapping_hint;
use model::{Env, Redactor, Secret};
use url::Url;

use crate::DeliveryError;

/// The value of a variable: one that is empty is refused before anyone is asked, because a request to an empty
/// address goes to this machine, and one with an empty key nowhere.
pub(crate) fn value(env: &Env, name: &str) -> Result<Secret, DeliveryError> {
    let reason = match env.get(name) {
        Some(text) if !text.trim().is_empty() => return Ok(Secret::from(text.trim())),
        Some(_) => format!("`{name}` is set and empty"),
        None => format!("`{name}` is not set"),
    };
    Err(DeliveryError::refused(reason, mapping_hint(name)))
}

/// The URL that a variable holds.
pub(crate) fn address(env: &Env, name: &str) -> Result<Url, DeliveryError> {
    let text = value(env, name)?;
    let url = Url::parse(text.expose()).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        let hint =
            "store the whole address, as the service shows it: `https:` and all that follows";
        DeliveryError::refused(format!("`{name}` does not hold a URL"), hint)
    })
}

/// What hides the address of a webhook wherever it is repeated: the whole, its path and its query.
pub(crate) fn of_address(url: &Url) -> Redactor {
    let behind = &url[url::Position::AfterPort..];
    let parts = [url.as_str(), behind, url.query().unwrap_or_default()];
    // `/` alone is in every text.
    let parts = parts.into_iter().filter(|part| part.len() > 3);
    let steps = url.path_segments().into_iter().flatten();
    Redactor::new(parts.chain(steps.filter(|step| step.len() > 7)))
}
