//! What a stage is given.

use model::{Env, Redactor};

use crate::{Interrupt, Progress, Publisher};

/// Everything that a stage may know of the outside. Cheap enough to clone for a stage that calls
/// another.
#[derive(Clone, Debug)]
pub struct Job {
    pub config: config::Config,
    pub env: Env,
    pub actions: actions::Context,
    /// `--release`.
    pub release: Option<String>,
    /// `--environment`.
    pub environment: Option<String>,
    pub only: Only,
    pub dry_run: bool,
    pub redactor: Redactor,
    pub progress: Progress,
    pub interrupt: Interrupt,
    /// For a stage that runs others and shows each one's report.
    pub publisher: Publisher,
}

/// Which checks were chosen by `--only` and `--skip`.
#[derive(Clone, Debug, Default)]
pub struct Only {
    only: Vec<String>,
    skip: Vec<String>,
}

impl Only {
    pub fn new(only: Vec<String>, skip: Vec<String>) -> Self {
        Only { only, skip }
    }

    /// Whether this outcome id is asked for: by itself, by its kind, or by a pattern. An empty
    /// choice chooses all; what is skipped is never asked for.
    pub fn selects(&self, id: &str) -> bool {
        let kind = id.split('/').next().unwrap_or(id);
        let named = |patterns: &[String]| {
            patterns
                .iter()
                .any(|pattern| pattern == kind || matches(pattern.as_bytes(), id.as_bytes()))
        };
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Whether a text fits a pattern in which `*` stands for any text.
pub fn glob(pattern: &str, text: &str) -> bool {
    matches(pattern.as_bytes(), text.as_bytes())
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // Let the last star take one more byte.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_kinds_and_patterns_choose() {
        let owned =
            |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let only = |patterns: &[&str]| Only::new(owned(patterns), Vec::new());
        let skip = |patterns: &[&str]| Only::new(owned(&["http"]), owned(patterns));
        assert!(skip(&["http/live"]).selects("http/ready"));
        assert!(!skip(&["*/ready"]).selects("http/ready"));
        assert!(!skip(&["http"]).selects("http/ready"));
        assert!(only(&[]).selects("http/ready"));
        assert!(only(&["http/ready"]).selects("http/ready"));
        assert!(only(&["http"]).selects("http/ready"));
        assert!(only(&["h*/r*y"]).selects("http/ready"));
        assert!(!only(&["http/live", "ht"]).selects("http/ready"));
        assert!(!only(&["*live"]).selects("http/ready"));
    }
}
