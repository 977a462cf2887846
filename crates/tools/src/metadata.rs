//! `docker/metadata-action`: the tags that it makes.

/// The tag that `docker/metadata-action` makes, where the workflow alone tells it.
pub fn metadata_tag(tags: &str) -> String {
    let mut unknown = "${{ steps.meta.outputs.version }}".to_owned();
    for line in tags.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut parts = line.split(',').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let of = |key: &str| {
            line.split(',')
                .find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='))
        };
        if of("enable") == Some("false") {
            continue;
        }
        let (prefix, suffix) = (of("prefix"), of("suffix").unwrap_or_default());
        match (kind, of("format")) {
            ("type=raw", _) if of("value").is_some_and(|value| value != "latest") => {
                return format!(
                    "{}{}{suffix}",
                    prefix.unwrap_or_default(),
                    of("value").unwrap_or_default()
                );
            }
            ("type=sha", Some("long")) => {
                return format!("{}${{{{ github.sha }}}}{suffix}", prefix.unwrap_or("sha-"));
            }
            ("type=ref", _) if matches!(of("event"), Some("tag" | "branch")) => {
                unknown = format!(
                    "{}${{{{ github.ref_name }}}}{suffix}",
                    prefix.unwrap_or_default()
                );
            }
            _ => {}
        }
    }
    unknown
}
