//! Where we run, as reported by the runner.

use std::fmt;
use std::path::PathBuf;

use model::Env;

/// The API of github.com: the default.
const API_URL: &str = "https://api.github.com";

/// What `GITHUB_*` contains about this run.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// `GITHUB_ACTIONS=true`.
    pub in_actions: bool,
    /// `owner/name`.
    pub repository: Option<String>,
    pub sha: Option<String>,
    /// What the run was started on: `refs/heads/…`, `refs/tags/…` or `refs/pull/…`.
    pub reference: Option<String>,
    pub run_id: Option<String>,
    pub run_attempt: Option<u32>,
    pub actor: Option<String>,
    pub event_name: Option<String>,
    /// `https://api.github.com`, or `https://HOST/api/v3` of a GHES.
    pub api_url: String,
    pub server_url: Option<String>,
    /// File for the step summary.
    pub summary: Option<PathBuf>,
    /// File for the step's outputs.
    pub output: Option<PathBuf>,
    /// The root of the repository that was checked out.
    pub workspace: Option<PathBuf>,
    /// Why this run gets no secrets, if GitHub withholds them by design.
    pub secrets_withheld: Option<Withheld>,
}

/// Runs to which GitHub gives no secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// A pull request from a fork.
    Fork,
    /// A run that Dependabot triggered.
    Dependabot,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Withheld::Fork => "a pull request from a fork gets no secrets",
            Withheld::Dependabot => {
                "a run that Dependabot triggered gets Dependabot's secrets only"
            }
        })
    }
}

impl Context {
    /// The page of this run.
    pub fn run_url(&self) -> Option<String> {
        let server = self.server_url.as_ref()?;
        let (repository, run) = (self.repository.as_ref()?, self.run_id.as_ref()?);
        let attempt = self.run_attempt.unwrap_or(1);
        Some(format!(
            "{server}/{repository}/actions/runs/{run}/attempts/{attempt}"
        ))
    }

    /// Reads `GITHUB_*`; `event` reads the event file, if there is one.
    pub fn from_env(env: &Env, event: impl FnOnce(&str) -> Option<String>) -> Self {
        let text = |name: &str| env.non_empty(name).map(str::to_owned);
        let event_name = text("GITHUB_EVENT_NAME");
        let actor = text("GITHUB_ACTOR");
        let repository = text("GITHUB_REPOSITORY");
        let event = env
            .non_empty("GITHUB_EVENT_PATH")
            .and_then(event)
            .unwrap_or_default();
        Context {
            in_actions: env.get("GITHUB_ACTIONS") == Some("true"),
            secrets_withheld: withheld(
                event_name.as_deref(),
                actor.as_deref(),
                repository.as_deref(),
                &event,
            ),
            sha: text("GITHUB_SHA"),
            reference: text("GITHUB_REF"),
            run_id: text("GITHUB_RUN_ID"),
            run_attempt: env.get("GITHUB_RUN_ATTEMPT").and_then(|n| n.parse().ok()),
            api_url: text("GITHUB_API_URL").unwrap_or_else(|| API_URL.to_owned()),
            server_url: text("GITHUB_SERVER_URL"),
            summary: text("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            output: text("GITHUB_OUTPUT").map(PathBuf::from),
            workspace: text("GITHUB_WORKSPACE").map(PathBuf::from),
            event_name,
            actor,
            repository,
        }
    }

    /// The part of a report that says where it was made.
    pub fn report(&self, tool_version: &str) -> model::Context {
        model::Context {
            tool_version: tool_version.to_owned(),
            repository: self.repository.clone(),
            sha: self.sha.clone(),
            run_id: self.run_id.clone(),
            run_attempt: self.run_attempt,
            actor: self.actor.clone(),
        }
    }
}

/// `pull_request` from a fork and Dependabot's own runs get no secrets; `pull_request_target`
/// does (docs: "Events that trigger workflows", "Dependabot on GitHub Actions").
fn withheld(
    event_name: Option<&str>,
    actor: Option<&str>,
    repository: Option<&str>,
    event: &str,
) -> Option<Withheld> {
    if actor == Some("dependabot[bot]") && event_name != Some("pull_request_target") {
        return Some(Withheld::Dependabot);
    }
    if !matches!(
        event_name,
        Some("pull_request" | "pull_request_review" | "pull_request_review_comment")
    ) {
        return None;
    }
    let event: serde_json::Value = serde_json::from_str(event).ok()?;
    let head = &event["pull_request"]["head"]["repo"];
    // The head repository is null after the fork was deleted.
    let foreign = head.is_null() && event["pull_request"].is_object()
        || head["full_name"]
            .as_str()
            .is_some_and(|name| Some(name) != repository);
    foreign.then_some(Withheld::Fork)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(event: &str, variables: &[(&str, &str)]) -> Context {
        let mut env = Env::from_iter(variables.iter().copied());
        env.set("GITHUB_REPOSITORY", "acme/shop");
        env.set("GITHUB_EVENT_PATH", "event.json");
        Context::from_env(&env, |_| Some(event.to_owned()))
    }

    #[test]
    fn forks_and_dependabot_get_no_secrets() {
        let fork = r#"{"pull_request":{"head":{"repo":{"full_name":"eve/shop"}}}}"#;
        let own = r#"{"pull_request":{"head":{"repo":{"full_name":"acme/shop"}}}}"#;
        let pull = ("GITHUB_EVENT_NAME", "pull_request");
        let push = ("GITHUB_EVENT_NAME", "push");
        let bot = ("GITHUB_ACTOR", "dependabot[bot]");
        assert_eq!(
            context(fork, &[pull]).secrets_withheld,
            Some(Withheld::Fork)
        );
        assert_eq!(context(own, &[pull]).secrets_withheld, None);
        assert_eq!(
            context("{}", &[push, bot]).secrets_withheld,
            Some(Withheld::Dependabot)
        );
        assert_eq!(context("not json", &[pull]).secrets_withheld, None);
    }

    #[test]
    fn outside_actions_the_api_is_github_com() {
        assert_eq!(
            Context::from_env(&Env::default(), |_| None).api_url,
            API_URL
        );
    }
}
