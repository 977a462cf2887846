//! Where what runs in a cluster answers.

use crate::deployment::{Environment, Health, HealthSource};
use repository::Repository;
use tools::Tool;
use tools::manifests::{host_of_ingress, host_of_values, readiness};
use workflow::Fact;
use workflow::Value;

/// An address that is put together from two places: a guess, and said to be one.
pub(crate) fn health(
    repository: &Repository,
    tool: &Tool,
    environment: Option<&Environment>,
) -> Option<Health> {
    let host = match tool {
        Tool::Helm(call) => call.values.iter().rev().find_map(|file| {
            let file = file.literal()?.trim_start_matches("./");
            host_of_values(repository, file)
        }),
        _ => None,
    };
    let host = host.or_else(|| host_of_ingress(repository));
    let of_environment = || {
        let url = environment?.url.as_ref()?;
        Some(Fact::new(
            url.value.literal()?.trim_end_matches('/').to_owned(),
            url.at.clone(),
        ))
    };
    let host = of_environment().or(host)?;
    let path = readiness(repository)?;
    let base = if host.value.contains("://") {
        host.value.clone()
    } else {
        // An ingress that says nothing of certificates answers as it is.
        let text = repository.text(&host.at.path).unwrap_or_default();
        let secure = ["tls:", "certificate", "ssl", "https"]
            .iter()
            .any(|word| text.contains(word));
        let scheme = if secure || !text.contains("kind: Ingress") {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", host.value)
    };
    // An address that has a path already is more than a host.
    if base
        .split("://")
        .nth(1)
        .is_some_and(|rest| rest.contains('/'))
    {
        return None;
    }
    Some(Health {
        url: Value::new(format!("{base}{}", path.value)),
        at: vec![host.at, path.at],
        from: HealthSource::Guess,
        on_host: false,
        row: std::collections::BTreeMap::new(),
    })
}
