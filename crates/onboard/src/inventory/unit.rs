//! Units of systemd.

/// A unit that runs a service.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) path: String,
    pub(crate) name: String,
    /// The folder whose link leads to the release that runs, such as `/srv/shop`.
    pub(crate) home: Option<String>,
}

pub(super) fn unit(path: String, name: &str, text: &str) -> Option<Unit> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.starts_with('-') || !name.chars().all(good) || name.contains("@.") {
        return None;
    }
    let value = |key: &str| {
        let lines = text.lines().map(str::trim);
        lines
            .filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='))
            .next_back()
    };
    let program = value("ExecStart")?.trim_start_matches(['-', '+', '!', '@', ':', ' ']);
    let folder = [
        program,
        value("WorkingDirectory").unwrap_or_default().trim(),
    ]
    .into_iter()
    .find_map(|path| path.find("/current").map(|at| &path[..at]));
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let home =
        folder.filter(|home| home.len() > 1 && home.starts_with('/') && home.chars().all(plain));
    Some(Unit {
        path,
        name: name.to_owned(),
        home: home.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_runs_what_is_behind_a_link() {
        let text = "[Service]\nExecStart=/srv/shop/current/bin/shop --port 80\n";
        let seen = unit("shop.service".to_owned(), "shop.service", text).unwrap();
        assert_eq!(seen.home.as_deref(), Some("/srv/shop"));
        assert!(unit("x".to_owned(), "shop.service", "[Service]\nType=oneshot\n").is_none());
    }
}
