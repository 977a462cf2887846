//! What all questions to GitHub share: whose repository, and what it is called when it cannot be
//! known.

use std::time::Instant;

use github::{Client, Repository};
use model::Outcome;

use super::Context;

/// Why GitHub could not be asked.
pub(super) struct QueryError {
    what: String,
    hint: String,
}

impl QueryError {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        QueryError {
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// The service did not answer the question: an error, never an absence.
    pub(super) fn outcome(self, id: &str, subject: &str, expected: &str) -> Outcome {
        Outcome::error(id, subject)
            .expected(expected)
            .actual("not known")
            .reason(format!("cannot know: {}", self.what))
            .hint(self.hint)
    }
}

impl From<github::Error> for QueryError {
    fn from(error: github::Error) -> Self {
        QueryError {
            hint: error.hint(),
            what: error.to_string(),
        }
    }
}

/// Who is asked, about which repository.
pub(super) struct Github {
    pub(super) client: Client,
    pub(super) repository: Repository,
}

impl Github {
    pub(super) fn new(
        scene: &Context<'_>,
        repository: Option<&str>,
        token_env: Option<&str>,
    ) -> Result<Self, QueryError> {
        Github::until(scene, repository, token_env, scene.until)
    }

    /// For a check whose own time goes on after the stage's.
    pub(super) fn until(
        scene: &Context<'_>,
        repository: Option<&str>,
        token_env: Option<&str>,
        until: Instant,
    ) -> Result<Self, QueryError> {
        let named = repository.or(scene.job.actions.repository.as_deref());
        let named = named.ok_or_else(|| {
            QueryError::new(
                "no repository is named",
                "add `repository: OWNER/NAME`; in a workflow GITHUB_REPOSITORY names it",
            )
        })?;
        Ok(Github {
            client: scene.github_until(token_env, until)?,
            repository: Repository::parse(named)?,
        })
    }
}

/// A commit as people write it.
pub(super) fn short(commit: &str) -> &str {
    let hex = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { &commit[..8] } else { commit }
}

/// `a, b, c and 7 more`.
pub(super) fn some<S: AsRef<str>>(names: &[S]) -> String {
    const MAX_SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(MAX_SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MAX_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
