//! An issue per incident, a comment per event, closed when the incident is resolved.
//!
//! The issue and each comment hold a hidden mark, by which another attempt, or another runner, finds them.

use std::time::Instant;

use actions::summary::markdown;
use github::{Client, Repository};
use sections::incident::{EventKind, GithubIssueSink};

use crate::sink::{Around, Delivered, Delivering, Earlier, Sink};
use crate::sinks::Kind;
use crate::{NotDelivered, Notice, Reference, github_access, marker, outside};

const TITLE: usize = 200;
/// A comment has at most 65,536 characters; a character takes up to seven when it is escaped.
const BODY: usize = 6000;
const FIELDS: usize = 20;
const FIELD: usize = 100;
const LINKS: usize = 10;

impl Kind for GithubIssueSink {
    fn make<'a>(&'a self, around: Around<'a>) -> Result<Box<dyn Sink + 'a>, NotDelivered> {
        let repository = github_access::repository(self.repository.as_deref(), around)?;
        Ok(Box::new(Issue {
            config: self,
            around,
            repository,
        }))
    }
}

struct Issue<'a> {
    config: &'a GithubIssueSink,
    around: Around<'a>,
    repository: Repository,
}

impl Sink for Issue<'_> {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: Earlier<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        Box::pin(github_access::within(deadline, async move {
            let token = self.config.token_env.as_deref();
            let client = github_access::client(token, self.around, deadline)?;
            let reading = |error| github_access::read(&error);
            let mark = marker::of_thread(&notice.thread);
            let known = if let Some(Reference::GithubIssue { number }) = earlier.reference {
                Some(*number)
            } else {
                let found = client.issue_with(&self.repository, &mark).await;
                found.map_err(reading)?.map(|issue| issue.number)
            };
            let Some(number) = known else {
                return self.open(&client, notice, &mark).await;
            };
            let reference = Some(Reference::GithubIssue { number });
            let told = self.tell(&client, notice, number, earlier.unsure).await;
            match told {
                Ok(()) => Ok(Delivered { reference }),
                Err(error) => Err(error.leaving(reference)),
            }
        }))
    }
}

impl Issue<'_> {
    /// The issue, whose body is the first notice.
    async fn open(
        &self,
        client: &Client,
        notice: &Notice,
        mark: &str,
    ) -> Result<Delivered, NotDelivered> {
        let body = format!("{mark}\n{}", text(notice));
        let title = outside::line(&notice.title, TITLE);
        let made = client.make_issue(&self.repository, &title, &body, &self.config.labels);
        let number = made.await.map_err(|error| github_access::written(&error))?;
        let reference = Some(Reference::GithubIssue { number });
        if notice.kind == EventKind::IncidentResolved {
            let closed = client.close_issue(&self.repository, number).await;
            closed.map_err(|error| github_access::written(&error).leaving(reference.clone()))?;
        }
        Ok(Delivered { reference })
    }

    async fn tell(
        &self,
        client: &Client,
        notice: &Notice,
        number: u64,
        unsure: bool,
    ) -> Result<(), NotDelivered> {
        let mark = marker::of_event(&notice.id);
        let of = &self.repository;
        let is_there = if unsure {
            let first = client.issue_with(of, &mark).await;
            let first = first.map_err(|error| github_access::read(&error))?;
            let has = client.has_comment(of, number, &mark).await;
            first.is_some() || has.map_err(|error| github_access::read(&error))?
        } else {
            false
        };
        if !is_there {
            let written = client.comment(of, number, &text(notice)).await;
            written.map_err(|error| github_access::written(&error))?;
        }
        if notice.kind == EventKind::IncidentResolved {
            let closed = client.close_issue(of, number).await;
            // The comment is there: the next attempt must look.
            closed.map_err(|error| {
                NotDelivered::unsure(format!("the issue was not closed: {error}"))
            })?;
        }
        Ok(())
    }
}

/// The notice as Markdown; with the mark of the event, so that an issue's own body counts as its first comment.
fn text(notice: &Notice) -> String {
    let mut parts = vec![
        marker::of_event(&notice.id),
        format!(
            "{} **{}** · {} · {}",
            notice.phase.emoji(),
            markdown(&outside::line(&notice.title, TITLE), TITLE),
            notice.kind,
            notice.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        ),
    ];
    let body = notice.body.trim();
    if !body.is_empty() {
        parts.push(markdown(&outside::text(body, BODY), BODY));
    }
    let cell = |text: &str| markdown(&outside::line(text, FIELD), FIELD);
    let rows: Vec<String> = notice
        .rows(FIELDS)
        .iter()
        .map(|(label, value)| format!("| {} | {} |", cell(label), cell(value)))
        .collect();
    parts.push(format!("| | |\n| --- | --- |\n{}", rows.join("\n")));
    let links: Vec<String> = notice
        .web_links(LINKS)
        .map(|(label, url)| format!("[{}](<{url}>)", cell(label)))
        .collect();
    if !links.is_empty() {
        parts.push(links.join(" · "));
    }
    parts.join("\n\n") + "\n"
}
