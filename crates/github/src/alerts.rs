//! Code scanning: what was analysed, and what it found.

use jiff::Timestamp;
use serde::Deserialize;

use crate::repository::step;
use crate::{Client, Error, Needs, Repository};

/// Pages of analyses in which one of a commit is looked for: 500 analyses, the newest first.
const MAX_ANALYSIS_PAGES: usize = 5;
const PER_PAGE: usize = 100;

/// A code scanning alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Alert {
    pub number: u64,
    pub rule: Rule,
    pub html_url: Option<String>,
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When an analysis no longer found it.
    #[serde(default)]
    pub fixed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    pub id: Option<String>,
    /// `none`, `note`, `warning` or `error`.
    pub severity: Option<String>,
    /// `low`, `medium`, `high` or `critical`; of security rules only.
    pub security_severity_level: Option<String>,
}

/// One upload of a scanner.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Analysis {
    /// `refs/heads/…`, `refs/tags/…` or `refs/pull/…`.
    #[serde(rename = "ref", default)]
    pub reference: String,
    #[serde(default)]
    pub commit_sha: String,
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Why it could not be processed; empty where it was.
    #[serde(default)]
    error: Option<String>,
}

impl Analysis {
    fn is_processed(&self) -> bool {
        self.error.as_deref().unwrap_or_default().is_empty()
    }
}

/// The newest analysis of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analysed {
    pub analysis: Analysis,
    /// A later commit of the same branch was analysed since: its alerts are those of another
    /// commit, as far as they changed after this analysis.
    pub superseded: bool,
}

const ALERTS: Needs = Needs::workflow(
    "read code scanning alerts",
    "security-events: read",
    "`security-events: read` (classic token: `security_events`), and code scanning must be set up",
);

impl Client {
    /// The newest analysis of this commit, by its whole id.
    pub async fn analysis_of(
        &self,
        repository: &Repository,
        commit: &str,
        tool: Option<&str>,
    ) -> Result<Option<Analysed>, Error> {
        let mut path = format!(
            "{}/code-scanning/analyses?per_page={PER_PAGE}",
            repository.path()
        );
        if let Some(tool) = tool {
            path.push_str(&format!("&tool_name={}", step(tool)));
        }
        let mut newer: Vec<Analysis> = Vec::new();
        for number in 1..=MAX_ANALYSIS_PAGES {
            let page: Vec<Analysis> = self.get(&format!("{path}&page={number}"), ALERTS).await?;
            let last = page.len() < PER_PAGE;
            for analysis in page.into_iter().filter(Analysis::is_processed) {
                if analysis.commit_sha.eq_ignore_ascii_case(commit) {
                    let superseded = newer.iter().any(|one| one.reference == analysis.reference);
                    return Ok(Some(Analysed {
                        analysis,
                        superseded,
                    }));
                }
                newer.push(analysis);
            }
            if last {
                break;
            }
        }
        Ok(None)
    }

    /// Alerts of a branch, a tag or a pull request that were open when this commit of it was
    /// analysed.
    pub async fn alerts_of(
        &self,
        repository: &Repository,
        of: &Analysed,
        tool: Option<&str>,
    ) -> Result<Vec<Alert>, Error> {
        let reference = Some(of.analysis.reference.as_str());
        let mut alerts = self.alert_list(repository, "open", reference, tool).await?;
        if let (true, Some(at)) = (of.superseded, of.analysis.created_at) {
            // What came later is not of this commit, and what was fixed later still is.
            alerts.retain(|alert| alert.created_at.is_none_or(|created| created <= at));
            let fixed = self
                .alert_list(repository, "fixed", reference, tool)
                .await?;
            alerts.extend(fixed.into_iter().filter(|alert| {
                alert.created_at.is_none_or(|created| created <= at)
                    && alert.fixed_at.is_none_or(|fixed| fixed > at)
            }));
        }
        Ok(alerts)
    }

    /// The open alerts of a branch or a pull request, the default branch's without `reference`;
    /// `None` if nothing was ever analysed there.
    pub async fn alerts(
        &self,
        repository: &Repository,
        reference: Option<&str>,
        tool: Option<&str>,
    ) -> Result<Option<Vec<Alert>>, Error> {
        let analyses = format!(
            "{}/code-scanning/analyses?per_page=1{}",
            repository.path(),
            filter(reference, tool)
        );
        let analyses: Vec<serde::de::IgnoredAny> = self.get(&analyses, ALERTS).await?;
        if analyses.is_empty() {
            return Ok(None);
        }
        self.alert_list(repository, "open", reference, tool)
            .await
            .map(Some)
    }

    async fn alert_list(
        &self,
        repository: &Repository,
        state: &str,
        reference: Option<&str>,
        tool: Option<&str>,
    ) -> Result<Vec<Alert>, Error> {
        let path = format!(
            "{}/code-scanning/alerts?state={state}{}",
            repository.path(),
            filter(reference, tool)
        );
        Ok(self.list(&path, None, ALERTS).await?.items)
    }
}

fn filter(reference: Option<&str>, tool: Option<&str>) -> String {
    let mut filter = String::new();
    for (name, value) in [("ref", reference), ("tool_name", tool)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{name}={}", step(value)));
        }
    }
    filter
}
