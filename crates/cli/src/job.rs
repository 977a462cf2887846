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

/// Which checks were chosen by `--only`.
#[derive(Clone, Debug, Default)]
pub struct Only(Vec<String>);

impl Only {
    pub fn new(patterns: Vec<String>) -> Self {
        Only(patterns)
    }

    /// Whether this outcome id is asked for: by itself, by its kind, or by a pattern. An empty
    /// choice chooses all.
    pub fn selects(&self, id: &str) -> bool {
        let kind = id.split('/').next().unwrap_or(id);
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|pattern| pattern == kind || matches(pattern.as_bytes(), id.as_bytes()))
    }
}

/// A pattern in which `*` stands for any text.
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
        let only =
            |patterns: &[&str]| Only::new(patterns.iter().map(ToString::to_string).collect());
        assert!(only(&[]).selects("http/ready"));
        assert!(only(&["http/ready"]).selects("http/ready"));
        assert!(only(&["http"]).selects("http/ready"));
        assert!(only(&["h*/r*y"]).selects("http/ready"));
        assert!(!only(&["http/live", "ht"]).selects("http/ready"));
        assert!(!only(&["*live"]).selects("http/ready"));
    }
}
