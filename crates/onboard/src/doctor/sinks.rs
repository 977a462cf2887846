//! The sinks of `incident:`: whether their variables and files are there, and whether the texts can be made.
//! Nothing is sent.

use cli::Job;
use model::Outcome;

use super::finding::Finding;

/// People who are not told stop no stage.
const STOPS: &[super::finding::Who] = &[];

pub(super) async fn look(job: &Job) -> Vec<Finding> {
    let Ok(Some(section)) = job.config.incident() else {
        return Vec::new();
    };
    let sinks = job.with_recipients(async |recipients| {
        let looked = recipients.iter().map(|recipient| {
            let id = format!("sink/{}", recipient.name);
            let expected = "its variables and files can be used";
            let outcome = match recipient.unusable() {
                None => Outcome::pass(id, &*recipient.kind).actual("they can"),
                Some(error) => {
                    let outcome = Outcome::fail(id, &*recipient.kind).reason(error.to_string());
                    outcome.hint(error.hint().unwrap_or_default())
                }
            };
            Finding::new(outcome.expected(expected), STOPS)
        });
        looked.collect()
    });
    let mut findings: Vec<Finding> = sinks.await.unwrap_or_default();
    let texts = cli::scribe::unusable_texts(section);
    findings.extend(texts.map(|outcome| Finding::new(outcome, STOPS)));
    findings
}
