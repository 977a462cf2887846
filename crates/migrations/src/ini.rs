//! Files of sections with `key = value`: those of Alembic and of git's form, which Sqitch has.

use std::collections::BTreeMap;

/// The keys of each section, in small letters as both tools read them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ini(BTreeMap<String, BTreeMap<String, String>>);

impl Ini {
    /// A line that begins with a blank goes on with the value before it, unless `is_git`.
    pub(crate) fn parse(text: &str, is_git: bool) -> Ini {
        let mut ini = Ini::default();
        let (mut section, mut last) = (String::new(), None::<String>);
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = trimmed
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                name.trim().clone_into(&mut section);
                last = None;
                continue;
            }
            let keys = ini.0.entry(section.clone()).or_default();
            if !is_git
                && line.starts_with([' ', '\t'])
                && let Some(value) = last.as_ref().and_then(|key| keys.get_mut(key))
            {
                value.push('\n');
                value.push_str(trimmed);
                continue;
            }
            let at = trimmed.find(if is_git { &['='][..] } else { &['=', ':'][..] });
            let (key, value) = match at {
                Some(at) => (&trimmed[..at], &trimmed[at + 1..]),
                None => (trimmed, "true"),
            };
            let key = key.trim().to_ascii_lowercase();
            let value = value.trim();
            let value = if is_git {
                value.trim_matches('"')
            } else {
                value
            };
            keys.insert(key.clone(), value.to_owned());
            last = Some(key);
        }
        ini
    }

    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&str> {
        self.0.get(section)?.get(key).map(String::as_str)
    }

    /// The value with `%(name)s` filled in, as Python's configparser does; `here` is the file's folder.
    pub(crate) fn filled(&self, section: &str, key: &str, here: &str) -> Option<String> {
        let mut value = self.get(section, key)?.to_owned();
        // A value may name another one, which names a third; more is a circle.
        for _ in 0..10 {
            let Some(start) = value.find("%(") else { break };
            let Some(length) = value[start..].find(")s") else {
                break;
            };
            let name = value[start + 2..start + length].to_ascii_lowercase();
            let with = match name.as_str() {
                "here" => Some(here),
                name => self
                    .get(section, name)
                    .or_else(|| self.get("DEFAULT", name)),
            };
            value.replace_range(start..start + length + 2, with.unwrap_or_default());
        }
        Some(value.replace("%%", "%"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_on_and_name_others() {
        let text = "[DEFAULT]\nbase = db\n[alembic]\n# a comment\nScript_Location = %(here)s/%(base)s/alembic\nversion_locations =\n  a\n  b\npath_separator=newline\n";
        let ini = Ini::parse(text, false);
        let location = ini.filled("alembic", "script_location", "svc");
        assert_eq!(location.as_deref(), Some("svc/db/alembic"));
        assert_eq!(ini.get("alembic", "version_locations"), Some("\na\nb"));
        let circle = Ini::parse("[alembic]\na = %(a)s\n", false);
        assert!(circle.filled("alembic", "a", "").is_some());
        let git = Ini::parse(
            "[core]\n\tengine = pg\n[engine \"pg\"]\n\tregistry = \"audit\"\n",
            true,
        );
        assert_eq!(git.get("engine \"pg\"", "registry"), Some("audit"));
    }
}
