//! An issue per incident, a comment per event, closed when the incident is resolved.
//!
//! The issue and each comment hold a hidden mark, by which another attempt, or another runner, finds them.

use std::time::Instant;

use actions::summary::markdown;
use github::Client;
use sections::incident::{EventKind, GithubIssueSink};

use crate::github_access::Access;
use crate::sink::{Delivered, Delivering, PreviousDelivery, Proof, Sink, SinkContext};
use crate::sinks::Kind;
use crate::{DeliveryError, Notice, Reference, github_access, marker, outside};

const MAX_TITLE_CHARS: usize = 200;
/// A comment has at most 65,536 characters, and a character takes up to six when it is escaped.
const MAX_COMMENT_CHARS: usize = 65_000;
const MAX_BODY_CHARS: usize = 6000;
const MAX_FIELDS: usize = 20;
const MAX_FIELD_CHARS: usize = 100;
const MAX_LINKS: usize = 10;

impl Kind for GithubIssueSink {
    fn make<'a>(&'a self, around: SinkContext<'a>) -> Result<Box<dyn Sink + 'a>, DeliveryError> {
        let (repository, token) = (self.repository.as_deref(), self.token_env.as_deref());
        Ok(Box::new(Issue {
            github: Access::new(repository, token, around)?,
            labels: &self.labels,
        }))
    }
}

struct Issue<'a> {
    github: Access<'a>,
    labels: &'a [String],
}

impl Sink for Issue<'_> {
    fn deliver<'a>(
        &'a self,
        notice: &'a Notice,
        earlier: PreviousDelivery<'a>,
        deadline: Instant,
    ) -> Delivering<'a> {
        let delivery = async move |client: &Client| {
            let reading = |error| github_access::read(&error);
            let mark = marker::of_thread(&notice.thread);
            let known = if let Some(Reference::GithubIssue { number, .. }) = earlier.reference {
                Some(*number)
            } else {
                let of = &self.github.repository;
                let found = client.issue_with(of, &mark, notice.began).await;
                found.map_err(reading)?.map(|issue| issue.number)
            };
            let Some(number) = known else {
                return self.open(client, notice, &mark).await;
            };
            let reference = Some(self.reference(number));
            let told = self.comment(client, notice, number, earlier.unsure).await;
            match told {
                Ok(()) => Ok(Delivered { reference }),
                Err(error) => Err(error.leaving(reference)),
            }
        };
        Box::pin(self.github.within(deadline, delivery))
    }
    fn proof(&self) -> Proof<'_> {
        Proof::Permission(Box::new(|deadline| {
            let asking = async |client: &Client| {
                let may = client.may_make_issues(&self.github.repository).await;
                may.map_err(|error| github_access::read(&error))?;
                Ok(Delivered::default())
            };
            Box::pin(self.github.within(deadline, asking))
        }))
    }
}

impl Issue<'_> {
    fn reference(&self, number: u64) -> Reference {
        Reference::GithubIssue {
            number,
            repository: Some(self.github.repository.to_string()),
        }
    }

    /// The issue, whose body is the first notice.
    async fn open(
        &self,
        client: &Client,
        notice: &Notice,
        mark: &str,
    ) -> Result<Delivered, DeliveryError> {
        let body = format!("{mark}\n{}", text(notice));
        let title = outside::line(&notice.title, MAX_TITLE_CHARS);
        let made = client.make_issue(&self.github.repository, &title, &body, self.labels);
        let number = made.await.map_err(|error| github_access::written(&error))?;
        let reference = Some(self.reference(number));
        if notice.kind == EventKind::IncidentResolved {
            let closed = client.close_issue(&self.github.repository, number).await;
            closed.map_err(|error| github_access::written(&error).leaving(reference.clone()))?;
        }
        Ok(Delivered { reference })
    }

    async fn comment(
        &self,
        client: &Client,
        notice: &Notice,
        number: u64,
        unsure: bool,
    ) -> Result<(), DeliveryError> {
        let mark = marker::of_event(&notice.id);
        let of = &self.github.repository;
        let is_there = if unsure {
            let first = client.issue_with(of, &mark, notice.began).await;
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
                DeliveryError::unsure(format!("the issue was not closed: {error}"))
            })?;
        }
        Ok(())
    }
}

/// The notice as Markdown, with as much of its text as there is room for.
fn text(notice: &Notice) -> String {
    let mut most = MAX_BODY_CHARS;
    loop {
        let text = text_within(notice, most);
        if text.chars().count() <= MAX_COMMENT_CHARS || most < 10 {
            return text;
        }
        most /= 2;
    }
}

/// With the mark of the event, so that an issue's own body counts as its first comment.
fn text_within(notice: &Notice, most: usize) -> String {
    let mut parts = vec![
        marker::of_event(&notice.id),
        format!(
            "{} **{}** · {} · {}",
            notice.phase.emoji(),
            markdown(
                &outside::line(&notice.title, MAX_TITLE_CHARS),
                MAX_TITLE_CHARS
            ),
            notice.kind,
            notice.at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        ),
    ];
    let body = notice.body.trim();
    if !body.is_empty() {
        parts.push(markdown(&outside::text(body, most), most));
    }
    let field = MAX_FIELD_CHARS.min(most);
    let cell = |text: &str| markdown(&outside::line(text, field), field);
    let rows: Vec<String> = notice
        .rows(MAX_FIELDS)
        .iter()
        .map(|(label, value)| format!("| {} | {} |", cell(label), cell(value)))
        .collect();
    parts.push(format!("| | |\n| --- | --- |\n{}", rows.join("\n")));
    let links: Vec<String> = notice
        .web_links(MAX_LINKS)
        .map(|(label, url)| format!("[{}](<{url}>)", cell(label)))
        .collect();
    if !links.is_empty() {
        parts.push(links.join(" · "));
    }
    parts.join("\n\n") + "\n"
}
