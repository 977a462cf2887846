//! The sinks of `incident:`: whether their variables and files are there, whether the texts can be made, and whether the token
//! may write to GitHub. No message is sent.

use std::time::{Duration, Instant};

use cli::Job;
use cli::scribe::may_write;
use futures_util::future::join_all;
use model::Outcome;
use notify::{Proof, Recipient};

use super::finding::Finding;

/// People who are not told stop no stage.
const STOPS: &[model::StageName] = &[];

/// How long GitHub may take to answer for a sink.
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    let Ok(Some(section)) = job.config.incident() else {
        return Vec::new();
    };
    let until = Instant::now() + QUERY_TIMEOUT;
    let sinks = job.with_recipients(async |recipients| {
        let looks = recipients
            .iter()
            .map(|recipient| async move { Finding::new(look_at(recipient, until).await, STOPS) });
        join_all(looks).await
    });
    let mut findings: Vec<Finding> = sinks.await.unwrap_or_default();
    let texts = cli::scribe::unusable_texts(section);
    findings.extend(texts.map(|outcome| Finding::new(outcome, STOPS)));
    findings
}

async fn look_at(recipient: &Recipient<'_>, until: Instant) -> Outcome {
    let id = format!("sink/{}", recipient.name);
    let expected = "its variables and files can be used";
    match recipient.proof() {
        Ok(Proof::Permission(ask)) => may_write(recipient, ask(until).await),
        Ok(Proof::Message(_)) => Outcome::pass(id, &*recipient.kind)
            .expected(expected)
            .actual("they are there; `incident notify --test` sends a message"),
        Err(error) => Outcome::fail(id, &*recipient.kind)
            .expected(expected)
            .reason(error.to_string())
            .hint(error.hint().unwrap_or_default()),
    }
}
