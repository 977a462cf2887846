//! What a workflow hands to a step of ours: its own expressions, each under a name that the configuration
//! uses.

use survey::Value;

/// Variables of a step's `env:` in their order: the name, and the workflow's own text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepEnv(Vec<(String, String)>);

impl StepEnv {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value as text of the configuration: words as they are, `${NAME}` for each expression. `None` where
    /// only a shell knows it.
    pub fn filled(&mut self, value: &Value, usual: &str) -> Option<String> {
        let mut text = String::new();
        let mut added = Vec::new();
        for part in parts(value.text())? {
            match part {
                Part::Words(words) if words.contains(['$', '`']) => return None,
                Part::Words(words) => text.push_str(words),
                Part::Expression(whole) => added.push((text.len(), whole)),
            }
        }
        // From the end, so that the places before stay true.
        let mut names = Vec::new();
        for (at, whole) in added {
            names.push((at, self.name(whole, usual)));
        }
        for (at, name) in names.into_iter().rev() {
            text.insert_str(at, &format!("${{{name}}}"));
        }
        (!text.is_empty()).then_some(text)
    }

    /// The value as a word of a shell: quoted, or `"$NAME"`.
    pub fn shell_word(&mut self, value: &Value, usual: &str) -> Option<String> {
        if let Some(literal) = value.literal() {
            return Some(remote::quote(literal));
        }
        let text = value.text();
        let known = parts(text)?
            .iter()
            .all(|part| !matches!(part, Part::Words(words) if words.contains(['$', '`'])));
        (known && !text.is_empty()).then(|| format!("\"${}\"", self.name(text, usual)))
    }

    /// The variable that holds the expression; the secret in it is its name.
    pub fn name(&mut self, text: &str, usual: &str) -> String {
        if let Some((name, _)) = self.0.iter().find(|(_, there)| there == text) {
            return name.clone();
        }
        let value = Value::new(text);
        let mut own = value.secrets();
        own.extend(value.variables());
        let name = match own.as_slice() {
            [one] if value.expression().is_some() && is_variable(one) => one.clone(),
            _ => usual.to_owned(),
        };
        let taken = |name: &String| self.0.iter().any(|(there, _)| there == name);
        let name = if taken(&name) {
            let numbered = (2..).map(|number| format!("{name}_{number}"));
            numbered
                .into_iter()
                .find(|name| !taken(name))
                .unwrap_or(name)
        } else {
            name
        };
        self.0.push((name.clone(), text.to_owned()));
        name
    }

    /// A variable of this name, as the workflow sets it.
    pub fn set(&mut self, name: &str, text: &str) {
        if !self.0.iter().any(|(there, _)| there == name) {
            self.0.push((name.to_owned(), text.to_owned()));
        }
    }

    /// Those that `used` names.
    pub fn only(&self, used: impl Fn(&str) -> bool) -> StepEnv {
        let kept = self.0.iter().filter(|(name, _)| used(name));
        StepEnv(kept.cloned().collect())
    }
}

enum Part<'t> {
    Words(&'t str),
    /// With `${{` and `}}`.
    Expression(&'t str),
}

/// The parts of a text; `None` where an expression does not end.
fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${{") {
        let end = at + rest[at..].find("}}")? + 2;
        parts.push(Part::Words(&rest[..at]));
        parts.push(Part::Expression(&rest[at..end]));
        rest = &rest[end..];
    }
    parts.push(Part::Words(rest));
    Some(parts)
}

/// Programs and runners read these themselves.
const TAKEN: [&str; 10] = [
    "HOME", "PATH", "SHELL", "PWD", "TMPDIR", "IFS", "USER", "LOGNAME", "CI", "RELEASE",
];
const TAKEN_BY: [&str; 6] = [
    "GITHUB_",
    "RUNNER_",
    "ACTIONS_",
    "INPUT_",
    "LD_",
    "DEPLOY_GUARD_",
];

fn is_variable(name: &str) -> bool {
    !TAKEN.contains(&name)
        && !TAKEN_BY.iter().any(|begin| name.starts_with(begin))
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expression_has_one_name_and_stays_as_it_is_written() {
        let mut handed = StepEnv::default();
        let filled =
            |handed: &mut StepEnv, text: &str| handed.filled(&Value::new(text), "DEPLOY_HOST");
        assert_eq!(
            filled(&mut handed, "example.com").as_deref(),
            Some("example.com")
        );
        let port = "${{ secrets.VPS_PORT || 22 }}";
        assert_eq!(filled(&mut handed, port).as_deref(), Some("${VPS_PORT}"));
        assert_eq!(filled(&mut handed, port).as_deref(), Some("${VPS_PORT}"));
        let image = "${{ secrets.REGISTRY_USER }}/orders-api";
        assert_eq!(
            filled(&mut handed, image).as_deref(),
            Some("${REGISTRY_USER}/orders-api")
        );
        assert_eq!(
            filled(&mut handed, "${{ matrix.host }}").as_deref(),
            Some("${DEPLOY_HOST}")
        );
        assert_eq!(
            filled(&mut handed, "${{ needs.a.outputs.b }}").as_deref(),
            Some("${DEPLOY_HOST_2}")
        );
        for unknown in ["$HOST", "a`b`", "${{ open", ""] {
            assert_eq!(filled(&mut handed, unknown), None, "{unknown}");
        }
        let all: Vec<(&str, &str)> = handed.iter().collect();
        assert_eq!(all[0], ("VPS_PORT", port));
        assert_eq!(all.len(), 4);
    }
}
