//! Issues and their comments: written, and found again by a text that is hidden in them.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::{Client, Error, Needs, Repository};

const READ: Needs = Needs::workflow(
    "read issues",
    "issues: write",
    "`issues: write` (classic token: `repo`)",
);
const WRITE: Needs = Needs::workflow(
    "write issues",
    "issues: write",
    "`issues: write` (classic token: `repo`)",
);
/// Ten thousand issues and pull requests.
const PAGES: u32 = 100;
const PER_PAGE: usize = 100;
/// The clocks of who writes an issue and of GitHub may differ by as much.
const CLOCKS: SignedDuration = SignedDuration::from_hours(1);

/// An issue, as far as it is looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Issue {
    pub number: u64,
    /// `open` or `closed`.
    pub state: String,
    pub body: Option<String>,
    created_at: Option<Timestamp>,
    #[serde(default)]
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Comment {
    body: Option<String>,
}

#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

impl Client {
    /// The issue with a text in its body that was made after `since`; of several on a page, the one that was made first.
    /// The list of issues is asked, and not the search, which knows nothing of the last minutes.
    pub async fn issue_with(
        &self,
        of: &Repository,
        text: &str,
        since: Timestamp,
    ) -> Result<Option<Issue>, Error> {
        let since = since.checked_sub(CLOCKS).unwrap_or(Timestamp::MIN);
        let mut found: Option<Issue> = None;
        for page in 1..=PAGES {
            let path = format!(
                "{}/issues?state=all&sort=created&direction=desc&per_page={PER_PAGE}&page={page}",
                of.path()
            );
            let issues: Vec<Issue> = self.get(&path, READ).await?;
            let oldest = issues.last().and_then(|issue| issue.created_at);
            let is_last = issues.len() < PER_PAGE || oldest.is_some_and(|oldest| oldest < since);
            let marked = issues.into_iter().rfind(|issue| {
                let has = issue.body.as_ref().is_some_and(|body| body.contains(text));
                has && issue.pull_request.is_none()
            });
            found = marked.or(found);
            if is_last || found.is_some() {
                break;
            }
        }
        Ok(found)
    }

    /// Whether the token may make issues here; none is made.
    ///
    /// # Errors
    /// Returns why it may not, or why that is not known.
    pub async fn may_make_issues(&self, of: &Repository) -> Result<(), Error> {
        self.may_post(&format!("{}/issues", of.path()), WRITE).await
    }

    /// Makes an issue, once; its number.
    pub async fn make_issue(
        &self,
        of: &Repository,
        title: &str,
        body: &str,
        labels: &[String],
    ) -> Result<u64, Error> {
        let path = format!("{}/issues", of.path());
        let question = json!({"title": title, "body": body, "labels": labels});
        let made: Numbered = answer(&self.post(&path, &question, WRITE).await?)?;
        Ok(made.number)
    }

    /// Replaces the title and the body of an issue; it stays open or closed.
    pub async fn rewrite_issue(
        &self,
        of: &Repository,
        issue: u64,
        title: &str,
        body: &str,
    ) -> Result<(), Error> {
        let path = format!("{}/issues/{issue}", of.path());
        let question = json!({"title": title, "body": body});
        self.patch(&path, &question, WRITE).await.map(drop)
    }

    /// Whether an issue has a comment with a text in it.
    pub async fn has_comment(
        &self,
        of: &Repository,
        issue: u64,
        text: &str,
    ) -> Result<bool, Error> {
        let path = format!("{}/issues/{issue}/comments", of.path());
        let comments: Vec<Comment> = self.list(&path, None, READ).await?.items;
        let mut bodies = comments.iter().filter_map(|comment| comment.body.as_ref());
        Ok(bodies.any(|body| body.contains(text)))
    }

    /// Writes a comment, once.
    pub async fn comment(&self, of: &Repository, issue: u64, body: &str) -> Result<(), Error> {
        let path = format!("{}/issues/{issue}/comments", of.path());
        let question = json!({"body": body});
        self.post(&path, &question, WRITE).await.map(drop)
    }

    /// Closes an issue; one that is closed stays so.
    pub async fn close_issue(&self, of: &Repository, issue: u64) -> Result<(), Error> {
        let path = format!("{}/issues/{issue}", of.path());
        let question = json!({"state": "closed", "state_reason": "completed"});
        self.patch(&path, &question, WRITE).await.map(drop)
    }
}

/// An answer that must be JSON of some form.
pub(crate) fn answer<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Malformed {
        reason: error.to_string(),
    })
}
