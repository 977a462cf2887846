//! Why GitHub ended a run or a job, and who wanted it, as the annotations of a job tell it.

use model::failed_run::Ended;

/// Who cancelled a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelledBy {
    /// A person or an app, by its login.
    User(String),
    /// A newer run of the same concurrency group, where GitHub names it.
    NewerRun { group: Option<String> },
}

/// Fits after "cancelled by".
impl std::fmt::Display for CancelledBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Without an `@`: where it is shown, it must not mention a person.
            CancelledBy::User(login) => f.write_str(login),
            CancelledBy::NewerRun { group: Some(group) } => {
                write!(f, "a newer run of the concurrency group {group}")
            }
            CancelledBy::NewerRun { group: None } => {
                f.write_str("a newer run of its concurrency group")
            }
        }
    }
}

/// GitHub's sentences, in lower case, and what they mean.
const SENTENCES: &[(&str, Ended)] = &[
    ("exceeded the maximum execution time", Ended::TimedOut),
    ("has timed out after", Ended::TimedOut),
    ("lost communication with the server", Ended::RunnerLost),
    (
        "the runner has received a shutdown signal",
        Ended::RunnerLost,
    ),
    ("the hosted runner encountered an error", Ended::RunnerLost),
    (
        "the deployment was rejected or didn't satisfy other protection rules",
        Ended::Rejected,
    ),
    ("due to environment protection rules", Ended::Rejected),
    ("was not acquired by runner", Ended::NoRunner),
    ("there were no enabled runners online", Ended::NoRunner),
    ("no runner matching the specified labels", Ended::NoRunner),
    ("the job was not started because", Ended::NoRunner),
    (
        "this request was automatically failed because",
        Ended::NoRunner,
    ),
    ("the run was canceled by", Ended::Cancelled),
    ("canceling since a", Ended::Cancelled),
    ("the operation was canceled", Ended::Cancelled),
];

/// What a message says of why a job ended.
pub(crate) fn said(message: &str) -> Option<Ended> {
    let message = message.to_lowercase();
    let fits = |(part, _): &&(&str, Ended)| message.contains(part);
    SENTENCES.iter().find(fits).map(|(_, ended)| *ended)
}

impl CancelledBy {
    /// `The run was canceled by @octocat.`, `Canceling since a higher priority waiting request for
    /// 'deploy' exists`.
    pub(crate) fn of(message: &str) -> Option<CancelledBy> {
        let after = |text: &str| {
            let at = message.to_ascii_lowercase().find(text)?;
            message.get(at + text.len()..)
        };
        if let Some(rest) = after("the run was canceled by @") {
            let is_login = |c: char| c.is_ascii_alphanumeric() || "-_[]".contains(c);
            let login: String = rest.chars().take_while(|c| is_login(*c)).take(64).collect();
            return (!login.is_empty()).then_some(CancelledBy::User(login));
        }
        let rest = after("canceling since a")?;
        let group = rest.split('\'').nth(1).filter(|group| !group.is_empty());
        Some(CancelledBy::NewerRun {
            group: group.map(|group| group.chars().take(200).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_sentences_tell_who_and_why() {
        let user = |login: &str| Some(CancelledBy::User(login.into()));
        assert_eq!(
            CancelledBy::of("The run was canceled by @octo-cat."),
            user("octo-cat")
        );
        assert_eq!(
            CancelledBy::of("The run was canceled by @ci[bot]."),
            user("ci[bot]")
        );
        assert_eq!(CancelledBy::of("The run was canceled by @<b>."), None);
        let newer = "Canceling since a higher priority waiting request for 'deploy-main' exists";
        let group = Some("deploy-main".to_owned());
        assert_eq!(
            CancelledBy::of(newer),
            Some(CancelledBy::NewerRun { group })
        );
        assert_eq!(CancelledBy::of("The operation was canceled."), None);
        for (message, ended) in [
            (
                "The job running on runner X has exceeded the maximum execution time of 5 minutes.",
                Ended::TimedOut,
            ),
            (
                "The self-hosted runner: web-01 lost communication with the server.",
                Ended::RunnerLost,
            ),
            (
                "The job was not acquired by Runner of type hosted even after multiple attempts",
                Ended::NoRunner,
            ),
            ("The operation was canceled.", Ended::Cancelled),
            (
                "The deployment was rejected or didn't satisfy other protection rules.",
                Ended::Rejected,
            ),
            (
                "Branch \"feature\" is not allowed to deploy to production due to environment protection rules.",
                Ended::Rejected,
            ),
        ] {
            assert_eq!(said(message), Some(ended), "{message}");
        }
        assert_eq!(said("Process completed with exit code 1."), None);
    }
}
