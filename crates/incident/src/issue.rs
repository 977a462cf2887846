//! The report of an incident as an issue of GitHub, which another call finds again and brings up to date.

use std::time::{Duration, Instant};

use chronicle::Incident;
use cli::{Failure, Job};
use github::{Client, Error, Repository};
use model::Outcome;
use model::text::cut;

/// For one question, and for a rate limit to end.
const TIMEOUT: Duration = Duration::from_secs(15);
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// GitHub refuses a longer body, and a title of over 256 characters.
const MAX_BODY: usize = 65_536;
const MAX_TITLE: usize = 200;

/// Where reports are filed.
pub(crate) struct Tracker<'a> {
    job: &'a Job,
    client: Client,
    repository: Repository,
}

impl<'a> Tracker<'a> {
    /// # Errors
    /// Returns a usage error where no repository is known, and an error where GitHub cannot be asked.
    pub(crate) fn of(job: &'a Job, repository: Option<&str>) -> Result<Tracker<'a>, Failure> {
        let name = repository.or(job.actions.repository.as_deref());
        let name = name.ok_or_else(|| {
            Failure::usage("it is not known in which repository the issue is filed")
                .hint("add `--repo OWNER/NAME`")
        })?;
        let repository = Repository::parse(name)
            .map_err(|error| Failure::usage(error).hint("for example `--repo acme/shop`"))?;
        let client = job.github(None, TIMEOUT, Instant::now() + RATE_LIMIT_WAIT);
        let client = client.map_err(|error| {
            let hint = error.hint();
            Failure::error(error).hint(hint)
        })?;
        Ok(Tracker {
            job,
            client,
            repository,
        })
    }

    /// Files a report, once for each incident: an issue that has its mark is written anew.
    pub(crate) async fn file(&self, incident: &Incident, report: &str) -> Outcome {
        let id = format!("incident/{}/issue", incident.id);
        let place = self.repository.to_string();
        if self.job.dry_run {
            return Outcome::skipped(id, place, "would file the report as an issue");
        }
        let redacted = |text: &str| self.job.redactor.redact(text);
        let title = redacted(&title(incident));
        let body = body(&mark(incident), &redacted(report));
        match self.filed(incident, &title, &body).await {
            Ok((number, word)) => Outcome::pass(id, place).actual(format!("#{number} {word}")),
            Err(error) => Outcome::error(id, place)
                .expected("the report is filed as an issue")
                .reason(error.to_string())
                .hint(error.hint()),
        }
    }

    /// The number of the issue, and what became of it.
    async fn filed(
        &self,
        incident: &Incident,
        title: &str,
        body: &str,
    ) -> Result<(u64, &'static str), Error> {
        let (client, of) = (&self.client, &self.repository);
        match client
            .issue_with(of, &mark(incident), incident.opened)
            .await?
        {
            Some(issue) if issue.body.as_deref() == Some(body) => {
                Ok((issue.number, "is up to date"))
            }
            Some(issue) => {
                client.rewrite_issue(of, issue.number, title, body).await?;
                Ok((issue.number, "brought up to date"))
            }
            None => Ok((client.make_issue(of, title, body, &[]).await?, "filed")),
        }
    }
}

/// What the issue of an incident is found by; it is not shown.
fn mark(incident: &Incident) -> String {
    // The log is a file: an id in it may be anything, and must not end the comment.
    let id = incident.id.as_str().chars();
    let id: String = id.filter(char::is_ascii_alphanumeric).collect();
    format!("<!-- deploy-guard report {id} -->")
}

/// On one line.
fn title(incident: &Incident) -> String {
    let words: Vec<&str> = incident.text.split_whitespace().collect();
    cut(
        &format!("Incident {}: {}", incident.id, words.join(" ")),
        MAX_TITLE,
    )
}

/// The mark and as many whole lines of the report as an issue takes.
fn body(mark: &str, report: &str) -> String {
    let whole = format!("{mark}\n{report}");
    // As GitHub's own servers may count: an emoji is two.
    let length = |text: &str| text.encode_utf16().count();
    if length(&whole) <= MAX_BODY {
        return whole;
    }
    let note =
        "\n\n> The report is longer than an issue may be: `incident report` writes all of it.\n";
    let mut left = MAX_BODY - length(note);
    let mut kept = String::new();
    for line in whole.split_inclusive('\n') {
        let Some(rest) = left.checked_sub(length(line)) else {
            break;
        };
        left = rest;
        kept.push_str(line);
    }
    kept.trim_end().to_owned() + note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_whole_lines_as_many_as_an_issue_takes() {
        let mark = "<!-- m -->";
        assert_eq!(body(mark, "# short\n"), "<!-- m -->\n# short\n");
        let long = body(mark, &"🚨 a line\n".repeat(20_000));
        let length = long.encode_utf16().count();
        assert!((MAX_BODY - 20..=MAX_BODY).contains(&length), "{length}");
        assert!(long.starts_with(mark) && long.ends_with("writes all of it.\n"));
        assert!(
            long.contains("🚨 a line\n\n> The report"),
            "{}",
            &long[long.len() - 120..]
        );
    }
}
